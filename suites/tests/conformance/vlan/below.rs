//! What a VLAN's link has of the link below, and what becomes of that when the link below changes.
//!
//! ```text
//!   a:v5 (VLAN 5)
//!   a:eth0 ------------ b:eth0
//! ```

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::link::{CARRIER as IT_HAS, OPERSTATE};
use hairpin_harness::{
    CaseLab, Mac, Offload, Rule, Shot, Source, Stop, Strength, Tag, Topology, check,
};
use rstest::rstest;

use super::{NEEDS, NEW, cable};

pub(crate) const RULES: &[Rule] = &[ADDRESS, OFFLOADS, STAMPS, COMES_UP, LOST, STATE, LISTED];

const ADDRESS: Rule = Rule {
    id: "vlan.below.an-address-that-was-given-to-none-is-followed",
    promise: "a VLAN's link that was given no address has that of the link below, and follows it when \
              it changes, at once while it is up and when it comes up again if it was down; one that \
              was given another no longer does",
    source: Source {
        cite: "vlan_dev_inherit_address and vlan_sync_address, net/8021q",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

fn without_address() -> Topology {
    let lan = Topology::new("no-address").host("a").host("b").cable("a:eth0", "b:eth0");
    without_ipv6(lan.vlan("a:v5", "a:eth0", 5).without_address("a:v5"))
}

async fn expect_address(lab: &mut CaseLab, mac: Mac) -> Result<(), Stop> {
    let seen = lab.link("a:v5").await?.mac;
    lab.claim(&format!("it has {mac}"), seen == mac, seen)
}

#[test]
fn an_address_that_was_given_to_none_is_followed() {
    const THIRD: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x33]);
    check(&ADDRESS, async |case| {
        let mut lab = case.lab(&without_address()).await?;
        let own = lab.mac("a:eth0");
        expect_address(&mut lab, own).await?;
        for mac in [NEW, own] {
            lab.set_mac("a:eth0", mac).await?;
            expect_address(&mut lab, mac).await?;
            lab.expect_shot("b", &Shot::to(mac).tag(Tag::vlan(5)), "a:v5 host").await?;
        }
        lab.set_up("a:v5", false).await?;
        lab.set_mac("a:eth0", NEW).await?;
        expect_address(&mut lab, own).await?;
        lab.set_up("a:v5", true).await?;
        expect_address(&mut lab, NEW).await?;
        let listed = lab.filters("a:eth0").await?.contains(&own);
        lab.claim("the link below does not listen for the old one", !listed, listed)?;
        lab.set_mac("a:v5", THIRD).await?;
        lab.set_mac("a:eth0", own).await?;
        expect_address(&mut lab, THIRD).await
    });
}

const OFFLOADS: Rule = Rule {
    id: "vlan.below.does-what-the-link-below-does",
    promise: "a VLAN's link does for the stack what the link below does, no longer when that does \
              not, and again when it does",
    source: Source {
        cite: "vlan_transfer_features, net/8021q/vlan.c; vlan_dev_fix_features",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::tx_checksums(Offload::TxChecksums)]
#[case::scatter(Offload::Scatter)]
fn does_what_the_link_below_does(#[case] offload: Offload) {
    check(&OFFLOADS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:v5");
        for on in [true, false, true, false] {
            lab.set_offload("a:eth0", offload, on)?;
            let seen = lab.offload("a:v5", offload)?;
            lab.claim(&format!("{offload}: {on}"), seen == on, seen)?;
            lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)), "a:v5 host").await?;
        }
        Ok(())
    });
}

