//! Somebody else's suite, in `own-suite/`: a package of its own that knows only the harness.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hairpin_model::event::Outcome;
use hairpin_model::{CaseId, Event};

#[path = "support/build.rs"]
mod build;
#[path = "support/run.rs"]
mod run;

/// Builds the suite with the very packages of our own workspace, so that nothing has to be fetched.
fn office() -> PathBuf {
    let folder = Path::new(build::HERE).join("tests/own-suite");
    let ours = Path::new(build::HERE).join("../Cargo.lock");
    fs::copy(ours, folder.join("Cargo.lock")).expect("the lock file can be copied");
    let programs = build::programs(&folder.join("Cargo.toml"), ["--test", "office"]);
    programs["office"].clone()
}

fn run(program: &Path, args: &[&str]) -> run::Ended {
    let ended = run::to_its_end(Command::new(program).args(args).env_remove("HAIRPIN_KEEP"));
    assert!(ended.status.success(), "{}", ended.text);
    ended
}

#[test]
fn another_package_makes_a_suite_program() {
    let office = office();
    let listed = run(&office, &["--list", "--format", "terse"]).text;
    let tests: Vec<&str> = listed.lines().filter_map(|l| l.strip_suffix(": test")).collect();
    let rules = catalogue(&office);
    assert_eq!(rules, ["office.guest.stays-out", "office.printer.hears-all"]);

    let mut run_cases = BTreeSet::new();
    for test in tests {
        let id = CaseId::of_test(test);
        let Some(rule) = rules.iter().find(|rule| id.is_under(rule)) else { continue };
        assert_passes(&run(&office, &["--exact", test, "--nocapture"]).events, &id, rule);
        run_cases.insert(id.to_string());
    }
    let expected =
        ["office.guest.stays-out.frame", "office.guest.stays-out.ping", "office.printer.hears-all"];
    assert!(run_cases.iter().eq(expected), "{run_cases:?}");

    // As plain `cargo test` has it, which also holds the catalogue against the cases.
    let whole = Command::new(&office).output().expect("the program starts");
    let text = String::from_utf8_lossy(&whole.stdout);
    assert!(whole.status.success() && text.contains("5 passed"), "{text}");
}

/// The ids of the rules that the program says it has.
fn catalogue(program: &Path) -> Vec<String> {
    let events = run(program, &["--exact", "hairpin_catalogue"]).events;
    let [Event::Catalogue { rules }] = &events[..] else { panic!("no catalogue: {events:?}") };
    rules.iter().map(|rule| rule.id.clone()).collect()
}

/// The stream of one case: it begins, has a lab, is held against its promise, and passes.
fn assert_passes(events: &[Event], id: &CaseId, rule: &str) {
    let [Event::CaseStarted { case, rule: of }, Event::LabBuilt { wiring, .. }, middle @ .., end] =
        events
    else {
        panic!("{id}: {events:?}")
    };
    assert_eq!((case, of.as_str()), (id, rule));
    assert!(wiring.contains("host  printer"), "{wiring}");
    let held = |event: &Event| {
        matches!(event, Event::Grid { agrees: true, .. })
            || matches!(event, Event::Check { observed: None, .. })
    };
    assert_eq!(middle.iter().filter(|event| held(event)).count(), 2, "{middle:?}");
    let Event::CaseFinished { case, outcome, reason, .. } = end else { panic!("{end:?}") };
    assert_eq!((case, *outcome, reason), (id, Outcome::Pass, &None));
}
