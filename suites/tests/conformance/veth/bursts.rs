//! Frames that come many at once: each is done with as when it comes alone, and is counted once.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//!                       b:eth1 ------------ c:eth0
//! ```

use std::collections::BTreeMap;

use hairpin_harness::{CaseLab, Counters, Rule, Source, Stop, Strength, Xdp, check};
use rstest::rstest;

use super::queues::{MARKED, NEEDS, addressed};

pub(crate) const RULES: &[Rule] = &[BURST, SENT_BACK];

const BURST: Rule = Rule {
    id: "veth.bursts.many-at-once",
    promise: "of frames that come many at once each is passed, dropped, redirected or sent back as the \
              program has it, and counted once",
    source: Source {
        cite: "veth_poll, veth_xdp_rcv, veth_xdp_rcv_bulk_skb and veth_xdp_tx, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// More than a poll takes at a time from one that redirects, or sends back; and as many as it takes.
const BURSTS: [u64; 5] = [1, 16, 17, 40, 64];

/// a, which sends, and b and c, which get what b's program has them get.
const ENDS: [&str; 3] = ["a:eth0", "b:eth0", "c:eth0"];

/// What the ends count of a burst from a to whom the program looks out for, once so many have come to
/// each.
async fn burst(lab: &mut CaseLab, times: u64, come: [u64; 3]) -> Result<[Counters; 3], Stop> {
    lab.add_neighbour("a:eth0", [192, 0, 2, 2].into(), MARKED).await?;
    let mut counted = [Counters::default(); 3];
    for (end, counted) in ENDS.into_iter().zip(&mut counted) {
        *counted = lab.counters(end).await?;
    }
    lab.send_burst("a", ([192, 0, 2, 2], 9).into(), usize::try_from(times).unwrap_or(1))?;
    for ((end, counted), come) in ENDS.into_iter().zip(&mut counted).zip(come) {
        *counted = lab.counters_after(end, *counted, come).await?;
    }
    Ok(counted)
}

#[rstest]
#[case::pass(Xdp::Pass, 0)]
#[case::drop(Xdp::Drop, 0)]
#[case::redirect(Xdp::Redirect("b:eth1".into()), 1)]
fn many_at_once(#[case] does: Xdp, #[case] elsewhere: u64) {
    check(&BURST, async |case| {
        let mut lab = case.lab(&addressed(1)).await?;
        lab.set_xdp("b:eth0", MARKED, &does).await?;
        lab.set_xdp("c:eth0", MARKED, &Xdp::Pass).await?;
        for times in BURSTS {
            let [a, b, c] = burst(&mut lab, times, [0, times, times * elsewhere]).await?;
            let sums = [a.tx_packets, b.rx_packets, c.rx_packets, b.rx_dropped];
            let wanted = [times, times, times * elsewhere, 0];
            let claim = format!("sent, come to b and to c, lost: {wanted:?}");
            lab.claim(&claim, sums == wanted, format!("{sums:?}"))?;
        }
        Ok(())
    });
}

const SENT_BACK: Rule = Rule {
    id: "veth.bursts.sent-back-is-counted",
    promise: "the driver's own counters tell how many frames an end has sent back, and how many it could \
              not, in whatever number they come; a program at the other end sees each that was",
    source: Source {
        cite: "veth_xdp_flush_bq, veth_xdp_tx and veth_rq_stats_desc, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// What b's driver has counted of its own: frames seen, sent back, not sent back, dropped.
fn own(all: &BTreeMap<String, u64>) -> [u64; 4] {
    ["xdp_packets", "xdp_tx", "xdp_tx_errors", "drops"]
        .map(|kind| all.get(&format!("rx_queue_0_{kind}")).copied().unwrap_or_default())
}

#[rstest]
#[case::taken(true)]
#[case::not_taken(false)]
fn sent_back_is_counted(#[case] taken: bool) {
    check(&SENT_BACK, async |case| {
        let mut lab = case.lab(&addressed(1)).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::SendBack).await?;
        if taken {
            lab.set_xdp("a:eth0", MARKED, &Xdp::Drop).await?;
        }
        for times in BURSTS {
            let (back, lost) = if taken { (times, 0) } else { (0, times) };
            let before = own(&lab.own_counters("b:eth0")?);
            let [a, ..] = burst(&mut lab, times, [back, times, 0]).await?;
            // An end sends back what it has got once it has counted that.
            let since = |all: &BTreeMap<String, u64>| {
                let now = own(all);
                [0, 1, 2, 3].map(|kind| now[kind] - before[kind])
            };
            let done = |[_, back, lost, _]: [u64; 4]| back + lost >= times;
            let own = since(&lab.own_counters_once("b:eth0", |all| done(since(all))).await?);
            let claim = format!("seen, sent back, not sent back: {times}, {back}, {lost}");
            lab.claim(&claim, own == [times, back, lost, 0], format!("{own:?}"))?;
            let came = a.rx_packets;
            lab.claim(&format!("{back} come back"), came == back, came)?;
        }
        Ok(())
    });
}
