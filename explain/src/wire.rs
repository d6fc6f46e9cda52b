//! Where a frame goes: through links, bridges and macvlan parents, up to the stacks that take it.
//!
//! Each driver's forwarding is said here once, in the words of its code. What stops a frame is
//! noted as a [`Cause`], and passed over where that cause is lifted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hairpin_model::Mac;

use crate::cause::Cause;
use crate::ruleset::{self, Fate, Hook, Look};
use crate::snapshot::{Bridge, Entry, Kind, LinkId, Macvlan, Port, Snapshot};

/// A frame on its way.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) src: Mac,
    pub(crate) dst: Mac,
    pub(crate) tag: Option<u16>,
    /// The IP packet in it; ARP if there is none.
    pub(crate) packet: Option<Packet>,
}

/// An ICMP echo request or its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) answer: bool,
}

/// A stack that took a frame, and the links that it passed.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: LinkId,
    pub(crate) path: Vec<String>,
}

/// More hops than any sane network has: a circle.
const FARTHEST: usize = 64;

/// The state of one walk.
pub(crate) struct Wire<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) lifted: BTreeSet<Cause>,
    /// What stopped a frame, in order, each once.
    pub(crate) stopped: Vec<Cause>,
    /// What was met that is not understood.
    pub(crate) strange: Vec<String>,
    /// Where frames left what was read.
    pub(crate) left: BTreeSet<LinkId>,
    /// What bridges learned during the walk.
    learned: BTreeMap<(LinkId, Mac), u32>,
    /// Namespaces whose connection tracking has seen the request.
    pub(crate) tracked: BTreeSet<usize>,
    arrivals: Vec<Arrival>,
}

