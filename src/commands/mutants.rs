//! `hairpin mutants`: one-line bugs put into the drivers, and which case notices each.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use hairpin_model::Error;
use hairpin_vm::kernels::Kit;

use crate::commands::check::{seconds, unknown};
use crate::exit::Exit;
use crate::guest::{self, GuestArgs, Seeds};
use crate::mutants::bench::Bench;
use crate::mutants::campaign::{Campaign, Planned, Wishes};
use crate::mutants::data::{self, Driver, Mutant};
use crate::mutants::edit;
use crate::mutants::table::Row;
use crate::mutants::workshop::read_source;
use crate::run::stop::Stop;
use crate::select::{Unmatched, means, select};
use crate::show::{self, DIM, Out, paint};
use crate::suite::locate::SuiteArgs;
use crate::suite::{Case, Suite};

const EXAMPLES: &str = "\
Examples:
  hairpin mutants                      every mutant on 6.1
  hairpin mutants macvlan 'bridge.*fdb*'    those of a driver, and a glob over their ids
  hairpin mutants --list bridge        what they are
  hairpin mutants --dry-run --kernel 6.12    do they still fit that kernel's source?
  hairpin mutants --all-cases ID       every case that notices, not only the first
  hairpin mutants --file my.toml       bugs of your own, written as those in fixtures/mutants

The kernel's headers and sources are fetched as packages and kept in the cache; nothing is installed.
Building needs `make` and the compiler that built the kernel (gcc-12 for 6.1). See docs/mutants.md.

Exit code 0: each was killed; 1: one survived, no longer fits the source, could not be built, or
nothing could be told of it; 2: none could be tried; 4: no mutant is meant.";

/// The options of `hairpin mutants`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Drivers, beginnings of ids, ids, globs; all mutants without one.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    #[command(flatten)]
    suite: SuiteArgs,
    /// The kernel: a series, or a package's version.
    #[arg(long, value_name = "KERNEL", default_value = "6.1")]
    kernel: String,
    /// Mutants of your own in place of those that come with this program.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Say what they are, and try none.
    #[arg(long, conflicts_with = "json")]
    list: bool,
    /// Hold the edits against the kernel's source, and build nothing.
    #[arg(long, conflicts_with_all = ["list", "json"])]
    dry_run: bool,
    /// One JSON object, for programs. Fields are only ever added.
    #[arg(long)]
    json: bool,
    /// Go on after the first case that notices, and name all.
    #[arg(long)]
    all_cases: bool,
    /// Give what survives its own cases all others of its driver too.
    #[arg(long)]
    wide: bool,
    /// How many guests at a time [default: one for each core].
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// How long a case may take.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    deadline: Duration,
    /// Take the packages that this file pins, and no others.
    #[arg(long, value_name = "FILE")]
    locked: Option<PathBuf>,
    /// The seed of an earlier run, whose guests' random numbers are then had again.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u32>,
}

/// Tries the mutants.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let drivers = args.file.as_deref().map_or_else(data::built_in, data::read)?;
    let meant = match meant(&drivers, &args.filters) {
        Ok(meant) if meant.is_empty() => return Ok(Exit::NothingRan),
        Ok(meant) => meant,
        Err(filter) => return Ok(nothing_matches(&filter)),
    };
    if args.list {
        list(&meant);
        return Ok(Exit::Fine);
    }
    let store = guest::store()?;
    let guest = GuestArgs::of(None, None, args.locked.clone());
    let image = guest.image(&store, &args.kernel)?;
    // Those of all known drivers, so that whatever is asked for is unpacked once.
    let known = data::built_in()?;
    let folders = known.iter().chain(&drivers).map(|driver| driver.folder.as_str());
    let folders: Vec<&str> = folders.collect();
    let kit = store.kit(&image, &unique(&folders))?;
    if args.dry_run {
        return hold(args, &kit, &meant);
    }
    let program = args.suite.locate(false)?;
    let stop = Stop::on_signals()?;
    let suite = Suite::load(&program, args.deadline, &stop)?;
    let planned = match plan(&suite, &meant, args.wide) {
        Ok(planned) => planned,
        Err(unmatched) => return Ok(unknown(&unmatched)),
    };
    let seeds = Seeds::new(args.seed);
    let bench = Bench {
        program: &program,
        suite: &suite,
        image: &image,
        guest: &guest,
        seeds: &seeds,
        deadline: args.deadline,
        all_cases: args.all_cases,
        stop: &stop,
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = args.jobs.map_or(cores, NonZero::get);
    let wishes = Wishes { kernel: &args.kernel, json: args.json, jobs };
    Campaign::new(wishes, bench, &kit, &drivers)?.go(&planned)
}

