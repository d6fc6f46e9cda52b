//! macvtap: a child whose frames come out of a character device, for a virtual machine.
//!
//! ```text
//!   c1 (macvtap)  c2 (macvlan)
//!           \    /
//!             p0 --- s0 [br0] s1 --- e
//! ```

pub(crate) mod asleep;
pub(crate) mod bonded;
pub(crate) mod limits;
pub(crate) mod noted;
pub(crate) mod offload;
pub(crate) mod requests;

use std::net::{Ipv4Addr, UdpSocket};

use hairpin_fixtures::lan::{macvtap_lan, quiet, single_macvtap_lan};
use hairpin_harness::options::link;
use hairpin_harness::queue::{MULTI_QUEUE, PLAIN};
use hairpin_harness::{
    CaseLab, Errno, Error, Mac, Mode, Need, Rule, Shot, Source, Stop, Strength, Tag,
};
use hairpin_harness::{Queue, check};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[
    INSTEAD,
    WHOLE,
    WRITTEN,
    TOO_SHORT,
    GROUPS,
    ALL_IN_PASSTHRU,
    QUEUES,
    FLOWS,
    WOKEN,
    APART,
    DOWN,
];

pub(crate) const NEEDS: &[Need] = &[
    Need::Driver("veth"),
    Need::Driver("bridge"),
    Need::Driver("macvlan"),
    Need::Driver("macvtap"),
    Need::MacvtapDevice,
];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x04]);

const INSTEAD: Rule = Rule {
    id: "macvtap.the-queue-has-it-and-the-host-has-not",
    promise: "while its device is open a link's frames come out of it, each once and as it was \
              sent, and its host hears none of them; before and after it is a macvlan child",
    source: Source { cite: "tap_handle_frame, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn the_queue_has_it_and_the_host_has_not(#[case] mode: Mode) {
    check(&INSTEAD, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(mode))).await?;
        let c1 = lab.mac("c1:c0");
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        let queue = lab.open_queue("c1:c0")?;
        lab.claim("there is room to write", queue.ready().1, "there is not")?;
        for shot in [Shot::to(c1), Shot::broadcast()] {
            lab.expect_emerged(&queue, "e", &shot, 1).await?;
        }
        lab.expect_emerged(&queue, "e", &Shot::to(NOBODY), 0).await?;
        let siblings = usize::from(mode == Mode::Bridge);
        if siblings == 1 {
            lab.expect_emerged(&queue, "c2", &Shot::to(c1), 1).await?;
            lab.expect_emerged(&queue, "c2", &Shot::broadcast(), 1).await?;
        }
        lab.expect_shot("e", &Shot::to(c1), "nobody").await?;
        lab.claim("there is something to read", queue.ready() == (true, true), "not so")?;
        drop(queue);
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        Ok(())
    });
}

