//! The suite's own sources, read as text: what a reviewer would have to look for by hand.
//!
//! Needs no root and builds no lab. What can only be known while a case runs (that each class of
//! traffic has its twin) is checked there, by the harness.

mod docs;
mod mutants;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hairpin_model::CaseId;
use source::{Function, Suite};

/// The rows of the article that must have a rule. M4 is measured, not promised.
const ARTICLE: &[&str] = &[
    "H1", "H2", "H3", "B1", "B2", "B3", "B4", "B5", "M1", "M2", "M3", "M5", "M6", "M7", "M8", "M9",
    "M10", "M11", "M12",
];

/// The files that may hold `unsafe`, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("harness/src/sys.rs", "system calls without a safe wrapper"),
    ("harness/src/sys/ioctl.rs", "requests to the kernel without a safe wrapper"),
    ("harness/src/sys/stranger.rs", "a process with one thread, in a user namespace of its own"),
    ("harness/src/sys/interrupt.rs", "a signal that does nothing but interrupt, to one thread"),
    ("harness/src/sys/bpf.rs", "bpf(2), which has no safe wrapper"),
    ("harness/src/program.rs", "the attribute that has code run before main"),
    ("guest/src/sys.rs", "requests to the kernel without a safe wrapper"),
    ("vm/src/sys.rs", "children that die with their parent, and files without a name"),
    ("vm/src/sys/kvm.rs", "requests to /dev/kvm"),
    ("vm/src/sys/trace.rs", "requests to trace a process without a safe wrapper"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above")
}

fn suite() -> Suite {
    Suite::read(&root().join("suites/tests/conformance"))
}

