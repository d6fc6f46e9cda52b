//! ipvlan: children that share their parent's Ethernet address, told apart by IP address.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

pub(crate) mod asking;
pub(crate) mod birth;
pub(crate) mod bonded;
pub(crate) mod counters;
pub(crate) mod cpus;
pub(crate) mod echoes;
pub(crate) mod given;
pub(crate) mod groups;
pub(crate) mod hooks;
pub(crate) mod layer3;
pub(crate) mod lookup;
pub(crate) mod near;
pub(crate) mod paths;
pub(crate) mod tap;
pub(crate) mod told;

use hairpin_fixtures::lan::quiet;
use hairpin_fixtures::{ipvlan_lan, reflecting};
use hairpin_harness::options::{ipvlan, link};
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{
    CaseLab, Class, Errno, Family, LinkName, Mac, Need, Rule, Shot, Source, Stop, Strength,
    Topology, check,
};
use rstest::rstest;

use crate::counted::{MORE, expect_bytes, expect_groups};

pub(crate) const RULES: &[Rule] = &[
    TALKS,
    STAYS_APART,
    BY_THE_SWITCH,
    ROUTED,
    SHARED,
    ADDRESSES,
    MODES,
    MTU_SHARED,
    CARRIER,
    LIFE,
    REFUSED,
    SETTINGS,
    BROADCAST,
    COUNTED,
    TO_THE_PARENT,
];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("ipvlan")];

const TALKS: Rule = Rule {
    id: "ipvlan.l2-siblings-talk",
    promise: "in l2 mode children reach each other and the network outside, and the parent's own \
              stack neither way, not even by way of a switch",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 4.1 and 4.2",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

const TALKING: &str = "
        c1 c2 p e
    c1  .  +  # +
    c2  +  .  # +
    p   #  #  . +
    e   +  +  + .";

const APART: &str = "
        c1 c2 p e
    c1  .  #  # +
    c2  #  .  # +
    p   #  #  . +
    e   +  +  + .";

#[rstest]
#[case::ping4(Class::Ping4)]
#[case::ping6(Class::Ping6)]
fn l2_siblings_talk(#[case] class: Class) {
    check(&TALKS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.expect(class, TALKING).await?;
        expect_all(&mut lab, class).await
    });
}

/// The twin: the same addresses on macvlan children behind a reflecting switch.
async fn expect_all(lab: &mut CaseLab, class: Class) -> Result<(), Stop> {
    for _ in 0..2 {
        lab.delete_last().await?;
    }
    lab.set_port("sw:s0", reflecting()).await?;
    lab.grow(|mut lan| {
        for (child, last) in [("c1", 11), ("c2", 12)] {
            let link = format!("{child}:i0");
            lan = lan
                .macvlan(&link, "p:p0", hairpin_harness::Mode::Vepa)
                .address(&link, &format!("192.0.2.{last}/24"))
                .address(&link, &format!("2001:db8::{last}/64"));
        }
        lan
    })
    .await?;
    let all = "
            c1 c2 p e
        c1  .  +  + +
        c2  +  .  + +
        p   +  +  . +
        e   +  +  + .";
    lab.expect(class, all).await?;
    Ok(())
}

const STAYS_APART: Rule = Rule {
    id: "ipvlan.private-siblings-do-not-talk",
    promise: "private children reach the network outside and not each other",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 5.2",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::ping4(Class::Ping4)]
#[case::ping6(Class::Ping6)]
fn private_siblings_do_not_talk(#[case] class: Class) {
    check(&STAYS_APART, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Private)).await?;
        lab.expect(class, APART).await?;
        lab.set_option("c1:i0", ipvlan::FLAGS, 0).await?;
        lab.expect(class, TALKING).await?;
        expect_all(&mut lab, class).await
    });
}

const BY_THE_SWITCH: Rule = Rule {
    id: "ipvlan.vepa-siblings-need-the-switch",
    promise: "vepa children's frames for each other leave by the parent",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 5.3",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::ping4(Class::Ping4, "arp request")]
#[case::ping6(Class::Ping6, "neighbour solicitation")]
fn vepa_siblings_need_the_switch(#[case] class: Class, #[case] question: &str) {
    check(&BY_THE_SWITCH, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Vepa)).await?;
        let grid = lab.expect(class, APART).await?;
        let cell = grid.cell("c1", "c2").map(|cell| cell.path(question)).unwrap_or_default();
        lab.claim("the question left by the parent", cell.contains("p:p0> sw:s0<"), &cell)?;
        lab.set_option("c1:i0", ipvlan::FLAGS, 0).await?;
        lab.expect(class, TALKING).await?;
        expect_all(&mut lab, class).await
    });
}

