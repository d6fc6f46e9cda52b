//! bridge: siblings talk inside the machine, and what becomes of that when the parent goes down.
//!
//! ```text
//!   c1 ---+
//!         | directly          unicast between siblings never touches p0
//!   c2 ---+ --- p0 --- s0     groups also leave by p0
//! ```

use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::Class::{Broadcast, Multicast, Ping4, Ping6, Unicast};
use hairpin_harness::{Class, Kernel, Mode, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[SIBLINGS_TALK_DIRECTLY, WIRE_IS_NOT_TOUCHED, REFLECTED_GROUPS, DOWN_WITH_THE_PARENT];

const SIBLINGS_TALK_DIRECTLY: Rule = Rule {
    id: "macvlan.bridge.siblings-talk-directly",
    promise: "bridge siblings talk whatever the switch outside does; their parent stays apart",
    source: Source { cite: "ip-link(8), macvlan mode bridge", strength: Strength::Documented },
    article: &["M8", "M12"],
    needs: NEEDS,
};

#[rstest]
#[case::ping4(Ping4)]
#[case::ping6(Ping6)]
#[case::unicast(Unicast)]
#[case::broadcast(Broadcast)]
#[case::multicast(Multicast)]
fn siblings_talk_directly(#[case] class: Class) {
    check(&SIBLINGS_TALK_DIRECTLY, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let talking = "
                c1 c2 p e
            c1  .  +  # +
            c2  +  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(class, talking).await?;
        super::expect_all_reached(&mut lab, class).await
    });
}

const WIRE_IS_NOT_TOUCHED: Rule = Rule {
    id: "macvlan.bridge.unicast-never-touches-the-wire",
    promise: "unicast between bridge siblings never leaves by the parent: it is handed over as if \
              the parent had received it, and the wire stays silent, whatever the switch does",
    source: Source { cite: "macvlan_queue_xmit, drivers/net/macvlan.c", strength: Strength::Code },
    article: &["M8"],
    needs: NEEDS,
};

#[test]
fn unicast_never_touches_the_wire() {
    check(&WIRE_IS_NOT_TOUCHED, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let plain = "
                c1 c2 p e
            c1  .  +  # +
            c2  +  .  # +
            p   #  #  . +
            e   +  +  + .";
        let grid = lab.expect(Unicast, plain).await?;
        lab.expect_path(&grid, "c1", "c2", "frame", "c1:c0> p:p0< c2:c0<")?;
        lab.set_port("sw:s0", reflecting()).await?;
        let reflected = "
                c1 c2 p e
            c1  .  +  + +
            c2  +  .  + +
            p   +  +  . +
            e   +  +  + .";
        let grid = lab.expect(Unicast, reflected).await?;
        lab.expect_path(&grid, "c1", "c2", "frame", "c1:c0> p:p0< c2:c0<")
    });
}

const REFLECTED_GROUPS: Rule = Rule {
    id: "macvlan.bridge.reflected-groups-arrive-once",
    promise: "a bridge child's broadcast or multicast that a switch sends back reaches each sibling \
              once and its sender not at all; since b52363f706e5 siblings get it twice and the \
              sender hears itself",
    source: Source {
        cite: "macvlan_process_broadcast, drivers/net/macvlan.c; \
               commit b52363f706e5 \"net: macvlan: support multicast rx for bridge ports with shared source MAC\"",
        strength: Strength::Code,
    },
    article: &["M8"],
    needs: NEEDS,
};

#[rstest]
#[case::broadcast(Broadcast)]
#[case::multicast(Multicast)]
fn reflected_groups_arrive_once(#[case] class: Class) {
    check(&REFLECTED_GROUPS, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let plain = "
                c1 c2 p e
            c1  .  +  # +
            c2  +  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(class, plain).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let once = "
                c1 c2 p e
            c1  .  +  + +
            c2  +  .  + +
            p   +  +  + +
            e   +  +  + .";
        let twice = "
                c1 c2 p e
            c1  +  2  + +
            c2  2  +  + +
            p   +  +  + +
            e   +  +  + .";
        let shared_source_mac = Kernel::running() >= SHARED_SOURCE_MAC;
        lab.expect(class, if shared_source_mac { twice } else { once }).await?;
        Ok(())
    });
}

/// The first series with b52363f706e5.
pub(crate) const SHARED_SOURCE_MAC: Kernel = Kernel::new(7, 1);

const DOWN_WITH_THE_PARENT: Rule = Rule {
    id: "macvlan.bridge.down-with-the-parent",
    promise: "with the parent down its children lose carrier and siblings cannot talk; with the \
              parent up again they do, without being touched",
    source: Source {
        cite: "macvlan_device_event and netif_stacked_transfer_operstate",
        strength: Strength::Code,
    },
    article: &["M9"],
    needs: NEEDS,
};

#[rstest]
#[case::ping4(Ping4, 'N')]
#[case::ping6(Ping6, 'N')]
#[case::unicast(Unicast, '#')]
#[case::broadcast(Broadcast, '#')]
#[case::multicast(Multicast, '#')]
fn down_with_the_parent(#[case] class: Class, #[case] parent: char) {
    check(&DOWN_WITH_THE_PARENT, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Bridge)).await?;
        let up = "
                c1 c2 p e
            c1  .  +  # +
            c2  +  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(class, up).await?;
        lab.set_up("p:p0", false).await?;
        for child in ["c1:c0", "c2:c0"] {
            let link = lab.link(child).await?;
            lab.claim(
                &format!("{child} is up and has no carrier"),
                link.up && !link.carrier,
                format!("{link:?}"),
            )?;
        }
        // The parent's own machine has lost its route, which it says.
        let down = format!(
            "   c1 c2 p e
            c1  .  #  # #
            c2  #  .  # #
            p   {parent}  {parent}  . {parent}
            e   #  #  # ."
        );
        lab.expect(class, &down).await?;
        lab.set_up("p:p0", true).await?;
        lab.expect(class, up).await?;
        super::expect_all_reached(&mut lab, class).await
    });
}
