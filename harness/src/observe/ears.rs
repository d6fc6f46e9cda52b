//! The sockets that a lab listens with. Opened when first needed, kept for the lab's life.
//!
//! An *ear* decides verdicts: it sits where the receiving stack does, behind bridges and macvlan
//! parents. A *tap* only tells the way a frame took: it sees everything on every link of its
//! namespace, before anybody takes it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hairpin_model::Error;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Endpoint;
use super::decode::ETHERTYPE;
use super::ping::Pings;
use crate::lab::{Lab, Node};
use crate::sys::{ALL, PacketSocket};

/// All sockets of a lab.
#[derive(Default)]
pub(crate) struct Listeners {
    /// For our own frames, one a host.
    pub(super) frames: Vec<PacketSocket>,
    /// For everything, one a namespace.
    pub(super) taps: Vec<PacketSocket>,
    /// For ICMP echo, by family.
    pub(super) pings: [Option<Pings>; 2],
}

impl Listeners {
    /// Opens the frame ears, if they are not open yet.
    pub(super) fn open_frames(&mut self, lab: &Lab, hosts: &[Endpoint]) -> Result<(), Error> {
        if self.frames.is_empty() {
            let open = |host: &Endpoint| open(&lab.nodes()[host.node], ETHERTYPE);
            self.frames = hosts.iter().map(open).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    /// Opens the taps, if they are not open yet and the lab is traced.
    pub(super) fn open_taps(&mut self, lab: &Lab) -> Result<(), Error> {
        if self.taps.is_empty() && lab.is_traced() {
            self.taps = lab.nodes().iter().map(|node| open(node, ALL)).collect::<Result<_, _>>()?;
        }
        Ok(())
    }
}

impl Drop for Listeners {
    /// Closing a packet socket waits for a grace period of the kernel (some 10 ms). Threads that
    /// wait side by side share theirs.
    fn drop(&mut self) {
        let sockets = self.frames.drain(..).chain(self.taps.drain(..));
        let closers: Vec<_> =
            sockets.map(|socket| std::thread::spawn(move || drop(socket))).collect();
        for closer in closers {
            closer.join().expect("closing a socket does not panic");
        }
    }
}

fn open(node: &Node, protocol: u16) -> Result<PacketSocket, Error> {
    node.ns.enter(|| PacketSocket::open(protocol)).map_err(|error| {
        Error::new(
            format!("cannot open a packet socket: {error}"),
            format!("namespace `{}`", node.name),
            "the kernel needs CONFIG_PACKET, the process the rights of a lab: see `hairpin doctor`",
        )
    })
}

/// Waits until one of the sockets has something, or the moment has passed.
pub(super) fn wait_readable(sockets: &[impl AsFd], until: Instant) {
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut fds: Vec<PollFd<'_>> =
        sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    // A signal or a spurious wake only makes the caller look again.
    poll(&mut fds, timeout).unwrap_or_default();
}

/// An I/O error on a socket that should have worked.
pub(super) fn broken(what: &str, error: &std::io::Error) -> Error {
    Error::new(
        format!("cannot {what}: {error}"),
        "a probe of the lab",
        "this is a bug of Hairpin or of the kernel, not of the topology: please report it",
    )
}
