//! Check sums that are left to somebody else: to the reader of a queue, or by its writer.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hairpin_fixtures::lan::{macvtap_lan, quiet};
use hairpin_harness::queue::{PLAIN, VNET_HEADER};
use hairpin_harness::{
    CaseLab, Error, Family, Mode, Need, Offload, Queue, Rule, Source, Stop, Strength, Topology,
    check,
};
use rstest::rstest;

use super::NEEDS;
use crate::segments::long;

pub(crate) const RULES: &[Rule] = &[
    LEFT_TO_THE_READER,
    LEFT_IN_A_TAG,
    LEFT_BY_THE_WRITER,
    SEGMENTS,
    CONGESTED,
    CUT,
    JOINED,
    VALID,
];

const PORT: u16 = 4789;
const ALL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 255);

/// What a header says: the check sum is left open; where the summed part begins; where it goes.
const LEFT_OPEN: [u8; 10] = [1, 0, 0, 0, 0, 0, 34, 0, 6, 0];

fn failed(what: &str, error: &std::io::Error) -> Error {
    Error::new(format!("cannot {what}: {error}"), "a UDP socket of a host", "see `hairpin doctor`")
}

const LEFT_TO_THE_READER: Rule = Rule {
    id: "macvtap.offload.check-sums-by-what-the-reader-can",
    promise: "a datagram whose check sum the sender has left open comes out with it filled in, \
              unless the reader has headers and said that it can do check sums: then its header \
              says where it goes",
    source: Source {
        cite: "tap_handle_frame, drivers/net/tap.c; virtio, 5.1.6",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Has `e` send a datagram to all of a network; gives it as it came out.
fn datagram_from_e(lab: &CaseLab, queue: &Queue, to: Ipv4Addr) -> Result<Vec<u8>, Stop> {
    let send = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_broadcast(true)?;
        socket.send_to(b"left open", (to, PORT))
    };
    lab.inside("e", send)?.map_err(|error| failed("send a datagram", &error))?;
    let ours = |bytes: &[u8]| bytes.windows(9).any(|part| part == b"left open");
    Ok(queue.wait_for("e's datagram", ours)?)
}

/// Whether the UDP check sum of a frame is right.
fn sums_up(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
        (&packet.net, &packet.transport)
    else {
        return false;
    };
    let header = udp.to_header();
    let right = header.calc_checksum_ipv4(&ip.header().to_header(), udp.payload());
    right.is_ok_and(|right| right == header.checksum)
}

#[rstest]
#[case::without_headers(PLAIN, 0x01, false)]
#[case::who_cannot(PLAIN | VNET_HEADER, 0x00, false)]
#[case::who_can(PLAIN | VNET_HEADER, 0x01, true)]
fn check_sums_by_what_the_reader_can(
    #[case] kind: u16,
    #[case] offload: u32,
    #[case] left_open: bool,
) {
    check(&LEFT_TO_THE_READER, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_flags(kind)?;
        queue.set_offload(offload)?;
        let came = datagram_from_e(&lab, &queue, ALL)?;
        let (header, frame) = came.split_at(if kind == PLAIN { 0 } else { 10 });
        let right = sums_up(frame);
        lab.claim("the sum is filled in", right != left_open, right)?;
        let wanted = if left_open { LEFT_OPEN } else { [0; 10] };
        let told = header.is_empty() || [0, 6, 7, 8, 9].iter().all(|at| header[*at] == wanted[*at]);
        lab.claim("and the header says so", told, format!("{header:x?}"))
    });
}

const LEFT_IN_A_TAG: Rule = Rule {
    id: "macvtap.offload.a-tag-moves-the-open-sum",
    promise: "of a tagged frame the header counts its tag: the open check sum begins four bytes \
              further on",
    source: Source { cite: "tap_put_user, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("macvlan"),
        Need::Driver("macvtap"),
        Need::MacvtapDevice,
        Need::Driver("vlan"),
    ],
};

#[test]
fn a_tag_moves_the_open_sum() {
    check(&LEFT_IN_A_TAG, async |case| {
        let lan = quiet(macvtap_lan(Mode::Bridge));
        let lan = lan.vlan("e:v5", "e:e0", 5).address("e:v5", "198.51.100.9/24");
        let lab = case.lab(&lan).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_offload(0x01)?;
        let came = datagram_from_e(&lab, &queue, Ipv4Addr::new(198, 51, 100, 255))?;
        let (header, frame) = came.split_at(10);
        let tagged = frame[12..16] == [0x81, 0, 0, 5];
        lab.claim("it has its tag", tagged, format!("{:x?}", &frame[..20]))?;
        let moved = [header[0], header[6], header[8]] == [1, 38, 6];
        lab.claim("and the header knows", moved, format!("{header:x?}"))
    });
}

