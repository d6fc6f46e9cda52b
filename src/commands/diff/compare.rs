//! Two journeys held against each other, hop by hop.

use hairpin_model::Grid;
use hairpin_model::grid::Cell;
use hairpin_model::journey::{Hop, Leg, legs};

use crate::show::journey::{line, place};

/// A run as the comparison is headed by it.
pub(super) struct Side {
    /// The file.
    pub(super) name: String,
    /// What `uname -r` prints.
    pub(super) kernel: String,
    /// How the case ended there.
    pub(super) outcome: String,
}

/// Where two runs of a case part.
pub(super) enum Parting {
    /// Nowhere, in so many cells.
    Nowhere { cells: usize },
    /// They did not observe the same.
    Grids(String),
    /// In a cell, which is told.
    Cell(String),
}

/// The first cell, in the order in which a case observes them, whose journeys part.
pub(super) fn first_parting(a: &[Grid], b: &[Grid]) -> Parting {
    let (mut cells, mut first, mut parted) = (0, None, 0);
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        if (a.class, &a.hosts) != (b.class, &b.hosts) {
            let words = format!("grid {} is of {} in A and of {} in B", at + 1, whose(a), whose(b));
            return first.map_or(Parting::Grids(words), Parting::Cell);
        }
        for ((from, to, a_cell), (_, _, b_cell)) in a.pairs().zip(b.pairs()) {
            // A host and itself are no cell that is drawn; what parts there is told all the same.
            cells += usize::from(from != to);
            let title = format!("grid {}, {}: {from} -> {to}", at + 1, a.class);
            if let Some(told) = cell(&title, a_cell, b_cell) {
                parted += 1;
                first.get_or_insert(told);
            }
        }
    }
    match first {
        Some(told) if parted > 1 => {
            Parting::Cell(format!("{told}\n{} more of {cells} cells part\n", parted - 1))
        }
        Some(told) => Parting::Cell(told),
        None if a.len() != b.len() => Parting::Grids(format!(
            "the first {} are the same; A has {}, B has {}: the one with fewer ended there",
            crate::show::count(a.len().min(b.len()), "grid"),
            a.len(),
            b.len()
        )),
        None => Parting::Nowhere { cells },
    }
}

fn whose(grid: &Grid) -> String {
    format!("{} between {}", grid.class, grid.hosts.join(", "))
}

/// A cell whose journeys part, told; `None` if they are the same.
fn cell(title: &str, a: &Cell, b: &Cell) -> Option<String> {
    let (a_legs, b_legs) = (legs(&a.seen), legs(&b.seen));
    let none = |kind: &str| Leg { kind: kind.into(), hops: Vec::new() };
    let find = |legs: &[Leg], kind: &str| {
        legs.iter().find(|leg| leg.kind == kind).cloned().unwrap_or_else(|| none(kind))
    };
    let more = b_legs.iter().filter(|leg| a_legs.iter().all(|a| a.kind != leg.kind));
    let kinds: Vec<&str> = a_legs.iter().chain(more).map(|leg| leg.kind.as_str()).collect();
    let verdicts = format!("{title}\n  A {}\n  B {}\n", a.verdict, b.verdict);
    for kind in kinds {
        let (a, b) = (find(&a_legs, kind).hops, find(&b_legs, kind).hops);
        if let Some(at) = parting(&a, &b) {
            return Some(format!("{verdicts}\n{}{}", beside(kind, &a, &b, at), words(&a, &b, at)));
        }
    }
    (a.verdict != b.verdict).then(|| {
        format!("{verdicts}\n  every hop that was seen is the same; the verdicts are not\n")
    })
}

/// The first hop where two journeys part. The same hops in another order are the same journey: a
/// flood's copies have none.
fn parting(a: &[Hop], b: &[Hop]) -> Option<usize> {
    let mut rest: Vec<&Hop> = b.iter().collect();
    let all = a.iter().all(|hop| {
        let found = rest.iter().position(|other| same(hop, other));
        found.map(|at| rest.remove(at)).is_some()
    });
    if all && rest.is_empty() {
        return None;
    }
    let common = a.iter().zip(b).take_while(|(a, b)| same(a, b)).count();
    Some(common)
}

/// Whether two hops are the same, as far as both runs tell.
fn same(a: &Hop, b: &Hop) -> bool {
    let headers = a.headers.is_none() || b.headers.is_none() || a.headers == b.headers;
    a.link == b.link && a.direction == b.direction && headers
}

/// Both journeys side by side, the hop where they part marked.
fn beside(kind: &str, a: &[Hop], b: &[Hop], at: usize) -> String {
    let links = a.iter().chain(b).map(|hop| hop.link.len()).max().unwrap_or_default();
    let lines = |hops: &[Hop]| hops.iter().map(|hop| line(hop, links)).collect::<Vec<_>>();
    let (left, right) = (lines(a), lines(b));
    let width = left.iter().map(|line| line.chars().count()).max().unwrap_or_default().max(1);
    let mut text = format!("  {kind}\n     {:<width$}   B\n", "A");
    for n in 0..left.len().max(right.len()) {
        let side = |lines: &[String]| lines.get(n).cloned().unwrap_or_default();
        let mark = if n == at { '>' } else { ' ' };
        let row = format!("  {mark}  {:<width$}   {}", side(&left), side(&right));
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text + "\n"
}

/// The hop where they part, in a sentence.
fn words(a: &[Hop], b: &[Hop], at: usize) -> String {
    let here = |hops: &[Hop]| match (hops.get(at), at.checked_sub(1).and_then(|n| hops.get(n))) {
        (Some(hop), _) => {
            let headers = hop.headers.as_ref().map_or_else(String::new, |h| format!(" as {h}"));
            format!("it was seen {}{headers}", place(hop))
        }
        (None, Some(last)) => format!("it was seen no more after {}", place(last)),
        (None, None) => "it was not seen".into(),
    };
    format!("  they part at hop {}\n    in A {}\n    in B {}\n", at + 1, here(a), here(b))
}
