//! A suite program and what it holds: its rules and its cases.
//!
//! A suite program is any libtest executable that speaks the event stream; this module knows how
//! it is asked, nothing of what it tests.

pub(crate) mod cargo;
pub(crate) mod locate;
pub(crate) mod needs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hairpin_model::rule::RuleEntry;
use hairpin_model::{CaseId, Error, Event, Need};

use crate::run::process::{self, End, Ended, Job};
use crate::run::stop::Stop;

/// The test of every suite program that writes its catalogue.
const CATALOGUE: &str = "hairpin_catalogue";
/// The test that tells which needs the kernel meets, and fails where no lab can be built at all.
pub(crate) const NEEDS: &str = "hairpin_needs";

/// One case of a suite program.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its id.
    pub(crate) id: CaseId,
    /// The libtest name that runs it.
    pub(crate) test: String,
    /// The place of its rule in [`Suite::rules`].
    pub(crate) rule: usize,
}

/// A suite program and what it holds.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The program, as a path that can be executed from anywhere.
    pub(crate) program: PathBuf,
    /// Its rules, in its own order.
    pub(crate) rules: Vec<RuleEntry>,
    /// Its cases: by the order of their rules, then as the program lists them.
    pub(crate) cases: Vec<Case>,
    /// Whether it has the test [`NEEDS`].
    pub(crate) tells_needs: bool,
}

impl Suite {
    /// Asks a program for its rules and cases. The deadline holds for each question.
    pub(crate) fn load(program: &Path, deadline: Duration, stop: &Stop) -> Result<Self, Error> {
        let ask = |args: &[&str]| question(program, args, deadline, stop);
        let (listing, catalogue) = std::thread::scope(|scope| {
            let listing = scope.spawn(|| ask(&["--list", "--format", "terse"]));
            let catalogue = ask(&["--exact", CATALOGUE, "--nocapture"]);
            (listing.join().expect("asking does not panic"), catalogue)
        });
        let (listing, catalogue) = (listing?, catalogue?);
        let tests = tests(&listing.output);
        let rules = rules(program, &catalogue)?;
        let cases = cases(program, &tests, &rules)?;
        let tells_needs = tests.contains(&NEEDS);
        Ok(Self { program: program.to_owned(), rules, cases, tells_needs })
    }

    /// The rule of a case.
    pub(crate) fn rule_of(&self, case: &Case) -> &RuleEntry {
        &self.rules[case.rule]
    }

    /// Whether a case waits for kernel timers of minutes, and so needs a guest of that profile.
    pub(crate) fn waits_for_minutes(&self, case: &Case) -> bool {
        self.rule_of(case).needs.iter().any(|need| need == Need::VIRTUAL_TIME)
    }
}

/// Runs the program to its end and refuses any end but a good one.
fn question(
    program: &Path,
    args: &[&str],
    deadline: Duration,
    stop: &Stop,
) -> Result<Ended, Error> {
    let job = Job::new(program, args.iter().map(ToString::to_string).collect(), deadline);
    let ended = process::run(&job, stop, &mut |_, _| {})?;
    if matches!(ended.end, End::Exited(0) | End::Stopped) {
        return Ok(ended);
    }
    let what = format!("the suite program {} when asked `{}`", ended.end, args.join(" "));
    let said = ended.output.lines().last().unwrap_or("it said nothing");
    Err(foreign(program, what, &format!("its last words: {said}")))
}

/// An error about a program that does not do what a suite program does.
fn foreign(program: &Path, what: impl Into<String>, more: &str) -> Error {
    let help = format!("is it a suite program, built with hairpin-harness? {more}");
    Error::new(what, program.display().to_string(), help.trim_end())
}

/// The names in libtest's terse listing.
fn tests(listing: &str) -> Vec<&str> {
    listing.lines().filter_map(|line| line.strip_suffix(": test")).collect()
}

/// The rules in the catalogue's answer.
fn rules(program: &Path, answer: &Ended) -> Result<Vec<RuleEntry>, Error> {
    if let Some(line) = &answer.unread {
        return Err(foreign(program, format!("the suite program wrote {line}"), ""));
    }
    let rules = answer.records.iter().find_map(|record| match &record.event {
        Event::Catalogue { rules } => Some(rules.clone()),
        _ => None,
    });
    rules.ok_or_else(|| {
        foreign(program, format!("`{CATALOGUE}` of the suite program wrote no catalogue"), "")
    })
}

/// The tests that are cases, each with its rule; the others are the program's own.
fn cases(program: &Path, tests: &[&str], rules: &[RuleEntry]) -> Result<Vec<Case>, Error> {
    let mut named: BTreeMap<CaseId, &str> = BTreeMap::new();
    let mut cases = Vec::new();
    for test in tests {
        let id = CaseId::of_test(test);
        // The longest id wins, so that a rule may stand below another.
        let under = (0..rules.len()).filter(|i| id.is_under(&rules[*i].id));
        let Some(rule) = under.max_by_key(|i| rules[*i].id.len()) else { continue };
        if let Some(other) = named.insert(id.clone(), test) {
            let what = format!("the tests `{other}` and `{test}` are both the case `{id}`");
            return Err(foreign(program, what, "name their rstest cases apart"));
        }
        cases.push(Case { id, test: (*test).to_owned(), rule });
    }
    cases.sort_by_key(|case| case.rule);
    Ok(cases)
}

/// A suite for unit tests.
#[cfg(test)]
pub(crate) mod testing {
    use hairpin_model::Strength;

    use super::*;

    fn rule(id: &str, promise: &str, article: &[&str]) -> RuleEntry {
        RuleEntry {
            id: id.into(),
            promise: promise.into(),
            source: "a document".into(),
            strength: Strength::Documented,
            article: article.iter().map(ToString::to_string).collect(),
            needs: Vec::new(),
        }
    }

    /// Two rules, three cases.
    pub(crate) fn suite() -> Suite {
        let rules = vec![
            rule("bridge.l2.same-bridge", "hosts on one bridge reach each other", &["B2"]),
            rule("macvlan.vepa.siblings-need-reflection", "siblings need a mirror", &["M6", "M7"]),
        ];
        let tests = [
            "bridge::l2::same_bridge",
            "macvlan::vepa::siblings_need_reflection::case_1_v4",
            "macvlan::vepa::siblings_need_reflection::case_2_v6",
            "drawing::reads_back",
            "hairpin_catalogue",
        ];
        let program = PathBuf::from("/bin/suite");
        let cases = cases(&program, &tests, &rules).unwrap();
        Suite { program, rules, cases, tells_needs: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_holds_tests_and_other_lines() {
        assert_eq!(tests("a::b: test\nbench: benchmark\n\n1 test, 0 benchmarks\n"), ["a::b"]);
    }

    #[test]
    fn only_tests_under_a_rule_are_cases() {
        let ids: Vec<String> =
            testing::suite().cases.iter().map(|case| case.id.to_string()).collect();
        assert_eq!(
            ids,
            [
                "bridge.l2.same-bridge",
                "macvlan.vepa.siblings-need-reflection.v4",
                "macvlan.vepa.siblings-need-reflection.v6"
            ]
        );
    }

    #[test]
    fn two_tests_of_one_id_are_refused() {
        let rules = testing::suite().rules;
        let twice = ["bridge::l2::same_bridge::case_1_v4", "bridge::l2::same_bridge::case_2_v4"];
        let error = cases(Path::new("p"), &twice, &rules).unwrap_err();
        assert!(error.what.contains("are both the case `bridge.l2.same-bridge.v4`"), "{error}");
    }
}
