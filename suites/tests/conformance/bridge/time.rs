//! What a bridge does after minutes, with the times that it has when nobody sets any.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```
//!
//! In guests whose clock jumps when they only wait, see `Need::VirtualTime`.

use std::time::Duration;

use hairpin_fixtures::switch::switch;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{Bpdu, Family, Mac, Need, Rule, Said, Shot, Source, Strength, check};
use rstest::rstest;

use super::snooping::{group, join, snooping};

pub(crate) const RULES: &[Rule] = &[AGEING, ANEW, CHANGED, NOTICED, DELAY, MEMBERSHIP];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::VirtualTime];

/// An address that no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0d]);

const LISTENING: u64 = 1;
const LEARNING: u64 = 2;
const FORWARDING: u64 = 3;

const AGEING: Rule = Rule {
    id: "bridge.time.forgets-after-five-minutes",
    promise: "a bridge that was told no ageing time forgets an address that has been silent for \
              300 seconds, not sooner, and floods what is for it from then on",
    source: Source {
        cite: "IEEE 802.1D-1998, 7.9.2; BR_DEFAULT_AGEING_TIME; br_fdb_cleanup",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn forgets_after_five_minutes() {
    check(&AGEING, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_option("sw:br", bridge::AGEING_TIME, 30_000).await?;
        let spoke = lab.now();
        lab.shoot("a", &Shot::broadcast().from(ROAMER)).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        let time = Duration::from_secs(300);
        lab.expect_forgotten_after("sw", ROAMER, spoke, time).await?;
        lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
        Ok(())
    });
}

/// Another such address, which speaks once.
const SILENT: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0e]);

