//! Which way an ipvlan child's packets take: by mode and flag, to siblings, outside, through the
//! parent's firewall.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e      e is told that c1 and c2 are at p0
//! ```

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::options::ipvlan::{FLAGS, MODE};
use hairpin_harness::options::link;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{
    Action, CaseLab, Errno, Family, Filter, Firewall, Flow, Hook, Match, Need, Rule, Shot, Source,
    Stop, Strength, Topology, check,
};
use rstest::rstest;

use super::{GROUP, NEEDS};
use crate::counted::settled;

pub(crate) const RULES: &[Rule] =
    &[L3_OUTSIDE, FIREWALL, DOWN, ADDRESS, ALLMULTI, ECHO, GONE, MOVED, DROPPED, UNROUTED];

pub(super) const NEEDS_FIREWALL: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("ipvlan"), Need::Nftables];

/// Has e know where the children are: in l3 modes they do not answer who asks.
pub(super) async fn told(lab: &mut CaseLab) -> Result<(), Stop> {
    let parent = lab.mac("p:p0");
    for child in ["c1", "c2"] {
        for family in [Family::V4, Family::V6] {
            let address = lab.topology().address_of(child, family).expect("it has one");
            lab.add_neighbour("e:e0", address, parent).await?;
        }
    }
    Ok(())
}

/// A datagram whose way is shown by one to the parent's neighbour.
fn datagram<'a>(family: Family, from: &'a str, to: &'a str) -> Flow<'a> {
    Flow::new(Protocol::Udp, family).between(from, to).port(5001)
}

