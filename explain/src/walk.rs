//! A ping from cold neighbour caches: its ARP requests, its way there, the way of its answer.

mod neighbour;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hairpin_model::Mac;

use crate::cause::Cause;
use crate::ruleset::Hook;
use crate::snapshot::{LinkId, Route, Snapshot, Space};
use crate::wire::{Frame, Packet, Wire};

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
    /// The way, a line a station.
    pub(crate) ladder: Vec<String>,
}

/// The packet is no more. Why is in the notes of the wire.
struct Gone;

/// Routers that a packet passes at most.
const HOPS: usize = 8;

struct Walk<'s> {
    wire: Wire<'s>,
    ladder: Vec<String>,
    progress: usize,
    /// What ARP taught: by link and address.
    neighbours: BTreeMap<(LinkId, Ipv4Addr), Mac>,
    /// Sources that a namespace replaced: the new one, the old one.
    replaced: Vec<(usize, Ipv4Addr, Ipv4Addr)>,
    hops: usize,
}

/// Pings, with some causes lifted.
pub(crate) fn ping(
    snapshot: &Snapshot,
    from: (usize, Option<Ipv4Addr>),
    to: Ipv4Addr,
    lifted: BTreeSet<Cause>,
) -> Outcome {
    let mut walk = Walk {
        wire: Wire::new(snapshot, lifted),
        ladder: Vec::new(),
        progress: 0,
        neighbours: BTreeMap::new(),
        replaced: Vec::new(),
        hops: 0,
    };
    let answered = walk.both_ways(from, to).is_ok();
    let Walk { wire, ladder, progress, .. } = walk;
    let Wire { stopped, strange, left, .. } = wire;
    Outcome { answered, progress, stopped, strange, left, ladder }
}