const ANEW: Rule = Rule {
    id: "bridge.time.each-frame-begins-the-time-anew",
    promise: "an address is remembered for 300 seconds from its last frame, however long ago its \
              first was; frames to it do not keep it, and the bridge tells when either passed",
    source: Source {
        cite: "IEEE 802.1D-1998, 7.8; br_fdb_update and br_handle_frame_finish",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_frame_begins_the_time_anew() {
    check(&ANEW, async |case| {
        let mut lab = case.lab(&snooping()).await?;
        let began = lab.now();
        let _member = join(&lab, "b", Family::V4)?;
        lab.expect_member("sw:p2", &group(Family::V4), true).await?;
        for mac in [ROAMER, SILENT] {
            lab.shoot("a", &Shot::broadcast().from(mac)).await?;
        }
        // A membership's end is an hour glass of 260 seconds.
        let time = Duration::from_secs(260);
        lab.expect_no_member_after("sw:p2", &group(Family::V4), began, time).await?;
        let (long, short) = (Duration::from_secs(250), Duration::from_secs(5));
        lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
        let ages = lab.silence("sw", ROAMER).await?;
        let is = ages.is_some_and(|(from, to)| from > long && to < short);
        lab.claim("none of its own for long, one to it just now", is, format!("{ages:?}"))?;
        let age = lab.older_age("sw:br", ROAMER)?;
        let is = age.is_some_and(|age| age > long);
        lab.claim("the older call tells how old its own is", is, format!("{age:?}"))?;
        let again = lab.now();
        lab.shoot("a", &Shot::broadcast().from(ROAMER)).await?;
        let ages = lab.silence("sw", ROAMER).await?;
        let is = ages.is_some_and(|(from, _)| from < short);
        lab.claim("one of its own just now", is, format!("{ages:?}"))?;
        let time = Duration::from_secs(300);
        lab.expect_forgotten_after("sw", SILENT, began, time).await?;
        lab.expect_forgotten_after("sw", ROAMER, again, time).await
    });
}

const CHANGED: Rule = Rule {
    id: "bridge.time.a-change-of-the-tree-shortens-it",
    promise: "when a port has begun to forward, the root of a spanning tree takes addresses that \
              were silent for a forward delay for old, whatever the ageing time, and no others",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.3.5; hold_time, net/bridge/br_fdb.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_change_of_the_tree_shortens_it() {
    check(&CHANGED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 1500).await?;
        lab.set_option("sw:br", bridge::STP, 1).await?;
        lab.set_up("sw:p2", false).await?;
        let up = lab.now();
        lab.set_up("sw:p2", true).await?;
        lab.expect_option("sw:p1", port::STATE, FORWARDING).await?;
        lab.shoot("a", &Shot::broadcast().from(ROAMER)).await?;
        let time = Duration::from_secs(30);
        lab.expect_to_become_after(("sw:p2", port::STATE, FORWARDING), up, time).await?;
        lab.shoot("a", &Shot::broadcast().from(SILENT)).await?;
        // Linux looks for old addresses when the next would be old, or when the time is told anew.
        lab.set_option("sw:br", bridge::AGEING_TIME, 30_000).await?;
        lab.expect_forgotten_after("sw", ROAMER, up, time).await?;
        lab.expect_shot("c", &Shot::to(SILENT), "a other").await?;
        // The other is flooded, to the new port as well.
        lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
        Ok(())
    });
}

const NOTICED: Rule = Rule {
    id: "bridge.time.how-long-the-root-tells-of-a-change",
    promise: "for a forward delay and a message's greatest age after a notice, 35 seconds, the root \
              says that the tree has changed, and remembers addresses for shorter; not longer",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.5.3.13; br_topology_change_timer_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn how_long_the_root_tells_of_a_change() {
    check(&NOTICED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_options("sw:br", &[(bridge::FORWARD_DELAY, 1500), (bridge::STP, 1)]).await?;
        let ear = lab.hear_bridges("c").await?;
        let says = |is| move |said: &Said| matches!(said, Said::Config(c) if c.changed == is);
        let long = Duration::from_secs(60);
        ear.wait_for(long, says(false))?;
        let noticed = lab.now();
        lab.say_as_bridge("b", &[Bpdu::new(Said::Notice)]).await?;
        lab.expect_heard(ear.wait_for(long, says(true)), "a change")?;
        lab.expect_option("sw:br", bridge::AGEING_TIME, 3000).await?;
        lab.expect_heard(ear.wait_for(long, says(false)), "no change any more")?;
        lab.claim_after("no change is told any more", noticed, Duration::from_secs(35))?;
        for (option, value) in [
            (bridge::TOPOLOGY_CHANGE, 0),
            (bridge::TOPOLOGY_CHANGE_DETECTED, 0),
            (bridge::AGEING_TIME, 30_000),
        ] {
            lab.expect_option("sw:br", option, value).await?;
        }
        Ok(())
    });
}

const DELAY: Rule = Rule {
    id: "bridge.time.listens-then-learns-then-forwards",
    promise: "a port of a bridge with a spanning tree and a forward delay of 15 seconds listens \
              for so long, learns for 15 more, and only then forwards",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.4 and 8.10.2; br_forward_delay_timer_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn listens_then_learns_then_forwards() {
    check(&DELAY, async |case| {
        let mut lab = case.lab(&switch()).await?;
        // The kernel's own, which labs do without.
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 1500).await?;
        lab.set_option("sw:br", bridge::STP, 1).await?;
        lab.set_up("sw:p1", false).await?;
        let up = lab.now();
        lab.set_up("sw:p1", true).await?;
        lab.expect_to_become("sw:p1", port::STATE, LISTENING).await?;
        for (state, seconds) in [(LEARNING, 15), (FORWARDING, 30)] {
            let time = Duration::from_secs(seconds);
            lab.expect_to_become_after(("sw:p1", port::STATE, state), up, time).await?;
        }
        lab.expect_shot("a", &Shot::broadcast(), "b broadcast, c broadcast, sw broadcast").await?;
        Ok(())
    });
}

const MEMBERSHIP: Rule = Rule {
    id: "bridge.time.members-expire-by-default",
    promise: "a membership that nobody reports again ends after 260 seconds on a bridge that was \
              told no other interval, and not sooner",
    source: Source {
        cite: "RFC 3376, 8.4; RFC 3810, 9.4; br_multicast_ctx_init",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn members_expire_by_default(#[case] family: Family) {
    check(&MEMBERSHIP, async |case| {
        let lab = case.lab(&snooping()).await?;
        lab.expect_option("sw:br", bridge::MCAST_MEMBERSHIP_INTERVAL, 26_000).await?;
        let joined = lab.now();
        let _member = join(&lab, "b", family)?;
        lab.expect_member("sw:p2", &group(family), true).await?;
        // A host reports unasked once or twice only, within seconds.
        let time = Duration::from_secs(260);
        lab.expect_no_member_after("sw:p2", &group(family), joined, time).await
    });
}
