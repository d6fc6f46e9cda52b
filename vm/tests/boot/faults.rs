//! Kernels that die, hang and babble, and machines that go away: each is told, none is a pass.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hairpin_model::event::Outcome;
use hairpin_vm::console::Kind;
use hairpin_vm::program::{Packed, Program};
use hairpin_vm::{End, Guests, Machine};

use crate::common::{GUESTS, SERIES, job, run, spec, stdout};

#[test]
fn a_kernel_that_crashes_is_a_crash_with_its_stack() {
    for series in SERIES {
        let guests = Guests::prepare(&spec(series)).unwrap_or_else(|failure| panic!("{failure}"));
        let result = guests.run(&job(&["kernel", "c"])).unwrap();
        let text = result.console.text();
        assert_eq!(result.outcome().0, Outcome::Crash, "{series}: {:?}\n{text}", result.end);
        assert!(matches!(result.end, End::Crashed(_)), "{:?}", result.end);
        let [evidence] = &result.evidence[..] else { panic!("{:?}", result.evidence) };
        assert!(evidence.kind.is_fatal() && evidence.ended_machine, "{evidence:?}");
        assert!(evidence.frames.contains(&"sysrq_handle_crash".to_owned()), "{evidence:?}\n{text}");
        println!("{series}: {}", evidence.signature());
    }
}

#[test]
fn a_hang_ends_at_its_deadline_and_shows_what_all_tasks_do() {
    for series in SERIES {
        let guests = Guests::prepare(&spec(series)).unwrap_or_else(|failure| panic!("{failure}"));
        let mut job = job(&["hang"]);
        job.deadline = Duration::from_secs(3);
        let begin = Instant::now();
        let result = guests.run(&job).unwrap();
        assert_eq!(result.end, End::Hung(job.deadline));
        assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
        assert_eq!(result.evidence, [], "what we provoked is no evidence");
        let text = result.console.text();
        let (_, after) = text.split_once("the deadline has passed").expect("it is marked");
        assert!(after.contains("NMI"), "{series}: {text}");
        // 5.10 writes `init            S`, later ones `task:init            state:S`.
        let tasks = after.lines().filter(|line| line.contains("kthreadd") || line.contains("init"));
        assert!(tasks.count() >= 2, "{series}: {text}");
        println!("{series}: {:?}, {} bytes", result.timing, result.console.bytes());
    }
}

#[test]
fn a_flood_on_the_console_takes_no_memory_and_hides_no_result() {
    let result = run(&["flood", "5000"]);
    assert_eq!(result.end, End::Exited(0), "{}", result.console.last_lines(3));
    assert!(result.console.bytes() > 1_000_000, "{}", result.console.bytes());
    assert!(result.console.text().len() < 400_000);
    assert!(result.console.text().contains("bytes are left out here"));
}

#[test]
fn a_complaint_of_the_kernel_turns_a_pass_into_a_failure() {
    let complaint = "<4>WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 dev_open+0x1/0x2";
    let result = run(&["to-console", complaint]);
    assert_eq!(result.end, End::Exited(0), "{}", String::from_utf8_lossy(&result.stderr));
    assert_eq!(result.outcome().0, Outcome::Fail, "{}", result.console.text());
    assert_eq!(result.evidence[0].kind, Kind::Warning);
    assert_eq!(result.evidence[0].signature(), "warning: WARNING at net/core/dev.c dev_open");
}

#[test]
fn a_program_that_the_kernel_kills_for_memory_is_told_from_one_that_crashes() {
    let result = run(&["eat-memory"]);
    assert_eq!(result.end, End::Killed(9));
    assert_eq!(result.evidence.iter().map(|e| e.kind).collect::<Vec<_>>(), [Kind::OutOfMemory]);
    assert_eq!(result.outcome().0, Outcome::Crash);
}

#[test]
fn bytes_on_the_event_line_that_are_no_frame_are_our_error() {
    let result = run(&["damage-the-line"]);
    assert!(matches!(&result.end, End::Failed(why) if why.contains("noise in place of frame 1")));
    assert_eq!(result.outcome().0, Outcome::Error);
}

