//! Who gets a frame, and as what: one frame at a time, with addresses of the case's own.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::{LinkName, Mac, Mode, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[UNKNOWN_ADDRESSES];

/// An address that no link of the topology has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x02]);

const UNKNOWN_ADDRESSES: Rule = Rule {
    id: "macvlan.delivery.only-its-own-address",
    promise: "a child takes unicast for its own address only, as its own; its parent sees what is \
              for nobody as somebody else's",
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
    check(&UNKNOWN_ADDRESSES, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        let mac = |link: &str| lab.topology().mac_of(&LinkName::from(link));
        let (c1, p) = (mac("c1:c0"), mac("p:p0"));
        lab.expect_shot("e", &Shot::to(c1), "c1 host").await?;
        lab.expect_shot("e", &Shot::to(p), "p host").await?;
        lab.expect_shot("e", &Shot::to(NOBODY), "p other").await?;
        lab.expect_shot("e", &Shot::broadcast(), "c1 broadcast, c2 broadcast, p broadcast").await?;
        lab.set_port("sw:s0", reflecting()).await?;
        lab.expect_shot("c1", &Shot::to(p), "p host").await?;
        Ok(())
    });
}
