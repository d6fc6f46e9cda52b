//! What an ipvlan child's frame finds without leaving by the wire: an address of its parent, and
//! nobody where a sibling is down.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use std::net::{IpAddr, SocketAddr};

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::options::ipvlan::{FLAGS, MODE};
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{CaseLab, Error, Family, Flow, Rule, Shot, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;
use crate::counted::settled;

pub(crate) const RULES: &[Rule] = &[PARENT, ROUTED_TO, NOT_YET, L3_GROUPS];

const PARENT: Rule = Rule {
    id: "ipvlan.near.the-parent-by-its-own-address",
    promise: "in l2 mode what a child sends to its parent's IP address at the shared Ethernet \
              address comes to the parent at once; of a child with the flag vepa it leaves by the \
              wire, and comes to nobody",
    source: Source {
        cite: "ipvlan_xmit_mode_l2, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn the_parent_by_its_own_address(#[case] family: Family) {
    check(&PARENT, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        let (address, shared) = (lab.topology().address_of("p", family), lab.mac("p:p0"));
        lab.add_neighbour("c1:i0", address.expect("it has one"), shared).await?;
        let flow = Flow::new(Protocol::Udp, family).between("c1", "p").port(5001);
        let flow = flow.aside("e", 7).control("e");
        // The flags: none, private, vepa.
        for (flags, symbol) in [(0, '+'), (1, '+'), (2, '#'), (0, '+')] {
            lab.set_option("c1:i0", FLAGS, flags).await?;
            lab.expect_flow(&flow, symbol).await?;
        }
        Ok(())
    });
}

const ROUTED_TO: Rule = Rule {
    id: "ipvlan.near.the-parent-by-its-own-routes",
    promise: "in l3 modes what a child sends to its parent's IP address comes to the parent at once, \
              whatever the flag",
    source: Source {
        cite: "ipvlan_process_v4_outbound, RTN_LOCAL, and ipvlan_process_v6_outbound, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn the_parent_by_its_own_routes(#[case] family: Family) {
    check(&ROUTED_TO, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge)).await?;
        let flow = Flow::new(Protocol::Udp, family).between("c1", "p").port(5001);
        let flow = flow.aside("e", 7).control("e");
        for mode in [1, 2] {
            lab.set_option("c1:i0", MODE, mode).await?;
            for flags in [0, 1, 2] {
                lab.set_option("c1:i0", FLAGS, flags).await?;
                lab.expect_flow(&flow, '+').await?;
            }
        }
        Ok(())
    });
}

const NOT_YET: Rule = Rule {
    id: "ipvlan.near.an-address-of-one-that-is-down",
    promise: "an address that a child is given while it is down is nobody's until it is up",
    source: Source {
        cite: "ipvlan_add_addr and ipvlan_open, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_of_one_that_is_down() {
    check(&NOT_YET, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        let (later, shared) = (IpAddr::from([192, 0, 2, 77]), lab.mac("p:p0"));
        lab.set_up("c2:i0", false).await?;
        lab.add_address("c2:i0", "192.0.2.77/24").await?;
        for sender in ["e:e0", "c1:i0"] {
            lab.add_neighbour(sender, later, shared).await?;
        }
        for up in [false, true] {
            lab.set_up("c2:i0", up).await?;
            for sender in ["e", "c1"] {
                settled(&mut lab).await?;
                let before = lab.counters("c2:i0").await?;
                lab.send_datagrams(sender, (later, 9).into(), 100, 3)?;
                settled(&mut lab).await?;
                let counted = lab.counters("c2:i0").await? - before;
                let (seen, lost) = (counted.rx_packets - counted.multicast, counted.rx_errors);
                // What it answers it asks a neighbour for first: that comes in, too.
                let holds = if up { seen >= 3 } else { seen == 0 };
                let claim = format!("c2 up {up}: it has {sender}'s: {up}");
                lab.claim(&claim, holds && lost == 0, format!("{seen} and {lost} lost"))?;
            }
        }
        Ok(())
    });
}

const L3_GROUPS: Rule = Rule {
    id: "ipvlan.near.l3-sends-to-no-group",
    promise: "in l3 modes what a child sends to a group or to all is thrown away, and counted \
              as that",
    source: Source {
        cite: "Documentation/networking/ipvlan.rst, 4.2 and 4.3; ipvlan_process_outbound, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

/// How many are sent.
const TIMES: u64 = 5;

/// Holds what becomes of what c1 sends, mode by mode.
async fn expect_thrown_away(
    lab: &mut CaseLab,
    send: impl Fn(&CaseLab) -> Result<(), Error>,
) -> Result<(), Stop> {
    for (mode, sends) in [(1, false), (2, false), (0, true)] {
        lab.set_option("c1:i0", MODE, mode).await?;
        settled(lab).await?;
        let before = lab.counters("c1:i0").await?;
        send(lab)?;
        let counted = lab.counters("c1:i0").await? - before;
        let (sent, dropped) = (counted.tx_packets, counted.tx_dropped);
        // IPv6 has a word of its own to say now and then.
        let holds =
            if sends { sent >= TIMES && dropped == 0 } else { dropped >= TIMES && sent == 0 };
        let claim = format!("mode {mode}: c1 has sent {sends}, and dropped {}", !sends);
        lab.claim(&claim, holds, format!("{sent} and {dropped}"))?;
    }
    Ok(())
}

#[test]
fn l3_sends_to_no_group() {
    check(&L3_GROUPS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L3, IpvlanFlag::Bridge)).await?;
        let group = SocketAddr::from(([0xff0e, 0, 0, 0, 0, 0, 0, 0x19], 9));
        let times = TIMES as usize;
        expect_thrown_away(&mut lab, |lab| lab.send_datagrams("c1", group, 100, times)).await?;
        let all = Shot::broadcast();
        expect_thrown_away(&mut lab, |lab| lab.send_many("c1:i0", &all, times).map(|_| ())).await
    });
}
