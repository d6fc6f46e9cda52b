//! What a bridge that keeps VLANs apart was given by hand, and what it makes of it when something else
//! changes: its default VLAN, the protocol of its tags, whether it is promiscuous.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::bridge;
use hairpin_harness::{
    Bridge, CaseLab, Filter, Mac, Need, PortVlan, Rule, Shot, Source, Stop, Strength, Tag,
    Topology, check, vlan_option,
};

use super::VLANS as NEEDS;
use super::tagged::of_vlan;

pub(crate) const RULES: &[Rule] = &[DEFAULT, GROUP, PROMISC, COUNTED, RESERVED];

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

const DEFAULT: Rule = Rule {
    id: "bridge.given.another-default-leaves-it-alone",
    promise: "another default VLAN, or none, is for ports that have the old one as it was given by \
              default: one that is tagged in it, or that has the new one already, keeps its VLANs",
    source: Source {
        cite: "ip-link(8), vlan_default_pvid; __br_vlan_set_default_pvid and vlan_default_pvid",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_vlans(lab: &CaseLab, when: &str, lines: [&[&str]; 3]) -> Result<(), Stop> {
    for (port, lines) in ["sw:p1", "sw:p2", "sw:p3"].into_iter().zip(lines) {
        lab.expect_lines(&format!("{when}: VLANs of {port}"), lab.vlans(port).await?, lines)?;
    }
    Ok(())
}

#[test]
fn another_default_leaves_it_alone() {
    check(&DEFAULT, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan("sw:p1", PortVlan { pvid: true, ..PortVlan::tagged(1) }).await?;
        lab.add_vlan("sw:p2", PortVlan::tagged(7)).await?;
        let (first, second): (&[&str], &[&str]) = (&["1 pvid"], &["1 pvid untagged", "7"]);
        expect_vlans(&lab, "at first", [first, second, &["1 pvid untagged"]]).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 7).await?;
        expect_vlans(&lab, "with another", [first, second, &["7 pvid untagged"]]).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        expect_vlans(&lab, "with none", [first, second, &[]]).await
    });
}

const GROUP: Rule = Rule {
    id: "bridge.given.a-group-address-by-hand-stays",
    promise: "the group address of a bridge's own protocol follows the protocol of its tags until it \
              is given one, which stays",
    source: Source {
        cite: "ip-link(8), group_address; recalculate_group_addr, net/bridge/br_vlan.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_group_address_by_hand_stays() {
    const PROVIDERS: u64 = 0x88a8;
    const CUSTOMERS: u64 = 0x8100;
    check(&GROUP, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for (protocol, address) in [(PROVIDERS, 0x0180_c200_0008), (CUSTOMERS, 0x0180_c200_0000)] {
            lab.set_option("sw:br", bridge::VLAN_PROTOCOL, protocol).await?;
            lab.expect_option("sw:br", bridge::GROUP_ADDRESS, address).await?;
        }
        lab.set_option("sw:br", bridge::GROUP_ADDRESS, 0x0180_c200_000d).await?;
        for protocol in [PROVIDERS, CUSTOMERS] {
            lab.set_option("sw:br", bridge::VLAN_PROTOCOL, protocol).await?;
            lab.expect_option("sw:br", bridge::GROUP_ADDRESS, 0x0180_c200_000d).await?;
        }
        Ok(())
    });
}

const PROMISC: Rule = Rule {
    id: "bridge.given.a-promiscuous-bridge-hears-all-vlans",
    promise: "a bridge that is promiscuous hears the frames of VLANs too that it is not in itself, with \
              their tag; otherwise it hears none of them",
    source: Source {
        cite: "br_pass_frame_up and br_handle_vlan, net/bridge/br_vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_promiscuous_bridge_hears_all_vlans() {
    check(&PROMISC, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for port in ["sw:p1", "sw:p2"] {
            lab.add_vlan(port, PortVlan::tagged(10)).await?;
        }
        let shots = [Shot::broadcast(), Shot::to(Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x34]))];
        for shot in shots.map(|shot| shot.tag(Tag::vlan(10))) {
            lab.expect_shot("a", &shot, "b other vlan 10").await?;
            lab.set_filter("sw:br", Filter::Promisc, true).await?;
            lab.expect_shot("a", &shot, "b other vlan 10, sw other vlan 10").await?;
            lab.set_filter("sw:br", Filter::Promisc, false).await?;
        }
        Ok(())
    });
}

