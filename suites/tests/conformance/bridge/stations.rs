//! What a bridge knows of addresses in the corners: groups that it does not forward, addresses that two links have.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Mac, Need, PortFlags, PortVlan, Rule, Shot, Source, Stop, Strength, Tag,
    check, vlan_option,
};

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[RESERVED, OF_A_VLAN, TREE_SPOKEN, TWINS, BY_HAND, ANSWERED_FOR];

/// An address that no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0f]);

const fn reserved(last: u8) -> Mac {
    Mac([0x01, 0x80, 0xc2, 0, 0, last])
}

/// What is known of an address: where it is, and as what.
async fn expect_known(lab: &CaseLab, when: &str, mac: Mac, lines: &[&str]) -> Result<(), Stop> {
    let entries = lab.fdb("sw").await?;
    let of_it = entries.into_iter().filter(|entry| entry.mac == mac && entry.vlan.is_none());
    let lines: Vec<String> = lines.iter().map(|line| format!("{mac} {line}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lab.expect_lines(when, of_it, &lines)
}

const RESERVED: Rule = Rule {
    id: "bridge.stations.what-is-not-forwarded-teaches-too",
    promise: "a frame to a reserved group is not forwarded, and yet its sender is known from then \
              on at its port, unless learning is off there",
    source: Source {
        cite: "__br_handle_local_finish, net/bridge/br_input.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_not_forwarded_teaches_too() {
    check(&RESERVED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for last in [0x02, 0x0e] {
            let hello = Shot::to(reserved(last)).from(ROAMER);
            lab.set_port("sw:p1", PortFlags::default().learning(false)).await?;
            lab.expect_shot("a", &hello, "sw:p1 multicast").await?;
            expect_known(&lab, "learning off", ROAMER, &[]).await?;
            lab.expect_shot("c", &Shot::to(ROAMER), "a other, b other").await?;
            lab.set_port("sw:p1", PortFlags::default().learning(true)).await?;
            lab.expect_shot("a", &hello, "sw:p1 multicast").await?;
            expect_known(&lab, "learning on", ROAMER, &["p1"]).await?;
            lab.expect_shot("c", &Shot::to(ROAMER), "a other").await?;
            lab.delete_fdb("sw:p1", ROAMER, None).await?;
        }
        Ok(())
    });
}

const OF_A_VLAN: Rule = Rule {
    id: "bridge.stations.what-is-of-another-vlan-teaches-nothing",
    promise: "a frame to a reserved group in a VLAN that its port is in teaches where its sender is in \
              that VLAN; in one that the port is not in, that is learning there, or without a tag \
              where the port's own VLAN may not learn, it teaches nothing",
    source: Source {
        cite: "br_should_learn, net/bridge/br_vlan.c; __br_handle_local_finish",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], Need::VlanFiltering],
};

/// In which VLANs an address is known.
async fn known_in(lab: &CaseLab, mac: Mac) -> Result<Vec<Option<u16>>, Stop> {
    let entries = lab.fdb("sw").await?;
    Ok(entries.into_iter().filter(|entry| entry.mac == mac).map(|entry| entry.vlan).collect())
}

#[test]
fn what_is_of_another_vlan_teaches_nothing() {
    check(&OF_A_VLAN, async |case| {
        const LISTENING: u64 = 1;
        let filtering = Bridge::default().mcast_snooping(false).vlan_filtering();
        let mut lab = case.lab(&switch_with(filtering)).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        let hello = Shot::to(reserved(0x0e)).from(ROAMER);
        let ways = [(None, Some(1)), (Some(10), Some(10)), (Some(20), None)];
        for state in [3, LISTENING] {
            for id in [1, 10] {
                lab.set_vlan_option("sw:p1", id, vlan_option::STATE, state).await?;
            }
            for (tag, learned) in ways {
                let shot = tag.map_or(hello.clone(), |id| hello.clone().tag(Tag::vlan(id)));
                lab.shoot("a", &shot).await?;
                let learned: Vec<_> =
                    learned.filter(|_| state == 3).map(Some).into_iter().collect();
                let seen = known_in(&lab, ROAMER).await?;
                let claim = format!("state {state}, tag {tag:?}: known in {learned:?}");
                lab.claim(&claim, seen == learned, format!("{seen:?}"))?;
                for id in seen {
                    lab.delete_fdb("sw:p1", ROAMER, id).await?;
                }
            }
        }
        Ok(())
    });
}

const TREE_SPOKEN: Rule = Rule {
    id: "bridge.stations.the-trees-group-stays-where-one-is-spoken",
    promise: "what is for the spanning tree (01:80:c2:00:00:00) is not forwarded by a bridge that \
              speaks it, but heard at the port; a bridge that does not forwards it",
    source: Source {
        cite: "IEEE 802.1D, 7.12.3; br_handle_frame, net/bridge/br_input.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_trees_group_stays_where_one_is_spoken() {
    check(&TREE_SPOKEN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for spoken in [0, 1, 0] {
            // Ports that forward go on doing so when the bridge begins to speak.
            lab.set_option("sw:br", bridge::STP, spoken).await?;
            let fate = lab.shoot("a", &Shot::to(reserved(0))).await?;
            fate.proved()?;
            let seen = fate.to_string();
            let wanted = if spoken == 1 { "sw:p1 multicast" } else { "b multicast, c multicast" };
            lab.claim(&format!("spoken {spoken}: {wanted}"), seen.starts_with(wanted), seen)?;
            let all = "b broadcast, c broadcast, sw broadcast";
            lab.expect_shot("a", &Shot::broadcast(), all).await?;
        }
        Ok(())
    });
}

const TWINS: Rule = Rule {
    id: "bridge.stations.an-address-of-two-ports-outlives-one",
    promise: "where two ports have one address it is the bridge's own still when one of them leaves, \
              and unknown when the other has left too",
    source: Source { cite: "fdb_delete_local, net/bridge/br_fdb.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_of_two_ports_outlives_one() {
    check(&TWINS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_mac("sw:p2", ROAMER).await?;
        lab.set_mac("sw:p3", ROAMER).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw other").await?;
        lab.set_bridge("sw:p2", None).await?;
        expect_known(&lab, "p2 has left", ROAMER, &["p3 own"]).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "sw other").await?;
        lab.set_bridge("sw:p3", None).await?;
        expect_known(&lab, "p3 has left", ROAMER, &[]).await?;
        lab.set_bridge("sw:p2", Some("br")).await?;
        lab.set_mac("sw:p2", Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x10])).await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other").await?;
        Ok(())
    });
}

