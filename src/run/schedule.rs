//! Many cases at once: a thread and a process for each, so many at a time.
//!
//! A case gives up its place when it has told its result: what is left then, mostly the kernel
//! taking its namespaces apart, needs no processor of ours. The thread stays until the process is
//! reaped, because the process is tied to the thread's life.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use hairpin_model::event::Outcome;
use hairpin_model::{Error, Event, Record};

use crate::guest::Ward;
use crate::run::judge::judge;
use crate::run::process::{self, End, Job};
use crate::run::slots::{Slot, Slots};
use crate::run::stop::Stop;
use crate::suite::needs::Needs;
use crate::suite::{Case, Suite};

/// Where cases are run.
#[derive(Clone, Copy)]
pub(crate) enum Place<'g> {
    /// On this kernel, of which that is known, each a process.
    Here(&'g Needs),
    /// On another, each in a guest of its own.
    Guests(&'g Ward<'g>),
}

/// How cases are run.
#[derive(Clone)]
pub(crate) struct Options {
    /// How many at a time.
    pub(crate) jobs: NonZero<usize>,
    /// For a result, and after it for the process's end.
    pub(crate) deadline: Duration,
    /// How often every case is run.
    pub(crate) repeat: NonZero<usize>,
    /// Stop at the first failure, with its lab alive.
    pub(crate) keep: bool,
}

/// What became of one run of one case.
#[derive(Clone, Debug)]
pub(crate) struct Result {
    /// The place of the case among those that were to run.
    pub(crate) index: usize,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Why, for all but a pass.
    pub(crate) reason: Option<String>,
    /// What it told.
    pub(crate) records: Vec<Record>,
    /// The end of what it printed.
    pub(crate) output: String,
    /// Where its frames are kept, or why they are not.
    pub(crate) frames: Option<String>,
    /// When it began, from the beginning of the run.
    pub(crate) began: Duration,
    /// From its beginning to its result.
    pub(crate) took: Duration,
}

/// How long nothing is told before that is told.
const WAITING: Duration = Duration::from_millis(500);

/// What is told while cases run.
pub(crate) enum News {
    /// A case has begun.
    Started(usize),
    /// A case has failed and its lab is kept alive; the case goes on once this is answered.
    Kept(Result, SyncSender<()>),
    /// A case is over: its result, or none if the run was stopped before it had one.
    Finished(usize, Option<Result>),
    /// Nothing has happened for a while.
    Waiting,
    /// A case could not be run for a reason that holds for all.
    Broken(Error),
}

