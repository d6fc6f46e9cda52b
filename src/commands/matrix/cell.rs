//! What became of one case on one kernel, in a word.

use hairpin_model::event::Outcome;

use crate::results::{self, Case};
use crate::show::{self, paint};

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<String>,
}

impl Cell {
    /// That of a case that was read back.
    pub(super) fn of(case: &Case) -> Self {
        Self { outcome: case.outcome, reason: case.reason.clone() }
    }

    /// Its word.
    pub(super) fn word(&self) -> &'static str {
        results::word(self.outcome, self.reason.as_deref())
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
    fn a_pass_that_is_listed_as_a_failure_is_fixed() {
        let reason = Some("passes, but a failure is expected: delete `x` in y".to_owned());
        assert_eq!(Cell { outcome: Outcome::Fail, reason }.word(), "fixed");
        assert_eq!(Cell { outcome: Outcome::Fail, reason: None }.word(), "fail");
    }
}
