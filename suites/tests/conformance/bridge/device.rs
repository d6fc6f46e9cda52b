//! A bridge and its ports as devices: states, carrier, MTU, addresses, who is promiscuous, what is
//! counted, what stands in for what.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{bridge, link, port};
use hairpin_harness::{
    Bridge, CaseLab, Errno, Fdb, LinkName, Mac, Offload, Rule, Shot, Source, Stop, Strength,
    Topology, check, options::LinkOption,
};
use rstest::rstest;

use super::NEEDS;
use super::topology::number;
use crate::counted::{MORE, expect_bytes};

pub(crate) const RULES: &[Rule] = &[
    STATES,
    STANDS_IN,
    PROMISCUOUS_PORTS,
    SMALLEST_MTU,
    LOWEST_ADDRESS,
    IDENTITY,
    CARRIER,
    NONE_FORWARDS,
    COUNTED,
    BRIDGE_SETTINGS,
    PORT_SETTINGS,
    REFUSED_PORTS,
    BY_CALL,
    LEAVING,
    SCATTERED,
];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x0f]);

const STATES: Rule = Rule {
    id: "bridge.device.a-port-forwards-in-one-state",
    promise: "a port forwards and takes frames in the forwarding state only; while disabled or \
              listening it learns nothing, while learning it does",
    source: Source {
        cite: "IEEE 802.1D, 8.4; br_handle_frame and should_deliver",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::disabled(0, false)]
#[case::listening(1, false)]
#[case::learning(2, true)]
fn a_port_forwards_in_one_state(#[case] state: u64, #[case] learns: bool) {
    check(&STATES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_option("sw:p1", port::STATE, state).await?;
        lab.expect_option("sw:p1", port::STATE, state).await?;
        lab.expect_shot("a", &Shot::broadcast().from(NOBODY), "nobody").await?;
        let known = lab.fdb("sw").await?.iter().any(|entry| entry.mac == NOBODY);
        lab.claim(&format!("learned: {learns}"), known == learns, known)?;
        lab.expect_shot("b", &Shot::broadcast(), "c broadcast, sw broadcast").await?;
        lab.expect_shot("sw", &Shot::broadcast(), "b broadcast, c broadcast").await?;
        lab.set_option("sw:p1", port::STATE, 3).await?;
        let all = "b broadcast, c broadcast, sw broadcast";
        lab.expect_shot("a", &Shot::broadcast().from(NOBODY), all).await?;
        lab.expect_shot("b", &Shot::to(NOBODY), "a other").await?;
        lab.expect_shot("sw", &Shot::broadcast(), "a broadcast, b broadcast, c broadcast").await?;
        Ok(())
    });
}

const STANDS_IN: Rule = Rule {
    id: "bridge.device.a-backup-port-stands-in",
    promise: "what is for a port without carrier leaves by its backup port, and by itself again \
              once it has carrier",
    source: Source {
        cite: "ip-link(8), backup_port; br_forward, net/bridge/br_forward.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_backup_port_stands_in() {
    check(&STANDS_IN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let backup = lab.topology().ifindex(&LinkName::from("sw:p3"));
        lab.set_option("sw:p2", port::BACKUP_PORT, u64::from(backup)).await?;
        lab.expect_option("sw:p2", port::BACKUP_PORT, u64::from(backup)).await?;
        lab.add_fdb("sw:p2", NOBODY, Fdb::STATIC).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other").await?;
        lab.set_up("b:eth0", false).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "c other").await?;
        lab.set_up("b:eth0", true).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other").await?;
        Ok(())
    });
}

const PROMISCUOUS_PORTS: Rule = Rule {
    id: "bridge.device.ports-are-promiscuous",
    promise: "a link is promiscuous while it is a port that may have to flood or to learn, and not \
              afterwards",
    source: Source { cite: "br_manage_promisc, net/bridge/br_if.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn ports_are_promiscuous() {
    check(&PROMISCUOUS_PORTS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_option("sw:p1", link::PROMISCUITY, 1).await?;
        lab.set_bridge("sw:p1", None).await?;
        lab.expect_option("sw:p1", link::PROMISCUITY, 0).await?;
        lab.set_bridge("sw:p1", Some("br")).await?;
        lab.expect_option("sw:p1", link::PROMISCUITY, 1).await?;
        let controller = u64::from(lab.topology().ifindex(&LinkName::from("sw:br")));
        lab.expect_option("sw:p1", link::CONTROLLER, controller).await
    });
}

