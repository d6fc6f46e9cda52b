//! A VLAN of a bond, which is told what befalls the bond, and by whose links it changes.
//!
//! ```text
//!                     / b1 --- e:e0
//!   p:v5 --- p:bond0 <
//!                     \ b2 --- f:f0     one of the two is in use
//! ```

use hairpin_harness::options::link::{self, CARRIER as IT_HAS};
use hairpin_harness::{Errno, Need, Rule, Source, Strength, Topology, check};

use crate::bonds::{self, PORTS, expect_larger_segments, expect_told};

pub(crate) const RULES: &[Rule] = &[TOLD, SEGMENTS, TRANSCEIVER];

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

const TRANSCEIVER: Rule = Rule {
    id: "vlan.bonded.tells-of-the-bonds-transceiver",
    promise: "a VLAN's link that is asked for its transceiver has the link below answer: a bond tells \
              whether it has a link, and what has no transceiver refuses it",
    source: Source {
        cite: "vlan_dev_ioctl, SIOCGMIIPHY and SIOCGMIIREG, net/8021q/vlan_dev.c; mii-tool(8)",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("vlan")],
};

#[test]
fn tells_of_the_bonds_transceiver() {
    check(&TRANSCEIVER, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        for has_link in [false, true] {
            if has_link {
                bonds::join(&mut lab, PORTS[0]).await?;
                lab.expect_to_become("p:bond0", IT_HAS, 1).await?;
            }
            for (number, wanted) in [(None, (0, has_link)), (Some(0), (0, has_link))] {
                for asked in ["p:bond0", "p:v5"] {
                    let told = lab.transceiver(asked, number).map_err(|error| error.to_string());
                    let claim = format!("{asked} tells {wanted:?}");
                    lab.claim(&claim, told == Ok(wanted), format!("{told:?}"))?;
                }
            }
        }
        lab.grow(|lan| lan.vlan("e:v5", "e:e0", 5)).await?;
        let asked = lab.transceiver("e:v5", None);
        lab.expect_refusal("a cable's", asked, Errno::EOPNOTSUPP)
    });
}
