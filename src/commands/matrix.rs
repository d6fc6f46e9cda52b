//! `hairpin matrix`: cases by kernels, each kernel in guests, and what differs between them.

mod cell;
mod column;
mod earlier;
mod table;
mod times;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hairpin_model::Error;
use hairpin_vm::kernels::{Catalogue, Store};

use crate::commands::check::{seconds, unknown};
use crate::exit::Exit;
use crate::guest::{self, GuestArgs, Seeds};
use crate::run::stop::Stop;
use crate::select::select;
use crate::show::{self, Out, count, wrap};
use crate::suite::locate::SuiteArgs;
use crate::suite::{Case, Suite};
use cell::Cell;
use column::{Column, Kernel};
use table::Table;
use times::Times;

const EXAMPLES: &str = "\
Examples:
  hairpin matrix                             everything on every kernel of fixtures/kernels.toml
  hairpin matrix --kernels oldest,newest M7  two kernels, one sentence of the article
  hairpin matrix --out runs/today --baseline runs/yesterday    exit 1 only for what got worse
  hairpin matrix --out runs/today --resume   go on where it was interrupted
  hairpin matrix --list-json                 the kernels, for a CI's own job matrix

A run is a folder: an event file for each kernel (docs/events.md), and the consoles of cases that
ended badly.";

/// The options of `hairpin matrix`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Areas, beginnings of ids, ids, globs, sentences of the article; all cases without one.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    #[command(flatten)]
    suite: SuiteArgs,
    /// Names of series, `oldest`, `newest`, with commas in between [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    kernels: Vec<String>,
    /// The folder of the run [default: one with the date, in the user's folder of states].
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Keep what an earlier start of the same run has finished.
    #[arg(long, requires = "out")]
    resume: bool,
    /// An earlier run: tell what changed since, and fail only for what got worse.
    #[arg(long, value_name = "RUN")]
    baseline: Option<PathBuf>,
    /// Every case, not only those that differ between kernels.
    #[arg(long)]
    all: bool,
    /// Only every n-th kernel, from the i-th on: for runs on several machines.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<(usize, usize)>,
    /// Print the kernels as a JSON array and do nothing else.
    #[arg(long)]
    list_json: bool,
    /// How many guests at a time [default: one for each core].
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// How long a case may take.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    deadline: Duration,
    /// What runs the guests, in place of what measuring says.
    #[arg(long, value_name = "ACCEL", value_parser = ["kvm", "tcg"])]
    accel: Option<String>,
    /// A guest's memory in MiB [default: what the programs' size asks for, at least 128].
    #[arg(long, value_name = "MIB")]
    memory: Option<NonZero<u32>>,
    /// Take the packages that this file pins (`hairpin setup --lock FILE`), and no others.
    #[arg(long, value_name = "FILE")]
    locked: Option<PathBuf>,
    /// Give each case a kernel in which nothing has run, which takes longer. Without it, where a run has many cases, each
    /// gets a copy of a guest that has run a few of them, the same for all.
    #[arg(long)]
    pristine: bool,
    /// The seed of an earlier run, whose guests' random numbers are then had again.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u32>,
}

/// `2/3`: the second of three.
fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts
        .filter(|(i, n): &(usize, usize)| (1..=*n).contains(i))
        .ok_or_else(|| "I/N is needed, I from 1 to N".into())
}

