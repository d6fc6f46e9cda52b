//! Frames that come many at once: each is done with as when it comes alone, and is counted once.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//!                       b:eth1 ------------ c:eth0
//! ```

use std::collections::BTreeMap;

use hairpin_harness::{CaseLab, Counters, Rule, Source, Stop, Strength, Xdp, check};
use rstest::rstest;

use super::queues::{MARKED, NEEDS, addressed, of_queues};

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

/// What the ends count of a burst from a to whom the program looks out for.
async fn burst(lab: &mut CaseLab, times: u64) -> Result<BTreeMap<&'static str, Counters>, Stop> {
    const ENDS: [&str; 3] = ["a:eth0", "b:eth0", "c:eth0"];
    lab.add_neighbour("a:eth0", [192, 0, 2, 2].into(), MARKED).await?;
    let mut before = Vec::new();
    for end in ENDS {
        before.push(lab.counters(end).await?);
    }
    lab.send_burst("a", ([192, 0, 2, 2], 9).into(), usize::try_from(times).unwrap_or(1))?;
    let mut seen = BTreeMap::new();
    for (end, before) in ENDS.into_iter().zip(before) {
        seen.insert(end, lab.counters(end).await? - before);
    }
    Ok(seen)
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
            let seen = burst(&mut lab, times).await?;
            let sums = [
                seen["a:eth0"].tx_packets,
                seen["b:eth0"].rx_packets,
                seen["c:eth0"].rx_packets,
                seen["b:eth0"].rx_dropped,
            ];
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
            let kinds = ["xdp_packets", "xdp_tx", "xdp_tx_errors", "drops"];
            let read = |lab: &CaseLab| -> Result<Vec<u64>, Stop> {
                kinds.iter().map(|kind| Ok(of_queues(lab, kind)?[0])).collect()
            };
            let before = read(&lab)?;
            let seen = burst(&mut lab, times).await?;
            let own: Vec<u64> = read(&lab)?.iter().zip(before).map(|(a, b)| a - b).collect();
            let (back, lost) = if taken { (times, 0) } else { (0, times) };
            let claim = format!("seen, sent back, not sent back: {times}, {back}, {lost}");
            lab.claim(&claim, own == [times, back, lost, 0], format!("{own:?}"))?;
            let came = seen["a:eth0"].rx_packets;
            lab.claim(&format!("{back} come back"), came == back, came)?;
        }
        Ok(())
    });
}
