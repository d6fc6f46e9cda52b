//! What can stop a packet.
//!
//! A cause is also a wish: a walk can be repeated with it lifted, and what then arrives shows that
//! it was this one.

use std::net::Ipv4Addr;

use crate::ruleset::Hook;
use crate::snapshot::LinkId;

/// One reason, at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A link is down.
    Down(LinkId),
    /// A link has no carrier, and what it stands on does not say why.
    NoCarrier(LinkId),
    /// A macvlan child and its parent's machine.
    Apart(LinkId),
    /// Two macvlan children that do not switch between themselves: their parent, a mode, the two.
    Siblings(LinkId, String, LinkId, LinkId),
    /// A macvlan child hears its own address only: its parent, and itself.
    OwnAddressOnly(LinkId, LinkId),
    /// A passthru child takes all of its parent's unicast: the parent, and the child.
    Passthru(LinkId, LinkId),
    /// A source child hears nobody who is not on its list: the child, and the sender.
    NotListed(LinkId, String),
    /// Children without a queue lose broadcast from outside.
    NoQueue(LinkId),
    /// A dummy swallows what is sent.
    Dummy(LinkId),
    /// A bridge port that does not forward.
    PortState(LinkId),
    /// Two isolated ports.
    Isolated(LinkId),
    /// A port does not send back out of itself.
    NoHairpin(LinkId),
    /// A port gets no broadcast.
    NoBroadcast(LinkId),
    /// A port gets no unicast to unknown addresses.
    NoFlood(LinkId),
    /// A locked port does not believe the sender.
    Locked(LinkId, String),
    /// A pinned entry sends the address elsewhere.
    Pinned(LinkId, String),
    /// Nobody here takes frames of that VLAN.
    NoVlan(LinkId, u16),
    /// A firewall drops it: namespace, hook, chain, rule's handle, whether on a bridge.
    Filter(usize, Hook, String, Option<u64>, bool),
    /// No route.
    NoRoute(usize, Ipv4Addr),
    /// A route that forbids.
    Forbidden(usize, String, String),
    /// A namespace does not route what comes in there.
    NoForwarding(LinkId),
    /// The reverse path filter.
    ReversePath(LinkId, Ipv4Addr),
    /// A packet that claims to come from the receiver.
    Martian(LinkId, Ipv4Addr),
    /// A host does not answer pings.
    EchoIgnored(usize),
    /// A host does not answer ARP for that address there.
    ArpIgnored(LinkId),
    /// A neighbour entry names an Ethernet address that is not the neighbour's.
    Neighbour(LinkId, Ipv4Addr, String),
}

impl Cause {
    /// Whether the packet is gone for certain, and nothing can be told of what would come after.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::NoRoute(..) | Self::Forbidden(..))
    }
}
