//! Where kernels come from: a series name, a package, a built tree, in; an [`Image`] out.
//!
//! Nothing here boots anything, and nothing is ever installed: packages are fetched with the machine's own apt
//! tools into a private state, checked, unpacked once into the cache, and read from there.

mod apt;
mod bundle;
mod bzimage;
pub(crate) mod cache;
mod closure;
mod config;
mod deb;
mod image;
mod kit;
mod local;
mod lock;
mod modinfo;
mod packages;
mod reference;
mod series;
mod sources;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unpack;
mod version;

pub use closure::{Closure, ModuleFile, Wanted};
pub use config::Config;
pub(crate) use image::version_of;
pub use image::{Image, Package, Presence};
pub use kit::Kit;
pub use lock::{Lock, LockedSeries};
pub use packages::{Candidate, Part};
pub use reference::KernelRef;
pub use series::{Catalogue, Series};
pub use store::{Options, Store};
