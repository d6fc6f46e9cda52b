//! Questions to rtnetlink in its own bytes: for what rtnetlink's types do not cover (options by
//! number, forwarding entries with their flags, group memberships, VLANs of ports).
//!
//! Knows the wire, and no driver. The kernel answers within the caller's `send`, so reading never
//! waits, and an answer that is not there is an error and no reason to hang.

use std::fmt;
use std::io;

use hairpin_model::Error;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket};

use super::{Refused, ext_ack};
use crate::attrs::{Attrs, align};
use crate::ns::Ns;
use crate::sys;

/// Netlink's header: length, type, flags, sequence number, sender.
const HEADER: usize = 16;

/// The number of each question, the only one of its socket.
const SEQUENCE: u32 = 0x6870;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const REPLACE: u16 = 0x100;
pub(crate) const EXCL: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
/// Of a deletion: of all that fit.
pub(crate) const BULK: u16 = 0x200;
pub(crate) const DUMP: u16 = 0x300;

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_SETLINK: u16 = 19;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_NEWNEIGH: u16 = 28;
pub(crate) const RTM_DELNEIGH: u16 = 29;
pub(crate) const RTM_GETNEIGH: u16 = 30;
pub(crate) const RTM_NEWMDB: u16 = 84;
pub(crate) const RTM_DELMDB: u16 = 85;
pub(crate) const RTM_GETMDB: u16 = 86;
pub(crate) const RTM_GETSTATS: u16 = 94;
pub(crate) const RTM_NEWVLAN: u16 = 112;
pub(crate) const RTM_DELVLAN: u16 = 113;
pub(crate) const RTM_GETVLAN: u16 = 114;

/// The family of what concerns bridges (`PF_BRIDGE`).
pub(crate) const AF_BRIDGE: u8 = 7;

/// A message's type and what follows netlink's header.
pub(crate) type Answer = (u16, Vec<u8>);

/// A question.
#[derive(Clone)]
pub(crate) struct Question<'a> {
    /// One of `RTM_*`.
    pub(crate) kind: u16,
    /// Beyond [`REQUEST`].
    pub(crate) flags: u16,
    /// The fixed header of the type: `ifinfomsg`, `ndmsg`, `br_port_msg`.
    pub(crate) header: &'a [u8],
    pub(crate) attrs: Attrs,
}

/// Asks in that namespace; gives the messages that answer.
pub(crate) fn ask(ns: &Ns, question: &Question<'_>) -> Result<Vec<Answer>, Refused> {
    let socket = ns.enter(open).map_err(|error| broken(&error))?;
    socket.send(&question.bytes(), 0).map_err(|error| broken(&error))?;
    let mut address = SocketAddr::new(0, 0);
    socket.get_address(&mut address).map_err(|error| broken(&error))?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full().map_err(|error| broken(&error))?;
        let mut rest = datagram.as_slice();
        while let Some((kind, body, after)) = split(rest) {
            let ours = answers_to(rest, address.port_number());
            rest = after;
            match kind {
                // As iproute2 does: what does not say what it answers is no answer.
                _ if !ours => {}
                NLMSG_ERROR | NLMSG_DONE => return verdict(body).map(|()| answers),
                _ => answers.push((kind, body.to_vec())),
            }
        }
    }
}

impl Question<'_> {
    /// The message as it goes to the kernel.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let body = [self.header, self.attrs.as_bytes()].concat();
        let length = u32::try_from(HEADER + body.len()).expect("a question is short");
        let mut bytes = Vec::new();
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend((self.flags | REQUEST).to_ne_bytes());
        bytes.extend(SEQUENCE.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }
}

/// Whether a message says that it answers our question, and to us.
fn answers_to(message: &[u8], port: u32) -> bool {
    let says = |at: usize, number: u32| message.get(at..at + 4) == Some(&number.to_ne_bytes());
    says(8, SEQUENCE) && says(12, port)
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// What the kernel tells of unasked: its multicast groups, by their numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum EventKind {
    Link = 1,
    Neighbour = 3,
    Ipv6Address = 9,
    Mdb = 26,
    Vlan = 33,
}

