//! Lists of senders of several children on one parent.
//!
//! ```text
//!   c1 (source) ---\
//!                   p0 --- s0 [switch] s1 --- e
//!   c2 (source) ---/
//! ```

use hairpin_fixtures::lan::{mixed_lan, quiet};
use hairpin_harness::options::LinkOption;
use hairpin_harness::options::macvlan::{MACADDR, MACADDR_COUNT, MACADDR_MODE};
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{CaseLab, Errno, Mac, Mode, Rule, Shot, Source, Stop, Strength, check};

use rstest::rstest;

use super::NEEDS;
use crate::counted::{MORE, expect_bytes};

pub(crate) const RULES: &[Rule] =
    &[EACH_ITS_OWN, TOLD, SET, LISTED, BAD_LISTS, COUNTED, KEPT, ALIKE];

/// Addresses that no link of the topology has.
const ONE: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x31]);
const TWO: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x32]);
const THREE: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x33]);

const ADD: u64 = 0;
const DELETE: u64 = 1;
const FLUSH: u64 = 2;
const REPLACE: u64 = 3;

fn number(mac: Mac) -> u64 {
    mac.0.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn hearing(senders: &[Mac]) -> Macvlan {
    senders.iter().fold(Macvlan::from(Mode::Source), |child, mac| child.sender(*mac))
}

/// What both hear of a frame to the parent.
async fn expect_heard(lab: &mut CaseLab, from: Mac, heard: &str) -> Result<(), Stop> {
    let p = lab.mac("p:p0");
    lab.expect_shot("e", &Shot::to(p).from(from), heard).await?;
    Ok(())
}

async fn expect_list(lab: &CaseLab, child: &str, senders: &[Mac]) -> Result<(), Stop> {
    let seen = lab.senders(child).await?;
    let mut wanted = senders.to_vec();
    wanted.sort();
    let claim = format!("{child} tells {} senders", senders.len());
    lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
    lab.expect_option(child, MACADDR_COUNT, senders.len() as u64).await
}

const EACH_ITS_OWN: Rule = Rule {
    id: "macvlan.senders.each-child-has-its-own-list",
    promise: "two children may list one sender, and both hear it while they are up; what is deleted \
              from one list, flushed, or gone with its child stays on the other",
    source: Source {
        cite: "macvlan_hash_lookup_source and macvlan_flush_sources, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_child_has_its_own_list() {
    check(&EACH_ITS_OWN, async |case| {
        let mut lab = case.lab(&mixed_lan(hearing(&[ONE]), hearing(&[ONE, TWO]))).await?;
        expect_heard(&mut lab, ONE, "c1 host, c2 host, p host").await?;
        expect_heard(&mut lab, TWO, "c2 host, p host").await?;
        lab.set_up("c1:c0", false).await?;
        expect_heard(&mut lab, ONE, "c2 host, p host").await?;
        lab.set_up("c1:c0", true).await?;
        expect_heard(&mut lab, ONE, "c1 host, c2 host, p host").await?;
        lab.set_options("c1:c0", &[(MACADDR_MODE, DELETE), (MACADDR, number(ONE))]).await?;
        expect_heard(&mut lab, ONE, "c2 host, p host").await?;
        lab.set_options("c1:c0", &[(MACADDR_MODE, ADD), (MACADDR, number(TWO))]).await?;
        expect_heard(&mut lab, TWO, "c1 host, c2 host, p host").await?;
        lab.set_options("c2:c0", &[(MACADDR_MODE, FLUSH)]).await?;
        expect_heard(&mut lab, TWO, "c1 host, p host").await?;
        expect_list(&lab, "c1:c0", &[TWO]).await?;
        expect_list(&lab, "c2:c0", &[]).await?;
        lab.set_options("c2:c0", &[(MACADDR_MODE, ADD), (MACADDR, number(TWO))]).await?;
        lab.delete_last().await?;
        lab.grow(|lan| lan.macvlan("c2:c0", "p:p0", Mode::Source)).await?;
        expect_heard(&mut lab, TWO, "c1 host, p host").await
    });
}

const TOLD: Rule = Rule {
    id: "macvlan.senders.the-list-is-read-back",
    promise: "a child tells its senders, each once, and not those of a sibling",
    source: Source {
        cite: "macvlan_fill_info_macaddr, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn the_list_is_read_back() {
    check(&TOLD, async |case| {
        // More than what the kernel tells of a link without any leaves room for.
        let many: Vec<Mac> = (0..250).map(|last| Mac([2, 0x68, 0x70, 0xfe, 0, last])).collect();
        let lab = case.lab(&mixed_lan(hearing(&many), hearing(&[ONE, ONE, TWO]))).await?;
        expect_list(&lab, "c1:c0", &many).await?;
        expect_list(&lab, "c2:c0", &[ONE, TWO]).await
    });
}

const SET: Rule = Rule {
    id: "macvlan.senders.a-new-list-replaces-the-old",
    promise: "a list that is set, of one sender or of several, is all that the child hears; a \
              change without the sender that it is about is refused and changes nothing",
    source: Source {
        cite: "macvlan_changelink_sources, drivers/net/macvlan.c; ip-link(8), macaddr set",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_new_list_replaces_the_old() {
    check(&SET, async |case| {
        let mut lab = case.lab(&mixed_lan(hearing(&[ONE]), Mode::Bridge)).await?;
        lab.set_options("c1:c0", &[(MACADDR_MODE, REPLACE), (MACADDR, number(TWO))]).await?;
        expect_list(&lab, "c1:c0", &[TWO]).await?;
        expect_heard(&mut lab, TWO, "c1 host, p host").await?;
        expect_heard(&mut lab, ONE, "p host").await?;
        for verb in [ADD, DELETE] {
            let done = lab.set_options("c1:c0", &[(MACADDR_MODE, verb)]).await;
            lab.expect_refusal("to name nobody", done, Errno::EINVAL)?;
        }
        let bad = Mac([0x01, 0x00, 0x5e, 0, 0, 1]);
        let done = lab.set_macvlan("c1:c0", hearing(&[ONE, bad])).await;
        lab.expect_refusal("a group in a list", done, Errno::EADDRNOTAVAIL)?;
        expect_list(&lab, "c1:c0", &[TWO]).await?;
        lab.set_macvlan("c1:c0", hearing(&[])).await?;
        expect_list(&lab, "c1:c0", &[]).await
    });
}

const LISTED: Rule = Rule {
    id: "macvlan.senders.a-list-is-set-as-a-whole",
    promise: "a list that is set is heard item by item, with the one that is named beside it, each \
              once; an empty one is nobody, and a list is no sender to add or to delete",
    source: Source {
        cite: "macvlan_changelink_sources, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_list_is_set_as_a_whole() {
    check(&LISTED, async |case| {
        let mut lab = case.lab(&mixed_lan(hearing(&[ONE]), Mode::Bridge)).await?;
        let [one, two, three] = [ONE, TWO, THREE].map(|mac| (MACADDR, number(mac)));
        let set = (MACADDR_MODE, REPLACE);
        for (beside, list, heard) in [
            (&[set][..], &[two, three][..], &[TWO, THREE][..]),
            (&[set, one], &[two, three], &[ONE, TWO, THREE]),
            (&[set, two], &[two, three, two], &[TWO, THREE]),
            (&[set, three], &[], &[THREE]),
            (&[set], &[one], &[ONE]),
            (&[set], &[], &[]),
        ] {
            lab.list_senders("c1:c0", beside, list).await?;
            expect_list(&lab, "c1:c0", heard).await?;
        }
        lab.list_senders("c1:c0", &[set], &[one, two]).await?;
        for verb in [ADD, DELETE] {
            let done = lab.list_senders("c1:c0", &[(MACADDR_MODE, verb)], &[two, three]).await;
            lab.expect_refusal("to name nobody beside the list", done, Errno::EINVAL)?;
        }
        expect_list(&lab, "c1:c0", &[ONE, TWO]).await?;
        expect_heard(&mut lab, TWO, "c1 host, p host").await?;
        expect_heard(&mut lab, THREE, "p host").await
    });
}

const BAD_LISTS: Rule = Rule {
    id: "macvlan.senders.a-bad-item-spoils-the-list",
    promise: "a list with an item that is no address, or no single station's, is refused, wherever in \
              it that is, and nothing of it is heard",
    source: Source { cite: "macvlan_validate, drivers/net/macvlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::half_an_address((MACADDR.in_bytes(4), 0x0268_70ff), Errno::EINVAL)]
#[case::too_long((MACADDR.in_bytes(8), 0x0268_70ff_0031_0000), Errno::EINVAL)]
#[case::no_address((MACADDR_COUNT.in_bytes(6), 0x0268_70ff_0031), Errno::EINVAL)]
#[case::nobodys((MACADDR, 0), Errno::EADDRNOTAVAIL)]
#[case::a_groups((MACADDR, 0x0100_5e00_0001), Errno::EADDRNOTAVAIL)]
fn a_bad_item_spoils_the_list(#[case] bad: (LinkOption, u64), #[case] errno: Errno) {
    check(&BAD_LISTS, async |case| {
        let mut lab = case.lab(&mixed_lan(hearing(&[ONE]), Mode::Bridge)).await?;
        let (two, three) = ((MACADDR, number(TWO)), (MACADDR, number(THREE)));
        let set = [(MACADDR_MODE, REPLACE)];
        for list in [&[bad][..], &[bad, two], &[two, bad], &[two, bad, three]] {
            let done = lab.list_senders("c1:c0", &set, list).await;
            lab.expect_refusal("a list with a bad item", done, errno)?;
            expect_list(&lab, "c1:c0", &[ONE]).await?;
        }
        lab.list_senders("c1:c0", &set, &[two, three]).await?;
        expect_list(&lab, "c1:c0", &[TWO, THREE]).await
    });
}

const COUNTED: Rule = Rule {
    id: "macvlan.senders.what-they-send-is-counted",
    promise: "a child in source mode counts each frame that it hears with its bytes, header \
              included, groups not apart",
    source: Source {
        cite: "macvlan_forward_source_one and macvlan_count_rx, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_they_send_is_counted() {
    check(&COUNTED, async |case| {
        let lan = mixed_lan(hearing(&[ONE]), Mode::Bridge);
        let mut lab = case.lab(&quiet(lan)).await?;
        let p = lab.mac("p:p0");
        for (shot, heard) in [
            (Shot::to(p).from(ONE), "c1 host, p host"),
            (Shot::broadcast().from(ONE), "c1 broadcast, c2 broadcast, p broadcast"),
        ] {
            let counted =
                expect_bytes(&mut lab, ("e", &shot, heard), &[("c1:c0", MORE, 0)]).await?;
            // The controls of a shot are not of the list.
            for (of_shot, bytes) in counted[0].iter().zip(crate::counted::BYTES) {
                let seen = (of_shot.rx_packets, of_shot.rx_bytes, of_shot.multicast);
                let wanted = (1, bytes as u64, 0);
                let claim = format!("one frame of {bytes} bytes");
                lab.claim(&claim, seen == wanted, format!("{seen:?}"))?;
            }
        }
        Ok(())
    });
}

const KEPT: Rule = Rule {
    id: "macvlan.senders.nodst-of-one-is-no-matter-for-the-other",
    promise: "where one of two children that list a sender has nodst, both hear it, in whichever \
              order they were made, and nobody else does",
    source: Source {
        cite: "macvlan_forward_source, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::first(true)]
#[case::second(false)]
fn nodst_of_one_is_no_matter_for_the_other(#[case] first: bool) {
    check(&KEPT, async |case| {
        let (keeps, shares) = (hearing(&[ONE]).nodst(), hearing(&[ONE]));
        let (c1, c2) = if first { (keeps, shares) } else { (shares, keeps) };
        let mut lab = case.lab(&mixed_lan(c1, c2)).await?;
        expect_heard(&mut lab, ONE, "c1 host, c2 host").await?;
        expect_heard(&mut lab, TWO, "p host").await?;
        lab.set_macvlan(if first { "c1:c0" } else { "c2:c0" }, hearing(&[ONE])).await?;
        expect_heard(&mut lab, ONE, "c1 host, c2 host, p host").await
    });
}

const ALIKE: Rule = Rule {
    id: "macvlan.senders.one-in-the-same-place-is-another",
    promise: "a sender that the driver keeps in the same place as a listed one is not heard, and \
              may be listed, told and deleted beside it",
    source: Source {
        cite: "macvlan_forward_source and macvlan_hash_lookup_source, drivers/net/macvlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_in_the_same_place_is_another() {
    check(&ALIKE, async |case| {
        let other = super::alike(ONE);
        let mut lab = case.lab(&mixed_lan(hearing(&[ONE]), Mode::Bridge)).await?;
        expect_heard(&mut lab, other, "p host").await?;
        expect_heard(&mut lab, ONE, "c1 host, p host").await?;
        lab.set_options("c1:c0", &[(MACADDR_MODE, ADD), (MACADDR, number(other))]).await?;
        expect_list(&lab, "c1:c0", &[ONE, other]).await?;
        expect_heard(&mut lab, other, "c1 host, p host").await?;
        lab.set_options("c1:c0", &[(MACADDR_MODE, DELETE), (MACADDR, number(other))]).await?;
        expect_list(&lab, "c1:c0", &[ONE]).await?;
        expect_heard(&mut lab, other, "p host").await?;
        expect_heard(&mut lab, ONE, "c1 host, p host").await
    });
}
