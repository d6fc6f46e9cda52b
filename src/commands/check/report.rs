//! What `hairpin check` tells, while cases run and after.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use hairpin_model::event::Outcome;
use hairpin_model::{Error, Event, event};

use super::{Args, Guest};
use crate::captures::Captures;
use crate::exit::Exit;
use crate::machine;
use crate::machine::remedy::Modules;
use crate::run::schedule::{News, Result as CaseResult};
use crate::run::stop::Stop;
use crate::show::area::{self, Area, areas};
use crate::show::ending;
use crate::show::progress::Progress;
use crate::show::story::Telling;
use crate::show::{STRONG, count, paint, width, wrap};
use crate::stream::{Stream, micros};
use crate::suite::locate::source_tree;
use crate::suite::{Case, Suite};
use crate::tally::Tally;

/// The report of a run, as far as it has come.
pub(super) struct Report<'a> {
    args: &'a Args,
    suite: &'a Suite,
    cases: &'a [&'a Case],
    telling: Telling<'a>,
    /// Whether passing cases are told in full too.
    in_full: bool,
    tally: Tally,
    /// The areas that are not told yet.
    areas: std::collections::VecDeque<Area<'a>>,
    symbols: BTreeSet<char>,
    progress: Progress,
    stream: Option<Stream>,
    captures: Captures,
    kernel: String,
    began: Instant,
    /// The case whose failure has been told already, because its lab was kept.
    kept: Option<usize>,
    broken: Option<Error>,
    /// Whether the guest's kernel complained before any case was given to it.
    complained: bool,
    is_guest: bool,
}

