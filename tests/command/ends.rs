//! How the command ends: the exit codes, and why.

use rstest::rstest;

use crate::{code, fake_suite, hairpin, ran, traces};

#[rstest]
#[case::passed(&["check", "bridge.l2"], 0)]
#[case::skips_are_allowed(&["check", "bridge"], 0)]
#[case::failed(&["check", "macvlan"], 1)]
#[case::could_not_tell(&["check", "faults.told.error"], 1)]
#[case::crashed(&["check", "faults.told.pass-then-crash"], 1)]
#[case::strict(&["check", "--strict", "bridge"], 1)]
#[case::strict_about_other_rules(&["check", "--strict=article", "bridge"], 0)]
#[case::unknown_option(&["check", "--nonsense"], 2)]
#[case::no_subcommand(&[], 2)]
#[case::no_deadline(&["check", "--deadline", "0"], 2)]
#[case::unwritable_events(&["check", "--events", "/nowhere/events"], 2)]
#[case::unknown_filter(&["check", "bridge", "macvaln"], 4)]
#[case::unknown_filter_of_list(&["list", "zzz"], 4)]
#[case::all_skipped(&["check", "bridge.vlan"], 4)]
fn an_end_has_its_code(#[case] args: &[&str], #[case] expected: i32) {
    assert_eq!(code(args), expected);
}

#[test]
fn an_unknown_filter_comes_with_what_was_meant() {
    insta::assert_snapshot!(ran(hairpin(&["check", "macvlan.vepo"])).2, @r"
    error: no case matches the filter
      where: `macvlan.vepo`
      help:  did you mean `macvlan.vepa`, `macvlan`, `macvlan.private`?
    ");
}

#[test]
fn a_machine_without_namespaces_gets_one_error() {
    let mut command = hairpin(&["check"]);
    command.env("FAKE_FORBIDDEN", "1");
    let (output, stdout, stderr) = ran(command);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
    // In our words where this machine forbids them, in the program's where it does not.
    assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
    assert!(stderr.contains("namespace"), "{stderr}");
}

#[test]
fn a_program_that_is_no_suite_program_is_refused() {
    let mut command = hairpin(&["check"]);
    command.env_clear();
    let mut other = std::process::Command::new(command.get_program());
    other.args(["check", "--suite", "/bin/true"]);
    let (output, _, stderr) = ran(other);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("wrote no catalogue") && stderr.contains("hairpin-harness"),
        "{stderr}"
    );
}

#[test]
fn an_installed_command_needs_nothing_but_the_program_beside_it() {
    // Links, not copies: a file that was just written is busy while a process that another test
    // started at that moment has not let go of it.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder beside them");
    let (command, suite) = (folder.path().join("hairpin"), folder.path().join("hairpin-suite"));
    std::fs::hard_link(env!("CARGO_BIN_EXE_hairpin"), &command).expect("linked");
    std::fs::hard_link(fake_suite(), suite).expect("linked");
    let mut installed = std::process::Command::new(command);
    installed.args(["check", "-q", "bridge.l2"]).current_dir("/").env_clear();
    let (output, stdout, _) = ran(installed);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout.starts_with("2 passed"), "{stdout}");
}

#[test]
fn a_flake_is_told_and_fails_the_run() {
    let folder = traces();
    let mut command = hairpin(&["check", "-q", "-j", "1", "--repeat", "4", "faults.told.flake"]);
    command.env("FAKE_DIR", folder.path());
    let (output, stdout, _) = ran(command);
    assert_eq!(output.status.code(), Some(1));
    let flaky = stdout.split_once("FLAKY").expect("told").1;
    insta::assert_snapshot!(flaky, @r"
     faults.told.flake
         2 of 4  pass
         2 of 4  FAIL: the broadcast came twice

    2 passed, 2 failed, 1 flaky in T on KERNEL
    ");
}

#[test]
fn repetitions_are_counted() {
    let (output, stdout, _) = ran(hairpin(&["check", "-q", "--repeat", "5", "bridge.l2"]));
    assert!(output.status.success());
    assert!(stdout.starts_with("10 passed, 0 failed in"), "{stdout}");
}
