//! The ring in which frames wait for an end that takes them by its own poll.
//!
//! ```text
//!   c1:c0 (macvtap)
//!        \
//!      p:p0 ------------ e:e0 joins what comes
//! ```
//!
//! What is written to c0's queue as one segment p0 has to cut, so that its frames come all at once.

use hairpin_fixtures::lan::quiet;
use hairpin_harness::{
    CaseLab, Counters, Family, Mode, Need, Offload, Queue, Rule, Source, Stop, Strength, Topology,
    check,
};

use crate::segments::long;

pub(crate) const RULES: &[Rule] = &[ROOM];

/// As many as the ring holds, and as it holds in any case: what was taken last may not have given its
/// place back yet, up to 15 frames (`__ptr_ring_discard_one`).
const HOLDS: u64 = 256;
const AT_LEAST: u64 = HOLDS - 15;

const ROOM: Rule = Rule {
    id: "veth.ring.holds-so-many-and-drops-the-rest",
    promise: "an end that takes frames by its own poll takes up to 256 that come at once (but for some \
              whose places are not free again), however many polls that are; what comes beyond is lost \
              and counted by the sender as dropped, and what comes later is taken again",
    source: Source {
        cite: "VETH_RING_SIZE, veth_xmit, veth_xdp_rx and veth_poll, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("macvlan"),
        Need::Driver("macvtap"),
        Need::MacvtapDevice,
        Need::Since(6, 1),
    ],
};

fn wired() -> Topology {
    let lan = Topology::new("ring").host("c1").host("p").host("e").cable("p:p0", "e:e0");
    quiet(lan.macvtap("c1:c0", "p:p0", Mode::Bridge))
}

/// What the two ends count of so many frames that come at once, once those have come that were not dropped.
async fn counted(lab: &CaseLab, queue: &Queue, frames: u64) -> Result<[Counters; 2], Stop> {
    const EACH: u16 = 100;
    let (p, e) = (lab.counters("p:p0").await?, lab.counters("e:e0").await?);
    let text = usize::from(EACH) * usize::try_from(frames).unwrap_or_default();
    queue.write(&long(lab, Family::V4, ("c1:c0", "e:e0"), (text, EACH)))?;
    // What is dropped is counted at once, what is taken when the other end has polled.
    let dropped = (lab.counters("p:p0").await? - p).tx_dropped;
    let taken = lab.counters_after("e:e0", e, frames.saturating_sub(dropped)).await?;
    Ok([lab.counters("p:p0").await? - p, taken])
}

#[test]
fn holds_so_many_and_drops_the_rest() {
    check(&ROOM, async |case| {
        let mut lab = case.lab(&wired()).await?;
        let queue = lab.open_queue("c1:c0")?;
        // From who can have long segments nothing is joined.
        lab.set_offload("p:p0", Offload::Tso, false)?;
        lab.set_offload("e:e0", Offload::Gro, true)?;
        for frames in [2, 63, 64, 65, 129, AT_LEAST, 600, AT_LEAST, 257, 64] {
            let [p, e] = counted(&lab, &queue, frames).await?;
            let seen = [p.tx_packets, p.tx_dropped, e.rx_packets];
            let [sent, dropped, taken] = seen;
            let fits = frames.min(AT_LEAST)..=frames.min(HOLDS);
            let holds = fits.contains(&sent) && sent + dropped == frames && taken == sent;
            let claim = format!("{frames} at once: {fits:?} are sent and taken, the rest dropped");
            lab.claim(&claim, holds, format!("{seen:?}"))?;
        }
        Ok(())
    });
}
