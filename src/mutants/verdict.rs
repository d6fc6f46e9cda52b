//! What became of a mutant.

use serde::Serialize;

use super::edit::Misfit;

/// A mutant's fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// A case failed that does not fail without the edit.
    Killed {
        /// The cases that noticed: the first, or all of them where all were asked for.
        by: Vec<Kill>,
    },
    /// No case noticed.
    Survived {
        /// How many cases were given to it.
        cases: usize,
    },
    /// No case noticed, and some could not tell, or the guest could not be had: no kill.
    Error {
        /// Why.
        why: String,
    },
    /// The edit does not fit the source any more.
    Misfit {
        /// Why.
        why: String,
    },
    /// The edited source could not be built.
    Unbuilt {
        /// The compiler's words.
        why: String,
    },
    /// No host can notice it, so it was not tried.
    Equivalent {
        /// Why.
        why: String,
    },
    /// It is for another kernel, so it was not tried.
    OtherKernel {
        /// The series that it is for.
        series: String,
    },
}

/// A case that noticed a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Kill {
    /// The case.
    pub(crate) case: String,
    /// How: the kernel behaved wrongly (`fail`), crashed, or hung.
    pub(crate) how: &'static str,
    /// The case's own words.
    pub(crate) why: String,
}

impl Verdict {
    /// One word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Killed { .. } => "killed",
            Self::Survived { .. } => "survived",
            Self::Error { .. } => "error",
            Self::Misfit { .. } => "misfit",
            Self::Unbuilt { .. } => "unbuilt",
            Self::Equivalent { .. } => "equivalent",
            Self::OtherKernel { .. } => "other kernel",
        }
    }

    /// Whether somebody has to do something about it.
    pub(crate) fn is_bad(&self) -> bool {
        !matches!(self, Self::Killed { .. } | Self::Equivalent { .. } | Self::OtherKernel { .. })
    }
}

impl From<Misfit> for Verdict {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit { why: misfit.to_string() }
    }
}
