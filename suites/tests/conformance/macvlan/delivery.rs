//! Who gets a frame, and as what: one frame at a time, with addresses of the case's own.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::lan::{mixed_lan, quiet};
use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::{CaseLab, Filter, Mac, Mode, Rule, Shot, Source, Stop, Strength, Tag, check};
use rstest::rstest;

use super::NEEDS;
use crate::filtered::{BY_CHANCE, expect_filtered, expect_unfiltered, strange_groups_heard};

pub(crate) const RULES: &[Rule] = &[
    OWN_ADDRESS,
    SIBLINGS,
    DOWN_CHILD,
    GROUPS,
    SIBLING_GROUPS,
    PROMISCUOUS_CHILD,
    FOREIGN_SOURCE,
    TAGS,
    WHOLE,
    BYPASS,
    PAUSE,
    ALIKE,
];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x02]);

/// A group that nobody joins unasked.
const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x05]);

/// The way of a frame that the switch does not send back.
const TO_THE_SWITCH: &str = "c1:c0> p:p0> sw:s0<";

const OWN_ADDRESS: Rule = Rule {
    id: "macvlan.delivery.only-its-own-address",
    promise: "a child takes unicast for its own address only, as its own; its parent sees what is \
              for nobody as somebody else's; broadcast comes once to each",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn only_its_own_address(#[case] mode: Mode) {
    check(&OWN_ADDRESS, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        let (c1, p) = (lab.mac("c1:c0"), lab.mac("p:p0"));
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        lab.expect_shot("e", &Shot::to(p), "p host").await?;
        lab.expect_shot("e", &Shot::to(NOBODY), "p other").await?;
        lab.expect_shot("e", &Shot::broadcast(), "c1 broadcast, c2 broadcast, p broadcast").await?;
        // The parent is only reached by way of the switch.
        let fate = lab.expect_shot("c1", &Shot::to(p), "nobody").await?;
        lab.claim("it left by the parent", fate.path() == TO_THE_SWITCH, fate.path())?;
        lab.set_port("sw:s0", reflecting()).await?;
        lab.expect_shot("c1", &Shot::to(p), "p host").await?;
        Ok(())
    });
}

const SIBLINGS: Rule = Rule {
    id: "macvlan.delivery.siblings-in-bridge-mode",
    promise: "between two children in bridge mode unicast stays in the machine and is the \
              sibling's own; broadcast and groups come once to the sibling and once to the wire, \
              never to the parent; as soon as one of the two is in another mode all goes to the \
              wire",
    source: Source {
        cite: "macvlan_queue_xmit, drivers/net/macvlan.c; ip-link(8), macvlan mode bridge",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::both(Mode::Bridge, Mode::Bridge, true)]
#[case::private(Mode::Bridge, Mode::Private, false)]
#[case::vepa(Mode::Bridge, Mode::Vepa, false)]
#[case::source(Mode::Bridge, Mode::Source, false)]
fn siblings_in_bridge_mode(#[case] first: Mode, #[case] second: Mode, #[case] local: bool) {
    check(&SIBLINGS, async |case| {
        let mut lab = case.lab(&mixed_lan(first, second)).await?;
        let c2 = lab.mac("c2:c0");
        lab.join("c2", GROUP).await?;
        let (unicast, broadcast, group) = if local {
            ("c2 host", "c2 broadcast, e broadcast", "c2 multicast, e multicast")
        } else {
            ("nobody", "e broadcast", "e multicast")
        };
        let fate = lab.expect_shot("c1", &Shot::to(c2), unicast).await?;
        let way = if local { "c1:c0> p:p0< c2:c0<" } else { TO_THE_SWITCH };
        lab.claim("it took its way", fate.path() == way, fate.path())?;
        lab.expect_shot("c1", &Shot::broadcast(), broadcast).await?;
        lab.expect_shot("c1", &Shot::to(GROUP), group).await?;
        lab.set_macvlan("c2:c0", Mode::Bridge).await?;
        lab.expect_shot("c1", &Shot::to(c2), "c2 host").await?;
        Ok(())
    });
}

const DOWN_CHILD: Rule = Rule {
    id: "macvlan.delivery.a-child-that-is-down-is-nobody",
    promise: "frames for a child that is down are its parent's to see as somebody else's, and a \
              sibling's go to the wire; it takes no broadcast; up again it has all as before",
    source: Source {
        cite: "macvlan_open and macvlan_stop, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_child_that_is_down_is_nobody() {
    check(&DOWN_CHILD, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let c2 = lab.mac("c2:c0");
        lab.set_up("c2:c0", false).await?;
        // The switch has learned where c2 was: only there does the frame go.
        lab.expect_shot("e", &Shot::to(c2), "p other").await?;
        lab.flush_fdb("sw:s0").await?;
        lab.expect_shot("c1", &Shot::to(c2), "e other").await?;
        lab.expect_shot("e", &Shot::broadcast(), "c1 broadcast, p broadcast").await?;
        lab.expect_shot("c1", &Shot::broadcast(), "e broadcast").await?;
        lab.set_up("c2:c0", true).await?;
        lab.expect_shot("e", &Shot::to(c2), "c2 host").await?;
        lab.expect_shot("c1", &Shot::to(c2), "c2 host").await?;
        let all = "c1 broadcast, c2 broadcast, p broadcast";
        lab.expect_shot("e", &Shot::broadcast(), all).await?;
        Ok(())
    });
}

const GROUPS: Rule = Rule {
    id: "macvlan.delivery.groups-by-membership",
    promise: "a child takes a group once it has joined it, and all once it asked for all, and not \
              before (but for a few that share a place in its filter); the parent sees all of them",
    source: Source {
        cite: "macvlan_compute_filter and macvlan_broadcast, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn groups_by_membership(#[case] mode: Mode) {
    check(&GROUPS, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(mode))).await?;
        for host in ["c1", "c2"] {
            expect_filtered(&mut lab, host).await?;
        }
        expect_unfiltered(&mut lab, "p").await?;
        for host in ["c1", "c2"] {
            lab.join(host, GROUP).await?;
        }
        let all = "c1 multicast, c2 multicast, p multicast";
        lab.expect_shot("e", &Shot::to(GROUP), all).await?;
        for (on, filter) in [(true, Filter::Allmulti), (true, Filter::Promisc)] {
            lab.set_filter("c1:c0", filter, on).await?;
            expect_unfiltered(&mut lab, "c1").await?;
            expect_filtered(&mut lab, "c2").await?;
            lab.set_filter("c1:c0", filter, false).await?;
            expect_filtered(&mut lab, "c1").await?;
        }
        Ok(())
    });
}

