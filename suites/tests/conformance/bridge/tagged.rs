//! A bridge that keeps VLANs apart, in depth: provider's tags, counters, ranges, states by VLAN, what
//! goes with a VLAN, and which ports need not be promiscuous.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```
//!
//! The controls go untagged, so each port stays in VLAN 1 and has others besides.

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, link, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Fdb, Filter, Mac, Need, PortFlags, PortVlan, Rule, Shot, Source, Stop,
    Strength, Tag, Topology, VlanCounters, check, vlan_option,
};
use rstest::rstest;

use super::VLANS as NEEDS;

pub(crate) const RULES: &[Rule] = &[
    PROVIDER,
    RESERVED,
    COUNTED,
    PER_PORT,
    GONE,
    ALL_VLANS,
    RANGE,
    BY_STATE,
    OWN,
    PROMISCUOUS,
    REFUSED,
];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x14]);

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

/// Puts ports into a VLAN, tagged.
async fn tagged(lab: &mut CaseLab, links: &[&str], id: u16) -> Result<(), Stop> {
    for link in links {
        lab.add_vlan(*link, PortVlan::tagged(id)).await?;
    }
    Ok(())
}

const PROVIDER: Rule = Rule {
    id: "bridge.tagged.a-provider-bridge-goes-by-providers-tags",
    promise: "a bridge that was given the ethertype of providers' tags goes by these: a customer's \
              tag is part of what is carried, in the VLAN of the port; and the other way round",
    source: Source {
        cite: "IEEE 802.1ad; ip-link(8), vlan_protocol; __allowed_ingress, net/bridge/br_vlan.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_provider_bridge_goes_by_providers_tags() {
    check(&PROVIDER, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        tagged(&mut lab, &["sw:p1", "sw:p2"], 10).await?;
        let (customers, providers) = (Tag::vlan(10).priority(3), Tag::vlan(10).provider());
        let ours = Shot::to(NOBODY).tag(customers);
        let theirs = Shot::to(NOBODY).tag(providers);
        lab.expect_shot("a", &ours, "b other vlan 10 priority 3").await?;
        let carried = "b other provider vlan 10, c other provider vlan 10";
        lab.expect_shot("a", &theirs, carried).await?;
        lab.set_option("sw:br", bridge::VLAN_PROTOCOL, 0x88a8).await?;
        lab.expect_option("sw:br", bridge::VLAN_PROTOCOL, 0x88a8).await?;
        lab.expect_shot("a", &theirs, "b other provider vlan 10").await?;
        let carried = "b other vlan 10 priority 3, c other vlan 10 priority 3";
        lab.expect_shot("a", &ours, carried).await?;
        lab.set_option("sw:br", bridge::VLAN_PROTOCOL, 0x8100).await?;
        lab.expect_shot("a", &ours, "b other vlan 10 priority 3").await?;
        Ok(())
    });
}

