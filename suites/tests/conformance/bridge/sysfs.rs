//! The settings of a bridge and of its ports as files: the older way, which has the same effects as
//! netlink and tells the same.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::{LinkOption, bridge, port};
use hairpin_harness::{
    Bpdu, Bridge, CaseLab, Config, Errno, Error, Fdb, Mac, Rule, Said, Source, Stop, Strength,
    check,
};
use rstest::rstest;

use super::{NEEDS, VLANS};

pub(crate) const RULES: &[Rule] = &[BRIDGES, FILTERING, PORTS, RANGES, BACKUP, FLUSH, TREE, TABLE];

/// A number as a file tells it: `200`, `0x4000`, an Ethernet address.
fn number(text: &str) -> Result<u64, Error> {
    let address = || text.contains(':').then(|| u64::from_str_radix(&text.replace(':', ""), 16));
    let told = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => address().unwrap_or_else(|| text.parse()),
    };
    told.map_err(|_| Error::new(format!("`{text}` is no number"), "a file of sysfs", "read it"))
}

async fn expect_file(lab: &CaseLab, link: &str, file: &str, value: u64) -> Result<(), Stop> {
    let text = lab.sysfs(link, file)?;
    lab.claim(&format!("{link}'s {file} tells {value:#x}"), number(&text)? == value, text)
}

/// Holds that what is written to a file is told by netlink, and nothing else otherwise; and that
/// what netlink sets thereupon is what the file tells.
async fn expect_same(
    lab: &mut CaseLab,
    (link, file): (&str, &str),
    option: LinkOption,
    text: &str,
) -> Result<(), Stop> {
    let before = lab.told(link).await?;
    let old = lab.option(link, option).await?.unwrap_or_default();
    expect_file(lab, link, file, old).await?;
    let value = number(text)?;
    lab.claim("it is another value", value != old, old)?;
    let done = lab.set_sysfs(link, file, text);
    lab.expect_done(&format!("{text} into {file}"), done)?;
    lab.expect_option(link, option, value).await?;
    expect_file(lab, link, file, value).await?;
    let changes = before.changes(&lab.told(link).await?);
    lab.claim(
        &format!("{option} is told otherwise"),
        changes.contains(&option.spot()),
        format!("{changes:?}"),
    )?;
    lab.set_option(link, option, old).await?;
    expect_file(lab, link, file, old).await?;
    let changes = before.changes(&lab.told(link).await?);
    // A group address that was given is told to be one.
    let besides = if option == bridge::GROUP_ADDRESS { changes.len() } else { 0 };
    lab.claim("and all is as it was", changes.len() == besides, format!("{changes:?}"))
}