impl<'a> Report<'a> {
    /// The report of a run that begins now.
    pub(super) fn new(
        args: &'a Args,
        suite: &'a Suite,
        cases: &'a [&'a Case],
        (stream, captures): (Option<Stream>, Captures),
        guest: Option<&Guest>,
    ) -> Result<Self, Error> {
        let runs = cases.len() * args.repeat.get();
        let one_rule = cases.iter().all(|case| case.rule == cases[0].rule);
        let kernel = guest.map_or_else(machine::kernel, |guest| {
            guest.guests.usual().booted().ready.release.clone()
        });
        let telling = Telling {
            suite,
            width: width(),
            command: args.command(),
            verbose: args.verbose,
            journeys: args.journeys,
        };
        let live = std::io::stderr().is_terminal() && !args.keep;
        let mut report = Self {
            args,
            suite,
            cases,
            telling,
            in_full: args.verbose
                || args.journeys
                || (!args.filters.is_empty() && one_rule && !args.quiet),
            tally: Tally::new(cases.len()),
            areas: areas(cases).into(),
            symbols: BTreeSet::new(),
            progress: Progress::new(runs, live),
            stream,
            captures,
            kernel: kernel.clone(),
            began: Instant::now(),
            kept: None,
            broken: None,
            complained: guest.is_some_and(|guest| !guest.guests.usual().evidence().is_empty()),
            is_guest: guest.is_some(),
        };
        let program = suite.program.display().to_string();
        report.write(Event::Catalogue { rules: suite.rules.clone() })?;
        let entry = guest.map(|guest| guest.entry.clone());
        if let Some(entry) = &entry {
            report.introduce(entry);
        }
        report.write(Event::RunStarted { program, kernel, cases: runs, guest: entry })?;
        Ok(report)
    }

    /// Tells which kernel this is, and on what.
    fn introduce(&mut self, guest: &event::Guest) {
        let had_run = match guest.rehearsed.len() {
            0 => String::new(),
            cases => format!(" from one that had run {cases} of them"),
        };
        let boot = Duration::from_millis(guest.boot_ms);
        let ready = if guest.kept { "kept by an earlier run, ready" } else { "booted" };
        let line = format!(
            "{} in guests of {} MiB, {} for each case{had_run}; {ready} in {:.1} s; profile {}; seed {}; {}",
            guest.title,
            guest.memory_mib,
            guest.how(),
            boot.as_secs_f32(),
            guest.profile,
            guest.seed.unwrap_or_default(),
            guest.accel
        );
        let mut text = wrap(&line, self.telling.width).join("\n") + "\n";
        for note in &guest.notes {
            text.push_str(&(wrap(&format!("note: {note}"), self.telling.width).join("\n") + "\n"));
        }
        if !self.args.quiet || self.complained {
            self.progress.print(&(text + "\n"));
        }
    }

    fn write(&mut self, event: Event) -> Result<(), Error> {
        self.stream.as_mut().map_or(Ok(()), |stream| stream.event(event))
    }

    /// Takes in what happened. What breaks the run turns the switch.
    pub(super) fn hear(&mut self, news: News, stop: &Stop) {
        match news {
            News::Started(index) => {
                self.progress.started(index, self.cases[index].id.to_string());
            }
            News::Waiting => self.progress.refresh(),
            News::Kept(result, answer) => {
                self.kept = Some(result.index);
                let story = self.telling.story(self.cases[result.index], &result);
                let kept = "its lab is alive; end it with Ctrl-C";
                self.progress.print(&format!("{story}\n{}\n", paint(STRONG, kept)));
                // The case may have died meanwhile; then nobody waits for the answer.
                answer.send(()).ok();
            }
            News::Finished(index, result) => {
                let bad = result.as_ref().is_some_and(|result| result.outcome.is_bad());
                self.progress.finished(index, bad);
                if let Some(result) = result
                    && let Err(error) = self.take(result)
                {
                    self.broken.get_or_insert(error);
                    stop.stop();
                }
            }
            News::Broken(error) => {
                self.broken.get_or_insert(error);
            }
        }
    }

    /// Takes in a result; tells the areas that are complete with it, in order.
    fn take(&mut self, mut result: CaseResult) -> Result<(), Error> {
        let case = self.cases[result.index];
        let captured = self.captures.take(case, &result).map(|told| result.frames = told);
        let written = match &mut self.stream {
            Some(stream) => stream.case(self.suite, case, &result),
            None => Ok(()),
        };
        self.tally.add(result);
        while let Some(area) = self.areas.pop_front_if(|area| {
            let repeat = self.args.repeat.get();
            area.cases.iter().all(|(index, _)| self.tally.of(*index).runs() == repeat)
        }) {
            self.tell(&area);
        }
        written.and(captured)
    }

    /// Tells an area.
    fn tell(&mut self, area: &Area<'_>) {
        if self.args.quiet {
            return;
        }
        let mut text =
            area.text(&self.telling, &self.tally, !self.in_full, &mut self.symbols) + "\n";
        if self.in_full {
            let told = area
                .cases
                .iter()
                .filter_map(|(index, case)| Some((*case, self.tally.of(*index).shown.as_ref()?)));
            for (case, result) in told.filter(|(_, result)| !result.outcome.is_bad()) {
                text.push_str(&self.telling.story(case, result));
                text.push('\n');
            }
        }
        self.progress.print(&text);
    }

    /// Tells the rest: what is not told yet, then failures, skips and the summary.
    pub(super) fn end(mut self, stop: &Stop) -> Result<Exit, Error> {
        self.progress.clear();
        let took = self.began.elapsed();
        let written = self.write(Event::RunFinished {
            counts: self.tally.counts().into_iter().filter(|(_, n)| *n > 0).collect(),
            run_us: micros(took),
        });
        self.tell_open_areas();
        self.tell_failures();
        self.tell_skips();
        let exit = self.exit(stop);
        self.progress.print(&self.last_words(exit));
        let runs = self.cases.len() * self.args.repeat.get();
        self.progress.print(&ending::summary(&self.tally, runs, took, &self.kernel));
        match self.broken {
            Some(error) => Err(error),
            None => written.map(|()| exit),
        }
    }

    /// The areas that a run which was cut short left open, as far as they have come; and what the
    /// symbols in all areas mean.
    fn tell_open_areas(&mut self) {
        while let Some(area) = self.areas.pop_front() {
            if area.cases.iter().any(|(index, _)| self.tally.of(*index).runs() > 0) {
                self.tell(&area);
            }
        }
        if !self.args.quiet {
            self.progress.print(&area::legend(&self.symbols));
        }
    }

    fn tell_failures(&mut self) {
        for (index, result) in self.tally.bad().filter(|(index, _)| Some(*index) != self.kept) {
            let story = self.telling.story(self.cases[index], result);
            self.progress.print(&(story + "\n"));
        }
        self.progress.print(&ending::flakes(&self.tally, self.cases));
    }

    fn tell_skips(&mut self) {
        if self.args.quiet && self.args.strict.is_none() {
            return;
        }
        self.progress.print(&ending::known(&self.tally, self.cases, self.telling.width));
        // What helps on this machine helps no guest.
        let modules = (!self.is_guest).then(Modules::of_this_kernel);
        let remedy = |missing: &str| modules.as_ref().and_then(|modules| modules.remedy(missing));
        let width = self.telling.width;
        self.progress.print(&ending::skips(&self.tally, self.cases, width, remedy));
    }

    /// How the run ends.
    fn exit(&self, stop: &Stop) -> Exit {
        let skipped = self.tally.count(Outcome::Skip);
        if stop.is_stopped() && self.kept.is_none() {
            Exit::Interrupted
        } else if self.tally.bad().next().is_some()
            || self.tally.flaky().next().is_some()
            || !self.forbidden().is_empty()
            || self.complained
        {
            Exit::Failed
        } else if skipped == self.tally.runs() {
            Exit::NothingRan
        } else {
            Exit::Fine
        }
    }

    /// The skipped cases that `--strict` does not allow.
    fn forbidden(&self) -> Vec<&Case> {
        let skipped = self.tally.skipped().into_iter().flat_map(|(_, cases)| cases);
        let cases = skipped.map(|index| self.cases[index]);
        cases.filter(|case| self.args.forbids_skip(&self.suite.rule_of(case).article)).collect()
    }

    /// Why the run ends as it does, where the counts alone do not say it.
    fn last_words(&self, exit: Exit) -> String {
        let words = match exit {
            Exit::Interrupted => "interrupted; what had finished stands above".to_owned(),
            Exit::NothingRan => "nothing was checked: every case was skipped".to_owned(),
            Exit::Failed => match self.forbidden().as_slice() {
                [] => return String::new(),
                cases => {
                    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
                    let n = count(cases.len(), "skipped case");
                    format!("--strict does not allow {n}: {}", ids.join(" "))
                }
            },
            Exit::Fine
            | Exit::CouldNotRun
            | Exit::CannotTell
            | Exit::Disagrees
            | Exit::Program(_) => {
                return String::new();
            }
        };
        wrap(&words, self.telling.width).join("\n") + "\n"
    }
}

impl Args {
    /// What a reader types to run some of these cases again.
    fn command(&self) -> String {
        let ours = match (std::env::var_os("CARGO_MANIFEST_DIR"), source_tree()) {
            (Some(package), Some(root)) if root == *package => {
                let release = if cfg!(debug_assertions) { "" } else { "--release " };
                format!("cargo run {release}-- check")
            }
            _ => "hairpin check".into(),
        };
        let ours = match &self.kernel {
            Some(kernel) => format!("{ours} --kernel {kernel}{}", self.guest.words()),
            None => ours,
        };
        match &self.suite.suite {
            Some(program) => format!("{ours} --suite {}", program.display()),
            None => ours,
        }
    }
}
