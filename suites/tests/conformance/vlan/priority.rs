//! Priorities: from a tag into the kernel, and from the kernel into a tag.
//!
//! ```text
//!   a:v5 --- a:eth0 ------- b:p1 --- b:v5 [b:br] b:v6 --- b:p2 ------- c:eth0
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::vlan::{FLAGS, REORDER_HEADER, flags};
use hairpin_harness::queue::PLAIN;
use hairpin_harness::{
    Bridge, Mode, Need, Offload, Rule, Shot, Source, Strength, Tag, Topology, Way, check,
};

use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[EGRESS, INGRESS, TOLD, SHARED, MANY, WRITTEN];

const NEEDS_BRIDGE: &[Need] = &[Need::Driver("veth"), Need::Driver("vlan"), Need::Driver("bridge")];

pub(super) fn tagging() -> Topology {
    without_ipv6(
        Topology::new("tagging")
            .host("a")
            .host("b")
            .cable("a:eth0", "b:eth0")
            .vlan("a:v5", "a:eth0", 5)
            .vlan("b:v5", "b:eth0", 5)
            .address("a:v5", "192.0.2.1/24")
            .address("b:v5", "192.0.2.2/24"),
    )
}

const EGRESS: Rule = Rule {
    id: "vlan.priority.from-the-kernel-into-the-tag",
    promise: "a frame leaves with the priority in its tag that its priority within the kernel is \
              mapped to, and with none where that is not mapped, whether the link below puts tags \
              into frames or the VLAN's does so itself",
    source: Source {
        cite: "vlan_dev_get_egress_qos_mask, net/8021q; ip-link(8), egress-qos-map",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::tagged_below(true)]
#[case::tagged_by_itself(false)]
fn from_the_kernel_into_the_tag(#[case] below: bool) {
    check(&EGRESS, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        lab.set_offload("a:eth0", Offload::TxTags, below)?;
        let b = lab.mac("b:v5");
        let leaves = async |urgency: u8, lab: &mut hairpin_harness::CaseLab| {
            let fate = lab.expect_shot("a", &Shot::to(b).urgency(urgency), "b host").await?;
            Ok::<_, hairpin_harness::Stop>(fate.tag_leaving("a:eth0"))
        };
        for (map, expected) in [
            (None, [0; 7]),
            (Some((3, 6)), [0, 0, 0, 6, 0, 0, 0]),
            (Some((0, 1)), [1, 0, 0, 6, 0, 0, 0]),
            (Some((6, 7)), [1, 0, 0, 6, 0, 0, 7]),
            (Some((3, 2)), [1, 0, 0, 2, 0, 0, 7]),
        ] {
            if let Some((from, to)) = map {
                lab.set_priority("a:v5", Way::Egress, from, to).await?;
            }
            for (urgency, priority) in (0..).zip(expected) {
                let seen = leaves(urgency, &mut lab).await?;
                let wanted = Some(Tag::vlan(5).priority(priority));
                let claim = format!("urgency {urgency} leaves with priority {priority}");
                lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
            }
        }
        Ok(())
    });
}

/// A bridge between VLAN 5 of one cable and VLAN 6 of another.
fn bridged() -> Topology {
    without_ipv6(
        Topology::new("bridged")
            .host("a")
            .host("c")
            .netns("b")
            .bridge_with("b:br", Bridge::default().mcast_snooping(false))
            .cable("b:p1", "a:eth0")
            .cable("b:p2", "c:eth0")
            .vlan("b:v5", "b:p1", 5)
            .port("b:v5", "br")
            .vlan("b:v6", "b:p2", 6)
            .port("b:v6", "br")
            .vlan("a:v5", "a:eth0", 5)
            .vlan("c:v6", "c:eth0", 6)
            .address("a:v5", "192.0.2.1/24")
            .address("c:v6", "192.0.2.2/24"),
    )
}

