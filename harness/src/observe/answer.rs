//! What came back for an echo request, in the words of a verdict. Which verdict it makes, and whether a
//! request that got none was blocked, is the matter of `ping`.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hairpin_model::Family;
use hairpin_model::grid::Refusal;
use surge_ping::{IcmpPacket, SurgeError};

/// A kernel that learns nothing of a neighbour asks three times, a second apart, and then says that
/// the host is unreachable. Nobody refuses that early.
const GIVES_UP: Duration = Duration::from_millis(2500);

/// How an echo request ended.
pub(super) enum Answer {
    Reply,
    Refused(Refusal),
    /// Something is wrong with us: words.
    Broken(String),
}

/// Whether this is no answer at all, but a kernel on the way that no longer waits for one: whether
/// it comes depends on how long our controls take, and it proves nothing.
pub(super) fn is_giving_up(refusal: &Refusal, after: Duration) -> bool {
    *refusal == Refusal::Host && after >= GIVES_UP
}

pub(super) fn answer(target: IpAddr, result: Result<(IcmpPacket, Duration), SurgeError>) -> Answer {
    match result {
        Ok((IcmpPacket::V4(packet), _)) => {
            let source = IpAddr::V4(packet.get_source());
            icmp4(packet.get_icmp_type().0, packet.get_icmp_code().0, source == target)
        }
        Ok((IcmpPacket::V6(packet), _)) => {
            let source = IpAddr::V6(packet.get_source());
            icmp6(packet.get_icmpv6_type().0, packet.get_icmpv6_code().0, source == target)
        }
        Err(SurgeError::IOError(error)) => local(&error),
        Err(error) => Answer::Broken(error.to_string()),
    }
}

/// The refusal that an ICMP error tells; `None` for messages that refuse nothing.
pub(super) fn icmp_refusal(family: Family, kind: u8, code: u8) -> Option<Refusal> {
    let answer = match family {
        // 5 is a redirect.
        Family::V4 if matches!(kind, 3 | 11 | 12) => icmp4(kind, code, false),
        Family::V6 if matches!(kind, 1..=4) => icmp6(kind, code, false),
        _ => return None,
    };
    match answer {
        Answer::Refused(refusal) => Some(refusal),
        Answer::Reply | Answer::Broken(_) => None,
    }
}

/// Codes of RFC 792 and RFC 1812.
fn icmp4(kind: u8, code: u8, from_target: bool) -> Answer {
    match (kind, code) {
        (0, _) if from_target => Answer::Reply,
        (3, 0) => Answer::Refused(Refusal::NoRoute),
        (3, 1) => Answer::Refused(Refusal::Host),
        (3, 3) => Answer::Refused(Refusal::Port),
        (3, 9 | 10 | 13) => Answer::Refused(Refusal::Prohibited),
        (kind, code) => Answer::Refused(Refusal::Other(format!("ICMP type {kind} code {code}"))),
    }
}

/// Codes of RFC 4443.
fn icmp6(kind: u8, code: u8, from_target: bool) -> Answer {
    match (kind, code) {
        (129, _) if from_target => Answer::Reply,
        (1, 0) => Answer::Refused(Refusal::NoRoute),
        (1, 1 | 5 | 6) => Answer::Refused(Refusal::Prohibited),
        (1, 3) => Answer::Refused(Refusal::Host),
        (1, 4) => Answer::Refused(Refusal::Port),
        (kind, code) => Answer::Refused(Refusal::Other(format!("ICMPv6 type {kind} code {code}"))),
    }
}

/// What the sender's own kernel said.
fn local(error: &io::Error) -> Answer {
    Answer::Refused(match error.raw_os_error() {
        Some(libc::ENETUNREACH) => Refusal::NoRoute,
        Some(libc::EHOSTUNREACH) => Refusal::Host,
        Some(libc::EPERM | libc::EACCES) => Refusal::Prohibited,
        _ => Refusal::Other(format!("the sender's kernel: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_host_unreachable_is_a_kernel_that_gave_up() {
        let after = |refusal: Refusal, ms| is_giving_up(&refusal, Duration::from_millis(ms));
        assert!(after(Refusal::Host, 3000));
        assert!(!after(Refusal::Host, 1));
        assert!(!after(Refusal::Prohibited, 3000));
    }

    #[test]
    fn only_errors_refuse() {
        assert_eq!(icmp_refusal(Family::V4, 3, 3), Some(Refusal::Port));
        assert_eq!(icmp_refusal(Family::V6, 1, 4), Some(Refusal::Port));
        // A redirect, and an advertisement.
        assert_eq!(icmp_refusal(Family::V4, 5, 1), None);
        assert_eq!(icmp_refusal(Family::V6, 136, 0), None);
    }
}
