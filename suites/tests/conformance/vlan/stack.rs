//! VLANs on other links and below them: on macvlan children, in VLANs, moved, counted, and gone.
//!
//! ```text
//!   c1:v5 (VLAN 5)      a:q7 (VLAN 7 in VLAN 5)      c1:m0 (macvlan)
//!   c1:c0 (macvlan)     a:v5 (VLAN 5)                p:v5 (VLAN 5)
//!     p:p0 ------ e       a:eth0 ------ b               p:p0 ------ e
//! ```

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::link;
use hairpin_harness::{
    CaseLab, Class, Filter, Mac, Mode, Need, Rule, Shot, Source, Stop, Strength, Tag, Topology,
    check,
};
use rstest::rstest;

use super::{NEEDS, cable};
use crate::counted::{DATAGRAM, MORE, expect_bytes, expect_exactly, only};

pub(crate) const RULES: &[Rule] =
    &[ON_MACVLAN, BELOW_MACVLAN, IN_A_VLAN, FILTERS, BELOW_MOVES, MOVED, SENT, GONE];

const NEEDS_MACVLAN: &[Need] =
    &[Need::Driver("veth"), Need::Driver("vlan"), Need::Driver("macvlan")];

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x51]);

/// A group that nobody joins unasked.
const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x51]);

const ON_MACVLAN: Rule = Rule {
    id: "vlan.stack.on-a-macvlan-child",
    promise: "a VLAN on a macvlan child takes what bears its id and is for the child's address, \
              and what it sends leaves the child's parent with its tag; an address of its own is \
              on the parent's list, though the child takes no frame for it",
    source: Source {
        cite: "vlan_do_receive, and macvlan_set_mac_lists, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_MACVLAN,
};

#[test]
fn on_a_macvlan_child() {
    check(&ON_MACVLAN, async |case| {
        let child = Mac([0x02, 0x68, 0x70, 0, 0x01, 0x01]);
        let lan = Topology::new("on-a-macvlan")
            .host("c1")
            .host("e")
            .netns("p")
            .cable("p:p0", "e:e0")
            .macvlan("c1:c0", "p:p0", Mode::Bridge)
            .mac("c1:c0", child)
            .vlan("c1:v5", "c1:c0", 5)
            .mac("c1:v5", child);
        let mut lab = case.lab(&without_ipv6(lan)).await?;
        lab.expect_shot("e", &Shot::to(child).tag(Tag::vlan(5)), "c1:v5 host").await?;
        lab.expect_shot("e", &Shot::to(child), "c1 host").await?;
        lab.expect_shot("e", &Shot::broadcast().tag(Tag::vlan(5)), "c1:v5 broadcast").await?;
        lab.set_mac("c1:v5", NEW).await?;
        let asked = lab.link("c1:c0").await?.promiscuity;
        lab.claim("the child is asked for no more than that", asked == 0, asked)?;
        for link in ["c1:c0", "p:p0"] {
            let listed = lab.filters(link).await?.contains(&NEW);
            lab.claim(&format!("{link} listens for it"), listed, listed)?;
        }
        lab.expect_shot("e", &Shot::to(NEW).tag(Tag::vlan(5)), "nobody").await?;
        lab.set_mac("c1:v5", child).await?;
        let listed = lab.filters("p:p0").await?.contains(&NEW);
        lab.claim("and no longer", !listed, listed)?;
        lab.expect_shot("e", &Shot::to(child).tag(Tag::vlan(5)), "c1:v5 host").await?;
        Ok(())
    });
}

const BELOW_MACVLAN: Rule = Rule {
    id: "vlan.stack.below-macvlan-children",
    promise: "macvlan children of a VLAN reach each other without a tag, and who is in that VLAN \
              with one",
    source: Source {
        cite: "macvlan_queue_xmit; vlan_dev_hard_start_xmit",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_MACVLAN,
};

#[rstest]
#[case::unicast(Class::Unicast)]
#[case::broadcast(Class::Broadcast)]
#[case::ping4(Class::Ping4)]
#[case::ping6(Class::Ping6)]
fn below_macvlan_children(#[case] class: Class) {
    check(&BELOW_MACVLAN, async |case| {
        let mut lan = Topology::new("below-macvlan")
            .host("c1")
            .host("c2")
            .host("e")
            .netns("p")
            .cable("p:p0", "e:e0")
            .vlan("p:v5", "p:p0", 5)
            .vlan("e:v5", "e:e0", 5)
            .macvlan("c1:m0", "p:v5", Mode::Bridge)
            .macvlan("c2:m0", "p:v5", Mode::Bridge);
        for (link, last) in [("c1:m0", 11), ("c2:m0", 12), ("e:v5", 9)] {
            lan = lan
                .address(link, &format!("192.0.2.{last}/24"))
                .address(link, &format!("2001:db8::{last}/64"));
        }
        let mut lab = case.lab(&lan).await?;
        let all = "
                c1 c2 e
            c1  .  +  +
            c2  +  .  +
            e   +  +  .";
        lab.expect(class, all).await?;
        if !class.is_group() {
            return Ok(());
        }
        let fate = lab.expect_shot("c1", &Shot::broadcast(), "c2 broadcast, e broadcast").await?;
        let tag = fate.tag_leaving("p:p0");
        lab.claim("it left in VLAN 5", tag == Some(Tag::vlan(5)), format!("{tag:?}"))
    });
}

const IN_A_VLAN: Rule = Rule {
    id: "vlan.stack.a-vlan-in-a-vlan",
    promise: "a VLAN in a VLAN takes the frames that bear both ids in that order, and what it \
              sends bears both",
    source: Source { cite: "IEEE 802.1Q, 6.7; vlan_do_receive", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_vlan_in_a_vlan() {
    check(&IN_A_VLAN, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:eth0");
        lab.set_mac("a:v5", a).await?;
        lab.grow(|lan| lan.vlan("a:q7", "a:v5", 7).mac("a:q7", a)).await?;
        let both = |inner: u16, outer: u16| {
            Shot::to(a).tag(Tag::vlan(inner)).tag(Tag::vlan(outer)).bytes(108)
        };
        lab.expect_shot("b", &both(7, 5), "a:q7 host").await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)), "a:v5 host").await?;
        let fate = lab.shoot("b", &both(5, 7)).await?.to_string();
        lab.claim("not in the other order", !fate.contains("q7"), &fate)?;
        let fate = lab.shoot("b", &Shot::to(a).tag(Tag::vlan(7))).await?.to_string();
        lab.claim("nor the inner id alone", !fate.contains("q7"), &fate)
    });
}

