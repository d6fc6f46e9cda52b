//! Has the kernel stamp frames with the time at which they pass, as long as the process lives.
//!
//! It does so while any socket asks for it, and begins some time after the first has asked: a work queue patches
//! the kernel for it, 10 ms later on a busy machine. A lab that has just opened its taps would wait for that; and a
//! guest's kernel would be patched in each of its copies.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

/// Nothing comes to it: it is bound to no address.
static ASKS: OnceLock<Option<OwnedFd>> = OnceLock::new();

/// Asks for stamps. Where that fails the taps of a lab still do, and wait.
pub(crate) fn keep() {
    ASKS.get_or_init(|| {
        let (kind, flags) = (SockType::Datagram, SockFlag::SOCK_CLOEXEC);
        let asks = socket(AddressFamily::Inet, kind, flags, None).ok()?;
        setsockopt(&asks, sockopt::ReceiveTimestampns, &true).ok()?;
        Some(asks)
    });
}
