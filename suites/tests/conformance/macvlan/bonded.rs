//! Children of a bond, which is told what befalls it, and by whose links it changes.
//!
//! ```text
//!                      / b1 --- e:e0
//!   c1:c0 --- p:bond0 <
//!                      \ b2 --- f:f0     one of the two is in use
//! ```

use hairpin_harness::options::{bond, link};
use hairpin_harness::topology::LinkName;
use hairpin_harness::{
    CaseLab, Mode, Need, Offload, Rule, Source, Stop, Strength, Tiding, Topology, check,
};

pub(crate) const RULES: &[Rule] = &[TOLD, SEGMENTS, TAGGED, JOINS];

/// What every case here needs.
const NEEDS_BOND: &[Need] = &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("macvlan")];

fn bonded() -> Topology {
    let lan = Topology::new("bonded").host("c1").netns("p").host("e").host("f").bond("p:bond0");
    let lan = lan.cable("p:b1", "e:e0").cable("p:b2", "f:f0").down("p:b1").down("p:b2");
    lan.macvlan("c1:c0", "p:bond0", Mode::Bridge)
}

pub(crate) fn index(lab: &CaseLab, link: &str) -> u64 {
    lab.topology().ifindex(&LinkName::from(link)).into()
}

/// The state of RFC 2863 of a link that runs.
const UP: u64 = 6;

/// Puts a link into the bond. While the kernel has yet to see that such a link runs, a bond that begins
/// to use it tells nobody.
pub(crate) async fn join(lab: &mut CaseLab, port: &str) -> Result<(), Stop> {
    let bond = index(lab, "p:bond0");
    lab.set_option(port, link::CONTROLLER, bond).await?;
    lab.set_up(port, true).await?;
    lab.expect_to_become(port, link::OPERSTATE, UP).await
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
        for port in ["p:b1", "p:b2"] {
            join(&mut lab, port).await?;
        }
        lab.expect_to_become("c1:c0", link::CARRIER, 1).await?;
        lab.expect_option("p:bond0", bond::ACTIVE, index(&lab, "p:b1")).await?;
        for port in ["p:b2", "p:b1"] {
            let notices = lab.notices("c1")?;
            let other = index(&lab, port);
            lab.set_option("p:bond0", bond::ACTIVE, other).await?;
            let all = [Tiding::Failover, Tiding::Neighbours, Tiding::Memberships];
            lab.expect_tidings(&notices, "c1:c0", &all).await?;
        }
        Ok(())
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
        let before = lab.option("p:bond0", link::TSO_MAX_SIZE).await?;
        join(&mut lab, "p:b1").await?;
        let most = lab.option("p:bond0", link::TSO_MAX_SIZE).await?;
        lab.claim("a cable takes more than none", most > before, format!("{before:?} {most:?}"))?;
        lab.expect_to_become("c1:c0", link::TSO_MAX_SIZE, most.unwrap_or_default()).await
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
        for port in ["p:b1", "p:b2"] {
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
