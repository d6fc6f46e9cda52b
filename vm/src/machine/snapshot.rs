//! A frozen guest, from which any number of fresh ones are woken, also at once.
//!
//! The memory is a file that the frozen guest wrote and that nobody can write to any more. Each woken guest maps
//! it for itself and gets a page of its own where it writes, so waking takes no copy (QEMU's `x-ignore-shared`).

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use hairpin_model::Error;
use serde_json::{Value, json};

use super::build::Built;
use super::company::Company;
use super::drive::{self, Leaves};
use super::kept::{Card, Kept, Shelf};
use super::rehearsed::Rehearsed;
use super::{Booted, Job, Listener, Machine};
use crate::console::{Console, Evidence};
use crate::qemu::{Begin, Due, Guest, Line, Memory, Refused};
use crate::result::JobResult;

/// A frozen guest.
pub struct Snapshot {
    line: Arc<Line>,
    ram: Memory,
    state: Memory,
    booted: Booted,
    console: Console,
    due: Due,
}

impl Snapshot {
    pub(super) fn take(machine: Machine) -> Result<Self, Error> {
        let Machine { mut guest, line, ram, booted } = machine;
        let state = Memory::sized("hairpin-state", 0)?;
        freeze(&mut guest, &state).map_err(|why| cannot("frozen", &line, &why))?;
        let due = guest.due();
        let console = guest.end();
        ram.seal().map_err(|error| cannot("frozen", &line, &Refused(error.to_string())))?;
        Ok(Self { line, ram, state, booted, console, due })
    }

    /// One that an earlier run froze.
    pub(crate) fn of(kept: Kept, built: &Built, began: Instant) -> Self {
        let Kept { card, state, ram } = kept;
        let mut console = Console::default();
        console.feed(card.console.as_bytes());
        console.finish();
        let (accel, memory_mib) = (built.chosen.clone(), built.line.memory_mib);
        let took = began.elapsed();
        let booted = Booted { ready: card.ready, accel, took, memory_mib, kept: true };
        Self { line: Arc::clone(&built.line), ram, state, booted, console, due: card.due }
    }

    /// Puts it where a later run finds it.
    pub(crate) fn keep(&self, shelf: &Shelf, key: &str, notes: &[String]) -> std::io::Result<()> {
        let (ready, console) = (self.booted.ready.clone(), self.console.text());
        let card = Card::new(ready, self.due, console, notes.to_vec());
        shelf.put(key, card, (&self.state, &self.ram))
    }

    /// What is known of the guest that was frozen.
    pub fn booted(&self) -> &Booted {
        &self.booted
    }

    /// What its kernel said until then.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What of that is evidence against it.
    pub fn evidence(&self) -> &[Evidence] {
        self.console.evidence()
    }

    /// Wakes a guest and gives it its one job. An error means that no guest could be woken, not that one failed.
    pub fn run(&self, job: &Job) -> Result<JobResult, Error> {
        self.run_live(job, &mut |_, _| {})
    }

    /// As [`Snapshot::run`], with the program's output passed on as it comes.
    pub fn run_live(&self, job: &Job, listener: Listener<'_>) -> Result<JobResult, Error> {
        self.run_in(|| self.wake(), job, listener)
    }

    /// Wakes a guest that rehearses and is copied for each job from then on. `beforehand` is the job whose program waits
    /// in this one.
    pub(crate) fn rehearse(
        &self,
        rehearsal: &Job,
        beforehand: Option<&Job>,
    ) -> Result<Rehearsed, Error> {
        let rehearsed = Rehearsed::new(self.wake()?, &self.booted.ready, rehearsal, beforehand);
        rehearsed.map_err(|why| cannot("copied", &self.line, &why))
    }

    /// As [`Snapshot::run_live`], in a copy of one that has rehearsed.
    pub(crate) fn run_copy(
        &self,
        of: &Rehearsed,
        job: &Job,
        listener: Listener<'_>,
    ) -> Result<JobResult, Error> {
        let copy = || of.copy().map_err(|why| cannot("copied", &self.line, &why));
        self.run_in(copy, job, listener)
    }

    fn run_in(
        &self,
        guest: impl FnOnce() -> Result<Guest, Error>,
        job: &Job,
        listener: Listener<'_>,
    ) -> Result<JobResult, Error> {
        let begin = Instant::now();
        let guest = guest()?;
        let took = begin.elapsed();
        let company = &mut Company::of(listener);
        let mut result = drive::run(guest, &self.booted.ready, job, Leaves::AtOnce, company);
        result.timing.guest = took;
        Ok(result)
    }

    fn wake(&self) -> Result<Guest, Error> {
        let state = self.state.reopened();
        let state =
            state.map_err(|error| cannot("woken", &self.line, &Refused(error.to_string())))?;
        let mut guest = Guest::start(&self.line, Begin::Wake, &self.ram, self.due)?;
        resume(&mut guest, &state).map_err(|why| cannot("woken", &self.line, &why))?;
        Ok(guest)
    }
}

fn freeze(guest: &mut Guest, state: &Memory) -> Result<(), Refused> {
    guest.ask("stop", Value::Null)?;
    guest.announce_migrations()?;
    guest.lend("state", state)?;
    guest.ask("migrate", json!({ "uri": "fd:state" }))?;
    guest.await_migration()
}

/// Leaves the guest running. What is said to it before its state is there would be lost.
fn resume(guest: &mut Guest, state: &File) -> Result<(), Refused> {
    guest.greet()?;
    guest.announce_migrations()?;
    guest.lend("state", state)?;
    guest.ask("migrate-incoming", json!({ "uri": "fd:state" }))?;
    guest.await_migration()?;
    guest.ask("cont", Value::Null).map(drop)
}

fn cannot(what: &str, line: &Line, why: &Refused) -> Error {
    Error::new(
        format!("the guest cannot be {what}: {why}"),
        format!("kernel {}, profile {}", line.kernel.display(), line.profile.name()),
        "each job gets a boot of its own instead; a newer QEMU may help",
    )
}
