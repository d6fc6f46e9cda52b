//! `hairpin draw`: the wiring of a case as a picture.
//!
//! The topology comes out of the event stream: from a run that was kept, or from the case itself,
//! which is run once for it. What became of the case does not matter here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use hairpin_model::{Error, Event, Record, Topology, draw};

use crate::commands::check::unknown;
use crate::exit::Exit;
use crate::guest::tell as note;
use crate::results;
use crate::run::process::{self, Job};
use crate::run::stop::Stop;
use crate::select::select;
use crate::show::{self, Out};
use crate::suite::Suite;
use crate::suite::locate::SuiteArgs;

const EXAMPLES: &str = "\
Examples:
  hairpin draw macvlan.vepa.siblings-need-reflection.ping4
  hairpin draw bridge.docker --format svg -o docker.svg
  hairpin draw macvlan.vepa --format mermaid --events runs/today

Without --events the case is run once on this kernel. A case that builds several networks has all
of them drawn, each once, as they were built: what the case changes later is not in the picture.";

/// How long a case may take until its labs stand.
const DEADLINE: Duration = Duration::from_secs(30);

/// The options of `hairpin draw`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A case; of a filter that several match, the first.
    #[arg(value_name = "CASE")]
    case: String,
    #[command(flatten)]
    suite: SuiteArgs,
    /// Take the network from a run that was kept, and run nothing.
    #[arg(long, value_name = "RUN", conflicts_with = "suite")]
    events: Option<PathBuf>,
    /// What kind of picture.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Ascii)]
    format: Format,
    /// Where to write [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The kinds of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text, for a terminal or a comment.
    Ascii,
    /// A flowchart, for pages that draw Mermaid.
    Mermaid,
    /// A file that browsers show, dark or light.
    Svg,
}

impl Format {
    fn picture(self, labs: &[Topology]) -> String {
        match self {
            Self::Ascii => draw::ascii(labs),
            Self::Mermaid => draw::mermaid(labs),
            Self::Svg => draw::svg(labs),
        }
    }
}

/// Draws the case.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let found = match &args.events {
        Some(run) => from_run(run, &args.case)?,
        None => match from_suite(args)? {
            Ok(found) => found,
            Err(exit) => return Ok(exit),
        },
    };
    let labs = found.labs()?;
    let picture = args.format.picture(&labs);
    match &args.output {
        None => Out::stdout().text(&picture),
        Some(file) => std::fs::write(file, picture).map_err(|error| {
            let what = format!("the picture cannot be written: {error}");
            let help = "name a file that can be written, on a disk with room";
            Error::new(what, file.display().to_string(), help)
        })?,
    }
    Ok(Exit::Fine)
}

/// A case and what it told.
struct Found {
    case: String,
    records: Vec<Record>,
}

impl Found {
    /// The networks that the case built, each once.
    fn labs(&self) -> Result<Vec<Topology>, Error> {
        let mut labs: Vec<Topology> = Vec::new();
        let mut is_old = false;
        for event in self.records.iter().map(|record| &record.event) {
            match event {
                Event::LabBuilt { topology: Some(lab), .. } if !labs.contains(lab) => {
                    labs.push(lab.clone());
                }
                Event::LabBuilt { topology: None, .. } => is_old = true,
                _ => {}
            }
        }
        if labs.is_empty() { Err(self.nothing(is_old)) } else { Ok(labs) }
    }

    fn nothing(&self, is_old: bool) -> Error {
        let reason = self.records.iter().find_map(|record| match &record.event {
            Event::CaseFinished { reason: Some(reason), .. } => Some(reason.as_str()),
            _ => None,
        });
        if is_old {
            let what = "the run was written by a Hairpin that did not tell its networks";
            return Error::new(what, &self.case, "run the case again, or leave out --events");
        }
        let what = match reason {
            Some(reason) => format!("the case built no network: {reason}"),
            None => "the case built no network".into(),
        };
        Error::new(
            what,
            &self.case,
            "draw a case that does; `hairpin check` tells how this one ends",
        )
    }
}

/// The case in a run that was kept: the first kernel that tells a network of it.
fn from_run(run: &Path, filter: &str) -> Result<Found, Error> {
    let runs = results::read(&[run.to_owned()])?;
    let is_meant = |id: &str| {
        id.strip_prefix(filter).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut last = None;
    for run in &runs {
        let ids: Vec<&str> =
            run.cases.iter().map(|case| case.id.as_str()).filter(|id| is_meant(id)).collect();
        let Some(id) = ids.first() else { continue };
        let found = Found { case: (*id).to_owned(), records: results::records_of(run, id) };
        if found.labs().is_ok() {
            told(ids.len(), id);
            return Ok(found);
        }
        last = Some(found);
    }
    last.ok_or_else(|| {
        let what = format!("no case `{filter}` was run");
        let help = "name a case of this run: `hairpin report RUN --format json` lists them";
        Error::new(what, run.display().to_string(), help)
    })
}

/// The case, asked for its network by being run; the exit code where nothing matches.
fn from_suite(args: &Args) -> Result<Result<Found, Exit>, Error> {
    let program = args.suite.locate(true)?;
    let stop = Stop::on_signals()?;
    let suite = Suite::load(&program, DEADLINE, &stop)?;
    let cases = match select(&suite, std::slice::from_ref(&args.case)) {
        Ok(cases) => cases,
        Err(unmatched) => return Ok(Err(unknown(&unmatched))),
    };
    let Some(case) = cases.first() else { return Ok(Err(Exit::NothingRan)) };
    told(cases.len(), case.id.as_str());
    let words = ["--exact", &case.test, "--nocapture"].map(str::to_owned).to_vec();
    let ended = process::run(&Job::new(&program, words, DEADLINE), &stop, &mut |_, _| {})?;
    Ok(Ok(Found { case: case.id.to_string(), records: ended.records }))
}

/// Tells which of several cases is meant.
pub(super) fn told(count: usize, case: &str) {
    if count > 1 {
        note(&format!("of {} this is {case}", show::count(count, "case")));
    }
}
