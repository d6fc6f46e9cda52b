//! A fresh guest for every job, however that can be had: woken from a frozen one, or else booted.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::console::Evidence;
use crate::machine::build::Built;
use crate::machine::kept::{self, Kept};
use crate::machine::rehearsed::Rehearsed;
use crate::machine::{BootFailure, BootSpec, Booted, Job, Listener, Machine, Shelf, Snapshot};
use crate::program::Program;
use crate::result::JobResult;

/// Where a program that is not the init lies in a guest.
const PROGRAM: &str = "/hairpin/program";

/// Fresh guests of one kind.
pub struct Guests {
    built: Built,
    booted: Booted,
    evidence: Vec<Evidence>,
    beforehand: Option<Job>,
    snapshot: Option<Snapshot>,
    /// What jobs get copies of, once there is one.
    rehearsed: Option<Rehearsed>,
    notes: Mutex<Vec<String>>,
    /// Where its frozen guest was found.
    found: Option<(Shelf, String)>,
}

impl Guests {
    /// Boots one guest and freezes it, or finds one that an earlier run froze. If it cannot be frozen, every job will have a boot of its own, and
    /// [`Guests::notes`] says so.
    pub fn prepare(spec: &BootSpec) -> Result<Self, BootFailure> {
        let built = Built::new(spec)?;
        let key = kept::key(&built.line, spec.beforehand.as_ref());
        let place = spec.shelf.clone().zip(key);
        let began = Instant::now();
        if let Some((shelf, key)) = place.clone()
            && let Some(kept) = shelf.find(&key)
        {
            return Ok(Self::of(kept, built, spec, began, (shelf, key)));
        }
        let mut machine = Machine::boot_built(&built)?;
        let mut notes = Vec::new();
        if let Some(job) = &spec.beforehand
            && !machine.prepare(job)?
        {
            notes.push(format!("`{}` is started anew for each job", job.program));
        }
        let booted = machine.booted().clone();
        let evidence = machine.evidence().to_vec();
        let snapshot = machine.snapshot();
        notes.extend(snapshot.as_ref().err().map(|error| error.what.clone()));
        let snapshot = snapshot.ok();
        if let (Some(snapshot), Some((shelf, key))) = (&snapshot, place)
            && let Err(error) = snapshot.keep(&shelf, &key, &notes)
        {
            notes.push(format!("the frozen guest is not kept for later runs: {error}"));
        }
        Ok(Self {
            built,
            booted,
            evidence,
            beforehand: spec.beforehand.clone(),
            snapshot,
            rehearsed: None,
            notes: Mutex::new(notes),
            found: None,
        })
    }

    fn of(
        kept: Kept,
        built: Built,
        spec: &BootSpec,
        began: Instant,
        found: (Shelf, String),
    ) -> Self {
        let notes = Mutex::new(kept.card.notes.clone());
        let snapshot = Snapshot::of(kept, &built, began);
        let (booted, evidence) = (snapshot.booted().clone(), snapshot.evidence().to_vec());
        Self {
            built,
            booted,
            evidence,
            beforehand: spec.beforehand.clone(),
            snapshot: Some(snapshot),
            rehearsed: None,
            notes,
            found: Some(found),
        }
    }

    /// Has one guest run `rehearsal` and gives copies of it to all jobs from then on, which spares them most of what
    /// translating a guest's code costs. Where that cannot be, jobs get guests as before, and [`Guests::notes`] says why.
    /// Says whether it can be.
    pub fn rehearse(&mut self, rehearsal: &Job) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        match snapshot.rehearse(rehearsal, self.beforehand.as_ref()) {
            Ok(rehearsed) => self.rehearsed = Some(rehearsed),
            Err(error) => self.note(error.what),
        }
        self.rehearsed.is_some()
    }

    /// What is known of all of them: release, accelerator, memory, time to boot.
    pub fn booted(&self) -> &Booted {
        &self.booted
    }

    /// What the kernel complained of before any job.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// What the reader of a report should know, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        let own = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        self.booted.ready.notes.iter().chain(own.iter()).cloned().collect()
    }

    /// Whether guests are woken, and not booted for each job.
    pub fn are_woken(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Gives a job to a fresh guest. May be called from several threads at once.
    pub fn run(&self, job: &Job) -> Result<JobResult, BootFailure> {
        self.run_live(job, &mut |_, _| {})
    }

    /// As [`Guests::run`], with the program's output passed on as it comes.
    pub fn run_live(&self, job: &Job, listener: Listener<'_>) -> Result<JobResult, BootFailure> {
        if let (Some(snapshot), Some(rehearsed)) = (&self.snapshot, &self.rehearsed) {
            match snapshot.run_copy(rehearsed, job, listener) {
                Ok(result) => return Ok(result),
                Err(error) => self.note(error.what),
            }
        }
        let why = match &self.snapshot {
            Some(snapshot) => match snapshot.run_live(job, listener) {
                Ok(result) => return Ok(result),
                Err(error) => {
                    // What a later run would find is no better.
                    if let Some((shelf, key)) = &self.found {
                        shelf.forget(key);
                    }
                    Some(error.what)
                }
            },
            None => None,
        };
        let mut result = Machine::boot_built(&self.built)?.run_live(job, listener);
        if let Some(why) = why {
            result.notes.push(why.clone());
            self.note(why);
        }
        result.notes.push("run in a guest that was booted for it".into());
        Ok(result)
    }

    fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// Runs one program of this machine in a guest of its own, and passes its output on as it comes.
///
/// The guest's init, its modules and all else come from `spec`; the program is added to it, with its libraries,
/// and the job's `program` is set here.
pub fn run_program(
    mut spec: BootSpec,
    program: &Path,
    job: &Job,
    listener: Listener<'_>,
) -> Result<JobResult, BootFailure> {
    spec.programs.push(Program::read(program, PROGRAM)?);
    let job = Job { program: PROGRAM.into(), ..job.clone() };
    Ok(Machine::boot(&spec)?.run_live(&job, listener))
}
