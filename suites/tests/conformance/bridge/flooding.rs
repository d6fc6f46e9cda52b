//! Where a bridge sends a frame, and as what it is heard there.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |               br's own stack is the host `sw`
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::switch;
use hairpin_harness::{
    CaseLab, Fdb, Filter, Mac, PortFlags, Rule, Shot, Source, Stop, Strength, Tag, check,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[
    EVERYWHERE_ELSE,
    KNOWN,
    OF_ITS_OWN,
    OWN_ADDRESSES,
    PROMISC,
    HAIRPIN,
    ISOLATED,
    FLAGS,
    RESERVED,
    PAUSE,
    BAD_SOURCE,
    DOWN,
    LENGTH,
    TAGS,
    WHOLE,
];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x02]);

/// A group that nobody joins unasked.
const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x0b]);

const EVERYWHERE_ELSE: Rule = Rule {
    id: "bridge.flooding.everywhere-but-back",
    promise: "a frame to an unknown address leaves by every port but the one that it came in by, \
              once each; the bridge's own stack hears broadcast and groups, and of unknown unicast \
              nothing",
    source: Source {
        cite: "IEEE 802.1D, 7.7; br_flood, net/bridge/br_forward.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn everywhere_but_back() {
    check(&EVERYWHERE_ELSE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other").await?;
        lab.expect_shot("c", &Shot::to(NOBODY), "a other, b other").await?;
        let all = "b broadcast, c broadcast, sw broadcast";
        lab.expect_shot("a", &Shot::broadcast(), all).await?;
        lab.join("sw", GROUP).await?;
        let all = "b multicast, c multicast, sw multicast";
        lab.expect_shot("a", &Shot::to(GROUP), all).await?;
        Ok(())
    });
}

const KNOWN: Rule = Rule {
    id: "bridge.flooding.known-addresses-at-their-port-only",
    promise: "a frame to an address that was learned or pinned leaves by its port only",
    source: Source {
        cite: "IEEE 802.1D, 7.7; br_handle_frame_finish",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn known_addresses_at_their_port_only() {
    check(&KNOWN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        lab.add_fdb("sw:p3", NOBODY, Fdb::STATIC).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "c other").await?;
        // At its own port it is already where it should be.
        lab.expect_shot("c", &Shot::to(NOBODY), "nobody").await?;
        lab.delete_fdb("sw:p3", NOBODY, None).await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other").await?;
        Ok(())
    });
}

const OF_ITS_OWN: Rule = Rule {
    id: "bridge.flooding.what-the-bridge-itself-sends",
    promise: "what the bridge's own stack sends to all or to an unknown address leaves by every \
              port, and to a known one by that one's; the stack does not hear itself",
    source: Source { cite: "br_dev_xmit, net/bridge/br_device.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_the_bridge_itself_sends() {
    check(&OF_ITS_OWN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        lab.expect_shot("sw", &Shot::broadcast(), "a broadcast, b broadcast, c broadcast").await?;
        lab.expect_shot("sw", &Shot::to(GROUP), "a multicast, b multicast, c multicast").await?;
        lab.expect_shot("sw", &Shot::to(NOBODY), "a other, b other, c other").await?;
        lab.expect_shot("sw", &Shot::to(b), "b host").await?;
        lab.expect_shot("sw", &Shot::to(b).bypassing_the_queue(), "b host").await?;
        Ok(())
    });
}

const OWN_ADDRESSES: Rule = Rule {
    id: "bridge.flooding.own-addresses-go-up",
    promise: "a frame to the bridge's address goes up as its own and nowhere else; one to a port's \
              address goes up as somebody else's where the bridge has another",
    source: Source {
        cite: "br_handle_frame_finish and br_pass_frame_up, net/bridge/br_input.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn own_addresses_go_up() {
    check(&OWN_ADDRESSES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let (br, p2) = (lab.mac("sw:br"), lab.mac("sw:p2"));
        lab.expect_shot("a", &Shot::to(br), "sw host").await?;
        lab.expect_shot("a", &Shot::to(p2), "sw other").await?;
        Ok(())
    });
}

const PROMISC: Rule = Rule {
    id: "bridge.flooding.a-promiscuous-bridge-hears-all",
    promise: "a bridge that is made promiscuous hears what it forwards, as somebody else's, and \
              forwards it all the same",
    source: Source {
        cite: "br_handle_frame_finish, net/bridge/br_input.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_promiscuous_bridge_hears_all() {
    check(&PROMISC, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        lab.set_filter("sw:br", Filter::Promisc, true).await?;
        lab.expect_shot("a", &Shot::to(b), "b host, sw other").await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other, sw other").await?;
        lab.set_filter("sw:br", Filter::Promisc, false).await?;
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "b other, c other").await?;
        Ok(())
    });
}

