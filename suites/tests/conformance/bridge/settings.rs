//! What a bridge and its ports can be told, one setting at a time: that it is taken, told again, and
//! is the only one that changed; and what is refused, with which word.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{LinkOption, bridge, link, port};
use hairpin_harness::{
    Bridge, Errno, Fdb, LinkName, Mac, Need, Rule, Shot, Source, Strength, check,
};
use rstest::rstest;

use super::{NEEDS, VLANS};

pub(crate) const RULES: &[Rule] = &[
    BRIDGES,
    FILTERING,
    PORTS,
    RANGES,
    INTERVALS,
    STATES,
    PORT_RANGES,
    BACKUP,
    NUMBERS,
    NEW,
    FLUSH,
    DEAF,
];

const BRIDGES: Rule = Rule {
    id: "bridge.settings.a-bridges-are-changed-one-at-a-time",
    promise: "each setting of a bridge is taken and told again, and no other is told otherwise \
              thereupon",
    source: Source {
        cite: "br_changelink and br_fill_info, net/bridge/br_netlink.c; ip-link(8)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::forward_delay(bridge::FORWARD_DELAY, 400, &[])]
#[case::hello_time(bridge::HELLO_TIME, 300, &[])]
#[case::max_age(bridge::MAX_AGE, 1900, &[])]
#[case::ageing_time(bridge::AGEING_TIME, 12_300, &[])]
#[case::priority(bridge::PRIORITY, 0x1000, &[bridge::BRIDGE_ID, bridge::ROOT_ID])]
#[case::group_fwd_mask(bridge::GROUP_FWD_MASK, 0x4000, &[])]
#[case::group_address(bridge::GROUP_ADDRESS, 0x0180_c200_000e, &[])]
#[case::mcast_router(bridge::MCAST_ROUTER, 2, &[])]
#[case::mcast_snooping(bridge::MCAST_SNOOPING, 0, &[])]
#[case::mcast_querier(bridge::MCAST_QUERIER, 1, &[])]
#[case::mcast_ifaddr(bridge::MCAST_QUERY_USE_IFADDR, 1, &[])]
#[case::mcast_hash_max(bridge::MCAST_HASH_MAX, 77, &[])]
#[case::last_member_count(bridge::MCAST_LAST_MEMBER_COUNT, 5, &[])]
#[case::startup_count(bridge::MCAST_STARTUP_QUERY_COUNT, 4, &[])]
#[case::last_member_interval(bridge::MCAST_LAST_MEMBER_INTERVAL, 300, &[])]
#[case::membership_interval(bridge::MCAST_MEMBERSHIP_INTERVAL, 20_000, &[])]
#[case::querier_interval(bridge::MCAST_QUERIER_INTERVAL, 20_100, &[])]
#[case::query_interval(bridge::MCAST_QUERY_INTERVAL, 10_200, &[])]
#[case::response_interval(bridge::MCAST_QUERY_RESPONSE_INTERVAL, 700, &[])]
#[case::startup_interval(bridge::MCAST_STARTUP_QUERY_INTERVAL, 2_900, &[])]
#[case::mcast_stats(bridge::MCAST_STATS, 1, &[])]
#[case::igmp_version(bridge::MCAST_IGMP_VERSION, 3, &[])]
#[case::mld_version(bridge::MCAST_MLD_VERSION, 2, &[])]
fn a_bridges_are_changed_one_at_a_time(
    #[case] option: LinkOption,
    #[case] value: u64,
    #[case] besides: &[LinkOption],
) {
    check(&BRIDGES, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        lab.expect_only("sw:br", (option, value), besides).await
    });
}

const FILTERING: Rule = Rule {
    id: "bridge.settings.those-of-vlans-and-firewalls-too",
    promise: "so are those that have to do with VLANs, and those that show bridged packets to a \
              firewall",
    source: Source {
        cite: "br_changelink and br_fill_info, net/bridge/br_netlink.c; ip-link(8)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: VLANS,
};

#[rstest]
#[case::vlan_filtering(bridge::VLAN_FILTERING, 1)]
#[case::vlan_protocol(bridge::VLAN_PROTOCOL, 0x88a8)]
#[case::default_pvid(bridge::DEFAULT_PVID, 17)]
#[case::vlan_stats(bridge::VLAN_STATS, 1)]
#[case::nf_call_iptables(bridge::NF_CALL_IPTABLES, 1)]
#[case::nf_call_ip6tables(bridge::NF_CALL_IP6TABLES, 1)]
#[case::nf_call_arptables(bridge::NF_CALL_ARPTABLES, 1)]
fn those_of_vlans_and_firewalls_too(#[case] option: LinkOption, #[case] value: u64) {
    check(&FILTERING, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_only("sw:br", (option, value), &[]).await
    });
}

const PORTS: Rule = Rule {
    id: "bridge.settings.a-ports-are-changed-one-at-a-time",
    promise: "each setting of a port is taken and told again, and neither another of that port nor \
              any of its neighbour's is told otherwise thereupon",
    source: Source {
        cite: "br_setport and br_port_fill_attrs, net/bridge/br_netlink.c; bridge(8)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::hairpin(port::HAIRPIN, 1, &[])]
#[case::guard(port::GUARD, 1, &[])]
#[case::root_block(port::ROOT_BLOCK, 1, &[])]
#[case::fast_leave(port::FAST_LEAVE, 1, &[])]
#[case::learning(port::LEARNING, 0, &[])]
#[case::flood(port::UNICAST_FLOOD, 0, &[])]
#[case::mcast_flood(port::MCAST_FLOOD, 0, &[])]
#[case::bcast_flood(port::BCAST_FLOOD, 0, &[])]
#[case::mcast_to_unicast(port::MCAST_TO_UCAST, 1, &[])]
#[case::neigh_suppress(port::NEIGH_SUPPRESS, 1, &[])]
#[case::isolated(port::ISOLATED, 1, &[])]
#[case::proxyarp(port::PROXYARP, 1, &[])]
#[case::proxyarp_wifi(port::PROXYARP_WIFI, 1, &[])]
#[case::vlan_tunnel(port::VLAN_TUNNEL, 1, &[])]
#[case::mcast_router(port::MCAST_ROUTER, 2, &[])]
#[case::priority(port::PRIORITY, 7, &[port::ID, port::DESIGNATED_PORT])]
#[case::cost(port::COST, 77, &[])]
#[case::group_fwd_mask(port::GROUP_FWD_MASK, 0x4000, &[])]
#[case::state(port::STATE, 1, &[])]
fn a_ports_are_changed_one_at_a_time(
    #[case] option: LinkOption,
    #[case] value: u64,
    #[case] besides: &[LinkOption],
) {
    check(&PORTS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let beside = lab.told("sw:p2").await?;
        lab.expect_only("sw:p1", (option, value), besides).await?;
        let changes = beside.changes(&lab.told("sw:p2").await?);
        lab.expect_lines("what its neighbour says otherwise", changes, &[])
    });
}

const RANGES: Rule = Rule {
    id: "bridge.settings.a-bridge-takes-what-is-in-range",
    promise: "a value at the edge of what a setting may be is taken, one beyond it is refused and \
              changes nothing",
    source: Source {
        cite: "IEEE 802.1D-1998, table 8-3; br_set_hello_time, br_set_max_age, br_changelink",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::hello_time(bridge::HELLO_TIME, &[100, 1000], &[99, 1001], Errno::ERANGE)]
#[case::max_age(bridge::MAX_AGE, &[600, 4000], &[599, 4001], Errno::ERANGE)]
#[case::router(bridge::MCAST_ROUTER, &[0, 2], &[3], Errno::EINVAL)]
#[case::igmp(bridge::MCAST_IGMP_VERSION, &[3, 2], &[1, 4], Errno::EINVAL)]
#[case::mld(bridge::MCAST_MLD_VERSION, &[2, 1], &[0, 3], Errno::EINVAL)]
#[case::group_address(
    bridge::GROUP_ADDRESS,
    &[0x0180_c200_000f, 0x0180_c200_0004, 0x0180_c200_0000],
    &[0x0180_c200_0001, 0x0180_c200_0002, 0x0180_c200_0003, 0x0180_c200_0010, 0x0180_c201_0004],
    Errno::EINVAL
)]
#[case::mtu(link::MTU, &[68, 65535], &[67, 65536], Errno::EINVAL)]
#[case::group_fwd_mask(bridge::GROUP_FWD_MASK, &[0xfff8, 8], &[1, 2, 4], Errno::EINVAL)]
fn a_bridge_takes_what_is_in_range(
    #[case] option: LinkOption,
    #[case] good: &[u64],
    #[case] bad: &[u64],
    #[case] errno: Errno,
) {
    check(&RANGES, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        expect_range(&mut lab, ("sw:br", option), (good, bad), errno).await
    });
}

