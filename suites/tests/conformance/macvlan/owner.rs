//! What a passthru child does with its parent: one that is down, groups, counters.
//!
//! ```text
//!   c1 (passthru) --- p0 --- s0 [switch] s1 --- e
//! ```

use hairpin_fixtures::lan::{cabled, quiet, single_lan};
use hairpin_harness::options::macvlan::{FLAGS, MODE};
use hairpin_harness::{Errno, Filter, Mac, Mode, Rule, Shot, Source, Strength, check, options};
use rstest::rstest;

use super::{NEEDS, NEEDS_ALLMULTI, expect_promiscuity};
use crate::counted::{MORE, expect_bytes};

pub(crate) const RULES: &[Rule] = &[DOWN, ALLMULTI, COUNTED, STAYS, TAKEN, SAME, LISTED];

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x41]);

const DOWN: Rule = Rule {
    id: "macvlan.owner.one-that-is-down-keeps-its-parent-deaf",
    promise: "a passthru child that is down takes no frame, and its parent hears no unicast \
              either; up again the child has it all",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_that_is_down_keeps_its_parent_deaf() {
    check(&DOWN, async |case| {
        let mut lab = case.lab(&quiet(single_lan(Mode::Passthru))).await?;
        let p = lab.mac("p:p0");
        lab.set_up("c1:c0", false).await?;
        lab.expect_shot("e", &Shot::to(p), "nobody").await?;
        lab.set_up("c1:c0", true).await?;
        lab.expect_shot("e", &Shot::to(p), "c1 host").await?;
        lab.delete_last().await?;
        lab.grow(|lan| lan.macvlan("c1:c0", "p:p0", Mode::Bridge).down("c1:c0")).await?;
        lab.expect_shot("e", &Shot::to(p), "p host").await?;
        Ok(())
    });
}

const ALLMULTI: Rule = Rule {
    id: "macvlan.owner.all-groups-are-its-parents",
    promise: "a passthru child that asks for all groups makes its parent ask for them once, and \
              no longer when it does not",
    source: Source {
        cite: "macvlan_change_rx_flags, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS_ALLMULTI,
};

#[test]
fn all_groups_are_its_parents() {
    check(&ALLMULTI, async |case| {
        let mut lab = case.lab(&cabled(Mode::Passthru)).await?;
        for (on, count) in [(true, 1), (false, 0), (true, 1), (false, 0)] {
            lab.set_filter("c1:c0", Filter::Allmulti, on).await?;
            lab.expect_option("p:p0", options::link::ALLMULTI, count).await?;
            expect_promiscuity(&lab, "all groups", 1).await?;
        }
        Ok(())
    });
}

const COUNTED: Rule = Rule {
    id: "macvlan.owner.counts-what-it-takes",
    promise: "a passthru child counts each byte that it takes, for whomever it was, and each that \
              it sends; a broadcast counts once at it and once at its parent",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn counts_what_it_takes() {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&quiet(single_lan(Mode::Passthru))).await?;
        let (p, e) = (lab.mac("p:p0"), lab.mac("e:e0"));
        let inward = [("c1:c0", MORE, 0), ("p:p0", MORE, 0)];
        let outward = [("c1:c0", 0, MORE), ("p:p0", 0, MORE)];
        for (from, shot, heard, wanted) in [
            ("e", Shot::to(p), "c1 host", &inward),
            ("e", Shot::to(NEW), "c1 host", &inward),
            ("e", Shot::broadcast(), "c1 broadcast, p broadcast", &inward),
            ("c1", Shot::to(e), "e host", &outward),
            ("c1", Shot::broadcast(), "e broadcast", &outward),
        ] {
            expect_bytes(&mut lab, (from, &shot, heard), wanted).await?;
        }
        Ok(())
    });
}

