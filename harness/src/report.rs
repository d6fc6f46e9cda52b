//! A failure as text, for `cargo test`. `hairpin check` makes its own from the events.

use std::fmt::Write as _;

use hairpin_model::grid::{Drawing, Verdict};
use hairpin_model::{CaseId, Cell, Grid, Rule, Topology};

/// What to do about an inconclusive cell.
pub(crate) const INCONCLUSIVE_HELP: &str =
    "a verdict needs a control of the same class: add a host that both ends can reach";

/// Which promise of whom a case is about.
pub(crate) fn head(rule: &Rule, id: &CaseId, word: &str) -> String {
    format!(
        "{id}: {word}\n  promise: {}\n  source:  {} ({})",
        rule.promise, rule.source.cite, rule.source.strength
    )
}

/// The wiring, the two grids side by side, and each cell that differs with its evidence.
pub(crate) fn grid(
    topology: &Topology,
    observed: &Grid,
    expected: &Drawing,
    differences: &[(&str, &str, char, &Cell)],
) -> String {
    let mut out = format!("\n{}\n{}:\n", topology.wiring(), observed.class);
    let (left, right) = (expected.to_string(), observed.to_string());
    let width = left.lines().map(str::len).max().unwrap_or(0).max("expected".len());
    let mut line = |a: &str, b: &str| {
        // Writing to a String cannot fail.
        writeln!(out, "  {a:width$}    {b}").expect("a String takes every text");
    };
    line("expected", "observed");
    for (a, b) in left.lines().zip(right.lines()) {
        line(a, b);
    }
    for (from, to, drawn, cell) in differences {
        out.push_str(&difference(from, to, *drawn, cell));
    }
    out
}

fn difference(from: &str, to: &str, drawn: char, cell: &Cell) -> String {
    let mut out = format!("\n{from} -> {to}: drawn `{drawn}`, {}", cell.verdict);
    if let Some(proof) = &cell.proof {
        out.push_str(&format!("\n  proof: {proof}"));
    }
    for what in cell.kinds() {
        out.push_str(&format!("\n  {what}: {}", cell.path(what)));
    }
    out
}

/// The first cell of a grid that we cannot tell.
pub(crate) fn inconclusive(grid: &Grid) -> Option<(&str, &str, &str)> {
    grid.pairs().find_map(|(from, to, cell)| match &cell.verdict {
        Verdict::Inconclusive(why) => Some((from, to, why.as_str())),
        _ => None,
    })
}
