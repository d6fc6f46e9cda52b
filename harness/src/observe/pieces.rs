//! A datagram that is too long for its way, cut in pieces by its sender: whether it arrives whole, and
//! in which pieces.
//!
//! Only its arrival is told. That it did not arrive within five seconds proves nothing by itself; a
//! case that holds that it does may fail by it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hairpin_model::{Error, Family};

use super::ears::broken;
use super::{endpoints, place};
use crate::lab::Lab;
use crate::sys::{Kind, PacketSocket};

/// What arrived of such a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Whether all of it came, as it was sent.
    pub whole: bool,
    /// How many bytes each IP packet had that came in by the receiver's link, in order.
    pub packets: Vec<usize>,
}

/// How long it may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The port that it is sent to.
const PORT: u16 = 5003;

/// How much the ear keeps.
const BYTES: usize = 1 << 20;

/// Sends one of that many bytes to a host's own address.
pub(crate) async fn pieces(
    lab: &Lab,
    ends: (&str, &str),
    family: Family,
    bytes: usize,
) -> Result<Pieces, Error> {
    let address = lab.topology().address_of(ends.1, family).ok_or_else(|| {
        Error::new("it has no address of that family", ends.1, "give the host one in the topology")
    })?;
    pieces_for(lab, ends, address, bytes).await
}

/// Sends one of that many bytes to an address that the host listens to: its own, or that of all.
pub(crate) async fn pieces_for(
    lab: &Lab,
    (from, to): (&str, &str),
    address: IpAddr,
    bytes: usize,
) -> Result<Pieces, Error> {
    let hosts = endpoints(lab).await?;
    let (sender, receiver) = (&hosts[place(lab, &hosts, from)?], &hosts[place(lab, &hosts, to)?]);
    let (any, ethertype) = match address {
        IpAddr::V4(_) => ("0.0.0.0", 0x0800),
        IpAddr::V6(_) => ("::", 0x86dd),
    };
    let any = |port: u16| SocketAddr::new(any.parse().expect("an address"), port);
    let open = || -> io::Result<(UdpSocket, PacketSocket)> {
        let socket = UdpSocket::bind(any(PORT))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        Ok((socket, PacketSocket::open(ethertype, BYTES)?))
    };
    let opened = lab.nodes()[receiver.node].ns.enter(open);
    let (socket, ear) = opened.map_err(|error| broken("listen for a datagram", &error))?;
    let payload: Vec<u8> =
        (0..bytes).map(|at| u8::try_from(at * 7 % 251).unwrap_or_default()).collect();
    let send = || -> io::Result<usize> {
        let socket = UdpSocket::bind(any(0))?;
        socket.set_broadcast(true)?;
        socket.send_to(&payload, (address, PORT))
    };
    let sent = lab.nodes()[sender.node].ns.enter(send);
    sent.map_err(|error| broken("send a datagram", &error))?;
    let mut buffer = vec![0; 65536];
    let whole = match socket.recv(&mut buffer) {
        Ok(length) => buffer[..length] == payload,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => false,
        Err(error) => return Err(broken("receive a datagram", &error)),
    };
    let packets = lengths(&ear, receiver.index, &mut buffer)?;
    Ok(Pieces { whole, packets })
}

/// The lengths of the UDP packets, and pieces of such, that have come in by a link.
fn lengths(ear: &PacketSocket, index: u32, buffer: &mut [u8]) -> Result<Vec<usize>, Error> {
    const UDP: u8 = 17;
    const FRAGMENT: u8 = 44;
    let mut all = Vec::new();
    while let Some(arrival) =
        ear.receive(buffer).map_err(|error| broken("read a packet", &error))?
    {
        let length = |at: usize| usize::from(u16::from_be_bytes([buffer[at], buffer[at + 1]]));
        let packet = match buffer[14] >> 4 {
            4 if buffer[14 + 9] == UDP => length(14 + 2),
            6 if [UDP, FRAGMENT].contains(&buffer[14 + 6]) => 40 + length(14 + 4),
            _ => continue,
        };
        if arrival.ifindex == index && arrival.kind != Kind::Outgoing {
            all.push(packet);
        }
    }
    Ok(all)
}
