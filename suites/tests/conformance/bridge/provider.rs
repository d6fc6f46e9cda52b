//! The spanning tree of a provider's bridge (IEEE 802.1ad): it has a group of its own, and customers'
//! bridges speak through it.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               a speaks as a bridge, b and c hear
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, BridgeEar, Case, CaseLab, Config, HeardBpdu, Mac, Rule, Source, Stop, Strength, check,
};

use super::VLANS as NEEDS;
use super::topology::{COST, ROOT, hears, root, says, speak};

pub(crate) const RULES: &[Rule] = &[OWN, THROUGH];

const CUSTOMERS: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 0]);
const PROVIDERS: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 0x08]);

/// How a bridge knows customers' tags, and providers'.
const OF_CUSTOMERS: u64 = 0x8100;
const OF_PROVIDERS: u64 = 0x88a8;

/// A bridge with the spanning tree, when its ports forward.
async fn speaking(case: &mut Case) -> Result<CaseLab, Stop> {
    let settings = Bridge::default().mcast_snooping(false).vlan_filtering();
    let mut lab = case.lab(&switch_with(settings)).await?;
    lab.set_option("sw:br", bridge::VLAN_PROTOCOL, OF_PROVIDERS).await?;
    speak(&mut lab).await?;
    for port in ["sw:p1", "sw:p2", "sw:p3"] {
        lab.expect_to_become(port, port::STATE, 3).await?;
    }
    Ok(lab)
}

/// Holds that such a message is heard, and to which group.
fn hears_to(
    lab: &CaseLab,
    ear: &BridgeEar,
    (what, group): (&str, Mac),
    is: impl Fn(&Config) -> bool,
) -> Result<HeardBpdu, Stop> {
    let heard = hears(lab, ear, what, is)?;
    lab.claim(&format!("{what} is said to {group}"), heard.to == group, heard.to)?;
    Ok(heard)
}

/// Whether it is what that bridge said, as it was said.
fn is_of(root: Mac) -> impl Fn(&Config) -> bool {
    move |config| config.root.1 == root && config.cost == 0
}

const OWN: Rule = Rule {
    id: "bridge.provider.speaks-to-a-group-of-its-own",
    promise: "a provider's bridge says what it knows of the tree to the group of providers' bridges, \
              and heeds what is said to that; a customer's speaks to the group of all bridges",
    source: Source {
        cite: "IEEE 802.1ad, 8.13.5; recalculate_group_addr and br_stp_rcv",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn speaks_to_a_group_of_its_own() {
    check(&OWN, async |case| {
        let mut lab = speaking(case).await?;
        let ear = lab.hear_bridges("c").await?;
        let own = lab.mac("sw:br");
        hears_to(&lab, &ear, ("its own word", PROVIDERS), is_of(own))?;
        let passed_on =
            |cost| move |config: &Config| config.root.1 == ROOT && config.cost == cost + COST;
        lab.say_as_bridge("a", &[says(Config { cost: 9, ..root() }).to(PROVIDERS)]).await?;
        hears_to(&lab, &ear, ("the root's word", PROVIDERS), passed_on(9))?;
        lab.set_option("sw:br", bridge::VLAN_PROTOCOL, OF_CUSTOMERS).await?;
        ear.so_far()?;
        lab.say_as_bridge("a", &[says(Config { cost: 8, ..root() })]).await?;
        hears_to(&lab, &ear, ("a word as a customer's", CUSTOMERS), passed_on(8)).map(|_| ())
    });
}

const THROUGH: Rule = Rule {
    id: "bridge.provider.customers-bridges-speak-through-it",
    promise: "what customers' bridges say of their tree goes through a provider's bridge as it is, and \
              changes nothing in its own tree, though it speaks the same protocol",
    source: Source {
        cite: "IEEE 802.1ad, 8.6.3; br_recalculate_fwd_mask and br_handle_frame",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn customers_bridges_speak_through_it() {
    check(&THROUGH, async |case| {
        let lab = speaking(case).await?;
        let ears = [lab.hear_bridges("b").await?, lab.hear_bridges("c").await?];
        lab.say_as_bridge("a", &[says(root())]).await?;
        for ear in &ears {
            hears_to(&lab, ear, ("the customer's word", CUSTOMERS), is_of(ROOT))?;
        }
        lab.expect_option("sw:br", bridge::ROOT_PORT, 0).await?;
        let own = lab.mac("sw:br");
        hears_to(&lab, &ears[0], ("its own word", PROVIDERS), is_of(own)).map(|_| ())
    });
}
