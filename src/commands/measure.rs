//! `hairpin measure`: what each kind of network costs, in what a plain cable costs.
//!
//! The suite program measures; each round is a process, or a guest, of its own. Nothing is
//! promised of speed, so nothing passes or fails here.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hairpin_model::event;
use hairpin_model::{CaseId, Error, Event, Record};
use hairpin_vm::Guests;

use crate::exit::Exit;
use crate::guest::{self, GuestArgs, Seeds, job};
use crate::machine;
use crate::measure::{Measured, plot, table};
use crate::results::{self, Run};
use crate::run::process::{self, Job};
use crate::run::stop::Stop;
use crate::show::Out;
use crate::show::progress::Progress;
use crate::stream::Stream;
use crate::suite::locate::SuiteArgs;

const EXAMPLES: &str = "\
Examples:
  hairpin measure                              on this kernel
  hairpin measure --kernel 6.1 --events 6.1.jsonl
  hairpin measure --baseline 6.1.jsonl         and what is another than there
  hairpin measure --from 6.18.jsonl --baseline 6.1.jsonl --svg costs.svg
  hairpin report 6.1.jsonl 6.18.jsonl --format html -o page.html    a page with figures of all kernels

Figures are ratios to a plain veth of the same round. A change is marked if the two intervals lie
apart and the ratio moved farther than that of the veth to itself. See docs/measure.md.

Exit code: 0 if it was measured, whatever the figures; 2 if it could not be.";

/// The test of the suite program that measures one round.
const ROUND: &str = "measure::round";
/// How long a round may take. It takes some seconds.
const DEADLINE: Duration = Duration::from_secs(180);

/// The options of `hairpin measure`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    suite: SuiteArgs,
    /// How many rounds; more make the intervals narrower.
    #[arg(long, value_name = "N", default_value = "12")]
    rounds: NonZero<usize>,
    /// Measure on another kernel, in guests: a series (6.12), a package's version, a `.deb`, a bzImage.
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<String>,
    #[command(flatten)]
    guest: GuestArgs,
    /// Keep the figures.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    events: Option<PathBuf>,
    /// Tell figures that were kept, and measure nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "suite"])]
    from: Option<PathBuf>,
    /// Figures that were kept, to compare with.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Draw them into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Measures, and tells.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let read = |file: &PathBuf| Measured::of(&results::read_file(file)?);
    let before = args.baseline.as_ref().map(read).transpose()?;
    let measured = match &args.from {
        Some(file) => read(file)?,
        None => match measure(args)? {
            Some(run) => Measured::of(&run)?,
            None => return Ok(Exit::Interrupted),
        },
    };
    let mut out = Out::stdout();
    out.text(&table::table(&measured));
    if let Some(before) = &before {
        out.text(&format!("\n{}", table::changes(before, &measured)));
    }
    if let Some(file) = &args.svg {
        std::fs::write(file, plot::svg(&measured)).map_err(|error| {
            let what = format!("the picture cannot be written: {error}");
            Error::new(what, file.display().to_string(), "name a file that can be written")
        })?;
    }
    Ok(Exit::Fine)
}

/// Where rounds run.
enum Place {
    Here,
    Guests(Box<Ward>),
}

/// Guests of one kernel.
struct Ward {
    guests: Guests,
    seeds: Seeds,
    entry: event::Guest,
    release: String,
}

