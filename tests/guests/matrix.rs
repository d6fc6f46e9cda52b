//! Cases by kernels: a run, its table, going on with it, and what changed since.

use std::fs;
use std::path::Path;

use crate::{Ended, SERIES, hairpin, ran};

/// A rule with few cases.
const RULE: &str = "macvlan.vepa.siblings-need-reflection";

fn matrix(args: &[&str], out: &Path) -> Ended {
    let mut command = hairpin(&["matrix", "--kernels", "oldest,newest", RULE]);
    command.args(args).arg("--out").arg(out);
    ran(command)
}

fn finished(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| line.contains("\"event\":\"case-finished\"")).count()
}

#[test]
fn a_run_is_kept_gone_on_with_and_held_against_another() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    let ended = matrix(&[], &first);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("3 of 3 cases ended alike on all kernels"), "{}", ended.stdout);
    // Lines are wrapped.
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains("plain machine: pass"), "{}", ended.stdout);

    // As if it had been killed in the middle of the second case on one kernel.
    let file = first.join("5.10.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let (at, _) = text.match_indices("\"event\":\"case-finished\"").nth(1).unwrap();
    fs::write(&file, &text[..at]).unwrap();
    let ended = matrix(&["--resume"], &first);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(finished(&file), 3);

    // A case that was red is fixed, one that was not there is new.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"outcome\":\"pass\"", "\"outcome\":\"fail\"", 1)).unwrap();
    let second = folder.path().join("second");
    let ended = matrix(&["--baseline", first.to_str().unwrap()], &second);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("fixed since the baseline (1):"), "{}", ended.stdout);

    // And the other way round, it got worse.
    let text = fs::read_to_string(second.join("5.10.jsonl")).unwrap();
    assert!(text.contains("\"event\":\"run-finished\""), "{text}");
    let ended = matrix(&["--baseline", second.to_str().unwrap(), "--resume"], &first);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("5.10 macvlan.vepa"), "{}", ended.stdout);
    assert!(ended.stdout.contains("pass -> fail"), "{}", ended.stdout);
}

#[test]
fn a_folder_with_something_in_it_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    let ended = matrix(&[], folder.path());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("the run's folder is not empty"), "{}", ended.stderr);
}

/// A driver of one's own takes the packaged one's place; one for another kernel is refused by name.
#[test]
fn a_driver_for_another_kernel_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("macvlan.ko");
    fs::write(&file, b"no module").unwrap();
    let mut command = hairpin(&["check", RULE, "--kernel", "5.10", "--module"]);
    command.arg(&file);
    let ended = ran(command);
    assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("macvlan.ko"), "{}", ended.stderr);
}

/// Minutes of the guest's clock in a guest of its own kind, beside a case in a usual one.
#[test]
fn a_case_that_waits_for_minutes_is_not_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("run.jsonl");
    for series in SERIES {
        let mut command =
            hairpin(&["check", "bridge.time", "macvlan.private.reflected-unicast-passes"]);
        command.args(["--kernel", series, "--events"]).arg(&events);
        let ended = ran(command);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let text = fs::read_to_string(&events).unwrap();
        let passed = |line: &&str| line.contains("\"outcome\":\"pass\"");
        assert_eq!(text.lines().filter(passed).count(), 4, "{}", ended.stdout);
    }
}
