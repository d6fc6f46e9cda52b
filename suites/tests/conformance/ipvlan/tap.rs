//! ipvtap: an ipvlan child whose frames come out of a file, and go in by it.
//!
//! ```text
//!   c1 (ipvtap)  c2 (ipvlan)
//!             \ /
//!              p0 ------------ e0
//! ```

use std::net::IpAddr;

use hairpin_fixtures::lan::quiet;
use hairpin_harness::options::link;
use hairpin_harness::queue::PLAIN;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{
    CaseLab, Errno, Need, Queue, Rule, Shot, Source, Stop, Strength, Topology, check,
};

use crate::macvtap::limits::drain;

pub(crate) const RULES: &[Rule] = &[INSTEAD, APART, ROOM, TOO_SHORT, GONE];

const NEEDS: &[Need] = &[
    Need::Driver("veth"),
    Need::Driver("macvtap"),
    Need::Driver("ipvlan"),
    Need::Driver("ipvtap"),
    Need::MacvtapDevice,
];

/// The address that c1's reader would have. Its link has it, so that the driver knows whose it is.
const C1: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 11));

fn lan() -> Topology {
    let lan = Topology::new("ipvtap").host("c1").host("c2").host("p").host("e");
    quiet(
        lan.cable("p:p0", "e:e0")
            .ipvtap("c1:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)
            .ipvlan("c2:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)
            .address("c1:i0", "192.0.2.11/24")
            .address("c2:i0", "192.0.2.12/24")
            .address("e:e0", "192.0.2.9/24"),
    )
}

const INSTEAD: Rule = Rule {
    id: "ipvlan.tap.the-queue-has-it-and-the-host-has-not",
    promise: "while its device is open what is for an ipvtap child's address comes out of it, from \
              outside and from a sibling, and its host hears nothing; what is written goes where a \
              child's own frames go",
    source: Source {
        cite: "ipvtap_newlink, drivers/net/ipvlan/ipvtap.c; tap_handle_frame, drivers/net/tap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_queue_has_it_and_the_host_has_not() {
    check(&INSTEAD, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let (shared, e) = (lab.mac("p:p0"), lab.mac("e:e0"));
        lab.expect_shot("e", &Shot::broadcast(), "c1 broadcast, c2 broadcast, p broadcast").await?;
        let queue = lab.open_queue("c1:i0")?;
        lab.claim("there is room to write", queue.ready().1, "there is not")?;
        lab.expect_shot("e", &Shot::broadcast(), "c2 broadcast, p broadcast").await?;
        for from in ["e", "c2"] {
            lab.expect_emerged(&queue, from, &Shot::broadcast(), 1).await?;
        }
        lab.expect_shot_from(&queue, &Shot::to(e), "e host").await?;
        let siblings = "c2 broadcast, e broadcast";
        lab.expect_shot_from(&queue, &Shot::broadcast(), siblings).await?;
        queue.set_flags(PLAIN)?;
        for link in ["e:e0", "c2:i0"] {
            lab.add_neighbour(link, C1, shared).await?;
            let host = link.split(':').next().unwrap_or_default();
            lab.send_datagrams(host, (C1, 9).into(), 333, 1)?;
            let came = queue.wait_for("a datagram", |frame| frame.len() >= 333)?;
            lab.claim(&format!("{host}'s is whole"), came.len() == 14 + 28 + 333, came.len())?;
        }
        Ok(())
    });
}

const APART: Rule = Rule {
    id: "ipvlan.tap.each-has-its-own-device",
    promise: "an ipvtap child has a device that bears its number, and its queues hold 500 frames unless \
              told; it has a queue of its own to send by",
    source: Source {
        cite: "ipvtap_setup and ipvtap_device_event, drivers/net/ipvlan/ipvtap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_has_its_own_device() {
    check(&APART, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let own = IpvlanMode::L2;
        lab.grow(|lan| lan.ipvtap("p:i9", "p:p0", own, IpvlanFlag::Bridge)).await?;
        let mut numbers = Vec::new();
        for link in ["c1:i0", "p:i9"] {
            let name = format!("tap{}", lab.link(link).await?.index);
            lab.expect_lines("its device", lab.sysfs_names(link, "ipvtap")?, &[&*name])?;
            let number = lab.sysfs(link, &format!("{name}/dev"))?;
            lab.claim("it has a number of its own", !numbers.contains(&number), &number)?;
            numbers.push(number);
            lab.expect_option(link, link::TXQLEN, 500).await?;
            let qdisc = lab.qdisc(link)?;
            lab.claim("it has a queue", qdisc != "noqueue", qdisc)?;
            let told = lab.open_queue(link)?.flags()?.0;
            lab.claim("it tells its link", link.ends_with(&told), &told)?;
        }
        Ok(())
    });
}

const ROOM: Rule = Rule {
    id: "ipvlan.tap.a-full-queue-drops",
    promise: "an ipvtap child's queue holds as many frames as its link's txqueuelen says, also when \
              that changes while it is open; what comes beyond is dropped and counted as such",
    source: Source {
        cite: "ipvtap_device_event, NETDEV_CHANGE_TX_QUEUE_LEN, and ipvtap_count_rx_dropped, \
               drivers/net/ipvlan/ipvtap.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// How many datagrams come out, and how many are counted as dropped, of so many from e.
async fn overfill(lab: &CaseLab, queue: &Queue, times: usize) -> Result<(usize, u64), Stop> {
    drain(queue)?;
    let before = lab.counters("c1:i0").await?;
    lab.send_datagrams("e", (C1, 9).into(), 100, times)?;
    let dropped = (lab.counters("c1:i0").await? - before).rx_dropped;
    Ok((drain(queue)?, dropped))
}

#[test]
fn a_full_queue_drops() {
    const TIMES: usize = 5;
    check(&ROOM, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let queue = lab.open_queue("c1:i0")?;
        let shared = lab.mac("p:p0");
        lab.add_neighbour("e:e0", C1, shared).await?;
        for room in [500, 3, 500, 1] {
            lab.set_option("c1:i0", link::TXQLEN, room as u64).await?;
            let (came, dropped) = overfill(&lab, &queue, TIMES).await?;
            let fit = TIMES.min(room);
            let claim = format!("{room} fit: {fit} come, the rest is counted as dropped");
            let holds = came == fit && dropped == (TIMES - fit) as u64;
            lab.claim(&claim, holds, format!("{came} came, {dropped} dropped"))?;
        }
        Ok(())
    });
}

const TOO_SHORT: Rule = Rule {
    id: "ipvlan.tap.no-frame-without-a-header",
    promise: "fewer than fourteen bytes are refused and counted as dropped; fourteen are taken",
    source: Source {
        cite: "ipvtap_count_tx_dropped, drivers/net/ipvlan/ipvtap.c; tap_get_user",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_frame_without_a_header() {
    check(&TOO_SHORT, async |case| {
        let lab = case.lab(&lan()).await?;
        let queue = lab.open_queue("c1:i0")?;
        queue.set_flags(PLAIN)?;
        let frame = [&lab.mac("e:e0").0[..], &lab.mac("p:p0").0, &[0x88, 0xb5]].concat();
        let before = lab.counters("c1:i0").await?;
        for bytes in [1, 13] {
            let done = queue.write(&frame[..bytes]);
            lab.expect_refusal(&format!("{bytes} bytes"), done, Errno::EINVAL)?;
        }
        lab.expect_done("fourteen bytes", queue.write(&frame))?;
        let seen = lab.counters("c1:i0").await? - before;
        let seen = (seen.tx_dropped, seen.tx_packets);
        lab.claim("two are dropped, one is sent", seen == (2, 1), format!("{seen:?}"))
    });
}

const GONE: Rule = Rule {
    id: "ipvlan.tap.a-queue-without-a-link",
    promise: "when an ipvtap child is deleted its queues know no link any more, and nothing comes",
    source: Source {
        cite: "ipvtap_dellink, drivers/net/ipvlan/ipvtap.c; tap_del_queues",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_queue_without_a_link() {
    check(&GONE, async |case| {
        let mut lab = case.lab(&lan()).await?;
        let queue = lab.open_queue("c1:i0")?;
        lab.delete("c1:i0").await?;
        lab.expect_refusal("its flags", queue.flags(), Errno::ENOLINK)?;
        lab.expect_refusal("its address", queue.mac(), Errno::ENOLINK)?;
        let nothing = queue.read(100)?.is_none();
        lab.claim("nothing comes", nothing, "something does")
    });
}
