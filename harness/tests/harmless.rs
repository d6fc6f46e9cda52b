//! Suite programs leave the machine as it is, however they end and whoever runs them.
//!
//! This program has no sandbox: it looks at the machine from outside while others run. What it
//! looks at is global, so its tests run one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;

use hairpin_model::Event;
use hairpin_model::event::{Outcome, Record};
use rstest::rstest;
use serial_test::file_serial;

#[path = "support/build.rs"]
mod build;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/run.rs"]
mod run;
#[path = "support/traces.rs"]
mod traces;
#[path = "support/user.rs"]
mod user;

use traces::Traces;

/// The programs that are run here, built as the whole workspace's tests are.
static PROGRAMS: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(|| {
    let manifest = Path::new(build::HERE).join("../Cargo.toml");
    let tests = ["--test", "isolated_ports", "--test", "broken_cases", "--test", "conformance"];
    build::programs(&manifest, ["--workspace"].into_iter().chain(tests))
});

fn program(name: &str) -> Command {
    let mut command = Command::new(&PROGRAMS[name]);
    for setting in ["HAIRPIN_KEEP", "HAIRPIN_STRICT", "HAIRPIN_EVENTS_FD", "HAIRPIN_SHELL"] {
        command.env_remove(setting);
    }
    command
}

fn passes(command: &mut Command) -> run::Ended {
    let ended = run::to_its_end(command);
    assert!(ended.status.success(), "{command:?}: {}", ended.text);
    ended
}