/// Measures all rounds; nothing if it was interrupted.
fn measure(args: &Args) -> Result<Option<Run>, Error> {
    let program = args.suite.locate(false)?;
    let place = Place::prepare(args, &program)?;
    let stream = args.events.as_deref().map(Stream::create).transpose()?;
    let run = Run { name: place.kernel(), kernel: place.kernel(), ..Run::default() };
    let mut told = Told { stream, run };
    let started = Event::RunStarted {
        program: program.display().to_string(),
        kernel: place.kernel(),
        cases: 0,
        guest: place.entry(),
    };
    told.event(started)?;
    let stop = Stop::on_signals()?;
    let mut progress = Progress::new(args.rounds.get(), true);
    for round in 0..args.rounds.get() {
        progress.started(round, format!("round {}", round + 1));
        let Some(records) = place.round(&program, &stop)? else {
            progress.clear();
            return Ok(None);
        };
        for event in figures(records) {
            told.event(event)?;
        }
        progress.finished(round, false);
    }
    progress.clear();
    told.event(Event::RunFinished { counts: Vec::new(), run_us: 0 })?;
    Ok(Some(told.run))
}

/// What has been measured: kept, and written round by round, so that a run that is cut off is no loss.
struct Told {
    stream: Option<Stream>,
    run: Run,
}

impl Told {
    fn event(&mut self, event: Event) -> Result<(), Error> {
        if let Some(stream) = &mut self.stream {
            stream.event(event.clone())?;
        }
        self.run.records.push(Record { v: event::VERSION, us: 0, event });
        Ok(())
    }
}

/// What a round told: what it could not have first, then its figures.
fn figures(records: Vec<Record>) -> Vec<Event> {
    let (absent, rest): (Vec<Event>, Vec<Event>) = records
        .into_iter()
        .map(|record| record.event)
        .partition(|event| matches!(event, Event::Check { .. }));
    let figures = rest.into_iter().filter(|event| matches!(event, Event::Measurement { .. }));
    absent.into_iter().chain(figures).collect()
}

impl Place {
    fn prepare(args: &Args, program: &Path) -> Result<Self, Error> {
        let Some(kernel) = &args.kernel else { return Ok(Self::Here) };
        let image = args.guest.image(&guest::store()?, kernel)?;
        let release = image.release.clone();
        let spec = args.guest.spec(image, program)?;
        let guests = Guests::prepare(&spec)?;
        let seeds = Seeds::new(None);
        let entry = guest::entry((kernel, &args.guest), &spec, &guests, &seeds);
        Ok(Self::Guests(Box::new(Ward { guests, seeds, entry, release })))
    }

    fn kernel(&self) -> String {
        match self {
            Self::Here => machine::kernel(),
            Self::Guests(ward) => ward.release.clone(),
        }
    }

    fn entry(&self) -> Option<event::Guest> {
        match self {
            Self::Here => None,
            Self::Guests(ward) => Some(ward.entry.clone()),
        }
    }

    /// One round; nothing if it was interrupted.
    fn round(&self, program: &Path, stop: &Stop) -> Result<Option<Vec<Record>>, Error> {
        let failed = |why: String, last: &str| {
            let help = format!("has the suite program `{ROUND}`? its last words: {last}");
            Error::new(
                format!("a round could not be measured: {why}"),
                program.display().to_string(),
                help,
            )
        };
        match self {
            Self::Here => {
                let args = ["--exact", ROUND, "--nocapture"].map(str::to_owned).to_vec();
                let ended = process::run(&Job::new(program, args, DEADLINE), stop, &mut |_, _| {})?;
                let last = ended.output.lines().rfind(|line| !line.is_empty()).unwrap_or("none");
                match ended.end {
                    process::End::Stopped => Ok(None),
                    process::End::Exited(0) => Ok(Some(ended.records)),
                    end => Err(failed(format!("it {end}"), last)),
                }
            }
            Self::Guests(ward) => {
                let seed = ward.seeds.next(&CaseId::of_test(ROUND));
                let ended = ward.guests.run(&hairpin_vm::Job { seed, ..job(ROUND, DEADLINE) })?;
                if stop.is_stopped() {
                    return Ok(None);
                }
                match &ended.end {
                    hairpin_vm::End::Exited(0) => Ok(Some(ended.records)),
                    end => {
                        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
                        let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or("none");
                        Err(failed(format!("it ended as {end:?}"), last))
                    }
                }
            }
        }
    }
}
