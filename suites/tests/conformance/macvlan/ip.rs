//! What children and their parent make of packets to a group before anybody looks at Ethernet: those
//! that were cut on their way, and those that the parent's own host hears of itself.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e
//! ```

use std::net::{IpAddr, Ipv4Addr};

use hairpin_fixtures::lan::quiet;
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::{CaseLab, Mode, Pieces, Rule, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;
use crate::looped::expect_own;

pub(crate) const RULES: &[Rule] = &[WHOLE, OWN];

const WHOLE: Rule = Rule {
    id: "macvlan.ip.a-datagram-for-all-comes-whole",
    promise: "a datagram of IPv4 for all that was cut on its way is put together by the parent: each \
              child, and the parent's host, gets it as one packet, and a link that has no children \
              gets the pieces",
    source: Source {
        cite: "macvlan_handle_frame, ip_check_defrag, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Holds in which packets a host gets a datagram of 3000 bytes for all.
async fn expect_packets(
    lab: &CaseLab,
    from: &str,
    to: &str,
    packets: &[usize],
) -> Result<(), Stop> {
    let all = IpAddr::from(Ipv4Addr::new(192, 0, 2, 255));
    let seen = lab.pieces_for(from, to, all, 3000).await?;
    let wanted = Pieces { whole: true, packets: packets.to_vec() };
    lab.claim(&format!("from {from} to {to}: {packets:?}"), seen == wanted, format!("{seen:?}"))
}

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn a_datagram_for_all_comes_whole(#[case] mode: Mode) {
    const PIECES: [usize; 3] = [1500, 1500, 68];
    check(&WHOLE, async |case| {
        let lab = case.lab(&quiet(macvlan_lan(mode))).await?;
        for to in ["c1", "c2", "p"] {
            expect_packets(&lab, "e", to, &[3028]).await?;
            expect_packets(&lab, "c1", "e", &PIECES).await?;
        }
        Ok(())
    });
}

const OWN: Rule = Rule {
    id: "macvlan.ip.what-the-parent-hears-of-itself-is-its-own",
    promise: "what a parent's host sends to a group that it listens to itself it hears, and none of \
              its children does, though they listen to all groups; what comes from outside all hear",
    source: Source {
        cite: "macvlan_handle_frame, PACKET_LOOPBACK, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn what_the_parent_hears_of_itself_is_its_own(#[case] mode: Mode) {
    check(&OWN, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(mode))).await?;
        expect_own(&mut lab, &["c1", "c2"], "c0").await
    });
}
