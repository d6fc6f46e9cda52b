//! Sends one packet from a namespace, and tells what comes back: the one thing here that does more
//! than read, and only where it is asked to.
//!
//! An echo request bears a mark of its own, so that no other answer is taken for it. Silence is told
//! as what it is; what it means is not known here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::thread;
use std::time::{Duration, Instant};

use hairpin_explain::Question;
use hairpin_explain::probed::Seen;
use hairpin_model::Error;
use hairpin_model::firewall::Protocol;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::place::Place;

/// A neighbour is asked for three times, a second apart; then the kernel gives up, and says so.
const WAIT: Duration = Duration::from_secs(4);

/// Which echo request it is.
const SEQUENCE: u16 = 1;

/// What is sent for a question, in words.
pub fn words(question: &Question) -> String {
    let to = question.to;
    match question.port {
        None => format!("one ICMP echo request to {to}, marked `{}`", mark()),
        Some((Protocol::Tcp, port)) => {
            format!("one TCP connection to {} (SYN), ended at once", SocketAddr::new(to, port))
        }
        Some((Protocol::Udp, port)) => {
            format!("one UDP datagram to {}, marked `{}`", SocketAddr::new(to, port), mark())
        }
    }
}

fn mark() -> String {
    format!("hairpin explain {}", std::process::id())
}

/// Sends it from the namespace, and waits for what comes back.
pub fn probe(place: &Place, question: &Question) -> Result<Seen, Error> {
    let send = || {
        setns(&place.file, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| broken(place, &errno.into()))?;
        match question.port {
            None => echo(question),
            Some((Protocol::Tcp, port)) => connect(question, port),
            Some((Protocol::Udp, port)) => datagram(question, port),
        }
        .map_err(|error| broken(place, &error))
    };
    thread::scope(|scope| scope.spawn(send).join()).expect("sending a packet does not panic")
}

fn broken(place: &Place, error: &io::Error) -> Error {
    let what = format!("a packet cannot be sent from there: {error}");
    Error::new(what, &place.name, "run as root, on the machine itself, or leave out --probe")
}

/// A socket that knows whom it is for, and is told what is refused.
fn socket(question: &Question, kind: Type, protocol: Option<i32>) -> io::Result<Socket> {
    let domain = if question.to.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, kind, protocol.map(Into::into))?;
    match question.to {
        IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
        IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
    }
    if let Some(source) = question.source {
        socket.bind(&at(source, 0, question.link).into())?;
    }
    Ok(socket)
}

fn at(ip: IpAddr, port: u16, link: Option<u32>) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, link.unwrap_or(0)).into(),
    }
}

fn connect(question: &Question, port: u16) -> io::Result<Seen> {
    let socket = socket(question, Type::STREAM, None)?;
    let to = at(question.to, port, question.link).into();
    Ok(socket.connect_timeout(&to, WAIT).map_or_else(|error| seen(&error), |()| Seen::Answered))
}

fn datagram(question: &Question, port: u16) -> io::Result<Seen> {
    let socket = socket(question, Type::DGRAM, None)?;
    let to = at(question.to, port, question.link);
    exchange(&socket, to, mark().as_bytes(), |_| true)
}

fn echo(question: &Question) -> io::Result<Seen> {
    /// `IPPROTO_ICMP`, `IPPROTO_ICMPV6`.
    const ICMP: [i32; 2] = [1, 58];
    let six = question.to.is_ipv6();
    let socket = socket(question, Type::RAW, Some(ICMP[usize::from(six)]))?;
    let own = request(six);
    let answers = |packet: &[u8]| is_answer(packet, &own, six);
    exchange(&socket, at(question.to, 0, question.link), &own, answers)
}

/// The echo request: type, code, check sum, identifier, sequence, mark.
fn request(six: bool) -> Vec<u8> {
    let id = std::process::id().to_be_bytes();
    let mut bytes = vec![if six { 128 } else { 8 }, 0, 0, 0, id[2], id[3]];
    bytes.extend(SEQUENCE.to_be_bytes());
    bytes.extend(mark().as_bytes());
    // That of IPv6 covers addresses, and is the kernel's to make.
    if !six {
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

/// Whether it is the answer to that request: all behind the check sum is the same.
fn is_answer(packet: &[u8], request: &[u8], six: bool) -> bool {
    // IPv4 shows its own header too.
    let head = if six { 0 } else { packet.first().map_or(0, |byte| usize::from(byte & 15) * 4) };
    let Some(message) = packet.get(head..) else { return false };
    let kind = if six { 129 } else { 0 };
    message.first() == Some(&kind) && message.get(4..) == request.get(4..)
}

/// Sends, and waits for what is the answer, or for a refusal.
fn exchange(
    socket: &Socket,
    to: SocketAddr,
    bytes: &[u8],
    answers: impl Fn(&[u8]) -> bool,
) -> io::Result<Seen> {
    let sent = socket.connect(&to.into()).and_then(|()| (&mut &*socket).write(bytes));
    if let Err(error) = sent {
        return Ok(Seen::NotSent(error.to_string()));
    }
    let until = Instant::now() + WAIT;
    let mut packet = [0; 2048];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Seen::Nothing(WAIT.as_secs()));
        }
        socket.set_read_timeout(Some(left))?;
        match (&mut &*socket).read(&mut packet) {
            Ok(length) if answers(&packet[..length]) => return Ok(Seen::Answered),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Ok(seen(&error)),
        }
    }
}

/// What an error of a socket shows: a refusal, or that time has run out.
fn seen(error: &io::Error) -> Seen {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Seen::Nothing(WAIT.as_secs()),
        ErrorKind::PermissionDenied | ErrorKind::AddrNotAvailable | ErrorKind::InvalidInput => {
            Seen::NotSent(error.to_string())
        }
        _ => Seen::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_answer_is_taken() {
        let own = request(false);
        assert_eq!(checksum(&own), 0, "a check sum over all is none");
        let mut answer = [&[0x45; 20][..], &own].concat();
        answer[20] = 0;
        assert!(is_answer(&answer, &own, false));
        answer[24] ^= 1;
        assert!(!is_answer(&answer, &own, false), "of another");
        assert!(!is_answer(&own, &own, false), "the request itself");
    }
}
