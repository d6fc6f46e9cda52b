//! The journeys of a grid's cells as a person reads them: a line a hop.

use hairpin_model::Grid;
use hairpin_model::grid::{Cell, Direction};
use hairpin_model::journey::{Hop, legs};

/// The journey of a cell, in lines: what became of it, then each kind of frame with every link that
/// saw it and what was changed there.
pub(crate) fn lines(from: &str, to: &str, cell: &Cell) -> Vec<String> {
    let mut lines = vec![format!("{from} -> {to} {}", cell.verdict)];
    lines.extend(cell.proof.iter().map(|proof| format!("  proof: {proof}")));
    let legs = legs(&cell.seen);
    if legs.is_empty() {
        lines.push("  no link saw a frame of it".into());
    }
    for leg in legs {
        let begin = leg.hops.first().and_then(|hop| hop.headers.as_ref());
        let begin = begin.map_or_else(String::new, |headers| format!(": {headers}"));
        lines.push(format!("  {}{begin}", leg.kind));
        let width = leg.hops.iter().map(|hop| hop.link.len()).max().unwrap_or_default();
        for hop in &leg.hops {
            lines.push(format!("    {}", line(hop, width)));
        }
        if let Some(last) = leg.hops.last() {
            lines.push(format!("    last seen {}", place(last)));
        }
        let dropped = cell.dropped.iter().filter(|dropped| dropped.what == leg.kind);
        lines.extend(dropped.map(|dropped| format!("    {dropped}")));
    }
    lines
}

/// What was counted as given up while a grid was observed, in lines; none where nothing was.
pub(crate) fn meanwhile(observed: &Grid) -> Vec<String> {
    let title = (!observed.counted.is_empty()).then(|| "while all of this was observed:".into());
    title.into_iter().chain(observed.counted.iter().map(|counted| format!("  {counted}"))).collect()
}

/// `reached  r:e0  TTL 64 -> 63`, the link in that width.
pub(crate) fn line(hop: &Hop, width: usize) -> String {
    let changes: Vec<String> = hop.changes.iter().map(ToString::to_string).collect();
    let line = format!("{:<7}  {:<width$}  {}", verb(hop.direction), hop.link, changes.join(", "));
    line.trim_end().to_owned()
}

/// What a frame did with a link.
pub(crate) const fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Out => "left",
        Direction::In => "reached",
    }
}

/// `leaving sw:s1`.
pub(crate) fn place(hop: &Hop) -> String {
    let verb = match hop.direction {
        Direction::Out => "leaving",
        Direction::In => "reaching",
    };
    format!("{verb} {}", hop.link)
}

#[cfg(test)]
mod tests {
    use hairpin_model::Verdict;
    use hairpin_model::grid::{Dropped, Sighting};
    use hairpin_model::journey::Headers;
    use hairpin_model::topology::Mac;

    use super::*;

    fn sighting(link: &str, direction: Direction, ttl: u8) -> Sighting {
        let ip = Some(([192, 0, 2, 1].into(), [198, 51, 100, 2].into()));
        let headers = Headers {
            from: Mac([2, 0, 0, 0, 0, ttl]),
            to: Mac([2, 0, 0, 0, 0, 2]),
            vlan: Vec::new(),
            ip,
            ttl: Some(ttl),
            ports: None,
        };
        let (link, what) = (link.into(), "echo request".into());
        Sighting { link, direction, what, headers: Some(headers) }
    }

    #[test]
    fn a_hop_tells_what_was_changed_and_the_last_where_it_ended() {
        let mut cell = Cell::new(Verdict::Blocked);
        cell.proof = Some("a later one arrived".into());
        cell.dropped = vec![Dropped {
            what: "echo request".into(),
            link: "r:e1".into(),
            function: "ip_output".into(),
            reason: None,
        }];
        cell.seen = vec![
            sighting("a:eth0", Direction::Out, 64),
            sighting("r:e0", Direction::In, 64),
            sighting("r:e1", Direction::Out, 63),
        ];
        insta::assert_snapshot!(lines("a", "b", &cell).join("\n"));
    }

    #[test]
    fn a_cell_that_nobody_saw_says_so() {
        let cell = Cell::new(Verdict::Delivered);
        assert_eq!(lines("a", "b", &cell), ["a -> b delivered", "  no link saw a frame of it"]);
    }
}
