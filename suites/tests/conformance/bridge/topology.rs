//! What a bridge says to others of the spanning tree, and how long it believes what they say.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a and b speak as bridges, c hears
//!   b --- p2 +----+
//! ```
//!
//! The root says how long a port listens and how long its word holds, so these may be short.

use std::time::Duration;

use hairpin_fixtures::switch::switch;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bpdu, BridgeEar, Case, CaseLab, Config, HeardBpdu, Mac, Rule, Said, Source, Stop, Strength,
    check,
};

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[PASSED_ON, HEEDED, ANSWERED, HELD, GIVEN_UP, TOLD, ACKNOWLEDGED, SHORTER];

/// The address of a bridge that is better than any of a lab by its priority of 0.
pub(super) const ROOT: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x20]);

/// How long what is to be heard may take.
const SOON: Duration = Duration::from_secs(10);

/// What a costs, over p1.
pub(super) const COST: u32 = 100;

/// The bridge, with the spanning tree, and its ears.
pub(super) async fn speaking(case: &mut Case) -> Result<CaseLab, Stop> {
    let mut lab = case.lab(&switch()).await?;
    speak(&mut lab).await?;
    Ok(lab)
}

/// Has the bridge speak of the tree, with times that are short.
pub(super) async fn speak(lab: &mut CaseLab) -> Result<(), Stop> {
    let settings =
        [(bridge::HELLO_TIME, 100), (bridge::MAX_AGE, 600), (bridge::FORWARD_DELAY, 200)];
    lab.set_options("sw:br", &settings).await?;
    lab.set_option("sw:p1", port::COST, COST.into()).await?;
    Ok(lab.set_option("sw:br", bridge::STP, 1).await?)
}

/// The word of the root, from which all times are taken.
pub(super) fn root() -> Config {
    Config { max_age: 6000, hello: 700, delay: 100, ..Config::of_root(0, ROOT) }
}

pub(super) fn says(config: Config) -> Bpdu {
    Bpdu::new(Said::Config(config))
}

/// Holds that a host hears such a message.
pub(super) fn hears(
    lab: &CaseLab,
    ear: &BridgeEar,
    what: &str,
    is: impl Fn(&Config) -> bool,
) -> Result<HeardBpdu, Stop> {
    let heard = ear.wait_for(SOON, |said| matches!(said, Said::Config(config) if is(config)));
    lab.expect_heard(heard, what)
}

/// Has a speak as the root, and returns when what it says has gone to c.
pub(super) async fn heed(lab: &CaseLab, ear: &BridgeEar, word: Config) -> Result<HeardBpdu, Stop> {
    lab.say_as_bridge("a", &[says(word)]).await?;
    hears(lab, ear, "the root's word", |config| {
        (config.root, config.cost, config.changed) == (word.root, word.cost + COST, word.changed)
    })
}

