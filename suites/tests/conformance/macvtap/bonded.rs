//! A macvtap link of a bond, which joins what comes if its reader can have that.
//!
//! ```text
//!   c1:c0 (macvtap) --- p:bond0
//! ```

use hairpin_harness::{Mode, Need, Offload, Rule, Source, Strength, Topology, check};

pub(crate) const RULES: &[Rule] = &[JOINS];

const JOINS: Rule = Rule {
    id: "macvtap.bonded.joins-what-comes-for-who-can-have-it",
    promise: "a link of a parent that has what comes joined in hardware has it, too, unless its \
              reader said that it cannot have long segments: then its parent gives it up with it",
    source: Source {
        cite: "set_offload, RX_OFFLOADS, drivers/net/tap.c; macvtap_update_features",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("bond"),
        Need::Driver("macvlan"),
        Need::Driver("macvtap"),
        Need::MacvtapDevice,
    ],
};

#[test]
fn joins_what_comes_for_who_can_have_it() {
    check(&JOINS, async |case| {
        let lan = Topology::new("bonded").host("c1").netns("p").bond("p:bond0");
        let mut lab = case.lab(&lan.macvtap("c1:c0", "p:bond0", Mode::Bridge)).await?;
        let joins = lab.offload("c1:c0", Offload::Lro)?;
        lab.claim("it does at first", joins, joins)?;
        let queue = lab.open_queue("c1:c0")?;
        for (can, wanted) in [
            (0x00, false),
            (0x03, true),
            (0x01, false),
            (0x05, true),
            (0x09, false),
            (0x07, true),
            (0x06, false),
        ] {
            queue.set_offload(can)?;
            lab.set_offload("p:bond0", Offload::Lro, true)?;
            for link in ["c1:c0", "p:bond0"] {
                let joins = lab.offload(link, Offload::Lro)?;
                let claim = format!("its reader can {can:#x}: {link} {wanted}");
                lab.claim(&claim, joins == wanted, joins)?;
            }
        }
        Ok(())
    });
}
