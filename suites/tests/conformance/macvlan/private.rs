//! private: siblings may not talk, and what that promise is worth behind a reflecting switch.
//!
//! ```text
//!   c1 ---\            plain: as vepa, nothing comes back
//!          p0 --- s0   reflecting: broadcast that comes back is dropped for siblings,
//!   c2 ---/            unicast is NOT: the driver looks at the destination only
//! ```

use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::Class::{Broadcast, Multicast, Ping4, Ping6, Unicast};
use hairpin_harness::{Class, Mode, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[SIBLINGS_STAY_APART, REFLECTED_QUESTIONS_ARE_DROPPED, REFLECTED_UNICAST_PASSES];

const SIBLINGS_STAY_APART: Rule = Rule {
    id: "macvlan.private.siblings-stay-apart",
    promise: "private siblings do not talk; they reach the network outside, and it them",
    source: Source { cite: "ip-link(8), macvlan mode private", strength: Strength::Documented },
    article: &["M5"],
    needs: NEEDS,
};

#[rstest]
#[case::ping4(Ping4)]
#[case::ping6(Ping6)]
#[case::unicast(Unicast)]
#[case::broadcast(Broadcast)]
#[case::multicast(Multicast)]
fn siblings_stay_apart(#[case] class: Class) {
    check(&SIBLINGS_STAY_APART, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Private)).await?;
        let apart = "
                c1 c2 p e
            c1  .  #  # +
            c2  #  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(class, apart).await?;
        // The twins: the mode was the cause between siblings, the switch towards the parent.
        super::in_mode(&mut lab, Mode::Bridge).await?;
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

const REFLECTED_QUESTIONS_ARE_DROPPED: Rule = Rule {
    id: "macvlan.private.reflected-groups-are-dropped",
    promise: "a private child's broadcast or multicast that a switch sends back reaches neither \
              siblings nor parent, so neighbours are never resolved; it comes back to its sender",
    source: Source {
        cite: "macvlan_handle_frame, \"forward to original port\", drivers/net/macvlan.c; commit 618e1b7482f7",
        strength: Strength::Code,
    },
    article: &["M5", "M12"],
    needs: NEEDS,
};

mod reflected_groups_are_dropped {
    use super::*;

    #[rstest]
    #[case::broadcast(Broadcast)]
    #[case::multicast(Multicast)]
    fn group(#[case] class: Class) {
        check(&REFLECTED_QUESTIONS_ARE_DROPPED, async |case| {
            let topology = macvlan_lan(Mode::Private).port_with("sw:s0", "br0", reflecting());
            let mut lab = case.lab(&topology).await?;
            let dropped = "
                    c1 c2 p e
                c1  +  #  # +
                c2  #  +  # +
                p   +  +  + +
                e   +  +  + .";
            lab.expect(class, dropped).await?;
            super::super::expect_all_reached(&mut lab, class).await
        });
    }

    #[rstest]
    #[case::ping4(Ping4)]
    #[case::ping6(Ping6)]
    fn resolution(#[case] class: Class) {
        check(&REFLECTED_QUESTIONS_ARE_DROPPED, async |case| {
            let topology = macvlan_lan(Mode::Private).port_with("sw:s0", "br0", reflecting());
            let mut lab = case.lab(&topology).await?;
            // The parent may ask its children: it is no child itself.
            let unresolved = "
                    c1 c2 p e
                c1  .  #  # +
                c2  #  .  # +
                p   +  +  . +
                e   +  +  + .";
            lab.expect(class, unresolved).await?;
            super::super::expect_all_reached(&mut lab, class).await
        });
    }
}

const REFLECTED_UNICAST_PASSES: Rule = Rule {
    id: "macvlan.private.reflected-unicast-passes",
    promise: "unicast between private siblings passes by way of a reflecting switch, although the \
              documents say never: only the source of groups is looked up",
    source: Source {
        cite: "observed on 6.1, 6.18 and 7.3; ip-link(8) and commit 618e1b7482f7 promise the opposite",
        strength: Strength::Observed,
    },
    article: &["M5"],
    needs: NEEDS,
};

#[test]
fn reflected_unicast_passes() {
    check(&REFLECTED_UNICAST_PASSES, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Private)).await?;
        let plain = "
                c1 c2 p e
            c1  .  #  # +
            c2  #  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(Unicast, plain).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let reflected = "
                c1 c2 p e
            c1  .  +  + +
            c2  +  .  + +
            p   +  +  . +
            e   +  +  + .";
        let grid = lab.expect(Unicast, reflected).await?;
        let out_and_back = "c1:c0> p:p0> sw:s0< sw:s0> p:p0< c2:c0<";
        lab.expect_path(&grid, "c1", "c2", "frame", out_and_back)
    });
}
