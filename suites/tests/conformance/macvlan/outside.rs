//! What the network outside sees of a machine with macvlan children.
//!
//! ```text
//!   c1, c2 --- p0 --- s0 [switch] s1 --- e
//!                     knows c1, c2 and p at one port
//! ```

use hairpin_fixtures::lan::quiet;
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::Class::{Ping4, Ping6, Unicast};
use hairpin_harness::{Class, Family, Fdb, Mode, PortFlags, Rule, Source, Strength, check};
use rstest::rstest;

use super::{NEEDS, NEEDS_LOCKED_PORTS};
use crate::moved::expect_followed;

pub(crate) const RULES: &[Rule] = &[
    SEVERAL_HOSTS,
    OWN_FRAMES_ONLY,
    REACHED_FROM_BOTH_SIDES,
    UNKNOWN_MACS_ARE_DROPPED,
    NEIGHBOUR_MOVED,
];

const SEVERAL_HOSTS: Rule = Rule {
    id: "macvlan.outside.several-hosts-on-one-port",
    promise: "each child has a MAC and an IP address of its own: the outside resolves each to its \
              own MAC, and the switch learns them all at one port",
    source: Source { cite: "ip-link(8), macvlan", strength: Strength::Documented },
    article: &["M1"],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn several_hosts_on_one_port(#[case] mode: Mode) {
    check(&SEVERAL_HOSTS, async |case| {
        let topology = macvlan_lan(mode).port_with("sw:s0", "br0", super::reflecting());
        let mut lab = case.lab(&topology).await?;
        for child in ["c1", "c2"] {
            let cell = lab.ping(Family::V4, "e", child).await?;
            lab.claim(&format!("e reaches {child}"), cell.verdict.symbol() == '+', &cell.verdict)?;
            let mac = lab.link(format!("{child}:c0").as_str()).await?.mac;
            let address = lab.topology().address_of(child, Family::V4).expect("children have one");
            let resolved = lab.neighbour("e", address).await?;
            let claim = format!("e resolves {child} to its own address {mac}");
            lab.claim(&claim, resolved == Some(mac), format!("{resolved:?}"))?;
            let port = lab.fdb_port("sw", mac).await?;
            let claim = format!("the switch knows {mac} at s0");
            lab.claim(&claim, port.as_deref() == Some("s0"), format!("{port:?}"))?;
        }
        Ok(())
    });
}

const OWN_FRAMES_ONLY: Rule = Rule {
    id: "macvlan.outside.unicast-reaches-its-child-only",
    promise: "a frame from outside is handed to the child that has its destination address, and to \
              nobody else",
    source: Source {
        cite: "macvlan_handle_frame, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M2"],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn unicast_reaches_its_child_only(#[case] mode: Mode) {
    check(&OWN_FRAMES_ONLY, async |case| {
        let topology = macvlan_lan(mode).port_with("sw:s0", "br0", super::reflecting());
        let mut lab = case.lab(&topology).await?;
        let all = "
                c1 c2 p e
            c1  .  +  + +
            c2  +  .  + +
            p   +  +  . +
            e   +  +  + .";
        let grid = lab.expect(Unicast, all).await?;
        for child in ["c1", "c2"] {
            let path = format!("e:e0> sw:s1< sw:s0> p:p0< {child}:c0<");
            lab.expect_path(&grid, "e", child, "frame", &path)?;
        }
        for (from, to, cell) in grid.pairs() {
            let claim = format!("nobody else takes the frame from {from} to {to}");
            lab.claim(&claim, cell.overheard.is_empty(), cell.overheard.join(", "))?;
        }
        Ok(())
    });
}

const REACHED_FROM_BOTH_SIDES: Rule = Rule {
    id: "macvlan.outside.reached-from-both-sides",
    promise: "children and the network outside reach each other, whoever speaks first, whatever \
              the switch does",
    source: Source {
        cite: "ip-link(8), macvlan; the lost first contact of 5.4.11 and 4.19.97 (bugzilla 206223)",
        strength: Strength::Documented,
    },
    article: &["M1", "M5", "M6"],
    needs: NEEDS,
};

#[rstest]
#[case::private_v4(Mode::Private, Family::V4)]
#[case::private_v6(Mode::Private, Family::V6)]
#[case::vepa_v4(Mode::Vepa, Family::V4)]
#[case::vepa_v6(Mode::Vepa, Family::V6)]
#[case::bridge_v4(Mode::Bridge, Family::V4)]
#[case::bridge_v6(Mode::Bridge, Family::V6)]
fn reached_from_both_sides(#[case] mode: Mode, #[case] family: Family) {
    check(&REACHED_FROM_BOTH_SIDES, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        for reflect in [false, true] {
            let flags = PortFlags::default().hairpin(reflect);
            lab.set_port("sw:s0", flags).await?;
            for (from, to) in
                [("e", "c1"), ("c1", "e"), ("e", "c2"), ("c2", "e"), ("e", "p"), ("p", "e")]
            {
                let cell = lab.ping(family, from, to).await?;
                let claim = format!("{from} reaches {to}, first contact, switch port {flags}");
                lab.claim(&claim, cell.verdict.symbol() == '+', &cell.verdict)?;
            }
        }
        Ok(())
    });
}

const UNKNOWN_MACS_ARE_DROPPED: Rule = Rule {
    id: "macvlan.outside.a-cloud-port-drops-children",
    promise: "a switch port that takes frames only from the address it was told of, as clouds and \
              hypervisors have them, cuts children off from the network outside; their parent and \
              bridge siblings go on",
    source: Source {
        cite: "bridge(8), locked; VMware \"forged transmits\"; the article's cloud machine",
        strength: Strength::Documented,
    },
    article: &["M11"],
    needs: NEEDS_LOCKED_PORTS,
};

#[rstest]
#[case::unicast(Unicast)]
#[case::ping4(Ping4)]
#[case::ping6(Ping6)]
fn a_cloud_port_drops_children(#[case] class: Class) {
    check(&UNKNOWN_MACS_ARE_DROPPED, async |case| {
        let cloud = PortFlags::default().locked(true).learning(false);
        let topology = macvlan_lan(Mode::Bridge).port_with("sw:s0", "br0", cloud);
        let mut lab = case.lab(&topology).await?;
        let parent = lab.link("p:p0").await?.mac;
        lab.flush_fdb("sw:s0").await?;
        lab.add_fdb("sw:s0", parent, Fdb::STATIC).await?;
        // What the machine outside sends still comes in. A ping's first question does, too; its
        // answer is lost, so the ping itself never leaves.
        let inwards = if class == Unicast { '+' } else { '#' };
        let pinned = format!(
            "   c1 c2 p e
            c1  .  +  # #
            c2  +  .  # #
            p   #  #  . +
            e   {inwards}  {inwards}  + ."
        );
        lab.expect(class, &pinned).await?;
        lab.set_port("sw:s0", PortFlags::default().locked(false)).await?;
        let open = "
                c1 c2 p e
            c1  .  +  # +
            c2  +  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(class, open).await?;
        super::expect_all_reached(&mut lab, class).await
    });
}

const NEIGHBOUR_MOVED: Rule = Rule {
    id: "macvlan.outside.a-neighbours-new-address-is-used-at-once",
    promise: "what a child sends to a neighbour that has another Ethernet address than before goes to \
              the new one from then on",
    source: Source {
        cite: "macvlan_hard_header_ops, cache_update, drivers/net/macvlan.c; neigh_update_hhs",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_neighbours_new_address_is_used_at_once() {
    check(&NEIGHBOUR_MOVED, async |case| {
        let mut lab = case.lab(&quiet(macvlan_lan(Mode::Bridge))).await?;
        expect_followed(&mut lab, "c1:c0").await
    });
}
