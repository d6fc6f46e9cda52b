//! What became of one case on one kernel, in a word.

use hairpin_model::event::Outcome;

use crate::results::{self, Case, FLAKY};
use crate::show::{self, paint};

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The worst of its turns.
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
    turns: usize,
    is_flaky: bool,
}

impl Cell {
    /// That of a case that had its first turn.
    pub(super) fn new(outcome: Outcome, reason: Option<String>) -> Self {
        Self { outcome, reason, turns: 1, is_flaky: false }
    }

    /// That of a case that was read back.
    pub(super) fn of(case: &Case) -> Self {
        let (turns, is_flaky) = (case.runs, case.is_mere_flake());
        Self { outcome: case.outcome, reason: case.reason.clone(), turns, is_flaky }
    }

    /// After one more turn. The worst of all stands for the case, and only a failure that is no crash, hang or
    /// error can be a flake.
    pub(super) fn again(mut self, outcome: Outcome, reason: Option<String>) -> Self {
        self.turns += 1;
        let differs = outcome != self.outcome;
        if outcome > self.outcome {
            (self.outcome, self.reason) = (outcome, reason);
        }
        self.is_flaky = (self.is_flaky || differs) && self.outcome <= Outcome::Fail;
        self
    }

    /// Whether it failed, and passed in another turn.
    pub(super) fn is_flaky(&self) -> bool {
        self.is_flaky
    }

    /// Whether it failed in its only turn, so that nobody knows yet if it always does.
    pub(super) fn is_unsure(&self) -> bool {
        self.outcome == Outcome::Fail && self.turns == 1
    }

    /// Its word.
    pub(super) fn word(&self) -> &'static str {
        if self.is_flaky { FLAKY } else { results::word(self.outcome, self.reason.as_deref()) }
    }

    /// The word in its colour.
    pub(super) fn painted(&self, width: usize) -> String {
        paint(show::outcome(self.outcome), format!("{:<width$}", self.word()))
    }

    /// Whether it fails a run.
    pub(super) fn is_bad(&self) -> bool {
        self.outcome.is_bad()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_word() {
        use Outcome::{Crash, Error, Fail, Hang, Known, Pass, Skip};
        let words =
            [Pass, Fail, Known, Skip, Crash, Hang, Error].map(|o| Cell::new(o, None).word());
        assert_eq!(words, ["pass", "fail", "known", "skip", "crash", "hang", "error"]);
    }

    #[test]
    fn a_pass_that_is_listed_as_a_failure_is_fixed() {
        let reason = Some("passes, but a failure is expected: delete `x` in y".to_owned());
        assert_eq!(Cell::new(Outcome::Fail, reason).word(), "fixed");
    }

    #[test]
    fn a_failure_that_passes_then_is_flaky_and_still_bad() {
        let first = Cell::new(Outcome::Fail, Some("lost".into()));
        assert!(first.is_unsure());
        let flaky = first.clone().again(Outcome::Pass, None);
        assert_eq!((flaky.word(), flaky.is_bad(), flaky.is_unsure()), ("flaky", true, false));
        assert_eq!(flaky.reason.as_deref(), Some("lost"));
        assert_eq!(first.again(Outcome::Fail, None).word(), "fail");
    }

    #[test]
    fn no_crash_hides_behind_a_flake() {
        for worse in [Outcome::Error, Outcome::Crash, Outcome::Hang] {
            let cell = Cell::new(Outcome::Fail, None).again(worse, Some("oops".into()));
            assert_eq!((cell.word(), cell.reason.as_deref()), (worse.word(), Some("oops")));
            assert!(!Cell::new(worse, None).is_unsure());
        }
    }
}
