//! The end of a run's report: what flaked, what was skipped for want of what, one line for all.

use std::time::Duration;

use hairpin_model::event::Outcome;

use crate::show::palette::{BAD, DIM, STRONG, outcome, paint, word};
use crate::show::text::{count, span, wrap};
use crate::suite::Case;
use crate::tally::Tally;

/// The cases that did not do the same in every repetition, with how often they did what.
pub(crate) fn flakes(tally: &Tally, cases: &[&Case]) -> String {
    let mut out = String::new();
    for (index, record) in tally.flaky() {
        out.push_str(&format!("{} {}\n", paint(BAD, "FLAKY"), paint(STRONG, &cases[index].id)));
        for ((ending, reason), times) in &record.endings {
            let named = paint(outcome(*ending), word(*ending));
            let of = record.runs();
            let reason = reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
            out.push_str(&format!("  {times:>4} of {of}  {named}{reason}\n"));
        }
        out.push('\n');
    }
    out
}

/// The cases that were skipped, by what was missing. `remedy` knows what would help.
pub(crate) fn skips(
    tally: &Tally,
    cases: &[&Case],
    width: usize,
    remedy: impl Fn(&str) -> Option<String>,
) -> String {
    let mut out = String::new();
    for (missing, skipped) in tally.skipped() {
        let word = paint(outcome(Outcome::Skip), "skipped");
        let what = format!("{}, missing: {missing}", count(skipped.len(), "case"));
        out.push_str(&format!("{word} {what}\n"));
        let ids: Vec<&str> = skipped.iter().map(|index| cases[*index].id.as_str()).collect();
        for line in wrap(&ids.join(" "), width - 4) {
            out.push_str(&format!("    {}\n", paint(DIM, line)));
        }
        if let Some(remedy) = remedy(missing) {
            for line in wrap(&format!("remedy: {remedy}"), width - 4) {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The cases that failed as this kernel is known to, by what is known.
pub(crate) fn known(tally: &Tally, cases: &[&Case], width: usize) -> String {
    let mut out = String::new();
    for (known, failed) in tally.known() {
        let word = paint(outcome(Outcome::Known), "known failure");
        let ids: Vec<&str> = failed.iter().map(|index| cases[*index].id.as_str()).collect();
        out.push_str(&format!("{word} {}\n", ids.join(" ")));
        for line in wrap(known, width - 4) {
            out.push_str(&format!("    {line}\n"));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The one line for all: `31 passed, 1 failed, 2 skipped (driver `vlan`) in 3.1 s on 6.18.44`.
pub(crate) fn summary(tally: &Tally, expected: usize, took: Duration, kernel: &str) -> String {
    let mut words = Vec::new();
    for (ending, n) in tally.counts() {
        let always = matches!(ending, Outcome::Pass | Outcome::Fail);
        if n == 0 && !always {
            continue;
        }
        let text = format!("{n} {}", plural(ending, n));
        let style = if n == 0 { DIM } else { outcome(ending) };
        words.push(paint(style, text));
    }
    let missing = tally.missing();
    if !missing.is_empty() {
        let last = words.last_mut().expect("what was skipped has been counted");
        last.push_str(&format!(" ({})", missing.join(", ")));
    }
    match tally.flaky().count() {
        0 => {}
        n => words.push(paint(BAD, format!("{n} flaky"))),
    }
    match expected - tally.runs() {
        0 => {}
        n => words.push(format!("{n} not run")),
    }
    format!("{} in {} on {kernel}\n", words.join(", "), span(took))
}

fn plural(outcome: Outcome, n: usize) -> &'static str {
    match outcome {
        Outcome::Pass => "passed",
        Outcome::Skip => "skipped",
        Outcome::Known if n == 1 => "known failure",
        Outcome::Known => "known failures",
        Outcome::Fail => "failed",
        Outcome::Error if n == 1 => "error",
        Outcome::Error => "errors",
        Outcome::Crash => "crashed",
        Outcome::Hang => "hung",
    }
}
