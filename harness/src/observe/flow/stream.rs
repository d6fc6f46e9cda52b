//! TCP: one connection, from its SYN to its first bytes.
//!
//! Delivered is a connection that both ends hold: the sender's bytes came out of the receiver's
//! listening socket. One way is a SYN that the receiver's stack took, as its *ear* tells, and whose
//! answer did not make a connection. Controls are whole connections, so each shows the way there
//! and back; they run twice, as a SYN may wait for a neighbour that its sender asks for. The answer
//! may wait for another, so before one way is said, the receiver has a control of its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use hairpin_model::grid::{Refusal, Verdict};
use hairpin_model::{Error, Family};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::super::answer::{icmp_refusal, is_giving_up};
use super::super::decode::{number, payload};
use super::super::ears::{broken, wait_readable};
use super::waiting::await_neighbours;
use super::{Controls, DEADLINE, Flow, Passage, Places, any, refusal};
use crate::lab::Lab;

/// How long an answer is waited for before the controls run. No verdict depends on it: what comes
/// later is found when they are through.
const GRACE: Duration = Duration::from_millis(2);

pub(super) async fn ask(lab: &mut Lab, flow: &Flow<'_>, at: Places) -> Result<Passage, Error> {
    let mut ends = Ends::open(lab, flow)?;
    let probe = lab.take_probe();
    let asked_at = Instant::now();
    let sender = match lab.inside(flow.from, || begin(at.asked))? {
        Ok(sender) => sender,
        Err(error) => return Ok(Passage::new(Verdict::Refused(refusal(&error)))),
    };
    let mut controls = Controls { sent: true, heard: true };
    let mut thirds = Vec::new();
    let mut end = ends.end_of(&sender, GRACE)?;
    for round in 0..2 {
        // An error is told once: who has heard it must not ask again.
        if !matches!(end, End::Pending) {
            break;
        }
        if round > 0 {
            await_neighbours(lab, flow.family).await?;
        }
        let (came, third) = ends.run_controls(lab, flow, at)?;
        controls =
            Controls { sent: controls.sent && came.sent, heard: controls.heard && came.heard };
        thirds.extend(third);
        end = ends.end_of(&sender, Duration::ZERO)?;
    }
    let source = ends.syns.senders(flow)?.into_iter().find(|syn| !thirds.contains(syn));
    let mut verdict = Verdict::Blocked;
    if source.is_some() && end.is_unanswered(asked_at.elapsed()) {
        verdict = ends.one_way(lab, flow)?;
        if matches!(end, End::Pending) {
            end = ends.end_of(&sender, Duration::ZERO)?;
        }
    }
    match end {
        End::Open => ends.opened(sender, probe),
        End::Refused(refusal) if !is_giving_up(&refusal, asked_at.elapsed()) => {
            Ok(Passage::new(Verdict::Refused(refusal)))
        }
        _ => Ok(Passage { source, ..Passage::missing(verdict, flow, controls) }),
    }
}

/// Sends the SYN.
fn begin(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking().cloexec(), None)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// What the sender's kernel says of its connection.
enum End {
    Open,
    Refused(Refusal),
    Pending,
}

impl End {
    /// Whether nobody has answered: what the sender's own kernel says when it gives up is no answer.
    fn is_unanswered(&self, asked_since: Duration) -> bool {
        match self {
            Self::Open => false,
            Self::Refused(refusal) => is_giving_up(refusal, asked_since),
            Self::Pending => true,
        }
    }
}

/// All that listens for one flow.
struct Ends {
    asked: Server,
    aside: Server,
    syns: Syns,
    errors: Errors,
}

impl Ends {
    fn open(lab: &Lab, flow: &Flow<'_>) -> Result<Self, Error> {
        let (beside, other_port) = flow.beside();
        Ok(Self {
            asked: Server::open(lab, flow.to, any(flow.family, flow.port))?,
            aside: Server::open(lab, beside, any(flow.family, other_port))?,
            syns: Syns::open(lab, flow)?,
            errors: Errors::open(lab, flow)?,
        })
    }

    /// How the sender's connection stands, at the latest after `wait`.
    fn end_of(&mut self, sender: &Socket, wait: Duration) -> Result<End, Error> {
        let mut ready = [PollFd::new(sender.as_fd(), PollFlags::POLLOUT)];
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        // A signal is as good as silence: nothing is concluded from it.
        if poll(&mut ready, wait).unwrap_or_default() == 0 {
            // An ICMP error that comes back before `connect` has let go of the socket is only noted
            // there, and the SYN repeated a second later; the ear has heard it.
            return Ok(self.errors.about(sender)?.map_or(End::Pending, End::Refused));
        }
        let error = sender.take_error().map_err(|e| broken("read a socket's error", &e))?;
        let Some(error) = error else { return Ok(End::Open) };
        let told = self.errors.about(sender)?;
        Ok(End::Refused(match error.raw_os_error() {
            // Whoever refused it sent a reset, or the ear would have heard why.
            Some(libc::ECONNREFUSED) => told.unwrap_or(Refusal::Reset),
            _ => told.unwrap_or_else(|| refusal(&error)),
        }))
    }

