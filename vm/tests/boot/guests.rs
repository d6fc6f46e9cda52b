//! What a guest gives to a job, and what it does not pass on to the next.

use hairpin_model::event::Outcome;
use hairpin_vm::kernels::{Options, Store};
use hairpin_vm::{BootSpec, End, Guests, Job, JobResult};

use crate::common::{GUESTS, SERIES, job, run, spec, stdout};

#[test]
fn every_kernel_comes_up_freezes_and_wakes() {
    for series in SERIES {
        let guests = Guests::prepare(&spec(series)).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(guests.are_woken(), "{series}: {:?}", guests.notes());
        assert_eq!(guests.notes(), [""; 0], "{series}");
        assert_eq!(guests.evidence(), [], "{series}");
        let result = guests.run(&job(&["read", "/proc/sys/kernel/osrelease"])).unwrap();
        assert_eq!(result.outcome(), (Outcome::Pass, None), "{}", result.console.text());
        let (said, release) = (stdout(&result), &guests.booted().ready.release);
        assert_eq!(said.trim(), release);
        assert!(release.starts_with(series), "{release}");
        println!("{series}: boot {:?}, then {:?}", guests.booted().took, result.timing);
    }
}

#[test]
fn a_second_in_a_guest_is_a_second() {
    for series in SERIES {
        let guests = Guests::prepare(&spec(series)).unwrap_or_else(|failure| panic!("{failure}"));
        let result = guests.run(&job(&["sleep", "2"])).unwrap();
        assert_eq!(result.end, End::Exited(0), "{series}: {}", result.console.text());
        let (inside, here) = (result.timing.inside, result.timing.job);
        assert!(inside.as_secs_f32() >= 2.0, "{series}: {inside:?} there");
        // From here it may look longer, on a busy machine; never much shorter.
        assert!(here.as_secs_f32() > 1.8, "{series}: {here:?} here, {inside:?} there");
    }
}

#[test]
fn a_guest_has_its_modules_and_no_link_but_loopback() {
    assert_eq!(stdout(&run(&["links"])), "lo\n");
    assert_eq!(stdout(&run(&["read", "/sys/class/net/lo/operstate"])), "unknown\n");
    let modules = stdout(&run(&["read", "/proc/modules"]));
    for module in ["veth", "bridge", "macvlan"] {
        assert!(modules.contains(module), "{modules}");
    }
}

#[test]
fn nothing_of_one_job_reaches_the_next() {
    for _ in 0..3 {
        assert_eq!(stdout(&run(&["mark", "/tmp/was-here"])), "false\n");
    }
}

#[test]
fn each_guest_has_its_own_chance_and_the_right_time() {
    let numbers: Vec<String> = (0..3).map(|_| stdout(&run(&["random"]))).collect();
    assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2], "{numbers:?}");
    let clock: u64 = stdout(&run(&["clock"])).trim().parse().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now.abs_diff(clock) < 5, "{clock} there, {now} here");
}

#[test]
fn what_a_program_writes_comes_whole_and_as_it_is() {
    let result = run(&["bulk", "1000000"]);
    let expected: Vec<u8> = (0..=255).cycle().take(1_000_000 / 256 * 256).collect();
    assert!(result.stdout == expected, "{} bytes", result.stdout.len());
    let result = run(&["complain", "to stderr"]);
    assert_eq!(String::from_utf8_lossy(&result.stderr), "to stderr\n");
}

#[test]
fn exit_codes_and_signals_are_told() {
    assert_eq!(run(&["exit", "7"]).end, End::Exited(7));
    assert_eq!(run(&["abort"]).end, End::Killed(6));
    let result = GUESTS.run(&Job::new("/nothing", [])).unwrap();
    assert!(
        matches!(&result.end, End::Failed(why) if why.contains("`/nothing` cannot be started"))
    );
    assert_eq!(result.outcome().0, Outcome::Error);
}

#[test]
fn a_program_that_was_started_beforehand_does_what_each_job_asks() {
    for series in SERIES {
        let beforehand = Some(job(&["", ""]));
        let spec = BootSpec { beforehand, ..spec(series) };
        let guests = Guests::prepare(&spec).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(guests.notes(), [""; 0], "{series}");
        let run = |words: &[&str]| guests.run(&job(words)).unwrap();
        assert_eq!(stdout(&run(&["say", "one"])), "one\n", "{series}");
        assert_eq!(stdout(&run(&["say", "a longer one"])), "a longer one\n", "{series}");
        assert_eq!(run(&["exit", "7"]).end, End::Exited(7));
        assert_eq!(run(&["abort", ""]).end, End::Killed(6));
        let said = stdout(&run(&["environment", ""]));
        assert!(!said.contains("ORDER") && said.contains("HAIRPIN_EVENTS_FD="), "{said}");
        let numbers: Vec<String> = (0..2).map(|_| stdout(&run(&["random", ""]))).collect();
        assert_ne!(numbers[0], numbers[1]);
        // What it was not started for starts it anew.
        let long = "l".repeat(600);
        assert_eq!(stdout(&run(&["say", &long])), format!("{long}\n"));
        assert_eq!(stdout(&run(&["say", "three", "words"])), "three\n");
        let mut other = job(&["environment", ""]);
        other.env = vec![("ONE".into(), "1".into())];
        assert!(stdout(&guests.run(&other).unwrap()).contains("ONE=1\n"));
    }
}