async fn expect_range(
    lab: &mut hairpin_harness::CaseLab,
    (link, option): (&str, LinkOption),
    (good, bad): (&[u64], &[u64]),
    errno: Errno,
) -> Result<(), hairpin_harness::Stop> {
    for value in good {
        let done = lab.set_option(link, option, *value).await;
        lab.expect_done(&format!("{option} {value}"), done)?;
        lab.expect_option(link, option, *value).await?;
    }
    let before = lab.told(link).await?;
    for value in bad {
        let done = lab.set_option(link, option, *value).await;
        lab.expect_refusal(&format!("{option} {value}"), done, errno)?;
    }
    let changes = before.changes(&lab.told(link).await?);
    lab.expect_lines("what changed all the same", changes, &[])
}

const INTERVALS: Rule = Rule {
    id: "bridge.settings.intervals-are-brought-into-range",
    promise: "an interval between queries that is shorter than a second becomes a second, one longer \
              than a day a day, set by netlink or in a file",
    source: Source {
        cite: "br_multicast_set_query_intvl and br_multicast_set_startup_query_intvl; since 5.16 and \
               6.17, and in the long-term kernels of then",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Since(5, 16)],
};

#[rstest]
#[case::query(bridge::MCAST_QUERY_INTERVAL, "bridge/multicast_query_interval")]
#[case::startup(bridge::MCAST_STARTUP_QUERY_INTERVAL, "bridge/multicast_startup_query_interval")]
fn intervals_are_brought_into_range(#[case] option: LinkOption, #[case] file: &str) {
    check(&INTERVALS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        const SECOND: u64 = 100;
        const DAY: u64 = 24 * 60 * 60 * SECOND;
        for (value, becomes) in
            [(SECOND - 1, SECOND), (DAY, DAY), (SECOND, SECOND), (DAY + 1, DAY), (0, SECOND)]
        {
            lab.set_option("sw:br", option, 2_900).await?;
            lab.set_option("sw:br", option, value).await?;
            lab.expect_option("sw:br", option, becomes).await?;
            lab.set_option("sw:br", option, 2_900).await?;
            lab.set_sysfs("sw:br", file, &value.to_string())?;
            lab.expect_option("sw:br", option, becomes).await?;
        }
        Ok(())
    });
}

