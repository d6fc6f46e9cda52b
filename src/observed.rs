//! Which kernels have shown which rule: kept in a file that is small enough for the repository, made
//! from event files, and told by the page of rules.
//!
//! It is a summary, a symbol for each rule and kernel. What a run held in full is in its event files.

use std::collections::BTreeMap;
use std::path::Path;

use hairpin_model::Error;
use hairpin_model::event::Outcome;
use serde::Deserialize;

use crate::results::{self, Run};

/// What stands at the head of the file.
const HEAD: &str = "\
# Which kernels have shown which rule; docs/rules.md tells it. Made from event files, never by hand:
#     hairpin report RUN... --format observed -o fixtures/observed.toml    (with --onto, of new runs alone)
# A column a kernel:  + shown   k broken as is known   ! broken   s skipped   - not run
";

/// A kernel that cases were run on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Kernel {
    /// As runs call it: `6.12`.
    pub(crate) name: String,
    /// What `uname -r` prints.
    pub(crate) release: String,
}

/// What became of a rule on a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shown {
    /// None of its cases was run.
    NotRun,
    /// The kernel lacks what it needs.
    Skipped,
    /// Its cases passed; those that could be run, where some were skipped.
    Kept,
    /// The kernel breaks it, as is known.
    Known,
    /// A case ended badly.
    Broken,
}

/// Rules by kernels.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Observed {
    kernels: Vec<Kernel>,
    /// A symbol for each kernel, in their order.
    rules: BTreeMap<String, String>,
}

impl Shown {
    const ALL: [Self; 5] = [Self::NotRun, Self::Skipped, Self::Kept, Self::Known, Self::Broken];

    const fn symbol(self) -> char {
        match self {
            Self::NotRun => '-',
            Self::Skipped => 's',
            Self::Kept => '+',
            Self::Known => 'k',
            Self::Broken => '!',
        }
    }

    fn of(outcome: Outcome, reason: Option<&str>) -> Self {
        match outcome {
            Outcome::Skip => Self::Skipped,
            Outcome::Known => Self::Known,
            _ if results::is_kept(outcome, reason) == Some(true) => Self::Kept,
            _ => Self::Broken,
        }
    }
}

impl Observed {
    /// What runs have shown; those of one name are of one kernel.
    pub(crate) fn of(runs: &[Run]) -> Self {
        let mut kernels: Vec<Kernel> = Vec::new();
        let mut found: BTreeMap<&str, BTreeMap<usize, Shown>> = BTreeMap::new();
        for run in runs {
            let known = kernels.iter().position(|kernel| kernel.name == run.name);
            let column = known.unwrap_or_else(|| {
                kernels.push(Kernel { name: run.name.clone(), release: run.kernel.clone() });
                kernels.len() - 1
            });
            for case in &run.cases {
                let shown = Shown::of(case.outcome, case.reason.as_deref());
                let cell = found.entry(&case.rule).or_default().entry(column).or_insert(shown);
                *cell = shown.max(*cell);
            }
        }
        let row = |cells: &BTreeMap<usize, Shown>| {
            let cell = |column| cells.get(&column).copied().unwrap_or(Shown::NotRun).symbol();
            (0..kernels.len()).map(cell).collect()
        };
        let rules = found.iter().map(|(rule, cells)| ((*rule).to_owned(), row(cells))).collect();
        Self { kernels, rules }
    }

    /// The same with what was observed before, where this says nothing of a rule on a kernel. Of a kernel that was
    /// another build then, nothing of before is kept.
    pub(crate) fn onto(&self, before: &Self) -> Self {
        let is_here = |kernel: &&Kernel| self.kernels.iter().any(|ours| ours.name == kernel.name);
        let others = before.kernels.iter().filter(|kernel| !is_here(kernel));
        let mut kernels: Vec<Kernel> = self.kernels.iter().chain(others).cloned().collect();
        kernels.sort_by_key(|kernel| results::version(&kernel.name));
        let row = |rule: &String| {
            let cells = kernels
                .iter()
                .map(|kernel| self.symbol(rule, kernel).or_else(|| before.symbol(rule, kernel)));
            let is_any = cells.clone().any(|cell| cell.is_some());
            let row = cells.map(|cell| cell.unwrap_or(Shown::NotRun.symbol())).collect();
            is_any.then(|| (rule.clone(), row))
        };
        let rules = self.rules.keys().chain(before.rules.keys()).filter_map(row).collect();
        Self { kernels, rules }
    }