const LEFT_BY_THE_WRITER: Rule = Rule {
    id: "macvtap.offload.check-sums-that-the-writer-left-open",
    promise: "a datagram that is written with a header that says its check sum is open reaches a \
              program outside; with the same bytes and no such header it is not taken",
    source: Source {
        cite: "virtio_net_hdr_to_skb, include/linux/virtio_net.h; virtio, 5.1.6",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

/// A datagram to `e`.
fn summed_datagram(lab: &CaseLab, text: &[u8]) -> Vec<u8> {
    let (from, to) = (lab.mac("c1:c0").0, lab.mac("e:e0").0);
    let builder = PacketBuilder::ethernet2(from, to)
        .ipv4([192, 0, 2, 11], [192, 0, 2, 9], 64)
        .udp(PORT, PORT);
    let mut frame = Vec::new();
    builder.write(&mut frame, text).expect("a vector takes all");
    frame
}

/// The same, its sum left open: that of the pseudo header stands there.
fn open_datagram(lab: &CaseLab, text: &[u8]) -> Vec<u8> {
    let mut frame = summed_datagram(lab, text);
    let length = u32::try_from(8 + text.len()).unwrap_or_default();
    let words = [0xc000, 0x020b, 0xc000, 0x0209, 17, length];
    let sum: u32 = words.iter().sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    frame[40..42].copy_from_slice(&folded.to_be_bytes()[2..]);
    frame
}

#[test]
fn check_sums_that_the_writer_left_open() {
    check(&LEFT_BY_THE_WRITER, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_flags(PLAIN | VNET_HEADER)?;
        let bind = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT))?;
            socket.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
            Ok(socket)
        };
        let socket = lab.inside("e", bind)?.map_err(|error| failed("listen", &error))?;
        // The first is not to be taken; the last shows that all have had their time.
        queue.write(&[&[0; 10][..], &open_datagram(&lab, b"wrong sum")].concat())?;
        queue.write(&[&LEFT_OPEN[..], &open_datagram(&lab, b"open sum")].concat())?;
        queue.write(&[&[0; 10][..], &summed_datagram(&lab, b"control")].concat())?;
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != "control") {
            let mut text = [0; 64];
            let length = socket.recv(&mut text);
            let length = length.map_err(|error| failed("hear the control", &error))?;
            heard.push(String::from_utf8_lossy(&text[..length]).into_owned());
        }
        lab.expect_lines("e hears the open one, and the control", heard, &["open sum", "control"])
    });
}

const SEGMENTS: Rule = Rule {
    id: "macvtap.offload.segments-by-what-the-reader-can",
    promise: "a long segment that is written to one link comes out of its sibling as it is, with \
              its kind and size in the header, unless the reader said that it cannot have such; then in \
              segments of that size, each with its own sum and sequence number",
    source: Source {
        cite: "tap_handle_frame, drivers/net/tap.c; virtio, 5.1.6",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// How much of a segment's text goes into one frame, and how much text there is.
const SIZE: u16 = 1000;
const TEXT: usize = 2500;

/// A segment of TCP that is too long for any frame, with a header that says how to cut it.
fn long_segment(lab: &CaseLab, family: Family, to: &str) -> Vec<u8> {
    long(lab, family, ("c1:c0", to), (TEXT, SIZE))
}

/// The sequence number of a TCP segment, how much text it has, and whether its sum is right.
fn segment(frame: &[u8]) -> Option<(u32, usize, bool)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { return None };
    let header = tcp.to_header();
    let right = match packet.net? {
        NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
        NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
        NetSlice::Arp(_) => return None,
    };
    let right = right.ok()? == header.checksum;
    Some((header.sequence_number, tcp.payload().len(), right))
}

#[rstest]
#[case::v4_to_who_said_nothing(Family::V4, None, true)]
#[case::v4_to_who_can(Family::V4, Some(0x03), true)]
#[case::v4_to_who_can_v6(Family::V4, Some(0x05), false)]
#[case::v4_to_who_cannot(Family::V4, Some(0x00), false)]
#[case::v6_to_who_can(Family::V6, Some(0x05), true)]
#[case::v6_to_who_can_v4(Family::V6, Some(0x03), false)]
fn segments_by_what_the_reader_can(
    #[case] family: Family,
    #[case] offload: Option<u32>,
    #[case] whole: bool,
) {
    check(&SEGMENTS, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        lab.grow(|lan| lan.macvtap("p:c9", "p:p0", Mode::Bridge)).await?;
        let (writer, reader) = (lab.open_queue("c1:c0")?, lab.open_queue("p:c9")?);
        if let Some(offload) = offload {
            reader.set_offload(offload)?;
        }
        writer.write(&long_segment(&lab, family, "p:c9"))?;
        if whole {
            let wanted = long_segment(&lab, family, "p:c9");
            return expect_whole(&lab, &reader, family, &wanted);
        }
        expect_cut(&lab, &reader, family, offload == Some(0))
    });
}

