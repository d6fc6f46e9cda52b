//! An ear of one host for frames of one ethertype, which it keeps until somebody reads them.
//!
//! Knows nothing of what it hears: `asked` and `bpdu` read that.

use std::time::{Duration, Instant};

use hairpin_model::Error;

use super::ears::{broken, wait_readable};
use super::{endpoints, place, stamps};
use crate::lab::Lab;
use crate::sys::{Arrival, Kind, PacketSocket};

/// Such an ear, from the time that it was opened.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) host: String,
    index: u32,
    socket: PacketSocket,
    /// What it listens for, in the words of an error.
    what: &'static str,
}

/// How much is kept of what nobody has read yet.
const BYTES: usize = 1 << 20;

impl Ear {
    pub(super) async fn open(
        lab: &Lab,
        host: &str,
        ethertype: u16,
        what: &'static str,
    ) -> Result<Self, Error> {
        let hosts = endpoints(lab).await?;
        let at = &hosts[place(lab, &hosts, host)?];
        stamps::await_begun()?;
        let opened = lab.nodes()[at.node].ns.enter(|| PacketSocket::open(ethertype, BYTES));
        let socket = opened.map_err(|error| broken(&format!("listen for {what}"), &error))?;
        Ok(Self { host: host.to_owned(), index: at.index, socket, what })
    }

    /// The first thing, of those that have come, that `read` makes out. It is given a frame that came
    /// over the host's link, what the kernel says about it, and when it came.
    pub(super) fn take<T>(
        &self,
        read: impl Fn(&[u8], &Arrival, Duration) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut buffer = [0; 2048];
        loop {
            let came = self.socket.receive(&mut buffer);
            let came = came.map_err(|error| broken(&format!("read {}", self.what), &error))?;
            let Some(arrival) = came else { return Ok(None) };
            if arrival.ifindex != self.index || arrival.kind == Kind::Outgoing {
                continue;
            }
            let frame = &buffer[..arrival.len.min(buffer.len())];
            let at = Duration::from_nanos(stamps::of(arrival.at)?);
            if let Some(made_out) = read(frame, &arrival, at) {
                return Ok(Some(made_out));
            }
        }
    }

    /// The same, of those that come until then.
    pub(super) fn wait<T>(
        &self,
        until: Instant,
        read: impl Fn(&[u8], &Arrival, Duration) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        while Instant::now() < until {
            if let Some(made_out) = self.take(&read)? {
                return Ok(Some(made_out));
            }
            wait_readable(std::slice::from_ref(&self.socket), until);
        }
        Ok(None)
    }
}
