//! The colours, each for one meaning.

use anstyle::{AnsiColor, Style};
use hairpin_model::event::Outcome;

use crate::mutants::verdict::Verdict;

/// What is as promised.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is broken.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What could not be told.
pub(crate) const UNSURE: Style = AnsiColor::Magenta.on_default().bold();
/// What was not checked.
pub(crate) const SKIPPED: Style = AnsiColor::Yellow.on_default();
/// What does not arrive.
pub(crate) const BLOCKED: Style = AnsiColor::Cyan.on_default();
/// What arrives in part, or comes back as an error.
pub(crate) const PARTLY: Style = AnsiColor::Yellow.on_default();
/// What stands beside the matter.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What the eye is to find.
pub(crate) const STRONG: Style = Style::new().bold();

/// The text in that style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of an outcome.
pub(crate) const fn outcome(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Pass => GOOD,
        Outcome::Skip | Outcome::Known => SKIPPED,
        Outcome::Fail => BAD,
        Outcome::Error | Outcome::Crash | Outcome::Hang => UNSURE,
    }
}

/// The style of what became of a mutant.
pub(crate) const fn verdict(verdict: &Verdict) -> Style {
    match verdict {
        Verdict::Killed { .. } => GOOD,
        Verdict::Survived { .. } => BAD,
        Verdict::Equivalent { .. } | Verdict::OtherKernel { .. } => SKIPPED,
        Verdict::Error { .. } | Verdict::Misfit { .. } | Verdict::Unbuilt { .. } => UNSURE,
    }
}

/// The word of an outcome: in capitals where somebody has to look.
pub(crate) fn word(outcome: Outcome) -> String {
    let word = outcome.word();
    if outcome.is_bad() { word.to_uppercase() } else { word.to_owned() }
}

/// The style of a grid's symbol.
pub(crate) const fn symbol(symbol: char) -> Style {
    match symbol {
        '.' => DIM,
        '+' => GOOD,
        '#' => BLOCKED,
        '?' => UNSURE,
        _ => PARTLY,
    }
}

/// What a grid's symbol means, in the words of a legend.
pub(crate) const fn meaning(symbol: char) -> Option<&'static str> {
    Some(match symbol {
        '+' => "delivered",
        '#' => "blocked, as controls prove",
        '>' => "one way: arrived, but no answer came back",
        '2'..='9' => "delivered that often",
        'N' => "no route",
        'H' => "host unreachable",
        'P' => "port unreachable",
        'A' => "prohibited",
        'X' => "reset",
        'R' => "refused",
        '?' => "inconclusive",
        _ => return None,
    })
}