const STAMPS: Rule = Rule {
    id: "vlan.below.has-its-time-stamps",
    promise: "a VLAN's link says that it has the time stamps and the clock of the link below",
    source: Source {
        cite: "vlan_ethtool_get_ts_info, net/8021q/vlan_dev.c; ethtool(8), -T",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn has_its_time_stamps() {
    check(&STAMPS, async |case| {
        let lab = case.lab(&cable()).await?;
        let (own, below) = (lab.time_stamps("a:v5")?, lab.time_stamps("a:eth0")?);
        // Of what is sent, of what comes, and both by software: 2, 8 and 16. A cable has no clock.
        lab.claim("those of a cable", below == (0x1a, -1), format!("{below:x?}"))?;
        lab.claim("the same", own == below, format!("{own:x?}"))
    });
}

const COMES_UP: Rule = Rule {
    id: "vlan.below.has-its-carrier-when-it-comes-up",
    promise: "a VLAN's link has no carrier while it is down, and that of the link below as soon as it \
              comes up",
    source: Source {
        cite: "vlan_dev_open and vlan_dev_stop, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn has_its_carrier_when_it_comes_up() {
    check(&COMES_UP, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:v5");
        for _ in 0..2 {
            lab.set_up("a:v5", false).await?;
            lab.expect_option("a:v5", IT_HAS, 0).await?;
            lab.set_up("a:v5", true).await?;
            lab.expect_option("a:v5", IT_HAS, 1).await?;
            lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)), "a:v5 host").await?;
        }
        Ok(())
    });
}

const LOST: Rule = Rule {
    id: "vlan.below.what-it-cannot-send-is-dropped",
    promise: "what the link below refuses to send, since it is too long for the other end, is counted \
              by a VLAN's link as dropped, and not as sent",
    source: Source {
        cite: "vlan_dev_hard_start_xmit and vlan_dev_get_stats64, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_it_cannot_send_is_dropped() {
    check(&LOST, async |case| {
        let mut lab = case.lab(&cable()).await?;
        for (mtu, sent, dropped) in [(1500, 3, 0), (1000, 0, 3)] {
            lab.set_mtu("b:eth0", mtu).await?;
            let before = lab.counters("a:v5").await?;
            lab.send_many("a:v5", &Shot::broadcast().bytes(1400), 3)?;
            let seen = lab.counters("a:v5").await? - before;
            let claim = format!("the other end's MTU {mtu}: {sent} sent, {dropped} dropped");
            let seen = (seen.tx_packets, seen.tx_dropped);
            lab.claim(&claim, seen == (sent, dropped), format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const STATE: Rule = Rule {
    id: "vlan.below.its-state-is-known",
    promise: "a VLAN's link that is born on one that runs is told as up once it is",
    source: Source {
        cite: "register_vlan_dev, linkwatch_fire_event, net/8021q/vlan.c; RFC 2863, ifOperStatus",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn its_state_is_known() {
    const UP: u64 = 6;
    check(&STATE, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.grow(|lan| lan.vlan("a:v7", "a:eth0", 7)).await?;
        lab.expect_to_become("a:v7", OPERSTATE, UP).await
    });
}

const LISTED: Rule = Rule {
    id: "vlan.below.lists-its-addresses-while-it-is-up",
    promise: "the link below has the further addresses of a VLAN's link on its list, and one of its \
              own that it was given, while that is up, and not while it is down",
    source: Source {
        cite: "vlan_dev_set_rx_mode, vlan_dev_stop and vlan_dev_set_mac_address, net/8021q",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn lists_its_addresses_while_it_is_up() {
    const FURTHER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x34]);
    check(&LISTED, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.set_up("a:v5", false).await?;
        lab.set_mac("a:v5", NEW).await?;
        lab.add_filter("a:v5", FURTHER, false).await?;
        for up in [false, true, false, true] {
            lab.set_up("a:v5", up).await?;
            let listed = lab.filters("a:eth0").await?;
            for mac in [NEW, FURTHER] {
                let seen = listed.contains(&mac);
                lab.claim(&format!("up {up}: {mac} is listed: {up}"), seen == up, seen)?;
            }
        }
        lab.delete_filter("a:v5", FURTHER).await?;
        let listed = lab.filters("a:eth0").await?.contains(&FURTHER);
        lab.claim("one that was deleted is not", !listed, listed)
    });
}
