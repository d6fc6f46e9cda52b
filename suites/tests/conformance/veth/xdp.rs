//! XDP programs of a cable's ends: the driver runs them, and does what they say.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//!                       b:eth1 ------------ c:eth0
//! ```
//!
//! A program of these cases does one thing with the frames to one address, and passes all others:
//! these are the controls.

use std::collections::BTreeMap;

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::link;
use hairpin_harness::{
    CaseLab, Counters, Errno, Mac, Need, Offload, Rule, Shot, Source, Stop, Strength, Topology,
    Xdp, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] =
    &[DONE, SENT_BACK, REDIRECTED, ON_THE_WAY, LIVES, LIMITS, QUEUES, TOLD];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Xdp];

/// Whom the programs look out for.
const MARKED: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x20]);

pub(super) fn cables() -> Topology {
    without_ipv6(
        Topology::new("cables")
            .host("a")
            .host("b")
            .host("c")
            .cable("a:eth0", "b:eth0")
            .cable("b:eth1", "c:eth0"),
    )
}

/// What has been counted at a link by the kernel and by the driver itself.
struct Counted {
    kernel: Counters,
    dropped: u64,
    seen: u64,
}

async fn counted(lab: &CaseLab, link: &str) -> Result<Counted, Stop> {
    let own = lab.own_counters(link)?;
    let of = |name: &str| {
        let ours = own.iter().filter(|(key, _)| key.starts_with("rx_queue") && key.ends_with(name));
        ours.map(|(_, value)| value).sum()
    };
    let kernel = lab.counters(link).await?;
    Ok(Counted { kernel, dropped: of("xdp_drops"), seen: of("xdp_packets") })
}

/// Holds that marked frames from `a` come to `where_to`, and others to `b` as ever.
async fn expect_marked(lab: &mut CaseLab, where_to: &str) -> Result<(), Stop> {
    let b = lab.mac("b:eth0");
    lab.expect_shot("a", &Shot::to(MARKED).bytes(100), where_to).await?;
    lab.expect_shot("a", &Shot::to(b).bytes(100), "b host").await?;
    Ok(())
}

const DONE: Rule = Rule {
    id: "veth.xdp.what-a-program-says-is-done",
    promise: "an end passes, drops or changes what its program tells it to; both ends count every \
              frame that the program saw, by its bytes behind the header, and the driver those that \
              were dropped",
    source: Source {
        cite: "veth_xdp_rcv_skb and veth_get_stats64, drivers/net/veth.c; veth_rq_stats_desc",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::pass(Xdp::Pass, "b other", 0)]
#[case::drop(Xdp::Drop, "nobody", 1)]
#[case::abort(Xdp::Abort, "nobody", 1)]
#[case::nonsense(Xdp::Nonsense, "nobody", 1)]
#[case::shorten(Xdp::Shorten(7), "b other changed (93 bytes)", 0)]
#[case::lengthen(Xdp::Lengthen(4), "b other changed (104 bytes)", 0)]
fn what_a_program_says_is_done(#[case] does: Xdp, #[case] to: &str, #[case] dropped: u64) {
    check(&DONE, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_xdp("b:eth0", MARKED, &does).await?;
        let before = (counted(&lab, "a:eth0").await?, counted(&lab, "b:eth0").await?);
        expect_marked(&mut lab, to).await?;
        let after = (counted(&lab, "a:eth0").await?, counted(&lab, "b:eth0").await?);
        let seen = after.1.seen - before.1.seen;
        let (a, b) = (after.0.kernel - before.0.kernel, after.1.kernel - before.1.kernel);
        let all = (a.tx_packets, a.tx_bytes) == (b.rx_packets, b.rx_bytes) && b.rx_packets == seen;
        lab.claim("each end counts each frame", all, format!("{a:?} {b:?}, seen {seen}"))?;
        // All but the two shots are as short as Ethernet has them, and headers are not counted here.
        let wanted = 46 * seen.saturating_sub(2) + 2 * 86;
        let bytes = b.rx_bytes == wanted && seen > 2;
        lab.claim(&format!("of {wanted} bytes"), bytes, b.rx_bytes)?;
        let lost = after.1.dropped - before.1.dropped;
        lab.claim(&format!("dropped {dropped}"), lost == dropped, lost)?;
        let kernels = [a.tx_dropped, b.rx_dropped];
        lab.claim("which is no fault of a link", kernels == [0; 2], format!("{kernels:?}"))?;
        lab.clear_xdp("b:eth0").await?;
        expect_marked(&mut lab, "b other").await
    });
}

