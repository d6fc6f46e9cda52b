//! The live line on a terminal: how far, what is running, and for how long.
//!
//! Drawn on stderr, and only where that is a terminal; whatever else is printed meanwhile goes
//! through [`Progress::print`], so that the two never mix.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::show::Out;

/// A case that runs longer than this is named with its time.
const LONG: Duration = Duration::from_secs(2);

/// The live line.
pub(crate) struct Progress {
    bar: ProgressBar,
    out: Out,
    /// The cases that run, oldest first.
    running: Vec<(usize, String, Instant)>,
    bad: usize,
}

impl Progress {
    /// A line for that many runs; none if it is not wanted or stderr is no terminal.
    pub(crate) fn new(runs: usize, wanted: bool) -> Self {
        let target =
            if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(runs as u64), target);
        let style = ProgressStyle::with_template("{bar:20.green} {pos}/{len} {wide_msg}")
            .expect("the template is a constant")
            .progress_chars("=> ");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, out: Out::stdout(), running: Vec::new(), bad: 0 }
    }

    /// A case has begun.
    pub(crate) fn started(&mut self, index: usize, name: String) {
        self.running.push((index, name, Instant::now()));
        self.refresh();
    }

    /// A run of a case is over.
    pub(crate) fn finished(&mut self, index: usize, bad: bool) {
        if let Some(at) = self.running.iter().position(|(i, _, _)| *i == index) {
            self.running.remove(at);
        }
        self.bad += usize::from(bad);
        self.bar.inc(1);
        self.refresh();
    }

    /// Says again what runs. To be called now and then, for the times to move on.
    pub(crate) fn refresh(&self) {
        let mut words = Vec::new();
        if self.bad > 0 {
            words.push(format!("{} bad", self.bad));
        }
        if let Some((_, name, since)) = self.running.first() {
            let time = since.elapsed();
            let others = self.running.len() - 1;
            let mut text = name.clone();
            if time > LONG {
                text.push_str(&format!(" for {} s", time.as_secs()));
            }
            if others > 0 {
                text.push_str(&format!(", {others} more"));
            }
            words.push(text);
        }
        self.bar.set_message(words.join("  "));
    }

    /// Prints on stdout, above the line.
    pub(crate) fn print(&mut self, text: &str) {
        let out = &mut self.out;
        self.bar.suspend(|| out.text(text));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
