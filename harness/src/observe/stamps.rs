//! Has the kernel stamp frames with the time at which they pass, as long as the process lives.
//!
//! It does so while any socket asks for it, and begins and ceases a little later than it is told: a work queue patches
//! its code. Were it asked by each lab anew, one that closes just as the next one opens would have it cease under the
//! next one's frames, after these were seen to be stamped. So one socket asks for the whole process, and those of the
//! labs are only told. A frame that bears no stamp all the same is an error, for it has no place in a path: another
//! process's end may have the kernel cease just when this one begins.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use hairpin_model::Error;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, recvmsg, setsockopt, sockopt,
};

/// The socket that asks: of the sandbox, and connected to itself.
static ASKS: OnceLock<Result<UdpSocket, Error>> = OnceLock::new();

static BEGUN: OnceLock<Result<(), Error>> = OnceLock::new();

/// How long the kernel may take to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for stamps, in the sandbox. What goes wrong is told to whoever waits for them.
pub(crate) fn keep() {
    asks().ok();
}

fn asks() -> Result<&'static UdpSocket, Error> {
    let socket = ASKS.get_or_init(|| open().map_err(|error| none(&format!("cannot ask: {error}"))));
    socket.as_ref().map_err(Clone::clone)
}

fn open() -> io::Result<UdpSocket> {
    hairpin_guest::loopback_up()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(socket.local_addr()?)?;
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
    setsockopt(&socket, sockopt::Timestamping, &flags)?;
    Ok(socket)
}

/// Waits until the kernel stamps what passes. To be called before a lab begins to listen: what it hears earlier bears
/// no stamp.
pub(crate) fn await_begun() -> Result<(), Error> {
    BEGUN.get_or_init(begun).clone()
}

fn begun() -> Result<(), Error> {
    let socket = asks()?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let stamped = is_stamped(socket);
        if stamped.map_err(|error| none(&format!("cannot send over the loopback: {error}")))? {
            return Ok(());
        }
        thread::yield_now();
    }
    Err(none(&format!("it did not begin within {} s", PATIENCE.as_secs())))
}

/// Whether a datagram that passes the loopback now is stamped. One that is still on its way is taken out another time.
fn is_stamped(socket: &UdpSocket) -> io::Result<bool> {
    socket.send(&[0])?;
    next_is_stamped(socket, MsgFlags::empty())
}

/// Whether there is a next message, in the queue that the flags name, and it is stamped.
pub(crate) fn next_is_stamped(socket: &UdpSocket, flags: MsgFlags) -> io::Result<bool> {
    let mut bytes = [0; 2048];
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let mut control = nix::cmsg_space!(Timestamps, [u8; 256]);
    let flags = flags | MsgFlags::MSG_DONTWAIT;
    match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(message) => {
            let stamped = |one| matches!(one, ControlMessageOwned::ScmTimestampsns(_));
            Ok(message.cmsgs()?.any(stamped))
        }
    }
}

/// When a frame passed, by the stamp that it bears.
pub(super) fn of(at: Option<u64>) -> Result<u64, Error> {
    at.ok_or_else(|| none("a frame bears none"))
}

fn none(what: &str) -> Error {
    Error::new(
        format!("the kernel does not stamp frames with their time: {what}"),
        "the sockets that listen in a lab",
        "a path's order needs them, and the kernel gives none for a moment after another program of Hairpin's has ended: \
         try again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_without_a_stamp_is_an_error() {
        assert_eq!(of(Some(7)).ok(), Some(7));
        let told = of(None).map_err(|error| error.to_string());
        assert!(told.is_err_and(|told| told.contains("a frame bears none")));
    }
}