const RESERVED: Rule = Rule {
    id: "bridge.tagged.a-provider-bridge-passes-customers-protocols",
    promise: "a provider bridge forwards the reserved groups of customers' bridges (00, 0b, 0c, 0d \
              and 0f), and keeps to the link the others, and its own (08)",
    source: Source {
        cite: "IEEE 802.1ad, table 8-1; br_recalculate_fwd_mask, net/bridge/br_vlan.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::of_customers(&[0x0b, 0x0c, 0x0d, 0x0f], true)]
#[case::others(&[0x02, 0x03, 0x08, 0x0a, 0x0e], false)]
fn a_provider_bridge_passes_customers_protocols(#[case] groups: &[u8], #[case] passes: bool) {
    check(&RESERVED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for protocol in [0x8100, 0x88a8, 0x8100] {
            lab.set_option("sw:br", bridge::VLAN_PROTOCOL, protocol).await?;
            for last in groups {
                let forwarded = passes && protocol == 0x88a8;
                let heard = if forwarded { "b multicast, c multicast" } else { "sw:p1 multicast" };
                let shot = Shot::to(Mac([0x01, 0x80, 0xc2, 0, 0, *last]));
                let fate = lab.shoot("a", &shot).await?;
                fate.proved()?;
                let seen = fate.to_string();
                let claim = format!("{shot} in a bridge of {protocol:x} is heard by {heard}");
                lab.claim(&claim, seen.starts_with(heard), seen)?;
            }
        }
        Ok(())
    });
}

const COUNTED: Rule = Rule {
    id: "bridge.tagged.each-vlan-is-counted",
    promise: "a bridge that counts by VLAN counts each frame that comes in and each that leaves in \
              its VLAN, with its bytes, and nothing before it is told to",
    source: Source {
        cite: "ip-link(8), vlan_stats_enabled; br_allowed_ingress and br_handle_vlan",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

/// What was counted of a VLAN.
pub(super) async fn of_vlan(lab: &CaseLab, link: &str, id: u16) -> Result<VlanCounters, Stop> {
    let all = lab.vlan_counters(link).await?;
    Ok(all.into_iter().find(|counters| counters.id == id).unwrap_or_default())
}

/// Holds how many frames were counted of VLAN 10, received and sent.
async fn expect_packets(
    lab: &CaseLab,
    link: &str,
    packets: (u64, u64),
) -> Result<VlanCounters, Stop> {
    let seen = of_vlan(lab, link, 10).await?;
    let (rx, tx) = packets;
    let claim = format!("{link} has counted {rx} frames received and {tx} sent in VLAN 10");
    lab.claim(&claim, (seen.rx_packets, seen.tx_packets) == packets, format!("{seen:?}"))?;
    // The table of a bridge has those alone that it is a member of itself.
    let (told, listed) = (lab.vlan_counters(link).await?, lab.listed_vlan_counters(link).await?);
    let same = !listed.is_empty() && listed.iter().all(|of_one| told.contains(of_one));
    lab.claim("its table of VLANs tells the same", same, format!("{listed:?}"))?;
    Ok(seen)
}

#[test]
fn each_vlan_is_counted() {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        tagged(&mut lab, &["sw:p1", "sw:p2", "sw:p3"], 10).await?;
        let shot = Shot::to(NOBODY).tag(Tag::vlan(10));
        let both = "b other vlan 10, c other vlan 10";
        lab.expect_shot("a", &shot, both).await?;
        expect_packets(&lab, "sw:br", (0, 0)).await?;
        lab.set_option("sw:br", bridge::VLAN_STATS, 1).await?;
        lab.expect_shot("a", &shot.clone().bytes(100), both).await?;
        let short = expect_packets(&lab, "sw:br", (1, 2)).await?;
        lab.expect_shot("a", &shot.clone().bytes(1000), both).await?;
        let long = expect_packets(&lab, "sw:br", (2, 4)).await?;
        let bytes = (long.rx_bytes - 2 * short.rx_bytes, long.tx_bytes - 2 * short.tx_bytes);
        lab.claim("900 bytes more each", bytes == (900, 1800), format!("{bytes:?}"))?;
        lab.set_option("sw:br", bridge::VLAN_STATS, 0).await?;
        lab.expect_shot("a", &shot, both).await?;
        let after = of_vlan(&lab, "sw:br", 10).await?;
        lab.claim("no more when it is off", after == long, format!("{after:?}"))
    });
}

const PER_PORT: Rule = Rule {
    id: "bridge.tagged.each-vlan-is-counted-by-port",
    promise: "where VLANs are counted by port, a port counts what came in and left by it, and its table \
              of VLANs tells the same; whether that is done is settled before ports have VLANs",
    source: Source {
        cite: "ip-link(8), vlan_stats_per_port; br_vlan_set_stats_per_port; br_vlan_fill_vids",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_vlan_is_counted_by_port() {
    check(&PER_PORT, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let done = lab.set_option("sw:br", bridge::VLAN_STATS_PER_PORT, 1).await;
        lab.expect_refusal("to change it while ports have VLANs", done, Errno::EBUSY)?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        lab.set_option("sw:br", bridge::VLAN_STATS_PER_PORT, 1).await?;
        lab.expect_option("sw:br", bridge::VLAN_STATS_PER_PORT, 1).await?;
        lab.set_option("sw:br", bridge::VLAN_STATS, 1).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 1).await?;
        tagged(&mut lab, &["sw:p1", "sw:p2", "sw:p3"], 10).await?;
        let both = "b other vlan 10, c other vlan 10";
        lab.expect_shot("a", &Shot::to(NOBODY).tag(Tag::vlan(10)), both).await?;
        for (port, packets) in [("sw:p1", (1, 0)), ("sw:p2", (0, 1)), ("sw:p3", (0, 1))] {
            expect_packets(&lab, port, packets).await?;
        }
        Ok(())
    });
}

const GONE: Rule = Rule {
    id: "bridge.tagged.what-was-learned-goes-with-its-vlan",
    promise: "when a port leaves a VLAN, what was learned there in it is forgotten, and the entry \
              of its own address; what it knows in other VLANs stays",
    source: Source { cite: "nbp_vlan_delete and __vlan_add", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

/// The entries of an address, a line each without it.
pub(super) async fn entries_of(lab: &CaseLab, mac: Mac) -> Result<Vec<String>, Stop> {
    let entries = lab.fdb("sw").await?.into_iter().filter(|entry| entry.mac == mac);
    let lines = entries.map(|entry| entry.to_string());
    Ok(lines.map(|line| line.split_once(' ').map_or("", |(_, rest)| rest).to_owned()).collect())
}

#[test]
fn what_was_learned_goes_with_its_vlan() {
    check(&GONE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        tagged(&mut lab, &["sw:p1", "sw:p2"], 10).await?;
        let own = lab.mac("sw:p1");
        lab.expect_lines(
            "its own address",
            entries_of(&lab, own).await?,
            &["p1 own", "p1 vlan 1 own", "p1 vlan 10 own"],
        )?;
        lab.shoot("a", &Shot::broadcast().from(NOBODY).tag(Tag::vlan(10))).await?;
        lab.shoot("a", &Shot::broadcast().from(NOBODY)).await?;
        lab.expect_lines("learned", entries_of(&lab, NOBODY).await?, &["p1 vlan 1", "p1 vlan 10"])?;
        lab.delete_vlan("sw:p1", 10).await?;
        lab.expect_lines("left", entries_of(&lab, NOBODY).await?, &["p1 vlan 1"])?;
        let left = entries_of(&lab, own).await?;
        lab.expect_lines("its own address left", left, &["p1 own", "p1 vlan 1 own"])
    });
}

const ALL_VLANS: Rule = Rule {
    id: "bridge.tagged.an-entry-without-a-vlan-is-in-all",
    promise: "an entry that is made without a VLAN is made in each of the port's, and deleted in \
              each; one that is made with a VLAN in that alone",
    source: Source {
        cite: "br_fdb_add and br_fdb_delete, net/bridge/br_fdb.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_entry_without_a_vlan_is_in_all() {
    check(&ALL_VLANS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        tagged(&mut lab, &["sw:p1", "sw:p2"], 10).await?;
        lab.add_fdb("sw:p2", NOBODY, Fdb::STATIC).await?;
        let all = ["p2 static", "p2 vlan 1 static", "p2 vlan 10 static"];
        lab.expect_lines("made in all", entries_of(&lab, NOBODY).await?, &all)?;
        let shot = Shot::to(NOBODY).tag(Tag::vlan(10));
        lab.expect_shot("a", &shot, "b other vlan 10").await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other").await?;
        lab.delete_fdb("sw:p2", NOBODY, Some(10)).await?;
        lab.expect_lines("less one", entries_of(&lab, NOBODY).await?, &all[..2])?;
        lab.add_fdb("sw:p2", NOBODY, Fdb::STATIC.vlan(10)).await?;
        lab.delete_fdb("sw:p2", NOBODY, None).await?;
        lab.expect_lines("deleted in all", entries_of(&lab, NOBODY).await?, &[])
    });
}

const RANGE: Rule = Rule {
    id: "bridge.tagged.ranges-are-their-vlans",
    promise: "a range of VLANs is each VLAN in it, when it is added and when it is taken away; a \
              range has no PVID and does not run backwards",
    source: Source {
        cite: "bridge(8), vlan; br_process_vlan_info",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn ranges_are_their_vlans() {
    check(&RANGE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlans("sw:p1", (5, 9), PortVlan { id: 0, pvid: false, untagged: true }).await?;
        let all = [
            "1 pvid untagged",
            "5 untagged",
            "6 untagged",
            "7 untagged",
            "8 untagged",
            "9 untagged",
        ];
        lab.expect_lines("added", lab.vlans("sw:p1").await?, &all)?;
        lab.delete_vlans("sw:p1", (6, 8)).await?;
        let left = ["1 pvid untagged", "5 untagged", "9 untagged"];
        lab.expect_lines("less some", lab.vlans("sw:p1").await?, &left)?;
        for (range, vlan) in [((20, 22), PortVlan::access(0)), ((22, 20), PortVlan::tagged(0))] {
            let done = lab.add_vlans("sw:p1", range, vlan).await;
            lab.expect_refusal(&format!("{range:?} {vlan}"), done, Errno::EINVAL)?;
        }
        lab.expect_lines("kept", lab.vlans("sw:p1").await?, &left)
    });
}

const BY_STATE: Rule = Rule {
    id: "bridge.tagged.a-state-for-each-vlan",
    promise: "a port that blocks in one VLAN neither takes nor sends that VLAN's frames, one that \
              only learns there learns, and both go on in other VLANs",
    source: Source {
        cite: "bridge(8), vlan set state; br_vlan_state_allowed, since 5.7",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::disabled(0, false)]
#[case::listening(1, false)]
#[case::learning(2, true)]
#[case::blocking(4, false)]
fn a_state_for_each_vlan(#[case] state: u64, #[case] learns: bool) {
    check(&BY_STATE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for id in [10, 20] {
            tagged(&mut lab, &["sw:p1", "sw:p2"], id).await?;
        }
        let shot = |id| Shot::broadcast().from(NOBODY).tag(Tag::vlan(id));
        let seen = lab.vlan_option("sw:p2", 10, vlan_option::STATE).await?;
        lab.claim("it begins to forward", seen == Some(3), format!("{seen:?}"))?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::STATE, state).await?;
        for (id, wanted) in [(10, state), (20, 3)] {
            let seen = lab.vlan_option("sw:p2", id, vlan_option::STATE).await?;
            lab.claim(&format!("VLAN {id}: {wanted}"), seen == Some(wanted), format!("{seen:?}"))?;
        }
        lab.expect_shot("b", &shot(10), "nobody").await?;
        let learned = entries_of(&lab, NOBODY).await?;
        lab.claim(
            &format!("learned: {learns}"),
            learned.is_empty() != learns,
            format!("{learned:?}"),
        )?;
        lab.expect_shot("a", &shot(10), "nobody").await?;
        lab.expect_shot("a", &shot(20), "b other vlan 20").await?;
        lab.expect_shot("b", &shot(20), "a other vlan 20").await?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::STATE, 3).await?;
        lab.expect_shot("b", &shot(10), "a other vlan 10").await?;
        lab.expect_shot("a", &shot(10), "b other vlan 10").await?;
        Ok(())
    });
}

const OWN: Rule = Rule {
    id: "bridge.tagged.the-bridge-sends-in-its-vlans",
    promise: "what the bridge's own stack sends is in a VLAN that the bridge is a member of, its \
              PVID where it has no tag, or is dropped",
    source: Source {
        cite: "bridge(8), vlan add self; br_dev_xmit",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_bridge_sends_in_its_vlans() {
    check(&OWN, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        tagged(&mut lab, &["sw:p1"], 10).await?;
        let shot = Shot::broadcast().tag(Tag::vlan(10));
        lab.expect_shot("sw", &shot, "nobody").await?;
        tagged(&mut lab, &["sw:br"], 10).await?;
        lab.expect_shot("sw", &shot, "a other vlan 10").await?;
        lab.delete_vlan("sw:br", 10).await?;
        lab.expect_shot("sw", &shot, "nobody").await?;
        lab.expect_shot("sw", &Shot::broadcast(), "a broadcast, b broadcast, c broadcast").await?;
        Ok(())
    });
}

const PROMISCUOUS: Rule = Rule {
    id: "bridge.tagged.a-port-that-knows-all-is-not-promiscuous",
    promise: "where VLANs are kept apart, a port that can filter is not promiscuous while no other may \
              learn or flood: it listens for the pinned addresses instead; filtering off or a \
              promiscuous bridge makes all ports promiscuous; one that leaves listens for them no more",
    source: Source {
        cite: "br_manage_promisc, nbp_update_port_count and br_fdb_sync_static",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("vlan"),
        Need::VlanFiltering,
    ],
};

/// A bridge whose ports are VLANs, which can filter.
fn of_vlans() -> Topology {
    let bridge = Bridge::default().mcast_snooping(false).vlan_filtering();
    let start = Topology::new("filters").netns("sw").bridge_with("sw:br", bridge);
    [1, 2, 3].iter().fold(start.host("a"), |topology, number| {
        let (cable, far) = (format!("sw:p{number}"), format!("a:eth{number}"));
        let port = format!("sw:v{number}");
        topology.cable(&*cable, &*far).vlan(&*port, &*cable, 10).port(&*port, "br")
    })
}

/// Holds which ports are promiscuous. One that is not listens for the pinned address.
async fn expect_promiscuous(lab: &CaseLab, when: &str, are: [bool; 3]) -> Result<(), Stop> {
    for (port, is) in ["sw:v1", "sw:v2", "sw:v3"].into_iter().zip(are) {
        let seen = lab.option(port, link::PROMISCUITY).await?;
        let claim = format!("{when}: {port} is promiscuous: {is}");
        lab.claim(&claim, seen == Some(u64::from(is)), format!("{seen:?}"))?;
        let listens = lab.filters(port).await?.contains(&NOBODY);
        let claim = format!("{when}: {port} listens for the pinned address: {}", !is);
        lab.claim(&claim, listens != is, listens)?;
    }
    Ok(())
}

#[test]
fn a_port_that_knows_all_is_not_promiscuous() {
    check(&PROMISCUOUS, async |case| {
        const EACH: [bool; 3] = [true; 3];
        const NEITHER: [bool; 3] = [false; 3];
        let mut lab = case.lab(&of_vlans()).await?;
        lab.add_fdb("sw:v2", NOBODY, Fdb::STATIC).await?;
        expect_promiscuous(&lab, "all learn and flood", EACH).await?;
        let knows = PortFlags::default().learning(false).flood(false);
        lab.set_port("sw:v1", knows).await?;
        expect_promiscuous(&lab, "two learn and flood", EACH).await?;
        lab.set_port("sw:v2", knows).await?;
        expect_promiscuous(&lab, "one learns and floods", [true, true, false]).await?;
        lab.set_port("sw:v3", knows).await?;
        expect_promiscuous(&lab, "none does", NEITHER).await?;
        lab.set_port("sw:v1", PortFlags::default().learning(true)).await?;
        expect_promiscuous(&lab, "another learns", [false, true, true]).await?;
        lab.set_port("sw:v1", PortFlags::default().learning(false)).await?;
        lab.set_filter("sw:br", Filter::Promisc, true).await?;
        expect_promiscuous(&lab, "the bridge is promiscuous", EACH).await?;
        lab.set_filter("sw:br", Filter::Promisc, false).await?;
        expect_promiscuous(&lab, "it is no more", NEITHER).await?;
        lab.set_option("sw:br", bridge::VLAN_FILTERING, 0).await?;
        expect_promiscuous(&lab, "nothing is kept apart", EACH).await?;
        lab.set_option("sw:br", bridge::VLAN_FILTERING, 1).await?;
        expect_promiscuous(&lab, "VLANs are kept apart again", NEITHER).await?;
        lab.delete_fdb("sw:v2", NOBODY, None).await?;
        for port in ["sw:v1", "sw:v2", "sw:v3"] {
            let listens = lab.filters(port).await?.contains(&NOBODY);
            lab.claim(&format!("{port} no longer listens for it"), !listens, listens)?;
        }
        lab.add_fdb("sw:v2", NOBODY, Fdb::STATIC).await?;
        expect_promiscuous(&lab, "pinned anew", NEITHER).await?;
        lab.remove_port("sw:br", "v1").await?;
        for (port, is) in [("sw:v1", false), ("sw:v3", true)] {
            let listens = lab.filters(port).await?.contains(&NOBODY);
            lab.claim(&format!("v1 has left: {port} listens: {is}"), listens == is, listens)?;
        }
        Ok(())
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.tagged.what-no-vlan-can-be",
    promise: "a default PVID beyond 4094 is refused, and an ethertype that is none of a VLAN tag; \
              what was set stays",
    source: Source { cite: "br_validate, net/bridge/br_netlink.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_no_vlan_can_be() {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let done = lab.set_option("sw:br", bridge::VLAN_PROTOCOL, 0x0800).await;
        lab.expect_refusal("an ethertype of IPv4", done, Errno::EPROTONOSUPPORT)?;
        for id in [4095, 65535] {
            let done = lab.set_option("sw:br", bridge::DEFAULT_PVID, id).await;
            lab.expect_refusal(&format!("a default PVID of {id}"), done, Errno::EINVAL)?;
        }
        lab.expect_option("sw:br", bridge::DEFAULT_PVID, 1).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 4094).await?;
        lab.expect_lines("p1", lab.vlans("sw:p1").await?, &["4094 pvid untagged"])?;
        let done = lab.set_vlan_option("sw:p1", 4094, vlan_option::STATE, 5).await;
        lab.expect_refusal("a state that there is not", done, Errno::EINVAL)?;
        let done = lab.set_vlan_option("sw:p1", 77, vlan_option::STATE, 3).await;
        lab.expect_refusal("an option of a VLAN that it is not in", done, Errno::ENOENT)?;
        lab.expect_option("sw:p1", port::STATE, 3).await
    });
}
