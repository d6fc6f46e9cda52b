//! The kinds of traffic that a grid is observed for.
//!
//! Drivers treat them differently (macvlan sends broadcast through a work queue and unicast
//! straight on), so a verdict holds for one class only and is proved by controls of that class.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A class of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// ICMP echo, IPv4, from a cold neighbour cache: ARP broadcast, then unicast both ways.
    Ping4,
    /// ICMPv6 echo from a cold neighbour cache: neighbour solicitation, then unicast both ways.
    Ping6,
    /// One Ethernet frame to the receiver's own MAC address; no IP, no neighbour cache.
    Unicast,
    /// One Ethernet frame to `ff:ff:ff:ff:ff:ff`.
    Broadcast,
    /// One Ethernet frame to a group that every receiver has joined.
    Multicast,
}

impl Class {
    /// The ICMP echo class of a family.
    pub const fn ping(family: Family) -> Self {
        match family {
            Family::V4 => Self::Ping4,
            Family::V6 => Self::Ping6,
        }
    }

    /// The address family, for the classes that have one.
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::Ping4 => Some(Family::V4),
            Self::Ping6 => Some(Family::V6),
            Self::Unicast | Self::Broadcast | Self::Multicast => None,
        }
    }

    /// Whether one frame is meant for every receiver at once.
    pub const fn is_group(self) -> bool {
        matches!(self, Self::Broadcast | Self::Multicast)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ping4 => "ping (IPv4)",
            Self::Ping6 => "ping (IPv6)",
            Self::Unicast => "unicast frame",
            Self::Broadcast => "broadcast frame",
            Self::Multicast => "multicast frame",
        })
    }
}
