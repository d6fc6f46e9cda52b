//! Whether an ipvlan child asks for neighbours: it does in l2, and leaves that to its parent's
//! routes in l3 and l3s. And that it goes with them.
//!
//! ```text
//!     c1   c2
//!       \ /
//!        p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::ipvlan_lan;
use hairpin_fixtures::lan::quiet;
use hairpin_harness::options::ipvlan;
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{CaseLab, Rule, Source, Stop, Strength, check};
use rstest::rstest;

use super::NEEDS;
use crate::moved::expect_followed;

pub(crate) const RULES: &[Rule] = &[UP, CHANGED, MOVED];

/// The flag of a link that asks for no neighbours (`IFF_NOARP`).
const NO_ARP: u32 = 0x80;

fn flags(lab: &CaseLab, link: &str) -> Result<u32, Stop> {
    let text = lab.sysfs(link, "flags")?;
    Ok(u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default())
}

fn expect_asking(lab: &CaseLab, when: &str, link: &str, asks: bool) -> Result<(), Stop> {
    let seen = flags(lab, link)?;
    let claim = format!("{when}: {link} asks: {asks}");
    lab.claim(&claim, (seen & NO_ARP == 0) == asks, format!("{seen:#x}"))
}

const UP: Rule = Rule {
    id: "ipvlan.asking.as-its-mode-has-it-when-it-comes-up",
    promise: "a child that comes up asks for neighbours in l2 and does not in l3 and l3s, whatever \
              it was told before",
    source: Source {
        cite: "ipvlan_open, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::l2(IpvlanMode::L2, true)]
#[case::l3(IpvlanMode::L3, false)]
#[case::l3s(IpvlanMode::L3s, false)]
fn as_its_mode_has_it_when_it_comes_up(#[case] mode: IpvlanMode, #[case] asks: bool) {
    check(&UP, async |case| {
        let mut lab = case.lab(&ipvlan_lan(mode, IpvlanFlag::Bridge)).await?;
        expect_asking(&lab, "new", "c1:i0", asks)?;
        let other = format!("{:#x}", flags(&lab, "c1:i0")? ^ NO_ARP);
        lab.set_sysfs("c1:i0", "flags", &other)?;
        expect_asking(&lab, "told otherwise", "c1:i0", !asks)?;
        lab.set_up("c1:i0", false).await?;
        lab.set_up("c1:i0", true).await?;
        expect_asking(&lab, "up again", "c1:i0", asks)
    });
}

const CHANGED: Rule = Rule {
    id: "ipvlan.asking.changes-with-the-mode",
    promise: "when the mode of one child changes, and so of all of its parent, all come to ask for \
              neighbours, or to ask no more, as the new mode has it",
    source: Source {
        cite: "ipvlan_set_port_mode, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn changes_with_the_mode() {
    check(&CHANGED, async |case| {
        let mut lab = case.lab(&ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge)).await?;
        for (mode, asks) in [(1, false), (2, false), (0, true), (2, false), (1, false), (0, true)] {
            lab.set_option("c1:i0", ipvlan::MODE, mode).await?;
            for link in ["c1:i0", "c2:i0"] {
                expect_asking(&lab, &format!("mode {mode}"), link, asks)?;
            }
        }
        Ok(())
    });
}

const MOVED: Rule = Rule {
    id: "ipvlan.asking.a-neighbours-new-address-is-used-at-once",
    promise: "what a child in l2 sends to a neighbour that has another Ethernet address than before \
              goes to the new one from then on",
    source: Source {
        cite: "ipvlan_header_ops, cache_update, drivers/net/ipvlan/ipvlan_main.c; neigh_update_hhs",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_neighbours_new_address_is_used_at_once() {
    check(&MOVED, async |case| {
        let mut lab = case.lab(&quiet(ipvlan_lan(IpvlanMode::L2, IpvlanFlag::Bridge))).await?;
        expect_followed(&mut lab, "c1:i0").await
    });
}
