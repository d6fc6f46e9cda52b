//! Questions of one that looks whether an address is free: by whom they are heard where a bridge spares
//! a port, and who answers.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               the bridge knows a neighbour behind p2, which is spared questions
//!   b --- p2 +----+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hairpin_harness::options::port;
use hairpin_harness::{
    CaseLab, Family, Fdb, Mac, Rule, Shot, Source, Standing, Stop, Strength, check,
};
use rstest::rstest;

use super::NEEDS;
use super::access::known;
use super::suppression::lan;

pub(crate) const RULES: &[Rule] = &[UNKNOWN, TRIAL, ITSELF, BRIDGES_OWN];

/// The neighbour's address, which no link of the topology has.
const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x34]);

const UNKNOWN: Rule = Rule {
    id: "bridge.probes.for-one-that-is-unknown-leave-by-all-ports",
    promise: "a probe for an address (ARP of 0.0.0.0, a solicitation of ::) is kept from a spared port \
              only if the bridge knows who has that address",
    source: Source {
        cite: "RFC 5227, 2.1.1; RFC 4862, 5.4.2; upstream \"bridge: Do not suppress ARP probes and \
               DAD NS unconditionally\"",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Has the bridge know the neighbour, and spare the port that it is behind.
async fn spare(lab: &mut CaseLab, family: Family) -> Result<(), Stop> {
    lab.add_fdb("sw:p2", ROAMER, Fdb::STATIC).await?;
    lab.add_neighbour("sw:br", known(family), ROAMER).await?;
    lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
    Ok(())
}

/// A question for who has an address.
fn question(asker: (Ipv4Addr, Ipv6Addr), of: IpAddr) -> Shot {
    match of {
        IpAddr::V4(of) => Shot::arp(1, asker.0, of),
        IpAddr::V6(of) => Shot::solicitation(asker.1, of),
    }
}

/// Who looks whether an address is free, and a.
const NOBODY: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
const A: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Who hears a's question where it leaves by all ports, and who where b's is spared.
const fn hearers(of: IpAddr) -> (&'static str, &'static str) {
    match of {
        IpAddr::V4(_) => ("b broadcast, c broadcast", "c broadcast"),
        IpAddr::V6(_) => ("b multicast, c multicast", "c multicast"),
    }
}

#[rstest]
#[case::v4(Family::V4, "192.0.2.78")]
#[case::v6(Family::V6, "2001:db8::78")]
fn for_one_that_is_unknown_leave_by_all_ports(#[case] family: Family, #[case] free: &str) {
    check(&UNKNOWN, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let unknown = question(NOBODY, free.parse().expect("an address of the table"));
        let taken = question(NOBODY, known(family));
        let (all, spared) = hearers(known(family));
        lab.expect_shot("a", &taken, all).await?;
        spare(&mut lab, family).await?;
        lab.expect_shot("a", &taken, spared).await?;
        lab.expect_shot("a", &unknown, all).await?;
        Ok(())
    });
}

const TRIAL: Rule = Rule {
    id: "bridge.probes.are-answered-for-known-neighbours",
    promise: "one that tries an IPv6 address that the bridge knows a neighbour with, behind a spared \
              port, hears that another has it; with the flag off nobody tells",
    source: Source {
        cite: "RFC 4861, 7.2.4; br_nd_send, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::spared(1, Standing::Duplicate)]
#[case::not_spared(0, Standing::Good)]
fn are_answered_for_known_neighbours(#[case] spared: u64, #[case] becomes: Standing) {
    check(&TRIAL, async |case| {
        let mut lab = case.lab(&lan()).await?;
        for (name, value) in [("accept_dad", "1"), ("dad_transmits", "1")] {
            lab.set_sysctl("a", &format!("ipv6.conf.eth0.{name}"), value)?;
        }
        spare(&mut lab, Family::V6).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, spared).await?;
        let IpAddr::V6(address) = known(Family::V6) else { unreachable!("of that family") };
        lab.try_address("a:eth0", address).await?;
        let standing = lab.await_trial("a:eth0", address).await?;
        lab.claim(&format!("what a tries is {becomes}"), standing == becomes, standing)
    });
}

const ITSELF: Rule = Rule {
    id: "bridge.probes.what-one-tells-of-itself-is-kept",
    promise: "gratuitous ARP, a question or an answer, does not leave by a spared port; reverse ARP \
              does",
    source: Source {
        cite: "RFC 7432, 10; br_do_proxy_suppress_arp, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::question(1, false)]
#[case::answer(2, false)]
#[case::reverse_question(3, true)]
#[case::reverse_answer(4, true)]
fn what_one_tells_of_itself_is_kept(#[case] operation: u16, #[case] leaves: bool) {
    check(&ITSELF, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let own = Ipv4Addr::new(192, 0, 2, 1);
        let told = Shot::arp(operation, own, own);
        let all = "b broadcast, c broadcast";
        lab.expect_shot("a", &told, all).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
        lab.expect_shot("a", &told, if leaves { all } else { "c broadcast" }).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 0).await?;
        lab.expect_shot("a", &told, all).await?;
        Ok(())
    });
}

const BRIDGES_OWN: Rule = Rule {
    id: "bridge.probes.for-the-bridges-own-address-are-kept",
    promise: "a question for an address of the bridge itself does not leave by a spared port",
    source: Source {
        cite: "br_is_local_ip and br_is_local_ip6, net/bridge/br_arp_nd_proxy.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4("192.0.2.9")]
#[case::v6("2001:db8::9")]
fn for_the_bridges_own_address_are_kept(#[case] own: &str) {
    check(&BRIDGES_OWN, async |case| {
        let length = if own.contains(':') { 64 } else { 24 };
        let lan = lan().address("sw:br", &format!("{own}/{length}"));
        let mut lab = case.lab(&lan).await?;
        let own = own.parse().expect("an address of the table");
        let (asked, (all, spared)) = (question(A, own), hearers(own));
        lab.expect_shot("a", &asked, all).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
        lab.expect_shot("a", &asked, spared).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 0).await?;
        lab.expect_shot("a", &asked, all).await?;
        Ok(())
    });
}