/// A socket that hears what the kernel tells of unasked in a namespace, from now on.
fn listen(ns: &Ns, kinds: &[EventKind]) -> Result<TokioSocket, Error> {
    let open = || -> io::Result<TokioSocket> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind_auto()?;
        kinds.iter().try_for_each(|kind| socket.socket_mut().add_membership(*kind as u32))?;
        Ok(socket)
    };
    ns.enter(open).map_err(|error| deaf(&error))
}

/// The kernel's events of one namespace, kept to be read.
pub(crate) struct Kept(TokioSocket);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Kept {
    /// Keeps what is told from now on.
    pub(crate) fn subscribe(ns: &Ns, kinds: &[EventKind]) -> Result<Self, Error> {
        listen(ns, kinds).map(Self)
    }

    /// What has been told so far and was not read yet, oldest first. That messages were lost is an
    /// error: what is missing proves nothing then.
    pub(crate) fn take(&self) -> Result<Vec<Answer>, Error> {
        let mut told = Vec::new();
        loop {
            match self.0.socket_ref().recv_from_full() {
                Ok((datagram, _)) => told.extend(messages(&datagram)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(told),
                Err(error) => self.unless_never_made(error)?,
            }
        }
    }

    /// Waits for what is told next. Another socket's news would not do: the kernel gives each its copy in
    /// turn, and may let us run in between.
    pub(crate) async fn next(&self) -> Result<Vec<Answer>, Error> {
        loop {
            match self.0.recv_from_full().await {
                Ok((datagram, _)) => return Ok(messages(&datagram).collect()),
                Err(error) => self.unless_never_made(error)?,
            }
        }
    }

    /// The kernel says the same of messages that did not fit into our queue and of those that it could
    /// not make, and another word of those that were longer than it had thought. Only the first are
    /// counted; the others were not told, and that is its own affair.
    fn unless_never_made(&self, error: io::Error) -> Result<(), Error> {
        use nix::errno::Errno::{EMSGSIZE, ENOBUFS};
        let is_lack =
            [ENOBUFS, EMSGSIZE].map(|word| Some(word as i32)).contains(&error.raw_os_error());
        match sys::dropped(self.0.socket_ref()) {
            Ok(0) if is_lack => Ok(()),
            _ => Err(deaf(&error)),
        }
    }
}

fn deaf(error: &io::Error) -> Error {
    Error::new(
        format!("cannot listen for the kernel's events: {error}"),
        "this machine",
        "see `hairpin doctor`",
    )
}

/// The kernel's events of one namespace, as a thing to wait for: what they say is not read.
pub(crate) struct Events(TokioSocket);

impl Events {
    /// Listens from now on.
    pub(crate) fn subscribe(ns: &Ns, kinds: &[EventKind]) -> Result<Self, Error> {
        listen(ns, kinds).map(Self)
    }

    /// Waits for the next event. That the queue overran is news, too.
    pub(crate) async fn next(&mut self) {
        let mut heard = [0; 64];
        if self.0.recv(&mut &mut heard[..]).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

/// The messages of a datagram.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Answer> {
    std::iter::from_fn(move || {
        let (kind, body, after) = split(datagram)?;
        datagram = after;
        Some((kind, body.to_vec()))
    })
}

/// A message's type and body, and what follows it.
fn split(datagram: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
    let body = datagram.get(HEADER..length)?;
    let kind = u16::from_ne_bytes(*datagram[4..].first_chunk()?);
    Some((kind, body, datagram.get(align(length)..).unwrap_or_default()))
}

/// What the kernel says at the end: zero, or a negative error number and its words.
fn verdict(body: &[u8]) -> Result<(), Refused> {
    let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
    if code == 0 {
        return Ok(());
    }
    let errno = code.saturating_neg();
    let plain = nix::errno::Errno::from_raw(errno).desc();
    let words = match body.get(4..).and_then(ext_ack) {
        Some(text) => format!("{text} ({plain})"),
        None => plain.to_owned(),
    };
    Err(Refused { errno, words })
}

fn broken(error: &io::Error) -> Refused {
    Refused { errno: 0, words: format!("the kernel gave no whole answer: {error}") }
}
