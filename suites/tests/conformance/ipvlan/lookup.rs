//! By what an ipvlan child's packets are looked up in the namespace of their parent, in l3 modes: the
//! parent's routing policies tell.
//!
//! ```text
//!     c1   c2        l3 or l3s
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use std::net::{IpAddr, SocketAddr};

use hairpin_fixtures::ipvlan_lan;
use hairpin_harness::options::ipvlan::MODE;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{CaseLab, Family, Marks, Rule, Selector, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::paths::told;

pub(crate) const RULES: &[Rule] = &[FIELDS, MARKS, AT_HOME, INWARD, BOUND];

/// Bits of the type of service that no congestion takes.
const TOS: u8 = 0x10;

/// How many are sent, and what each carries.
const TIMES: u64 = 3;
const BYTES: u64 = 1000;

const FIELDS: Rule = Rule {
    id: "ipvlan.lookup.by-what-the-packet-says",
    promise: "in l3 modes a child's packet is looked up with its parent as the link to leave by, by \
              its own source address and type of service, and over IPv6 by what it carries: what a \
              routing policy of the parent's forbids of these does not go its parent's ways, and all else \
              does",
    source: Source {
        cite: "ipvlan_process_v4_outbound and ipvlan_route_v6_outbound, \
               drivers/net/ipvlan/ipvlan_core.c; ip-rule(8)",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// A policy for c1's packets, and one of the kind that is not.
type Pair = [Selector; 2];

fn by_source(lab: &CaseLab, family: Family) -> Pair {
    let from = |host| Selector { from: lab.topology().address_of(host, family), ..any() };
    [from("c1"), from("c2")]
}

fn by_tos(_: &CaseLab, _: Family) -> Pair {
    [Selector { tos: TOS, ..any() }, Selector { tos: 0x08, ..any() }]
}

fn by_protocol(_: &CaseLab, _: Family) -> Pair {
    [17, 6].map(|protocol| Selector { protocol: Some(protocol), ..any() })
}

fn by_link(_: &CaseLab, _: Family) -> Pair {
    ["p0", "lo"].map(|link| Selector { leaving: Some(link), ..any() })
}

fn any() -> Selector {
    Selector::default()
}

#[rstest]
#[case::source_v4(Family::V4, by_source)]
#[case::source_v6(Family::V6, by_source)]
#[case::tos_v4(Family::V4, by_tos)]
#[case::tos_v6(Family::V6, by_tos)]
#[case::protocol_v6(Family::V6, by_protocol)]
#[case::link_v4(Family::V4, by_link)]
#[case::link_v6(Family::V6, by_link)]
fn by_what_the_packet_says(#[case] family: Family, #[case] pair: fn(&CaseLab, Family) -> Pair) {
    check(&FIELDS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge)).await?;
        tell_the_way(&mut lab, &["c1", "p"]).await?;
        let [ours, others] = pair(&lab, family);
        for mode in [1, 2] {
            lab.set_option("c1:i0", MODE, mode).await?;
            expect_prohibited(&mut lab, ("c1", family), &ours, true).await?;
            expect_prohibited(&mut lab, ("c1", family), &others, false).await?;
        }
        Ok(())
    });
}

/// Holds which way c1's packets go while the parent forbids something, and that they go as before when
/// it does not.
async fn expect_prohibited(
    lab: &mut CaseLab,
    (host, family): (&str, Family),
    what: &Selector,
    stopped: bool,
) -> Result<(), Stop> {
    for on in [true, false] {
        lab.prohibit("p", family, what, on)?;
        let sent = !(on && stopped);
        let seen = sent_by_router(lab, (host, family)).await?;
        let holds = if sent { seen >= TIMES * BYTES } else { seen < BYTES };
        let claim = format!("p prohibits {what} {on}: its router gets {host}'s: {sent}");
        lab.claim(&claim, holds, format!("{seen} bytes"))?;
    }
    Ok(())
}

/// How many bytes leave by the parent while a host sends to a network behind e. Besides there are
/// questions for neighbours, which are short.
async fn sent_by_router(lab: &CaseLab, (host, family): (&str, Family)) -> Result<u64, Stop> {
    let behind: IpAddr = match family {
        Family::V4 => [198, 51, 100, 9].into(),
        Family::V6 => [0x2001, 0xdb8, 1, 0, 0, 0, 0, 9].into(),
    };
    let before = lab.counters("p:p0").await?;
    // The parent's own namespace would take its own way.
    let marks = Marks { tos: TOS, mark: 1, by: (host == "p").then_some("i0") };
    let (bytes, times) = (BYTES as usize, TIMES as usize);
    lab.send_marked(host, SocketAddr::new(behind, 9), marks, (bytes, times))?;
    Ok((lab.counters("p:p0").await? - before).tx_bytes)
}

/// Tells hosts that there are networks behind e, and p where e is.
async fn tell_the_way(lab: &mut CaseLab, hosts: &[&str]) -> Result<(), Stop> {
    let e = lab.mac("e:e0");
    for (behind, via) in [("198.51.100.0/24", "192.0.2.9"), ("2001:db8:1::/64", "2001:db8::9")] {
        for host in hosts {
            lab.add_route(host, behind, via).await?;
        }
        lab.add_neighbour("p:p0", via.parse().expect("an address"), e).await?;
    }
    Ok(())
}

