//! Packets of ICMPv6 (RFC 4443) as neighbours exchange them (RFC 4861): never routed, no extension headers.
//! What they say is `advert`'s and `solicitation`'s.

use std::net::Ipv6Addr;

use etherparse::checksum::Sum16BitWords;
use hairpin_model::Mac;

use super::membership::group_mac;

/// How long the header of IPv6 is.
pub(super) const HEADER: usize = 40;

const PROTOCOL: u8 = 58;

/// The packet with that message, whose check sum is put in.
pub(super) fn packet(from: Ipv6Addr, to: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let addresses = [from.octets(), to.octets()].concat();
    let length = u16::try_from(message.len()).expect("it is short").to_be_bytes();
    let sum = sum(&addresses, length, &message);
    // The words were summed as this machine reads them.
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    let header = [0x60, 0, 0, 0, length[0], length[1], PROTOCOL, 255];
    [&header[..], &addresses, &message].concat()
}

/// The sum over a message with what goes before it: its check sum, or 0 if that is in it and right.
fn sum(addresses: &[u8], length: [u8; 2], message: &[u8]) -> u16 {
    let before = Sum16BitWords::new().add_slice(addresses).add_2bytes(length);
    before.add_2bytes([0, PROTOCOL]).add_slice(message).ones_complement()
}

/// The group that a neighbour with that address listens to (RFC 4291, 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., g, h] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | g & 0xff, h)
}

/// The Ethernet group that it takes for that.
pub(crate) fn solicited_mac(address: Ipv6Addr) -> Mac {
    group_mac(solicited_node(address).into())
}

/// Whether a packet is as long as it says and bears its check sum.
#[cfg(test)]
pub(super) fn is_sound(packet: &[u8]) -> bool {
    let length = [packet[4], packet[5]];
    let whole = usize::from(u16::from_be_bytes(length)) == packet.len() - HEADER;
    whole && sum(&packet[8..HEADER], length, &packet[HEADER..]) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_listens_to_a_group_by_the_end_of_its_address() {
        let address: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff12:3456");
        assert_eq!(solicited_mac(address), Mac([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let mut packet = packet(address, solicited_node(address), vec![135, 0, 0, 0, 1, 2, 3, 4]);
        assert!(is_sound(&packet));
        packet[HEADER + 5] ^= 1;
        assert!(!is_sound(&packet));
    }
}