/// Runs the cases and tells `on` what happens, on the caller's thread. Ends when all processes
/// have been reaped; after [`Stop::stop`] it starts no more and kills those that run.
pub(crate) fn run(
    suite: &Suite,
    cases: &[&Case],
    options: &Options,
    place: Place<'_>,
    stop: &Stop,
    mut on: impl FnMut(News),
) {
    let (news, told): (Sender<News>, Receiver<News>) = channel();
    let shared = Shared {
        suite,
        options,
        place,
        stop,
        halted: AtomicBool::new(false),
        began: Instant::now(),
    };
    thread::scope(|scope| {
        let shared = &shared;
        scope.spawn(move || {
            let running = Slots::new(options.jobs.get());
            // Ends may pile up behind results, but not without limit.
            let alive = Slots::new(options.jobs.get().saturating_mul(4));
            let all = (0..options.repeat.get()).flat_map(|_| cases.iter().enumerate());
            for (index, case) in all {
                let slots = (alive.take(), running.take());
                if shared.is_over() {
                    return;
                }
                let news = news.clone();
                scope.spawn(move || match shared.place {
                    Place::Here(needs) => one(shared, needs, (index, case), slots, &news),
                    Place::Guests(ward) => in_guest(shared, ward, (index, case), slots, &news),
                });
            }
        });
        loop {
            match told.recv_timeout(WAITING) {
                Ok(item) => on(item),
                Err(RecvTimeoutError::Timeout) => on(News::Waiting),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
}

/// What all threads of a run see.
struct Shared<'a> {
    suite: &'a Suite,
    options: &'a Options,
    place: Place<'a>,
    stop: &'a Stop,
    /// No more cases are to be started.
    halted: AtomicBool,
    began: Instant,
}

impl Shared<'_> {
    fn is_over(&self) -> bool {
        self.stop.is_stopped() || self.halted.load(Ordering::SeqCst)
    }
}

/// Runs one case to the end of its process; one whose needs are known to be missing has none.
fn one(
    shared: &Shared<'_>,
    needs: &Needs,
    (index, case): (usize, &Case),
    slots: (Slot, Slot),
    news: &Sender<News>,
) {
    // The receiver lives as long as this scope, so nothing sent is lost.
    let tell = |item| news.send(item).expect("the receiver outlives the threads");
    let (alive, running) = slots;
    let mut running = Some(running);
    let began = shared.began.elapsed();
    tell(News::Started(index));
    let lacking = needs.lacking(&shared.suite.rule_of(case).needs);
    if !lacking.is_empty() {
        tell(News::Finished(index, Some(skipped(index, &lacking, began))));
        return;
    }
    let args = ["--exact", &case.test, "--nocapture"].map(str::to_owned).to_vec();
    let mut job = Job::new(&shared.suite.program, args, shared.options.deadline);
    job.met = needs.met();
    job.keep = shared.options.keep;
    let mut shown = false;
    let ended = process::run(&job, shared.stop, &mut |records, kept| {
        // A kept lab keeps the place too: nothing else is to run beside it.
        if has_result(records) && !job.keep {
            running = None;
        }
        if kept && !shown {
            shown = true;
            let (answer, answered) = sync_channel(0);
            tell(News::Kept(so_far(index, records, began, shared.began.elapsed()), answer));
            // An answer, or nobody left to give one: either way we go on.
            answered.recv().ok();
        }
    });
    let item = match ended {
        Err(error) => {
            shared.halted.store(true, Ordering::SeqCst);
            News::Broken(error)
        }
        Ok(ended) => {
            let result = judge(&ended).map(|(outcome, reason)| Result {
                index,
                outcome,
                reason,
                records: ended.records,
                output: ended.output,
                frames: None,
                began,
                took: ended.took,
            });
            let bad = result.as_ref().is_some_and(|result| result.outcome.is_bad());
            if shared.options.keep && (bad || ended.end == End::Stopped) {
                shared.halted.store(true, Ordering::SeqCst);
            }
            News::Finished(index, result)
        }
    };
    // Only now, so that no case begins after one that ends the run.
    drop((alive, running));
    tell(item);
}

/// Runs one case in a guest. What has begun is brought to its end, also when the run is stopped.
fn in_guest(
    shared: &Shared<'_>,
    ward: &Ward<'_>,
    (index, case): (usize, &Case),
    slots: (Slot, Slot),
    news: &Sender<News>,
) {
    let tell = |item| news.send(item).expect("the receiver outlives the threads");
    let began = shared.began.elapsed();
    tell(News::Started(index));
    let waits = shared.suite.waits_for_minutes(case);
    let item = match ward.run((index, case), waits, shared.options.deadline, began) {
        Ok(result) => News::Finished(index, Some(result)),
        Err(error) => {
            shared.halted.store(true, Ordering::SeqCst);
            News::Broken(error)
        }
    };
    drop(slots);
    tell(item);
}

/// The result of a case that the kernel has too little for.
fn skipped(index: usize, lacking: &[&str], began: Duration) -> Result {
    Result {
        index,
        outcome: Outcome::Skip,
        reason: Some(lacking.join(", ")),
        records: Vec::new(),
        output: String::new(),
        frames: None,
        began,
        took: Duration::ZERO,
    }
}

fn has_result(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(record.event, Event::CaseFinished { .. }))
}

/// The result of a case that is kept: its own word if it has told one, else what went wrong.
fn so_far(index: usize, records: &[Record], began: Duration, now: Duration) -> Result {
    let told = records.iter().find_map(|record| match &record.event {
        Event::CaseFinished { outcome, reason, .. } => Some((*outcome, reason.clone())),
        _ => None,
    });
    let (outcome, reason) = told.unwrap_or((Outcome::Fail, None));
    let records = records.to_vec();
    Result {
        index,
        outcome,
        reason,
        records,
        output: String::new(),
        frames: None,
        began,
        took: now - began,
    }
}
