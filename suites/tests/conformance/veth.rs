//! veth: the cable that every lab is made of.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//! ```

pub(crate) mod bursts;
pub(crate) mod offload;
pub(crate) mod pieces;
pub(crate) mod queues;
pub(crate) mod ring;
pub(crate) mod stamps;
pub(crate) mod xdp;

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::link;
use hairpin_harness::{
    CaseLab, Counters, Errno, Filter, Mac, Need, Rule, Shot, Source, Stop, Strength, Tag, Topology,
    check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[
    CARRIER,
    AS_WHAT,
    WHOLE,
    TOO_LONG,
    COUNTED,
    MTU_LIMITS,
    MTU_ALONE,
    TOGETHER,
    MOVED,
    BORN,
    PEER,
    NOTHING_YET,
    GOOD_ADDRESS,
    TAGS,
];

const NEEDS: &[Need] = &[Need::Driver("veth")];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x10]);

/// Two hosts and a cable, without what speaks at times of its own.
fn cable() -> Topology {
    without_ipv6(
        Topology::new("cable").host("a").host("b").netns("other").cable("a:eth0", "b:eth0"),
    )
}

const CARRIER: Rule = Rule {
    id: "veth.carrier-while-both-are-up",
    promise: "an end has carrier while both ends are up, and loses it as soon as either goes down",
    source: Source {
        cite: "veth_open and veth_close, drivers/net/veth.c; veth(4)",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn carrier_while_both_are_up() {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&cable().down("a:eth0").down("b:eth0")).await?;
        for (end, up, carrier) in [
            ("a:eth0", true, false),
            ("b:eth0", true, true),
            ("a:eth0", false, false),
            ("a:eth0", true, true),
            ("b:eth0", false, false),
        ] {
            lab.expect_to_settle(end, up).await?;
            for one in ["a:eth0", "b:eth0"] {
                let state = lab.link(one).await?;
                // An end that is down has none to tell of.
                let seen = state.up && state.carrier;
                let wanted = carrier && state.up;
                let claim = format!(
                    "{end} {}: {one} has carrier: {wanted}",
                    if up { "up" } else { "down" }
                );
                lab.claim(&claim, seen == wanted, seen)?;
            }
        }
        Ok(())
    });
}

const AS_WHAT: Rule = Rule {
    id: "veth.every-frame-arrives-as-what-it-is",
    promise: "the other end gets every frame once: its own as its own, others' as somebody else's, \
              groups as groups; it has no filter, so promiscuous or not is the same",
    source: Source { cite: "veth_xmit and eth_type_trans", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn every_frame_arrives_as_what_it_is() {
    check(&AS_WHAT, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let b = lab.mac("b:eth0");
        for promisc in [false, true] {
            lab.set_filter("b:eth0", Filter::Promisc, promisc).await?;
            lab.expect_shot("a", &Shot::to(b), "b host").await?;
            lab.expect_shot("a", &Shot::to(NOBODY), "b other").await?;
            lab.expect_shot("a", &Shot::broadcast(), "b broadcast").await?;
            let group = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x10]);
            lab.expect_shot("a", &Shot::to(group), "b multicast").await?;
            lab.expect_shot("a", &Shot::to(b).from(NOBODY), "b host").await?;
            lab.expect_shot("a", &Shot::to(b).bypassing_the_queue(), "b host").await?;
        }
        Ok(())
    });
}

