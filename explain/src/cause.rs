//! What can stop a packet.
//!
//! A cause is also a wish: a walk can be repeated with it lifted, and what then arrives shows that
//! it was this one.

use std::net::IpAddr;

use hairpin_model::Family;

use crate::ruleset::{Hook, Load};
use crate::snapshot::LinkId;
use crate::wire::Packet;

/// Where a firewall drops a packet, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Drop {
    /// The namespace.
    pub(crate) space: usize,
    /// The hook.
    pub(crate) hook: Hook,
    /// `family table chain`.
    pub(crate) chain: String,
    /// The rule's handle; `None` is the policy.
    pub(crate) handle: Option<u64>,
    /// Whether it was on a bridge.
    pub(crate) bridged: bool,
    /// The packet, as it is there.
    pub(crate) packet: Packet,
}

/// What a sender hears of a packet that was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// It was never let out: the call says so.
    Own,
    /// A router says so by ICMP.
    Icmp,
    /// Nothing.
    None,
}

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
    /// A port gets no multicast that nobody asked for.
    NoMulticast(LinkId),
    /// A port gets no unicast to unknown addresses.
    NoFlood(LinkId),
    /// A locked port does not believe the sender.
    Locked(LinkId, String),
    /// A pinned entry sends the address elsewhere.
    Pinned(LinkId, String),
    /// Nobody here takes frames of that VLAN.
    NoVlan(LinkId, u16),
    /// A firewall drops it.
    Filter(Drop),
    /// No route.
    NoRoute(usize, IpAddr),
    /// A route that forbids.
    Forbidden(usize, String, String),
    /// A namespace does not route what comes in there.
    NoForwarding(LinkId, Family),
    /// The reverse path filter.
    ReversePath(LinkId, IpAddr),
    /// A packet that claims to come from the receiver.
    Martian(LinkId, IpAddr),
    /// A host does not answer pings.
    EchoIgnored(usize, Family),
    /// A host does not answer ARP for that address there.
    ArpIgnored(LinkId),
    /// An IPv6 address that was found to be somebody else's.
    Taken(LinkId, IpAddr),
    /// In IPv6 only the link that has the address answers for it: who is asked, and the address.
    Elsewhere(LinkId, IpAddr),
    /// Nobody listens at a port.
    Closed(usize, Load, IpAddr, u16),
    /// The answer comes from elsewhere than was asked: the asker, what was asked, who answers, and
    /// the namespace that translated what was asked.
    Crossed(usize, (IpAddr, u16), (IpAddr, u16), usize),
    /// A packet is longer than a link takes, and is not to be cut.
    TooLong(LinkId, u32, Word),
    /// IPv6 is off at a link.
    NoIpv6(LinkId),
    /// A router does not pass on what comes from a link-local address.
    LinkLocal(LinkId, IpAddr),
    /// A neighbour entry names an Ethernet address that is not the neighbour's.
    Neighbour(LinkId, IpAddr, String),
}

impl Cause {
    /// Whether the packet is gone for certain, and nothing can be told of what would come after.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::NoRoute(..) | Self::Forbidden(..))
    }
}