/// The mutants that the filters mean, in the order of their files; or the filter that means none.
fn meant<'d>(
    drivers: &'d [Driver],
    filters: &[String],
) -> Result<Vec<(usize, &'d Driver, &'d Mutant)>, String> {
    let all = drivers
        .iter()
        .enumerate()
        .flat_map(|(at, driver)| driver.mutants.iter().map(move |mutant| (at, driver, mutant)));
    let all: Vec<_> = all.collect();
    let fits = |filter: &String| all.iter().any(|(_, _, mutant)| means(filter, &mutant.id));
    if let Some(filter) = filters.iter().find(|filter| !fits(filter)) {
        return Err(filter.clone());
    }
    let is_meant =
        |mutant: &Mutant| filters.is_empty() || filters.iter().any(|f| means(f, &mutant.id));
    Ok(all.into_iter().filter(|(_, _, mutant)| is_meant(mutant)).collect())
}

fn nothing_matches(filter: &str) -> Exit {
    show::error(&Error::new(
        "no mutant matches the filter",
        format!("`{filter}`"),
        "`hairpin mutants --list` names all of them",
    ));
    Exit::NothingRan
}

/// Holds the edits against the source, and tells those that do not fit.
fn hold(args: &Args, kit: &Kit, meant: &[(usize, &Driver, &Mutant)]) -> Result<Exit, Error> {
    let mut out = Out::stdout();
    let (mut held, mut bad) = (0, 0);
    for (_, driver, mutant) in meant {
        if mutant.kernel.as_ref().is_some_and(|series| *series != args.kernel) {
            continue;
        }
        held += 1;
        let text = read_source(&kit.source.join(&driver.folder).join(&mutant.file))?;
        if let Err(misfit) = edit::apply(&text, mutant) {
            bad += 1;
            out.text(&Row { mutant, verdict: misfit.into() }.text(show::width()));
        }
    }
    out.text(&format!("{bad} of {} do not fit\n", show::count(held, "mutant")));
    Ok(if bad > 0 { Exit::Failed } else { Exit::Fine })
}

fn list(meant: &[(usize, &Driver, &Mutant)]) {
    let mut out = Out::stdout();
    for (_, driver, mutant) in meant {
        let place = format!("{}/{} {}()", driver.folder, mutant.file, mutant.function);
        out.text(&format!("{}\n    {}\n    {}\n", mutant.id, mutant.breaks, paint(DIM, place)));
    }
}

fn plan<'p>(
    suite: &'p Suite,
    meant: &[(usize, &'p Driver, &'p Mutant)],
    wide: bool,
) -> Result<Vec<Planned<'p>>, Vec<Unmatched>> {
    let planned = meant.iter().map(|(at, driver, mutant)| {
        let mut cases: Vec<&Case> = Vec::new();
        let of_driver = driver.cases.iter().filter(|_| wide || mutant.cases.is_empty());
        for filter in mutant.cases.iter().chain(of_driver) {
            for case in select(suite, std::slice::from_ref(filter))? {
                if !cases.iter().any(|known| known.id == case.id) {
                    cases.push(case);
                }
            }
        }
        Ok(Planned { driver: *at, mutant, cases })
    });
    planned.collect()
}

fn unique<'t>(texts: &[&'t str]) -> Vec<&'t str> {
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}
