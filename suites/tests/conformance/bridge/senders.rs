//! What a bridge makes of a member that says more than once which senders it wants to hear.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a asks, b is a member, c sends as senders 1, 2 and 3
//!   b --- p2 +----+
//! ```

use hairpin_harness::Record::{Allow, Block, IsExclude, IsInclude, ToExclude, ToInclude};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    CaseLab, Family, Message, Need, Record, Rule, Shot, Source, Stop, Strength, check,
};
use rstest::rstest;

use super::querier::{ask, group, sender, snooping, speak_newest};

pub(crate) const RULES: &[Rule] = &[CHANGED, BLOCKED, AT_ONCE, LET_IN, OF_ALL, TOLD];

/// Hosts are followed one by one.
const FOLLOWED: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 12)];

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

/// In hundredths of a second.
const A_MINUTE: u64 = 6000;

#[rstest]
#[case::answers_with_some(&[(IsInclude, 1)], [true, false, false])]
#[case::answers_without_some(&[(IsExclude, 2)], [true, false, true])]
#[case::some_and_one_more(&[(ToInclude, 1), (Allow, 2)], [true, true, false])]
#[case::some_then_all_but_one(&[(ToInclude, 1), (ToExclude, 2)], [true, false, true])]
#[case::all_but_one_twice(&[(ToExclude, 2), (ToExclude, 2)], [true, false, true])]
#[case::all_but_one_and_answers_so(&[(ToExclude, 2), (IsExclude, 2)], [true, false, true])]
#[case::all_but_one_then_it_too(&[(ToExclude, 2), (ToInclude, 2)], [true, true, true])]
#[case::all_but_one_and_answers_with_it(&[(ToExclude, 2), (IsInclude, 2)], [true, true, true])]
#[case::some_and_answers_all_but_it(&[(IsInclude, 1), (IsExclude, 1)], [true, true, true])]
#[case::all_but_one_let_in_again(&[(ToExclude, 2), (Allow, 2)], [true, true, true])]
fn a_member_changes_its_mind(
    #[case] said: &[(Record, u8)],
    #[case] heard: [bool; 3],
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&CHANGED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        // Who lets one sender in again is asked about the others; without an answer they end in twice this time.
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, A_MINUTE).await?;
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

/// Has `b` hear senders 1 and 2 alone.
async fn hear_two(lab: &mut CaseLab, family: Family) -> Result<(), Stop> {
    speak_newest(lab).await?;
    let both = [sender(family, 1), sender(family, 2)];
    let record = Message::record(ToInclude, group(family, 1), &both);
    lab.shoot("b", &Shot::message(&record)).await?;
    expect_heard(lab, family, &[1, 2]).await
}

/// Holds which senders of the group the bridge hands on to `b`.
pub(super) async fn expect_heard(
    lab: &CaseLab,
    family: Family,
    numbers: &[u8],
) -> Result<(), Stop> {
    let (name, entries) = (group(family, 1).to_string(), lab.mdb("sw").await?);
    let of_b = entries.iter().filter(|entry| entry.group == name && entry.link == "p2");
    let mut seen: Vec<String> =
        of_b.filter_map(|entry| entry.source).map(|source| source.to_string()).collect();
    seen.sort();
    let wanted: Vec<String> =
        numbers.iter().map(|number| sender(family, *number).to_string()).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    lab.expect_lines("the senders that b hears", seen, &wanted)
}

/// Has `b` hear sender 1 no longer.
async fn block_one(lab: &mut CaseLab, family: Family) -> Result<(), Stop> {
    let record = Message::record(Block, group(family, 1), &[sender(family, 1)]);
    lab.shoot("b", &Shot::message(&record)).await?;
    Ok(())
}

const BLOCKED: Rule = Rule {
    id: "bridge.senders.a-blocked-one-ends",
    promise: "a sender that a member wants to hear no longer is kept from it when nobody has \
              claimed it for the time of the last member; the others stay",
    source: Source {
        cite: "RFC 3376, 6.4.2; br_multicast_block, __grp_src_query_marked_and_rexmit",
        strength: Strength::Standard,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)],
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_blocked_one_ends(#[case] family: Family) {
    check(&BLOCKED, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 10).await?;
        hear_two(&mut lab, family).await?;
        block_one(&mut lab, family).await?;
        let blocked = format!("{} from {}", group(family, 1), sender(family, 1));
        lab.expect_member("sw:p2", &blocked, false).await?;
        expect_heard(&lab, family, &[2]).await
    });
}

const AT_ONCE: Rule = Rule {
    id: "bridge.senders.a-blocked-one-ends-at-once-where-told",
    promise: "where mcast_fast_leave is on and each host is followed, a sender that the only \
              listener wants to hear no longer is kept from it at once",
    source: Source {
        cite: "br_multicast_eht_handle, net/bridge/br_multicast_eht.c, since 5.12",
        strength: Strength::Code,
    },
    article: &[],
    needs: FOLLOWED,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_blocked_one_ends_at_once_where_told(#[case] family: Family) {
    check(&AT_ONCE, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        // The time of the last member is longer than any reading takes.
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 1000).await?;
        for (fast, heard) in [(1, &[2][..]), (0, &[1, 2])] {
            lab.set_option("sw:p2", port::FAST_LEAVE, fast).await?;
            hear_two(&mut lab, family).await?;
            block_one(&mut lab, family).await?;
            expect_heard(&lab, family, heard).await?;
        }
        Ok(())
    });
}