    /// One control out of the sender and then one into the receiver: which came through, and where
    /// the second came from.
    fn run_controls(
        &mut self,
        lab: &mut Lab,
        flow: &Flow<'_>,
        at: Places,
    ) -> Result<(Controls, Option<SocketAddr>), Error> {
        let sent = control(lab, flow.from, at.aside, &mut self.aside)?.is_some();
        let third = control(lab, flow.control, at.own, &mut self.asked)?;
        Ok((Controls { sent, heard: third.is_some() }, third))
    }

    /// The receiver's control: its answer to the SYN may still wait for the neighbour on its way. A
    /// connection of its own to where the sender's control went waits behind that answer. Of several
    /// addresses there, the receiver may know the way to one only.
    fn one_way(&mut self, lab: &mut Lab, flow: &Flow<'_>) -> Result<Verdict, Error> {
        let (aside, port) = flow.beside();
        // To the receiver itself the sender's own control was answered: that shows the way back.
        if aside == flow.to {
            return Ok(Verdict::OneWay);
        }
        let places: Vec<_> = lab.topology().addresses_of(aside, flow.family).collect();
        for place in places {
            let place = SocketAddr::new(place, port);
            if control(lab, flow.to, place, &mut self.aside)?.is_some() {
                return Ok(Verdict::OneWay);
            }
        }
        Ok(Verdict::Inconclusive(format!("nothing of `{}` arrives at `{aside}`", flow.to)))
    }

    /// What became of a connection that the sender holds.
    fn opened(&mut self, sender: Socket, probe: u32) -> Result<Passage, Error> {
        let mut sender = TcpStream::from(sender);
        sender.write_all(&payload(probe)).map_err(|e| broken("write to a connection", &e))?;
        Ok(match self.asked.find(probe)? {
            Some(source) => Passage::reached(Verdict::Delivered, Some(source)),
            None => Passage::new(Verdict::Inconclusive(
                "somebody else than the receiver took the connection".into(),
            )),
        })
    }
}

/// Connects, and sends a number: the address that the server sees, if it has come out there.
fn control(
    lab: &mut Lab,
    from: &str,
    to: SocketAddr,
    server: &mut Server,
) -> Result<Option<SocketAddr>, Error> {
    let number = lab.take_probe();
    let Ok(mut stream) = lab.inside(from, || TcpStream::connect_timeout(&to, DEADLINE))? else {
        return Ok(None);
    };
    match stream.write_all(&payload(number)) {
        Ok(()) => server.find(number),
        // It was cut off again, by whoever took it.
        Err(_) => Ok(None),
    }
}

/// A listening socket and the connections that came out of it.
struct Server {
    listener: TcpListener,
    taken: Vec<Taken>,
}

/// A connection, whose it is, and the number that it carried.
struct Taken {
    stream: TcpStream,
    from: SocketAddr,
    number: Option<u32>,
    ended: bool,
}