const WHOLE: Rule = Rule {
    id: "macvtap.frames-of-every-length-come-whole",
    promise: "frames up to the MTU come out and go out as they were sent, with and without tags; \
              who reads too few bytes loses the rest of that frame and none of the next",
    source: Source {
        cite: "tap_put_user and tap_get_user, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::shortest(30, None)]
#[case::odd(333, None)]
#[case::full(1514, None)]
#[case::tagged(60, Some(Tag::vlan(5).priority(3)))]
#[case::dropped_first(61, Some(Tag::vlan(4094).drop_eligible()))]
#[case::of_a_provider(1000, Some(Tag::vlan(7).provider()))]
#[case::full_and_tagged(1518, Some(Tag::vlan(1)))]
fn frames_of_every_length_come_whole(#[case] bytes: usize, #[case] tag: Option<Tag>) {
    check(&WHOLE, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let of = |to: Mac| {
            let shot = Shot::to(to).bytes(bytes);
            tag.into_iter().fold(shot, Shot::tag)
        };
        lab.expect_emerged(&queue, "e", &of(c1), 1).await?;
        lab.expect_emerged(&queue, "c2", &of(c1), 1).await?;
        let heard = tag.map_or("e host".into(), |tag| format!("e other {tag}"));
        lab.expect_shot_from(&queue, &of(e), &heard).await?;
        lab.shoot("e", &of(c1)).await?;
        queue.set_flags(PLAIN)?;
        let part = queue.read(20)?.map(|bytes| bytes.len());
        lab.claim("a short read gives so much", part == Some(20), format!("{part:?}"))?;
        lab.expect_emerged(&queue, "e", &of(c1), 1).await?;
        Ok(())
    });
}

const WRITTEN: Rule = Rule {
    id: "macvtap.what-is-written-is-sent-by-the-child",
    promise: "what is written to the device goes where the child's own frames go, whatever source \
              it has: by the parent to the outside, and to siblings where its mode has it so",
    source: Source {
        cite: "tap_get_user, drivers/net/tap.c; macvlan_queue_xmit",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private, "nobody", "e broadcast")]
#[case::vepa(Mode::Vepa, "nobody", "e broadcast")]
#[case::bridge(Mode::Bridge, "c2 host", "c2 broadcast, e broadcast")]
fn what_is_written_is_sent_by_the_child(
    #[case] mode: Mode,
    #[case] sibling: &str,
    #[case] all: &str,
) {
    check(&WRITTEN, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(mode))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let (c2, e) = (lab.mac("c2:c0"), lab.mac("e:e0"));
        for shot in [Shot::to(e), Shot::to(e).from(NOBODY)] {
            let fate = lab.expect_shot_from(&queue, &shot, "e host").await?;
            let path = fate.path();
            let way = "c1:c0> p:p0> sw:s0< sw:s1> e:e0<";
            lab.claim("it took its way", path == way, &path)?;
        }
        lab.expect_shot_from(&queue, &Shot::to(c2), sibling).await?;
        lab.expect_shot_from(&queue, &Shot::broadcast(), all).await?;
        Ok(())
    });
}

const TOO_SHORT: Rule = Rule {
    id: "macvtap.no-frame-without-a-header",
    promise: "fewer than fourteen bytes are refused and counted as dropped; fourteen are taken",
    source: Source { cite: "tap_get_user, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_frame_without_a_header() {
    check(&TOO_SHORT, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        queue.set_flags(PLAIN)?;
        let frame = [&lab.mac("e:e0").0[..], &lab.mac("c1:c0").0, &[0x88, 0xb5]].concat();
        let before = lab.counters("c1:c0").await?;
        for bytes in [1, 13] {
            let done = queue.write(&frame[..bytes]);
            lab.expect_refusal(&format!("{bytes} bytes"), done, Errno::EINVAL)?;
        }
        let dropped = (lab.counters("c1:c0").await? - before).tx_dropped;
        lab.claim("two are counted as dropped", dropped == 2, dropped)?;
        let taken = queue.write(&frame);
        lab.expect_done("fourteen bytes", taken)?;
        let sent = (lab.counters("c1:c0").await? - before).tx_packets;
        lab.claim("one is counted as sent", sent == 1, sent)
    });
}

const GROUPS: Rule = Rule {
    id: "macvtap.groups-by-membership",
    promise: "of groups those come out that the link takes, once",
    source: Source {
        cite: "macvlan_broadcast, drivers/net/macvlan.c; tap_handle_frame",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn groups_by_membership() {
    check(&GROUPS, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        // By chance a group may share its place in the filter with one that was joined.
        let mut came = 0;
        for last in 0x30..0x38 {
            let shot = Shot::to(Mac([0x01, 0x00, 0x5e, 0x7c, 0x01, last]));
            came += lab.emerged(&[&queue], "e", &shot).await?.len();
        }
        lab.claim("of eight groups few come out", came <= 4, came)?;
        let group = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x11]);
        lab.join("c1", group).await?;
        lab.expect_emerged(&queue, "e", &Shot::to(group), 1).await?;
        lab.expect_emerged(&queue, "c2", &Shot::to(group), 1).await?;
        Ok(())
    });
}

