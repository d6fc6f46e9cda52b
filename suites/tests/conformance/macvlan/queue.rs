//! The queue in which groups from outside wait for a parent's children.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e     what comes in by p0 waits, what a sibling sends does not
//! ```

use hairpin_fixtures::lan::{mixed_lan, quiet, single_lan};
use hairpin_harness::options::macvlan::{BC_CUTOFF, BC_QUEUE_LEN};
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{CaseLab, Class, Mac, Mode, Need, Rule, Shot, Source, Stop, Strength, check};

use crate::filtered::BY_CHANCE;

pub(crate) const RULES: &[Rule] = &[NO_QUEUE, UNWANTED, CUTOFF];

const NO_QUEUE: Rule = Rule {
    id: "macvlan.queue.none-loses-broadcast-from-outside",
    promise: "where no child asks for a queue, broadcast from outside reaches the parent only, \
              which counts it as dropped; what siblings send each other needs none; a child that \
              asks for one has it all back",
    source: Source {
        cite: "macvlan_broadcast_enqueue and macvlan_compute_filter, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: super::NEEDS_BC_QUEUE,
};

#[test]
fn none_loses_broadcast_from_outside() {
    check(&NO_QUEUE, async |case| {
        let none = || Macvlan::from(Mode::Bridge).bc_queue(0);
        // What speaks at times of its own would be counted too: a child's filter takes some groups
        // that it has not joined.
        let mut lab = case.lab(&quiet(mixed_lan(none(), none()))).await?;
        // Nothing can come out of a queue that is not there, so the grid proves by the counters
        // that nothing went in: the parent hears, the children count nothing.
        let sibling = "c2 broadcast, e broadcast";
        lab.set_option("c2:c0", BC_QUEUE_LEN, 1).await?;
        lab.expect_shot("c1", &Shot::broadcast(), sibling).await?;
        lab.set_option("c2:c0", BC_QUEUE_LEN, 1000).await?;
        lab.set_option("c1:c0", BC_QUEUE_LEN, 1000).await?;
        let all = "c1 broadcast, c2 broadcast, p broadcast";
        lab.expect_shot("e", &Shot::broadcast(), all).await?;
        expect_kept(&mut lab, true).await?;
        lab.set_option("c1:c0", BC_QUEUE_LEN, 0).await?;
        lab.set_option("c2:c0", BC_QUEUE_LEN, 0).await?;
        expect_kept(&mut lab, false).await
    });
}

/// Whether c1 counts the groups from outside, of which each of three rounds has one, or its parent
/// counts them as dropped.
async fn expect_kept(lab: &mut CaseLab, kept: bool) -> Result<(), Stop> {
    let (before, parent) = (lab.counters("c1:c0").await?, lab.counters("p:p0").await?);
    lab.observe(Class::Broadcast).await?;
    let counted = (lab.counters("c1:c0").await? - before).multicast;
    let dropped = (lab.counters("p:p0").await? - parent).rx_dropped;
    let lost = if kept { 0 } else { 3 };
    lab.claim(&format!("the parent counts {lost} frames as dropped"), dropped == lost, dropped)?;
    // Of its sibling it hears each round in any case.
    let wanted = if kept { 6 } else { 3 };
    lab.claim(&format!("c1 counts {wanted} group frames"), counted == wanted, counted)
}

const UNWANTED: Rule = Rule {
    id: "macvlan.queue.groups-of-nobody-stay-out",
    promise: "a group that no child has joined does not enter the queue of a parent that is not \
              promiscuous: where there is none the parent counts broadcast as dropped, and such \
              groups not (but for a few that share a place in its filter)",
    source: Source {
        cite: "macvlan_handle_frame, mc_filter, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: super::NEEDS_BC_QUEUE,
};

#[test]
fn groups_of_nobody_stay_out() {
    check(&UNWANTED, async |case| {
        // A child of another mode would make its parent promiscuous, which has all groups queued.
        let none = Macvlan::from(Mode::Passthru).nopromisc().bc_queue(0);
        let mut lab = case.lab(&quiet(single_lan(none))).await?;
        super::expect_promiscuity(&lab, "nopromisc", 0).await?;
        let strangers: Vec<Mac> =
            (0x10..0x18).map(|last| Mac([0x01, 0x00, 0x5e, 0x7c, 0x01, last])).collect();
        let seen = dropped(&mut lab, &strangers).await?;
        lab.claim("the parent drops few groups of nobody", seen <= BY_CHANCE as u64, seen)?;
        let seen = dropped(&mut lab, &[Mac::BROADCAST; 8]).await?;
        lab.claim("it drops all broadcast", seen == 8, seen)
    });
}

/// How many of these frames from e the parent counts as dropped.
async fn dropped(lab: &mut CaseLab, groups: &[Mac]) -> Result<u64, Stop> {
    lab.observe(Class::Broadcast).await?;
    let before = lab.counters("p:p0").await?;
    for group in groups {
        lab.send_many("e:e0", &Shot::to(*group), 1)?;
    }
    // Its own three rounds are dropped as well.
    lab.observe(Class::Broadcast).await?;
    Ok((lab.counters("p:p0").await? - before).rx_dropped.saturating_sub(3))
}

const CUTOFF: Rule = Rule {
    id: "macvlan.queue.a-cutoff-takes-groups-past-it",
    promise: "a group with as few members as the cut-off allows is delivered past the queue, once \
              to each member, as any other",
    source: Source {
        cite: "macvlan_multicast_rx and macvlan_recompute_bc_filter, drivers/net/macvlan.c; \
               ip-link(8), bclim",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("macvlan"), Need::Since(6, 4)],
};

#[test]
fn a_cutoff_takes_groups_past_it() {
    check(&CUTOFF, async |case| {
        let mut lab = case.lab(&mixed_lan(Mode::Bridge, Mode::Bridge)).await?;
        let group = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x0a]);
        lab.join("c1", group).await?;
        let both = "c1 multicast, c2 multicast, p multicast";
        lab.join("c2", group).await?;
        // The last is -1: no group goes past the queue.
        for cutoff in [8_u64, 1, 0, u64::from(u32::MAX)] {
            lab.set_option("c1:c0", BC_CUTOFF, cutoff).await?;
            // The kernel does not tell the one that it begins with.
            let told = lab.option("c1:c0", BC_CUTOFF).await?;
            lab.claim("it is told", told.unwrap_or(1) == cutoff, format!("{told:?}"))?;
            lab.expect_shot("e", &Shot::to(group), both).await?;
            let all = "c1 broadcast, c2 broadcast, p broadcast";
            lab.expect_shot("e", &Shot::broadcast(), all).await?;
        }
        Ok(())
    });
}
