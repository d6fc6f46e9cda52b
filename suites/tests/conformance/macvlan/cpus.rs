//! What children count, and who has sent what they get: each CPU has counters of its own.
//!
//! ```text
//!   c1:c0 --- p:p0 --- e:e0
//! ```

use hairpin_fixtures::lan::{cabled, quiet};
use hairpin_harness::{Mode, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use crate::counted::{DROPPED, RECEIVED, SENT, expect_of_all_cpus};

pub(crate) const RULES: &[Rule] = &[SUMMED, SENDER];

const SUMMED: Rule = Rule {
    id: "macvlan.cpus.counters-of-all-are-summed",
    promise: "a child counts what it gets, sends and cannot send, whichever CPU is at it",
    source: Source {
        cite: "macvlan_dev_get_stats64, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::vepa(Mode::Vepa)]
#[case::passthru(Mode::Passthru)]
fn counters_of_all_are_summed(#[case] mode: Mode) {
    check(&SUMMED, async |case| {
        let mut lab = case.lab(&quiet(cabled(mode))).await?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let (out, in_) = (Shot::to(e).bytes(200), Shot::to(c1).bytes(200));
        expect_of_all_cpus(&lab, ("c1:c0", &out), ("c1:c0", SENT, (1, 200))).await?;
        expect_of_all_cpus(&lab, ("e:e0", &in_), ("c1:c0", RECEIVED, (1, 200))).await?;
        lab.set_mtu("e:e0", 100).await?;
        expect_of_all_cpus(&lab, ("c1:c0", &out), ("c1:c0", DROPPED, (1, 0))).await
    });
}

const SENDER: Rule = Rule {
    id: "macvlan.cpus.who-watches-is-told-who-sent",
    promise: "who watches a child is told the address of whoever sent what comes to it",
    source: Source {
        cite: "macvlan_hard_header_ops, drivers/net/macvlan.c; packet(7), sll_addr",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn who_watches_is_told_who_sent() {
    check(&SENDER, async |case| {
        let lab = case.lab(&quiet(cabled(Mode::Vepa))).await?;
        lab.expect_told_sender("e:e0", &Shot::to(lab.mac("c1:c0")), "c1:c0")
    });
}