const SMALLEST_MTU: Rule = Rule {
    id: "bridge.device.the-smallest-mtu-of-its-ports",
    promise: "a bridge has the smallest MTU of its ports until it is given one",
    source: Source { cite: "br_mtu_auto_adjust, net/bridge/br_if.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_smallest_mtu_of_its_ports() {
    check(&SMALLEST_MTU, async |case| {
        let mut lab = case.lab(&switch().mtu("sw:p2", 1400)).await?;
        lab.expect_option("sw:br", link::MTU, 1400).await?;
        lab.set_mtu("sw:p3", 1300).await?;
        lab.expect_option("sw:br", link::MTU, 1300).await?;
        lab.set_bridge("sw:p3", None).await?;
        lab.expect_option("sw:br", link::MTU, 1400).await?;
        lab.set_mtu("sw:p2", 1500).await?;
        lab.expect_option("sw:br", link::MTU, 1500).await?;
        lab.set_option("sw:br", link::MTU, 1200).await?;
        lab.set_mtu("sw:p2", 1350).await?;
        lab.expect_option("sw:br", link::MTU, 1200).await
    });
}

const LOWEST_ADDRESS: Rule = Rule {
    id: "bridge.device.the-lowest-address-of-its-ports",
    promise: "a bridge that was given no address has the lowest of its ports', and follows when \
              ports come, go or change",
    source: Source {
        cite: "br_stp_recalculate_bridge_id, net/bridge/br_stp_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_lowest_address_of_its_ports() {
    check(&LOWEST_ADDRESS, async |case| {
        let topology = Topology::new("unnamed")
            .host("a")
            .netns("sw")
            .bridge_with("sw:br", Bridge::default().without_address())
            .cable("sw:p1", "a:eth0")
            .port("sw:p1", "br")
            .mac("sw:p1", Mac([2, 0, 0, 0, 0, 9]))
            .cable("sw:p2", "a:eth1")
            .mac("sw:p2", Mac([2, 0, 0, 0, 0, 5]));
        let mut lab = case.lab(&topology).await?;
        expect_mac(&lab, "sw:br", Mac([2, 0, 0, 0, 0, 9])).await?;
        lab.set_bridge("sw:p1", None).await?;
        expect_mac(&lab, "sw:br", Mac([0; 6])).await?;
        for (port, joins, lowest) in
            [("sw:p1", true, 9), ("sw:p2", true, 5), ("sw:p2", false, 9), ("sw:p2", true, 5)]
        {
            lab.set_bridge(port, joins.then_some("br")).await?;
            expect_mac(&lab, "sw:br", Mac([2, 0, 0, 0, 0, lowest])).await?;
        }
        lab.set_mac("sw:p1", Mac([2, 0, 0, 0, 0, 1])).await?;
        expect_mac(&lab, "sw:br", Mac([2, 0, 0, 0, 0, 1])).await?;
        lab.set_mac("sw:br", NOBODY).await?;
        lab.set_mac("sw:p2", Mac([0, 0, 0, 0, 0, 1])).await?;
        expect_mac(&lab, "sw:br", NOBODY).await
    });
}

async fn expect_mac(lab: &CaseLab, link: &str, mac: Mac) -> Result<(), Stop> {
    let seen = lab.link(link).await?.mac;
    lab.claim(&format!("{link} has {mac}"), seen == mac, seen)
}

const IDENTITY: Rule = Rule {
    id: "bridge.device.ports-tell-its-identifier",
    promise: "while a bridge knows of no other, its ports tell its identifier as the root's and as the \
              next bridge's towards it; another address of the bridge changes that at all, another \
              priority at those that are up, and at others when they come up",
    source: Source {
        cite: "br_stp_change_bridge_id and br_stp_set_bridge_priority, net/bridge/br_stp_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Holds which identifier a port tells.
async fn expect_identifier(lab: &CaseLab, port: &str, id: (u16, Mac)) -> Result<(), Stop> {
    for option in [port::ROOT_ID, port::BRIDGE_ID] {
        lab.expect_option(port, option, number(id.0, id.1)).await?;
    }
    Ok(())
}

#[test]
fn ports_tell_its_identifier() {
    check(&IDENTITY, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_up("sw:p3", false).await?;
        let first = (0x8000, lab.mac("sw:br"));
        for port in ["sw:p1", "sw:p2", "sw:p3"] {
            expect_identifier(&lab, port, first).await?;
        }
        lab.set_mac("sw:br", NOBODY).await?;
        for port in ["sw:p1", "sw:p2", "sw:p3"] {
            expect_identifier(&lab, port, (0x8000, NOBODY)).await?;
        }
        lab.set_option("sw:br", bridge::PRIORITY, 0x7000).await?;
        for (port, priority) in [("sw:p1", 0x7000), ("sw:p2", 0x7000), ("sw:p3", 0x8000)] {
            expect_identifier(&lab, port, (priority, NOBODY)).await?;
        }
        lab.set_up("sw:p3", true).await?;
        expect_identifier(&lab, "sw:p3", (0x7000, NOBODY)).await
    });
}

const CARRIER: Rule = Rule {
    id: "bridge.device.carrier-by-its-ports",
    promise: "a bridge has carrier while one of its ports has",
    source: Source {
        cite: "br_stp_disable_port and br_port_state_selection",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn carrier_by_its_ports() {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for (host, carrier) in [("a", true), ("b", true), ("c", false)] {
            lab.expect_to_settle(format!("{host}:eth0").as_str(), false).await?;
            let seen = lab.link("sw:br").await?.carrier;
            lab.claim(&format!("{host} down: carrier {carrier}"), seen == carrier, seen)?;
        }
        lab.expect_to_settle("b:eth0", true).await?;
        let seen = lab.link("sw:br").await?.carrier;
        lab.claim("b up: carrier", seen, seen)
    });
}

const NONE_FORWARDS: Rule = Rule {
    id: "bridge.device.no-carrier-where-no-port-forwards",
    promise: "a bridge none of whose ports forwards, as they were told by hand, has no carrier; where no \
              tree is spoken, a port that is told to block forwards again at once",
    source: Source {
        cite: "br_set_port_state and br_port_state_selection",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_carrier_where_no_port_forwards() {
    check(&NONE_FORWARDS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for (port, state, carrier) in [
            ("sw:p1", 2, true),
            ("sw:p2", 1, true),
            ("sw:p3", 2, false),
            ("sw:p2", 3, true),
            ("sw:p2", 0, false),
            ("sw:p2", 3, true),
        ] {
            lab.set_option(port, port::STATE, state).await?;
            lab.expect_option(port, port::STATE, state).await?;
            let seen = lab.link("sw:br").await?.carrier;
            lab.claim(
                &format!("{port} in state {state}: carrier {carrier}"),
                seen == carrier,
                seen,
            )?;
        }
        lab.set_option("sw:p1", port::STATE, 4).await?;
        lab.expect_option("sw:p1", port::STATE, 3).await
    });
}

const COUNTED: Rule = Rule {
    id: "bridge.device.counts-what-passes",
    promise: "each port counts the bytes that come in and leave by it, and the bridge those that \
              its own stack gets and sends, and not those that it only forwards",
    source: Source { cite: "br_pass_frame_up and br_dev_xmit", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn counts_what_passes() {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let (b, br) = (lab.mac("b:eth0"), lab.mac("sw:br"));
        let forwarded = ("a", &Shot::to(b), "b host");
        let wanted = [("sw:p1", MORE, 0), ("sw:p2", 0, MORE), ("sw:p3", 0, 0), ("sw:br", 0, 0)];
        expect_bytes(&mut lab, forwarded, &wanted).await?;
        let up = ("a", &Shot::to(br), "sw host");
        expect_bytes(&mut lab, up, &[("sw:p1", MORE, 0), ("sw:br", MORE, 0)]).await?;
        let down = ("sw", &Shot::to(b), "b host");
        expect_bytes(&mut lab, down, &[("sw:p2", 0, MORE), ("sw:br", 0, MORE)]).await?;
        let all = ("a", &Shot::broadcast(), "b broadcast, c broadcast, sw broadcast");
        let wanted =
            [("sw:p1", MORE, 0), ("sw:p2", 0, MORE), ("sw:p3", 0, MORE), ("sw:br", MORE, 0)];
        expect_bytes(&mut lab, all, &wanted).await?;
        Ok(())
    });
}

const BRIDGE_SETTINGS: Rule = Rule {
    id: "bridge.device.settings-are-read-back",
    promise: "what a bridge is told to do it says that it does",
    source: Source {
        cite: "br_fill_info and br_changelink, net/bridge/br_netlink.c; ip-link(8)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::forward_delay(bridge::FORWARD_DELAY, 400)]
#[case::hello_time(bridge::HELLO_TIME, 300)]
#[case::max_age(bridge::MAX_AGE, 1900)]
#[case::ageing_time(bridge::AGEING_TIME, 12_300)]
#[case::priority(bridge::PRIORITY, 0x1000)]
#[case::group_fwd_mask(bridge::GROUP_FWD_MASK, 0x4000)]
#[case::group_address(bridge::GROUP_ADDRESS, 0x0180_c200_000e)]
#[case::mcast_router(bridge::MCAST_ROUTER, 2)]
#[case::mcast_snooping(bridge::MCAST_SNOOPING, 1)]
#[case::mcast_querier(bridge::MCAST_QUERIER, 1)]
#[case::mcast_ifaddr(bridge::MCAST_QUERY_USE_IFADDR, 1)]
#[case::last_member_count(bridge::MCAST_LAST_MEMBER_COUNT, 5)]
#[case::startup_count(bridge::MCAST_STARTUP_QUERY_COUNT, 4)]
#[case::last_member_interval(bridge::MCAST_LAST_MEMBER_INTERVAL, 300)]
#[case::membership_interval(bridge::MCAST_MEMBERSHIP_INTERVAL, 20_000)]
#[case::querier_interval(bridge::MCAST_QUERIER_INTERVAL, 20_100)]
#[case::query_interval(bridge::MCAST_QUERY_INTERVAL, 10_200)]
#[case::response_interval(bridge::MCAST_QUERY_RESPONSE_INTERVAL, 700)]
fn settings_are_read_back(#[case] option: LinkOption, #[case] value: u64) {
    check(&BRIDGE_SETTINGS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let before = lab.option("sw:br", option).await?;
        lab.claim("it is told before", before.is_some(), "it is not")?;
        let done = lab.set_option("sw:br", option, value).await;
        lab.expect_done(&format!("{option} {value}"), done)?;
        lab.expect_option("sw:br", option, value).await
    });
}

const PORT_SETTINGS: Rule = Rule {
    id: "bridge.device.port-settings-are-read-back",
    promise: "what a port is told to do it says that it does, and begins with what is documented",
    source: Source {
        cite: "br_port_fill_attrs and br_setport, net/bridge/br_netlink.c; bridge(8)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::hairpin(port::HAIRPIN, 0, 1)]
#[case::guard(port::GUARD, 0, 1)]
#[case::root_block(port::ROOT_BLOCK, 0, 1)]
#[case::fast_leave(port::FAST_LEAVE, 0, 1)]
#[case::learning(port::LEARNING, 1, 0)]
#[case::flood(port::UNICAST_FLOOD, 1, 0)]
#[case::mcast_flood(port::MCAST_FLOOD, 1, 0)]
#[case::bcast_flood(port::BCAST_FLOOD, 1, 0)]
#[case::mcast_to_unicast(port::MCAST_TO_UCAST, 0, 1)]
#[case::neigh_suppress(port::NEIGH_SUPPRESS, 0, 1)]
#[case::isolated(port::ISOLATED, 0, 1)]
#[case::proxyarp(port::PROXYARP, 0, 1)]
#[case::mcast_router(port::MCAST_ROUTER, 1, 2)]
#[case::priority(port::PRIORITY, 32, 7)]
#[case::cost(port::COST, 2, 77)]
#[case::group_fwd_mask(port::GROUP_FWD_MASK, 0, 0x4000)]
fn port_settings_are_read_back(#[case] option: LinkOption, #[case] first: u64, #[case] value: u64) {
    check(&PORT_SETTINGS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        lab.expect_option("sw:p1", option, first).await?;
        let done = lab.set_option("sw:p1", option, value).await;
        lab.expect_done(&format!("{option} {value}"), done)?;
        lab.expect_option("sw:p1", option, value).await?;
        lab.expect_option("sw:p2", option, first).await?;
        lab.set_option("sw:p1", option, first).await?;
        lab.expect_option("sw:p1", option, first).await
    });
}

const REFUSED_PORTS: Rule = Rule {
    id: "bridge.device.what-is-no-port",
    promise: "a bridge takes no bridge, no loopback and no link that is somebody else's",
    source: Source { cite: "br_add_if, net/bridge/br_if.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_no_port() {
    check(&REFUSED_PORTS, async |case| {
        let mut lab = case.lab(&switch().bridge("sw:other")).await?;
        let done = lab.set_bridge("sw:other", Some("br")).await;
        lab.expect_refusal("a bridge in a bridge", done, Errno::ELOOP)?;
        let done = lab.set_bridge("sw:p1", Some("p2")).await;
        lab.expect_refusal("a port of what is no bridge", done, Errno::EOPNOTSUPP)?;
        lab.set_bridge("sw:p1", Some("other")).await?;
        let other = u64::from(lab.topology().ifindex(&LinkName::from("sw:other")));
        lab.expect_option("sw:p1", link::CONTROLLER, other).await
    });
}

const BY_CALL: Rule = Rule {
    id: "bridge.device.ports-by-the-older-calls",
    promise: "by the calls that brctl makes a link becomes a port and is one no longer; a port of \
              another bridge is not taken, and a bridge gives up no port that is not its own",
    source: Source {
        cite: "br_add_if and br_del_if, net/bridge/br_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn ports_by_the_older_calls() {
    check(&BY_CALL, async |case| {
        let mut lab = case.lab(&switch().bridge("sw:other")).await?;
        let all = "b broadcast, c broadcast, sw broadcast";
        let done = lab.add_port("sw:other", "p1").await;
        lab.expect_refusal("a port of another bridge", done, Errno::EBUSY)?;
        let done = lab.add_port("sw:br", "p1").await;
        lab.expect_refusal("a port of its own", done, Errno::EBUSY)?;
        let done = lab.remove_port("sw:other", "p1").await;
        lab.expect_refusal("another bridge's port out", done, Errno::EINVAL)?;
        lab.expect_shot("a", &Shot::broadcast(), all).await?;
        lab.remove_port("sw:br", "p1").await?;
        lab.expect_shot("a", &Shot::broadcast(), "sw:p1 broadcast").await?;
        lab.add_port("sw:br", "p1").await?;
        lab.expect_shot("a", &Shot::broadcast(), all).await?;
        let done = lab.add_port("sw:br", "other").await;
        lab.expect_refusal("a bridge in a bridge", done, Errno::ELOOP)
    });
}

const LEAVING: Rule = Rule {
    id: "bridge.device.a-link-that-leaves-is-its-own",
    promise: "a link that leaves a bridge hears its frames itself, and none of the others' reaches \
              it; the others go on",
    source: Source { cite: "del_nbp, net/bridge/br_if.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_link_that_leaves_is_its_own() {
    check(&LEAVING, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_shot("a", &Shot::broadcast(), "b broadcast, c broadcast, sw broadcast").await?;
        lab.set_bridge("sw:p1", None).await?;
        lab.expect_shot("a", &Shot::broadcast(), "sw:p1 broadcast").await?;
        lab.expect_shot("b", &Shot::broadcast(), "c broadcast, sw broadcast").await?;
        lab.set_bridge("sw:p1", Some("br")).await?;
        lab.expect_shot("b", &Shot::broadcast(), "a broadcast, c broadcast, sw broadcast").await?;
        Ok(())
    });
}

const SCATTERED: Rule = Rule {
    id: "bridge.device.takes-pieces-while-a-port-does",
    promise: "a bridge takes frames in pieces, and segments uncut, while one of its ports takes pieces or \
              it has none, and follows when a port comes, goes or changes",
    source: Source {
        cite: "br_features_recompute, net/bridge/br_if.c; br_device_event, NETDEV_FEAT_CHANGE",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_pieces(lab: &CaseLab, on: bool) -> Result<(), Stop> {
    for offload in [Offload::Scatter, Offload::Tso, Offload::Gso] {
        lab.expect_offload("sw:br", offload, on).await?;
    }
    Ok(())
}

#[test]
fn takes_pieces_while_a_port_does() {
    check(&SCATTERED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let ports = ["sw:p1", "sw:p2", "sw:p3"];
        expect_pieces(&lab, true).await?;
        for port in ports {
            lab.set_offload(port, Offload::Scatter, false)?;
        }
        expect_pieces(&lab, false).await?;
        lab.set_offload("sw:p2", Offload::Scatter, true)?;
        expect_pieces(&lab, true).await?;
        lab.set_bridge("sw:p2", None).await?;
        expect_pieces(&lab, false).await?;
        lab.set_bridge("sw:p2", Some("br")).await?;
        expect_pieces(&lab, true).await?;
        lab.set_offload("sw:p2", Offload::Scatter, false)?;
        expect_pieces(&lab, false).await?;
        for port in ports {
            lab.set_bridge(port, None).await?;
        }
        expect_pieces(&lab, true).await
    });
}