const L3_OUTSIDE: Rule = Rule {
    id: "ipvlan.paths.l3-goes-by-the-parents-routes",
    promise: "in l3 modes children reach the network outside by their parent's routes and \
              neighbours, and are reached by whoever knows that they are there, by either family",
    source: Source {
        cite: "ipvlan_process_v4_outbound and ipvlan_process_v6_outbound, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l3_v4(IpvlanMode::L3, Family::V4)]
#[case::l3_v6(IpvlanMode::L3, Family::V6)]
#[case::l3s_v4(IpvlanMode::L3s, Family::V4)]
#[case::l3s_v6(IpvlanMode::L3s, Family::V6)]
fn l3_goes_by_the_parents_routes(#[case] mode: IpvlanMode, #[case] family: Family) {
    check(&L3_OUTSIDE, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        told(&mut lab).await?;
        for (from, to) in [("c1", "e"), ("e", "c1"), ("c2", "e"), ("e", "c2")] {
            let flow = datagram(family, from, to).control(if to == "e" { "p" } else { "c2" });
            lab.expect_flow(&flow, '+').await?;
        }
        let address = lab.topology().address_of("e", family).expect("it has one");
        let own = lab.neighbour("c1", address).await?;
        let shared = lab.mac("p:p0");
        lab.claim("c1 has asked nobody", own == Some(shared), format!("{own:?}"))?;
        let of_parent = lab.neighbour("p", address).await?;
        let e = lab.mac("e:e0");
        lab.claim("its parent has", of_parent == Some(e), format!("{of_parent:?}"))
    });
}

const FIREWALL: Rule = Rule {
    id: "ipvlan.paths.l3s-passes-the-parents-firewall",
    promise: "what comes in for a child passes the parent's input rules in l3s mode, and in no \
              other; what a child sends passes its output rules in both l3 modes",
    source: Source {
        cite: "ipvlan_nf_input and ipvlan_l3_rcv, drivers/net/ipvlan/ipvlan_l3s.c; \
               Documentation/networking/ipvlan.rst, 4.3",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS_FIREWALL,
};

#[rstest]
#[case::l2_v4(IpvlanMode::L2, Family::V4, '+', '+')]
#[case::l2_v6(IpvlanMode::L2, Family::V6, '+', '+')]
#[case::l3_v4(IpvlanMode::L3, Family::V4, '+', '#')]
#[case::l3_v6(IpvlanMode::L3, Family::V6, '+', '#')]
#[case::l3s_v4(IpvlanMode::L3s, Family::V4, '#', '#')]
#[case::l3s_v6(IpvlanMode::L3s, Family::V6, '#', '#')]
fn l3s_passes_the_parents_firewall(
    #[case] mode: IpvlanMode,
    #[case] family: Family,
    #[case] inward: char,
    #[case] outward: char,
) {
    check(&FIREWALL, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        told(&mut lab).await?;
        let in_ = datagram(family, "e", "c1").control("c2");
        let out = datagram(family, "c1", "e").control("c2").aside("e", 7);
        let own = lab.topology().address_of("c1", family).expect("it has one");
        let ours = || Match::any().port(Protocol::Udp, 5001);
        let dropping = |hook, what: Match| Firewall::new().rule(hook, what, Action::Drop);
        lab.set_firewall("p", dropping(Hook::Input, ours()))?;
        lab.expect_flow(&in_, inward).await?;
        lab.set_firewall("p", dropping(Hook::Output, ours().from(own.into())))?;
        lab.expect_flow(&out, outward).await?;
        lab.set_firewall("p", Firewall::new())?;
        lab.expect_flow(&in_, '+').await?;
        lab.expect_flow(&out, '+').await?;
        Ok(())
    });
}

const DOWN: Rule = Rule {
    id: "ipvlan.paths.a-child-that-is-down-is-nobody",
    promise: "a child that is down is reached by nobody, and by all as before once it is up: its \
              addresses stay its own meanwhile",
    source: Source {
        cite: "ipvlan_open and ipvlan_stop, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_child_that_is_down_is_nobody() {
    check(&DOWN, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        let parent = lab.mac("p:p0");
        lab.add_neighbour("e:e0", [192, 0, 2, 12].into(), parent).await?;
        for (up, gets) in [(true, true), (false, false), (true, true)] {
            lab.set_up("c2:i0", up).await?;
            settled(&mut lab).await?;
            let before = lab.counters("c2:i0").await?;
            lab.send_datagrams("e", ([192, 0, 2, 12], 9).into(), 100, 3)?;
            settled(&mut lab).await?;
            let counted = lab.counters("c2:i0").await? - before;
            let seen = counted.rx_packets - counted.multicast;
            // Before it answers it asks for e's address: that comes in, too.
            let holds = if gets { seen >= 3 } else { seen == 0 };
            lab.claim(&format!("up {up}: c2 gets them: {gets}"), holds, seen)?;
        }
        lab.set_up("c2:i0", false).await?;
        let done = lab.add_address("c1:i0", "192.0.2.12/24").await;
        lab.expect_refusal("a sibling's address", done, Errno::EADDRINUSE)?;
        lab.set_up("c2:i0", true).await?;
        let cell = lab.ping(Family::V4, "c1", "c2").await?;
        lab.claim("c1 reaches c2", cell.verdict.symbol() == '+', &cell.verdict)
    });
}

const ADDRESS: Rule = Rule {
    id: "ipvlan.paths.an-address-counts-at-once",
    promise: "a child is reached at an address as soon as it has it, from outside and by siblings, \
              by either family; two children of one parent may have as many as they like",
    source: Source {
        cite: "ipvlan_addr4_event and ipvlan_addr6_event, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, "192.0.2.77/24")]
#[case::v6(Family::V6, "2001:db8::77/64")]
fn an_address_counts_at_once(#[case] family: Family, #[case] address: &str) {
    check(&ADDRESS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.add_address("c2:i0", address).await?;
        let (ip, _) = address.split_once('/').expect("an address with its prefix");
        let at = std::net::SocketAddr::new(ip.parse().expect("an address"), 5001);
        for from in ["e", "c1"] {
            let flow = datagram(family, from, "c2").asking(at).aside("c2", 7);
            lab.expect_flow(&flow.control(if from == "e" { "c1" } else { "e" }), '+').await?;
        }
        Ok(())
    });
}

const ALLMULTI: Rule = Rule {
    id: "ipvlan.paths.all-groups-are-its-parents",
    promise: "a child that asks for all groups makes its parent ask for them, and no longer when \
              it does not; a group that it has joined is on its parent's list while it is up",
    source: Source {
        cite: "ipvlan_change_rx_flags, ipvlan_set_multicast_mac_filter and ipvlan_stop, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("ipvlan"),
        Need::AllmultiCount,
    ],
};

#[test]
fn all_groups_are_its_parents() {
    check(&ALLMULTI, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        for (on, count) in [(true, 1), (false, 0), (true, 1), (false, 0)] {
            lab.set_filter("c1:i0", Filter::Allmulti, on).await?;
            lab.expect_option("p:p0", link::ALLMULTI, count).await?;
        }
        lab.join("c1", GROUP).await?;
        for (up, wanted) in [(true, true), (false, false), (true, true)] {
            lab.set_up("c1:i0", up).await?;
            let seen = lab.filters("p:p0").await?.contains(&GROUP);
            lab.claim(&format!("up {up}: on the list {wanted}"), seen == wanted, seen)?;
        }
        lab.set_filter("c2:i0", Filter::Allmulti, true).await?;
        let other = hairpin_harness::Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x14]);
        let fate = lab.shoot("e", &Shot::to(other)).await?.to_string();
        lab.claim("c2 hears all groups", fate.contains("c2 multicast"), &fate)
    });
}