const INGRESS: Rule = Rule {
    id: "vlan.priority.from-the-tag-into-the-kernel",
    promise: "a frame's priority within the kernel is the one that its tag's is mapped to, and \
              none where that is not mapped: another VLAN that it leaves by shows it",
    source: Source {
        cite: "vlan_get_ingress_priority, net/8021q; ip-link(8), ingress-qos-map",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS_BRIDGE,
};

#[test]
fn from_the_tag_into_the_kernel() {
    check(&INGRESS, async |case| {
        let mut lab = case.lab(&bridged()).await?;
        let c = lab.mac("c:v6");
        lab.set_priority("a:v5", Way::Egress, 1, 5).await?;
        lab.set_priority("b:v6", Way::Egress, 4, 7).await?;
        lab.set_priority("b:v6", Way::Egress, 3, 2).await?;
        for (map, of_five, of_none) in
            [(None, 0, 0), (Some((5, 4)), 7, 0), (Some((5, 3)), 2, 0), (Some((0, 4)), 2, 7)]
        {
            if let Some((from, to)) = map {
                lab.set_priority("b:v5", Way::Ingress, from, to).await?;
            }
            for (urgency, priority) in [(1, of_five), (0, of_none)] {
                let fate = lab.expect_shot("a", &Shot::to(c).urgency(urgency), "c host").await?;
                let seen = fate.tag_leaving("b:p2");
                let wanted = Some(Tag::vlan(6).priority(priority));
                let claim = format!("it leaves in VLAN 6 with priority {priority}");
                lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
            }
        }
        Ok(())
    });
}

const TOLD: Rule = Rule {
    id: "vlan.priority.maps-are-read-back",
    promise: "both maps are told as they were set, and what is set to no priority is told no more \
              until it is set again",
    source: Source { cite: "vlan_fill_info, net/8021q/vlan_netlink.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn maps_are_read_back() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        let mut wanted = BTreeMap::new();
        for (from, to) in [(2, 5), (3, 6), (2, 4), (0, 1)] {
            wanted.insert(from, to);
            for way in [Way::Ingress, Way::Egress] {
                lab.set_priority("a:v5", way, from, to).await?;
                let seen = lab.priorities("a:v5", way).await?;
                let claim = format!("{way:?}: {wanted:?}");
                lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
            }
        }
        for way in [Way::Ingress, Way::Egress] {
            lab.set_priority("a:v5", way, 3, 0).await?;
            let seen = lab.priorities("a:v5", way).await?;
            let left = BTreeMap::from([(0, 1), (2, 4)]);
            lab.claim(&format!("{way:?}: {left:?}"), seen == left, format!("{seen:?}"))?;
            let other = lab.priorities("b:v5", way).await?;
            lab.claim("the other end has none", other.is_empty(), format!("{other:?}"))?;
        }
        // Of one that was never mapped to any nothing is told.
        let before = lab.told("b:v5").await?;
        for way in [Way::Ingress, Way::Egress] {
            lab.set_priority("b:v5", way, 7, 0).await?;
        }
        let changes = before.changes(&lab.told("b:v5").await?);
        lab.claim("nothing more is told", changes.is_empty(), format!("{changes:?}"))?;
        // One by itself: changed, taken back, set again.
        for to in [5, 4, 0, 0, 3, 3, 0, 6] {
            let alone: BTreeMap<_, _> = (to > 0).then_some((2, to)).into_iter().collect();
            for way in [Way::Ingress, Way::Egress] {
                lab.set_priority("b:v5", way, 2, to).await?;
                let seen = lab.priorities("b:v5", way).await?;
                let claim = format!("{way:?}: {alone:?} alone");
                lab.claim(&claim, seen == alone, format!("{seen:?}"))?;
            }
        }
        Ok(())
    });
}

