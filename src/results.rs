//! Runs read back from their event files: the only thing that reports are made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hairpin_model::event::{Outcome, VERSION};
use hairpin_model::{Error, Event, Record, event};
use serde::Serialize;

/// What one event file holds: a run of cases on one kernel.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The file's name without its ending: `6.12`.
    pub(crate) name: String,
    /// What `uname -r` prints.
    pub(crate) kernel: String,
    pub(crate) guest: Option<event::Guest>,
    /// By the order in which they ended first.
    pub(crate) cases: Vec<Case>,
    /// Whether the run came to its end.
    pub(crate) is_whole: bool,
    /// How many lines of the file could not be read.
    pub(crate) unread: usize,
    /// The records of what has ended: the run's own beginning, and whole cases.
    pub(crate) records: Vec<Record>,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) rule: String,
    /// The worst of its repetitions.
    pub(crate) outcome: Outcome,
    /// Why, for all but a pass.
    pub(crate) reason: Option<String>,
    /// How often it was run.
    pub(crate) runs: usize,
    /// How often with this outcome.
    pub(crate) times: usize,
    #[serde(rename = "us", serialize_with = "micros")]
    pub(crate) took: Duration,
    /// The end of what its process printed, if it ended badly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) output: String,
}

fn micros<S: serde::Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(crate::stream::micros(*took))
}

impl Case {
    /// Whether its repetitions did not all end alike.
    pub(crate) fn is_flaky(&self) -> bool {
        self.times < self.runs
    }

    /// Whether it may be told as a flake: a crash, a hang or an error among the repetitions is
    /// never excused by the others.
    pub(crate) fn is_mere_flake(&self) -> bool {
        self.is_flaky() && self.outcome <= Outcome::Fail
    }
}

impl Run {
    /// What is wrong with it as a whole, if anything is.
    pub(crate) const fn flaw(&self) -> Option<&'static str> {
        match (self.unread, self.is_whole) {
            (0, true) => None,
            (0, false) => Some("cut short"),
            _ => Some("not all could be read"),
        }
    }

    /// The case of that id.
    pub(crate) fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// Whether figures of networks are in it, see [`crate::measure`].
    pub(crate) fn is_measured(&self) -> bool {
        self.records.iter().any(|record| matches!(record.event, Event::Measurement { .. }))
    }

    /// Whether it is such a run and nothing else.
    pub(crate) fn is_only_measured(&self) -> bool {
        self.cases.is_empty() && self.is_measured()
    }

    /// How many cases ended in each way.
    pub(crate) fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for case in &self.cases {
            *counts.entry(case.outcome).or_default() += 1;
        }
        counts
    }

    fn add(&mut self, case: Case) {
        let Some(known) = self.cases.iter_mut().find(|known| known.id == case.id) else {
            return self.cases.push(case);
        };
        known.runs += 1;
        if case.outcome == known.outcome {
            known.times += 1;
        } else if case.outcome > known.outcome {
            *known = Case { runs: known.runs, ..case };
        }
    }
}

/// The word for a case that failed, and passed in another turn.
pub(crate) const FLAKY: &str = "flaky";

impl Case {
    /// How it ended, in a word.
    pub(crate) fn word(&self) -> &'static str {
        word(self.outcome, self.reason.as_deref())
    }

    /// As the matrix says it: a flake has a word of its own.
    pub(crate) fn cell_word(&self) -> &'static str {
        if self.is_mere_flake() { FLAKY } else { self.word() }
    }
}

/// How a case ended, in a word: `fixed` is a failure that says that a known one is gone.
pub(crate) fn word(outcome: Outcome, reason: Option<&str>) -> &'static str {
    if is_fixed(outcome, reason) { "fixed" } else { outcome.word() }
}

/// Whether a case got worse: it is bad, and was not as bad before. What was never seen before and is
/// bad got worse too: a new case must not begin red unseen.
pub(crate) fn got_worse(before: Option<Outcome>, now: Outcome) -> bool {
    now.is_bad() && before.is_none_or(|before| now > before)
}

/// Whether the kernel kept the promise, so far as the case could tell: a known failure is a failure
/// here, a failure that is gone is none, and skips and errors say nothing.
pub(crate) fn is_kept(outcome: Outcome, reason: Option<&str>) -> Option<bool> {
    match outcome {
        Outcome::Pass => Some(true),
        _ if is_fixed(outcome, reason) => Some(true),
        Outcome::Skip | Outcome::Error => None,
        Outcome::Known | Outcome::Fail | Outcome::Crash | Outcome::Hang => Some(false),
    }
}

/// Whether a case failed only because it passes though it is listed as a known failure.
pub(crate) fn is_fixed(outcome: Outcome, reason: Option<&str>) -> bool {
    const FIXED: &str = "passes, but a failure is expected";
    outcome == Outcome::Fail && reason.is_some_and(|reason| reason.starts_with(FIXED))
}

/// The records of a case: of its last run that ended as the case is told to have ended.
pub(crate) fn records_of(run: &Run, id: &str) -> Vec<Record> {
    let found = records_by_case(run).remove(id).unwrap_or_default();
    found.into_iter().cloned().collect()
}