const STAYS: Rule = Rule {
    id: "macvlan.owner.stays-passthru",
    promise: "a passthru child takes no other mode, the others do not take that one, and a refused \
              change alters nothing, the flag that was asked for with it neither",
    source: Source { cite: "macvlan_changelink, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(1)]
#[case::vepa(2)]
#[case::bridge(4)]
#[case::source(16)]
fn stays_passthru(#[case] other: u64) {
    check(&STAYS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Passthru)).await?;
        let done = lab.set_options("c1:c0", &[(MODE, other), (FLAGS, 1)]).await;
        lab.expect_refusal("to leave passthru", done, Errno::EINVAL)?;
        lab.expect_option("c1:c0", MODE, 8).await?;
        lab.expect_option("c1:c0", FLAGS, 0).await?;
        expect_promiscuity(&lab, "refused", 1).await?;
        let done = lab.set_options("c1:c0", &[(MODE, 8), (FLAGS, 1)]).await;
        lab.expect_done("the same mode with a flag", done)?;
        lab.expect_option("c1:c0", FLAGS, 1).await?;
        expect_promiscuity(&lab, "nopromisc", 0).await?;
        lab.delete_last().await?;
        lab.grow(|lan| {
            let mode = match other {
                1 => Mode::Private,
                2 => Mode::Vepa,
                4 => Mode::Bridge,
                _ => Mode::Source,
            };
            lan.macvlan("c1:c0", "p:p0", mode)
        })
        .await?;
        let done = lab.set_options("c1:c0", &[(MODE, 8), (FLAGS, 2)]).await;
        lab.expect_refusal("to become passthru", done, Errno::EINVAL)?;
        lab.expect_option("c1:c0", MODE, other).await?;
        lab.expect_option("c1:c0", FLAGS, 0).await
    });
}

const TAKEN: Rule = Rule {
    id: "macvlan.owner.of-a-parent-that-is-free",
    promise: "when a passthru child is gone its parent takes children of other modes again, and \
              theirs gone, one in passthru mode",
    source: Source {
        cite: "macvlan_common_newlink and macvlan_port_destroy, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_a_parent_that_is_free() {
    check(&TAKEN, async |case| {
        let mut lab = case.lab(&single_lan(Mode::Passthru)).await?;
        for mode in [Mode::Bridge, Mode::Passthru, Mode::Source, Mode::Passthru] {
            lab.delete_last().await?;
            let made = lab.grow(|lan| lan.macvlan("c1:c0", "p:p0", mode)).await;
            lab.expect_done(&format!("a child in {mode} mode"), made)?;
            let p = lab.mac("p:p0");
            let heard = if mode == Mode::Passthru { "c1 host" } else { "p host" };
            lab.expect_shot("e", &Shot::to(p), heard).await?;
        }
        Ok(())
    });
}

const SAME: Rule = Rule {
    id: "macvlan.owner.its-own-address-again",
    promise: "a passthru child that is given the address that it has changes nothing, and no bad \
              one: its parent keeps its own",
    source: Source {
        cite: "macvlan_set_mac_address, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn its_own_address_again() {
    check(&SAME, async |case| {
        let mut lab = case.lab(&cabled(Mode::Passthru)).await?;
        let own = lab.link("p:p0").await?.mac;
        lab.set_mac("c1:c0", own).await?;
        for bad in [Mac::BROADCAST, Mac([0; 6]), Mac([1, 0, 0x5e, 0, 0, 1])] {
            let done = lab.set_mac("c1:c0", bad).await;
            lab.expect_refusal(&format!("{bad}"), done, Errno::EADDRNOTAVAIL)?;
        }
        // What is set at the parent itself is what it has when the child is gone.
        lab.set_mac("p:p0", NEW).await?;
        for link in ["p:p0", "c1:c0"] {
            let seen = lab.link(link).await?.mac;
            lab.claim(&format!("{link} has {NEW}"), seen == NEW, seen)?;
        }
        lab.delete_last().await?;
        let seen = lab.link("p:p0").await?.mac;
        lab.claim("and afterwards", seen == NEW, seen)
    });
}

const LISTED: Rule = Rule {
    id: "macvlan.owner.its-address-is-no-further-one-of-its-parent",
    promise: "the address of a passthru child is its parent's own: it is not on the list of further \
              ones that the parent takes, whoever of the two it was given to, up or down",
    source: Source {
        cite: "macvlan_open and macvlan_sync_address, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn its_address_is_no_further_one_of_its_parent() {
    const GIVEN: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x42]);
    check(&LISTED, async |case| {
        let mut lab = case.lab(&quiet(cabled(Mode::Passthru))).await?;
        let own = lab.link("p:p0").await?.mac;
        for (link, mac) in [("c1:c0", NEW), ("p:p0", GIVEN), ("c1:c0", own)] {
            lab.set_mac(link, mac).await?;
            for up in [true, false, true] {
                lab.set_up("c1:c0", up).await?;
                let listed = lab.filters("p:p0").await?;
                let further = [own, NEW, GIVEN].into_iter().any(|mac| listed.contains(&mac));
                let claim = format!("{mac} given to {link}, up {up}: none is listed");
                lab.claim(&claim, !further, format!("{listed:?}"))?;
            }
        }
        Ok(())
    });
}
