//! Questions for an address that a bridge keeps from a port and answers itself.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |              the bridge knows b's address; p2 is to be spared questions
//!   b --- p2 +----+
//! ```

use std::net::IpAddr;

use hairpin_harness::options::port;
use hairpin_harness::{
    Bridge, Case, CaseLab, Family, Fdb, Mac, Mode, Need, Rule, Source, Stop, Strength, Topology,
    check,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[ANSWERS, GONE, SPARED_ASKER, CHILD];

const ANSWERS: Rule = Rule {
    id: "bridge.suppression.known-neighbours-are-answered-for",
    promise: "where neigh_suppress is on, a question for an address that the bridge knows a \
              neighbour and a forwarding entry for does not leave by that port, and the asker has \
              its answer; without the neighbour, or with the flag off, it leaves",
    source: Source {
        cite: "bridge(8), neigh_suppress; br_do_proxy_suppress_arp and br_do_suppress_nd",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

pub(super) fn lan() -> Topology {
    let lan = Topology::new("spared")
        .host("a")
        .host("b")
        .host("c")
        .netns("sw")
        .bridge_with("sw:br", Bridge::default().mcast_snooping(false));
    [("a", "p1", 1), ("b", "p2", 2), ("c", "p3", 3)].iter().fold(lan, |lan, (host, port, last)| {
        let (port, link) = (format!("sw:{port}"), format!("{host}:eth0"));
        lan.cable(&port, &link)
            .port(&port, "br")
            .address(&link, &format!("192.0.2.{last}/24"))
            .address(&link, &format!("2001:db8::{last}/64"))
    })
}

/// Holds whether `a`, who reaches `b`, had its question leave by `b`'s port, and by `c`'s.
async fn expect_asked(lab: &mut CaseLab, family: Family, at_b: bool) -> Result<(), Stop> {
    expect_asked_of(lab, family, "b", at_b).await
}

/// The same of another whom `a` reaches.
async fn expect_asked_of(
    lab: &mut CaseLab,
    family: Family,
    to: &str,
    at_b: bool,
) -> Result<(), Stop> {
    let question = match family {
        Family::V4 => "arp request",
        Family::V6 => "neighbour solicitation",
    };
    let cell = lab.ping(family, "a", to).await?;
    lab.claim(&format!("a reaches {to}"), cell.verdict.symbol() == '+', &cell.verdict)?;
    let path = cell.path(question);
    let claim = format!("a's question leaves towards b: {at_b}");
    lab.claim(&claim, path.contains("sw:p2>") == at_b, &path)?;
    lab.claim("it leaves towards c", path.contains("sw:p3>"), &path)
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn known_neighbours_are_answered_for(#[case] family: Family) {
    check(&ANSWERS, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let b = lab.mac("b:eth0");
        let address = lab.topology().address_of("b", family).expect("it has one");
        lab.add_fdb("sw:p2", b, Fdb::STATIC).await?;
        expect_asked(&mut lab, family, true).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
        expect_asked(&mut lab, family, true).await?;
        lab.add_neighbour("sw:br", address, b).await?;
        expect_asked(&mut lab, family, false).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 0).await?;
        expect_asked(&mut lab, family, true).await
    });
}

const GONE: Rule = Rule {
    id: "bridge.suppression.no-answer-for-one-that-is-gone",
    promise: "for a neighbour that the bridge takes for gone nobody is answered, and the question \
              leaves by the port; when it is known again it does not",
    source: Source {
        cite: "br_do_proxy_suppress_arp and br_do_suppress_nd, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// The LAN, whose bridge knows b and spares b's port.
async fn sparing(case: &mut Case, family: Family) -> Result<(CaseLab, IpAddr, Mac), Stop> {
    let mut lab = case.lab(&lan()).await?;
    let b = lab.mac("b:eth0");
    let address = lab.topology().address_of("b", family).expect("it has one");
    lab.add_fdb("sw:p2", b, Fdb::STATIC).await?;
    lab.add_neighbour("sw:br", address, b).await?;
    lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
    Ok((lab, address, b))
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn no_answer_for_one_that_is_gone(#[case] family: Family) {
    check(&GONE, async |case| {
        let (mut lab, address, b) = sparing(case, family).await?;
        expect_asked(&mut lab, family, false).await?;
        lab.fail_neighbour("sw:br", address, b).await?;
        expect_asked(&mut lab, family, true).await?;
        lab.add_neighbour("sw:br", address, b).await?;
        expect_asked(&mut lab, family, false).await
    });
}

const SPARED_ASKER: Rule = Rule {
    id: "bridge.suppression.one-that-is-spared-asks-all",
    promise: "a question that comes in by a port that is spared itself is not answered for, and goes \
              to spared ports too",
    source: Source {
        cite: "br_do_proxy_suppress_arp and br_do_suppress_nd, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn one_that_is_spared_asks_all(#[case] family: Family) {
    check(&SPARED_ASKER, async |case| {
        let (mut lab, ..) = sparing(case, family).await?;
        lab.set_option("sw:p1", port::NEIGH_SUPPRESS, 1).await?;
        expect_asked(&mut lab, family, true).await?;
        lab.set_option("sw:p1", port::NEIGH_SUPPRESS, 0).await?;
        expect_asked(&mut lab, family, false).await
    });
}

const CHILD: Rule = Rule {
    id: "bridge.suppression.what-sits-on-the-bridge-counts-as-the-bridge",
    promise: "a question for the address of one who has a child of the bridge for a link is kept from \
              spared ports as one for the bridge's own is, also where no neighbour is known",
    source: Source {
        cite: "br_is_local_ip and br_is_local_ip6, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("macvlan")],
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn what_sits_on_the_bridge_counts_as_the_bridge(#[case] family: Family) {
    check(&CHILD, async |case| {
        let topology = lan().host("m").macvlan("m:eth0", "sw:br", Mode::Bridge);
        let topology = topology.address("m:eth0", "192.0.2.4/24");
        let mut lab = case.lab(&topology.address("m:eth0", "2001:db8::4/64")).await?;
        for (spared, at_b) in [(0, true), (1, false)] {
            lab.set_option("sw:p2", port::NEIGH_SUPPRESS, spared).await?;
            expect_asked_of(&mut lab, family, "m", at_b).await?;
        }
        Ok(())
    });
}
