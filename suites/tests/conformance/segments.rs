//! Segments of TCP that are too long for any frame, as the writer of a macvtap link's queue has them: it
//! leaves the cutting, and the check sums, to the kernel.
//!
//! No cases here.

use etherparse::PacketBuilder;
use hairpin_harness::{CaseLab, Family};

/// A segment from one link's address to another's with so many bytes of text, behind a header that says
/// how many of them go into one frame.
pub(crate) fn long(
    lab: &CaseLab,
    family: Family,
    (from, to): (&str, &str),
    (text, size): (usize, u16),
) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(lab.mac(from).0, lab.mac(to).0);
    let text: Vec<u8> = (0..text).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
    let mut frame = Vec::new();
    let (kind, start) = match family {
        Family::V4 => (1, 34),
        Family::V6 => (4, 54),
    };
    let written = match family {
        Family::V4 => ethernet.ipv4([192, 0, 2, 11], [192, 0, 2, 19], 64),
        Family::V6 => ethernet.ipv6([0xfe; 16], [0xfd; 16], 64),
    };
    let written = written.tcp(7, 9, 77, 1024).ack(1).write(&mut frame, &text);
    written.expect("a vector takes all");
    // The pseudo header's sum stands where the whole one is to come: what it is does not matter
    // here, but that each segment's is right.
    let sum = pseudo_sum(&frame, family);
    frame[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
    let begin = u16::try_from(start).unwrap_or_default();
    let mut header = vec![1, kind];
    for word in [begin + 20, size, begin, 16] {
        header.extend(word.to_le_bytes());
    }
    [header, frame].concat()
}

/// The sum of a frame's pseudo header, of TCP, not yet complemented.
fn pseudo_sum(frame: &[u8], family: Family) -> u16 {
    let (addresses, start) = match family {
        Family::V4 => (&frame[26..34], 34),
        Family::V6 => (&frame[22..54], 54),
    };
    let word = |two: &[u8]| u32::from(two[0]) << 8 | u32::from(two[1]);
    let length = u32::try_from(frame.len() - start).unwrap_or_default();
    let sum: u32 = addresses.chunks(2).map(word).sum::<u32>() + 6 + length;
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or_default()
}
