//! What a macvtap link's device is asked and told (`ioctl`), and what it refuses.

use hairpin_fixtures::lan::{macvtap_lan, quiet};
use hairpin_harness::queue::{MULTI_QUEUE, PLAIN, VNET_HEADER};
use hairpin_harness::{
    CaseLab, Errno, Error, Mac, Mode, Need, Rule, Shot, Source, Stop, Strength, check,
};

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[
    ORDER,
    OTHER_ORDER,
    NEITHER,
    KINDS,
    HEADER,
    OFFLOADS,
    ROOM,
    ADDRESS,
    ALIEN,
    NOWHERE,
    NUMBERS,
    GIVEN_BACK,
    GONE,
];

const NEW: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x12]);

const KINDS: Rule = Rule {
    id: "macvtap.requests.kinds-of-queue",
    promise: "a queue is of frames without packet information, with or without headers, one of \
              many or not; it tells what it is, and refuses to be anything else",
    source: Source {
        cite: "tap_ioctl, drivers/net/tap.c; Documentation/networking/tuntap.rst",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn kinds_of_queue() {
    check(&KINDS, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let known = queue.features()?;
        let all = PLAIN | VNET_HEADER | MULTI_QUEUE;
        lab.claim("it knows these kinds", known == all, format!("{known:#x}"))?;
        let told = queue.flags()?.1;
        lab.claim("it has headers at first", told == PLAIN | VNET_HEADER, format!("{told:#x}"))?;
        for kind in [PLAIN, PLAIN | VNET_HEADER, PLAIN | MULTI_QUEUE, all, PLAIN] {
            lab.expect_done("a kind that it knows", queue.set_flags(kind))?;
            let told = queue.flags()?;
            lab.claim("it tells it", told == ("c0".into(), kind), format!("{told:x?}"))?;
        }
        const TUN: u16 = 1;
        const TAP: u16 = 2;
        const NO_INFORMATION: u16 = 0x1000;
        for kind in [0, TAP, NO_INFORMATION, NO_INFORMATION | TUN, PLAIN | 0x0800] {
            let claim = format!("kind {kind:#x}");
            lab.expect_refusal(&claim, queue.set_flags(kind), Errno::EINVAL)?;
        }
        lab.expect_done("a buffer", queue.set_send_buffer(4096))?;
        for bytes in [0, -1] {
            let done = queue.set_send_buffer(bytes);
            lab.expect_refusal(&format!("a buffer of {bytes}"), done, Errno::EINVAL)?;
        }
        Ok(())
    });
}

const HEADER: Rule = Rule {
    id: "macvtap.requests.the-header-is-as-long-as-was-said",
    promise: "with headers each frame comes and goes behind one, of ten bytes or as many more as \
              were asked for; less is refused, as is a header that is longer than what was \
              written, or what it says it is about",
    source: Source {
        cite: "tap_get_user, tap_put_user and tap_ioctl, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_header_is_as_long_as_was_said() {
    check(&HEADER, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let told = queue.header()?;
        lab.claim("ten bytes to begin with", told == 10, told)?;
        for bytes in [10, 12, 20, 10] {
            queue.set_header(bytes)?;
            let told = queue.header()?;
            lab.claim("it tells it", told == bytes, told)?;
            lab.shoot("e", &Shot::to(c1)).await?;
            let unicast = |bytes: &[u8]| !bytes.windows(6).any(|part| part == [0xff; 6]);
            let came = queue.wait_for("a unicast frame", unicast)?;
            let begin = bytes.unsigned_abs() as usize;
            let whole = came.len() == begin + 60 && came[begin..begin + 6] == c1.0;
            let claim = format!("a frame comes behind {begin} bytes");
            lab.claim(&claim, whole, format!("{came:x?}"))?;
            let came = lab.expect_emerged(&queue, "e", &Shot::to(c1), 1).await?;
            // Of what is beyond the ten bytes nothing is said.
            let nothing = came[0].header[..10] == [0; 10];
            lab.claim("it asks for nothing", nothing, format!("{:x?}", came[0].header))?;
            lab.expect_shot_from(&queue, &Shot::to(e), "e host").await?;
            let written = [&vec![0; begin][..], &e.0, &c1.0, &[0x88, 0xb5], &[0; 46]].concat();
            let taken = queue.write(&written)?;
            lab.claim("all that is written is told as taken", taken == written.len(), taken)?;
        }
        lab.expect_refusal("nine bytes", queue.set_header(9), Errno::EINVAL)?;
        lab.expect_refusal("none", queue.set_header(-1), Errno::EINVAL)?;
        let before = lab.counters("c1:c0").await?;
        lab.expect_refusal("less than a header", queue.write(&[0; 9]), Errno::EINVAL)?;
        let short = queue.write(&[0; 10 + 13]);
        lab.expect_refusal("less than a frame behind it", short, Errno::EINVAL)?;
        // Headers of 61 bytes before a frame of 60, and a kind of segments that there is not.
        for (at, value) in [(2, 61), (1, 0x7f)] {
            let mut bytes = vec![0; 10 + 60];
            bytes[at] = value;
            lab.expect_refusal("a header that lies", queue.write(&bytes), Errno::EINVAL)?;
        }
        let dropped = (lab.counters("c1:c0").await? - before).tx_dropped;
        lab.claim("four are counted as dropped", dropped == 4, dropped)?;
        lab.shoot("e", &Shot::to(c1)).await?;
        lab.expect_refusal("to read less than a header", queue.read(9), Errno::EINVAL)
    });
}

const OFFLOADS: Rule = Rule {
    id: "macvtap.requests.offloads-that-there-are",
    promise: "a reader may say that it can do check sums, segments of TCP over either IP and of UDP; \
              what nobody knows is refused",
    source: Source {
        cite: "tap_ioctl, TUNSETOFFLOAD, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn offloads_that_there_are() {
    check(&OFFLOADS, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        for known in [0, 0x01, 0x03, 0x05, 0x07, 0x0f, 0x10, 0x1f] {
            lab.expect_done(&format!("{known:#x}"), queue.set_offload(known))?;
        }
        for unknown in [0x1000, 0x8000, 0x4000_0000] {
            let done = queue.set_offload(unknown);
            lab.expect_refusal(&format!("{unknown:#x}"), done, Errno::EINVAL)?;
        }
        Ok(())
    });
}

const ORDER: Rule = Rule {
    id: "macvtap.requests.the-order-of-the-header",
    promise: "a queue tells whether the numbers of its header are little-endian as it was told, and \
              keeps its flags meanwhile; one that is made another kind keeps their order",
    source: Source {
        cite: "tap_ioctl, TUNGETVNETLE and TUNSETVNETLE, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_order_of_the_header() {
    check(&ORDER, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let kind = queue.flags()?;
        for on in [false, true, true, false, false] {
            queue.set_little_endian(on)?;
            let seen = queue.little_endian()?;
            lab.claim(&format!("little-endian {on}"), seen == on, seen)?;
        }
        let after = queue.flags()?;
        lab.claim("its flags are as they were", after == kind, format!("{after:?}"))?;
        for on in [true, false] {
            queue.set_little_endian(on)?;
            queue.set_flags(PLAIN | MULTI_QUEUE | VNET_HEADER)?;
            let seen = queue.little_endian()?;
            lab.claim(&format!("of another kind: little-endian {on}"), seen == on, seen)?;
        }
        Ok(())
    });
}

const NEITHER: Rule = Rule {
    id: "macvtap.requests.neither-attached-nor-detached",
    promise: "a request that says neither to attach nor to detach a queue is refused, and the queue \
              gets what it got; one that says both attaches it",
    source: Source { cite: "tap_ioctl_set_queue, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn neither_attached_nor_detached() {
    check(&NEITHER, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let c1 = lab.mac("c1:c0");
        for flags in [0, 0x0100, 0x1000] {
            lab.expect_refusal("neither", queue.attach_by(flags), Errno::EINVAL)?;
            lab.expect_emerged(&queue, "e", &Shot::to(c1), 1).await?;
        }
        queue.attach(false)?;
        lab.expect_refusal("neither", queue.attach_by(0), Errno::EINVAL)?;
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        lab.expect_done("both", queue.attach_by(0x0600))?;
        lab.expect_emerged(&queue, "e", &Shot::to(c1), 1).await?;
        Ok(())
    });
}

const ADDRESS: Rule = Rule {
    id: "macvtap.requests.the-address-is-the-links",
    promise: "the device tells its link's name and Ethernet address and takes a new one, and frames \
              come to that from then on",
    source: Source {
        cite: "tap_ioctl, SIOCGIFHWADDR and SIOCSIFHWADDR, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_address_is_the_links() {
    check(&ADDRESS, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let (old, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let told = queue.address()?;
        let right = told == ("c0".into(), old);
        lab.claim("it tells it, and whose it is", right, format!("{told:?}"))?;
        lab.expect_done("a new one", queue.set_mac(NEW))?;
        let (told, has) = (queue.mac()?, lab.link("c1:c0").await?.mac);
        lab.claim("it is told, and the link has it", told == NEW && has == NEW, told)?;
        lab.expect_emerged(&queue, "e", &Shot::to(NEW), 1).await?;
        lab.expect_emerged(&queue, "e", &Shot::to(old), 0).await?;
        lab.expect_shot_from(&queue, &Shot::to(e), "e host").await?;
        let group = queue.set_mac(Mac([1, 0, 0x5e, 0, 0, 1]));
        lab.expect_refusal("a group's", group, Errno::EADDRNOTAVAIL)
    });
}

const GONE: Rule = Rule {
    id: "macvtap.requests.a-queue-without-a-link",
    promise: "when the link is deleted its queues know no link any more: requests about it are \
              refused, nothing comes, and what is written goes nowhere",
    source: Source { cite: "tap_del_queues, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_queue_without_a_link() {
    check(&GONE, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        lab.delete("c1:c0").await?;
        lab.expect_refusal("its flags", queue.flags(), Errno::ENOLINK)?;
        lab.expect_refusal("its address", queue.mac(), Errno::ENOLINK)?;
        lab.expect_refusal("a new address", queue.set_mac(NEW), Errno::ENOLINK)?;
        lab.expect_refusal("its offloads", queue.set_offload(1), Errno::ENOLINK)?;
        lab.expect_refusal("to attach it", queue.attach(true), Errno::EINVAL)?;
        let nothing = queue.read(100)?.is_none();
        lab.claim("nothing comes", nothing, "something does")?;
        let taken = queue.write(&[0; 60])?;
        lab.claim("what is written is taken", taken == 60, taken)
    });
}

const OTHER_ORDER: Rule = Rule {
    id: "macvtap.requests.the-other-order-of-the-header",
    promise: "a queue tells whether the numbers of its header are big-endian as it was told, or knows \
              neither to tell nor to set it",
    source: Source {
        cite: "tap_get_vnet_be and tap_set_vnet_be, CONFIG_TUN_VNET_CROSS_LE, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_other_order_of_the_header() {
    check(&OTHER_ORDER, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        if let Err(unknown) = queue.big_endian() {
            let told: Result<(), _> = Err(unknown);
            lab.expect_refusal("to tell it", told, Errno::EINVAL)?;
            return lab.expect_refusal("to set it", queue.set_big_endian(true), Errno::EINVAL);
        }
        for on in [true, false] {
            lab.expect_done("to set it", queue.set_big_endian(on))?;
            let seen = queue.big_endian()?;
            lab.claim(&format!("big-endian {on}"), seen == on, seen)?;
        }
        Ok(())
    });
}

const ROOM: Rule = Rule {
    id: "macvtap.requests.room-to-write-as-was-said",
    promise: "a queue that may have next to nothing under way says that there is no room to write, \
              and one that may have more, that there is",
    source: Source {
        cite: "tap_ioctl, TUNSETSNDBUF, and tap_poll, drivers/net/tap.c; sock_writeable",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn room_to_write_as_was_said() {
    check(&ROOM, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        for (bytes, room) in [(1, false), (4096, true), (2, false), (65_536, true)] {
            queue.set_send_buffer(bytes)?;
            // Room is there while less than half is under way, and the queue itself counts as one.
            let seen = queue.ready().1;
            lab.claim(&format!("{bytes} bytes: room {room}"), seen == room, seen)?;
        }
        Ok(())
    });
}

const ALIEN: Rule = Rule {
    id: "macvtap.requests.what-only-others-know-is-refused",
    promise: "requests of tun devices that a macvtap link has no use for are refused: to stay, to be \
              somebody's, to be of another kind",
    source: Source { cite: "tap_ioctl, drivers/net/tap.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_only_others_know_is_refused() {
    check(&ALIEN, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        for (what, request) in [
            ("to leave sums out", 0x4004_54c8),
            ("to stay", 0x4004_54cb),
            ("to be somebody's", 0x4004_54cc),
            ("to be of another kind", 0x4004_54cd),
            ("to be a group's", 0x4004_54ce),
            ("its buffer", 0x8004_54d3),
        ] {
            lab.expect_refusal(what, queue.ask(request, 1), Errno::EINVAL)?;
        }
        Ok(())
    });
}

const NOWHERE: Rule = Rule {
    id: "macvtap.requests.nothing-is-read-or-written-nowhere",
    promise: "a request whose argument is to be read or written where there is nothing is refused, and \
              the queue is what it was",
    source: Source {
        cite: "tap_ioctl, drivers/net/tap.c; ioctl(2), EFAULT",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nothing_is_read_or_written_nowhere() {
    check(&NOWHERE, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let is = || -> Result<_, Error> {
            Ok((queue.flags()?, queue.header()?, queue.address()?, queue.little_endian()?))
        };
        let before = is()?;
        for (what, request) in [
            ("to be of a kind", 0x4004_54ca),
            ("its features", 0x8004_54cf),
            ("its kind", 0x8004_54d2),
            ("to have a buffer", 0x4004_54d4),
            ("its header", 0x8004_54d7),
            ("to have a header", 0x4004_54d8),
            ("to be attached", 0x4004_54d9),
            ("to be little-endian", 0x4004_54dc),
            ("whether it is", 0x8004_54dd),
            ("its address", 0x8927),
            ("to have an address", 0x8924),
        ] {
            lab.expect_refusal(what, queue.ask_nowhere(request), Errno::EFAULT)?;
        }
        let after = is()?;
        lab.claim("it is what it was", after == before, format!("{after:?}"))
    });
}

const NUMBERS: Rule = Rule {
    id: "macvtap.requests.numbers-of-nobody",
    promise: "a device number that no link has cannot be opened, and no link has the number 0",
    source: Source {
        cite: "tap_open and tap_get_minor, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn numbers_of_nobody() {
    const HIGHEST: u32 = (1 << 20) - 1;
    check(&NUMBERS, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        for nobodys in [0, HIGHEST] {
            let opened = lab.open_number("c1:c0", nobodys);
            lab.expect_refusal(&format!("number {nobodys}"), opened, Errno::ENODEV)?;
        }
        lab.expect_done("its own", lab.open_queue("c1:c0"))
    });
}

const GIVEN_BACK: Rule = Rule {
    id: "macvtap.requests.numbers-are-given-back",
    promise: "each link's device has a number other than 0, and that of a link that is gone is given to \
              another: of many that come and go not each has a higher one than the one before",
    source: Source {
        cite: "tap_get_minor and tap_free_minor, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    // No device is opened: if it had no number none could be, and that were no skip.
    needs: &[
        Need::Driver("veth"),
        Need::Driver("bridge"),
        Need::Driver("macvlan"),
        Need::Driver("macvtap"),
    ],
};

/// The number of the device that a link has, beside that of the driver.
fn number(lab: &CaseLab, link: &str) -> Result<u32, Stop> {
    let device = lab.sysfs_names(link, "macvtap")?.concat();
    let told = lab.sysfs(link, &format!("macvtap/{device}/dev"))?;
    Ok(told.split_once(':').and_then(|(_, minor)| minor.parse().ok()).unwrap_or_default())
}

#[test]
fn numbers_are_given_back() {
    // Other labs may take and give back numbers meanwhile, but not always one more.
    const TIMES: usize = 40;
    check(&GIVEN_BACK, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let own = number(&lab, "c1:c0")?;
        lab.claim("it has a number", own > 0, own)?;
        let mut numbers = Vec::new();
        for _ in 0..TIMES {
            let made = lab.grow(|lan| lan.macvtap("p:c9", "p:p0", Mode::Bridge)).await;
            lab.expect_done("one more", made)?;
            numbers.push(number(&lab, "p:c9")?);
            lab.delete_last().await?;
        }
        let known = numbers.iter().all(|number| *number > 0);
        lab.claim("each has one", known, format!("{numbers:?}"))?;
        let again = numbers.windows(2).any(|two| two[1] <= two[0]);
        lab.claim("one is had again", again, format!("{numbers:?}"))
    });
}
