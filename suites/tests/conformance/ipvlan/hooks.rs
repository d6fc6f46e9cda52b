//! Where l3s has its hooks: in the parent's namespace, as long as one parent there needs them.
//!
//! ```text
//!     c1   c2        l3s
//!       \ /
//!        p0 --- s0 [br0] s1 --- e      e is told that c1 and c2 are at p0
//! ```

use hairpin_fixtures::ipvlan_lan;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Family, Flow, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::paths::told;

pub(crate) const RULES: &[Rule] = &[FOLLOW, NEEDED];

fn inward(family: Family) -> Flow<'static> {
    Flow::new(Protocol::Udp, family).between("e", "c1").port(5001).control("c2").aside("c2", 7)
}

const FOLLOW: Rule = Rule {
    id: "ipvlan.hooks.follow-their-parent",
    promise: "children in l3s mode are reached from outside, too, when their parent has moved to \
              another namespace, and when it has come back",
    source: Source {
        cite: "ipvlan_migrate_l3s_hook, drivers/net/ipvlan/ipvlan_l3s.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn follow_their_parent(#[case] family: Family) {
    check(&FOLLOW, async |case| {
        let mut lan = ipvlan_lan(IpvlanMode::L3s, IpvlanFlag::Bridge).netns("other");
        // A host would need a link when its own has moved away.
        for netns in lan.netns.iter_mut().filter(|netns| netns.name == "p") {
            netns.host = false;
        }
        let mut lab = case.lab(&lan).await?;
        told(&mut lab).await?;
        lab.expect_flow(&inward(family), '+').await?;
        for (from, to) in [("p", "other"), ("other", "p")] {
            lab.move_link(format!("{from}:p0").as_str(), to).await?;
            lab.set_up(format!("{to}:p0").as_str(), true).await?;
            lab.expect_flow(&inward(family), '+').await?;
        }
        Ok(())
    });
}

const NEEDED: Rule = Rule {
    id: "ipvlan.hooks.stay-while-one-needs-them",
    promise: "children in l3s mode are reached from outside after another parent in their parent's \
              namespace has lost its own children in l3s mode",
    source: Source {
        cite: "ipvlan_register_nf_hook and ipvlan_unregister_nf_hook, \
               drivers/net/ipvlan/ipvlan_l3s.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn stay_while_one_needs_them(#[case] family: Family) {
    check(&NEEDED, async |case| {
        let lan = ipvlan_lan(IpvlanMode::L3s, IpvlanFlag::Bridge).cable("p:q0", "e:q1");
        let mut lab = case.lab(&lan).await?;
        told(&mut lab).await?;
        for _ in 0..2 {
            lab.grow(|lan| lan.ipvlan("p:i9", "p:q0", IpvlanMode::L3s, IpvlanFlag::Bridge)).await?;
            lab.expect_flow(&inward(family), '+').await?;
            lab.delete_last().await?;
            lab.expect_flow(&inward(family), '+').await?;
        }
        Ok(())
    });
}