impl<'s> Wire<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, lifted: BTreeSet<Cause>) -> Self {
        Self {
            snapshot,
            lifted,
            stopped: Vec::new(),
            strange: Vec::new(),
            left: BTreeSet::new(),
            learned: BTreeMap::new(),
            tracked: BTreeSet::new(),
            arrivals: Vec::new(),
        }
    }

    /// Whether this cause stops what is on its way: notes it unless it is lifted.
    pub(crate) fn stops(&mut self, cause: Cause) -> bool {
        if self.lifted.contains(&cause) {
            return false;
        }
        if !self.stopped.contains(&cause) {
            self.stopped.push(cause);
        }
        true
    }

    pub(crate) fn odd(&mut self, what: String) {
        if !self.strange.contains(&what) {
            self.strange.push(what);
        }
    }

    /// Sends a frame from a link's own stack; gives the stacks that take it.
    pub(crate) fn send(&mut self, link: LinkId, frame: &Frame) -> Vec<Arrival> {
        self.arrivals.clear();
        self.children_hear(link, frame);
        self.transmit(link, frame.clone(), Vec::new());
        std::mem::take(&mut self.arrivals)
    }

    /// Why a link carries nothing, if so.
    fn dead(&mut self, id: LinkId) -> bool {
        let Some(link) = self.snapshot.link(id) else { return true };
        if !link.up {
            return self.stops(Cause::Down(id));
        }
        !link.carrier && self.stops(self.root(id, 0))
    }

    /// What takes a link's carrier.
    fn root(&self, id: LinkId, depth: usize) -> Cause {
        match self.snapshot.below(id).and_then(|below| Some((below, self.snapshot.link(below)?))) {
            Some((below, link)) if !link.up => Cause::Down(below),
            Some((below, link)) if !link.carrier && depth < FARTHEST => match link.kind {
                // The far end of a cable has no carrier of ours either.
                Kind::Veth if self.snapshot.below(below) == Some(id) => Cause::NoCarrier(id),
                _ => self.root(below, depth + 1),
            },
            _ => Cause::NoCarrier(id),
        }
    }

    fn step(path: &[String], name: String, arrow: char) -> Vec<String> {
        path.iter().cloned().chain([format!("{name}{arrow}")]).collect()
    }

    /// Out of a link.
    fn transmit(&mut self, id: LinkId, frame: Frame, path: Vec<String>) {
        let Some(link) = self.snapshot.link(id) else { return };
        if path.len() > FARTHEST {
            return self.odd(format!("a circle at {}", self.snapshot.name(id)));
        }
        if self.dead(id) {
            return;
        }
        self.note_strange(id);
        let path = Self::step(&path, self.snapshot.name(id), '>');
        let below = self.snapshot.below(id);
        match (&link.kind, below) {
            (Kind::Veth, Some(peer)) => self.receive(peer, frame, path),
            (Kind::Bridge(_), _) => self.forward(id, None, &frame, &path),
            (Kind::Macvlan(child) | Kind::Macvtap(child), Some(parent)) => {
                self.child_sends(id, child, parent, frame, path);
            }
            (Kind::Vlan(tag), Some(parent)) if frame.tag.is_none() => {
                self.transmit(parent, Frame { tag: Some(*tag), ..frame }, path);
            }
            (Kind::Card | Kind::Tun, _) => {
                self.left.insert(id);
            }
            (Kind::Dummy, _) => {
                self.stops(Cause::Dummy(id));
            }
            (kind, _) => {
                let what = match kind {
                    Kind::Other(kind) => format!("a link of kind {kind}"),
                    Kind::Vlan(_) => "a tag within a tag".to_owned(),
                    _ => "a link whose other end was not read".to_owned(),
                };
                self.odd(format!("{what}: {}", self.snapshot.name(id)));
            }
        }
    }

    fn note_strange(&mut self, id: LinkId) {
        let Some(link) = self.snapshot.link(id) else { return };
        for what in &link.strange {
            self.odd(format!("{what} on {}", self.snapshot.name(id)));
        }
    }

    /// Into a link.
    fn receive(&mut self, id: LinkId, frame: Frame, path: Vec<String>) {
        let Some(link) = self.snapshot.link(id) else { return };
        if self.dead(id) {
            return;
        }
        self.note_strange(id);
        let path = Self::step(&path, self.snapshot.name(id), '<');
        let above = self.snapshot.above(id);
        if let Some(tag) = frame.tag {
            let takes = |at: &&LinkId| matches!(self.snapshot.link(**at), Some(link) if link.kind == Kind::Vlan(tag));
            if let Some(vlan) = above.iter().find(takes) {
                return self.receive(*vlan, Frame { tag: None, ..frame }, path);
            }
        }
        if let Some((bridge, _)) = link.port {
            return self.forward((id.0, bridge), Some(id), &frame, &path);
        }
        let children = self.children(&above);
        if !children.is_empty() {
            return self.parent_hears(id, &children, &frame, &path);
        }
        if above.iter().any(
            |at| matches!(self.snapshot.link(*at), Some(l) if matches!(l.kind, Kind::Other(_))),
        ) {
            return self.odd(format!("links of another kind on {}", self.snapshot.name(id)));
        }
        self.stack(id, &frame, &path);
    }

    /// Up to a link's own stack.
    fn stack(&mut self, id: LinkId, frame: &Frame, path: &[String]) {
        let Some(link) = self.snapshot.link(id) else { return };
        if matches!(link.kind, Kind::Macvtap(_)) {
            self.left.insert(id);
            return;
        }
        if frame.dst != Mac::BROADCAST && Some(frame.dst) != link.mac {
            return;
        }
        if frame.tag.is_some_and(|tag| self.stops(Cause::NoVlan(id, tag))) {
            return;
        }
        if !self.arrivals.iter().any(|arrival| arrival.at == id) {
            self.arrivals.push(Arrival { at: id, path: path.to_vec() });
        }
    }

    fn children(&self, above: &[LinkId]) -> Vec<(LinkId, &'s Macvlan)> {
        let child = |at: &LinkId| match &self.snapshot.link(*at)?.kind {
            Kind::Macvlan(child) | Kind::Macvtap(child) => Some((*at, child)),
            _ => None,
        };
        above.iter().filter_map(child).collect()
    }

    fn is_up(&self, id: LinkId) -> bool {
        self.snapshot.link(id).is_some_and(|l| l.up || self.lifted.contains(&Cause::Down(id)))
    }

    fn has_mac(&self, id: LinkId, mac: Mac) -> bool {
        self.snapshot.link(id).is_some_and(|link| link.mac == Some(mac))
    }

    fn concerns(&self, id: LinkId, frame: &Frame) -> bool {
        frame.dst == Mac::BROADCAST || self.has_mac(id, frame.dst)
    }

    /// What a parent's own stack sends does not come to its children.
    fn children_hear(&mut self, parent: LinkId, frame: &Frame) {
        let children = self.children(&self.snapshot.above(parent));
        for (child, _) in children {
            if self.concerns(child, frame) && !self.stops(Cause::Apart(parent)) {
                self.stack(child, frame, &[self.snapshot.name(parent), self.snapshot.name(child)]);
            }
        }
    }

    /// `macvlan_queue_xmit`.
    fn child_sends(
        &mut self,
        id: LinkId,
        child: &Macvlan,
        parent: LinkId,
        frame: Frame,
        path: Vec<String>,
    ) {
        if self.dead(parent) {
            return;
        }
        for (sibling, other) in self.children(&self.snapshot.above(parent)) {
            if sibling == id || !self.is_up(sibling) || !self.concerns(sibling, &frame) {
                continue;
            }
            if child.mode == "bridge" && other.mode == "bridge" {
                self.receive(sibling, frame.clone(), path.clone());
                if frame.dst != Mac::BROADCAST {
                    return;
                }
            } else {
                let mode = if child.mode == "bridge" { &other.mode } else { &child.mode };
                if !self.stops(Cause::Siblings(parent, mode.clone())) {
                    self.receive(sibling, frame.clone(), path.clone());
                }
            }
        }
        if self.concerns(parent, &frame) && !self.stops(Cause::Apart(parent)) {
            self.stack(parent, &frame, &path);
        }
        self.transmit(parent, frame, path);
    }

    /// `macvlan_handle_frame`.
    fn parent_hears(
        &mut self,
        parent: LinkId,
        children: &[(LinkId, &Macvlan)],
        frame: &Frame,
        path: &[String],
    ) {
        let up: Vec<_> = children.iter().filter(|(id, _)| self.is_up(*id)).copied().collect();
        if frame.dst == Mac::BROADCAST {
            return self.parent_hears_group(parent, &up, frame, path);
        }
        if self.source_children(&up, frame, path) {
            return;
        }
        if let Some((child, _)) = up.iter().find(|(_, child)| child.mode == "passthru") {
            self.receive(*child, frame.clone(), path.to_vec());
            if self.has_mac(parent, frame.dst) && !self.stops(Cause::Passthru(parent)) {
                self.stack(parent, frame, path);
            }
            return;
        }
        match up.iter().find(|(id, child)| child.mode != "source" && self.has_mac(*id, frame.dst)) {
            Some((child, _)) => self.receive(*child, frame.clone(), path.to_vec()),
            None if self.has_mac(parent, frame.dst) => self.stack(parent, frame, path),
            None => {
                for (child, _) in &up {
                    // Only what is itself a way to somebody could want it.
                    let leads_on = self.snapshot.link(*child).is_some_and(|l| l.port.is_some());
                    if leads_on && !self.stops(Cause::OwnAddressOnly(parent)) {
                        self.receive(*child, frame.clone(), path.to_vec());
                    }
                }
            }
        }
    }

    fn parent_hears_group(
        &mut self,
        parent: LinkId,
        up: &[(LinkId, &Macvlan)],
        frame: &Frame,
        path: &[String],
    ) {
        if self.source_children(up, frame, path) {
            return;
        }
        let sender = up.iter().find(|(id, _)| self.has_mac(*id, frame.src));
        if let Some((own, child)) = sender
            && !matches!(child.mode.as_str(), "vepa" | "bridge")
        {
            return self.receive(*own, frame.clone(), path.to_vec());
        }
        for (id, child) in up {
            let hears = match sender.map(|(_, child)| child.mode.as_str()) {
                None => child.mode != "source",
                Some("vepa") => matches!(child.mode.as_str(), "vepa" | "bridge"),
                Some(_) => child.mode == "vepa",
            };
            let is_sender = sender.is_some_and(|(own, _)| own == id);
            if !hears || is_sender {
                continue;
            }
            // A queue of length 0 with all children: the longest of them counts.
            if child.queue == Some(0) && self.stops(Cause::NoQueue(*id)) {
                continue;
            }
            self.receive(*id, frame.clone(), path.to_vec());
        }
        self.stack(parent, frame, path);
    }

    /// `macvlan_forward_source`; whether the frame is theirs alone.
    fn source_children(
        &mut self,
        up: &[(LinkId, &Macvlan)],
        frame: &Frame,
        path: &[String],
    ) -> bool {
        let mut alone = false;
        for (id, child) in up.iter().filter(|(_, child)| child.mode == "source") {
            if child.senders.contains(&frame.src) {
                alone |= child.nodst;
                self.receive(*id, frame.clone(), path.to_vec());
            } else if self.concerns(*id, frame) && !self.stops(Cause::NotListed(*id)) {
                self.receive(*id, frame.clone(), path.to_vec());
            }
        }
        alone
    }

    /// A bridge takes a frame from a port, or from its own stack.
    fn forward(&mut self, id: LinkId, from: Option<LinkId>, frame: &Frame, path: &[String]) {
        let Some(bridge) = self.snapshot.link(id) else { return };
        let Kind::Bridge(settings) = &bridge.kind else {
            return self
                .odd(format!("{} is a port of something else than a bridge", path.concat()));
        };
        if self.dead_bridge(id) || from.is_some_and(|port| self.refuses(id, port, frame)) {
            return;
        }
        self.note_bridge(id, settings);
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
            if !dropped {
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

    fn note_bridge(&mut self, id: LinkId, settings: &Bridge) {
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
            && self.stops(Cause::Locked(port))
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
        if frame.dst == Mac::BROADCAST {
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

    /// Whether a bridged packet ends in the IP firewall.
    fn filtered(&mut self, id: LinkId, settings: &Bridge, frame: &Frame, hook: Hook) -> bool {
        let space = &self.snapshot.spaces[id.0];
        let Some(packet) = frame.packet else {
            let called =
                space.number("bridge/bridge-nf-call-arptables") == 1 || settings.nf_call_arptables;
            if called && space.chains.iter().any(|c| c.family == "arp" && c.base.is_some()) {
                self.odd(format!("an ARP firewall in {}", space.name));
            }
            return false;
        };
        let called =
            space.number("bridge/bridge-nf-call-iptables") == 1 || settings.nf_call_iptables;
        if !called {
            return false;
        }
        let name = self.snapshot.link(id).map(|link| link.name.clone());
        let output = if hook == Hook::Prerouting { None } else { name.as_deref() };
        let input = if hook == Hook::Postrouting { None } else { name.as_deref() };
        self.ask(id.0, hook, (input, output), packet, true).is_none()
    }

    /// Asks a firewall hook; `None` if the packet ends there, else whether it is masqueraded.
    pub(crate) fn ask(
        &mut self,
        space: usize,
        hook: Hook,
        links: (Option<&str>, Option<&str>),
        packet: Packet,
        bridged: bool,
    ) -> Option<bool> {
        let answer = match packet.answer {
            true if !self.tracked.contains(&space) => None,
            answer => Some(answer),
        };
        if !packet.answer {
            self.tracked.insert(space);
        }
        let look = Look {
            input: links.0,
            output: links.1,
            source: packet.source,
            destination: packet.destination,
            answer,
        };
        match ruleset::ask(&self.snapshot.spaces[space].chains, hook, &look) {
            Fate::Pass { masquerade } => Some(masquerade),
            Fate::Drop { chain, handle } => {
                let stopped = self.stops(Cause::Filter(space, hook, chain, handle, bridged));
                (!stopped).then_some(false)
            }
            Fate::Unknown(what) => {
                self.odd(format!("{what} in {}", self.snapshot.spaces[space].name));
                Some(false)
            }
        }
    }
}
