//! Bridges: which ports a frame leaves by, as `br_input.c` and `br_forward.c` have it.

use super::{Frame, Wire};
use crate::cause::Cause;
use crate::ruleset::Hook;
use crate::snapshot::{Bridge, Entry, Kind, LinkId, Port};
use hairpin_model::Mac;

impl Wire<'_> {
    /// A bridge takes a frame from a port, or from its own stack.
    pub(super) fn forward(
        &mut self,
        id: LinkId,
        from: Option<LinkId>,
        frame: &Frame,
        path: &[String],
    ) {
        let Some(bridge) = self.snapshot.link(id) else { return };
        let Kind::Bridge(settings) = &bridge.kind else {
            return self
                .odd(format!("{} is a port of something else than a bridge", path.concat()));
        };
        if self.dead_bridge(id) || from.is_some_and(|port| self.refuses(id, port, frame)) {
            return;
        }
        self.note_bridge(id, settings, frame);
        if from.is_some() && self.filtered(id, settings, frame, Hook::Prerouting) {
            return;
        }
        let Some(targets) = self.targets(id, from, frame) else { return self.up(id, frame, path) };
        let mut forwarded = None;
        for port in targets.0 {
            if !self.passes(id, from, port, frame) {
                continue;
            }
            let dropped = *forwarded.get_or_insert_with(|| {
                from.is_some()
                    && (self.filtered(id, settings, frame, Hook::Forward)
                        || self.filtered(id, settings, frame, Hook::Postrouting))
            });
            if !dropped && !self.overflows(port, frame) {
                self.transmit(port, frame.clone(), path.to_vec());
            }
        }
        if targets.1 && from.is_some() {
            self.up(id, frame, path);
        }
    }

    fn dead_bridge(&mut self, id: LinkId) -> bool {
        self.snapshot.link(id).is_none_or(|link| !link.up) && self.stops(Cause::Down(id))
    }

    /// To the bridge's own link.
    fn up(&mut self, id: LinkId, frame: &Frame, path: &[String]) {
        self.receive(id, frame.clone(), path.to_vec());
    }

    fn note_bridge(&mut self, id: LinkId, settings: &Bridge, frame: &Frame) {
        for what in &self.snapshot.spaces[id.0].strange_on_bridges {
            self.odd(format!("{what} in {}", self.snapshot.spaces[id.0].name));
        }
        if settings.snooping && frame.is_group() && frame.dst != Mac::BROADCAST {
            self.snooping.insert(id);
            if settings.querier {
                let name = self.snapshot.name(id);
                self.odd(format!("multicast snooping with a querier on {name}"));
            }
        }
        if settings.vlan_filtering {
            self.odd(format!("a bridge that keeps VLANs apart: {}", self.snapshot.name(id)));
        }
        let chains = &self.snapshot.spaces[id.0].chains;
        if chains.iter().any(|chain| chain.family == "bridge" && chain.base.is_some()) {
            self.odd(format!(
                "nftables chains of family bridge in {}",
                self.snapshot.spaces[id.0].name
            ));
        }
    }

    /// Whether a port does not let a frame in. Learns where the sender is.
    fn refuses(&mut self, bridge: LinkId, port: LinkId, frame: &Frame) -> bool {
        let Some((_, settings)) = self.snapshot.link(port).and_then(|link| link.port) else {
            return true;
        };
        if settings.state != 3 && self.stops(self.state_cause(bridge, port)) {
            return true;
        }
        let entries = &self.snapshot.spaces[bridge.0].fdb;
        let known = entries.iter().find(|e| e.bridge == bridge.1 && e.mac == frame.src && !e.own);
        if settings.locked
            && known.is_none_or(|entry| entry.port != port.1)
            && self.stops(Cause::Locked(port, frame.src.to_string()))
        {
            return true;
        }
        if settings.learning && !settings.locked && known.is_none_or(|entry| !entry.sticky) {
            self.learned.insert((bridge, frame.src), port.1);
        }
        false
    }

    /// Why a port does not forward: for want of what it stands on, or since it is told so.
    fn state_cause(&self, bridge: LinkId, port: LinkId) -> Cause {
        let up = |id| self.snapshot.link(id).is_some_and(|link| link.up);
        match self.snapshot.link(port) {
            _ if !up(bridge) => Cause::Down(bridge),
            Some(link) if !link.up => Cause::Down(port),
            Some(link) if !link.carrier => self.root(port, 0),
            _ => Cause::PortState(port),
        }
    }

    /// The ports that a frame is for, and whether it is for the bridge too; `None` is the bridge alone.
    fn targets(
        &self,
        id: LinkId,
        from: Option<LinkId>,
        frame: &Frame,
    ) -> Option<(Vec<LinkId>, bool)> {
        let space = &self.snapshot.spaces[id.0];
        let is_port = |link: &&crate::snapshot::Link| link.port.is_some_and(|(of, _)| of == id.1);
        let all = || space.links.iter().filter(is_port).map(|link| (id.0, link.index)).collect();
        if frame.is_group() {
            return Some((all(), true));
        }
        let entry = space.fdb.iter().find(|e| e.bridge == id.1 && e.mac == frame.dst);
        let own = self.has_mac(id, frame.dst) || entry.is_some_and(|entry| entry.own);
        if own && from.is_some() {
            return None;
        }
        let learned = self.learned.get(&(id, frame.dst)).copied();
        let lifted =
            |port| self.lifted.contains(&Cause::Pinned((id.0, port), frame.dst.to_string()));
        let entry = entry.filter(|e| !e.sticky || !lifted(e.port));
        let at = entry
            .filter(|e| e.sticky && !e.own)
            .map(|e| e.port)
            .or(learned)
            .or(entry.map(|e| e.port));
        match at {
            Some(port) if port != id.1 => Some((vec![(id.0, port)], false)),
            _ => Some((all(), false)),
        }
    }

    /// `should_deliver`, and the flags of flooding.
    fn passes(
        &mut self,
        bridge: LinkId,
        from: Option<LinkId>,
        port: LinkId,
        frame: &Frame,
    ) -> bool {
        let settings =
            |id: LinkId| self.snapshot.link(id).and_then(|link| link.port).map(|(_, port)| port);
        let Some(out) = settings(port) else { return false };
        let isolated =
            from.and_then(settings).is_some_and(|from: Port| from.isolated) && out.isolated;
        if from == Some(port) && !out.hairpin && self.stops(Cause::NoHairpin(port)) {
            return false;
        }
        if isolated && from != Some(port) && self.stops(Cause::Isolated(port)) {
            return false;
        }
        if out.state != 3 && self.stops(self.state_cause(bridge, port)) {
            return false;
        }
        if frame.dst == Mac::BROADCAST {
            return out.bcast_flood || from.is_none() || !self.stops(Cause::NoBroadcast(port));
        }
        if frame.is_group() {
            return out.mcast_flood || from.is_none() || !self.stops(Cause::NoMulticast(port));
        }
        let entry = |e: &&Entry| e.bridge == bridge.1 && e.mac == frame.dst;
        let held = self.snapshot.spaces[port.0].fdb.iter().find(entry);
        let learned = self.learned.get(&(bridge, frame.dst)).copied();
        if held.is_some_and(|e| e.sticky && e.port == port.1)
            && learned.is_some_and(|at| at != port.1)
        {
            self.stops(Cause::Pinned(port, frame.dst.to_string()));
        }
        let known = learned.is_some() || held.is_some();
        known || out.flood || !self.stops(Cause::NoFlood(port))
    }
}
