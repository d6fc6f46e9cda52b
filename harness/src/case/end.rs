//! How a case ends, as its runner is told and as libtest understands it.

use std::time::Instant;

use hairpin_model::event::Outcome;
use hairpin_model::{CaseId, Error, Event};

use super::State;
use crate::{events, program, report};

/// How a case ended.
pub(super) enum End {
    Pass,
    Skip(Vec<String>),
    Known(String),
    Fail(String, String),
    Error(Error),
}

/// Tells how a case ended, and the frames of one that ended badly.
pub(super) fn finish(state: &State, end: &End, began: Instant) {
    let (outcome, reason) = match end {
        End::Pass => (Outcome::Pass, None),
        End::Skip(missing) => (Outcome::Skip, Some(missing.join(", "))),
        End::Known(reason) => (Outcome::Known, Some(reason.clone())),
        End::Fail(line, _) => (Outcome::Fail, Some(line.clone())),
        End::Error(error) => (Outcome::Error, Some(error.to_string())),
    };
    let frames = state.recording.take();
    if outcome.is_bad() {
        frames.into_iter().map(Event::Frame).for_each(events::emit);
    }
    events::emit(Event::CaseFinished {
        case: state.id.clone(),
        rule: state.rule.id.into(),
        outcome,
        reason,
        case_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
}

impl End {
    /// Holds the end against the known failures: the one that is expected is excused, a pass in its
    /// place is not.
    pub(super) fn excused(self, case: &CaseId) -> Self {
        let expectation = match program::expectation(case) {
            Ok(expectation) => expectation,
            Err(error) => return Self::Error(error),
        };
        match (self, expectation) {
            (Self::Fail(line, _), Some(known)) if line.contains(&known.signature) => {
                Self::Known(format!("{} ({})", known.reason, known.link))
            }
            (Self::Pass, Some(known)) => {
                let line = format!(
                    "passes, but a failure is expected: delete `{}` in {}",
                    known.id, known.file
                );
                Self::Fail(
                    line.clone(),
                    format!("{line}\n  reason given: {}\n  link: {}", known.reason, known.link),
                )
            }
            (end, _) => end,
        }
    }

    /// Why a case came to its end before it had a network.
    pub(super) fn without_network(self, case: &CaseId) -> String {
        let what = format!("{case} has no network to open a shell in");
        let (place, help) = ("this kernel", "name a case that `hairpin draw` can draw");
        match self {
            Self::Error(error) => error.to_string(),
            Self::Skip(missing) => {
                let what = format!("{what}: the kernel lacks {}", missing.join(", "));
                Error::new(what, place, "see `hairpin doctor`").to_string()
            }
            Self::Fail(line, _) => Error::new(format!("{what}: {line}"), place, help).to_string(),
            Self::Pass | Self::Known(_) => Error::new(what, place, help).to_string(),
        }
    }

    /// Leaves the test function the way libtest understands.
    pub(super) fn leave(self, state: &State) {
        match self {
            Self::Pass => {}
            Self::Known(reason) => eprintln!("{} fails as is known: {reason}", state.id),
            Self::Skip(missing) => {
                let strict = std::env::var_os("HAIRPIN_STRICT").is_some_and(|value| value == "1");
                let what =
                    format!("skipped {}: this kernel lacks {}", state.id, missing.join(", "));
                assert!(!strict, "{what}, and HAIRPIN_STRICT=1 allows no skip");
                eprintln!("{what}");
            }
            Self::Fail(_, story) => {
                panic!("{}\n{story}", report::head(state.rule, &state.id, "failed"))
            }
            Self::Error(error) => {
                panic!("{}\n{error}", report::head(state.rule, &state.id, "error"))
            }
        }
    }
}
