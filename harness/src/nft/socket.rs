//! The talk with the kernel: sends what is encoded, reads answers, decides nothing.
//!
//! Netfilter works within the caller's `send`: when it returns, the answer is queued. So reading
//! never waits, and an answer that is not there is an error and no reason to hang.

use std::io;

use netlink_packet_core::NlasIterator;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt::SndBuf},
};

use super::{
    error::Error,
    message::{Attrs, Batch, DUMP, HEADER, NF_HEADER, Verb, align, message},
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The rules changed while they were being read.
const DUMP_INTERRUPTED: u16 = 0x10;
/// The kernel left the body of the message that it answers out of its answer.
const CAPPED: u16 = 0x100;
/// `NLMSGERR_ATTR_MSG`: the kernel's words.
const WORDS: u16 = 1;
/// Room for the batch of thousands of rules.
const SEND_BUFFER: usize = 4 << 20;
/// How often a list is read anew that changed under our eyes, before we give up.
const DUMP_ATTEMPTS: usize = 16;

/// A socket to the netfilter of the network namespace that the thread is in. It is for one
/// question: after a failure it still holds answers, which the next question would take for its
/// own.
pub(super) struct Netfilter(Socket);

/// One message from the kernel.
struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Netfilter {
    pub(super) fn open() -> Result<Self, Error> {
        Self::connect().map(Self).map_err(|error| refused(&error, "the netfilter socket"))
    }

    fn connect() -> io::Result<Socket> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        socket.set_non_blocking(true)?;
        // A batch goes out whole. The kernel gives us as much of this as its limit allows.
        setsockopt(&socket, SndBuf, &SEND_BUFFER)?;
        Ok(socket)
    }

    /// Sends the bytes of a batch and returns what the kernel said of it.
    pub(super) fn transact(self, batch: &Batch, bytes: &[u8]) -> Result<(), Error> {
        self.send(bytes, batch.place(0))?;
        loop {
            let datagram = self.receive(batch.place(0))?;
            for answer in answers(&datagram) {
                let answer = answer.ok_or_else(|| garbled("a cut message", batch.place(0)))?;
                if answer.kind != NLMSG_ERROR {
                    continue;
                }
                answer.check(batch.place(answer.sequence))?;
                // A failure comes before this one, if there was any.
                if answer.sequence == batch.last_number() {
                    return Ok(());
                }
            }
        }
    }

    /// Reads all rules of that family that the attributes name; returns the attributes of each.
    pub(super) fn rules(
        self,
        family: u8,
        attrs: &Attrs,
        place: &str,
    ) -> Result<Vec<Vec<u8>>, Error> {
        for attempt in 0..DUMP_ATTEMPTS {
            let number = u32::try_from(attempt).expect("attempts are few");
            self.send(&message((Verb::GetRule, family), DUMP, number, attrs), place)?;
            if let Some(list) = self.list(place)? {
                return Ok(list);
            }
        }
        Err(garbled("the rules changed each time that they were read", place))
    }

    /// Reads up to the end of a list; `None` says that it changed meanwhile.
    fn list(&self, place: &str) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let (mut list, mut whole) = (Vec::new(), true);
        loop {
            let datagram = self.receive(place)?;
            for answer in answers(&datagram) {
                let answer = answer.ok_or_else(|| garbled("a cut message", place))?;
                whole &= answer.flags & DUMP_INTERRUPTED == 0;
                match answer.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        answer.check(place)?;
                        return Ok(whole.then_some(list));
                    }
                    // The kernel sends a rule as the message that would make it.
                    kind if kind == Verb::NewRule.kind() => {
                        let attrs = answer.body.get(NF_HEADER..);
                        list.push(attrs.ok_or_else(|| garbled("a cut rule", place))?.to_vec());
                    }
                    _ => {}
                }
            }
        }
    }

    fn send(&self, bytes: &[u8], place: &str) -> Result<(), Error> {
        let sent = self.0.send(bytes, 0).map_err(|error| refused(&error, place))?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(garbled("the kernel took a part only", place))
        }
    }

    fn receive(&self, place: &str) -> Result<Vec<u8>, Error> {
        match self.0.recv_from_full() {
            Ok((datagram, _)) => Ok(datagram),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(garbled("the kernel gave no answer", place))
            }
            // The queue overran: its start, which has the first failure, is still there.
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                self.receive(place)
            }
            Err(error) => Err(refused(&error, place)),
        }
    }
}

