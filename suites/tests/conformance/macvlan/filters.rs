//! Addresses and groups that a child is told to take by hand (`bridge fdb add … self`).
//!
//! ```text
//!   c1 --- p0 --- e0     what a child takes, p0 has on its list
//! ```

use hairpin_fixtures::lan::{cabled, quiet};
use hairpin_harness::{CaseLab, Errno, Mac, Mode, Rule, Shot, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[UNICAST, NOT_OTHERS, GROUPS];

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x21]);

/// A group that nobody joins unasked.
const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x21]);

async fn expect_taken(lab: &CaseLab, when: &str, mac: Mac, at: [bool; 2]) -> Result<(), Stop> {
    for (link, wanted) in ["c1:c0", "p:p0"].into_iter().zip(at) {
        let seen = lab.filters(link).await?.contains(&mac);
        let words = if wanted { "takes" } else { "does not take" };
        lab.claim(&format!("{when}: {link} {words} {mac}"), seen == wanted, seen)?;
    }
    Ok(())
}

const UNICAST: Rule = Rule {
    id: "macvlan.filters.addresses-of-a-passthru-child",
    promise: "a passthru child may be told further addresses; its parent has them on its list \
              while the child is up; each is added once, and gone when it is deleted",
    source: Source {
        cite: "macvlan_fdb_add, macvlan_fdb_del, macvlan_set_mac_lists and macvlan_stop, \
               drivers/net/macvlan.c; bridge(8), fdb self",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn addresses_of_a_passthru_child() {
    check(&UNICAST, async |case| {
        let mut lab = case.lab(&quiet(cabled(Mode::Passthru))).await?;
        expect_taken(&lab, "at first", NEW, [false, false]).await?;
        lab.add_filter("c1:c0", NEW, false).await?;
        expect_taken(&lab, "added", NEW, [true, true]).await?;
        let count = lab.link("c1:c0").await?.promiscuity;
        lab.claim("it does not ask for all for that", count == 0, count)?;
        let again = lab.add_filter("c1:c0", NEW, false).await;
        lab.expect_refusal("to add it again", again, Errno::EEXIST)?;
        lab.set_up("c1:c0", false).await?;
        expect_taken(&lab, "down", NEW, [true, false]).await?;
        lab.set_up("c1:c0", true).await?;
        expect_taken(&lab, "up again", NEW, [true, true]).await?;
        lab.delete_filter("c1:c0", NEW).await?;
        expect_taken(&lab, "deleted", NEW, [false, false]).await?;
        let gone = lab.delete_filter("c1:c0", NEW).await;
        lab.expect_refusal("to delete it again", gone, Errno::ENOENT)?;
        lab.add_filter("c1:c0", NEW, false).await?;
        lab.delete_last().await?;
        let left = lab.filters("p:p0").await?.contains(&NEW);
        lab.claim("nothing is left of a child that is gone", !left, left)
    });
}

const NOT_OTHERS: Rule = Rule {
    id: "macvlan.filters.no-addresses-for-other-modes",
    promise: "children of other modes take no further address; no child has one replaced",
    source: Source {
        cite: "macvlan_fdb_add and macvlan_fdb_del, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::source(Mode::Source)]
fn no_addresses_for_other_modes(#[case] mode: Mode) {
    check(&NOT_OTHERS, async |case| {
        let mut lab = case.lab(&quiet(cabled(mode))).await?;
        let done = lab.add_filter("c1:c0", NEW, false).await;
        lab.expect_refusal("an address", done, Errno::EOPNOTSUPP)?;
        let done = lab.delete_filter("c1:c0", NEW).await;
        lab.expect_refusal("to delete one", done, Errno::EOPNOTSUPP)?;
        let done = lab.add_filter("c1:c0", GROUP, true).await;
        lab.expect_refusal("to replace a group", done, Errno::EOPNOTSUPP)?;
        expect_taken(&lab, "refused", NEW, [false, false]).await?;
        expect_taken(&lab, "refused", GROUP, [false, false]).await
    });
}

const GROUPS: Rule = Rule {
    id: "macvlan.filters.groups-by-hand",
    promise: "a child of any mode that is told a group hears it, as if it had joined, until it is \
              deleted; its parent listens for it meanwhile",
    source: Source {
        cite: "macvlan_fdb_add, macvlan_fdb_del and macvlan_compute_filter, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::passthru(Mode::Passthru)]
fn groups_by_hand(#[case] mode: Mode) {
    check(&GROUPS, async |case| {
        let mut lab = case.lab(&quiet(cabled(mode))).await?;
        lab.add_filter("c1:c0", GROUP, false).await?;
        expect_taken(&lab, "added", GROUP, [true, true]).await?;
        lab.expect_shot("e", &Shot::to(GROUP), "c1 multicast, p multicast").await?;
        let again = lab.add_filter("c1:c0", GROUP, false).await;
        lab.expect_refusal("to add it again", again, Errno::EEXIST)?;
        lab.delete_filter("c1:c0", GROUP).await?;
        expect_taken(&lab, "deleted", GROUP, [false, false]).await?;
        let gone = lab.delete_filter("c1:c0", GROUP).await;
        lab.expect_refusal("to delete it again", gone, Errno::ENOENT)
    });
}
