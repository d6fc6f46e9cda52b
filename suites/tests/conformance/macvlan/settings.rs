//! What can be asked of a child, read back as it was set, and refused.
//!
//! ```text
//!   c1 --- p0 --- e0                     or, where somebody must send
//!   c1, c2 --- p0 --- s0 [br0] s1 --- e
//! ```

use hairpin_fixtures::lan::{cabled, mixed_lan};
use hairpin_harness::options::macvlan::{
    BC_QUEUE_LEN, BC_QUEUE_LEN_USED, FLAGS, MACADDR, MACADDR_COUNT, MACADDR_MODE, MODE,
};
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{
    CaseLab, Errno, LinkName, Mac, Mode, Rule, Shot, Source, Stop, Strength, Topology, check,
    options,
};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[
    READ_BACK,
    RUNNING_CHANGE,
    REFUSED,
    SENDERS,
    IN_FULL,
    FORGOTTEN,
    SENDERS_ELSEWHERE,
    QUEUE,
    CHILDS_CHILD,
    PARENT_TOLD,
];

const fn number(mode: Mode) -> u64 {
    match mode {
        Mode::Private => 1,
        Mode::Vepa => 2,
        Mode::Bridge => 4,
        Mode::Passthru => 8,
        Mode::Source => 16,
    }
}

const READ_BACK: Rule = Rule {
    id: "macvlan.settings.are-read-back-as-set",
    promise: "a child has the mode and the flags that it was made with, and no others",
    source: Source {
        cite: "macvlan_fill_info, drivers/net/macvlan.c; ip-link(8), macvlan",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private.into(), 0)]
#[case::vepa(Mode::Vepa.into(), 0)]
#[case::bridge(Mode::Bridge.into(), 0)]
#[case::passthru(Mode::Passthru.into(), 0)]
#[case::passthru_nopromisc(Macvlan::from(Mode::Passthru).nopromisc(), 1)]
#[case::source(Mode::Source.into(), 0)]
#[case::source_nodst(Macvlan::from(Mode::Source).nodst(), 2)]
fn are_read_back_as_set(#[case] settings: Macvlan, #[case] flags: u64) {
    check(&READ_BACK, async |case| {
        let mode = settings.mode;
        let lab = case.lab(&cabled(settings)).await?;
        lab.expect_option("c1:c0", MODE, number(mode)).await?;
        lab.expect_option("c1:c0", FLAGS, flags).await
    });
}

