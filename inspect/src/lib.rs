//! Reads a live machine's network configuration, and changes nothing; sends one packet where it is
//! asked to ([`probe`]).
//!
//! Each namespace is read by a thread of its own, which steps in, asks netlink for lists, and
//! ends. What is read is a [`Snapshot`]; what follows from it is no business of this crate. It
//! sets nothing, and knows nothing of labs.

mod decode;
mod list;
mod listen;
mod place;
mod probe;
mod ruleset;
mod space;

use std::thread;

use hairpin_explain::Snapshot;
use hairpin_explain::snapshot::FORMAT;
use hairpin_model::Error;
use nix::sched::{CloneFlags, setns};

pub use place::{Place, Places};
pub use probe::{probe, words};

/// Reads these namespaces. The numbers by which their links name each other's namespaces are
/// understood among them only.
pub fn read(places: &Places) -> Result<Snapshot, Error> {
    let mut spaces = Vec::with_capacity(places.all.len());
    for place in &places.all {
        let read = || {
            setns(&place.file, CloneFlags::CLONE_NEWNET).map_err(|errno| {
                let what = format!("cannot enter the network namespace: {}", errno.desc());
                Error::new(what, &place.name, "run as root, on the machine itself")
            })?;
            space::read(place, &places.all)
        };
        let read = thread::scope(|scope| scope.spawn(read).join());
        spaces.push(read.expect("reading a namespace does not panic")?);
    }
    let kernel = nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".into(), |name| name.release().to_string_lossy().into_owned());
    Ok(Snapshot { format: FORMAT, kernel, spaces, missing: places.missing.clone() })
}
