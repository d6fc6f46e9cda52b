//! The flags of a bridge port, one at a time.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_harness::Class::{Broadcast, Multicast, Unicast};
use hairpin_harness::options::{bridge, port};
use hairpin_harness::{Class, Fdb, Need, PortFlags, Rule, Shot, Source, Strength, Topology, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[ISOLATED, NO_FLOOD, NO_BROADCAST, LOCKED, HAIRPIN_OFF, VLANS, AT_ONCE];

fn three_ports() -> Topology {
    Topology::new("three-ports")
        .host("a")
        .host("b")
        .host("c")
        .netns("sw")
        .bridge("sw:br")
        .cable("sw:p1", "a:eth0")
        .port("sw:p1", "br")
        .cable("sw:p2", "b:eth0")
        .port("sw:p2", "br")
        .cable("sw:p3", "c:eth0")
        .port("sw:p3", "br")
}

const ALL: &str = "
        a b c
    a   . + +
    b   + . +
    c   + + .";

const fn flags() -> PortFlags {
    PortFlags {
        hairpin: None,
        isolated: None,
        learning: None,
        flood: None,
        bcast_flood: None,
        mcast_flood: None,
        locked: None,
    }
}

const ISOLATED: Rule = Rule {
    id: "bridge.port.isolated-ports-stay-apart",
    promise: "nothing passes between two isolated ports; either reaches those that are not, and they it",
    source: Source { cite: "bridge(8), isolated", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::unicast(Unicast)]
#[case::broadcast(Broadcast)]
#[case::multicast(Multicast)]
fn isolated_ports_stay_apart(#[case] class: Class) {
    check(&ISOLATED, async |case| {
        let mut lab = case.lab(&three_ports()).await?;
        lab.set_port("sw:p1", flags().isolated(true)).await?;
        lab.expect(class, ALL).await?;
        lab.set_port("sw:p2", flags().isolated(true)).await?;
        let apart = "
                a b c
            a   . # +
            b   # . +
            c   + + .";
        lab.expect(class, apart).await?;
        Ok(())
    });
}

const NO_FLOOD: Rule = Rule {
    id: "bridge.port.flood-off-stops-unknown-unicast-only",
    promise: "a port with flood off gets unicast only for addresses that were learned on it; \
              broadcast and multicast still go there",
    source: Source { cite: "bridge(8), flood", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[test]
fn flood_off_stops_unknown_unicast_only() {
    check(&NO_FLOOD, async |case| {
        let mut lab = case.lab(&three_ports()).await?;
        // Without learning every address is unknown.
        for port in ["sw:p1", "sw:p2", "sw:p3"] {
            lab.set_port(port, flags().learning(false)).await?;
            lab.flush_fdb(port).await?;
        }
        lab.expect(Unicast, ALL).await?;
        lab.set_port("sw:p1", flags().flood(false)).await?;
        let unknown = "
                a b c
            a   . + +
            b   # . +
            c   # + .";
        lab.expect(Unicast, unknown).await?;
        lab.expect(Broadcast, ALL).await?;
        lab.expect(Multicast, ALL).await?;
        Ok(())
    });
}

const NO_BROADCAST: Rule = Rule {
    id: "bridge.port.group-flood-off-stops-its-own-kind",
    promise: "bcast_flood off keeps broadcast from a port, mcast_flood off unregistered multicast; \
              neither touches the other, nor unicast",
    source: Source {
        cite: "bridge(8), bcast_flood and mcast_flood",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::broadcast(flags().bcast_flood(false), Broadcast, Multicast)]
#[case::multicast(flags().mcast_flood(false), Multicast, Broadcast)]
fn group_flood_off_stops_its_own_kind(
    #[case] off: PortFlags,
    #[case] stopped: Class,
    #[case] other: Class,
) {
    check(&NO_BROADCAST, async |case| {
        let mut lab = case.lab(&three_ports()).await?;
        lab.expect(stopped, ALL).await?;
        lab.set_port("sw:p1", off).await?;
        let kept_from_a = "
                a b c
            a   . + +
            b   # . +
            c   # + .";
        lab.expect(stopped, kept_from_a).await?;
        lab.expect(other, ALL).await?;
        lab.expect(Unicast, ALL).await?;
        Ok(())
    });
}

const LOCKED: Rule = Rule {
    id: "bridge.port.locked-drops-unknown-senders",
    promise: "a locked port takes frames only from addresses that are pinned to it",
    source: Source { cite: "bridge(8), locked", strength: Strength::Documented },
    article: &["M11"],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::LockedPorts],
};

#[rstest]
#[case::unicast(Unicast)]
#[case::broadcast(Broadcast)]
fn locked_drops_unknown_senders(#[case] class: Class) {
    check(&LOCKED, async |case| {
        let mut lab = case.lab(&three_ports()).await?;
        lab.set_port("sw:p1", flags().locked(true).learning(false)).await?;
        lab.flush_fdb("sw:p1").await?;
        let locked_out = "
                a b c
            a   . # #
            b   + . +
            c   + + .";
        lab.expect(class, locked_out).await?;
        let a = lab.mac("a:eth0");
        lab.add_fdb("sw:p1", a, Fdb::STATIC).await?;
        lab.expect(class, ALL).await?;
        Ok(())
    });
}

const HAIRPIN_OFF: Rule = Rule {
    id: "bridge.port.hairpin-sends-back",
    promise: "a frame leaves again by the port it came in by only while hairpin is on there",
    source: Source {
        cite: "bridge(8), hairpin; IEEE 802.1Q reflective relay",
        strength: Strength::Standard,
    },
    article: &["M6"],
    needs: NEEDS,
};

#[rstest]
#[case::broadcast(Broadcast)]
#[case::multicast(Multicast)]
fn hairpin_sends_back(#[case] class: Class) {
    check(&HAIRPIN_OFF, async |case| {
        let mut lab = case.lab(&three_ports()).await?;
        lab.expect(class, ALL).await?;
        lab.set_port("sw:p1", flags().hairpin(true)).await?;
        let a_hears_itself = "
                a b c
            a   + + +
            b   + . +
            c   + + .";
        let grid = lab.expect(class, a_hears_itself).await?;
        let back = grid.cell("a", "a").is_some_and(|cell| {
            cell.path("frame").contains("sw:p1< sw:br< sw:p1>")
                || cell.path("frame").contains("sw:p1> ")
        });
        lab.claim("the frame left p1 again", back, "it did not")
    });
}

const VLANS: Rule = Rule {
    id: "bridge.port.vlan-filtering-passes-the-default-vlan",
    promise: "a bridge that keeps VLANs apart still passes untagged frames between its ports, \
              which are all in its default VLAN",
    source: Source {
        cite: "bridge(8), vlan_filtering and vlan_default_pvid",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::VlanFiltering],
};

#[test]
fn vlan_filtering_passes_the_default_vlan() {
    check(&VLANS, async |case| {
        let mut topology = three_ports();
        for link in &mut topology.links {
            if let hairpin_harness::topology::Kind::Bridge(settings) = &mut link.kind {
                settings.vlan_filtering = true;
            }
        }
        let mut lab = case.lab(&topology).await?;
        lab.expect(Unicast, ALL).await?;
        Ok(())
    });
}

const AT_ONCE: Rule = Rule {
    id: "bridge.port.forwards-at-once-where-no-tree-is-spoken",
    promise: "a port that comes up forwards at once where no spanning tree is spoken, whatever the \
              bridge's forward delay",
    source: Source { cite: "br_make_forwarding, net/bridge/br_stp.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn forwards_at_once_where_no_tree_is_spoken() {
    check(&AT_ONCE, async |case| {
        let mut lab = case.lab(&three_ports()).await?;
        lab.set_option("sw:br", bridge::FORWARD_DELAY, 1500).await?;
        for up in [false, true] {
            lab.set_up("sw:p1", up).await?;
        }
        lab.expect_up("sw:p1", true).await?;
        lab.expect_option("sw:p1", port::STATE, 3).await?;
        lab.expect_shot("b", &Shot::broadcast(), "a broadcast, c broadcast").await?;
        Ok(())
    });
}
