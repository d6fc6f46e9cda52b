//! passthru: one child owns the parent.
//!
//! ```text
//!   c1 === p0 --- s0     c1 has p0's address; p's own machine hears no unicast any more
//! ```

use hairpin_fixtures::lan::{cabled, single_lan};
use hairpin_harness::Class::{Ping4, Ping6, Unicast};
use hairpin_harness::{
    Class, Family, Fdb, Filter, Mac, Macvlan, Mode, PortFlags, Rule, Shot, Source, Strength, check,
};
use rstest::rstest;

use super::{NEEDS, NEEDS_LOCKED_PORTS, expect_promiscuity};

pub(crate) const RULES: &[Rule] = &[
    EXCLUSIVE,
    MAC_IS_SHARED,
    PARENTS_MAC_IS_SHARED,
    RESTORED,
    LAST_OWN,
    TAKES_ALL,
    NOPROMISC_CHANGES,
    PROMISC_STAYS,
    PARENT_IS_DEAF,
    PROMISCUITY_WHILE_DOWN,
    CLOUD_KNOWS_ONE_MAC,
];

const EXCLUSIVE: Rule = Rule {
    id: "macvlan.passthru.one-child-only",
    promise: "a parent with a passthru child takes no other, a parent with another child takes no \
              passthru one, and no child changes into or out of passthru",
    source: Source {
        cite: "macvlan_common_newlink and macvlan_changelink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M10"],
    needs: NEEDS,
};

#[rstest]
#[case::after_passthru(Mode::Passthru, Mode::Bridge)]
#[case::passthru_twice(Mode::Passthru, Mode::Passthru)]
#[case::before_passthru(Mode::Bridge, Mode::Passthru)]
fn one_child_only(#[case] first: Mode, #[case] second: Mode) {
    check(&EXCLUSIVE, async |case| {
        let mut lab = case.lab(&cabled(first)).await?;
        let refused = lab.grow(|lan| lan.macvlan("other:c0", "p:p0", second)).await;
        lab.claim(
            &format!("a {second} child beside a {first} one is refused"),
            refused.is_err(),
            "it was made",
        )?;
        let into = if first == Mode::Passthru { Mode::Bridge } else { Mode::Passthru };
        let refused = lab.set_macvlan("c1:c0", into).await;
        lab.claim(
            &format!("a change from {first} to {into} is refused"),
            refused.is_err(),
            "it was made",
        )?;
        // The twin: without the first child the second is taken.
        lab.delete_last().await?;
        let made = lab.grow(|lan| lan.macvlan("other:c0", "p:p0", second)).await;
        lab.claim("without the first child the second is taken", made.is_ok(), format!("{made:?}"))
    });
}

const MAC_IS_SHARED: Rule = Rule {
    id: "macvlan.passthru.mac-follows-the-child",
    promise: "the child's new MAC address becomes its parent's, and frames to it arrive; when the \
              child is gone the parent has its old one again",
    source: Source {
        cite: "macvlan_set_mac_address and macvlan_uninit, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M10"],
    needs: NEEDS,
};

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x01]);

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn mac_follows_the_child(#[case] family: Family) {
    check(&MAC_IS_SHARED, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        let before = lab.link("p:p0").await?.mac;
        let child = lab.link("c1:c0").await?.mac;
        lab.claim("the child is born with its parent's address", child == before, child)?;
        for mac in [before, NEW] {
            lab.set_mac("c1:c0", mac).await?;
            let parent = lab.link("p:p0").await?.mac;
            lab.claim(&format!("the parent has {mac}"), parent == mac, parent)?;
            for (from, to) in [("e", "c1"), ("c1", "e")] {
                let cell = lab.ping(family, from, to).await?;
                let claim = format!("{from} reaches {to} with {mac}");
                lab.claim(&claim, cell.verdict.symbol() == '+', &cell.verdict)?;
            }
        }
        lab.delete_last().await?;
        let after = lab.link("p:p0").await?.mac;
        lab.claim(&format!("the parent has {before} again"), after == before, after)
    });
}

const PARENT_IS_DEAF: Rule = Rule {
    id: "macvlan.passthru.parent-hears-no-unicast",
    promise: "a passthru child takes every unicast frame that comes in, also those to the parent's \
              own address: the machine itself is cut off until the child is gone",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M10", "M11"],
    needs: NEEDS,
};

