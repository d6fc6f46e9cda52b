//! The event file, and its description in `docs/events.md`.

use std::collections::BTreeSet;
use std::path::Path;

use hairpin_model::event::{Outcome, VERSION};
use hairpin_model::{Event, Record};

use crate::{hairpin, ran, traces};

/// The events of a run of these cases.
fn events(filters: &[&str]) -> Vec<Event> {
    let folder = traces();
    let file = folder.path().join("events.jsonl");
    let mut command = hairpin(&["check", "-q", "--deadline", "4"]);
    command.arg("--events").arg(&file).args(filters).env("FAKE_DIR", folder.path());
    ran(command);
    let text = std::fs::read_to_string(file).expect("the file is there");
    text.lines().map(read).collect()
}

fn read(line: &str) -> Event {
    let record: Record = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    assert_eq!(record.v, VERSION);
    record.event
}

/// The name of an event in the stream. A new event has to be added here, and then described.
fn name(event: &Event) -> &'static str {
    match event {
        Event::Catalogue { .. } => "catalogue",
        Event::RunStarted { .. } => "run-started",
        Event::CaseStarted { .. } => "case-started",
        Event::LabBuilt { .. } => "lab-built",
        Event::Step { .. } => "step",
        Event::Grid { .. } => "grid",
        Event::Check { .. } => "check",
        Event::Flow { .. } => "flow",
        Event::Frame(_) => "frame",
        Event::Measurement { .. } => "measurement",
        Event::Output { .. } => "output",
        Event::CaseFinished { .. } => "case-finished",
        Event::RunFinished { .. } => "run-finished",
    }
}

/// All of them, in the order of the description.
const NAMES: [&str; 13] = [
    "catalogue",
    "run-started",
    "case-started",
    "lab-built",
    "step",
    "grid",
    "flow",
    "check",
    "frame",
    "measurement",
    "output",
    "case-finished",
    "run-finished",
];

#[test]
fn a_run_is_written_case_by_case() {
    let events = events(&["macvlan", "faults.told.crash"]);
    let names: Vec<&str> = events.iter().map(name).collect();
    assert_eq!(names[..2], ["catalogue", "run-started"]);
    assert_eq!(names.last(), Some(&"run-finished"));
    let mut within = None;
    let mut cases = 0;
    for event in &events[2..events.len() - 1] {
        match event {
            Event::CaseStarted { case, .. } => {
                assert_eq!(within.replace(case.clone()), None, "cases do not mix");
            }
            Event::CaseFinished { case, .. } => {
                assert_eq!(within.take().as_ref(), Some(case));
                cases += 1;
            }
            _ => assert!(within.is_some(), "every other event stands within a case"),
        }
    }
    assert_eq!(cases, 5);
}

#[test]
fn a_case_that_told_nothing_is_in_the_stream_too() {
    let events = events(&["faults.silent.exit-0", "faults.told.crash", "faults.told.hang"]);
    let mut endings: Vec<(String, Outcome, bool)> = events
        .iter()
        .filter_map(|event| match event {
            Event::CaseFinished { case, outcome, reason, .. } => {
                Some((case.to_string(), *outcome, reason.is_some()))
            }
            _ => None,
        })
        .collect();
    endings.sort();
    assert_eq!(
        endings,
        [
            ("faults.silent.exit-0".to_owned(), Outcome::Crash, true),
            ("faults.told.crash".to_owned(), Outcome::Crash, true),
            ("faults.told.hang".to_owned(), Outcome::Hang, true),
        ]
    );
    assert!(events.iter().any(|e| matches!(e, Event::Output { text } if text.contains("die"))));
    let Some(Event::RunFinished { counts, .. }) = events.last() else { panic!("no end") };
    assert_eq!(*counts, [(Outcome::Crash, 2), (Outcome::Hang, 1)]);
}

#[test]
fn every_event_is_described_with_an_example_that_parses() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let text = std::fs::read_to_string(path).expect("the description is there");
    let headings: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert_eq!(headings, NAMES, "one heading an event, in this order");
    let examples = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown: BTreeSet<&str> =
        examples.flat_map(str::lines).map(|line| name(&read(line))).collect();
    assert_eq!(shown, NAMES.into_iter().collect(), "an example of each");
}

#[test]
fn a_page_is_made_of_what_can_be_read_and_the_rest_is_named() {
    let folder = traces();
    let (file, page) = (folder.path().join("6.12.jsonl"), folder.path().join("page.html"));
    let mut command = hairpin(&["check", "-q"]);
    command.arg("--events").arg(&file).arg("bridge").env("FAKE_DIR", folder.path());
    ran(command);
    let whole = std::fs::read_to_string(&file).expect("the file is there");
    std::fs::write(&file, whole.replacen('\n', "\n{\"v\":2}\n", 1))
        .expect("the file can be written");
    let mut command = hairpin(&["report", "--format", "html"]);
    command.arg(&file).arg("--output").arg(&page);
    let (output, _, stderr) = ran(command);
    assert!(stderr.contains("the record is of version 2, and only 1 is known"), "{stderr}");
    assert!(stderr.contains("6.12.jsonl, line 2\n"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
    let page = std::fs::read_to_string(page).expect("the page is there");
    assert!(page.contains("6.12.jsonl, line 2</code>") && page.contains("bridge.l2.same-bridge"));
    // Programs that read the other formats must not take the rest for the whole.
    let marked = hairpin(&["report", "--format", "tap", &file.display().to_string()]);
    let (output, tap, stderr) = ran(marked);
    assert!(tap.contains("bridge.l2.same-bridge") && stderr.contains("6.12.jsonl, line 2"));
    assert!(tap.contains("hairpin.run-could-not-be-read"), "{tap}");
    assert_eq!(output.status.code(), Some(2));
}
