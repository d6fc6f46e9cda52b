//! What is a matter of each VLAN: memberships, states by spanning tree instance, questions that are
//! kept from a port.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use std::net::Ipv4Addr;

use hairpin_fixtures::switch::switch_with;
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Need, PortVlan, Rule, Shot, Source, Stop, Strength, Tag, VlanOption,
    check, vlan_option,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[OPTIONS, HOLDS, DOWN, INSTANCES, SPARED];

const DRIVERS: [Need; 3] = [Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering];

const OPTIONS: Rule = Rule {
    id: "bridge.byvlan.each-vlan-has-settings-of-its-own",
    promise: "where memberships are a matter of each VLAN, each of their settings is taken and told \
              again for a VLAN, and neither another VLAN's nor the bridge's own follows",
    source: Source {
        cite: "bridge(8), vlan global set; br_vlan_process_global_one_opts, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[DRIVERS[0], DRIVERS[1], DRIVERS[2], Need::Since(5, 15)],
};

async fn expect_vlan_option(
    lab: &CaseLab,
    (link, id): (&str, u16),
    option: VlanOption,
    value: Option<u64>,
) -> Result<(), Stop> {
    let seen = lab.vlan_option(link, id, option).await?;
    lab.claim(
        &format!("{link}'s VLAN {id} has {option} {value:?}"),
        seen == value,
        format!("{seen:?}"),
    )
}

#[rstest]
#[case::snooping("sw:br", vlan_option::MCAST_SNOOPING, 0)]
#[case::igmp("sw:br", vlan_option::MCAST_IGMP_VERSION, 3)]
#[case::mld("sw:br", vlan_option::MCAST_MLD_VERSION, 2)]
#[case::last_count("sw:br", vlan_option::MCAST_LAST_MEMBER_COUNT, 5)]
#[case::startup_count("sw:br", vlan_option::MCAST_STARTUP_QUERY_COUNT, 6)]
#[case::last("sw:br", vlan_option::MCAST_LAST_MEMBER_INTERVAL, 300)]
#[case::membership("sw:br", vlan_option::MCAST_MEMBERSHIP_INTERVAL, 20_000)]
#[case::other("sw:br", vlan_option::MCAST_QUERIER_INTERVAL, 20_100)]
#[case::query("sw:br", vlan_option::MCAST_QUERY_INTERVAL, 10_200)]
#[case::response("sw:br", vlan_option::MCAST_QUERY_RESPONSE_INTERVAL, 700)]
#[case::startup("sw:br", vlan_option::MCAST_STARTUP_QUERY_INTERVAL, 2_900)]
#[case::querier("sw:br", vlan_option::MCAST_QUERIER, 1)]
#[case::router("sw:p1", vlan_option::MCAST_ROUTER, 2)]
fn each_vlan_has_settings_of_its_own(
    #[case] link: &str,
    #[case] option: VlanOption,
    #[case] value: u64,
) {
    check(&OPTIONS, async |case| {
        let settings = Bridge::default().mcast_snooping(true).vlan_filtering();
        let mut lab = case.lab(&switch_with(settings)).await?;
        lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(1, true)).await?;
        for link in ["sw:br", "sw:p1"] {
            for id in [10, 20] {
                lab.add_vlan(link, PortVlan::tagged(id)).await?;
            }
        }
        let all = [
            vlan_option::MCAST_SNOOPING,
            vlan_option::MCAST_IGMP_VERSION,
            vlan_option::MCAST_MLD_VERSION,
            vlan_option::MCAST_LAST_MEMBER_COUNT,
            vlan_option::MCAST_STARTUP_QUERY_COUNT,
            vlan_option::MCAST_LAST_MEMBER_INTERVAL,
            vlan_option::MCAST_MEMBERSHIP_INTERVAL,
            vlan_option::MCAST_QUERIER_INTERVAL,
            vlan_option::MCAST_QUERY_INTERVAL,
            vlan_option::MCAST_QUERY_RESPONSE_INTERVAL,
            vlan_option::MCAST_STARTUP_QUERY_INTERVAL,
            vlan_option::MCAST_QUERIER,
        ];
        let mut before = Vec::new();
        for option in all {
            before.push(lab.vlan_option("sw:br", 10, option).await?);
        }
        let first = lab.vlan_option(link, 20, option).await?;
        let own = lab.told("sw:br").await?;
        lab.claim(
            "it was something else",
            first.is_some_and(|v| v != value),
            format!("{first:?}"),
        )?;
        lab.set_vlan_option(link, 10, option, value).await?;
        expect_vlan_option(&lab, (link, 10), option, Some(value)).await?;
        expect_vlan_option(&lab, (link, 20), option, first).await?;
        for (other, seen) in all.into_iter().zip(before) {
            if other != option {
                expect_vlan_option(&lab, ("sw:br", 10), other, seen).await?;
            }
        }
        let changes = own.changes(&lab.told("sw:br").await?);
        lab.expect_lines("what the bridge says otherwise", changes, &[])
    });
}

