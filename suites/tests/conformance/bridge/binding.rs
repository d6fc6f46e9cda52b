//! VLANs on a bridge that go by the bridge's ports: there is carrier while one of the VLAN has it.
//!
//! ```text
//!              sw:v10, sw:v30 (bound to VLANs 10 and 30), sw:v20 (not bound)
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::link::CARRIER;
use hairpin_harness::{
    Bridge, CaseLab, Need, PortVlan, Rule, Source, Stop, Strength, Topology, check,
};

pub(crate) const RULES: &[Rule] = &[MEMBERS, CARRIERS, BORN];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("vlan"), Need::VlanFiltering];

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

fn bound() -> Topology {
    let topology = filtering().bound_vlan("sw:v10", "sw:br", 10).vlan("sw:v20", "sw:br", 20);
    topology.bound_vlan("sw:v30", "sw:br", 30)
}

/// Holds that each of the VLANs' links comes to have carrier or to have none: 10, 20, 30.
async fn expect_carriers(lab: &CaseLab, are: [u64; 3]) -> Result<(), Stop> {
    for (link, is) in ["sw:v10", "sw:v20", "sw:v30"].into_iter().zip(are) {
        lab.expect_to_become(link, CARRIER, is).await?;
    }
    Ok(())
}

const MEMBERS: Rule = Rule {
    id: "bridge.binding.carrier-by-the-members-of-its-vlan",
    promise: "a VLAN's link that is bound to the bridge's ports has carrier while one of them is in its \
              VLAN, whether the bridge itself is or not; another has the bridge's",
    source: Source {
        cite: "ip-link(8), bridge_binding; br_vlan_set_vlan_dev_state",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn carrier_by_the_members_of_its_vlan() {
    check(&MEMBERS, async |case| {
        let mut lab = case.lab(&bound()).await?;
        expect_carriers(&lab, [0, 1, 0]).await?;
        lab.add_vlan("sw:br", PortVlan::tagged(10)).await?;
        expect_carriers(&lab, [0, 1, 0]).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        expect_carriers(&lab, [1, 1, 0]).await?;
        lab.add_vlan("sw:p2", PortVlan::tagged(10)).await?;
        lab.delete_vlan("sw:br", 10).await?;
        lab.delete_vlan("sw:p1", 10).await?;
        expect_carriers(&lab, [1, 1, 0]).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(30)).await?;
        lab.delete_vlan("sw:p2", 10).await?;
        expect_carriers(&lab, [0, 1, 1]).await?;
        lab.set_bridge("sw:p1", None).await?;
        expect_carriers(&lab, [0, 1, 0]).await
    });
}

const CARRIERS: Rule = Rule {
    id: "bridge.binding.carrier-while-a-member-has-it",
    promise: "a VLAN's link that is bound loses its carrier with the last port of its VLAN that has one, \
              though others of the bridge have, and has it again with the first; without the bridge's \
              own there is none",
    source: Source {
        cite: "ip-link(8), bridge_binding; br_vlan_port_event and br_vlan_bridge_event",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn carrier_while_a_member_has_it() {
    check(&CARRIERS, async |case| {
        let mut lab = case.lab(&bound()).await?;
        for port in ["sw:p1", "sw:p2"] {
            lab.add_vlan(port, PortVlan::tagged(10)).await?;
        }
        lab.add_vlan("sw:p3", PortVlan::tagged(30)).await?;
        expect_carriers(&lab, [1, 1, 1]).await?;
        for (link, up, are) in [
            ("a:eth0", false, [1, 1, 1]),
            ("b:eth0", false, [0, 1, 1]),
            ("a:eth0", true, [1, 1, 1]),
            ("sw:p1", false, [0, 1, 1]),
            ("c:eth0", false, [0, 0, 0]),
            ("b:eth0", true, [1, 1, 0]),
            ("sw:p3", false, [1, 1, 0]),
            ("c:eth0", true, [1, 1, 0]),
            ("sw:p3", true, [1, 1, 1]),
        ] {
            lab.set_up(link, up).await?;
            expect_carriers(&lab, are).await?;
        }
        Ok(())
    });
}

const BORN: Rule = Rule {
    id: "bridge.binding.born-with-the-carrier-of-its-vlan",
    promise: "a VLAN's link that is bound is born with carrier where a port is in its VLAN, and without \
              where none is",
    source: Source { cite: "br_vlan_upper_change, net/bridge/br_vlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn born_with_the_carrier_of_its_vlan() {
    check(&BORN, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        for (id, carrier) in [(10, 1), (11, 0)] {
            lab.grow(|topology| topology.bound_vlan("sw:bound", "sw:br", id)).await?;
            lab.expect_option("sw:bound", CARRIER, carrier).await?;
            lab.delete_last().await?;
        }
        lab.delete_vlan("sw:p1", 10).await?;
        lab.grow(|topology| topology.bound_vlan("sw:bound", "sw:br", 10)).await?;
        lab.expect_option("sw:bound", CARRIER, 0).await?;
        lab.add_vlan("sw:p2", PortVlan::tagged(10)).await?;
        lab.expect_option("sw:bound", CARRIER, 1).await
    });
}
