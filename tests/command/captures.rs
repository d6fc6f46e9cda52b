//! The frames of failing cases, which are kept though nobody asked.

use std::path::Path;

use crate::{hairpin, ran, traces};

const CASE: &str = "macvlan.private.siblings-may-not-talk";

/// What is printed of a run with a failing case, with that folder of states.
fn failing(state: &Path) -> String {
    let folder = traces();
    let mut command = hairpin(&["check", "-q", "macvlan"]);
    command.env("FAKE_DIR", folder.path()).env("XDG_STATE_HOME", state);
    let (output, stdout, _) = ran(command);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    stdout
}

#[test]
fn a_failing_case_says_where_its_frames_are() {
    let state = traces();
    let file = state.path().join("hairpin/captures/here").join(format!("{CASE}.pcapng"));
    let printed = failing(state.path());
    assert!(printed.contains(&format!("  frames    {}\n", file.display())), "{printed}");
    assert!(std::fs::metadata(&file).is_ok_and(|data| data.len() > 100));
    let others = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
    assert_eq!(others, 1, "of the failing case, and of no other");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_fails_nothing_else() {
    let printed = failing(Path::new("/proc/nowhere"));
    assert!(printed.contains("/proc/nowhere/hairpin/captures/here"), "{printed}");
    assert!(printed.contains("1 failed"), "{printed}");
}