const HOLDS: Rule = Rule {
    id: "bridge.byvlan.a-membership-holds-as-long-as-its-vlan-says",
    promise: "where memberships are a matter of each VLAN, one that is made for a time holds for the \
              time of its VLAN, and not for that of another or of the bridge",
    source: Source {
        cite: "bridge(8), mcast_membership_interval; __br_mdb_choose_context, since 5.15",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[DRIVERS[0], DRIVERS[1], DRIVERS[2], Need::Since(5, 15)],
};

#[test]
fn a_membership_holds_as_long_as_its_vlan_says() {
    check(&HOLDS, async |case| {
        let settings = Bridge::default().mcast_snooping(true).vlan_filtering();
        let mut lab = case.lab(&switch_with(settings)).await?;
        lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(1, true)).await?;
        for (id, time) in [(10, 10_000), (20, 20_000)] {
            for link in ["sw:br", "sw:p1"] {
                lab.add_vlan(link, PortVlan::tagged(id)).await?;
            }
            let interval = vlan_option::MCAST_MEMBERSHIP_INTERVAL;
            lab.set_vlan_option("sw:br", id, interval, time).await?;
            lab.add_mdb_for_a_time("sw:br", "sw:p1", "239.1.2.3", Some(id)).await?;
        }
        let told = lab.wishes("sw").await?.into_iter().map(|wish| wish.to_string());
        let of_both = ["239.1.2.3 p1 vlan 10 by 4 for 10", "239.1.2.3 p1 vlan 20 by 4 for 20"];
        let ours = told.filter(|line| line.starts_with("239.1.2.3"));
        lab.expect_lines("for how long, in tens of seconds", ours, &of_both)
    });
}

const DOWN: Rule = Rule {
    id: "bridge.byvlan.a-port-that-goes-down-is-in-no-group",
    promise: "where memberships are a matter of each VLAN, those of a port that goes down are over in \
              each of its VLANs, but for those that do not end; other ports' stay",
    source: Source {
        cite: "br_multicast_disable_port and br_multicast_disable_port_ctx, since 5.15",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[DRIVERS[0], DRIVERS[1], DRIVERS[2], Need::Since(5, 15)],
};

#[test]
fn a_port_that_goes_down_is_in_no_group() {
    check(&DOWN, async |case| {
        let settings = Bridge::default().mcast_snooping(true).vlan_filtering();
        let mut lab = case.lab(&switch_with(settings)).await?;
        lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(1, true)).await?;
        for id in [10, 20] {
            for link in ["sw:br", "sw:p1", "sw:p2"] {
                lab.add_vlan(link, PortVlan::tagged(id)).await?;
            }
            for port in ["sw:p1", "sw:p2"] {
                lab.add_mdb_for_a_time("sw:br", port, "239.1.2.3", Some(id)).await?;
                lab.add_mdb("sw:br", port, "239.1.2.4", Some(id)).await?;
            }
        }
        let of_port = async |lab: &CaseLab, port: &str| -> Result<Vec<String>, Stop> {
            let entries = lab.mdb("sw").await?.into_iter().filter(|entry| entry.link == port);
            Ok(entries.map(|entry| entry.to_string()).collect())
        };
        let before = of_port(&lab, "p2").await?;
        let (stay, all) = (["239.1.2.4 p1 vlan 10 permanent", "239.1.2.4 p1 vlan 20 permanent"], 4);
        lab.claim("four each", before.len() == all, format!("{before:?}"))?;
        lab.set_up("sw:p1", false).await?;
        lab.expect_lines("p1 is down", of_port(&lab, "p1").await?, &stay)?;
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        lab.expect_lines("p2 is up", of_port(&lab, "p2").await?, &before)
    });
}

