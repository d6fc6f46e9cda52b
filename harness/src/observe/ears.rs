//! The sockets that a lab listens with. Opened when first needed, kept for the lab's life.
//!
//! An *ear* decides verdicts: it sits where the receiving stack does, behind bridges and macvlan
//! parents. A *tap* only tells the way a frame took: it sees everything on every link of its
//! namespace, before anybody takes it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hairpin_model::{Error, Mac};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Endpoint;
use super::decode::ETHERTYPE;
use super::ping::Pings;
use super::{stamps, trace};
use crate::close_together;
use crate::lab::{EAR_BYTES, Lab, Node};
use crate::sys::{ALL, PacketSocket};

/// All sockets of a lab.
#[derive(Default)]
pub(crate) struct Listeners {
    /// For our own frames, one a host.
    pub(super) frames: Vec<PacketSocket>,
    /// For datagrams of a case's own, one a host, by ethertype.
    pub(super) datagrams: BTreeMap<u16, Vec<PacketSocket>>,
    /// For everything, one a namespace.
    pub(super) taps: Vec<PacketSocket>,
    /// For ICMP echo, by family.
    pub(super) pings: [Option<Pings>; 2],
}

impl Listeners {
    /// Opens the frame ears, if they are not open yet.
    pub(super) fn open_frames(&mut self, lab: &Lab, hosts: &[Endpoint]) -> Result<(), Error> {
        if self.frames.is_empty() {
            let bytes = lab.ear_bytes();
            let open = |host: &Endpoint| open(&lab.nodes()[host.node], ETHERTYPE, bytes);
            self.frames = hosts.iter().map(open).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    /// Opens ears for another ethertype than that of frames, if they are not open yet.
    pub(super) fn open_datagrams(
        &mut self,
        lab: &Lab,
        hosts: &[Endpoint],
        ethertype: u16,
    ) -> Result<(), Error> {
        if ethertype != ETHERTYPE && !self.datagrams.contains_key(&ethertype) {
            let open = |host: &Endpoint| open(&lab.nodes()[host.node], ethertype, EAR_BYTES);
            let ears = hosts.iter().map(open).collect::<Result<_, _>>()?;
            self.datagrams.insert(ethertype, ears);
        }
        Ok(())
    }

    /// Has the link of the host at that place take the frames of a group.
    pub(super) fn join(&self, host: usize, link: u32, group: Mac) -> Result<(), Error> {
        self.frames[host].join(link, group).map_err(|error| broken("join a group", &error))
    }

    /// Opens the taps, if they are not open yet and the lab is traced.
    pub(super) fn open_taps(&mut self, lab: &Lab) -> Result<(), Error> {
        if self.taps.is_empty() && lab.is_traced() {
            stamps::await_begun()?;
            let open = |node| open(node, ALL, EAR_BYTES);
            self.taps = lab.nodes().iter().map(open).collect::<Result<_, _>>()?;
        }
        Ok(())
    }
}

impl Listeners {
    /// Reads what the taps hold, so that it is recorded.
    pub(super) fn drain(&self, lab: &Lab) -> Result<(), Error> {
        trace::read(lab, &self.taps).map(|_| ())
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        let datagrams = std::mem::take(&mut self.datagrams).into_values().flatten();
        close_together(self.frames.drain(..).chain(self.taps.drain(..)).chain(datagrams));
    }
}

fn open(node: &Node, protocol: u16, bytes: usize) -> Result<PacketSocket, Error> {
    node.ns.enter(|| PacketSocket::open(protocol, bytes)).map_err(|error| {
        Error::new(
            format!("cannot open a packet socket: {error}"),
            format!("namespace `{}`", node.name),
            "the kernel needs CONFIG_PACKET, the process the rights of a lab: see `hairpin doctor`",
        )
    })
}

/// The index of `lo` in every namespace.
pub(super) const LOOPBACK: u32 = 1;

/// Waits until one of the sockets has something, or the moment has passed.
pub(crate) fn wait_readable(sockets: &[impl AsFd], until: Instant) {
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut fds: Vec<PollFd<'_>> =
        sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    // A signal or a spurious wake only makes the caller look again.
    poll(&mut fds, timeout).unwrap_or_default();
}

/// An I/O error on a socket that should have worked.
pub(super) fn broken(what: &str, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or_default();
    let help = "this is a bug of Hairpin or of the kernel, not of the topology: please report it";
    Error { errno, ..Error::new(format!("cannot {what}: {error}"), "a probe of the lab", help) }
}
