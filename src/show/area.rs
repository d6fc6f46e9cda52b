//! One area of a run: a line a rule with its cases, then a picture a topic.

use std::collections::BTreeSet;

use hairpin_model::event::Outcome;
use hairpin_model::{Event, Grid};

use crate::run::schedule::Result;
use crate::show::palette::{DIM, SKIPPED, STRONG, outcome, paint, word};
use crate::show::picture::{self, Picture};
use crate::show::story::{self, Telling};
use crate::show::text::{count, wrap};
use crate::show::way;
use crate::suite::Case;
use crate::tally::{Record, Tally};

/// The column of the rules' verdicts.
const VERDICT: usize = 5;

/// The cases of one area, with their places in the run.
pub(crate) struct Area<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its cases.
    pub(crate) cases: Vec<(usize, &'a Case)>,
}

/// The areas of the cases, in the order of their first case.
pub(crate) fn areas<'a>(cases: &[&'a Case]) -> Vec<Area<'a>> {
    let mut areas: Vec<Area<'a>> = Vec::new();
    for (index, case) in cases.iter().copied().enumerate() {
        let name = case.id.area();
        match areas.iter_mut().find(|area| area.name == name) {
            Some(area) => area.cases.push((index, case)),
            None => areas.push(Area { name, cases: vec![(index, case)] }),
        }
    }
    areas
}

impl Area<'_> {
    /// The area as text, with pictures or without. Adds the symbols of its pictures to those that need a legend.
    pub(crate) fn text(
        &self,
        telling: &Telling<'_>,
        tally: &Tally,
        pictures: bool,
        symbols: &mut BTreeSet<char>,
    ) -> String {
        let mut out = format!("{}  {}\n", paint(STRONG, self.name), paint(DIM, self.head(tally)));
        for rule in self.rules() {
            out.push_str(&self.rule(rule, telling, tally));
        }
        let pictures = if pictures { self.pictures(tally) } else { Vec::new() };
        for (title, case, grid) in pictures {
            out.push('\n');
            out.push_str(&pictured(telling, title, case, grid));
            symbols.extend(grid.drawing().pairs().map(|(_, _, symbol)| symbol));
        }
        out
    }

    /// `3 cases, 1 failed`.
    fn head(&self, tally: &Tally) -> String {
        let mut words = count(self.cases.len(), "case");
        let among = |wanted: &dyn Fn(Outcome) -> bool| {
            self.cases.iter().filter(|(i, _)| tally.of(*i).outcome().is_some_and(wanted)).count()
        };
        let skipped = among(&|outcome| outcome == Outcome::Skip);
        let known = among(&|outcome| outcome == Outcome::Known);
        let bad = among(&Outcome::is_bad);
        for (n, what) in [(skipped, "skipped"), (known, "known to fail"), (bad, "not as promised")]
        {
            if n > 0 {
                words.push_str(&format!(", {n} {what}"));
            }
        }
        words
    }

    /// The rules that the cases belong to, each once.
    fn rules(&self) -> Vec<usize> {
        let mut rules: Vec<usize> = self.cases.iter().map(|(_, case)| case.rule).collect();
        rules.dedup();
        rules
    }

    /// A line for a rule: the worst of its cases, its id, and its variants by name.
    fn rule(&self, rule: usize, telling: &Telling<'_>, tally: &Tally) -> String {
        let id = telling.suite.rules[rule].id.as_str();
        let records: Vec<(&Case, &Record)> = self
            .cases
            .iter()
            .filter(|(_, case)| case.rule == rule)
            .map(|(index, case)| (*case, tally.of(*index)))
            .collect();
        let worst = records.iter().filter_map(|(_, record)| record.outcome()).max();
        let verdict = match worst {
            Some(worst) => paint(outcome(worst), format!("{:VERDICT$}", word(worst))),
            None => paint(DIM, format!("{:VERDICT$}", "-")),
        };
        let variants: Vec<String> = records
            .iter()
            .filter_map(|(case, record)| {
                let name = case.id.as_str().strip_prefix(id)?.strip_prefix('.')?;
                Some(variant(name, record, worst))
            })
            .collect();
        format!("  {verdict} {id}  {}", variants.join(" ")).trim_end().to_owned() + "\n"
    }

    /// A grid for each topic: the first of a passing case that shows something held up, or else
    /// the first of all.
    fn pictures<'t>(&'t self, tally: &'t Tally) -> Vec<(&'t str, &'t Case, &'t Grid)> {
        let mut topics: Vec<&str> = Vec::new();
        for (_, case) in &self.cases {
            let topic = topic(case);
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        let of_topic = |wanted: &str| {
            let passing = self.cases.iter().filter(|(_, case)| topic(case) == wanted);
            let mut grids = passing
                .filter_map(|(index, case)| Some((*case, tally.of(*index).shown.as_ref()?)))
                .filter(|(_, result)| result.outcome == Outcome::Pass)
                .flat_map(|(case, result)| grids(result).map(move |(t, g)| (t, case, g)))
                .filter(|(_, _, grid)| grid.hosts.len() > 1);
            let first = grids.next()?;
            let telling = |(_, _, grid): &(&str, &Case, &Grid)| way::telling(grid).is_some();
            if telling(&first) { Some(first) } else { grids.find(telling).or(Some(first)) }
        };
        topics.into_iter().filter_map(of_topic).collect()
    }
}

