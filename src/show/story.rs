//! One case in full: its promise, its lab, what was seen against what was drawn, how to rerun it.
//!
//! Failures are told this way, and passes too under `--verbose` or when few cases were asked for.

use std::collections::BTreeMap;

use hairpin_model::event::Outcome;
use hairpin_model::grid::{Cell, Drawing};
use hairpin_model::rule::RuleEntry;
use hairpin_model::{Event, Grid};

use crate::run::schedule::Result;
use crate::show::journey;
use crate::show::palette::{self, BAD, DIM, GOOD, STRONG, paint};
use crate::show::picture::{self, Picture};
use crate::show::text::{LABEL, labelled, paragraph, span};
use crate::show::way;
use crate::suite::{Case, Suite};

/// How many differing cells are told one by one.
const CELLS: usize = 6;
/// How many lines of a program's output are shown.
const OUTPUT_LINES: usize = 12;

/// What all stories of a run have in common.
pub(crate) struct Telling<'a> {
    /// The suite.
    pub(crate) suite: &'a Suite,
    /// The width of a line.
    pub(crate) width: usize,
    /// What a reader types to run something, as `hairpin check`.
    pub(crate) command: String,
    /// Whether the way of every traced cell is told.
    pub(crate) verbose: bool,
    /// Whether the journey of every cell is told, hop by hop.
    pub(crate) journeys: bool,
}

impl Telling<'_> {
    /// The story of a result.
    pub(crate) fn story(&self, case: &Case, result: &Result) -> String {
        let rule = self.suite.rule_of(case);
        let word = palette::word(result.outcome);
        let mut out = format!(
            "{} {}  {}\n",
            paint(palette::outcome(result.outcome), word),
            paint(STRONG, &case.id),
            paint(DIM, span(result.took))
        );
        self.say(&mut out, "promise", &rule.promise);
        self.say(&mut out, "source", &source(rule));
        if let Some(reason) = &result.reason {
            let label = if result.outcome == Outcome::Skip { "missing" } else { "reason" };
            self.say(&mut out, label, reason);
        }
        for event in result.records.iter().map(|record| &record.event) {
            self.happening(&mut out, result.outcome, event);
        }
        self.output(&mut out, result);
        if let Some(frames) = &result.frames {
            out.push_str(&labelled("frames", frames));
        }
        if result.outcome.is_bad() {
            let command = paint(STRONG, format!("{} {}", self.command, case.id));
            out.push_str(&labelled("rerun", &command));
        }
        out
    }

    fn say(&self, out: &mut String, label: &str, text: &str) {
        paragraph(out, label, text, self.width);
    }

    /// What happened in the lab. Checks that held and grids that agree are only worth their room
    /// where nothing failed, or where all is asked for.
    fn happening(&self, out: &mut String, outcome: Outcome, event: &Event) {
        match event {
            Event::LabBuilt { wiring, build_us, .. } => {
                for (i, line) in wiring.lines().enumerate() {
                    out.push_str(&labelled(if i == 0 { "wiring" } else { "" }, line));
                }
                let built = format!("built in {:.1} ms", *build_us as f64 / 1e3);
                out.push_str(&labelled("", &paint(DIM, built)));
            }
            Event::Step { text } => self.say(out, "step", text),
            Event::Flow { title, from, to, cell } => self.flow(out, title, (from, to), cell),
            Event::Check { claim, observed: Some(seen) } => {
                self.say(out, "check", claim);
                self.say(out, "", &format!("does not hold: {seen}"));
            }
            Event::Check { claim, observed: None } => self.say(out, "holds", claim),
            Event::Grid { title, observed, expected, agrees: false } => {
                out.push_str(&labelled("grid", &format!("{title}: {}", paint(BAD, "differs"))));
                self.compared(out, observed, expected);
                self.journeys(out, observed);
            }
            Event::Grid { title, observed, agrees: true, .. } => {
                out.push_str(&labelled("grid", &format!("{title}: {}", paint(GOOD, "as drawn"))));
                if !outcome.is_bad() || self.verbose {
                    self.agreed(out, observed);
                }
                self.journeys(out, observed);
            }
            _ => {}
        }
    }

    /// The way of a flow: its journey if that is asked for, or in a line a kind of packet.
    fn flow(&self, out: &mut String, title: &str, (from, to): (&str, &str), cell: &Cell) {
        if cell.seen.is_empty() && !self.journeys {
            return;
        }
        self.say(out, "flow", title);
        if self.journeys {
            inset(out, journey::lines(from, to, cell));
        } else {
            for way in way::ways(cell) {
                self.say(out, "", &format!("- {way}"));
            }
        }
    }

    /// Every cell of a grid with its journey, if that is asked for.
    fn journeys(&self, out: &mut String, observed: &Grid) {
        if !self.journeys {
            return;
        }
        for (from, to, cell) in
            observed.pairs().filter(|(from, to, cell)| from != to || !cell.seen.is_empty())
        {
            inset(out, journey::lines(from, to, cell));
        }
        inset(out, journey::meanwhile(observed));
    }

    /// A grid that agrees with its drawing, with the ways that were seen.
    fn agreed(&self, out: &mut String, observed: &Grid) {
        let drawing = observed.drawing();
        if LABEL + picture::width(&drawing) > self.width {
            self.say(out, "", &in_numbers(&drawing));
        } else {
            inset(out, Picture::of(&drawing, &|_, _| false).lines);
        }
        if self.verbose && !self.journeys {
            for (from, to, cell) in observed.pairs().filter(|(_, _, cell)| !cell.seen.is_empty()) {
                self.say(out, "", &format!("{from} -> {to} {}", cell.verdict));
                for way in way::ways(cell) {
                    self.say(out, "", &format!("- {way}"));
                }
            }
        } else if let Some((from, to)) = way::telling(observed) {
            self.say(out, "", &way::explain(observed, from, to).unwrap_or_default());
        }
    }

    /// What was drawn and what was seen, side by side, then each cell that differs.
    fn compared(&self, out: &mut String, observed: &Grid, expected: &str) {
        let Ok(drawn) = expected.parse::<Drawing>() else {
            self.say(out, "drawn", expected);
            inset(out, Picture::of(&observed.drawing(), &|_, _| false).lines);
            return;
        };
        let Ok(differences) = observed.differences(&drawn) else {
            inset(out, Picture::of(&drawn, &|_, _| false).titled("expected").lines);
            inset(out, Picture::of(&observed.drawing(), &|_, _| false).titled("observed").lines);
            return;
        };
        let differs =
            |from: &str, to: &str| differences.iter().any(|(f, t, _, _)| (*f, *t) == (from, to));
        let left = Picture::of(&drawn, &differs).titled("expected");
        let right = Picture::of(&observed.drawing(), &differs).titled("observed");
        if LABEL + 4 + left.width + right.width <= self.width {
            inset(out, left.beside(&right.lines, 4));
        } else if LABEL + left.width <= self.width {
            inset(out, left.lines);
            inset(out, right.lines);
        } else {
            self.say(out, "", &in_numbers(&observed.drawing()));
        }
        for (from, to, symbol, cell) in differences.iter().take(CELLS) {
            let drawn = palette::meaning(*symbol).unwrap_or("not heard by itself");
            let text = format!(
                "{from} -> {to}: expected {symbol} ({drawn}), observed {} ({})",
                cell.verdict.symbol(),
                cell.verdict
            );
            self.say(out, "", &text);
            if let Some(proof) = &cell.proof {
                self.say(out, "", &format!("- proof: {proof}"));
            }
            for way in way::ways(cell) {
                self.say(out, "", &format!("- {way}"));
            }
        }
        if differences.len() > CELLS {
            self.say(out, "", &format!("and {} more", differences.len() - CELLS));
        }
        if !self.journeys {
            inset(out, journey::meanwhile(observed));
        }
    }

    /// The end of what the program printed, where the events alone do not tell enough.
    fn output(&self, out: &mut String, result: &Result) {
        if !matches!(result.outcome, Outcome::Error | Outcome::Crash | Outcome::Hang) {
            return;
        }
        for (i, line) in excerpt(&result.output).into_iter().enumerate() {
            out.push_str(&labelled(if i == 0 { "output" } else { "" }, line));
        }
    }
}

