//! A port at which leaves are believed at once: the bridge follows each host behind it by itself, by
//! its IP address, so that one that leaves takes nothing from another.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               b speaks as several hosts
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hairpin_harness::Record::{Block, ToExclude, ToInclude};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Case, CaseLab, Errno, Family, Need, Record, Rule, Shot, Source, Stop, Strength, check,
};
use rstest::rstest;

use super::querier::{group, snooping, speak_newest, wants};
use super::senders::expect_heard;

pub(crate) const RULES: &[Rule] = &[LAST, LEAVES, CHOICE, MANY, LIMIT];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 12)];

const CITE: &str =
    "bridge(8), mcast_fast_leave; br_multicast_eht_handle, net/bridge/br_multicast_eht.c";

const LAST: Rule = Rule {
    id: "bridge.hosts.a-sender-ends-with-its-last-listener",
    promise: "where leaves are believed at once, a sender that one host wants no longer is still \
              handed on while another behind the port wants it, and at once no more when none does; \
              the hosts that want something are counted",
    source: Source { cite: CITE, strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

/// A bridge that believes leaves at p2 at once, and elsewhere takes longer than any reading.
async fn believing(case: &mut Case) -> Result<CaseLab, Stop> {
    let mut lab = case.lab(&snooping()).await?;
    speak_newest(&mut lab).await?;
    lab.set_option("sw:br", bridge::MCAST_LAST_MEMBER_INTERVAL, 1000).await?;
    lab.set_option("sw:p2", port::FAST_LEAVE, 1).await?;
    Ok(lab)
}

/// Has the host of that number behind p2 say which senders it wants to hear.
async fn want(
    lab: &mut CaseLab,
    (family, host): (Family, u8),
    record: Record,
    senders: &[u8],
) -> Result<(), Stop> {
    let speaker: IpAddr = match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 100 + host).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into()).into(),
    };
    let message = wants(record, (family, 1), senders).from(speaker);
    lab.shoot("b", &Shot::message(&message)).await?;
    Ok(())
}

