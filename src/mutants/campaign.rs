//! A run over many mutants: drivers made ready when their first mutant comes up, a worker for each guest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use hairpin_model::Error;
use hairpin_vm::kernels::Kit;
use tempfile::TempDir;

use super::bench::{Bench, Sound};
use super::data::{Driver, Mutant};
use super::edit;
use super::table;
use super::told::Told;
use super::verdict::Verdict;
use super::workshop::Workshop;
use crate::exit::Exit;
use crate::guest;
use crate::show::{self, Out};
use crate::suite::Case;

/// What the user asked for.
pub(crate) struct Wishes<'w> {
    /// The kernel, as it was named.
    pub(crate) kernel: &'w str,
    /// One object at the end, in place of lines.
    pub(crate) json: bool,
    /// How many guests at a time.
    pub(crate) jobs: usize,
}

/// A mutant that is to be tried, its driver's place, and its cases, the likeliest to notice first.
pub(crate) struct Planned<'p> {
    /// The place of its driver.
    pub(crate) driver: usize,
    /// The mutant.
    pub(crate) mutant: &'p Mutant,
    /// Its cases.
    pub(crate) cases: Vec<&'p Case>,
}

/// A driver that has been built without an edit and boots.
struct Ready {
    workshop: Mutex<Workshop>,
    sound: Sound,
}

/// A run: its drivers, made ready when the first mutant of each comes up.
pub(crate) struct Campaign<'r> {
    wishes: Wishes<'r>,
    bench: Bench<'r>,
    kit: &'r Kit,
    drivers: Vec<(&'r Driver, OnceLock<Result<Ready, Error>>)>,
    scratch: TempDir,
    began: Instant,
}

impl<'r> Campaign<'r> {
    /// Makes the folder that all is built in.
    pub(crate) fn new(
        wishes: Wishes<'r>,
        bench: Bench<'r>,
        kit: &'r Kit,
        drivers: &'r [Driver],
    ) -> Result<Self, Error> {
        let scratch = tempfile::tempdir().map_err(|error| {
            let what = format!("there is no folder to build in: {error}");
            Error::new(what, std::env::temp_dir().display().to_string(), "set TMPDIR")
        })?;
        let drivers = drivers.iter().map(|driver| (driver, OnceLock::new())).collect();
        Ok(Self { wishes, bench, kit, drivers, scratch, began: Instant::now() })
    }

    /// Tries all, a worker for each core; each takes the next that nobody has taken.
    pub(crate) fn go(&self, planned: &[Planned<'_>]) -> Result<Exit, Error> {
        let workers = self.wishes.jobs.min(planned.len());
        let (next, told) =
            (AtomicUsize::new(0), Mutex::new(Told::new(self.wishes.json, planned.len())));
        let broken: OnceLock<Error> = OnceLock::new();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(one) = planned.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if self.bench.stop.is_stopped() || broken.get().is_some() {
                            return;
                        }
                        match self.one(one) {
                            Ok(Some(verdict)) => {
                                let at = planned.iter().position(|other| std::ptr::eq(other, one));
                                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                                told.add(at.unwrap_or_default(), one.mutant, verdict);
                            }
                            Ok(None) => return,
                            // Whoever comes second says the same.
                            Err(error) => drop(broken.set(error)),
                        }
                    }
                });
            }
        });
        let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.end(told, broken.into_inner())
    }

    /// Edits, builds, boots, asks.
    fn one(&self, planned: &Planned<'_>) -> Result<Option<Verdict>, Error> {
        let mutant = planned.mutant;
        if let Some(why) = &mutant.equivalent {
            return Ok(Some(Verdict::Equivalent { why: why.clone() }));
        }
        if let Some(series) = mutant.kernel.as_ref().filter(|name| **name != self.wishes.kernel) {
            return Ok(Some(Verdict::OtherKernel { series: series.clone() }));
        }
        let ready = self.ready(planned.driver)?;
        let to = self.scratch.path().join(&mutant.id);
        let built = {
            let workshop = ready.workshop.lock().unwrap_or_else(PoisonError::into_inner);
            let text = match edit::apply(&workshop.source(&mutant.file)?, mutant) {
                Ok(text) => text,
                Err(misfit) => return Ok(Some(misfit.into())),
            };
            workshop.build_with(&mutant.file, &text, &to)?
        };
        let verdict = match built {
            Ok(modules) => self.bench.judge(&ready.sound, &modules, &planned.cases)?,
            Err(why) => Some(Verdict::Unbuilt { why }),
        };
        // What stays behind goes with the scratch folder.
        std::fs::remove_dir_all(&to).ok();
        Ok(verdict)
    }

    fn ready(&self, at: usize) -> Result<&Ready, Error> {
        let (driver, ready) = &self.drivers[at];
        ready.get_or_init(|| self.prepare(driver)).as_ref().map_err(Clone::clone)
    }

    fn prepare(&self, driver: &Driver) -> Result<Ready, Error> {
        let at = |kind: &str| self.scratch.path().join(format!("{}.{kind}", driver.driver));
        let workshop = Workshop::new(self.kit, driver, at("build"))?;
        let modules = workshop.build(&at("sound"))?.map_err(|why| {
            let place = format!("{} of {}", driver.driver, self.bench.image.title());
            let help = "build it by hand: make -C HEADERS M=FOLDER modules";
            Error::new(format!("the driver cannot be built unedited: {why}"), place, help)
        })?;
        let sound = Sound::new(&self.bench, &modules)?;
        Ok(Ready { workshop: Mutex::new(workshop), sound })
    }

    fn end(&self, told: Told<'_>, broken: Option<Error>) -> Result<Exit, Error> {
        let rows = told.rows();
        let mut out = Out::stdout();
        if self.wishes.json {
            out.text(&table::json(&rows, self.wishes.kernel));
        } else if !rows.is_empty() {
            let span = show::span(self.began.elapsed());
            out.text(&format!("\n{}", table::summary(&rows, &self.bench.image.title(), &span)));
        }
        if let Some(error) = broken {
            return Err(error);
        }
        let mut red = false;
        for ready in self.drivers.iter().filter_map(|(_, ready)| ready.get()?.as_ref().ok()) {
            for (case, why) in ready.sound.bad() {
                red = true;
                guest::tell(&format!(
                    "{case} is not green without an edit, so it was left out: {why}"
                ));
            }
        }
        let is_bad = red || rows.iter().any(|row| row.verdict.is_bad());
        Ok(match () {
            () if is_bad => Exit::Failed,
            () if self.bench.stop.is_stopped() => Exit::Interrupted,
            () => Exit::Fine,
        })
    }
}