/// Whether that is a part of the long segment, behind its header.
fn is_of_it(bytes: &[u8], family: Family) -> bool {
    let start = if family == Family::V4 { 34 } else { 54 };
    bytes.get(10 + start..10 + start + 4) == Some(&[0, 7, 0, 9])
}

/// Holds that the long segment comes out as it was written.
fn expect_whole(lab: &CaseLab, reader: &Queue, family: Family, wanted: &[u8]) -> Result<(), Stop> {
    let came = reader.wait_for("the segment", |bytes| is_of_it(bytes, family))?;
    // The length of the headers is a hint: the kernel gives what lies together.
    let told = [&came[..2], &came[4..10]].concat();
    let asked = [&wanted[..2], &wanted[4..10]].concat();
    lab.claim("its header is the writer's", told == asked, format!("{told:x?}"))?;
    lab.claim("it is as it was written", came[10..] == wanted[10..], "it is not")
}

/// Holds that it comes out cut in three, with the sums filled in or left open.
fn expect_cut(lab: &CaseLab, reader: &Queue, family: Family, summed: bool) -> Result<(), Stop> {
    for (sequence, length) in [(77, 1000), (1077, 1000), (2077, 500)] {
        let came = reader.wait_for("a segment", |bytes| is_of_it(bytes, family))?;
        let seen = segment(&came[10..]);
        let claim = format!("{length} bytes from {sequence} on");
        let wanted = Some((sequence, length, summed));
        lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
        let told = came[..2] == [u8::from(!summed), 0];
        lab.claim("its header says who sums", told, format!("{:x?}", &came[..10]))?;
    }
    Ok(())
}

const CONGESTED: Rule = Rule {
    id: "macvtap.offload.segments-that-tell-of-congestion-are-a-kind-apart",
    promise: "a long segment that is marked as one that tells of congestion comes out as it is, its \
              mark in the header, of a reader that said that it can have such, and cut if it said \
              only that it can have segments",
    source: Source {
        cite: "set_offload, TUN_F_TSO_ECN, drivers/net/tap.c; virtio, 5.1.6, VIRTIO_NET_HDR_GSO_ECN",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4_to_who_can(Family::V4, 0x0b, true)]
#[case::v4_to_who_cannot(Family::V4, 0x03, false)]
#[case::v6_to_who_can(Family::V6, 0x0d, true)]
#[case::v6_to_who_cannot(Family::V6, 0x05, false)]
fn segments_that_tell_of_congestion_are_a_kind_apart(
    #[case] family: Family,
    #[case] offload: u32,
    #[case] whole: bool,
) {
    const TELLS_OF_CONGESTION: u8 = 0x80;
    check(&CONGESTED, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        lab.grow(|lan| lan.macvtap("p:c9", "p:p0", Mode::Bridge)).await?;
        let (writer, reader) = (lab.open_queue("c1:c0")?, lab.open_queue("p:c9")?);
        reader.set_offload(offload)?;
        let mut long = long_segment(&lab, family, "p:c9");
        long[1] |= TELLS_OF_CONGESTION;
        writer.write(&long)?;
        if whole {
            return expect_whole(&lab, &reader, family, &long);
        }
        expect_cut(&lab, &reader, family, false)
    });
}

