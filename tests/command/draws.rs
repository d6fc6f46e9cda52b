//! Pictures of cases: from the suite program, from a run that was kept, and where there is none.

use crate::{fake_suite, hairpin, ran, traces};

/// `hairpin draw` over the fake suite program.
fn draw(args: &[&str]) -> (i32, String, String) {
    let mut command = hairpin(&["draw"]);
    command.arg("--suite").arg(fake_suite()).args(args);
    let (output, stdout, stderr) = ran(command);
    (output.status.code().expect("no signal"), stdout, stderr)
}

#[test]
fn a_case_is_drawn_as_text() {
    let (code, stdout, stderr) = draw(&["macvlan.private"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @r#"
                                                            + sw (netns) ------------+
                                                            | br0  bridge            |
    + c1 (host) ----------+     + p (netns) ----------+     |   02:68:70:00:00:0a    |
    | c0  macvlan private o..+..o p0  veth            o-----o +- s0  veth            |
    |   02:68:70:00:00:0f |  :  |   02:68:70:00:00:0c |     |      02:68:70:00:00:0b |
    |   192.0.2.11/24     |  :  +---------------------+  +--o +- s1  veth            |
    +---------------------+  :                           |  |      02:68:70:00:00:0d |
                             :  + e (host) -----------+  |  +------------------------+
    + c2 (host) ----------+  :  | e0  veth            o--+
    | c0  macvlan private o..+  |   02:68:70:00:00:0e |
    |   02:68:70:00:00:10 |     |   192.0.2.9/24      |
    |   192.0.2.12/24     |     +---------------------+
    +---------------------+
    "#);
}

#[test]
fn of_several_cases_the_first_is_drawn_and_told() {
    let (code, stdout, stderr) = draw(&["macvlan.vepa", "--format", "svg"]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("<svg ") && stdout.contains("macvlan vepa"), "{stdout}");
    insta::assert_snapshot!(stderr, @"hairpin: of 3 cases this is macvlan.vepa.siblings-need-reflection.v4");
}

#[test]
fn a_run_that_was_kept_is_drawn_from_and_nothing_is_run() {
    let folder = traces();
    let file = folder.path().join("events.jsonl");
    let mut check = hairpin(&["check", "-q", "macvlan", "bridge"]);
    check.arg("--events").arg(&file).env("FAKE_DIR", folder.path());
    ran(check);
    let mut from_run = hairpin(&["draw", "macvlan.private", "--events"]);
    from_run.arg(&file);
    assert_eq!(ran(from_run).1, draw(&["macvlan.private"]).1);
    let mut unknown = hairpin(&["draw", "macvaln", "--events"]);
    unknown.arg(&file);
    let (output, _, stderr) = ran(unknown);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.starts_with("error: no case `macvaln` was run\n"), "{stderr}");
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let (code, _, stderr) = draw(&["bridge.vlan.tags-are-kept"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r#"
    error: the case built no network: driver `vlan`
      where: bridge.vlan.tags-are-kept
      help:  draw a case that does; `hairpin check` tells how this one ends
    "#);
    assert_eq!(draw(&["zzz"]).0, 4);
}
