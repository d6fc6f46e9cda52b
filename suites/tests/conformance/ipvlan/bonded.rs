//! Children of a bond, which changes by its links.
//!
//! ```text
//!                      / b1 --- e:e0
//!   c1:i0 --- p:bond0 <
//!                      \ b2 --- f:f0     one of the two is in use
//! ```

use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Need, Rule, Source, Strength, Topology, check};

use crate::bonds::{self, expect_larger_segments, expect_to_stay_ethernet};

pub(crate) const RULES: &[Rule] = &[SEGMENTS, KIND];

fn bonded() -> Topology {
    bonds::bonded().host("c1").ipvlan("c1:i0", "p:bond0", IpvlanMode::L2, IpvlanFlag::Bridge)
}

const SEGMENTS: Rule = Rule {
    id: "ipvlan.bonded.segments-grow-with-the-bonds",
    promise: "a child may leave packets uncut that are as large as its parent can take, also when \
              that becomes more as a bond gets its first link",
    source: Source {
        cite: "ipvlan_device_event, NETDEV_FEAT_CHANGE, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("ipvlan"), Need::Since(6, 0)],
};

#[test]
fn segments_grow_with_the_bonds() {
    check(&SEGMENTS, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_larger_segments(&mut lab, "c1:i0").await?;
        Ok(())
    });
}

const KIND: Rule = Rule {
    id: "ipvlan.bonded.keeps-the-bond-what-it-is",
    promise: "a bond with a child does not become what the first of its links is, if that is no Ethernet; \
              without one it does, and takes no child then",
    source: Source {
        cite: "ipvlan_device_event, NETDEV_PRE_TYPE_CHANGE, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("ipvlan")],
};

#[test]
fn keeps_the_bond_what_it_is() {
    check(&KIND, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_to_stay_ethernet(&mut lab, "ipvlan").await
    });
}
