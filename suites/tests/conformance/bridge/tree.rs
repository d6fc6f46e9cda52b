//! The spanning tree of two bridges with two cables between them.
//!
//! ```text
//!           +-----+ x1 ------ y1 +-----+
//!   a --- 1 | one |              | two | 2 --- b
//!           +-----+ x2 ------ y2 +-----+
//! ```
//!
//! The delays are the shortest that the kernel takes: two seconds each.

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{Bridge, Case, CaseLab, Rule, Shot, Source, Stop, Strength, Topology, check};

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[ONE_WAY, CHEAPER, GUARDED, COUNTED];

fn ring() -> Topology {
    let silent = || Bridge::default().mcast_snooping(false);
    let ring = Topology::new("ring")
        .host("a")
        .host("b")
        .netns("one")
        .netns("two")
        .bridge_with("one:br", silent())
        .bridge_with("two:br", silent());
    let cables = [("one:1", "a:eth0"), ("two:2", "b:eth0"), ("one:x1", "two:y1")];
    let ring = cables.iter().fold(ring, |ring, (near, far)| ring.cable(*near, *far));
    let ring = ring.cable("one:x2", "two:y2").down("one:x2");
    let ports = ["one:1", "two:2", "one:x1", "two:y1", "one:x2", "two:y2"];
    without_ipv6(ports.iter().fold(ring, |ring, link| ring.port(*link, "br")))
}

const FORWARDING: u64 = 3;
const BLOCKING: u64 = 4;

/// The ring, with `one` as the root of its tree, when the tree has grown.
async fn grown(case: &mut Case) -> Result<CaseLab, Stop> {
    let mut lab = case.lab(&ring()).await?;
    for (link, priority) in [("one:br", 0x1000), ("two:br", 0x8000)] {
        let hundredths = [
            (bridge::FORWARD_DELAY, 200),
            (bridge::HELLO_TIME, 100),
            (bridge::MAX_AGE, 600),
            (bridge::PRIORITY, priority),
            (bridge::STP, 1),
        ];
        lab.set_options(link, &hundredths).await?;
    }
    lab.set_up("one:x2", true).await?;
    lab.expect_to_become("two:y2", port::STATE, BLOCKING).await?;
    lab.expect_to_become("one:x2", port::STATE, FORWARDING).await?;
    Ok(lab)
}

/// Holds that each reaches the other by that cable alone, once.
async fn expect_way(lab: &mut CaseLab, near: &str, far: &str) -> Result<(), Stop> {
    let out = format!("a:eth0> one:1< one:{near}> two:{far}< two:2> b:eth0<");
    let back = format!("b:eth0> two:2< two:{far}> one:{near}< one:1> a:eth0<");
    for (from, heard, way) in [("a", "b broadcast", out), ("b", "a broadcast", back)] {
        let fate = lab.expect_shot(from, &Shot::broadcast(), heard).await?;
        let path = fate.path();
        // What a blocked port gets it does not pass on.
        let seen = path.split(' ').filter(|link| way.contains(link)).collect::<Vec<_>>().join(" ");
        lab.claim(&format!("it passes {way}"), seen == way, &path)?;
    }
    Ok(())
}

const ONE_WAY: Rule = Rule {
    id: "bridge.tree.one-way-and-another-when-it-fails",
    promise: "of two ways to the root the one to the lower port is taken and the other blocked; \
              each frame arrives once; when the way is cut the other opens",
    source: Source { cite: "IEEE 802.1D-1998, 8.3 and 8.6", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_way_and_another_when_it_fails() {
    check(&ONE_WAY, async |case| {
        let mut lab = grown(case).await?;
        for (link, option, value) in [
            ("one:br", bridge::ROOT_PORT, 0),
            ("one:br", bridge::ROOT_PATH_COST, 0),
            ("one:x1", port::STATE, FORWARDING),
            ("two:y1", port::STATE, FORWARDING),
            ("two:2", port::STATE, FORWARDING),
        ] {
            lab.expect_option(link, option, value).await?;
        }
        let number = lab.option("two:y1", port::NUMBER).await?;
        let root = lab.option("two:br", bridge::ROOT_PORT).await?;
        lab.claim("y1 leads to the root", number.is_some() && root == number, format!("{root:?}"))?;
        let cost = lab.option("two:y1", port::COST).await?;
        let far = lab.option("two:br", bridge::ROOT_PATH_COST).await?;
        lab.claim("as far as its cable", cost.is_some() && far == cost, format!("{far:?}"))?;
        expect_way(&mut lab, "x1", "y1").await?;
        lab.set_up("one:x1", false).await?;
        lab.expect_to_become("two:y2", port::STATE, FORWARDING).await?;
        expect_way(&mut lab, "x2", "y2").await
    });
}

const CHEAPER: Rule = Rule {
    id: "bridge.tree.the-cheaper-way",
    promise: "the way to the root that costs least is taken, whatever its port's number; a change \
              of cost changes the way",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.8; bridge(8), cost",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_cheaper_way() {
    check(&CHEAPER, async |case| {
        let mut lab = grown(case).await?;
        lab.set_option("two:y1", port::COST, 200).await?;
        lab.expect_to_become("two:y1", port::STATE, BLOCKING).await?;
        lab.expect_to_become("two:y2", port::STATE, FORWARDING).await?;
        let cost = lab.option("two:y2", port::COST).await?.unwrap_or_default();
        lab.expect_option("two:br", bridge::ROOT_PATH_COST, cost).await?;
        expect_way(&mut lab, "x2", "y2").await
    });
}

const GUARDED: Rule = Rule {
    id: "bridge.tree.a-guarded-port-hears-no-bridge",
    promise: "a port with guard on is switched off when a bridge speaks behind it",
    source: Source { cite: "bridge(8), guard; br_stp_rcv", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_guarded_port_hears_no_bridge() {
    check(&GUARDED, async |case| {
        let mut lab = grown(case).await?;
        lab.set_option("two:y2", port::GUARD, 1).await?;
        lab.expect_to_become("two:y2", port::STATE, 0).await?;
        lab.expect_option("two:y1", port::STATE, FORWARDING).await?;
        expect_way(&mut lab, "x1", "y1").await
    });
}

const COUNTED: Rule = Rule {
    id: "bridge.tree.what-is-said-is-counted",
    promise: "a port counts the messages of other bridges that it gets and those that it sends, and \
              how often it came to block and to forward",
    source: Source {
        cite: "bridge_stp_xstats; br_stp_rcv, br_send_config_bpdu and br_set_state",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_said_is_counted() {
    check(&COUNTED, async |case| {
        let lab = grown(case).await?;
        let sends = lab.stp_counters("one:x1").await?;
        let opened = lab.stp_counters("one:x2").await?;
        let blocks = lab.stp_counters("two:y2").await?;
        let silent = lab.stp_counters("two:2").await?;
        for (claim, holds, seen) in [
            ("the root's port sends", sends.tx_bpdu > 0, &sends),
            ("another came to forward", opened.forwarded > 0, &opened),
            ("the blocked port hears", blocks.rx_bpdu > 0, &blocks),
            ("it came to block", blocks.blocked > 0, &blocks),
            ("a host says nothing", silent.rx_bpdu == 0 && silent.tx_bpdu > 0, &silent),
        ] {
            lab.claim(claim, holds, seen)?;
        }
        Ok(())
    });
}
