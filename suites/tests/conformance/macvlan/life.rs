//! Birth and death of children and parents, and what may stand on what.
//!
//! ```text
//!   c1 --- p0 --- e0     `other` takes what is moved, or made a second time
//! ```

use hairpin_fixtures::lan::{cabled, quiet};
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::{CaseLab, Errno, Mode, Rule, Shot, Source, Stop, Strength, Topology, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[
    PARENT_GONE,
    PARENT_MOVED,
    CHILD_MOVED,
    NO_TRACE,
    BRIDGE_PORT,
    ON_A_BRIDGE,
    CARRIER,
    DOWN_PARENT,
    CHILD_AS_A_PORT,
];

const PARENT_GONE: Rule = Rule {
    id: "macvlan.life.children-go-with-their-parent",
    promise: "when a parent is deleted, or the other end of its cable, its children are gone, of \
              every mode and in every namespace",
    source: Source {
        cite: "macvlan_device_event, NETDEV_UNREGISTER, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::bridge(Mode::Bridge, "p:p0")]
#[case::passthru(Mode::Passthru, "p:p0")]
#[case::source_by_the_far_end(Mode::Source, "e:e0")]
fn children_go_with_their_parent(#[case] mode: Mode, #[case] deleted: &str) {
    check(&PARENT_GONE, async |case| {
        let mut lab = case.lab(&cabled(mode)).await?;
        let before = lab.exists("c1:c0")?;
        lab.claim("there is a child", before, "there is none")?;
        lab.delete(deleted).await?;
        for gone in ["c1:c0", "p:p0", "e:e0"] {
            let there = lab.exists(gone)?;
            lab.claim(&format!("{gone} is gone"), !there, "it is there")?;
        }
        Ok(())
    });
}

const PARENT_MOVED: Rule = Rule {
    id: "macvlan.life.children-outlive-their-parents-move",
    promise: "a parent that moves to another namespace keeps its children, which are reached again \
              once it is up there",
    source: Source {
        cite: "macvlan_device_event, NETDEV_UNREGISTER of a device that is only moved, \
               drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn children_outlive_their_parents_move() {
    check(&PARENT_MOVED, async |case| {
        let topology = Topology::new("moving-parent")
            .host("c1")
            .host("c2")
            .host("e")
            .netns("p")
            .netns("other")
            .cable("p:p0", "e:e0")
            .macvlan("c1:c0", "p:p0", Mode::Bridge)
            .macvlan("c2:c0", "p:p0", Mode::Bridge);
        let mut lab = case.lab(&topology).await?;
        let (c1, c2) = (lab.mac("c1:c0"), lab.mac("c2:c0"));
        lab.move_link("p:p0", "other").await?;
        let there = lab.exists("c1:c0")?;
        lab.claim("the child is still there", there, "it is gone")?;
        let running = lab.link("c1:c0").await?.running;
        lab.claim("it does not run while its parent is down", !running, running)?;
        lab.expect_to_settle("other:p0", true).await?;
        let running = lab.link("c1:c0").await?.running;
        lab.claim("it runs again", running, running)?;
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        lab.expect_shot("c1", &Shot::to(c2), "c2 host").await?;
        Ok(())
    });
}

const CHILD_MOVED: Rule = Rule {
    id: "macvlan.life.a-child-may-move",
    promise: "a child that is moved to another namespace is down there, on nobody's list, and \
              works as before once it is up",
    source: Source { cite: "ip-netns(8); macvlan_stop and macvlan_open", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_child_may_move() {
    check(&CHILD_MOVED, async |case| {
        let lan = quiet(macvlan_lan(Mode::Bridge)).netns("other");
        let mut lab = case.lab(&lan.macvlan("c1:m1", "p:p0", Mode::Bridge)).await?;
        let m1 = lab.mac("c1:m1");
        lab.expect_shot("e", &Shot::to(m1), "c1:m1 host").await?;
        lab.move_link("c1:m1", "c2").await?;
        let state = lab.link("c2:m1").await?;
        lab.claim("it arrives down", !state.up, state.up)?;
        lab.claim("with its address", state.mac == m1, state.mac)?;
        let listed = lab.filters("p:p0").await?.contains(&m1);
        lab.claim("its parent does not listen for it", !listed, listed)?;
        lab.expect_shot("e", &Shot::to(m1), "p other").await?;
        lab.set_up("c2:m1", true).await?;
        lab.expect_shot("e", &Shot::to(m1), "c2:m1 host").await?;
        Ok(())
    });
}

const NO_TRACE: Rule = Rule {
    id: "macvlan.life.a-failed-birth-leaves-no-trace",
    promise: "a child that cannot be made leaves its parent as it was, free to become a bridge port",
    source: Source {
        cite: "macvlan_common_newlink and its error paths, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_failed_birth_leaves_no_trace() {
    check(&NO_TRACE, async |case| {
        let topology =
            Topology::new("childless").host("p").host("e").bridge("p:br").cable("p:p0", "e:e0");
        let mut lab = case.lab(&topology).await?;
        for mode in [Mode::Bridge, Mode::Passthru, Mode::Source] {
            let refused = lab.grow(|lan| lan.macvlan("p:c0", "p:p0", mode).mtu("p:c0", 1501)).await;
            lab.expect_refusal("a child above its parent's MTU", refused, Errno::EINVAL)?;
            let count = lab.link("p:p0").await?.promiscuity;
            lab.claim("nothing is asked of the parent", count == 0, count)?;
        }
        lab.set_bridge("p:p0", Some("br")).await?;
        let port = lab.link("p:p0").await?.promiscuity;
        lab.claim("the parent is free to become a port", port == 1, port)
    });
}

const BRIDGE_PORT: Rule = Rule {
    id: "macvlan.life.free-after-the-last-child",
    promise: "a link is a parent until its last child is gone, and then free for a bridge; from \
              there it takes no child until it has left",
    source: Source {
        cite: "macvlan_uninit and macvlan_port_destroy, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn free_after_the_last_child() {
    check(&BRIDGE_PORT, async |case| {
        let topology = Topology::new("children")
            .host("p")
            .host("e")
            .bridge("p:br")
            .cable("p:p0", "e:e0")
            .macvlan("p:c0", "p:p0", Mode::Bridge)
            .macvlan("p:c1", "p:p0", Mode::Bridge);
        let mut lab = case.lab(&topology).await?;
        for _ in 0..2 {
            let refused = lab.set_bridge("p:p0", Some("br")).await;
            lab.expect_refusal("to become a port", refused, Errno::EBUSY)?;
            lab.delete_last().await?;
        }
        lab.set_bridge("p:p0", Some("br")).await?;
        let refused = lab.grow(|lan| lan.macvlan("p:c0", "p:p0", Mode::Bridge)).await;
        lab.expect_refusal("a child of a port", refused, Errno::EBUSY)?;
        lab.set_bridge("p:p0", None).await?;
        let made = lab.grow(|lan| lan.macvlan("p:c0", "p:p0", Mode::Bridge)).await;
        lab.claim("a child of what is no port any more", made.is_ok(), format!("{made:?}"))
    });
}

const ON_A_BRIDGE: Rule = Rule {
    id: "macvlan.life.on-a-bridge-itself",
    promise: "a bridge may be a parent: its children are reached through its ports, and reach each \
              other in bridge mode",
    source: Source { cite: "observed on 6.1 and 6.18", strength: Strength::Observed },
    article: &[],
    needs: NEEDS,
};

#[test]
fn on_a_bridge_itself() {
    check(&ON_A_BRIDGE, async |case| {
        let topology = Topology::new("on-a-bridge")
            .host("c1")
            .host("c2")
            .host("a")
            .netns("sw")
            .bridge("sw:br")
            .cable("sw:p1", "a:eth0")
            .port("sw:p1", "br")
            .macvlan("c1:c0", "sw:br", Mode::Bridge)
            .macvlan("c2:c0", "sw:br", Mode::Bridge);
        let mut lab = case.lab(&topology).await?;
        let all = "
                c1 c2 a
            c1  .  +  +
            c2  +  .  +
            a   +  +  .";
        lab.expect(hairpin_harness::Class::Unicast, all).await?;
        lab.expect(hairpin_harness::Class::Broadcast, all).await?;
        Ok(())
    });
}

const CARRIER: Rule = Rule {
    id: "macvlan.life.carrier-is-the-parents",
    promise: "a child has carrier while its parent has: it goes with the far end of the cable or \
              with the parent and comes back with it",
    source: Source {
        cite: "macvlan_device_event and netif_stacked_transfer_operstate",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::parent("p:p0")]
#[case::far_end("e:e0")]
fn carrier_is_the_parents(#[case] moved: &str) {
    check(&CARRIER, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        for up in [false, true] {
            lab.expect_to_settle(moved, up).await?;
            let carrier = lab.link("c1:c0").await?.carrier;
            let words = if up { "has" } else { "has no" };
            lab.claim(&format!("the child {words} carrier"), carrier == up, carrier)?;
        }
        Ok(())
    });
}

const DOWN_PARENT: Rule = Rule {
    id: "macvlan.life.a-child-of-a-parent-that-is-down",
    promise: "a child of a parent that is down is born and may be up, without carrier, and gets \
              it with its parent",
    source: Source { cite: "macvlan_common_newlink and macvlan_open", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_child_of_a_parent_that_is_down() {
    check(&DOWN_PARENT, async |case| {
        let mut lab = case.lab(&cabled(Mode::Vepa).down("p:p0")).await?;
        let state = lab.link("c1:c0").await?;
        lab.claim("it is up", state.up, state.up)?;
        lab.claim("without carrier", !state.carrier, state.carrier)?;
        lab.expect_to_settle("p:p0", true).await?;
        let state = lab.link("c1:c0").await?;
        lab.claim("it has carrier", state.carrier, state.carrier)
    });
}

const CHILD_AS_A_PORT: Rule = Rule {
    id: "macvlan.life.a-child-as-a-bridge-port",
    promise: "a child may be a bridge port; it is then promiscuous, and its parent once more",
    source: Source { cite: "observed on 6.1 and 6.18", strength: Strength::Observed },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_child_as_a_bridge_port() {
    check(&CHILD_AS_A_PORT, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge).bridge("c1:br")).await?;
        lab.set_bridge("c1:c0", Some("br")).await?;
        expect_counts(&lab, "as a port", 1, 2).await?;
        lab.set_bridge("c1:c0", None).await?;
        expect_counts(&lab, "as none", 0, 1).await
    });
}

async fn expect_counts(lab: &CaseLab, when: &str, child: u32, parent: u32) -> Result<(), Stop> {
    let seen = (lab.link("c1:c0").await?.promiscuity, lab.link("p:p0").await?.promiscuity);
    let claim = format!("{when}: promiscuity {child} of the child, {parent} of its parent");
    lab.claim(&claim, seen == (child, parent), format!("{seen:?}"))
}