#[test]
fn a_later_run_wakes_what_an_earlier_one_booted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Options { cache: Some(folder.path().into()), ..Options::default() });
    let shelf = Some(store.unwrap().shelf());
    let spec = BootSpec { shelf, beforehand: Some(job(&["", ""])), ..spec("6.1") };
    let prepare = |spec: &BootSpec| Guests::prepare(spec).unwrap_or_else(|f| panic!("{f}"));
    let first = prepare(&spec);
    let later = prepare(&spec);
    assert!(!first.booted().kept && later.booted().kept);
    assert_eq!(first.booted().ready, later.booted().ready);
    assert_eq!(later.notes(), [""; 0]);
    for guests in [&later, &first, &later] {
        assert_eq!(stdout(&guests.run(&job(&["say", "one"])).unwrap()), "one\n");
        assert_eq!(stdout(&guests.run(&job(&["mark", "/tmp/was-here"])).unwrap()), "false\n");
    }
    // Another machine is another guest.
    let larger = BootSpec { memory_mib: Some(160), ..spec.clone() };
    assert!(!prepare(&larger).booted().kept);
    let told = BootSpec { append: "hairpin.test=1".into(), ..spec };
    assert!(!prepare(&told).booted().kept);
}

#[test]
fn a_program_that_cannot_be_started_beforehand_is_noted_and_asked_for_again() {
    let spec = BootSpec { beforehand: Some(Job::new("/nothing", [])), ..spec("6.1") };
    let guests = Guests::prepare(&spec).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(guests.notes(), ["`/nothing` is started anew for each job"]);
    assert_eq!(stdout(&guests.run(&job(&["say", "one"])).unwrap()), "one\n");
}

#[test]
fn the_environment_is_the_jobs_and_the_guests_and_no_others() {
    let mut job = job(&["environment"]);
    job.env = vec![("ONE".into(), "1".into()), ("HOME".into(), "/tmp".into())];
    let said = stdout(&GUESTS.run(&job).unwrap());
    let names: Vec<&str> = said.lines().filter_map(|l| l.split_once('=')).map(|l| l.0).collect();
    assert_eq!(names, ["HAIRPIN_EVENTS_FD", "HOME", "ONE", "PATH", "TMPDIR"]);
    assert!(said.contains("HOME=/tmp\n"), "{said}");
}

#[test]
fn records_come_as_records() {
    let step = r#"{"v":1,"us":5,"event":"step","text":"sw:s0 hairpin on"}"#;
    let result = run(&["records", step, step]);
    assert_eq!(result.records.len(), 2, "{result:?}");
    assert_eq!(result.outcome().0, Outcome::Pass);
    let result = run(&["records", "none of ours"]);
    assert_eq!((result.bad_records.len(), result.outcome().0), (1, Outcome::Error));
}

#[test]
fn a_child_that_stays_behind_does_not_hold_up_the_end() {
    let result = run(&["leave-a-child"]);
    assert_eq!(result.end, End::Exited(0));
    assert!(result.timing.job.as_secs() < 20, "{:?}", result.timing);
}

#[test]
fn guests_are_woken_side_by_side() {
    let wake = || (0..4).map(|_| run(&["say", "here"])).collect::<Vec<JobResult>>();
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(wake)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(results.len(), 12);
    for result in results {
        assert_eq!((result.end.clone(), stdout(&result)), (End::Exited(0), "here\n".to_owned()));
        assert_eq!(result.notes, [""; 0]);
    }
}

#[test]
fn any_program_of_this_machine_runs_with_its_libraries() {
    let spec = spec("6.1");
    let release = spec.image.release.clone();
    let mut live = Vec::new();
    let result =
        hairpin_vm::run_program(spec, "/bin/uname".as_ref(), &job(&["-r"]), &mut |_, bytes| {
            live.extend_from_slice(bytes);
        });
    let result = result.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(stdout(&result).trim(), release);
    assert_eq!(live, result.stdout);
}
