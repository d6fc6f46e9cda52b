//! Two journeys held against each other, hop by hop.

use hairpin_model::grid::Cell;
use hairpin_model::journey::{Headers, Hop, Leg, legs};
use hairpin_model::{Event, Grid};

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

/// What a case observed, and has journeys of.
pub(super) enum Observed {
    /// A grid of hosts.
    Grid(Grid),
    /// One flow of TCP or UDP.
    Flow { title: String, from: String, to: String, cell: Cell },
}

/// Where two runs of a case part.
pub(super) enum Parting {
    /// Nowhere, in so many cells.
    Nowhere { cells: usize },
    /// They did not observe the same.
    Observed(String),
    /// In a cell, which is told.
    Cell(String),
}

impl Observed {
    /// What an event tells of one, if it does.
    pub(super) fn of(event: Event) -> Option<Self> {
        match event {
            Event::Grid { observed, .. } => Some(Self::Grid(observed)),
            Event::Flow { title, from, to, cell } => Some(Self::Flow { title, from, to, cell }),
            _ => None,
        }
    }

    /// Its cells: from where, to where, and what was seen between them.
    pub(super) fn cells(&self) -> Vec<(&str, &str, &Cell)> {
        match self {
            Self::Grid(grid) => grid.pairs().collect(),
            Self::Flow { from, to, cell, .. } => vec![(from, to, cell)],
        }
    }

    /// What was asked, of whom: two runs can be compared where it is the same.
    fn asked(&self) -> String {
        match self {
            Self::Grid(grid) => format!("{} between {}", grid.class, grid.hosts.join(", ")),
            Self::Flow { title, .. } => title.clone(),
        }
    }

    /// What heads one of its cells.
    fn title(&self, number: usize, from: &str, to: &str) -> String {
        match self {
            Self::Grid(grid) => format!("observation {number}, {}: {from} -> {to}", grid.class),
            Self::Flow { title, .. } => format!("observation {number}: {title}"),
        }
    }
}