#[rstest]
#[case::unicast(Unicast)]
#[case::ping4(Ping4)]
#[case::ping6(Ping6)]
fn parent_hears_no_unicast(#[case] class: Class) {
    check(&PARENT_IS_DEAF, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        // The parent still sends; whatever answers it is the child's.
        let from_parent = if class == Unicast { '+' } else { '#' };
        let owned = format!(
            "   c1 p e
            c1  .  # +
            p   #  . {from_parent}
            e   +  # ."
        );
        lab.expect(class, &owned).await?;
        lab.delete_last().await?;
        lab.grow(|lan| {
            let lan = lan.macvlan("c1:c0", "p:p0", Mode::Vepa);
            lan.address("c1:c0", "192.0.2.11/24").address("c1:c0", "2001:db8::11/64")
        })
        .await?;
        lab.set_port("sw:s0", PortFlags::default().hairpin(true)).await?;
        let shared = "
                c1 p e
            c1  .  + +
            p   +  . +
            e   +  + .";
        lab.expect(class, shared).await?;
        Ok(())
    });
}

const PROMISCUITY_WHILE_DOWN: Rule = Rule {
    id: "macvlan.passthru.nopromisc-while-down-counts-nothing",
    promise: "setting nopromisc on a passthru child that is down leaves its parent's promiscuity \
              at zero; before \"macvlan: fix passthru promiscuity accounting while down\" it \
              becomes 4294967295",
    source: Source {
        cite: "macvlan_changelink, drivers/net/macvlan.c; fixed in 7.3.4 (Debian changelog 7.3.4-1)",
        strength: Strength::Code,
    },
    article: &["M3", "M10"],
    needs: NEEDS,
};

#[test]
fn nopromisc_while_down_counts_nothing() {
    check(&PROMISCUITY_WHILE_DOWN, async |case| {
        let mut lab = case.lab(&cabled(Mode::Passthru).down("c1:c0")).await?;
        let nopromisc = hairpin_harness::Macvlan::from(Mode::Passthru).nopromisc();
        lab.set_macvlan("c1:c0", nopromisc).await?;
        let seen = lab.link("p:p0").await?.promiscuity;
        lab.claim("the parent's promiscuity is 0", seen == 0, seen)
    });
}

const CLOUD_KNOWS_ONE_MAC: Rule = Rule {
    id: "macvlan.passthru.a-cloud-port-cuts-off-a-new-mac",
    promise: "behind a switch port that takes frames from one address only, a passthru child works \
              with its parent's address and is cut off, with the whole machine, by a new one",
    source: Source {
        cite: "bridge(8), locked; the article's cloud machine, which could not be reached any more",
        strength: Strength::Documented,
    },
    article: &["M11"],
    needs: NEEDS_LOCKED_PORTS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_cloud_port_cuts_off_a_new_mac(#[case] family: Family) {
    check(&CLOUD_KNOWS_ONE_MAC, async |case| {
        let cloud = PortFlags::default().locked(true).learning(false);
        let topology = single_lan(Mode::Passthru).port_with("sw:s0", "br0", cloud);
        let mut lab = case.lab(&topology).await?;
        let old = lab.link("p:p0").await?.mac;
        lab.flush_fdb("sw:s0").await?;
        lab.add_fdb("sw:s0", old, Fdb::STATIC).await?;
        for (mac, out) in [(old, '+'), (NEW, '#'), (old, '+')] {
            lab.set_mac("c1:c0", mac).await?;
            let cell = lab.ping(family, "c1", "e").await?;
            let claim = format!("with {mac}, c1 to e is `{out}`");
            lab.claim(&claim, cell.verdict.symbol() == out, &cell.verdict)?;
        }
        Ok(())
    });
}

const TAKES_ALL: Rule = Rule {
    id: "macvlan.passthru.takes-all-unicast-as-its-own",
    promise: "a passthru child takes every unicast frame as its own, whatever its destination, and \
              its parent none; broadcast and joined groups reach both once",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn takes_all_unicast_as_its_own() {
    check(&TAKES_ALL, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        let p = lab.mac("p:p0");
        let group = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x08]);
        lab.join("c1", group).await?;
        lab.expect_shot("e", &Shot::to(NEW), "c1 host").await?;
        lab.expect_shot("e", &Shot::to(p), "c1 host").await?;
        lab.expect_shot("e", &Shot::broadcast(), "c1 broadcast, p broadcast").await?;
        lab.expect_shot("e", &Shot::to(group), "c1 multicast, p multicast").await?;
        let e = lab.mac("e:e0");
        lab.expect_shot("c1", &Shot::to(e).from(NEW), "e host").await?;
        lab.delete_last().await?;
        lab.grow(|lan| lan.macvlan("c1:c0", "p:p0", Mode::Bridge)).await?;
        lab.expect_shot("e", &Shot::to(p), "p host").await?;
        Ok(())
    });
}

