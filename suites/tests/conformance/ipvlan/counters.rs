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
    Action, Family, Firewall, Flow, Hook, Match, Rule, Source, Strength, check, firewall::Protocol,
};
use rstest::rstest;

use super::NEEDS;
use super::paths::{NEEDS_FIREWALL, told};
use crate::counted::{DATAGRAM, expect_exactly, expect_sums, only};

pub(crate) const RULES: &[Rule] = &[EXACT, TOO_LONG, SUMS, HOOKS];

const EXACT: Rule = Rule {
    id: "ipvlan.counters.each-packet-once",
    promise: "a packet is counted once with all of its bytes, by the child that sends or gets it \
              and its parent if it goes outside or comes from there, and by nobody else; of a \
              sibling's the header is counted twice, and its parent counts nothing",
    source: Source {
        cite: "ipvlan_rcv_frame and ipvlan_count_rx, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const ALL: [&str; 3] = ["c1:i0", "c2:i0", "p:p0"];

#[rstest]
#[case::l2(IpvlanMode::L2)]
#[case::l3(IpvlanMode::L3)]
#[case::l3s(IpvlanMode::L3s)]
fn each_packet_once(#[case] mode: IpvlanMode) {
    check(&EXACT, async |case| {
        // Without IPv6 nobody speaks unasked.
        let mut lab = case.lab(&quiet(ipvlan_lan(mode, IpvlanFlag::Bridge))).await?;
        // In l3 modes the parent would ask for it.
        let e = lab.mac("e:e0");
        lab.add_neighbour("p:p0", [192, 0, 2, 9].into(), e).await?;
        let (nothing, both) = ((0, 0), (2, 2 * DATAGRAM));
        let of_sibling = (2, 2 * (DATAGRAM + 14));
        let (gets, sends) = (only(both, nothing), only(nothing, both));
        for (from, to, wanted) in [
            ("e", "c1", [gets, only(nothing, nothing), gets]),
            ("e", "c2", [only(nothing, nothing), gets, gets]),
            ("c1", "c2", [sends, only(of_sibling, nothing), only(nothing, nothing)]),
            ("c1", "e", [sends, only(nothing, nothing), sends]),
        ] {
            let wanted: Vec<_> = ALL.into_iter().zip(wanted).collect();
            expect_exactly(&lab, (from, to), &wanted).await?;
        }
        Ok(())
    });
}

const TOO_LONG: Rule = Rule {
    id: "ipvlan.counters.too-long-for-a-sibling",
    promise: "what is longer than a sibling's MTU with its header and a tag (18 bytes) is not taken by \
              it: the sibling counts it as an error and as dropped, and the sender as sent",
    source: Source {
        cite: "ipvlan_rcv_frame, ipvlan_count_rx and ipvlan_get_stats64, drivers/net/ipvlan; \
               ____dev_forward_skb",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2(0)]
#[case::l3(1)]
#[case::l3s(2)]
fn too_long_for_a_sibling(#[case] mode: u64) {
    // What of an MTU of 1000 bytes and a tag is left behind the headers of IPv4 and UDP.
    const LONGEST: usize = 1000 + 4 - 28;
    check(&TOO_LONG, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge))).await?;
        lab.set_option("c1:i0", MODE, mode).await?;
        lab.set_mtu("c2:i0", 1000).await?;
        let shared = lab.mac("p:p0");
        lab.add_neighbour("c1:i0", [192, 0, 2, 12].into(), shared).await?;
        lab.add_neighbour("c2:i0", [192, 0, 2, 11].into(), shared).await?;
        for (bytes, lost) in [(LONGEST, 0), (LONGEST + 1, 3)] {
            let before = (lab.counters("c1:i0").await?, lab.counters("c2:i0").await?);
            lab.send_datagrams("c1", ([192, 0, 2, 12], 9).into(), bytes, 3)?;
            let after = (lab.counters("c1:i0").await?, lab.counters("c2:i0").await?);
            let (c1, c2) = (after.0 - before.0, after.1 - before.1);
            let seen = [c1.tx_packets, c2.rx_packets, c2.rx_errors, c2.rx_dropped];
            // The driver's own count of drops is that of errors; what hands a frame over counts it, too.
            let wanted = [3, 3 - lost, lost, 2 * lost];
            let claim = format!("{bytes} bytes: sent, received, errors and dropped {wanted:?}");
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