const WHOLE: Rule = Rule {
    id: "veth.frames-of-every-length-come-whole",
    promise: "frames up to the MTU come as they were sent, either way",
    source: Source { cite: "veth(4)", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::shortest(26, 1500)]
#[case::odd(333, 1500)]
#[case::full(1514, 1500)]
#[case::jumbo(9014, 9000)]
#[case::largest(65_549, 65_535)]
fn frames_of_every_length_come_whole(#[case] bytes: usize, #[case] mtu: u32) {
    check(&WHOLE, async |case| {
        let mut lab = case.lab(&cable().mtu("a:eth0", mtu).mtu("b:eth0", mtu)).await?;
        let (a, b) = (lab.mac("a:eth0"), lab.mac("b:eth0"));
        lab.expect_shot("a", &Shot::to(b).bytes(bytes), "b host").await?;
        lab.expect_shot("b", &Shot::to(a).bytes(bytes), "a host").await?;
        lab.expect_shot("a", &Shot::broadcast().bytes(bytes), "b broadcast").await?;
        Ok(())
    });
}

const TOO_LONG: Rule = Rule {
    id: "veth.longer-than-the-peer-takes",
    promise: "a frame that is longer than the other end's MTU with its header and one tag (18 \
              bytes) is dropped: the sender counts it as dropped at sending and is told ENOBUFS, \
              the receiver as dropped at receiving",
    source: Source {
        cite: "veth_forward_skb and is_skb_forwardable; \"veth: Fixing transmit return status for \
               dropped packets\" (6.1.55, 6.5.6, 6.6)",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[rstest]
#[case::header(1414, true)]
#[case::header_and_tag(1418, true)]
#[case::one_more(1419, false)]
#[case::full(1514, false)]
fn longer_than_the_peer_takes(#[case] bytes: usize, #[case] fits: bool) {
    check(&TOO_LONG, async |case| {
        let mut lab = case.lab(&cable().mtu("b:eth0", 1400)).await?;
        let b = lab.mac("b:eth0");
        let before = (lab.counters("a:eth0").await?, lab.counters("b:eth0").await?);
        let heard = if fits { "b host" } else { "refused ENOBUFS" };
        let shot = Shot::to(b).bytes(bytes);
        lab.expect_shot("a", &shot, heard).await?;
        let after = (lab.counters("a:eth0").await?, lab.counters("b:eth0").await?);
        let dropped = ((after.0 - before.0).tx_dropped, (after.1 - before.1).rx_dropped);
        let wanted = if fits { (0, 0) } else { (1, 1) };
        let claim = format!("dropped at sending and at receiving: {wanted:?}");
        lab.claim(&claim, dropped == wanted, format!("{dropped:?}"))
    });
}

const COUNTED: Rule = Rule {
    id: "veth.one-ends-receiving-is-the-others-sending",
    promise: "each end counts the frames and bytes that it sends, and as received what the other \
              sent",
    source: Source { cite: "veth_get_stats64, drivers/net/veth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_ends_receiving_is_the_others_sending() {
    check(&COUNTED, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let b = lab.mac("b:eth0");
        let mut counted = Vec::new();
        for bytes in [100, 1000] {
            let before = both(&lab).await?;
            lab.expect_shot("a", &Shot::to(b).bytes(bytes), "b host").await?;
            let after = both(&lab).await?;
            let (a, b) = (after.0 - before.0, after.1 - before.1);
            let there = (a.tx_packets, a.tx_bytes) == (b.rx_packets, b.rx_bytes);
            let back = (b.tx_packets, b.tx_bytes) == (a.rx_packets, a.rx_bytes);
            lab.claim("both ends agree", there && back, format!("{a:?} {b:?}"))?;
            let bad = [a.tx_dropped, a.rx_dropped, b.rx_dropped, a.tx_errors, b.rx_errors];
            lab.claim("nothing was dropped", bad == [0; 5], format!("{bad:?}"))?;
            // All frames but the shot are as short as Ethernet has them.
            let wanted = 60 * (a.tx_packets - 1) + bytes as u64;
            lab.claim(&format!("{wanted} bytes sent"), a.tx_bytes == wanted, a.tx_bytes)?;
            counted.push((a.tx_packets, a.tx_bytes, b.rx_bytes));
        }
        let more = (counted[1].1 - counted[0].1, counted[1].2 - counted[0].2);
        lab.claim("each byte counts once", more == (900, 900), format!("{more:?}"))?;
        let same = counted[0].0 == counted[1].0;
        lab.claim("as many frames", same, format!("{counted:?}"))
    });
}

async fn both(lab: &CaseLab) -> Result<(Counters, Counters), Stop> {
    Ok((lab.counters("a:eth0").await?, lab.counters("b:eth0").await?))
}

const MTU_LIMITS: Rule = Rule {
    id: "veth.mtu-within-its-limits",
    promise: "an end takes an MTU of 68 to 65535 bytes",
    source: Source { cite: "veth_setup, drivers/net/veth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn mtu_within_its_limits() {
    check(&MTU_LIMITS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        for (mtu, taken) in [(68, true), (67, false), (65_535, true), (65_536, false)] {
            let done = lab.set_mtu("a:eth0", mtu).await;
            if taken {
                lab.expect_done(&format!("an MTU of {mtu}"), done)?;
                lab.expect_option("a:eth0", link::MTU, u64::from(mtu)).await?;
            } else {
                lab.expect_refusal(&format!("an MTU of {mtu}"), done, Errno::EINVAL)?;
            }
        }
        lab.expect_option("a:eth0", link::MIN_MTU, 68).await?;
        lab.expect_option("a:eth0", link::MAX_MTU, 65_535).await
    });
}

const MTU_ALONE: Rule = Rule {
    id: "veth.each-end-has-its-own-settings",
    promise: "MTU and address of one end are no matter of the other's",
    source: Source { cite: "veth(4)", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_end_has_its_own_settings() {
    check(&MTU_ALONE, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let before = lab.link("b:eth0").await?;
        lab.set_mtu("a:eth0", 1300).await?;
        lab.set_mac("a:eth0", NOBODY).await?;
        let after = lab.link("b:eth0").await?;
        lab.claim("b is as it was", before == after, format!("{after:?}"))
    });
}

const TOGETHER: Rule = Rule {
    id: "veth.both-ends-go-together",
    promise: "when one end is deleted the other is gone, in whatever namespace it is",
    source: Source {
        cite: "veth_dellink, drivers/net/veth.c; veth(4)",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::near("a:eth0")]
#[case::far("b:eth0")]
fn both_ends_go_together(#[case] end: &str) {
    check(&TOGETHER, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let there = lab.exists("a:eth0")? && lab.exists("b:eth0")?;
        lab.claim("both are there", there, there)?;
        lab.delete(end).await?;
        let left = lab.exists("a:eth0")? || lab.exists("b:eth0")?;
        lab.claim("neither is", !left, left)
    });
}

const MOVED: Rule = Rule {
    id: "veth.an-end-that-moves-stays-connected",
    promise: "an end that moves to another namespace is down there, and connected to the same \
              other end once it is up",
    source: Source { cite: "ip-netns(8); veth(4)", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_end_that_moves_stays_connected() {
    check(&MOVED, async |case| {
        let mut lab = case.lab(&cable().cable("b:spare", "other:spare")).await?;
        let b = lab.mac("b:eth0");
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        let index = u64::from(lab.link("a:eth0").await?.index);
        lab.move_link("b:eth0", "other").await?;
        let up = lab.link("other:eth0").await?.up;
        lab.claim("it arrives down", !up, up)?;
        lab.expect_option("other:eth0", link::BELOW, index).await?;
        lab.set_up("other:eth0", true).await?;
        let carrier = lab.link("a:eth0").await?.carrier;
        lab.claim("the other end has carrier again", carrier, carrier)?;
        lab.move_link("other:eth0", "b").await?;
        lab.set_up("b:eth0", true).await?;
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        Ok(())
    });
}

const BORN: Rule = Rule {
    id: "veth.born-as-told",
    promise: "both ends are born with the names, addresses and MTUs that were asked for, in their \
              namespaces",
    source: Source { cite: "veth_newlink, drivers/net/veth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn born_as_told() {
    check(&BORN, async |case| {
        let (near, far) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let topology = cable().mac("a:eth0", near).mac("b:eth0", far);
        let lab = case.lab(&topology.mtu("a:eth0", 1300).mtu("b:eth0", 1700)).await?;
        for (end, mac, mtu) in [("a:eth0", near, 1300), ("b:eth0", far, 1700)] {
            let state = lab.link(end).await?;
            let holds = (state.mac, state.mtu, state.name.as_str()) == (mac, mtu, "eth0");
            lab.claim(&format!("{end} as told"), holds, format!("{state:?}"))?;
        }
        Ok(())
    });
}

const PEER: Rule = Rule {
    id: "veth.each-end-names-the-other",
    promise: "each end tells the index of the other, and its namespace if that is not its own",
    source: Source {
        cite: "veth_get_iflink and veth_get_link_net, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_end_names_the_other() {
    check(&PEER, async |case| {
        let lab = case.lab(&cable()).await?;
        for (end, other) in [("a:eth0", "b:eth0"), ("b:eth0", "a:eth0")] {
            let index = u64::from(lab.link(other).await?.index);
            lab.expect_option(end, link::BELOW, index).await?;
            let away = lab.option(end, link::BELOW_NETNS).await?;
            lab.claim("and its namespace", away.is_some(), "it does not")?;
        }
        let home = lab.newborn("veth", "a", None, &[]).await?.option(link::BELOW_NETNS);
        lab.claim("but not its own", home.is_none(), format!("{home:?}"))
    });
}

const NOTHING_YET: Rule = Rule {
    id: "veth.nothing-is-counted-at-birth",
    promise: "a cable that has carried nothing has counted nothing at either end, in either direction",
    source: Source {
        cite: "veth_get_stats64 and veth_stats_rx, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nothing_is_counted_at_birth() {
    check(&NOTHING_YET, async |case| {
        let lab = case.lab(&cable().down("a:eth0").down("b:eth0")).await?;
        for end in ["a:eth0", "b:eth0"] {
            let seen = lab.counters(end).await?;
            let claim = format!("{end} has counted nothing");
            lab.claim(&claim, seen == Counters::default(), format!("{seen:?}"))?;
            let mut own = lab.own_counters(end)?;
            own.retain(|name, count| name != "peer_ifindex" && *count > 0);
            lab.claim("nor has its driver", own.is_empty(), format!("{own:?}"))?;
        }
        Ok(())
    });
}

const GOOD_ADDRESS: Rule = Rule {
    id: "veth.an-end-takes-a-good-address",
    promise: "an end takes any address of one station, at once, and no group's",
    source: Source { cite: "eth_mac_addr, net/ethernet/eth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_end_takes_a_good_address() {
    check(&GOOD_ADDRESS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let old = lab.mac("b:eth0");
        for bad in [Mac::BROADCAST, Mac([0; 6]), Mac([1, 0, 0, 0, 0, 1])] {
            let done = lab.set_mac("b:eth0", bad).await;
            lab.expect_refusal(&format!("{bad}"), done, Errno::EADDRNOTAVAIL)?;
        }
        lab.set_mac("b:eth0", NOBODY).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b host").await?;
        lab.expect_shot("a", &Shot::to(old), "b other").await?;
        Ok(())
    });
}

const TAGS: Rule = Rule {
    id: "veth.tags-pass-unchanged",
    promise: "a tagged frame arrives with its tag, priority and drop mark",
    source: Source { cite: "veth_setup, drivers/net/veth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn tags_pass_unchanged() {
    check(&TAGS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let b = lab.mac("b:eth0");
        let tag = Tag::vlan(4094).priority(7).drop_eligible();
        lab.expect_shot("a", &Shot::to(b).tag(tag), "b other vlan 4094 priority 7 dei").await?;
        lab.expect_shot("a", &Shot::to(b).tag(Tag::vlan(1)).bytes(1518), "b other vlan 1").await?;
        let provider = Tag::vlan(9).provider();
        lab.expect_shot("a", &Shot::to(b).tag(provider), "b other provider vlan 9").await?;
        Ok(())
    });
}