const RUNNING_CHANGE: Rule = Rule {
    id: "macvlan.settings.change-while-it-runs",
    promise: "a child changes between private, vepa, bridge and source while it is up; a flag \
              changes alone",
    source: Source { cite: "macvlan_changelink, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn change_while_it_runs() {
    check(&RUNNING_CHANGE, async |case| {
        let mut lab = case.lab(&cabled(Mode::Private)).await?;
        for mode in [Mode::Vepa, Mode::Bridge, Mode::Source, Mode::Private] {
            let done = lab.set_option("c1:c0", MODE, number(mode)).await;
            lab.expect_done(&format!("{mode} mode"), done)?;
            lab.expect_option("c1:c0", MODE, number(mode)).await?;
        }
        lab.set_option("c1:c0", MODE, number(Mode::Source)).await?;
        lab.set_option("c1:c0", FLAGS, 2).await?;
        lab.expect_option("c1:c0", FLAGS, 2).await?;
        lab.expect_option("c1:c0", MODE, number(Mode::Source)).await?;
        lab.set_option("c1:c0", FLAGS, 0).await?;
        lab.expect_option("c1:c0", FLAGS, 0).await
    });
}

const REFUSED: Rule = Rule {
    id: "macvlan.settings.nonsense-is-refused",
    promise: "modes and flags that do not exist are refused and change nothing",
    source: Source { cite: "macvlan_validate, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::no_mode(&[(MODE, 0)])]
#[case::unknown_mode(&[(MODE, 32)])]
#[case::two_modes(&[(MODE, 6)])]
#[case::unknown_flag(&[(FLAGS, 4)])]
#[case::highest_flag(&[(FLAGS, 0x8000)])]
#[case::into_passthru(&[(MODE, 8)])]
fn nonsense_is_refused(#[case] asked: &[(options::LinkOption, u64)]) {
    check(&REFUSED, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        let done = lab.set_options("c1:c0", asked).await;
        lab.expect_refusal("that", done, Errno::EINVAL)?;
        lab.expect_option("c1:c0", MODE, number(Mode::Bridge)).await?;
        lab.expect_option("c1:c0", FLAGS, 0).await
    });
}

const SENDERS: Rule = Rule {
    id: "macvlan.settings.a-list-of-senders",
    promise: "senders are added once each, deleted one by one, flushed and replaced; a group is \
              no sender",
    source: Source {
        cite: "macvlan_changelink_sources and macvlan_validate, drivers/net/macvlan.c; ip-link(8), \
               macaddr",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

const ADD: u64 = 0;
const DELETE: u64 = 1;
const FLUSH: u64 = 2;
const REPLACE: u64 = 3;

/// An address as options have it.
fn numbered(mac: Mac) -> u64 {
    mac.0.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

async fn list(lab: &mut CaseLab, verb: u64, mac: u64, count: u64) -> Result<(), Stop> {
    let asked = [(MACADDR_MODE, verb), (MACADDR, mac)];
    let asked = if verb == FLUSH { &asked[..1] } else { &asked };
    let done = lab.set_options("c1:c0", asked).await;
    lab.expect_done("the change of the list", done)?;
    lab.expect_option("c1:c0", MACADDR_COUNT, count).await
}

#[test]
fn a_list_of_senders() {
    check(&SENDERS, async |case| {
        let mut lab = case.lab(&cabled(Mode::Source)).await?;
        let (a, b, c) = (0x0268_7000_0001, 0x0268_7000_0002, 0x0268_7000_0003);
        list(&mut lab, ADD, a, 1).await?;
        list(&mut lab, ADD, a, 1).await?;
        list(&mut lab, ADD, b, 2).await?;
        list(&mut lab, DELETE, c, 2).await?;
        list(&mut lab, DELETE, a, 1).await?;
        list(&mut lab, ADD, c, 2).await?;
        list(&mut lab, FLUSH, 0, 0).await?;
        for bad in [0x0100_5e00_0001, 0xffff_ffff_ffff, 0] {
            let done = lab.set_options("c1:c0", &[(MACADDR_MODE, ADD), (MACADDR, bad)]).await;
            lab.expect_refusal("a sender that is no address", done, Errno::EADDRNOTAVAIL)?;
        }
        let three = Macvlan::from(Mode::Source).sender(Mac([2, 0, 0, 0, 0, 1]));
        let three = three.sender(Mac([2, 0, 0, 0, 0, 2])).sender(Mac([2, 0, 0, 0, 0, 3]));
        lab.set_macvlan("c1:c0", three).await?;
        lab.expect_option("c1:c0", MACADDR_COUNT, 3).await?;
        lab.set_macvlan("c1:c0", Macvlan::from(Mode::Source).sender(Mac([2; 6]))).await?;
        lab.expect_option("c1:c0", MACADDR_COUNT, 1).await
    });
}

const IN_FULL: Rule = Rule {
    id: "macvlan.settings.a-change-of-senders-is-whole",
    promise: "to add or to delete takes an address, an address alone changes nothing, a list \
              replaces what was there, and how many there are cannot be set",
    source: Source {
        cite: "macvlan_changelink_sources and macvlan_validate, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_change_of_senders_is_whole() {
    check(&IN_FULL, async |case| {
        let mut lab = case.lab(&cabled(Mode::Source)).await?;
        let (a, b) = (0x0268_7000_0001, 0x0268_7000_0002);
        list(&mut lab, ADD, a, 1).await?;
        for (what, asked) in [
            ("an addition of nobody", &[(MACADDR_MODE, ADD)][..]),
            ("a deletion of nobody", &[(MACADDR_MODE, DELETE)]),
            ("a verb that is none", &[(MACADDR_MODE, 4), (MACADDR, b)]),
            ("a count", &[(MACADDR_COUNT, 1)]),
        ] {
            let done = lab.set_options("c1:c0", asked).await;
            lab.expect_refusal(what, done, Errno::EINVAL)?;
            lab.expect_option("c1:c0", MACADDR_COUNT, 1).await?;
        }
        let done = lab.set_option("c1:c0", MACADDR, b).await;
        lab.expect_done("an address without a verb", done)?;
        lab.expect_option("c1:c0", MACADDR_COUNT, 1).await?;
        list(&mut lab, ADD, b, 2).await?;
        list(&mut lab, REPLACE, b, 1).await?;
        list(&mut lab, DELETE, a, 1).await?;
        list(&mut lab, DELETE, b, 0).await
    });
}

const FORGOTTEN: Rule = Rule {
    id: "macvlan.settings.another-mode-forgets-the-senders",
    promise: "a child that leaves source mode has no senders any more, also when it comes back; to \
              be put into the mode that it has changes nothing",
    source: Source { cite: "macvlan_changelink, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
fn another_mode_forgets_the_senders(#[case] mode: Mode) {
    check(&FORGOTTEN, async |case| {
        let mut lab = case.lab(&mixed_lan(Mode::Source, Mode::Bridge)).await?;
        let (c2, e) = (lab.mac("c2:c0"), lab.mac("e:e0"));
        list(&mut lab, ADD, numbered(e), 1).await?;
        lab.set_option("c1:c0", MODE, number(Mode::Source)).await?;
        lab.expect_option("c1:c0", MACADDR_COUNT, 1).await?;
        lab.expect_shot("e", &Shot::to(c2), "c1 other, c2 host").await?;
        lab.set_option("c1:c0", MODE, number(mode)).await?;
        lab.expect_option("c1:c0", MACADDR_COUNT, 0).await?;
        lab.expect_shot("e", &Shot::to(c2), "c2 host").await?;
        lab.set_option("c1:c0", MODE, number(Mode::Source)).await?;
        lab.expect_option("c1:c0", MACADDR_COUNT, 0).await?;
        lab.expect_shot("e", &Shot::to(c2), "c2 host").await?;
        Ok(())
    });
}

const SENDERS_ELSEWHERE: Rule = Rule {
    id: "macvlan.settings.senders-are-for-source-mode",
    promise: "a child of another mode takes no list of senders",
    source: Source { cite: "macvlan_changelink, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::private(Mode::Private)]
#[case::vepa(Mode::Vepa)]
#[case::bridge(Mode::Bridge)]
#[case::passthru(Mode::Passthru)]
fn senders_are_for_source_mode(#[case] mode: Mode) {
    check(&SENDERS_ELSEWHERE, async |case| {
        let mut lab = case.lab(&cabled(mode)).await?;
        let asked = [(MACADDR_MODE, ADD), (MACADDR, 0x0268_7000_0001)];
        let done = lab.set_options("c1:c0", &asked).await;
        lab.expect_refusal("a sender", done, Errno::EINVAL)
    });
}

const QUEUE: Rule = Rule {
    id: "macvlan.settings.the-longest-queue-counts",
    promise: "the queue of a parent is as long as the longest that one of its children asks for, \
              1000 where none asked",
    source: Source {
        cite: "update_port_bc_queue_len, drivers/net/macvlan.c; ip-link(8), bcqueuelen",
        strength: Strength::Documented,
    },
    article: &[],
    needs: super::NEEDS_BC_QUEUE,
};

#[test]
fn the_longest_queue_counts() {
    check(&QUEUE, async |case| {
        let asked = Macvlan::from(Mode::Bridge).bc_queue(5);
        let mut lab = case.lab(&cabled(asked)).await?;
        lab.expect_option("c1:c0", BC_QUEUE_LEN, 5).await?;
        lab.expect_option("c1:c0", BC_QUEUE_LEN_USED, 5).await?;
        let second = |lan: Topology, settings: Macvlan| lan.macvlan("other:c1", "p:p0", settings);
        lab.grow(|lan| second(lan, Macvlan::from(Mode::Vepa).bc_queue(70))).await?;
        lab.expect_option("c1:c0", BC_QUEUE_LEN_USED, 70).await?;
        lab.set_option("c1:c0", BC_QUEUE_LEN, 300).await?;
        lab.expect_option("other:c1", BC_QUEUE_LEN_USED, 300).await?;
        lab.set_option("c1:c0", BC_QUEUE_LEN, 5).await?;
        lab.expect_option("other:c1", BC_QUEUE_LEN_USED, 70).await?;
        lab.delete_last().await?;
        lab.expect_option("c1:c0", BC_QUEUE_LEN_USED, 5).await?;
        lab.grow(|lan| second(lan, Mode::Private.into())).await?;
        lab.expect_option("other:c1", BC_QUEUE_LEN, 1000).await?;
        lab.expect_option("c1:c0", BC_QUEUE_LEN_USED, 1000).await
    });
}

const CHILDS_CHILD: Rule = Rule {
    id: "macvlan.settings.a-childs-child-is-its-sibling",
    promise: "a macvlan on a macvlan stands on the latter's parent",
    source: Source {
        cite: "macvlan_common_newlink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_childs_child_is_its_sibling() {
    check(&CHILDS_CHILD, async |case| {
        let mut lab = case.lab(&cabled(Mode::Bridge)).await?;
        lab.grow(|lan| lan.macvlan("c1:m1", "c1:c0", Mode::Bridge)).await?;
        let parent = u64::from(lab.link("p:p0").await?.index);
        lab.expect_option("c1:m1", options::link::BELOW, parent).await
    });
}

const PARENT_TOLD: Rule = Rule {
    id: "macvlan.settings.tells-its-parent",
    promise: "a child tells the index of its parent, of whatever namespace",
    source: Source {
        cite: "macvlan_dev_get_iflink, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn tells_its_parent() {
    check(&PARENT_TOLD, async |case| {
        let lab = case.lab(&cabled(Mode::Bridge)).await?;
        let parent = u64::from(lab.topology().ifindex(&LinkName::from("p:p0")));
        lab.expect_option("c1:c0", options::link::BELOW, parent).await
    });
}