const ALL_IN_PASSTHRU: Rule = Rule {
    id: "macvtap.passthru-gives-all-unicast",
    promise: "in passthru mode unicast comes out whatever its destination, and what is written \
              leaves with whatever source",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c; ip-link(8), macvtap",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn passthru_gives_all_unicast() {
    check(&ALL_IN_PASSTHRU, async |case| {
        let mut lab = case.lab(&quiet(single_macvtap_lan(Mode::Passthru))).await?;
        let queue = lab.open_queue("c1:c0")?;
        for to in [NOBODY, lab.mac("p:p0")] {
            lab.expect_emerged(&queue, "e", &Shot::to(to), 1).await?;
        }
        let e = lab.mac("e:e0");
        lab.expect_shot_from(&queue, &Shot::to(e).from(NOBODY), "e host").await?;
        Ok(())
    });
}

const QUEUES: Rule = Rule {
    id: "macvtap.each-frame-comes-out-of-one-queue",
    promise: "of several queues each frame comes out of one; out of none that was detached; and \
              when all are, the host hears it",
    source: Source {
        cite: "tap_get_queue and tap_disable_queue, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Holds that frames come out of one of the queues that are named by their places.
async fn expect_one_of(lab: &mut CaseLab, queues: &[&Queue], places: &[usize]) -> Result<(), Stop> {
    for shot in [Shot::to(lab.mac("c1:c0")), Shot::broadcast()] {
        for _ in 0..4 {
            let seen = lab.emerged(queues, "e", &shot).await?;
            let seen: Vec<usize> = seen.into_iter().map(|(place, _)| place).collect();
            let one = seen.len() == 1 && places.contains(&seen[0]);
            lab.claim(&format!("out of one of {places:?}"), one, format!("{seen:?}"))?;
        }
    }
    Ok(())
}

#[test]
fn each_frame_comes_out_of_one_queue() {
    check(&QUEUES, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let [a, b, c] = [(); 3].map(|()| lab.open_queue("c1:c0"));
        let (a, b, c) = (a?, b?, c?);
        for queue in [&a, &b, &c] {
            queue.set_flags(PLAIN | MULTI_QUEUE)?;
        }
        let all = [&a, &b, &c];
        expect_one_of(&mut lab, &all, &[0, 1, 2]).await?;
        a.attach(false)?;
        expect_one_of(&mut lab, &all, &[1, 2]).await?;
        c.attach(false)?;
        expect_one_of(&mut lab, &all, &[1]).await?;
        lab.expect_refusal("to detach it again", a.attach(false), Errno::EINVAL)?;
        lab.expect_refusal("to attach one that is", b.attach(true), Errno::EINVAL)?;
        a.attach(true)?;
        drop(b);
        expect_one_of(&mut lab, &[&a, &c], &[0]).await?;
        a.attach(false)?;
        let c1 = lab.mac("c1:c0");
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        c.attach(true)?;
        expect_one_of(&mut lab, &[&a, &c], &[1]).await
    });
}

const FLOWS: Rule = Rule {
    id: "macvtap.a-flow-keeps-to-its-queue",
    promise: "the datagrams of one flow come out of one queue, and flows are spread over all",
    source: Source { cite: "tap_get_queue, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_flow_keeps_to_its_queue() {
    check(&FLOWS, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let (a, b) = (lab.open_queue("c1:c0")?, lab.open_queue("c1:c0")?);
        let ours = |bytes: &[u8]| bytes.ends_with(b"a datagram");
        // Thirty-two flows by chance all on one of two queues: once in two thousand million runs.
        let (mut on_a, mut on_b) = (0, 0);
        for port in 5000..5032_u16 {
            let send = || -> std::io::Result<()> {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
                socket.set_broadcast(true)?;
                for _ in 0..2 {
                    socket.send_to(b"a datagram", ("192.0.2.255", 9))?;
                }
                Ok(())
            };
            let sent = lab.inside("e", send)?;
            sent.map_err(|error| Error::new(format!("cannot send: {error}"), "e", "try again"))?;
            let first = Queue::wait_for_either(&[&a, &b], "the first of two", ours)?.0;
            let second = Queue::wait_for_either(&[&a, &b], "the second of two", ours)?.0;
            lab.claim("both out of one queue", first == second, format!("{first}, {second}"))?;
            if first == 0 { on_a += 1 } else { on_b += 1 }
        }
        lab.claim("each queue has some", on_a > 0 && on_b > 0, format!("{on_a} and {on_b}"))
    });
}

const WOKEN: Rule = Rule {
    id: "macvtap.who-waits-is-woken",
    promise: "who sleeps until something comes out is woken by a frame",
    source: Source {
        cite: "tap_handle_frame and tap_poll, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn who_waits_is_woken() {
    check(&WOKEN, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let watch = queue.watch()?;
        let c1 = lab.mac("c1:c0");
        lab.shoot("e", &Shot::to(c1)).await?;
        queue.wait_for("a frame", |_| true)?;
        let left = queue.ready().0;
        lab.claim("there is more to read", left, "there is not")?;
        lab.claim("who waited was woken", watch.was_woken(), "not within five seconds")
    });
}

const APART: Rule = Rule {
    id: "macvtap.each-link-has-its-own-device",
    promise: "several links on one parent have a device each, and each its own link's frames",
    source: Source { cite: "macvtap_device_event and tap_get_minor", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_link_has_its_own_device() {
    check(&APART, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        lab.grow(|lan| lan.macvtap("p:c9", "p:p0", Mode::Bridge)).await?;
        let (first, second) = (lab.open_queue("c1:c0")?, lab.open_queue("p:c9")?);
        lab.expect_option("c1:c0", link::TXQLEN, 500).await?;
        for (queue, other) in [(&first, &second), (&second, &first)] {
            let own = lab.mac(queue.link().clone());
            lab.expect_emerged(queue, "e", &Shot::to(own), 1).await?;
            lab.expect_emerged(other, "e", &Shot::to(own), 0).await?;
            let device = lab.sysfs_names(queue.link().clone(), "macvtap")?;
            let index = lab.link(queue.link().clone()).await?.index;
            lab.expect_lines("it has the link's number", device, &[&*format!("tap{index}")])?;
            let name = queue.flags()?.0;
            lab.claim("it tells its link", name == queue.link().link, &name)?;
            // Where the parent is somebody else's, the kernel says whose.
            let elsewhere = lab.option(queue.link(), link::BELOW_NETNS).await?.is_some();
            let is = queue.link().netns != "p";
            lab.claim("it tells whether its parent is elsewhere", elsewhere == is, elsewhere)?;
        }
        Ok(())
    });
}

const DOWN: Rule = Rule {
    id: "macvtap.a-link-that-is-down-carries-nothing",
    promise: "what is written to a link that is down goes nowhere, and what is for it is its \
              parent's to see; up again it carries both",
    source: Source {
        cite: "macvlan_stop, drivers/net/macvlan.c; dev_queue_xmit",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_link_that_is_down_carries_nothing() {
    check(&DOWN, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        lab.set_up("c1:c0", false).await?;
        lab.expect_shot_from(&queue, &Shot::to(e), "nobody").await?;
        lab.expect_shot("e", &Shot::to(c1), "p other").await?;
        lab.set_up("c1:c0", true).await?;
        lab.expect_emerged(&queue, "e", &Shot::to(c1), 1).await?;
        lab.expect_shot_from(&queue, &Shot::to(e), "e host").await?;
        Ok(())
    });
}