/// Holds which senders are handed on to p2, and how many hosts behind it want something.
async fn expect_wanted(
    lab: &CaseLab,
    family: Family,
    senders: &[u8],
    hosts: u64,
) -> Result<(), Stop> {
    expect_heard(lab, family, senders).await?;
    lab.expect_option("sw:p2", port::MCAST_EHT_HOSTS_COUNT, hosts).await
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_sender_ends_with_its_last_listener(#[case] family: Family) {
    check(&LAST, async |case| {
        let mut lab = believing(case).await?;
        for host in [1, 2] {
            want(&mut lab, (family, host), ToInclude, &[1, 2]).await?;
            expect_wanted(&lab, family, &[1, 2], host.into()).await?;
        }
        want(&mut lab, (family, 1), Block, &[1]).await?;
        expect_wanted(&lab, family, &[1, 2], 2).await?;
        want(&mut lab, (family, 2), Block, &[1]).await?;
        expect_wanted(&lab, family, &[2], 2).await?;
        want(&mut lab, (family, 1), Block, &[2]).await?;
        expect_wanted(&lab, family, &[2], 1).await?;
        want(&mut lab, (family, 2), Block, &[2]).await?;
        expect_wanted(&lab, family, &[], 0).await?;
        lab.expect_member("sw:p2", &group(family, 1).to_string(), false).await
    });
}

const LEAVES: Rule = Rule {
    id: "bridge.hosts.a-group-ends-with-its-last-listener",
    promise: "where leaves are believed at once, a port is a member while one of the hosts behind it \
              is, and none any more as soon as the last has left",
    source: Source { cite: CITE, strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_group_ends_with_its_last_listener(#[case] family: Family) {
    check(&LEAVES, async |case| {
        let mut lab = believing(case).await?;
        for host in [1, 2] {
            want(&mut lab, (family, host), ToExclude, &[]).await?;
        }
        for (host, left) in [(1, 1), (2, 0)] {
            want(&mut lab, (family, host), ToInclude, &[]).await?;
            let members = lab.mdb("sw").await?.into_iter().filter(|entry| entry.link == "p2");
            let (members, claim) = (members.count(), format!("{left} left, one membership of all"));
            lab.claim(&claim, members == left, members)?;
            expect_wanted(&lab, family, &[], left as u64).await?;
        }
        Ok(())
    });
}

const CHOICE: Rule = Rule {
    id: "bridge.hosts.another-choice-holds-at-once",
    promise: "where leaves are believed at once, a host that chooses other senders is handed on those \
              alone from then on, if nobody else behind the port wants the others",
    source: Source { cite: CITE, strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn another_choice_holds_at_once(#[case] family: Family) {
    check(&CHOICE, async |case| {
        let mut lab = believing(case).await?;
        want(&mut lab, (family, 1), ToInclude, &[1, 2]).await?;
        want(&mut lab, (family, 2), ToInclude, &[2]).await?;
        want(&mut lab, (family, 1), ToInclude, &[3]).await?;
        expect_wanted(&lab, family, &[2, 3], 2).await?;
        // Without it the others are asked for first.
        lab.set_option("sw:p2", port::FAST_LEAVE, 0).await?;
        want(&mut lab, (family, 1), ToInclude, &[4]).await?;
        expect_wanted(&lab, family, &[2, 3, 4], 2).await
    });
}

const MANY: Rule = Rule {
    id: "bridge.hosts.each-of-many-is-known-again",
    promise: "where leaves are believed at once, each of many hosts that want many senders is counted \
              once, however often it speaks and in whatever order; all senders are handed on until the \
              last has left",
    source: Source { cite: CITE, strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn each_of_many_is_known_again(#[case] family: Family) {
    const SEVEN: [u8; 7] = [1, 2, 3, 4, 5, 6, 7];
    check(&MANY, async |case| {
        let mut lab = believing(case).await?;
        let (come, go) = ([1, 2, 3, 7, 6, 5, 4], [4, 1, 7, 2, 6, 3, 5]);
        for (host, counted) in come.into_iter().zip(1..) {
            want(&mut lab, (family, host), ToInclude, &come).await?;
            expect_wanted(&lab, family, &SEVEN, counted).await?;
        }
        for host in SEVEN {
            want(&mut lab, (family, host), ToInclude, &go).await?;
            expect_wanted(&lab, family, &SEVEN, 7).await?;
        }
        for (host, left) in go.into_iter().zip((0..7).rev()) {
            want(&mut lab, (family, host), Block, &SEVEN).await?;
            let wanted = if left > 0 { &SEVEN[..] } else { &[] };
            expect_wanted(&lab, family, wanted, left).await?;
        }
        Ok(())
    });
}

const LIMIT: Rule = Rule {
    id: "bridge.hosts.no-more-than-allowed",
    promise: "no more hosts are followed behind a port than mcast_eht_hosts_limit says, which is not \
              nothing; one beyond it is not counted, and so takes what it wants with the others' leave",
    source: Source {
        cite: "bridge(8), mcast_eht_hosts_limit; br_multicast_eht_hosts_over_limit",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn no_more_than_allowed(#[case] family: Family) {
    check(&LIMIT, async |case| {
        let mut lab = believing(case).await?;
        lab.expect_option("sw:p2", port::MCAST_EHT_HOSTS_LIMIT, 512).await?;
        for limit in [512 << 8, 257, 1] {
            let done = lab.set_option("sw:p2", port::MCAST_EHT_HOSTS_LIMIT, limit).await;
            lab.expect_done(&format!("{limit} as the limit"), done)?;
            lab.expect_option("sw:p2", port::MCAST_EHT_HOSTS_LIMIT, limit).await?;
        }
        let done = lab.set_option("sw:p2", port::MCAST_EHT_HOSTS_LIMIT, 0).await;
        lab.expect_refusal("a limit of nothing", done, Errno::EINVAL)?;
        lab.expect_option("sw:p2", port::MCAST_EHT_HOSTS_LIMIT, 1).await?;
        for host in [1, 2] {
            want(&mut lab, (family, host), ToInclude, &[1]).await?;
            expect_wanted(&lab, family, &[1], 1).await?;
        }
        want(&mut lab, (family, 1), Block, &[1]).await?;
        expect_wanted(&lab, family, &[], 0).await?;
        lab.set_option("sw:p2", port::MCAST_EHT_HOSTS_LIMIT, 2).await?;
        for host in [1, 2] {
            want(&mut lab, (family, host), ToInclude, &[1]).await?;
        }
        expect_wanted(&lab, family, &[1], 2).await
    });
}
