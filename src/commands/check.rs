//! `hairpin check`: runs cases and tells what the kernel did against what is promised.

mod report;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use hairpin_model::event::Outcome;
use hairpin_model::{Error, event};

use crate::captures::Captures;
use crate::exit::Exit;
use crate::guest::{self, Fleet, GuestArgs, Seeds, Ward};
use crate::machine::privilege::Facts;
use crate::run::judge::judge;
use crate::run::process::{self, End, Job};
use crate::run::schedule::{self, Options, Place};
use crate::run::stop::Stop;
use crate::select::{Unmatched, select};
use crate::show;
use crate::stream::Stream;
use crate::suite::locate::SuiteArgs;
use crate::suite::needs::Needs;
use crate::suite::{Case, NEEDS, Suite};
use report::Report;

const EXAMPLES: &str = "\
Examples:
  hairpin check                        everything
  hairpin check macvlan bridge.l2      an area and a topic
  hairpin check '*.vepa.*' M9          a glob, and a sentence of the article
  hairpin check --verbose macvlan.vepa every grid, and the way that the frames took
  hairpin check --journeys ID          each cell hop by hop, and how its frames were changed
  hairpin check --keep ID              stop at the first failure; enter its hosts and look around
  hairpin check --repeat 200 --quiet   does it always do the same?
  hairpin check --kernel 6.12          on another kernel, each case in a fresh guest
  hairpin check --kernel 6.1 --module ./macvlan.ko    with a driver of your own
  hairpin check --captures DIR         a file for Wireshark of each case that fails
  hairpin check --strict=article       no row of the article may be skipped";

/// The options of `hairpin check`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Areas, beginnings of ids, ids, globs, sentences of the article; all cases without one.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    #[command(flatten)]
    suite: SuiteArgs,
    /// How many cases at a time [default: 6 for each core, of guests 1].
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// How long a case may take for its result, and after it for its end.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    deadline: Duration,
    /// Run every case that often, and tell those that did not always do the same.
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZero<usize>,
    /// Let skipped cases fail the run: all of them, or those of the article's sentences.
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "all")]
    strict: Option<Strict>,
    /// One case at a time; stop at the first failure with its lab alive, and tell how to enter it.
    #[arg(long, conflicts_with_all = ["jobs", "repeat"])]
    keep: bool,
    /// Write everything that happens to a file, one JSON object a line (docs/events.md).
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Where to leave a pcapng file of each case that ends badly, with an interface for each of its links
    /// [default: the user's folder of states].
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
    /// Every case in full, with the journey of each cell: each link that saw a frame of it, what was
    /// changed there, and where it was last seen.
    #[arg(long, conflicts_with = "quiet")]
    journeys: bool,
    /// Run on another kernel, each case in a fresh guest: a series (6.12), a package's version, a
    /// `.deb` or a folder of them, a bzImage, a built tree.
    #[arg(long, value_name = "KERNEL", conflicts_with = "keep")]
    kernel: Option<String>,
    #[command(flatten)]
    guest: GuestArgs,
    /// The seed of an earlier run, whose guests' random numbers are then had again.
    #[arg(long, value_name = "NUMBER", requires = "kernel")]
    seed: Option<u32>,
    /// Give each case a kernel in which nothing has run, which takes longer. Without it, where a run has many cases, each
    /// gets a copy of a guest that has run a few of them, the same for all.
    #[arg(long, requires = "kernel")]
    pristine: bool,
    /// Only failures and the summary.
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,
    /// Every case in full, with the way that the frames took.
    #[arg(long, short)]
    verbose: bool,
}

/// Which skipped cases fail the run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Strict {
    /// All of them.
    All,
    /// Those whose rule names a sentence of the article.
    Article,
}

/// A duration in seconds, fractions allowed.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "a number of seconds above 0 is needed".into())
}

/// Runs the cases.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let stream = args.events.as_deref().map(Stream::create).transpose()?;
    let captures = args.captures()?;
    let program = args.suite.locate(args.quiet)?;
    let stop = Stop::on_signals()?;
    let (suite, ready) = std::thread::scope(|scope| {
        let ready = scope.spawn(|| match &args.kernel {
            Some(kernel) => {
                Guest::prepare(args, kernel, &program).map(|guest| (Needs::default(), Some(guest)))
            }
            None => preflight(&program, args.deadline, &stop).map(|needs| (needs, None)),
        });
        let suite = Suite::load(&program, args.deadline, &stop);
        (suite, ready.join().expect("the preparation does not panic"))
    });
    if stop.is_stopped() {
        return Ok(Exit::Interrupted);
    }
    let suite = suite?;
    let cases = match select(&suite, &args.filters) {
        Ok(cases) if cases.is_empty() => return Ok(empty(&suite)),
        Ok(cases) => cases,
        Err(unmatched) => return Ok(unknown(&unmatched)),
    };
    let (needs, mut guest) = ready?;
    if let Some(guest) = guest.as_mut().filter(|_| !args.pristine) {
        guest.rehearse(&suite, &cases, args.repeat.get());
    }
    let options = args.options();
    let mut report = Report::new(args, &suite, &cases, (stream, captures), guest.as_ref())?;
    let ward = guest.as_ref().map(Guest::ward);
    let place = ward.as_ref().map_or(Place::Here(&needs), Place::Guests);
    schedule::run(&suite, &cases, &options, place, &stop, |news| report.hear(news, &stop));
    report.end(&stop)
}

