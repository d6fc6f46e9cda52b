//! Hairpin's values: what a network is, what was promised, what was seen.
//!
//! Nothing here does I/O, needs a privilege or is async. A [`Topology`] can be printed, compared,
//! drawn and stored before any kernel has heard of it; a [`Grid`] can be held against a drawing
//! long after the lab that it was observed in is gone.
//!
//! | module | idea |
//! |---|---|
//! | [`topology`] | a network as a value: namespaces, links, addresses, routes, sysctls |
//! | [`firewall`] | what a namespace filters and translates |
//! | [`class`] | the kinds of traffic that a grid is observed for |
//! | [`grid`] | who reaches whom: one cell an ordered pair, with its proof |
//! | [`journey`] | the way of a cell's frames, hop by hop |
//! | [`rule`] | a promise, who made it, and what a kernel needs to be held to it |
//! | [`draw`] | topologies as text, Mermaid and SVG |
//! | [`case`] | the stable dotted names of rules and cases |
//! | [`event`] | the record stream that every report is made from |
//! | [`expectation`] | known failures of kernels |
//! | [`error`] | what / where / help |

pub mod case;
pub mod class;
pub mod draw;
pub mod error;
pub mod event;
pub mod expectation;
pub mod firewall;
pub mod grid;
pub mod journey;
pub mod rule;
pub mod topology;

pub use case::CaseId;
pub use class::{Class, Family};
pub use error::Error;
pub use event::{Event, Record};
pub use expectation::Expectation;
pub use firewall::{Firewall, Policy};
pub use grid::{Cell, Grid, Verdict};
pub use rule::{Need, Rule, Source, Strength};
pub use topology::{LinkName, Mac, Topology};
