//! IP packets that are none, or odd: one thing is so with each, and all else is as it should be.

use etherparse::checksum::Sum16BitWords;

/// What is wrong with an IP packet that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its version is not the one that its ethertype says.
    Version,
    /// It says to be longer than it is.
    Length,
    /// The check sum of its header is another; IPv6 has none.
    Sum,
    /// It says to be shorter than its header; only IPv4 can.
    Short,
    /// Its frame goes on behind it.
    Padded,
    /// It has a header of hop-by-hop options, which are these; only IPv6 can.
    Options([u8; 6]),
}

impl Flaw {
    /// Puts it into a sound packet without options.
    pub(super) fn put(self, packet: &mut Vec<u8>) {
        const OTHER: u8 = 5;
        const IPV4_LENGTH: usize = 2;
        const IPV6_LENGTH: usize = 4;
        let is_ipv4 = packet[0] >> 4 == 4;
        match self {
            Self::Version => packet[0] = OTHER << 4 | packet[0] & 0xf,
            Self::Length => packet[if is_ipv4 { IPV4_LENGTH } else { IPV6_LENGTH }] |= 0x40,
            Self::Short => packet[IPV4_LENGTH..][..2].copy_from_slice(&[0, 10]),
            Self::Padded => packet.extend([0; 10]),
            Self::Options(options) => add_options(packet, options),
            Self::Sum => {}
        }
        if is_ipv4 {
            let sum = header_sum(&packet[..20]) ^ if self == Self::Sum { 1 } else { 0 };
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
    }
}

/// Puts a header of hop-by-hop options (RFC 8200, 4.3) before what an IPv6 packet carries.
fn add_options(packet: &mut Vec<u8>, options: [u8; 6]) {
    const LENGTH: usize = 5;
    const NEXT: usize = 6;
    const HEADER: usize = 40;
    let header = [&[packet[NEXT], 0][..], &options].concat();
    packet[LENGTH] += 8;
    packet[NEXT] = 0;
    packet.splice(HEADER..HEADER, header);
}

/// The check sum of an IPv4 header, whatever it says to be (RFC 791, 3.1).
fn header_sum(header: &[u8]) -> u16 {
    let sum = Sum16BitWords::new().add_slice(&header[..10]).add_slice(&header[12..]);
    sum.ones_complement().to_be()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 1071's way to sum: a header of 20 bytes, with its check sum.
    const SOUND: [u8; 20] = [
        0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,
        0xc7,
    ];

    #[test]
    fn only_one_thing_is_wrong() {
        assert_eq!(header_sum(&SOUND), 0xb861);
        for (flaw, is_summed) in [(Flaw::Version, true), (Flaw::Length, true), (Flaw::Sum, false)] {
            let mut packet = SOUND.to_vec();
            flaw.put(&mut packet);
            let told = u16::from_be_bytes([packet[10], packet[11]]);
            assert_eq!(told == header_sum(&packet), is_summed, "{flaw:?}");
            let same = packet.iter().zip(SOUND).filter(|(now, was)| **now == *was).count();
            assert!((17..20).contains(&same), "{flaw:?}");
        }
    }
}