const HAIRPIN: Rule = Rule {
    id: "bridge.flooding.hairpin-for-each-kind",
    promise: "with hairpin on, unknown unicast, broadcast and what is for an address at the same \
              port leave by the port that they came in by; with hairpin off they do not",
    source: Source {
        cite: "bridge(8), hairpin; should_deliver, net/bridge/br_forward.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn hairpin_for_each_kind() {
    check(&HAIRPIN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let a = lab.mac("a:eth0");
        lab.expect_shot("a", &Shot::to(a).from(NOBODY), "nobody").await?;
        lab.set_port("sw:p1", PortFlags::default().hairpin(true)).await?;
        lab.expect_shot("a", &Shot::to(a).from(NOBODY), "a host").await?;
        let all = "a broadcast, b broadcast, c broadcast, sw broadcast";
        lab.expect_shot("a", &Shot::broadcast(), all).await?;
        lab.expect_shot("b", &Shot::broadcast(), "a broadcast, c broadcast, sw broadcast").await?;
        lab.set_port("sw:p1", PortFlags::default().hairpin(false)).await?;
        lab.expect_shot("a", &Shot::broadcast(), "b broadcast, c broadcast, sw broadcast").await?;
        Ok(())
    });
}

const ISOLATED: Rule = Rule {
    id: "bridge.flooding.isolated-ports-reach-the-bridge",
    promise: "isolated ports exchange neither known nor unknown unicast nor broadcast with each \
              other, and all of it with the bridge itself and with ports that are not isolated",
    source: Source {
        cite: "bridge(8), isolated; br_skb_isolated, net/bridge/br_private.h",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn isolated_ports_reach_the_bridge() {
    check(&ISOLATED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let (b, br) = (lab.mac("b:eth0"), lab.mac("sw:br"));
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        for port in ["sw:p1", "sw:p2"] {
            lab.set_port(port, PortFlags::default().isolated(true)).await?;
        }
        lab.expect_shot("a", &Shot::to(b), "nobody").await?;
        lab.expect_shot("a", &Shot::to(NOBODY), "c other").await?;
        lab.expect_shot("a", &Shot::broadcast(), "c broadcast, sw broadcast").await?;
        lab.expect_shot("a", &Shot::to(br), "sw host").await?;
        lab.expect_shot("sw", &Shot::to(b), "b host").await?;
        lab.expect_shot("sw", &Shot::broadcast(), "a broadcast, b broadcast, c broadcast").await?;
        lab.expect_shot("c", &Shot::broadcast(), "a broadcast, b broadcast, sw broadcast").await?;
        Ok(())
    });
}

const FLAGS: Rule = Rule {
    id: "bridge.flooding.each-flag-stops-its-own-kind",
    promise: "flood off keeps unknown unicast from a port, the bridge's own too, mcast_flood off \
              groups and bcast_flood off broadcast that came in by another port; each leaves the \
              other two alone, and known addresses",
    source: Source {
        cite: "bridge(8), flood, mcast_flood, bcast_flood; br_flood, net/bridge/br_forward.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::unicast(PortFlags::default().flood(false), [false, true, true])]
#[case::multicast(PortFlags::default().mcast_flood(false), [true, false, true])]
#[case::broadcast(PortFlags::default().bcast_flood(false), [true, true, false])]
fn each_flag_stops_its_own_kind(#[case] off: PortFlags, #[case] passes: [bool; 3]) {
    check(&FLAGS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        expect_kinds(&mut lab, [true; 3]).await?;
        lab.set_port("sw:p2", off).await?;
        expect_kinds(&mut lab, passes).await?;
        lab.expect_shot("a", &Shot::to(b), "b host").await?;
        // What the bridge itself sends to groups and to all goes to every port.
        let unknown = if passes[0] { "a other, b other, c other" } else { "a other, c other" };
        lab.expect_shot("sw", &Shot::to(NOBODY), unknown).await?;
        lab.expect_shot("sw", &Shot::to(GROUP), "a multicast, b multicast, c multicast").await?;
        lab.expect_shot("sw", &Shot::broadcast(), "a broadcast, b broadcast, c broadcast").await?;
        // Nor is anything kept that comes in by the port.
        lab.expect_shot("b", &Shot::to(NOBODY), "a other, c other").await?;
        let all = "a broadcast, c broadcast, sw broadcast";
        lab.expect_shot("b", &Shot::broadcast(), all).await?;
        Ok(())
    });
}

/// Which kinds from `a` reach `b`: unknown unicast, groups, broadcast. All reach `c`.
async fn expect_kinds(lab: &mut CaseLab, passes: [bool; 3]) -> Result<(), Stop> {
    let kinds = [
        (NOBODY, "other", ""),
        (GROUP, "multicast", ", sw multicast"),
        (Mac::BROADCAST, "broadcast", ", sw broadcast"),
    ];
    for ((to, kind, up), passes) in kinds.into_iter().zip(passes) {
        let b = if passes { format!("b {kind}, ") } else { String::new() };
        lab.expect_shot("a", &Shot::to(to), &format!("{b}c {kind}{up}")).await?;
    }
    Ok(())
}

const RESERVED: Rule = Rule {
    id: "bridge.flooding.reserved-groups-stay-on-their-link",
    promise: "the groups 01:80:c2:00:00:02 to 0f are not forwarded, but heard at the port itself, \
              unless group_fwd_mask says so for the bridge or for the port; the spanning tree's \
              own, 00, is forwarded while no spanning tree is spoken",
    source: Source {
        cite: "IEEE 802.1D, 7.12.6; ip-link(8), group_fwd_mask; br_handle_frame",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

const fn reserved(last: u8) -> Mac {
    Mac([0x01, 0x80, 0xc2, 0, 0, last])
}

#[rstest]
#[case::bridge("sw:br", hairpin_harness::options::bridge::GROUP_FWD_MASK)]
#[case::port("sw:p1", hairpin_harness::options::port::GROUP_FWD_MASK)]
fn reserved_groups_stay_on_their_link(
    #[case] at: &str,
    #[case] mask: hairpin_harness::options::LinkOption,
) {
    check(&RESERVED, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let forwarded = "b multicast, c multicast";
        let kept = "sw:p1 multicast";
        for last in [0x02, 0x03, 0x0e, 0x0f] {
            lab.expect_shot("a", &Shot::to(reserved(last)), kept).await?;
        }
        lab.set_option(at, mask, 0x4008).await?;
        for (last, passes) in [(0x02, false), (0x03, true), (0x0e, true), (0x0f, false)] {
            let heard = if passes { forwarded } else { kept };
            let fate = lab.shoot("a", &Shot::to(reserved(last))).await?;
            fate.proved()?;
            let seen = fate.to_string();
            let claim = format!("01:80:c2:00:00:{last:02x} is heard by {heard}");
            lab.claim(&claim, seen.starts_with(heard), seen)?;
        }
        for bit in [1_u64, 2, 4] {
            let done = lab
                .set_option("sw:br", hairpin_harness::options::bridge::GROUP_FWD_MASK, bit)
                .await;
            lab.expect_refusal("to forward 00, 01 or 02", done, hairpin_harness::Errno::EINVAL)?;
        }
        Ok(())
    });
}

const PAUSE: Rule = Rule {
    id: "bridge.flooding.pause-frames-go-nowhere",
    promise: "a pause frame (01:80:c2:00:00:01) is heard by nobody, not even the port; what is for \
              the spanning tree (00) passes a bridge that does not speak it",
    source: Source {
        cite: "IEEE 802.3, annex 31B; br_handle_frame, net/bridge/br_input.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn pause_frames_go_nowhere() {
    check(&PAUSE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_shot("a", &Shot::to(reserved(1)), "nobody").await?;
        let fate = lab.shoot("a", &Shot::to(reserved(0))).await?;
        fate.proved()?;
        let seen = fate.to_string();
        lab.claim("00 is forwarded", seen.starts_with("b multicast, c multicast"), seen)
    });
}

const BAD_SOURCE: Rule = Rule {
    id: "bridge.flooding.a-group-is-no-sender",
    promise: "a frame that bears a group or nothing as its sender is dropped",
    source: Source {
        cite: "IEEE 802.3, 3.2.3; br_handle_frame, net/bridge/br_input.c",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::group(GROUP)]
#[case::all(Mac::BROADCAST)]
#[case::nothing(Mac([0; 6]))]
fn a_group_is_no_sender(#[case] sender: Mac) {
    check(&BAD_SOURCE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        lab.expect_shot("a", &Shot::to(b).from(sender), "nobody").await?;
        lab.expect_shot("a", &Shot::broadcast().from(sender), "nobody").await?;
        lab.expect_shot("a", &Shot::to(b).from(NOBODY), "b host").await?;
        Ok(())
    });
}

const DOWN: Rule = Rule {
    id: "bridge.flooding.a-bridge-that-is-down-forwards-nothing",
    promise: "a bridge that is down takes its ports' frames and forwards none; up again it does",
    source: Source {
        cite: "observed on 6.1 and 6.18; br_stp_disable_bridge and br_handle_frame",
        strength: Strength::Observed,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_bridge_that_is_down_forwards_nothing() {
    check(&DOWN, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let all = "
               a b c sw
            a  . + + +
            b  + . + +
            c  + + . +
            sw + + + .";
        let none = "
               a b c sw
            a  . # # #
            b  # . # #
            c  # # . #
            sw # # # .";
        lab.expect(hairpin_harness::Class::Unicast, all).await?;
        lab.set_up("sw:br", false).await?;
        lab.expect(hairpin_harness::Class::Unicast, none).await?;
        lab.set_up("sw:br", true).await?;
        lab.expect(hairpin_harness::Class::Unicast, all).await?;
        Ok(())
    });
}

const LENGTH: Rule = Rule {
    id: "bridge.flooding.no-longer-than-the-port-takes",
    promise: "a frame leaves by a port whose MTU it fits with its header and one tag (18 bytes), \
              and by no other",
    source: Source {
        cite: "br_forward and is_skb_forwardable, net/core/dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn no_longer_than_the_port_takes() {
    check(&LENGTH, async |case| {
        let mut lab = case.lab(&switch().mtu("sw:p2", 1400).mtu("sw:br", 1500)).await?;
        for (bytes, fits) in [(1414, true), (1418, true), (1419, false), (1514, false)] {
            let b = if fits { "b broadcast, " } else { "" };
            let heard = format!("{b}c broadcast, sw broadcast");
            lab.expect_shot("a", &Shot::broadcast().bytes(bytes), &heard).await?;
            let b = if fits { "b other, " } else { "" };
            lab.expect_shot("a", &Shot::to(NOBODY).bytes(bytes), &format!("{b}c other")).await?;
        }
        let b = lab.mac("b:eth0");
        lab.expect_shot("a", &Shot::to(b).bytes(1418), "b host").await?;
        lab.expect_shot("a", &Shot::to(b).bytes(1419), "nobody").await?;
        Ok(())
    });
}

const TAGS: Rule = Rule {
    id: "bridge.flooding.tags-pass-where-vlans-are-not-kept-apart",
    promise: "a bridge that does not keep VLANs apart forwards tagged frames as they are, with \
              priority, by address",
    source: Source { cite: "bridge(8), vlan_filtering 0", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn tags_pass_where_vlans_are_not_kept_apart() {
    check(&TAGS, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let b = lab.mac("b:eth0");
        let tag = Tag::vlan(77).priority(6).drop_eligible();
        lab.expect_shot("a", &Shot::to(b).tag(tag), "b other vlan 77 priority 6 dei").await?;
        let provider = Tag::vlan(5).provider();
        lab.expect_shot("a", &Shot::to(b).tag(provider), "b other provider vlan 5").await?;
        Ok(())
    });
}

const WHOLE: Rule = Rule {
    id: "bridge.flooding.frames-of-every-length-come-whole",
    promise: "frames up to the MTU are forwarded as they were sent, one by one and to all",
    source: Source { cite: "IEEE 802.1D, 6.3", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::shortest(26)]
#[case::odd(333)]
#[case::full(1514)]
fn frames_of_every_length_come_whole(#[case] bytes: usize) {
    check(&WHOLE, async |case| {
        let mut lab = case.lab(&switch()).await?;
        let (b, br) = (lab.mac("b:eth0"), lab.mac("sw:br"));
        lab.expect_shot("a", &Shot::to(b).bytes(bytes), "b host").await?;
        lab.expect_shot("a", &Shot::to(br).bytes(bytes), "sw host").await?;
        lab.expect_shot("sw", &Shot::to(b).bytes(bytes), "b host").await?;
        let all = "b broadcast, c broadcast, sw broadcast";
        lab.expect_shot("a", &Shot::broadcast().bytes(bytes), all).await?;
        Ok(())
    });
}
