//! What ipvlan children count, and who has sent what they get: each CPU has counters of its own.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Rule, Shot, Source, Strength, check};

use super::NEEDS;
use crate::counted::{DROPPED, SENT, expect_of_all_cpus};

pub(crate) const RULES: &[Rule] = &[SUMMED, SENDER];

const SUMMED: Rule = Rule {
    id: "ipvlan.cpus.counters-of-all-are-summed",
    promise: "a child counts what it gets, sends and cannot send, whichever CPU is at it",
    source: Source {
        cite: "ipvlan_get_stats64, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn counters_of_all_are_summed() {
    /// Ethernet, IPv4 and UDP headers, and what a datagram carries.
    const BYTES: u64 = 14 + 20 + 8 + 158;
    check(&SUMMED, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        let (shared, e) = (lab.mac("p:p0"), lab.mac("e:e0"));
        let out = Shot::to(e).bytes(200);
        expect_of_all_cpus(&lab, ("c1:i0", &out), ("c1:i0", SENT, (1, 200))).await?;
        // What comes is a child's by its IP address. So that none asks for the other's:
        lab.add_neighbour("e:e0", [192, 0, 2, 11].into(), shared).await?;
        lab.add_neighbour("c1:i0", [192, 0, 2, 9].into(), e).await?;
        let before = lab.counters("c1:i0").await?;
        let c1 = ([192, 0, 2, 11], 9).into();
        let times = 5 * lab.from_each_cpu(|lab| lab.send_datagrams("e", c1, 158, 5))?;
        let seen = lab.counters_after("c1:i0", before, times).await?;
        let seen = (seen.rx_packets, seen.rx_bytes);
        let wanted = (times, times * BYTES);
        lab.claim(&format!("it gets {wanted:?}"), seen == wanted, format!("{seen:?}"))?;
        lab.set_mtu("sw:s0", 100).await?;
        expect_of_all_cpus(&lab, ("c1:i0", &out), ("c1:i0", DROPPED, (1, 0))).await
    });
}

const SENDER: Rule = Rule {
    id: "ipvlan.cpus.who-watches-is-told-who-sent",
    promise: "who watches a child is told the address of whoever sent what comes to it",
    source: Source {
        cite: "ipvlan_header_ops, drivers/net/ipvlan/ipvlan_main.c; packet(7), sll_addr",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn who_watches_is_told_who_sent() {
    check(&SENDER, async |case| {
        let lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        lab.expect_told_sender("e:e0", &Shot::broadcast(), "c1:i0")
    });
}
