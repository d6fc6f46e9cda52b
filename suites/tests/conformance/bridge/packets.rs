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
    Action, Case, CaseLab, Family, Firewall, Flaw, Hook, Match, Need, Policy, Rule, Shot, Source,
    Stop, Strength, Tag, check,
};
use rstest::rstest;

use super::querier::{group, to};

pub(crate) const RULES: &[Rule] = &[TAGGED, LINK_OF_TAG, SESSION, FLAWED, ODD];

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

const LINK_OF_TAG: Rule = Rule {
    id: "bridge.packets.a-tagged-one-came-in-by-the-link-of-its-tag-when-told",
    promise: "a tagged packet that is shown to the IP firewall came in by the bridge; or, if the \
              namespace is told to say so, by the VLAN link upon it that has that tag, where there \
              is one",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-pass-vlan-input-dev; brnf_get_logical_dev",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[NEEDS[0], NEEDS[1], NEEDS[2], NEEDS[3], Need::Driver("vlan")],
};

/// Drops what came in by that link.
fn not_by(link: &str) -> Firewall {
    forward(Policy::Accept).rule(Hook::Forward, Match::any().from_link(link), Action::Drop)
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_tagged_one_came_in_by_the_link_of_its_tag_when_told(#[case] family: Family) {
    check(&LINK_OF_TAG, async |case| {
        let topology = switch().vlan("sw:v10", "sw:br", 10);
        let topology = SWITCHES.iter().fold(topology, |all, name| all.sysctl("sw", name, "1"));
        let topology = topology.sysctl("sw", "bridge.bridge-nf-filter-vlan-tagged", "1");
        let mut lab = case.lab(&topology).await?;
        let bare = datagram(family);
        for (told, by_bridge, by_link) in [("0", [10, 20], &[][..]), ("1", [20, 20], &[10])] {
            lab.set_sysctl("sw", "bridge.bridge-nf-pass-vlan-input-dev", told)?;
            for (link, dropped) in [("br", &by_bridge[..]), ("v10", by_link)] {
                lab.set_firewall("sw", not_by(link))?;
                for id in [10, 20] {
                    let tagged = datagram(family).tag(Tag::vlan(id));
                    let others = format!("b other vlan {id}, c other vlan {id}, ");
                    let others = if dropped.contains(&id) { "" } else { &others };
                    let own = if id == 10 { "sw:v10 multicast" } else { "sw other vlan 20" };
                    let heard = format!("{others}{own}");
                    lab.expect_shot("a", &tagged, &heard).await?;
                }
            }
            lab.set_firewall("sw", not_by("v10"))?;
            lab.expect_shot("a", &bare, "b multicast, c multicast, sw multicast").await?;
        }
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
    promise: "a packet of another version, longer than its frame or shorter than its header, with \
              another check sum, or with options that do not end where they should is dropped where \
              packets of its family are shown to the IP firewall, and counted as the IP stack counts \
              such; it is bridged where they are not",
    source: Source {
        cite: "br_validate_ipv4 and br_validate_ipv6, net/bridge",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// What counts such a packet.
const fn counters(family: Family, flaw: Flaw) -> &'static [&'static str] {
    match (family, flaw) {
        (Family::V4, Flaw::Length) => &["InTruncatedPkts"],
        (Family::V4, Flaw::Sum) => &["InCsumErrors", "InHdrErrors"],
        (Family::V4, _) => &["InHdrErrors"],
        (Family::V6, Flaw::Length) => &["Ip6InTruncatedPkts"],
        (Family::V6, Flaw::Version) => &["Ip6InHdrErrors"],
        (Family::V6, _) => &[],
    }
}

fn counted(lab: &CaseLab, family: Family, flaw: Flaw) -> Result<Vec<u64>, Stop> {
    let count = |name: &&str| lab.ip_counter("sw", name);
    Ok(counters(family, flaw).iter().map(count).collect::<Result<_, _>>()?)
}

#[rstest]
#[case::version_v4(Family::V4, Flaw::Version)]
#[case::length_v4(Family::V4, Flaw::Length)]
#[case::sum_v4(Family::V4, Flaw::Sum)]
#[case::short_v4(Family::V4, Flaw::Short)]
#[case::version_v6(Family::V6, Flaw::Version)]
#[case::length_v6(Family::V6, Flaw::Length)]
#[case::options_v6(Family::V6, Flaw::Options([0x1e, 9, 0, 0, 0, 0]))]
#[case::padding_v6(Family::V6, Flaw::Options([1, 9, 0, 0, 0, 0]))]
fn a_flawed_one_goes_no_farther(#[case] family: Family, #[case] flaw: Flaw) {
    check(&FLAWED, async |case| {
        let mut lab = shown(case, Policy::Accept).await?;
        lab.expect_shot("a", &datagram(family), AS_IT_CAME).await?;
        let before = counted(&lab, family, flaw)?;
        lab.expect_shot("a", &datagram(family).flawed(flaw), "nobody").await?;
        let since: Vec<u64> =
            counted(&lab, family, flaw)?.iter().zip(before).map(|(now, was)| now - was).collect();
        let claim = format!("counted once as {:?}", counters(family, flaw));
        lab.claim(&claim, since.iter().all(|once| *once == 1), format!("{since:?}"))?;
        let own = SWITCHES[usize::from(family == Family::V6)];
        lab.set_sysctl("sw", own, "0")?;
        lab.expect_shot("a", &datagram(family).flawed(flaw), AS_IT_CAME).await?;
        Ok(())
    });
}

const ODD: Rule = Rule {
    id: "bridge.packets.an-odd-one-passes",
    promise: "a packet with hop-by-hop options that end where they should is bridged as it came, \
              whether it is shown to the IP firewall or not; of one that ends before its frame does, \
              what is behind it is cut off where packets of its family are shown",
    source: Source {
        cite: "br_nf_check_hbh_len, br_validate_ipv4 and br_validate_ipv6, net/bridge",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const AS_IT_CAME: &str = "b multicast, c multicast, sw multicast";

#[rstest]
#[case::padding_v4(Family::V4, Flaw::Padded, 62)]
#[case::padding_v6(Family::V6, Flaw::Padded, 82)]
#[case::pads(Family::V6, Flaw::Options([1, 2, 0, 0, 0, 0]), 0)]
#[case::single_pads(Family::V6, Flaw::Options([0; 6]), 0)]
#[case::single_pad_first(Family::V6, Flaw::Options([0, 1, 3, 0, 0, 0]), 0)]
#[case::router_alert(Family::V6, Flaw::Options([5, 2, 0, 0, 1, 0]), 0)]
#[case::unknown(Family::V6, Flaw::Options([0x1e, 4, 1, 2, 3, 4]), 0)]
#[case::empty(Family::V6, Flaw::Options([0x1e, 0, 0x1e, 0, 0x1e, 0]), 0)]
fn an_odd_one_passes(#[case] family: Family, #[case] odd: Flaw, #[case] cut_to: usize) {
    check(&ODD, async |case| {
        let mut lab = shown(case, Policy::Accept).await?;
        let shot = datagram(family).flawed(odd);
        let cut = format!(" changed ({cut_to} bytes)");
        let how = if cut_to == 0 { "" } else { &cut };
        let heard = ["b", "c", "sw"].map(|host| format!("{host} multicast{how}")).join(", ");
        lab.expect_shot("a", &shot, &heard).await?;
        lab.set_sysctl("sw", SWITCHES[usize::from(family == Family::V6)], "0")?;
        lab.expect_shot("a", &shot, AS_IT_CAME).await?;
        Ok(())
    });
}
