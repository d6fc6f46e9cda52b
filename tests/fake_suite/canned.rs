//! What the fake suite program tells: rules, cases, and the events of each.

use hairpin_model::event::Frame;
use hairpin_model::grid::{Direction, Sighting};
use hairpin_model::journey::{Headers, fold};
use hairpin_model::rule::RuleEntry;
use hairpin_model::topology::{Mac, Mode, Topology};
use hairpin_model::{CaseId, Cell, Class, Event, Grid, Strength, Verdict};

/// The tests that are cases.
pub(crate) const TESTS: &[&str] = &[
    "bridge::l2::same_bridge::case_1_v4",
    "bridge::l2::same_bridge::case_2_v6",
    "bridge::vlan::tags_are_kept",
    "macvlan::private::siblings_may_not_talk",
    "macvlan::vepa::siblings_need_reflection::case_1_v4",
    "macvlan::vepa::siblings_need_reflection::case_2_v6",
    "macvlan::vepa::reflection_lets_siblings_talk",
    "faults::silent::exit_0",
    "faults::silent::hang",
    "faults::silent::orphans",
    "faults::told::crash",
    "faults::told::error",
    "faults::told::flake",
    "faults::told::hang",
    "faults::told::nonsense",
    "faults::told::pass_then_crash",
    "faults::told::pass_then_hang",
    "faults::told::slow",
];

/// The rules, in words of the real suite.
pub(crate) fn rules() -> Vec<RuleEntry> {
    let rule =
        |id: &str, promise: &str, source: &str, strength, article: &[&str], needs: &[&str]| {
            let strings = |words: &[&str]| words.iter().map(ToString::to_string).collect();
            RuleEntry {
                id: id.into(),
                promise: promise.into(),
                source: source.into(),
                strength,
                article: strings(article),
                needs: strings(needs),
            }
        };
    let (documented, standard) = (Strength::Documented, Strength::Standard);
    let bridge: &[&str] = &["driver `bridge`"];
    let macvlan: &[&str] = &["driver `bridge`", "driver `macvlan`"];
    let vlan: &[&str] = &["driver `bridge`", "driver `vlan`"];
    vec![
        rule(
            "bridge.l2.same-bridge",
            "two hosts on one bridge reach each other at layer 2",
            "IEEE 802.1D 7.7",
            standard,
            &["B2"],
            bridge,
        ),
        rule(
            "bridge.vlan.tags-are-kept",
            "a bridge without VLAN filtering passes tagged frames unchanged",
            "IEEE 802.1Q 6.8",
            standard,
            &[],
            vlan,
        ),
        rule(
            "macvlan.private.siblings-may-not-talk",
            "private siblings do not reach each other",
            "ip-link(8), macvlan mode private",
            documented,
            &["M5"],
            macvlan,
        ),
        rule(
            "macvlan.vepa.siblings-need-reflection",
            "vepa siblings reach each other only by way of a switch that sends frames back out of \
             the port they came in by",
            "ip-link(8), macvlan mode vepa",
            documented,
            &["M6", "M7"],
            macvlan,
        ),
        rule(
            "macvlan.vepa.reflection-lets-siblings-talk",
            "vepa siblings reach each other through a switch port with hairpin on",
            "ip-link(8), macvlan mode vepa",
            documented,
            &["M6"],
            macvlan,
        ),
        rule("faults.silent", "a program that tells nothing is noticed", "-", documented, &[], &[]),
        rule("faults.told", "a program that breaks is noticed", "-", documented, &[], &[]),
    ]
}

/// The id of a case's rule.
pub(crate) fn rule_of(case: &CaseId) -> String {
    rules().into_iter().map(|rule| rule.id).find(|id| case.is_under(id)).unwrap_or_default()
}

/// What a case tells between its beginning and its end.
pub(crate) fn events(case: &CaseId) -> Vec<Event> {
    let lab = |mode| {
        let topology = lan(mode);
        Event::LabBuilt { wiring: topology.wiring(), topology: Some(topology), build_us: 2100 }
    };
    let reflect = Event::Step { text: "sw:s0 hairpin on".into() };
    match case.as_str() {
        "bridge.l2.same-bridge.v4" => vec![grid(Class::Ping4, bridge(), &bridge().to_string())],
        "bridge.l2.same-bridge.v6" => vec![grid(Class::Ping6, bridge(), &bridge().to_string())],
        "macvlan.private.siblings-may-not-talk" => vec![
            lab(Mode::Private),
            holds("children reach the external host"),
            grid(Class::Ping4, reflected(), DRAWN),
            frame("c1:c0", Direction::Out, 1_000_000_001, ""),
            frame("p:p0", Direction::Out, 1_000_002_500, ""),
            frame("sw:s0", Direction::In, 1_000_003_000, "8100000a"),
        ],
        "macvlan.vepa.siblings-need-reflection.v4" => {
            vec![lab(Mode::Vepa), grid(Class::Ping4, plain(), DRAWN)]
        }
        "macvlan.vepa.siblings-need-reflection.v6" => {
            vec![lab(Mode::Vepa), grid(Class::Ping6, plain(), DRAWN)]
        }
        "macvlan.vepa.reflection-lets-siblings-talk" => {
            vec![lab(Mode::Vepa), reflect, grid(Class::Ping4, reflected(), ALL)]
        }
        "faults.told.hang" => vec![Event::Step { text: "p:p0 down".into() }],
        _ => Vec::new(),
    }
}

