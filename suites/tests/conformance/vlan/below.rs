//! What a VLAN's link has of the link below, and what becomes of that when the link below changes.
//!
//! ```text
//!   a:v5 (VLAN 5)
//!   a:eth0 ------------ b:eth0
//! ```

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::link::{ALLMULTI, CARRIER as IT_HAS, OPERSTATE, PROMISCUITY};
use hairpin_harness::{
    CaseLab, Errno, Family, Filter, Mac, Mode, Need, Offload, Rule, Shot, Source, Stop, Strength,
    Tag, Topology, check,
};
use rstest::rstest;

use super::{NEEDS, NEW, cable};

pub(crate) const RULES: &[Rule] = &[
    ADDRESS, THROUGH, OFFLOADS, STAMPS, COMES_UP, LOST, STATE, LISTED, FILTERS, SENDER, GONE,
    LONGEST, SHUT,
];

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

const THROUGH: Rule = Rule {
    id: "vlan.below.an-address-is-followed-through-a-vlan",
    promise: "a VLAN in a VLAN, neither given an address, follows the address of the lowest link at \
              once; no longer when the one between them was given its own",
    source: Source {
        cite: "vlan_dev_inherit_address, which tells others, and vlan_sync_address, net/8021q",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_is_followed_through_a_vlan() {
    const THIRD: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x34]);
    check(&THROUGH, async |case| {
        let lan = without_address().vlan("a:q7", "a:v5", 7).without_address("a:q7");
        let mut lab = case.lab(&lan).await?;
        let own = lab.mac("a:eth0");
        for mac in [NEW, own] {
            lab.set_mac("a:eth0", mac).await?;
            let seen = lab.link("a:q7").await?.mac;
            lab.claim(&format!("the inner has {mac}"), seen == mac, seen)?;
            let both = Shot::to(mac).tag(Tag::vlan(7)).tag(Tag::vlan(5)).bytes(108);
            lab.expect_shot("b", &both, "a:q7 host").await?;
        }
        lab.set_mac("a:v5", THIRD).await?;
        lab.set_mac("a:eth0", NEW).await?;
        let seen = lab.link("a:q7").await?.mac;
        lab.claim("the inner has that of the outer", seen == THIRD, seen)
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
            lab.expect_offload("a:v5", offload, on).await?;
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
              own that it was given, while that is up, and not while it is down; the VLAN's link need \
              not take everything for them",
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
            lab.expect_option("a:v5", PROMISCUITY, 0).await?;
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

const FILTERS: Rule = Rule {
    id: "vlan.below.asks-for-nothing-of-itself",
    promise: "a VLAN's link that is born on one that takes everything, or all groups, asks for neither \
              itself when it comes up",
    source: Source {
        cite: "vlan_dev_init and vlan_dev_open, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("vlan"), Need::AllmultiCount],
};

#[rstest]
#[case::promisc(Filter::Promisc)]
#[case::allmulti(Filter::Allmulti)]
fn asks_for_nothing_of_itself(#[case] filter: Filter) {
    check(&FILTERS, async |case| {
        let lan = Topology::new("cable").host("a").host("b").cable("a:eth0", "b:eth0");
        let mut lab = case.lab(&without_ipv6(lan)).await?;
        let count = if filter == Filter::Promisc { PROMISCUITY } else { ALLMULTI };
        lab.set_filter("a:eth0", filter, true).await?;
        lab.expect_option("a:eth0", count, 1).await?;
        // A cable takes everything anyway if an address is on its list.
        lab.grow(|lan| lan.vlan("a:v7", "a:eth0", 7).without_address("a:v7")).await?;
        lab.expect_option("a:eth0", count, 1).await?;
        // It would if it were told to.
        lab.set_filter("a:v7", filter, true).await?;
        lab.expect_option("a:eth0", count, 2).await
    });
}

const SENDER: Rule = Rule {
    id: "vlan.below.what-it-sends-bears-its-own-address",
    promise: "what a VLAN's link sends bears its own address and not that of the link below, whether \
              that puts tags into frames or it does so itself",
    source: Source {
        cite: "vlan_dev_hard_header and vlan_passthru_hard_header, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::tagged_below(true)]
#[case::tagged_by_itself(false)]
fn what_it_sends_bears_its_own_address(#[case] below: bool) {
    check(&SENDER, async |case| {
        let lan = Topology::new("own-address").host("a").host("b").cable("a:eth0", "b:eth0");
        let lan = lan.vlan("b:v5", "b:eth0", 5).address("b:v5", "192.0.2.2/24");
        let mut lab = case.lab(&without_ipv6(lan)).await?;
        lab.set_offload("a:eth0", Offload::TxTags, below)?;
        let own = |lan: Topology| {
            lan.vlan("a:v5", "a:eth0", 5).mac("a:v5", NEW).address("a:v5", "192.0.2.1/24")
        };
        lab.grow(own).await?;
        for (from, to) in [("a", "b"), ("b", "a")] {
            let cell = lab.ping(Family::V4, from, to).await?;
            lab.claim(
                &format!("{from} reaches {to}"),
                cell.verdict.symbol() == '+',
                &cell.verdict,
            )?;
            let what = if from == "a" { "echo request" } else { "echo reply" };
            let mut on_cable =
                cell.seen.iter().filter(|seen| seen.link == "a:eth0" && seen.what == what);
            let headers = on_cable.next().and_then(|seen| seen.headers.as_ref());
            let own = headers.map(|headers| headers.from);
            lab.claim(&format!("the {what} bears {NEW}"), own == Some(NEW), format!("{own:?}"))?;
        }
        Ok(())
    });
}

const GONE: Rule = Rule {
    id: "vlan.below.all-go-with-it",
    promise: "all VLANs' links go when the link below is deleted, and nothing is left of them",
    source: Source {
        cite: "vlan_device_event, NETDEV_UNREGISTER, net/8021q/vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn all_go_with_it() {
    check(&GONE, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.grow(|lan| lan.vlan("a:v7", "a:eth0", 7).vlan("a:v9", "a:eth0", 9)).await?;
        lab.delete("a:eth0").await?;
        for link in ["a:v5", "a:v7", "a:v9"] {
            let there = lab.exists(link)?;
            lab.claim(&format!("{link} is gone"), !there, "it is there")?;
        }
        let lines = lab.vlan_file("a", "config")?;
        lab.claim("no VLAN is listed", lines.len() == 2, format!("{lines:?}"))
    });
}

const LONGEST: Rule = Rule {
    id: "vlan.below.a-frame-is-as-long-as-below",
    promise: "a program may send as long a frame by a VLAN's link as its MTU and an Ethernet header are, \
              at birth and when the link below has come to do something else for the stack; the tag is \
              not counted",
    source: Source {
        cite: "vlan_dev_init and vlan_transfer_features, hard_header_len, net/8021q; packet_snd",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_frame_is_as_long_as_below() {
    check(&LONGEST, async |case| {
        let mut lab = case.lab(&cable()).await?;
        for below in ["a:eth0", "b:eth0"] {
            lab.set_mtu(below, 1600).await?;
        }
        for does in [true, false, true] {
            lab.set_offload("a:eth0", Offload::Scatter, does)?;
            lab.expect_offload("a:v5", Offload::Scatter, does).await?;
            let taken = lab.send_many("a:v5", &Shot::broadcast().bytes(1514), 1);
            lab.expect_done("to send 1514 bytes", taken)?;
            let refused = lab.send_many("a:v5", &Shot::broadcast().bytes(1515), 1);
            lab.expect_refusal("to send 1515", refused, Errno::EMSGSIZE)?;
        }
        Ok(())
    });
}

const SHUT: Rule = Rule {
    id: "vlan.below.one-that-went-down-with-it-tells-its-carrier",
    promise: "a VLAN's link that goes down with the link below has that one's carrier: it is there \
              where a link keeps it while it is down, as a macvlan child does",
    source: Source {
        cite: "vlan_device_event, NETDEV_DOWN, net/8021q/vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("macvlan"), Need::Driver("vlan")],
};

#[test]
fn one_that_went_down_with_it_tells_its_carrier() {
    check(&SHUT, async |case| {
        let lan = cable().macvlan("a:m0", "a:eth0", Mode::Bridge).vlan("a:v7", "a:m0", 7);
        let mut lab = case.lab(&lan).await?;
        for _ in 0..2 {
            lab.set_up("a:v7", true).await?;
            lab.switch("a:m0", false).await?;
            lab.expect_up("a:v7", false).await?;
            lab.expect_option("a:m0", IT_HAS, 1).await?;
            lab.expect_option("a:v7", IT_HAS, 1).await?;
            lab.set_up("a:m0", true).await?;
        }
        Ok(())
    });
}
