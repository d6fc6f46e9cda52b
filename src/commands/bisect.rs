//! `hairpin bisect`: the kernel package with which a case began to fail, or to pass.
//!
//! It looks at packages, not at commits: those that the mirror has between two kernels.

use std::fmt;
use std::time::Duration;

use hairpin_model::Error;
use hairpin_vm::kernels::{Candidate, Catalogue, Store};
use hairpin_vm::{Guests, Profile};

use crate::commands::check::{seconds, unknown};
use crate::exit::Exit;
use crate::guest::{GuestArgs, job, store};
use crate::results;
use crate::run::stop::Stop;
use crate::select::select;
use crate::show::{Out, STRONG, paint};
use crate::suite::locate::SuiteArgs;
use crate::suite::{Case, Suite};

const EXAMPLES: &str = "\
Examples:
  hairpin bisect --good 6.1 --bad 7.3 macvlan.bridge.siblings-talk-directly.ping4
  hairpin bisect --bad 6.18 --good 7.3 macvlan.passthru    which package brought the fix

CASE may stand for several: a kernel is good if it keeps them all. A known failure counts as a
failure here. Packages that are not whole on the mirror, do not boot, or skip the case are passed
over, and told.";

/// The options of `hairpin bisect`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A case, or a filter for several.
    #[arg(value_name = "CASE", required = true)]
    filters: Vec<String>,
    /// A series on which it passes.
    #[arg(long, value_name = "SERIES")]
    good: String,
    /// A series on which it fails. An older one than the good one is fine: then the fix is looked for.
    #[arg(long, value_name = "SERIES")]
    bad: String,
    #[command(flatten)]
    suite: SuiteArgs,
    /// How long a case may take.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    deadline: Duration,
}

/// What a kernel did with the cases.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Good,
    /// The first case that failed, and how.
    Bad(String),
    /// It says nothing of the cases: why.
    Unknown(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Bad(why) => write!(f, "bad: {why}"),
            Self::Unknown(why) => write!(f, "passed over: {why}"),
        }
    }
}

/// Finds the package.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let store = store()?;
    let (series, first_is_good) = between(store.catalogue(), &args.good, &args.bad)?;
    let program = args.suite.locate(false)?;
    let stop = Stop::new()?;
    let suite = Suite::load(&program, args.deadline, &stop)?;
    let cases = match select(&suite, &args.filters) {
        Ok(cases) => cases,
        Err(unmatched) => return Ok(unknown(&unmatched)),
    };
    let search = Search { args, store: &store, suite: &suite, cases: &cases };
    let packages = search.packages(&series)?;
    let look = |at: usize| search.look(&packages[at]);
    let found = find(packages.len(), first_is_good, look)?;
    let name = |at: usize| packages[at].version.clone();
    let word = if found.turned_bad { "bad" } else { "good" };
    let text = format!("first {word}: {}, after {}", name(found.after), name(found.before));
    let mut out = Out::stdout();
    out.text(&format!("{}\n", paint(STRONG, text)));
    for at in found.before + 1..found.after {
        out.text(&format!("in between, and saying nothing: {}\n", name(at)));
    }
    Ok(Exit::Fine)
}

fn place_of(catalogue: &Catalogue, name: &str) -> Result<usize, Error> {
    let series = catalogue.find(name)?;
    let at = catalogue.series.iter().position(|known| known.name == series.name);
    Ok(at.expect("it was just found there"))
}

/// The names of all series from one end to the other, oldest first, and whether the first is the good one.
fn between(catalogue: &Catalogue, good: &str, bad: &str) -> Result<(Vec<String>, bool), Error> {
    let (good, bad) = (place_of(catalogue, good)?, place_of(catalogue, bad)?);
    if good == bad {
        return Err(Error::new(
            "the good and the bad end are one series",
            "--good and --bad",
            "name two series; `hairpin matrix CASE` shows where a case fails",
        ));
    }
    let series = &catalogue.series[good.min(bad)..=good.max(bad)];
    Ok((series.iter().map(|series| series.name.clone()).collect(), good < bad))
}

struct Search<'a> {
    args: &'a Args,
    store: &'a Store,
    suite: &'a Suite,
    cases: &'a [&'a Case],
}

