//! A bridge that asks in IGMPv3 and MLDv2, and is told that somebody wants less than before: of whom
//! it asks then, and how often.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               b is a member and hears the questions
//!   b --- p2 +----+
//! ```

use hairpin_harness::Record::{ToExclude, ToInclude};
use hairpin_harness::options::bridge;
use hairpin_harness::{
    Asked, Asking, CaseLab, Family, Message, Need, Record, Rule, Shot, Source, Stop, Strength,
    check,
};
use rstest::rstest;

use super::asking::asking;
use super::querier::{group, sender, speak_newest, wants};

pub(crate) const RULES: &[Rule] = &[OFTEN, LOST, COUNTED];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)];

const OFTEN: Rule = Rule {
    id: "bridge.requests.as-often-as-it-was-told",
    promise: "when somebody leaves, a bridge that speaks IGMPv3 or MLDv2 asks for that group behind \
              the port as often as it was told, and no more, also if another still listens",
    source: Source {
        cite: "RFC 3376, 6.6.3.1 and 8.9; br_multicast_port_group_rexmit",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

/// Has the bridge ask, and `b` hear it.
async fn asked(lab: &mut CaseLab, family: Family, count: u64) -> Result<Asking, Stop> {
    speak_newest(lab).await?;
    let told = [
        (bridge::MCAST_LAST_MEMBER_INTERVAL, 50),
        (bridge::MCAST_LAST_MEMBER_COUNT, count),
        (bridge::MCAST_STARTUP_QUERY_INTERVAL, 6000),
    ];
    lab.set_options("sw:br", &told).await?;
    let ear = lab.listen("b", family).await?;
    lab.set_option("sw:br", bridge::MCAST_QUERIER, 1).await?;
    Ok(ear)
}

/// Has `b` say which senders of the group of that number it wants to hear.
async fn want(
    lab: &mut CaseLab,
    group: (Family, u8),
    record: Record,
    senders: &[u8],
) -> Result<(), Stop> {
    lab.shoot("b", &Shot::message(&wants(record, group, senders))).await?;
    Ok(())
}

/// The group that a question is about, and its senders in order.
fn of_whom(asked: &Asked) -> String {
    let mut sources = asked.sources.clone();
    sources.sort();
    let group = asked.group.map_or("all".into(), |group| group.to_string());
    sources.iter().fold(group, |text, source| format!("{text} from {source}"))
}

/// Holds of which group, and of which of its senders, `b` is asked next.
fn expect_asked_of(
    lab: &CaseLab,
    ear: &Asking,
    (family, number): (Family, u8),
    senders: &[u8],
) -> Result<(), Stop> {
    let mut wanted = group(family, number).to_string();
    for number in senders {
        wanted.push_str(&format!(" from {}", sender(family, *number)));
    }
    let seen = ear.next_for_a_group().map_or_else(|error| error.what, |asked| of_whom(&asked));
    lab.claim(&format!("b is asked for {wanted}"), seen == wanted, seen)
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn as_often_as_it_was_told(#[case] family: Family) {
    check(&OFTEN, async |case| {
        let mut lab = case.lab(&asking()).await?;
        let ear = asked(&mut lab, family, 3).await?;
        for number in [1, 2] {
            // Another behind the port still listens, and says so before its time is over.
            let said = [ToExclude, ToInclude, ToExclude];
            let said = said.map(|record| Message::record(record, group(family, number), &[]));
            lab.say("b", &said).await?;
            // What was asked of the first group too often would come between those of the second.
            for _ in 0..3 {
                expect_asked_of(&lab, &ear, (family, number), &[])?;
            }
        }
        for number in [1, 2] {
            lab.expect_member("sw:p2", &group(family, number).to_string(), true).await?;
        }
        Ok(())
    });
}

const LOST: Rule = Rule {
    id: "bridge.requests.for-the-senders-that-are-lost",
    promise: "when somebody wants fewer senders, or shuts some of them out, a bridge that speaks \
              IGMPv3 or MLDv2 asks for those behind the port that are concerned, and for no others",
    source: Source {
        cite: "RFC 3376, 6.4.2; __grp_src_toin_incl and __grp_src_toex_incl",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::fewer(ToInclude, &[1], &[2, 3])]
#[case::others(ToInclude, &[4], &[1, 2, 3])]
#[case::all_but_one(ToExclude, &[1], &[1])]
#[case::without_one(Record::Block, &[2], &[2])]
fn for_the_senders_that_are_lost(
    #[case] record: Record,
    #[case] named: &[u8],
    #[case] concerned: &[u8],
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&LOST, async |case| {
        let mut lab = case.lab(&asking()).await?;
        let ear = asked(&mut lab, family, 3).await?;
        want(&mut lab, (family, 1), ToInclude, &[1, 2, 3]).await?;
        want(&mut lab, (family, 1), record, named).await?;
        // How often is another matter: a clock that is late may have them end before.
        expect_asked_of(&lab, &ear, (family, 1), concerned)
    });
}

const COUNTED: Rule = Rule {
    id: "bridge.requests.are-counted-where-they-leave",
    promise: "a bridge that counts messages about memberships counts its own questions as sent by the \
              ports that they leave by",
    source: Source {
        cite: "bridge(8), mcast_stats_enabled; __br_multicast_send_query",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, "IGMPv3 queries: received 0, sent 1")]
#[case::v6(Family::V6, "MLDv2 queries: received 0, sent 1")]
fn are_counted_where_they_leave(#[case] family: Family, #[case] line: &str) {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&asking()).await?;
        lab.set_option("sw:br", bridge::MCAST_STATS, 1).await?;
        let ear = asked(&mut lab, family, 2).await?;
        ear.next()?;
        let counts = lab.message_counts("sw:p2").await?;
        let kind = if family == Family::V4 { "IGMP" } else { "MLD" };
        let counts = counts.into_iter().filter(|line| line.to_string().starts_with(kind));
        let counts = counts.filter(|line| line.to_string().contains("queries"));
        lab.expect_lines("questions counted at p2", counts, &[line])
    });
}