const ROUTED: Rule = Rule {
    id: "ipvlan.l3-routes-without-asking",
    promise: "in l3 modes children reach each other, and answer nobody who asks for their address: \
              the network outside reaches them by routes only",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 4.2 and 4.3",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l3(IpvlanMode::L3)]
#[case::l3s(IpvlanMode::L3s)]
fn l3_routes_without_asking(#[case] mode: IpvlanMode) {
    check(&ROUTED, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        for (from, to) in [("c1", "c2"), ("c2", "c1")] {
            let cell = lab.ping(Family::V4, from, to).await?;
            let claim = format!("{from} reaches {to}");
            lab.claim(&claim, cell.verdict.symbol() == '+', &cell.verdict)?;
            let asked = cell.path("arp request");
            lab.claim("nobody was asked", asked.is_empty(), &asked)?;
        }
        let asked = lab.ping(Family::V4, "e", "c1").await?;
        lab.claim("e's question is not answered", asked.verdict.symbol() != '+', &asked.verdict)
    });
}

const SHARED: Rule = Rule {
    id: "ipvlan.the-parents-address-is-theirs",
    promise: "children have their parent's Ethernet address, the outside resolves theirs to it, \
              and they follow when the parent changes it; a child cannot have its own",
    source: Source {
        cite: "ipvlan_init and ipvlan_device_event, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x11]);

#[test]
fn the_parents_address_is_theirs() {
    check(&SHARED, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        let parent = lab.link("p:p0").await?.mac;
        for mac in [parent, NEW] {
            lab.set_mac("p:p0", mac).await?;
            for child in ["c1:i0", "c2:i0"] {
                let seen = lab.link(child).await?.mac;
                lab.claim(&format!("{child} has {mac}"), seen == mac, seen)?;
            }
            for child in ["c1", "c2"] {
                let cell = lab.ping(Family::V4, "e", child).await?;
                lab.claim(
                    &format!("e reaches {child}"),
                    cell.verdict.symbol() == '+',
                    &cell.verdict,
                )?;
                let address = lab.topology().address_of(child, Family::V4).expect("it has one");
                let resolved = lab.neighbour("e", address).await?;
                lab.claim(
                    "by the parent's address",
                    resolved == Some(mac),
                    format!("{resolved:?}"),
                )?;
            }
        }
        let done = lab.set_mac("c1:i0", Mac([2, 0, 0, 0, 0, 1])).await;
        lab.expect_refusal("an address of its own", done, Errno::EOPNOTSUPP)
    });
}

const ADDRESSES: Rule = Rule {
    id: "ipvlan.an-ip-address-is-one-childs",
    promise: "an IP address that one child has is refused to its siblings, of either family, and \
              free again when the child loses it",
    source: Source {
        cite: "ipvlan_addr4_validator_event and ipvlan_addr6_validator_event",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4("192.0.2.77/24")]
#[case::v6("2001:db8::77/64")]
fn an_ip_address_is_one_childs(#[case] address: &str) {
    check(&ADDRESSES, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.grow(|lan| lan.ipvlan("c2:i1", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.add_address("c2:i1", address).await?;
        let done = lab.add_address("c1:i0", address).await;
        let why = (Errno::EADDRINUSE, "already assigned");
        lab.expect_refusal_for("a sibling's address", done, why)?;
        lab.delete_last().await?;
        let done = lab.add_address("c1:i0", address).await;
        lab.claim("free again", done.is_ok(), format!("{done:?}"))
    });
}

const MODES: Rule = Rule {
    id: "ipvlan.one-mode-for-all-children",
    promise: "a change of mode or flags at one child is that of all children of its parent, and \
              holds at once",
    source: Source {
        cite: "ipvlan_set_port_mode, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_mode_for_all_children() {
    check(&MODES, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        for mode in [1, 2, 0] {
            lab.set_option("c1:i0", ipvlan::MODE, mode).await?;
            lab.expect_option("c2:i0", ipvlan::MODE, mode).await?;
            let noarp = lab.link("c2:i0").await?.noarp;
            lab.claim("asks for neighbours in l2 only", noarp == (mode != 0), noarp)?;
        }
        for flags in [1, 2, 0] {
            lab.set_option("c2:i0", ipvlan::FLAGS, flags).await?;
            lab.expect_option("c1:i0", ipvlan::FLAGS, flags).await?;
        }
        lab.expect(Class::Ping4, TALKING).await?;
        expect_all(&mut lab, Class::Ping4).await
    });
}

const MTU_SHARED: Rule = Rule {
    id: "ipvlan.mtu-of-its-parent",
    promise: "children have their parent's MTU, and follow it",
    source: Source { cite: "ipvlan_adjust_mtu and ipvlan_device_event", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn mtu_of_its_parent() {
    check(&MTU_SHARED, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        for mtu in [1500, 1400, 1300] {
            lab.set_mtu("p:p0", mtu).await?;
            lab.expect_option("c1:i0", link::MTU, u64::from(mtu)).await?;
            lab.expect_option("c2:i0", link::MTU, u64::from(mtu)).await?;
        }
        Ok(())
    });
}

const CARRIER: Rule = Rule {
    id: "ipvlan.carrier-is-the-parents",
    promise: "children have carrier while their parent has, and reach each other again with it",
    source: Source {
        cite: "ipvlan_device_event, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn carrier_is_the_parents() {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        for up in [false, true] {
            // The far end takes it away: what happens when the parent itself goes down changed.
            lab.expect_to_settle("sw:s0", up).await?;
            let carrier = lab.link("c1:i0").await?.carrier;
            lab.claim(&format!("carrier {up}"), carrier == up, carrier)?;
        }
        let cell = lab.ping(Family::V4, "c1", "c2").await?;
        lab.claim("c1 reaches c2 again", cell.verdict.symbol() == '+', &cell.verdict)
    });
}

const LIFE: Rule = Rule {
    id: "ipvlan.children-go-with-their-parent",
    promise: "when the parent is deleted its children are gone, and after the last child the \
              parent is free for a bridge",
    source: Source { cite: "ipvlan_device_event and ipvlan_uninit", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn children_go_with_their_parent() {
    check(&LIFE, async |case| {
        let lan = ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge).bridge("p:other");
        let mut lab = case.lab(&lan).await?;
        let done = lab.set_bridge("p:p0", Some("other")).await;
        lab.expect_refusal("a parent as a port", done, Errno::EBUSY)?;
        lab.delete("p:p0").await?;
        for gone in ["c1:i0", "c2:i0"] {
            let there = lab.exists(gone)?;
            lab.claim(&format!("{gone} is gone"), !there, "it is there")?;
        }
        Ok(())
    });
}

const REFUSED: Rule = Rule {
    id: "ipvlan.what-is-refused",
    promise: "a parent of macvlan children or a bridge port takes no ipvlan child, nor the other \
              way round; unknown modes and flags are refused",
    source: Source { cite: "ipvlan_port_create and ipvlan_nl_validate", strength: Strength::Code },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("macvlan"), Need::Driver("ipvlan")],
};

#[test]
fn what_is_refused() {
    check(&REFUSED, async |case| {
        let topology = Topology::new("parent").host("p").host("e").cable("p:p0", "e:e0");
        let mut lab = case.lab(&topology).await?;
        let child = |lan: Topology| lan.ipvlan("p:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge);
        let sibling = |lan: Topology| lan.macvlan("p:c0", "p:p0", hairpin_harness::Mode::Bridge);
        lab.grow(sibling).await?;
        let done = lab.grow(child).await;
        lab.expect_refusal("a child of a macvlan's parent", done, Errno::EBUSY)?;
        lab.delete_last().await?;
        lab.grow(child).await?;
        let done = lab.grow(sibling).await;
        lab.expect_refusal("a macvlan of an ipvlan's parent", done, Errno::EBUSY)?;
        let done = lab.set_option("p:i0", ipvlan::MODE, 3).await;
        lab.expect_refusal("mode 3", done, Errno::EINVAL)?;
        let done = lab.set_option("p:i0", ipvlan::FLAGS, 3).await;
        lab.expect_refusal("private and vepa at once", done, Errno::EINVAL)
    });
}

const SETTINGS: Rule = Rule {
    id: "ipvlan.settings-are-read-back",
    promise: "a child has the mode and flags that it was made with, and tells its parent",
    source: Source {
        cite: "ipvlan_nl_fillinfo, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2_bridge(IpvlanMode::L2, IpvlanFlag::Bridge, 0, 0)]
#[case::l2_private(IpvlanMode::L2, IpvlanFlag::Private, 0, 1)]
#[case::l2_vepa(IpvlanMode::L2, IpvlanFlag::Vepa, 0, 2)]
#[case::l3_bridge(IpvlanMode::L3, IpvlanFlag::Bridge, 1, 0)]
#[case::l3s_bridge(IpvlanMode::L3s, IpvlanFlag::Bridge, 2, 0)]
fn settings_are_read_back(
    #[case] mode: IpvlanMode,
    #[case] flag: IpvlanFlag,
    #[case] number: u64,
    #[case] flags: u64,
) {
    check(&SETTINGS, async |case| {
        let lab = case.lab(&ipvlan_lan(mode, flag)).await?;
        lab.expect_option("c1:i0", ipvlan::MODE, number).await?;
        lab.expect_option("c1:i0", ipvlan::FLAGS, flags).await?;
        let parent = u64::from(lab.topology().ifindex(&LinkName::from("p:p0")));
        lab.expect_option("c1:i0", link::BELOW, parent).await
    });
}

const BROADCAST: Rule = Rule {
    id: "ipvlan.broadcast-comes-to-each-once",
    promise: "broadcast from outside comes once to the parent and to each child that is up; a \
              child's own goes once to its siblings and to the outside, and not to the parent; a \
              child hears a group that it has joined",
    source: Source {
        cite: "ipvlan_process_multicast, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x13]);

#[rstest]
#[case::bridge(IpvlanFlag::Bridge)]
#[case::private(IpvlanFlag::Private)]
#[case::vepa(IpvlanFlag::Vepa)]
fn broadcast_comes_to_each_once(#[case] flag: IpvlanFlag) {
    check(&BROADCAST, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, flag))).await?;
        let all = "c1 broadcast, c2 broadcast, p broadcast";
        lab.expect_shot("e", &Shot::broadcast(), all).await?;
        lab.expect_shot("c1", &Shot::broadcast(), "c2 broadcast, e broadcast").await?;
        lab.join("c1", GROUP).await?;
        let fate = lab.shoot("e", &Shot::to(GROUP)).await?;
        // Its sibling may hear it by chance: the filter has few places.
        let heard = fate.to_string();
        let joined = heard.starts_with("c1 multicast,") && heard.ends_with("p multicast");
        lab.claim("c1 and the parent hear the group", joined, heard)?;
        lab.set_up("c2:i0", false).await?;
        lab.expect_shot("e", &Shot::broadcast(), "c1 broadcast, p broadcast").await?;
        lab.set_up("c2:i0", true).await?;
        lab.expect_shot("e", &Shot::broadcast(), all).await?;
        Ok(())
    });
}

const COUNTED: Rule = Rule {
    id: "ipvlan.bytes-of-broadcast",
    promise: "each byte of a broadcast is counted once, by the child that sends it and by each \
              that gets it, and there as one to a group",
    source: Source {
        cite: "ipvlan_count_rx and ipvlan_start_xmit, drivers/net/ipvlan",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn bytes_of_broadcast() {
    check(&COUNTED, async |case| {
        let lan = quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge));
        let mut lab = case.lab(&lan).await?;
        let all = ("e", &Shot::broadcast(), "c1 broadcast, c2 broadcast, p broadcast");
        let wanted = [("c1:i0", MORE, 0), ("c2:i0", MORE, 0), ("p:p0", MORE, 0)];
        expect_bytes(&mut lab, all, &wanted).await?;
        let own = ("c1", &Shot::broadcast(), "c2 broadcast, e broadcast");
        let wanted = [("c1:i0", 0, MORE), ("c2:i0", MORE, 0), ("p:p0", 0, MORE)];
        expect_bytes(&mut lab, own, &wanted).await?;
        expect_groups(&mut lab, "e:e0", &["c1:i0", "c2:i0"]).await
    });
}

const TO_THE_PARENT: Rule = Rule {
    id: "ipvlan.what-is-no-childs-is-the-parents",
    promise: "what comes to the shared address and is for no child's IP address is the parent's; \
              a child gets no frame of another protocol",
    source: Source {
        cite: "ipvlan_handle_mode_l3, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2(IpvlanMode::L2)]
#[case::l3(IpvlanMode::L3)]
#[case::l3s(IpvlanMode::L3s)]
fn what_is_no_childs_is_the_parents(#[case] mode: IpvlanMode) {
    check(&TO_THE_PARENT, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(mode, IpvlanFlag::Bridge))).await?;
        let p = lab.mac("p:p0");
        lab.expect_shot("e", &Shot::to(p), "p host").await?;
        let cell = lab.ping(Family::V4, "e", "p").await?;
        lab.claim("e reaches the parent", cell.verdict.symbol() == '+', &cell.verdict)
    });
}
