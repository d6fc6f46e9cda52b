//! Which way to the root a bridge takes where several are as good, or where one was shut by hand, and
//! which of two bridges speaks on a wire that both are on.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a, b and c speak as bridges
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{CaseLab, Config, Mac, Rule, Said, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;
use super::topology::{COST, ROOT, hears, heed, root, says, speaking};

pub(crate) const RULES: &[Rule] = &[EQUAL, SAME, DESIGNATED, ITSELF, BETTER, BLOCKED, BY_HAND];

/// A bridge that is neither the root nor the bridge in the middle.
const OTHER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x21]);

const EQUAL: Rule = Rule {
    id: "bridge.ways.of-equal-ways-that-by-the-lower",
    promise: "of two ways to the root that cost the same that by the bridge with the lower identifier \
              is taken, and of two by one bridge that by its lower port, whatever the numbers of the \
              own ports",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.8.3.1; br_should_become_root_port, net/bridge/br_stp.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::bridge((5, 1), (4, 1), (3, 1))]
#[case::port((5, 3), (5, 2), (5, 1))]
fn of_equal_ways_that_by_the_lower(
    #[case] first: (u16, u16),
    #[case] lower: (u16, u16),
    #[case] lowest: (u16, u16),
) {
    check(&EQUAL, async |case| {
        let mut lab = speaking(case).await?;
        lab.set_option("sw:p2", port::COST, COST.into()).await?;
        // Its own number, which decides last, speaks against the port that is to be taken at the end.
        lab.set_option("sw:p1", port::PRIORITY, 48).await?;
        let by = |(priority, port): (u16, u16)| {
            says(Config { cost: 10, bridge: (priority, OTHER), port: 0x8000 | port, ..root() })
        };
        for (host, way, root_port) in [("a", first, 1), ("b", lower, 2), ("a", lowest, 1)] {
            lab.say_as_bridge(host, &[by(way)]).await?;
            lab.expect_to_become("sw:br", bridge::ROOT_PORT, root_port).await?;
        }
        lab.expect_option("sw:p2", port::STATE, 4).await
    });
}

