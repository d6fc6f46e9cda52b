//! What the two ends of a cable do for the stack: check sums, segments, queues, joining.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//! ```

use hairpin_harness::options::link;
use hairpin_harness::{
    CaseLab, Channels, Errno, Family, Mac, Need, Offload, Rule, Shot, Source, Stop, Strength,
    Topology, check,
};
use rstest::rstest;

use super::{NEEDS, cable};

pub(crate) const RULES: &[Rule] = &[
    DEFAULTS,
    TOLD,
    SUMS,
    QUEUES,
    IN_USE,
    NUMBERS,
    JOINING,
    OWN_COUNTERS,
    BIRTH,
    REFUSED,
    PEERS,
    POLLED,
    WATCHED,
];

const DEFAULTS: Rule = Rule {
    id: "veth.offload.what-a-cable-says-of-itself",
    promise: "both ends name their driver, have 10 Gbit/s both ways, a link while they have \
              carrier, leave sums and segments to others and join nothing",
    source: Source {
        cite: "veth_get_link_ksettings, veth_setup and veth_disable_gro, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[test]
fn what_a_cable_says_of_itself() {
    check(&DEFAULTS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        for end in ["a:eth0", "b:eth0"] {
            let driver = lab.driver(end)?;
            lab.claim("its driver is veth", driver == "veth", driver)?;
            let speed = lab.speed(end)?;
            lab.claim("10 Gbit/s, both ways", speed == (10_000, true), format!("{speed:?}"))?;
            let off = [Offload::Gro];
            let on = [
                Offload::RxChecksums,
                Offload::TxChecksums,
                Offload::Scatter,
                Offload::Tso,
                Offload::Gso,
            ];
            for (offload, wanted) in
                on.map(|o| (o, true)).into_iter().chain(off.map(|o| (o, false)))
            {
                let seen = lab.offload(end, offload)?;
                lab.claim(&format!("{end}: {offload} {wanted}"), seen == wanted, seen)?;
            }
            let queue = lab.qdisc(end)?;
            lab.claim("it has no queue", queue == "noqueue", queue)?;
        }
        for up in [false, true] {
            lab.set_up("b:eth0", up).await?;
            let seen = lab.detects("a:eth0")?;
            lab.claim(&format!("the other end up {up}: a has a link"), seen == up, seen)?;
        }
        Ok(())
    });
}

const TOLD: Rule = Rule {
    id: "veth.offload.is-each-ends-own",
    promise: "what one end does for the stack is set and taken back there alone, and frames of \
              every length come as before",
    source: Source {
        cite: "veth_setup, hw_features, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::rx_checksums(Offload::RxChecksums)]
#[case::tx_checksums(Offload::TxChecksums)]
#[case::scatter(Offload::Scatter)]
#[case::tso(Offload::Tso)]
#[case::gso(Offload::Gso)]
#[case::gro(Offload::Gro)]
fn is_each_ends_own(#[case] offload: Offload) {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let other = lab.offload("b:eth0", offload)?;
        for on in [false, true, false, true] {
            let done = lab.set_offload("a:eth0", offload, on);
            lab.expect_done(&format!("{offload}: {on}"), done)?;
            let seen = lab.offload("a:eth0", offload)?;
            lab.claim(&format!("{offload}: {on}"), seen == on, seen)?;
            let seen = lab.offload("b:eth0", offload)?;
            lab.claim("the other end is as it was", seen == other, seen)?;
            passes(&mut lab).await?;
        }
        Ok(())
    });
}

/// Holds that frames pass either way.
async fn passes(lab: &mut CaseLab) -> Result<(), Stop> {
    let (a, b) = (lab.mac("a:eth0"), lab.mac("b:eth0"));
    for bytes in [60, 1514] {
        lab.expect_shot("a", &Shot::to(b).bytes(bytes), "b host").await?;
        lab.expect_shot("b", &Shot::to(a).bytes(bytes), "a host").await?;
    }
    Ok(())
}

const SUMS: Rule = Rule {
    id: "veth.offload.broken-sums-are-thrown-away",
    promise: "a datagram that comes with a broken check sum is thrown away and counted by the \
              receiver, one with a sound one is not: a cable vouches for no sum that it did not \
              make, whatever its ends do for the stack",
    source: Source {
        cite: "veth_forward_skb, drivers/net/veth.c; \"veth: don't modify ip_summed; doing so \
               treats packets with bad checksums as good\"",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

fn addressed() -> Topology {
    Topology::new("addressed")
        .host("a")
        .host("b")
        .cable("a:eth0", "b:eth0")
        .address("a:eth0", "192.0.2.1/24")
        .address("b:eth0", "192.0.2.2/24")
        .address("a:eth0", "2001:db8::1/64")
        .address("b:eth0", "2001:db8::2/64")
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn broken_sums_are_thrown_away(#[case] family: Family) {
    check(&SUMS, async |case| {
        let mut lab = case.lab(&addressed()).await?;
        for joins in [false, true] {
            lab.set_offload("b:eth0", Offload::Gro, joins)?;
            crate::counted::expect_sums(&lab, family, "a", "b")?;
        }
        Ok(())
    });
}

const QUEUES: Rule = Rule {
    id: "veth.offload.queues-in-use",
    promise: "an end uses one queue each way until it is told more, as many as it was made with, \
              and never none; frames pass with any number",
    source: Source {
        cite: "veth_set_channels and veth_get_channels, drivers/net/veth.c; ethtool(8), -L",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[test]
fn queues_in_use() {
    check(&QUEUES, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let born = lab.channels("a:eth0")?;
        lab.claim("one each way", (born.rx, born.tx) == (1, 1), format!("{born:?}"))?;
        lab.expect_option("a:eth0", link::NUM_RX_QUEUES, born.most_rx.into()).await?;
        lab.expect_option("a:eth0", link::NUM_TX_QUEUES, born.most_tx.into()).await?;
        let (rx, tx) = (born.most_rx, born.most_tx);
        for (rx, tx) in [(rx, 1), (1, tx), (rx, tx), (1, 1)] {
            lab.set_channels("a:eth0", rx, tx)?;
            let seen = lab.channels("a:eth0")?;
            let wanted = Channels { rx, tx, ..born };
            lab.claim(&format!("{rx} and {tx}"), seen == wanted, format!("{seen:?}"))?;
            let other = lab.channels("b:eth0")?;
            lab.claim("the other end as it was", other == born, format!("{other:?}"))?;
            lab.expect_to_settle("a:eth0", true).await?;
            passes(&mut lab).await?;
        }
        for (rx, tx) in [(0, 1), (1, 0), (rx + 1, 1), (1, tx + 1)] {
            let done = lab.set_channels("a:eth0", rx, tx);
            lab.expect_refusal(&format!("{rx} and {tx} queues"), done, Errno::EINVAL)?;
        }
        Ok(())
    });
}

const IN_USE: Rule = Rule {
    id: "veth.offload.more-queues-and-fewer",
    promise: "an end that was told how many queues to have uses them all, then as many as it is \
              told; frames pass with any number, whether it joins what comes or not",
    source: Source {
        cite: "veth_set_channels, veth_enable_range_safe and veth_disable_range_safe",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[test]
fn more_queues_and_fewer() {
    check(&IN_USE, async |case| {
        let mut lab = case.lab(&cable().queues("a:eth0", 4).queues("b:eth0", 4)).await?;
        let born = lab.channels("b:eth0")?;
        let all = Channels { rx: 4, tx: 4, most_rx: 4, most_tx: 4 };
        lab.claim("four each way", born == all, format!("{born:?}"))?;
        // A sender that leaves no segments to others has its frames go by the receiver's poll.
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        for joins in [false, true] {
            lab.set_offload("b:eth0", Offload::Gro, joins)?;
            for (rx, tx) in [(2, 1), (1, 4), (4, 4), (1, 1), (3, 2)] {
                lab.set_channels("b:eth0", rx, tx)?;
                let seen = lab.channels("b:eth0")?;
                let wanted = Channels { rx, tx, ..all };
                lab.claim(&format!("{rx} and {tx}"), seen == wanted, format!("{seen:?}"))?;
                for end in ["a:eth0", "b:eth0"] {
                    lab.expect_to_settle(end, true).await?;
                }
                passes(&mut lab).await?;
            }
        }
        for (rx, tx) in [(0, 1), (1, 0), (5, 1), (1, 5)] {
            let done = lab.set_channels("b:eth0", rx, tx);
            lab.expect_refusal(&format!("{rx} and {tx} queues"), done, Errno::EINVAL)?;
        }
        let other = lab.channels("a:eth0")?;
        lab.claim("the other end as it was", other == all, format!("{other:?}"))
    });
}

const NUMBERS: Rule = Rule {
    id: "veth.offload.queues-at-birth",
    promise: "a cable is made with as many queues as it is told",
    source: Source {
        cite: "ip-link(8), numtxqueues; rtnl_create_link",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn queues_at_birth() {
    check(&NUMBERS, async |case| {
        let lab = case.lab(&cable()).await?;
        for (tx, rx) in [(1, 1), (4, 3), (2, 7)] {
            let told = [(link::NUM_TX_QUEUES, tx), (link::NUM_RX_QUEUES, rx)];
            let born = lab.newborn("veth", "a", None, &told).await?;
            for (option, wanted) in told {
                let seen = born.option(option);
                lab.claim(
                    &format!("{option} {wanted}"),
                    seen == Some(wanted),
                    format!("{seen:?}"),
                )?;
            }
        }
        Ok(())
    });
}

const JOINING: Rule = Rule {
    id: "veth.offload.joining-loses-nothing",
    promise: "an end that joins what comes takes frames by its own poll: each comes once, whole \
              and counted at both ends, also when joining is switched while frames pass, or while \
              the end is down",
    source: Source {
        cite: "veth_set_features, veth_napi_enable and veth_poll, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[test]
fn joining_loses_nothing() {
    check(&JOINING, async |case| {
        let mut lab = case.lab(&cable()).await?;
        // A sender that leaves no segments to others has its frames go by the receiver's poll.
        for end in ["a:eth0", "b:eth0"] {
            lab.set_offload(end, Offload::Tso, false)?;
        }
        for (joins, down) in [(true, false), (false, false), (true, true), (false, true)] {
            lab.set_up("b:eth0", !down).await?;
            lab.set_offload("b:eth0", Offload::Gro, joins)?;
            lab.set_up("b:eth0", true).await?;
            let before = (lab.counters("a:eth0").await?, lab.counters("b:eth0").await?);
            passes(&mut lab).await?;
            let after = (lab.counters("a:eth0").await?, lab.counters("b:eth0").await?);
            let (a, b) = (after.0 - before.0, after.1 - before.1);
            let same = (a.tx_packets, a.tx_bytes) == (b.rx_packets, b.rx_bytes);
            lab.claim("both ends agree", same, format!("{a:?} {b:?}"))?;
            let back = (b.tx_packets, b.tx_bytes) == (a.rx_packets, a.rx_bytes);
            lab.claim("also of what goes back", back, format!("{a:?} {b:?}"))?;
            let lost = a.tx_dropped + b.rx_dropped + a.rx_dropped + b.tx_dropped;
            lab.claim("nothing is dropped", lost == 0, lost)?;
        }
        Ok(())
    });
}

const OWN_COUNTERS: Rule = Rule {
    id: "veth.offload.its-own-counters-name-the-peer",
    promise: "the driver's own counters tell the index of the other end",
    source: Source { cite: "veth_get_ethtool_stats, drivers/net/veth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn its_own_counters_name_the_peer() {
    check(&OWN_COUNTERS, async |case| {
        let lab = case.lab(&cable()).await?;
        for (end, other) in [("a:eth0", "b:eth0"), ("b:eth0", "a:eth0")] {
            let index = u64::from(lab.link(other).await?.index);
            let seen = lab.own_counters(end)?;
            let named = seen.get("peer_ifindex").copied();
            lab.claim(&format!("{end} names {other}"), named == Some(index), format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const BIRTH: Rule = Rule {
    id: "veth.offload.an-address-of-its-own",
    promise: "an end that is told no address is given one of a single station, locally \
              administered, another each time; one that is told has that",
    source: Source { cite: "veth_newlink, drivers/net/veth.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_of_its_own() {
    check(&BIRTH, async |case| {
        let lab = case.lab(&cable()).await?;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let born = lab.newborn("veth", "a", None, &[]).await?;
            let address = born.option(link::ADDRESS).unwrap_or_default();
            lab.claim("local, no group's", address >> 40 & 3 == 2, format!("{address:012x}"))?;
            lab.claim("it is new", !seen.contains(&address), format!("{address:012x}"))?;
            seen.push(address);
            let state = (born.option(link::MTU), born.option(link::OPERSTATE));
            lab.claim("of 1500 bytes, down", state == (Some(1500), Some(2)), format!("{state:?}"))?;
        }
        let told = [(link::ADDRESS, 0x0268_70ff_0001), (link::MTU, 65_535)];
        let born = lab.newborn("veth", "a", None, &told).await?;
        for (option, wanted) in told {
            let seen = born.option(option);
            lab.claim(&format!("{option} as told"), seen == Some(wanted), format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const REFUSED: Rule = Rule {
    id: "veth.offload.nonsense-is-refused",
    promise: "a cable with a group's address, half of one or none, or with an MTU beyond its limits, \
              is refused",
    source: Source {
        cite: "veth_validate and veth_setup, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::group(link::ADDRESS, 0x0100_5e00_0001, Errno::EADDRNOTAVAIL)]
#[case::broadcast(link::ADDRESS, 0xffff_ffff_ffff, Errno::EADDRNOTAVAIL)]
#[case::none(link::ADDRESS, 0, Errno::EADDRNOTAVAIL)]
#[case::half_an_address(link::ADDRESS.in_bytes(4), 0x0268_70ff, Errno::EINVAL)]
#[case::mtu_below(link::MTU, 67, Errno::EINVAL)]
#[case::mtu_above(link::MTU, 65_536, Errno::EINVAL)]
fn nonsense_is_refused(
    #[case] option: hairpin_harness::options::LinkOption,
    #[case] value: u64,
    #[case] errno: Errno,
) {
    check(&REFUSED, async |case| {
        let lab = case.lab(&cable()).await?;
        let born = lab.newborn("veth", "a", None, &[(option, value)]).await;
        lab.expect_refusal("such a cable", born, errno)?;
        let born = lab.newborn("veth", "a", None, &[(link::MTU, 68)]).await;
        lab.expect_done("a good one", born)
    });
}

const PEERS: Rule = Rule {
    id: "veth.offload.nonsense-of-the-other-end",
    promise: "a cable whose other end is to have a group's address is refused, and neither end is there",
    source: Source {
        cite: "veth_newlink and veth_validate, VETH_INFO_PEER, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nonsense_of_the_other_end() {
    check(&PEERS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let more = |mac| move |lan: Topology| lan.cable("a:eth1", "b:eth1").mac("b:eth1", mac);
        let done = lab.grow(more(Mac([1, 0, 0x5e, 0, 0, 1]))).await;
        lab.expect_refusal("a group's address", done, Errno::EADDRNOTAVAIL)?;
        let there = &lab.sights("a")?.links | &lab.sights("b")?.links;
        lab.claim("neither end is there", !there.contains("eth1"), format!("{there:?}"))?;
        let done = lab.grow(more(Mac([2, 0, 0x5e, 0, 0, 1]))).await;
        lab.expect_done("a station's", done)
    });
}

const POLLED: Rule = Rule {
    id: "veth.offload.joins-what-its-sender-has-cut",
    promise: "an end that joins what comes takes by its own poll what an end sends that cuts its \
              segments itself, and counts that in the driver; not what one sends that cuts none, \
              nor while it joins nothing",
    source: Source {
        cite: "veth_skb_is_eligible_for_gro and veth_xmit, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[test]
fn joins_what_its_sender_has_cut() {
    check(&POLLED, async |case| {
        let mut lab = case.lab(&cable()).await?;
        for (joins, cuts) in [(false, true), (true, false), (true, true), (true, false)] {
            lab.set_offload("b:eth0", Offload::Gro, joins)?;
            lab.set_offload("a:eth0", Offload::Tso, !cuts)?;
            let before = (polled(&lab)?, lab.counters("b:eth0").await?);
            lab.send_many("a:eth0", &Shot::broadcast(), 3)?;
            // What the driver counts of them is told once they are counted at all.
            lab.counters_after("b:eth0", before.1, 3).await?;
            let seen = polled(&lab)? - before.0;
            let wanted = if joins && cuts { 3 } else { 0 };
            let claim = format!("it joins {joins}, its sender cuts {cuts}: {wanted} by the poll");
            lab.claim(&claim, seen == wanted, seen)?;
        }
        Ok(())
    });
}

const WATCHED: Rule = Rule {
    id: "veth.offload.joining-is-no-matter-for-who-watches-the-sender",
    promise: "who watches the sender sees each segment of a stream as it was sent, though the other end \
              joins them to longer ones",
    source: Source {
        cite: "veth_xdp_rcv, skb_unclone, drivers/net/veth.c; \"veth: ensure skb entering GRO are \
               not cloned\"",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Since(6, 1)],
};

#[test]
fn joining_is_no_matter_for_who_watches_the_sender() {
    check(&WATCHED, async |case| {
        let mut lab = case.lab(&super::queues::addressed(1)).await?;
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        for joins in [false, true] {
            lab.set_offload("b:eth0", Offload::Gro, joins)?;
            let seen = lab.joined("a:eth0", "b:eth0", 60_000)?;
            let claim = format!("b joins {joins}: longer frames come than were sent");
            let longer = seen.longest_come > seen.longest_sent;
            lab.claim(&claim, longer == joins && seen.sent > 20, format!("{seen:?}"))?;
            lab.claim("each is as long as it says", seen.garbled == 0, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

/// How many frames `b` took by its own poll.
fn polled(lab: &CaseLab) -> Result<u64, Stop> {
    let own = lab.own_counters("b:eth0")?;
    Ok(own.get("rx_queue_0_xdp_packets").copied().unwrap_or_default())
}
