//! Children of a bond, which is told what befalls it, and by whose links it changes.
//!
//! ```text
//!                      / b1 --- e:e0
//!   c1:c0 --- p:bond0 <
//!                      \ b2 --- f:f0     one of the two is in use
//! ```

use hairpin_harness::{Mode, Need, Offload, Rule, Source, Strength, Topology, check};

use crate::bonds::{
    self, PORTS, expect_larger_segments, expect_to_stay_ethernet, expect_told, join,
};

pub(crate) const RULES: &[Rule] = &[TOLD, SEGMENTS, TAGGED, JOINS, KIND];

/// What every case here needs.
const NEEDS_BOND: &[Need] = &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("macvlan")];

fn bonded() -> Topology {
    bonds::bonded().host("c1").macvlan("c1:c0", "p:bond0", Mode::Bridge)
}

const TOLD: Rule = Rule {
    id: "macvlan.bonded.is-told-when-another-link-is-in-use",
    promise: "when a bond uses another of its links its children are told of that, and that their \
              neighbours and their memberships are to be told anew",
    source: Source {
        cite: "macvlan_device_event, NETDEV_NOTIFY_PEERS, NETDEV_BONDING_FAILOVER and \
               NETDEV_RESEND_IGMP, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_BOND,
};

#[test]
fn is_told_when_another_link_is_in_use() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_told(&mut lab, "c1:c0").await
    });
}

const SEGMENTS: Rule = Rule {
    id: "macvlan.bonded.segments-grow-with-the-bonds",
    promise: "a child may leave packets uncut that are as large as its parent can take, also when \
              that becomes more as a bond gets its first link",
    source: Source {
        cite: "macvlan_device_event, NETDEV_FEAT_CHANGE, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bond"),
        Need::Driver("macvlan"),
        Need::Since(6, 0),
    ],
};

#[test]
fn segments_grow_with_the_bonds() {
    check(&SEGMENTS, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_larger_segments(&mut lab, "c1:c0").await?;
        Ok(())
    });
}

const TAGGED: Rule = Rule {
    id: "macvlan.bonded.vlans-of-a-child-are-asked-of-the-bond",
    promise: "a child of a bond, which asks for each VLAN by its number, takes VLANs, gives them \
              up, and takes them again, with a link in the bond and without",
    source: Source {
        cite: "macvlan_vlan_rx_add_vid and macvlan_vlan_rx_kill_vid, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bond"),
        Need::Driver("macvlan"),
        Need::Driver("vlan"),
    ],
};

#[test]
fn vlans_of_a_child_are_asked_of_the_bond() {
    check(&TAGGED, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        for port in PORTS {
            for _ in 0..2 {
                let made = lab.grow(|lan| lan.vlan("c1:v5", "c1:c0", 5)).await;
                lab.expect_done("a VLAN", made)?;
                lab.delete_last().await?;
            }
            join(&mut lab, port).await?;
        }
        Ok(())
    });
}

const JOINS: Rule = Rule {
    id: "macvlan.bonded.joins-what-comes-as-its-parent-does",
    promise: "a child has what comes joined in hardware while its parent has, as a bond says of \
              itself, unless it was told not to",
    source: Source {
        cite: "macvlan_init and macvlan_fix_features, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_BOND,
};

#[test]
fn joins_what_comes_as_its_parent_does() {
    check(&JOINS, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        let own = lab.offload("c1:c0", Offload::Lro)?;
        let parents = lab.offload("p:bond0", Offload::Lro)?;
        lab.claim("a bond does at first", parents, parents)?;
        lab.claim("so does its child", own, own)?;
        lab.set_offload("c1:c0", Offload::Lro, false)?;
        let own = lab.offload("c1:c0", Offload::Lro)?;
        lab.claim("it does not when it is told not to", !own, own)?;
        for on in [false, true] {
            lab.set_offload("p:bond0", Offload::Lro, on)?;
            let own = lab.offload("c1:c0", Offload::Lro)?;
            lab.claim(&format!("its parent {on}: it still does not"), !own, own)?;
        }
        lab.set_offload("c1:c0", Offload::Lro, true)?;
        for on in [true, false, true] {
            lab.set_offload("p:bond0", Offload::Lro, on)?;
            lab.expect_offload("c1:c0", Offload::Lro, on).await?;
        }
        Ok(())
    });
}

const KIND: Rule = Rule {
    id: "macvlan.bonded.keeps-the-bond-what-it-is",
    promise: "a bond with a child does not become what the first of its links is, if that is no Ethernet; \
              without one it does, and takes no child then",
    source: Source {
        cite: "macvlan_device_event, NETDEV_PRE_TYPE_CHANGE, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_BOND,
};

#[test]
fn keeps_the_bond_what_it_is() {
    check(&KIND, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_to_stay_ethernet(&mut lab, "macvlan").await
    });
}
