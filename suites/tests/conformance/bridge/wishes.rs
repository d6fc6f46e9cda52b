//! The table of RFC 3376, 6.4, and RFC 3810, 7.4: what becomes of what a member wants to hear when it says more,
//! and for how long each sender holds then.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               b says what it wants to hear
//!   b --- p2 +----+
//! ```
//!
//! Three times tell apart what set a timer: 50 for one that is as it was, 26 for one that was set to the time of a
//! membership, 6 for one that is asked about, in tens of seconds.

use hairpin_harness::Record::{Allow, Block, IsExclude, IsInclude, ToExclude, ToInclude};
use hairpin_harness::options::bridge;
use hairpin_harness::{CaseLab, Family, Need, Record, Rule, Shot, Source, Stop, Strength, check};
use rstest::rstest;

use super::querier::{group, sender, snooping, speak_newest, wants};
use super::senders::expect_wish;

pub(crate) const RULES: &[Rule] = &[ONLY, ALL_BUT];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 10)];

/// Hundredths of a second.
const FIRST_MEMBERSHIP: u64 = 50_000;
const MEMBERSHIP: u64 = 26_000;
const LAST_MEMBER: u64 = 3_000;

/// A bridge whose memberships hold so long, and those asked about for two times the other.
async fn patient(lab: &mut CaseLab) -> Result<(), Stop> {
    speak_newest(lab).await?;
    let times = [
        (bridge::MCAST_MEMBERSHIP_INTERVAL, FIRST_MEMBERSHIP),
        (bridge::MCAST_LAST_MEMBER_INTERVAL, LAST_MEMBER),
    ];
    Ok(lab.set_options("sw:br", &times).await?)
}

async fn say(
    lab: &mut CaseLab,
    record: Record,
    family: Family,
    senders: &[u8],
) -> Result<(), Stop> {
    lab.shoot("b", &Shot::message(&wants(record, (family, 1), senders))).await?;
    Ok(())
}

/// Holds how a membership is told: `all but`, for 26, of 2 for 50 and of 3 for none.
async fn expect_told(
    lab: &CaseLab,
    family: Family,
    (mode, rest): (&str, u32),
    senders: &[(u8, u32)],
) -> Result<(), Stop> {
    let each =
        senders.iter().map(|(number, rest)| format!("{} for {rest}", sender(family, *number)));
    let each = each.collect::<Vec<_>>().join(", ");
    let group = group(family, 1);
    expect_wish(lab, family, &format!("{group} p2 {mode} by 2 for {rest}: {each}")).await
}

const ONLY: Rule = Rule {
    id: "bridge.wishes.of-one-that-hears-some",
    promise: "a member that hears senders 1 and 2 alone and speaks of 2 and 3: they are added, or one \
              that is asked about ends sooner, or all but some are heard from then on, each for its time",
    source: Source {
        cite: "RFC 3376, 6.4.1 and 6.4.2; RFC 3810, 7.4.1 and 7.4.2; net/bridge/br_multicast.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::answers_with(IsInclude, ("only", 0), &[(1, 50), (2, 26), (3, 26)])]
#[case::allows(Allow, ("only", 0), &[(1, 50), (2, 26), (3, 26)])]
#[case::blocks(Block, ("only", 0), &[(1, 50), (2, 6)])]
#[case::changes_to(ToInclude, ("only", 0), &[(1, 6), (2, 26), (3, 26)])]
#[case::answers_all_but(IsExclude, ("all but", 26), &[(2, 50), (3, 0)])]
#[case::changes_to_all_but(ToExclude, ("all but", 26), &[(2, 6), (3, 0)])]
fn of_one_that_hears_some(
    #[case] record: Record,
    #[case] mode: (&str, u32),
    #[case] senders: &[(u8, u32)],
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&ONLY, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        patient(&mut lab).await?;
        say(&mut lab, ToInclude, family, &[1, 2]).await?;
        expect_told(&lab, family, ("only", 0), &[(1, 50), (2, 50)]).await?;
        lab.set_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, MEMBERSHIP).await?;
        say(&mut lab, record, family, &[2, 3]).await?;
        expect_told(&lab, family, mode, senders).await
    });
}

const ALL_BUT: Rule = Rule {
    id: "bridge.wishes.of-one-that-hears-all-but-some",
    promise: "a member that hears all but 2 and 5, and 1 and 4 for a time, and speaks of 1, 2 and 3: they \
              are let in, or shut out after they were asked about, or take the place of the others",
    source: Source {
        cite: "RFC 3376, 6.4.1 and 6.4.2; RFC 3810, 7.4.1 and 7.4.2; net/bridge/br_multicast.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::answers_with(IsInclude, 50, &[(1, 26), (2, 26), (3, 26), (4, 50), (5, 0)])]
#[case::allows(Allow, 50, &[(1, 26), (2, 26), (3, 26), (4, 50), (5, 0)])]
#[case::blocks(Block, 50, &[(1, 6), (2, 0), (3, 6), (4, 50), (5, 0)])]
#[case::changes_to(ToInclude, 6, &[(1, 26), (2, 26), (3, 26), (4, 6), (5, 0)])]
#[case::answers_all_but(IsExclude, 26, &[(1, 50), (2, 0), (3, 26)])]
#[case::changes_to_all_but(ToExclude, 26, &[(1, 6), (2, 0), (3, 6)])]
fn of_one_that_hears_all_but_some(
    #[case] record: Record,
    #[case] rest: u32,
    #[case] senders: &[(u8, u32)],
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&ALL_BUT, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        patient(&mut lab).await?;
        say(&mut lab, ToExclude, family, &[2, 5]).await?;
        say(&mut lab, Allow, family, &[1, 4]).await?;
        let before = [(1, 50), (2, 0), (4, 50), (5, 0)];
        expect_told(&lab, family, ("all but", 50), &before).await?;
        lab.set_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, MEMBERSHIP).await?;
        say(&mut lab, record, family, &[1, 2, 3]).await?;
        expect_told(&lab, family, ("all but", rest), senders).await
    });
}
