//! What a bridge answers in place of a neighbour that it knows: in which VLAN, and what the asker makes
//! of it.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               the bridge knows a neighbour behind p2, which is spared questions
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr};

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::port;
use hairpin_harness::{
    Bridge, CaseLab, Family, Fdb, Mac, Mode, Need, PortVlan, Rule, Shot, Source, Stop, Strength,
    Tag, Topology, check,
};
use rstest::rstest;

use super::NEEDS;
use super::access::{known, wish};

pub(crate) const RULES: &[Rule] = &[IN_VLAN, BY_BRIDGE, TO_BRIDGE];

/// The neighbour's address, which no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x32]);

const IN_VLAN: Rule = Rule {
    id: "bridge.answers.in-the-vlan-of-the-question",
    promise: "where VLANs are kept apart, a bridge answers for whom its own link in that VLAN knows as \
              a neighbour, in the VLAN of the question: with its tag, or without where it is the \
              asking port's PVID; in a VLAN where nobody is known the question goes on",
    source: Source {
        cite: "bridge(8), neigh_suppress; br_arp_send and br_nd_send, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], Need::Driver("vlan"), Need::VlanFiltering],
};

fn with_ipv6(lan: Topology, netns: &str) -> Topology {
    ["all", "default"]
        .iter()
        .fold(lan, |lan, of| lan.sysctl(netns, &format!("ipv6.conf.{of}.disable_ipv6"), "0"))
}

/// A switch that keeps VLANs apart, with links of its own and of `a`'s in VLAN 10 and in the PVID.
fn in_vlans() -> Topology {
    let lan = switch_with(Bridge::default().mcast_snooping(false).vlan_filtering());
    let lan = ["a", "sw"].iter().fold(lan, |lan, netns| with_ipv6(lan, netns));
    lan.vlan("sw:br1", "sw:br", 1).vlan("sw:br10", "sw:br", 10).vlan("a:v10", "a:eth0", 10)
}

/// The asker's address.
const fn own(family: Family) -> &'static str {
    match family {
        Family::V4 => "192.0.2.1/24",
        Family::V6 => "2001:db8::1/64",
    }
}

/// Has the bridge know the roamer in one VLAN by a link of its own, behind p2, which is spared, and holds that one who
/// asks is answered.
async fn expect_answered(
    lab: &mut CaseLab,
    asker: &str,
    (knows, id): (&str, u16),
    family: Family,
) -> Result<(), Stop> {
    for link in ["sw:p1", "sw:p2", "sw:p3", "sw:br"] {
        for id in [10, 20] {
            lab.add_vlan(link, PortVlan::tagged(id)).await?;
        }
    }
    lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC.vlan(id)).await?;
    lab.add_neighbour(knows, known(family), ROAMER).await?;
    lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
    wish(lab, asker, known(family))?;
    lab.expect_neighbour(asker, known(family), ROAMER).await
}

#[rstest]
#[case::tagged("a:v10", "sw:br10", 10)]
#[case::pvid("a:eth0", "sw:br1", 1)]
fn in_the_vlan_of_the_question(
    #[case] asks: &str,
    #[case] knows: &str,
    #[case] id: u16,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&IN_VLAN, async |case| {
        let mut lab = case.lab(&in_vlans().address(asks, own(family))).await?;
        expect_answered(&mut lab, "a", (knows, id), family).await?;
        if let IpAddr::V4(target) = known(family) {
            for (id, leaves) in [(10, id == 1), (20, true)] {
                let asked = Shot::arp(1, Ipv4Addr::new(192, 0, 2, 5), target).tag(Tag::vlan(id));
                let fate = lab.shoot("c", &asked).await?;
                fate.proved()?;
                let path = fate.path();
                let claim = format!("a question in VLAN {id} leaves towards b: {leaves}");
                lab.claim(&claim, path.contains("sw:p2>") == leaves, &path)?;
            }
        }
        Ok(())
    });
}

const BY_BRIDGE: Rule = Rule {
    id: "bridge.answers.what-the-bridge-asks-is-kept-away-too",
    promise: "a question of the bridge's own stack for a neighbour that it knows does not leave by a \
              spared port either; one for another does",
    source: Source {
        cite: "br_dev_xmit and br_do_proxy_suppress_arp, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_the_bridge_asks_is_kept_away_too() {
    check(&BY_BRIDGE, async |case| {
        let settings = Bridge::default().mcast_snooping(false);
        let lan = switch_with(settings).address("sw:br", "192.0.2.9/24");
        let mut lab = case.lab(&lan).await?;
        lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC).await?;
        lab.add_neighbour("sw:br", known(Family::V4), ROAMER).await?;
        let asks = |last| {
            let (own, other) = (Ipv4Addr::new(192, 0, 2, 8), Ipv4Addr::new(192, 0, 2, last));
            Shot::arp(1, own, other).from(Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x33]))
        };
        let (all, spared) = ("a broadcast, b broadcast, c broadcast", "a broadcast, c broadcast");
        lab.expect_shot("sw", &asks(77), all).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
        lab.expect_shot("sw", &asks(77), spared).await?;
        lab.expect_shot("sw", &asks(78), all).await?;
        Ok(())
    });
}

const TO_BRIDGE: Rule = Rule {
    id: "bridge.answers.who-sits-on-the-bridge-is-answered-by-it",
    promise: "the question of one whose link stands on the bridge's own, in a VLAN or without tag, is \
              answered towards the bridge's own stack: the asker has its answer, though nobody who \
              was asked has that address",
    source: Source {
        cite: "br_arp_send and br_nd_send without a port, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        NEEDS[0],
        NEEDS[1],
        Need::Driver("vlan"),
        Need::VlanFiltering,
        Need::Driver("macvlan"),
    ],
};

#[rstest]
#[case::tagged("sw:br10", "sw:br10", 10)]
#[case::pvid("sw:br", "sw:br1", 1)]
fn who_sits_on_the_bridge_is_answered_by_it(
    #[case] below: &str,
    #[case] knows: &str,
    #[case] id: u16,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    check(&TO_BRIDGE, async |case| {
        let lan = with_ipv6(in_vlans().host("m"), "m").macvlan("m:eth0", below, Mode::Bridge);
        let mut lab = case.lab(&lan.address("m:eth0", own(family))).await?;
        expect_answered(&mut lab, "m", (knows, id), family).await
    });
}
