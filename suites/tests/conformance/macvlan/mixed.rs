//! Siblings of different modes on one parent.
//!
//! ```text
//!   c1 (one mode) ---\
//!                     p0 --- s0 (plain, then reflecting)
//!   c2 (another)  ---/
//! ```

use hairpin_fixtures::lan::mixed_lan;
use hairpin_fixtures::reflecting;
use hairpin_harness::Class::{Broadcast, Unicast};
use hairpin_harness::{Kernel, Mode, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[UNLIKE_SIBLINGS, UNLIKE_GROUPS];

const UNLIKE_SIBLINGS: Rule = Rule {
    id: "macvlan.mixed.only-bridge-to-bridge-is-direct",
    promise: "siblings hand frames over inside the driver only if both are in bridge mode; all \
              others need a reflecting switch",
    source: Source { cite: "macvlan_queue_xmit, drivers/net/macvlan.c", strength: Strength::Code },
    article: &["M5", "M6", "M8"],
    needs: NEEDS,
};

#[rstest]
#[case::private_bridge(Mode::Private, Mode::Bridge)]
#[case::bridge_private(Mode::Bridge, Mode::Private)]
#[case::vepa_bridge(Mode::Vepa, Mode::Bridge)]
#[case::private_vepa(Mode::Private, Mode::Vepa)]
fn only_bridge_to_bridge_is_direct(#[case] first: Mode, #[case] second: Mode) {
    check(&UNLIKE_SIBLINGS, async |case| {
        let mut lab = case.lab(&mixed_lan(first, second)).await?;
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
        lab.expect(Unicast, reflected).await?;
        Ok(())
    });
}

const UNLIKE_GROUPS: Rule = Rule {
    id: "macvlan.mixed.reflected-groups-follow-the-sender",
    promise: "what becomes of a reflected broadcast is decided by the sender's mode: private ones \
              are dropped, bridge ones go to vepa siblings, vepa ones to bridge siblings; since \
              b52363f706e5 a bridge sender hears itself",
    source: Source {
        cite: "macvlan_process_broadcast, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M5", "M6", "M8"],
    needs: NEEDS,
};

#[rstest]
#[case::private_bridge(
    Mode::Private,
    Mode::Bridge,
    "   c1 c2 p e
    c1  +  #  # +
    c2  #  .  + +
    p   +  +  + +
    e   +  +  + .",
    "   c1 c2 p e
    c1  +  #  # +
    c2  #  +  + +
    p   +  +  + +
    e   +  +  + ."
)]
#[case::vepa_bridge(
    Mode::Vepa,
    Mode::Bridge,
    "   c1 c2 p e
    c1  .  +  + +
    c2  +  .  + +
    p   +  +  + +
    e   +  +  + .",
    "   c1 c2 p e
    c1  .  +  + +
    c2  +  +  + +
    p   +  +  + +
    e   +  +  + ."
)]
fn reflected_groups_follow_the_sender(
    #[case] first: Mode,
    #[case] second: Mode,
    #[case] before: &str,
    #[case] since: &str,
) {
    check(&UNLIKE_GROUPS, async |case| {
        let mut lab = case.lab(&mixed_lan(first, second)).await?;
        let plain = "
                c1 c2 p e
            c1  .  #  # +
            c2  #  .  # +
            p   #  #  . +
            e   +  +  + .";
        lab.expect(Broadcast, plain).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let shared_source_mac = Kernel::running() >= super::bridge::SHARED_SOURCE_MAC;
        lab.expect(Broadcast, if shared_source_mac { since } else { before }).await?;
        super::expect_all_reached(&mut lab, Broadcast).await
    });
}
