//! What runs as the first process of a guest, and what it says to the host.
//!
//! A program that calls [`init_if_pid1`] first thing can be packed as `/init` of a guest: there it mounts, loads
//! modules, starts programs and reports on them ([`wire`]); everywhere else the call does nothing. There is no
//! second artefact that could be of another version. Nothing here knows QEMU, kernels' packages or cases.

mod channel;
mod init;
mod job;
mod seat;
mod setup;
mod sys;
mod waiting;
pub mod wire;

pub use init::{init_if_pid1, is_guest};
pub use sys::loopback_up;
pub use waiting::await_args;
