//! What the kernel keeps about a lab's links, read, added to and taken from by hand: counters,
//! forwarding entries, group memberships, VLANs of ports, priorities of VLANs.
//!
//! Entries print as one line each, the same on every kernel, so that a case can hold a table
//! against a list of lines.

mod addresses;
mod counters;
mod fdb;
mod flush;
mod instances;
mod mdb;
mod mdb_words;
mod neighbours;
mod notices;
mod priorities;
mod stats;
mod tunnels;
mod vlan_options;
mod vlan_ranges;
mod vlans;
mod wishes;

pub use addresses::Standing;
pub use counters::Counters;
pub use fdb::{Fdb, FdbEntry};
pub use flush::{Flush, Quality};
pub use mdb::MdbEntry;
pub use mdb_words::MdbWords;
pub use notices::{Notices, Tiding};
pub use priorities::Way;
pub use stats::{MessageCount, StpCounters, VlanCounters};
pub use vlan_options::{VlanOption, vlan_option};
pub use vlan_ranges::VlanRange;
pub use vlans::PortVlan;
pub use wishes::Wish;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_ne_bytes(*b))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_ne_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_ne_bytes(*b))
}