const BRIDGES: Rule = Rule {
    id: "bridge.sysfs.a-bridges-are-the-same-by-either-way",
    promise: "a setting of a bridge that is written to its file is told by netlink, and one that is \
              set by netlink is told by its file; nothing else changes",
    source: Source {
        cite: "net/bridge/br_sysfs_br.c; Documentation/ABI/testing/sysfs-class-net",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::forward_delay(bridge::FORWARD_DELAY, "forward_delay", "400")]
#[case::hello_time(bridge::HELLO_TIME, "hello_time", "300")]
#[case::max_age(bridge::MAX_AGE, "max_age", "1900")]
#[case::ageing_time(bridge::AGEING_TIME, "ageing_time", "12300")]
#[case::stp_state(bridge::STP, "stp_state", "1")]
#[case::priority(bridge::PRIORITY, "priority", "4096")]
#[case::group_fwd_mask(bridge::GROUP_FWD_MASK, "group_fwd_mask", "0x4000")]
#[case::group_addr(bridge::GROUP_ADDRESS, "group_addr", "01:80:c2:00:00:0e")]
#[case::mcast_router(bridge::MCAST_ROUTER, "multicast_router", "2")]
#[case::mcast_snooping(bridge::MCAST_SNOOPING, "multicast_snooping", "0")]
#[case::mcast_querier(bridge::MCAST_QUERIER, "multicast_querier", "1")]
#[case::mcast_ifaddr(bridge::MCAST_QUERY_USE_IFADDR, "multicast_query_use_ifaddr", "1")]
#[case::hash_max(bridge::MCAST_HASH_MAX, "hash_max", "77")]
#[case::last_member_count(bridge::MCAST_LAST_MEMBER_COUNT, "multicast_last_member_count", "5")]
#[case::startup_count(bridge::MCAST_STARTUP_QUERY_COUNT, "multicast_startup_query_count", "4")]
#[case::last_interval(bridge::MCAST_LAST_MEMBER_INTERVAL, "multicast_last_member_interval", "300")]
#[case::membership(bridge::MCAST_MEMBERSHIP_INTERVAL, "multicast_membership_interval", "20000")]
#[case::querier_interval(bridge::MCAST_QUERIER_INTERVAL, "multicast_querier_interval", "20100")]
#[case::query_interval(bridge::MCAST_QUERY_INTERVAL, "multicast_query_interval", "10200")]
#[case::response(bridge::MCAST_QUERY_RESPONSE_INTERVAL, "multicast_query_response_interval", "700")]
#[case::startup(bridge::MCAST_STARTUP_QUERY_INTERVAL, "multicast_startup_query_interval", "2900")]
#[case::mcast_stats(bridge::MCAST_STATS, "multicast_stats_enabled", "1")]
#[case::igmp_version(bridge::MCAST_IGMP_VERSION, "multicast_igmp_version", "3")]
#[case::mld_version(bridge::MCAST_MLD_VERSION, "multicast_mld_version", "2")]
fn a_bridges_are_the_same_by_either_way(
    #[case] option: LinkOption,
    #[case] file: &str,
    #[case] text: &str,
) {
    check(&BRIDGES, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        // A delay that is none is no delay of a spanning tree.
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 200).await?;
        expect_same(&mut lab, ("sw:br", &format!("bridge/{file}")), option, text).await
    });
}

const FILTERING: Rule = Rule {
    id: "bridge.sysfs.those-of-vlans-and-firewalls-too",
    promise: "so it is with those that have to do with VLANs, and those that show bridged packets \
              to a firewall",
    source: Source { cite: "net/bridge/br_sysfs_br.c", strength: Strength::Code },
    article: &[],
    needs: VLANS,
};

#[rstest]
#[case::vlan_filtering(bridge::VLAN_FILTERING, "vlan_filtering", "1")]
#[case::vlan_protocol(bridge::VLAN_PROTOCOL, "vlan_protocol", "0x88a8")]
#[case::default_pvid(bridge::DEFAULT_PVID, "default_pvid", "17")]
#[case::vlan_stats(bridge::VLAN_STATS, "vlan_stats_enabled", "1")]
#[case::nf_call_iptables(bridge::NF_CALL_IPTABLES, "nf_call_iptables", "1")]
#[case::nf_call_ip6tables(bridge::NF_CALL_IP6TABLES, "nf_call_ip6tables", "1")]
#[case::nf_call_arptables(bridge::NF_CALL_ARPTABLES, "nf_call_arptables", "1")]
fn those_of_vlans_and_firewalls_too(
    #[case] option: LinkOption,
    #[case] file: &str,
    #[case] text: &str,
) {
    check(&FILTERING, async |case| {
        let mut lab = case.lab(&switch()).await?;
        expect_same(&mut lab, ("sw:br", &format!("bridge/{file}")), option, text).await
    });
}

