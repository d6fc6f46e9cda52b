//! VLANs in ranges: how they are told, how they are changed in one request, and what is told of that.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::bridge;
use hairpin_harness::{
    Bridge, CaseLab, Errno, Need, Notices, PortVlan, Rule, Shot, Source, Stop, Strength, Topology,
    check, vlan_option,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] =
    &[ALIKE, PVID, ROUTERS, WHOLE, CHANGES, OPTIONS, COMING, DEFAULT, UNFIT, SHAPE, UNTAGGED];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 8)];

const FOLLOWING: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 15)];

/// Since 5.10.x, which has it otherwise, and not later than this.
const LATER: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(6, 1)];

const NOT_TAGGED: PortVlan = PortVlan { id: 0, pvid: false, untagged: true };

const TAGGED: PortVlan = PortVlan::tagged(0);

fn filtering() -> Topology {
    switch_with(Bridge::default().mcast_snooping(false).vlan_filtering())
}

/// Holds what was told of VLANs at a link.
fn expect_told(
    lab: &CaseLab,
    notices: &Notices,
    (when, link): (&str, &str),
    lines: &[&str],
) -> Result<(), Stop> {
    let told = lab.told_of(notices)?.into_iter();
    let told = told.filter(|line| line.split(' ').nth(1) == Some(link));
    lab.expect_lines(when, told, lines)
}

const ALIKE: Rule = Rule {
    id: "bridge.ranges.alike-neighbours-are-told-as-one",
    promise: "VLANs of a port with ids in a row are told as one range if their flags and states are \
              alike",
    source: Source {
        cite: "bridge(8), vlan show; br_vlan_can_enter_range, since 5.7",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn alike_neighbours_are_told_as_one() {
    check(&ALIKE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan_range("sw:p1", (5, 9), TAGGED, &[]).await?;
        lab.add_vlan_range("sw:p1", (10, 12), NOT_TAGGED, &[]).await?;
        lab.add_vlan_range("sw:p1", (14, 14), NOT_TAGGED, &[]).await?;
        let lines = ["1 pvid untagged", "5-9", "10-12 untagged", "14 untagged"];
        lab.expect_lines("made", lab.vlan_ranges("sw:p1").await?, &lines)?;
        lab.set_vlan_range("sw:p1", (6, 8), &[(vlan_option::STATE, 4)]).await?;
        let lines = ["1 pvid untagged", "5", "6-8 state 4", "9", "10-12 untagged", "14 untagged"];
        lab.expect_lines("some block", lab.vlan_ranges("sw:p1").await?, &lines)?;
        lab.delete_vlan_range("sw:p1", (9, 11)).await?;
        let lines = ["1 pvid untagged", "5", "6-8 state 4", "12 untagged", "14 untagged"];
        lab.expect_lines("less some", lab.vlan_ranges("sw:p1").await?, &lines)?;
        lab.expect_lines("another port", lab.vlan_ranges("sw:p2").await?, &["1 pvid untagged"])
    });
}

const PVID: Rule = Rule {
    id: "bridge.ranges.the-pvid-is-told-by-itself",
    promise: "the PVID of a port is told by itself, and the VLANs before and behind it without it",
    source: Source {
        cite: "br_vlan_can_enter_range; 5.10.x takes those behind it for one with it, and tells it only",
        strength: Strength::Code,
    },
    article: &[],
    needs: LATER,
};

#[test]
fn the_pvid_is_told_by_itself() {
    check(&PVID, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan_range("sw:p1", (3, 9), TAGGED, &[]).await?;
        lab.add_vlan("sw:p1", PortVlan { id: 6, pvid: true, untagged: false }).await?;
        let lines = ["1 untagged", "3-5", "6 pvid", "7-9"];
        lab.expect_lines("another PVID", lab.vlan_ranges("sw:p1").await?, &lines)?;
        let notices = lab.vlan_notices("sw")?;
        lab.set_vlan_range("sw:p1", (4, 8), &[(vlan_option::STATE, 4)]).await?;
        let told = ["new p1 4-5 state 4", "new p1 6 pvid state 4", "new p1 7-8 state 4"];
        expect_told(&lab, &notices, ("all block", "p1"), &told)
    });
}

const ROUTERS: Rule = Rule {
    id: "bridge.ranges.routers-part-them",
    promise: "VLANs of a port are told apart where a router is behind the port in one and not in the \
              other",
    source: Source { cite: "br_vlan_opts_eq_range, since 5.15", strength: Strength::Code },
    article: &[],
    needs: FOLLOWING,
};

/// A bridge that follows memberships in each VLAN.
fn following() -> Topology {
    switch_with(Bridge::default().mcast_snooping(true).vlan_filtering())
}