const SHARED: Rule = Rule {
    id: "vlan.priority.each-of-many-has-its-own",
    promise: "priorities within the kernel that share a place in the map's table are mapped each to \
              its own, may be changed each by itself, and are told all",
    source: Source {
        cite: "vlan_dev_set_egress_priority and vlan_dev_get_egress_qos_mask, net/8021q",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_of_many_has_its_own() {
    check(&SHARED, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        let b = lab.mac("b:v5");
        let mut wanted = BTreeMap::new();
        // The table has sixteen places.
        for (from, to) in [(2, 5), (18, 3), (34, 6), (2, 1), (18, 7)] {
            lab.set_priority("a:v5", Way::Egress, from, to).await?;
            wanted.insert(from, to);
            let told = lab.priorities("a:v5", Way::Egress).await?;
            lab.claim(&format!("{wanted:?}"), told == wanted, format!("{told:?}"))?;
            for urgency in [2, 18, 34] {
                let shot = Shot::to(b).urgency(urgency);
                let fate = lab.expect_shot("a", &shot, "b host").await?;
                let seen = fate.tag_leaving("a:eth0").map(|tag| tag.to_string());
                let mapped = wanted.get(&urgency.into()).copied().unwrap_or_default();
                let tag = Tag::vlan(5).priority(u8::try_from(mapped).unwrap_or_default());
                let claim = format!("urgency {urgency} leaves in {tag}");
                lab.claim(&claim, seen == Some(tag.to_string()), format!("{seen:?}"))?;
            }
        }
        Ok(())
    });
}

const MANY: Rule = Rule {
    id: "vlan.priority.very-many-are-told",
    promise: "a link tells all of its mappings, also when they are more than all else that is told \
              of it",
    source: Source {
        cite: "vlan_get_size and vlan_fill_info, net/8021q/vlan_netlink.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn very_many_are_told() {
    check(&MANY, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        let wanted: BTreeMap<u32, u32> = (0..300).map(|from| (from, 1 + from % 7)).collect();
        for (from, to) in &wanted {
            lab.set_priority("a:v5", Way::Egress, *from, *to).await?;
        }
        let told = lab.priorities("a:v5", Way::Egress).await?;
        lab.claim("300 are told, as set", told == wanted, format!("{told:?}"))
    });
}

const WRITTEN: Rule = Rule {
    id: "vlan.priority.in-a-tag-that-the-machine-writes-itself",
    promise: "what the machine itself sends leaves with the priority in its tag that its priority \
              within the kernel is mapped to, whether its VLAN hides tags or writes them into headers",
    source: Source {
        cite: "vlan_dev_hard_header and vlan_dev_hard_start_xmit, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("vlan"),
        Need::Driver("macvlan"),
        Need::Driver("macvtap"),
        Need::MacvtapDevice,
    ],
};

#[rstest]
#[case::hidden(REORDER_HEADER)]
#[case::shown(0)]
fn in_a_tag_that_the_machine_writes_itself(#[case] hides: u32) {
    check(&WRITTEN, async |case| {
        let lan = Topology::new("read-at-the-end").host("a").host("b").cable("a:eth0", "b:eth0");
        let lan = lan.vlan("a:v5", "a:eth0", 5).address("a:v5", "192.0.2.1/24");
        let lan = lan.macvtap("b:c0", "b:eth0", Mode::Bridge);
        let mut lab = case.lab(&without_ipv6(lan)).await?;
        let (b, queue) = (IpAddr::from([192, 0, 2, 2]), lab.open_queue("b:c0")?);
        queue.set_flags(PLAIN)?;
        lab.set_option("a:v5", FLAGS, flags(REORDER_HEADER, hides)).await?;
        let at = lab.mac("b:c0");
        lab.add_neighbour("a:v5", b, at).await?;
        for priority in [0, 5, 2, 0] {
            lab.set_priority("a:v5", Way::Egress, 0, priority).await?;
            lab.send_datagrams("a", (b, 9).into(), 100, 1)?;
            let came = queue.wait_for("a datagram", |frame| frame.len() > 100)?;
            let priority = u8::try_from(priority).unwrap_or_default();
            let tag = [0x81, 0, priority << 5, 5];
            let claim = format!("it comes with {tag:x?}");
            lab.claim(&claim, came[12..16] == tag, format!("{:x?}", &came[..20]))?;
        }
        Ok(())
    });
}
