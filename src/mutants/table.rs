//! The verdicts as a person and a program read them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::data::Mutant;
use super::verdict::Verdict;
use crate::show::{DIM, STRONG, count, paint, verdict as style, wrap};

/// The version of the JSON: raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;
/// Width of the verdict's column, the space after it included.
const COLUMN: usize = 13;

/// A mutant with what became of it.
pub(crate) struct Row<'r> {
    pub(crate) mutant: &'r Mutant,
    pub(crate) verdict: Verdict,
}

impl Row<'_> {
    /// One line or more: the verdict, the mutant, what noticed it or why nothing did.
    pub(crate) fn text(&self, width: usize) -> String {
        let (mutant, verdict) = (self.mutant, &self.verdict);
        let word = paint(style(verdict), format!("{:<COLUMN$}", verdict.word()));
        let mut out = format!("{word}{}\n", mutant.id);
        for line in self.details() {
            for line in wrap(&line, width.saturating_sub(COLUMN)) {
                out.push_str(&format!("{:COLUMN$}{}\n", "", paint(DIM, line)));
            }
        }
        out
    }

    fn details(&self) -> Vec<String> {
        let place =
            format!("{} {}(): {}", self.mutant.file, self.mutant.function, self.mutant.breaks);
        match &self.verdict {
            Verdict::Killed { by } => by
                .iter()
                .map(|kill| match kill.how {
                    "fail" => format!("by {}", kill.case),
                    how => format!("by {} ({how}: {})", kill.case, kill.why),
                })
                .collect(),
            Verdict::Survived { cases } => vec![place, format!("{} passed", count(*cases, "case"))],
            Verdict::OtherKernel { series } => vec![format!("for {series} only")],
            Verdict::Equivalent { why } => vec![why.clone()],
            Verdict::Error { why } | Verdict::Misfit { why } | Verdict::Unbuilt { why } => {
                vec![place, why.clone()]
            }
        }
    }
}

/// How many of each, in one line.
pub(crate) fn summary(rows: &[Row<'_>], kernel: &str, span: &str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.verdict.word()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    let text =
        format!("{}: {} on {kernel} in {span}", count(rows.len(), "mutant"), counts.join(", "));
    format!("{}\n", paint(STRONG, text))
}

#[derive(Serialize)]
struct Report<'r> {
    v: u32,
    kernel: &'r str,
    mutants: Vec<Entry<'r>>,
}

#[derive(Serialize)]
struct Entry<'r> {
    id: &'r str,
    file: &'r str,
    function: &'r str,
    breaks: &'r str,
    #[serde(flatten)]
    verdict: &'r Verdict,
}

/// One JSON object.
pub(crate) fn json(rows: &[Row<'_>], kernel: &str) -> String {
    let mutants = rows
        .iter()
        .map(|row| Entry {
            id: &row.mutant.id,
            file: &row.mutant.file,
            function: &row.mutant.function,
            breaks: &row.mutant.breaks,
            verdict: &row.verdict,
        })
        .collect();
    let report = Report { v: VERSION, kernel, mutants };
    serde_json::to_string_pretty(&report).expect("texts and numbers always serialise") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::edit::Misfit;
    use crate::mutants::verdict::Kill;

    fn mutant(id: &str) -> Mutant {
        let text = format!(
            "id = \"{id}\"\nfile = \"macvlan.c\"\nfunction = \"macvlan_hash_lookup\"\nfind = \"a\"\n\
             put = \"b\"\nbreaks = \"a child is never found by its address\"\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn kill(case: &str, how: &'static str, why: &str) -> Kill {
        Kill { case: case.into(), how, why: why.into() }
    }

    #[test]
    fn every_verdict_has_its_words() {
        let oops = kill("macvlan.down.gone", "crash", "the kernel complained: BUG: NULL");
        let verdicts = [
            Verdict::Killed { by: vec![kill("macvlan.vepa.gone", "fail", "the grid differs")] },
            Verdict::Killed { by: vec![oops] },
            Verdict::Survived { cases: 12 },
            Verdict::Error { why: "macvlan.vepa.gone: error: a control did not arrive".into() },
            Misfit::Ambiguous(2).into(),
            Verdict::Unbuilt { why: "macvlan.c:3:1: error: expected `;`".into() },
            Verdict::Equivalent { why: "the list is never read".into() },
            Verdict::OtherKernel { series: "7.3".into() },
        ];
        let named: Vec<Mutant> = (0..8).map(|i| mutant(&format!("macvlan.m{i}"))).collect();
        let rows: Vec<Row> =
            named.iter().zip(verdicts).map(|(mutant, verdict)| Row { mutant, verdict }).collect();
        let mut text: String = rows.iter().map(|row| row.text(100)).collect();
        text.push_str(&summary(&rows, "6.1", "3 min"));
        let plain = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(plain);
        insta::assert_snapshot!(json(&rows[..3], "6.1"));
    }
}
