//! How a stack finds a neighbour's Ethernet address: what it holds, ARP, and IPv6's
//! neighbour discovery, which are packets that firewalls are asked about.

use std::net::{IpAddr, Ipv6Addr};

use hairpin_model::Mac;

use super::{Gone, Walk};
use crate::cause::Cause;
use crate::route::is_link_local;
use crate::ruleset::{Hook, Load};
use crate::snapshot::{LinkId, Route};
use crate::wire::{Arrival, Frame, Packet};

impl Walk<'_> {
    /// Finds a neighbour's Ethernet address.
    pub(super) fn resolve(
        &mut self,
        link: LinkId,
        ip: IpAddr,
        asker: Option<IpAddr>,
    ) -> Result<Mac, Gone> {
        let held = self.space(link.0).neighbours.iter().find(|n| n.link == link.1 && n.ip == ip);
        let is = |state: &[&str]| held.filter(|n| state.contains(&n.state.as_str()));
        if let Some(entry) = is(&["permanent", "noarp"]) {
            let cause = Cause::Neighbour(link, ip, entry.mac.to_string());
            if !self.is_right(link, ip, entry.mac) && !self.wire.lifted.contains(&cause) {
                self.wire.stops(cause);
                return Ok(entry.mac);
            }
            if self.is_right(link, ip, entry.mac) {
                return Ok(entry.mac);
            }
        }
        if let Some(mac) = self.neighbours.get(&(link, ip)) {
            return Ok(*mac);
        }
        if let Some(entry) = is(&["reachable", "stale", "delay", "probe"])
            && !self.is_right(link, ip, entry.mac)
            && self.wire.stops(Cause::Neighbour(link, ip, entry.mac.to_string()))
        {
            return Ok(entry.mac);
        }
        self.ask(link, ip, asker)
    }

    /// Whether an Ethernet address is one of a link that has that address, as far as is known.
    fn is_right(&self, link: LinkId, ip: IpAddr, mac: Mac) -> bool {
        let owners = self.wire.snapshot.owners(ip);
        let holds = |owner: &LinkId| {
            self.wire.snapshot.link(*owner).is_some_and(|link| !link.unready.contains_key(&ip))
        };
        let others = owners.iter().filter(|owner| owner.0 != link.0 && holds(owner));
        let mut macs = others.filter_map(|owner| self.wire.snapshot.link(*owner)?.mac).peekable();
        macs.peek().is_none() || macs.any(|own| own == mac)
    }

    /// The address that a stack asks for a neighbour from.
    pub(super) fn asker(
        &mut self,
        link: LinkId,
        packet: Packet,
        near: IpAddr,
        route: &Route,
    ) -> Option<IpAddr> {
        let space = self.space(link.0);
        if packet.source.is_ipv4() {
            let own = Route { source: None, ..route.clone() };
            let is_own = space.is_local(packet.source);
            return if is_own { Some(packet.source) } else { space.source(&own, near) };
        }
        // The packet's own if the link has it, else the link-local one.
        let found = self.wire.snapshot.link(link)?;
        let usable = |ip: &IpAddr| !found.unready.contains_key(ip);
        let mut all = found.of_family(near).map(|net| net.addr()).filter(usable);
        let asker = all
            .clone()
            .find(|ip| *ip == packet.source)
            .or_else(|| all.find(|ip| is_link_local(*ip)));
        if asker.is_none() {
            let name = self.wire.snapshot.name(link);
            self.wire.odd(format!("{name} has no link-local address to ask from"));
        }
        asker
    }

    /// Asks by ARP, or by neighbour discovery.
    fn ask(&mut self, link: LinkId, ip: IpAddr, asker: Option<IpAddr>) -> Result<Mac, Gone> {
        let (Some(src), Some(asker)) = (self.mac(link), asker) else { return Err(Gone) };
        if self.wire.snapshot.link(link).is_some_and(|link| link.noarp) {
            self.wire.odd(format!("{} asks no neighbours", self.wire.snapshot.name(link)));
            return Err(Gone);
        }
        let frame = question(src, ip, asker);
        self.says(link, frame.packet)?;
        let heard = self.wire.send(link, &frame);
        let mut answers: Vec<(Mac, Arrival)> = Vec::new();
        for arrival in heard.into_iter().filter(|arrival| arrival.at != link) {
            if !self.answers(arrival.at, ip, asker) || self.hears(arrival.at, frame.packet).is_err()
            {
                continue;
            }
            self.progress += 1;
            self.neighbours.insert((arrival.at, asker), src);
            let Some(mac) = self.mac(arrival.at) else { continue };
            let answer = |asked: Packet| Packet {
                source: ip,
                destination: asked.source,
                answer: true,
                ..asked
            };
            let reply = Frame { src: mac, dst: src, tag: None, packet: frame.packet.map(answer) };
            if self.says(arrival.at, reply.packet).is_err() {
                continue;
            }
            let comes_back = self.wire.send(arrival.at, &reply).iter().any(|back| back.at == link);
            if comes_back && self.hears(link, reply.packet).is_ok() && self.believes(link, ip) {
                answers.push((mac, arrival));
            }
        }
        answers.sort_by_key(|(mac, _)| *mac);
        answers.dedup_by_key(|(mac, _)| *mac);
        let [(mac, arrival)] = answers.as_slice() else {
            if let [(_, one), (_, two), ..] = answers.as_slice() {
                let names = [one, two].map(|arrival| self.wire.snapshot.name(arrival.at));
                self.wire.odd(format!("{} and {} both answer for {ip}", names[0], names[1]));
            }
            return Err(Gone);
        };
        self.tell(format!("who has {ip}: {}, {mac} answers", arrival.path.join(" ")));
        self.neighbours.insert((link, ip), *mac);
        Ok(*mac)
    }

    /// The hooks that a stack's own word to a neighbour passes; ARP passes none of them.
    fn says(&mut self, link: LinkId, packet: Option<Packet>) -> Result<(), Gone> {
        let Some(packet) = packet else { return Ok(()) };
        for hook in [Hook::Output, Hook::Postrouting] {
            self.filter(link.0, hook, (None, Some(self.bare(link))), packet)?;
        }
        Ok(())
    }

    /// The hooks that a neighbour's word passes.
    fn hears(&mut self, link: LinkId, packet: Option<Packet>) -> Result<(), Gone> {
        let Some(packet) = packet else { return Ok(()) };
        for what in self.space(link.0).strange_for(packet.source) {
            self.wire.odd(format!("{what} in {}", self.space(link.0).name));
        }
        for hook in [Hook::Prerouting, Hook::Input] {
            self.filter(link.0, hook, (Some(self.bare(link)), None), packet)?;
        }
        Ok(())
    }

    /// `ndisc_recv_na`: what others say of an address that the link itself has is not believed.
    fn believes(&mut self, id: LinkId, ip: IpAddr) -> bool {
        let holds = self.wire.snapshot.link(id).is_some_and(|link| link.unready.contains_key(&ip));
        !holds || !self.wire.stops(Cause::Taken(id, ip))
    }

    /// `ndisc_recv_ns`: whether a stack answers for an IPv6 address.
    fn answers_in_v6(&mut self, id: LinkId, ip: IpAddr) -> bool {
        let (space, name) = (self.space(id.0), self.bare(id));
        let Some(link) = self.wire.snapshot.link(id) else { return false };
        if link.of_family(ip).any(|net| net.addr() == ip) {
            return match link.unready.get(&ip).map(String::as_str) {
                None => true,
                Some("dadfailed") => !self.wire.stops(Cause::Taken(id, ip)),
                Some(what) => {
                    let name = self.wire.snapshot.name(id);
                    self.wire.odd(format!("{ip} on {name} is {what}: ask again in a moment"));
                    false
                }
            };
        }
        if space.has_proxies_in_v6 && space.of_link_in_v6(name, "proxy_ndp") == 1 {
            self.wire.odd(format!("a stand-in for IPv6 neighbours in {}", space.name));
        }
        if space.routes.iter().any(|route| route.kind == "anycast" && route.to.addr() == ip) {
            self.wire.odd(format!("{ip} is an anycast address of {}", space.name));
        }
        let has = space.is_local(ip) && !is_link_local(ip);
        has && !self.wire.stops(Cause::Elsewhere(id, ip))
    }

    /// `arp_process`: whether a stack answers for an address.
    fn answers(&mut self, link: LinkId, ip: IpAddr, asker: IpAddr) -> bool {
        if ip.is_ipv6() {
            return self.answers_in_v6(link, ip);
        }
        let (space, name) = (self.space(link.0), self.bare(link));
        let local = space.is_local(ip);
        let proxy = space.of_link(name, "proxy_arp") == 1;
        if !local && (space.of_link(name, "proxy_arp_pvlan") == 1 || space.has_proxies) {
            self.wire.odd(format!("proxy ARP of an unusual kind in {}", space.name));
        }
        if !local && !proxy {
            return false;
        }
        for what in space.strange_for(ip) {
            self.wire.odd(format!("{what} in {}", space.name));
        }
        if space.chains.iter().any(|chain| chain.family == "arp" && chain.base.is_some()) {
            self.wire.odd(format!("an ARP firewall in {}", space.name));
        }
        if self.check_source(link, asker).is_err() {
            return false;
        }
        if space.of_link(name, "arp_filter") == 1 {
            self.wire.odd(format!("arp_filter in {}", space.name));
        }
        if !local {
            let out = space.route(ip).filter(|route| route.kind == "unicast");
            let forwards = space.number(&format!("ipv4/conf/{name}/forwarding")) == 1;
            return forwards && out.is_some_and(|route| route.link != Some(link.1));
        }
        match space.of_link(name, "arp_ignore") {
            0 => true,
            1 => {
                let has = self.wire.snapshot.owners(ip).contains(&link);
                has || !self.wire.stops(Cause::ArpIgnored(link))
            }
            _ => {
                self.wire.odd(format!("arp_ignore in {}", space.name));
                true
            }
        }
    }
}

/// The question for a neighbour: ARP, or a solicitation.
fn question(src: Mac, ip: IpAddr, asker: IpAddr) -> Frame {
    match ip {
        IpAddr::V4(_) => Frame { src, dst: Mac::BROADCAST, tag: None, packet: None },
        IpAddr::V6(ip) => {
            let group = solicited(ip);
            let [.., a, b, c, d] = group.octets();
            let packet = Packet {
                source: asker,
                destination: group.into(),
                load: Load::Discovery,
                port: 0,
                answer: false,
                bytes: None,
            };
            Frame { src, dst: Mac([0x33, 0x33, a, b, c, d]), tag: None, packet: Some(packet) }
        }
    }
}

/// The group at which the holder of an address listens for questions about it.
fn solicited(ip: Ipv6Addr) -> Ipv6Addr {
    const GROUP: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(GROUP | (ip.to_bits() & 0x00ff_ffff))
}
