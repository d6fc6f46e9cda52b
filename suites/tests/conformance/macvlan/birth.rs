//! How a child is born: what it has that it was not told, and which births are refused.
//!
//! ```text
//!   (newborn) --- p0 --- e0     p0 may become a port of `br` when no child is left
//! ```

use hairpin_harness::options::macvlan::{
    BC_QUEUE_LEN, BC_QUEUE_LEN_USED, FLAGS, MACADDR, MACADDR_COUNT, MACADDR_MODE, MODE,
};
use hairpin_harness::options::{LinkOption, link};
use hairpin_harness::{
    CaseLab, Errno, Mode, Need, Rule, Shot, Source, Stop, Strength, Topology, Xdp, check,
};
use rstest::rstest;

use super::{NEEDS, NEEDS_BC_QUEUE};

pub(crate) const RULES: &[Rule] = &[
    DEFAULTS,
    OWN_ADDRESS,
    REFUSED,
    BESIDE,
    USED_LENGTH,
    SEGMENTS,
    NAMESPACE,
    MOST,
    STATE,
    UNBORN,
];

fn childless() -> Topology {
    Topology::new("childless").host("p").host("e").bridge("p:br").cable("p:p0", "e:e0")
}

const DEFAULTS: Rule = Rule {
    id: "macvlan.birth.vepa-unless-told",
    promise: "a child that is told nothing is in vepa mode, without flags and senders, down, takes \
              an MTU of 68 up to what its parent could have, and has one queue, which holds nothing",
    source: Source {
        cite: "macvlan_common_newlink and macvlan_setup, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn vepa_unless_told() {
    check(&DEFAULTS, async |case| {
        let mut lab = case.lab(&childless()).await?;
        let most = lab.option("p:p0", link::MAX_MTU).await?.unwrap_or_default();
        let born = lab.newborn("macvlan", "p", Some("p0"), &[]).await?;
        for (option, wanted) in [
            (MODE, 2),
            (FLAGS, 0),
            (MACADDR_COUNT, 0),
            (link::MTU, 1500),
            (link::MIN_MTU, 68),
            (link::MAX_MTU, most),
            (link::OPERSTATE, 2),
            (link::NUM_TX_QUEUES, 1),
            (link::TXQLEN, 1000),
        ] {
            let seen = born.option(option);
            let claim = format!("a newborn has {option} {wanted}");
            lab.claim(&claim, seen == Some(wanted), format!("{seen:?}"))?;
        }
        lab.grow(|lan| lan.macvlan("p:c0", "p:p0", Mode::Bridge)).await?;
        let qdisc = lab.qdisc("p:c0")?;
        lab.claim("it has no queue", qdisc == "noqueue", qdisc)
    });
}

const OWN_ADDRESS: Rule = Rule {
    id: "macvlan.birth.an-address-of-its-own",
    promise: "a child that is told no address is given one of a single station, locally \
              administered, another each time; a passthru child has its parent's, whatever it is \
              told",
    source: Source {
        cite: "macvlan_common_newlink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_of_its_own() {
    check(&OWN_ADDRESS, async |case| {
        let lab = case.lab(&childless()).await?;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let born = lab.newborn("macvlan", "p", Some("p0"), &[]).await?;
            let address = born.option(link::ADDRESS).unwrap_or_default();
            let kind = address >> 40 & 3;
            lab.claim("it is local, and no group's", kind == 2, format!("{address:012x}"))?;
            lab.claim("it is new", !seen.contains(&address), format!("{address:012x}"))?;
            seen.push(address);
        }
        let parents = lab.option("p:p0", link::ADDRESS).await?;
        for told in [&[(MODE, 8)][..], &[(MODE, 8), (link::ADDRESS, 0x0268_70ff_0001)]] {
            let born = lab.newborn("macvlan", "p", Some("p0"), told).await?;
            let address = born.option(link::ADDRESS);
            lab.claim("passthru has its parent's", address == parents, format!("{address:x?}"))?;
        }
        let told = [(link::ADDRESS, 0x0268_70ff_0001)];
        let born = lab.newborn("macvlan", "p", Some("p0"), &told).await?;
        let address = born.option(link::ADDRESS);
        lab.claim("it has what it is told", address == Some(told[0].1), format!("{address:x?}"))
    });
}

const REFUSED: Rule = Rule {
    id: "macvlan.birth.nonsense-is-refused",
    promise: "a child without a parent, on a loopback, or with settings that make no sense is \
              refused, and its parent is as it was: asked for nothing, and free for a bridge",
    source: Source {
        cite: "macvlan_validate, macvlan_port_create and macvlan_common_newlink, \
               drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// An address that could be a sender's.
const SENDER: (LinkOption, u64) = (MACADDR, 0x0268_7000_0001);

#[rstest]
#[case::no_such_parent(&[(link::BELOW, 9999)], Errno::ENODEV)]
#[case::on_the_loopback(&[(link::BELOW, 1)], Errno::EINVAL)]
#[case::address_of_a_group(&[(link::ADDRESS, 0x0100_5e00_0001)], Errno::EADDRNOTAVAIL)]
#[case::no_address(&[(link::ADDRESS, 0)], Errno::EADDRNOTAVAIL)]
#[case::half_an_address(&[(link::ADDRESS.in_bytes(4), 0x0268_70ff)], Errno::EINVAL)]
#[case::mtu_above(&[(link::MTU, 1501)], Errno::EINVAL)]
#[case::mtu_below(&[(link::MTU, 67)], Errno::EINVAL)]
#[case::no_mode(&[(MODE, 0)], Errno::EINVAL)]
#[case::two_modes(&[(MODE, 12)], Errno::EINVAL)]
#[case::unknown_mode(&[(MODE, 32)], Errno::EINVAL)]
#[case::unknown_flag(&[(MODE, 4), (FLAGS, 4)], Errno::EINVAL)]
#[case::a_count(&[(MODE, 16), (MACADDR_COUNT, 1)], Errno::EINVAL)]
#[case::senders_of_another_mode(&[(MODE, 4), (MACADDR_MODE, 0), SENDER], Errno::EINVAL)]
#[case::unknown_verb(&[(MODE, 16), (MACADDR_MODE, 4), SENDER], Errno::EINVAL)]
#[case::no_sender_to_add(&[(MODE, 16), (MACADDR_MODE, 0)], Errno::EINVAL)]
#[case::no_sender_to_delete(&[(MODE, 16), (MACADDR_MODE, 1)], Errno::EINVAL)]
#[case::half_a_sender(
    &[(MODE, 16), (MACADDR_MODE, 0), (MACADDR.in_bytes(4), 0x0268_70ff)],
    Errno::EINVAL
)]
#[case::sender_is_a_group(
    &[(MODE, 16), (MACADDR_MODE, 0), (MACADDR, 0x0100_5e00_0001)],
    Errno::EADDRNOTAVAIL
)]
fn nonsense_is_refused(#[case] told: &[(LinkOption, u64)], #[case] errno: Errno) {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&childless()).await?;
        let elsewhere = told.iter().any(|(option, _)| *option == link::BELOW);
        let below = (!elsewhere).then_some("p0");
        let born = lab.newborn("macvlan", "p", below, told).await;
        lab.expect_refusal("such a child", born, errno)?;
        expect_free(&mut lab).await?;
        let born = lab.newborn("macvlan", "p", None, &[]).await;
        lab.expect_refusal("a child of nobody", born, Errno::EINVAL)?;
        lab.set_bridge("p:p0", None).await?;
        let born = lab.newborn("macvlan", "p", Some("p0"), &[(MODE, 4)]).await;
        lab.expect_done("a good child", born)
    });
}

