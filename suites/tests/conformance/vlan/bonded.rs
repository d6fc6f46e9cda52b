//! A VLAN of a bond, which is told what befalls the bond, and by whose links it changes.
//!
//! ```text
//!                     / b1 --- e:e0
//!   p:v5 --- p:bond0 <
//!                     \ b2 --- f:f0     one of the two is in use
//! ```

use hairpin_harness::options::link;
use hairpin_harness::{Need, Rule, Source, Strength, Topology, check};

use crate::bonds::{self, expect_larger_segments, expect_told};

pub(crate) const RULES: &[Rule] = &[TOLD, SEGMENTS];

fn bonded() -> Topology {
    bonds::bonded().vlan("p:v5", "p:bond0", 5)
}

const TOLD: Rule = Rule {
    id: "vlan.bonded.is-told-when-another-link-is-in-use",
    promise: "when a bond uses another of its links its VLANs are told of that, and that their \
              neighbours and their memberships are to be told anew",
    source: Source {
        cite: "vlan_device_event, NETDEV_NOTIFY_PEERS, NETDEV_BONDING_FAILOVER and \
               NETDEV_RESEND_IGMP, net/8021q/vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("vlan")],
};

#[test]
fn is_told_when_another_link_is_in_use() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_told(&mut lab, "p:v5").await
    });
}

const SEGMENTS: Rule = Rule {
    id: "vlan.bonded.segments-grow-with-the-bonds",
    promise: "a VLAN's link may leave packets uncut that are as large as the link below can take, from \
              birth and when that becomes more as a bond gets its first link",
    source: Source {
        cite: "vlan_transfer_features, net/8021q/vlan.c; vlan_dev_init, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("vlan"), Need::Since(6, 0)],
};

#[test]
fn segments_grow_with_the_bonds() {
    check(&SEGMENTS, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        let before = lab.option("p:bond0", link::TSO_MAX_SIZE).await?;
        lab.expect_to_become("p:v5", link::TSO_MAX_SIZE, before.unwrap_or_default()).await?;
        let most = expect_larger_segments(&mut lab, "p:v5").await?;
        lab.grow(|lan| lan.vlan("p:v6", "p:bond0", 6)).await?;
        lab.expect_option("p:v6", link::TSO_MAX_SIZE, most).await
    });
}
