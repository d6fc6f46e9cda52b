//! Children and the machine that they are on.
//!
//! ```text
//!   c1 ---\
//!          p0 --- s0     p0's own address is on the machine itself
//!   c2 ---/
//! ```

use hairpin_fixtures::lan::{cabled, single_lan};
use hairpin_fixtures::{macvlan_lan, reflecting};
use hairpin_harness::Class::{Ping4, Ping6, Unicast};
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{Class, Mode, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[PARENT_IS_APART, SOURCE_PARENT_IS_APART, PROMISCUITY];

const PARENT_IS_APART: Rule = Rule {
    id: "macvlan.parent.apart-unless-reflected",
    promise: "no child talks to its parent's machine, nor that to it: their frames leave by the \
              wire; only a switch that reflects them brings the two together",
    source: Source {
        cite: "the article, \"no mode can talk to eth0\", true of plain switches; \
               macvlan_queue_xmit, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &["M12"],
    needs: NEEDS,
};

#[rstest]
#[case::vepa_ping4(Mode::Vepa, Ping4)]
#[case::vepa_ping6(Mode::Vepa, Ping6)]
#[case::vepa_unicast(Mode::Vepa, Unicast)]
#[case::bridge_ping4(Mode::Bridge, Ping4)]
#[case::bridge_ping6(Mode::Bridge, Ping6)]
#[case::bridge_unicast(Mode::Bridge, Unicast)]
#[case::private_unicast(Mode::Private, Unicast)]
fn apart_unless_reflected(#[case] mode: Mode, #[case] class: Class) {
    check(&PARENT_IS_APART, async |case| {
        let mut lab = case.lab(&macvlan_lan(mode)).await?;
        let s = if mode == Mode::Bridge { '+' } else { '#' };
        let plain = format!(
            "   c1 c2 p e
            c1  .  {s}  # +
            c2  {s}  .  # +
            p   #  #  . +
            e   +  +  + ."
        );
        let grid = lab.expect(class, &plain).await?;
        if class == Unicast {
            lab.expect_path(&grid, "c1", "p", "frame", "c1:c0> p:p0> sw:s0<")?;
            lab.expect_path(&grid, "p", "c1", "frame", "p:p0> sw:s0<")?;
        }
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

const SOURCE_PARENT_IS_APART: Rule = Rule {
    id: "macvlan.parent.apart-from-source-and-passthru",
    promise: "passthru and source children are as far from their parent's machine as the others",
    source: Source { cite: "macvlan_queue_xmit, drivers/net/macvlan.c", strength: Strength::Code },
    article: &["M12"],
    needs: NEEDS,
};

#[rstest]
#[case::passthru_unicast(Mode::Passthru)]
#[case::source_unicast(Mode::Source)]
fn apart_from_source_and_passthru(#[case] mode: Mode) {
    check(&SOURCE_PARENT_IS_APART, async |case| {
        let mut lab = case.lab(&single_lan(mode)).await?;
        let (heard, parent) = if mode == Mode::Passthru { ('+', '#') } else { ('#', '+') };
        let apart = format!(
            "   c1 p e
            c1  .  # +
            p   #  . +
            e   {heard}  {parent} ."
        );
        lab.expect(Unicast, &apart).await?;
        // The twin: a child of another mode behind a reflecting switch.
        lab.delete_last().await?;
        lab.grow(|lan| lan.macvlan("c1:c0", "p:p0", Mode::Vepa)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let together = "
                c1 p e
            c1  .  + +
            p   +  . +
            e   +  + .";
        lab.expect(Unicast, together).await?;
        Ok(())
    });
}

const PROMISCUITY: Rule = Rule {
    id: "macvlan.parent.promiscuous-as-long-as-needed",
    promise: "a parent without a filter for further addresses is promiscuous while it has a child \
              that is up, a passthru child with nopromisc asks for nothing, and afterwards the \
              count is zero",
    source: Source {
        cite: "macvlan_open and macvlan_stop, drivers/net/macvlan.c; ip-link(8), nopromisc",
        strength: Strength::Code,
    },
    article: &["M3"],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private.into(), 1)]
#[case::vepa(Mode::Vepa.into(), 1)]
#[case::bridge(Mode::Bridge.into(), 1)]
#[case::source(Mode::Source.into(), 1)]
#[case::passthru(Mode::Passthru.into(), 1)]
#[case::passthru_nopromisc(Macvlan::from(Mode::Passthru).nopromisc(), 0)]
fn promiscuous_as_long_as_needed(#[case] settings: Macvlan, #[case] count: u32) {
    check(&PROMISCUITY, async |case| {
        let mut lab = case.lab(&cabled(settings)).await?;
        for (up, count) in [(true, count), (false, 0), (true, count)] {
            lab.set_up("c1:c0", up).await?;
            let seen = lab.link("p:p0").await?.promiscuity;
            let claim =
                format!("the child {}: promiscuity {count}", if up { "up" } else { "down" });
            lab.claim(&claim, seen == count, seen)?;
        }
        lab.delete_last().await?;
        let seen = lab.link("p:p0").await?.promiscuity;
        lab.claim("no child: promiscuity 0", seen == 0, seen)
    });
}
