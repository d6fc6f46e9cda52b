//! UDP: one datagram, counted where it should arrive. Answers are not asked for.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use hairpin_model::grid::Verdict;
use hairpin_model::{Error, Family};

use super::super::answer::is_giving_up;
use super::super::decode::{number, payload};
use super::super::ears::broken;
use super::waiting::await_neighbours;
use super::{Controls, DEADLINE, Flow, Passage, Places, any, refusal};
use crate::lab::Lab;

pub(super) async fn ask(lab: &mut Lab, flow: &Flow<'_>, at: Places) -> Result<Passage, Error> {
    let probe = lab.take_probe();
    let rounds = [(); 2].map(|()| (lab.take_probe(), lab.take_probe()));
    let open = |host: &str, port: u16| -> Result<UdpSocket, Error> {
        let socket = lab.inside(host, || UdpSocket::bind(any(flow.family, port)))?;
        let socket = socket.map_err(|error| broken("open a UDP socket", &error))?;
        socket
            .set_read_timeout(Some(DEADLINE))
            .map_err(|error| broken("set a deadline", &error))?;
        Ok(socket)
    };
    let (beside, other_port) = flow.beside();
    let (asked, other) = (open(flow.to, flow.port)?, open(beside, other_port)?);
    let (sender, third) = (open(flow.from, 0)?, open(flow.control, 0)?);

    // Connected, so that an ICMP error comes back as an error of this flow.
    let asked_at = Instant::now();
    let sent = sender.connect(at.asked).and_then(|()| sender.send(&body(probe, flow)));
    if let Err(error) = sent {
        return Ok(Passage::new(Verdict::Refused(refusal(&error))));
    }
    let aside = open(flow.from, 0)?;
    let mut controls = Controls { sent: true, heard: true };
    let (mut times, mut source) = (0, None);
    for (round, (out, into)) in rounds.into_iter().enumerate() {
        if round > 0 {
            // The first may have overtaken it: these are behind all that waits now.
            await_neighbours(lab, flow.family).await?;
        }
        send(&aside, out, at.aside)?;
        let sent = heard_before(&other, out, out)?.0;
        send(&third, into, at.own)?;
        let (heard, more, from) = heard_before(&asked, into, probe)?;
        controls = Controls { sent: controls.sent && sent, heard: controls.heard && heard };
        (times, source) = (times + more, source.or(from));
        if times > 0 {
            break;
        }
    }
    // See `ping` for why a late one is no refusal.
    let refused = pending_error(&sender)?.map(|error| refusal(&error));
    let refused = refused.filter(|refusal| !is_giving_up(refusal, asked_at.elapsed()));
    Ok(match (times, refused) {
        (1, _) => Passage::reached(Verdict::Delivered, source),
        (n, _) if n > 1 => Passage::reached(Verdict::Duplicated(n), source),
        (_, Some(refusal)) => Passage::new(Verdict::Refused(refusal)),
        _ => Passage::missing(Verdict::Blocked, flow, controls),
    })
}

/// What the datagram carries: its number, and as much more as the packet is to be long.
fn body(probe: u32, flow: &Flow<'_>) -> Vec<u8> {
    const UDP: usize = 8;
    let headers = UDP
        + match flow.family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
    let mut body = payload(probe).to_vec();
    let wanted = flow.bytes.unwrap_or_default().saturating_sub(headers);
    body.resize(body.len().max(wanted), 0);
    body
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

/// Reads until the datagram `until` has come: whether it has, how often `counted` came before it,
/// and from where.
fn heard_before(
    socket: &UdpSocket,
    until: u32,
    counted: u32,
) -> Result<(bool, u32, Option<SocketAddr>), Error> {
    let mut buffer = [0; 64];
    let (mut count, mut source) = (0, None);
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                let found = number(&buffer[..len]);
                if found == Some(counted) {
                    count += 1;
                    source = Some(from);
                }
                if found == Some(until) {
                    return Ok((true, count, source));
                }
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                return Ok((false, count, source));
            }
            Err(error) => return Err(broken("read a datagram", &error)),
        }
    }
}

/// The ICMP error that came back, if one did.
fn pending_error(socket: &UdpSocket) -> Result<Option<io::Error>, Error> {
    socket.take_error().map_err(|error| broken("read a socket's error", &error))
}
