//! A case over the kernels: what its filters say of it, and where it turned good or bad.

use hairpin_model::event::Outcome;

use super::book::{Book, Row};
use crate::results::{self, Case};

/// What the filters ask of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// It did not end alike everywhere.
    pub(super) differs: bool,
    /// It is bad somewhere.
    pub(super) failed: bool,
    /// It is bad where it was not as bad before, see [`got_worse`].
    pub(super) newly: bool,
    /// Its repetitions did not end alike.
    pub(super) flaky: bool,
    /// It was skipped somewhere.
    pub(super) skipped: bool,
}

impl Marks {
    /// A letter a mark.
    pub(super) fn letters(self) -> String {
        let all = [
            (self.differs, 'd'),
            (self.failed, 'f'),
            (self.newly, 'n'),
            (self.flaky, 'k'),
            (self.skipped, 's'),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, letter)| letter).collect()
    }
}

/// The marks of a case within one run, or in all of them.
pub(super) fn marks(book: &Book, row: &Row, run: Option<usize>) -> Marks {
    let meant = |at: &usize| run.is_none_or(|run| book.columns[*at].of == run);
    let places: Vec<usize> = (0..row.cells.len()).filter(meant).collect();
    let words: Vec<Option<&str>> =
        places.iter().map(|at| row.cells[*at].as_ref().map(Case::word)).collect();
    let any =
        |is: &dyn Fn(&Case) -> bool| places.iter().filter_map(|at| row.cells[*at].as_ref()).any(is);
    Marks {
        differs: words.iter().any(|word| *word != words[0]),
        failed: any(&|case| case.outcome.is_bad()),
        newly: places.iter().any(|at| got_worse(book, row, *at)),
        flaky: any(&Case::is_flaky),
        skipped: any(&|case| case.outcome == Outcome::Skip),
    }
}

/// Whether a case is bad on a kernel and was not as bad before. Before is the same kernel in the run
/// before this one; of a single run, the kernel before this one that says anything.
fn got_worse(book: &Book, row: &Row, at: usize) -> bool {
    let Some(now) = &row.cells[at] else { return false };
    let column = &book.columns[at];
    if book.runs.len() > 1 {
        let of_before = |place: &usize| {
            let other = &book.columns[*place];
            other.of < column.of && other.run.name == column.run.name
        };
        // The first run of a kernel is no news.
        let Some(place) = (0..at).rev().find(of_before) else { return false };
        let before = row.cells[place].as_ref().map(|case| case.outcome);
        return results::got_worse(before, now.outcome);
    }
    let says = |case: &&Case| case.outcome != Outcome::Skip;
    let before = row.cells[..at].iter().rev().flatten().find(says);
    before.is_some_and(|before| results::got_worse(Some(before.outcome), now.outcome))
}

/// Two kernels between which a case turned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The last column that is as before.
    pub(super) before: usize,
    /// The first that is not.
    pub(super) after: usize,
    /// Which way.
    pub(super) is_bad: bool,
}

/// Where a case turned good or bad, over the kernels of each run, as `hairpin bisect` has it.
pub(super) fn turns(book: &Book, row: &Row) -> Vec<Turn> {
    let mut turns = Vec::new();
    for run in 0..book.runs.len() {
        let mut last: Option<(usize, bool)> = None;
        for at in (0..row.cells.len()).filter(|at| book.columns[*at].of == run) {
            let Some(is_bad) = row.cells[at].as_ref().and_then(is_bad) else { continue };
            if let Some((before, was_bad)) = last
                && was_bad != is_bad
            {
                turns.push(Turn { before, after: at, is_bad });
            }
            last = Some((at, is_bad));
        }
    }
    turns
}

fn is_bad(case: &Case) -> Option<bool> {
    results::is_kept(case.outcome, case.reason.as_deref()).map(|is_kept| !is_kept)
}