/// The first two segments of a case's id.
fn topic(case: &Case) -> &str {
    let id = case.id.as_str();
    id.match_indices('.').nth(1).map_or(id, |(at, _)| &id[..at])
}

fn grids(result: &Result) -> impl Iterator<Item = (&str, &Grid)> {
    result.records.iter().filter_map(|record| match &record.event {
        Event::Grid { title, observed, .. } => Some((title.as_str(), observed)),
        _ => None,
    })
}

/// A variant's name; what sets it apart from the rule's verdict stands behind it.
fn variant(name: &str, record: &Record, worst: Option<Outcome>) -> String {
    match record.outcome() {
        _ if record.is_flaky() => paint(SKIPPED, format!("{name}:flaky")),
        None => paint(DIM, format!("{name}:-")),
        Some(own) if Some(own) == worst => paint(outcome(own), name),
        Some(own) => paint(outcome(own), format!("{name}:{}", word(own))),
    }
}

/// A grid with, beside it, the promise that it shows and why somebody does not get through.
fn pictured(telling: &Telling<'_>, title: &str, case: &Case, grid: &Grid) -> String {
    const GAP: usize = 4;
    let promise = &telling.suite.rule_of(case).promise;
    let why = way::telling(grid).and_then(|(from, to)| way::explain(grid, from, to));
    let drawing = grid.drawing();
    let wide = picture::width(&drawing);
    let beside = telling.width.saturating_sub(VERDICT + 3 + wide + GAP);
    let fits = beside >= 36;
    let room = if fits { beside } else { telling.width - VERDICT - 3 };
    let mut words: Vec<String> = wrap(promise, room);
    words.extend(wrap(&format!("{title}, {}", case.id), room).into_iter().map(|l| paint(DIM, l)));
    words.extend(why.map_or_else(Vec::new, |why| wrap(&why, room)));
    let lines = if fits {
        Picture::of(&drawing, &|_, _| false).beside(&words, GAP)
    } else {
        words.push(story::in_numbers(&drawing));
        words
    };
    let margin = " ".repeat(VERDICT + 3);
    lines.iter().map(|line| format!("{margin}{line}").trim_end().to_owned() + "\n").collect()
}

/// What the symbols of all pictures mean.
pub(crate) fn legend(symbols: &BTreeSet<char>) -> String {
    match picture::legend(symbols) {
        words if words.is_empty() => words,
        words => format!("{words}\n\n"),
    }
}