const PORT_RANGES: Rule = Rule {
    id: "bridge.settings.a-port-takes-what-is-in-range",
    promise: "so it is with a port's",
    source: Source {
        cite: "br_stp_set_port_priority, br_stp_set_path_cost, br_setport",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::priority(port::PRIORITY, &[63, 0], &[64], Errno::ERANGE)]
#[case::cost(port::COST, &[65535, 1], &[0, 65536], Errno::ERANGE)]
#[case::state(port::STATE, &[0, 2, 3], &[5], Errno::EINVAL)]
#[case::router(port::MCAST_ROUTER, &[0, 1, 2], &[4], Errno::EINVAL)]
#[case::group_fwd_mask(port::GROUP_FWD_MASK, &[0xfffc], &[2], Errno::EINVAL)]
fn a_port_takes_what_is_in_range(
    #[case] option: LinkOption,
    #[case] good: &[u64],
    #[case] bad: &[u64],
    #[case] errno: Errno,
) {
    check(&PORT_RANGES, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        expect_range(&mut lab, ("sw:p1", option), (good, bad), errno).await
    });
}

const STATES: Rule = Rule {
    id: "bridge.settings.a-ports-state-is-not-always-ours",
    promise: "a port without carrier can be made to do nothing but nothing; while the spanning tree \
              runs no state can be set, and its delays must be in range",
    source: Source {
        cite: "br_set_port_state, br_set_forward_delay and br_stp_start",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_ports_state_is_not_always_ours() {
    check(&STATES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_up("a:eth0", false).await?;
        for state in [3, 1] {
            let done = lab.set_option("sw:p1", port::STATE, state).await;
            lab.expect_refusal("a state without carrier", done, Errno::ENETDOWN)?;
        }
        let done = lab.set_option("sw:p1", port::STATE, 0).await;
        lab.expect_done("disabled without carrier", done)?;
        lab.set_up("sw:p2", false).await?;
        let done = lab.set_option("sw:p2", port::STATE, 3).await;
        lab.expect_refusal("a state of a port that is down", done, Errno::ENETDOWN)?;
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 5).await?;
        lab.set_option("sw:br", bridge::STP, 1).await?;
        lab.expect_option("sw:br", bridge::STP, 1).await?;
        lab.expect_option("sw:br", bridge::FORWARD_DELAY, 200).await?;
        let done = lab.set_option("sw:p3", port::STATE, 3).await;
        lab.expect_refusal("a state beside the spanning tree", done, Errno::EBUSY)?;
        expect_range(
            &mut lab,
            ("sw:br", bridge::FORWARD_DELAY),
            (&[200, 3000], &[199, 3001]),
            Errno::ERANGE,
        )
        .await
    });
}