impl Server {
    fn open(lab: &Lab, host: &str, at: SocketAddr) -> Result<Self, Error> {
        let open = || {
            let listener = TcpListener::bind(at)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = lab.inside(host, open)?.map_err(|e| broken("listen", &e))?;
        Ok(Self { listener, taken: Vec::new() })
    }

    /// Waits for the connection that carries this number: where it comes from.
    fn find(&mut self, wanted: u32) -> Result<Option<SocketAddr>, Error> {
        let until = Instant::now() + DEADLINE;
        loop {
            self.take()?;
            if let Some(found) = self.taken.iter().find(|taken| taken.number == Some(wanted)) {
                return Ok(Some(found.from));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            let silent = self.taken.iter().filter(|taken| !taken.ended && taken.number.is_none());
            let mut sockets: Vec<_> = silent.map(|taken| taken.stream.as_fd()).collect();
            sockets.push(self.listener.as_fd());
            wait_readable(&sockets, until);
        }
    }

    /// Takes what has come.
    fn take(&mut self) -> Result<(), Error> {
        while let Some((stream, from)) = not_yet(self.listener.accept(), "accept a connection")? {
            stream.set_nonblocking(true).map_err(|e| broken("set up a connection", &e))?;
            self.taken.push(Taken { stream, from, number: None, ended: false });
        }
        for taken in &mut self.taken {
            let mut buffer = [0; 64];
            // A connection that its sender has reset carries nothing more.
            match taken.stream.read(&mut buffer) {
                Ok(0) => taken.ended = true,
                Ok(len) => taken.number = taken.number.or(number(&buffer[..len])),
                Err(error) => taken.ended |= error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        Ok(())
    }
}

/// A raw socket of a host: what its stack takes of one protocol, before the protocol does.
fn raw(
    lab: &Lab,
    host: &str,
    family: Family,
    v4: Protocol,
    v6: Protocol,
) -> Result<UdpSocket, Error> {
    let (domain, protocol) = match family {
        Family::V4 => (Domain::IPV4, v4),
        Family::V6 => (Domain::IPV6, v6),
    };
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = lab.inside(host, || Socket::new(domain, kind, Some(protocol)))?;
    let socket = socket.map_err(|error| broken("open a raw socket", &error))?;
    // The standard library has no raw socket; to read from one is the same as for a datagram.
    Ok(UdpSocket::from(OwnedFd::from(socket)))
}

fn next(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Option<(usize, SocketAddr)>, Error> {
    not_yet(socket.recv_from(buffer), "read from a raw socket")
}

fn not_yet<T>(result: io::Result<T>, what: &str) -> Result<Option<T>, Error> {
    match result {
        Ok(got) => Ok(Some(got)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(broken(what, &error)),
    }
}

/// What follows the IP header: raw sockets hand over IPv4's, and not IPv6's.
fn beyond_header(packet: &[u8], family: Family) -> Option<&[u8]> {
    match family {
        Family::V4 => packet.get(usize::from(packet.first()? & 0x0f) * 4..),
        Family::V6 => Some(packet),
    }
}

fn port(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The receiver's ear: the SYNs that its stack takes.
struct Syns(UdpSocket);

impl Syns {
    fn open(lab: &Lab, flow: &Flow<'_>) -> Result<Self, Error> {
        raw(lab, flow.to, flow.family, Protocol::TCP, Protocol::TCP).map(Self)
    }

    /// Who sent SYNs to the port of the flow.
    fn senders(&self, flow: &Flow<'_>) -> Result<Vec<SocketAddr>, Error> {
        let (mut senders, mut buffer) = (Vec::new(), [0; 2048]);
        while let Some((len, from)) = next(&self.0, &mut buffer)? {
            let segment = beyond_header(&buffer[..len], flow.family);
            if let Some((source, _)) =
                segment.and_then(syn).filter(|(_, destination)| *destination == flow.port)
            {
                senders.push(SocketAddr::new(from.ip(), source));
            }
        }
        Ok(senders)
    }
}

/// The ports of a segment, if it is a SYN that begins a connection.
fn syn(segment: &[u8]) -> Option<(u16, u16)> {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let flags = segment.get(13)?;
    (flags & (SYN | ACK) == SYN).then_some((port(segment, 0)?, port(segment, 2)?))
}

/// The sender's ear: the ICMP errors that come back.
struct Errors {
    socket: UdpSocket,
    family: Family,
}

impl Errors {
    fn open(lab: &Lab, flow: &Flow<'_>) -> Result<Self, Error> {
        let socket = raw(lab, flow.from, flow.family, Protocol::ICMPV4, Protocol::ICMPV6)?;
        Ok(Self { socket, family: flow.family })
    }

    /// What the last error about this connection says.
    fn about(&self, sender: &Socket) -> Result<Option<Refusal>, Error> {
        let own = sender.local_addr().map_err(|e| broken("read a socket's address", &e))?;
        let own = own.as_socket().map(|address| address.port());
        let (mut told, mut buffer) = (None, [0; 2048]);
        while let Some((len, _)) = next(&self.socket, &mut buffer)? {
            let about = beyond_header(&buffer[..len], self.family)
                .and_then(|icmp| Some((quoted_port(icmp, self.family)?, icmp)));
            if let Some((quoted, icmp)) = about
                && Some(quoted) == own
            {
                told = icmp_refusal(self.family, icmp[0], icmp[1]).or(told);
            }
        }
        Ok(told)
    }
}

/// The source port of the TCP segment that an ICMP message quotes.
fn quoted_port(icmp: &[u8], family: Family) -> Option<u16> {
    const TCP: u8 = 6;
    let quoted = icmp.get(8..)?;
    let (protocol, header) = match family {
        Family::V4 => (*quoted.get(9)?, usize::from(quoted.first()? & 0x0f) * 4),
        Family::V6 => (*quoted.get(6)?, 40),
    };
    (protocol == TCP).then(|| port(quoted, header)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_is_told_from_its_answer() {
        let segment = |flags: u8| {
            let mut segment = [0; 20];
            segment[..4].copy_from_slice(&[0x13, 0x88, 0, 80]);
            segment[13] = flags;
            segment
        };
        assert_eq!(syn(&segment(0x02)), Some((5000, 80)));
        assert_eq!(syn(&segment(0x12)), None);
        assert_eq!(syn(&[0; 3]), None);
    }

    #[test]
    fn an_error_is_known_by_the_port_that_it_quotes() {
        let mut icmp = vec![3, 3, 0, 0, 0, 0, 0, 0, 0x45];
        icmp.extend([0; 19]);
        icmp[17] = 6;
        icmp.extend([0x13, 0x88]);
        assert_eq!(quoted_port(&icmp, Family::V4), Some(5000));
        icmp[17] = 17;
        assert_eq!(quoted_port(&icmp, Family::V4), None);
        assert_eq!(quoted_port(&icmp[..9], Family::V4), None);
    }
}
