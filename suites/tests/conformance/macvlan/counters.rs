//! What a child counts of the frames that it sends and gets.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e
//! ```
//!
//! The lab is quiet: without IPv6 nobody speaks unasked.

use hairpin_fixtures::lan::{cabled, quiet};
use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::{CaseLab, Counters, Mac, Mode, Rule, Shot, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;
use crate::counted::{BYTES, DATAGRAM, MORE, Sent, expect_bytes, expect_exactly, only, settled};

pub(crate) const RULES: &[Rule] = &[UNICAST, BROADCAST, PACKETS, PAIR, LOST];

/// How many bytes the frames of a grid have.
const SHORTEST: u64 = 60;

/// As [`expect_bytes`], where all frames but the shot are as short as Ethernet has them: each link
/// counts them as so many bytes, too. Not so of a sibling's broadcast in bridge mode, which is
/// counted with its header twice.
async fn expect_exact_bytes(
    lab: &mut CaseLab,
    sent: Sent<'_>,
    wanted: &[(&str, u64, u64)],
) -> Result<(), Stop> {
    let counted = expect_bytes(lab, sent, wanted).await?;
    for ((link, ..), of_link) in wanted.iter().zip(counted) {
        for (seen, bytes) in of_link.into_iter().zip(BYTES) {
            let both = [(seen.rx_packets, seen.rx_bytes), (seen.tx_packets, seen.tx_bytes)];
            for (packets, seen) in both {
                let short = SHORTEST * packets;
                let one_long = (short + bytes as u64).wrapping_sub(SHORTEST);
                let claim =
                    format!("{link} counts {packets} frames as {short} or {one_long} bytes");
                lab.claim(&claim, seen == short || seen == one_long, seen)?;
            }
        }
    }
    Ok(())
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
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let in_ = ("e", &Shot::to(c1), "c1 host");
        let wanted = [("c1:c0", MORE, 0), ("c2:c0", 0, 0), ("p:p0", MORE, 0)];
        expect_exact_bytes(&mut lab, in_, &wanted).await?;
        let out = ("c1", &Shot::to(e), "e host");
        expect_exact_bytes(&mut lab, out, &[("c1:c0", 0, MORE), ("p:p0", 0, MORE)]).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let c2 = lab.mac("c2:c0");
        let over = ("c1", &Shot::to(c2), "c2 host");
        expect_exact_bytes(&mut lab, over, &[("c2:c0", MORE, 0), ("c1:c0", 0, MORE)]).await
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
        let all = ("e", &Shot::broadcast(), "c1 broadcast, c2 broadcast, p broadcast");
        let wanted = [("c1:c0", MORE, 0), ("c2:c0", MORE, 0), ("p:p0", MORE, 0)];
        expect_bytes(&mut lab, all, &wanted).await?;
        let sibling = ("c1", &Shot::broadcast(), "c2 broadcast, e broadcast");
        expect_bytes(&mut lab, sibling, &[("c1:c0", 0, MORE), ("c2:c0", MORE, 0)]).await?;
        Ok(())
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

/// A group that no child takes: of eight, as a child's filter has few places, found by a key of the
/// namespace's own, and a group may fall on the place of one that was joined.
async fn group_of_nobody(lab: &mut CaseLab) -> Result<Mac, Stop> {
    let mut group = Mac::BROADCAST;
    for last in 0x20..0x28 {
        group = Mac([1, 0, 0x5e, 0x7c, 1, last]);
        if lab.shoot("e", &Shot::to(group)).await?.to_string() == "p multicast" {
            break;
        }
    }
    Ok(group)
}

#[rstest]
#[case::broadcast(true)]
#[case::unicast(false)]
fn frames_and_groups(#[case] group: bool) {
    check(&PACKETS, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(Mode::Bridge))).await?;
        let c1 = lab.mac("c1:c0");
        let shot = if group { Shot::broadcast() } else { Shot::to(c1) };
        // One round of controls against the same round with a shot.
        let aside = if group { group_of_nobody(&mut lab).await? } else { Mac([2, 0, 0, 0, 0, 9]) };
        let counted =
            async |lab: &mut CaseLab, shot: &Shot, heard: &str| -> Result<Counters, Stop> {
                settled(lab).await?;
                let before = lab.counters("c1:c0").await?;
                for _ in 0..FRAMES {
                    lab.expect_shot("e", shot, heard).await?;
                }
                settled(lab).await?;
                Ok(lab.counters("c1:c0").await? - before)
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

const PAIR: Rule = Rule {
    id: "macvlan.counters.two-frames-and-no-more",
    promise: "two datagrams from outside are two frames with their bytes at the child that they are \
              for and at its parent, and nothing at its sibling; what it sends is counted as such, \
              and what it sends to a sibling in bridge mode at both, and not at their parent",
    source: Source {
        cite: "macvlan_handle_frame and macvlan_start_xmit, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn two_frames_and_no_more(#[case] mode: Mode) {
    check(&PAIR, async |case| {
        let lab = case.lab(&quiet(macvlan_lan(mode))).await?;
        let (two, none) = ((2, 2 * DATAGRAM), (0, 0));
        let (gets, sends, nothing) = (only(two, none), only(none, two), only(none, none));
        let mut ways =
            vec![("e", "c1", [gets, nothing, gets]), ("c1", "e", [sends, nothing, sends])];
        if mode == Mode::Bridge {
            ways.push(("c1", "c2", [sends, gets, nothing]));
        }
        for (from, to, wanted) in ways {
            let wanted: Vec<_> = ["c1:c0", "c2:c0", "p:p0"].into_iter().zip(wanted).collect();
            expect_exactly(&lab, (from, to), &wanted).await?;
        }
        Ok(())
    });
}

const LOST: Rule = Rule {
    id: "macvlan.counters.what-the-parent-cannot-send-is-dropped",
    promise: "what the parent refuses to send, since it is too long for the other end of its cable, \
              a child counts as dropped, and not as sent, and tells the sender",
    source: Source {
        cite: "macvlan_start_xmit and macvlan_dev_get_stats64, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::passthru(Mode::Passthru)]
fn what_the_parent_cannot_send_is_dropped(#[case] mode: Mode) {
    check(&LOST, async |case| {
        let mut lab = case.lab(&quiet(cabled(mode))).await?;
        for (mtu, sent, dropped) in [(1500, 3, 0), (1000, 0, 3)] {
            lab.set_mtu("e:e0", mtu).await?;
            let before = lab.counters("c1:c0").await?;
            let taken = lab.send_many("c1:c0", &Shot::broadcast().bytes(1400), 3)?;
            let seen = lab.counters("c1:c0").await? - before;
            let claim = format!("the other end's MTU {mtu}: {sent} sent, {dropped} dropped");
            let seen = (seen.tx_packets, seen.tx_dropped);
            lab.claim(&claim, seen == (sent, dropped), format!("{seen:?}"))?;
            lab.claim("as many as the sender is told", taken as u64 == sent, taken)?;
        }
        Ok(())
    });
}