/// The same of all cases at once.
pub(crate) fn records_by_case(run: &Run) -> BTreeMap<&str, Vec<&Record>> {
    let told: BTreeMap<&str, Outcome> =
        run.cases.iter().map(|case| (case.id.as_str(), case.outcome)).collect();
    let (mut block, mut found) = (Vec::new(), BTreeMap::new());
    for record in &run.records {
        if matches!(record.event, Event::CaseStarted { .. }) {
            block.clear();
        }
        block.push(record);
        if let Event::CaseFinished { case, outcome, .. } = &record.event
            && told.get(case.as_str()) == Some(outcome)
        {
            found.insert(case.as_str(), std::mem::take(&mut block));
        }
    }
    found
}

/// Reads runs: event files, and folders of them; oldest kernel first.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Run>, Error> {
    let mut runs = Vec::new();
    for file in event_files(paths)? {
        runs.push(read_file(&file)?);
    }
    runs.sort_by_key(|run: &Run| version(&run.name));
    Ok(runs)
}

/// What can be read of event files, a run each, with an error for each line that cannot.
pub(crate) fn read_all_leniently(files: &[PathBuf]) -> Result<(Vec<Run>, Vec<Error>), Error> {
    let (mut runs, mut unread) = (Vec::new(), Vec::new());
    for file in files {
        let (run, errors) = read_leniently(file)?;
        runs.push(run);
        unread.extend(errors);
    }
    Ok((runs, unread))
}

/// The numbers of a version, so that 6.2 comes before 6.12.
pub(crate) fn version(name: &str) -> (Vec<u64>, String) {
    let numbers = name.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    (numbers, name.to_owned())
}

/// The event files that are meant: as they are named, and all of each folder, by name.
pub(crate) fn event_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(path)?);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// The event files of a run's folder.
fn files(run: &Path) -> Result<Vec<PathBuf>, Error> {
    let none = |why: String| {
        let help = "name an event file, or the folder of a `hairpin matrix`";
        Error::new(why, run.display().to_string(), help)
    };
    let entries = std::fs::read_dir(run).map_err(|e| none(format!("no run to read: {e}")))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| none(format!("no run to read: {e}")))?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(none("the folder holds no run".into()));
    }
    files.sort();
    Ok(files)
}

/// Reads an event file as far as it is whole. A last line that was cut off is the end of a run that
/// was killed; any other line that is none is an error. Events that are not known are passed over.
pub(crate) fn read_file(file: &Path) -> Result<Run, Error> {
    read_lines(file, &mut Err)
}

/// Reads what can be read of an event file, with an error for each line that cannot.
pub(crate) fn read_leniently(file: &Path) -> Result<(Run, Vec<Error>), Error> {
    let mut unread = Vec::new();
    let mut run = read_lines(file, &mut |error| {
        unread.push(error);
        Ok(())
    })?;
    run.unread = unread.len();
    Ok((run, unread))
}

fn read_lines(
    file: &Path,
    broken: &mut dyn FnMut(Error) -> Result<(), Error>,
) -> Result<Run, Error> {
    let place = || file.display().to_string();
    let mut bytes = std::fs::read(file).map_err(|error| {
        let help = "name an event file, or the folder of a `hairpin matrix`";
        Error::new(format!("the event file cannot be read: {error}"), place(), help)
    })?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut reading = Reading { run: Run { name, ..Run::default() }, block: Vec::new() };
    // Cut before it is taken as text: a killed run may end in the middle of a character.
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
    let whole = String::from_utf8_lossy(&bytes);
    for (at, line) in whole.lines().enumerate() {
        match parse(line) {
            Ok(record) => record.into_iter().for_each(|record| reading.take(record)),
            Err(why) => broken(Error::new(
                why,
                format!("{}, line {}", file.display(), at + 1),
                "was it written by a newer Hairpin, or changed since?",
            ))?,
        }
    }
    Ok(reading.run)
}

/// A line as a record; nothing if it is an event that this version does not know.
fn parse(line: &str) -> Result<Option<Record>, String> {
    let broken = |error: serde_json::Error| format!("this line is no record: {error}");
    let value: serde_json::Value = serde_json::from_str(line).map_err(broken)?;
    match value.get("v").and_then(serde_json::Value::as_u64) {
        Some(v) if v == u64::from(VERSION) => {}
        Some(v) => {
            return Err(format!("the record is of version {v}, and only {VERSION} is known"));
        }
        None => return Err("this line is no record: it has no version `v`".into()),
    }
    match serde_json::from_value(value) {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.to_string().starts_with("unknown variant") => Ok(None),
        Err(error) => Err(broken(error)),
    }
}

/// A file that is being read, and the case that it is in.
struct Reading {
    run: Run,
    block: Vec<Record>,
}