const ECHO: Rule = Rule {
    id: "ipvlan.paths.what-a-switch-sends-back-is-not-heard-again",
    promise: "a child's packet to a group that a reflecting switch sends back is not given to \
              children once more: siblings had it on the way out",
    source: Source {
        cite: "ipvlan_external_frame, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4("192.0.2.11", "192.0.2.9", "233.252.0.19")]
#[case::v6("2001:db8::11", "2001:db8::9", "ff0e::19")]
fn what_a_switch_sends_back_is_not_heard_again(
    #[case] own: &str,
    #[case] foreign: &str,
    #[case] group: &str,
) {
    check(&ECHO, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.set_port("sw:s0", hairpin_fixtures::reflecting()).await?;
        let read = |text: &str| text.parse().expect("an address of the table");
        let (own, foreign, group) = (read(own), read(foreign), read(group));
        lab.set_filter("c1:i0", Filter::Allmulti, true).await?;
        lab.set_filter("c2:i0", Filter::Allmulti, true).await?;
        let once = "c2 multicast, p multicast, e multicast";
        lab.expect_shot("c1", &Shot::datagram(own, group), once).await?;
        // The same frame with an address that is no child's comes from outside.
        let twice = "c1 multicast, c2 multicast x2, p multicast, e multicast";
        lab.expect_shot("c1", &Shot::datagram(foreign, group), twice).await?;
        Ok(())
    });
}

const GONE: Rule = Rule {
    id: "ipvlan.paths.nothing-holds-what-is-deleted",
    promise: "a child that has sent and got frames is gone when it is deleted, and so is its \
              parent: no frame in the queue keeps either",
    source: Source {
        cite: "ipvlan_process_multicast and ipvlan_port_destroy, drivers/net/ipvlan",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2(IpvlanMode::L2)]
#[case::l3(IpvlanMode::L3)]
#[case::l3s(IpvlanMode::L3s)]
fn nothing_holds_what_is_deleted(#[case] mode: IpvlanMode) {
    check(&GONE, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        lab.set_port("sw:s0", hairpin_fixtures::reflecting()).await?;
        lab.ping(Family::V4, "c1", "c2").await?;
        for gone in ["c1:i0", "c2:i0", "p:p0"] {
            lab.send_many("c1:i0", &Shot::broadcast(), 50)?;
            lab.send_many("e:e0", &Shot::broadcast(), 50)?;
            lab.delete(gone).await?;
            let there = lab.exists(gone)?;
            lab.claim(&format!("{gone} is gone"), !there, "it is there")?;
        }
        Ok(())
    });
}

const MOVED: Rule = Rule {
    id: "ipvlan.paths.children-outlive-their-parents-move",
    promise: "a parent that moves to another namespace keeps its children, which reach the network \
              outside and each other again once it is up there",
    source: Source {
        cite: "ipvlan_device_event, NETDEV_UNREGISTER and NETDEV_REGISTER, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn children_outlive_their_parents_move() {
    check(&MOVED, async |case| {
        let mut lan = quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge).netns("other"));
        // A host would need a link when its own has moved away.
        for netns in lan.netns.iter_mut().filter(|netns| netns.name == "p") {
            netns.host = false;
        }
        let mut lab = case.lab(&lan).await?;
        lab.move_link("p:p0", "other").await?;
        let there = lab.exists("c1:i0")? && lab.exists("c2:i0")?;
        lab.claim("the children are still there", there, "they are gone")?;
        lab.set_up("other:p0", true).await?;
        for (from, to) in [("c1", "c2"), ("c1", "e"), ("e", "c2")] {
            let cell = lab.ping(Family::V4, from, to).await?;
            let claim = format!("{from} reaches {to}");
            lab.claim(&claim, cell.verdict.symbol() == '+', &cell.verdict)?;
        }
        Ok(())
    });
}

