//! One kernel of the matrix: booted, given every case, written to its event file.

use std::collections::BTreeMap;
use std::num::NonZero;

use hairpin_model::event::Outcome;
use hairpin_model::{Error, Event, event};
use hairpin_vm::kernels::{Image, Store};
use hairpin_vm::{Machine, Profile};

use super::{Cell, Matrix, earlier, paragraph};
use crate::guest::{self, Fleet, GuestArgs, Seeds, Ward};
use crate::run::schedule::{self, News, Options, Place, Result as CaseResult};
use crate::show::{self, STRONG, paint};
use crate::stream::{Stream, micros};
use crate::suite::Case;

/// A kernel that is to be run.
pub(super) struct Kernel<'k> {
    pub(super) name: &'k str,
    pub(super) store: &'k Store,
    pub(super) jobs: NonZero<usize>,
    pub(super) guest: GuestArgs,
}

/// Told of each case when it has its first end.
type Told<'t> = dyn Fn(&Case, &Cell) + 't;

/// What became of a kernel.
pub(super) struct Column {
    /// As it was asked for.
    pub(super) name: String,
    /// What became of its cases, by their ids.
    pub(super) cells: BTreeMap<String, Cell>,
    guest: Option<event::Guest>,
    /// Why there is no kernel to be had, or why it could not be run to the end.
    unavailable: Option<Error>,
    broken: Option<Error>,
    /// Whether the kernel complained before any case was given to it; a note tells of what.
    complained: bool,
    /// What the plain machine came to, with no short cuts.
    faithful: Option<std::result::Result<String, String>>,
}

impl Column {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            cells: BTreeMap::new(),
            guest: None,
            unavailable: None,
            broken: None,
            complained: false,
            faithful: None,
        }
    }

    /// Whether any case was given to it.
    pub(super) fn has_run(&self) -> bool {
        !self.cells.is_empty()
    }

    /// Whether it could not be run as it should, whatever its cases came to.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some() || self.complained || matches!(self.faithful, Some(Err(_)))
    }

    /// Whether it fails the run. A kernel that is not to be had does not.
    pub(super) fn is_bad(&self) -> bool {
        self.is_broken() || self.cells.values().any(Cell::is_bad)
    }

    /// What the reader should know before the table.
    pub(super) fn notes(&self) -> String {
        let mut out = String::new();
        if let Some(error) = &self.unavailable {
            out.push_str(&paragraph(&format!("{} is not to be had: {error}", self.name)));
        }
        if let Some(error) = &self.broken {
            out.push_str(&paragraph(&format!(
                "{} could not be run to the end: {error}",
                self.name
            )));
        }
        for note in self.guest.iter().flat_map(|guest| &guest.notes) {
            out.push_str(&paragraph(&format!("{}: {note}", self.name)));
        }
        if let Some(Err(why)) = &self.faithful {
            out.push_str(&paragraph(&format!("{} on a plain machine: {why}", self.name)));
        }
        out
    }

    /// One line: how many cells of each word, and on what.
    pub(super) fn summary(&self) -> String {
        let Some(guest) = &self.guest else { return String::new() };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for cell in self.cells.values() {
            *counts.entry(cell.word()).or_default() += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
        let faithful = match &self.faithful {
            Some(Ok(what)) => format!("; plain machine: {what}"),
            _ => String::new(),
        };
        paragraph(&format!(
            "{}: {} on {} ({}, {} MiB, seed {}){faithful}",
            paint(STRONG, &self.name),
            counts.join(", "),
            guest.title,
            guest.accel.split(' ').next().unwrap_or_default(),
            guest.memory_mib,
            guest.seed.unwrap_or_default(),
        ))
    }

    /// Adds what a turn of a case came to.
    fn turn(&mut self, case: &Case, outcome: Outcome, reason: Option<String>) -> Cell {
        let cell = match self.cells.remove(case.id.as_str()) {
            Some(before) => before.again(outcome, reason),
            None => Cell::new(outcome, reason),
        };
        self.add(case, cell)
    }

    fn is_unsure(&self, case: &Case) -> bool {
        self.cells.get(case.id.as_str()).is_some_and(Cell::is_unsure)
    }

    fn add(&mut self, case: &Case, cell: Cell) -> Cell {
        self.cells.insert(case.id.to_string(), cell.clone());
        cell
    }
}

/// Runs one kernel. What goes wrong is told in the column and stops no other.
pub(super) fn run(matrix: &Matrix<'_>, kernel: &Kernel<'_>, told: &Told<'_>) -> Column {
    let mut column = Column::new(kernel.name);
    let image = match kernel.guest.image(kernel.store, kernel.name) {
        Ok(image) => image,
        Err(error) => {
            column.unavailable = Some(error);
            return column;
        }
    };
    if let Err(error) = fill(matrix, kernel, image, &mut column, told) {
        column.broken = Some(error);
    }
    column
}