impl<'s> Walk<'s> {
    fn both_ways(
        &mut self,
        (space, source): (usize, Option<Ipv4Addr>),
        to: Ipv4Addr,
    ) -> Result<(), Gone> {
        let route = self.lookup(space, to)?;
        let own = self.space(space).source(&route, to);
        let Some(source) = source.or(own) else {
            self.wire.odd(format!("{} has no address to send from", self.space(space).name));
            return Err(Gone);
        };
        let request = Packet { source, destination: to, answer: false };
        let (target, request) = self.originate(space, request)?;
        self.tell(format!("{} takes the request", self.space(target).name));
        if self.space(target).number("ipv4/icmp_echo_ignore_all") == 1
            && self.wire.stops(Cause::EchoIgnored(target))
        {
            return Err(Gone);
        }
        self.hops = 0;
        let answer = Packet { source: to, destination: request.source, answer: true };
        let (back, _) = self.originate(target, answer)?;
        self.tell(format!("{} takes the answer", self.space(back).name));
        if back == space { Ok(()) } else { Err(Gone) }
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
    fn lookup(&mut self, at: usize, to: Ipv4Addr) -> Result<Route, Gone> {
        let space = self.space(at);
        for what in &space.strange {
            self.wire.odd(format!("{what} in {}", space.name));
        }
        let found = space.route(to).cloned();
        let connected = |route: &Route| route.via.is_none() && route.to.prefix_len() > 0;
        if !found.as_ref().is_some_and(connected)
            && let Some(route) = self.without_its_link(at, to)
        {
            return route;
        }
        let Some(route) = found else {
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
        if space.of_link(&link.name, "ignore_routes_with_linkdown") == 1 {
            self.wire.odd(format!("ignore_routes_with_linkdown in {}", space.name));
        }
    }

    /// The route that a link would give that is down, and with it its routes.
    fn without_its_link(&mut self, at: usize, to: Ipv4Addr) -> Option<Result<Route, Gone>> {
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
            strange: None,
        }))
    }

    /// A namespace sends a packet of its own.
    fn originate(&mut self, at: usize, packet: Packet) -> Result<(usize, Packet), Gone> {
        let route = self.lookup(at, packet.destination)?;
        if route.kind == "local" {
            let links = (None, Some("lo"));
            self.filter(at, Hook::Output, links, packet)?;
            self.filter(at, Hook::Postrouting, links, packet)?;
            self.filter(at, Hook::Prerouting, (Some("lo"), None), packet)?;
            self.filter(at, Hook::Input, (Some("lo"), None), packet)?;
            let lo = self.space(at).links.iter().find(|link| link.loopback);
            if let Some(lo) = lo.filter(|lo| !lo.up)
                && self.wire.stops(Cause::Down((at, lo.index)))
            {
                return Err(Gone);
            }
            return Ok((at, packet));
        }
        let out = route.link.map(|index| self.bare((at, index)));
        self.filter(at, Hook::Output, (None, out), packet)?;
        self.leave(at, packet, &route)
    }

    fn filter(
        &mut self,
        at: usize,
        hook: Hook,
        links: (Option<&str>, Option<&str>),
        packet: Packet,
    ) -> Result<bool, Gone> {
        self.wire.ask(at, hook, links, packet, false).ok_or(Gone)
    }

    /// A packet leaves a namespace by its route.
    fn leave(
        &mut self,
        at: usize,
        mut packet: Packet,
        route: &Route,
    ) -> Result<(usize, Packet), Gone> {
        let Some(index) = route.link else {
            self.wire.odd(format!("a route without a link in {}", self.space(at).name));
            return Err(Gone);
        };
        let link = (at, index);
        if self.filter(at, Hook::Postrouting, (None, Some(self.bare(link))), packet)? {
            let Some(new) = self.space(at).source(route, packet.destination) else {
                return Err(Gone);
            };
            if new != packet.source {
                self.replaced.push((at, new, packet.source));
                packet.source = new;
            }
        }
        let near = route.via.unwrap_or(packet.destination);
        let asker = if self.space(at).is_local(packet.source) {
            Some(packet.source)
        } else {
            self.space(at).source(&Route { source: None, ..route.clone() }, near)
        };
        let dst = self.resolve(link, near, asker)?;
        let Some(src) = self.mac(link) else { return Err(Gone) };
        let frame = Frame { src, dst, tag: None, packet: Some(packet) };
        let arrivals = self.wire.send(link, &frame);
        let [arrival] = arrivals.as_slice() else {
            if arrivals.len() > 1 {
                self.wire.odd(format!("{} stacks take a frame for {dst}", arrivals.len()));
            }
            return Err(Gone);
        };
        let what = if packet.answer { "answer" } else { "request" };
        self.tell(format!("{what}: {}", arrival.path.join(" ")));
        self.arrive(arrival.at, packet)
    }

    fn mac(&mut self, link: LinkId) -> Option<Mac> {
        let mac = self.wire.snapshot.link(link).and_then(|link| link.mac);
        if mac.is_none() {
            self.wire.odd(format!("{} has no Ethernet address", self.wire.snapshot.name(link)));
        }
        mac
    }

    /// A packet comes into a namespace.
    fn arrive(&mut self, link: LinkId, mut packet: Packet) -> Result<(usize, Packet), Gone> {
        let at = link.0;
        let name = self.bare(link);
        for what in &self.space(at).strange {
            self.wire.odd(format!("{what} in {}", self.space(at).name));
        }
        // The hook comes before the route, and before the check of the way back.
        self.filter(at, Hook::Prerouting, (Some(name), None), packet)?;
        let undo = |(space, new, _): &&(usize, Ipv4Addr, Ipv4Addr)| {
            *space == at && packet.answer && *new == packet.destination
        };
        if let Some((_, _, old)) = self.replaced.iter().find(undo) {
            packet.destination = *old;
        }
        self.check_source(link, packet.source)?;
        let route = self.lookup(at, packet.destination)?;
        if route.kind == "local" {
            self.filter(at, Hook::Input, (Some(name), None), packet)?;
            return Ok((at, packet));
        }
        let forwards = self.space(at).number(&format!("ipv4/conf/{name}/forwarding")) == 1;
        if !forwards && self.wire.stops(Cause::NoForwarding(link)) {
            return Err(Gone);
        }
        self.hops += 1;
        if self.hops > HOPS {
            self.wire.odd("a circle of routers".into());
            return Err(Gone);
        }
        let out = route.link.map(|index| self.bare((at, index)));
        self.filter(at, Hook::Forward, (Some(name), out), packet)?;
        self.tell(format!(
            "{} routes it from {name} to {}",
            self.space(at).name,
            out.unwrap_or("?")
        ));
        self.leave(at, packet, &route)
    }

    /// `fib_validate_source`.
    fn check_source(&mut self, link: LinkId, source: Ipv4Addr) -> Result<(), Gone> {
        let (space, name) = (self.space(link.0), self.bare(link));
        let stopped = if space.is_local(source) {
            if space.of_link(name, "accept_local") == 1 {
                self.wire.odd(format!("accept_local in {}", space.name));
            }
            self.wire.stops(Cause::Martian(link, source))
        } else {
            let back = space.route(source).filter(|route| route.kind == "unicast");
            if let Some(what) = back.and_then(|route| route.strange.as_ref()) {
                self.wire.odd(format!("{what} in a route of {}", space.name));
            }
            let misses = match space.of_link(name, "rp_filter") {
                0 => false,
                1 => back.is_none_or(|route| route.link != Some(link.1)),
                _ => back.is_none(),
            };
            misses && self.wire.stops(Cause::ReversePath(link, source))
        };
        if stopped { Err(Gone) } else { Ok(()) }
    }
}
