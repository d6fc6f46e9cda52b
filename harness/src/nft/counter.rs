//! Finds the counters in what the kernel lists of a rule. Only reads bytes.

use netlink_packet_core::{NLA_HEADER_SIZE, NlasIterator};

use super::{
    expr::{COUNTER, EXPR_DATA, EXPR_NAME},
    ruleset::{COMMENT, Place, RULE_EXPRESSIONS, RULE_USERDATA},
};

/// `NFTA_COUNTER_BYTES`, `NFTA_COUNTER_PACKETS`.
const BYTES: u16 = 1;
const PACKETS: u16 = 2;

/// How much one rule, or a chain's policy, has taken since the firewall was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What it counts for.
    pub place: Place,
    /// How many packets.
    pub packets: u64,
    /// Their bytes, from the IP header on.
    pub bytes: u64,
}

impl Counter {
    /// Reads it from a rule's attributes; `None` for a rule that Hairpin did not write.
    pub(super) fn read(rule: &[u8]) -> Option<Self> {
        let place = Place::parse(comment(attr(rule, RULE_USERDATA)?)?)?;
        let count = attrs(attr(rule, RULE_EXPRESSIONS)?).find_map(|(_, expr)| data(expr))?;
        Some(Self { place, packets: number(count, PACKETS)?, bytes: number(count, BYTES)? })
    }
}

/// What a counter expression holds; `None` for another expression.
fn data(expr: &[u8]) -> Option<&[u8]> {
    let name = attr(expr, EXPR_NAME)?.strip_suffix(b"\0")?;
    if name == COUNTER.as_bytes() { attr(expr, EXPR_DATA) } else { None }
}

/// The comment in a rule's user data, which is a run of kind, length, value.
fn comment(mut data: &[u8]) -> Option<&str> {
    while let [kind, length, rest @ ..] = data {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        if *kind == COMMENT {
            return std::str::from_utf8(value.strip_suffix(b"\0")?).ok();
        }
        data = next;
    }
    None
}

fn number(bytes: &[u8], kind: u16) -> Option<u64> {
    attr(bytes, kind)?.try_into().ok().map(u64::from_be_bytes)
}

fn attr(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attrs(bytes).find(|attr| attr.0 == kind).map(|attr| attr.1)
}

/// Kinds and values, up to the first attribute that is cut.
fn attrs(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attr| {
        // The iterator has checked the length. Its own `value` would borrow from `attr`.
        let end = usize::from(attr.length());
        (attr.kind(), &attr.into_inner()[NLA_HEADER_SIZE..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::message::Attrs;

    fn rule(comment: &[u8]) -> Attrs {
        let count = Attrs::new().bytes(BYTES, &84u64.to_be_bytes()).bytes(PACKETS, &[0; 8]);
        let other = Attrs::new().text(EXPR_NAME, "meta").nest(EXPR_DATA, &Attrs::new());
        let counter = Attrs::new().text(EXPR_NAME, COUNTER).nest(EXPR_DATA, &count);
        let list = Attrs::new().nest(1, &other).nest(1, &counter);
        Attrs::new().nest(RULE_EXPRESSIONS, &list).bytes(RULE_USERDATA, comment)
    }

    #[test]
    fn a_counter_is_found_behind_other_expressions_and_user_data() {
        let rule = rule(b"\x09\x02xy\x00\x07rule 3\0");
        let expected = Counter { place: Place::Rule(3), packets: 0, bytes: 84 };
        assert_eq!(Counter::read(rule.as_bytes()), Some(expected));
    }

    #[test]
    fn rules_of_others_are_passed_over() {
        for comment in [&b""[..], b"\x00", b"\x00\x09rule 3\0", b"\x00\x06rule 3", b"\x00\x03hi\0"]
        {
            assert_eq!(Counter::read(rule(comment).as_bytes()), None);
        }
    }

    #[test]
    fn no_cut_of_a_rule_makes_it_panic() {
        // Of a length that needs no padding, so that each cut takes something away.
        let rule = rule(b"\x00\x0arule 1000\0");
        assert!(Counter::read(rule.as_bytes()).is_some());
        for length in 0..rule.as_bytes().len() {
            assert_eq!(Counter::read(&rule.as_bytes()[..length]), None);
        }
    }
}
