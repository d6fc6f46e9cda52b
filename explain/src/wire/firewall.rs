//! The IP firewall: asked by a stack, and by a bridge while `br_netfilter` is on.

use super::{Frame, Packet, Wire};
use crate::cause::{Cause, Drop};
use crate::ruleset::{self, Change, Fate, Hook, Load, Look};
use crate::snapshot::{Bridge, LinkId};

impl Wire<'_> {
    /// Whether a bridged packet ends in the IP firewall.
    pub(super) fn filtered(
        &mut self,
        id: LinkId,
        settings: &Bridge,
        frame: &Frame,
        hook: Hook,
    ) -> bool {
        let space = &self.snapshot.spaces[id.0];
        let Some(packet) = frame.packet else {
            let called =
                space.number("bridge/bridge-nf-call-arptables") == 1 || settings.nf_call_arptables;
            if called && space.chains.iter().any(|c| c.family == "arp" && c.base.is_some()) {
                self.odd(format!("an ARP firewall in {}", space.name));
            }
            return false;
        };
        let called = match packet.source.is_ipv4() {
            true => {
                space.number("bridge/bridge-nf-call-iptables") == 1 || settings.nf_call_iptables
            }
            false => {
                space.number("bridge/bridge-nf-call-ip6tables") == 1 || settings.nf_call_ip6tables
            }
        };
        if !called {
            return false;
        }
        for what in space.strange_for(packet.source) {
            self.odd(format!("{what} in {}", space.name));
        }
        if frame.bytes().is_some() {
            self.odd(format!("the length of bridged packets and br_netfilter in {}", space.name));
        }
        if frame.tag.is_some() {
            self.odd(format!("bridged packets with a VLAN and br_netfilter in {}", space.name));
        }
        let name = self.snapshot.link(id).map(|link| link.name.clone());
        let output = if hook == Hook::Prerouting { None } else { name.as_deref() };
        let input = if hook == Hook::Postrouting { None } else { name.as_deref() };
        let Some(change) = self.ask(id.0, hook, (input, output), packet, true) else { return true };
        if change != Change::None || self.translators.contains(&id.0) {
            let name = &self.snapshot.spaces[id.0].name;
            self.odd(format!("bridged packets that are translated in {name}"));
        }
        false
    }

    /// Asks a firewall hook; `None` if the packet ends there, else what it becomes.
    pub(crate) fn ask(
        &mut self,
        space: usize,
        hook: Hook,
        links: (Option<&str>, Option<&str>),
        packet: Packet,
        bridged: bool,
    ) -> Option<Change> {
        let answer = match packet.answer {
            true if packet.load != Load::Discovery && !self.tracked.contains(&space) => None,
            answer => Some(answer),
        };
        if !packet.answer && packet.load != Load::Discovery {
            self.tracked.insert(space);
        }
        let look = Look {
            input: links.0,
            output: links.1,
            source: packet.source,
            destination: packet.destination,
            load: packet.load,
            port: packet.port,
            // Who translates may give another port, but none below 1024.
            senders: if self.translators.is_empty() { self.senders } else { (1024, u16::MAX) },
            space: &self.snapshot.spaces[space],
            // What comes in by the loopback was sent here, and translated then if at all.
            translates: !(hook == Hook::Prerouting && links.0 == Some("lo")),
            answer,
        };
        match ruleset::ask(hook, &look) {
            Fate::Pass(change) => Some(change),
            Fate::Drop { chain, handle } => {
                let stopped =
                    self.stops(Cause::Filter(Drop { space, hook, chain, handle, bridged, packet }));
                (!stopped).then_some(Change::None)
            }
            Fate::Unknown(what) => {
                self.odd(format!("{what} in {}", self.snapshot.spaces[space].name));
                Some(Change::None)
            }
        }
    }
}