async fn expect_counts(lab: &CaseLab, when: &str, promisc: u32, groups: u64) -> Result<(), Stop> {
    let seen = lab.link("a:eth0").await?.promiscuity;
    lab.claim(&format!("{when}: promiscuity {promisc}"), seen == promisc, seen)?;
    match lab.option("a:eth0", link::ALLMULTI).await? {
        None => Ok(()),
        Some(seen) => lab.claim(&format!("{when}: all groups {groups}"), seen == groups, seen),
    }
}

const FILTERS: Rule = Rule {
    id: "vlan.stack.what-it-asks-for-is-asked-of-the-link-below",
    promise: "a VLAN's link that asks for everything, for all groups or for one, asks the link \
              below for it, once, and no longer when it does not; for one group only while it is up",
    source: Source {
        cite: "vlan_dev_change_rx_flags, vlan_dev_set_rx_mode and vlan_dev_stop, \
               net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_it_asks_for_is_asked_of_the_link_below() {
    check(&FILTERS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        // An address that is not the link's own makes a cable promiscuous.
        let own = lab.mac("a:eth0");
        lab.set_mac("a:v5", own).await?;
        expect_counts(&lab, "at first", 0, 0).await?;
        for (filter, promisc, groups) in [(Filter::Promisc, 1, 0), (Filter::Allmulti, 0, 1)] {
            for _ in 0..2 {
                lab.set_filter("a:v5", filter, true).await?;
                expect_counts(&lab, "asked", promisc, groups).await?;
                lab.set_up("a:v5", false).await?;
                // It is asked for all the same while the VLAN's link is down.
                expect_counts(&lab, "down", promisc, groups).await?;
                lab.set_up("a:v5", true).await?;
                expect_counts(&lab, "up again", promisc, groups).await?;
                lab.set_filter("a:v5", filter, false).await?;
                expect_counts(&lab, "no longer asked", 0, 0).await?;
            }
        }
        lab.add_filter("a:v5", GROUP, false).await?;
        for (up, wanted) in [(true, true), (false, false), (true, true)] {
            lab.set_up("a:v5", up).await?;
            let seen = lab.filters("a:eth0").await?.contains(&GROUP);
            lab.claim(&format!("up {up}: the group is asked for: {wanted}"), seen == wanted, seen)?;
        }
        lab.delete_filter("a:v5", GROUP).await?;
        let seen = lab.filters("a:eth0").await?.contains(&GROUP);
        lab.claim("and no longer", !seen, seen)
    });
}

const BELOW_MOVES: Rule = Rule {
    id: "vlan.stack.an-address-that-was-the-links-below",
    promise: "a VLAN's link that was given the address of the link below keeps it when that \
              changes, and is still reached at it; when the two are alike again nothing more is \
              asked for",
    source: Source { cite: "vlan_sync_address, net/8021q/vlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_that_was_the_links_below() {
    check(&BELOW_MOVES, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let own = lab.mac("a:eth0");
        lab.set_mac("a:v5", own).await?;
        for (below, listed) in [(NEW, true), (own, false), (NEW, true)] {
            lab.set_mac("a:eth0", below).await?;
            let seen = lab.link("a:v5").await?.mac;
            lab.claim("it keeps its own", seen == own, seen)?;
            let seen = lab.filters("a:eth0").await?.contains(&own);
            lab.claim(&format!("it is asked for: {listed}"), seen == listed, seen)?;
            lab.expect_shot("b", &Shot::to(own).tag(Tag::vlan(5)), "a:v5 host").await?;
        }
        Ok(())
    });
}

