//! A ping from cold neighbour caches: its ARP requests, its way there, the way of its answer.

mod neighbour;
mod service;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hairpin_model::Mac;

use crate::cause::Cause;
use crate::route::{Found, alone};
use crate::ruleset::Load;
use crate::snapshot::{LinkId, Route, Snapshot, Space};
use crate::wire::{Packet, Wire};

/// What became of a ping.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Whether the answer came back.
    pub(crate) answered: bool,
    /// How many stations it got past: more is farther.
    pub(crate) progress: usize,
    /// What stopped frames on the way, in order.
    pub(crate) stopped: Vec<Cause>,
    /// What was not understood on the way.
    pub(crate) strange: Vec<String>,
    /// Where frames left what was read.
    pub(crate) left: BTreeSet<LinkId>,
    /// Bridges that it is taken for granted of that there is no querier.
    pub(crate) snooping: BTreeSet<LinkId>,
    /// IPv6 sockets that are taken to be for IPv4 too: the namespace, and the port.
    pub(crate) both: BTreeSet<(usize, u16)>,
    /// The way, a line a station.
    pub(crate) ladder: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) load: Load,
    pub(crate) port: u16,
    /// How long the packet is; `None` is as short as can be.
    pub(crate) bytes: Option<u32>,
}

/// The packet is no more. Why is in the notes of the wire.
struct Gone;

/// A stack that took a packet: the namespace, the link that it came in by, and the packet.
type Taken = (usize, Option<u32>, Packet);

/// A destination that a namespace replaced.
struct Redirected {
    space: usize,
    /// Whether it did so to what it sent itself.
    own: bool,
    old: (IpAddr, u16),
    new: (IpAddr, u16),
}

/// Routers that a packet passes at most.
const HOPS: usize = 8;

struct Walk<'s> {
    wire: Wire<'s>,
    ladder: Vec<String>,
    progress: usize,
    /// What ARP taught: by link and address.
    neighbours: BTreeMap<(LinkId, IpAddr), Mac>,
    /// Sources that a namespace replaced: the new one, the old one.
    replaced: Vec<(usize, IpAddr, IpAddr)>,
    /// Destinations that a namespace replaced.
    redirected: Vec<Redirected>,
    /// IPv6 sockets that are taken to be for IPv4 too.
    both: BTreeSet<(usize, u16)>,
    hops: usize,
}

/// Pings, with some causes lifted.
pub(crate) fn ping(
    snapshot: &Snapshot,
    from: (usize, Option<IpAddr>),
    to: (IpAddr, Option<u32>),
    what: Asked,
    lifted: BTreeSet<Cause>,
) -> Outcome {
    let mut walk = Walk {
        wire: Wire::new(snapshot, lifted),
        ladder: Vec::new(),
        progress: 0,
        neighbours: BTreeMap::new(),
        replaced: Vec::new(),
        redirected: Vec::new(),
        both: BTreeSet::new(),
        hops: 0,
    };
    walk.wire.senders = snapshot.spaces[from.0].senders();
    let answered = walk.both_ways(from, to, what).is_ok();
    let Walk { wire, ladder, progress, both, .. } = walk;
    let Wire { stopped, strange, left, snooping, .. } = wire;
    Outcome { answered, progress, stopped, strange, left, snooping, both, ladder }
}

impl<'s> Walk<'s> {
    fn both_ways(
        &mut self,
        (space, source): (usize, Option<IpAddr>),
        (to, near): (IpAddr, Option<u32>),
        Asked { load, port, bytes }: Asked,
    ) -> Result<(), Gone> {
        let route = self.lookup(space, to, near)?;
        if source.is_none() && to.is_ipv6() {
            self.note_sources(space, &route);
        }
        let own = self.space(space).source(&route, to);
        let Some(source) = source.or(own) else {
            self.wire.odd(format!("{} has no address to send from", self.space(space).name));
            return Err(Gone);
        };
        let request = Packet { source, destination: to, load, port, answer: false, bytes };
        let (target, by, request) = self.originate(space, request, near)?;
        self.tell(format!("{} takes the request", self.space(target).name));
        self.serves(target, request)?;
        self.hops = 0;
        let (source, destination) = (request.destination, request.source);
        // An echo is as long as what it answers; what else answers is short.
        let bytes = request.bytes.filter(|_| load == Load::Echo);
        let answer = Packet { source, destination, answer: true, bytes, ..request };
        // An answer of IPv6 asks for the link that the request came in by.
        let (back, _, answer) = self.originate(target, answer, by.filter(|_| to.is_ipv6()))?;
        self.tell(format!("{} takes the answer", self.space(back).name));
        if back != space {
            return Err(Gone);
        }
        self.check_answer(space, (to, port), (answer.source, answer.port))
    }