const PORTS: Rule = Rule {
    id: "bridge.sysfs.a-ports-are-the-same-by-either-way",
    promise: "so it is with a port's, and its neighbour's stay as they were",
    source: Source {
        cite: "net/bridge/br_sysfs_if.c; Documentation/ABI/testing/sysfs-class-net",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::hairpin(port::HAIRPIN, "hairpin_mode", "1")]
#[case::guard(port::GUARD, "bpdu_guard", "1")]
#[case::root_block(port::ROOT_BLOCK, "root_block", "1")]
#[case::fast_leave(port::FAST_LEAVE, "multicast_fast_leave", "1")]
#[case::learning(port::LEARNING, "learning", "0")]
#[case::flood(port::UNICAST_FLOOD, "unicast_flood", "0")]
#[case::mcast_flood(port::MCAST_FLOOD, "multicast_flood", "0")]
#[case::bcast_flood(port::BCAST_FLOOD, "broadcast_flood", "0")]
#[case::mcast_to_unicast(port::MCAST_TO_UCAST, "multicast_to_unicast", "1")]
#[case::neigh_suppress(port::NEIGH_SUPPRESS, "neigh_suppress", "1")]
#[case::isolated(port::ISOLATED, "isolated", "1")]
#[case::proxyarp(port::PROXYARP, "proxyarp", "1")]
#[case::proxyarp_wifi(port::PROXYARP_WIFI, "proxyarp_wifi", "1")]
#[case::mcast_router(port::MCAST_ROUTER, "multicast_router", "2")]
#[case::priority(port::PRIORITY, "priority", "7")]
#[case::cost(port::COST, "path_cost", "77")]
#[case::group_fwd_mask(port::GROUP_FWD_MASK, "group_fwd_mask", "0x4000")]
fn a_ports_are_the_same_by_either_way(
    #[case] option: LinkOption,
    #[case] file: &str,
    #[case] text: &str,
) {
    check(&PORTS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let beside = lab.told("sw:p2").await?;
        expect_same(&mut lab, ("sw:p1", &format!("brport/{file}")), option, text).await?;
        let changes = beside.changes(&lab.told("sw:p2").await?);
        lab.expect_lines("what its neighbour says otherwise", changes, &[])
    });
}

const RANGES: Rule = Rule {
    id: "bridge.sysfs.what-is-out-of-range-is-refused",
    promise: "a value that netlink does not take is refused with the same word when it is written \
              to a file, as is what is no number, and nothing changes",
    source: Source {
        cite: "store_bridge_parm and brport_store; group_addr_store",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::hello_time("sw:br", "bridge/hello_time", &["99", "1001"], Errno::ERANGE)]
#[case::max_age("sw:br", "bridge/max_age", &["599", "4001"], Errno::ERANGE)]
#[case::no_number("sw:br", "bridge/max_age", &["x", ""], Errno::EINVAL)]
#[case::router("sw:br", "bridge/multicast_router", &["3"], Errno::EINVAL)]
#[case::igmp("sw:br", "bridge/multicast_igmp_version", &["1", "4"], Errno::EINVAL)]
#[case::mld("sw:br", "bridge/multicast_mld_version", &["0", "3"], Errno::EINVAL)]
#[case::mask("sw:br", "bridge/group_fwd_mask", &["1", "2", "4"], Errno::EINVAL)]
#[case::group_addr(
    "sw:br",
    "bridge/group_addr",
    &[
        "01:80:c2:00:00:01",
        "01:80:c2:00:00:02",
        "01:80:c2:00:00:03",
        "01:80:c2:00:00:10",
        "01:80:c2:00:00",
    ],
    Errno::EINVAL
)]
#[case::port_priority("sw:p1", "brport/priority", &["64"], Errno::ERANGE)]
#[case::port_cost("sw:p1", "brport/path_cost", &["0", "65536"], Errno::ERANGE)]
#[case::port_router("sw:p1", "brport/multicast_router", &["4"], Errno::EINVAL)]
#[case::port_mask("sw:p1", "brport/group_fwd_mask", &["2"], Errno::EINVAL)]
#[case::port_no_number("sw:p1", "brport/path_cost", &["x"], Errno::EINVAL)]
fn what_is_out_of_range_is_refused(
    #[case] link: &str,
    #[case] file: &str,
    #[case] bad: &[&str],
    #[case] errno: Errno,
) {
    check(&RANGES, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let (before, text) = (lab.told(link).await?, lab.sysfs(link, file)?);
        for value in bad.iter().filter(|value| !value.is_empty()) {
            let done = lab.set_sysfs(link, file, value);
            lab.expect_refusal(&format!("{file} `{value}`"), done, errno)?;
        }
        let changes = before.changes(&lab.told(link).await?);
        lab.expect_lines("what changed all the same", changes, &[])?;
        // What it has is in range.
        let done = lab.set_sysfs(link, file, &text);
        lab.expect_done(&format!("{file} {text}"), done)
    });
}

