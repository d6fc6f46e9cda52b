//! 802.1Q: links that stand for one VLAN of the link below.
//!
//! ```text
//!   a:eth0.5 (VLAN 5)
//!   a:eth0 ------------ b:eth0       b tags what it sends by hand
//! ```

pub(crate) mod below;
pub(crate) mod bonded;
pub(crate) mod flags;
pub(crate) mod older;
pub(crate) mod priority;
pub(crate) mod registration;
pub(crate) mod stack;
pub(crate) mod told;

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::{link, vlan};
use hairpin_harness::{
    Class, Errno, Mac, Need, Rule, Shot, Source, Strength, Tag, Topology, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] =
    &[BY_ID, TAGGED, OWN_ADDRESS, MTU_BELOW, CARRIER, LIFE, REFUSED, SETTINGS, BOTH_ENDS, COUNTED];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("vlan")];

/// An address that no link of the topology has.
const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x12]);

fn cable() -> Topology {
    without_ipv6(
        Topology::new("vlan")
            .host("a")
            .host("b")
            .cable("a:eth0", "b:eth0")
            .vlan("a:v5", "a:eth0", 5)
            .mac("a:v5", Mac([0x02, 0x68, 0x70, 0, 0, 10])),
    )
}

const BY_ID: Rule = Rule {
    id: "vlan.takes-its-own-id-only",
    promise: "a VLAN's link takes the frames that bear its id, without their tag, and no others: \
              those without a tag and with a priority only stay with the link below",
    source: Source {
        cite: "IEEE 802.1Q, 6.7; vlan_do_receive, net/8021q/vlan_core.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn takes_its_own_id_only() {
    check(&BY_ID, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:eth0");
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)), "a:v5 host").await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5).priority(6)), "a:v5 host").await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(6)), "a other vlan 6").await?;
        lab.expect_shot("b", &Shot::to(a), "a host").await?;
        lab.expect_shot("b", &Shot::broadcast().tag(Tag::vlan(5)), "a:v5 broadcast").await?;
        lab.expect_shot("b", &Shot::broadcast(), "a broadcast").await?;
        let only_priority = Tag::vlan(0).priority(5);
        lab.expect_shot("b", &Shot::to(a).tag(only_priority), "a host vlan 0 priority 5").await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5).provider()), "a other provider vlan 5")
            .await?;
        lab.expect_shot("b", &Shot::to(NEW).tag(Tag::vlan(5)), "a:v5 other").await?;
        Ok(())
    });
}

/// A host whose first link is the VLAN's, so that it is what sends.
fn tagging() -> Topology {
    without_ipv6(
        Topology::new("tagging")
            .host("a")
            .host("b")
            .cable("a:eth0", "b:eth0")
            .vlan("a:v5", "a:eth0", 5)
            .vlan("b:v5", "b:eth0", 5)
            .address("a:v5", "192.0.2.1/24")
            .address("b:v5", "192.0.2.2/24"),
    )
}

/// The same with addresses of both families.
fn talking() -> Topology {
    let mut both = tagging();
    both.netns.iter_mut().for_each(|netns| netns.sysctls.clear());
    both.address("a:v5", "2001:db8::1/64").address("b:v5", "2001:db8::2/64")
}

const TAGGED: Rule = Rule {
    id: "vlan.sends-with-its-tag",
    promise: "what a VLAN's link sends leaves by the link below with its tag, and comes to the \
              other end's link of the same VLAN without it",
    source: Source {
        cite: "IEEE 802.1Q, 6.7; vlan_dev_hard_start_xmit",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::short(60)]
#[case::full(1514)]
fn sends_with_its_tag(#[case] bytes: usize) {
    check(&TAGGED, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        let b = lab.mac("b:v5");
        let fate = lab.expect_shot("a", &Shot::to(b).bytes(bytes), "b host").await?;
        let tag = fate.tag_leaving("a:eth0");
        lab.claim("it left in VLAN 5", tag == Some(Tag::vlan(5)), format!("{tag:?}"))?;
        let tag = fate.tag_leaving("a:v5");
        lab.claim("it had no tag before", tag.is_none(), format!("{tag:?}"))
    });
}