const MARKS: Rule = Rule {
    id: "ipvlan.lookup.a-mark-does-not-cross-namespaces",
    promise: "in l3 modes a packet that comes from another namespace than its parent's has lost the \
              mark that it had there when it is looked up",
    source: Source {
        cite: "ipvlan_skb_crossing_ns, drivers/net/ipvlan/ipvlan_core.c; skb_scrub_packet",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// What a mark makes of a packet to leave by the parent. A sender's own namespace looks its packet up
/// first, with no link to leave by.
fn marked(mark: u32) -> Selector {
    Selector { mark: Some(mark), leaving: Some("p0"), ..any() }
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_mark_does_not_cross_namespaces(#[case] family: Family) {
    check(&MARKS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge)).await?;
        tell_the_way(&mut lab, &["c1", "p"]).await?;
        expect_prohibited(&mut lab, ("c1", family), &marked(1), false).await
    });
}

const AT_HOME: Rule = Rule {
    id: "ipvlan.lookup.a-mark-counts-at-home",
    promise: "in l3 modes a packet of a child that is in its parent's namespace has the mark when it is \
              looked up that it was sent with",
    source: Source {
        cite: "ipvlan_skb_crossing_ns and ipvlan_process_v4_outbound, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_mark_counts_at_home(#[case] family: Family) {
    check(&AT_HOME, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge)).await?;
        tell_the_way(&mut lab, &["p"]).await?;
        lab.move_link("c1:i0", "p").await?;
        lab.set_up("p:i0", true).await?;
        for (own, behind, via) in [
            ("203.0.113.1/24", "198.51.100.0/25", "203.0.113.9"),
            ("2001:db8:5::1/64", "2001:db8::/32", "2001:db8:5::9"),
        ] {
            lab.add_address("p:i0", own).await?;
            lab.add_route("p", behind, via).await?;
        }
        for (mark, stopped) in [(1, true), (2, false)] {
            expect_prohibited(&mut lab, ("p", family), &marked(mark), stopped).await?;
        }
        Ok(())
    });
}

const INWARD: Rule = Rule {
    id: "ipvlan.lookup.by-the-childs-own-routes-inward",
    promise: "in l3s mode what comes for a child is looked up in the child's own namespace as what has \
              come in by it: what a routing policy there forbids, of a sender, a type of service or, over \
              IPv6, what is carried, the child does not get, and all else it does",
    source: Source {
        cite: "ipvlan_l3_rcv, drivers/net/ipvlan/ipvlan_l3s.c; ip-rule(8)",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

fn by_sender(lab: &CaseLab, family: Family) -> Pair {
    let from = |host| Selector { from: lab.topology().address_of(host, family), ..any() };
    [from("e"), from("c2")]
}

fn by_entry(_: &CaseLab, _: Family) -> Pair {
    ["i0", "lo"].map(|link| Selector { entering: Some(link), ..any() })
}

#[rstest]
#[case::tos_v4(Family::V4, by_tos)]
#[case::tos_v6(Family::V6, by_tos)]
#[case::sender_v4(Family::V4, by_sender)]
#[case::sender_v6(Family::V6, by_sender)]
#[case::protocol_v6(Family::V6, by_protocol)]
#[case::entry_v4(Family::V4, by_entry)]
#[case::entry_v6(Family::V6, by_entry)]
fn by_the_childs_own_routes_inward(
    #[case] family: Family,
    #[case] pair: fn(&CaseLab, Family) -> Pair,
) {
    check(&INWARD, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3s, IpvlanFlag::Bridge)).await?;
        told(&mut lab).await?;
        lab.policies_before_own_addresses("c1", family)?;
        let [ours, others] = pair(&lab, family);
        let c1 = lab.topology().address_of("c1", family).expect("it has one");
        for (what, given) in [(&others, true), (&ours, false)] {
            let before = lab.counters("c1:i0").await?;
            lab.prohibit("c1", family, what, true)?;
            for prohibited in [true, false] {
                let marks = Marks { tos: TOS, ..Marks::default() };
                let (bytes, times) = (BYTES as usize, TIMES as usize);
                lab.send_marked("e", SocketAddr::new(c1, 9), marks, (bytes, times))?;
                if prohibited {
                    lab.prohibit("c1", family, what, false)?;
                }
            }
            let wanted = if given { 2 * TIMES } else { TIMES };
            let seen = lab.counters_after("c1:i0", before, wanted).await?.rx_packets;
            let claim =
                format!("c1 gets {wanted} of e's, half of which come while it prohibits {what}");
            lab.claim(&claim, seen == wanted, seen)?;
        }
        Ok(())
    });
}

const BOUND: Rule = Rule {
    id: "ipvlan.lookup.comes-in-by-the-child",
    promise: "what a child gets has come in by it, whatever the mode: a socket gets it that is bound to \
              the child, and none that is bound to another link of its host",
    source: Source {
        cite: "ipvlan_nf_input, drivers/net/ipvlan/ipvlan_l3s.c; socket(7), SO_BINDTODEVICE",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2_v4(IpvlanMode::L2, Family::V4)]
#[case::l2_v6(IpvlanMode::L2, Family::V6)]
#[case::l3_v4(IpvlanMode::L3, Family::V4)]
#[case::l3_v6(IpvlanMode::L3, Family::V6)]
#[case::l3s_v4(IpvlanMode::L3s, Family::V4)]
#[case::l3s_v6(IpvlanMode::L3s, Family::V6)]
fn comes_in_by_the_child(#[case] mode: IpvlanMode, #[case] family: Family) {
    check(&BOUND, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        told(&mut lab).await?;
        for from in ["e", "c2"] {
            for (link, wanted) in [("c1:i0", true), ("c1:lo", false)] {
                let heard = lab.hears_bound(family, from, link)?;
                let claim = format!("{from}'s comes to a socket of {link}: {wanted}");
                lab.claim(&claim, heard == wanted, heard)?;
            }
        }
        Ok(())
    });
}
