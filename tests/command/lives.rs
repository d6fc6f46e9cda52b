//! Processes: the deadline, interruption, kept labs, and that nothing stays behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{hairpin, plain, ran, traces};

/// Waits until the condition holds, and says what it waited for if it does not come to hold.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Whether a process is there and is no zombie: in a container nobody may be there to reap those.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

fn noted(folder: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

/// Starts a run whose cases wait for ever but three, and waits until those are through and the
/// others wait.
fn hanging(folder: &Path) -> (Child, Vec<String>) {
    let mut command =
        hairpin(&["check", "-j", "3", "bridge", "faults.told.hang", "faults.silent.hang"]);
    command.env("FAKE_DIR", folder).arg("--events").arg(folder.join("events"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the command can be started");
    until("two cases that hang", || noted(folder, "waiting").len() == 2);
    let through = || noted(folder, "events").iter().filter(|e| e.contains("\"outcome\":")).count();
    until("three cases that end", || through() == 3);
    (child, noted(folder, "waiting"))
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it is there");
}

#[test]
fn a_killed_run_leaves_no_process() {
    let folder = traces();
    let (mut child, cases) = hanging(folder.path());
    assert!(cases.iter().all(|pid| lives(pid)));
    signal(&child, Signal::SIGKILL);
    child.wait().expect("it was killed");
    until("the end of the cases", || !cases.iter().any(|pid| lives(pid)));
}

#[test]
fn an_interrupted_run_tells_what_is_finished_and_leaves_no_process() {
    let folder = traces();
    let (child, cases) = hanging(folder.path());
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let stdout = plain(&output.stdout);
    assert!(stdout.contains("interrupted; what had finished stands above"), "{stdout}");
    assert!(
        stdout.contains("2 passed, 0 failed, 1 skipped (driver `vlan`), 2 not run"),
        "{stdout}"
    );
    assert!(!cases.iter().any(|pid| lives(pid)));
}

#[test]
fn of_an_interrupted_measurement_the_whole_rounds_are_kept() {
    let folder = traces();
    let events = folder.path().join("events.jsonl");
    let mut command = hairpin(&["measure", "--rounds", "5", "--suite"]);
    command.arg(crate::fake_suite()).arg("--events").arg(&events);
    command.env("FAKE_DIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the command can be started");
    until("the third round", || noted(folder.path(), "waiting").len() == 1);
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let mut command = hairpin(&["measure", "--from"]);
    command.arg(&events);
    let (output, stdout, stderr) = ran(command);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("2 rounds") && stdout.contains("0.80"), "{stdout}");
    // The same file in a report: a line, and no case.
    let mut command = hairpin(&["report", "--format", "markdown"]);
    command.arg(&events);
    let (_, stdout, _) = ran(command);
    assert!(stdout.contains("bridge 0.80/0.80") && !stdout.contains("| events"), "{stdout}");
}

#[test]
fn a_second_interruption_is_heard_too() {
    let folder = traces();
    let (mut child, cases) = hanging(folder.path());
    signal(&child, Signal::SIGTERM);
    // The first may already have been enough.
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).ok();
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    until("the end of the cases", || !cases.iter().any(|pid| lives(pid)));
}

#[test]
fn a_crash_takes_the_processes_of_its_case_along() {
    let folder = traces();
    let mut command = hairpin(&["check", "-q", "faults.silent.orphans"]);
    command.env("FAKE_DIR", folder.path());
    let began = Instant::now();
    let (output, stdout, _) = ran(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("was killed by SIGABRT without a result"), "{stdout}");
    assert!(began.elapsed() < Duration::from_secs(20), "the orphan's pipes were waited for");
    let orphans = noted(folder.path(), "orphan");
    assert_eq!(orphans.len(), 1);
    until("the end of the orphan", || !lives(&orphans[0]));
}

#[test]
fn a_deadline_holds() {
    let began = Instant::now();
    let (output, stdout, _) =
        ran(hairpin(&["check", "-q", "--deadline", "0.3", "faults.told.hang", "bridge.l2"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("2 passed, 0 failed, 1 hung"), "{stdout}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_case_that_has_told_its_result_holds_up_no_other() {
    // One place, and a process that never ends after its result: the others run all the same.
    let (_, stdout, _) = ran(hairpin(&[
        "check",
        "-q",
        "-j",
        "1",
        "--deadline",
        "2",
        "faults.told.pass-then-hang",
        "faults.told.slow",
    ]));
    assert!(stdout.contains("1 passed, 0 failed, 1 hung in T "), "{stdout}");
}

#[test]
fn a_kept_lab_lives_until_the_user_ends_it() {
    let mut command = hairpin(&["check", "--keep", "macvlan"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command can be started");
    let mut entry = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    stderr.read_line(&mut entry).expect("a line comes");
    assert!(entry.starts_with("enter c1: nsenter --net=/proc/"), "{entry}");
    let pid = entry.split('/').nth(2).expect("a path").to_owned();
    assert!(lives(&pid), "the lab is alive while its user looks around");
    child.stdin.take().expect("piped").write_all(b"\n").expect("the case reads");
    let output = child.wait_with_output().expect("it ends");
    stderr.read_to_string(&mut entry).expect("the rest");
    assert_eq!(output.status.code(), Some(1));
    let stdout = plain(&output.stdout);
    assert_eq!(stdout.matches("FAIL macvlan.private.siblings-may-not-talk").count(), 1, "{stdout}");
    assert!(stdout.contains("0 passed, 1 failed, 3 not run"), "{stdout}");
    assert!(!lives(&pid));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut command = hairpin(&["list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_process_without_its_parent_does_not_begin() {
    // As if the command had died between starting the process and tying its life to its own.
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let output = command.args(["__case", "1", "/bin/echo", "ran"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(127));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("ran\n"));
}