const BOTH_ENDS: Rule = Rule {
    id: "vlan.the-same-id-talks",
    promise: "links of one VLAN at both ends of a cable reach each other",
    source: Source { cite: "IEEE 802.1Q, 6.7", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::unicast(Class::Unicast)]
#[case::broadcast(Class::Broadcast)]
#[case::ping4(Class::Ping4)]
#[case::ping6(Class::Ping6)]
fn the_same_id_talks(#[case] class: Class) {
    check(&BOTH_ENDS, async |case| {
        let mut lab = case.lab(&talking()).await?;
        let talking = "
               a b
            a  . +
            b  + .";
        lab.expect(class, talking).await?;
        Ok(())
    });
}

const OWN_ADDRESS: Rule = Rule {
    id: "vlan.an-address-of-its-own",
    promise: "a VLAN's link may have an address of its own, at which it is reached; the link below \
              then listens for it while the VLAN's is up",
    source: Source {
        cite: "vlan_dev_set_mac_address and vlan_dev_open, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_of_its_own() {
    check(&OWN_ADDRESS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.set_mac("a:v5", NEW).await?;
        lab.expect_shot("b", &Shot::to(NEW).tag(Tag::vlan(5)), "a:v5 host").await?;
        let listed = lab.filters("a:eth0").await?.contains(&NEW);
        lab.claim("the link below listens for it", listed, listed)?;
        lab.set_up("a:v5", false).await?;
        let listed = lab.filters("a:eth0").await?.contains(&NEW);
        lab.claim("and not while it is down", !listed, listed)?;
        lab.set_up("a:v5", true).await?;
        let listed = lab.filters("a:eth0").await?.contains(&NEW);
        lab.claim("again when it is up again", listed, listed)?;
        let own = lab.mac("a:eth0");
        lab.set_mac("a:v5", own).await?;
        let listed = lab.filters("a:eth0").await?.contains(&NEW);
        lab.claim("nor for one that it had", !listed, listed)
    });
}

const MTU_BELOW: Rule = Rule {
    id: "vlan.mtu-of-the-link-below",
    promise: "a VLAN's link is born with the MTU of the link below, follows it down and takes none \
              above; one as short as it likes",
    source: Source {
        cite: "vlan_dev_change_mtu, vlan_setup (min_mtu) and vlan_device_event, NETDEV_CHANGEMTU",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn mtu_of_the_link_below() {
    check(&MTU_BELOW, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.expect_option("a:v5", link::MTU, 1500).await?;
        let done = lab.set_mtu("a:v5", 1501).await;
        lab.expect_refusal("an MTU above", done, Errno::ERANGE)?;
        lab.set_mtu("a:eth0", 1400).await?;
        lab.expect_to_become("a:v5", link::MTU, 1400).await?;
        // One that is longer follows when it must. Then the first, which would have had to, too, has not.
        lab.set_mtu("a:eth0", 1500).await?;
        lab.grow(|lan| lan.vlan("a:v6", "a:eth0", 6)).await?;
        lab.set_mtu("a:eth0", 1450).await?;
        lab.expect_to_become("a:v6", link::MTU, 1450).await?;
        lab.expect_option("a:v5", link::MTU, 1400).await?;
        lab.set_mtu("a:eth0", 1500).await?;
        lab.set_mtu("a:v5", 1500).await?;
        lab.expect_option("a:v5", link::MTU, 1500).await?;
        // Shorter than any IPv4 link may be.
        lab.set_mtu("a:v5", 40).await?;
        lab.expect_option("a:v5", link::MTU, 40).await
    });
}

const CARRIER: Rule = Rule {
    id: "vlan.goes-with-the-link-below",
    promise: "a VLAN's link loses carrier with the link below and is brought down with it",
    source: Source {
        cite: "vlan_device_event, NETDEV_DOWN and NETDEV_CHANGE",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn goes_with_the_link_below() {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.expect_to_settle("b:eth0", false).await?;
        let state = lab.link("a:v5").await?;
        lab.claim("no carrier, but up", state.up && !state.carrier, format!("{state:?}"))?;
        lab.expect_to_settle("b:eth0", true).await?;
        let state = lab.link("a:v5").await?;
        lab.claim("carrier again", state.carrier, format!("{state:?}"))?;
        lab.set_up("a:eth0", false).await?;
        lab.expect_up("a:v5", false).await
    });
}

const LIFE: Rule = Rule {
    id: "vlan.dies-with-the-link-below",
    promise: "when the link below is deleted, its VLANs are gone",
    source: Source { cite: "vlan_device_event, NETDEV_UNREGISTER", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn dies_with_the_link_below() {
    check(&LIFE, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.delete("a:eth0").await?;
        let there = lab.exists("a:v5")?;
        lab.claim("it is gone", !there, there)
    });
}

const REFUSED: Rule = Rule {
    id: "vlan.one-link-an-id",
    promise: "a second link of the same VLAN on one link is refused, one of another VLAN or of a \
              provider's is not",
    source: Source { cite: "vlan_check_real_dev, net/8021q/vlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_link_an_id() {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let done = lab.grow(|lan| lan.vlan("a:again", "a:eth0", 5)).await;
        lab.expect_refusal("VLAN 5 once more", done, Errno::EEXIST)?;
        let done = lab.grow(|lan| lan.vlan("a:v6", "a:eth0", 6)).await;
        lab.claim("VLAN 6 is taken", done.is_ok(), format!("{done:?}"))?;
        let a = lab.mac("a:eth0");
        lab.set_mac("a:v6", a).await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(6)), "a:v6 host").await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)), "a:v5 host").await?;
        let stacked = lab.grow(|lan| lan.vlan("a:q", "a:v6", 5)).await;
        lab.claim("a VLAN in a VLAN is taken", stacked.is_ok(), format!("{stacked:?}"))
    });
}

