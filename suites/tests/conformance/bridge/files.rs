//! What the files of a bridge and of its ports are besides another way to what netlink sets, which `sysfs.rs`
//! holds: who may write them, what they refuse that netlink does not, and what they are called.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_fixtures::switch::{switch, switch_with};
use hairpin_harness::options::bridge;
use hairpin_harness::{Bridge, CaseLab, Errno, Rule, Source, Stop, Strength, check};
use rstest::rstest;

use super::{NEEDS, VLANS};

pub(crate) const RULES: &[Rule] = &[RIGHTS, DEFAULT, PER_PORT, RESERVED, DEPTH, NAMES];

/// Holds what a file of the bridge tells.
fn expect_text(lab: &CaseLab, file: &str, text: &str) -> Result<(), Stop> {
    lab.expect_lines(file, [lab.sysfs("sw:br", &format!("bridge/{file}"))?], &[text])
}

const RIGHTS: Rule = Rule {
    id: "bridge.files.only-who-administers-networks-writes",
    promise: "who may not administer networks is refused (EPERM) what is written to a file of a \
              bridge or a port, also as their owner, and nothing changes",
    source: Source {
        cite: "store_bridge_parm and group_addr_store; brport_store, net/bridge/br_sysfs_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::bridge("sw:br", "bridge/ageing_time", "12300")]
#[case::group("sw:br", "bridge/group_addr", "01:80:c2:00:00:0e")]
#[case::port("sw:p1", "brport/path_cost", "77")]
fn only_who_administers_networks_writes(
    #[case] link: &str,
    #[case] file: &str,
    #[case] text: &str,
) {
    check(&RIGHTS, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let before = lab.told(link).await?;
        let done = lab.without_rights(|lab| lab.set_sysfs(link, file, text))?;
        lab.expect_refusal(&format!("{text} into {file}"), done, Errno::EPERM)?;
        let changes = before.changes(&lab.told(link).await?);
        lab.expect_lines("what changed all the same", changes, &[])?;
        let done = lab.set_sysfs(link, file, text);
        lab.expect_done("the same with that right", done)
    });
}

const DEFAULT: Rule = Rule {
    id: "bridge.files.the-default-vlan-not-while-it-filters",
    promise: "the VLAN that ports begin in can be written while the bridge does not filter (EPERM \
              else, but for the one that it has), and none that there is not (EINVAL)",
    source: Source {
        cite: "br_vlan_set_default_pvid, net/bridge/br_vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: VLANS,
};

#[test]
fn the_default_vlan_not_while_it_filters() {
    check(&DEFAULT, async |case| {
        const FILE: &str = "bridge/default_pvid";
        let mut lab = case.lab(&switch()).await?;
        for (filters, refused) in [(1, Some(Errno::EPERM)), (0, None)] {
            lab.set_option("sw:br", bridge::VLAN_FILTERING, filters).await?;
            let done = lab.set_sysfs("sw:br", FILE, "4095");
            lab.expect_refusal("4095", done, Errno::EINVAL)?;
            let done = lab.set_sysfs("sw:br", FILE, "1");
            lab.expect_done("the one that it has", done)?;
            let done = lab.set_sysfs("sw:br", FILE, "17");
            match refused {
                Some(errno) => lab.expect_refusal("another", done, errno)?,
                None => lab.expect_done("another", done)?,
            }
            let pvid = if refused.is_some() { 1 } else { 17 };
            lab.expect_option("sw:br", bridge::DEFAULT_PVID, pvid).await?;
        }
        Ok(())
    });
}

const PER_PORT: Rule = Rule {
    id: "bridge.files.counts-by-port-before-any-port-has-a-vlan",
    promise: "whether VLANs are counted by port is told by the file as by netlink; it can be written \
              while no port has a VLAN (EBUSY else), and as 0 or 1 (EINVAL else)",
    source: Source {
        cite: "br_vlan_set_stats_per_port, net/bridge/br_vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: VLANS,
};

#[test]
fn counts_by_port_before_any_port_has_a_vlan() {
    check(&PER_PORT, async |case| {
        const FILE: &str = "bridge/vlan_stats_per_port";
        let mut lab = case.lab(&switch()).await?;
        expect_text(&lab, "vlan_stats_per_port", "0")?;
        let done = lab.set_sysfs("sw:br", FILE, "1");
        lab.expect_refusal("while ports have one", done, Errno::EBUSY)?;
        lab.set_option("sw:br", bridge::DEFAULT_PVID, 0).await?;
        for value in [1, 0] {
            let done = lab.set_sysfs("sw:br", FILE, &value.to_string());
            lab.expect_done("while none has", done)?;
            lab.expect_option("sw:br", bridge::VLAN_STATS_PER_PORT, value).await?;
            expect_text(&lab, "vlan_stats_per_port", &value.to_string())?;
        }
        let done = lab.set_sysfs("sw:br", FILE, "2");
        lab.expect_refusal("2", done, Errno::EINVAL)
    });
}

const RESERVED: Rule = Rule {
    id: "bridge.files.nothing-learned-of-reserved-groups",
    promise: "that nothing is learned of who sends to reserved groups is written and told by a file, \
              and by netlink as the first of its switches",
    source: Source {
        cite: "set_no_linklocal_learn, net/bridge/br_sysfs_br.c; BR_BOOLOPT_NO_LL_LEARN",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn nothing_learned_of_reserved_groups() {
    check(&RESERVED, async |case| {
        const FILE: &str = "bridge/no_linklocal_learn";
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let before = lab.option("sw:br", bridge::SWITCHES).await?;
        expect_text(&lab, "no_linklocal_learn", "0")?;
        lab.set_sysfs("sw:br", FILE, "1")?;
        expect_text(&lab, "no_linklocal_learn", "1")?;
        let set = lab.option("sw:br", bridge::SWITCHES).await?;
        let changed = before.zip(set).map(|(before, set)| before ^ set);
        let told = format!("{before:x?}, then {set:x?}");
        lab.claim("its first switch is told otherwise", changed == Some(1), told)?;
        lab.set_option("sw:br", bridge::SWITCHES, bridge::switch(0, false)).await?;
        expect_text(&lab, "no_linklocal_learn", "0")
    });
}

const DEPTH: Rule = Rule {
    id: "bridge.files.a-table-grows-as-it-likes",
    promise: "how deep the table of groups may be is told as ever, 16, and what is written there is \
              taken and changes nothing",
    source: Source {
        cite: "hash_elasticity_show and set_elasticity, net/bridge/br_sysfs_br.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_table_grows_as_it_likes() {
    check(&DEPTH, async |case| {
        let mut lab = case.lab(&switch_with(Bridge::default())).await?;
        let before = lab.told("sw:br").await?;
        expect_text(&lab, "hash_elasticity", "16")?;
        let done = lab.set_sysfs("sw:br", "bridge/hash_elasticity", "4");
        lab.expect_done("4", done)?;
        expect_text(&lab, "hash_elasticity", "16")?;
        let changes = before.changes(&lab.told("sw:br").await?);
        lab.expect_lines("what changed", changes, &[])
    });
}

const NAMES: Rule = Rule {
    id: "bridge.files.a-port-is-listed-by-its-name",
    promise: "a bridge lists its ports by their names, also by one that a port was given later",
    source: Source {
        cite: "br_sysfs_renameif, net/bridge/br_sysfs_if.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_port_is_listed_by_its_name() {
    check(&NAMES, async |case| {
        let mut lab = case.lab(&switch()).await?;
        lab.expect_lines("ports", lab.sysfs_names("sw:br", "brif")?, &["p1", "p2", "p3"])?;
        lab.set_up("sw:p2", false).await?;
        lab.rename("sw:p2", "other")?;
        lab.expect_lines("ports", lab.sysfs_names("sw:br", "brif")?, &["other", "p1", "p3"])
    });
}
