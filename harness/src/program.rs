//! What makes a test program a suite program: its catalogue, and the names of its cases.
//!
//! Used by [`suite!`](crate::suite); not part of the public interface.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use hairpin_model::event::Outcome;
use hairpin_model::{CaseId, Error, Event, Expectation, Need, Rule};

use crate::version::Kernel;
use crate::{events, needs};

/// Makes a test program a suite program: it gets its sandbox, its catalogue, and the answer to
/// what the running kernel lacks. Takes the program's lists of rules; behind a `;` the files of
/// known failures, each as name and text: `suite!(RULES; [("kernel.toml", include_str!("…"))])`.
///
/// ```no_run
#[doc = include_str!("../examples/isolated_ports.rs")]
/// ```
#[macro_export]
macro_rules! suite {
    ($($rules:expr),+ $(,)?) => {
        $crate::suite!($($rules),+; []);
    };
    ($($rules:expr),+ $(,)?; [$(($file:expr, $expectations:expr)),* $(,)?]) => {
        #[used]
        #[unsafe(link_section = ".init_array")]
        static HAIRPIN_SANDBOX: extern "C" fn() = {
            extern "C" fn enter() {
                $crate::program::expect(&[$(($file, $expectations)),*]);
                $crate::sandbox::enter();
            }
            enter
        };

        #[test]
        fn hairpin_catalogue() {
            $crate::program::catalogue(&[$($rules),+]);
        }

        #[test]
        fn hairpin_needs() {
            $crate::program::needs(&[$($rules),+]);
        }
    };
}

/// The expectation files that the program carries: name and text.
static EXPECTATIONS: OnceLock<&'static [(&'static str, &'static str)]> = OnceLock::new();

/// Gives the program its expectation files. Called once, before `main`.
pub fn expect(files: &'static [(&'static str, &'static str)]) {
    EXPECTATIONS.get_or_init(|| files);
}

/// The known failure that this case has on the running kernel, if there is one.
pub(crate) fn expectation(case: &CaseId) -> Result<Option<Expectation>, Error> {
    let files = EXPECTATIONS.get().copied().unwrap_or_default();
    let Some(kernel) = Kernel::running_for_expectations() else { return Ok(None) };
    for (file, text) in files {
        let found = Expectation::read(file, text)?;
        if let Some(expectation) = found.into_iter().find(|e| e.applies(case, &kernel)) {
            return Ok(Some(expectation));
        }
    }
    Ok(None)
}

/// The case that this thread runs.
pub(crate) fn this_case(rule: &Rule) -> CaseId {
    let thread = std::thread::current();
    let name = match thread.name() {
        Some("main") | None => exact().unwrap_or_else(|| rule.id.to_owned()),
        Some(name) => name.to_owned(),
    };
    CaseId::of_test(&name)
}

/// The test that the command line asks for by its whole name: libtest then runs it in `main`.
fn exact() -> Option<String> {
    let args: Vec<String> = std::env::args().collect();
    args.contains(&"--exact".to_owned())
        .then(|| args.into_iter().skip(1).find(|arg| !arg.starts_with('-')))
        .flatten()
}

/// Tells the rules, and checks that the program is in order: ids well formed and unique, a case for
/// each rule, and each case under a rule.
pub fn catalogue(lists: &[&[Rule]]) {
    let rules: Vec<&Rule> = lists.iter().copied().flatten().collect();
    events::emit(Event::Catalogue { rules: rules.iter().map(|rule| (*rule).into()).collect() });
    if events::are_read() {
        // The runner holds them against the cases itself: no second process for each question.
        return;
    }
    let cases: Vec<CaseId> = tests().iter().map(|test| CaseId::of_test(test)).collect();
    let mut seen = BTreeSet::new();
    for rule in &rules {
        assert!(
            CaseId::is_well_formed(rule.id),
            "`{}` is no id: see `CaseId::is_well_formed`",
            rule.id
        );
        assert!(seen.insert(rule.id), "two rules are named `{}`", rule.id);
        assert!(
            cases.iter().any(|case| case.is_under(rule.id)),
            "no case for the rule `{}`",
            rule.id
        );
        assert!(
            !rule.promise.is_empty() && !rule.source.cite.is_empty(),
            "`{}` lacks words",
            rule.id
        );
    }
    for (file, text) in EXPECTATIONS.get().copied().unwrap_or_default() {
        for expectation in
            Expectation::read(file, text).expect("the program's expectations can be read")
        {
            let known = cases.iter().any(|case| case.is_under(&expectation.id));
            assert!(known, "{file}: no case under `{}`", expectation.id);
        }
    }
    let unique: BTreeSet<&str> = cases.iter().map(CaseId::as_str).collect();
    assert_eq!(unique.len(), cases.len(), "two cases have one id");
}

/// The names of the program's tests.
fn tests() -> Vec<String> {
    let program = std::env::current_exe().expect("a running program has a path");
    let list = Command::new(program).args(["--list", "--format", "terse"]).output();
    let list = list.expect("this program can be started again");
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(Into::into).collect()
}

/// Tells what of the rules' needs the running kernel has.
pub fn needs(lists: &[&[Rule]]) {
    let all: BTreeSet<Need> =
        lists.iter().copied().flatten().flat_map(|rule| rule.needs).copied().collect();
    let all: Vec<Need> = all.into_iter().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found = runtime.expect("a runtime can be made").block_on(needs::missing(&all));
    let found = found.unwrap_or_else(|error| {
        events::emit(Event::CaseFinished {
            case: CaseId::of_test("hairpin_needs"),
            rule: String::new(),
            outcome: Outcome::Error,
            reason: Some(error.to_string()),
            case_us: 0,
        });
        panic!("{error}");
    });
    for need in &all {
        let observed =
            found.iter().find(|(missing, _)| missing == need).map(|(_, words)| words.clone());
        events::emit(Event::Check { claim: need.to_string(), observed });
    }
}
