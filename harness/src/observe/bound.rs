//! Sockets that are bound to a link: they get what the kernel holds to have come in by it.
//!
//! A second datagram goes to a socket that is bound to none. When that has come, the first is there
//! or is not.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Family};
use nix::sys::socket::{setsockopt, sockopt};

use super::cpus::Pinned;
use super::ears::broken;
use crate::lab::{Lab, sender};

/// How long the second may take. It takes microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

const PORT: u16 = 5005;

/// Whether a socket that is bound to this link of `to` gets what another host sends to the host's own
/// address.
pub(crate) fn hears_bound(
    lab: &Lab,
    family: Family,
    from: &str,
    to: &LinkName,
) -> Result<bool, Error> {
    let address = lab.topology().address_of(&to.netns, family).ok_or_else(|| {
        let help = "give the host one in the topology";
        Error::new("it has no address of that family", &to.netns, help)
    })?;
    let failed = |error: io::Error| broken("ask a socket that is bound to a link", &error);
    let _pinned = Pinned::here();
    let (bound, free) = lab.inside(&to.netns, || listen(family, to))?.map_err(failed)?;
    lab.inside(from, || send(address))?.map_err(failed)?;
    free.recv(&mut [0; 8]).map_err(failed)?;
    match bound.recv(&mut [0; 8]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        heard => heard.map(|_| true).map_err(failed),
    }
}

fn any(family: Family, port: u16) -> SocketAddr {
    match family {
        Family::V4 => ([0, 0, 0, 0], port).into(),
        Family::V6 => ([0, 0, 0, 0, 0, 0, 0, 0], port).into(),
    }
}

/// One that is bound to the link, and one that is not.
fn listen(family: Family, link: &LinkName) -> io::Result<(UdpSocket, UdpSocket)> {
    let bound = UdpSocket::bind(any(family, PORT))?;
    setsockopt(&bound, sockopt::BindToDevice, &OsString::from(&link.link))?;
    bound.set_nonblocking(true)?;
    let free = UdpSocket::bind(any(family, PORT + 1))?;
    free.set_read_timeout(Some(DEADLINE))?;
    Ok((bound, free))
}

fn send(to: IpAddr) -> io::Result<()> {
    let socket = sender((to, PORT).into())?;
    [PORT, PORT + 1]
        .into_iter()
        .try_for_each(|port| socket.send_to(&[0x68], (to, port)).map(|_| ()))
}
