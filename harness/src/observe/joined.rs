//! A stream whose sender's kernel cuts it into segments, and whose receiver's may join them again: what
//! those see of it who watch the two links.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Family};

use super::ears::broken;
use crate::lab::{EAR_BYTES, Lab};
use crate::sys::{ALL, Kind, PacketSocket};

/// What was seen of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// How many packets left by the sender's link.
    pub sent: usize,
    /// How many of these say that they are longer or shorter than they are.
    pub garbled: usize,
    /// How many bytes the longest frame has that left.
    pub longest_sent: usize,
    /// How many bytes the longest frame has that came in by the receiver's link.
    pub longest_come: usize,
}

const IPV4: u16 = 0x0800;
const ETHERNET: usize = 14;
const DEADLINE: Duration = Duration::from_secs(5);

/// Sends so many bytes over IPv4 from a host to another, by TCP, and watches both links meanwhile.
pub(crate) fn joined(
    lab: &Lab,
    (from, to): (&LinkName, &LinkName),
    bytes: usize,
) -> Result<Joined, Error> {
    let address = lab.topology().address_of(&to.netns, Family::V4).ok_or_else(|| {
        Error::new("it has no IPv4 address", to.to_string(), "give the host one in the topology")
    })?;
    let all = |netns: &str| lab.inside(netns, || PacketSocket::open(ALL, EAR_BYTES));
    let watches = (all(&from.netns)?, all(&to.netns)?);
    let watch = |watch: io::Result<PacketSocket>| watch.map_err(|e| broken("watch a link", &e));
    let watches = (watch(watches.0)?, watch(watches.1)?);
    let listener = lab.inside(&to.netns, || TcpListener::bind(SocketAddr::new(address, 0)))?;
    let listener = listener.map_err(|error| broken("listen", &error))?;
    let streamed = stream(lab, (from, &listener), &vec![0x68; bytes])?;
    streamed.map_err(|error| broken("send a stream", &error))?;
    let index = |link: &LinkName| lab.topology().ifindex(link);
    let left = seen(&watches.0, (index(from), true))?;
    let came = seen(&watches.1, (index(to), false))?;
    Ok(Joined {
        sent: left.len(),
        garbled: left.iter().filter(|(frame, says)| frame != says).count(),
        longest_sent: left.iter().map(|(frame, _)| *frame).max().unwrap_or(0),
        longest_come: came.iter().map(|(frame, _)| *frame).max().unwrap_or(0),
    })
}

/// Sends all of it, and takes all of it out at the other end.
fn stream(
    lab: &Lab,
    (from, listener): (&LinkName, &TcpListener),
    payload: &[u8],
) -> Result<io::Result<()>, Error> {
    let address = listener.local_addr().map_err(|error| broken("listen", &error))?;
    lab.inside(&from.netns, || {
        let mut near = TcpStream::connect_timeout(&address, DEADLINE)?;
        let (mut far, _) = listener.accept()?;
        far.set_read_timeout(Some(DEADLINE))?;
        near.set_write_timeout(Some(DEADLINE))?;
        near.write_all(payload)?;
        far.read_exact(&mut vec![0; payload.len()])
    })
}

/// How long the IPv4 frames are that left or came by a link, and how long they say to be.
fn seen(watch: &PacketSocket, (index, leaves): (u32, bool)) -> Result<Vec<(usize, usize)>, Error> {
    let mut buffer = vec![0; 1 << 17];
    let mut all = Vec::new();
    loop {
        let arrival = match watch.receive(&mut buffer) {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return Ok(all),
            // There are no such bytes as it is said to have.
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => {
                all.push((0, ETHERNET));
                continue;
            }
            Err(error) => return Err(broken("read what goes by a link", &error)),
        };
        let by = arrival.ifindex == index && (arrival.kind == Kind::Outgoing) == leaves;
        if by && arrival.ethertype == IPV4 {
            let says = u16::from_be_bytes([buffer[ETHERNET + 2], buffer[ETHERNET + 3]]);
            all.push((arrival.len, ETHERNET + usize::from(says)));
        }
    }
}
