//! What one packet showed, beside what was explained: whether the two agree.
//!
//! Silence is what was seen, and no verdict: nothing follows from it. Sends nothing itself.

use serde::Serialize;

use crate::verdict::{Answer, Explanation};

/// What came back for one packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// What was asked for.
    Answered,
    /// A refusal, in words.
    Refused(String),
    /// Nothing, for as many seconds.
    Nothing(u64),
    /// It could not be sent; the kernel's words.
    NotSent(String),
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered => write!(f, "the answer"),
            Self::Refused(words) => write!(f, "a refusal: {words}"),
            Self::Nothing(seconds) => write!(f, "no answer within {seconds} s"),
            Self::NotSent(words) => write!(f, "it was not sent: {words}"),
        }
    }
}

/// How that goes with what was explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// It shows what was explained.
    Agrees,
    /// It shows something else: the explanation is wrong, or the machine has changed since.
    Disagrees,
    /// It shows nothing of what was explained.
    Open,
}

/// A packet that was sent, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// What was sent.
    pub sent: String,
    /// What came back.
    pub seen: Seen,
    /// Whether that is what was explained.
    pub agreement: Agreement,
}

impl Probed {
    /// Holds what came back against an explanation.
    pub fn new(sent: String, seen: Seen, explained: &Explanation) -> Self {
        let agreement = agreement(explained.answer, &seen);
        Self { sent, seen, agreement }
    }

    /// The lines for a reader.
    pub(crate) fn lines(&self) -> Vec<String> {
        let agreement = match (self.agreement, &self.seen) {
            (Agreement::Agrees, _) => "which is what was explained",
            (Agreement::Disagrees, _) => {
                "which is NOT what was explained: the explanation is wrong, or the machine has changed since it was read"
            }
            (Agreement::Open, Seen::Nothing(_)) => {
                "silence proves nothing, neither for nor against"
            }
            (Agreement::Open, _) => "which says nothing of what was explained",
        };
        vec![format!("sent: {}", self.sent), format!("seen: {}", self.seen), agreement.to_owned()]
    }
}

/// A refusal and a packet that is not let out are both no answer, and told as such by somebody.
const fn agreement(answer: Answer, seen: &Seen) -> Agreement {
    match (answer, seen) {
        (Answer::CannotTell, _) | (_, Seen::Nothing(_)) => Agreement::Open,
        (Answer::Reaches, Seen::Answered)
        | (
            Answer::BlockedByDesign | Answer::BlockedByConfiguration,
            Seen::Refused(_) | Seen::NotSent(_),
        ) => Agreement::Agrees,
        _ => Agreement::Disagrees,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_decides_nothing() {
        let refused = || Seen::Refused("no".into());
        for answer in [Answer::Reaches, Answer::BlockedByDesign, Answer::BlockedByConfiguration] {
            assert_eq!(agreement(answer, &Seen::Nothing(4)), Agreement::Open);
        }
        assert_eq!(agreement(Answer::Reaches, &Seen::Answered), Agreement::Agrees);
        assert_eq!(agreement(Answer::Reaches, &refused()), Agreement::Disagrees);
        assert_eq!(agreement(Answer::BlockedByDesign, &Seen::Answered), Agreement::Disagrees);
        assert_eq!(agreement(Answer::BlockedByDesign, &refused()), Agreement::Agrees);
        assert_eq!(agreement(Answer::CannotTell, &Seen::Answered), Agreement::Open);
    }
}