const LET_IN: Rule = Rule {
    id: "bridge.senders.one-let-in-again-is-forgotten-where-told",
    promise: "where mcast_fast_leave is on and each host is followed, a sender that the only listener \
              to all shut out and lets in again is one of all, and is not listed; elsewhere it is \
              listed for the time of a membership",
    source: Source {
        cite: "br_multicast_eht_block and br_multicast_eht_allow, since 5.12; RFC 3376, 6.4.1",
        strength: Strength::Code,
    },
    article: &[],
    needs: FOLLOWED,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn one_let_in_again_is_forgotten_where_told(#[case] family: Family) {
    check(&LET_IN, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        // The time of the last member is longer than any reading takes.
        lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 1000).await?;
        let (group, one) = (group(family, 1), sender(family, 1));
        let all = format!("{group} p2 all but by 2 for 26");
        for (fast, wish) in [(1, all.clone()), (0, format!("{all}: {one} for 26"))] {
            lab.set_option("sw:p2", port::FAST_LEAVE, fast).await?;
            for (record, senders) in [(ToExclude, &[][..]), (Block, &[one]), (Allow, &[one])] {
                let message = Message::record(record, group, senders);
                lab.shoot("b", &Shot::message(&message)).await?;
            }
            expect_wish(&lab, family, &wish).await?;
        }
        Ok(())
    });
}

const OF_ALL: Rule = Rule {
    id: "bridge.senders.one-of-all-is-shut-out-after-its-time",
    promise: "a member that hears all senders and names one that it wants no longer hears it until \
              nobody has claimed it for the time of the last member, and then no more",
    source: Source {
        cite: "RFC 3376, 6.4.2; __grp_src_block_excl, net/bridge/br_multicast.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)],
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn one_of_all_is_shut_out_after_its_time(#[case] family: Family) {
    check(&OF_ALL, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        speak_newest(&mut lab).await?;
        let all = Message::record(ToExclude, group(family, 1), &[]);
        ask(&mut lab, family).await?;
        // The first time of the last member is longer than any reading takes.
        for (interval, who) in [(1000, "a multicast, b multicast"), (10, "a multicast")] {
            lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, interval).await?;
            lab.shoot("b", &Shot::message(&all)).await?;
            block_one(&mut lab, family).await?;
            let named = format!("{} from {}", group(family, 1), sender(family, 1));
            lab.expect_member("sw:p2", &named, true).await?;
            if interval == 10 {
                lab.expect_member("sw:p2", &named.replace("from", "without"), true).await?;
            }
            lab.expect_shot("c", &Shot::datagram(sender(family, 1), group(family, 1)), who).await?;
            let other = Shot::datagram(sender(family, 2), group(family, 1));
            lab.expect_shot("c", &other, "a multicast, b multicast").await?;
        }
        Ok(())
    });
}

const TOLD: Rule = Rule {
    id: "bridge.senders.whom-a-member-hears-is-told",
    promise: "of a member that said whom it hears the table tells whether these are all or all are but \
              they, and for how long each holds yet: those to hear, and one that hears all but some, \
              for the time of a membership, those to be shut out for none",
    source: Source {
        cite: "RFC 3376, 6.4; bridge(8), mdb show; __mdb_fill_info and __mdb_fill_srcs",
        strength: Strength::Standard,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)],
};

/// Holds what is told of `b`: the kernel itself (2) knows it from `b`.
pub(super) async fn expect_wish(lab: &CaseLab, family: Family, wish: &str) -> Result<(), Stop> {
    let own = format!("{} p2 ", group(family, 1));
    let told = lab.wishes("sw").await?.into_iter().map(|wish| wish.to_string());
    lab.expect_lines("what is told of b", told.filter(|line| line.starts_with(&own)), &[wish])
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn whom_a_member_hears_is_told(#[case] family: Family) {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let [one, two, three] = [1, 2, 3].map(|number| sender(family, number));
        let group = group(family, 1);
        hear_two(&mut lab, family).await?;
        let both = format!("{group} p2 only by 2 for 0: {one} for 26, {two} for 26");
        expect_wish(&lab, family, &both).await?;
        let but_two = Message::record(ToExclude, group, &[two, three]);
        lab.shoot("b", &Shot::message(&but_two)).await?;
        let kept = format!("{group} p2 all but by 2 for 26: {two} for ");
        let told = lab.wishes("sw").await?;
        let line = told.iter().map(ToString::to_string).find(|line| line.starts_with(&kept));
        let line = line.unwrap_or_else(|| format!("{told:?}"));
        lab.claim("all but two and three", line.ends_with(&format!(", {three} for 0")), &line)
    });
}
