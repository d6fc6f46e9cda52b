//! What of bridged frames is a packet to the IP firewall, and what is not.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               FORWARD drops; the machine itself is not asked
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::docker::forward;
use hairpin_fixtures::switch::switch;
use hairpin_harness::{
    Case, CaseLab, Family, Flaw, Need, Policy, Rule, Shot, Source, Stop, Strength, Tag, check,
};
use rstest::rstest;

use super::querier::{group, to};

pub(crate) const RULES: &[Rule] = &[TAGGED, SESSION, FLAWED];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables, Need::BrNetfilter];

const SWITCHES: [&str; 2] = ["bridge.bridge-nf-call-iptables", "bridge.bridge-nf-call-ip6tables"];

/// The switch, whose packets are shown.
async fn shown(case: &mut Case, policy: Policy) -> Result<CaseLab, Stop> {
    let topology = switch().firewall("sw", forward(policy));
    let all = SWITCHES.iter().fold(topology, |all, name| all.sysctl("sw", name, "1"));
    Ok(case.lab(&all).await?)
}

/// A datagram to a group, for all hosts.
fn datagram(family: Family) -> Shot {
    to(group(family, 3))
}

const TAGGED: Rule = Rule {
    id: "bridge.packets.tagged-ones-are-shown-when-told",
    promise: "a packet behind a VLAN tag is shown to the IP firewall only if the namespace is told \
              to, and keeps its tag; one without a tag is shown whatever that says",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-filter-vlan-tagged; is_vlan_ip and is_vlan_ipv6",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn tagged_ones_are_shown_when_told(#[case] family: Family) {
    check(&TAGGED, async |case| {
        let mut lab = shown(case, Policy::Drop).await?;
        let bare = datagram(family);
        let tagged = datagram(family).tag(Tag::vlan(10).priority(3));
        let all = "b other vlan 10 priority 3, c other vlan 10 priority 3, \
                   sw other vlan 10 priority 3";
        lab.expect_shot("a", &bare, "sw multicast").await?;
        lab.expect_shot("a", &tagged, all).await?;
        lab.set_sysctl("sw", "bridge.bridge-nf-filter-vlan-tagged", "1")?;
        lab.expect_shot("a", &bare, "sw multicast").await?;
        lab.expect_shot("a", &tagged, "sw other vlan 10 priority 3").await?;
        lab.set_firewall("sw", forward(Policy::Accept))?;
        lab.expect_shot("a", &bare, "b multicast, c multicast, sw multicast").await?;
        lab.expect_shot("a", &tagged, all).await?;
        for switch in SWITCHES {
            lab.set_sysctl("sw", switch, "0")?;
        }
        lab.set_firewall("sw", forward(Policy::Drop))?;
        lab.expect_shot("a", &tagged, all).await?;
        Ok(())
    });
}

const SESSION: Rule = Rule {
    id: "bridge.packets.those-of-a-session-are-shown-when-told",
    promise: "a packet in a session of PPPoE is shown to the IP firewall only if the namespace is told \
              to, and stays in its session; the switch for tags does nothing for it",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-filter-pppoe-tagged; is_pppoe_ip and is_pppoe_ipv6",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn those_of_a_session_are_shown_when_told(#[case] family: Family) {
    check(&SESSION, async |case| {
        let mut lab = shown(case, Policy::Drop).await?;
        let shot = datagram(family).session(7);
        let all = "b multicast, c multicast, sw multicast";
        lab.expect_shot("a", &shot, all).await?;
        lab.set_sysctl("sw", "bridge.bridge-nf-filter-vlan-tagged", "1")?;
        lab.expect_shot("a", &shot, all).await?;
        lab.set_sysctl("sw", "bridge.bridge-nf-filter-pppoe-tagged", "1")?;
        lab.expect_shot("a", &shot, "sw multicast").await?;
        lab.set_firewall("sw", forward(Policy::Accept))?;
        lab.expect_shot("a", &shot, all).await?;
        Ok(())
    });
}

const FLAWED: Rule = Rule {
    id: "bridge.packets.a-flawed-one-goes-no-farther",
    promise: "a packet of another version, longer than its frame, or with another check sum is \
              dropped where packets of its family are shown to the IP firewall, and bridged where \
              they are not",
    source: Source {
        cite: "br_validate_ipv4 and br_validate_ipv6, net/bridge",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::version_v4(Family::V4, Flaw::Version)]
#[case::length_v4(Family::V4, Flaw::Length)]
#[case::sum_v4(Family::V4, Flaw::Sum)]
#[case::version_v6(Family::V6, Flaw::Version)]
#[case::length_v6(Family::V6, Flaw::Length)]
fn a_flawed_one_goes_no_farther(#[case] family: Family, #[case] flaw: Flaw) {
    check(&FLAWED, async |case| {
        let mut lab = shown(case, Policy::Accept).await?;
        let all = "b multicast, c multicast, sw multicast";
        lab.expect_shot("a", &datagram(family), all).await?;
        lab.expect_shot("a", &datagram(family).flawed(flaw), "nobody").await?;
        let own = SWITCHES[usize::from(family == Family::V6)];
        lab.set_sysctl("sw", own, "0")?;
        lab.expect_shot("a", &datagram(family).flawed(flaw), all).await?;
        Ok(())
    });
}
