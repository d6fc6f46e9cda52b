//! vepa: every frame leaves by the parent, and the switch outside decides.
//!
//! ```text
//!   c1 ---\
//!          p0 ---> s0   plain: taken in, not sent back      -> siblings cannot talk
//!   c2 ---/   <--- s0   reflecting (hairpin on): sent back  -> siblings can talk
//! ```

use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::Class::{Broadcast, Multicast, Ping4, Ping6, Unicast};
use hairpin_harness::{Class, Mode, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[SIBLINGS_NEED_REFLECTION, FRAMES_GO_OUT_AND_BACK];

const SIBLINGS_NEED_REFLECTION: Rule = Rule {
    id: "macvlan.vepa.siblings-need-reflection",
    promise: "vepa siblings talk only by way of a switch that sends frames back out of the port \
              they came in by; without one their frames leave by the parent and are lost",
    source: Source {
        cite: "ip-link(8), macvlan mode vepa; IEEE 802.1Q reflective relay",
        strength: Strength::Documented,
    },
    article: &["M6", "M7"],
    needs: NEEDS,
};

#[rstest]
#[case::ping4(Ping4)]
#[case::ping6(Ping6)]
#[case::unicast(Unicast)]
fn siblings_need_reflection(#[case] class: Class) {
    check(&SIBLINGS_NEED_REFLECTION, async |case| {
        let mut lab = case.lab(&macvlan_lan(Mode::Vepa)).await?;
        let plain = "
                c1 c2 p e
            c1  .  #  # +
            c2  #  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(class, plain).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let reflected = "
                c1 c2 p e
            c1  .  +  + +
            c2  +  .  + +
            p   +  +  . +
            e   +  +  + .";
        lab.expect(class, reflected).await?;
        Ok(())
    });
}

const FRAMES_GO_OUT_AND_BACK: Rule = Rule {
    id: "macvlan.vepa.frames-go-out-and-back",
    promise: "a vepa child's frame to its sibling is seen leaving by the parent, at the switch \
              port, and coming back by the parent; a group's frame comes back once, not to its sender",
    source: Source {
        cite: "macvlan_queue_xmit and macvlan_process_broadcast, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M6"],
    needs: NEEDS,
};

mod frames_go_out_and_back {
    use super::*;

    #[test]
    fn unicast() {
        check(&FRAMES_GO_OUT_AND_BACK, async |case| {
            let mut lab = case.lab(&macvlan_lan(Mode::Vepa)).await?;
            let plain = "
                    c1 c2 p e
                c1  .  #  # +
                c2  #  .  # +
                p   #  #  . +
                e   +  +  + .";
            let grid = lab.expect(Unicast, plain).await?;
            lab.expect_path(&grid, "c1", "c2", "frame", "c1:c0> p:p0> sw:s0<")?;
            lab.set_port("sw:s0", reflecting()).await?;
            let reflected = "
                    c1 c2 p e
                c1  .  +  + +
                c2  +  .  + +
                p   +  +  . +
                e   +  +  + .";
            let grid = lab.expect(Unicast, reflected).await?;
            let out_and_back = "c1:c0> p:p0> sw:s0< sw:s0> p:p0< c2:c0<";
            lab.expect_path(&grid, "c1", "c2", "frame", out_and_back)?;
            Ok(())
        });
    }

    #[rstest]
    #[case::broadcast(Broadcast)]
    #[case::multicast(Multicast)]
    fn group(#[case] class: Class) {
        check(&FRAMES_GO_OUT_AND_BACK, async |case| {
            let mut lab = case.lab(&macvlan_lan(Mode::Vepa)).await?;
            let plain = "
                    c1 c2 p e
                c1  .  #  # +
                c2  #  .  # +
                p   #  #  . +
                e   +  +  + .";
            lab.expect(class, plain).await?;
            lab.set_port("sw:s0", reflecting()).await?;
            // The parent is no child: its own frame comes back to it as a stranger's.
            let reflected = "
                    c1 c2 p e
                c1  .  +  + +
                c2  +  .  + +
                p   +  +  + +
                e   +  +  + .";
            lab.expect(class, reflected).await?;
            Ok(())
        });
    }
}
