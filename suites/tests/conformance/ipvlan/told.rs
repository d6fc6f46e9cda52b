//! What an ipvlan child tells of itself by netlink and ethtool, and what it tells its parent.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use std::net::Ipv6Addr;

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::options::ipvlan::MODE;
use hairpin_harness::options::{LinkOption, link};
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{
    CaseLab, Family, Mac, Mode, Need, Offload, Rule, Source, Standing, Stop, Strength, Topology,
    check,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[ETHTOOL, LOG, INTERFACE_ID, FILTERS, OFFLOADS, NO_TAGS, FORGETS, UNSEEN, MODE_ONLY];

const ETHTOOL: Rule = Rule {
    id: "ipvlan.told.as-fast-as-its-parent",
    promise: "a child says that its driver is ipvlan, that it is as fast as its parent, whether it \
              has a link, that nothing waits in a queue of its own, and in which namespace its \
              parent is",
    source: Source {
        cite: "ipvlan_ethtool_ops, ipvlan_link_setup and ipvlan_get_link_net, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn as_fast_as_its_parent() {
    check(&ETHTOOL, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        let driver = lab.driver("c1:i0")?;
        lab.claim("the driver is ipvlan", driver == "ipvlan", driver)?;
        let (own, parents) = (lab.speed("c1:i0")?, lab.speed("p:p0")?);
        lab.claim("its parent is fast", parents == (10_000, true), format!("{parents:?}"))?;
        lab.claim("so is the child", own == parents, format!("{own:?}"))?;
        let qdisc = lab.qdisc("c1:i0")?;
        lab.claim("it has no queue", qdisc == "noqueue", qdisc)?;
        let away = lab.option("c1:i0", link::BELOW_NETNS).await?;
        lab.claim("another namespace is told", away.is_some(), "it is not")?;
        for up in [false, true] {
            lab.expect_to_settle("sw:s0", up).await?;
            let seen = lab.detects("c1:i0")?;
            lab.claim(&format!("a link: {up}"), seen == up, seen)?;
        }
        lab.move_link("c1:i0", "p").await?;
        let home = lab.option("p:i0", link::BELOW_NETNS).await?;
        lab.claim("its own namespace is not", home.is_none(), format!("{home:?}"))
    });
}

const LOG: Rule = Rule {
    id: "ipvlan.told.what-it-logs",
    promise: "a child's driver tells its version, and logs of what it was told to, each child for itself",
    source: Source {
        cite: "ipvlan_ethtool_get_drvinfo and ipvlan_ethtool_set_msglevel, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_it_logs() {
    check(&LOG, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        let version = lab.driver_version("c1:i0")?;
        lab.claim("the version is 0.1", version == "0.1", version)?;
        for level in [0x20, 0x7, 0] {
            lab.set_log_level("c1:i0", level)?;
            let seen = [lab.log_level("c1:i0")?, lab.log_level("c2:i0")?];
            lab.claim(&format!("c1 logs {level:#x}"), seen == [level, 0], format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const INTERFACE_ID: Rule = Rule {
    id: "ipvlan.told.link-local-addresses-of-their-own",
    promise: "children of one parent, who share its Ethernet address, give themselves link-local \
              addresses that differ, by a number that each has of its own; numbers are not given \
              again at once",
    source: Source {
        cite: "ipvlan_link_new, dev_id, drivers/net/ipvlan/ipvlan_main.c; addrconf_ifid_eui48, \
               include/net/addrconf.h",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// The address that a child with that number gives itself; without one it is as RFC 4291 has it.
fn link_local(mac: Mac, number: Option<u8>) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let id = match number {
        Some(number) => [a, b, c, 0, number, d, e, f],
        None => [a ^ 2, b, c, 0xff, 0xfe, d, e, f],
    };
    Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(u64::from_be_bytes(id)))
}

fn expect_number(lab: &CaseLab, child: &str, number: u8) -> Result<(), Stop> {
    let mac = lab.mac("p:p0");
    let wanted =
        [(link_local(mac, Some(number)), Standing::Good), (link_local(mac, None), Standing::None)];
    for (address, standing) in wanted {
        let seen = lab.standing(child, address)?;
        lab.claim(&format!("{child}, {address}: {standing}"), seen == standing, seen)?;
    }
    Ok(())
}

#[test]
fn link_local_addresses_of_their_own() {
    check(&INTERFACE_ID, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        expect_number(&lab, "c1:i0", 1)?;
        expect_number(&lab, "c2:i0", 2)?;
        for number in [3, 4] {
            lab.grow(|lan| lan.ipvlan("c2:i1", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
            expect_number(&lab, "c2:i1", number)?;
            lab.delete_last().await?;
        }
        Ok(())
    });
}

const FILTERS: Rule = Rule {
    id: "ipvlan.told.addresses-are-its-parents",
    promise: "an address that a child is told to take is on its parent's list while the child is \
              up, and no longer when it is told otherwise; it does not make the child ask for all",
    source: Source {
        cite: "ipvlan_set_multicast_mac_filter, ipvlan_stop and ipvlan_link_setup, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::station(Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x77]))]
#[case::group(Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x77]))]
fn addresses_are_its_parents(#[case] mac: Mac) {
    check(&FILTERS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        let on_list = async |lab: &CaseLab, when: &str, wanted: bool| {
            let seen = lab.filters("p:p0").await?.contains(&mac);
            lab.claim(&format!("{when}: on the list {wanted}"), seen == wanted, seen)
        };
        on_list(&lab, "before", false).await?;
        lab.add_filter("c1:i0", mac, false).await?;
        on_list(&lab, "told", true).await?;
        let own = lab.link("c1:i0").await?.promiscuity;
        lab.claim("the child does not ask for all", own == 0, own)?;
        for up in [false, true] {
            lab.set_up("c1:i0", up).await?;
            on_list(&lab, &format!("up {up}"), up).await?;
        }
        lab.delete_filter("c1:i0", mac).await?;
        on_list(&lab, "told otherwise", false).await?;
        lab.add_filter("c2:i0", mac, false).await?;
        on_list(&lab, "told a sibling", true).await?;
        lab.delete("c2:i0").await?;
        on_list(&lab, "the sibling gone", false).await
    });
}

const OFFLOADS: Rule = Rule {
    id: "ipvlan.told.sums-and-segments-are-left-to-its-parent",
    promise: "a child leaves check sums and the cutting of segments to its parent, whatever that \
              does itself; the cutting at the last moment and the sums of what comes only if its \
              parent did when it was born",
    source: Source {
        cite: "ipvlan_init and ipvlan_fix_features, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn sums_and_segments_are_left_to_its_parent() {
    check(&OFFLOADS, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        let left = [Offload::TxChecksums, Offload::Scatter, Offload::Tso];
        let inherited = [Offload::Gso, Offload::RxChecksums];
        for on in [true, false, true] {
            for offload in left.into_iter().chain(inherited) {
                lab.set_offload("p:p0", offload, on)?;
            }
            lab.grow(|lan| lan.ipvlan("c2:i1", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
            let older = left.map(|offload| ("c1:i0", offload, true));
            let newer = left.map(|offload| ("c2:i1", offload, true));
            let born = inherited.map(|offload| ("c2:i1", offload, on));
            for (child, offload, wanted) in older.into_iter().chain(newer).chain(born) {
                lab.expect_offload(child, offload, wanted).await?;
            }
            lab.delete_last().await?;
        }
        Ok(())
    });
}

const NO_TAGS: Rule = Rule {
    id: "ipvlan.told.tags-are-not-its-own-matter",
    promise: "a child neither puts tags into frames nor takes them out, though its parent does both",
    source: Source {
        cite: "ipvlan_fix_features, IPVLAN_FEATURES, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn tags_are_not_its_own_matter() {
    check(&NO_TAGS, async |case| {
        let lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        for offload in [Offload::TxTags, Offload::RxTags] {
            lab.expect_offload("p:p0", offload, true).await?;
            lab.expect_offload("c1:i0", offload, false).await?;
        }
        Ok(())
    });
}

const FORGETS: Rule = Rule {
    id: "ipvlan.told.a-new-address-of-its-parent-is-its-own",
    promise: "when a parent's Ethernet address changes, its children have the new one at once, and \
              forget whom they have asked for with the old one",
    source: Source {
        cite: "ipvlan_device_event, NETDEV_CHANGEADDR, drivers/net/ipvlan/ipvlan_main.c; \
               arp_netdev_event, net/ipv4/arp.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_new_address_of_its_parent_is_its_own() {
    const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x41]);
    check(&FORGETS, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        let e = lab.topology().address_of("e", Family::V4).expect("it has one");
        let cell = lab.ping(Family::V4, "c1", "e").await?;
        lab.claim("c1 reaches e", cell.verdict.symbol() == '+', &cell.verdict)?;
        let known = lab.neighbour("c1", e).await?;
        lab.claim("it knows e", known == Some(lab.mac("e:e0")), format!("{known:?}"))?;
        lab.set_mac("p:p0", NEW).await?;
        let own = lab.link("c1:i0").await?.mac;
        lab.claim("it has the new address", own == NEW, own)?;
        let known = lab.neighbour("c1", e).await?;
        lab.claim("it has forgotten e", known.is_none(), format!("{known:?}"))?;
        let cell = lab.ping(Family::V4, "c1", "e").await?;
        lab.claim("and reaches it again", cell.verdict.symbol() == '+', &cell.verdict)
    });
}

const UNSEEN: Rule = Rule {
    id: "ipvlan.told.follows-a-carrier-that-changed-unseen",
    promise: "a child has its parent's carrier as soon as the parent is up, also where that got or lost \
              it while it was down, when nobody is told",
    source: Source {
        cite: "ipvlan_device_event, drivers/net/ipvlan/ipvlan_main.c; \"ipvlan: Add handling of \
               NETDEV_UP events\" (57fb346cc7d0)",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("macvlan"),
        Need::Driver("ipvlan"),
        Need::Since(6, 1),
    ],
};

/// Whether a link has carrier.
const LIT: LinkOption = link::CARRIER;

/// Its parent is a link that its owner can hold down; beside it stands a bridge with a port.
fn on_what_is_held() -> Topology {
    let held = Topology::new("held").netns("p").netns("e").cable("p:p0", "e:e0").bridge("p:br");
    let held = held.cable("p:s0", "e:e1").port("p:s0", "br");
    let held = held.macvlan("p:m0", "p:p0", Mode::Bridge);
    held.ipvlan("p:i0", "p:m0", IpvlanMode::L2, IpvlanFlag::Bridge)
}

#[test]
fn follows_a_carrier_that_changed_unseen() {
    const UP: u64 = 6;
    const DOWN: u64 = 2;
    check(&UNSEEN, async |case| {
        let mut lab = case.lab(&on_what_is_held()).await?;
        for held in [1, 0] {
            lab.expect_to_become("p:br", link::OPERSTATE, UP).await?;
            lab.switch("p:m0", false).await?;
            lab.set_option("p:m0", link::PROTO_DOWN, held).await?;
            // The kernel is in no hurry to look at the carriers of links that are down, or that have lost
            // it, and does so in the order in which they changed: it is through with m0's, and has told
            // nobody, as m0 is down, when it has told of the bridge's.
            lab.switch("p:s0", false).await?;
            lab.expect_to_become("p:br", link::OPERSTATE, DOWN).await?;
            lab.expect_option("p:i0", LIT, held).await?;
            lab.switch("p:m0", true).await?;
            lab.expect_to_become("p:i0", LIT, 1 - held).await?;
            lab.switch("p:s0", true).await?;
        }
        Ok(())
    });
}

const MODE_ONLY: Rule = Rule {
    id: "ipvlan.told.a-change-of-mode-leaves-each-as-it-was",
    promise: "a change of their mode leaves each child up or down as it was, whatever their parent \
              is: only whether it asks for addresses changes",
    source: Source {
        cite: "ipvlan_set_port_mode, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_change_of_mode_leaves_each_as_it_was() {
    check(&MODE_ONLY, async |case| {
        let lan = quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge));
        let mut lab = case.lab(&lan).await?;
        lab.set_up("c2:i0", false).await?;
        for (mode, noarp) in [(1, true), (2, true), (0, false), (2, true), (1, true), (0, false)] {
            lab.set_option("c1:i0", MODE, mode).await?;
            for (link, up) in [("c1:i0", true), ("c2:i0", false), ("p:p0", true)] {
                let seen = lab.link(link).await?;
                let claim = format!("mode {mode}: {link} is up {up}");
                lab.claim(&claim, seen.up == up, seen.up)?;
                let asks = link == "p:p0" || !noarp;
                let claim = format!("mode {mode}: {link} asks for addresses {asks}");
                lab.claim(&claim, seen.noarp != asks, seen.noarp)?;
            }
        }
        lab.set_up("p:p0", false).await?;
        lab.set_option("c1:i0", MODE, 1).await?;
        let up = lab.link("c1:i0").await?.up;
        lab.claim("a child of a parent that is down is up", up, up)
    });
}