const SENT_BACK: Rule = Rule {
    id: "veth.xdp.sent-back-needs-a-receiver",
    promise: "what an end's program sends back arrives at the other end if that has a program, too; \
              if not it is dropped, and both ends count that",
    source: Source {
        cite: "veth_xdp_tx and veth_xdp_flush_bq, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn sent_back_needs_a_receiver() {
    check(&SENT_BACK, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::SendBack).await?;
        for (receives, to, lost) in [(true, "a other", 0), (false, "nobody", 1)] {
            if receives {
                lab.set_xdp("a:eth0", MARKED, &Xdp::Pass).await?;
            } else {
                lab.clear_xdp("a:eth0").await?;
            }
            let before = (lab.counters("a:eth0").await?, lab.counters("b:eth0").await?);
            expect_marked(&mut lab, to).await?;
            let a = lab.counters("a:eth0").await? - before.0;
            let b = lab.counters("b:eth0").await? - before.1;
            let seen = [a.rx_dropped, b.tx_dropped];
            lab.claim(&format!("{lost} lost"), seen == [lost; 2], format!("{a:?} {b:?}"))?;
        }
        Ok(())
    });
}

const REDIRECTED: Rule = Rule {
    id: "veth.xdp.redirected-to-another-cable",
    promise: "what a program has sent by another cable arrives at its far end if that has a program, \
              too, and is no longer than that end takes; if not it is dropped and counted",
    source: Source {
        cite: "veth_xdp_xmit and veth_ndo_xdp_xmit, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn redirected_to_another_cable() {
    check(&REDIRECTED, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Redirect("b:eth1".into())).await?;
        // Since 6.3 a cable says that nobody would take it; before, it finds out when it sends.
        let before = (lab.counters("b:eth0").await?, lab.counters("b:eth1").await?);
        expect_marked(&mut lab, "nobody").await?;
        let came = lab.counters("b:eth0").await? - before.0;
        let went = lab.counters("b:eth1").await? - before.1;
        let lost = came.rx_dropped + went.tx_dropped;
        lab.claim("nobody to take it: dropped", lost == 1, format!("{came:?} {went:?}"))?;
        lab.set_xdp("c:eth0", MARKED, &Xdp::Pass).await?;
        expect_marked(&mut lab, "c other").await?;
        // The far end takes its MTU, the header and a tag.
        lab.set_mtu("c:eth0", 1000).await?;
        lab.expect_shot("a", &Shot::to(MARKED).bytes(1018), "c other").await?;
        let before = (lab.counters("b:eth1").await?, lab.counters("c:eth0").await?);
        lab.expect_shot("a", &Shot::to(MARKED).bytes(1019), "nobody").await?;
        let b = lab.counters("b:eth1").await? - before.0;
        let c = lab.counters("c:eth0").await? - before.1;
        let lost = [b.tx_dropped, c.rx_dropped];
        lab.claim("one byte more: dropped", lost == [1; 2], format!("{b:?} {c:?}"))
    });
}

const ON_THE_WAY: Rule = Rule {
    id: "veth.xdp.a-second-program-on-the-way",
    promise: "a frame that comes from a program on another cable meets the program of the end where \
              it arrives",
    source: Source {
        cite: "veth_xdp_rcv_one and veth_xdp_rcv_bulk_skb, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::pass(Xdp::Pass, "c other", 0)]
#[case::drop(Xdp::Drop, "nobody", 1)]
#[case::abort(Xdp::Abort, "nobody", 1)]
#[case::nonsense(Xdp::Nonsense, "nobody", 1)]
#[case::shorten(Xdp::Shorten(7), "c other changed (93 bytes)", 0)]
#[case::lengthen(Xdp::Lengthen(4), "c other changed (104 bytes)", 0)]
#[case::send_back(Xdp::SendBack, "b:eth1 other", 0)]
fn a_second_program_on_the_way(#[case] does: Xdp, #[case] to: &str, #[case] dropped: u64) {
    check(&ON_THE_WAY, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Redirect("b:eth1".into())).await?;
        lab.set_xdp("b:eth1", MARKED, &Xdp::Pass).await?;
        lab.set_xdp("c:eth0", MARKED, &does).await?;
        let before = counted(&lab, "c:eth0").await?;
        expect_marked(&mut lab, to).await?;
        let after = counted(&lab, "c:eth0").await?;
        let lost = after.dropped - before.dropped;
        lab.claim(&format!("dropped {dropped}"), lost == dropped, lost)?;
        let seen = after.seen - before.seen;
        let counted = after.kernel - before.kernel;
        let all = counted.rx_packets == seen && counted.rx_dropped == 0;
        lab.claim("each frame is counted", all, format!("{counted:?}, seen {seen}"))
    });
}

