//! How much a macvtap link's queue holds, and what becomes of the rest.

use hairpin_fixtures::lan::{macvtap_lan, quiet};
use hairpin_harness::options::link;
use hairpin_harness::queue::PLAIN;
use hairpin_harness::{CaseLab, Mode, Queue, Rule, Shot, Source, Stop, Strength, check};

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[FULL];

const FULL: Rule = Rule {
    id: "macvtap.limits.a-full-queue-drops",
    promise: "a queue holds as many frames as its link's txqueuelen said when it was opened; what \
              comes beyond is dropped and counted as such, and when it is read again it takes more",
    source: Source {
        cite: "tap_open and tap_handle_frame, drivers/net/tap.c; macvtap_count_rx_dropped",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

const ROOM: usize = 3;

/// Reads until there is nothing more: how many frames there were.
fn drain(queue: &Queue) -> Result<usize, Stop> {
    let all = std::iter::from_fn(|| queue.read(2000).transpose());
    Ok(all.collect::<Result<Vec<_>, _>>()?.len())
}

/// How many frames come out, and how many are counted as dropped, when more are sent than fit.
async fn overfill(lab: &mut CaseLab, queue: &Queue) -> Result<(usize, u64), Stop> {
    let (c1, before) = (lab.mac("c1:c0"), lab.counters("c1:c0").await?);
    for _ in 0..=ROOM {
        lab.shoot("e", &Shot::to(c1)).await?;
    }
    let dropped = (lab.counters("c1:c0").await? - before).rx_dropped;
    Ok((drain(queue)?, dropped))
}

#[test]
fn a_full_queue_drops() {
    check(&FULL, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        lab.set_option("c1:c0", link::TXQLEN, ROOM as u64).await?;
        let small = lab.open_queue("c1:c0")?;
        small.set_flags(PLAIN)?;
        drain(&small)?;
        for _ in 0..2 {
            let (came, dropped) = overfill(&mut lab, &small).await?;
            lab.claim(&format!("{ROOM} come out"), came == ROOM, came)?;
            lab.claim("the rest is counted as dropped", dropped > 0, dropped)?;
        }
        drop(small);
        lab.set_option("c1:c0", link::TXQLEN, 500).await?;
        let large = lab.open_queue("c1:c0")?;
        large.set_flags(PLAIN)?;
        drain(&large)?;
        let (came, dropped) = overfill(&mut lab, &large).await?;
        lab.claim("with room for them more come out", came > ROOM, came)?;
        lab.claim("and none is dropped", dropped == 0, dropped)
    });
}
