//! How long a child's frames may be.
//!
//! ```text
//!   c1 --- p0 --- e0
//! ```

use hairpin_fixtures::lan::cabled;
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::{CaseLab, Errno, Mode, Rule, Shot, Source, Stop, Strength, check, options};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[AT_BIRTH, LIMITS, FOLLOWS_DOWN, SIBLINGS];

const AT_BIRTH: Rule = Rule {
    id: "macvlan.mtu.of-its-parent-at-birth",
    promise: "a child is born with its parent's MTU or the smaller one that was asked for, and is \
              refused a larger one",
    source: Source {
        cite: "macvlan_common_newlink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_mtu(lab: &CaseLab, link: &str, mtu: u32) -> Result<(), Stop> {
    let seen = lab.link(link).await?.mtu;
    lab.claim(&format!("{link} has the MTU {mtu}"), seen == mtu, seen)
}

#[test]
fn of_its_parent_at_birth() {
    check(&AT_BIRTH, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge).mtu("p:p0", 1400)).await?;
        expect_mtu(&lab, "c1:c0", 1400).await?;
        let born = |mtu: u32| {
            move |lan: hairpin_harness::Topology| {
                lan.macvlan("other:c1", "p:p0", Mode::Bridge).mtu("other:c1", mtu)
            }
        };
        let refused = lab.grow(born(1401)).await;
        lab.expect_refusal("a child with an MTU above its parent's", refused, Errno::EINVAL)?;
        for mtu in [1400, 1399, 68] {
            let done = lab.grow(born(mtu)).await;
            lab.expect_done(&format!("a child of MTU {mtu}"), done)?;
            expect_mtu(&lab, "other:c1", mtu).await?;
            lab.delete_last().await?;
        }
        Ok(())
    });
}

const LIMITS: Rule = Rule {
    id: "macvlan.mtu.never-above-its-parents",
    promise: "a child's MTU can be set to anything from 68 up to its parent's, and beyond neither",
    source: Source {
        cite: "macvlan_change_mtu and macvlan_setup, drivers/net/macvlan.c; \"macvlan: enforce a \
               consistent minimal mtu\"",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn never_above_its_parents() {
    check(&LIMITS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        for (mtu, taken) in [(1500, true), (1501, false), (1499, true), (68, true), (67, false)] {
            let done = lab.set_mtu("c1:c0", mtu).await;
            if taken {
                lab.expect_done(&format!("an MTU of {mtu}"), done)?;
                expect_mtu(&lab, "c1:c0", mtu).await?;
            } else {
                lab.expect_refusal(&format!("an MTU of {mtu}"), done, Errno::EINVAL)?;
            }
        }
        lab.expect_option("c1:c0", options::link::MIN_MTU, 68).await
    });
}

const FOLLOWS_DOWN: Rule = Rule {
    id: "macvlan.mtu.follows-its-parent-down-only",
    promise: "a child's MTU falls with its parent's and does not rise with it",
    source: Source {
        cite: "macvlan_device_event, NETDEV_CHANGEMTU, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn follows_its_parent_down_only() {
    check(&FOLLOWS_DOWN, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        lab.grow(|lan| lan.macvlan("other:c1", "p:p0", Mode::Bridge).mtu("other:c1", 1300)).await?;
        lab.set_mtu("p:p0", 1400).await?;
        expect_mtu(&lab, "c1:c0", 1400).await?;
        expect_mtu(&lab, "other:c1", 1300).await?;
        lab.set_mtu("p:p0", 1500).await?;
        expect_mtu(&lab, "c1:c0", 1400).await?;
        let done = lab.set_mtu("c1:c0", 1500).await;
        lab.expect_done("the parent's MTU", done)?;
        expect_mtu(&lab, "c1:c0", 1500).await
    });
}

const SIBLINGS: Rule = Rule {
    id: "macvlan.mtu.of-a-sibling-holds-for-groups-only",
    promise: "unicast between siblings may be as long as their parent allows, whatever the \
              receiver's MTU; a broadcast that is longer than the receiver's MTU is dropped and \
              counted there",
    source: Source {
        cite: "observed on 6.1 and 6.18; macvlan_queue_xmit and macvlan_broadcast_one",
        strength: Strength::Observed,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::fits(1414, true)]
#[case::too_long(1514, false)]
fn of_a_sibling_holds_for_groups_only(#[case] bytes: usize, #[case] fits: bool) {
    check(&SIBLINGS, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge).mtu("c2:c0", 1400)).await?;
        let c2 = lab.mac("c2:c0");
        lab.expect_shot("c1", &Shot::to(c2).bytes(bytes), "c2 host").await?;
        let before = lab.counters("c2:c0").await?;
        let heard = if fits { "c2 broadcast, e broadcast" } else { "e broadcast" };
        lab.expect_shot("c1", &Shot::broadcast().bytes(bytes), heard).await?;
        let counted = lab.counters("c2:c0").await? - before;
        // The stack counts it as dropped, and the driver as an error and so as dropped once more.
        let wanted = if fits { (0, 0) } else { (1, 2) };
        let seen = (counted.rx_errors, counted.rx_dropped);
        let claim = format!("c2 counts {wanted:?} errors and dropped");
        lab.claim(&claim, seen == wanted, format!("{seen:?}"))
    });
}