const SIBLING_GROUPS: Rule = Rule {
    id: "macvlan.delivery.groups-of-a-sibling-by-membership",
    promise: "what a child in bridge mode sends to a group goes to siblings that have joined it, \
              and to others not",
    source: Source { cite: "macvlan_broadcast, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn groups_of_a_sibling_by_membership() {
    check(&SIBLING_GROUPS, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(Mode::Bridge))).await?;
        let heard = strange_groups_heard(&mut lab, "c1", "c2").await?;
        lab.claim("c2 hears few groups of c1", heard <= BY_CHANCE, heard)?;
        lab.join("c2", GROUP).await?;
        lab.expect_shot("c1", &Shot::to(GROUP), "c2 multicast, e multicast").await?;
        Ok(())
    });
}

const PROMISCUOUS_CHILD: Rule = Rule {
    id: "macvlan.delivery.a-promiscuous-child-hears-no-others-unicast",
    promise: "a promiscuous child gets no unicast of others: it has no port of its own that could \
              be flooded",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_promiscuous_child_hears_no_others_unicast() {
    check(&PROMISCUOUS_CHILD, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let (c1, c2) = (lab.mac("c1:c0"), lab.mac("c2:c0"));
        lab.set_filter("c1:c0", Filter::Promisc, true).await?;
        lab.expect_shot("e", &Shot::to(c2), "c2 host").await?;
        lab.expect_shot("e", &Shot::to(NOBODY), "p other").await?;
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        Ok(())
    });
}

