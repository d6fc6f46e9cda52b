//! A bridge that keeps VLANs apart.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```
//!
//! The controls go untagged, so each port stays in the default VLAN and has others besides.

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::bridge;
use hairpin_harness::{
    Bridge, Errno, Fdb, Mac, PortVlan, Rule, Shot, Source, Strength, Tag, Topology, check,
    vlan_option,
};
use rstest::rstest;

use super::VLANS as NEEDS;
use super::tagged::entries_of;

pub(crate) const RULES: &[Rule] = &[
    DEFAULT,
    MEMBERS,
    TAKES_OFF,
    PRIORITY,
    PVID,
    BY_VLAN,
    OF_THE_BRIDGE,
    OFF,
    TABLE,
    REFUSED,
    PINNED,
];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x13]);

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

const DEFAULT: Rule = Rule {
    id: "bridge.vlan.the-default-vlan-is-untagged",
    promise: "every port and the bridge itself begin in VLAN 1, untagged both ways; a tag of it is \
              taken off",
    source: Source {
        cite: "bridge(8), vlan; ip-link(8), vlan_default_pvid",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_default_vlan_is_untagged() {
    check(&DEFAULT, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for link in ["sw:p1", "sw:p2", "sw:br"] {
            let vlans = lab.vlans(link).await?;
            lab.expect_lines(link, vlans, &["1 pvid untagged"])?;
        }
        lab.expect_option("sw:br", bridge::DEFAULT_PVID, 1).await?;
        let b = lab.mac("b:eth0");
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        lab.expect_shot("a", &Shot::to(b).tag(Tag::vlan(1)), "b host").await?;
        lab.expect_shot("a", &Shot::to(b).tag(Tag::vlan(2)), "nobody").await?;
        Ok(())
    });
}

const MEMBERS: Rule = Rule {
    id: "bridge.vlan.members-only",
    promise: "a frame of a VLAN enters by a port that is a member of it and leaves by members only, \
              with its tag and priority where they are tagged",
    source: Source {
        cite: "IEEE 802.1Q, 8.6.2 and 8.8.2; br_allowed_ingress and br_allowed_egress",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn members_only() {
    check(&MEMBERS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let tagged = Shot::to(NOBODY).tag(Tag::vlan(10).priority(5).drop_eligible());
        let broadcast = Shot::broadcast().tag(Tag::vlan(10));
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        lab.expect_shot("a", &tagged, "nobody").await?;
        lab.add_vlan("sw:p2", PortVlan::tagged(10)).await?;
        lab.expect_shot("a", &tagged, "b other vlan 10 priority 5 dei").await?;
        lab.expect_shot("b", &tagged, "a other vlan 10 priority 5 dei").await?;
        lab.expect_shot("a", &broadcast, "b other vlan 10").await?;
        // c is no member: what it sends is dropped where it comes in.
        lab.expect_shot("c", &broadcast, "nobody").await?;
        lab.add_vlan("sw:p3", PortVlan::tagged(10)).await?;
        lab.expect_shot("c", &broadcast, "a other vlan 10, b other vlan 10").await?;
        lab.delete_vlan("sw:p2", 10).await?;
        lab.expect_shot("c", &broadcast, "a other vlan 10").await?;
        Ok(())
    });
}

const TAKES_OFF: Rule = Rule {
    id: "bridge.vlan.untagged-where-told",
    promise: "a frame leaves a port that is an untagged member of its VLAN without the tag, and one \
              that is a tagged member with it, put on where it had none",
    source: Source {
        cite: "bridge(8), vlan add untagged; br_handle_vlan, net/bridge/br_vlan.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn untagged_where_told() {
    check(&TAKES_OFF, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let untagged = PortVlan { id: 10, pvid: false, untagged: true };
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        lab.add_vlan("sw:p2", untagged).await?;
        lab.add_vlan("sw:p3", PortVlan::tagged(10)).await?;
        let shot = Shot::to(NOBODY).tag(Tag::vlan(10).priority(2));
        lab.expect_shot("a", &shot, "b other, c other vlan 10 priority 2").await?;
        // The other way: b's port is of VLAN 1 for what comes untagged, so its tag decides.
        lab.expect_shot("b", &shot, "a other vlan 10 priority 2, c other vlan 10 priority 2")
            .await?;
        Ok(())
    });
}

const PVID: Rule = Rule {
    id: "bridge.vlan.untagged-frames-are-of-the-pvid",
    promise: "a frame without a tag is of its port's PVID, and of none where there is none; what \
              bears a tag is of that",
    source: Source { cite: "IEEE 802.1Q, 6.9.1; bridge(8), pvid", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[test]
fn untagged_frames_are_of_the_pvid() {
    check(&PVID, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        // b's port is in VLAN 20 and c's is not.
        lab.add_vlan("sw:p2", PortVlan { id: 20, pvid: false, untagged: true }).await?;
        lab.add_vlan("sw:p1", PortVlan { id: 20, pvid: true, untagged: false }).await?;
        let vlans = lab.vlans("sw:p1").await?;
        lab.expect_lines("p1", vlans, &["1 untagged", "20 pvid"])?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other").await?;
        let learned = entries_of(&lab, lab.mac("a:eth0")).await?;
        lab.expect_lines("learned", learned, &["p1 vlan 20"])?;
        lab.expect_shot("a", &Shot::to(NOBODY).tag(Tag::vlan(1)), "b other, c other").await?;
        lab.delete_vlan("sw:p1", 20).await?;
        let vlans = lab.vlans("sw:p1").await?;
        lab.expect_lines("p1 without a PVID", vlans, &["1 untagged"])?;
        lab.expect_shot("a", &Shot::to(NOBODY), "nobody").await?;
        lab.add_vlan("sw:p1", PortVlan::access(1)).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other").await?;
        Ok(())
    });
}

const PRIORITY: Rule = Rule {
    id: "bridge.vlan.a-priority-tag-is-no-vlan",
    promise: "a frame whose tag has a priority only is of its port's PVID and keeps the priority \
              where it leaves with a tag",
    source: Source {
        cite: "IEEE 802.1Q, 6.9.1; __allowed_ingress, net/bridge/br_vlan.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_priority_tag_is_no_vlan() {
    check(&PRIORITY, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan("sw:p2", PortVlan { id: 1, pvid: true, untagged: false }).await?;
        let shot = Shot::to(NOBODY).tag(Tag::vlan(0).priority(6));
        lab.expect_shot("a", &shot, "b other vlan 1 priority 6, c other").await?;
        Ok(())
    });
}

const BY_VLAN: Rule = Rule {
    id: "bridge.vlan.addresses-are-learned-by-vlan",
    promise: "an address is learned in the VLAN of the frame, and is unknown in others",
    source: Source { cite: "IEEE 802.1Q, 8.8.8; br_fdb_update", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[test]
fn addresses_are_learned_by_vlan() {
    check(&BY_VLAN, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for port in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.add_vlan(port, PortVlan::tagged(10)).await?;
        }
        lab.shoot("b", &Shot::broadcast().from(NOBODY).tag(Tag::vlan(10))).await?;
        let known = lab.fdb("sw").await?.into_iter().filter(|entry| entry.mac == NOBODY);
        lab.expect_lines("known", known, &[&format!("{NOBODY} p2 vlan 10")])?;
        lab.expect_shot("a", &Shot::to(NOBODY).tag(Tag::vlan(10)), "b other vlan 10").await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other").await?;
        Ok(())
    });
}

const OF_THE_BRIDGE: Rule = Rule {
    id: "bridge.vlan.the-bridge-is-a-member-too",
    promise: "the bridge's own stack gets the frames of VLANs that the bridge itself is in, tagged \
              or not as for a port, and of no others",
    source: Source {
        cite: "bridge(8), vlan add self; br_pass_frame_up",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_bridge_is_a_member_too() {
    check(&OF_THE_BRIDGE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let br = lab.mac("sw:br");
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        let shot = Shot::broadcast().tag(Tag::vlan(10));
        lab.expect_shot("a", &Shot::to(br), "sw host").await?;
        lab.expect_shot("a", &shot, "nobody").await?;
        lab.add_vlan("sw:br", PortVlan::tagged(10)).await?;
        lab.expect_shot("a", &shot, "sw other vlan 10").await?;
        lab.add_vlan("sw:br", PortVlan { id: 10, pvid: false, untagged: true }).await?;
        lab.expect_shot("a", &shot, "sw broadcast").await?;
        // Its own membership has a state, too.
        lab.set_vlan_option("sw:br", 10, vlan_option::STATE, 4).await?;
        lab.expect_shot("a", &shot, "nobody").await?;
        lab.expect_shot("a", &Shot::to(br), "sw host").await?;
        lab.set_vlan_option("sw:br", 10, vlan_option::STATE, 3).await?;
        lab.expect_shot("a", &shot, "sw broadcast").await?;
        Ok(())
    });
}

const OFF: Rule = Rule {
    id: "bridge.vlan.off-keeps-nothing-apart",
    promise: "with filtering off tagged frames pass as they are whatever the table says, and with \
              it on again the table holds",
    source: Source { cite: "ip-link(8), vlan_filtering", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn off_keeps_nothing_apart() {
    check(&OFF, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let shot = Shot::to(NOBODY).tag(Tag::vlan(10).priority(1));
        for on in [1, 0, 1] {
            lab.set_option("sw:br", bridge::VLAN_FILTERING, on).await?;
            let passed = "b other vlan 10 priority 1, c other vlan 10 priority 1";
            let heard = if on == 1 { "nobody" } else { passed };
            lab.expect_shot("a", &shot, heard).await?;
        }
        Ok(())
    });
}

const TABLE: Rule = Rule {
    id: "bridge.vlan.the-table-is-read-back",
    promise: "a port's VLANs are those that it was put into, one of them its PVID at most; a new \
              default PVID takes the place of the old one",
    source: Source {
        cite: "bridge(8), vlan; __br_vlan_set_default_pvid",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_table_is_read_back() {
    check(&TABLE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(4094)).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(2)).await?;
        let vlans = lab.vlans("sw:p1").await?;
        lab.expect_lines("p1", vlans, &["1 pvid untagged", "2", "4094"])?;
        lab.add_vlan("sw:p1", PortVlan::access(2)).await?;
        let vlans = lab.vlans("sw:p1").await?;
        lab.expect_lines(
            "p1 with another PVID",
            vlans,
            &["1 untagged", "2 pvid untagged", "4094"],
        )?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 7).await?;
        let vlans = lab.vlans("sw:p2").await?;
        lab.expect_lines("p2 with another default", vlans, &["7 pvid untagged"])?;
        let vlans = lab.vlans("sw:p1").await?;
        lab.expect_lines(
            "p1 keeps what it was given",
            vlans,
            &["1 untagged", "2 pvid untagged", "4094"],
        )?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        let vlans = lab.vlans("sw:p2").await?;
        lab.expect_lines("p2 without a default", vlans, &[])
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.vlan.no-such-vlan",
    promise: "VLANs 0 and 4095 are refused, and a VLAN that a port is not in cannot be taken away",
    source: Source { cite: "br_vlan_valid_id and br_process_vlan_info", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::zero(0)]
#[case::beyond(4095)]
fn no_such_vlan(#[case] id: u16) {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let done = lab.add_vlan("sw:p1", PortVlan::tagged(id)).await;
        lab.expect_refusal(&format!("VLAN {id}"), done, Errno::EINVAL)?;
        let vlans = lab.vlans("sw:p1").await?;
        lab.expect_lines("p1", vlans, &["1 pvid untagged"])
    });
}

const PINNED: Rule = Rule {
    id: "bridge.vlan.pinned-in-one-vlan",
    promise: "an address that is pinned in one VLAN is at its port there, and unknown in others; a \
              port that is in no such VLAN takes no entry",
    source: Source { cite: "bridge(8), fdb add vlan; br_fdb_add", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn pinned_in_one_vlan() {
    check(&PINNED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let done = lab.add_fdb("sw:p2", NOBODY, Fdb::STATIC.vlan(10)).await;
        lab.expect_refusal("an entry of a VLAN that the port is not in", done, Errno::EINVAL)?;
        for port in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.add_vlan(port, PortVlan::tagged(10)).await?;
        }
        lab.add_fdb("sw:p2", NOBODY, Fdb::STATIC.vlan(10)).await?;
        lab.expect_shot("a", &Shot::to(NOBODY).tag(Tag::vlan(10)), "b other vlan 10").await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other").await?;
        Ok(())
    });
}
