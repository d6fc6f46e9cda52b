//! Memberships where VLANs are kept apart: of which VLAN each is, and what a bridge does that follows
//! them in each VLAN by itself (`mcast_vlan_snooping`).
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               all ports are tagged members of VLANs 10 and 20
//!   b --- p2 +----+
//! ```

use std::net::IpAddr;

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::bridge;
use hairpin_harness::{
    Bridge, Case, CaseLab, Errno, Family, Mac, Message, Need, PortVlan, Rule, Shot, Source, Stop,
    Strength, Tag, check, vlan_option,
};
use rstest::rstest;

use super::querier::{MARKER, group, to};

pub(crate) const RULES: &[Rule] =
    &[BY_HAND, ALONE, OFF, ASKS, JOINS, ROUTER, LEAVES, SWITCHED, NOWHERE];

const BY_HAND: Rule = Rule {
    id: "bridge.followed.by-hand-in-one-vlan-or-in-all",
    promise: "where VLANs are kept apart, a membership that is made without a VLAN is made and ended \
              in each of the port's, one that is made with a VLAN in that alone; there is none in \
              VLAN 4095",
    source: Source {
        cite: "bridge(8), mdb vid; br_mdb_add and br_mdb_del, net/bridge/br_mdb.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 13)],
};

/// The switch, with both VLANs at all ports.
async fn in_two_vlans(case: &mut Case) -> Result<CaseLab, Stop> {
    let settings = Bridge::default().mcast_snooping(true).vlan_filtering();
    let mut lab = case.lab(&switch_with(settings)).await?;
    for port in ["sw:p1", "sw:p2", "sw:p3"] {
        for id in [10, 20] {
            lab.add_vlan(port, PortVlan::tagged(id)).await?;
        }
    }
    Ok(lab)
}

/// The same, following memberships in each VLAN by itself.
async fn by_vlan(case: &mut Case) -> Result<CaseLab, Stop> {
    let mut lab = in_two_vlans(case).await?;
    lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(1, true)).await?;
    Ok(lab)
}

/// Holds by which ports and in which VLANs the group has members.
async fn expect_members(lab: &CaseLab, group: &str, lines: &[&str]) -> Result<(), Stop> {
    let all = lab.mdb("sw").await?.into_iter().filter(|entry| entry.group == group);
    let seen = all.map(|entry| format!("{} {}", entry.link, entry.vlan.unwrap_or_default()));
    lab.expect_lines(&format!("members of {group}"), seen, lines)
}

#[test]
fn by_hand_in_one_vlan_or_in_all() {
    const NAME: &str = "01:68:70:00:00:01";
    check(&BY_HAND, async |case| {
        let mut lab = in_two_vlans(case).await?;
        let shot = |id| Shot::to(Mac([1, 0x68, 0x70, 0, 0, 1])).tag(Tag::vlan(id));
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, None).await;
        lab.expect_done("one in all", done)?;
        expect_members(&lab, NAME, &["p2 1", "p2 10", "p2 20"]).await?;
        lab.add_mdb("sw:br", "sw:p3", NAME, Some(10)).await?;
        expect_members(&lab, NAME, &["p2 1", "p2 10", "p2 20", "p3 10"]).await?;
        lab.expect_shot("a", &shot(10), "b other vlan 10, c other vlan 10").await?;
        lab.expect_shot("a", &shot(20), "b other vlan 20").await?;
        lab.delete_mdb("sw:br", "sw:p2", NAME, None).await?;
        expect_members(&lab, NAME, &["p3 10"]).await?;
        lab.expect_shot("a", &shot(10), "c other vlan 10").await?;
        lab.expect_shot("a", &shot(20), "b other vlan 20, c other vlan 20").await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, Some(4095)).await;
        lab.expect_refusal("in VLAN 4095", done, Errno::EINVAL)
    });
}

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering, Need::Since(5, 15)];

