//! A child's Ethernet address: whose it may be, when it changes, and what its parent then listens to.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e     p0 has the children's addresses on its list
//! ```

use std::collections::BTreeSet;

use hairpin_fixtures::lan::cabled;
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::{
    CaseLab, Errno, Filter, Mac, Mode, Rule, Shot, Source, Stop, Strength, check, options,
};
use rstest::rstest;

use super::{NEEDS, expect_promiscuity};

pub(crate) const RULES: &[Rule] =
    &[FOLLOWS, TAKEN, TAKEN_WHILE_DOWN, NO_GROUP, LIST, PROMISCUITY, ALLMULTI, PARENT_CHANGES];

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x03]);

/// A group that nobody joins unasked.
const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x06]);

const FOLLOWS: Rule = Rule {
    id: "macvlan.address.changes-at-once",
    promise: "a child that is given a new address is reached at it from outside and by siblings \
              at once, and at its old one no longer, whether it was up or down",
    source: Source {
        cite: "macvlan_sync_address, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::up(true)]
#[case::down(false)]
fn changes_at_once(#[case] up: bool) {
    check(&FOLLOWS, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let old = lab.mac("c2:c0");
        lab.set_up("c2:c0", up).await?;
        lab.set_mac("c2:c0", NEW).await?;
        lab.set_up("c2:c0", true).await?;
        lab.expect_shot("e", &Shot::to(NEW), "c2 host").await?;
        lab.expect_shot("c1", &Shot::to(NEW), "c2 host").await?;
        lab.expect_shot("e", &Shot::to(old), "p other").await?;
        lab.flush_fdb("sw:s0").await?;
        lab.expect_shot("c1", &Shot::to(old), "e other").await?;
        let seen = lab.link("p:p0").await?.mac;
        lab.claim("the parent keeps its own", seen == lab.mac("p:p0"), seen)
    });
}

const TAKEN: Rule = Rule {
    id: "macvlan.address.two-of-one-parent-differ",
    promise: "a child that is up cannot take the address of its parent or of a sibling that is up",
    source: Source { cite: "macvlan_addr_busy, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::of_a_sibling("c2:c0")]
#[case::of_the_parent("p:p0")]
fn two_of_one_parent_differ(#[case] of: &str) {
    check(&TAKEN, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let (own, taken) = (lab.mac("c1:c0"), lab.mac(of));
        let refused = lab.set_mac("c1:c0", taken).await;
        lab.expect_refusal("a taken address", refused, Errno::EADDRINUSE)?;
        let seen = lab.link("c1:c0").await?.mac;
        lab.claim("it keeps its own", seen == own, seen)?;
        let done = lab.set_mac("c1:c0", own).await;
        lab.expect_done("its own address again", done)?;
        lab.expect_shot("e", &Shot::to(own), "c1 host").await?;
        // The twin: a free one is taken.
        let done = lab.set_mac("c1:c0", NEW).await;
        lab.expect_done("a free address", done)?;
        lab.expect_shot("e", &Shot::to(NEW), "c1 host").await?;
        Ok(())
    });
}

const TAKEN_WHILE_DOWN: Rule = Rule {
    id: "macvlan.address.is-checked-when-it-comes-up",
    promise: "two children that are down may have one address; the second cannot come up with it \
              until the first is down or has another, nor be given it while the first is up",
    source: Source { cite: "macvlan_open, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn is_checked_when_it_comes_up() {
    check(&TAKEN_WHILE_DOWN, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let taken = lab.mac("c2:c0");
        lab.set_up("c1:c0", false).await?;
        let refused = lab.set_mac("c1:c0", taken).await;
        lab.expect_refusal("the address of one that is up", refused, Errno::EADDRINUSE)?;
        lab.set_up("c2:c0", false).await?;
        let done = lab.set_mac("c1:c0", taken).await;
        lab.expect_done("the address of one that is down", done)?;
        let done = lab.set_up("c1:c0", true).await;
        lab.expect_done("to come up first", done)?;
        let refused = lab.set_up("c2:c0", true).await;
        lab.expect_refusal("to come up second", refused, Errno::EADDRINUSE)?;
        lab.expect_shot("e", &Shot::to(taken), "c1 host").await?;
        lab.set_mac("c2:c0", NEW).await?;
        lab.set_up("c2:c0", true).await?;
        lab.expect_shot("e", &Shot::to(NEW), "c2 host").await?;
        Ok(())
    });
}

const NO_GROUP: Rule = Rule {
    id: "macvlan.address.is-no-group",
    promise: "a child cannot have a group's address or none",
    source: Source {
        cite: "macvlan_set_mac_address, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::group(GROUP)]
#[case::broadcast(Mac::BROADCAST)]
#[case::none(Mac([0; 6]))]
fn is_no_group(#[case] bad: Mac) {
    check(&NO_GROUP, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        let refused = lab.set_mac("c1:c0", bad).await;
        lab.expect_refusal("such an address", refused, Errno::EADDRNOTAVAIL)?;
        let done = lab.set_mac("c1:c0", NEW).await;
        lab.expect_done("a good one", done)?;
        let seen = lab.link("c1:c0").await?.mac;
        lab.claim("a good one is taken", seen == NEW, seen)
    });
}

const LIST: Rule = Rule {
    id: "macvlan.address.is-on-the-parents-list",
    promise: "a parent listens to the address of each child that is up, and to the groups that \
              they joined, and to nothing of a child that is down, changed or gone",
    source: Source {
        cite: "macvlan_open, macvlan_stop and macvlan_sync_address, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// The listed addresses of a parent that are not groups.
async fn listed(lab: &CaseLab) -> Result<BTreeSet<Mac>, Stop> {
    let all = lab.filters("p:p0").await?;
    Ok(all.into_iter().filter(|mac| mac.0[0] & 1 == 0).collect())
}

async fn expect_listed(lab: &CaseLab, when: &str, macs: &[Mac]) -> Result<(), Stop> {
    let seen = listed(lab).await?;
    let wanted: BTreeSet<Mac> = macs.iter().copied().collect();
    lab.claim(&format!("{when}: {} on the list", macs.len()), seen == wanted, format!("{seen:?}"))
}

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::source(Mode::Source)]
fn is_on_the_parents_list(#[case] mode: Mode) {
    check(&LIST, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        let (c1, c2) = (lab.mac("c1:c0"), lab.mac("c2:c0"));
        expect_listed(&lab, "both up", &[c1, c2]).await?;
        lab.set_up("c1:c0", false).await?;
        expect_listed(&lab, "c1 down", &[c2]).await?;
        lab.set_mac("c1:c0", NEW).await?;
        expect_listed(&lab, "c1 changed while down", &[c2]).await?;
        lab.set_up("c1:c0", true).await?;
        expect_listed(&lab, "c1 up again", &[NEW, c2]).await?;
        lab.set_mac("c1:c0", c1).await?;
        expect_listed(&lab, "c1 changed while up", &[c1, c2]).await?;
        lab.join("c1", GROUP).await?;
        let has = lab.filters("p:p0").await?.contains(&GROUP);
        lab.claim("the parent takes the group of its child", has, "it does not")?;
        lab.set_up("c1:c0", false).await?;
        let has = lab.filters("p:p0").await?.contains(&GROUP);
        lab.claim("and not of one that is down", !has, "it does")?;
        lab.set_up("c1:c0", true).await?;
        lab.delete_last().await?;
        expect_listed(&lab, "c2 gone", &[c1]).await
    });
}

const PROMISCUITY: Rule = Rule {
    id: "macvlan.address.a-promiscuous-child-makes-its-parent-so",
    promise: "a child that asks for everything makes its parent ask for it while both that and \
              the child are up, and the count returns to what it was",
    source: Source {
        cite: "macvlan_change_rx_flags, macvlan_open and macvlan_stop, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::source(Mode::Source)]
fn a_promiscuous_child_makes_its_parent_so(#[case] mode: Mode) {
    check(&PROMISCUITY, async |case| {
        let mut lab = case.lab(&cabled(mode)).await?;
        // A cable's end has no list of addresses: the child's own makes it promiscuous.
        expect_promiscuity(&lab, "the child up", 1).await?;
        lab.set_filter("c1:c0", Filter::Promisc, true).await?;
        expect_promiscuity(&lab, "promisc on", 2).await?;
        lab.set_up("c1:c0", false).await?;
        expect_promiscuity(&lab, "down with promisc on", 0).await?;
        lab.set_up("c1:c0", true).await?;
        expect_promiscuity(&lab, "up with promisc on", 2).await?;
        lab.set_filter("c1:c0", Filter::Promisc, false).await?;
        expect_promiscuity(&lab, "promisc off", 1).await?;
        lab.set_up("c1:c0", false).await?;
        lab.set_filter("c1:c0", Filter::Promisc, true).await?;
        expect_promiscuity(&lab, "promisc on while down", 0).await?;
        lab.set_up("c1:c0", true).await?;
        expect_promiscuity(&lab, "up again", 2).await?;
        lab.delete_last().await?;
        expect_promiscuity(&lab, "the child gone", 0).await
    });
}

const ALLMULTI: Rule = Rule {
    id: "macvlan.address.all-groups-for-a-child-are-all-for-its-parent",
    promise: "a child that asks for all groups makes its parent ask for them while both that and \
              the child are up, and the count returns to zero",
    source: Source {
        cite: "macvlan_change_rx_flags, macvlan_open and macvlan_stop, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: super::NEEDS_ALLMULTI,
};

#[rstest]
#[case::bridge(Mode::Bridge)]
#[case::private(Mode::Private)]
fn all_groups_for_a_child_are_all_for_its_parent(#[case] mode: Mode) {
    check(&ALLMULTI, async |case| {
        let mut lab = case.lab(&cabled(mode)).await?;
        let count = options::link::ALLMULTI;
        lab.expect_option("p:p0", count, 0).await?;
        lab.set_filter("c1:c0", Filter::Allmulti, true).await?;
        lab.expect_option("p:p0", count, 1).await?;
        expect_promiscuity(&lab, "for groups alone", 1).await?;
        lab.set_up("c1:c0", false).await?;
        lab.expect_option("p:p0", count, 0).await?;
        lab.set_up("c1:c0", true).await?;
        lab.expect_option("p:p0", count, 1).await?;
        lab.set_filter("c1:c0", Filter::Allmulti, false).await?;
        lab.expect_option("p:p0", count, 0).await?;
        lab.set_up("c1:c0", false).await?;
        lab.set_filter("c1:c0", Filter::Allmulti, true).await?;
        lab.expect_option("p:p0", count, 0).await?;
        lab.set_up("c1:c0", true).await?;
        lab.expect_option("p:p0", count, 1).await?;
        lab.delete_last().await?;
        lab.expect_option("p:p0", count, 0).await
    });
}

const PARENT_CHANGES: Rule = Rule {
    id: "macvlan.address.a-parents-change-is-its-own",
    promise: "a parent that changes its address leaves its children's alone: all are reached",
    source: Source {
        cite: "macvlan_device_event, NETDEV_CHANGEADDR, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_parents_change_is_its_own() {
    check(&PARENT_CHANGES, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let (c1, p) = (lab.mac("c1:c0"), lab.mac("p:p0"));
        lab.set_mac("p:p0", NEW).await?;
        lab.expect_shot("e", &Shot::to(NEW), "p host").await?;
        lab.expect_shot("e", &Shot::to(p), "p other").await?;
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        let seen = lab.link("c1:c0").await?.mac;
        lab.claim("the child keeps its own", seen == c1, seen)
    });
}