#[test]
fn routers_part_them() {
    check(&ROUTERS, async |case| {
        let mut lab = case.lab(&following()).await?;
        lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(1, true)).await?;
        let router = (vlan_option::MCAST_ROUTER, 2);
        lab.add_vlan_range("sw:p1", (5, 7), TAGGED, &[router]).await?;
        lab.add_vlan_range("sw:p1", (8, 9), TAGGED, &[]).await?;
        let lines = ["1 pvid untagged", "5-7 mcast_router 2", "8-9"];
        lab.expect_lines("made", lab.vlan_ranges("sw:p1").await?, &lines)?;
        let notices = lab.vlan_notices("sw")?;
        lab.set_vlan_range("sw:p1", (7, 8), &[(vlan_option::MCAST_ROUTER, 0)]).await?;
        expect_told(&lab, &notices, ("none", "p1"), &["new p1 7-8 mcast_router 0"])?;
        let lines = ["1 pvid untagged", "5-6 mcast_router 2", "7-8 mcast_router 0", "9"];
        lab.expect_lines("changed", lab.vlan_ranges("sw:p1").await?, &lines)
    });
}

const WHOLE: Rule = Rule {
    id: "bridge.ranges.what-is-of-the-whole-bridge",
    promise: "VLANs of a bridge, also those that only ports have, are told as one range while all that \
              is of the whole bridge is alike in them; a change of some is told as theirs, and refused \
              from the first on that there is not",
    source: Source {
        cite: "bridge(8), vlan global; br_vlan_rtm_process_global_options, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FOLLOWING,
};

#[test]
fn what_is_of_the_whole_bridge() {
    check(&WHOLE, async |case| {
        let mut lab = case.lab(&following()).await?;
        lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(1, true)).await?;
        lab.add_vlan_range("sw:br", (10, 14), TAGGED, &[]).await?;
        lab.add_vlan_range("sw:p1", (15, 16), TAGGED, &[]).await?;
        let lines = ["1 global", "10-16 global"];
        lab.expect_lines("alike", lab.global_vlan_ranges("sw:br").await?, &lines)?;
        lab.expect_lines("none of a port", lab.global_vlan_ranges("sw:p1").await?, &[])?;
        let notices = lab.vlan_notices("sw")?;
        let third = [(vlan_option::MCAST_IGMP_VERSION, 3)];
        lab.set_vlan_range("sw:br", (11, 12), &third).await?;
        expect_told(&lab, &notices, ("some", "br"), &["new br 11-12 global"])?;
        let lines = ["1 global", "10 global", "11-12 global", "13-16 global"];
        lab.expect_lines("some are not", lab.global_vlan_ranges("sw:br").await?, &lines)?;
        let done = lab.set_vlan_range("sw:br", (15, 18), &third).await;
        lab.expect_refusal("beyond the last", done, Errno::ENOENT)?;
        expect_told(&lab, &notices, ("up to the last", "br"), &["new br 15-16 global"])?;
        for (link, range) in [("sw:br", (12, 11)), ("sw:p1", (15, 16)), ("sw:br", (0, 10))] {
            let done = lab.set_vlan_range(link, range, &third).await;
            lab.expect_refusal(&format!("{link} {range:?}"), done, Errno::EINVAL)?;
        }
        Ok(())
    });
}