const COUNTED: Rule = Rule {
    id: "bridge.given.frames-without-a-tag-are-counted",
    promise: "where VLANs are counted, a frame without a tag is counted in the PVID as one with its \
              tag is in its VLAN, as received and as sent",
    source: Source {
        cite: "ip-link(8), vlan_stats_enabled; __allowed_ingress, net/bridge/br_vlan.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn frames_without_a_tag_are_counted() {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let shot = Shot::to(Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x34]));
        lab.set_option("sw:br", bridge::VLAN_STATS, 1).await?;
        let before = of_vlan(&lab, "sw:br", 1).await?;
        lab.expect_shot("a", &shot, "b other, c other").await?;
        let after = of_vlan(&lab, "sw:br", 1).await?;
        let came = after.rx_packets - before.rx_packets;
        let left = after.tx_packets - before.tx_packets;
        // What proves that nobody else heard it is counted, too.
        lab.claim("received at least once", came >= 1, came)?;
        lab.claim("sent at least twice", left >= 2, left)
    });
}

const RESERVED: Rule = Rule {
    id: "bridge.given.what-is-not-forwarded-teaches-in-its-vlan",
    promise: "the sender of a frame that stays on its link (LLDP) is learned in the VLAN of its tag, or \
              in the PVID without one, and not at all where the port is not in that VLAN or does not \
              learn in it; a tag of another protocol is none",
    source: Source {
        cite: "br_should_learn, net/bridge/br_vlan.c, and __br_handle_local_finish",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], NEEDS[2], Need::Since(5, 8)],
};

#[test]
fn what_is_not_forwarded_teaches_in_its_vlan() {
    check(&RESERVED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for id in [10, 20] {
            lab.add_vlan("sw:p1", PortVlan::tagged(id)).await?;
        }
        lab.set_vlan_option("sw:p1", 20, vlan_option::STATE, 4).await?;
        let lldp = Shot::to(Mac([0x01, 0x80, 0xc2, 0, 0, 0x0e]));
        let tags = [Tag::vlan(10), Tag::vlan(20), Tag::vlan(30), Tag::vlan(10).provider()];
        let mut shots = vec![lldp.clone()];
        shots.extend(tags.map(|tag| lldp.clone().tag(tag)));
        for (shot, last) in shots.iter().zip(1..) {
            lab.shoot("a", &shot.clone().from(teacher(last))).await?;
        }
        expect_taught(&lab, &["1 in 1", "2 in 10", "5 in 1"]).await?;
        lab.set_vlan_option("sw:p1", 1, vlan_option::STATE, 4).await?;
        lab.shoot("a", &lldp.from(teacher(6))).await?;
        expect_taught(&lab, &["1 in 1", "2 in 10", "5 in 1"]).await
    });
}

/// An address that no link of the topology has.
const fn teacher(last: u8) -> Mac {
    Mac([0x02, 0x68, 0x70, 0xff, 0x01, last])
}

/// Holds which of those addresses are known, and in which VLAN.
async fn expect_taught(lab: &CaseLab, lines: &[&str]) -> Result<(), Stop> {
    let all = lab.fdb("sw").await?.into_iter();
    let ours = all.filter(|entry| entry.mac.0[..5] == teacher(0).0[..5]);
    let seen = ours.map(|e| format!("{} in {}", e.mac.0[5], e.vlan.unwrap_or_default()));
    lab.expect_lines("learned", seen, lines)
}
