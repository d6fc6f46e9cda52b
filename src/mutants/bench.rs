//! Cases given to a kernel with built modules until one notices what is wrong.
//!
//! Many at a time share a guest first, which takes a fraction of the time. One that does not end well there is given to
//! a fresh guest, and only that is a verdict: it says something of a mutant only if it passes with the same modules built
//! without an edit, which is asked once for each case. What ends in error, or cannot tell, is no kill.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hairpin_model::event::Outcome;
use hairpin_model::{CaseId, Error, Event};
use hairpin_vm::Job;
use hairpin_vm::kernels::Image;

use super::verdict::{Kill, Verdict};
use crate::guest::{Fleet, GuestArgs, Seeds, job};
use crate::run::stop::Stop;
use crate::suite::{Case, Suite};

/// How many cases share a guest. A guest of fewer is sooner done when one notices, and costs its start.
const TOGETHER: usize = 48;
/// For how many deadlines of a single case they may go on.
const TIMES: u32 = 4;
/// How many of them run at the same time: they mostly wait.
const AT_A_TIME: &str = "--test-threads=4";

/// What all guests of a run have in common.
pub(crate) struct Bench<'b> {
    /// The suite program, the first process of each guest.
    pub(crate) program: &'b Path,
    /// What it holds.
    pub(crate) suite: &'b Suite,
    /// The kernel.
    pub(crate) image: &'b Image,
    /// The user's wishes.
    pub(crate) guest: &'b GuestArgs,
    /// What random numbers are made from.
    pub(crate) seeds: &'b Seeds,
    /// How long a case may take.
    pub(crate) deadline: Duration,
    /// Whether to go on after the first case that notices.
    pub(crate) all_cases: bool,
    /// The switch that ends it all.
    pub(crate) stop: &'b Stop,
}

/// A kernel with a driver's modules rebuilt and not edited, and what each case came to on it.
pub(crate) struct Sound {
    guests: Fleet,
    seen: Mutex<BTreeMap<String, Asked>>,
}

/// What became of one case.
type Seen = (Outcome, Option<String>);
/// A case that somebody is asking, or has asked; the others wait for the answer.
type Asked = Arc<OnceLock<Result<Seen, Error>>>;

impl Sound {
    /// Boots it.
    pub(crate) fn new(bench: &Bench<'_>, modules: &[PathBuf]) -> Result<Self, Error> {
        let guests = bench.guests(modules)?;
        Ok(Self { guests, seen: Mutex::default() })
    }

    /// What the case comes to without an edit.
    fn ask(&self, bench: &Bench<'_>, case: &Case) -> Result<Seen, Error> {
        let cell = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(seen.entry(case.id.to_string()).or_default())
        };
        cell.get_or_init(|| bench.give(&self.guests, case)).clone()
    }

    /// The cases that ended badly though nothing was edited.
    pub(crate) fn bad(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = seen.iter().filter_map(|(id, cell)| Some((id, cell.get()?.as_ref().ok()?)));
        let bad = ended.filter(|(_, (outcome, _))| outcome.is_bad());
        bad.map(|(id, seen)| (id.clone(), told(seen))).collect()
    }
}

impl Bench<'_> {
    fn guests(&self, modules: &[PathBuf]) -> Result<Fleet, Error> {
        let args = self.guest.clone().with_modules(modules);
        let spec = args.spec(self.image.clone(), self.program)?;
        Fleet::prepare(&spec)
    }

    fn give(&self, guests: &Fleet, case: &Case) -> Result<Seen, Error> {
        let seed = self.seeds.next(&case.id);
        let guests = guests.of(self.suite.waits_for_minutes(case))?;
        let ended = guests.run(&Job { seed, ..job(&case.test, self.deadline) })?;
        Ok(ended.outcome())
    }

    /// Gives the cases to a mutant. `None` when the run was stopped before there was a verdict.
    pub(crate) fn judge(
        &self,
        sound: &Sound,
        modules: &[PathBuf],
        cases: &[&Case],
    ) -> Result<Option<Verdict>, Error> {
        let guests = match self.guests(modules) {
            Ok(guests) => guests,
            Err(error) => {
                let why = format!("the kernel does not come up with it: {}", error.what);
                return Ok(Some(Verdict::Error { why }));
            }
        };
        let mut tally = Tally::default();
        for some in cases.chunks(TOGETHER) {
            let suspects = self.suspects(&guests, some);
            tally.given += some.len() - suspects.len();
            for case in suspects {
                if self.stop.is_stopped() {
                    return Ok(None);
                }
                if sound.ask(self, case)?.0 != Outcome::Pass {
                    continue;
                }
                // A guest that could not be had says nothing of the driver.
                let seen = self.give(&guests, case);
                tally.add(case, seen.unwrap_or_else(|error| (Outcome::Error, Some(error.what))));
                if !tally.by.is_empty() && !self.all_cases {
                    return Ok(Some(tally.verdict()));
                }
            }
        }
        Ok(Some(tally.verdict()))
    }

    /// Those of the cases that do not end well when they share a guest, and those that it cannot run; all of them where
    /// that says nothing.
    fn suspects<'c>(&self, guests: &Fleet, cases: &[&'c Case]) -> Vec<&'c Case> {
        if cases.len() == 1 || self.stop.is_stopped() {
            return cases.to_vec();
        }
        let words = ["--exact", "--nocapture", AT_A_TIME].map(str::to_owned).into_iter();
        let args = words.chain(cases.iter().map(|case| case.test.clone()));
        let deadline = TIMES * self.deadline;
        let Ok(ended) = guests.usual().run(&Job { deadline, ..Job::new("/init", args) }) else {
            return cases.to_vec();
        };
        let records = ended.records.iter().map(|record| &record.event);
        let ended_well = ended_well(records);
        // What the kernel complained of may be the doing of any of them.
        let is_quiet = ended.evidence.is_empty();
        let is_suspect = |case: &&&Case| {
            !is_quiet || !ended_well.contains(&case.id) || self.suite.waits_for_minutes(case)
        };
        cases.iter().filter(is_suspect).copied().collect()
    }
}

