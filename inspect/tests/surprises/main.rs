//! What surprises people, built as labs: each is explained, and the explanation is held against
//! what the kernel does with every pair of hosts.
//!
//! An explanation may say that it cannot tell; it may never say something else than the kernel.

mod bridge;
mod hold;
mod length;
mod macvlan;
mod probes;
#[cfg(feature = "program-tests")]
mod programs;
mod published;
mod routed;
mod six;
mod unread;
mod wording;

use hairpin_harness::{Rule, suite};

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);
