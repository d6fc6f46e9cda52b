//! One QEMU process: its command line, its life, its control socket, its two serial lines.
//!
//! Nothing here knows snapshots as a user does, jobs or results. All that a guest is made of (memory, device
//! state, first file system, sockets) lies in descriptors without a name, so nothing can stay behind.

mod control;
mod guest;
mod line;
mod memory;
mod process;
mod stub;
mod zygote;

pub(crate) use control::Refused;
pub(crate) use guest::{Due, Guest, Heard};
pub(crate) use line::{Begin, Line};
pub(crate) use memory::Memory;
pub(crate) use process::find;
pub use process::installed_qemu;
pub(crate) use stub::kernel as stub_kernel;
pub(crate) use zygote::Zygote;
