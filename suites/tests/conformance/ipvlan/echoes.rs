//! What a reflecting switch sends back of what ipvlan children ask all: whose it is the parent tells by
//! the address that is asked by or asked for.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e      the switch sends back out of s0 what comes in by it
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use hairpin_fixtures::lan::quiet;
use hairpin_fixtures::{ipvlan_lan, reflecting};
use hairpin_harness::options::bridge;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Filter, Flaw, Rule, Shot, Source, Standing, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[QUESTIONS, STRANGE, FLAWED, TRIAL];

const QUESTIONS: Rule = Rule {
    id: "ipvlan.echoes.of-questions-for-addresses",
    promise: "an ARP question or announcement that says it is of a child's address, and that a switch \
              sends back, is not given to children once more; one of another's address at the shared \
              Ethernet address comes from outside, whomever it asks for",
    source: Source {
        cite: "ipvlan_external_frame and ipvlan_addr_lookup, IPVL_ARP, \
               drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::question(1, [192, 0, 2, 9])]
#[case::announcement(2, [192, 0, 2, 11])]
fn of_questions_for_addresses(#[case] operation: u16, #[case] target: [u8; 4]) {
    check(&QUESTIONS, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let arp = |sender: [u8; 4]| Shot::arp(operation, sender.into(), Ipv4Addr::from(target));
        let once = "c2 broadcast, p broadcast, e broadcast";
        lab.expect_shot("c1", &arp([192, 0, 2, 11]), once).await?;
        lab.expect_shot("c1", &arp([192, 0, 2, 12]), once).await?;
        let twice = "c1 broadcast, c2 broadcast x2, p broadcast, e broadcast";
        lab.expect_shot("c1", &arp([192, 0, 2, 9]), twice).await?;
        Ok(())
    });
}

const STRANGE: Rule = Rule {
    id: "ipvlan.echoes.of-whom-no-address-tells",
    promise: "a frame to all that comes back from a switch and has no IP address to tell it by is taken \
              to come from outside; so is one of a child's IP address from another Ethernet address",
    source: Source {
        cite: "ipvlan_external_frame, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_whom_no_address_tells() {
    check(&STRANGE, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let twice = "c1 broadcast, c2 broadcast x2, p broadcast, e broadcast";
        lab.expect_shot("c1", &Shot::broadcast(), twice).await?;
        let arp = Shot::arp(1, [192, 0, 2, 11].into(), [192, 0, 2, 12].into());
        lab.expect_shot("e", &arp, "c1 broadcast, c2 broadcast, p broadcast").await?;
        Ok(())
    });
}

const FLAWED: Rule = Rule {
    id: "ipvlan.echoes.of-packets-that-are-none",
    promise: "a packet to a group that comes back from a switch is no child's own, whatever its source, \
              if it is none: of another version than its frame says, or longer than it is",
    source: Source {
        cite: "ipvlan_get_L3_hdr and ipvlan_external_frame, drivers/net/ipvlan/ipvlan_core.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::version_v4(Flaw::Version, "192.0.2.11", "233.252.0.19")]
#[case::version_v6(Flaw::Version, "2001:db8::11", "ff0e::19")]
#[case::length_v4(Flaw::Length, "192.0.2.11", "233.252.0.19")]
fn of_packets_that_are_none(#[case] flaw: Flaw, #[case] own: &str, #[case] group: &str) {
    check(&FLAWED, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        // A switch that looks into memberships throws such packets away.
        lab.set_option("sw:br0", bridge::MCAST_SNOOPING, 0).await?;
        for child in ["c1:i0", "c2:i0"] {
            lab.set_filter(child, Filter::Allmulti, true).await?;
        }
        let read = |text: &str| text.parse().expect("an address of the table");
        let sound = Shot::datagram(read(own), read(group));
        lab.expect_shot("c1", &sound, "c2 multicast, p multicast, e multicast").await?;
        let twice = "c1 multicast, c2 multicast x2, p multicast, e multicast";
        lab.expect_shot("c1", &sound.flawed(flaw), twice).await?;
        Ok(())
    });
}

const TRIAL: Rule = Rule {
    id: "ipvlan.echoes.of-its-own-trial",
    promise: "a child that asks whether anybody has its new IPv6 address does not hear its own question \
              when a switch sends it back, and has the address; it has not if another has it",
    source: Source {
        cite: "ipvlan_addr_lookup, IPVL_ICMPV6, drivers/net/ipvlan/ipvlan_core.c; RFC 4862, 5.4",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const TRIED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

#[rstest]
#[case::nobodys(false, Standing::Good)]
#[case::anothers(true, Standing::Duplicate)]
fn of_its_own_trial(#[case] taken: bool, #[case] becomes: Standing) {
    check(&TRIAL, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        // With the last it would know its own question by a number (RFC 7527).
        for (name, value) in [("accept_dad", "1"), ("dad_transmits", "1"), ("enhanced_dad", "0")] {
            for of in ["all", "i0"] {
                lab.set_sysctl("c1", &format!("ipv6.conf.{of}.{name}"), value)?;
            }
        }
        if taken {
            lab.add_address("e:e0", &format!("{TRIED}/64")).await?;
        }
        lab.try_address("c1:i0", TRIED).await?;
        let seen = lab.await_trial("c1:i0", TRIED).await?;
        lab.claim(&format!("the address is {becomes}"), seen == becomes, seen)
    });
}
