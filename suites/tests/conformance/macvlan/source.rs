//! source: a child hears the senders on its list, and nobody else.
//!
//! ```text
//!   c1 (source, with a list) ---\
//!                                p0 --- s0 [switch] s1 --- e
//!   c2 (bridge)              ---/
//! ```

use hairpin_fixtures::lan::mixed_lan;
use hairpin_fixtures::reflecting;
use hairpin_harness::Class::{Broadcast, Unicast};
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{Class, LinkName, Mac, Mode, Rule, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[LISTED_SENDERS, ALSO_TO_OTHERS, NODST];

const LISTED_SENDERS: Rule = Rule {
    id: "macvlan.source.hears-listed-senders-only",
    promise: "a source child hears nothing from outside with an empty list, and with a list the \
              senders on it; it may send to anybody",
    source: Source { cite: "ip-link(8), macvlan mode source", strength: Strength::Documented },
    article: &["M5"],
    needs: NEEDS,
};

fn external() -> Mac {
    mixed_lan(Mode::Source, Mode::Bridge).mac_of(&LinkName::from("e:e0"))
}

/// An address that no link of the topology has.
const STRANGER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x01]);

#[rstest]
#[case::unicast(Unicast)]
#[case::broadcast(Broadcast)]
fn hears_listed_senders_only(#[case] class: Class) {
    check(&LISTED_SENDERS, async |case| {
        let mut lab = case.lab(&mixed_lan(Mode::Source, Mode::Bridge)).await?;
        let source = || Macvlan::from(Mode::Source);
        let lists = [
            ("empty", source(), '#'),
            ("a stranger", source().sender(STRANGER), '#'),
            ("e", source().sender(external()), '+'),
            ("a stranger and e", source().sender(STRANGER).sender(external()), '+'),
        ];
        for (_, settings, heard) in lists {
            lab.set_macvlan("c1:c0", settings).await?;
            let grid = format!(
                "   c1 c2 p e
                c1  .  #  # +
                c2  #  .  # +
                p   #  #  . +
                e   {heard}  +  + ."
            );
            lab.expect(class, &grid).await?;
        }
        super::expect_all_reached(&mut lab, class).await
    });
}

const ALSO_TO_OTHERS: Rule = Rule {
    id: "macvlan.source.takes-a-copy-of-everything",
    promise: "what a listed sender sends goes to the source child as a copy, also when it is for \
              somebody else, and still reaches whom it is for",
    source: Source {
        cite: "macvlan_forward_source, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn takes_a_copy_of_everything() {
    check(&ALSO_TO_OTHERS, async |case| {
        let listed = Macvlan::from(Mode::Source).sender(external());
        let mut lab = case.lab(&mixed_lan(listed, Mode::Bridge)).await?;
        let heard = "
                c1 c2 p e
            c1  .  #  # +
            c2  #  .  # +
            p   #  #  . +
            e   +  +  + .";
        let grid = lab.expect(Unicast, heard).await?;
        lab.expect_path(&grid, "e", "c2", "frame", "e:e0> sw:s1< sw:s0> p:p0< c1:c0< c2:c0<")?;
        lab.expect_path(&grid, "e", "p", "frame", "e:e0> sw:s1< sw:s0> p:p0< c1:c0<")?;
        super::expect_all_reached(&mut lab, Unicast).await
    });
}

const NODST: Rule = Rule {
    id: "macvlan.source.nodst-keeps-it-from-others",
    promise: "with nodst, what a listed sender sends reaches the source child and nobody else of \
              its parent, broadcast included",
    source: Source { cite: "ip-link(8), macvlan nodst", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::unicast(Unicast)]
#[case::broadcast(Broadcast)]
fn nodst_keeps_it_from_others(#[case] class: Class) {
    check(&NODST, async |case| {
        let kept = Macvlan::from(Mode::Source).sender(external()).nodst();
        let mut lab = case.lab(&mixed_lan(kept, Mode::Bridge)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        let grid = lab.observe(class).await?;
        for to in ["c2", "p"] {
            let cell = grid.cell("e", to).expect("both are hosts of the grid");
            lab.claim(
                &format!("e to {to} is kept back"),
                cell.verdict.symbol() == '#',
                &cell.verdict,
            )?;
        }
        super::expect_all_reached(&mut lab, class).await
    });
}