const MOVED: Rule = Rule {
    id: "vlan.stack.may-move-away",
    promise: "a VLAN's link that moves to another namespace takes its frames there, tells where \
              the link below is, and goes with that",
    source: Source { cite: "ip-netns(8); vlan_get_link_net, net/8021q", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn may_move_away() {
    check(&MOVED, async |case| {
        let mut lab = case.lab(&cable().host("c").cable("c:eth0", "b:eth1")).await?;
        let home = lab.option("a:v5", link::BELOW_NETNS).await?;
        lab.claim("at home nothing is told", home.is_none(), format!("{home:?}"))?;
        let mac = lab.mac("a:v5");
        lab.move_link("a:v5", "c").await?;
        lab.set_up("c:v5", true).await?;
        let away = lab.option("c:v5", link::BELOW_NETNS).await?;
        lab.claim("away it is", away.is_some(), "it is not")?;
        let below = u64::from(lab.link("a:eth0").await?.index);
        lab.expect_option("c:v5", link::BELOW, below).await?;
        lab.expect_shot("b", &Shot::to(mac).tag(Tag::vlan(5)), "c host").await?;
        lab.delete("a:eth0").await?;
        let there = lab.exists("c:v5")?;
        lab.claim("it goes with the link below", !there, "it is there")
    });
}

const SENT: Rule = Rule {
    id: "vlan.stack.counts-what-it-sends",
    promise: "each frame and byte that a VLAN's link sends is counted once by it and once by the \
              link below, at the other end without its Ethernet header, and nothing besides",
    source: Source {
        cite: "vlan_dev_hard_start_xmit, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn counts_what_it_sends() {
    check(&SENT, async |case| {
        let lan = Topology::new("sent")
            .host("a")
            .host("b")
            .cable("a:eth0", "b:eth0")
            .vlan("a:v5", "a:eth0", 5)
            .vlan("b:v5", "b:eth0", 5)
            .address("a:v5", "192.0.2.1/24")
            .address("b:v5", "192.0.2.2/24");
        let mut lab = case.lab(&without_ipv6(lan)).await?;
        let b = lab.mac("b:v5");
        let wanted =
            [("a:v5", 0, MORE), ("a:eth0", 0, MORE), ("b:eth0", MORE, 0), ("b:v5", MORE, 0)];
        let counted = expect_bytes(&mut lab, ("a", &Shot::to(b), "b host"), &wanted).await?;
        let bad = counted.iter().flatten().map(|c| c.tx_dropped + c.tx_errors + c.rx_dropped);
        let bad: u64 = bad.sum();
        lab.claim("nothing was dropped", bad == 0, bad)?;
        expect_bytes(&mut lab, ("a", &Shot::broadcast(), "b broadcast"), &wanted).await?;
        let mut groups = counted[3][0];
        groups.multicast = 0;
        lab.claim("groups apart", groups == counted[3][0], format!("{groups:?}"))?;
        let (whole, inside) = ((2, 2 * DATAGRAM), (2, 2 * (DATAGRAM - 14)));
        for (from, to) in [("a", "b"), ("b", "a")] {
            let links =
                ["v5", "eth0"].map(|link| (format!("{from}:{link}"), format!("{to}:{link}")));
            let wanted = [
                (links[0].0.as_str(), only((0, 0), whole)),
                (links[1].0.as_str(), only((0, 0), whole)),
                (links[1].1.as_str(), only(whole, (0, 0))),
                (links[0].1.as_str(), only(inside, (0, 0))),
            ];
            expect_exactly(&lab, (from, to), &wanted).await?;
        }
        Ok(())
    });
}

const GONE: Rule = Rule {
    id: "vlan.stack.nothing-holds-what-is-deleted",
    promise: "a VLAN's link that has sent and got frames is gone when it is deleted, its id free \
              again, and so is the link below with those that are left",
    source: Source { cite: "unregister_vlan_dev, net/8021q/vlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nothing_holds_what_is_deleted() {
    check(&GONE, async |case| {
        let mut lab = case.lab(&cable()).await?;
        for _ in 0..3 {
            lab.grow(|lan| lan.vlan("a:v6", "a:eth0", 6)).await?;
            let mac = lab.mac("a:v6");
            lab.send_many("a:v6", &Shot::broadcast(), 20)?;
            lab.send_many("b:eth0", &Shot::to(mac).tag(Tag::vlan(6)), 20)?;
            lab.delete_last().await?;
            let free = lab.filters("a:eth0").await?.contains(&mac);
            lab.claim("nothing is asked for any more", !free, free)?;
        }
        lab.send_many("b:eth0", &Shot::broadcast().tag(Tag::vlan(5)), 50)?;
        lab.delete("a:eth0").await?;
        let there = lab.exists("a:v5")?;
        lab.claim("it is gone", !there, "it is there")
    });
}
