//! A question of IPv6 for a neighbour (RFC 4861, 4.3), written as a case wants it: also by nobody, as
//! one that looks whether an address is free asks (RFC 4862, 5.4.2).

use std::net::Ipv6Addr;

use etherparse::checksum::Sum16BitWords;

use super::decode::payload;

/// How far behind the packet's beginning its number is: header, message, head of an option.
pub(super) const NUMBER_AT: usize = 40 + 24 + 2;

/// The group that a neighbour with that address listens to.
pub(super) fn group(target: Ipv6Addr) -> Ipv6Addr {
    let [.., g, h] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | g & 0xff, h)
}

/// The packet. Its number is in an option of a kind that is for experiments: whoever reads options
/// goes over it.
pub(super) fn packet((from, target): (Ipv6Addr, Ipv6Addr), number: u32) -> Vec<u8> {
    const EXPERIMENT: u8 = 253;
    let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
    body.extend(target.octets());
    body.extend([EXPERIMENT, 2]);
    body.extend(payload(number));
    body.extend([0; 2]);
    let addresses = [from.octets(), group(target).octets()].concat();
    let length = u16::try_from(body.len()).expect("it is short").to_be_bytes();
    let sum = Sum16BitWords::new().add_slice(&addresses).add_2bytes(length);
    let sum = sum.add_2bytes([0, 58]).add_slice(&body).ones_complement();
    // The words were summed as this machine reads them.
    body[2..4].copy_from_slice(&sum.to_ne_bytes());
    [&[0x60, 0, 0, 0, length[0], length[1], 58, 255][..], &addresses, &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_of_its_group_and_bears_its_check_sum() {
        let target: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
        assert_eq!(group(target).to_string(), "ff02::1:ff12:3456");
        let packet = packet((Ipv6Addr::UNSPECIFIED, target), 7);
        let length = [packet[4], packet[5]];
        assert_eq!(usize::from(u16::from_be_bytes(length)), packet.len() - 40);
        let sum = Sum16BitWords::new().add_slice(&packet[8..40]).add_2bytes(length);
        let sum = sum.add_2bytes([0, 58]).add_slice(&packet[40..]);
        assert_eq!(sum.ones_complement(), 0);
        assert_eq!(packet[NUMBER_AT..][..12], payload(7));
    }
}