/// Holds that nothing of a child is left at the parent.
async fn expect_free(lab: &mut CaseLab) -> Result<(), Stop> {
    let count = lab.link("p:p0").await?.promiscuity;
    lab.claim("nothing is asked of the parent", count == 0, count)?;
    let joined = lab.set_bridge("p:p0", Some("br")).await;
    lab.expect_done("to become a port", joined)
}

const BESIDE: Rule = Rule {
    id: "macvlan.birth.a-refused-one-leaves-its-siblings",
    promise: "a birth that is refused leaves the children that are there as they are, and their \
              parent theirs: also one in passthru mode, which has no siblings",
    source: Source {
        cite: "macvlan_common_newlink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::passthru_beside_bridge(Mode::Bridge, &[(MODE, 8)])]
#[case::bridge_beside_passthru(Mode::Passthru, &[(MODE, 4)])]
#[case::passthru_beside_passthru(Mode::Passthru, &[(MODE, 8)])]
#[case::source_without_sender(Mode::Bridge, &[(MODE, 16), (MACADDR_MODE, 0)])]
fn a_refused_one_leaves_its_siblings(#[case] mode: Mode, #[case] told: &[(LinkOption, u64)]) {
    check(&BESIDE, async |case| {
        let lan = childless().host("c1").macvlan("c1:c0", "p:p0", mode);
        let mut lab = case.lab(&lan).await?;
        let c1 = lab.link("c1:c0").await?.mac;
        let born = lab.newborn("macvlan", "p", Some("p0"), told).await;
        lab.expect_refusal("such a sibling", born, Errno::EINVAL)?;
        let busy = lab.set_bridge("p:p0", Some("br")).await;
        lab.expect_refusal("a parent as a port", busy, Errno::EBUSY)?;
        let cell = lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        lab.claim("it came once", cell.heard.len() == 1, cell)?;
        lab.delete_last().await?;
        expect_free(&mut lab).await
    });
}

const USED_LENGTH: Rule = Rule {
    id: "macvlan.birth.the-used-length-is-not-for-setting",
    promise: "a child is born with the length of the queue that it is told, and nobody may set the \
              length that is used",
    source: Source { cite: "macvlan_policy, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS_BC_QUEUE,
};

#[test]
fn the_used_length_is_not_for_setting() {
    check(&USED_LENGTH, async |case| {
        let lab = case.lab(&childless()).await?;
        for (told, wanted) in [(None, 1000), (Some(7), 7), (Some(0), 0)] {
            let told: Vec<_> = told.map(|length| (BC_QUEUE_LEN, length)).into_iter().collect();
            let born = lab.newborn("macvlan", "p", Some("p0"), &told).await?;
            for option in [BC_QUEUE_LEN, BC_QUEUE_LEN_USED] {
                let seen = born.option(option);
                lab.claim(
                    &format!("{option} {wanted}"),
                    seen == Some(wanted),
                    format!("{seen:?}"),
                )?;
            }
        }
        let born = lab.newborn("macvlan", "p", Some("p0"), &[(BC_QUEUE_LEN_USED, 5)]).await;
        lab.expect_refusal("to set it", born, Errno::EINVAL)
    });
}

const SEGMENTS: Rule = Rule {
    id: "macvlan.birth.segments-as-large-as-its-parents",
    promise: "a child may leave packets uncut that are as large as its parent can take",
    source: Source {
        cite: "macvlan_init, netif_inherit_tso_max, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("macvlan"), Need::Since(6, 0)],
};

#[test]
fn segments_as_large_as_its_parents() {
    check(&SEGMENTS, async |case| {
        let lab = case.lab(&childless()).await?;
        let most = lab.option("p:p0", link::TSO_MAX_SIZE).await?;
        // Else this would be what every link has.
        lab.claim("a cable takes more than 64 KiB", most > Some(65_536), format!("{most:?}"))?;
        let born = lab.newborn("macvlan", "p", Some("p0"), &[]).await?;
        let seen = born.option(link::TSO_MAX_SIZE);
        lab.claim("so does the child", seen == most, format!("{seen:?}"))
    });
}

const NAMESPACE: Rule = Rule {
    id: "macvlan.birth.tells-its-parents-namespace",
    promise: "a child tells in which namespace its parent is, if that is not its own",
    source: Source {
        cite: "macvlan_get_link_net, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn tells_its_parents_namespace() {
    check(&NAMESPACE, async |case| {
        let lan = childless().host("c1").macvlan("c1:c0", "p:p0", Mode::Bridge);
        let mut lab = case.lab(&lan).await?;
        let away = lab.option("c1:c0", link::BELOW_NETNS).await?;
        lab.claim("another namespace is told", away.is_some(), "it is not")?;
        lab.move_link("c1:c0", "p").await?;
        let home = lab.option("p:c0", link::BELOW_NETNS).await?;
        lab.claim("its own is not", home.is_none(), format!("{home:?}"))?;
        let parent = u64::from(lab.link("p:p0").await?.index);
        lab.expect_option("p:c0", link::BELOW, parent).await
    });
}

const MOST: Rule = Rule {
    id: "macvlan.birth.as-long-frames-as-its-parent-could-take",
    promise: "a child is born with the largest MTU that its parent could have, also where that is \
              less than a cable's own, as beside a program of XDP",
    source: Source {
        cite: "macvlan_common_newlink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("macvlan"), Need::Xdp],
};

#[test]
fn as_long_frames_as_its_parent_could_take() {
    check(&MOST, async |case| {
        let mut lab = case.lab(&childless()).await?;
        for limited in [false, true] {
            if limited {
                let e = lab.mac("e:e0");
                lab.set_xdp("e:e0", e, &Xdp::Pass).await?;
            }
            let most = lab.option("p:p0", link::MAX_MTU).await?;
            let claim = format!("a program at the other end {limited}: less than 64 KiB");
            lab.claim(&claim, (most < Some(65_535)) == limited, format!("{most:?}"))?;
            let born = lab.newborn("macvlan", "p", Some("p0"), &[]).await?;
            let seen = born.option(link::MAX_MTU);
            lab.claim("the child has its parent's", seen == most, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const STATE: Rule = Rule {
    id: "macvlan.birth.its-state-is-known",
    promise: "a child that is born of a parent that runs is told as up once it is, and one that is \
              born of a parent without carrier as that",
    source: Source {
        cite: "macvlan_common_newlink, linkwatch_fire_event; RFC 2863, ifOperStatus",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn its_state_is_known() {
    const UP: u64 = 6;
    const LOWER_LAYER_DOWN: u64 = 3;
    check(&STATE, async |case| {
        let mut lab = case.lab(&childless()).await?;
        for (far_end, state) in [(true, UP), (false, LOWER_LAYER_DOWN)] {
            lab.expect_to_settle("e:e0", far_end).await?;
            lab.grow(|lan| lan.macvlan("p:c0", "p:p0", Mode::Bridge)).await?;
            lab.expect_to_become("p:c0", link::OPERSTATE, state).await?;
            lab.delete_last().await?;
        }
        Ok(())
    });
}

const UNBORN: Rule = Rule {
    id: "macvlan.birth.senders-of-one-that-was-not-born-are-nobodys",
    promise: "a source child that was to keep a sender's frames from the others, and could not be \
              born, keeps none of them",
    source: Source {
        cite: "macvlan_common_newlink, destroy_macvlan_port, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn senders_of_one_that_was_not_born_are_nobodys() {
    const NODST: (LinkOption, u64) = (FLAGS, 2);
    check(&UNBORN, async |case| {
        let lan = childless().host("c1").macvlan("c1:c0", "p:p0", Mode::Bridge);
        let mut lab = case.lab(&lan).await?;
        let (c1, e) = (lab.mac("c1:c0"), lab.mac("e:e0"));
        let e = e.0.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let mut told = vec![(MODE, 16), NODST, (MACADDR_MODE, 0), (MACADDR, e)];
        for named_well in [true, false, false, false] {
            if !named_well {
                // What no link may be called is noticed last.
                told.push((link::LETTER, u64::from(b'/')));
            }
            let born = lab.newborn("macvlan", "p", Some("p0"), &told).await;
            if named_well {
                lab.expect_done("one with a good name", born)?;
            } else {
                lab.expect_refusal("one with a bad name", born, Errno::EINVAL)?;
            }
            lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
            lab.expect_shot("e", &Shot::broadcast(), "p:p0 broadcast, c1 broadcast").await?;
        }
        Ok(())
    });
}
