//! Frames: building our own, and recognising those that belong to a probe.
//!
//! A probe carries a number that no other frame of its lab has, so that the chatter of neighbour
//! discovery, multicast reports and earlier probes is never taken for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{LaxSlicedPacket, LinkExtSlice, NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use hairpin_model::Mac;

use super::session;
use super::solicitation::NUMBER_AT;

/// IEEE 802's "local experimental ethertype 1": nothing else in a lab speaks it.
pub(super) const ETHERTYPE: u16 = 0x88b5;

/// What every probe carries, before its number.
const MARK: &[u8; 8] = b"hairpin\x01";

/// The shortest Ethernet frame, without its check sum.
const SHORTEST: usize = 60;

/// One of our frames.
pub(super) fn frame(to: Mac, from: Mac, number: u32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(SHORTEST);
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(payload(number));
    frame.resize(SHORTEST, 0);
    frame
}

/// What a probe of that number carries.
pub(super) fn payload(number: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(MARK);
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The number of a probe, from what it carries.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    let rest = payload.strip_prefix(MARK)?;
    Some(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?))
}

/// The number of one of our frames or datagrams, as a socket without tags hands it over.
pub(super) fn number_in(frame: &[u8]) -> Option<u32> {
    // Behind Ethernet's header, a tag that was left in its place, or those of IPv4 or IPv6 and UDP;
    // ARP is as long as IPv4 and UDP.
    let known = [14, 14 + 4, 14 + 20 + 8, 14 + 40 + 8, WITH_OPTIONS, 14 + NUMBER_AT].into_iter();
    let known = known.chain(IN_SESSION.map(|at| 14 + at));
    known.chain(end_of_packet(frame)).find_map(|at| number(frame.get(at..)?))
}

/// Where a datagram of IPv4 or IPv6 has its number within a session of PPPoE.
const IN_SESSION: [usize; 2] = [session::HEADER + 20 + 8, session::HEADER + 40 + 8];

/// Where a datagram of IPv6 with a header of options has its number.
const WITH_OPTIONS: usize = 14 + 40 + 8 + 8;

/// Where an IP packet ends in a frame without tags: messages about memberships have it behind them.
fn end_of_packet(frame: &[u8]) -> Option<usize> {
    let length =
        |at: usize| Some(usize::from(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?)));
    match frame.get(12..14)? {
        [0x08, 0x00] => Some(14 + length(16)?),
        [0x86, 0xdd] => Some(14 + 40 + length(18)?),
        _ => None,
    }
}

/// A frame that may belong to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// One of our own frames.
    Frame(u32),
    /// An address being asked for or told: ARP or neighbour discovery.
    Resolution {
        what: &'static str,
        /// Who speaks, where the message says so.
        from: Option<IpAddr>,
        /// The address that it is about.
        about: IpAddr,
        /// Who is told, for an answer.
        to: Option<IpAddr>,
    },
    /// An ICMP echo request or reply.
    Echo { what: &'static str, number: u32, ttl: u8 },
    /// A datagram to a single host.
    Datagram(u32),
    /// The first segment of a TCP connection, or what answers it: by the number that the connection
    /// begins to count with.
    Segment { what: &'static str, of: u32 },
    /// An ICMP error about the first segment of that connection.
    SegmentError { of: u32 },
    /// An ICMP error about an echo request or a datagram.
    IcmpError { number: u32 },
}

impl Heard {
    /// What it is called in a path.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Frame(_) => "frame",
            Self::Datagram(_) => "datagram",
            Self::Resolution { what, .. }
            | Self::Echo { what, .. }
            | Self::Segment { what, .. } => what,
            Self::IcmpError { .. } | Self::SegmentError { .. } => "icmp error",
        }
    }
}

impl std::fmt::Display for Heard {
    /// What it is and of which probe, as captures say it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.what();
        match self {
            Self::Frame(number)
            | Self::Datagram(number)
            | Self::Echo { number, .. }
            | Self::IcmpError { number } => write!(f, "{what} of probe {number}"),
            Self::Segment { of, .. } | Self::SegmentError { of } => {
                write!(f, "{what} of the connection from {of}")
            }
            Self::Resolution { about, .. } => write!(f, "{what} about {about}"),
        }
    }
}

