//! What the kernel notes beside a frame that is written to a macvtap link's queue: its kind, and where
//! the network header begins. Filters and segmentation go by that, and look at no byte before it.
//!
//! Whoever watches the link is told it with the frame, and who has sent it; what the bytes say
//! themselves is `shot`'s.

use std::time::{Duration, Instant};

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::Shot;
use super::ears::{broken, wait_readable};
use crate::lab::{EAR_BYTES, Lab, Queue};
use crate::sys::{ALL, Arrival, Kind, PacketSocket};

/// What is noted of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its ethertype, or that of its outer tag.
    pub ethertype: u16,
    /// Behind how many bytes its network header begins.
    pub network: u16,
}

/// How long the frame may be under way. It takes microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// Writes a frame to a queue; gives what was noted of it when it left by the link.
pub(crate) fn noted(lab: &Lab, queue: &Queue, frame: &[u8]) -> Result<Noted, Error> {
    let send = || queue.send(frame);
    let is = |arrival: &Arrival, bytes: &[u8]| arrival.kind == Kind::Outgoing && bytes == frame;
    let seen = watch(lab, queue.link(), send, is)?;
    Ok(Noted { ethertype: seen.ethertype, network: seen.network })
}

/// Sends a frame out of a link; gives who has sent it as whoever watches another is told that it
/// comes to.
pub(crate) fn told_sender(
    lab: &Lab,
    (from, shot): (&LinkName, &Shot),
    at: &LinkName,
) -> Result<Option<Mac>, Error> {
    let sender = lab.topology().mac_of(from);
    let send = || lab.send_many(from, shot, 1).map(|_| ());
    let is = |arrival: &Arrival, bytes: &[u8]| {
        arrival.kind != Kind::Outgoing && bytes.get(6..12) == Some(&sender.0)
    };
    Ok(watch(lab, at, send, is)?.from)
}

/// Sends something, and waits for it at a link.
fn watch(
    lab: &Lab,
    link: &LinkName,
    send: impl FnOnce() -> Result<(), Error>,
    is: impl Fn(&Arrival, &[u8]) -> bool,
) -> Result<Arrival, Error> {
    let index = lab.topology().ifindex(link);
    let watch = lab.inside(&link.netns, || PacketSocket::open(ALL, EAR_BYTES))?;
    let watch = watch.map_err(|error| broken("watch a link", &error))?;
    send()?;
    let until = Instant::now() + DEADLINE;
    let mut buffer = [0; 2048];
    while Instant::now() < until {
        let came = watch.receive(&mut buffer);
        let came = came.map_err(|error| broken("read what goes by a link", &error))?;
        let Some(arrival) = came else {
            wait_readable(std::slice::from_ref(&watch), until);
            continue;
        };
        if arrival.ifindex == index && is(&arrival, &buffer[..arrival.len.min(buffer.len())]) {
            return Ok(arrival);
        }
    }
    Err(Error::new(
        format!("what was sent was not seen within {} s", DEADLINE.as_secs()),
        link.to_string(),
        "are the link and those below it up?",
    ))
}
