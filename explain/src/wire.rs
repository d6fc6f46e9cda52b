//! Where a frame goes: through links, bridges and macvlan parents, up to the stacks that take it.
//!
//! Each driver's forwarding is said here once, in the words of its code. What stops a frame is
//! noted as a [`Cause`], and passed over where that cause is lifted.

mod bridge;
mod firewall;
mod macvlan;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hairpin_model::Mac;

use crate::cause::{Cause, Word};
use crate::ruleset::Load;
use crate::snapshot::{Kind, LinkId, Snapshot};

/// A frame on its way.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) src: Mac,
    pub(crate) dst: Mac,
    pub(crate) tag: Option<u16>,
    /// The IP packet in it; ARP if there is none.
    pub(crate) packet: Option<Packet>,
}

impl Frame {
    /// How long its packet is, if that is asked about.
    pub(crate) fn bytes(&self) -> Option<u32> {
        self.packet.and_then(|packet| packet.bytes)
    }

    /// Whether it is for more than one.
    pub(crate) const fn is_group(&self) -> bool {
        self.dst.0[0] & 1 == 1
    }
}

/// An IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) load: Load,
    /// The port that the request is for: TCP and UDP.
    pub(crate) port: u16,
    pub(crate) answer: bool,
    /// How long it is, if that is asked about; it is not to be cut.
    pub(crate) bytes: Option<u32>,
}

/// A stack that took a frame, and the links that it passed.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: LinkId,
    pub(crate) path: Vec<String>,
}

/// More hops than any sane network has: a circle.
const FARTHEST: usize = 64;

/// Bytes of a ping's IP packet: 20 of IP, 8 of ICMP, 56 of payload.
const PING: u32 = 84;

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
    /// Bridges that send multicast where it was asked for, once there is a querier.
    pub(crate) snooping: BTreeSet<LinkId>,
    /// What bridges learned during the walk.
    learned: BTreeMap<(LinkId, Mac), u32>,
    /// Between which ports the sender's own is.
    pub(crate) senders: (u16, u16),
    /// Namespaces that translated the request.
    pub(crate) translators: BTreeSet<usize>,
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
            snooping: BTreeSet::new(),
            learned: BTreeMap::new(),
            senders: (0, u16::MAX),
            translators: BTreeSet::new(),
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

    /// `is_skb_forwardable`: whether a frame is too long for a link that no stack sends it by, which
    /// then loses it without a word. There is room for a VLAN's tag.
    fn overflows(&mut self, id: LinkId, frame: &Frame) -> bool {
        const TAG: u32 = 4;
        let Some(bytes) = frame.bytes() else { return false };
        let mtu = self.snapshot.link(id).map_or(u32::MAX, |link| link.mtu);
        if frame.tag.is_some() && bytes > mtu && bytes <= mtu + TAG {
            self.odd(format!("a tag that may be too much for {}", self.snapshot.name(id)));
        }
        let raised = |cause: &Cause| matches!(cause, Cause::TooLong(end, ..) if *end == id);
        let over = bytes > mtu.saturating_add(TAG) && !self.lifted.iter().any(raised);
        over && self.stops(Cause::TooLong(id, bytes, Word::None))
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
        if frame.bytes().is_none() && frame.packet.is_some() && link.mtu < PING {
            self.odd(format!("an MTU smaller than a ping on {}", self.snapshot.name(id)));
        }
        let path = Self::step(&path, self.snapshot.name(id), '>');
        let below = self.snapshot.below(id);
        match (&link.kind, below) {
            (Kind::Veth, Some(peer)) => {
                // Whoever gives one end of a cable an MTU gives it to the other.
                let raised = |cause: &Cause| matches!(cause, Cause::TooLong(end, ..) if *end == id);
                if self.lifted.iter().any(raised) || !self.overflows(peer, &frame) {
                    self.receive(peer, frame, path);
                }
            }
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
        let chains = &self.snapshot.spaces[id.0].chains;
        for chain in chains.iter().filter(|chain| chain.hooks_link(&link.name)) {
            self.odd(format!(
                "the nftables chain `{} {} {}` on {}",
                chain.family,
                chain.table,
                chain.name,
                self.snapshot.name(id)
            ));
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
        if !frame.is_group() && Some(frame.dst) != link.mac {
            return;
        }
        if frame.tag.is_some_and(|tag| self.stops(Cause::NoVlan(id, tag))) {
            return;
        }
        if !self.arrivals.iter().any(|arrival| arrival.at == id) {
            self.arrivals.push(Arrival { at: id, path: path.to_vec() });
        }
    }
}