const SAME: Rule = Rule {
    id: "bridge.ways.of-one-port-heard-twice-that-by-the-own-lower",
    promise: "where two ports hear the same port of the same bridge, the own port with the lower \
              identifier is taken, also when another has become that",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.8.3.1; br_should_become_root_port, net/bridge/br_stp.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_one_port_heard_twice_that_by_the_own_lower() {
    check(&SAME, async |case| {
        let mut lab = speaking(case).await?;
        lab.set_option("sw:p2", port::COST, COST.into()).await?;
        for (priority, hosts, root_port) in [(48, ["a", "b"], 2), (16, ["b", "a"], 1)] {
            lab.set_option("sw:p1", port::PRIORITY, priority).await?;
            for host in hosts {
                lab.say_as_bridge(host, &[says(root())]).await?;
            }
            lab.expect_to_become("sw:br", bridge::ROOT_PORT, root_port).await?;
        }
        lab.expect_to_become("sw:p2", port::STATE, 4).await
    });
}

const DESIGNATED: Rule = Rule {
    id: "bridge.ways.of-two-as-far-the-lower-speaks",
    promise: "where another bridge is as far from the root, the one with the lower identifier speaks \
              on the wire that both are on: the port of the other blocks",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.7; br_should_become_designated_port",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

/// Holds that a port listens, learns or forwards.
async fn expect_open(lab: &CaseLab, port: &str) -> Result<(), Stop> {
    let state = lab.option(port, port::STATE).await?;
    let open = state.is_some_and(|state| (1..=3).contains(&state));
    lab.claim(&format!("{port} does not block"), open, format!("{state:?}"))
}

#[test]
fn of_two_as_far_the_lower_speaks() {
    check(&DESIGNATED, async |case| {
        let lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        heed(&lab, &ear, root()).await?;
        let as_far = |priority| Config { cost: COST, bridge: (priority, OTHER), ..root() };
        // What is higher is answered, and so was heard.
        lab.say_as_bridge("c", &[says(as_far(0xf000))]).await?;
        hears(&lab, &ear, "an answer", |config| config.cost == COST)?;
        lab.say_as_bridge("b", &[says(as_far(0x1000))]).await?;
        lab.expect_to_become("sw:p2", port::STATE, 4).await?;
        expect_open(&lab, "sw:p3").await
    });
}

const ITSELF: Rule = Rule {
    id: "bridge.ways.of-two-own-ports-on-a-wire-the-lower-speaks",
    promise: "a port that hears its own bridge speak from a port with a lower identifier blocks, and \
              answers one with a higher; given the lower one it speaks at once",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.7 and 8.8.5; br_supersedes_port_info and \
               br_stp_set_port_priority",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_two_own_ports_on_a_wire_the_lower_speaks() {
    check(&ITSELF, async |case| {
        let mut lab = speaking(case).await?;
        let ear = lab.hear_bridges("b").await?;
        let own = (0x8000, lab.mac("sw:br"));
        let from = |port| says(Config { root: own, bridge: own, port, ..root() });
        hears(&lab, &ear, "p2", |config| config.port == 0x8002)?;
        lab.say_as_bridge("b", &[from(0x8003)]).await?;
        hears(&lab, &ear, "p2 again", |config| config.port == 0x8002)?;
        lab.expect_option("sw:p2", port::DESIGNATED_PORT, 0x8002).await?;
        lab.say_as_bridge("b", &[from(0x8001)]).await?;
        lab.expect_to_become("sw:p2", port::STATE, 4).await?;
        lab.expect_option("sw:p2", port::DESIGNATED_PORT, 0x8001).await?;
        lab.set_option("sw:p2", port::PRIORITY, 16).await?;
        lab.expect_option("sw:p2", port::DESIGNATED_PORT, 0x4002).await?;
        expect_open(&lab, "sw:p2").await
    });
}

const BETTER: Rule = Rule {
    id: "bridge.ways.who-becomes-the-best-is-the-root-at-once",
    promise: "a bridge whose identifier becomes lower than its root's, by its priority or by its \
              address, is the root from then on: it says so again and again, with times of its own, \
              and that the tree has changed",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.8.4; br_stp_set_bridge_priority and br_stp_change_bridge_id",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::by_its_priority(0x2000, ROOT, true)]
#[case::by_its_address(0x8000, Mac([2, 0, 0, 0, 0, 2]), false)]
fn who_becomes_the_best_is_the_root_at_once(
    #[case] priority: u16,
    #[case] address: Mac,
    #[case] by_priority: bool,
) {
    check(&BETTER, async |case| {
        let mut lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        let better = (priority, address);
        heed(&lab, &ear, Config { root: better, bridge: better, ..root() }).await?;
        lab.expect_option("sw:br", bridge::ROOT_PORT, 1).await?;
        let own = if by_priority {
            lab.set_option("sw:br", bridge::PRIORITY, 0x1000).await?;
            (0x1000, lab.mac("sw:br"))
        } else {
            lab.set_mac("sw:br", Mac([2, 0, 0, 0, 0, 1])).await?;
            (0x8000, Mac([2, 0, 0, 0, 0, 1]))
        };
        for which in ["it as the root", "the same again"] {
            let heard = hears(&lab, &ear, which, |config| config.root == own)?;
            let Said::Config(said) = heard.said else { return Ok(()) };
            let times = (said.max_age, said.hello, said.delay);
            let whole = (said.bridge, said.cost, said.age, said.changed, times);
            let wanted = (own, 0, 0, true, (600, 100, 200));
            lab.claim("with its own times, after a change", whole == wanted, heard.said)?;
        }
        lab.expect_option("sw:br", bridge::ROOT_PORT, 0).await?;
        lab.expect_option("sw:br", bridge::ROOT_PATH_COST, 0).await
    });
}

const BLOCKED: Rule = Rule {
    id: "bridge.ways.none-by-a-port-that-is-shut-to-roots",
    promise: "a port with root_block is no way to the root, however good a root speaks behind it; \
              another, worse, is heeded elsewhere; without it the better is",
    source: Source {
        cite: "bridge(8), root_block; br_root_selection, net/bridge/br_stp.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn none_by_a_port_that_is_shut_to_roots() {
    check(&BLOCKED, async |case| {
        let mut lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        lab.set_option("sw:p1", port::ROOT_BLOCK, 1).await?;
        lab.say_as_bridge("a", &[says(root())]).await?;
        let worse = Config { root: (1, OTHER), bridge: (1, OTHER), ..root() };
        lab.say_as_bridge("b", &[says(worse)]).await?;
        hears(&lab, &ear, "the worse root's word", |config| config.root == (1, OTHER))?;
        lab.expect_option("sw:br", bridge::ROOT_PORT, 2).await?;
        lab.set_option("sw:p1", port::ROOT_BLOCK, 0).await?;
        let heard = heed(&lab, &ear, root()).await?;
        let Said::Config(said) = heard.said else { return Ok(()) };
        lab.claim("it is the better's", said.root == (0, ROOT), heard.said)?;
        lab.expect_option("sw:br", bridge::ROOT_PORT, 1).await
    });
}

const BY_HAND: Rule = Rule {
    id: "bridge.ways.a-cost-by-hand-outlives-the-carrier",
    promise: "a port that was given a cost keeps it when its carrier goes and comes back",
    source: Source {
        cite: "bridge(8), cost; br_port_carrier_check, net/bridge/br_if.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_cost_by_hand_outlives_the_carrier() {
    check(&BY_HAND, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_option("sw:p1", port::COST, COST.into()).await?;
        lab.set_up("a:eth0", false).await?;
        lab.expect_to_become("sw:p1", port::STATE, 0).await?;
        lab.set_up("a:eth0", true).await?;
        lab.expect_to_become("sw:p1", port::STATE, 3).await?;
        lab.expect_option("sw:p1", port::COST, COST.into()).await
    });
}
