//! `hairpin report`: runs read back, for people and programs that are not Hairpin.
//!
//! It only tells: a run with failures in it is told like any other, with exit code 0. Of event files
//! that are broken it tells what can be read, and ends with exit code 2.

mod junit;
mod markdown;
mod merge;
mod page;
mod tap;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use hairpin_model::Error;
use hairpin_model::event::Outcome;
use serde::Serialize;

use crate::exit::Exit;
use crate::guest::tell as note;
use crate::observed::Observed;
use crate::results::{self, Case, Run};
use crate::show::{self, Out};

const EXAMPLES: &str = "\
Examples:
  hairpin report run.jsonl --format tap            flat TAP 13, as kselftest's readers want it
  hairpin report runs/today --format junit -o junit.xml
  hairpin report runs/today --format markdown >> \"$GITHUB_STEP_SUMMARY\"
  hairpin report runs/today --format html -o page.html    with wiring, grids, history; works from disk
  hairpin report runs/before runs/today --format html -o page.html    and what changed
  hairpin report runs/today costs.jsonl --format html -o page.html    and what `hairpin measure` wrote
  hairpin report shard-1 shard-2 --merge -o runs/today    one run of a distributed one
  hairpin report new.jsonl --format observed --onto observed.toml -o observed.toml    as CI's page of rules has it

RUN is an event file (check --events, measure --events) or the folder of a `hairpin matrix`. The exit code is 0
whatever the cases came to: this only tells. Of files that hold broken lines it tells what can be
read, then each such line as an error, with exit code 2.";

/// The options of `hairpin report`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Event files, and folders of them.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// For whom.
    #[arg(long, value_name = "FORMAT", value_enum, required_unless_present = "merge")]
    format: Option<Format>,
    /// Join the runs into one, at --output: its kernels, and of one kernel all its cases. A case
    /// that several have counts as repeated.
    #[arg(long, conflicts_with = "format", requires = "output")]
    merge: bool,
    /// What `--format observed` wrote before: what the runs say nothing of is taken from there.
    #[arg(long, value_name = "FILE")]
    onto: Option<PathBuf>,
    /// Where to write [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Flat TAP 13: kselftest, NIPA, LAVA.
    Tap,
    /// JUnit's XML: the pages of most CI services.
    Junit,
    /// A GitHub job summary, under its size limit.
    Markdown,
    /// One JSON object.
    Json,
    /// A page for a browser, one file that needs nothing else.
    Html,
    /// Which kernels have shown which rule: fixtures/observed.toml.
    Observed,
}

/// Tells the runs.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    if args.merge {
        let into = args.output.as_deref().expect("clap asks for it");
        merge::merge(&args.runs, into)?;
        return Ok(Exit::Fine);
    }
    let format = args.format.expect("clap asks for it");
    match (format, &args.onto) {
        (Format::Observed, _) => return observed(args),
        (_, Some(file)) => return Err(only_observed(file)),
        (Format::Html, None) => return page(args),
        _ => {}
    }
    let files = results::event_files(&args.runs)?;
    let (mut runs, unread) = results::read_all_leniently(&files)?;
    runs.sort_by_key(|run| results::version(&run.name));
    note_cut(&runs);
    write(args, &tell(runs, format)?)?;
    Ok(show::unread(&unread, Exit::Fine))
}

fn note_cut(runs: &[Run]) {
    for run in runs.iter().filter(|run| run.unread == 0 && !run.is_whole) {
        note(&format!("the run on {} was cut short; what it holds is told", run.name));
    }
}

/// What is kept beside the source must not miss anything: a line that cannot be read is an error here.
fn observed(args: &Args) -> Result<Exit, Error> {
    let before = args.onto.as_deref().map(Observed::read).transpose()?;
    let runs = results::read(&args.runs)?;
    note_cut(&runs);
    let observed = Observed::of(&runs);
    let observed = match &before {
        Some(before) => observed.onto(before),
        None => observed,
    };
    write(args, &observed.text())?;
    Ok(Exit::Fine)
}

fn only_observed(file: &Path) -> Error {
    let help = "say --format observed, or leave --onto out";
    Error::new("only what was observed goes onto a file of it", file.display().to_string(), help)
}

/// The page, with what could be read; what could not is told there and here.
fn page(args: &Args) -> Result<Exit, Error> {
    let book = page::Book::read(&args.runs)?;
    write(args, &page::html(&book))?;
    Ok(show::unread(&book.unread, Exit::Fine))
}

fn write(args: &Args, text: &str) -> Result<(), Error> {
    let Some(file) = &args.output else {
        Out::stdout().text(text);
        return Ok(());
    };
    std::fs::write(file, text).map_err(|error| {
        let help = "name a file that can be written, on a disk with room";
        Error::new(
            format!("the report cannot be written: {error}"),
            file.display().to_string(),
            help,
        )
    })
}

fn tell(mut runs: Vec<Run>, format: Format) -> Result<String, Error> {
    Ok(match format {
        Format::Tap | Format::Junit => {
            runs.iter_mut().for_each(mark_cut);
            if format == Format::Tap { tap::text(&runs) } else { junit::text(&runs)? }
        }
        Format::Markdown => markdown::text(&runs),
        Format::Json => json(&runs),
        Format::Observed => Observed::of(&runs).text(),
        // As far as values go: consoles are files.
        Format::Html => page::html(&page::Book::of_values(runs)),
    })
}