/// Runs the cases on all kernels.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let kernels = args.kernels(&Catalogue::built_in())?;
    if args.list_json {
        let list = serde_json::to_string(&kernels).expect("names are plain text");
        Out::stdout().text(&(list + "\n"));
        return Ok(Exit::Fine);
    }
    let before = args.baseline.as_deref().map(earlier::read).transpose()?;
    let program = args.suite.locate(false)?;
    let stop = Stop::on_signals()?;
    let suite = Suite::load(&program, args.deadline, &stop)?;
    let cases = match select(&suite, &args.filters) {
        Ok(cases) => cases,
        Err(unmatched) => return Ok(unknown(&unmatched)),
    };
    if cases.is_empty() || kernels.is_empty() {
        return Ok(Exit::NothingRan);
    }
    let out = args.folder()?;
    let began = Instant::now();
    let seed = args.seed.unwrap_or_else(|| Seeds::new(None).run());
    let times = Times::read(&times::file());
    let matrix =
        Matrix { args, suite: &suite, cases: &cases, out: &out, stop: &stop, began, seed, times };
    let columns = matrix.run(&kernels)?;
    if let Err(error) = matrix.times.write(&times::file()) {
        guest::tell(&format!("the times of cases cannot be kept for the next run: {error}"));
    }
    let mut told = Out::stdout();
    told.text(&format!("run kept in {}\n\n", out.display()));
    for column in &columns {
        told.text(&column.notes());
    }
    let table = Table::new(&cases, &columns);
    told.text(&table.text(args.all, show::width()));
    for column in &columns {
        told.text(&column.summary());
    }
    let is_broken = columns.iter().any(Column::is_broken);
    if stop.is_stopped() && !is_broken {
        told.text("interrupted; go on with --resume and the same --out\n");
        return Ok(Exit::Interrupted);
    }
    let span = show::span(began.elapsed());
    told.text(&format!(
        "{} on {} in {span}\n",
        count(cases.len(), "case"),
        count(columns.len(), "kernel")
    ));
    Ok(match &before {
        Some(before) => {
            let now = table.cells();
            let changes = earlier::compare(before, &now, &kernels);
            told.text(&changes.text(show::width()));
            if columns.iter().all(|column| !column.has_run()) {
                Exit::CouldNotRun
            } else if changes.regressed.is_empty() && !is_broken {
                Exit::Fine
            } else {
                Exit::Failed
            }
        }
        None => verdict(&columns),
    })
}

/// How the run ends when it is not held against an earlier one.
fn verdict(columns: &[Column]) -> Exit {
    if columns.iter().all(|column| !column.has_run()) {
        Exit::CouldNotRun
    } else if columns.iter().any(Column::is_bad) {
        Exit::Failed
    } else {
        Exit::Fine
    }
}

impl Args {
    /// The kernels that are meant, oldest first.
    fn kernels(&self, catalogue: &Catalogue) -> Result<Vec<String>, Error> {
        let all: Vec<String> = catalogue.series.iter().map(|series| series.name.clone()).collect();
        let mut meant = Vec::new();
        for name in &self.kernels {
            let name = match name.as_str() {
                "oldest" => all.first().cloned().unwrap_or_default(),
                "newest" => all.last().cloned().unwrap_or_default(),
                name => catalogue.find(name)?.name.clone(),
            };
            meant.push(name);
        }
        let wanted = |name: &String| meant.is_empty() || meant.contains(name);
        let wanted: Vec<String> = all.into_iter().filter(wanted).collect();
        let (first, step) = self.shard.unwrap_or((1, 1));
        Ok(wanted.into_iter().skip(first - 1).step_by(step).collect())
    }

    fn guest(&self) -> GuestArgs {
        GuestArgs::of(self.accel.clone(), self.memory, self.locked.clone())
    }

    /// The folder of the run, made and empty unless it is to be gone on with.
    fn folder(&self) -> Result<PathBuf, Error> {
        let out = self.out.clone().unwrap_or_else(|| guest::state().join("runs").join(now()));
        let unusable = |error: &std::io::Error| {
            Error::new(
                format!("the run's folder cannot be used: {error}"),
                out.display().to_string(),
                "name with --out a folder that can be written, on a disk with room",
            )
        };
        std::fs::create_dir_all(&out).map_err(|error| unusable(&error))?;
        let mut entries = std::fs::read_dir(&out).map_err(|error| unusable(&error))?;
        if !self.resume && entries.next().is_some() {
            return Err(Error::new(
                "the run's folder is not empty",
                out.display().to_string(),
                "go on with what it holds: --resume; or name another with --out",
            ));
        }
        Ok(out)
    }
}

/// The time as a folder's name: seconds since 1970, which sort.
fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or_else(|_| "0".into(), |now| now.as_secs().to_string())
}