    /// What became of a rule on that build of a kernel, if any of its cases was run.
    fn symbol(&self, rule: &str, kernel: &Kernel) -> Option<char> {
        let column = self.kernels.iter().position(|ours| ours == kernel)?;
        let symbol = self.rules.get(rule)?.chars().nth(column)?;
        (symbol != Shown::NotRun.symbol()).then_some(symbol)
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{HEAD}\nkernels = [\n");
        for Kernel { name, release } in &self.kernels {
            out.push_str(&format!("    {{ name = {name:?}, release = {release:?} }},\n"));
        }
        out.push_str("]\n\n[rules]\n");
        let row = |(rule, row): (&String, &String)| format!("{rule:?} = {row:?}\n");
        out + &self.rules.iter().map(row).collect::<String>()
    }

    /// Reads such a file.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let wrong = |what: String| {
            let help = "make it again: hairpin report RUN... --format observed -o FILE";
            Error::new(what, file.display().to_string(), help)
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| wrong(format!("what was observed cannot be read: {error}")))?;
        let observed: Self = toml::from_str(&text)
            .map_err(|error| wrong(format!("what was observed cannot be read: {error}")))?;
        let known = |symbol: char| Shown::ALL.iter().any(|shown| shown.symbol() == symbol);
        let broken = observed.rules.iter().find(|(_, row)| {
            row.chars().count() != observed.kernels.len() || !row.chars().all(known)
        });
        match broken {
            Some((rule, row)) => Err(wrong(format!("`{row}` is no row of `{rule}`"))),
            None => Ok(observed),
        }
    }

    /// The kernels, in the order of the columns.
    pub(crate) fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The kernels on which that became of a rule, by name.
    pub(crate) fn kernels_where(&self, rule: &str, shown: Shown) -> Vec<&str> {
        let symbol = |column| self.rules.get(rule).and_then(|row| row.chars().nth(column));
        let is = |column| symbol(column).unwrap_or(Shown::NotRun.symbol()) == shown.symbol();
        let kernels = self.kernels.iter().enumerate();
        kernels.filter(|(column, _)| is(*column)).map(|(_, kernel)| &*kernel.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::results::Case;

    fn run(name: &str, cases: &[(&str, &str, Outcome)]) -> Run {
        let case = |(id, rule, outcome): &(&str, &str, Outcome)| Case {
            id: (*id).into(),
            rule: (*rule).into(),
            outcome: *outcome,
            reason: None,
            runs: 1,
            times: 1,
            took: Duration::ZERO,
            output: String::new(),
        };
        let cases = cases.iter().map(case).collect();
        Run { name: name.into(), kernel: format!("{name}.1"), cases, ..Run::default() }
    }

    fn observed() -> Observed {
        let old = [("a.b.c.v4", "a.b.c", Outcome::Pass), ("a.b.d", "a.b.d", Outcome::Skip)];
        let new = [("a.b.c.v4", "a.b.c", Outcome::Pass), ("a.b.c.v6", "a.b.c", Outcome::Fail)];
        let more = [("a.b.e", "a.b.e", Outcome::Known)];
        Observed::of(&[run("5.10", &old), run("6.1", &new), run("6.1", &more)])
    }

    #[test]
    fn the_worst_case_of_a_rule_stands_for_it_and_runs_of_a_kernel_are_one() {
        insta::assert_snapshot!(observed().text().replace(HEAD, "HEAD"), @r#"
        HEAD
        kernels = [
            { name = "5.10", release = "5.10.1" },
            { name = "6.1", release = "6.1.1" },
        ]

        [rules]
        "a.b.c" = "+!"
        "a.b.d" = "s-"
        "a.b.e" = "-k"
        "#);
    }

    #[test]
    fn a_few_runs_change_what_they_held_and_leave_the_rest() {
        let more = [("a.b.d", "a.b.d", Outcome::Pass), ("a.b.f", "a.b.f", Outcome::Pass)];
        let mut rebuilt = run("6.1", &more);
        rebuilt.kernel = "6.1.2".into();
        let few = Observed::of(&[run("10.0", &more), run("5.10", &more), rebuilt]);
        insta::assert_snapshot!(few.onto(&observed()).text().replace(HEAD, "HEAD"), @r#"
        HEAD
        kernels = [
            { name = "5.10", release = "5.10.1" },
            { name = "6.1", release = "6.1.2" },
            { name = "10.0", release = "10.0.1" },
        ]

        [rules]
        "a.b.c" = "+--"
        "a.b.d" = "+++"
        "a.b.f" = "+++"
        "#);
    }

    #[test]
    fn it_reads_what_it_writes_and_refuses_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("observed.toml");
        std::fs::write(&file, observed().text()).unwrap();
        let read = Observed::read(&file).unwrap();
        assert_eq!(read.text(), observed().text());
        assert_eq!(read.kernels_where("a.b.c", Shown::Kept), ["5.10"]);
        assert_eq!(read.kernels_where("a.b.new", Shown::NotRun), ["5.10", "6.1"]);
        for wrong in ["a.b.c\" = \"+", "a.b.c\" = \"+x"] {
            std::fs::write(&file, observed().text().replace("a.b.c\" = \"+!", wrong)).unwrap();
            let error = Observed::read(&file).unwrap_err();
            assert!(error.what.contains("is no row of `a.b.c`"), "{error}");
        }
    }
}