#[test]
#[file_serial(hairpin_machine)]
fn the_machine_stays_as_it_is() {
    let cases = ["macvlan::vepa::siblings_need_reflection", "bridge::docker::forward_drop"];
    let before = machine::snapshot();
    passes(&mut program("isolated_ports"));
    passes(program("conformance").args(cases));
    let differences = machine::differences(&before, &machine::snapshot());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Killed while it is building labs, in the midst of a run.
#[test]
#[file_serial(hairpin_machine)]
fn a_killed_run_leaves_nothing() {
    let before = machine::snapshot();
    let mut command = program("conformance");
    let mut traces = Traces::watch("run", &mut command);
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    command.env("HAIRPIN_EVENTS_FD", "0").stdin(writer).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().expect("the program starts");
    command.stdin(Stdio::null());
    let mut labs = BufReader::new(reader).lines().filter(|line| {
        let line = line.as_ref().expect("the stream can be read");
        let record: Record = serde_json::from_str(line).expect("a line is a record");
        matches!(record.event, Event::LabBuilt { .. })
    });
    labs.nth(3).expect("a lab is built").expect("the stream can be read");
    assert!(traces.note(child.id()) > 1, "no lab was seen");
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
    traces.await_nothing();
    let differences = machine::differences(&before, &machine::snapshot());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A failed case that keeps its lab can be entered, and is killed or let go.
#[rstest]
#[case::killed(true)]
#[case::let_go(false)]
#[file_serial(hairpin_machine)]
fn a_kept_lab_leaves_nothing(#[case] killed: bool) {
    let mut command = program("broken_cases");
    command.args(["--exact", "broken::case::drawn_wrong", "--nocapture"]);
    command.envs([("HAIRPIN_TEST_BROKEN", "1"), ("HAIRPIN_KEEP", "1")]);
    let mut traces = Traces::watch(if killed { "killed" } else { "let-go" }, &mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let stderr = child.stderr.take().expect("it was asked for");
    let entrances = entrances(BufReader::new(stderr).lines().map_while(Result::ok));

    traces.note(child.id());
    assert_eq!(entrances.len(), 4, "{entrances:?}");
    for place in &entrances {
        let namespace = fs::read_link(place).expect("a kept lab can be entered");
        assert!(traces.has(&namespace.to_string_lossy()), "{place}: {namespace:?}");
    }
    if killed {
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    } else {
        drop(child.stdin.take());
        let status = child.wait().expect("a child can be waited for");
        assert_eq!(status.code(), Some(101), "it is a failure all the same");
    }
    traces.await_nothing();
}

/// The shell program that runs a command in a host of the isolated ports' network.
fn shell(host: &str, words: &[&str]) -> Command {
    let mut command = program("isolated_ports");
    command.args(["--exact", "bridge::isolated_ports_stay_apart", "--nocapture"]);
    command.env("HAIRPIN_SHELL", serde_json::json!({ "host": host, "command": words }).to_string());
    command
}

/// What was started in a shell ends with it, and with the program that opened it.
#[rstest]
#[case::left(false)]
#[case::killed(true)]
#[file_serial(hairpin_machine)]
fn a_shell_leaves_nothing(#[case] killed: bool) {
    let stay = "sleep 1000 & echo \"I am in $HAIRPIN_HOST\"; ";
    let then = if killed { "sleep 1000" } else { "exit 7" };
    let mut command = shell("b", &["/bin/sh", "-c", &format!("{stay}{then}")]);
    let mut traces = Traces::watch(if killed { "shell-killed" } else { "shell" }, &mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let stdout = child.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "I am in b"), "the shell never spoke");
    if killed {
        assert!(traces.note(child.id()) > 1, "no lab was seen");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    } else {
        let status = child.wait().expect("a child can be waited for");
        assert_eq!(status.code(), Some(7), "it ends as the shell ended");
    }
    traces.await_nothing();
}

#[test]
#[file_serial(hairpin_machine)]
fn a_shell_in_no_host_names_the_hosts() {
    let ended = shell("nobody", &["true"]).output().expect("the program starts");
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("error: there is no host `nobody`"), "{said}");
    assert!(said.contains("name one of these: a b c sw"), "{said}");
}

/// Reads until the program waits: the namespaces that it tells how to enter.
fn entrances(lines: impl Iterator<Item = String>) -> Vec<String> {
    let told = lines.take_while(|line| !line.starts_with("press Enter"));
    let place = |line: String| Some(line.split_once("--net=")?.1.to_owned());
    told.filter_map(place).collect()
}

/// The same programs in the hands of a user that owns nothing.
#[test]
#[file_serial(hairpin_machine)]
fn an_ordinary_user_may_run_them() {
    let owned = || -> Vec<PathBuf> {
        let folders = ["/tmp", "/var/tmp", "/dev/shm", "/run"].map(fs::read_dir);
        let entries = folders.into_iter().flatten().flatten().flatten();
        entries.filter(|entry| is_nobodys(&entry.path())).map(|entry| entry.path()).collect()
    };
    let before = (machine::snapshot(), owned());
    let isolated_ports = user::Program::of_ordinary_users(&PROGRAMS["isolated_ports"]);
    let conformance = user::Program::of_ordinary_users(&PROGRAMS["conformance"]);
    if user::may_have_labs() {
        passes(&mut isolated_ports.command([""; 0]));
        let cases = ["macvlan::vepa", "bridge::docker::forward_drop", "host::shared"];
        passes(&mut conformance.command(cases));
    } else {
        let ended = run::to_its_end(&mut isolated_ports.command([""; 0]));
        assert_eq!(ended.status.code(), Some(101), "{}", ended.text);
        assert!(ended.text.contains("  help:  "), "{}", ended.text);
    }
    let differences = machine::differences(&before.0, &machine::snapshot());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(owned(), before.1, "files were left behind");
}

fn is_nobodys(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.uid() == user::NOBODY)
}

#[test]
#[file_serial(hairpin_machine)]
fn two_whole_runs_do_not_disturb_each_other() {
    let whole = || {
        let ended = passes(program("conformance").args(["--test-threads", "4"]));
        let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
        for event in ended.events {
            if let Event::CaseFinished { outcome, .. } = event {
                *outcomes.entry(outcome).or_default() += 1;
            }
        }
        outcomes
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(whole);
        let other = whole();
        (one.join().expect("the other run passes"), other)
    });
    assert_eq!(one, other);
    assert!(one[&Outcome::Pass] > 100, "{one:?}");
    assert!(!one.keys().any(|outcome| outcome.is_bad()), "{one:?}");
}