/// What all kernels of a run have in common.
pub(super) struct Matrix<'a> {
    args: &'a Args,
    suite: &'a Suite,
    cases: &'a [&'a Case],
    out: &'a Path,
    stop: &'a Stop,
    began: Instant,
    seed: u32,
    times: Times,
}

impl Matrix<'_> {
    /// Runs all kernels, a worker for each core; each takes the next kernel that nobody has taken.
    fn run(&self, kernels: &[String]) -> Result<Vec<Column>, Error> {
        let store = guest::store()?;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = self.args.jobs.map_or(cores, NonZero::get);
        let workers = jobs.min(kernels.len()).max(1);
        let next = AtomicUsize::new(0);
        let done: Mutex<BTreeMap<usize, Column>> = Mutex::default();
        let progress = Line::new(self, kernels.len());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(name) = kernels.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if self.stop.is_stopped() {
                            return;
                        }
                        let column = self.column(&store, name, jobs / workers, &progress);
                        let at = kernels.iter().position(|kernel| kernel == name);
                        let mut done = done.lock().expect("nobody panics with the lock");
                        done.insert(at.expect("the name is one of them"), column);
                    }
                });
            }
        });
        progress.clear();
        Ok(done.into_inner().expect("the workers are gone").into_values().collect())
    }

    fn column(&self, store: &Store, name: &str, jobs: usize, progress: &Line) -> Column {
        let jobs = NonZero::new(jobs).unwrap_or(NonZero::<usize>::MIN);
        let kernel = Kernel { name, store, jobs, guest: self.args.guest() };
        let told = |case: &Case, cell: &Cell| progress.finished(self.times.expected(case), cell);
        let column = column::run(self, &kernel, &told);
        if !column.has_run() {
            progress.skip(self.cases.len());
        }
        column
    }
}

/// The live line: how much is done, and how long the rest will take. It counts in the time that cases are
/// expected to take, for the longest come first.
struct Line {
    bar: indicatif::ProgressBar,
    /// What all cases are expected to take on one kernel.
    column: u64,
    counts: Mutex<Counts>,
}

/// How many runs of cases there are.
struct Counts {
    all: usize,
    done: usize,
    bad: usize,
}

impl Line {
    fn new(matrix: &Matrix<'_>, kernels: usize) -> Self {
        let target = if std::io::stderr().is_terminal() {
            indicatif::ProgressDrawTarget::stderr()
        } else {
            indicatif::ProgressDrawTarget::hidden()
        };
        let column = matrix.cases.iter().map(|case| matrix.times.expected(case)).sum::<u64>();
        let bar = indicatif::ProgressBar::with_draw_target(Some(column * kernels as u64), target);
        let style = indicatif::ProgressStyle::with_template(
            "{bar:20.green} {msg}{elapsed}, about {eta} to go",
        );
        bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
        bar.set_elapsed(matrix.began.elapsed());
        bar.enable_steady_tick(Duration::from_millis(200));
        let counts = Counts { all: kernels * matrix.cases.len(), done: 0, bad: 0 };
        Self { bar, column, counts: Mutex::new(counts) }
    }

    fn finished(&self, expected: u64, cell: &Cell) {
        let mut counts = self.counts.lock().expect("nobody panics with the lock");
        counts.done += 1;
        counts.bad += usize::from(cell.is_bad());
        self.bar.set_message(counts.text());
        self.bar.inc(expected);
    }

    /// A kernel that runs none of so many cases.
    fn skip(&self, cases: usize) {
        self.counts.lock().expect("nobody panics with the lock").all -= cases;
        self.bar.set_length(self.bar.length().unwrap_or_default().saturating_sub(self.column));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Counts {
    fn text(&self) -> String {
        let bad = if self.bad > 0 { format!("{} bad, ", self.bad) } else { String::new() };
        format!("{} of {}, {bad}", self.done, self.all)
    }
}

/// Text in lines of the reader's width.
fn paragraph(text: &str) -> String {
    wrap(text, show::width()).join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_so_many() {
        assert_eq!(shard("2/3"), Ok((2, 3)));
        for wrong in ["0/3", "4/3", "2", "a/b", "1/0"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
