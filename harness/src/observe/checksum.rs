//! Datagrams with check sums of a case's own: a receiver may only throw away what is broken if its
//! kernel still looks.
//!
//! The datagram goes out as a frame, so that no kernel makes its sum. A sound one follows by the
//! same way; when that has come out of the receiver's socket, the first is there or is not.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use etherparse::PacketBuilder;
use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Family, Mac};

use super::ears::broken;
use crate::lab::Lab;
use crate::snmp;
use crate::sys::PacketSocket;

/// How long the sound datagram may take. It takes microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

const PORT: u16 = 5003;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whether the receiver's socket had it.
    pub heard: bool,
    /// How many the receiver's kernel has counted as broken meanwhile.
    pub counted: u64,
}

/// Sends a datagram from one host to another, with a sound check sum or not.
pub(crate) fn datagram(
    lab: &Lab,
    family: Family,
    (from, to): (&str, &str),
    sound: bool,
) -> Result<Received, Error> {
    let end = |host: &str| -> Result<(LinkName, IpAddr), Error> {
        let link = lab.topology().endpoint(host).map(|link| link.name.clone());
        let address = lab.topology().address_of(host, family);
        link.zip(address).ok_or_else(|| {
            Error::new(
                format!("`{host}` has no address of that family"),
                "a datagram of the lab",
                "name hosts with addresses of that family",
            )
        })
    };
    let (near, far) = (end(from)?, end(to)?);
    let macs = (lab.mac(&near.0), lab.mac(&far.0));
    let failed = |error: io::Error| broken("send a datagram by hand", &error);
    let socket = lab.inside(to, || listen(SocketAddr::new(far.1, PORT)))?.map_err(failed)?;
    let before = lab.inside(to, || broken_sums(family))?.map_err(failed)?;
    let index = lab.topology().ifindex(&near.0);
    let ethertype = match family {
        Family::V4 => 0x0800,
        Family::V6 => 0x86dd,
    };
    let send = || -> io::Result<()> {
        let out = PacketSocket::open(0, 256)?;
        for (number, sound) in [(1, sound), (2, true)] {
            out.send_as(index, ethertype, &frame(macs, (near.1, far.1), number, sound))?;
        }
        Ok(())
    };
    lab.inside(from, send)?.map_err(failed)?;
    let first = heard(&socket).map_err(failed)?;
    // Behind the first comes the second, or it was the second.
    let heard = first == 1 && heard(&socket).map_err(failed)? == 2;
    let after = lab.inside(to, || broken_sums(family))?.map_err(failed)?;
    Ok(Received { heard, counted: after - before })
}

fn listen(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    Ok(socket)
}

fn heard(socket: &UdpSocket) -> io::Result<u8> {
    let mut carried = [0; 8];
    socket.recv(&mut carried).map(|_| carried[0])
}

fn frame((from, to): (Mac, Mac), (own, far): (IpAddr, IpAddr), number: u8, sound: bool) -> Vec<u8> {
    const HOPS: u8 = 8;
    let packet = PacketBuilder::ethernet2(from.0, to.0);
    let packet = match (own, far) {
        (IpAddr::V4(own), IpAddr::V4(far)) => packet.ipv4(own.octets(), far.octets(), HOPS),
        (own, far) => packet.ipv6(super::shot::mapped(own), super::shot::mapped(far), HOPS),
    };
    let mut bytes = Vec::new();
    packet.udp(PORT, PORT).write(&mut bytes, &[number; 8]).expect("a vector takes all");
    if !sound {
        // The low byte of UDP's check sum, eight bytes of payload behind it. Not made zero: that
        // would say that there is none.
        let at = bytes.len() - 8 - 1;
        bytes[at] ^= 0x55;
    }
    bytes
}

/// How many datagrams with a broken check sum the kernel has counted in this namespace.
fn broken_sums(family: Family) -> io::Result<u64> {
    let found = match family {
        Family::V4 => snmp::ipv4(&["Udp:"], "InCsumErrors")?,
        Family::V6 => snmp::ipv6("Udp6InCsumErrors")?,
    };
    found.ok_or_else(|| io::Error::other("the kernel does not count broken check sums"))
}
