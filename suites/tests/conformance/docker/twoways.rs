//! A container on two networks, and filters of the reverse path.
//!
//! ```text
//!   e asks c1 at its address on br2:  e > r > br2 > c1:eth1
//!   c1 answers by its default route:  c1:eth0 > br1 > r > e
//! ```

use hairpin_fixtures::docker::two_homed;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Family, Flow, Need, Rule, Source, Strength, check};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[STRICT, V6];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge")];

const STRICT: Rule = Rule {
    id: "docker.twoways.a-strict-reverse-path-drops",
    promise: "rp_filter 1 drops what came in by another link than the answer would leave by, at the \
              container or at the router, and rp_filter 2 does not",
    source: Source { cite: "ip-sysctl.rst, rp_filter; RFC 3704", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

const V6: Rule = Rule {
    id: "docker.twoways.ipv6-has-no-reverse-path-filter",
    promise: "over IPv6 the answer may leave by any link: rp_filter does not touch it",
    source: Source { cite: "ip-sysctl.rst, rp_filter (IPv4 only)", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

/// From e to c1 at its address on the second network.
fn asking(family: Family) -> Flow<'static> {
    let at = match family {
        Family::V4 => ([198, 51, 100, 11], 80).into(),
        Family::V6 => ([0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x11], 80).into(),
    };
    Flow::new(Protocol::Tcp, family).between("e", "c1").asking(at).aside("r", 81).control("c2")
}

#[rstest]
#[case::at_the_container("c1", "ipv4.conf.eth1.rp_filter", '#')]
#[case::at_the_router("r", "ipv4.conf.br1.rp_filter", '>')]
fn a_strict_reverse_path_drops(#[case] at: &str, #[case] filter: &str, #[case] strict: char) {
    check(&STRICT, async |case| {
        let mut lab = case.lab(&two_homed()).await?;
        // Everybody knows its neighbours from here on: a question to them is filtered, too.
        for (value, passage) in [("0", '+'), ("1", strict), ("2", '+')] {
            lab.set_sysctl(at, filter, value)?;
            lab.expect_flow(&asking(Family::V4), passage).await?;
        }
        Ok(())
    });
}

#[test]
fn ipv6_has_no_reverse_path_filter() {
    check(&V6, async |case| {
        let strict = two_homed().sysctl("c1", "ipv4.conf.all.rp_filter", "1").sysctl(
            "r",
            "ipv4.conf.all.rp_filter",
            "1",
        );
        let mut lab = case.lab(&strict).await?;
        lab.expect_flow(&asking(Family::V6), '+').await?;
        Ok(())
    });
}
