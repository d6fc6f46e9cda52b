//! How much a macvtap link's queue holds, and what becomes of the rest.

use std::iter;

use hairpin_fixtures::lan::{macvtap_lan, quiet};
use hairpin_harness::options::link;
use hairpin_harness::queue::{PLAIN, VNET_HEADER};
use hairpin_harness::{
    CaseLab, Errno, Mode, Queue, Rule, Shot, Source, Stop, Strength, Tag, check, close_together,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[FULL, RESIZED, MANY, SHORT, WITHIN, NOTHING];

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
pub(crate) fn drain(queue: &Queue) -> Result<usize, Stop> {
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

const RESIZED: Rule = Rule {
    id: "macvtap.limits.queues-grow-with-their-link",
    promise: "when a link's txqueuelen changes each of its queues holds as many from then on, those \
              that are open, too",
    source: Source {
        cite: "macvtap_device_event, NETDEV_CHANGE_TX_QUEUE_LEN; tap_queue_resize",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn queues_grow_with_their_link() {
    check(&RESIZED, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let (first, second) = (lab.open_queue("c1:c0")?, lab.open_queue("c1:c0")?);
        for (queue, other) in [(&first, &second), (&second, &first)] {
            queue.set_flags(PLAIN)?;
            other.attach(false)?;
            for few in [true, false] {
                let room = if few { ROOM } else { 500 };
                lab.set_option("c1:c0", link::TXQLEN, room as u64).await?;
                drain(queue)?;
                let (came, dropped) = overfill(&mut lab, queue).await?;
                let claim = format!("{room} fit: {}", if few { "some are dropped" } else { "all" });
                let holds = (came == ROOM && dropped > 0) == few && (dropped == 0) != few;
                lab.claim(&claim, holds, format!("{came} came, {dropped} dropped"))?;
            }
            other.attach(true)?;
            queue.attach(false)?;
            queue.attach(true)?;
        }
        Ok(())
    });
}

const MANY: Rule = Rule {
    id: "macvtap.limits.no-queue-too-many",
    promise: "a link's device is opened 256 times and no more, attached or not; when one is closed \
              there is room for another",
    source: Source {
        cite: "tap_set_queue, drivers/net/tap.c; MAX_TAP_QUEUES, linux/if_tap.h",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Many queues of one link. Closed one after another, 256 take half a minute of a busy machine.
struct Crowd(Vec<Queue>);

impl Drop for Crowd {
    fn drop(&mut self) {
        close_together(self.0.drain(..));
    }
}

#[test]
fn no_queue_too_many() {
    check(&MANY, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        lab.set_option("c1:c0", link::TXQLEN, ROOM as u64).await?;
        let open = || lab.open_queue("c1:c0");
        let mut crowd = Crowd(iter::repeat_with(open).map_while(Result::ok).take(300).collect());
        let opened = crowd.0.len();
        lab.claim("256 are opened", opened == 256, format!("{opened} are"))?;
        crowd.0[7].attach(false)?;
        for _ in 0..2 {
            lab.expect_refusal("one more", lab.open_queue("c1:c0"), Errno::EBUSY)?;
            crowd.0.pop();
            let again = lab.open_queue("c1:c0");
            lab.expect_done("another in its place", again.as_ref().map_err(Clone::clone))?;
            crowd.0.extend(again);
        }
        Ok(())
    });
}

const SHORT: Rule = Rule {
    id: "macvtap.limits.a-short-read-gives-the-beginning",
    promise: "who has room for less than a frame gets its beginning, the tag in its place, and is told \
              how many bytes",
    source: Source {
        cite: "tap_put_user and tap_read_iter, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_short_read_gives_the_beginning() {
    check(&SHORT, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_flags(PLAIN)?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        for tag in [None, Some(Tag::vlan(5).priority(3))] {
            let shot = tag.into_iter().fold(Shot::to(c1), Shot::tag);
            let ends = if tag.is_some() { &[0x81, 0x00, 0x60, 0x05][..] } else { &[] };
            let begin = [&c1.0[..], &e.0, ends].concat();
            // What is told whose room ends with the tag, or within, is the next rule's.
            for room in [1, 11, 12, 17, 59] {
                drain(&queue)?;
                let watch = queue.watch()?;
                lab.send_many("e:e0", &shot, 1)?;
                lab.claim("it comes", watch.was_woken(), "not within five seconds")?;
                let came = queue.read(room)?.unwrap_or_default();
                let known = room.min(begin.len());
                let whole = came.len() == room && came[..known] == begin[..known];
                let claim = format!("{tag:?}: the first {room} bytes");
                lab.claim(&claim, whole, format!("{came:x?}"))?;
            }
        }
        Ok(())
    });
}

const WITHIN: Rule = Rule {
    id: "macvtap.limits.who-stops-within-a-tag-is-told-of-the-tag-alone",
    promise: "who has room for less than a frame gets as much of its beginning as fits, also where \
              the room ends within the tag or with it; but then is told only how many bytes are \
              the tag's, with headers and without",
    source: Source {
        cite: "tap_put_user, drivers/net/tap.c: observed on 5.10, 6.1, 6.12, 6.18 and 7.3",
        strength: Strength::Observed,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::plain(PLAIN, 0)]
#[case::behind_a_header(PLAIN | VNET_HEADER, 10)]
fn who_stops_within_a_tag_is_told_of_the_tag_alone(#[case] kind: u16, #[case] header: usize) {
    check(&WITHIN, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_flags(kind)?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let begin = [&c1.0[..], &e.0, &[0x81, 0x00, 0x60, 0x05, 0x88, 0xb5]].concat();
        let shot = Shot::to(c1).tag(Tag::vlan(5).priority(3));
        for (room, wanted) in
            [(12, header + 12), (13, 1), (14, 2), (15, 3), (16, 4), (17, header + 17)]
        {
            drain(&queue)?;
            let watch = queue.watch()?;
            lab.send_many("e:e0", &shot, 1)?;
            lab.claim("it comes", watch.was_woken(), "not within five seconds")?;
            let (told, bytes) = queue.read_with_room(header + room)?.unwrap_or_default();
            let there = bytes.get(header..) == Some(&begin[..room]);
            let claim = format!("room for {room} bytes of it: all are there");
            lab.claim(&claim, there, format!("{bytes:x?}"))?;
            lab.claim(&format!("and {wanted} are told"), told == wanted, told)?;
        }
        Ok(())
    });
}

const NOTHING: Rule = Rule {
    id: "macvtap.limits.a-read-of-nothing-takes-nothing",
    promise: "who reads with room for nothing gets nothing, and the frame waits for the next reader",
    source: Source { cite: "tap_do_read, drivers/net/tap.c; read(2)", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::plain(PLAIN, 0)]
#[case::behind_a_header(PLAIN | VNET_HEADER, 10)]
fn a_read_of_nothing_takes_nothing(#[case] kind: u16, #[case] header: usize) {
    check(&NOTHING, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_flags(kind)?;
        drain(&queue)?;
        let watch = queue.watch()?;
        lab.send_many("e:e0", &Shot::to(lab.mac("c1:c0")).bytes(100), 1)?;
        lab.claim("it comes", watch.was_woken(), "not within five seconds")?;
        for _ in 0..2 {
            let read = queue.read(0)?.map(|bytes| bytes.len());
            lab.claim("nothing is read", read == Some(0), format!("{read:?}"))?;
        }
        let read = queue.read(2000)?.map(|bytes| bytes.len());
        lab.claim("then the frame is", read == Some(header + 100), format!("{read:?}"))
    });
}
