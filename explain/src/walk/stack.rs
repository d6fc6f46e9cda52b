//! What a stack does with a packet: sends it, takes it, routes it.

use std::net::IpAddr;

use hairpin_model::{Family, Mac};

use super::{Gone, HOPS, Redirected, Taken, Walk};
use crate::cause::{Cause, Word};
use crate::route::is_link_local;
use crate::ruleset::{Change, Hook};
use crate::snapshot::{LinkId, Route};
use crate::wire::{Frame, Packet};

impl Walk<'_> {
    /// A namespace sends a packet of its own.
    pub(super) fn originate(
        &mut self,
        at: usize,
        mut packet: Packet,
        near: Option<u32>,
    ) -> Result<Taken, Gone> {
        let mut route = self.lookup(at, packet.destination, near)?;
        let out = match route.kind.as_str() {
            "local" => Some("lo"),
            _ => route.link.map(|index| self.bare((at, index))),
        };
        self.check_length(at, &route, packet, Word::Own)?;
        let change = self.filter(at, Hook::Output, (None, out), packet)?;
        if self.redirect(at, change, &mut packet, true) {
            route = self.lookup(at, packet.destination, near)?;
        }
        if route.kind == "local" {
            return self.loop_back(at, packet);
        }
        if packet.source.is_loopback() {
            self.wire.odd(format!("{} sends from its loopback address", self.space(at).name));
        }
        self.leave(at, packet, &route)
    }

    /// A packet that a namespace sends to itself.
    fn loop_back(&mut self, at: usize, mut packet: Packet) -> Result<Taken, Gone> {
        let change = self.filter(at, Hook::Postrouting, (None, Some("lo")), packet)?;
        if change != Change::None {
            self.wire.odd(format!("a translation on the loopback of {}", self.space(at).name));
        }
        self.filter(at, Hook::Prerouting, (Some("lo"), None), packet)?;
        self.filter(at, Hook::Input, (Some("lo"), None), packet)?;
        let lo = self.space(at).links.iter().find(|link| link.loopback);
        if let Some(lo) = lo.filter(|lo| !lo.up)
            && self.wire.stops(Cause::Down((at, lo.index)))
        {
            return Err(Gone);
        }
        self.restore(at, &mut packet, true);
        Ok((at, None, packet))
    }

    /// Gives a request another destination, if that is the change; whether it was.
    fn redirect(&mut self, at: usize, change: Change, packet: &mut Packet, own: bool) -> bool {
        let Change::Destination(ip, port) = change else { return false };
        let old = (packet.destination, packet.port);
        packet.destination = ip.unwrap_or(old.0);
        // A port is what no ping has.
        packet.port = port.filter(|_| old.1 != 0).unwrap_or(old.1);
        let new = (packet.destination, packet.port);
        let by = if new.1 == 0 { String::new() } else { format!(", port {}", new.1) };
        self.tell(format!("{} sends it on to {}{by} instead", self.space(at).name, new.0));
        self.wire.translators.insert(at);
        self.redirected.push(Redirected { space: at, own, old, new });
        true
    }

    /// Gives an answer the source that was asked for, where the request got another destination.
    fn restore(&self, at: usize, packet: &mut Packet, own: bool) {
        let now = (packet.source, packet.port);
        let undo = |one: &&Redirected| {
            one.space == at && one.own == own && packet.answer && one.new == now
        };
        if let Some(one) = self.redirected.iter().find(undo) {
            (packet.source, packet.port) = one.old;
        }
    }

    pub(super) fn filter(
        &mut self,
        at: usize,
        hook: Hook,
        links: (Option<&str>, Option<&str>),
        packet: Packet,
    ) -> Result<Change, Gone> {
        self.wire.ask(at, hook, links, packet, false).ok_or(Gone)
    }

    /// A packet leaves a namespace by its route.
    fn leave(&mut self, at: usize, mut packet: Packet, route: &Route) -> Result<Taken, Gone> {
        let Some(index) = route.link else {
            self.wire.odd(format!("a route without a link in {}", self.space(at).name));
            return Err(Gone);
        };
        let link = (at, index);
        let change = self.filter(at, Hook::Postrouting, (None, Some(self.bare(link))), packet)?;
        let new = match change {
            Change::Masquerade => self.masquerade(at, route, packet)?,
            Change::Source(Some(ip), _) => ip,
            _ => packet.source,
        };
        if new != packet.source {
            self.replaced.push((at, new, packet.source));
            self.wire.translators.insert(at);
            packet.source = new;
        }
        self.restore(at, &mut packet, false);
        let near = route.via.unwrap_or(packet.destination);
        let asker = self.asker(link, packet, near, route);
        let dst = self
            .resolve(link, near, asker)
            .inspect_err(|_| self.note_other_way(link, near, packet))?;
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

    /// The address of the link that a packet leaves by.
    fn masquerade(&self, at: usize, route: &Route, packet: Packet) -> Result<IpAddr, Gone> {
        self.space(at).source(route, packet.destination).ok_or(Gone)
    }

    pub(super) fn mac(&mut self, link: LinkId) -> Option<Mac> {
        let mac = self.wire.snapshot.link(link).and_then(|link| link.mac);
        if mac.is_none() {
            self.wire.odd(format!("{} has no Ethernet address", self.wire.snapshot.name(link)));
        }
        mac
    }

    /// A packet comes into a namespace.
    fn arrive(&mut self, link: LinkId, mut packet: Packet) -> Result<Taken, Gone> {
        let at = link.0;
        let name = self.bare(link);
        for what in self.space(at).strange_for(packet.source) {
            self.wire.odd(format!("{what} in {}", self.space(at).name));
        }
        if packet.source.is_ipv6()
            && self.space(at).of_link_in_v6(name, "disable_ipv6") == 1
            && self.wire.stops(Cause::NoIpv6(link))
        {
            return Err(Gone);
        }
        // The hook comes before the route, and before the check of the way back.
        let change = self.filter(at, Hook::Prerouting, (Some(name), None), packet)?;
        self.redirect(at, change, &mut packet, false);
        let undo = |(space, new, _): &&(usize, IpAddr, IpAddr)| {
            *space == at && packet.answer && *new == packet.destination
        };
        if let Some((_, _, old)) = self.replaced.iter().find(undo) {
            packet.destination = *old;
        }
        self.check_source(link, packet.source)?;
        let route =
            self.lookup(at, packet.destination, Some(link.1).filter(|_| packet.source.is_ipv6()))?;
        if route.kind == "local" {
            let change = self.filter(at, Hook::Input, (Some(name), None), packet)?;
            if change != Change::None {
                self.wire.odd(format!(
                    "a source that is translated on input in {}",
                    self.space(at).name
                ));
            }
            self.restore(at, &mut packet, true);
            return Ok((at, Some(link.1), packet));
        }
        self.check_forwarding(link, packet)?;
        self.hops += 1;
        if self.hops > HOPS {
            self.wire.odd("a circle of routers".into());
            return Err(Gone);
        }
        self.check_length(at, &route, packet, Word::Icmp)?;
        let out = route.link.map(|index| self.bare((at, index)));
        self.filter(at, Hook::Forward, (Some(name), out), packet)?;
        self.tell(format!(
            "{} routes it from {name} to {}",
            self.space(at).name,
            out.unwrap_or("?")
        ));
        self.leave(at, packet, &route)
    }

    /// Whether a packet fits a link, and the route: asked before the firewall is.
    fn check_length(
        &mut self,
        at: usize,
        route: &Route,
        packet: Packet,
        word: Word,
    ) -> Result<(), Gone> {
        // What is for itself goes by the loopback, whichever link has the address.
        let out = route.link.filter(|_| route.kind == "unicast");
        let Some((bytes, index)) = packet.bytes.zip(out) else { return Ok(()) };
        let link = (at, index);
        let mtu = self.wire.snapshot.link(link).map_or(u32::MAX, |link| link.mtu);
        if let Some(own) = route.mtu.filter(|own| *own != mtu) {
            self.wire.odd(format!("a route of {} with an MTU of {own}", self.space(link.0).name));
        }
        let own = self.space(at).number(&format!("ipv6/conf/{}/mtu", self.bare(link)));
        if packet.source.is_ipv6() && own != 0 && own != mtu {
            let name = self.wire.snapshot.name(link);
            self.wire.odd(format!("an MTU of its own for IPv6, {own}, on {name}"));
        }
        if bytes <= mtu {
            return Ok(());
        }
        if packet.answer {
            // An answer may be cut, and its pieces have ways of their own.
            self.wire
                .odd(format!("an answer that {} cuts in pieces", self.wire.snapshot.name(link)));
            return Ok(());
        }
        let stopped = self.wire.stops(Cause::TooLong(link, bytes, word));
        if stopped { Err(Gone) } else { Ok(()) }
    }

    /// Whether a namespace routes what comes in there.
    fn check_forwarding(&mut self, link: LinkId, packet: Packet) -> Result<(), Gone> {
        let (space, name) = (self.space(link.0), self.bare(link));
        let (family, forwards) = match packet.source {
            IpAddr::V4(_) => {
                (Family::V4, space.number(&format!("ipv4/conf/{name}/forwarding")) == 1)
            }
            IpAddr::V6(_) => {
                let forced = space.number(&format!("ipv6/conf/{name}/force_forwarding")) == 1;
                (Family::V6, forced || space.number("ipv6/conf/all/forwarding") == 1)
            }
        };
        if !forwards && self.wire.stops(Cause::NoForwarding(link, family)) {
            return Err(Gone);
        }
        let bound = is_link_local(packet.source) || is_link_local(packet.destination);
        if bound && self.wire.stops(Cause::LinkLocal(link, packet.source)) {
            return Err(Gone);
        }
        Ok(())
    }

    /// A host that does not route passes over an IPv6 router that it does not find, if it has a
    /// wider route: not at first, and later it may.
    fn note_other_way(&mut self, link: LinkId, near: IpAddr, packet: Packet) {
        let to = packet.destination;
        let routers = self.space(link.0).routes.iter().filter(|route| route.to.contains(&to));
        let others = routers.filter(|route| route.kind == "unicast" && route.via != Some(near));
        if to.is_ipv6() && near != to && others.count() > 0 {
            self.wire.odd(format!(
                "a wider route of {}, which may be taken once {near} is not found",
                self.space(link.0).name
            ));
        }
    }

    /// `fib_validate_source`; IPv6 has no such check.
    pub(super) fn check_source(&mut self, link: LinkId, source: IpAddr) -> Result<(), Gone> {
        let (space, name) = (self.space(link.0), self.bare(link));
        if source.is_ipv6() {
            if space.is_local(source) {
                self.wire.odd(format!("{source} is an address of {} too", space.name));
            }
            return Ok(());
        }
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