const LIVES: Rule = Rule {
    id: "veth.xdp.a-program-stays-until-it-is-taken",
    promise: "a program acts that was given while the end was down, after it was down, and whether \
              the end joins what comes or not; another in its place acts at once",
    source: Source {
        cite: "veth_open, veth_close, veth_enable_xdp and veth_disable_xdp, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_program_stays_until_it_is_taken() {
    check(&LIVES, async |case| {
        let mut lab = case.lab(&cables()).await?;
        // A sender that leaves no segments to others has its frames go by the receiver's poll.
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        for joins in [false, true] {
            lab.set_offload("b:eth0", Offload::Gro, joins)?;
            lab.set_up("b:eth0", false).await?;
            lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await?;
            lab.set_up("b:eth0", true).await?;
            expect_marked(&mut lab, "nobody").await?;
            lab.set_xdp("b:eth0", MARKED, &Xdp::Shorten(1)).await?;
            expect_marked(&mut lab, "b other changed (99 bytes)").await?;
            lab.set_up("b:eth0", false).await?;
            lab.set_up("b:eth0", true).await?;
            expect_marked(&mut lab, "b other changed (99 bytes)").await?;
            lab.set_offload("b:eth0", Offload::Gro, !joins)?;
            expect_marked(&mut lab, "b other changed (99 bytes)").await?;
            lab.clear_xdp("b:eth0").await?;
            expect_marked(&mut lab, "b other").await?;
            lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await?;
            lab.set_up("b:eth0", false).await?;
            lab.clear_xdp("b:eth0").await?;
            lab.set_up("b:eth0", true).await?;
            expect_marked(&mut lab, "b other").await?;
        }
        Ok(())
    });
}

const LIMITS: Rule = Rule {
    id: "veth.xdp.a-program-needs-room",
    promise: "a program needs the other end's frames to fit a page: it is refused if they may be \
              longer, and while it is there that end's MTU is limited and it leaves no segments to \
              this one",
    source: Source {
        cite: "veth_xdp_set and veth_fix_features, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_program_needs_room() {
    check(&LIMITS, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_mtu("a:eth0", 9000).await?;
        let done = lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await;
        lab.expect_refusal("beside an MTU of 9000", done, Errno::ERANGE)?;
        lab.set_mtu("a:eth0", 1500).await?;
        expect_marked(&mut lab, "b other").await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await?;
        let most = lab.option("a:eth0", link::MAX_MTU).await?.unwrap_or_default();
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        lab.claim("less than a page", (2000..4096).contains(&most), most)?;
        let done = lab.set_mtu("a:eth0", most + 1).await;
        lab.expect_refusal("one more", done, Errno::EINVAL)?;
        lab.set_mtu("a:eth0", most).await?;
        let longest = usize::try_from(most).unwrap_or_default() + 14;
        let b = lab.mac("b:eth0");
        lab.set_mtu("b:eth0", most).await?;
        lab.expect_shot("a", &Shot::to(b).bytes(longest), "b host").await?;
        let tso = [lab.offload("a:eth0", Offload::Tso)?, lab.offload("b:eth0", Offload::Tso)?];
        lab.claim("it leaves no segments to others", tso == [false, true], format!("{tso:?}"))?;
        let done = lab.set_offload("a:eth0", Offload::Tso, true);
        lab.expect_refusal("nor can it be told to", done, Errno::EOPNOTSUPP)?;
        let c = lab.offload("c:eth0", Offload::Tso)?;
        lab.claim("the other cable is as it was", c, c)?;
        expect_marked(&mut lab, "nobody").await?;
        lab.clear_xdp("b:eth0").await?;
        lab.set_mtu("a:eth0", 65535).await?;
        let tso = lab.offload("a:eth0", Offload::Tso)?;
        lab.claim("and does again", tso, tso)?;
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        lab.set_offload("a:eth0", Offload::Tso, true)?;
        Ok(())
    });
}

const QUEUES: Rule = Rule {
    id: "veth.xdp.a-queue-for-each-of-the-senders",
    promise: "a program needs as many queues to receive by as the other end sends by: it is refused \
              where there are fewer, and while it is there neither end may change that; it acts in \
              each queue",
    source: Source {
        cite: "veth_xdp_set and veth_set_channels, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Xdp, Need::Since(6, 1)],
};

#[test]
fn a_queue_for_each_of_the_senders() {
    check(&QUEUES, async |case| {
        let mut lab = case.lab(&cables().queues("a:eth0", 4).queues("b:eth0", 4)).await?;
        lab.set_channels("b:eth0", 3, 1)?;
        let done = lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await;
        lab.expect_refusal("three for four", done, Errno::ENOSPC)?;
        lab.set_channels("a:eth0", 1, 2)?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await?;
        for (end, rx, tx) in [("b:eth0", 1, 1), ("a:eth0", 1, 4)] {
            let done = lab.set_channels(end, rx, tx);
            lab.expect_refusal(&format!("{end}: {rx} and {tx}"), done, Errno::EINVAL)?;
        }
        for (end, rx, tx) in [("b:eth0", 2, 1), ("b:eth0", 4, 4), ("a:eth0", 4, 4)] {
            lab.set_channels(end, rx, tx)?;
            for end in ["a:eth0", "b:eth0"] {
                lab.expect_to_settle(end, true).await?;
            }
            let before = counted(&lab, "b:eth0").await?;
            expect_marked(&mut lab, "nobody").await?;
            let after = counted(&lab, "b:eth0").await?;
            let (seen, came) =
                (after.seen - before.seen, (after.kernel - before.kernel).rx_packets);
            let claim = format!("{rx} queues tell together what came");
            lab.claim(&claim, seen == came && seen > 1, format!("{seen} of {came}"))?;
        }
        lab.clear_xdp("b:eth0").await?;
        lab.set_channels("b:eth0", 1, 1)?;
        lab.expect_to_settle("b:eth0", true).await?;
        expect_marked(&mut lab, "b other").await
    });
}

const TOLD: Rule = Rule {
    id: "veth.xdp.its-own-counters-tell-of-redirects",
    promise: "an end's own counters tell what its program had sent elsewhere; those of the end that \
              it left by tell that, and what was too long for the other; what could not be sent \
              elsewhere at all the receiver counts as dropped",
    source: Source {
        cite: "veth_get_ethtool_stats, veth_rq_stats_desc and veth_tq_stats_desc; veth_xdp_rcv_skb",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// What is redirected, sent so, not sent so, and dropped where it came in.
async fn redirects(lab: &CaseLab) -> Result<[u64; 4], Stop> {
    let (came, left) = (lab.own_counters("b:eth0")?, lab.own_counters("b:eth1")?);
    let dropped = lab.counters("b:eth0").await?.rx_dropped;
    let of = |all: &BTreeMap<String, u64>, name: &str| all.get(name).copied().unwrap_or_default();
    let sent = ["tx_queue_0_xdp_xmit", "tx_queue_0_xdp_xmit_errors"].map(|name| of(&left, name));
    Ok([of(&came, "rx_queue_0_xdp_redirect"), sent[0], sent[1], dropped])
}

#[test]
fn its_own_counters_tell_of_redirects() {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Redirect("b:eth1".into())).await?;
        lab.set_xdp("c:eth0", MARKED, &Xdp::Pass).await?;
        for (what, bytes, to, wanted) in [
            ("sent elsewhere", 1018, "c other", [1, 1, 0, 0]),
            ("too long", 1019, "nobody", [1, 0, 1, 0]),
            ("to a link that is down", 1018, "nobody", [0, 0, 0, 1]),
        ] {
            lab.set_mtu("c:eth0", 1000).await?;
            lab.set_up("b:eth1", wanted[3] == 0).await?;
            let before = redirects(&lab).await?;
            lab.expect_shot("a", &Shot::to(MARKED).bytes(bytes), to).await?;
            let after = redirects(&lab).await?;
            let seen: Vec<u64> = after.iter().zip(before).map(|(after, b)| after - b).collect();
            lab.claim(&format!("{what}: {wanted:?}"), seen == wanted, format!("{seen:?}"))?;
        }
        Ok(())
    });
}