impl Reading {
    fn take(&mut self, record: Record) {
        let mut ends = false;
        match &record.event {
            Event::RunFinished { .. } => {
                self.run.is_whole = true;
                return;
            }
            Event::RunStarted { kernel, guest, .. } => {
                self.run.kernel.clone_from(kernel);
                self.run.guest.clone_from(guest);
                ends = true;
            }
            // No case has figures: they are the run's own.
            Event::Measurement { .. } => ends = true,
            Event::CaseStarted { .. } => self.block.clear(),
            Event::CaseFinished { case, rule, outcome, reason, case_us } => {
                let printed = self.block.iter().find_map(|record| match &record.event {
                    Event::Output { text } => Some(text.clone()),
                    _ => None,
                });
                self.run.add(Case {
                    id: case.to_string(),
                    rule: rule.clone(),
                    outcome: *outcome,
                    reason: reason.clone(),
                    runs: 1,
                    times: 1,
                    took: Duration::from_micros(*case_us),
                    output: printed.unwrap_or_default(),
                });
                ends = true;
            }
            _ => {}
        }
        self.block.push(record);
        if ends {
            self.run.records.append(&mut self.block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("6.12.jsonl");
        std::fs::write(&path, lines).unwrap();
        (folder, path)
    }

    const BEGIN: &str =
        r#"{"v":1,"us":1,"event":"run-started","program":"p","kernel":"6.12.1","cases":2}"#;

    fn ended(outcome: &str) -> String {
        format!(
            "{{\"v\":1,\"us\":2,\"event\":\"case-started\",\"case\":\"a.b\",\"rule\":\"a.b\"}}\n\
             {{\"v\":1,\"us\":3,\"event\":\"case-finished\",\"case\":\"a.b\",\"rule\":\"a.b\",\
             \"outcome\":\"{outcome}\",\"reason\":null,\"case_us\":7}}\n"
        )
    }

    #[test]
    fn a_run_that_was_killed_is_read_to_its_last_whole_case() {
        let cut = r#"{"v":1,"us":9,"event":"case-sta"#;
        let (_folder, path) = file(&format!("{BEGIN}\n{}{cut}", ended("pass")));
        let run = read_file(&path).unwrap();
        assert_eq!(
            (run.name.as_str(), run.kernel.as_str(), run.is_whole),
            ("6.12", "6.12.1", false)
        );
        assert_eq!(run.case("a.b").unwrap().outcome, Outcome::Pass);
    }

    #[test]
    fn repetitions_that_differ_are_a_flake_with_the_worst_of_them() {
        let (_folder, path) = file(&(ended("pass") + &ended("fail") + &ended("pass")));
        let case = read_file(&path).unwrap().cases.remove(0);
        assert_eq!((case.outcome, case.times, case.runs), (Outcome::Fail, 1, 3));
        assert!(case.is_flaky());
    }

    #[test]
    fn a_run_that_was_killed_within_a_character_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("6.12.jsonl");
        let mut bytes = format!("{BEGIN}\n{}", ended("pass")).into_bytes();
        bytes.extend(b"{\"v\":1,\"text\":\"\xe2\x86");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read_file(&path).unwrap().cases.len(), 1);
    }

    #[test]
    fn a_crash_is_never_a_mere_flake() {
        for (outcome, flake) in
            [("fail", true), ("error", false), ("crash", false), ("hang", false)]
        {
            let (_folder, path) = file(&(ended("pass") + &ended(outcome) + &ended("pass")));
            let case = read_file(&path).unwrap().cases.remove(0);
            assert_eq!((case.is_flaky(), case.is_mere_flake()), (true, flake), "{outcome}");
        }
    }

    #[test]
    fn a_broken_line_is_named_and_an_unknown_event_is_passed_over() {
        let (_folder, path) =
            file(&format!("{BEGIN}\n{{\"v\":1,\"us\":1,\"event\":\"novelty\"}}\n"));
        assert!(read_file(&path).unwrap().cases.is_empty());
        let (_folder, path) = file(&format!("{BEGIN}\nnonsense\n"));
        let error = read_file(&path).unwrap_err();
        assert!(error.place.ends_with("6.12.jsonl, line 2"), "{error}");
        let (_folder, path) = file("{\"v\":2}\n");
        assert!(read_file(&path).unwrap_err().what.contains("version 2"));
    }

    #[test]
    fn what_can_be_read_is_read_and_each_line_that_cannot_is_named() {
        let lines = format!("{BEGIN}\nnonsense\n{}{{\"v\":2}}\n", ended("pass"));
        let (_folder, path) = file(&lines);
        let (run, unread) = read_leniently(&path).unwrap();
        assert_eq!((run.kernel.as_str(), run.cases.len()), ("6.12.1", 1));
        let places: Vec<&str> = unread.iter().map(|error| &*error.place).collect();
        assert!(places[0].ends_with("6.12.jsonl, line 2"), "{places:?}");
        assert!(places[1].ends_with("6.12.jsonl, line 5"), "{places:?}");
        assert!(unread[1].what.contains("version 2"), "{unread:?}");
    }

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        let mut names = ["6.12", "7.3", "5.10", "6.2"];
        names.sort_by_key(|name| version(name));
        assert_eq!(names, ["5.10", "6.2", "6.12", "7.3"]);
    }
}
