//! What all repetitions of all cases came to.
//!
//! Of a case that is repeated, only the first bad result is kept whole (or else the first one),
//! so that two hundred repetitions need no more memory than one.

use std::collections::BTreeMap;

use hairpin_model::event::Outcome;

use crate::run::schedule::Result;

/// The outcomes in the order of summaries.
pub(crate) const ORDER: [Outcome; 7] = [
    Outcome::Pass,
    Outcome::Fail,
    Outcome::Error,
    Outcome::Crash,
    Outcome::Hang,
    Outcome::Known,
    Outcome::Skip,
];

/// What became of one case.
#[derive(Default)]
pub(crate) struct Record {
    /// How often it ended in each way, and why.
    pub(crate) endings: BTreeMap<(Outcome, Option<String>), usize>,
    /// The result that is shown.
    pub(crate) shown: Option<Result>,
}

impl Record {
    /// How often it was run.
    pub(crate) fn runs(&self) -> usize {
        self.endings.values().sum()
    }

    /// Whether its repetitions did not all end alike.
    pub(crate) fn is_flaky(&self) -> bool {
        let mut outcomes = self.endings.keys().map(|(outcome, _)| outcome);
        let first = outcomes.next();
        outcomes.any(|outcome| Some(outcome) != first)
    }

    /// The outcome that stands for the case: a bad one if there was one.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.shown.as_ref().map(|result| result.outcome)
    }
}

/// What became of all cases.
pub(crate) struct Tally {
    records: Vec<Record>,
}

impl Tally {
    /// A tally of that many cases.
    pub(crate) fn new(cases: usize) -> Self {
        Self { records: (0..cases).map(|_| Record::default()).collect() }
    }

    /// Adds a result.
    pub(crate) fn add(&mut self, result: Result) {
        let record = &mut self.records[result.index];
        *record.endings.entry((result.outcome, result.reason.clone())).or_default() += 1;
        // Outcomes are ordered from good to bad; the first of the worst is kept.
        let keeps = record.shown.as_ref().is_some_and(|old| old.outcome >= result.outcome);
        if !keeps {
            record.shown = Some(result);
        }
    }

    /// What became of a case.
    pub(crate) fn of(&self, index: usize) -> &Record {
        &self.records[index]
    }

    /// How many results there are of each outcome, in the order of summaries.
    pub(crate) fn counts(&self) -> Vec<(Outcome, usize)> {
        let count = |wanted: Outcome| {
            let endings = self.records.iter().flat_map(|record| &record.endings);
            endings.filter(|((outcome, _), _)| *outcome == wanted).map(|(_, n)| n).sum()
        };
        ORDER.into_iter().map(|outcome| (outcome, count(outcome))).collect()
    }

    /// How many results there are of that outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.counts().into_iter().find(|(o, _)| *o == outcome).map_or(0, |(_, n)| n)
    }

    /// How many results there are.
    pub(crate) fn runs(&self) -> usize {
        self.records.iter().map(Record::runs).sum()
    }

    /// The places of the cases that have a result, worst and flaky ones included.
    pub(crate) fn finished(&self) -> impl Iterator<Item = (usize, &Record)> {
        self.records.iter().enumerate().filter(|(_, record)| record.shown.is_some())
    }

    /// The cases whose shown result is a bad one.
    pub(crate) fn bad(&self) -> impl Iterator<Item = (usize, &Result)> {
        self.finished()
            .filter_map(|(index, record)| Some((index, record.shown.as_ref()?)))
            .filter(|(_, result)| result.outcome.is_bad())
    }

    /// The cases whose repetitions did not all end alike.
    pub(crate) fn flaky(&self) -> impl Iterator<Item = (usize, &Record)> {
        self.finished().filter(|(_, record)| record.is_flaky())
    }

    /// The cases that were skipped by what was missing, each list in the order of the cases.
    pub(crate) fn skipped(&self) -> Vec<(&str, Vec<usize>)> {
        self.by_reason(Outcome::Skip)
    }

    /// What was missing, each thing once: a case may lack several, and its reason names them all.
    pub(crate) fn missing(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for thing in self.skipped().into_iter().flat_map(|(reason, _)| reason.split(", ")) {
            if !all.contains(&thing) {
                all.push(thing);
            }
        }
        all
    }

    /// The cases that failed as is known, by what is known, each list in the order of the cases.
    pub(crate) fn known(&self) -> Vec<(&str, Vec<usize>)> {
        self.by_reason(Outcome::Known)
    }

    fn by_reason(&self, wanted: Outcome) -> Vec<(&str, Vec<usize>)> {
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        for (index, record) in self.finished() {
            for (outcome, reason) in record.endings.keys() {
                if *outcome != wanted {
                    continue;
                }
                let missing = reason.as_deref().unwrap_or("no reason given");
                match groups.iter_mut().find(|(words, _)| *words == missing) {
                    Some((_, cases)) => cases.push(index),
                    None => groups.push((missing, vec![index])),
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn result(index: usize, outcome: Outcome, reason: Option<&str>) -> Result {
        Result {
            index,
            outcome,
            reason: reason.map(Into::into),
            records: Vec::new(),
            output: String::new(),
            frames: None,
            began: Duration::ZERO,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_case_that_does_not_always_do_the_same_is_flaky() {
        let mut tally = Tally::new(2);
        tally.add(result(0, Outcome::Pass, None));
        tally.add(result(0, Outcome::Fail, Some("first")));
        tally.add(result(0, Outcome::Fail, Some("second")));
        tally.add(result(1, Outcome::Pass, None));
        tally.add(result(1, Outcome::Pass, None));
        assert_eq!(tally.flaky().map(|(index, _)| index).collect::<Vec<_>>(), [0]);
        let (_, shown) = tally.bad().next().unwrap();
        assert_eq!(shown.reason.as_deref(), Some("first"), "the first of the worst is shown");
        assert_eq!((tally.count(Outcome::Pass), tally.runs()), (3, 5));
    }

    #[test]
    fn skips_are_grouped_by_what_is_missing() {
        let mut tally = Tally::new(4);
        for (index, missing) in [(0, "a"), (1, "b"), (3, "a")] {
            tally.add(result(index, Outcome::Skip, Some(missing)));
        }
        assert_eq!(tally.skipped(), [("a", vec![0, 3]), ("b", vec![1])]);
    }

    #[test]
    fn what_is_missing_is_named_once() {
        let mut tally = Tally::new(3);
        for (index, missing) in [(0, "a"), (1, "a, b"), (2, "b")] {
            tally.add(result(index, Outcome::Skip, Some(missing)));
        }
        assert_eq!(tally.missing(), ["a", "b"]);
    }
}