const BACKUP: Rule = Rule {
    id: "bridge.sysfs.a-backup-is-named",
    promise: "the port that stands in for another is written and told by its name; an empty line \
              means none; what is no other port of the bridge is refused",
    source: Source {
        cite: "store_backup_port and show_backup_port, net/bridge/br_sysfs_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_backup_is_named() {
    check(&BACKUP, async |case| {
        const FILE: &str = "brport/backup_port";
        let mut lab = case.lab(&switch()).await?;
        for (name, errno) in
            [("nobody", Errno::ENOENT), ("br", Errno::ENOENT), ("p1", Errno::EINVAL)]
        {
            let done = lab.set_sysfs("sw:p1", FILE, name);
            lab.expect_refusal(&format!("{name} as a backup"), done, errno)?;
        }
        for name in ["p2\n", "p3"] {
            lab.set_sysfs("sw:p1", FILE, name)?;
            let link = hairpin_harness::LinkName::new("sw", name.trim_end());
            let index = lab.topology().ifindex(&link);
            lab.expect_option("sw:p1", port::BACKUP_PORT, index.into()).await?;
            lab.expect_lines("its name", [lab.sysfs("sw:p1", FILE)?], &[&link.link])?;
        }
        lab.set_sysfs("sw:p1", FILE, "\n")?;
        let left = lab.option("sw:p1", port::BACKUP_PORT).await?;
        lab.claim("none", left.is_none(), format!("{left:?}"))?;
        lab.expect_lines("no name", [lab.sysfs("sw:p1", FILE)?], &[""])
    });
}

const FLUSH: Rule = Rule {
    id: "bridge.sysfs.a-bridge-or-a-port-forgets",
    promise: "a bridge forgets what was learned at all ports when anything is written to its file \
              for that, a port what was learned there; both keep what is pinned or their own",
    source: Source {
        cite: "set_flush, net/bridge/br_sysfs_br.c; store_flush, net/bridge/br_sysfs_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// The addresses that no link has: pinned, and as if learned at p1 and p2.
const MACS: [Mac; 3] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]), Mac([2, 0, 0, 0, 0, 3])];

async fn expect_known(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let known = lab.fdb("sw").await?.into_iter();
    let known = known.filter(|entry| MACS.contains(&entry.mac) && entry.vlan.is_none());
    lab.expect_lines(when, known, lines)
}

#[test]
fn a_bridge_or_a_port_forgets() {
    check(&FLUSH, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p1", MACS[0], Fdb::STATIC).await?;
        let own = lab.fdb("sw").await?.iter().filter(|entry| entry.own).count();
        let (pinned, second) = ("02:00:00:00:00:01 p1 static", "02:00:00:00:00:03 p2");
        for (link, file, left) in [
            ("sw:p1", "brport/flush", &[pinned, second][..]),
            ("sw:br", "bridge/flush", &[pinned][..]),
        ] {
            lab.add_fdb("sw:p1", MACS[1], Fdb::DYNAMIC).await?;
            lab.add_fdb("sw:p2", MACS[2], Fdb::DYNAMIC).await?;
            expect_known(&lab, "before", &[pinned, "02:00:00:00:00:02 p1", second]).await?;
            lab.set_sysfs(link, file, "1")?;
            expect_known(&lab, link, left).await?;
            let kept = lab.fdb("sw").await?.iter().filter(|entry| entry.own).count();
            lab.claim("its own are kept", kept == own, kept)?;
        }
        Ok(())
    });
}

