//! Builds throwaway Linux networks with netlink, and proves who reaches whom.
//!
//! A complete test program: a rule, its case, and one line that makes it a *suite program*, which
//! `cargo test` runs as it is and `hairpin check --suite` runs with progress, pictures and reports.
//!
//! ```no_run
#![doc = include_str!("../examples/isolated_ports.rs")]
//! ```
//!
//! | start here | when you need |
//! |---|---|
//! | [`suite!`], [`check`], [`CaseLab::expect`] | a case: build, observe, hold against a drawing |
//! | [`Lab`] | a live network without a case around it |
//! | [`Topology`] | the network as a value, before any kernel has heard of it |
//! | [`Ns`] | one namespace, to open sockets of your own in |
//!
//! A lab needs root or unprivileged user namespaces, touches nothing of the machine's own network,
//! and is gone when its process is, however that ends.

mod attrs;
mod case;
mod drops;
mod events;
mod lab;
pub mod measure;
mod needs;
mod netlink;
pub mod nft;
mod ns;
mod observe;
mod octets;
#[doc(hidden)]
pub mod program;
mod report;
pub mod sandbox;
mod snmp;
mod sys;
pub mod sysctl;
mod together;
mod version;

pub use case::{Case, CaseLab, Since, Stop, check};
pub use lab::{
    Brctl, BridgeInfo, Channels, Counters, Fdb, FdbEntry, Filter, Flush, Lab, Marks, MdbEntry,
    MdbWords, MessageCount, Newborn, Notices, Offload, Plea, PortInfo, PortVlan, Quality, Queue,
    Selector, Sights, Sleeper, Standing, StpCounters, Tiding, Vconfig, VlanCounters, VlanOption,
    VlanRange, Way, Wish, Xdp, options, queue, vlan_option,
};
pub use netlink::LinkState;
pub use nft::Watch;
pub use nix::errno::Errno;
pub use ns::Ns;
pub use observe::{
    Advert, Asked, Asking, Bpdu, BridgeEar, Config, Declared, Emerged, Fate, Flaw, Flow, HeardBpdu,
    Hearing, Joined, Message, Noted, Passage, Pieces, Received, Record, RegistrarEar, Registration,
    Said, Shot, Tag, Taken,
};
pub use together::close_together;
pub use version::Kernel;

pub use hairpin_model::event::Quantity;
pub use hairpin_model::firewall::{self, Action, Firewall, Hook, Match, Policy};
pub use hairpin_model::grid::{Cell, Counted, Grid, Refusal, Verdict};
pub use hairpin_model::topology::{
    self, Bridge, LinkName, Mac, Macvlan, Mode, PortFlags, Topology,
};
pub use hairpin_model::{Class, Error, Family, Need, Rule, Source, Strength};
