//! Runs read back: what is kept of an interrupted one, and what changed since an earlier one.

use std::collections::BTreeMap;
use std::path::Path;

use hairpin_model::{Error, Event, Record, event};

use super::Cell;
use crate::show::{STRONG, paint, wrap};
use crate::stream::Stream;

/// Cells by kernel and case.
pub(super) type Cells = BTreeMap<(String, String), Cell>;

/// What an event file holds of finished cases.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) guest: Option<event::Guest>,
    pub(super) cells: BTreeMap<String, Cell>,
    records: Vec<Record>,
}

impl Kept {
    /// Writes again what is kept.
    pub(super) fn write_to(&self, stream: &mut Stream) -> Result<(), Error> {
        self.records.iter().try_for_each(|record| stream.record(record))
    }
}

/// What is kept of a kernel's earlier start: nothing if it was another package.
pub(super) fn kept(file: &Path, title: &str) -> Result<Kept, Error> {
    if !file.exists() {
        return Ok(Kept::default());
    }
    let kept = load(file)?;
    Ok(if kept.guest.as_ref().is_some_and(|guest| guest.title == title) {
        kept
    } else {
        Kept::default()
    })
}

/// Reads an event file as far as it is whole. A last line that was cut off is the end of a run that
/// was killed; any other line that is none is an error.
fn load(file: &Path) -> Result<Kept, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::new(
            format!("the event file cannot be read: {error}"),
            file.display().to_string(),
            "name a run that `hairpin matrix` wrote",
        )
    })?;
    let mut kept = Kept::default();
    // Records of a case count when the case has ended.
    let mut block = Vec::new();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (at, line) in whole.lines().enumerate() {
        let record: Record = serde_json::from_str(line).map_err(|error| {
            Error::new(
                format!("this line is no record: {error}"),
                format!("{}, line {}", file.display(), at + 1),
                "was it written by a newer Hairpin, or changed since?",
            )
        })?;
        let end = match &record.event {
            Event::RunFinished { .. } => continue,
            Event::RunStarted { guest, .. } => {
                kept.guest.clone_from(guest);
                true
            }
            Event::CaseFinished { case, outcome, reason, .. } => {
                let cell = Cell { outcome: *outcome, reason: reason.clone() };
                kept.cells.insert(case.to_string(), cell);
                true
            }
            Event::CaseStarted { .. } => {
                block.clear();
                false
            }
            _ => false,
        };
        block.push(record);
        if end {
            kept.records.append(&mut block);
        }
    }
    Ok(kept)
}

/// Reads a run: a folder with an event file for each kernel.
pub(super) fn read(run: &Path) -> Result<Cells, Error> {
    let none = |why: String| {
        Error::new(why, run.display().to_string(), "name the folder of an earlier `hairpin matrix`")
    };
    let entries =
        std::fs::read_dir(run).map_err(|error| none(format!("no run to read: {error}")))?;
    let mut cells = Cells::new();
    for entry in entries {
        let path = entry.map_err(|error| none(format!("no run to read: {error}")))?.path();
        let Some(kernel) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl"))
        else {
            continue;
        };
        let kept = load(&path)?;
        cells.extend(kept.cells.into_iter().map(|(case, cell)| ((kernel.to_owned(), case), cell)));
    }
    if cells.is_empty() {
        return Err(none("the run holds no finished case".into()));
    }
    Ok(cells)
}

/// What changed between two runs: kernel and case, and what was and is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) regressed: Vec<String>,
    fixed: Vec<String>,
    new: Vec<String>,
    gone: Vec<String>,
}

/// Holds a run against an earlier one, for the kernels that were to run.
pub(super) fn compare(before: &Cells, now: &Cells, kernels: &[String]) -> Changes {
    let mut changes = Changes::default();
    for ((kernel, case), cell) in now {
        let place = format!("{kernel} {case}");
        match before.get(&(kernel.clone(), case.clone())) {
            Some(old) if old.is_bad() == cell.is_bad() => {}
            Some(old) => {
                let list = if cell.is_bad() { &mut changes.regressed } else { &mut changes.fixed };
                list.push(format!("{place}: {} -> {}", old.word(), cell.word()));
            }
            // What was never good is bad all the same: a new case must not begin red unseen.
            None if cell.is_bad() => {
                changes.regressed.push(format!("{place}: new -> {}", cell.word()));
            }
            None => changes.new.push(format!("{place}: {}", cell.word())),
        }
    }
    let gone = before.iter().filter(|(key, _)| kernels.contains(&key.0) && !now.contains_key(*key));
    changes.gone =
        gone.map(|((kernel, case), cell)| format!("{kernel} {case}: {}", cell.word())).collect();
    changes
}

impl Changes {
    /// The lists that are not empty.
    pub(super) fn text(&self, width: usize) -> String {
        let lists = [
            ("regressed", &self.regressed),
            ("fixed", &self.fixed),
            ("new", &self.new),
            ("gone", &self.gone),
        ];
        let mut out = String::new();
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            out.push_str(&format!(
                "{} since the baseline ({}):\n",
                paint(STRONG, name),
                list.len()
            ));
            for line in list {
                out.push_str(&format!("  {}\n", wrap(line, width - 2).join("\n  ")));
            }
        }
        if out.is_empty() { "nothing changed since the baseline\n".into() } else { out }
    }
}

#[cfg(test)]
mod tests {
    use hairpin_model::event::Outcome;

    use super::*;

    fn cells(all: &[(&str, &str, Outcome)]) -> Cells {
        let cell = |outcome| Cell { outcome, reason: None };
        all.iter().map(|&(k, c, outcome)| ((k.into(), c.into()), cell(outcome))).collect()
    }

    #[test]
    fn only_what_got_worse_regressed() {
        use Outcome::{Crash, Fail, Known, Pass};
        let before = cells(&[
            ("6.1", "a", Pass),
            ("6.1", "b", Fail),
            ("6.1", "c", Known),
            ("6.1", "d", Pass),
            ("6.1", "f", Fail),
            ("9.9", "a", Pass),
        ]);
        let now = cells(&[
            ("6.1", "a", Crash),
            ("6.1", "b", Pass),
            ("6.1", "c", Pass),
            ("6.1", "e", Pass),
            ("6.1", "f", Crash),
            ("6.1", "g", Fail),
        ]);
        let changes = compare(&before, &now, &["6.1".into()]);
        assert_eq!(changes.regressed, ["6.1 a: pass -> crash", "6.1 g: new -> fail"]);
        assert_eq!(changes.fixed, ["6.1 b: fail -> pass"]);
        assert_eq!(changes.new, ["6.1 e: pass"]);
        assert_eq!(changes.gone, ["6.1 d: pass"]);
    }
}