/// Recognises a frame, or says that it is none of ours.
pub(super) fn hear(frame: &[u8]) -> Option<Heard> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    match (&packet.net, &packet.transport) {
        (None, _) => {
            let places = [0].into_iter().chain(IN_SESSION);
            places.into_iter().find_map(|behind| own_frame(frame, &packet, behind))
        }
        (Some(NetSlice::Arp(arp)), _) => {
            // A case's own carries its number behind the message.
            if let Some(own) = own_frame(frame, &packet, arp.slice().len()) {
                return Some(own);
            }
            let sender = ipv4(arp.sender_protocol_addr())?;
            let target = ipv4(arp.target_protocol_addr())?;
            let (what, about, to) = match arp.operation().0 {
                1 => ("arp request", target, None),
                _ => ("arp reply", sender, Some(target)),
            };
            Some(Heard::Resolution { what, from: Some(sender), about, to })
        }
        (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) => {
            let ttl = ip.header().ttl();
            match icmp.type_u8() {
                8 => echo("echo request", icmp.payload(), ttl),
                0 => echo("echo reply", icmp.payload(), ttl),
                _ => quoted(icmp.payload()),
            }
        }
        (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) => {
            let ttl = ip.header().hop_limit();
            let from = IpAddr::V6(ip.header().source_addr());
            let to = IpAddr::V6(ip.header().destination_addr());
            match icmp.type_u8() {
                128 => echo("echo request", icmp.payload(), ttl),
                129 => echo("echo reply", icmp.payload(), ttl),
                135 => own_frame(frame, &packet, NUMBER_AT)
                    .or_else(|| discovery("neighbour solicitation", from, None, icmp.payload())),
                136 => discovery("neighbour advertisement", from, Some(to), icmp.payload()),
                1..=4 => quoted(icmp.payload()),
                _ => own_frame(frame, &packet, 40 + usize::from(ip.header().payload_length())),
            }
        }
        (Some(net), Some(TransportSlice::Udp(udp))) => {
            let heard = if is_to_group(net) { Heard::Frame } else { Heard::Datagram };
            number(udp.payload()).map(heard)
        }
        (Some(_), Some(TransportSlice::Tcp(tcp))) => segment(tcp),
        (Some(NetSlice::Ipv4(ip)), _) => {
            own_frame(frame, &packet, usize::from(ip.header().total_len()))
        }
        _ => None,
    }
}

fn is_to_group(net: &NetSlice<'_>) -> bool {
    match net {
        NetSlice::Ipv4(ip) => ip.header().destination_addr().is_multicast(),
        NetSlice::Ipv6(ip) => ip.header().destination_addr().is_multicast(),
        NetSlice::Arp(_) => false,
    }
}

/// A frame of ours by the number that it carries so far behind its ethertype.
fn own_frame(frame: &[u8], packet: &SlicedPacket<'_>, behind: usize) -> Option<Heard> {
    let tags = packet.link_exts.iter().filter(|ext| matches!(ext, LinkExtSlice::Vlan(_))).count();
    let body = frame.get(14 + 4 * tags + behind..)?;
    number(body).map(Heard::Frame)
}

fn echo(what: &'static str, payload: &[u8], ttl: u8) -> Option<Heard> {
    Some(Heard::Echo { what, number: number(payload)?, ttl })
}

/// What opens a connection, or answers that.
fn segment(tcp: &TcpSlice<'_>) -> Option<Heard> {
    let answers = tcp.acknowledgment_number().wrapping_sub(1);
    let (what, of) = match (tcp.syn(), tcp.ack(), tcp.rst()) {
        (true, false, false) => ("tcp syn", tcp.sequence_number()),
        (true, true, false) => ("tcp syn-ack", answers),
        (_, true, true) => ("tcp reset", answers),
        _ => return None,
    };
    Some(Heard::Segment { what, of })
}

/// What an ICMP error is about: a probe by the number that is quoted, a SYN by its own.
fn quoted(payload: &[u8]) -> Option<Heard> {
    let Some(at) = payload.windows(MARK.len()).position(|window| window == MARK) else {
        return match LaxSlicedPacket::from_ip(payload).ok()?.transport? {
            TransportSlice::Tcp(tcp) if tcp.syn() && !tcp.ack() => {
                Some(Heard::SegmentError { of: tcp.sequence_number() })
            }
            _ => None,
        };
    };
    Some(Heard::IcmpError { number: number(&payload[at..])? })
}

fn discovery(
    what: &'static str,
    from: IpAddr,
    to: Option<IpAddr>,
    payload: &[u8],
) -> Option<Heard> {
    let target: [u8; 16] = payload.get(..16)?.try_into().ok()?;
    let about = Ipv6Addr::from(target).into();
    Some(Heard::Resolution { what, from: Some(from), about, to })
}

