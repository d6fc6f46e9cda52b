//! Entries that are deleted many at once, by what they have in common.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::{
    Bridge, CaseLab, Errno, Fdb, Flush, Mac, Need, PortVlan, Quality, Rule, Shot, Source, Stop,
    Strength, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[CHOSEN, OTHERS, UNFIT];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(6, 0)];

/// Addresses that no link of the topology has, and how their entries are named below.
const NAMES: [&str; 7] = ["learned", "dynamic", "pinned", "sticky", "extern", "own", "far"];

fn mac(name: &str) -> Mac {
    let number = NAMES.iter().position(|other| *other == name).unwrap_or(NAMES.len());
    Mac([0x02, 0x68, 0x70, 0xff, 0x01, u8::try_from(number).unwrap_or(u8::MAX)])
}

/// Gives the bridge an entry of each kind, all at p1 and in VLAN 1 but one at p2 and in VLAN 10.
async fn fill(lab: &mut CaseLab) -> Result<(), Stop> {
    lab.add_vlan("sw:p2", PortVlan::tagged(10)).await?;
    lab.shoot("a", &Shot::broadcast().from(mac("learned"))).await?;
    for (name, entry) in [
        ("dynamic", Fdb::DYNAMIC),
        ("pinned", Fdb::STATIC),
        ("sticky", Fdb::STICKY),
        ("extern", Fdb::EXTERN),
        ("own", Fdb::OWN),
    ] {
        lab.add_fdb("sw:p1", mac(name), entry.vlan(1)).await?;
    }
    lab.add_fdb("sw:p2", mac("far"), Fdb::STATIC.vlan(10)).await?;
    Ok(())
}

/// Holds which of these entries are left.
async fn expect_left(lab: &CaseLab, when: &str, names: &str) -> Result<(), Stop> {
    let entries = lab.fdb("sw").await?;
    let left = NAMES.iter().filter(|name| entries.iter().any(|entry| entry.mac == mac(name)));
    let left = left.copied().collect::<Vec<_>>().join(" ");
    lab.claim(&format!("{when}: {names} are left"), left == names, &left)
}

fn filtering() -> hairpin_harness::Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

const CHOSEN: Rule = Rule {
    id: "bridge.flush.what-fits-and-nothing-else",
    promise: "of the forwarding entries all are deleted, and only those, that are at the port, in the \
              VLAN, and of the kind that is named, also by what they are not",
    source: Source {
        cite: "bridge(8), fdb flush; br_fdb_delete_bulk, since 6.0",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::all("sw:br", Flush::default(), "")]
#[case::a_port("sw:p2", Flush::default(), "learned dynamic pinned sticky extern own")]
#[case::a_port_by_name("sw:br", Flush::default().at("p1"), "far")]
#[case::the_bridge_itself("sw:br", Flush::default().at("br"), "learned dynamic pinned sticky extern own far")]
#[case::a_vlan("sw:br", Flush::default().vlan(1), "far")]
#[case::another_vlan("sw:br", Flush::default().vlan(10), "learned dynamic pinned sticky extern own")]
#[case::a_vlan_elsewhere("sw:br", Flush::default().vlan(10).at("p1"), "learned dynamic pinned sticky extern own far")]
#[case::own("sw:br", Flush::default().only(Quality::Own, true), "learned dynamic pinned sticky extern far")]
#[case::not_own("sw:br", Flush::default().only(Quality::Own, false), "own")]
#[case::fixed("sw:br", Flush::default().only(Quality::Fixed, true), "learned dynamic extern")]
#[case::not_fixed("sw:br", Flush::default().only(Quality::Fixed, false), "pinned sticky own far")]
#[case::by_hand("sw:br", Flush::default().only(Quality::ByHand, true), "learned")]
#[case::not_by_hand("sw:br", Flush::default().only(Quality::ByHand, false), "dynamic pinned sticky extern own far")]
#[case::external("sw:br", Flush::default().only(Quality::ExternLearn, true), "learned dynamic pinned sticky own far")]
#[case::sticky("sw:br", Flush::default().only(Quality::Sticky, true), "learned dynamic pinned extern own far")]
#[case::fixed_and_not_sticky(
    "sw:p1",
    Flush::default().only(Quality::Fixed, true).only(Quality::Sticky, false),
    "learned dynamic sticky extern far"
)]
fn what_fits_and_nothing_else(#[case] link: &str, #[case] which: Flush, #[case] left: &str) {
    check(&CHOSEN, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        fill(&mut lab).await?;
        expect_left(&lab, "before", &NAMES.join(" ")).await?;
        let done = lab.flush_entries(link, &which).await;
        lab.expect_done(&format!("{which:?}"), done)?;
        expect_left(&lab, &format!("{which:?}"), left).await
    });
}

const OTHERS: Rule = Rule {
    id: "bridge.flush.each-is-told-as-gone",
    promise: "each entry that is deleted with others is told as gone, and its address is unknown again",
    source: Source {
        cite: "br_fdb_flush, net/bridge/br_fdb.c, since 6.0",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_is_told_as_gone() {
    check(&OTHERS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        fill(&mut lab).await?;
        let shot = Shot::to(mac("pinned"));
        lab.expect_shot("b", &shot, "a other").await?;
        let notices = lab.notices("sw")?;
        let which = Flush::default().only(Quality::Fixed, true).only(Quality::Own, false);
        lab.flush_entries("sw:p1", &which).await?;
        let mut told = lab.told_of(&notices)?;
        told.sort();
        let lines = [("pinned", ""), ("sticky", " sticky")]
            .map(|(name, more)| format!("gone {} p1 vlan 1 static{more}", mac(name)));
        lab.expect_lines("told", told, &[&lines[0], &lines[1]])?;
        lab.expect_shot("b", &shot, "a other, c other").await?;
        Ok(())
    });
}

const UNFIT: Rule = Rule {
    id: "bridge.flush.nothing-by-what-cannot-be-chosen",
    promise: "a deletion of many is refused at a link that is no port, for a port of another bridge, a \
              link that is none, another bridge, and by a state or flag that no entry is chosen by; \
              nothing is deleted then",
    source: Source {
        cite: "__fdb_flush_validate_ifindex and br_fdb_delete_bulk, net/bridge/br_fdb.c, since 6.0",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nothing_by_what_cannot_be_chosen() {
    check(&UNFIT, async |case| {
        let topology = filtering().bridge("sw:other").cable("sw:p4", "a:eth1");
        let topology = topology.cable("sw:p5", "a:eth2").port("sw:p5", "other");
        let mut lab = case.lab(&topology).await?;
        fill(&mut lab).await?;
        for (which, errno) in [
            (Flush::default().at("p4"), Errno::EINVAL),
            (Flush::default().at("p5"), Errno::EINVAL),
            (Flush::default().at("other"), Errno::EINVAL),
            (Flush::default().only(Quality::Stale, true), Errno::EINVAL),
            (Flush::default().only(Quality::Router, true), Errno::EINVAL),
        ] {
            let done = lab.flush_entries("sw:br", &which).await;
            lab.expect_refusal(&format!("{which:?}"), done, errno)?;
        }
        let done = lab.flush_entries("sw:p4", &Flush::default()).await;
        lab.expect_refusal("at a link that is no port", done, Errno::EOPNOTSUPP)?;
        lab.flush_entries("sw:other", &Flush::default()).await?;
        expect_left(&lab, "all refused", &NAMES.join(" ")).await
    });
}