const PASSED_ON: Rule = Rule {
    id: "bridge.topology.the-roots-word-is-passed-on",
    promise: "what the root says goes on to all that are farther from it, with the way's cost added \
              and the root's own times; until then the bridge says that it is the root, with its own",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.1 and 8.6.4; br_transmit_config",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_roots_word_is_passed_on() {
    check(&PASSED_ON, async |case| {
        let lab = speaking(case).await?;
        let ears = [lab.hear_bridges("b").await?, lab.hear_bridges("c").await?];
        let own = (0x8000, lab.mac("sw:br"));
        for ear in &ears {
            let is = |c: &Config| (c.root, c.bridge, c.cost, c.age) == (own, own, 0, 0);
            let heard = hears(&lab, ear, "the bridge as the root", is)?;
            let Said::Config(said) = heard.said else { continue };
            let times = (said.max_age, said.hello, said.delay);
            lab.claim("its own times", times == (600, 100, 200), heard.said)?;
        }
        lab.say_as_bridge("a", &[says(Config { cost: 7, age: 100, acknowledged: true, ..root() })])
            .await?;
        for (ear, link) in ears.iter().zip(["sw:p2", "sw:p3"]) {
            let is = |c: &Config| (c.root, c.cost, c.bridge) == ((0, ROOT), 7 + COST, own);
            let heard = hears(&lab, ear, "the other as the root", is)?;
            let Said::Config(said) = heard.said else { continue };
            let times = (said.max_age, said.hello, said.delay);
            lab.claim("the root's times", times == (6000, 700, 100), heard.said)?;
            // It may have waited for a hold time.
            let aged = (100..400).contains(&said.age);
            lab.claim("as old as it was, or older", aged, heard.said)?;
            lab.claim("an acknowledgement is no one else's", !said.acknowledged, heard.said)?;
            lab.expect_option(link, port::ID, said.port.into()).await?;
        }
        let told = [(bridge::ROOT_ID, number(0, ROOT)), (bridge::BRIDGE_ID, number(own.0, own.1))];
        for (option, id) in told {
            lab.expect_option("sw:br", option, id).await?;
        }
        lab.expect_option("sw:br", bridge::ROOT_PATH_COST, (7 + COST).into()).await?;
        lab.expect_option("sw:br", bridge::ROOT_PORT, 1).await
    });
}

/// A bridge's number, its priority and its address: bytes of the wire, read as the machine's own.
pub(super) fn number(priority: u16, Mac(mac): Mac) -> u64 {
    let number = mac.iter().fold(priority.into(), |number, byte| number << 8 | u64::from(*byte));
    u64::from_be(number)
}

const HEEDED: Rule = Rule {
    id: "bridge.topology.what-is-no-message-is-not-heeded",
    promise: "a message of another version, to another group, or older than it says that it may \
              become is not heeded; the next sound one is",
    source: Source {
        cite: "IEEE 802.1D-1998, 9.3.4; br_stp_rcv, net/bridge/br_stp_bpdu.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_no_message_is_not_heeded() {
    check(&HEEDED, async |case| {
        let lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        let before = lab.stp_counters("sw:p1").await?;
        // Each would be the best so far.
        let of = |priority| Config { cost: 1, ..Config::of_root(priority, ROOT) };
        let unsound = [
            says(of(3)).version(2),
            says(of(2)).to(Mac([0x01, 0x80, 0xc2, 0, 0, 0x0e])),
            says(Config { age: 2100, ..of(1) }),
            says(of(4)),
        ];
        lab.say_as_bridge("a", &unsound).await?;
        let heard = hears(&lab, &ear, "a root", |config| config.root.1 == ROOT)?;
        let is = matches!(heard.said, Said::Config(config) if config.root.0 == 4);
        lab.claim("the sound one's", is, heard.said)?;
        let after = lab.stp_counters("sw:p1").await?;
        lab.claim("one is counted", after.rx_bpdu == before.rx_bpdu + 1, after)
    });
}

const ANSWERED: Rule = Rule {
    id: "bridge.topology.who-knows-less-is-answered",
    promise: "one that claims less than the bridge knows is told so at once, without any word of \
              the root",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.1 and 8.7.1; br_received_config_bpdu",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn who_knows_less_is_answered() {
    check(&ANSWERED, async |case| {
        let lab = speaking(case).await?;
        let ear = lab.hear_bridges("b").await?;
        lab.say_as_bridge("a", &[says(root())]).await?;
        hears(&lab, &ear, "the root's word", |config| config.root.1 == ROOT)?;
        let less = Config::of_root(0xf000, Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x21]));
        for _ in 0..2 {
            lab.say_as_bridge("b", &[says(less)]).await?;
            let answer = lab.expect_heard(ear.next(), "an answer")?;
            let is = matches!(answer.said, Said::Config(config) if config.root == (0, ROOT));
            lab.claim("it names the root", is, answer.said)?;
        }
        Ok(())
    });
}

