//! Links that go while frames are under way, and a child whose owner holds its carrier down.
//!
//! ```text
//!   c1   c2
//!     \ /
//!      p0 --- s0 [br0, reflecting] s1 --- e
//! ```

use hairpin_fixtures::lan::cabled;
use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::options::link::PROTO_DOWN;
use hairpin_harness::{Class, Errno, Mode, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[GONE, HELD];

const GONE: Rule = Rule {
    id: "macvlan.end.nothing-holds-what-is-deleted",
    promise: "a child that has sent and got frames, reflected ones too, is gone when it is \
              deleted, and so is its parent: no frame in the queue keeps either",
    source: Source {
        cite: "macvlan_process_broadcast and macvlan_port_destroy, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::source(Mode::Source)]
fn nothing_holds_what_is_deleted(#[case] mode: Mode) {
    check(&GONE, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        lab.observe(Class::Broadcast).await?;
        lab.observe(Class::Unicast).await?;
        for gone in ["c1:c0", "c2:c0", "p:p0"] {
            lab.send_many("c1:c0", &Shot::broadcast(), 50)?;
            lab.send_many("e:e0", &Shot::broadcast(), 50)?;
            lab.delete(gone).await?;
            let there = lab.exists(gone)?;
            lab.claim(&format!("{gone} is gone"), !there, "it is there")?;
        }
        Ok(())
    });
}

const HELD: Rule = Rule {
    id: "macvlan.end.a-child-may-be-held-down",
    promise: "a child's carrier may be held down by whoever minds its protocol, though its parent \
              has carrier, and comes back when it is let go; a cable's end takes no such wish",
    source: Source {
        cite: "macvlan_common_setup, IFF_CHANGE_PROTO_DOWN; ip-link(8), protodown",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_child_may_be_held_down() {
    check(&HELD, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        for (held, carrier) in [(1, false), (0, true)] {
            let done = lab.set_option("c1:c0", PROTO_DOWN, held).await;
            lab.expect_done(&format!("held {held}"), done)?;
            lab.expect_option("c1:c0", PROTO_DOWN, held).await?;
            let seen = lab.link("c1:c0").await?.carrier;
            lab.claim(&format!("held {held}: carrier {carrier}"), seen == carrier, seen)?;
            let parent = lab.link("p:p0").await?.carrier;
            lab.claim("the parent has carrier", parent, parent)?;
        }
        let done = lab.set_option("p:p0", PROTO_DOWN, 1).await;
        lab.expect_refusal("to hold a cable down", done, Errno::EOPNOTSUPP)
    });
}
