//! What a child does for the stack, and what its parent's changes make of that.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::lan::cabled;
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::{Errno, Family, Mode, Offload, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;
use crate::counted::expect_sums;

pub(crate) const RULES: &[Rule] = &[SAYS, ALWAYS, SUMS, TAGS, JOINS, STAMPS];

const SAYS: Rule = Rule {
    id: "macvlan.offload.what-a-child-says-of-itself",
    promise: "a child names its driver, and has its parent's speed and time stamps, and a link while \
              it has carrier",
    source: Source {
        cite: "macvlan_ethtool_get_drvinfo, macvlan_ethtool_get_link_ksettings and \
               macvlan_ethtool_get_ts_info, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_a_child_says_of_itself() {
    check(&SAYS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        let driver = lab.driver("c1:c0")?;
        lab.claim("its driver is macvlan", driver == "macvlan", driver)?;
        let (own, parents) = (lab.speed("c1:c0")?, lab.speed("p:p0")?);
        lab.claim("its parent's speed", own == parents && own.0 > 0, format!("{own:?}"))?;
        let (own, parents) = (lab.time_stamps("c1:c0")?, lab.time_stamps("p:p0")?);
        // Of what is sent, of what comes, and both by software: 2, 8 and 16. A cable has no clock.
        lab.claim("those of a cable", parents == (0x1a, -1), format!("{parents:x?}"))?;
        lab.claim("its parent's time stamps", own == parents, format!("{own:x?}"))?;
        for up in [true, false, true] {
            lab.set_up("p:p0", up).await?;
            let seen = lab.detects("c1:c0")?;
            lab.claim(&format!("its parent up {up}: it has a link"), seen == up, seen)?;
        }
        Ok(())
    });
}

const ALWAYS: Rule = Rule {
    id: "macvlan.offload.sums-and-segments-are-left-to-the-parent",
    promise: "a child leaves check sums and the cutting of segments to its parent, whatever that \
              does itself, from birth and when its parent changes; to the last moment only while \
              its parent does",
    source: Source {
        cite: "macvlan_init and macvlan_fix_features, ALWAYS_ON_FEATURES, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn sums_and_segments_are_left_to_the_parent() {
    check(&ALWAYS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        let left = [Offload::TxChecksums, Offload::Scatter, Offload::Tso];
        for on in [true, false, true] {
            for offload in left {
                lab.set_offload("p:p0", offload, on)?;
            }
            lab.set_offload("p:p0", Offload::Gso, on)?;
            lab.expect_offload("c1:c0", Offload::Gso, on).await?;
            for offload in left {
                let seen = lab.offload("c1:c0", offload)?;
                lab.claim(&format!("its parent {on}: {offload}"), seen, seen)?;
            }
            lab.delete_last().await?;
            lab.grow(|lan| lan.macvlan("c1:c0", "p:p0", Mode::Bridge)).await?;
        }
        Ok(())
    });
}

const SUMS: Rule = Rule {
    id: "macvlan.offload.broken-sums-are-thrown-away",
    promise: "a datagram with a broken check sum is thrown away and counted by the child that it is \
              for, from outside and from a sibling, and one with a sound sum is not",
    source: Source {
        cite: "macvlan_handle_frame and macvlan_queue_xmit, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn broken_sums_are_thrown_away(#[case] family: Family) {
    check(&SUMS, async |case| {
        let lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        for (from, to) in [("e", "c1"), ("c1", "e"), ("c1", "c2")] {
            expect_sums(&lab, family, from, to)?;
        }
        Ok(())
    });
}

const TAGS: Rule = Rule {
    id: "macvlan.offload.tags-stay-in-frames",
    promise: "a child neither puts tags into what goes nor takes them out of what comes, whatever \
              its parent does, from birth and when that changes",
    source: Source {
        cite: "macvlan_fix_features, MACVLAN_FEATURES, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::out(Offload::TxTags)]
#[case::in_(Offload::RxTags)]
fn tags_stay_in_frames(#[case] offload: Offload) {
    check(&TAGS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        for on in [true, false, true] {
            lab.set_offload("p:p0", offload, on)?;
            let (own, parents) = (lab.offload("c1:c0", offload)?, lab.offload("p:p0", offload)?);
            lab.claim(&format!("its parent: {offload}: {on}"), parents == on, parents)?;
            lab.claim(&format!("the child: {offload}: no"), !own, own)?;
        }
        Ok(())
    });
}

const JOINS: Rule = Rule {
    id: "macvlan.offload.may-join-where-its-parent-can",
    promise: "a child may be told to have what comes joined in hardware, and has it not where its \
              parent cannot; a cable is told in vain",
    source: Source { cite: "macvlan_init, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn may_join_where_its_parent_can() {
    check(&JOINS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        let refused = lab.set_offload("p:p0", Offload::Lro, true);
        lab.expect_refusal("a cable", refused, Errno::EOPNOTSUPP)?;
        let told = lab.set_offload("c1:c0", Offload::Lro, true);
        lab.expect_done("a child", told)?;
        let joins = lab.offload("c1:c0", Offload::Lro)?;
        lab.claim("its parent cannot", !joins, joins)
    });
}

const STAMPS: Rule = Rule {
    id: "macvlan.offload.no-stamps-where-its-parent-has-none",
    promise: "a child of a cable, whose hardware stamps nothing, says so, and can be told to no more \
              than the cable",
    source: Source {
        cite: "macvlan_eth_ioctl, drivers/net/macvlan.c; macvlan_hwtstamp_get and \
               macvlan_hwtstamp_set since 6.6",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_stamps_where_its_parent_has_none() {
    check(&STAMPS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        for link in ["p:p0", "c1:c0"] {
            lab.expect_refusal("to tell it", lab.stamping(link), Errno::EOPNOTSUPP)?;
            for on in [true, false] {
                let done = lab.set_stamping(link, on);
                lab.expect_refusal(&format!("{link}: {on}"), done, Errno::EOPNOTSUPP)?;
            }
        }
        Ok(())
    });
}
