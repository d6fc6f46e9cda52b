//! VLANs of a port that are mapped to tunnels, as a bridge has it towards a VXLAN link that takes its
//! tunnel from each frame. What a tunnel link makes of it is not asked here.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+          p1 and p2 are told to map
//! ```

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::port;
use hairpin_harness::{
    Bridge, Case, CaseLab, Errno, Error, Kernel, Need, PortVlan, Rule, Shot, Source, Stop,
    Strength, Tag, check,
};
use rstest::rstest;

use super::whole::expect_change_told;

pub(crate) const RULES: &[Rule] = &[TOLD, MANY, NOTICES, REFUSED, LEAVE, GONE];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 8)];

/// The bridge, with VLANs 10 to 14, 20 and 21 at all ports; p1 and p2 may map them.
async fn mapping(case: &mut Case) -> Result<CaseLab, Stop> {
    let settings = Bridge::default().mcast_snooping(false).vlan_filtering();
    let mut lab = case.lab(&switch_with(settings)).await?;
    for link in ["sw:p1", "sw:p2", "sw:p3"] {
        lab.add_vlans(link, (10, 14), PortVlan::tagged(0)).await?;
        lab.add_vlans(link, (20, 21), PortVlan::tagged(0)).await?;
    }
    for link in ["sw:p1", "sw:p2"] {
        lab.set_option(link, port::VLAN_TUNNEL, 1).await?;
    }
    Ok(lab)
}

/// By which request a mapping is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Port,
    Vlans,
}

async fn map(lab: &mut CaseLab, way: Way, vlans: (u16, u16), first: u32) -> Result<(), Error> {
    let last = first + u32::from(vlans.1 - vlans.0);
    match way {
        Way::Port => lab.add_tunnels("sw:p1", vlans, (first, last)).await,
        Way::Vlans => lab.map_vlan_range("sw:p1", vlans, Some(first)).await,
    }
}

/// Holds that it is mapped.
async fn expect_map(
    lab: &mut CaseLab,
    way: Way,
    vlans: (u16, u16),
    first: u32,
) -> Result<(), Stop> {
    let done = map(lab, way, vlans, first).await;
    lab.expect_done(&format!("{vlans:?} to {first} and so on"), done)
}

async fn unmap(lab: &mut CaseLab, way: Way, vlans: (u16, u16)) -> Result<(), Error> {
    match way {
        Way::Port => lab.delete_tunnels("sw:p1", vlans, (0, u32::from(vlans.1 - vlans.0))).await,
        Way::Vlans => lab.map_vlan_range("sw:p1", vlans, None).await,
    }
}

async fn expect_mapped(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    lab.expect_lines(when, lab.tunnels("sw:p1").await?, lines)
}

