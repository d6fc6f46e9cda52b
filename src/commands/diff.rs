//! `hairpin diff`: the journeys of one case in two runs, and the first hop where they part.
//!
//! Both come out of event files; nothing is run. Which journey is the right one it does not say:
//! that is what the case's drawing is for.

mod compare;

use std::path::{Path, PathBuf};

use hairpin_model::Error;

use crate::exit::Exit;
use crate::results::{self, Run};
use crate::show::{self, Out};
use compare::{Observed, Parting, Side, first_parting};

const EXAMPLES: &str = "\
Examples:
  hairpin diff runs/6.1.jsonl runs/7.3.jsonl macvlan.vepa.siblings-need-reflection.ping4
  hairpin diff before.jsonl after.jsonl bridge.l2.same-bridge.v4

The runs are files that `check --events` wrote, or those in a folder of `hairpin matrix`. Hops are
compared by link, direction and headers. What is another each time does not count: the order of
copies that a flood makes, which port a kernel chose (32768 and above; whether it stays the same
along the way does), how often a SYN was sent again, and who asked for a neighbour, unless nothing
else was sent.

Exit codes:
  0  the journeys are the same
  1  they part
  2  they cannot be compared: a case in one run only, or one without journeys; or a file holds
     lines that cannot be read";

/// The options of `hairpin diff`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An event file.
    #[arg(value_name = "RUN_A")]
    a: PathBuf,
    /// Another.
    #[arg(value_name = "RUN_B")]
    b: PathBuf,
    /// The id of a case that both have.
    #[arg(value_name = "CASE")]
    case: String,
}

/// Compares the journeys.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let ((a, mut unread), (b, more)) = (one(&args.a)?, one(&args.b)?);
    unread.extend(more);
    both_have(args, &a, &b)?;
    let seen = (observed(&args.a, &a, &args.case)?, observed(&args.b, &b, &args.case)?);
    let sides = [(&args.a, &a), (&args.b, &b)].map(|(path, run)| Side {
        name: path.display().to_string(),
        kernel: run.kernel.clone(),
        outcome: run.case(&args.case).map_or_else(String::new, |case| case.word().into()),
    });
    let mut text = format!("{}\n", show::paint(show::STRONG, &args.case));
    for (letter, side) in ["A", "B"].iter().zip(&sides) {
        text.push_str(&format!("  {letter}  {} on {}: {}\n", side.name, side.kernel, side.outcome));
    }
    let (words, exit) = told(&seen.0, &seen.1);
    Out::stdout().text(&format!("{text}\n{words}"));
    Ok(show::unread(&unread, exit))
}

/// What the comparison comes to, and how the command ends for it.
fn told(a: &[Observed], b: &[Observed]) -> (String, Exit) {
    match first_parting(a, b) {
        Parting::Nowhere { cells } => {
            let cells = show::count(cells, "cell");
            (format!("the journeys are the same: {cells} compared\n"), Exit::Fine)
        }
        Parting::Observed(words) => (words + "\n", Exit::Failed),
        Parting::Cell(told) => (told, Exit::Failed),
    }
}

/// What can be read of the one run of an event file, or of a folder with one.
fn one(path: &Path) -> Result<(Run, Vec<Error>), Error> {
    let files = results::event_files(&[path.to_owned()])?;
    match files.as_slice() {
        [file] => results::read_leniently(file),
        files => {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            Err(Error::new(
                format!(
                    "the folder holds {}, and one is compared",
                    show::count(files.len(), "run")
                ),
                path.display().to_string(),
                format!("name one of them: {}", names.join(", ")),
            ))
        }
    }
}

fn both_have(args: &Args, a: &Run, b: &Run) -> Result<(), Error> {
    let lists = "`hairpin report RUN --format json` lists the cases of a run";
    let only = |with: &Path, without: &Path| {
        let what = format!("the case `{}` is in {} only", args.case, with.display());
        Error::new(what, without.display().to_string(), lists)
    };
    match (a.case(&args.case), b.case(&args.case)) {
        (Some(_), Some(_)) => Ok(()),
        (Some(_), None) => Err(only(&args.a, &args.b)),
        (None, Some(_)) => Err(only(&args.b, &args.a)),
        (None, None) => {
            let place = format!("{} and {}", args.a.display(), args.b.display());
            Err(Error::new(format!("no case `{}` was run", args.case), place, lists))
        }
    }
}

/// What the case observed, some of whose cells have a journey.
fn observed(path: &Path, run: &Run, case: &str) -> Result<Vec<Observed>, Error> {
    let records = results::records_of(run, case);
    let observed: Vec<Observed> =
        records.into_iter().filter_map(|record| Observed::of(record.event)).collect();
    if observed.iter().flat_map(Observed::cells).any(|(_, _, cell)| !cell.seen.is_empty()) {
        return Ok(observed);
    }
    let outcome = run.case(case).map_or("unknown", |case| case.word());
    let what = if observed.is_empty() {
        format!("the case has no grid and no flow, and so no journeys; it ended as: {outcome}")
    } else {
        "the case was observed without taps: it has no journeys".into()
    };
    let place = format!("`{case}` in {}", path.display());
    let help = "compare a case that pings, sends frames or has flows in both runs";
    Err(Error::new(what, place, help))
}
