//! Runs read back: what is kept of an interrupted one, and what changed since an earlier one.

use std::collections::BTreeMap;
use std::path::Path;

use hairpin_model::Error;

use super::Cell;
use crate::results::{self, Case, Run};
use crate::show::{STRONG, paint, wrap};

/// Cells by kernel and case.
pub(super) type Cells = BTreeMap<(String, String), Cell>;

/// What is kept of a kernel's earlier start: nothing if it was another package.
pub(super) fn kept(file: &Path, title: &str) -> Result<Option<Run>, Error> {
    if !file.exists() {
        return Ok(None);
    }
    let run = results::read_file(file)?;
    let is_same = run.guest.as_ref().is_some_and(|guest| guest.title == title);
    Ok(is_same.then_some(run))
}

/// Reads the cells of an earlier run.
pub(super) fn read(run: &Path) -> Result<Cells, Error> {
    let runs = results::read(&[run.to_owned()])?;
    let of = |run: Run| {
        let cell = |case: Case| ((run.name.clone(), case.id.clone()), Cell::of(&case));
        run.cases.into_iter().map(cell).collect::<Vec<_>>()
    };
    Ok(runs.into_iter().flat_map(of).collect())
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
        let old = before.get(&(kernel.clone(), case.clone()));
        let was = old.map_or("new", Cell::word);
        let is_steady_now = old.is_some_and(Cell::is_flaky) && cell.is_bad() && !cell.is_flaky();
        if is_steady_now || results::got_worse(old.map(|old| old.outcome), cell.outcome) {
            changes.regressed.push(format!("{place}: {was} -> {}", cell.word()));
        } else if old.is_none() {
            changes.new.push(format!("{place}: {}", cell.word()));
        } else if old.is_some_and(Cell::is_bad) && !cell.is_bad() {
            changes.fixed.push(format!("{place}: {was} -> {}", cell.word()));
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
        let cell = |outcome| Cell::new(outcome, None);
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
        let worse = ["6.1 a: pass -> crash", "6.1 f: fail -> crash", "6.1 g: new -> fail"];
        assert_eq!(changes.regressed, worse);
        assert_eq!(changes.fixed, ["6.1 b: fail -> pass"]);
        assert_eq!(changes.new, ["6.1 e: pass"]);
        assert_eq!(changes.gone, ["6.1 d: pass"]);
    }

    #[test]
    fn a_flake_that_always_fails_now_got_worse_and_a_new_flake_too() {
        let one = |cell: Cell| Cells::from([(("6.1".into(), "a".into()), cell)]);
        let flaky = || one(Cell::new(Outcome::Fail, None).again(Outcome::Pass, None));
        let fails = one(Cell::new(Outcome::Fail, None));
        let passes = one(Cell::new(Outcome::Pass, None));
        let worse = |before: &Cells, now: &Cells| compare(before, now, &["6.1".into()]).regressed;
        assert_eq!(worse(&flaky(), &fails), ["6.1 a: flaky -> fail"]);
        assert_eq!(worse(&passes, &flaky()), ["6.1 a: pass -> flaky"]);
        assert!(worse(&flaky(), &flaky()).is_empty());
    }
}
