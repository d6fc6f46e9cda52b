//! Bridges: Docker's default network, and the flags of a port.

pub(crate) mod access;
pub(crate) mod answers;
pub(crate) mod asking;
pub(crate) mod binding;
pub(crate) mod bonded;
pub(crate) mod byhand;
pub(crate) mod byvlan;
pub(crate) mod device;
pub(crate) mod docker;
pub(crate) mod election;
pub(crate) mod entries;
pub(crate) mod external;
pub(crate) mod files;
pub(crate) mod flooding;
pub(crate) mod flush;
pub(crate) mod followed;
pub(crate) mod given;
pub(crate) mod groups;
pub(crate) mod hooks;
pub(crate) mod hosts;
pub(crate) mod instances;
pub(crate) mod learning;
pub(crate) mod listeners;
pub(crate) mod messages;
pub(crate) mod netfilter;
pub(crate) mod notices;
pub(crate) mod older;
pub(crate) mod own;
pub(crate) mod packets;
pub(crate) mod port;
pub(crate) mod probes;
pub(crate) mod provider;
pub(crate) mod querier;
pub(crate) mod ranges;
pub(crate) mod reports;
pub(crate) mod requests;
mod roamer;
pub(crate) mod routers;
pub(crate) mod senders;
pub(crate) mod settings;
pub(crate) mod snooping;
pub(crate) mod stations;
pub(crate) mod suppression;
pub(crate) mod sysfs;
pub(crate) mod tagged;
pub(crate) mod time;
pub(crate) mod topology;
pub(crate) mod tree;
pub(crate) mod tunnels;
pub(crate) mod vlan;
pub(crate) mod ways;
pub(crate) mod whole;
pub(crate) mod wishes;

use hairpin_harness::Need;

/// What every case here needs.
pub(crate) const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge")];

/// What a case needs whose bridge filters VLANs.
const VLANS: &[Need] = &[NEEDS[0], NEEDS[1], Need::VlanFiltering];