/// Fails with every line that was found.
fn none(found: impl IntoIterator<Item = String>) {
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_suite_is_found() {
    let suite = suite();
    assert!(suite.rules.len() > 30, "{} rules", suite.rules.len());
    assert!(suite.functions.iter().filter(|f| f.is_test).count() > 30, "too few cases");
    let drawings: usize = suite.functions.iter().map(|f| f.drawings.len()).sum();
    assert!(drawings > 50, "{drawings} drawings");
}

#[test]
fn every_drawing_can_be_read() {
    none(suite().unreadable);
}

#[test]
fn every_blocked_cell_has_its_twin() {
    let suite = suite();
    let lone = |function: &Function| {
        let twins = suite.drawings_within_reach(function);
        let reached: BTreeSet<(String, String)> =
            twins.iter().flat_map(|d| source::pairs(d, |s| s == '+' || s.is_numeric())).collect();
        let blocked: BTreeSet<_> =
            function.drawings.iter().flat_map(|d| source::pairs(d, |s| s == '#')).collect();
        let told = |(from, to): &(String, String)| {
            format!("{}: `{from}` to `{to}` is drawn `#` and never `+`", function.path)
        };
        blocked.difference(&reached).map(told).collect::<Vec<_>>()
    };
    none(suite.functions.iter().filter(|f| f.is_test).flat_map(lone));
}

#[test]
fn rule_ids_are_well_formed_and_unique() {
    let mut seen = BTreeSet::new();
    none(suite().rules.iter().filter_map(|rule| {
        let good = CaseId::is_well_formed(&rule.id) && seen.insert(rule.id.clone());
        (!good).then(|| format!("`{}` in {} is malformed or taken", rule.id, rule.module))
    }));
}

#[test]
fn rules_are_printed_without_gaps() {
    let suite = suite();
    let gap = |words: &String| words.contains("  ") || words.contains('\n');
    let broken = suite.rules.iter().filter(|rule| rule.words.iter().any(gap));
    none(broken.map(|rule| format!("`{}` has a gap where its line was broken", rule.id)));
}

/// Tests that are no cases: the command runs them by their names, and they promise nothing.
const NO_CASES: [&str; 1] = ["measure::round"];

#[test]
fn every_rule_has_a_case_and_every_case_its_rule() {
    let suite = suite();
    let tests: Vec<&Function> = suite.functions.iter().filter(|f| f.is_test).collect();
    let is_case = |rule: &str| tests.iter().any(|test| CaseId::of_test(&test.path).is_under(rule));
    let without_case = suite.rules.iter().filter(|rule| !is_case(&rule.id));
    let of_other_rule = tests.iter().filter(|test| !NO_CASES.contains(&test.path.as_str()));
    let of_other_rule = of_other_rule.filter(|test| {
        let checked = suite.rules.iter().filter(|rule| {
            test.module.starts_with(&rule.module) && test.mentions.contains(&rule.name)
        });
        let mut checked = checked.peekable();
        checked.peek().is_none()
            || checked.any(|rule| !CaseId::of_test(&test.path).is_under(&rule.id))
    });
    none(
        without_case
            .map(|rule| format!("no case for the rule `{}`", rule.id))
            .chain(of_other_rule.map(|test| format!("{} checks no rule of its name", test.path))),
    );
}

#[test]
fn every_rule_is_in_the_catalogue() {
    let suite = suite();
    let of_module: BTreeMap<&str, &BTreeSet<String>> =
        suite.lists.iter().map(|(module, names)| (module.as_str(), names)).collect();
    let listed = |rule: &source::Rule| {
        of_module.get(rule.module.as_str()).is_some_and(|names| names.contains(&rule.name))
            && suite.catalogue.contains(&format!("{}::RULES", rule.module))
    };
    let left_out = suite.rules.iter().filter(|rule| !listed(rule));
    none(left_out.map(|rule| format!("`{}` is in no list of `suite!`", rule.id)));
}

#[test]
fn every_row_of_the_article_has_a_rule() {
    let suite = suite();
    let named: BTreeSet<&str> =
        suite.rules.iter().flat_map(|rule| &rule.article).map(String::as_str).collect();
    let all: BTreeSet<&str> = ARTICLE.iter().copied().collect();
    none(all.difference(&named).map(|row| format!("no rule for {row} of the article")));
    none(named.difference(&all).map(|row| format!("the article has no row {row}")));
}

#[test]
fn suites_describe_and_do_not_perform() {
    let folders = ["suites/src", "suites/tests/conformance", "fixtures/src"];
    let files = folders.iter().flat_map(|folder| rust_files(&root().join(folder)));
    none(files.flat_map(|file| {
        words(&file)
            .filter(|(_, word)| ["sleep", "Command", "unsafe"].contains(&word.as_str()))
            .map(|(line, word)| format!("{}:{line}: `{word}`", name(&file)))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    let allowed: BTreeSet<&str> = UNSAFE.iter().map(|(file, _)| *file).collect();
    let files = rust_files(root()).into_iter().filter(|file| !allowed.contains(&*name(file)));
    none(files.flat_map(|file| {
        words(&file)
            .filter(|(_, word)| word == "unsafe")
            .map(|(line, _)| format!("{}:{line}: `unsafe`", name(&file)))
            .collect::<Vec<_>>()
    }));
}

/// A file's name as seen from the workspace.
fn name(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).to_string_lossy().into_owned()
}

/// The words of a file's code, with their lines. Comments and what stands in quotes are not code.
fn words(file: &Path) -> impl Iterator<Item = (usize, String)> {
    let text = fs::read_to_string(file).expect("a source can be read");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.into_iter().enumerate().flat_map(|(i, line)| {
        let code = line.split("//").next().unwrap_or_default();
        let unquoted: Vec<&str> = code.split('"').step_by(2).collect();
        let text = unquoted.join(" ");
        let word = |c: char| c.is_alphanumeric() || c == '_';
        text.split(|c| !word(c)).map(|word| (i + 1, word.to_owned())).collect::<Vec<_>>()
    })
}

/// Every Rust file below a folder but what was built.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder can be read") {
        let path = entry.expect("a source folder can be read").path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !path.ends_with("target") && !hidden {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
