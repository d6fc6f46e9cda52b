//! What comes out of a macvtap link's queue of a frame that a host sends.
//!
//! Behind the frame the same thread sends another of its class that is for the link. When that has
//! come out, whatever was to come of the first has: both take the same first-in first-out ways.

use std::time::{Duration, Instant};

use hairpin_model::{Error, Mac};

use super::decode::{self, ETHERTYPE};
use super::ears::{broken, wait_readable};
use super::{Pinned, Shot, endpoints, place};
use crate::lab::Lab;
use crate::lab::queue::{LONGEST, Queue};
use crate::sys::PacketSocket;

/// How long the frame behind may be under way. It takes microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// A frame that came out of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emerged {
    /// What stood before it: a `struct virtio_net_hdr`, with what more the queue was asked for.
    pub header: Vec<u8>,
    /// The frame.
    pub frame: Vec<u8>,
    /// Whether it is as it was sent, tags included.
    pub whole: bool,
}

/// Sends a frame from a host; gives each copy of it that comes out of one of the link's queues, by
/// the place of the queue.
pub(crate) async fn emerged(
    lab: &mut Lab,
    queues: &[&Queue],
    from: &str,
    shot: &Shot,
) -> Result<Vec<(usize, Emerged)>, Error> {
    let hosts = endpoints(lab).await?;
    let host = &hosts[place(lab, &hosts, from)?];
    let Some(first) = queues.first() else { return Ok(Vec::new()) };
    let own = lab.link(first.link()).await?.mac;
    let headers = queues.iter().map(|queue| queue.header_of_frames());
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    let behind = Shot::to(if shot.is_group() { Mac::BROADCAST } else { own });
    let (number, last) = (lab.take_probe(), lab.take_probe());
    let _pinned = Pinned::here();
    let send = || -> std::io::Result<()> {
        let socket = PacketSocket::open(0, 0)?;
        socket.send(host.index, &shot.frame(host.mac, number))?;
        socket.send(host.index, &behind.frame(host.mac, last))
    };
    let sent = lab.nodes()[host.node].ns.enter(send);
    sent.map_err(|error| broken("send a frame", &error))?;
    let mut copies = Vec::new();
    let until = Instant::now() + DEADLINE;
    loop {
        for (at, (queue, header)) in queues.iter().zip(&headers).enumerate() {
            while let Some(mut bytes) = queue.read(LONGEST)? {
                let frame = bytes.split_off((*header).min(bytes.len()));
                match number_of(&frame) {
                    Some(n) if n == last => return Ok(copies),
                    Some(n) if n == number => {
                        let whole = frame == shot.frame(host.mac, number);
                        copies.push((at, Emerged { header: bytes, frame, whole }));
                    }
                    _ => {}
                }
            }
        }
        if Instant::now() >= until {
            return Err(Error::new(
                format!(
                    "what comes out of the queue of {shot} is inconclusive: the frame that was \
                         sent behind it did not"
                ),
                first.link().to_string(),
                "let the link get unicast to its own address, and broadcast, from that host",
            ));
        }
        wait_readable(queues, until);
    }
}

/// The number of a probe, wherever its tags end.
fn number_of(frame: &[u8]) -> Option<u32> {
    let body = frame.get(12..)?;
    let start = body.windows(2).step_by(2).position(|two| two == ETHERTYPE.to_be_bytes())?;
    decode::number(&body[2 * start + 2..])
}
