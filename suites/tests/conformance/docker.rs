//! Docker-style networks: what a machine's firewall, addresses and neighbours make of bridges.
//!
//! The picture is at the head of `hairpin_fixtures::docker`. Rules are stated for nftables, which is
//! what the kernel knows; that Docker says them by iptables changes nothing in them.

pub(crate) mod advertised;
pub(crate) mod flux;
pub(crate) mod mtu;
pub(crate) mod policy;
pub(crate) mod published;
pub(crate) mod restart;
pub(crate) mod shim;
pub(crate) mod twoways;

use hairpin_harness::Need;

/// What every case here needs that has a ruleset.
const FILTERED: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables];
