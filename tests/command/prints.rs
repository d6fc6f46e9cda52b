//! What a person reads.

use crate::{hairpin, ran};

/// Everything that `check` prints for these arguments, with its exit code.
fn printed(args: &[&str]) -> String {
    let (output, stdout, stderr) = ran(hairpin(args));
    format!("{stdout}{stderr}exit code {}", output.status.code().expect("no signal"))
}

#[test]
fn a_run_in_a_pipe() {
    insta::assert_snapshot!(printed(&["check", "bridge", "macvlan"]));
}

#[test]
fn a_run_in_colours() {
    let text = printed(&["check", "--color", "always", "bridge.l2", "macvlan.private"]);
    insta::assert_snapshot!(text.replace('\u{1b}', "~"));
}

#[test]
fn a_rule_by_itself_is_told_in_full() {
    insta::assert_snapshot!(printed(&["check", "M7"]));
}

#[test]
fn verbose_tells_every_way() {
    insta::assert_snapshot!(printed(&[
        "check",
        "-v",
        "macvlan.vepa.reflection-lets-siblings-talk"
    ]));
}

#[test]
fn journeys_tell_every_hop_of_every_cell() {
    let case = "macvlan.vepa.reflection-lets-siblings-talk";
    insta::assert_snapshot!(printed(&["check", "--journeys", case]));
}

#[test]
fn quiet_tells_failures_and_the_summary() {
    insta::assert_snapshot!(printed(&["check", "-q", "bridge"]), @r"
    2 passed, 0 failed, 1 skipped (driver `vlan`) in T on KERNEL
    exit code 0
    ");
}

#[test]
fn every_way_to_break_has_its_words() {
    let faults = [
        "check",
        "-q",
        "--deadline",
        "4",
        "faults.silent.exit-0",
        "faults.told.crash",
        "faults.told.error",
        "faults.told.hang",
        "faults.told.nonsense",
        "faults.told.pass-then-crash",
        "faults.told.pass-then-hang",
    ];
    insta::assert_snapshot!(printed(&faults));
}

#[test]
fn the_rules_are_listed() {
    insta::assert_snapshot!(printed(&["list", "bridge", "macvlan"]));
}

#[test]
fn the_listing_for_programs_is_stable() {
    insta::assert_snapshot!(printed(&["list", "--json", "bridge.vlan", "macvlan.vepa"]));
}

#[test]
fn the_rules_are_a_page() {
    let text = printed(&["list", "--markdown", "bridge.vlan", "macvlan.vepa"]);
    insta::assert_snapshot!(text);
}

#[test]
fn what_was_observed_must_be_readable() {
    insta::assert_snapshot!(printed(&["list", "--markdown", "--observed", "/nowhere"]));
}

#[test]
fn only_what_was_observed_goes_onto_a_file_of_it() {
    let asked = ["report", "/nowhere", "--format", "json", "--onto", "observed.toml"];
    insta::assert_snapshot!(printed(&asked));
}

#[test]
fn help_has_examples_and_exit_codes() {
    insta::assert_snapshot!(printed(&["--help"]));
}

#[test]
fn the_doctor_names_what_is_missing() {
    let output = hairpin(&["doctor"]).output().expect("the command can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    // What comes before is this machine's.
    let needs: Vec<&str> = stdout.lines().skip_while(|line| !line.contains("driver")).collect();
    assert!(needs[0].starts_with("ok    driver `bridge`"), "{stdout}");
    assert!(needs[2].starts_with("miss  driver `vlan`     missing: operation not"), "{stdout}");
    assert!(needs[3].contains("remedy: "), "{stdout}");
    assert!(stdout.contains("\nready, but 1 rule will be skipped here\n"), "{stdout}");
}

#[test]
fn a_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (output, stdout, _) = ran(hairpin(&["completions", shell]));
        assert!(output.status.success() && stdout.contains("repeat"), "{shell}");
    }
}

#[test]
fn no_color_is_heard() {
    let mut command = hairpin(&["check", "bridge"]);
    command.env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1");
    assert!(!ran(command).1.contains('\u{1b}'));
    let mut command = hairpin(&["check", "bridge"]);
    command.env("CLICOLOR_FORCE", "1");
    assert!(ran(command).1.contains('\u{1b}'));
}
