//! A question of IPv6 for a neighbour (RFC 4861, 4.3), written as a case wants it: also by nobody, as
//! one that looks whether an address is free asks (RFC 4862, 5.4.2).

use std::net::Ipv6Addr;

use super::decode::payload;
use super::icmpv6;

/// How far behind the packet's beginning its number is: header, message, head of an option.
pub(super) const NUMBER_AT: usize = icmpv6::HEADER + 24 + 2;

/// The packet. Its number is in an option of a kind that is for experiments: whoever reads options
/// goes over it.
pub(super) fn packet((from, target): (Ipv6Addr, Ipv6Addr), number: u32) -> Vec<u8> {
    const EXPERIMENT: u8 = 253;
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    message.extend([EXPERIMENT, 2]);
    message.extend(payload(number));
    message.extend([0; 2]);
    icmpv6::packet(from, icmpv6::solicited_node(target), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_of_its_group_and_bears_its_check_sum() {
        let target: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
        let packet = packet((Ipv6Addr::UNSPECIFIED, target), 7);
        assert!(icmpv6::is_sound(&packet));
        assert_eq!(packet[24..40], icmpv6::solicited_node(target).octets());
        assert_eq!(packet[NUMBER_AT..][..12], payload(7));
    }
}
