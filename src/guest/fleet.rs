//! The guests of one kernel: those of the run's own profile, and those in which kernel timers of minutes pass in seconds.

use std::sync::OnceLock;
use std::time::Duration;

use hairpin_model::{CaseId, Error};
use hairpin_vm::accel::Accel;
use hairpin_vm::{BootSpec, Guests, Profile};

use super::{case, rehearsal};
use crate::suite::{Case, Suite};

/// How long the suite program may take to come to where it waits for its case.
const BEFOREHAND: Duration = Duration::from_secs(60);

/// Fresh guests of one kernel.
pub(crate) struct Fleet {
    usual: Guests,
    spec: BootSpec,
    /// Booted when the first case asks for them, which few runs have.
    patient: OnceLock<Result<Guests, Error>>,
}

impl Fleet {
    /// Boots what most cases run in.
    pub(crate) fn prepare(spec: &BootSpec) -> Result<Self, Error> {
        let spec = BootSpec { beforehand: Some(case::job("", BEFOREHAND)), ..spec.clone() };
        let usual = Guests::prepare(&spec)?;
        Ok(Self { usual, spec, patient: OnceLock::new() })
    }

    /// Has a guest run a few of these cases and be copied for all of them, if they are many and it can; each is
    /// run so many times. Gives those few.
    pub(crate) fn rehearse(&mut self, suite: &Suite, cases: &[&Case], turns: usize) -> Vec<CaseId> {
        let chosen = rehearsal::chosen(suite, cases, turns);
        // Only what is translated is translated again, and a rebuilt module may spoil a kernel for all that follow.
        let is_rebuilt = self.spec.modules.iter().any(|module| module.from.is_some());
        let pays = self.usual.booted().accel.accel == Accel::Tcg && !chosen.is_empty();
        let can = pays && !is_rebuilt && self.spec.profile != Profile::Faithful;
        if can && self.usual.rehearse(&rehearsal::job(&chosen)) {
            chosen.into_iter().map(|case| case.id.clone()).collect()
        } else {
            Vec::new()
        }
    }

    /// Those of the run's own profile.
    pub(crate) fn usual(&self) -> &Guests {
        &self.usual
    }

    /// Those for a case: of a profile of their own if it waits for minutes.
    pub(crate) fn of(&self, waits_for_minutes: bool) -> Result<&Guests, Error> {
        if !waits_for_minutes || self.spec.profile == Profile::VirtualTime {
            return Ok(&self.usual);
        }
        let patient = self.patient.get_or_init(|| patient(&self.spec));
        patient.as_ref().map_err(Clone::clone)
    }
}

fn patient(spec: &BootSpec) -> Result<Guests, Error> {
    let guests = Guests::prepare(&BootSpec { profile: Profile::VirtualTime, ..spec.clone() })?;
    match guests.evidence().first() {
        None => Ok(guests),
        Some(evidence) => Err(Error::new(
            format!("the kernel complained before any case in virtual time: {evidence}"),
            spec.image.title(),
            "`hairpin run --profile virtual-time --console FILE` keeps all that it says",
        )),
    }
}
