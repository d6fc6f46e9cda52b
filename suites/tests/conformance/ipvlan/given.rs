//! Addresses that ipvlan children are given and lose: whose a packet is that comes for them.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e      p has no address of its own at first
//! ```

use std::net::IpAddr;

use hairpin_fixtures::ipvlan_lan;
use hairpin_harness::options::ipvlan::MODE;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{CaseLab, Family, Rule, Source, Stop, Strength, Topology, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[LOST, HEIR];

fn homeless() -> Topology {
    ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge).without_address("p:p0")
}

/// An address that no host of the fixture has.
const fn another(family: Family) -> &'static str {
    match family {
        Family::V4 => "192.0.2.77/24",
        Family::V6 => "2001:db8::77/64",
    }
}

/// Gives an address to the parent, and holds that e reaches it there, in l2 and l3.
async fn expect_the_parents(
    lab: &mut CaseLab,
    family: Family,
    address: &str,
    left: &str,
) -> Result<(), Stop> {
    lab.add_address("p:p0", address).await?;
    for mode in [0, 1] {
        lab.set_option(left, MODE, mode).await?;
        let cell = lab.ping(family, "e", "p").await?;
        let claim = format!("in mode {mode} e reaches p at {address}");
        lab.claim(&claim, cell.verdict.symbol() == '+', &cell.verdict)?;
    }
    Ok(())
}

const LOST: Rule = Rule {
    id: "ipvlan.given.a-lost-address-is-nobodys",
    promise: "an address that a child loses is the child's no more: a sibling may have it, and when it \
              is the parent's own, what comes for it is the parent's",
    source: Source {
        cite: "ipvlan_addr4_event, ipvlan_addr6_event and ipvlan_del_addr, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Holds whether a child is given what e sends to an address. Besides there are questions for
/// neighbours and answers to them, which are short.
async fn expect_given(lab: &CaseLab, child: &str, to: IpAddr, given: bool) -> Result<(), Stop> {
    const BYTES: u64 = 1000;
    let before = lab.counters(child).await?;
    lab.send_datagrams("e", (to, 9).into(), BYTES as usize, 3)?;
    let seen = (lab.counters(child).await? - before).rx_bytes;
    let holds = if given { seen >= 3 * BYTES } else { seen < BYTES };
    lab.claim(&format!("{child} is given what is for {to}: {given}"), holds, seen)
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_lost_address_is_nobodys(#[case] family: Family) {
    check(&LOST, async |case| {
        let mut lab = case.lab(&homeless()).await?;
        let address = another(family);
        let (ip, _) = address.split_once('/').expect("an address with its prefix");
        let ip: IpAddr = ip.parse().expect("an address");
        let shared = lab.mac("p:p0");
        lab.add_neighbour("e:e0", ip, shared).await?;
        for child in ["c2:i0", "c1:i0"] {
            let done = lab.add_address(child, address).await;
            lab.expect_done(&format!("{child} takes it"), done)?;
            expect_given(&lab, child, ip, true).await?;
            lab.delete_address(child, ip).await?;
            expect_given(&lab, child, ip, false).await?;
        }
        expect_the_parents(&mut lab, family, address, "c1:i0").await
    });
}

const HEIR: Rule = Rule {
    id: "ipvlan.given.an-address-of-one-that-is-gone",
    promise: "when a child is deleted while it is up, what comes for an address that was its own is no \
              child's",
    source: Source {
        cite: "ipvlan_link_delete, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn an_address_of_one_that_is_gone(#[case] family: Family) {
    check(&HEIR, async |case| {
        let mut lab = case.lab(&homeless()).await?;
        lab.grow(|lan| {
            let lan = lan.ipvlan("c2:i1", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge);
            lan.address("c2:i1", another(family))
        })
        .await?;
        lab.delete_last().await?;
        expect_the_parents(&mut lab, family, another(family), "c1:i0").await
    });
}