const HELD: Rule = Rule {
    id: "bridge.topology.one-message-in-a-hold-time",
    promise: "from a port no message follows another within a hold time of about a second; what is \
              due meanwhile goes out once when it is over, as it is by then",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.5.8.1 and 8.7.8; br_transmit_config and br_hold_timer_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_message_in_a_hold_time() {
    check(&HELD, async |case| {
        let lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        let mut last = hears(&lab, &ear, "the bridge as the root", |config| config.cost == 0)?;
        for base in [90, 60, 30] {
            let words = [2, 1, 0].map(|more| says(Config { cost: base + more, ..root() }));
            lab.say_as_bridge("a", &words).await?;
            loop {
                let heard = lab.expect_heard(ear.next(), "a word of the root")?;
                let gap = heard.at.saturating_sub(last.at);
                // Linux rounds the end to whole seconds, down where a quarter is over.
                let held = gap > Duration::from_millis(700);
                lab.claim("not sooner than after a hold time", held, format!("{gap:?}"))?;
                last = heard;
                if matches!(heard.said, Said::Config(config) if config.cost == base + COST) {
                    break;
                }
            }
        }
        Ok(())
    });
}

const GIVEN_UP: Rule = Rule {
    id: "bridge.topology.a-silent-root-is-given-up",
    promise: "a root whose word is as old as it says that it may become, without another, is given \
              up though its port runs: the bridge is the root itself then, with times of its own; \
              each word of the root begins the time anew",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.5.6 and 8.7.3; br_message_age_timer_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_silent_root_is_given_up() {
    check(&GIVEN_UP, async |case| {
        let lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        let own = (0x8000, lab.mac("sw:br"));
        // Four seconds are left of it.
        let word = Config { age: 400, max_age: 800, ..root() };
        for cost in [3, 2, 1] {
            heed(&lab, &ear, Config { cost, ..word }).await?;
        }
        lab.expect_option("sw:br", bridge::HELLO_TIME, 700).await?;
        let spoke = lab.now();
        heed(&lab, &ear, Config { cost: 0, ..word }).await?;
        let is = |config: &Config| config.root == own && config.cost == 0;
        hears(&lab, &ear, "the bridge as the root", is)?;
        lab.claim_after("the root is given up", spoke, Duration::from_secs(4))?;
        for (option, value) in [
            (bridge::ROOT_PORT, 0),
            (bridge::ROOT_PATH_COST, 0),
            (bridge::HELLO_TIME, 100),
            (bridge::MAX_AGE, 600),
            (bridge::FORWARD_DELAY, 200),
        ] {
            lab.expect_option("sw:br", option, value).await?;
        }
        // It speaks by itself again.
        hears(&lab, &ear, "the bridge as the root, again", is).map(|_| ())
    });
}

const TOLD: Rule = Rule {
    id: "bridge.topology.a-change-is-told-to-the-root-until-it-hears",
    promise: "when a port has begun to forward, a bridge gives notice towards the root, and again \
              after each of its own hello times, until the root's word acknowledges it; the next \
              change is told anew",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.5.4 and 8.6.6; br_tcn_timer_expired",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

/// Has p2 come up anew, and holds that this is told to a.
async fn change(lab: &mut CaseLab, ear: &BridgeEar) -> Result<HeardBpdu, Stop> {
    lab.set_up("sw:p2", false).await?;
    lab.set_up("sw:p2", true).await?;
    notice(lab, ear)
}

fn notice(lab: &CaseLab, ear: &BridgeEar) -> Result<HeardBpdu, Stop> {
    lab.expect_heard(ear.wait_for(SOON, |said| *said == Said::Notice), "a notice")
}

#[test]
fn a_change_is_told_to_the_root_until_it_hears() {
    check(&TOLD, async |case| {
        let mut lab = speaking(case).await?;
        let (ear, far) = (lab.hear_bridges("a").await?, lab.hear_bridges("c").await?);
        heed(&lab, &far, Config { cost: 9, acknowledged: true, ..root() }).await?;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE_DETECTED, 0).await?;
        let mut last = change(&mut lab, &ear).await?;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE_DETECTED, 1).await?;
        for _ in 0..2 {
            let again = notice(&lab, &ear)?;
            let gap = again.at.saturating_sub(last.at);
            let hello = Duration::from_secs(1);
            lab.claim_not_before("not sooner than after a hello time", gap, hello)?;
            last = again;
        }
        // A word that acknowledges nothing stops nothing.
        heed(&lab, &far, Config { cost: 8, ..root() }).await?;
        ear.so_far()?;
        notice(&lab, &ear)?;
        let word = Config { cost: 7, acknowledged: true, ..root() };
        let stopped = heed(&lab, &far, word).await?.at;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE_DETECTED, 0).await?;
        ear.so_far()?;
        // A port needs two seconds to come up, in which others would be heard.
        let next = change(&mut lab, &ear).await?.at;
        let gap = next.saturating_sub(stopped);
        lab.claim_not_before("none before that", gap, Duration::from_secs(2))?;
        let counted = lab.stp_counters("sw:p1").await?;
        lab.claim("they are counted", counted.tx_notices >= 5, counted)
    });
}

