//! What ipvlan children count of each packet, and what becomes of broken ones.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::options::ipvlan::MODE;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{
    Action, CaseLab, Counters, Family, Firewall, Flow, Hook, Match, Rule, Source, Stop, Strength,
    check, firewall::Protocol,
};
use rstest::rstest;

use super::NEEDS;
use super::paths::{NEEDS_FIREWALL, told};
use crate::counted::expect_sums;

pub(crate) const RULES: &[Rule] = &[EXACT, SUMS, HOOKS];

const EXACT: Rule = Rule {
    id: "ipvlan.counters.each-packet-once",
    promise: "a packet is counted once with all of its bytes, by the child that gets it and its \
              parent if it came from outside, and by nobody else; of a sibling's the header is \
              counted twice, and its parent counts nothing",
    source: Source {
        cite: "ipvlan_rcv_frame and ipvlan_count_rx, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const ALL: [&str; 3] = ["c1:i0", "c2:i0", "p:p0"];

/// What each of [`ALL`] has counted since: frames and bytes received.
async fn counted(lab: &CaseLab, before: [Counters; 3]) -> Result<[(u64, u64); 3], Stop> {
    let mut seen = [(0, 0); 3];
    for ((link, before), seen) in ALL.iter().zip(before).zip(&mut seen) {
        let since = lab.counters(*link).await? - before;
        *seen = (since.rx_packets, since.rx_bytes);
    }
    Ok(seen)
}

#[rstest]
#[case::l2(IpvlanMode::L2)]
#[case::l3(IpvlanMode::L3)]
#[case::l3s(IpvlanMode::L3s)]
fn each_packet_once(#[case] mode: IpvlanMode) {
    check(&EXACT, async |case| {
        // Without IPv6 nobody speaks unasked.
        let lab = case.lab(&quiet(ipvlan_lan(mode, IpvlanFlag::Bridge))).await?;
        // Ethernet, IPv4 and UDP headers, and what is carried.
        let bytes = 14 + 20 + 8 + 8;
        // Each is a datagram and the one behind it.
        let twice = (2, 2 * bytes);
        let of_sibling = (2, 2 * (bytes + 14));
        for (from, to, wanted) in [
            ("e", "c1", [twice, (0, 0), twice]),
            ("e", "c2", [(0, 0), twice, twice]),
            ("c1", "c2", [(0, 0), of_sibling, (0, 0)]),
        ] {
            let mut before = [Counters::default(); 3];
            for (link, before) in ALL.iter().zip(&mut before) {
                *before = lab.counters(*link).await?;
            }
            lab.datagram(Family::V4, from, to, true)?;
            let seen = counted(&lab, before).await?;
            let claim = format!("{from} to {to}: c1, c2, p count {wanted:?}");
            lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const SUMS: Rule = Rule {
    id: "ipvlan.counters.broken-sums-are-thrown-away",
    promise: "a datagram with a broken check sum is thrown away and counted by the child that it is \
              for, from outside and from a sibling, and one with a sound sum is not",
    source: Source {
        cite: "ipvlan_rcv_frame, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2_v4(IpvlanMode::L2, Family::V4)]
#[case::l2_v6(IpvlanMode::L2, Family::V6)]
#[case::l3s_v4(IpvlanMode::L3s, Family::V4)]
#[case::l3s_v6(IpvlanMode::L3s, Family::V6)]
fn broken_sums_are_thrown_away(#[case] mode: IpvlanMode, #[case] family: Family) {
    check(&SUMS, async |case| {
        let lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        for (from, to) in [("e", "c1"), ("c1", "c2")] {
            expect_sums(&lab, family, from, to)?;
        }
        Ok(())
    });
}

const HOOKS: Rule = Rule {
    id: "ipvlan.counters.hooks-come-and-go-with-l3s",
    promise: "children that come into l3s mode while they run are behind their parent's input rules \
              from then on, and no longer when they leave it",
    source: Source {
        cite: "ipvlan_set_port_mode, ipvlan_l3s_register and ipvlan_l3s_unregister, \
               drivers/net/ipvlan",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_FIREWALL,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn hooks_come_and_go_with_l3s(#[case] family: Family) {
    check(&HOOKS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge)).await?;
        told(&mut lab).await?;
        let ours = Match::any().port(Protocol::Udp, 5001);
        lab.set_firewall("p", Firewall::new().rule(Hook::Input, ours, Action::Drop))?;
        let flow = Flow::new(Protocol::Udp, family).between("e", "c1").port(5001).control("c2");
        for (mode, symbol) in [(1, '+'), (2, '#'), (1, '+'), (2, '#'), (1, '+')] {
            lab.set_option("c2:i0", MODE, mode).await?;
            lab.expect_flow(&flow, symbol).await?;
        }
        Ok(())
    });
}