const PARENTS_MAC_IS_SHARED: Rule = Rule {
    id: "macvlan.passthru.mac-follows-the-parent",
    promise: "a parent's new address becomes its passthru child's, up or down",
    source: Source {
        cite: "macvlan_device_event, NETDEV_CHANGEADDR, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::up(true)]
#[case::down(false)]
fn mac_follows_the_parent(#[case] up: bool) {
    check(&PARENTS_MAC_IS_SHARED, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        lab.set_up("c1:c0", up).await?;
        lab.set_mac("p:p0", NEW).await?;
        let seen = lab.link("c1:c0").await?.mac;
        lab.claim("the child has it", seen == NEW, seen)?;
        lab.set_up("c1:c0", true).await?;
        lab.expect_shot("e", &Shot::to(NEW), "c1 host").await?;
        Ok(())
    });
}

const RESTORED: Rule = Rule {
    id: "macvlan.passthru.what-the-child-did-is-undone",
    promise: "when a passthru child goes, its parent has the address that it had been given \
              itself, at birth or since",
    source: Source {
        cite: "macvlan_port_destroy, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::own(None)]
#[case::given(Some(Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x09])))]
fn what_the_child_did_is_undone(#[case] given: Option<Mac>) {
    check(&RESTORED, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        let own = given.unwrap_or(lab.link("p:p0").await?.mac);
        if let Some(mac) = given {
            lab.set_mac("p:p0", mac).await?;
        }
        lab.set_mac("c1:c0", NEW).await?;
        let seen = lab.link("p:p0").await?.mac;
        lab.claim("the parent has the child's", seen == NEW, seen)?;
        lab.delete_last().await?;
        let seen = lab.link("p:p0").await?.mac;
        lab.claim(&format!("the parent has {own} again"), seen == own, seen)
    });
}

const LAST_OWN: Rule = Rule {
    id: "macvlan.passthru.the-parents-last-address-stays",
    promise: "an address that the parent is given itself, after its child has changed it, is the \
              child's, too, and stays the parent's when the child goes",
    source: Source {
        cite: "macvlan_sync_address and macvlan_port_destroy, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::up(true)]
#[case::down(false)]
fn the_parents_last_address_stays(#[case] up: bool) {
    const GIVEN: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x09]);
    check(&LAST_OWN, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        lab.set_up("c1:c0", up).await?;
        lab.set_mac("c1:c0", NEW).await?;
        lab.set_mac("p:p0", GIVEN).await?;
        let seen = lab.link("c1:c0").await?.mac;
        lab.claim(&format!("the child has {GIVEN}"), seen == GIVEN, seen)?;
        lab.delete_last().await?;
        let seen = lab.link("p:p0").await?.mac;
        lab.claim(&format!("the parent has {GIVEN} still"), seen == GIVEN, seen)
    });
}

const NOPROMISC_CHANGES: Rule = Rule {
    id: "macvlan.passthru.nopromisc-while-up-counts-once",
    promise: "nopromisc takes a passthru child's wish back at once, and without it the wish is \
              there again; going down leaves nothing behind",
    source: Source { cite: "macvlan_changelink, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nopromisc_while_up_counts_once() {
    check(&NOPROMISC_CHANGES, async |case| {
        let mut lab = case.lab(&cabled(Mode::Passthru)).await?;
        let plain = || Macvlan::from(Mode::Passthru);
        expect_promiscuity(&lab, "up", 1).await?;
        let flags = hairpin_harness::options::macvlan::FLAGS;
        lab.set_option("c1:c0", flags, 1).await?;
        expect_promiscuity(&lab, "nopromisc", 0).await?;
        lab.set_option("c1:c0", flags, 1).await?;
        expect_promiscuity(&lab, "nopromisc again", 0).await?;
        lab.set_option("c1:c0", flags, 0).await?;
        expect_promiscuity(&lab, "no more nopromisc", 1).await?;
        lab.set_macvlan("c1:c0", plain()).await?;
        expect_promiscuity(&lab, "the same again", 1).await?;
        lab.set_up("c1:c0", false).await?;
        expect_promiscuity(&lab, "down", 0).await
    });
}

const PROMISC_STAYS: Rule = Rule {
    id: "macvlan.passthru.promisc-of-the-child-is-its-own",
    promise: "a passthru child that is made promiscuous asks nothing more of its parent, with \
              nopromisc and without: \"macvlan: Don't propagate promisc change to lower dev in \
              passthru\"",
    source: Source {
        cite: "macvlan_change_rx_flags, drivers/net/macvlan.c; fixed in 6.1.64 and 6.5.13",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::promisc(Macvlan::from(Mode::Passthru), 1)]
#[case::nopromisc(Macvlan::from(Mode::Passthru).nopromisc(), 0)]
fn promisc_of_the_child_is_its_own(#[case] settings: Macvlan, #[case] count: u32) {
    check(&PROMISC_STAYS, async |case| {
        let mut lab = case.lab(&cabled(settings)).await?;
        for on in [true, false] {
            lab.set_filter("c1:c0", Filter::Promisc, on).await?;
            expect_promiscuity(&lab, if on { "promisc on" } else { "promisc off" }, count).await?;
        }
        lab.set_filter("c1:c0", Filter::Promisc, true).await?;
        lab.set_up("c1:c0", false).await?;
        expect_promiscuity(&lab, "down", 0).await
    });
}