const FOREIGN_SOURCE: Rule = Rule {
    id: "macvlan.delivery.a-foreign-source-passes",
    promise: "a child may send with an address that is not its own: neither it nor its parent \
              looks",
    source: Source {
        cite: "observed on 6.1 and 6.18; macvlan_queue_xmit, drivers/net/macvlan.c",
        strength: Strength::Observed,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn a_foreign_source_passes(#[case] mode: Mode) {
    check(&FOREIGN_SOURCE, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        let e = lab.mac("e:e0");
        lab.expect_shot("c1", &Shot::to(e).from(NOBODY), "e host").await?;
        // From outside it is no child's either, and each child takes the broadcast.
        let all = "c1 broadcast, c2 broadcast, p broadcast";
        lab.expect_shot("e", &Shot::broadcast().from(NOBODY), all).await?;
        Ok(())
    });
}

const TAGS: Rule = Rule {
    id: "macvlan.delivery.a-tagged-frame-keeps-its-tag",
    promise: "a tagged frame comes to the child that it is for with its tag and priority, and \
              leaves a child as it was sent",
    source: Source {
        cite: "observed on 6.1 and 6.18; macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Observed,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_tagged_frame_keeps_its_tag() {
    check(&TAGS, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let (c1, c2, e) = (lab.mac("c1:c0"), lab.mac("c2:c0"), lab.mac("e:e0"));
        let tag = Tag::vlan(5).priority(3);
        // No link above speaks this VLAN: the stack counts it as somebody else's.
        lab.expect_shot("e", &Shot::to(c1).tag(tag), "c1 other vlan 5 priority 3").await?;
        lab.expect_shot("c1", &Shot::to(e).tag(tag), "e other vlan 5 priority 3").await?;
        lab.expect_shot("c1", &Shot::to(c2).tag(tag), "c2 other vlan 5 priority 3").await?;
        Ok(())
    });
}

const WHOLE: Rule = Rule {
    id: "macvlan.delivery.frames-of-every-length-come-whole",
    promise: "frames up to the MTU come as they were sent, from outside, to outside and between \
              siblings, also with a tag beyond it",
    source: Source { cite: "IEEE 802.3, frame format", strength: Strength::Standard },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::shortest(26)]
#[case::short(60)]
#[case::odd(333)]
#[case::full(1514)]
fn frames_of_every_length_come_whole(#[case] bytes: usize) {
    check(&WHOLE, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let (c1, c2, e) = (lab.mac("c1:c0"), lab.mac("c2:c0"), lab.mac("e:e0"));
        lab.expect_shot("e", &Shot::to(c1).bytes(bytes), "c1 host").await?;
        lab.expect_shot("c1", &Shot::to(e).bytes(bytes), "e host").await?;
        lab.expect_shot("c1", &Shot::to(c2).bytes(bytes), "c2 host").await?;
        let heard = "c2 broadcast, e broadcast";
        lab.expect_shot("c1", &Shot::broadcast().bytes(bytes), heard).await?;
        let heard = "c1 broadcast, c2 broadcast, p broadcast";
        lab.expect_shot("e", &Shot::broadcast().bytes(bytes), heard).await?;
        Ok(())
    });
}

const BYPASS: Rule = Rule {
    id: "macvlan.delivery.past-the-transmit-queue",
    promise: "what a child sends past its transmit queue comes whole to siblings and outside, as \
              any other: \"macvlan: use skb_reset_mac_header() in macvlan_queue_xmit()\"",
    source: Source {
        cite: "macvlan_queue_xmit, drivers/net/macvlan.c; packet(7), PACKET_QDISC_BYPASS",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn past_the_transmit_queue() {
    check(&BYPASS, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        bypassing(&mut lab).await
    });
}

async fn bypassing(lab: &mut CaseLab) -> Result<(), Stop> {
    let (c2, e) = (lab.mac("c2:c0"), lab.mac("e:e0"));
    let heard = "c2 broadcast, e broadcast";
    lab.expect_shot("c1", &Shot::broadcast().bypassing_the_queue(), heard).await?;
    // Of a frame whose kind it is told the kernel does not look for the header.
    let told = Shot::broadcast().ethertype(0x8809).bypassing_the_queue();
    lab.expect_shot("c1", &told, heard).await?;
    lab.expect_shot("c1", &Shot::to(c2).bypassing_the_queue(), "c2 host").await?;
    lab.expect_shot("c1", &Shot::to(e).bypassing_the_queue(), "e host").await?;
    Ok(())
}

const PAUSE: Rule = Rule {
    id: "macvlan.delivery.pause-frames-are-for-the-wire",
    promise: "a frame that asks for a pause reaches no child, of whatever mode, from a sibling or \
              from outside: it is for the two ends of a wire",
    source: Source {
        cite: "macvlan_broadcast, drivers/net/macvlan.c; IEEE 802.3, annex 31B",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn pause_frames_are_for_the_wire(#[case] mode: Mode) {
    check(&PAUSE, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        for (ethertype, of_e, of_c1) in [
            (0x8808, "p broadcast", "e broadcast"),
            (0x8809, "c1 broadcast, c2 broadcast, p broadcast", "c2 broadcast, e broadcast"),
        ] {
            let shot = Shot::broadcast().ethertype(ethertype);
            lab.expect_shot("e", &shot, of_e).await?;
            let of_c1 = if mode == Mode::Bridge { of_c1 } else { "e broadcast" };
            lab.expect_shot("c1", &shot, of_c1).await?;
        }
        Ok(())
    });
}

const ALIKE: Rule = Rule {
    id: "macvlan.delivery.an-address-in-the-same-place-is-another",
    promise: "an address that the driver keeps in the same place as a child's is not that child's: \
              frames for it are nobody's, from outside and from a sibling",
    source: Source { cite: "macvlan_hash_lookup, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn an_address_in_the_same_place_is_another() {
    check(&ALIKE, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        for child in ["c1", "c2"] {
            let own = lab.mac(&format!("{child}:c0"));
            lab.expect_shot("e", &Shot::to(super::alike(own)), "p other").await?;
            lab.expect_shot("e", &Shot::to(own), &format!("{child} host")).await?;
        }
        let c2 = lab.mac("c2:c0");
        lab.expect_shot("c1", &Shot::to(super::alike(c2)), "e other").await?;
        lab.expect_shot("c1", &Shot::to(c2), "c2 host").await?;
        Ok(())
    });
}
