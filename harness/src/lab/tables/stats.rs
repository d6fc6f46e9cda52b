//! What a bridge counts beside what every link does: by VLAN, of its spanning tree, and of messages
//! about memberships (`RTM_GETSTATS`).

use std::fmt;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::vlan_options::{DUMP_STATS, ENTRY_STATS, range_of};
use super::{u16_at, u64_at};
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{Question, RTM_GETSTATS};

/// What was counted of one VLAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanCounters {
    /// The VLAN.
    pub id: u16,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
}

/// What a port has counted of its spanning tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StpCounters {
    /// How often it came to block.
    pub blocked: u64,
    /// How often it came to forward.
    pub forwarded: u64,
    /// Messages of other bridges received.
    pub rx_bpdu: u64,
    /// Messages sent.
    pub tx_bpdu: u64,
    /// Notices of a change received.
    pub rx_notices: u64,
    /// Notices of a change sent.
    pub tx_notices: u64,
}

impl fmt::Display for StpCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocked, forwarded, rx_bpdu, tx_bpdu, rx_notices, tx_notices } = self;
        write!(f, "blocked {blocked}, forwarded {forwarded}, received {rx_bpdu}, sent {tx_bpdu}")?;
        write!(f, ", notices received {rx_notices}, sent {tx_notices}")
    }
}

/// What was counted of one kind of message about memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCount {
    /// What it counts, as `IGMPv2 reports`.
    pub what: &'static str,
    /// Those received.
    pub received: u64,
    /// Those sent.
    pub sent: u64,
}

impl fmt::Display for MessageCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: received {}, sent {}", self.what, self.received, self.sent)
    }
}

/// The counters of `struct br_mcast_stats` (linux/if_bridge.h) in their order, and whether each has a
/// second one for what was sent.
const OF_MESSAGES: [(&str, bool); 14] = [
    ("IGMPv1 queries", true),
    ("IGMPv2 queries", true),
    ("IGMPv3 queries", true),
    ("IGMP leaves", true),
    ("IGMPv1 reports", true),
    ("IGMPv2 reports", true),
    ("IGMPv3 reports", true),
    ("IGMP errors", false),
    ("MLDv1 queries", true),
    ("MLDv2 queries", true),
    ("MLD leaves", true),
    ("MLDv1 reports", true),
    ("MLDv2 reports", true),
    ("MLD errors", false),
];

const OF_A_DEVICE: u16 = 2;
const OF_A_PORT: u16 = 3;
const TYPE_BRIDGE: u16 = 1;
const XSTATS_VLAN: u16 = 1;
const XSTATS_MCAST: u16 = 2;
const XSTATS_STP: u16 = 4;

/// What an entry of the table of VLANs says of its VLAN: `BRIDGE_VLANDB_STATS_*`.
fn listed(entry: &[u8]) -> Option<VlanCounters> {
    let (id, _) = range_of(entry, false)?;
    let counted = find(entry, ENTRY_STATS)?;
    let counter = |kind| find(counted, kind).map(|value| u64_at(value, 0));
    let (rx_bytes, rx_packets) = (counter(1)?, counter(2)?);
    let (tx_bytes, tx_packets) = (counter(3)?, counter(4)?);
    Some(VlanCounters { id, rx_bytes, rx_packets, tx_bytes, tx_packets })
}

impl Lab {
    /// What a bridge, or a port, has counted by VLAN, in order of VLAN.
    pub async fn vlan_counters(
        &self,
        link: impl Into<LinkName>,
    ) -> Result<Vec<VlanCounters>, Error> {
        let stats = self.bridge_stats(&link.into())?;
        let of_vlans = parse(&stats).filter(|(kind, _)| *kind == XSTATS_VLAN);
        let mut all: Vec<VlanCounters> = of_vlans
            .map(|(_, value)| VlanCounters {
                id: u16_at(value, 32),
                rx_bytes: u64_at(value, 0),
                rx_packets: u64_at(value, 8),
                tx_bytes: u64_at(value, 16),
                tx_packets: u64_at(value, 24),
            })
            .collect();
        all.sort_unstable();
        Ok(all)
    }

    /// The same as the table of VLANs tells it when asked for it (`bridge -s vlan show`), since 5.7.
    pub async fn listed_vlan_counters(
        &self,
        link: impl Into<LinkName>,
    ) -> Result<Vec<VlanCounters>, Error> {
        let entries = self.vlan_entries(&link.into(), DUMP_STATS)?;
        Ok(entries.iter().filter_map(|(_, entry)| listed(entry)).collect())
    }

    /// What a port has counted of its spanning tree.
    pub async fn stp_counters(&self, port: impl Into<LinkName>) -> Result<StpCounters, Error> {
        let stats = self.bridge_stats(&port.into())?;
        let value = find(&stats, XSTATS_STP).unwrap_or_default();
        Ok(StpCounters {
            blocked: u64_at(value, 0),
            forwarded: u64_at(value, 8),
            rx_bpdu: u64_at(value, 16),
            tx_bpdu: u64_at(value, 24),
            rx_notices: u64_at(value, 32),
            tx_notices: u64_at(value, 40),
        })
    }

    /// What a bridge or a port has counted of messages about memberships, where it is told to
    /// (`mcast_stats`): the kinds that came at all.
    pub async fn message_counts(
        &self,
        link: impl Into<LinkName>,
    ) -> Result<Vec<MessageCount>, Error> {
        let stats = self.bridge_stats(&link.into())?;
        let value = find(&stats, XSTATS_MCAST).unwrap_or_default();
        let mut at = 0;
        let mut next = || {
            at += 8;
            u64_at(value, at - 8)
        };
        let all = OF_MESSAGES.map(|(what, is_sent)| MessageCount {
            what,
            received: next(),
            sent: if is_sent { next() } else { 0 },
        });
        Ok(all.into_iter().filter(|count| count.received + count.sent > 0).collect())
    }

    fn bridge_stats(&self, link: &LinkName) -> Result<Vec<u8>, Error> {
        let is_port = self.topology.link(link).is_some_and(|link| link.port.is_some());
        let which = if is_port { OF_A_PORT } else { OF_A_DEVICE };
        let filter = 1_u32 << (which - 1);
        let mut header = vec![0; 4];
        header.extend(self.index(link)?.to_ne_bytes());
        header.extend(filter.to_ne_bytes());
        let asked = Question {
            kind: RTM_GETSTATS,
            flags: crate::netlink::plain::ACK,
            header: &header,
            attrs: Attrs::new(),
        };
        let answers = self.ask(&link.netns, &asked)?;
        let answers = answers.map_err(|refused| refused.error("show what it counted", link))?;
        let body = answers.first().and_then(|(_, body)| body.get(header.len()..));
        let of_type = body.and_then(|body| find(find(body, which)?, TYPE_BRIDGE));
        Ok(of_type.unwrap_or_default().to_vec())
    }
}