const TOLD: Rule = Rule {
    id: "bridge.tunnels.told-in-ranges",
    promise: "the tunnels of a port's VLANs are told in ranges in which both go up by one, with its \
              VLANs too; by either request they are made and taken away, and another port has none",
    source: Source {
        cite: "bridge(8), vlan tunnelshow; br_fill_vlan_tunnel_info, br_vlan_opts_eq_range",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::port(Way::Port)]
#[case::vlans(Way::Vlans)]
fn told_in_ranges(#[case] way: Way) {
    check(&TOLD, async |case| {
        let mut lab = mapping(case).await?;
        expect_mapped(&lab, "none yet", &[]).await?;
        for (vlans, first) in [((10, 12), 1000), ((14, 14), 1004), ((20, 20), 5), ((21, 21), 7)] {
            expect_map(&mut lab, way, vlans, first).await?;
        }
        let lines = ["10-12 to 1000-1002", "14 to 1004", "20 to 5", "21 to 7"];
        expect_mapped(&lab, "made", &lines).await?;
        let lines = [
            "1 pvid untagged",
            "10-12 tunnel 1000",
            "13",
            "14 tunnel 1004",
            "20 tunnel 5",
            "21 tunnel 7",
        ];
        lab.expect_lines("with the VLANs", lab.vlan_ranges("sw:p1").await?, &lines)?;
        expect_map(&mut lab, way, (13, 13), 1003).await?;
        let lines = ["10-14 to 1000-1004", "20 to 5", "21 to 7"];
        expect_mapped(&lab, "a gap is filled", &lines).await?;
        unmap(&mut lab, way, (11, 12)).await?;
        unmap(&mut lab, way, (20, 21)).await?;
        let lines = ["10 to 1000", "13-14 to 1003-1004"];
        expect_mapped(&lab, "some are taken away", &lines).await?;
        unmap(&mut lab, way, (13, 13)).await?;
        expect_mapped(&lab, "one is", &["10 to 1000", "14 to 1004"]).await?;
        lab.expect_lines("another port", lab.tunnels("sw:p2").await?, &[])
    });
}

const MANY: Rule = Rule {
    id: "bridge.tunnels.many-are-told-whole",
    promise: "a port with many tunnels, none of them beside another, is told whole, with its VLANs",
    source: Source {
        cite: "br_get_link_af_size_filtered, net/bridge/br_netlink.c; __get_num_vlan_tunnel_infos",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn many_are_told_whole() {
    check(&MANY, async |case| {
        let mut lab = mapping(case).await?;
        let mut lines = Vec::new();
        for id in (101..=299).step_by(2) {
            lab.add_vlan("sw:p1", PortVlan::tagged(id)).await?;
            let tunnel = 3000 + u32::from(id);
            lab.add_tunnels("sw:p1", (id, id), (tunnel, tunnel)).await?;
            lines.push(format!("{id} to {tunnel}"));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        expect_mapped(&lab, "a hundred", &lines).await?;
        // That the port has changed is told with all of them.
        expect_change_told(&mut lab).await
    });
}

const NOTICES: Rule = Rule {
    id: "bridge.tunnels.a-change-is-told",
    promise: "that VLANs are mapped to tunnels, or no longer, is told of those VLANs, in ranges, and \
              of none that a request did not reach",
    source: Source {
        cite: "bridge(8), monitor vlan; __vlan_tunnel_handle_range, since 5.8",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::port(Way::Port)]
#[case::vlans(Way::Vlans)]
fn a_change_is_told(#[case] way: Way) {
    check(&NOTICES, async |case| {
        let mut lab = mapping(case).await?;
        let notices = lab.vlan_notices("sw")?;
        expect_map(&mut lab, way, (10, 12), 1000).await?;
        lab.expect_lines("made", lab.told_of(&notices)?, &["new p1 10-12 tunnel 1000"])?;
        expect_map(&mut lab, way, (20, 20), 5).await?;
        lab.expect_lines("one is", lab.told_of(&notices)?, &["new p1 20 tunnel 5"])?;
        unmap(&mut lab, way, (11, 12)).await?;
        lab.expect_lines("taken away", lab.told_of(&notices)?, &["new p1 11-12"])?;
        let done = map(&mut lab, way, (12, 14), 1000).await;
        lab.expect_refusal("a tunnel that another VLAN has", done, Errno::EEXIST)?;
        Ok(())
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.tunnels.no-two-of-one",
    promise: "a VLAN has one tunnel and a tunnel one VLAN of a port; a mapping is refused at a port \
              that is not told to map, of a VLAN that it is not in, and in ranges that are not of \
              one length; nothing changes",
    source: Source {
        cite: "__vlan_tunnel_info_add and br_process_vlan_tunnel_info, since 4.11; 5.10.x takes a range \
               that runs backwards, and maps nothing",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// A series that refuses it; 5.10 does not.
const BACKWARDS: Kernel = Kernel::new(6, 1);

#[test]
fn no_two_of_one() {
    check(&REFUSED, async |case| {
        let mut lab = mapping(case).await?;
        lab.add_tunnels("sw:p1", (10, 11), (1000, 1001)).await?;
        for (link, vlans, tunnels, errno) in [
            ("sw:p3", (10, 10), (1, 1), Errno::EINVAL),
            ("sw:p1", (30, 30), (1, 1), Errno::EINVAL),
            ("sw:p1", (10, 10), (7, 7), Errno::EEXIST),
            ("sw:p1", (10, 10), (1000, 1000), Errno::EEXIST),
            ("sw:p1", (12, 12), (1001, 1001), Errno::EEXIST),
            ("sw:p1", (12, 14), (7, 8), Errno::EINVAL),
            ("sw:p1", (12, 13), (7, 9), Errno::EINVAL),
            ("sw:p1", (4095, 4095), (7, 7), Errno::ERANGE),
        ] {
            let done = lab.add_tunnels(link, vlans, tunnels).await;
            lab.expect_refusal(&format!("{link} {vlans:?} {tunnels:?}"), done, errno)?;
        }
        if Kernel::running() >= BACKWARDS {
            let done = lab.add_tunnels("sw:p1", (14, 12), (9, 7)).await;
            lab.expect_refusal("a range that runs backwards", done, Errno::EINVAL)?;
        }
        for (link, vlans, errno) in [
            ("sw:p3", (10, 10), Errno::EINVAL),
            ("sw:p1", (11, 11), Errno::EEXIST),
            ("sw:p1", (30, 30), Errno::ENOENT),
        ] {
            let done = lab.map_vlan_range(link, vlans, Some(7)).await;
            lab.expect_refusal(&format!("{link} {vlans:?} to 7"), done, errno)?;
        }
        expect_mapped(&lab, "nothing changed", &["10-11 to 1000-1001"]).await?;
        lab.add_tunnels("sw:p2", (12, 12), (1001, 1001)).await?;
        lab.expect_lines("of another port", lab.tunnels("sw:p2").await?, &["12 to 1001"])
    });
}

const LEAVE: Rule = Rule {
    id: "bridge.tunnels.frames-leave-without-the-tag",
    promise: "a frame of a VLAN that is mapped leaves the port without its tag, for the tunnel tells \
              it; other VLANs and other ports keep theirs",
    source: Source {
        cite: "br_handle_egress_vlan_tunnel, net/bridge/br_vlan_tunnel.c, since 4.11",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Holds in how a broadcast of each VLAN from c comes out at a.
async fn expect_leaving(lab: &mut CaseLab, mapped: bool) -> Result<(), Stop> {
    for (id, is_bare) in [(10, mapped), (20, false)] {
        let shot = Shot::broadcast().tag(Tag::vlan(id));
        let at_a = if is_bare { "a broadcast".into() } else { format!("a other vlan {id}") };
        lab.expect_shot("c", &shot, &format!("{at_a}, b other vlan {id}")).await?;
    }
    Ok(())
}

#[test]
fn frames_leave_without_the_tag() {
    check(&LEAVE, async |case| {
        let mut lab = mapping(case).await?;
        expect_leaving(&mut lab, false).await?;
        expect_map(&mut lab, Way::Port, (10, 10), 1000).await?;
        expect_leaving(&mut lab, true).await?;
        // What comes in without a tunnel is what its tag says.
        let shot = Shot::broadcast().tag(Tag::vlan(10));
        lab.expect_shot("a", &shot, "b other vlan 10, c other vlan 10").await?;
        unmap(&mut lab, Way::Port, (10, 10)).await?;
        expect_leaving(&mut lab, false).await
    });
}

const GONE: Rule = Rule {
    id: "bridge.tunnels.go-with-what-they-are-of",
    promise: "a mapping goes with its VLAN, and all of a port when it is told to map no more; the \
              tunnels are free for others then, and what comes again has none",
    source: Source {
        cite: "br_setport, nbp_vlan_tunnel_info_flush and __vlan_del, since 4.11",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn go_with_what_they_are_of() {
    check(&GONE, async |case| {
        let mut lab = mapping(case).await?;
        expect_map(&mut lab, Way::Port, (10, 11), 1000).await?;
        lab.delete_vlan("sw:p1", 10).await?;
        expect_mapped(&lab, "a VLAN went", &["11 to 1001"]).await?;
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        expect_mapped(&lab, "it is there again", &["11 to 1001"]).await?;
        expect_map(&mut lab, Way::Port, (12, 12), 1000).await?;
        expect_mapped(&lab, "its tunnel is free", &["11 to 1001", "12 to 1000"]).await?;
        // Another setting of the port changes nothing of them.
        lab.set_option("sw:p1", port::LEARNING, 0).await?;
        expect_mapped(&lab, "a setting", &["11 to 1001", "12 to 1000"]).await?;
        lab.set_option("sw:p1", port::VLAN_TUNNEL, 0).await?;
        expect_mapped(&lab, "told to map no more", &[]).await?;
        lab.set_option("sw:p1", port::VLAN_TUNNEL, 1).await?;
        expect_mapped(&lab, "told to again", &[]).await?;
        expect_map(&mut lab, Way::Port, (10, 10), 1001).await?;
        expect_mapped(&lab, "all are free", &["10 to 1001"]).await
    });
}
