//! A bridge by the calls that were there before netlink and sysfs: made and taken away by name, set
//! and shown by number.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               p4 is no port
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch;
use hairpin_harness::options::{LinkOption, bridge, port};
use hairpin_harness::{
    Bpdu, Brctl, CaseLab, Config, Errno, Fdb, LinkName, Mac, Rule, Said, Source, Stop, Strength,
    check,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[NAMES, SAME, REFUSED, RIGHTS, PORTS, TOLD, TABLE, SPEED];

const NAMES: Rule = Rule {
    id: "bridge.older.made-and-taken-away-by-name",
    promise: "a bridge is made by a name that no link has, and taken away by it; one that is up is \
              not, nor is a link that is no bridge",
    source: Source {
        cite: "SIOCBRADDBR and SIOCBRDELBR; br_add_bridge and br_del_bridge, net/bridge/br_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

fn names(lab: &CaseLab) -> Result<bool, Stop> {
    Ok(lab.sights("sw")?.links.contains("second"))
}

#[test]
fn made_and_taken_away_by_name() {
    check(&NAMES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        for _ in 0..2 {
            let done = lab.bridge_by_name("sw", "second", false);
            lab.expect_refusal("to take none away", done, Errno::ENXIO)?;
            lab.bridge_by_name("sw", "second", true)?;
            lab.claim("there is one", names(&lab)?, "none")?;
            let done = lab.bridge_by_name("sw", "second", true);
            lab.expect_refusal("one more of that name", done, Errno::EEXIST)?;
            lab.bridge_by_name("sw", "second", false)?;
            lab.claim("there is none", !names(&lab)?, "there is one")?;
        }
        let done = lab.bridge_by_name("sw", "br", false);
        lab.expect_refusal("to take away one that is up", done, Errno::EBUSY)?;
        let done = lab.bridge_by_name("sw", "p1", false);
        lab.expect_refusal("to take a port away", done, Errno::EPERM)?;
        lab.set_up("sw:br", false).await?;
        let done = lab.bridge_by_name("sw", "br", false);
        lab.expect_done("to take away one that is down, ports and all", done)?;
        lab.claim("it is gone", !lab.exists("sw:br")?, "it is there")
    });
}

const SAME: Rule = Rule {
    id: "bridge.older.set-by-number",
    promise: "what is set by the older calls is told by netlink, and nothing else changes",
    source: Source {
        cite: "br_dev_siocdevprivate, net/bridge/br_ioctl.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::forward_delay("br", Brctl::ForwardDelay, bridge::FORWARD_DELAY, (400, 0), &[])]
#[case::hello_time("br", Brctl::HelloTime, bridge::HELLO_TIME, (300, 0), &[])]
#[case::max_age("br", Brctl::MaxAge, bridge::MAX_AGE, (1900, 0), &[])]
#[case::ageing_time("br", Brctl::AgeingTime, bridge::AGEING_TIME, (12_300, 0), &[])]
#[case::stp("br", Brctl::Stp, bridge::STP, (1, 0), &[])]
#[case::priority("br", Brctl::Priority, bridge::PRIORITY, (0x1000, 0), &[bridge::BRIDGE_ID, bridge::ROOT_ID])]
#[case::port_cost("p2", Brctl::PortCost, port::COST, (2, 77), &[])]
#[case::port_priority("p2", Brctl::PortPriority, port::PRIORITY, (2, 7), &[port::ID, port::DESIGNATED_PORT])]
fn set_by_number(
    #[case] link: &str,
    #[case] command: Brctl,
    #[case] option: LinkOption,
    #[case] numbers: (u64, u64),
    #[case] besides: &[LinkOption],
) {
    check(&SAME, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 200).await?;
        let link = LinkName::new("sw", link);
        let before = lab.told(link.clone()).await?;
        let done = lab.set_older("sw:br", command, numbers);
        lab.expect_done(&format!("{command:?} {numbers:?}"), done)?;
        let value = if numbers.1 == 0 { numbers.0 } else { numbers.1 };
        lab.expect_option(link.clone(), option, value).await?;
        let mut spots: Vec<String> = besides.iter().map(|option| option.spot()).collect();
        spots.push(option.spot());
        let changes = before.changes(&lab.told(link).await?);
        let only = changes.iter().all(|change| spots.contains(change));
        lab.claim("only that", only && changes.contains(&option.spot()), format!("{changes:?}"))
    });
}

const REFUSED: Rule = Rule {
    id: "bridge.older.refused-as-by-netlink",
    promise: "a value out of range, a port that there is not, less room than none, and a command \
              that there is no longer are refused",
    source: Source {
        cite: "br_dev_siocdevprivate, net/bridge/br_ioctl.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn refused_as_by_netlink() {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.set_options("sw:br", &[(bridge::FORWARD_DELAY, 200), (bridge::STP, 1)]).await?;
        for (command, numbers, errno) in [
            (Brctl::HelloTime, (99, 0), Errno::ERANGE),
            (Brctl::MaxAge, (4001, 0), Errno::ERANGE),
            (Brctl::ForwardDelay, (199, 0), Errno::ERANGE),
            (Brctl::PortCost, (1, 0), Errno::ERANGE),
            (Brctl::PortPriority, (1, 64), Errno::ERANGE),
            (Brctl::PortCost, (9, 77), Errno::EINVAL),
            (Brctl::PortPriority, (9, 7), Errno::EINVAL),
            (Brctl::GcInterval, (1, 0), Errno::EOPNOTSUPP),
            (Brctl::AddPort, (9999, 0), Errno::EINVAL),
            (Brctl::PortList, (0, u64::MAX), Errno::EINVAL),
        ] {
            let done = lab.set_older("sw:br", command, numbers);
            lab.expect_refusal(&format!("{command:?} {numbers:?}"), done, errno)?;
        }
        lab.expect_refusal("a port 9", lab.older_port("sw:br", 9), Errno::EINVAL)
    });
}

const RIGHTS: Rule = Rule {
    id: "bridge.older.only-for-who-may-administer",
    promise: "the older calls change nothing for whoever may not administer networks, and tell of a \
              bridge and its ports to all",
    source: Source {
        cite: "br_dev_siocdevprivate and br_ioctl_stub, ns_capable, net/bridge/br_ioctl.c; \
               capabilities(7), CAP_NET_ADMIN",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn only_for_who_may_administer() {
    check(&RIGHTS, async |case| {
        let mut lab = case.lab(&switch().cable("sw:p4", "a:eth1")).await?;
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 200).await?;
        let p4 = u64::from(lab.topology().ifindex(&LinkName::new("sw", "p4")));
        for (command, numbers) in [
            (Brctl::AddPort, (p4, 0)),
            (Brctl::RemovePort, (p4, 0)),
            (Brctl::ForwardDelay, (400, 0)),
            (Brctl::HelloTime, (300, 0)),
            (Brctl::MaxAge, (1900, 0)),
            (Brctl::AgeingTime, (12_300, 0)),
            (Brctl::Stp, (1, 0)),
            (Brctl::Priority, (0x1000, 0)),
            (Brctl::PortPriority, (2, 7)),
            (Brctl::PortCost, (2, 77)),
        ] {
            let before = lab.older_info("sw:br")?;
            let ports = lab.older_ports("sw:br", 8)?;
            let port = lab.older_port("sw:br", 2)?;
            let what = format!("{command:?} {numbers:?}");
            let done = lab.without_rights(|lab| lab.set_older("sw:br", command, numbers))?;
            lab.expect_refusal(&what, done, Errno::EPERM)?;
            let told = lab.without_rights(|lab| lab.older_info("sw:br"))??;
            lab.claim(
                &format!("{what}: the bridge is as it was"),
                told == before,
                format!("{told:?}"),
            )?;
            let told = lab.without_rights(|lab| lab.older_ports("sw:br", 8))??;
            lab.claim(&format!("{what}: so are its ports"), told == ports, format!("{told:?}"))?;
            let told = lab.without_rights(|lab| lab.older_port("sw:br", 2))??;
            lab.claim(&format!("{what}: so is one"), told == port, format!("{told:?}"))?;
            let done = lab.set_older("sw:br", command, numbers);
            lab.expect_done(&what, done)?;
        }
        for made in [true, false] {
            let done = lab.without_rights(|lab| lab.bridge_by_name("sw", "second", made))?;
            lab.expect_refusal(&format!("by name: {made}"), done, Errno::EPERM)?;
            lab.bridge_by_name("sw", "second", made)?;
        }
        Ok(())
    });
}

const PORTS: Rule = Rule {
    id: "bridge.older.ports-come-and-go",
    promise: "a link becomes a port by its index, once, and is one no more when that is said; one \
              that is no port of the bridge is not taken out",
    source: Source { cite: "add_del_if, net/bridge/br_ioctl.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn ports_come_and_go() {
    check(&PORTS, async |case| {
        let mut lab = case.lab(&switch().cable("sw:p4", "a:eth1")).await?;
        let index = |lab: &CaseLab, link: &str| lab.topology().ifindex(&LinkName::new("sw", link));
        let p4 = u64::from(index(&lab, "p4"));
        let all = ["p1", "p2", "p3", "p4"].map(|link| index(&lab, link));
        let done = lab.set_older("sw:br", Brctl::RemovePort, (p4, 0));
        lab.expect_refusal("to take out what is no port", done, Errno::EINVAL)?;
        lab.set_older("sw:br", Brctl::AddPort, (p4, 0))?;
        let done = lab.set_older("sw:br", Brctl::AddPort, (p4, 0));
        lab.expect_refusal("again", done, Errno::EBUSY)?;
        let told: Vec<u32> = lab.older_ports("sw:br", 8)?.into_values().collect();
        lab.claim("four", told == all, format!("{told:?}"))?;
        lab.set_older("sw:br", Brctl::RemovePort, (p4, 0))?;
        let told = lab.option("sw:p4", port::NUMBER).await?;
        lab.claim("no port", told.is_none(), format!("{told:?}"))
    });
}

const TOLD: Rule = Rule {
    id: "bridge.older.tells-of-a-bridge-and-its-ports",
    promise: "the older calls tell of all bridges, of one its place in the tree and its times, of \
              its ports their numbers, places and costs",
    source: Source {
        cite: "struct __bridge_info and __port_info of linux/if_bridge.h; br_dev_siocdevprivate",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

fn identifier(priority: u16, mac: Mac) -> [u8; 8] {
    let [high, low] = priority.to_be_bytes();
    let [a, b, c, d, e, f] = mac.0;
    [high, low, a, b, c, d, e, f]
}

#[test]
fn tells_of_a_bridge_and_its_ports() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&switch().bridge("sw:other")).await?;
        let index = |lab: &CaseLab, link: &str| lab.topology().ifindex(&LinkName::new("sw", link));
        let (version, mut bridges) = lab.older_bridges("sw")?;
        bridges.sort_unstable();
        let mut both = ["br", "other"].map(|link| index(&lab, link));
        both.sort_unstable();
        lab.claim("version 1, both bridges", (version, &bridges[..]) == (1, &both), version)?;
        lab.set_options("sw:br", &[(bridge::FORWARD_DELAY, 1400), (bridge::STP, 1)]).await?;
        lab.set_option("sw:p1", port::COST, 100).await?;
        let before = lab.older_info("sw:br")?;
        let own = identifier(0x8000, lab.mac("sw:br"));
        let itself = (before.root, before.bridge, before.root_port) == (own, own, 0);
        lab.claim("the root itself", itself && before.stp, format!("{before:?}"))?;
        let mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x20]);
        let ear = lab.hear_bridges("c").await?;
        let word = Config { changed: true, cost: 7, max_age: 1700, ..Config::of_root(1, mac) };
        lab.say_as_bridge("a", &[Bpdu::new(Said::Config(word))]).await?;
        ear.wait_for(
            std::time::Duration::from_secs(10),
            |said| matches!(said, Said::Config(said) if said.root == (1, mac)),
        )?;
        let root = identifier(1, mac);
        let info = lab.older_info("sw:br")?;
        let seen = format!("{info:?}");
        let place = (info.root, info.bridge, info.root_port, info.cost) == (root, own, 1, 107);
        lab.claim("its place in the tree", place, &seen)?;
        lab.claim("the root's times", info.times == (1700, 200), &seen)?;
        lab.claim("its own delay", info.own_delay == 1400, &seen)?;
        lab.claim("a change, not its own", info.changed == (true, false), &seen)?;
        lab.claim("twice the root's delay", info.ageing == 3000, &seen)?;
        let numbers: Vec<usize> = lab.older_ports("sw:br", 3)?.into_keys().collect();
        lab.claim("as many as there is room for", numbers == [1, 2], format!("{numbers:?}"))?;
        for (number, bridge, ids, costs) in
            [(1, root, (0x8001, 0x8001), (100, 7)), (3, own, (0x8003, 0x8003), (2, 107))]
        {
            let port = lab.older_port("sw:br", number)?;
            let place = (port.root, port.bridge, port.ids, port.costs, port.state)
                == (root, bridge, ids, costs, 3);
            lab.claim(&format!("port {number}"), place, format!("{port:?}"))?;
        }
        Ok(())
    });
}