const BY_HAND: Rule = Rule {
    id: "bridge.stations.the-bridges-address-outlives-the-port-that-has-it",
    promise: "a bridge that was given a port's address by hand goes by it still when the port has \
              left",
    source: Source {
        cite: "fdb_delete_local, net/bridge/br_fdb.c; br_stp_recalculate_bridge_id",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_bridges_address_outlives_the_port_that_has_it() {
    check(&BY_HAND, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let p3 = lab.mac("sw:p3");
        lab.set_mac("sw:br", p3).await?;
        lab.expect_shot("a", &Shot::to(p3), "sw host").await?;
        lab.set_bridge("sw:p3", None).await?;
        expect_known(&lab, "p3 has left", p3, &["br own"]).await?;
        lab.expect_shot("a", &Shot::to(p3), "sw host").await?;
        lab.expect_shot("a", &Shot::to(ROAMER), "b other").await?;
        Ok(())
    });
}

const ANSWERED_FOR: Rule = Rule {
    id: "bridge.stations.a-port-that-is-answered-for-is-not-flooded",
    promise: "what is flooded does not leave by a port with proxy_arp, be it unknown unicast or \
              broadcast; what is for an address that is known there does",
    source: Source {
        cite: "bridge(8), proxy_arp; br_flood, net/bridge/br_forward.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_port_that_is_answered_for_is_not_flooded() {
    check(&ANSWERED_FOR, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        for (on, unknown, all) in [
            (1, "c other", "c broadcast, sw broadcast"),
            (0, "b other, c other", "b broadcast, c broadcast, sw broadcast"),
        ] {
            lab.set_option("sw:p2", port::PROXYARP, on).await?;
            lab.expect_shot("a", &Shot::to(ROAMER), unknown).await?;
            lab.expect_shot("a", &Shot::broadcast(), all).await?;
            lab.expect_shot("a", &Shot::to(b), "b host").await?;
        }
        Ok(())
    });
}
