//! What a bridge makes of a member that says more than once which senders it wants to hear.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a asks, b is a member, c sends as senders 1, 2 and 3
//!   b --- p2 +----+
//! ```

use hairpin_harness::Record::{Allow, IsExclude, IsInclude, ToExclude, ToInclude};
use hairpin_harness::options::bridge;
use hairpin_harness::{Family, Message, Need, Record, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::querier::{ask, group, sender, snooping};

pub(crate) const RULES: &[Rule] = &[CHANGED];

const CHANGED: Rule = Rule {
    id: "bridge.senders.a-member-changes-its-mind",
    promise: "what a member says of senders is put together with what it said before: some are \
              added to those that it hears, some alone are shut out, one that was shut out is let \
              in; an answer counts as a change does",
    source: Source {
        cite: "RFC 3376, 6.4.1; RFC 3810, 7.4.1; br_multicast_isinc_allow and br_multicast_toex",
        strength: Strength::Standard,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)],
};

#[rstest]
#[case::answers_with_some(&[(IsInclude, 1)], [true, false, false])]
#[case::answers_without_some(&[(IsExclude, 2)], [true, false, true])]
#[case::some_and_one_more(&[(ToInclude, 1), (Allow, 2)], [true, true, false])]
#[case::some_then_all_but_one(&[(ToInclude, 1), (ToExclude, 2)], [true, false, true])]
#[case::all_but_one_let_in_again(&[(ToExclude, 2), (Allow, 2)], [true, true, true])]
fn a_member_changes_its_mind(
    #[case] said: &[(Record, u8)],
    #[case] heard: [bool; 3],
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&CHANGED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let newest = [(bridge::MCAST_IGMP_VERSION, 3), (bridge::MCAST_MLD_VERSION, 2)];
        lab.set_options("sw:br", &newest).await?;
        let group = group(family, 1);
        for (record, number) in said {
            let record = Message::record(*record, group, &[sender(family, *number)]);
            lab.say("b", &[record]).await?;
        }
        lab.expect_member("sw:p2", &group.to_string(), true).await?;
        ask(&mut lab, family).await?;
        for (number, heard) in (1..).zip(heard) {
            let who = if heard { "a multicast, b multicast" } else { "a multicast" };
            let of_it = Shot::datagram(sender(family, number), group);
            lab.expect_shot("c", &of_it, who).await?;
        }
        Ok(())
    });
}