/// The lines of a program's output that tell most: from its last panic on, or else the last.
fn excerpt(output: &str) -> Vec<&str> {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let panic = lines.iter().rposition(|line| line.contains("panicked at"));
    let start = panic.unwrap_or(lines.len().saturating_sub(OUTPUT_LINES));
    lines.into_iter().skip(start).take(OUTPUT_LINES).collect()
}

/// A rule's source with its strength, and the sentences of the article that it settles.
pub(crate) fn source(rule: &RuleEntry) -> String {
    let mut words = format!("{} ({})", rule.source, rule.strength);
    if !rule.article.is_empty() {
        words.push_str(&format!("; article {}", rule.article.join(", ")));
    }
    words
}

/// Adds lines in the place of what a label labels.
fn inset(out: &mut String, lines: Vec<String>) {
    for line in lines {
        out.push_str(&labelled("", line.trim_end()));
    }
}

/// A grid that is too wide for a picture: how many cells of each kind.
pub(crate) fn in_numbers(drawing: &Drawing) -> String {
    let mut numbers: BTreeMap<char, usize> = BTreeMap::new();
    for (_, _, symbol) in drawing.pairs() {
        *numbers.entry(symbol).or_default() += 1;
    }
    let words: Vec<String> = numbers
        .into_iter()
        .filter_map(|(symbol, n)| Some(format!("{n} {}", palette::meaning(symbol)?)))
        .collect();
    format!("{} hosts: {}", drawing.hosts.len(), words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_more_telling_than_its_backtrace() {
        let frames: String = (0..40).map(|i| format!("   {i}: core::frame\n")).collect();
        let output = format!("running 1 test\nthread 'x' panicked at lab.rs:1\nwhy\n{frames}");
        let shown = excerpt(&output);
        assert_eq!(shown[..2], ["thread 'x' panicked at lab.rs:1", "why"]);
        assert_eq!(shown.len(), OUTPUT_LINES);
    }

    #[test]
    fn a_grid_that_is_too_wide_is_told_in_numbers() {
        let drawing = "a b c\na . + #\nb + . #\nc > + .".parse().unwrap();
        insta::assert_snapshot!(in_numbers(&drawing), @"3 hosts: 2 blocked, as controls prove, 3 delivered, 1 one way: arrived, but no answer came back");
    }

    #[test]
    fn without_a_panic_the_last_words_are_shown() {
        let output: String = (0..40).map(|i| format!("{i}\n\n")).collect();
        assert_eq!(excerpt(&output).last(), Some(&"39"));
        assert!(excerpt("").is_empty());
    }
}
