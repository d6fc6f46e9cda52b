//! What a host hears of what it sends to a group that it listens to itself: the kernel hands that up
//! again by the link that it left by, and whoever stands on that link must let it pass.
//!
//! No cases here. Hosts have IPv4 addresses in 192.0.2.0/24; `p` is the one that talks, `e` is outside.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use hairpin_harness::{CaseLab, Error, Family, Filter, Stop};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 200);
const PORT: u16 = 5004;
/// How long a datagram may take. It takes microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

fn failed(host: &str, error: &io::Error) -> Error {
    Error::new(format!("no datagram to a group: {error}"), host, "see `hairpin doctor`")
}

/// The IPv4 address of a host.
fn address(lab: &CaseLab, host: &str) -> Ipv4Addr {
    match lab.topology().address_of(host, Family::V4) {
        Some(IpAddr::V4(address)) => address,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}

/// A socket of a host that listens to the group.
fn listen(lab: &CaseLab, host: &str) -> Result<UdpSocket, Stop> {
    let own = address(lab, host);
    let listen = || -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((GROUP, PORT))?;
        socket.join_multicast_v4(&GROUP, &own)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        Ok(socket)
    };
    Ok(lab.inside(host, listen)?.map_err(|error| failed(host, &error))?)
}

fn say(lab: &CaseLab, host: &str) -> Result<(), Stop> {
    let own = address(lab, host);
    let say = || UdpSocket::bind((own, 0))?.send_to(host.as_bytes(), (GROUP, PORT));
    lab.inside(host, say)?.map_err(|error| failed(host, &error))?;
    Ok(())
}

/// Whom a socket hears next.
fn heard(host: &str, socket: &UdpSocket) -> Result<String, Stop> {
    let mut text = [0; 8];
    let length = socket.recv(&mut text).map_err(|error| failed(host, &error))?;
    Ok(String::from_utf8_lossy(&text[..length]).into_owned())
}

/// Holds that `p` hears itself and then `e`, and each of the others, whose links have that name, `e`
/// alone. What the others might have had of `p` comes before what they have of `e`.
pub(crate) async fn expect_own(lab: &mut CaseLab, others: &[&str], link: &str) -> Result<(), Stop> {
    for other in others {
        lab.set_filter(format!("{other}:{link}").as_str(), Filter::Allmulti, true).await?;
    }
    let own = listen(lab, "p")?;
    let others: Vec<_> = others
        .iter()
        .map(|other| Ok((*other, listen(lab, other)?)))
        .collect::<Result<_, Stop>>()?;
    say(lab, "p")?;
    let seen = heard("p", &own)?;
    lab.claim("p hears itself", seen == "p", &seen)?;
    say(lab, "e")?;
    for (host, socket) in others.iter().map(|(host, socket)| (*host, socket)).chain([("p", &own)]) {
        let seen = heard(host, socket)?;
        lab.claim(&format!("{host} hears e next"), seen == "e", &seen)?;
    }
    Ok(())
}
