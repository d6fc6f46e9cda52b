//! The way that the frames of a cell took, in words.
//!
//! Made from the sightings alone: what is said here was seen, and what is concluded from two cells
//! says from which.

use hairpin_model::Grid;
use hairpin_model::grid::{Cell, Direction, Verdict};
use hairpin_model::journey::{Hop, legs};

use crate::show::journey::verb;

/// The ways of a cell's frames: a line for each kind of frame, in order of first sight.
pub(crate) fn ways(cell: &Cell) -> Vec<String> {
    cell.kinds().into_iter().map(|kind| format!("{kind}: {}", way(cell, kind))).collect()
}

/// `left c1:c0, left p:p0, reached sw:s0`.
fn way(cell: &Cell, kind: &str) -> String {
    let legs = legs(&cell.seen);
    let hops = legs.iter().filter(|leg| leg.kind == kind).flat_map(|leg| &leg.hops);
    let dropped = cell.dropped.iter().filter(|dropped| dropped.what == kind);
    let words: Vec<String> = hops.map(step).chain(dropped.map(ToString::to_string)).collect();
    words.join(", ")
}

/// A hop, and what was changed there by name: a journey in full has the values.
fn step(hop: &Hop) -> String {
    let changed: Vec<&str> = hop.changes.iter().map(|change| change.what).collect();
    let step = format!("{} {}", verb(hop.direction), hop.link);
    if changed.is_empty() { step } else { format!("{step} (with another {})", changed.join(", ")) }
}

/// Why a pair does not reach each other, as far as the frames show it: the way of the last kind of
/// frame that was seen, and where it ended. `None` for a cell without a trace.
pub(crate) fn explain(grid: &Grid, from: &str, to: &str) -> Option<String> {
    let cell = grid.cell(from, to)?;
    let kind = *cell.kinds().last()?;
    let mut words = format!("{from} -> {to} {}: its {kind} {}", cell.verdict, way(cell, kind));
    if cell.verdict == Verdict::Blocked {
        words.push_str(&ending(grid, from, to, cell));
    }
    Some(words)
}

/// Where a blocked frame ended.
fn ending(grid: &Grid, from: &str, to: &str, cell: &Cell) -> String {
    if cell.seen.iter().any(|s| s.link.starts_with(&format!("{to}:"))) {
        return String::new();
    }
    match turned_away(grid, to, cell) {
        Some((link, other)) => format!(
            ", but was never sent back out of {link}, which is the way to {to} (see {other} -> {to})"
        ),
        // The kernel's own words are better than ours.
        None if !cell.dropped.is_empty() => String::new(),
        None if cell.seen.iter().all(|s| s.link.starts_with(&format!("{from}:"))) => {
            ", and was seen nowhere else".into()
        }
        None => format!(", but never {to}"),
    }
}

/// The link that a blocked frame came in by, and that the frames to this receiver go out of, with
/// a sender that shows it: a port that would have to send the frame back.
fn turned_away<'g>(grid: &'g Grid, to: &str, cell: &'g Cell) -> Option<(&'g str, &'g str)> {
    let out_of = |cell: &Cell, link: &str| {
        cell.seen.iter().any(|s| s.direction == Direction::Out && s.link == link)
    };
    let came_in = cell.seen.iter().filter(|s| s.direction == Direction::In);
    came_in.filter(|s| !out_of(cell, &s.link)).find_map(|s| {
        let shows = |(_, receiver, other): &(&str, &str, &Cell)| {
            *receiver == to && other.verdict.reached() && out_of(other, &s.link)
        };
        grid.pairs().find(shows).map(|(sender, _, _)| (s.link.as_str(), sender))
    })
}

/// The first pair of a grid that is blocked or answered by halves and has a trace.
pub(crate) fn telling(grid: &Grid) -> Option<(&str, &str)> {
    let held_up = |verdict: &Verdict| matches!(verdict, Verdict::Blocked | Verdict::OneWay);
    grid.pairs()
        .find(|(_, _, cell)| held_up(&cell.verdict) && !cell.seen.is_empty())
        .map(|(from, to, _)| (from, to))
}

#[cfg(test)]
mod tests {
    use hairpin_model::Class;
    use hairpin_model::grid::{Dropped, Sighting};

    use super::*;

    fn cell(verdict: Verdict, path: &str) -> Cell {
        let mut cell = Cell::new(verdict);
        for word in path.split_whitespace() {
            let (link, sign) = word.split_at(word.len() - 1);
            let direction = if sign == "<" { Direction::In } else { Direction::Out };
            cell.seen.push(Sighting::new(link, direction, "arp request"));
        }
        cell
    }

    fn vepa() -> Grid {
        let mut grid = Grid::undecided(Class::Ping4, ["c1", "c2", "e"].map(Into::into).to_vec());
        grid.cells[0][1] = cell(Verdict::Blocked, "c1:c0> p:p0> sw:s0< sw:s1> e:e0<");
        grid.cells[2][1] = cell(Verdict::Delivered, "e:e0> sw:s1< sw:s0> p:p0< c2:c0<");
        grid
    }

    #[test]
    fn a_frame_that_is_not_sent_back_is_told_by_the_port() {
        insta::assert_snapshot!(explain(&vepa(), "c1", "c2").unwrap(), @"c1 -> c2 blocked: its arp request left c1:c0, left p:p0, reached sw:s0, left sw:s1, reached e:e0, but was never sent back out of sw:s0, which is the way to c2 (see e -> c2)");
        assert_eq!(telling(&vepa()), Some(("c1", "c2")));
    }

    #[test]
    fn without_a_twin_only_what_was_seen_is_told() {
        let mut grid = vepa();
        grid.cells[2][1] = Cell::new(Verdict::Delivered);
        assert!(explain(&grid, "c1", "c2").unwrap().ends_with("reached e:e0, but never c2"));
        grid.cells[0][1] = cell(Verdict::Blocked, "c1:c0>");
        insta::assert_snapshot!(explain(&grid, "c1", "c2").unwrap(), @"c1 -> c2 blocked: its arp request left c1:c0, and was seen nowhere else");
        assert_eq!(explain(&grid, "c2", "c1"), None);
    }

    #[test]
    fn where_the_kernel_gave_a_frame_up_is_told_in_place_of_where_it_is_not() {
        let mut grid = Grid::undecided(Class::Ping4, ["a", "b"].map(Into::into).to_vec());
        grid.cells[0][1] = cell(Verdict::Blocked, "a:x> sw:p1<");
        grid.cells[0][1].dropped = vec![Dropped {
            what: "arp request".into(),
            link: "sw:p1".into(),
            function: "br_handle_frame_finish".into(),
            reason: Some("NO_TX_TARGET".into()),
        }];
        insta::assert_snapshot!(explain(&grid, "a", "b").unwrap(), @"a -> b blocked: its arp request left a:x, reached sw:p1, dropped at sw:p1 by br_handle_frame_finish (NO_TX_TARGET)");
    }

    #[test]
    fn ways_are_told_by_kind() {
        let cell = cell(Verdict::Delivered, "a:x> b:y<");
        assert_eq!(ways(&cell), ["arp request: left a:x, reached b:y"]);
    }
}