fn ipv4(bytes: &[u8]) -> Option<IpAddr> {
    let bytes: [u8; 4] = bytes.try_into().ok()?;
    Some(Ipv4Addr::from(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_frame_of_ours_is_recognised() {
        let sent = frame(Mac::BROADCAST, A, 7);
        assert_eq!(sent.len(), SHORTEST);
        assert_eq!(hear(&sent), Some(Heard::Frame(7)));
    }

    #[test]
    fn a_tagged_frame_of_ours_is_recognised() {
        let mut sent = frame(Mac::BROADCAST, A, 7);
        sent.splice(12..12, [0x81, 0x00, 0x00, 0x0a]);
        assert_eq!(hear(&sent), Some(Heard::Frame(7)));
    }

    #[test]
    fn an_arp_message_of_ours_is_a_frame_tagged_or_not_and_anothers_is_a_question() {
        let message = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1];
        let about = [0, 0, 0, 0, 0, 0, 192, 0, 2, 2];
        let header = [&Mac::BROADCAST.0[..], &A.0, &[0x08, 0x06]].concat();
        let asked = [&header[..], &message, &about].concat();
        let mut own = [&asked[..], &payload(7)].concat();
        assert_eq!(hear(&own), Some(Heard::Frame(7)));
        own.splice(12..12, [0x81, 0x00, 0x00, 0x0a]);
        assert_eq!(hear(&own), Some(Heard::Frame(7)));
        let padded = [&asked[..], &[0; 18]].concat();
        assert!(matches!(hear(&padded), Some(Heard::Resolution { what: "arp request", .. })));
    }

    #[test]
    fn an_echo_request_is_known_by_its_number() {
        let builder = etherparse::PacketBuilder::ethernet2(A.0, A.0)
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 63)
            .icmpv4_echo_request(1, 1);
        let mut frame = Vec::new();
        builder.write(&mut frame, &payload(9)).unwrap();
        assert_eq!(hear(&frame), Some(Heard::Echo { what: "echo request", number: 9, ttl: 63 }));
    }

    /// A segment of a connection whose opener counts from 77: written by that, and its two ways.
    fn tcp(syn: bool, ack: bool, reset: bool) -> Vec<u8> {
        let mut header = etherparse::TcpHeader::new(40000, 80, 77, 1000);
        (header.syn, header.ack, header.rst) = (syn, ack, reset);
        (header.sequence_number, header.acknowledgment_number) =
            if ack { (5, 78) } else { (77, 0) };
        let builder = etherparse::PacketBuilder::ethernet2(A.0, A.0)
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 63)
            .tcp_header(header);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[]).unwrap();
        frame
    }

    #[test]
    fn a_connection_is_known_by_the_number_that_it_begins_with() {
        for (flags, what) in [
            ((true, false, false), "tcp syn"),
            ((true, true, false), "tcp syn-ack"),
            ((false, true, true), "tcp reset"),
        ] {
            let heard = hear(&tcp(flags.0, flags.1, flags.2));
            assert_eq!(heard, Some(Heard::Segment { what, of: 77 }));
        }
        assert_eq!(hear(&tcp(false, true, false)), None, "what comes later is none");
        let error = etherparse::PacketBuilder::ethernet2(A.0, A.0)
            .ipv4([192, 0, 2, 9], [192, 0, 2, 1], 64)
            .icmpv4_raw(3, 13, [0; 4]);
        let mut frame = Vec::new();
        error.write(&mut frame, &tcp(true, false, false)[14..]).unwrap();
        assert_eq!(hear(&frame), Some(Heard::SegmentError { of: 77 }));
    }

    #[test]
    fn a_datagram_is_known_by_its_number() {
        let builder = etherparse::PacketBuilder::ethernet2(A.0, A.0)
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 63)
            .udp(1, 2);
        let mut frame = Vec::new();
        builder.write(&mut frame, &payload(9)).unwrap();
        assert_eq!(hear(&frame), Some(Heard::Datagram(9)));
    }

    #[test]
    fn chatter_is_none_of_ours() {
        let builder = etherparse::PacketBuilder::ethernet2(A.0, A.0)
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 63)
            .udp(1, 2);
        let mut frame = Vec::new();
        builder.write(&mut frame, b"hello").unwrap();
        assert_eq!(hear(&frame), None);
        assert_eq!(hear(&[]), None);
        assert_eq!(hear(&[0; 60]), None);
    }
}
