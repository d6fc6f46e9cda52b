//! What `hairpin shell` says when there can be no shell, before anything boots.

use std::process::Command;

use rstest::rstest;

use crate::{STATE, fake_suite, hairpin, plain};

fn shell(words: &[&str]) -> Command {
    let mut command = hairpin(&["shell", "macvlan.vepa", "--suite"]);
    command.arg(fake_suite()).args(words).env("XDG_CACHE_HOME", STATE);
    command
}

#[rstest]
#[case::guest_options_without_a_guest("no-guest", &["--file", "/etc/passwd"])]
#[case::no_such_program("no-program", &["--kernel", "6.1", "--", "no-such-program"])]
#[case::no_program("data", &["--kernel", "6.1", "--", "/etc/passwd"])]
#[case::no_such_kernel("no-kernel", &["--kernel", "6.1x"])]
fn no_shell_is_an_error_with_its_help(#[case] name: &str, #[case] words: &[&str]) {
    let output = shell(words).output().expect("the command can be started");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    insta::assert_snapshot!(name, plain(&output.stderr));
}

#[test]
fn a_machine_without_a_shell_has_none_to_give() {
    let output = shell(&["--kernel", "6.1"]).env("PATH", "/nowhere").output();
    let output = output.expect("the command can be started");
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(plain(&output.stderr));
}
