//! `hairpin diff`: two runs of a case, held against each other.

use std::path::{Path, PathBuf};

use crate::{hairpin, ran, traces};

const CASE: &str = "macvlan.vepa.reflection-lets-siblings-talk";

/// A run of these cases, its text changed afterwards.
fn run(folder: &Path, name: &str, filters: &[&str], change: (&str, &str)) -> PathBuf {
    let file = folder.join(name);
    let mut command = hairpin(&["check", "-q", "--deadline", "4"]);
    command.arg("--events").arg(&file).args(filters).env("FAKE_DIR", folder);
    ran(command);
    let text = std::fs::read_to_string(&file).expect("the file is there");
    std::fs::write(&file, text.replace(change.0, change.1)).expect("the file can be written");
    file
}

/// What `diff` prints, without the folder's name, and its exit code.
fn diff(folder: &Path, a: &str, b: &str, case: &str) -> String {
    let mut command = hairpin(&["diff"]);
    command.arg(folder.join(a)).arg(folder.join(b)).arg(case);
    let (output, stdout, stderr) = ran(command);
    let text = format!("{stdout}{stderr}exit code {}", output.status.code().expect("no signal"));
    text.replace(&format!("{}/", folder.display()), "").replace(&*folder.to_string_lossy(), "DIR")
}

const AS_IT_IS: (&str, &str) = ("", "");

#[test]
fn a_run_and_itself_are_the_same() {
    let folder = traces();
    run(folder.path(), "a.jsonl", &[CASE], AS_IT_IS);
    insta::assert_snapshot!(diff(folder.path(), "a.jsonl", "a.jsonl", CASE));
}

#[test]
fn a_journey_that_ends_sooner_parts_where_it_ends() {
    let folder = traces();
    run(folder.path(), "a.jsonl", &[CASE], AS_IT_IS);
    let hop = r#",{"link":"c2:c0","direction":"in","what":"echo request"}"#;
    run(folder.path(), "b.jsonl", &[CASE], (hop, ""));
    insta::assert_snapshot!(diff(folder.path(), "a.jsonl", "b.jsonl", CASE));
}

#[test]
fn headers_that_differ_part_a_journey_too() {
    let folder = traces();
    run(folder.path(), "a.jsonl", &[CASE], AS_IT_IS);
    run(folder.path(), "b.jsonl", &[CASE], (r#""vlan":[10]"#, r#""vlan":[20]"#));
    insta::assert_snapshot!(diff(folder.path(), "a.jsonl", "b.jsonl", CASE));
}

#[test]
fn what_can_be_read_is_compared_and_the_rest_is_named() {
    let folder = traces();
    run(folder.path(), "a.jsonl", &[CASE], AS_IT_IS);
    run(folder.path(), "b.jsonl", &[CASE], AS_IT_IS);
    let b = folder.path().join("b.jsonl");
    let text = std::fs::read_to_string(&b).expect("the file is there");
    std::fs::write(&b, text.replacen('\n', "\n{\"v\":2}\n", 1)).expect("it can be written");
    insta::assert_snapshot!(diff(folder.path(), "a.jsonl", "b.jsonl", CASE));
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let folder = traces();
    let bridge = "bridge.l2.same-bridge.v4";
    run(folder.path(), "a.jsonl", &[CASE, bridge], AS_IT_IS);
    run(folder.path(), "b.jsonl", &[bridge], AS_IT_IS);
    let of = |case: &str| diff(folder.path(), "a.jsonl", "b.jsonl", case);
    insta::assert_snapshot!(of(CASE));
    insta::assert_snapshot!(of("no.such.case"));
    insta::assert_snapshot!(of(bridge));
    insta::assert_snapshot!(diff(folder.path(), "", "b.jsonl", bridge));
}