const ACKNOWLEDGED: Rule = Rule {
    id: "bridge.topology.the-root-acknowledges-a-notice",
    promise: "the root answers a notice where it came from by a word that acknowledges it, once, \
              and tells all of the change; a notice from where the root is goes unheeded",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.6.14 and 8.6.15; br_received_tcn_bpdu",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_root_acknowledges_a_notice() {
    check(&ACKNOWLEDGED, async |case| {
        let lab = speaking(case).await?;
        let (b, c) = (lab.hear_bridges("b").await?, lab.hear_bridges("c").await?);
        hears(&lab, &c, "no change", |config| !config.changed)?;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE, 0).await?;
        lab.say_as_bridge("b", &[Bpdu::new(Said::Notice)]).await?;
        hears(&lab, &b, "acknowledged", |config| config.acknowledged && config.changed)?;
        let next = hears(&lab, &b, "the next", |_| true)?;
        let is = matches!(next.said, Said::Config(c) if c.changed && !c.acknowledged);
        lab.claim("changed, and acknowledged no more", is, next.said)?;
        let other = hears(&lab, &c, "a change", |config| config.changed)?;
        let is = matches!(other.said, Said::Config(config) if !config.acknowledged);
        lab.claim("acknowledged to nobody else", is, other.said)?;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE, 1).await?;
        let counted = lab.stp_counters("sw:p2").await?;
        lab.claim("it is counted", counted.rx_notices == 1, counted)?;
        heed(&lab, &c, Config { cost: 9, acknowledged: true, ..root() }).await?;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE_DETECTED, 0).await?;
        lab.say_as_bridge("a", &[Bpdu::new(Said::Notice)]).await?;
        heed(&lab, &c, Config { cost: 8, ..root() }).await?;
        lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE_DETECTED, 0).await
    });
}

const SHORTER: Rule = Rule {
    id: "bridge.topology.the-roots-word-shortens-memory",
    promise: "while the root says that the tree has changed, a bridge's ageing time is twice the \
              forward delay, and afterwards what it was",
    source: Source {
        cite: "IEEE 802.1D-1998, 8.3.5; __br_set_topology_change, net/bridge/br_stp.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_roots_word_shortens_memory() {
    check(&SHORTER, async |case| {
        let lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        for (cost, changed, time) in [(9, false, 30_000), (8, true, 200), (7, false, 30_000)] {
            let word = Config { cost, changed, acknowledged: true, ..root() };
            heed(&lab, &ear, word).await?;
            lab.expect_option("sw:br", bridge::TOPOLOGY_CHANGE, changed.into()).await?;
            lab.expect_option("sw:br", bridge::AGEING_TIME, time).await?;
        }
        Ok(())
    });
}
