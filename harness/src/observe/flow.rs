//! Single flows of UDP, for rules that speak of ports.
//!
//! A datagram that did not arrive is blocked if a later one from the same sender to another port of
//! the receiver has arrived (the sender and the way are sound), and then one from a third host at
//! the very socket that it is missing from (the receiver is). See the parent module.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hairpin_model::grid::{Cell, Refusal, Verdict};
use hairpin_model::{Error, Family};

use super::answer::is_giving_up;
use super::decode::{number, payload};
use super::ears::broken;
use super::losses::Losses;
use crate::lab::Lab;

/// How long a control may take before it counts as lost; see `frame`.
const DEADLINE: Duration = Duration::from_secs(5);

/// A flow to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sends.
    pub from: &'a str,
    /// Who receives, at its address of `family`.
    pub to: &'a str,
    /// The family.
    pub family: Family,
    /// The UDP port that the rule speaks of.
    pub port: u16,
    /// Another UDP port of the receiver, that the rule does not speak of.
    pub other_port: u16,
    /// A third host, whose datagrams the rule does not touch.
    pub control: &'a str,
}

/// Sends one datagram and proves what became of it.
pub(crate) async fn datagram(lab: &mut Lab, flow: Datagram<'_>) -> Result<Cell, Error> {
    let (probe, out, into) = (lab.take_probe(), lab.take_probe(), lab.take_probe());
    let any = match flow.family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    };
    let address = lab.topology().address_of(flow.to, flow.family).ok_or_else(|| {
        Error::new(
            format!("`{}` has no {:?} address", flow.to, flow.family),
            format!("topology `{}`", lab.topology().name),
            "give one of its links an address of that family",
        )
    })?;
    let open = |host: &str, port: u16| -> Result<UdpSocket, Error> {
        let socket = lab.inside(host, || UdpSocket::bind(SocketAddr::new(any, port)))?;
        let socket = socket.map_err(|error| broken("open a UDP socket", &error))?;
        socket
            .set_read_timeout(Some(DEADLINE))
            .map_err(|error| broken("set a deadline", &error))?;
        Ok(socket)
    };
    let (asked, other) = (open(flow.to, flow.port)?, open(flow.to, flow.other_port)?);
    let (sender, third) = (open(flow.from, 0)?, open(flow.control, 0)?);
    let losses = Losses::now(lab).await?;

    // Connected, so that an ICMP error comes back as an error of this flow.
    let to_port = SocketAddr::new(address, flow.port);
    let asked_at = Instant::now();
    sender.connect(to_port).map_err(|error| broken("connect a UDP socket", &error))?;
    if let Err(error) = sender.send(&payload(probe)) {
        return Ok(Cell::new(Verdict::Refused(refusal(&error))));
    }
    let aside = open(flow.from, 0)?;
    send(&aside, out, SocketAddr::new(address, flow.other_port))?;
    let flushed = wait_for(&other, out)?;
    send(&third, into, to_port)?;
    let (heard, arrived) = heard_before(&asked, into, probe)?;
    // See `ping` for why a late one is no refusal.
    let refused = pending_error(&sender)?.map(|error| refusal(&error));
    let refused = refused.filter(|refusal| !is_giving_up(refusal, asked_at.elapsed()));
    let mut cell = match (arrived, refused) {
        (1, _) => Cell::new(Verdict::Delivered),
        (n, _) if n > 1 => Cell::new(Verdict::Duplicated(n)),
        (_, Some(refusal)) => Cell::new(Verdict::Refused(refusal)),
        _ if !flushed => {
            inconclusive(format!("nothing of `{}` arrives at `{}`", flow.from, flow.to))
        }
        _ if !heard => inconclusive(format!("the socket of `{}` heard no control", flow.to)),
        _ => Cell {
            proof: Some(format!(
                "a later one reached port {}, its socket then heard `{}`",
                flow.other_port, flow.control
            )),
            ..Cell::new(Verdict::Blocked)
        },
    };
    losses.doubt(lab, std::iter::once(&mut cell)).await?;
    Ok(cell)
}

fn inconclusive(why: String) -> Cell {
    Cell::new(Verdict::Inconclusive(why))
}

fn send(socket: &UdpSocket, probe: u32, to: SocketAddr) -> Result<(), Error> {
    // A refusal shows as a control that does not arrive.
    match socket.send_to(&payload(probe), to) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(broken("send a datagram", &error))
        }
        _ => Ok(()),
    }
}

/// Reads until that datagram has come.
fn wait_for(socket: &UdpSocket, wanted: u32) -> Result<bool, Error> {
    heard_before(socket, wanted, wanted).map(|(heard, _)| heard)
}

/// Reads until the datagram `until` has come: whether it has, and how often `counted` came.
fn heard_before(socket: &UdpSocket, until: u32, counted: u32) -> Result<(bool, u32), Error> {
    let mut buffer = [0; 64];
    let mut count = 0;
    loop {
        match socket.recv(&mut buffer) {
            Ok(len) => {
                let found = number(&buffer[..len]);
                count += u32::from(found == Some(counted));
                if found == Some(until) {
                    return Ok((true, count));
                }
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                return Ok((false, count));
            }
            Err(error) => return Err(broken("read a datagram", &error)),
        }
    }
}

/// The ICMP error that came back, if one did.
fn pending_error(socket: &UdpSocket) -> Result<Option<io::Error>, Error> {
    socket.take_error().map_err(|error| broken("read a socket's error", &error))
}

fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Refusal::Port,
        Some(libc::EHOSTUNREACH) => Refusal::Host,
        Some(libc::ENETUNREACH) => Refusal::NoRoute,
        Some(libc::EPERM | libc::EACCES) => Refusal::Prohibited,
        _ => Refusal::Other(error.to_string()),
    }
}
