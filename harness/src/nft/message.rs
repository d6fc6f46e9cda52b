//! nfnetlink's messages, and the batch that makes a transaction of them.
//!
//! Knows lengths and headers; knows no rule and opens no socket.

pub(super) use crate::attrs::{Attrs, align};

/// The address family of a table that sees IPv4 and IPv6 alike.
pub(super) const NFPROTO_INET: u8 = 1;
/// The version of the header that follows netlink's own.
const NFNETLINK_V0: u8 = 0;
/// The subsystem that a message is for: nf_tables.
const SUBSYSTEM: u16 = 10;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

pub(super) const REQUEST: u16 = 0x1;
pub(super) const ACK: u16 = 0x4;
pub(super) const DUMP: u16 = 0x300;
pub(super) const CREATE: u16 = 0x400;
pub(super) const APPEND: u16 = 0x800;

/// Netlink's header: length, type, flags, sequence number, sender.
pub(super) const HEADER: usize = 16;
/// The header that nfnetlink adds: family, version, resource.
pub(super) const NF_HEADER: usize = 4;

/// What a message does to the table. The numbers are the kernel's `NFT_MSG_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Verb {
    NewTable = 0,
    DelTable = 2,
    NewChain = 3,
    NewRule = 6,
    GetRule = 7,
}

impl Verb {
    /// Netlink's message type.
    pub(super) fn kind(self) -> u16 {
        SUBSYSTEM << 8 | self as u16
    }
}

/// One message to nf_tables, with `REQUEST` added to its flags.
pub(super) fn message(
    (verb, family): (Verb, u8),
    flags: u16,
    sequence: u32,
    attrs: &Attrs,
) -> Vec<u8> {
    frame(verb.kind(), flags, sequence, [family, NFNETLINK_V0, 0, 0], attrs.as_bytes())
}

/// Messages that the kernel takes all or not at all. The number of a message is its place in
/// the order of [`Batch::push`], from 1; 0 is the transaction itself.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The address family of the tables that it is about.
    family: u8,
    /// Where the last message starts.
    last: usize,
    /// What each message is about, in the words for an error.
    places: Vec<String>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self::of(NFPROTO_INET)
    }

    /// One about tables of that address family.
    pub(super) fn of(family: u8) -> Self {
        let bytes = boundary(BATCH_BEGIN, 0);
        Self { bytes, family, last: 0, places: vec!["the nftables transaction".into()] }
    }

    /// Adds a message.
    pub(super) fn push(&mut self, verb: Verb, flags: u16, attrs: &Attrs, place: String) {
        self.last = self.bytes.len();
        self.bytes.extend(message((verb, self.family), flags, self.last_number() + 1, attrs));
        self.places.push(place);
    }

    /// The number of the last message.
    pub(super) fn last_number(&self) -> u32 {
        u32::try_from(self.places.len() - 1).expect("messages fit in memory")
    }

    /// What the message of this number is about.
    pub(super) fn place(&self, number: u32) -> &str {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        self.places.get(number).map_or("an unknown message", String::as_str)
    }

    /// The bytes that make the kernel check everything and change nothing: with no end, there is
    /// no commit. (`nft --check` does the same.)
    pub(super) fn trial(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        // Only the last message asks for an answer: the kernel reports failures unasked, and an
        // answer for every message of a long batch would not fit into the socket's queue.
        let flags = self.last + 6..self.last + 8;
        bytes[flags].copy_from_slice(&(self.last_flags() | ACK).to_ne_bytes());
        bytes
    }

    /// The bytes that make the kernel do it.
    pub(super) fn commit(&self) -> Vec<u8> {
        let mut bytes = self.trial();
        bytes.extend(boundary(BATCH_END, self.last_number() + 1));
        bytes
    }

    fn last_flags(&self) -> u16 {
        u16::from_ne_bytes([self.bytes[self.last + 6], self.bytes[self.last + 7]])
    }
}

/// The message that begins or ends a batch. Its resource names the subsystem, in network order.
fn boundary(kind: u16, sequence: u32) -> Vec<u8> {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    frame(kind, 0, sequence, [0, NFNETLINK_V0, high, low], &[])
}

fn frame(kind: u16, flags: u16, sequence: u32, nf: [u8; NF_HEADER], attrs: &[u8]) -> Vec<u8> {
    let length = HEADER + NF_HEADER + attrs.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).expect("a message is below 4 GiB").to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(nf);
    bytes.extend(attrs);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little-endian machines only: netlink's own numbers are in the machine's order.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_small_message_has_these_bytes() {
        let attrs = Attrs::new().text(1, "hairpin").number(2, 0);
        let expected = [
            40, 0, 0, 0, // length
            0, 10, // subsystem nf_tables, new table
            1, 4, // request, create
            7, 0, 0, 0, // number
            0, 0, 0, 0, // to the kernel
            1, 0, 0, 0, // inet, version, resource
            12, 0, 1, 0, b'h', b'a', b'i', b'r', b'p', b'i', b'n', 0, // the name
            8, 0, 2, 0, 0, 0, 0, 0, // the flags
        ];
        assert_eq!(message((Verb::NewTable, NFPROTO_INET), CREATE, 7, &attrs), expected);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_batch_ends_only_when_it_is_committed() {
        let mut batch = Batch::new();
        batch.push(Verb::DelTable, 0, &Attrs::new(), "the table".into());
        let begin = [20, 0, 0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
        let delete = [20, 0, 0, 0, 2, 10, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        let end = [20, 0, 0, 0, 17, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
        assert_eq!(batch.trial(), [begin, delete].concat());
        assert_eq!(batch.commit(), [begin, delete, end].concat());
        assert_eq!((batch.place(1), batch.place(9)), ("the table", "an unknown message"));
    }
}
