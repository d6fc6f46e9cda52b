//! What is told while a campaign runs: a live line on a terminal, and each verdict as soon as it is its turn.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use super::data::Mutant;
use super::table::Row;
use super::verdict::Verdict;
use crate::show::{self, Out};

/// What has been told so far: rows in the order of the data, as soon as all before them are known.
pub(crate) struct Told<'t> {
    quiet: bool,
    next: usize,
    rows: BTreeMap<usize, (&'t Mutant, Verdict)>,
    bar: indicatif::ProgressBar,
}

impl<'t> Told<'t> {
    /// For that many mutants; `quiet` tells nothing but how far it is.
    pub(crate) fn new(quiet: bool, all: usize) -> Self {
        let target = match std::io::stderr().is_terminal() {
            true => indicatif::ProgressDrawTarget::stderr(),
            false => indicatif::ProgressDrawTarget::hidden(),
        };
        let bar = indicatif::ProgressBar::with_draw_target(Some(all as u64), target);
        let style = indicatif::ProgressStyle::with_template(
            "{bar:20.green} {pos}/{len} {elapsed}, {eta} to go",
        );
        bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { quiet, next: 0, rows: BTreeMap::new(), bar }
    }

    /// What became of the mutant at that place.
    pub(crate) fn add(&mut self, at: usize, mutant: &'t Mutant, verdict: Verdict) {
        self.rows.insert(at, (mutant, verdict));
        self.bar.inc(1);
        while let Some((mutant, verdict)) = self.rows.get(&self.next) {
            self.next += 1;
            if !self.quiet {
                let text = Row { mutant, verdict: verdict.clone() }.text(show::width());
                self.bar.suspend(|| Out::stdout().text(&text));
            }
        }
    }

    /// All of them, in their order.
    pub(crate) fn rows(self) -> Vec<Row<'t>> {
        self.bar.finish_and_clear();
        self.rows.into_values().map(|(mutant, verdict)| Row { mutant, verdict }).collect()
    }
}