/// The guests of a run, and what is told of them.
struct Guest {
    guests: Fleet,
    entry: event::Guest,
    seeds: Seeds,
    consoles: PathBuf,
}

impl Guest {
    fn prepare(args: &Args, kernel: &str, program: &Path) -> Result<Self, Error> {
        let store = guest::store()?;
        let image = args.guest.image(&store, kernel)?;
        let mut spec = args.guest.spec(image, program)?;
        spec.shelf = Some(store.shelf());
        let guests = Fleet::prepare(&spec)?;
        let seeds = Seeds::new(args.seed);
        let entry = guest::entry((kernel, &args.guest), &spec, guests.usual(), &seeds);
        let consoles = guest::folder(args.events.as_deref(), kernel);
        Ok(Self { guests, entry, seeds, consoles })
    }

    /// Has a few of the cases run in a guest that is then copied for all.
    fn rehearse(&mut self, suite: &Suite, cases: &[&Case], turns: usize) {
        let before = self.guests.usual().notes().len();
        self.entry.rehearsed = self.guests.rehearse(suite, cases, turns);
        let notes = self.guests.usual().notes();
        self.entry.notes.extend(notes.into_iter().skip(before));
    }

    fn ward(&self) -> Ward<'_> {
        Ward { guests: &self.guests, seeds: &self.seeds, consoles: self.consoles.clone() }
    }
}

impl Args {
    /// Where the frames of failing cases go.
    fn captures(&self) -> Result<Captures, Error> {
        let kernel = self.kernel.as_deref().unwrap_or("here");
        let usual = || Captures::unasked(guest::kept_of("captures", kernel));
        self.captures.as_deref().map_or_else(|| Ok(usual()), Captures::create)
    }

    fn options(&self) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let one = NonZero::<usize>::MIN;
        // A guest keeps a core busy; a process mostly waits for the kernel.
        let each = if self.kernel.is_some() { 1 } else { 6 };
        let usual = NonZero::new(cores * each).unwrap_or(one);
        Options {
            jobs: if self.keep { one } else { self.jobs.unwrap_or(usual) },
            deadline: self.deadline,
            repeat: self.repeat,
            keep: self.keep,
        }
    }

    /// Whether a skipped case of that rule fails the run.
    fn forbids_skip(&self, article: &[String]) -> bool {
        match self.strict {
            None => false,
            Some(Strict::All) => true,
            Some(Strict::Article) => !article.is_empty(),
        }
    }
}

/// Asks the program whether labs can be built here at all, so that one error stands for what every
/// case would say, and what the kernel has. A program without that test is believed to manage.
fn preflight(program: &Path, deadline: Duration, stop: &Stop) -> Result<Needs, Error> {
    let args = ["--exact", NEEDS, "--nocapture"].map(str::to_owned).to_vec();
    let ended = process::run(&Job::new(program, args, deadline), stop, &mut |_, _| {})?;
    if matches!(ended.end, End::Exited(0) | End::Stopped) {
        return Ok(Needs::told(&ended.records));
    }
    // What the machine forbids is told in our words, with the remedy; anything else in theirs.
    Facts::gather()?.judge()?;
    let what = match judge(&ended) {
        Some((Outcome::Fail | Outcome::Error, Some(why))) => why,
        Some((_, Some(why))) => format!("the suite program cannot build labs here: {why}"),
        _ => "the suite program cannot build labs here".into(),
    };
    let place = format!("`{NEEDS}` of {}", program.display());
    let mut help = "`hairpin doctor` tells more".to_owned();
    if let Some(last) = ended.output.lines().rev().find(|line| !line.trim().is_empty()) {
        help.push_str(&format!("; the program's last words: {last}"));
    }
    Err(Error::new(what, place, help))
}

/// No case at all.
fn empty(suite: &Suite) -> Exit {
    show::error(&Error::new(
        "the suite program holds no cases",
        suite.program.display().to_string(),
        "a case is a test whose path is that of a rule in the program's catalogue, or below it",
    ));
    Exit::NothingRan
}

/// Filters that nothing matches.
pub(super) fn unknown(unmatched: &[Unmatched]) -> Exit {
    for Unmatched { filter, near } in unmatched {
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        let help = match near.as_slice() {
            [] => "`hairpin list` names all cases".to_owned(),
            names => format!("did you mean {}?", names.join(", ")),
        };
        show::error(&Error::new("no case matches the filter", format!("`{filter}`"), help));
    }
    Exit::NothingRan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_positive_number() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "soon", "inf", "NaN", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