const DROPPED: Rule = Rule {
    id: "ipvlan.paths.what-is-not-sent-is-counted",
    promise: "what a private child wants to send to a sibling is counted by it as dropped, and by \
              nobody as received; what reaches a sibling is counted at both",
    source: Source {
        cite: "ipvlan_start_xmit and ipvlan_rcv_frame, drivers/net/ipvlan",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2(L2)]
#[case::l3(1)]
#[case::l3s(2)]
fn what_is_not_sent_is_counted(#[case] mode: u64) {
    check(&DROPPED, async |case| {
        let lan = quiet(ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge));
        let mut lab = case.lab(&lan).await?;
        lab.set_option("c1:i0", MODE, mode).await?;
        if mode == L2 {
            // There a sibling is asked for, and a private one does not answer.
            let shared = lab.mac("p:p0");
            lab.add_neighbour("c1:i0", [192, 0, 2, 12].into(), shared).await?;
            lab.add_neighbour("c2:i0", [192, 0, 2, 11].into(), shared).await?;
        }
        for (flags, dropped) in [(0, false), (1, true)] {
            lab.set_option("c1:i0", FLAGS, flags).await?;
            let before = (lab.counters("c1:i0").await?, lab.counters("c2:i0").await?);
            // Nobody is asked for an address: only the datagrams themselves are sent.
            lab.send_datagrams("c1", ([192, 0, 2, 12], 9).into(), 100, 3)?;
            let after = (lab.counters("c1:i0").await?, lab.counters("c2:i0").await?);
            let (c1, c2) = (after.0 - before.0, after.1 - before.1);
            let seen = (c1.tx_packets, c1.tx_dropped, c2.rx_packets, c2.rx_dropped);
            let wanted = if dropped { (0, 3, 0, 0) } else { (3, 0, 3, 0) };
            let claim = format!("sent, dropped, received, dropped: {wanted:?}");
            lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
            if mode == L2 {
                continue;
            }
            let bytes = (c1.tx_bytes, c2.rx_bytes);
            // Of a sibling's packet the Ethernet header is counted twice.
            let wanted = if dropped { (0, 0) } else { (3 * BYTES, 3 * (BYTES + 14)) };
            lab.claim(&format!("bytes {wanted:?}"), bytes == wanted, format!("{bytes:?}"))?;
        }
        Ok(())
    });
}

const UNROUTED: Rule = Rule {
    id: "ipvlan.paths.what-is-for-all-of-its-parents-network-is-not-sent",
    promise: "what a child in l3 sends to one station, which for its parent's host is the address of \
              all of a network, is counted by it as dropped; what is one station's for both is counted as \
              sent",
    source: Source {
        cite: "ipvlan_process_v4_outbound, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_for_all_of_its_parents_network_is_not_sent() {
    check(&UNROUTED, async |case| {
        let lan = Topology::new("unrouted").host("c1").host("p").host("e").cable("p:p0", "e:e0");
        let lan = lan.ipvlan("c1:i0", "p:p0", IpvlanMode::L3, IpvlanFlag::Bridge);
        let lan = lan.address("c1:i0", "192.0.2.11/24").address("p:p0", "192.0.2.1/30");
        let lab = case.lab(&quiet(lan)).await?;
        for (to, wanted) in [([192, 0, 2, 2], (3, 0)), ([192, 0, 2, 3], (0, 3))] {
            let before = lab.counters("c1:i0").await?;
            lab.send_datagrams("c1", (to, 9).into(), 100, 3)?;
            let seen = lab.counters("c1:i0").await? - before;
            let claim = format!("to {to:?}: sent and dropped: {wanted:?}");
            let seen = (seen.tx_packets, seen.tx_dropped);
            lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const L2: u64 = 0;

/// Ethernet, IPv4 and UDP headers, and what they carry.
const BYTES: u64 = 14 + 20 + 8 + 100;