const DRAWN: &str = "c1 c2 e\nc1 . # +\nc2 # . +\ne + + .";
const ALL: &str = "c1 c2 e\nc1 . + +\nc2 + . +\ne + + .";

/// An ARP request as a link saw it, with that VLAN tag.
fn frame(link: &str, direction: Direction, ns: u64, tag: &str) -> Event {
    let addresses = "ffffffffffff02687000000a";
    let arp = "08060001080006040001 02687000000a c0000201 000000000000 c0000202".replace(' ', "");
    let bytes = format!("{addresses}{tag}{arp}");
    let probe = Some("arp request about 192.0.2.2".into());
    let (lab, len, link, left_off) = (0, bytes.len() / 2, link.into(), 0);
    Event::Frame(Frame { lab, link, direction, ns, len, bytes, probe, left_off })
}

fn holds(claim: &str) -> Event {
    Event::Check { claim: claim.into(), observed: None }
}

fn grid(class: Class, mut observed: Grid, expected: &str) -> Event {
    observed.class = class;
    let drawing = expected.parse().expect("the drawing is sound");
    let agrees = observed.differences(&drawing).expect("of the same hosts").is_empty();
    Event::Grid { title: class.to_string(), observed, expected: expected.into(), agrees }
}

/// Two macvlan children on a parent that hangs on a switch, and a host on that switch.
fn lan(mode: Mode) -> Topology {
    Topology::new("lan")
        .host("c1")
        .host("c2")
        .host("e")
        .netns("p")
        .netns("sw")
        .bridge("sw:br0")
        .cable("sw:s0", "p:p0")
        .port("sw:s0", "br0")
        .cable("sw:s1", "e:e0")
        .port("sw:s1", "br0")
        .macvlan("c1:c0", "p:p0", mode)
        .macvlan("c2:c0", "p:p0", mode)
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24")
        .address("e:e0", "192.0.2.9/24")
}

fn hosts() -> Vec<String> {
    ["c1", "c2", "e"].map(Into::into).to_vec()
}

/// The cell of a verdict with the way of its frames, as `kind: link> link<; kind: …`.
fn cell(verdict: Verdict, trace: &str) -> Cell {
    let mut cell = Cell::new(verdict);
    for (what, links) in trace.split("; ").filter_map(|part| part.split_once(": ")) {
        for word in links.split(' ') {
            let (link, sign) = word.split_at(word.len() - 1);
            let direction = if sign == "<" { Direction::In } else { Direction::Out };
            cell.seen.push(Sighting::new(link, direction, what));
        }
    }
    cell
}

fn outside(from: &str, to: &str) -> Cell {
    let way = match (from, to) {
        ("e", child) => format!("e:e0> sw:s1< sw:s0> p:p0< {child}:c0<"),
        (child, _) => format!("{child}:c0> p:p0> sw:s0< sw:s1> e:e0<"),
    };
    cell(Verdict::Delivered, &format!("arp request: {way}; echo request: {way}"))
}

fn observed(sibling: impl Fn(&str, &str) -> Cell) -> Grid {
    let mut grid = Grid::undecided(Class::Ping4, hosts());
    let names = hosts();
    for (i, from) in names.iter().enumerate() {
        for (j, to) in names.iter().enumerate().filter(|(j, _)| *j != i) {
            let outside_pair = from == "e" || to == "e";
            grid.cells[i][j] = if outside_pair { outside(from, to) } else { sibling(from, to) };
        }
    }
    grid
}

/// Behind a switch that does not reflect.
fn plain() -> Grid {
    observed(|from, _| {
        let way = format!("arp request: {from}:c0> p:p0> sw:s0< sw:s1> e:e0<");
        let mut cell = cell(Verdict::Blocked, &way);
        cell.proof = Some("a broadcast control from e arrived after it".into());
        cell
    })
}

/// Behind a switch that reflects.
fn reflected() -> Grid {
    observed(|from, to| {
        let way = format!("{from}:c0> p:p0> sw:s0< sw:s0> p:p0< {to}:c0<");
        let mut cell =
            cell(Verdict::Delivered, &format!("arp request: {way}; echo request: {way}"));
        // As if the switch tagged what it sends back.
        for sighting in cell.seen.iter_mut().filter(|s| s.what == "echo request") {
            let tagged = sighting.link == "sw:s0" && sighting.direction == Direction::Out;
            sighting.headers = Some(headers(if tagged { &[10] } else { &[] }));
        }
        fold(&mut cell.seen);
        cell
    })
}

fn headers(vlan: &[u16]) -> Headers {
    Headers {
        from: Mac([2, 0x68, 0x70, 0, 0, 10]),
        to: Mac([2, 0x68, 0x70, 0, 0, 11]),
        vlan: vlan.to_vec(),
        ip: Some(([192, 0, 2, 11].into(), [192, 0, 2, 12].into())),
        ttl: Some(64),
        ports: None,
    }
}

/// Hosts on one bridge; untraced.
fn bridge() -> Grid {
    let mut grid = Grid::undecided(Class::Ping4, hosts());
    for (i, row) in grid.cells.iter_mut().enumerate() {
        for (j, cell) in row.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            *cell = Cell::new(if i == j { Verdict::Own } else { Verdict::Delivered });
        }
    }
    grid
}