const CHANGES: Rule = Rule {
    id: "bridge.ranges.what-changed-is-told-and-no-more",
    promise: "of the VLANs that a request makes or deletes, those are told, in ranges, that were not \
              there or were something else, and those that were there; a request that changes nothing \
              is not told",
    source: Source {
        cite: "bridge(8), monitor vlan; br_process_vlan_info, since 5.7",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_changed_is_told_and_no_more() {
    check(&CHANGES, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        for link in ["p1", "br"] {
            let at = &*format!("sw:{link}");
            let notices = lab.vlan_notices("sw")?;
            let expect = |lab: &CaseLab, when, lines: &[&str]| {
                let lines: Vec<String> = lines.iter().map(|line| line.replace('@', link)).collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                expect_told(lab, &notices, (when, link), &lines)
            };
            lab.add_vlan_range(at, (5, 9), TAGGED, &[]).await?;
            expect(&lab, "made", &["new @ 5-9"])?;
            lab.add_vlan_range(at, (5, 9), TAGGED, &[]).await?;
            expect(&lab, "made again", &[])?;
            lab.add_vlan_range(at, (3, 11), TAGGED, &[]).await?;
            expect(&lab, "some more", &["new @ 3-4", "new @ 10-11"])?;
            lab.add_vlan_range(at, (8, 9), NOT_TAGGED, &[]).await?;
            expect(&lab, "some without tags", &["new @ 8-9 untagged"])?;
            lab.add_vlans(at, (7, 12), NOT_TAGGED).await?;
            expect(&lab, "by the older call", &["new @ 7 untagged", "new @ 10-12 untagged"])?;
            lab.add_vlan_range(at, (20, 20), TAGGED, &[]).await?;
            expect(&lab, "one", &["new @ 20"])?;
            lab.delete_vlan_range(at, (8, 30)).await?;
            expect(&lab, "deleted", &["gone @ 8-12", "gone @ 20"])?;
            lab.delete_vlans(at, (2, 7)).await?;
            expect(&lab, "deleted by the older call", &["gone @ 3-7"])?;
            lab.delete_vlan_range(at, (2, 40)).await?;
            expect(&lab, "deleted again", &[])?;
        }
        Ok(())
    });
}

const OPTIONS: Rule = Rule {
    id: "bridge.ranges.options-of-many-at-once",
    promise: "an option of a range is set in each VLAN of it up to the first that is not there, and told \
              of those in which it was something else",
    source: Source {
        cite: "bridge(8), vlan set; br_vlan_process_options, since 5.7",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn options_of_many_at_once() {
    check(&OPTIONS, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan_range("sw:p1", (5, 9), TAGGED, &[(vlan_option::STATE, 2)]).await?;
        let lines = ["1 pvid untagged", "5-9 state 2"];
        lab.expect_lines("made to learn", lab.vlan_ranges("sw:p1").await?, &lines)?;
        lab.add_vlan_range("sw:p1", (11, 12), NOT_TAGGED, &[]).await?;
        let notices = lab.vlan_notices("sw")?;
        for (range, state, told) in [
            ((6, 7), 4, vec!["new p1 6-7 state 4"]),
            ((6, 7), 4, vec![]),
            ((5, 9), 4, vec!["new p1 5 state 4", "new p1 8-9 state 4"]),
            ((7, 7), 3, vec!["new p1 7"]),
            ((5, 9), 3, vec!["new p1 5-6", "new p1 8-9"]),
        ] {
            lab.set_vlan_range("sw:p1", range, &[(vlan_option::STATE, state)]).await?;
            expect_told(&lab, &notices, (&format!("{range:?} {state}"), "p1"), &told)?;
        }
        let done = lab.set_vlan_range("sw:p1", (8, 12), &[(vlan_option::STATE, 0)]).await;
        lab.expect_refusal("with one that is not there", done, Errno::ENOENT)?;
        expect_told(&lab, &notices, ("up to it", "p1"), &["new p1 8-9 state 0"])?;
        let lines = ["1 pvid untagged", "5-7", "8-9 state 0", "11-12 untagged"];
        lab.expect_lines("set up to it", lab.vlan_ranges("sw:p1").await?, &lines)
    });
}

const COMING: Rule = Rule {
    id: "bridge.ranges.go-with-their-port",
    promise: "that a port's VLANs went with it is told in ranges, and that it came with the default one",
    source: Source { cite: "__vlan_flush and nbp_vlan_init, since 5.7", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn go_with_their_port() {
    check(&COMING, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan_range("sw:p1", (5, 9), TAGGED, &[]).await?;
        lab.add_vlan_range("sw:p1", (14, 14), TAGGED, &[]).await?;
        let notices = lab.vlan_notices("sw")?;
        lab.set_bridge("sw:p1", None).await?;
        let gone = ["gone p1 1", "gone p1 5-9", "gone p1 14"];
        expect_told(&lab, &notices, ("left", "p1"), &gone)?;
        lab.set_bridge("sw:p1", Some("br")).await?;
        expect_told(&lab, &notices, ("came", "p1"), &["new p1 1 pvid untagged"])
    });
}

const DEFAULT: Rule = Rule {
    id: "bridge.ranges.another-default-vlan-is-told",
    promise: "that the default VLAN of a bridge is another, or none, is told of the bridge and of each \
              port that had the old one",
    source: Source {
        cite: "__br_vlan_set_default_pvid and br_vlan_disable_default_pvid; 5.10.x does not tell that \
               the bridge has lost the old one",
        strength: Strength::Code,
    },
    article: &[],
    needs: LATER,
};

#[test]
fn another_default_vlan_is_told() {
    check(&DEFAULT, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan("sw:p2", PortVlan::access(20)).await?;
        for (id, told) in [(7, vec!["gone @ 1", "new @ 7 pvid untagged"]), (0, vec!["gone @ 7"])] {
            let notices = lab.vlan_notices("sw")?;
            lab.set_option("sw:br", bridge::DEFAULT_PVID, id).await?;
            let all = lab.told_of(&notices)?;
            for link in ["br", "p1", "p3"] {
                let of_link = all.iter().filter(|line| line.split(' ').nth(1) == Some(link));
                let lines: Vec<String> = told.iter().map(|line| line.replace('@', link)).collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                lab.expect_lines(&format!("{link}: {id}"), of_link, &lines)?;
            }
        }
        let lines = ["1 untagged", "20 pvid untagged"];
        lab.expect_lines("a port with a PVID of its own", lab.vlan_ranges("sw:p2").await?, &lines)
    });
}

const UNFIT: Rule = Rule {
    id: "bridge.ranges.no-options-of-what-is-not-there",
    promise: "options are refused for a VLAN beyond the ids that there are, for a range that is empty or \
              whose first or last VLAN is not there, at a link that is no port; a state is refused that \
              is none, and any while the kernel speaks the spanning tree; nothing changes",
    source: Source {
        cite: "br_vlan_rtm_process, br_vlan_process_options and br_vlan_modify_state, since 5.7",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_options_of_what_is_not_there() {
    check(&UNFIT, async |case| {
        let mut lab = case.lab(&filtering().cable("sw:p4", "a:eth1")).await?;
        lab.add_vlan_range("sw:p1", (5, 9), TAGGED, &[]).await?;
        let before = lab.vlan_ranges("sw:p1").await?;
        for (link, range, state, errno) in [
            ("sw:p1", (0, 5), 4, Errno::EINVAL),
            ("sw:p1", (5, 4095), 4, Errno::EINVAL),
            ("sw:p1", (9, 5), 4, Errno::EINVAL),
            ("sw:p1", (4, 9), 4, Errno::ENOENT),
            ("sw:p1", (5, 10), 4, Errno::ENOENT),
            ("sw:p4", (5, 9), 4, Errno::EINVAL),
            ("sw:p1", (5, 9), 5, Errno::EINVAL),
        ] {
            let done = lab.set_vlan_range(link, range, &[(vlan_option::STATE, state)]).await;
            lab.expect_refusal(&format!("{link} {range:?} {state}"), done, errno)?;
        }
        let done = lab.add_vlan_range("sw:p1", (20, 22), PortVlan::access(0), &[]).await;
        lab.expect_refusal("a range of PVIDs", done, Errno::EINVAL)?;
        let after = lab.vlan_ranges("sw:p1").await?;
        lab.claim("nothing changed", before == after, format!("{after:?}"))?;
        lab.set_option("sw:br", bridge::STP, 1).await?;
        let done = lab.set_vlan_range("sw:p1", (5, 9), &[(vlan_option::STATE, 4)]).await;
        lab.expect_refusal("while it speaks the spanning tree", done, Errno::EBUSY)
    });
}

const SHAPE: Rule = Rule {
    id: "bridge.ranges.an-option-is-as-long-as-it-should-be",
    promise: "an option of a VLAN in more bytes than it has is refused, also where its value would do, \
              and nothing changes",
    source: Source {
        cite: "br_vlan_db_policy and nla_parse_nested, net/bridge/br_vlan.c, since 5.7",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
fn an_option_is_as_long_as_it_should_be(#[values(2, 4, 8)] bytes: usize) {
    check(&SHAPE, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        lab.add_vlan_range("sw:p1", (5, 9), TAGGED, &[]).await?;
        let lines = ["1 pvid untagged", "5-9"];
        let long = [(vlan_option::STATE.in_bytes(bytes), 2)];
        let done = lab.set_vlan_range("sw:p1", (5, 9), &long).await;
        lab.expect_refusal("a state that is too long", done, Errno::EINVAL)?;
        lab.expect_lines("nothing changed", lab.vlan_ranges("sw:p1").await?, &lines)?;
        lab.set_vlan_range("sw:p1", (5, 9), &[(vlan_option::STATE, 2)]).await?;
        let lines = ["1 pvid untagged", "5-9 state 2"];
        lab.expect_lines("one that is not", lab.vlan_ranges("sw:p1").await?, &lines)
    });
}

const UNTAGGED: Rule = Rule {
    id: "bridge.ranges.the-pvids-state-is-for-untagged-frames",
    promise: "a state of the PVID at a port is that of untagged frames there, both ways",
    source: Source {
        cite: "bridge(8), vlan set state; br_vlan_set_pvid_state, since 5.7",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_pvids_state_is_for_untagged_frames() {
    check(&UNTAGGED, async |case| {
        let mut lab = case.lab(&filtering()).await?;
        let shot = Shot::broadcast();
        lab.set_vlan_range("sw:p2", (1, 1), &[(vlan_option::STATE, 4)]).await?;
        lab.expect_shot("a", &shot, "c broadcast, sw broadcast").await?;
        lab.expect_shot("b", &shot, "nobody").await?;
        lab.set_vlan_range("sw:p2", (1, 1), &[(vlan_option::STATE, 3)]).await?;
        lab.expect_shot("a", &shot, "b broadcast, c broadcast, sw broadcast").await?;
        lab.expect_shot("b", &shot, "a broadcast, c broadcast, sw broadcast").await?;
        Ok(())
    });
}
