//! What a child counts of the frames that it sends and gets.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e
//! ```
//!
//! The lab is quiet: without IPv6 nobody speaks unasked. A shot comes with the frames that prove its fate, so a case compares two shots that differ in
//! length only: the difference is the shot's alone.

use hairpin_fixtures::lan::quiet;
use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::{
    CaseLab, Class, Counters, LinkName, Mac, Mode, Rule, Shot, Source, Stop, Strength, check,
    options,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[UNICAST, BROADCAST, PACKETS];

/// The mode in which siblings hear each other from outside only.
const VEPA: u64 = 2;

/// How many bytes the frames of a grid have.
const SHORTEST: u64 = 60;

/// By how much the longer shot is longer.
const MORE: usize = 900;

/// What a link has counted when nothing is under way any more: unicast shots are announced by
/// broadcast, which children take out of a queue in their own time.
async fn counters(lab: &mut CaseLab, link: &str) -> Result<Counters, Stop> {
    lab.observe(Class::Broadcast).await?;
    Ok(lab.counters(link).await?)
}

/// What a link counts of a shot, less what it counts of the same shot 900 bytes shorter: bytes
/// received and bytes sent.
async fn bytes_of(
    lab: &mut CaseLab,
    link: &str,
    from: &str,
    shot: &Shot,
    heard: &str,
) -> Result<(u64, u64), Stop> {
    let mut counted = Vec::new();
    for bytes in [100, 100 + MORE] {
        let before = counters(lab, link).await?;
        lab.expect_shot(from, &shot.clone().bytes(bytes), heard).await?;
        let seen = counters(lab, link).await? - before;
        // All frames but the shot are as short as Ethernet has them. (A sibling's broadcast is
        // counted with its header twice, so this holds in vepa mode only.)
        let both = [(seen.rx_packets, seen.rx_bytes), (seen.tx_packets, seen.tx_bytes)];
        let mode = lab.option("c1:c0", options::macvlan::MODE).await?;
        for (packets, seen) in both.into_iter().filter(|_| mode == Some(VEPA)) {
            let short = SHORTEST * packets;
            let one_long = (short + bytes as u64).wrapping_sub(SHORTEST);
            let claim = format!("{link} counts {packets} frames as {short} or {one_long} bytes");
            lab.claim(&claim, seen == short || seen == one_long, seen)?;
        }
        counted.push(seen);
    }
    let [short, long] = [counted[0], counted[1]];
    Ok((long.rx_bytes.wrapping_sub(short.rx_bytes), long.tx_bytes.wrapping_sub(short.tx_bytes)))
}

async fn expect_bytes(
    lab: &mut CaseLab,
    link: &str,
    (from, shot, heard): (&str, &Shot, &str),
    wanted: (u64, u64),
) -> Result<(), Stop> {
    let seen = bytes_of(lab, link, from, shot, heard).await?;
    let claim = format!("{link} counts {wanted:?} bytes more, received and sent, of {shot}");
    lab.claim(&claim, seen == wanted, format!("{seen:?}"))
}

fn mac(lab: &CaseLab, link: &str) -> Mac {
    lab.topology().mac_of(&LinkName::from(link))
}

const UNICAST: Rule = Rule {
    id: "macvlan.counters.bytes-of-unicast",
    promise: "each byte of a unicast frame is counted once, by the child that sends it and by the \
              child that gets it",
    source: Source {
        cite: "macvlan_start_xmit and macvlan_count_rx, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn bytes_of_unicast() {
    check(&UNICAST, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(Mode::Vepa))).await?;
        let more = MORE as u64;
        let (c1, e) = (mac(&lab, "c1:c0"), mac(&lab, "e:e0"));
        let in_ = ("e", &Shot::to(c1), "c1 host");
        expect_bytes(&mut lab, "c1:c0", in_, (more, 0)).await?;
        expect_bytes(&mut lab, "c2:c0", in_, (0, 0)).await?;
        expect_bytes(&mut lab, "p:p0", in_, (more, 0)).await?;
        let out = ("c1", &Shot::to(e), "e host");
        expect_bytes(&mut lab, "c1:c0", out, (0, more)).await?;
        expect_bytes(&mut lab, "p:p0", out, (0, more)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let c2 = mac(&lab, "c2:c0");
        let over = ("c1", &Shot::to(c2), "c2 host");
        expect_bytes(&mut lab, "c2:c0", over, (more, 0)).await?;
        expect_bytes(&mut lab, "c1:c0", over, (0, more)).await
    });
}

const BROADCAST: Rule = Rule {
    id: "macvlan.counters.bytes-of-broadcast",
    promise: "each child counts a broadcast that it gets, and the sender counts what it sends once",
    source: Source {
        cite: "macvlan_broadcast and macvlan_count_rx, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn bytes_of_broadcast() {
    check(&BROADCAST, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(Mode::Bridge))).await?;
        let more = MORE as u64;
        let all = ("e", &Shot::broadcast(), "c1 broadcast, c2 broadcast, p broadcast");
        for link in ["c1:c0", "c2:c0", "p:p0"] {
            expect_bytes(&mut lab, link, all, (more, 0)).await?;
        }
        let sibling = ("c1", &Shot::broadcast(), "c2 broadcast, e broadcast");
        expect_bytes(&mut lab, "c1:c0", sibling, (0, more)).await?;
        expect_bytes(&mut lab, "c2:c0", sibling, (more, 0)).await
    });
}

const PACKETS: Rule = Rule {
    id: "macvlan.counters.frames-and-groups",
    promise: "a child counts each frame once and groups apart; what nobody dropped is counted by \
              nobody as dropped",
    source: Source {
        cite: "macvlan_dev_get_stats64, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// How many frames are sent in a row.
const FRAMES: u64 = 7;

#[rstest]
#[case::broadcast(true)]
#[case::unicast(false)]
fn frames_and_groups(#[case] group: bool) {
    check(&PACKETS, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(Mode::Bridge))).await?;
        let c1 = mac(&lab, "c1:c0");
        let shot = if group { Shot::broadcast() } else { Shot::to(c1) };
        // One round of controls against the same round with a shot.
        let aside = if group { Mac([1, 0, 0x5e, 0x7c, 0, 9]) } else { Mac([2, 0, 0, 0, 0, 9]) };
        let counted =
            async |lab: &mut CaseLab, shot: &Shot, heard: &str| -> Result<Counters, Stop> {
                let before = counters(lab, "c1:c0").await?;
                for _ in 0..FRAMES {
                    lab.expect_shot("e", shot, heard).await?;
                }
                Ok(counters(lab, "c1:c0").await? - before)
            };
        let missed = if group { "p multicast" } else { "p other" };
        let without = counted(&mut lab, &Shot::to(aside), missed).await?;
        let heard = if group { "c1 broadcast, c2 broadcast, p broadcast" } else { "c1 host" };
        let with = counted(&mut lab, &shot, heard).await?;
        let more = with - without;
        let packets = more.rx_packets;
        lab.claim("seven more frames", packets == FRAMES, packets)?;
        let groups = more.multicast;
        lab.claim("groups apart", groups == if group { FRAMES } else { 0 }, groups)?;
        let bad = [with.rx_dropped, with.rx_errors, with.tx_dropped, with.tx_errors];
        lab.claim("none dropped", bad == [0; 4], format!("{bad:?}"))
    });
}