const BACKUP: Rule = Rule {
    id: "bridge.settings.a-backup-is-another-port-of-the-bridge",
    promise: "only another port of the same bridge stands in for a port, and no more once it has \
              left",
    source: Source { cite: "nbp_backup_change and nbp_backup_clear", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_backup_is_another_port_of_the_bridge() {
    check(&BACKUP, async |case| {
        let topology =
            switch().bridge("sw:other").cable("sw:p4", "a:eth1").cable("sw:p5", "a:eth2");
        let mut lab = case.lab(&topology.port("sw:p4", "other")).await?;
        let index = |lab: &hairpin_harness::CaseLab, link: &str| {
            u64::from(lab.topology().ifindex(&LinkName::from(link)))
        };
        for (link, errno) in [
            ("sw:p1", Errno::EINVAL),
            ("sw:p4", Errno::EINVAL),
            ("sw:p5", Errno::ENOENT),
            ("sw:br", Errno::ENOENT),
        ] {
            let backup = index(&lab, link);
            let done = lab.set_option("sw:p1", port::BACKUP_PORT, backup).await;
            lab.expect_refusal(&format!("{link} as a backup"), done, errno)?;
        }
        let done = lab.set_option("sw:p1", port::BACKUP_PORT, 9999).await;
        lab.expect_refusal("nothing as a backup", done, Errno::ENOENT)?;
        for link in ["sw:p2", "sw:p3"] {
            let backup = index(&lab, link);
            lab.set_option("sw:p1", port::BACKUP_PORT, backup).await?;
            lab.expect_option("sw:p1", port::BACKUP_PORT, backup).await?;
        }
        lab.set_bridge("sw:p3", None).await?;
        let left = lab.option("sw:p1", port::BACKUP_PORT).await?;
        lab.claim("none when it has left", left.is_none(), format!("{left:?}"))?;
        let backup = index(&lab, "sw:p2");
        lab.set_option("sw:p1", port::BACKUP_PORT, backup).await?;
        lab.set_option("sw:p1", port::BACKUP_PORT, 0).await?;
        let left = lab.option("sw:p1", port::BACKUP_PORT).await?;
        lab.claim("none when it is taken away", left.is_none(), format!("{left:?}"))
    });
}

const NUMBERS: Rule = Rule {
    id: "bridge.settings.ports-have-the-lowest-free-number",
    promise: "a new port has the lowest number that no other has; its identifier is its priority \
              and that number",
    source: Source { cite: "find_portno and br_make_port_id", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn ports_have_the_lowest_free_number() {
    check(&NUMBERS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for (port, number) in [("sw:p1", 1), ("sw:p2", 2), ("sw:p3", 3)] {
            lab.expect_option(port, port::NUMBER, number).await?;
            lab.expect_option(port, port::ID, 0x8000 + number).await?;
        }
        for port in ["sw:p2", "sw:p1"] {
            lab.set_bridge(port, None).await?;
        }
        for (port, number) in [("sw:p2", 1), ("sw:p1", 2)] {
            lab.set_bridge(port, Some("br")).await?;
            lab.expect_option(port, port::NUMBER, number).await?;
        }
        lab.set_option("sw:p1", port::PRIORITY, 63).await?;
        lab.expect_option("sw:p1", port::ID, 0xfc02).await
    });
}

const NEW: Rule = Rule {
    id: "bridge.settings.a-port-begins-anew",
    promise: "a link that leaves a bridge and comes back begins with the settings of a new port, \
              and asks for all groups and for all unicast as long as it is one",
    source: Source { cite: "new_nbp, br_add_if and del_nbp", strength: Strength::Code },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::AllmultiCount],
};

#[test]
fn a_port_begins_anew() {
    check(&NEW, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let before = lab.told("sw:p3").await?;
        let changed = [
            (port::HAIRPIN, 1),
            (port::LEARNING, 0),
            (port::UNICAST_FLOOD, 0),
            (port::ISOLATED, 1),
            (port::COST, 9),
            (port::PRIORITY, 9),
            (port::GROUP_FWD_MASK, 0x4000),
            (port::MCAST_ROUTER, 2),
        ];
        lab.set_options("sw:p3", &changed).await?;
        lab.expect_option("sw:p3", link::ALLMULTI, 1).await?;
        lab.set_bridge("sw:p3", None).await?;
        lab.expect_option("sw:p3", link::ALLMULTI, 0).await?;
        lab.expect_option("sw:p3", link::PROMISCUITY, 0).await?;
        lab.set_bridge("sw:p3", Some("br")).await?;
        lab.expect_option("sw:p3", link::ALLMULTI, 1).await?;
        lab.expect_option("sw:p3", link::PROMISCUITY, 1).await?;
        let changes = before.changes(&lab.told("sw:p3").await?);
        lab.expect_lines("what is left of its time before", changes, &[])
    });
}

const FLUSH: Rule = Rule {
    id: "bridge.settings.a-bridge-forgets-all-when-told",
    promise: "a bridge that is told to forget forgets what was learned at all ports and keeps what \
              is pinned or its own; a port that is told so forgets what was learned there",
    source: Source {
        cite: "ip-link(8), fdb_flush; br_fdb_flush and br_fdb_delete_by_port",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_bridge_forgets_all_when_told() {
    check(&FLUSH, async |case| {
        const PINNED: Mac = Mac([2, 0, 0, 0, 0, 1]);
        const HAND_MADE: Mac = Mac([2, 0, 0, 0, 0, 2]);
        const ROAMER: Mac = Mac([2, 0, 0, 0, 0, 3]);
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p1", PINNED, Fdb::STATIC).await?;
        let own = lab.fdb("sw").await?.iter().filter(|entry| entry.own).count();
        for (link, option) in [("sw:p1", port::FLUSH), ("sw:br", bridge::FDB_FLUSH)] {
            lab.add_fdb("sw:p1", HAND_MADE, Fdb::DYNAMIC).await?;
            for host in ["a", "b"] {
                lab.shoot(host, &Shot::broadcast().from(ROAMER)).await?;
            }
            lab.set_option(link, option, 0).await?;
            let left = lab.fdb("sw").await?;
            let learned: Vec<_> = left.iter().filter(|entry| !entry.own && !entry.fixed).collect();
            let at: Vec<&str> = learned.iter().map(|entry| entry.link.as_str()).collect();
            let here = if link == "sw:br" {
                at.is_empty()
            } else {
                !at.contains(&"p1") && at.contains(&"p2")
            };
            lab.claim(&format!("{link} forgets what it is to"), here, format!("{learned:?}"))?;
            let pinned = left.iter().any(|entry| entry.mac == PINNED);
            lab.claim("what is pinned is kept", pinned, format!("{left:?}"))?;
            let kept = left.iter().filter(|entry| entry.own).count();
            lab.claim("its own are kept", kept == own, format!("{left:?}"))?;
        }
        Ok(())
    });
}

const DEAF: Rule = Rule {
    id: "bridge.settings.what-a-bridge-cannot-be",
    promise: "a bridge's address is no group and not nothing; a link with such a kind of address is \
              no port, nor is the loopback",
    source: Source { cite: "br_set_mac_address and br_add_if", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_a_bridge_cannot_be() {
    check(&DEAF, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for mac in [Mac([1, 0, 0, 0, 0, 1]), Mac([0; 6]), Mac::BROADCAST] {
            let done = lab.set_mac("sw:br", mac).await;
            lab.expect_refusal(&format!("{mac} as its address"), done, Errno::EADDRNOTAVAIL)?;
        }
        let seen = lab.link("sw:br").await?.mac;
        lab.claim("it has the one that it had", seen == lab.mac("sw:br"), seen)
    });
}