impl Search<'_> {
    /// All whole packages of these series, oldest first.
    fn packages(&self, series: &[String]) -> Result<Vec<Candidate>, Error> {
        let mut all: Vec<Candidate> = Vec::new();
        for name in series {
            match self.store.versions(name) {
                Ok(found) => all.extend(found),
                Err(error) => tell(&format!("{name}: passed over: {error}")),
            }
        }
        for part in all.iter().filter(|candidate| !candidate.is_whole()) {
            tell(&format!("{}: passed over: not whole on the mirror", part.version));
        }
        all.retain(Candidate::is_whole);
        all.dedup_by(|a, b| a.version == b.version);
        Ok(all)
    }

    /// Boots a package and gives it the cases, each in a guest of its own.
    fn look(&self, package: &Candidate) -> Result<Seen, Error> {
        let image = self.store.fetch(package)?;
        let mut spec = GuestArgs::default().spec(image, &self.suite.program)?;
        if self.cases.iter().any(|case| self.suite.waits_for_minutes(case)) {
            spec.profile = Profile::VirtualTime;
        }
        let seen = match Guests::prepare(&spec) {
            Ok(guests) => self.ask(&guests),
            Err(failure) => Seen::Unknown(failure.error.what),
        };
        tell(&format!("{}: {seen}", package.version));
        Ok(seen)
    }

    fn ask(&self, guests: &Guests) -> Seen {
        if let Some(evidence) = guests.evidence().first() {
            return Seen::Bad(format!("the kernel complained before any case: {evidence}"));
        }
        let mut seen = Seen::Good;
        for case in self.cases {
            let ended = match guests.run(&job(&case.test, self.args.deadline)) {
                Ok(ended) => ended,
                Err(failure) => return Seen::Unknown(failure.error.what),
            };
            let (outcome, reason) = ended.outcome();
            let is_kept = results::is_kept(outcome, reason.as_deref());
            let why = format!("{} {}: {}", case.id, outcome.word(), reason.unwrap_or_default());
            match is_kept {
                Some(true) => {}
                Some(false) => return Seen::Bad(why),
                None => seen = Seen::Unknown(why),
            }
        }
        seen
    }
}

/// Where it turned: the last place that is as the first, and the first that is not.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    before: usize,
    after: usize,
    turned_bad: bool,
}

/// Looks at both ends, then halves what is between them.
fn find(
    count: usize,
    first_is_good: bool,
    mut look: impl FnMut(usize) -> Result<Seen, Error>,
) -> Result<Found, Error> {
    let as_first = |seen: &Seen| match seen {
        Seen::Good => Some(first_is_good),
        Seen::Bad(_) => Some(!first_is_good),
        Seen::Unknown(_) => None,
    };
    // The nearest place to an end that says anything.
    let mut end = |places: &mut dyn Iterator<Item = usize>, wanted: bool| {
        for at in places {
            match as_first(&look(at)?) {
                Some(is) if is == wanted => return Ok(at),
                Some(_) => return Err(not_as_said(first_is_good == wanted)),
                None => {}
            }
        }
        Err(not_as_said(first_is_good == wanted))
    };
    let mut before = end(&mut (0..count), true)?;
    let mut after = end(&mut (before + 1..count).rev(), false)?;
    let mut silent: Vec<usize> = Vec::new();
    loop {
        let open: Vec<usize> = (before + 1..after).filter(|at| !silent.contains(at)).collect();
        let Some(&middle) = open.get(open.len() / 2) else {
            return Ok(Found { before, after, turned_bad: first_is_good });
        };
        match as_first(&look(middle)?) {
            Some(true) => before = middle,
            Some(false) => after = middle,
            None => silent.push(middle),
        }
    }
}

fn not_as_said(good: bool) -> Error {
    let (end, is) = if good { ("--good", "good") } else { ("--bad", "bad") };
    Error::new(
        format!("no kernel at the {is} end is {is}"),
        end,
        "`hairpin matrix CASE` shows where a case passes and where it fails",
    )
}

fn tell(text: &str) {
    Out::stdout().text(&format!("{text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `g` good, `b` bad, `?` says nothing.
    fn found(kernels: &str, first_is_good: bool) -> Result<(Found, usize), Error> {
        let kernels: Vec<char> = kernels.chars().collect();
        let mut looks = 0;
        let found = find(kernels.len(), first_is_good, |at| {
            looks += 1;
            Ok(match kernels[at] {
                'g' => Seen::Good,
                'b' => Seen::Bad("why".into()),
                _ => Seen::Unknown("why".into()),
            })
        })?;
        Ok((found, looks))
    }

    #[test]
    fn the_turn_is_found_with_few_looks() {
        let (turn, looks) = found("ggggggggggbbbbbb", true).unwrap();
        assert_eq!(turn, Found { before: 9, after: 10, turned_bad: true });
        assert!(looks <= 7, "{looks}");
        let (fix, _) = found("bbg", false).unwrap();
        assert_eq!(fix, Found { before: 1, after: 2, turned_bad: false });
    }

    #[test]
    fn kernels_that_say_nothing_are_passed_over() {
        let (turn, _) = found("?gg??b?b?", true).unwrap();
        assert_eq!(turn, Found { before: 2, after: 5, turned_bad: true });
    }

    #[test]
    fn an_end_that_is_not_as_said_is_an_error() {
        assert_eq!(found("bbb", true).unwrap_err().place, "--good");
        assert_eq!(found("ggg", true).unwrap_err().place, "--bad");
        assert_eq!(found("?", true).unwrap_err().place, "--good");
    }
}
