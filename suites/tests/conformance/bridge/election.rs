//! Which of several that ask for memberships a bridge heeds, and what it does when it asks itself.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a and b ask, c sends
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hairpin_harness::options::bridge::{
    MCAST_MEMBERSHIP_INTERVAL, MCAST_QUERIER, MCAST_QUERY_RESPONSE_INTERVAL,
};
use hairpin_harness::{Family, Message, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::querier::{ask, group, snooping, tell, to};

pub(crate) const RULES: &[Rule] = &[LOWEST, OWN];

const LOWEST: Rule = Rule {
    id: "bridge.election.the-lowest-address-is-heeded",
    promise: "of two that ask, the one with the lower address is taken as the querier, and towards \
              it all groups go; one with a higher address is not, and takes nothing from it",
    source: Source {
        cite: "RFC 3376, 6.6.2; RFC 3810, 7.6.2; br_multicast_select_querier",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

/// One who asks: `ask` has 99 ask.
pub(super) fn asker(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, number).into(),
        // The number is read as hexadecimal there.
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number) + 0x36).into(),
    }
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn the_lowest_address_is_heeded(#[case] family: Family) {
    check(&LOWEST, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let unknown = to(group(family, 2));
        ask(&mut lab, family).await?;
        lab.expect_shot("c", &unknown, "a multicast").await?;
        let from = |number| Message::query(family).from(asker(family, number));
        tell(&mut lab, "sw:p2", from(100)).await?;
        lab.expect_shot("c", &unknown, "a multicast").await?;
        tell(&mut lab, "sw:p2", from(98)).await?;
        lab.expect_shot("c", &unknown, "a multicast, b multicast").await?;
        Ok(())
    });
}

const OWN: Rule = Rule {
    id: "bridge.election.a-bridge-that-asks-believes-answers",
    promise: "a bridge that is told to ask itself needs no other: when its time for answers is \
              over, groups go to members only, and those without members nowhere; told not to ask \
              any more it sends both everywhere",
    source: Source {
        cite: "ip-link(8), mcast_querier; br_multicast_querier_exists, net/bridge/br_private.h",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_bridge_that_asks_believes_answers(#[case] family: Family) {
    check(&OWN, async |case| {
        // To ask in IPv6 it needs an address.
        let speaking = snooping().sysctl("sw", "ipv6.conf.default.disable_ipv6", "0");
        let mut lab = case.lab(&speaking.address("sw:br", "2001:db8::9/64")).await?;
        let (known, unknown, marker) = (group(family, 1), group(family, 2), group(family, 3));
        lab.say("b", &[Message::report(marker)]).await?;
        lab.expect_member("sw:p2", &marker.to_string(), true).await?;
        lab.set_option("sw:br", MCAST_QUERY_RESPONSE_INTERVAL, 10).await?;
        lab.set_option("sw:br", MCAST_QUERIER, 1).await?;
        // Half a second after it is reported again it ends: later than answers are awaited.
        lab.set_option("sw:br", MCAST_MEMBERSHIP_INTERVAL, 50).await?;
        lab.say("b", &[Message::report(marker)]).await?;
        lab.expect_member("sw:p2", &marker.to_string(), false).await?;
        lab.set_option("sw:br", MCAST_MEMBERSHIP_INTERVAL, 26_000).await?;
        lab.say("b", &[Message::report(known)]).await?;
        lab.expect_member("sw:p2", &known.to_string(), true).await?;
        lab.expect_shot("c", &to(known), "b multicast").await?;
        lab.expect_shot("c", &to(unknown), "nobody").await?;
        lab.set_option("sw:br", MCAST_QUERIER, 0).await?;
        for group in [known, unknown] {
            let all = "a multicast, b multicast, sw multicast";
            lab.expect_shot("c", &to(group), all).await?;
        }
        Ok(())
    });
}