/// These formats know nothing of a run that is not all there: without a case for it, it would look
/// like a whole one.
fn mark_cut(run: &mut Run) {
    let (id, reason) = if run.unread > 0 {
        let lines = show::count(run.unread, "line");
        let words = format!("{lines} of it could not be read; cases may be missing here");
        ("hairpin.run-could-not-be-read", words)
    } else if !run.is_whole {
        let words = "the run was killed or interrupted; cases that are missing here were not run";
        ("hairpin.run-was-cut-short", words.into())
    } else {
        return;
    };
    run.cases.push(Case {
        id: id.into(),
        rule: "hairpin".into(),
        outcome: Outcome::Error,
        reason: Some(reason),
        runs: 1,
        times: 1,
        took: Duration::ZERO,
        output: String::new(),
    });
}

#[derive(Serialize)]
struct Json<'a> {
    /// Raised when a field changes its meaning or goes away.
    v: u32,
    runs: Vec<JsonRun<'a>>,
}

#[derive(Serialize)]
struct JsonRun<'a> {
    name: &'a str,
    kernel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    guest: Option<&'a hairpin_model::event::Guest>,
    whole: bool,
    cases: Vec<JsonCase<'a>>,
}

#[derive(Serialize)]
struct JsonCase<'a> {
    /// As the matrix says it: the outcome, or `fixed` or `flaky`.
    word: &'static str,
    #[serde(flatten)]
    case: &'a Case,
}

impl<'a> JsonRun<'a> {
    fn of(run: &'a Run) -> Self {
        Self {
            name: &run.name,
            kernel: &run.kernel,
            guest: run.guest.as_ref(),
            whole: run.flaw().is_none(),
            cases: run.cases.iter().map(|case| JsonCase { word: case.cell_word(), case }).collect(),
        }
    }
}

fn json(runs: &[Run]) -> String {
    let all = Json { v: 1, runs: runs.iter().map(JsonRun::of).collect() };
    serde_json::to_string(&all).expect("a report is plain values") + "\n"
}

/// The reason of a case in one line.
fn reason(case: &Case) -> String {
    let text = case.reason.as_deref().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_cut_short_does_not_look_whole() {
        let cut = || vec![Run { is_whole: false, ..testing::run() }];
        let tap = tell(cut(), Format::Tap).unwrap();
        assert!(
            tap.contains("not ok 9 hairpin.run-was-cut-short # ERROR setup: the run was"),
            "{tap}"
        );
        assert!(tell(cut(), Format::Junit).unwrap().contains("hairpin.run-was-cut-short"));
        assert!(tell(cut(), Format::Markdown).unwrap().contains("(cut short)"));
        assert!(tell(cut(), Format::Json).unwrap().contains("\"whole\":false"));
    }

    #[test]
    fn a_run_that_could_not_all_be_read_does_not_look_whole() {
        let torn = || vec![Run { unread: 2, ..testing::run() }];
        for format in [Format::Tap, Format::Junit] {
            let told = tell(torn(), format).unwrap();
            assert!(told.contains("hairpin.run-could-not-be-read"), "{told}");
            assert!(told.contains("2 lines of it could not be read"), "{told}");
        }
        assert!(tell(torn(), Format::Markdown).unwrap().contains("(not all could be read)"));
        assert!(tell(torn(), Format::Json).unwrap().contains("\"whole\":false"));
    }

    #[test]
    fn json_has_a_word_for_every_end() {
        let mut run = testing::run();
        let fixed = "passes, but a failure is expected: delete `x` in y".to_owned();
        run.cases[3].reason = Some(fixed);
        let told: serde_json::Value = serde_json::from_str(&json(&[run])).unwrap();
        let cases = told["runs"][0]["cases"].as_array().unwrap();
        let words: Vec<&str> = cases.iter().map(|case| case["word"].as_str().unwrap()).collect();
        assert_eq!(words, ["pass", "skip", "known", "fixed", "error", "crash", "hang", "flaky"]);
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::time::Duration;

    use hairpin_model::event::Outcome;

    use super::*;

    /// A run with a case of each outcome, and a flake.
    pub(crate) fn run() -> Run {
        let case = |(n, outcome): (usize, Outcome)| Case {
            id: format!("area.rule-{n}"),
            rule: "area".into(),
            outcome,
            reason: (outcome != Outcome::Pass).then(|| format!("why # <{n}>\n& more")),
            runs: 1,
            times: 1,
            took: Duration::from_millis(12),
            output: String::new(),
        };
        let all = [
            Outcome::Pass,
            Outcome::Skip,
            Outcome::Known,
            Outcome::Fail,
            Outcome::Error,
            Outcome::Crash,
            Outcome::Hang,
        ];
        let mut cases: Vec<Case> = all.into_iter().enumerate().map(case).collect();
        cases[3].output = "thread panicked\u{1b}[0m".into();
        cases.push(Case { runs: 3, ..case((9, Outcome::Fail)) });
        Run {
            name: "6.12".into(),
            kernel: "6.12.1".into(),
            cases,
            is_whole: true,
            unread: 0,
            ..Run::default()
        }
    }
}