/// The first cell, in the order in which a case observes them, whose journeys part.
pub(super) fn first_parting(a: &[Observed], b: &[Observed]) -> Parting {
    let (mut cells, mut first, mut parted) = (0, None, 0);
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        if a.asked() != b.asked() {
            let (number, a, b) = (at + 1, a.asked(), b.asked());
            let words = format!("observation {number} is {a} in A and {b} in B");
            return first.map_or(Parting::Observed(words), Parting::Cell);
        }
        for ((from, to, a_cell), (_, _, b_cell)) in a.cells().into_iter().zip(b.cells()) {
            // A host and itself are no cell that is drawn; what parts there is told all the same.
            cells += usize::from(from != to);
            if let Some(told) = cell(&a.title(at + 1, from, to), a_cell, b_cell) {
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
        None if a.len() != b.len() => Parting::Observed(format!(
            "the first {} are the same; A has {}, B has {}: the one with fewer ended there",
            crate::show::count(a.len().min(b.len()), "observation"),
            a.len(),
            b.len()
        )),
        None => Parting::Nowhere { cells },
    }
}

/// A cell whose journeys part, told; `None` if they are the same.
///
/// Who asked for a neighbour, and when, is a matter of what else was under way: it parts journeys
/// only where the probe's own frames part too, or none was sent.
fn cell(title: &str, a: &Cell, b: &Cell) -> Option<String> {
    let chosen = (Chosen::of(a), Chosen::of(b));
    let (a_legs, b_legs) = (legs(&a.seen), legs(&b.seen));
    let find = |legs: &[Leg], kind: &str| {
        let leg = legs.iter().find(|leg| leg.kind == kind);
        leg.map_or_else(Vec::new, once)
    };
    let more = b_legs.iter().filter(|leg| a_legs.iter().all(|a| a.kind != leg.kind));
    let kinds: Vec<&str> = a_legs.iter().chain(more).map(|leg| leg.kind.as_str()).collect();
    let parted = kinds.iter().filter_map(|kind| {
        let (a, b) = (find(&a_legs, kind), find(&b_legs, kind));
        let same = |a: &Hop, b: &Hop| same((&chosen.0, a), (&chosen.1, b));
        parting(&a, &b, same).map(|at| (*kind, a, b, at))
    });
    let parted: Vec<_> = parted.collect();
    let own = |kind: &str| !RESOLVING.contains(&kind);
    let counts = a.verdict != b.verdict
        || parted.iter().any(|(kind, ..)| own(kind))
        || !kinds.iter().any(|kind| own(kind));
    let verdicts = format!("{title}\n  A {}\n  B {}\n", a.verdict, b.verdict);
    match parted.first() {
        Some((kind, a, b, at)) if counts => {
            Some(format!("{verdicts}\n{}{}", beside(kind, a, b, *at), words(a, b, *at)))
        }
        None if a.verdict != b.verdict => Some(format!(
            "{verdicts}\n  every hop that was seen is the same; the verdicts are not\n"
        )),
        _ => None,
    }
}

/// What asks for a neighbour, and answers.
const RESOLVING: [&str; 4] =
    ["arp request", "arp reply", "neighbour solicitation", "neighbour advertisement"];

/// What else is sent again until it is answered.
const SENT_AGAIN: [&str; 2] = ["tcp syn", "tcp syn-ack"];

/// The hops of a leg, without those that were passed before by what is sent again: how often is a
/// matter of how long an answer took.
fn once(leg: &Leg) -> Vec<Hop> {
    let again = RESOLVING.contains(&&*leg.kind) || SENT_AGAIN.contains(&&*leg.kind);
    let mut hops: Vec<Hop> = Vec::new();
    for hop in &leg.hops {
        let passed = |before: &Hop| {
            (&before.link, before.direction, &before.headers)
                == (&hop.link, hop.direction, &hop.headers)
        };
        if !(again && hops.iter().any(passed)) {
            hops.push(hop.clone());
        }
    }
    hops
}

/// The ports that a kernel chose in a run, in order of first sight. Another run has others in their
/// place: what counts is which of them it is.
struct Chosen(Vec<u16>);

impl Chosen {
    /// Where the ports begin that a kernel chooses from (`net.ipv4.ip_local_port_range`).
    const FIRST: u16 = 32768;

    fn of(cell: &Cell) -> Self {
        let mut ports = Vec::new();
        for (from, to) in cell.seen.iter().filter_map(|seen| seen.headers.as_ref()?.ports) {
            for port in [from, to] {
                if port >= Self::FIRST && !ports.contains(&port) {
                    ports.push(port);
                }
            }
        }
        Self(ports)
    }

    /// The headers with the number of a chosen port in its place. A port that is not of these
    /// numbers stays what it is.
    fn numbered(&self, headers: &Headers) -> Headers {
        let number = |port: u16| {
            let at = self.0.iter().position(|chosen| *chosen == port);
            at.and_then(|at| u16::try_from(at).ok()).map_or(port, |at| Self::FIRST + at)
        };
        let ports = headers.ports.map(|(from, to)| (number(from), number(to)));
        Headers { ports, ..headers.clone() }
    }
}

/// The first hop where two journeys part. The same hops in another order are the same journey: a
/// flood's copies have none.
fn parting(a: &[Hop], b: &[Hop], same: impl Fn(&Hop, &Hop) -> bool) -> Option<usize> {
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
fn same((in_a, a): (&Chosen, &Hop), (in_b, b): (&Chosen, &Hop)) -> bool {
    let headers = match (&a.headers, &b.headers) {
        (Some(a), Some(b)) => in_a.numbered(a) == in_b.numbered(b),
        _ => true,
    };
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

#[cfg(test)]
mod tests {
    use hairpin_model::Verdict;
    use hairpin_model::grid::{Direction, Sighting};
    use hairpin_model::topology::Mac;

    use super::*;

    /// What is sent from a port through a router, which hands it on as from another.
    fn flow(ports: [u16; 2], to: u16) -> Observed {
        sent("datagram", 1, ports, to)
    }

    fn sent(what: &str, times: usize, ports: [u16; 2], to: u16) -> Observed {
        let way = ports.iter().zip(["a:eth0", "r:eth0"]);
        let seen = way.cycle().take(2 * times).map(|(&port, link)| Sighting {
            link: link.into(),
            direction: Direction::Out,
            what: what.into(),
            headers: Some(Headers {
                from: Mac([2, 0, 0, 0, 0, 1]),
                to: Mac([2, 0, 0, 0, 0, 2]),
                vlan: Vec::new(),
                ip: None,
                ttl: None,
                ports: Some((port, to)),
            }),
        });
        let cell = Cell { seen: seen.collect(), ..Cell::new(Verdict::Delivered) };
        let [title, from, to] = ["UDP from a to b", "a", "b"].map(String::from);
        Observed::Flow { title, from, to, cell }
    }

    fn told(a: Observed, b: Observed) -> Option<String> {
        match first_parting(&[a], &[b]) {
            Parting::Nowhere { .. } => None,
            Parting::Observed(told) | Parting::Cell(told) => Some(told),
        }
    }

    #[test]
    fn ports_that_a_kernel_chose_are_the_same_where_they_stand_for_the_same() {
        assert_eq!(told(flow([40_000, 40_000], 80), flow([50_000, 50_000], 80)), None);
        assert_eq!(told(flow([40_000, 33_000], 80), flow([50_000, 60_000], 80)), None);
        // Only one of the routers has put another port in the place of the sender's.
        insta::assert_snapshot!(
            told(flow([40_000, 40_000], 80), flow([50_000, 60_000], 80)).unwrap()
        );
    }

    #[test]
    fn how_often_is_compared_where_it_is_no_matter_of_time() {
        let times = |what: &str, times: usize| sent(what, times, [40_000; 2], 80);
        assert_eq!(told(times("tcp syn", 1), times("tcp syn", 3)), None);
        assert!(told(times("datagram", 1), times("datagram", 2)).is_some());
    }

    #[test]
    fn who_asked_for_a_neighbour_counts_where_nothing_else_was_sent() {
        let asked = |links: &[&str], frames: &[&str]| {
            let sighting =
                |what: &'static str| move |link: &&str| Sighting::new(*link, Direction::Out, what);
            let asked = links.iter().map(sighting("arp request"));
            let seen = asked.chain(frames.iter().map(sighting("echo request"))).collect();
            let [title, from, to] = ["ping from a to b", "a", "b"].map(String::from);
            let cell = Cell { seen, ..Cell::new(Verdict::Blocked) };
            Observed::Flow { title, from, to, cell }
        };
        let (one, two) = (["a:eth0"], ["a:eth0", "r:eth0"]);
        assert_eq!(told(asked(&one, &one), asked(&two, &one)), None);
        assert!(told(asked(&one, &[]), asked(&two, &[])).is_some());
        // Where the frames part it is told first, as it came first.
        let told = told(asked(&one, &[]), asked(&two, &one)).unwrap();
        assert!(told.contains("\n  arp request\n"), "{told}");
    }

    #[test]
    fn ports_that_were_asked_for_are_what_they_are() {
        assert!(told(flow([40_000, 40_000], 80), flow([40_000, 40_000], 81)).is_some());
        assert!(told(flow([40_000, 1_024], 80), flow([40_000, 1_025], 80)).is_some());
    }
}