const SETTINGS: Rule = Rule {
    id: "vlan.settings-are-read-back",
    promise: "a VLAN's link tells its id, its protocol and the link below",
    source: Source { cite: "vlan_fill_info, net/8021q/vlan_netlink.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn settings_are_read_back() {
    check(&SETTINGS, async |case| {
        let lab = case.lab(&cable()).await?;
        lab.expect_option("a:v5", vlan::ID, 5).await?;
        lab.expect_option("a:v5", vlan::PROTOCOL, 0x8100).await?;
        let below = u64::from(lab.link("a:eth0").await?.index);
        lab.expect_option("a:v5", link::BELOW, below).await
    });
}

const COUNTED: Rule = Rule {
    id: "vlan.counts-what-it-gets",
    promise: "a VLAN's link counts the frames and bytes that it gets, without their tags, and not \
              those of the link below",
    source: Source { cite: "vlan_do_receive and vlan_dev_get_stats64", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn counts_what_it_gets() {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:eth0");
        let before = lab.counters("a:v5").await?;
        lab.expect_shot("b", &Shot::to(a), "a host").await?;
        let none = (lab.counters("a:v5").await? - before).rx_packets;
        lab.claim("nothing of the link below", none == 0, none)?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)).bytes(1004), "a:v5 host").await?;
        let seen = lab.counters("a:v5").await? - before;
        let seen = (seen.rx_packets, seen.rx_bytes, seen.multicast);
        lab.claim("one frame of 986 bytes", seen == (1, 986, 0), format!("{seen:?}"))?;
        lab.expect_shot("b", &Shot::broadcast().tag(Tag::vlan(5)), "a:v5 broadcast").await?;
        let groups = (lab.counters("a:v5").await? - before).multicast;
        lab.claim("broadcast is no group", groups == 0, groups)
    });
}
