//! What a bridge that follows memberships does with a report or a leave itself: who hears it, and
//! whether it is believed. The messages are the case's own.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a asks, b is the member
//!   b --- p2 +----+
//! ```

use hairpin_harness::options::{bridge, port};
use hairpin_harness::{Family, Message, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::querier::{ask, expect_members, group, snooping};

pub(crate) const RULES: &[Rule] = &[REPORTS, UNHEARD, AT_ONCE];

const REPORTS: Rule = Rule {
    id: "bridge.reports.go-to-routers",
    promise: "a report for one group goes to the ports where routers are, so that no other member \
              keeps its own back; a leave goes everywhere, and so does all where nobody asks",
    source: Source { cite: "RFC 4541, 2.1.1 (1)", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn go_to_routers(#[case] family: Family) {
    check(&REPORTS, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let report = Shot::message(&Message::report(group(family, 3)));
        let leave = Shot::message(&Message::leave(group(family, 3)));
        let all = "a multicast, c multicast, sw multicast";
        lab.expect_shot("b", &report, all).await?;
        ask(&mut lab, family).await?;
        lab.expect_shot("b", &report, "a multicast").await?;
        lab.expect_shot("b", &leave, all).await?;
        Ok(())
    });
}

const UNHEARD: Rule = Rule {
    id: "bridge.reports.are-unheard-without-snooping",
    promise: "a report that comes while memberships are not followed makes no member, also of a \
              bridge that follows them again",
    source: Source {
        cite: "br_multicast_rcv, net/bridge/br_multicast.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn are_unheard_without_snooping(#[case] family: Family) {
    check(&UNHEARD, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let group = group(family, 7);
        let report = Shot::message(&Message::report(group));
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 0).await?;
        lab.expect_shot("b", &report, "a multicast, c multicast, sw multicast").await?;
        lab.set_option("sw:br", bridge::MCAST_SNOOPING, 1).await?;
        expect_members(&lab, group, &[]).await?;
        lab.shoot("b", &report).await?;
        expect_members(&lab, group, &["p2"]).await
    });
}

const AT_ONCE: Rule = Rule {
    id: "bridge.reports.a-leave-is-believed-at-once-where-told",
    promise: "where mcast_fast_leave is on, a member that leaves is none any more; where it is off, \
              the querier asks first",
    source: Source {
        cite: "bridge(8), mcast_fast_leave; br_multicast_leave_group",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_leave_is_believed_at_once_where_told(#[case] family: Family) {
    check(&AT_ONCE, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let group = group(family, 4);
        ask(&mut lab, family).await?;
        for (fast, left) in [(1, &[][..]), (0, &["p2"])] {
            lab.set_option("sw:p2", port::FAST_LEAVE, fast).await?;
            lab.shoot("b", &Shot::message(&Message::report(group))).await?;
            expect_members(&lab, group, &["p2"]).await?;
            lab.shoot("b", &Shot::message(&Message::leave(group))).await?;
            expect_members(&lab, group, left).await?;
        }
        Ok(())
    });
}