const ALONE: Rule = Rule {
    id: "bridge.followed.in-its-vlan-alone",
    promise: "where memberships are a matter of each VLAN, one that is reported in a VLAN is of that \
              alone, and groups go to members only in the VLAN in which somebody asks; in another \
              they go everywhere, those with members too",
    source: Source {
        cite: "ip-link(8), mcast_vlan_snooping; br_multicast_rcv, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

/// Has a host say something in a VLAN.
async fn say(lab: &mut CaseLab, host: &str, id: u16, message: &Message) -> Result<(), Stop> {
    lab.shoot(host, &Shot::message(message).tag(Tag::vlan(id))).await?;
    Ok(())
}

/// Has `a` ask in a VLAN, and waits until the bridge follows there what it is told: until a
/// membership has ended that nobody claims.
async fn ask_in(lab: &mut CaseLab, id: u16, family: Family) -> Result<(), Stop> {
    let marker = group(family, MARKER);
    say(lab, "c", id, &Message::report(marker)).await?;
    lab.expect_member("sw:p3", &marker.to_string(), true).await?;
    say(lab, "a", id, &Message::query(family)).await?;
    say(lab, "a", id, &Message::query_of(marker, 1)).await?;
    lab.expect_member("sw:p3", &marker.to_string(), false).await
}

/// Holds who hears a datagram of `c` to a group in a VLAN.
async fn expect_datagram(
    lab: &mut CaseLab,
    group: IpAddr,
    id: u16,
    hosts: &[&str],
) -> Result<(), Stop> {
    let heard: Vec<String> = hosts.iter().map(|host| format!("{host} other vlan {id}")).collect();
    lab.expect_shot("c", &to(group).tag(Tag::vlan(id)), &heard.join(", ")).await?;
    Ok(())
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn in_its_vlan_alone(#[case] family: Family) {
    check(&ALONE, async |case| {
        let mut lab = by_vlan(case).await?;
        let (known, unknown) = (group(family, 1), group(family, 2));
        for id in [10, 20] {
            say(&mut lab, "b", id, &Message::report(known)).await?;
        }
        expect_members(&lab, &known.to_string(), &["p2 10", "p2 20"]).await?;
        ask_in(&mut lab, 10, family).await?;
        for group in [known, unknown] {
            expect_datagram(&mut lab, group, 20, &["a", "b"]).await?;
        }
        expect_datagram(&mut lab, known, 10, &["a", "b"]).await?;
        expect_datagram(&mut lab, unknown, 10, &["a"]).await?;
        ask_in(&mut lab, 20, family).await?;
        expect_datagram(&mut lab, unknown, 20, &["a"]).await
    });
}

const OFF: Rule = Rule {
    id: "bridge.followed.not-in-a-vlan-that-is-told-not-to",
    promise: "in a VLAN in which memberships are not followed there are none, those that were there \
              are gone and those in other VLANs stay; messages about them pass as they are; on again \
              they are followed",
    source: Source {
        cite: "bridge(8), vlan global set mcast_snooping; br_multicast_toggle_global_vlan, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn not_in_a_vlan_that_is_told_not_to(#[case] family: Family) {
    check(&OFF, async |case| {
        let mut lab = by_vlan(case).await?;
        let (group, name) = (group(family, 1), group(family, 1).to_string());
        let report = Message::report(group);
        let unsound = Shot::message(&report.clone().unsound()).tag(Tag::vlan(10));
        for id in [10, 20] {
            say(&mut lab, "b", id, &report).await?;
        }
        expect_members(&lab, &name, &["p2 10", "p2 20"]).await?;
        lab.expect_shot("b", &unsound, "nobody").await?;
        lab.set_vlan_option("sw:br", 10, vlan_option::MCAST_SNOOPING, 0).await?;
        expect_members(&lab, &name, &["p2 20"]).await?;
        for id in [10, 20] {
            say(&mut lab, "c", id, &report).await?;
        }
        expect_members(&lab, &name, &["p2 20", "p3 20"]).await?;
        lab.expect_shot("b", &unsound, "a other vlan 10, c other vlan 10").await?;
        lab.set_vlan_option("sw:br", 10, vlan_option::MCAST_SNOOPING, 1).await?;
        say(&mut lab, "c", 10, &report).await?;
        expect_members(&lab, &name, &["p2 20", "p3 10", "p3 20"]).await?;
        // What has no tag is of the PVID.
        for (on, lines) in
            [(0, &["p2 20", "p3 10", "p3 20"][..]), (1, &["p2 20", "p3 1", "p3 10", "p3 20"])]
        {
            lab.set_vlan_option("sw:br", 1, vlan_option::MCAST_SNOOPING, on).await?;
            lab.shoot("c", &Shot::message(&report)).await?;
            expect_members(&lab, &name, lines).await?;
        }
        Ok(())
    });
}

const ASKS: Rule = Rule {
    id: "bridge.followed.asks-in-the-vlan-that-is-told-to",
    promise: "a bridge that is told to ask in a VLAN asks there at each port that is in it, with the \
              VLAN's tag where the port's frames of it have one, and in no other VLAN",
    source: Source {
        cite: "bridge(8), vlan global set mcast_querier; __br_multicast_query_handle_vlan, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn asks_in_the_vlan_that_is_told_to() {
    check(&ASKS, async |case| {
        let mut lab = by_vlan(case).await?;
        lab.delete_vlan("sw:p1", 10).await?;
        lab.add_vlan("sw:p3", PortVlan { untagged: true, ..PortVlan::tagged(10) }).await?;
        for id in [10, 20] {
            lab.set_vlan_option("sw:br", id, vlan_option::MCAST_QUERY_RESPONSE_INTERVAL, id.into())
                .await?;
        }
        let mut ears = Vec::new();
        for host in ["a", "b", "c"] {
            ears.push(lab.listen(host, Family::V4).await?);
        }
        let asked = |response: u32| format!("IGMPv2 to 224.0.0.1 for all within {response} ms");
        lab.set_vlan_option("sw:br", 10, vlan_option::MCAST_QUERIER, 1).await?;
        lab.expect_asked(ears[1].next(), &format!("{} in VLAN 10", asked(100)))?;
        lab.expect_asked(ears[2].next(), &asked(100))?;
        lab.set_vlan_option("sw:br", 20, vlan_option::MCAST_QUERIER, 1).await?;
        for ear in &ears {
            lab.expect_asked(ear.next(), &format!("{} in VLAN 20", asked(200)))?;
        }
        Ok(())
    });
}

const JOINS: Rule = Rule {
    id: "bridge.followed.a-port-that-joins-is-asked",
    promise: "a port that comes into a VLAN in which the bridge asks is asked in it at once, and other \
              ports are not asked again for that",
    source: Source {
        cite: "br_multicast_toggle_one_vlan, net/bridge/br_multicast.c, since 5.15",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_port_that_joins_is_asked() {
    check(&JOINS, async |case| {
        let mut lab = by_vlan(case).await?;
        lab.delete_vlan("sw:p1", 10).await?;
        for id in [10, 20] {
            lab.set_vlan_option("sw:br", id, vlan_option::MCAST_QUERY_RESPONSE_INTERVAL, id.into())
                .await?;
        }
        let (a, b) = (lab.listen("a", Family::V4).await?, lab.listen("b", Family::V4).await?);
        let ten = "IGMPv2 to 224.0.0.1 for all within 100 ms in VLAN 10";
        let twenty = "IGMPv2 to 224.0.0.1 for all within 200 ms in VLAN 20";
        lab.set_vlan_option("sw:br", 10, vlan_option::MCAST_QUERIER, 1).await?;
        lab.expect_asked(b.next(), ten)?;
        lab.add_vlan("sw:p1", PortVlan::tagged(10)).await?;
        lab.expect_asked(a.next(), ten)?;
        lab.set_vlan_option("sw:br", 20, vlan_option::MCAST_QUERIER, 1).await?;
        for ear in [&a, &b] {
            lab.expect_asked(ear.next(), twenty)?;
        }
        Ok(())
    });
}

const ROUTER: Rule = Rule {
    id: "bridge.followed.a-router-for-good-stays-one",
    promise: "a port that is told to have a router in a VLAN has it also when memberships were not \
              followed there for a time, and in no other VLAN; told otherwise it has none",
    source: Source {
        cite: "bridge(8), vlan mcast_router; __br_multicast_enable_port_ctx, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_router_for_good_stays_one(#[case] family: Family) {
    check(&ROUTER, async |case| {
        let mut lab = by_vlan(case).await?;
        let unknown = group(family, 2);
        lab.set_vlan_option("sw:p2", 10, vlan_option::MCAST_ROUTER, 2).await?;
        for _ in 0..2 {
            ask_in(&mut lab, 10, family).await?;
            expect_datagram(&mut lab, unknown, 10, &["a", "b"]).await?;
            for on in [0, 1] {
                lab.set_vlan_option("sw:br", 10, vlan_option::MCAST_SNOOPING, on).await?;
            }
        }
        for id in [10, 20] {
            ask_in(&mut lab, id, family).await?;
        }
        expect_datagram(&mut lab, unknown, 10, &["a", "b"]).await?;
        expect_datagram(&mut lab, unknown, 20, &["a"]).await?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::MCAST_ROUTER, 0).await?;
        expect_datagram(&mut lab, unknown, 10, &["a"]).await
    });
}

const LEAVES: Rule = Rule {
    id: "bridge.followed.memberships-end-with-the-vlan",
    promise: "where memberships are a matter of each VLAN, those of a port that were reported in a VLAN \
              end when it leaves that; those in others, of others, and those by hand stay",
    source: Source {
        cite: "__vlan_del and __br_multicast_disable_port_ctx, since 5.15",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn memberships_end_with_the_vlan(#[case] family: Family) {
    check(&LEAVES, async |case| {
        let mut lab = by_vlan(case).await?;
        let (known, by_hand) = (group(family, 1), group(family, 2));
        for host in ["b", "c"] {
            for id in [10, 20] {
                say(&mut lab, host, id, &Message::report(known)).await?;
            }
        }
        lab.add_mdb("sw:br", "sw:p2", &by_hand.to_string(), Some(10)).await?;
        let all = ["p2 10", "p2 20", "p3 10", "p3 20"];
        expect_members(&lab, &known.to_string(), &all).await?;
        lab.delete_vlan("sw:p2", 10).await?;
        expect_members(&lab, &known.to_string(), &all[1..]).await?;
        expect_members(&lab, &by_hand.to_string(), &["p2 10"]).await
    });
}

const SWITCHED: Rule = Rule {
    id: "bridge.followed.only-where-vlans-are-kept-apart",
    promise: "memberships are a matter of each VLAN only while VLANs are kept apart: it is refused \
              where they are not, and over when they are no longer",
    source: Source {
        cite: "br_multicast_toggle_vlan_snooping and br_vlan_filter_toggle, since 5.15",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn only_where_vlans_are_kept_apart() {
    check(&SWITCHED, async |case| {
        let mut lab = in_two_vlans(case).await?;
        let (on, off) = (bridge::switch(1, true), lab.option("sw:br", bridge::SWITCHES).await?);
        lab.set_option("sw:br", bridge::SWITCHES, on).await?;
        let seen = lab.option("sw:br", bridge::SWITCHES).await?;
        lab.claim("it is told as on", seen != off, format!("{seen:?}"))?;
        lab.set_option("sw:br", bridge::VLAN_FILTERING, 0).await?;
        let seen = lab.option("sw:br", bridge::SWITCHES).await?;
        lab.claim("it is over without filtering", seen == off, format!("{seen:?}"))?;
        let done = lab.set_option("sw:br", bridge::SWITCHES, on).await;
        lab.expect_refusal("on without filtering", done, Errno::EINVAL)?;
        lab.set_option("sw:br", bridge::VLAN_FILTERING, 1).await?;
        let done = lab.set_option("sw:br", bridge::SWITCHES, on).await;
        lab.expect_done("on again", done)
    });
}

const NOWHERE: Rule = Rule {
    id: "bridge.followed.no-membership-where-none-is-followed",
    promise: "where memberships are a matter of each VLAN, none is made by hand in a VLAN that the \
              bridge does not know or in which none are followed",
    source: Source {
        cite: "__br_mdb_choose_context, net/bridge/br_mdb.c, since 5.15",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_membership_where_none_is_followed() {
    const NAME: &str = "239.1.2.3";
    check(&NOWHERE, async |case| {
        let mut lab = by_vlan(case).await?;
        lab.set_vlan_option("sw:br", 20, vlan_option::MCAST_SNOOPING, 0).await?;
        for id in [20, 30] {
            let done = lab.add_mdb("sw:br", "sw:p2", NAME, Some(id)).await;
            lab.expect_refusal(&format!("in VLAN {id}"), done, Errno::EINVAL)?;
        }
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, Some(10)).await;
        lab.expect_done("in VLAN 10", done)?;
        lab.set_vlan_option("sw:br", 20, vlan_option::MCAST_SNOOPING, 1).await?;
        let done = lab.add_mdb("sw:br", "sw:p2", NAME, Some(20)).await;
        lab.expect_done("in VLAN 20 that is followed again", done)?;
        expect_members(&lab, NAME, &["p2 10", "p2 20"]).await
    });
}