const CUT: Rule = Rule {
    id: "macvtap.offload.segments-are-cut-for-a-parent-that-takes-none",
    promise: "a long segment that is written to a link leaves by its parent as it is, and where the \
              parent takes none, cut into segments of the size that the writer said",
    source: Source {
        cite: "tap_get_user, drivers/net/tap.c; validate_xmit_skb, net/core/dev.c; virtio, 5.1.6",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn segments_are_cut_for_a_parent_that_takes_none(#[case] family: Family) {
    check(&CUT, async |case| {
        let mut lab = case.lab(&two_ends()).await?;
        let (writer, reader) = (lab.open_queue("c1:c0")?, lab.open_queue("e:c9")?);
        for takes in [true, false, true] {
            lab.set_offload("p:p0", Offload::Tso, takes)?;
            let long = long_segment(&lab, family, "e:c9");
            writer.write(&long)?;
            if takes {
                expect_whole(&lab, &reader, family, &long)?;
            } else {
                expect_cut(&lab, &reader, family, false)?;
            }
        }
        Ok(())
    });
}

/// A cable with a link that has a device at each of its ends.
fn two_ends() -> Topology {
    let lan = Topology::new("two-ends").host("c1").netns("p").host("e").cable("p:p0", "e:e0");
    let lan = lan.macvtap("c1:c0", "p:p0", Mode::Bridge).macvtap("e:c9", "e:e0", Mode::Bridge);
    quiet(lan)
}

const JOINED: Rule = Rule {
    id: "macvtap.offload.a-cable-that-joins-gives-longer-ones",
    promise: "what one end of a cable has cut of a long segment is joined again at the other end if \
              that joins what comes, and comes in segments if not",
    source: Source {
        cite: "veth_xdp_rcv, napi_gro_receive, drivers/net/veth.c; ethtool(8), gro",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("macvlan"),
        Need::Driver("macvtap"),
        Need::MacvtapDevice,
        Need::Since(6, 1),
    ],
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_cable_that_joins_gives_longer_ones(#[case] family: Family) {
    check(&JOINED, async |case| {
        let mut lab = case.lab(&two_ends()).await?;
        let (writer, reader) = (lab.open_queue("c1:c0")?, lab.open_queue("e:c9")?);
        lab.set_offload("p:p0", Offload::Tso, false)?;
        for joins in [false, true, false] {
            lab.set_offload("e:e0", Offload::Gro, joins)?;
            writer.write(&long_segment(&lab, family, "e:c9"))?;
            if joins {
                expect_joined(&lab, &reader, family)?;
            } else {
                expect_cut(&lab, &reader, family, false)?;
            }
        }
        Ok(())
    });
}

/// Holds that it comes out in order, and in fewer frames than it was cut into.
fn expect_joined(lab: &CaseLab, reader: &Queue, family: Family) -> Result<(), Stop> {
    let mut texts = Vec::new();
    while texts.iter().sum::<usize>() < TEXT {
        let came = reader.wait_for("a segment", |bytes| is_of_it(bytes, family))?;
        let seen = segment(&came[10..]).map(|(from, text, _)| (from as usize, text));
        let next = 77 + texts.iter().sum::<usize>();
        let in_order = seen.is_some_and(|(from, _)| from == next);
        lab.claim(&format!("one from {next} on"), in_order, format!("{seen:?}"))?;
        texts.extend(seen.map(|(_, text)| text));
    }
    lab.claim("fewer than three", texts.len() < 3, format!("{texts:?}"))
}

const VALID: Rule = Rule {
    id: "macvtap.offload.sums-that-were-looked-at-are-told-as-good",
    promise: "of a segment whose check sum a joining cable has found good the reader is told that it \
              was looked at, and nothing of a broken one, or where nobody looked",
    source: Source {
        cite: "tap_put_user, drivers/net/tap.c; virtio, 5.1.6, VIRTIO_NET_HDR_F_DATA_VALID",
        strength: Strength::Standard,
    },
    article: &[],
    needs: JOINED.needs,
};

/// A segment of TCP to the other end, with a sound sum or a broken one.
fn short_segment(lab: &CaseLab, sound: bool) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(lab.mac("c1:c0").0, lab.mac("e:c9").0);
    let written = ethernet.ipv4([192, 0, 2, 11], [192, 0, 2, 19], 64).tcp(7, 9, 77, 1024).ack(1);
    let mut frame = Vec::new();
    written.write(&mut frame, &[0; 100]).expect("a vector takes all");
    frame[50] ^= u8::from(!sound);
    frame
}

#[test]
fn sums_that_were_looked_at_are_told_as_good() {
    const LOOKED_AT: u8 = 2;
    check(&VALID, async |case| {
        let mut lab = case.lab(&two_ends()).await?;
        let (writer, reader) = (lab.open_queue("c1:c0")?, lab.open_queue("e:c9")?);
        // From who can have long segments nothing is joined.
        lab.set_offload("p:p0", Offload::Tso, false)?;
        for (joins, sound) in [(false, true), (true, true), (true, false), (true, true)] {
            lab.set_offload("e:e0", Offload::Gro, joins)?;
            writer.send(&short_segment(&lab, sound))?;
            let came = reader.wait_for("it", |bytes| is_of_it(bytes, Family::V4))?;
            let wanted = if joins && sound { LOOKED_AT } else { 0 };
            let claim = format!("joins {joins}, sound {sound}: {wanted}");
            lab.claim(&claim, came[0] == wanted, came[0])?;
        }
        Ok(())
    });
}
