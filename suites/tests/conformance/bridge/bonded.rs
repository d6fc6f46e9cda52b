//! A bond as a port, which changes by its links.
//!
//! ```text
//!   a:eth0 --- p:p1 +----+           / b1 --- e:e0
//!                   | br | p:bond0 <
//!                   +----+           \ b2 --- f:f0     one of the two is in use
//! ```

use hairpin_harness::options::link;
use hairpin_harness::{Errno, Need, Rule, Source, Strength, Tiding, Topology, check};

use crate::bonds::{self, expect_no_other_kind, expect_other_kind, expect_told_of};

pub(crate) const RULES: &[Rule] = &[TOLD, SEGMENTS, KIND];

const NEEDS_BOND: &[Need] = &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("bridge")];

fn bonded() -> Topology {
    bonds::bonded()
        .bridge("p:br")
        .port("p:bond0", "br")
        .host("a")
        .cable("p:p1", "a:eth0")
        .port("p:p1", "br")
}

const TOLD: Rule = Rule {
    id: "bridge.bonded.is-told-to-claim-its-memberships-anew",
    promise: "when a bond uses another of its links the bridge that it is a port of is told that \
              its memberships are to be told anew",
    source: Source {
        cite: "br_device_event, NETDEV_RESEND_IGMP, net/bridge/br.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_BOND,
};

#[test]
fn is_told_to_claim_its_memberships_anew() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_told_of(&mut lab, "p:br", &[Tiding::Memberships]).await
    });
}

const SEGMENTS: Rule = Rule {
    id: "bridge.bonded.segments-no-larger-than-any-port-takes",
    promise: "what is sent by a bridge is left uncut up to the least that any of its ports can take, as \
              it was when the last one came or went",
    source: Source {
        cite: "br_set_gso_limits, net/bridge/br_if.c, since 6.0",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bond"), Need::Driver("bridge"), Need::Since(6, 0)],
};

#[test]
fn segments_no_larger_than_any_port_takes() {
    check(&SEGMENTS, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        let by_cable = lab.option("p:p1", link::TSO_MAX_SIZE).await?.unwrap_or_default();
        let by_bond = lab.option("p:bond0", link::TSO_MAX_SIZE).await?.unwrap_or_default();
        let seen = format!("{by_bond} and {by_cable} bytes");
        lab.claim("a bond without links takes less than a cable", by_bond < by_cable, seen)?;
        for (port, stays, most) in
            [("p:p1", true, by_bond), ("p:bond0", false, by_cable), ("p:bond0", true, by_bond)]
        {
            lab.set_bridge(port, stays.then_some("br")).await?;
            lab.expect_option("p:br", link::TSO_MAX_SIZE, most).await?;
        }
        Ok(())
    });
}

const KIND: Rule = Rule {
    id: "bridge.bonded.keeps-the-bond-what-it-is",
    promise: "a bond that is a port does not become what the first of its links is, if that is no Ethernet; \
              as no port it does, and can be none then",
    source: Source {
        cite: "br_device_event, NETDEV_PRE_TYPE_CHANGE, net/bridge/br.c; br_add_if",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_BOND,
};

#[test]
fn keeps_the_bond_what_it_is() {
    check(&KIND, async |case| {
        let mut lab = case.lab(&bonded()).await?;
        expect_no_other_kind(&mut lab).await?;
        lab.set_bridge("p:bond0", None).await?;
        expect_other_kind(&mut lab).await?;
        let done = lab.set_bridge("p:bond0", Some("br")).await;
        lab.expect_refusal("as a port", done, Errno::EINVAL)
    });
}