    fn space(&self, at: usize) -> &'s Space {
        &self.wire.snapshot.spaces[at]
    }

    fn bare(&self, link: LinkId) -> &'s str {
        self.wire.snapshot.link(link).map_or("", |link| &link.name)
    }

    fn tell(&mut self, line: String) {
        self.progress += 1;
        self.ladder.push(line);
    }

    /// The route of a namespace for an address.
    fn lookup(&mut self, at: usize, to: IpAddr, near: Option<u32>) -> Result<Route, Gone> {
        let space = self.space(at);
        for what in space.strange_for(to) {
            self.wire.odd(format!("{what} in {}", space.name));
        }
        if let Some(route) = self.not_in_force(at, to) {
            return Ok(route);
        }
        let found = match space.routes_to(to, near) {
            Found::None => None,
            Found::One(route) => Some(route.clone()),
            Found::Several(route) => {
                self.wire.odd(format!("several routes of one metric to {to} in {}", space.name));
                Some(route.clone())
            }
        };
        let connected = |route: &Route| route.via.is_none() && route.to.prefix_len() > 0;
        if !found.as_ref().is_some_and(connected)
            && let Some(route) = self.without_its_link(at, to)
        {
            return route;
        }
        let Some(route) = found else {
            self.note_lost_addresses(at, to);
            self.wire.stops(Cause::NoRoute(at, to));
            return Err(Gone);
        };
        if let Some(what) = &route.strange {
            self.wire.odd(format!("{what} in a route of {}", space.name));
        }
        self.note_passed_over(at, &route);
        match route.kind.as_str() {
            "unicast" | "local" => Ok(route),
            // Such a route sends the lookup on to the next table, or does what is not known here.
            "unusual" => {
                self.wire.odd(format!("a route of an unusual kind in {}", space.name));
                Err(Gone)
            }
            "broadcast" | "multicast" | "anycast" => {
                self.wire.odd(format!("{to} is no single host's address in {}", space.name));
                Err(Gone)
            }
            kind => {
                self.wire.stops(Cause::Forbidden(at, kind.to_owned(), route.to.to_string()));
                Err(Gone)
            }
        }
    }

    /// A route whose link has no carrier may be passed over, if the namespace is told so.
    fn note_passed_over(&mut self, at: usize, route: &Route) {
        let space = self.space(at);
        let out = space.links.iter().find(|link| Some(link.index) == route.link);
        let Some(link) = out.filter(|link| !link.carrier) else { return };
        let ignores = match route.to.addr() {
            IpAddr::V4(_) => space.of_link(&link.name, "ignore_routes_with_linkdown"),
            IpAddr::V6(_) => space.of_link_in_v6(&link.name, "ignore_routes_with_linkdown"),
        };
        if ignores == 1 {
            self.wire.odd(format!("ignore_routes_with_linkdown in {}", space.name));
        }
    }

    /// The route that a link would give that is down, and with it its routes.
    fn without_its_link(&mut self, at: usize, to: IpAddr) -> Option<Result<Route, Gone>> {
        let down = |link: &&crate::snapshot::Link| {
            !link.up && link.addresses.iter().any(|net| net.contains(&to))
        };
        let link = self.space(at).links.iter().find(down)?;
        let net = *link.addresses.iter().find(|net| net.contains(&to))?;
        if self.wire.stops(Cause::Down((at, link.index))) {
            return Some(Err(Gone));
        }
        Some(Ok(Route {
            to: net.trunc(),
            kind: "unicast".into(),
            table: 254,
            metric: 0,
            via: None,
            link: Some(link.index),
            source: Some(net.addr()),
            mtu: None,
            strange: None,
        }))
    }

    /// The route to an own address that is not in force: its link is down, or it was found to be
    /// somebody else's. It is there once that is lifted.
    fn not_in_force(&self, at: usize, to: IpAddr) -> Option<Route> {
        let links = &self.space(at).links;
        let link = links.iter().find(|link| {
            let id = (at, link.index);
            let taken = link.unready.contains_key(&to) && self.is_lifted(&Cause::Taken(id, to));
            let has = link.addresses.iter().any(|net| net.addr() == to);
            taken || (has && !link.up && self.is_lifted(&Cause::Down(id)))
        })?;
        Some(Route {
            to: alone(to),
            kind: "local".into(),
            table: 255,
            metric: 0,
            via: None,
            link: Some(link.index),
            source: None,
            mtu: None,
            strange: None,
        })
    }

    fn is_lifted(&self, cause: &Cause) -> bool {
        self.wire.lifted.contains(cause)
    }

    /// A link that is down has no IPv6 addresses any more, and no routes: they are not read.
    fn note_lost_addresses(&mut self, at: usize, to: IpAddr) {
        let space = self.space(at);
        let down = space.links.iter().find(|link| to.is_ipv6() && !link.up && !link.loopback);
        if let Some(link) = down {
            let name = self.wire.snapshot.name((at, link.index));
            self.wire.odd(format!("{name} is down, and what IPv6 addresses and routes it had"));
        }
    }

    /// What makes it hard to tell which of its IPv6 addresses a namespace sends from.
    fn note_sources(&mut self, at: usize, route: &Route) {
        let space = self.space(at);
        if route.source.is_some() {
            return;
        }
        if let Some((ip, what)) = space.links.iter().flat_map(|link| &link.unloved).next() {
            self.wire.odd(format!("{ip}, a {what} address to send from, in {}", space.name));
        }
        let name = space.links.iter().find(|l| Some(l.index) == route.link).map(|l| &l.name);
        if name.is_some_and(|name| space.of_link_in_v6(name, "use_oif_addrs_only") == 1) {
            self.wire.odd(format!("use_oif_addrs_only in {}", space.name));
        }
    }
}
