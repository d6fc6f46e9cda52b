//! What the kernel notes beside a frame that is written to a macvtap link's queue: its kind, and where
//! the network header begins. Filters and segmentation go by that, and look at no byte before it.
//!
//! Whoever watches the link is told it with the frame; what the bytes say themselves is `shot`'s.

use std::time::{Duration, Instant};

use hairpin_model::Error;

use super::ears::{broken, wait_readable};
use crate::lab::{EAR_BYTES, Lab, Queue};
use crate::sys::{ALL, Kind, PacketSocket};

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
    let link = queue.link();
    let index = lab.topology().ifindex(link);
    let watch = lab.inside(&link.netns, || PacketSocket::open(ALL, EAR_BYTES))?;
    let watch = watch.map_err(|error| broken("watch a link", &error))?;
    queue.send(frame)?;
    let until = Instant::now() + DEADLINE;
    let mut buffer = [0; 2048];
    while Instant::now() < until {
        let came = watch.receive(&mut buffer);
        let came = came.map_err(|error| broken("read what leaves by a link", &error))?;
        let Some(arrival) = came else {
            wait_readable(std::slice::from_ref(&watch), until);
            continue;
        };
        let whole = &buffer[..arrival.len.min(buffer.len())] == frame;
        if arrival.ifindex == index && arrival.kind == Kind::Outgoing && whole {
            return Ok(Noted { ethertype: arrival.ethertype, network: arrival.network });
        }
    }
    Err(Error::new(
        format!("what was written did not leave within {} s", DEADLINE.as_secs()),
        link.to_string(),
        "is the link up, and its parent?",
    ))
}