impl Answer<'_> {
    /// The kernel's verdict, in an error message and at the end of a list alike: zero, or a
    /// negative error number and what there is to say about it.
    fn check(&self, place: &str) -> Result<(), Error> {
        let code = self.body.first_chunk().map(|code| i32::from_ne_bytes(*code));
        match code.ok_or_else(|| garbled("a verdict without a number", place))? {
            0 => Ok(()),
            code => Err(Error::Refused {
                errno: Errno::from_raw(code.saturating_neg()),
                text: self.words(),
                place: place.into(),
            }),
        }
    }

    fn words(&self) -> Option<String> {
        let attrs = self.body.get(4 + self.quoted()?..)?;
        let words = NlasIterator::new(attrs).flatten().find(|attr| attr.kind() == WORDS)?;
        let text = words.value().split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// How much of the message that it answers the kernel put before its words.
    fn quoted(&self) -> Option<usize> {
        let length = u32::from_ne_bytes(*self.body.get(4..)?.first_chunk()?);
        match self.flags & CAPPED {
            0 => usize::try_from(length).ok().map(align),
            _ => Some(HEADER),
        }
    }
}

/// The messages in a datagram; `None` for one that is longer than what is there.
fn answers(mut datagram: &[u8]) -> impl Iterator<Item = Option<Answer<'_>>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let answer = split(datagram);
        datagram = answer.as_ref().map_or(&[], |(_, rest)| rest);
        Some(answer.map(|(answer, _)| answer))
    })
}

fn split(datagram: &[u8]) -> Option<(Answer<'_>, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
    let body = datagram.get(HEADER..length)?;
    let answer = Answer {
        kind: u16::from_ne_bytes(*datagram[4..].first_chunk()?),
        flags: u16::from_ne_bytes(*datagram[6..].first_chunk()?),
        sequence: u32::from_ne_bytes(*datagram[8..].first_chunk()?),
        body,
    };
    Some((answer, datagram.get(align(length)..).unwrap_or_default()))
}

fn refused(error: &io::Error, place: &str) -> Error {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    Error::Refused { errno, text: None, place: place.into() }
}

fn garbled(what: &'static str, place: &str) -> Error {
    Error::Garbled { what, place: place.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as the kernel makes it: to message 5, with this flag and this quoted message.
    fn answer(flags: u16, quoted: &[u8], attrs: &Attrs) -> Vec<u8> {
        let verdict = (-(Errno::ENOENT as i32)).to_ne_bytes();
        let body = [&verdict, quoted, attrs.as_bytes()].concat();
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let kind = NLMSG_ERROR.to_ne_bytes();
        let header =
            [&length.to_ne_bytes()[..], &kind, &flags.to_ne_bytes(), &[5, 0, 0, 0, 0, 0, 0, 0]];
        [&header.concat()[..], &body].concat()
    }

    #[test]
    fn the_kernels_words_are_found_behind_what_it_quotes() {
        let quoted = message((Verb::NewRule, 1), 0, 5, &Attrs::new().text(1, "hairpin"));
        let words = Attrs::new().number(2, 36).text(WORDS, "No such chain");
        for bytes in [answer(0, &quoted, &words), answer(CAPPED, &quoted[..HEADER], &words)] {
            let answer = answers(&bytes).next().unwrap().unwrap();
            let error = answer.check("rule 3").unwrap_err();
            let text = "rule 3: the kernel says ENOENT: No such file or directory: No such chain";
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_cut_datagram_is_noticed_and_ends_the_reading() {
        let whole = answer(CAPPED, &[0; HEADER], &Attrs::new().text(WORDS, "why"));
        let two = [&whole[..], &whole].concat();
        assert_eq!(answers(&two).filter(Option::is_some).count(), 2);
        for length in whole.len() + 1..two.len() {
            let seen: Vec<bool> = answers(&two[..length]).map(|answer| answer.is_some()).collect();
            assert_eq!(seen, [true, false], "cut after {length} bytes");
        }
    }

    #[test]
    fn no_cut_of_a_verdict_makes_it_panic() {
        let whole = answer(0, &message((Verb::NewRule, 1), 0, 5, &Attrs::new()), &Attrs::new());
        for length in 0..=whole.len() - HEADER {
            let body = &whole[HEADER..HEADER + length];
            let answer = Answer { kind: NLMSG_ERROR, flags: 0, sequence: 5, body };
            assert_eq!(answer.check("rule 3").unwrap_err().errno().is_some(), length >= 4);
        }
    }
}
