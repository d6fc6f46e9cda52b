//! ipvlan children in layer 3: who gets what a sibling sends, by flag.
//!
//! ```text
//!     c1   c2        l3 or l3s
//!       \ /
//!        p0 --- s0 [br0] s1 --- e     e has routes to both, by way of p0's address
//! ```
//!
//! Nobody answers for the children's addresses, so no answer comes back to e: all is UDP, one way.

use hairpin_fixtures::ipvlan_lan;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::options::ipvlan;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{CaseLab, Error, Family, Flow, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[BY_FLAG];

/// From c1 to c2. What proves the sender goes to e, what proves the receiver comes from there.
fn between(family: Family) -> Flow<'static> {
    Flow::new(Protocol::Udp, family).between("c1", "c2").aside("e", 81).control("e")
}

/// Tells e that the children are behind their parent.
async fn tell_the_way(lab: &mut CaseLab) -> Result<(), Error> {
    for (child, via) in [
        ("192.0.2.11/32", "192.0.2.1"),
        ("192.0.2.12/32", "192.0.2.1"),
        ("2001:db8::11/128", "2001:db8::1"),
        ("2001:db8::12/128", "2001:db8::1"),
    ] {
        lab.add_route("e", child, via).await?;
    }
    Ok(())
}

const BY_FLAG: Rule = Rule {
    id: "ipvlan.layer3.siblings-by-flag",
    promise: "in l3 and l3s children reach each other and the outside; private ones the outside \
              alone; those with the flag vepa send what is for each other by the parent's routes, \
              and get nothing of it",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 5; ipvlan_xmit_mode_l3, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private_l3_v4(IpvlanMode::L3, IpvlanFlag::Private, Family::V4)]
#[case::private_l3_v6(IpvlanMode::L3, IpvlanFlag::Private, Family::V6)]
#[case::private_l3s_v4(IpvlanMode::L3s, IpvlanFlag::Private, Family::V4)]
#[case::private_l3s_v6(IpvlanMode::L3s, IpvlanFlag::Private, Family::V6)]
#[case::vepa_l3_v4(IpvlanMode::L3, IpvlanFlag::Vepa, Family::V4)]
#[case::vepa_l3_v6(IpvlanMode::L3, IpvlanFlag::Vepa, Family::V6)]
#[case::vepa_l3s_v4(IpvlanMode::L3s, IpvlanFlag::Vepa, Family::V4)]
#[case::vepa_l3s_v6(IpvlanMode::L3s, IpvlanFlag::Vepa, Family::V6)]
fn siblings_by_flag(#[case] mode: IpvlanMode, #[case] flag: IpvlanFlag, #[case] family: Family) {
    check(&BY_FLAG, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, flag)).await?;
        tell_the_way(&mut lab).await?;
        lab.expect_flow(&between(family), '#').await?;
        // The twin: the flag alone goes.
        lab.set_option("c1:i0", ipvlan::FLAGS, 0).await?;
        lab.expect_flow(&between(family), '+').await?;
        Ok(())
    });
}
