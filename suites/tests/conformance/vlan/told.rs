//! What a VLAN's link tells of itself, and of what it gets and sends.
//!
//! ```text
//!   a:v5 --- a:eth0 ------- b:eth0 --- b:v5
//! ```

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::{link, vlan};
use hairpin_harness::{Mac, Need, Offload, Rule, Shot, Source, Strength, Topology, check};

use super::NEEDS;
use super::priority::tagging;
use crate::counted::{DROPPED, GROUPS, RECEIVED, SENT, expect_of_all_cpus};

pub(crate) const RULES: &[Rule] = &[KIND, LIMITS, BROADCAST, OFFLOADS, STAMPS, SUMMED, SENDER];

const KIND: Rule = Rule {
    id: "vlan.told.what-kind-of-link-it-is",
    promise: "the system's file of a VLAN's link says that it is one, and that of the link below says \
              nothing of the kind",
    source: Source {
        cite: "vlan_dev_init, SET_NETDEV_DEVTYPE, net/8021q/vlan_dev.c; \
               Documentation/ABI/testing/sysfs-uevent",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_kind_of_link_it_is() {
    check(&KIND, async |case| {
        let lab = case.lab(&tagging()).await?;
        for (link, kind) in [("a:v5", Some("DEVTYPE=vlan")), ("a:eth0", None)] {
            let told = lab.sysfs(link, "uevent")?;
            let seen = told.lines().find(|line| line.starts_with("DEVTYPE"));
            lab.claim(&format!("{link}: {kind:?}"), seen == kind, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const LIMITS: Rule = Rule {
    id: "vlan.told.mtus-that-it-takes",
    promise: "a VLAN's link says that it takes any MTU up to 65535",
    source: Source { cite: "vlan_setup, net/8021q/vlan_dev.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn mtus_that_it_takes() {
    check(&LIMITS, async |case| {
        let lab = case.lab(&tagging()).await?;
        lab.expect_option("a:v5", link::MIN_MTU, 0).await?;
        lab.expect_option("a:v5", link::MAX_MTU, 65535).await
    });
}

const BROADCAST: Rule = Rule {
    id: "vlan.told.the-address-that-stands-for-all",
    promise: "a VLAN's link keeps the broadcast address that it is made with, and has that of the link \
              below if it is made with zeros",
    source: Source { cite: "vlan_dev_init, net/8021q/vlan_dev.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_address_that_stands_for_all() {
    const ALL: u64 = 0xffff_ffff_ffff;
    const OTHER: u64 = 0x0168_7000_0077;
    check(&BROADCAST, async |case| {
        let lab = case.lab(&tagging()).await?;
        for (given, wanted) in [(Some(OTHER), OTHER), (Some(0), ALL), (None, ALL)] {
            let mut options = vec![(vlan::ID, 7)];
            options.extend(given.map(|given| (link::BROADCAST, given)));
            let born = lab.newborn("vlan", "a", Some("eth0"), &options).await?;
            let seen = born.option(link::BROADCAST);
            lab.claim(&format!("{given:x?}"), seen == Some(wanted), format!("{seen:x?}"))?;
        }
        Ok(())
    });
}

const OFFLOADS: Rule = Rule {
    id: "vlan.told.leaves-as-much-to-others-as-a-cable",
    promise: "a VLAN's link on a cable leaves sums and segments to others as that does, but puts no \
              tags into frames and takes none out; a VLAN in it leaves as much to others",
    source: Source {
        cite: "vlan_dev_init and vlan_dev_fix_features, net/8021q/vlan_dev.c; veth_setup, \
               vlan_features, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn leaves_as_much_to_others_as_a_cable() {
    check(&OFFLOADS, async |case| {
        let lab = case.lab(&tagging().vlan("a:v6", "a:v5", 6)).await?;
        for offload in [Offload::TxChecksums, Offload::Scatter, Offload::Tso, Offload::Gso] {
            for link in ["a:eth0", "a:v5", "a:v6"] {
                lab.expect_offload(link, offload, true).await?;
            }
        }
        for offload in [Offload::TxTags, Offload::RxTags] {
            lab.expect_offload("a:eth0", offload, true).await?;
            lab.expect_offload("a:v5", offload, false).await?;
        }
        Ok(())
    });
}

const STAMPS: Rule = Rule {
    id: "vlan.told.stamps-on-a-bridge",
    promise: "a VLAN's link on a bridge, which has no time stamps of its own, says that what comes is \
              stamped by software, and that there is no clock",
    source: Source {
        cite: "vlan_ethtool_get_ts_info, net/8021q/vlan_dev.c; ethtool(8), -T",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("vlan"), Need::Driver("bridge")],
};

#[test]
fn stamps_on_a_bridge() {
    check(&STAMPS, async |case| {
        let lan = Topology::new("on-a-bridge").host("a").bridge("a:br").vlan("a:v5", "a:br", 5);
        let lab = case.lab(&without_ipv6(lan)).await?;
        let seen = lab.time_stamps("a:v5")?;
        // Of what comes, and by software: 8 and 16.
        lab.claim("what comes, by software", seen == (0x18, -1), format!("{seen:x?}"))
    });
}

const SUMMED: Rule = Rule {
    id: "vlan.told.counters-of-all-cpus-are-summed",
    promise: "a VLAN's link counts what it gets, with groups apart, sends and cannot send, whichever \
              CPU is at it",
    source: Source { cite: "vlan_dev_get_stats64, net/8021q/vlan_dev.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn counters_of_all_cpus_are_summed() {
    const GROUP: Mac = Mac([0x01, 0x68, 0x70, 0, 0, 1]);
    check(&SUMMED, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        let (out, group) = (Shot::to(lab.mac("b:v5")).bytes(200), Shot::to(GROUP));
        expect_of_all_cpus(&lab, ("a:v5", &out), ("a:v5", SENT, (1, 200))).await?;
        // Counted behind its header.
        expect_of_all_cpus(&lab, ("a:v5", &out), ("b:v5", RECEIVED, (1, 186))).await?;
        expect_of_all_cpus(&lab, ("a:v5", &group), ("b:v5", GROUPS, (1, 1))).await?;
        lab.set_mtu("b:eth0", 100).await?;
        expect_of_all_cpus(&lab, ("a:v5", &out), ("a:v5", DROPPED, (1, 0))).await
    });
}

const SENDER: Rule = Rule {
    id: "vlan.told.who-watches-is-told-who-sent",
    promise: "who watches a VLAN's link is told the address of whoever sent what comes to it",
    source: Source {
        cite: "vlan_header_ops, net/8021q/vlan_dev.c; packet(7), sll_addr",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn who_watches_is_told_who_sent() {
    check(&SENDER, async |case| {
        let lab = case.lab(&tagging()).await?;
        lab.expect_told_sender("a:v5", &Shot::to(lab.mac("b:v5")), "b:v5")
    });
}