const INSTANCES: Rule = Rule {
    id: "bridge.byvlan.a-state-for-each-instance",
    promise: "with instances of the spanning tree, a port's state in one is its state in the VLANs of \
              that one, and no other; a VLAN that joins an instance has its state; instances are \
              switched on before there are VLANs",
    source: Source {
        cite: "ip-link(8), mst_enabled; br_mst_set_state, net/bridge/br_mst.c, since 5.18",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[DRIVERS[0], DRIVERS[1], DRIVERS[2], Need::Since(5, 18)],
};

#[test]
fn a_state_for_each_instance() {
    check(&INSTANCES, async |case| {
        let settings = Bridge::default().mcast_snooping(false).vlan_filtering();
        let mut lab = case.lab(&switch_with(settings)).await?;
        let on = bridge::switch(2, true);
        let done = lab.set_option("sw:br", bridge::SWITCHES, on).await;
        lab.expect_refusal("instances while ports have VLANs", done, Errno::EBUSY)?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        lab.set_option("sw:br", bridge::SWITCHES, on).await?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 1).await?;
        for id in [10, 20, 30] {
            for port in ["sw:p1", "sw:p2"] {
                lab.add_vlan(port, PortVlan::tagged(id)).await?;
            }
        }
        for (id, instance) in [(10, 5), (20, 6)] {
            lab.set_vlan_option("sw:br", id, vlan_option::MSTI, instance).await?;
            expect_vlan_option(&lab, ("sw:br", id), vlan_option::MSTI, Some(instance)).await?;
        }
        // Ports are disabled in an instance that is new to them.
        expect_vlan_option(&lab, ("sw:p2", 10), vlan_option::STATE, Some(0)).await?;
        for (port, instance, state) in
            [("sw:p1", 5, 3), ("sw:p1", 6, 3), ("sw:p2", 5, 4), ("sw:p2", 6, 3)]
        {
            lab.set_instance_state(port, instance, state).await?;
        }
        for (id, state) in [(10, 4), (20, 3), (1, 3)] {
            expect_vlan_option(&lab, ("sw:p2", id), vlan_option::STATE, Some(state)).await?;
        }
        expect_passes(&mut lab, 10, false).await?;
        expect_passes(&mut lab, 20, true).await?;
        // A VLAN that joins has the state that its new instance has there.
        lab.set_vlan_option("sw:br", 30, vlan_option::MSTI, 5).await?;
        expect_vlan_option(&lab, ("sw:p2", 30), vlan_option::STATE, Some(4)).await?;
        lab.set_instance_state("sw:p2", 5, 3).await?;
        expect_passes(&mut lab, 10, true).await?;
        expect_passes(&mut lab, 30, true).await
    });
}

/// Holds whether frames of a VLAN pass between a and b.
async fn expect_passes(lab: &mut CaseLab, id: u16, passes: bool) -> Result<(), Stop> {
    let shot = Shot::broadcast().tag(Tag::vlan(id));
    for (from, to) in [("a", "b"), ("b", "a")] {
        let heard = if passes { format!("{to} other vlan {id}") } else { "nobody".into() };
        lab.expect_shot(from, &shot, &heard).await?;
    }
    Ok(())
}

const SPARED: Rule = Rule {
    id: "bridge.byvlan.spared-in-one-vlan",
    promise: "where neighbour suppression is a matter of each VLAN, a port is spared in the VLANs that \
              are told to and in no other; where it is not, in all",
    source: Source {
        cite: "bridge(8), neigh_vlan_suppress; br_is_neigh_suppress_enabled, since 6.3",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[DRIVERS[0], DRIVERS[1], DRIVERS[2], Need::Since(6, 4)],
};

#[test]
fn spared_in_one_vlan() {
    check(&SPARED, async |case| {
        let settings = Bridge::default().mcast_snooping(false).vlan_filtering();
        let mut lab = case.lab(&switch_with(settings)).await?;
        for id in [10, 20] {
            for port in ["sw:p1", "sw:p2", "sw:p3"] {
                lab.add_vlan(port, PortVlan::tagged(id)).await?;
            }
        }
        let own = Ipv4Addr::new(192, 0, 2, 1);
        let shot = |id| Shot::arp(1, own, own).tag(Tag::vlan(id));
        let all = |id| format!("b other vlan {id}, c other vlan {id}");
        lab.set_option("sw:p2", port::NEIGH_VLAN_SUPPRESS, 1).await?;
        lab.expect_option("sw:p2", port::NEIGH_VLAN_SUPPRESS, 1).await?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::NEIGH_SUPPRESS, 1).await?;
        expect_vlan_option(&lab, ("sw:p2", 10), vlan_option::NEIGH_SUPPRESS, Some(1)).await?;
        expect_vlan_option(&lab, ("sw:p2", 20), vlan_option::NEIGH_SUPPRESS, Some(0)).await?;
        lab.expect_shot("a", &shot(10), "c other vlan 10").await?;
        lab.expect_shot("a", &shot(20), &all(20)).await?;
        lab.set_vlan_option("sw:p2", 10, vlan_option::NEIGH_SUPPRESS, 0).await?;
        lab.expect_shot("a", &shot(10), &all(10)).await?;
        lab.set_option("sw:p2", port::NEIGH_VLAN_SUPPRESS, 0).await?;
        lab.set_option("sw:p2", port::NEIGH_SUPPRESS, 1).await?;
        lab.expect_shot("a", &shot(20), "c other vlan 20").await?;
        Ok(())
    });
}