const TABLE: Rule = Rule {
    id: "bridge.older.lists-addresses-in-parts",
    promise: "the older call lists what a bridge has learned and been told, its own addresses \
              marked, as much as there is room for, and the rest when the first are passed over",
    source: Source {
        cite: "get_fdb_entries, net/bridge/br_ioctl.c; br_fdb_fillbuf",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn lists_addresses_in_parts() {
    check(&TABLE, async |case| {
        let roamer = Mac([2, 0, 0, 0, 0, 1]);
        let mut lab = case.lab(&switch()).await?;
        lab.add_fdb("sw:p2", roamer, Fdb::STATIC).await?;
        let all = lab.older_table("sw:br", 32, 0)?;
        let seen = format!("{all:?}");
        for entry in [(roamer, 2, false), (lab.mac("sw:p3"), 3, true)] {
            lab.claim(&format!("{entry:?}"), all.contains(&entry), &seen)?;
        }
        let first = lab.older_table("sw:br", 2, 0)?;
        let rest = lab.older_table("sw:br", 32, 2)?;
        lab.claim("two", first.len() == 2, format!("{first:?}"))?;
        lab.claim("together all", [first, rest].concat() == all, seen)
    });
}

const SPEED: Rule = Rule {
    id: "bridge.older.as-fast-as-its-ports",
    promise: "ethtool is told that a bridge is one, and that it is as fast as a port that runs; \
              without one that runs its speed is unknown",
    source: Source {
        cite: "br_getinfo and br_get_link_ksettings, net/bridge/br_device.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn as_fast_as_its_ports() {
    check(&SPEED, async |case| {
        const UNKNOWN: u32 = u32::MAX;
        let mut lab = case.lab(&switch()).await?;
        let driver = lab.driver("sw:br")?;
        lab.claim("its driver", driver == "bridge", driver)?;
        let fast = lab.speed("sw:p1")?.0;
        lab.claim("a port has a speed", fast > 0 && fast != UNKNOWN, fast)?;
        // One without carrier, one that is down, and then none that runs.
        for (link, speed) in [("a:eth0", fast), ("sw:p2", fast), ("c:eth0", UNKNOWN)] {
            lab.set_up(link, false).await?;
            let told = lab.speed("sw:br")?.0;
            lab.claim(&format!("{link} down: {speed}"), told == speed, told)?;
        }
        lab.set_up("sw:p2", true).await?;
        let told = lab.speed("sw:br")?.0;
        lab.claim("one runs again", told == fast, told)
    });
}
