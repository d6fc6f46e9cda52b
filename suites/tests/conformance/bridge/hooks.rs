//! By which links, and how often, rules see what a bridge hands on.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr};

use hairpin_fixtures::switch::switch;
use hairpin_harness::{CaseLab, Family, Need, Rule, Source, Stop, Strength, Watch, check};
use rstest::rstest;

use super::querier::{group, to};

pub(crate) const RULES: &[Rule] = &[ONCE, LINKS, SESSION, LEAVING];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables, Need::BrNetfilter];

const ONCE: Rule = Rule {
    id: "bridge.hooks.a-packet-is-seen-once",
    promise: "rules for frames see a packet once when it comes in, whatever their priority, and once for \
              each port that it is handed to; rules for packets that come in see it once, also if it is \
              for the machine itself, whether the bridge shows its packets or not",
    source: Source {
        cite: "br_nf_hook_thresh and ip_sabotage_in, net/bridge/br_netfilter_hooks.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const IPTABLES: &str = "bridge.bridge-nf-call-iptables";
const ALL: &str = "b multicast, c multicast, sw multicast";

/// The group that a datagram is for.
fn listeners() -> Ipv4Addr {
    match group(Family::V4, 3) {
        IpAddr::V4(group) => group,
        IpAddr::V6(_) => unreachable!("it was asked for as IPv4"),
    }
}

/// Sends such a datagram, and holds how often each watch saw it.
async fn expect_seen(lab: &mut CaseLab, watches: &[(&Watch, u64)], by: &str) -> Result<(), Stop> {
    for (watch, _) in watches {
        lab.watch("sw", watch)?;
    }
    lab.expect_shot("a", &to(listeners().into()), by).await?;
    for (watch, times) in watches {
        let seen = lab.watched("sw", watch)?;
        lab.claim(&format!("seen {times} times by {watch}"), seen == *times, seen)?;
    }
    Ok(())
}

#[test]
fn a_packet_is_seen_once() {
    check(&ONCE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let [before, behind, bridged, coming] =
            [Watch::frames_before, Watch::frames_behind, Watch::frames_bridged, Watch::coming]
                .map(|watch| watch().to(listeners()));
        for shown in ["0", "1"] {
            lab.set_sysctl("sw", IPTABLES, shown)?;
            let seen = [(&before, 1), (&behind, 1), (&bridged, 2), (&coming, 1)];
            expect_seen(&mut lab, &seen, ALL).await?;
        }
        expect_seen(&mut lab, &[(&coming.clone().drops(), 1)], "nobody").await?;
        expect_seen(&mut lab, &[(&coming, 1), (&behind.drops(), 1)], "nobody").await?;
        Ok(())
    });
}

const LINKS: Rule = Rule {
    id: "bridge.hooks.links-and-kind-are-told-as-they-are",
    promise: "rules for frames are told the port that a frame came in by and that it leaves by; rules \
              for packets that are passed on are told the bridge as both, and that a packet is for a \
              group when it is",
    source: Source {
        cite: "nf_hook_bridge_pre, net/bridge/br_input.c; br_nf_forward_ip, br_netfilter_hooks.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn links_and_kind_are_told_as_they_are() {
    check(&LINKS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_sysctl("sw", IPTABLES, "1")?;
        let [before, bridged, passed] =
            [Watch::frames_before, Watch::frames_bridged, Watch::passed_on]
                .map(|watch| watch().to(listeners()));
        for (came, times) in [("p1", 1), ("p2", 0)] {
            let left = bridged.clone().from_link(came).to_link("p3");
            expect_seen(&mut lab, &[(&before.clone().from_link(came), times), (&left, times)], ALL)
                .await?;
        }
        for (link, times) in [("br", 2), ("p1", 0)] {
            expect_seen(&mut lab, &[(&passed.clone().from_link(link), times)], ALL).await?;
            let left = passed.clone().to_link(link).of_groups();
            expect_seen(&mut lab, &[(&left, times)], ALL).await?;
        }
        let own = before.from_link("p1").drops();
        expect_seen(&mut lab, &[(&own, 1)], "nobody").await
    });
}

const SESSION: Rule = Rule {
    id: "bridge.hooks.a-packet-of-a-session-is-told-as-one",
    promise: "a packet in a session of PPPoE that is shown to rules for packets is told as the packet \
              that it is when it comes in and when it is passed on, and not as a session's",
    source: Source {
        cite: "br_nf_pre_routing, br_nf_pre_routing_ipv6 and br_nf_forward_ip",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4, 0x0800, IPTABLES)]
#[case::v6(Family::V6, 0x86dd, "bridge.bridge-nf-call-ip6tables")]
fn a_packet_of_a_session_is_told_as_one(
    #[case] family: Family,
    #[case] ethertype: u16,
    #[case] switch_on: &str,
) {
    const OF_SESSION: u16 = 0x8864;
    check(&SESSION, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for name in [switch_on, "bridge.bridge-nf-filter-pppoe-tagged"] {
            lab.set_sysctl("sw", name, "1")?;
        }
        let group = group(family, 3);
        for (ethertype, times) in [(ethertype, (1, 2)), (OF_SESSION, (0, 0))] {
            let of = |watch: Watch| watch.to(group).ethertype(ethertype);
            let watches = [(of(Watch::coming()), times.0), (of(Watch::passed_on()), times.1)];
            for (watch, _) in &watches {
                lab.watch("sw", watch)?;
            }
            lab.shoot("a", &to(group).session(7)).await?;
            for (watch, times) in &watches {
                let seen = lab.watched("sw", watch)?;
                let claim = format!("seen {times} times as {ethertype:#x} by {watch}");
                lab.claim(&claim, seen == *times, seen)?;
            }
        }
        Ok(())
    });
}

const LEAVING: Rule = Rule {
    id: "bridge.hooks.a-shown-packet-leaves-by-the-bridge",
    promise: "rules for packets that leave see a bridged one as it leaves by the bridge, once for each \
              port, and may drop it, if the bridge shows its packets; and not otherwise",
    source: Source {
        cite: "br_nf_post_routing, net/bridge/br_netfilter_hooks.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_shown_packet_leaves_by_the_bridge() {
    check(&LEAVING, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let leaving = Watch::leaving().to_link("br").to(listeners());
        let by_port = Watch::leaving().to_link("p2").to(listeners());
        expect_seen(&mut lab, &[(&leaving.clone().drops(), 0)], ALL).await?;
        lab.set_sysctl("sw", IPTABLES, "1")?;
        expect_seen(&mut lab, &[(&leaving, 2)], ALL).await?;
        expect_seen(&mut lab, &[(&by_port.drops(), 0)], ALL).await?;
        expect_seen(&mut lab, &[(&leaving.drops(), 2)], "sw multicast").await
    });
}