#[test]
fn a_qemu_that_is_killed_in_mid_case_is_a_crash_and_the_next_case_runs() {
    let machine = Machine::boot(&spec("6.1")).unwrap_or_else(|failure| panic!("{failure}"));
    let process = machine.process_id();
    let result = std::thread::scope(|scope| {
        let case = scope.spawn(|| machine.run(&job(&["hang"])));
        kill(process);
        case.join().unwrap()
    });
    assert!(
        matches!(&result.end, End::Crashed(why) if why.contains("QEMU is gone")),
        "{:?}",
        result.end
    );
    assert_eq!(result.outcome().0, Outcome::Crash);
    assert_eq!(stdout(&run(&["say", "still here"])), "still here\n");
}

#[test]
fn an_init_that_is_none_is_told_by_the_kernels_own_words() {
    let mut spec = spec("6.1");
    spec.init = Program::read(Path::new("/bin/true"), "/init").unwrap();
    let failure = Machine::boot(&spec).err().expect("`true` is no init");
    assert!(failure.error.what.contains("Attempted to kill init"), "{failure}");
    assert!(failure.console.evidence()[0].ended_machine);
}

#[test]
fn a_guest_without_room_for_its_files_does_not_run_with_half_of_them() {
    let mut spec = spec("6.1");
    let file = |path: &str, bytes| Packed { path: path.into(), bytes };
    spec.files = vec![file("/large", vec![7; 60 << 20])];
    spec.memory_mib = Some(200);
    let failure = Machine::boot(&spec).err().expect("the file does not fit");
    assert!(failure.error.what.contains("Initramfs unpacking failed"), "{failure}");
    spec.memory_mib = None;
    Machine::boot(&spec).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_guest_that_never_comes_up_ends_at_its_deadline() {
    let mut spec = spec("6.1");
    spec.append = "rdinit=/nothing root=/dev/nothing rootwait".into();
    spec.deadline = Duration::from_secs(6);
    let begin = Instant::now();
    let failure = Machine::boot(&spec).err().expect("there is nothing to boot into");
    assert!(failure.error.what.contains("was not up within 6 s"), "{failure}");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[test]
fn a_qemu_that_does_not_work_is_told_in_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("6.1");
    spec.qemu = Some(script(folder.path(), "echo it does not work here >&2; exit 1"));
    let failure = Machine::boot(&spec).err().expect("it cannot boot");
    assert!(failure.error.what.contains("it does not work here"), "{failure}");
}

#[test]
fn where_nothing_can_be_woken_each_job_has_its_own_boot_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("6.1");
    spec.qemu = Some(script(
        folder.path(),
        "case \"$*\" in *-incoming*) echo no snapshots here >&2; exit 1;; esac\n\
         PATH=/usr/local/bin:/usr/bin:/bin exec qemu-system-x86_64 \"$@\"",
    ));
    let guests = Guests::prepare(&spec).unwrap_or_else(|failure| panic!("{failure}"));
    let result = guests.run(&job(&["say", "booted"])).unwrap();
    assert_eq!(stdout(&result), "booted\n");
    assert!(
        result.notes.iter().any(|note| note.contains("no snapshots here")),
        "{:?}",
        result.notes
    );
    assert!(
        result.notes.iter().any(|note| note.contains("was booted for it")),
        "{:?}",
        result.notes
    );
    assert!(guests.notes().iter().any(|note| note.contains("cannot be woken")));
}

/// Holds a guest for [`no_qemu_outlives_a_process_that_is_killed`], which starts it in a process of its own.
#[test]
fn holder() {
    if std::env::var_os("HAIRPIN_TEST_HOLDS").is_some() {
        let machine = Machine::boot(&spec("6.1")).unwrap_or_else(|failure| panic!("{failure}"));
        println!("holds {}", machine.process_id());
        machine.run(&job(&["hang"]));
    }
}

#[test]
fn no_qemu_outlives_a_process_that_is_killed() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::holder", "--nocapture"])
        .env("HAIRPIN_TEST_HOLDS", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let held = lines.map_while(Result::ok).find_map(|line| {
        line.split_once("holds ").and_then(|(_, number)| number.parse::<u32>().ok())
    });
    let qemu = held.expect("it holds a guest");
    assert!(lives(qemu));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while lives(qemu) {
        assert!(Instant::now() < until, "QEMU {qemu} outlives its parent");
        std::thread::yield_now();
    }
    // The guests of this process are none of its business.
    assert!(GUESTS.are_woken());
}

/// Whether it is there and no zombie, which only its new parent can take away.
fn lives(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

fn kill(process: u32) {
    let process = nix::unistd::Pid::from_raw(process.try_into().unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
}

fn script(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("qemu");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