fn fill(
    matrix: &Matrix<'_>,
    kernel: &Kernel<'_>,
    image: Image,
    column: &mut Column,
    told: &Told<'_>,
) -> std::result::Result<(), Error> {
    let file = matrix.out.join(format!("{}.jsonl", kernel.name));
    let kept = earlier::kept(&file, &image.title())?.unwrap_or_default();
    let mut left: Vec<&Case> = Vec::new();
    for case in matrix.cases {
        match kept.case(case.id.as_str()) {
            Some(done) => told(case, &column.add(case, Cell::of(done))),
            None => left.push(case),
        }
    }
    matrix.times.sort(&mut left);
    column.guest.clone_from(&kept.guest);
    if left.is_empty() && kept.is_whole {
        return Ok(());
    }
    let mut spec = kernel.guest.spec(image, &matrix.suite.program)?;
    spec.shelf = Some(kernel.store.shelf());
    let mut guests = Fleet::prepare(&spec)?;
    // What is gone on with keeps its seed, which its file tells.
    let kept_seed = kept.guest.as_ref().and_then(|guest| guest.seed);
    let seeds = Seeds::new(Some(kept_seed.unwrap_or(matrix.seed)));
    let rehearsed =
        if matrix.args.pristine { Vec::new() } else { guests.rehearse(matrix.suite, &left, 1) };
    let entry = guest::entry((kernel.name, &kernel.guest), &spec, guests.usual(), &seeds);
    let entry = event::Guest { rehearsed, ..entry };
    let mut stream = Stream::create_beside(&file)?;
    kept.records.iter().try_for_each(|record| stream.record(record))?;
    // Only now does it take the place of what an earlier start left.
    stream.settle(&file)?;
    if kept.guest.is_none() {
        let (program, release) = (
            matrix.suite.program.display().to_string(),
            guests.usual().booted().ready.release.clone(),
        );
        stream.event(Event::Catalogue { rules: matrix.suite.rules.clone() })?;
        let guest = Some(entry.clone());
        stream.event(Event::RunStarted {
            program,
            kernel: release,
            cases: matrix.cases.len(),
            guest,
        })?;
    }
    column.guest = Some(entry);
    column.complained = !guests.usual().evidence().is_empty();
    let consoles = matrix.out.join("consoles").join(kernel.name);
    let ward = Ward { guests: &guests, seeds: &seeds, consoles };
    give(matrix, kernel, &ward, &left, &mut stream, column, told)?;
    // Once more what failed: what passes then is told as flaky, and is no pass.
    let unsure: Vec<&Case> = matrix.cases.iter().copied().filter(|c| column.is_unsure(c)).collect();
    give(matrix, kernel, &ward, &unsure, &mut stream, column, &|_, _| {})?;
    if matrix.stop.is_stopped() {
        return Ok(());
    }
    let quick = matrix.cases.iter().find(|case| !matrix.suite.waits_for_minutes(case));
    let plain = faithful(matrix, kernel, &spec, quick.unwrap_or(&matrix.cases[0]));
    let is_fine = plain.is_ok();
    column.faithful = Some(plain);
    if !is_fine {
        // Without its end the run asks the plain machine again when it is gone on with.
        return Ok(());
    }
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    for cell in column.cells.values() {
        *counts.entry(cell.outcome).or_default() += 1;
    }
    let run_us = micros(matrix.began.elapsed());
    stream.event(Event::RunFinished { counts: counts.into_iter().collect(), run_us })
}

/// Gives the cases to the guests.
fn give(
    matrix: &Matrix<'_>,
    kernel: &Kernel<'_>,
    ward: &Ward<'_>,
    cases: &[&Case],
    stream: &mut Stream,
    column: &mut Column,
    told: &Told<'_>,
) -> std::result::Result<(), Error> {
    let once = NonZero::<usize>::MIN;
    let options =
        Options { jobs: kernel.jobs, deadline: matrix.args.deadline, repeat: once, keep: false };
    let mut broken = None;
    let mut take = |result: CaseResult| {
        let case = cases[result.index];
        stream.case(matrix.suite, case, &result)?;
        matrix.times.took(case, result.took);
        told(case, &column.turn(case, result.outcome, result.reason));
        Ok(())
    };
    schedule::run(matrix.suite, cases, &options, Place::Guests(ward), matrix.stop, |news| {
        let ended = match news {
            News::Finished(_, Some(result)) => take(result),
            // The scheduler gives this kernel no more cases; the others go on.
            News::Broken(error) => {
                broken.get_or_insert(error);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = ended {
            // A disk that is full is full for all kernels.
            matrix.stop.stop();
            broken.get_or_insert(error);
        }
    });
    broken.map_or(Ok(()), Err)
}

/// One case on a machine as it comes: bzImage, ACPI, no command-line tricks. A short cut of ours
/// that hides a defect, or makes one, shows here.
fn faithful(
    matrix: &Matrix<'_>,
    kernel: &Kernel<'_>,
    spec: &hairpin_vm::BootSpec,
    case: &Case,
) -> std::result::Result<String, String> {
    let mut spec = spec.clone();
    spec.profile = Profile::Faithful;
    let machine = Machine::boot(&spec).map_err(|failure| failure.error.to_string())?;
    let took = show::span(machine.booted().took);
    if let Some(evidence) = machine.evidence().first() {
        return Err(format!("the kernel complained at boot: {evidence}"));
    }
    let ended = machine.run(&guest::job(&case.test, matrix.args.deadline));
    let file = matrix.out.join("consoles").join(kernel.name).join("faithful.txt");
    match ended.outcome() {
        (outcome, reason) if outcome.is_bad() => {
            guest::keep(&ended.console, &file).map_err(|error| error.to_string())?;
            let reason = reason.unwrap_or_default();
            Err(format!("{} {}: {reason}; console: {}", case.id, outcome.word(), file.display()))
        }
        (outcome, _) => Ok(format!("{}, booted in {took}", outcome.word())),
    }
}
