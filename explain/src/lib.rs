//! Why one host reaches another, or does not: reasoned from a network's configuration.
//!
//! A [`Snapshot`] is what somebody read of a machine; [`explain`] walks a ping through it as the
//! kernel would, and tells which rule decides. Nothing here does I/O. What is not understood on
//! the way makes the answer *cannot tell*: a wrong explanation is worse than none.
//!
//! | module | idea |
//! |---|---|
//! | [`snapshot`] | the configuration as a value |
//! | [`ruleset`] | an nftables ruleset, and what it does with a packet |
//! | `cause` | what can stop a packet |
//! | `told` | the words for each cause, the promise behind it, and its remedies |
//! | [`promise`] | the promises that explanations name |
//! | `wire` | where a frame goes |
//! | `route` | where a packet goes |
//! | `walk` | a ping, from its first ARP request to its answer |
//! | [`verdict`] | what all that means: the one cause that, once lifted, lets the ping pass |
//! | [`probed`] | what one packet showed beside it |
//! | [`text`] | the explanation for a person |

mod cause;
pub mod probed;
pub mod promise;
mod route;
pub mod ruleset;
pub mod snapshot;
pub mod text;
mod told;
pub mod verdict;
mod walk;
mod wire;

pub use snapshot::Snapshot;
pub use verdict::{Answer, Explanation, Question, explain};
