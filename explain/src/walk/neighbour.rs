//! How a stack finds a neighbour's Ethernet address: what it holds, and ARP.

use std::net::Ipv4Addr;

use hairpin_model::Mac;

use super::{Gone, Walk};
use crate::cause::Cause;
use crate::snapshot::LinkId;
use crate::wire::{Arrival, Frame};

impl Walk<'_> {
    /// Finds a neighbour's Ethernet address.
    pub(super) fn resolve(
        &mut self,
        link: LinkId,
        ip: Ipv4Addr,
        asker: Option<Ipv4Addr>,
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
    fn is_right(&self, link: LinkId, ip: Ipv4Addr, mac: Mac) -> bool {
        let owners = self.wire.snapshot.owners(ip);
        let others = owners.iter().filter(|owner| owner.0 != link.0);
        let mut macs = others.filter_map(|owner| self.wire.snapshot.link(*owner)?.mac).peekable();
        macs.peek().is_none() || macs.any(|own| own == mac)
    }

    /// Asks by ARP.
    fn ask(&mut self, link: LinkId, ip: Ipv4Addr, asker: Option<Ipv4Addr>) -> Result<Mac, Gone> {
        let (Some(src), Some(asker)) = (self.mac(link), asker) else { return Err(Gone) };
        if self.wire.snapshot.link(link).is_some_and(|link| link.noarp) {
            self.wire.odd(format!("{} asks no neighbours", self.wire.snapshot.name(link)));
            return Err(Gone);
        }
        let frame = Frame { src, dst: Mac::BROADCAST, tag: None, packet: None };
        let heard = self.wire.send(link, &frame);
        let mut answers: Vec<(Mac, Arrival)> = Vec::new();
        for arrival in heard.into_iter().filter(|arrival| arrival.at != link) {
            if !self.answers(arrival.at, ip, asker) {
                continue;
            }
            self.progress += 1;
            self.neighbours.insert((arrival.at, asker), src);
            let Some(mac) = self.mac(arrival.at) else { continue };
            let reply = Frame { src: mac, dst: src, tag: None, packet: None };
            if self.wire.send(arrival.at, &reply).iter().any(|back| back.at == link) {
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

    /// `arp_process`: whether a stack answers for an address.
    fn answers(&mut self, link: LinkId, ip: Ipv4Addr, asker: Ipv4Addr) -> bool {
        let (space, name) = (self.space(link.0), self.bare(link));
        let local = space.is_local(ip);
        let proxy = space.of_link(name, "proxy_arp") == 1;
        if !local && (space.of_link(name, "proxy_arp_pvlan") == 1 || space.has_proxies) {
            self.wire.odd(format!("proxy ARP of an unusual kind in {}", space.name));
        }
        if !local && !proxy {
            return false;
        }
        if !space.strange.is_empty() {
            self.wire.odd(format!("{} in {}", space.strange.join(", "), space.name));
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
