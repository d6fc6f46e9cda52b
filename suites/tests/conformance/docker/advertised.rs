//! Addresses that nobody configured: of routers' advertisements, wanted and unwanted; and such as
//! somebody else has already.
//!
//! ```text
//!   c1, c2 --- br1 [r] br2 --- c3          c2 tells what a router would
//! ```

use std::net::Ipv6Addr;

use hairpin_fixtures::docker_host;
use hairpin_harness::{
    Advert, CaseLab, Family, Need, Rule, Source, Standing, Stop, Strength, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[WANTED, TRIAL, RESTART];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge")];

/// A network that is on no link of the topology.
const NETWORK: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0);

const WANTED: Rule = Rule {
    id: "docker.advertised.only-where-it-is-wanted",
    promise: "a container makes itself an address of a network that a router advertises if accept_ra \
              is 1 and it does not forward, or 2; one that is told 0, or forwards, does not",
    source: Source {
        cite: "ip-sysctl.rst, accept_ra; RFC 4862, 5.5.3",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

/// The address that a link with that address makes of the network (RFC 4291, appendix A).
fn made_of(lab: &CaseLab, link: &str) -> Ipv6Addr {
    let [a, b, c, d, e, f] = lab.mac(link).0;
    let mut octets = NETWORK.octets();
    octets[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    octets.into()
}

#[rstest]
#[case::refused("0", "0", Standing::None)]
#[case::taken("1", "0", Standing::Good)]
#[case::forwards("1", "1", Standing::None)]
#[case::forwards_and_takes("2", "1", Standing::Good)]
fn only_where_it_is_wanted(#[case] accepts: &str, #[case] forwards: &str, #[case] made: Standing) {
    check(&WANTED, async |case| {
        let mut lab = case.lab(&docker_host()).await?;
        lab.set_sysctl("c1", "ipv6.conf.all.forwarding", forwards)?;
        lab.set_sysctl("c1", "ipv6.conf.eth0.accept_ra", accepts)?;
        let address = made_of(&lab, "c1:eth0");
        lab.advertise("c2", Advert::Router(NETWORK)).await?;
        // What is heard behind it shows that it was heard.
        let cell = lab.ping(Family::V6, "c2", "c1").await?;
        lab.claim("c2 reaches c1", cell.verdict.symbol() == '+', &cell.verdict)?;
        let seen = lab.await_trial("c1:eth0", address).await?;
        lab.claim(&format!("{address}: {made}"), seen == made, seen)
    });
}

const TRIAL: Rule = Rule {
    id: "docker.advertised.a-duplicate-is-not-used",
    promise: "a container that is given an IPv6 address asks whether somebody has it: if a neighbour \
              on its bridge has, it does not use it, and one on another bridge does not matter",
    source: Source {
        cite: "RFC 4862, 5.4; ip-sysctl.rst, accept_dad",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

const CLAIMED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x50);

#[rstest]
#[case::neighbour("c2:eth0", Standing::Duplicate)]
#[case::elsewhere("c3:eth0", Standing::Good)]
fn a_duplicate_is_not_used(#[case] whose: &str, #[case] standing: Standing) {
    check(&TRIAL, async |case| {
        let mut lab = case.lab(&docker_host()).await?;
        lab.add_address(whose, &format!("{CLAIMED}/64")).await?;
        expect_standing(&mut lab, standing).await
    });
}

/// Gives c1 the address, and holds what becomes of it.
async fn expect_standing(lab: &mut CaseLab, standing: Standing) -> Result<(), Stop> {
    for (name, value) in [("accept_dad", "1"), ("dad_transmits", "1")] {
        lab.set_sysctl("c1", &format!("ipv6.conf.eth0.{name}"), value)?;
    }
    lab.try_address("c1:eth0", CLAIMED).await?;
    let seen = lab.await_trial("c1:eth0", CLAIMED).await?;
    lab.claim(&format!("{CLAIMED}: {standing}"), seen == standing, seen)
}

const RESTART: Rule = Rule {
    id: "docker.advertised.a-quick-restart-is-no-duplicate",
    promise: "a container may have the address of one that has just gone, though its neighbours still \
              know the old one",
    source: Source { cite: "RFC 4862, 5.4", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_quick_restart_is_no_duplicate() {
    check(&RESTART, async |case| {
        let mut lab = case.lab(&docker_host()).await?;
        lab.add_address("c2:eth0", &format!("{CLAIMED}/64")).await?;
        let mac = lab.mac("c2:eth0");
        lab.add_neighbour("r:br1", CLAIMED.into(), mac).await?;
        lab.set_up("c2:eth0", false).await?;
        expect_standing(&mut lab, Standing::Good).await
    });
}
