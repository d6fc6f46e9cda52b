//! A machine that reaches its own macvlan children, by a child of its own.
//!
//! ```text
//!   p: p0 .1, shim .10/29 --+-- p0 --- switch --- e
//!   c1 .11, c2 .12 ---------+
//! ```

use hairpin_fixtures::macvlan_lan;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Family, Flow, Mode, Need, Rule, Source, Strength, Topology, check};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[SHIM];

const SHIM: Rule = Rule {
    id: "docker.shim.a-child-of-its-own-brings-the-machine-in",
    promise: "a machine does not reach its own bridge-mode children; with a child of its own, and its \
              route to them by that, it reaches them, and is reached at that child's address",
    source: Source {
        cite: "Docker: macvlan network driver; ip-link(8), macvlan mode bridge",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("macvlan")],
};

/// The machine's own child. Its prefix is the route to the others: it holds them, and not e.
fn with_shim(lan: Topology) -> Topology {
    lan.macvlan("p:shim", "p:p0", Mode::Bridge)
        .address("p:shim", "192.0.2.10/29")
        .address("p:shim", "2001:db8::10/124")
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_child_of_its_own_brings_the_machine_in(#[case] family: Family) {
    check(&SHIM, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let shim = match family {
            Family::V4 => ([192, 0, 2, 10], 80).into(),
            Family::V6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10], 80).into(),
        };
        let there =
            Flow::new(Protocol::Udp, family).between("p", "c1").aside("e", 82).control("c2");
        let back = there.between("c1", "p").asking(shim).aside("c2", 81).control("e");
        lab.expect_flow(&there, '#').await?;
        lab.grow(with_shim).await?;
        lab.expect_flow(&there, '+').await?;
        lab.expect_flow(&back, '+').await?;
        for (to, control) in [("c2", "c1"), ("e", "c1")] {
            lab.expect_flow(&there.between("p", to).control(control), '+').await?;
        }
        Ok(())
    });
}
