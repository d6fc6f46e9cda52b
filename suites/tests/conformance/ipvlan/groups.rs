//! Which frames to groups ipvlan children take, and which nobody hands to them.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use std::net::Ipv4Addr;

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Filter, Mac, Marks, Rule, Shot, Source, Strength, Topology, Watch, check};
use rstest::rstest;

use super::NEEDS;
use crate::counted::settled;
use crate::filtered::{BY_CHANCE, expect_filtered, expect_unfiltered, strange_groups_heard};
use crate::looped::expect_own;

pub(crate) const RULES: &[Rule] = &[MEMBERS, ASKED, OWN, PAUSE, MARKS];

const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x05]);

const MEMBERS: Rule = Rule {
    id: "ipvlan.groups.by-membership",
    promise: "a child takes a group once it has joined it, from outside and from a sibling, and not \
              before (but for a few that share a place in its filter); its parent sees all of them",
    source: Source {
        cite: "ipvlan_process_multicast and ipvlan_set_multicast_mac_filter, drivers/net/ipvlan",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn by_membership() {
    check(&MEMBERS, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        for host in ["c1", "c2"] {
            expect_filtered(&mut lab, host).await?;
        }
        expect_unfiltered(&mut lab, "p").await?;
        let heard = strange_groups_heard(&mut lab, "c1", "c2").await?;
        lab.claim("c2 hears few groups of c1", heard <= BY_CHANCE, heard)?;
        for host in ["c1", "c2"] {
            lab.join(host, GROUP).await?;
        }
        let all = "c1 multicast, c2 multicast, p multicast";
        lab.expect_shot("e", &Shot::to(GROUP), all).await?;
        lab.expect_shot("c1", &Shot::to(GROUP), "c2 multicast, e multicast").await?;
        Ok(())
    });
}

const ASKED: Rule = Rule {
    id: "ipvlan.groups.all-for-who-asks",
    promise: "a child that asks for everything, or for all groups, takes all groups from outside, and \
              when it asks no longer those that it has joined",
    source: Source {
        cite: "ipvlan_set_multicast_mac_filter, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::promisc(Filter::Promisc)]
#[case::allmulti(Filter::Allmulti)]
fn all_for_who_asks(#[case] filter: Filter) {
    check(&ASKED, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        for _ in 0..2 {
            expect_filtered(&mut lab, "c1").await?;
            lab.set_filter("c1:i0", filter, true).await?;
            expect_unfiltered(&mut lab, "c1").await?;
            expect_filtered(&mut lab, "c2").await?;
            lab.set_filter("c1:i0", filter, false).await?;
        }
        Ok(())
    });
}

const OWN: Rule = Rule {
    id: "ipvlan.groups.what-the-parent-hears-of-itself-is-its-own",
    promise: "what a parent's host sends to a group that it listens to itself it hears, and none of \
              its children in l2 does, though they listen to all groups; what comes from outside all \
              hear",
    source: Source {
        cite: "ipvlan_handle_mode_l2, PACKET_LOOPBACK, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_the_parent_hears_of_itself_is_its_own() {
    check(&OWN, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        expect_own(&mut lab, &["c1", "c2"], "i0").await
    });
}

const PAUSE: Rule = Rule {
    id: "ipvlan.groups.pause-is-no-childs",
    promise: "a frame that asks a link to pause reaches no child, and what a child sends as one \
              reaches nobody",
    source: Source {
        cite: "ipvlan_multicast_enqueue, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// IEEE 802.3, 31B: MAC control.
const MAC_CONTROL: u16 = 0x8808;
/// IEEE 802's "local experimental ethertype 2": the same frame, and no pause.
const ANY_OTHER: u16 = 0x88b6;

#[test]
fn pause_is_no_childs() {
    check(&PAUSE, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        let (pause, other) = (MAC_CONTROL, ANY_OTHER);
        let shot = |ethertype| Shot::broadcast().ethertype(ethertype);
        let all = "c1 broadcast, c2 broadcast, p broadcast";
        for (ethertype, heard) in [(pause, "p broadcast"), (other, all)] {
            lab.expect_shot("e", &shot(ethertype), heard).await?;
        }
        let all = "c2 broadcast, e broadcast";
        for (ethertype, heard) in [(pause, "nobody"), (other, all)] {
            lab.expect_shot("c1", &shot(ethertype), heard).await?;
        }
        Ok(())
    });
}

const MARKS: Rule = Rule {
    id: "ipvlan.groups.a-mark-does-not-cross-namespaces",
    promise: "what a child sends to a group, or the parent's own machine by another link, comes to \
              children without the mark that it had in its sender's namespace",
    source: Source {
        cite: "ipvlan_xmit_mode_l2, ipvlan_handle_mode_l2 and ipvlan_skb_crossing_ns, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// A machine whose parent is cabled to another link of its own: what comes by that has not crossed a
/// namespace, which would have taken its mark.
fn one_machine() -> Topology {
    let lan = Topology::new("one-machine").host("c1").host("c2").netns("p");
    let lan = lan.cable("p:p0", "p:p1").address("p:p1", "192.0.2.9/24");
    let (mode, flag) = (IpvlanMode::L2, IpvlanFlag::Bridge);
    quiet(lan.ipvlan("c1:i0", "p:p0", mode, flag).ipvlan("c2:i0", "p:p0", mode, flag))
        .address("c1:i0", "192.0.2.11/24")
        .address("c2:i0", "192.0.2.12/24")
}

#[rstest]
#[case::of_a_sibling("c1", "i0")]
#[case::from_outside("p", "p1")]
fn a_mark_does_not_cross_namespaces(#[case] from: &str, #[case] by: &'static str) {
    const ALL: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
    const ALL_AS_MAC: Mac = Mac([0x01, 0x00, 0x5e, 0, 0, 0xfb]);
    const TIMES: u64 = 3;
    check(&MARKS, async |case| {
        let mut lab = case.lab(&one_machine()).await?;
        lab.join("c2", ALL_AS_MAC).await?;
        let marks = Marks { mark: 7, by: Some(by), ..Marks::default() };
        let (leaving, coming) = (Watch::leaving().to(ALL), Watch::coming().to(ALL));
        for (mark, left, come) in [(7, TIMES, 0), (0, 0, TIMES)] {
            let watches = [(from, leaving.clone(), left), ("c2", coming.clone(), come)];
            let watches = watches.map(|(host, watch, times)| (host, watch.marked(mark), times));
            for (host, watch, _) in &watches {
                lab.watch(host, watch)?;
            }
            lab.send_marked(from, (ALL, 9).into(), marks, (100, TIMES as usize))?;
            // What siblings say waits behind it in the same queue.
            settled(&mut lab).await?;
            for (host, watch, times) in &watches {
                let seen = lab.watched(host, watch)?;
                let claim = format!("{host} sees {times} with the mark {mark}");
                lab.claim(&claim, seen == *times, seen)?;
            }
        }
        Ok(())
    });
}