const TREE: Rule = Rule {
    id: "bridge.sysfs.the-tree-is-told-in-files",
    promise: "a bridge's files tell the root, the way there and its cost, and which of its clocks \
              run; a port's tell the same of the port",
    source: Source {
        cite: "br_show_bridge_id; net/bridge/br_sysfs_br.c and br_sysfs_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// A bridge as files name it.
fn name(priority: u16, mac: Mac) -> String {
    format!("{priority:04x}.{}", mac.to_string().replace(':', ""))
}

#[test]
fn the_tree_is_told_in_files() {
    check(&TREE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_options("sw:br", &[(bridge::FORWARD_DELAY, 1500), (bridge::STP, 1)]).await?;
        lab.set_option("sw:p1", port::COST, 100).await?;
        let own = name(0x8000, lab.mac("sw:br"));
        let ear = lab.hear_bridges("c").await?;
        for (file, told) in [("root_id", &own[..]), ("bridge_id", &own), ("root_port", "0")] {
            lab.expect_lines(file, [lab.sysfs("sw:br", &format!("bridge/{file}"))?], &[told])?;
        }
        let mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x20]);
        let (root, other) = (name(1, mac), name(2, MACS[0]));
        let word = Config { changed: true, cost: 7, ..Config::of_root(1, mac) };
        let word = Config { bridge: (2, MACS[0]), port: 0x8042, ..word };
        lab.say_as_bridge("a", &[Bpdu::new(Said::Config(word))]).await?;
        ear.wait_for(
            std::time::Duration::from_secs(10),
            |said| matches!(said, Said::Config(said) if said.root == (1, mac)),
        )?;
        for (link, file, told) in [
            ("br", "bridge/root_id", &root[..]),
            ("br", "bridge/bridge_id", &own),
            ("br", "bridge/root_port", "1"),
            ("br", "bridge/root_path_cost", "107"),
            ("br", "bridge/topology_change", "1"),
            ("br", "bridge/topology_change_detected", "0"),
            ("br", "bridge/hello_timer", "0"),
            ("br", "bridge/tcn_timer", "0"),
            ("br", "bridge/topology_change_timer", "0"),
            ("p1", "brport/designated_root", &root),
            ("p1", "brport/designated_bridge", &other),
            ("p1", "brport/designated_port", "32834"),
            ("p1", "brport/designated_cost", "7"),
            ("p1", "brport/port_id", "0x8001"),
            ("p1", "brport/port_no", "0x1"),
            ("p1", "brport/state", "3"),
            ("p1", "brport/change_ack", "0"),
            ("p1", "brport/config_pending", "0"),
            ("p1", "brport/forward_delay_timer", "0"),
            ("p1", "brport/hold_timer", "0"),
            ("p3", "brport/designated_root", &root),
            ("p3", "brport/designated_bridge", &own),
            ("p3", "brport/designated_port", "32771"),
            ("p3", "brport/designated_cost", "107"),
            ("p3", "brport/port_no", "0x3"),
            ("p3", "brport/message_age_timer", "0"),
        ] {
            let text = lab.sysfs(&*format!("sw:{link}"), file)?;
            lab.expect_lines(&format!("{link} {file}"), [text], &[told])?;
        }
        let runs = number(&lab.sysfs("sw:p1", "brport/message_age_timer")?)?;
        lab.claim("the root's word grows old", (1..=2000).contains(&runs), runs)
    });
}

const TABLE: Rule = Rule {
    id: "bridge.sysfs.ports-and-addresses-are-listed",
    promise: "a bridge has a folder of its ports, each of which leads back to it, and a file of \
              what it has learned and been told: address, port, whether it is its own",
    source: Source {
        cite: "struct __fdb_entry of linux/if_bridge.h; br_fdb_fillbuf and br_sysfs_addif",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn ports_and_addresses_are_listed() {
    check(&TABLE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p1", MACS[0], Fdb::STATIC).await?;
        lab.add_fdb("sw:p2", MACS[1], Fdb::DYNAMIC).await?;
        lab.expect_lines("ports", lab.sysfs_names("sw:br", "brif")?, &["p1", "p2", "p3"])?;
        let same = lab.sysfs("sw:p1", "brport/bridge/address")?;
        lab.expect_lines("its bridge", [same], &[&lab.mac("sw:br").to_string()])?;
        let own = lab.mac("sw:p3");
        let table = lab.sysfs_bytes("sw:br", "brforward")?;
        for (mac, number, local) in [(MACS[0], 1, 0), (MACS[1], 2, 0), (own, 3, 1)] {
            let entry = table.chunks_exact(16).find(|entry| entry[..6] == mac.0);
            let told = entry.map(|entry| (entry[6], entry[7]));
            let seen = format!("{told:?}");
            lab.claim(&format!("{mac} at {number}"), told == Some((number, local)), seen)?;
        }
        lab.set_bridge("sw:p2", None).await?;
        lab.expect_lines("ports", lab.sysfs_names("sw:br", "brif")?, &["p1", "p3"])?;
        let done = lab.sysfs("sw:p2", "brport/state");
        lab.expect_refusal("a setting of a port that is none", done, Errno::ENOENT)
    });
}