/// The cases of a stream that ended, and not badly.
fn ended_well<'e>(events: impl Iterator<Item = &'e Event>) -> BTreeSet<&'e CaseId> {
    let ended = events.filter_map(|event| match event {
        Event::CaseFinished { case, outcome, .. } if !outcome.is_bad() => Some(case),
        _ => None,
    });
    ended.collect()
}

/// What the cases have said so far.
#[derive(Default)]
struct Tally {
    given: usize,
    by: Vec<Kill>,
    unsure: Option<String>,
}

impl Tally {
    fn add(&mut self, case: &Case, seen: Seen) {
        self.given += 1;
        let case = case.id.to_string();
        match seen.0 {
            Outcome::Pass | Outcome::Skip | Outcome::Known => {}
            Outcome::Error => {
                self.unsure.get_or_insert(format!("{case}: {}", told(&seen)));
            }
            Outcome::Fail | Outcome::Crash | Outcome::Hang => {
                let (how, why) = (seen.0.word(), seen.1.unwrap_or_default());
                self.by.push(Kill { case, how, why });
            }
        }
    }

    fn verdict(self) -> Verdict {
        match (self.by.is_empty(), self.unsure, self.given) {
            (false, ..) => Verdict::Killed { by: self.by },
            (true, Some(why), _) => Verdict::Error { why },
            (true, None, 0) => {
                Verdict::Error { why: "none of its cases passes without the edit".into() }
            }
            (true, None, cases) => Verdict::Survived { cases },
        }
    }
}

fn told((outcome, why): &Seen) -> String {
    match why {
        Some(why) => format!("{}: {why}", outcome.word()),
        None => outcome.word().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::testing::suite;

    fn verdict(seen: &[Outcome]) -> Verdict {
        let suite = suite();
        let mut tally = Tally::default();
        for outcome in seen {
            tally.add(&suite.cases[0], (*outcome, Some("why".into())));
        }
        tally.verdict()
    }

    #[test]
    fn who_has_not_ended_well_among_others_is_a_suspect() {
        let finished = |case: &str, outcome| Event::CaseFinished {
            case: CaseId::of_test(case),
            rule: String::new(),
            outcome,
            reason: None,
            case_us: 1,
        };
        let started = Event::CaseStarted { case: CaseId::of_test("d"), rule: String::new() };
        let events = [
            finished("a", Outcome::Pass),
            finished("b", Outcome::Skip),
            finished("c", Outcome::Fail),
            started,
        ];
        let well = ended_well(events.iter());
        assert_eq!(well, BTreeSet::from([&CaseId::of_test("a"), &CaseId::of_test("b")]));
    }

    #[test]
    fn only_what_the_kernel_did_is_a_kill() {
        use Outcome::{Crash, Error, Fail, Hang, Pass, Skip};
        let killed = |seen: &[Outcome]| match verdict(seen) {
            Verdict::Killed { by } => by[0].how,
            other => other.word(),
        };
        assert_eq!(killed(&[Pass, Fail]), "fail");
        assert_eq!(killed(&[Crash]), "crash");
        assert_eq!(killed(&[Hang]), "hang");
        assert_eq!(killed(&[Error, Fail]), "fail");
        assert_eq!(killed(&[Error, Pass]), "error");
        assert_eq!(killed(&[]), "error");
        assert_eq!(verdict(&[Pass, Skip]), Verdict::Survived { cases: 2 });
    }
}
