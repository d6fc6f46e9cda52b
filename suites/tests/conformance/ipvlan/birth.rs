//! How an ipvlan child is born, which births are refused, and what cannot stand on one.
//!
//! ```text
//!   (newborn) --- p0 --- e0     p0 may become a port of `br` when no child is left
//! ```

use hairpin_harness::options::ipvlan::{FLAGS, MODE};
use hairpin_harness::options::{LinkOption, link, vlan};
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Errno, Need, Plea, Rule, Source, Strength, Topology, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[DEFAULTS, LENGTHS, NONSENSE, GRANDCHILD, NOTHING_ABOVE, SEGMENTS, GIVEN_AWAY];

fn childless() -> Topology {
    Topology::new("childless").host("p").host("e").bridge("p:br").cable("p:p0", "e:e0")
}

const DEFAULTS: Rule = Rule {
    id: "ipvlan.birth.l3-unless-told",
    promise: "a child that is told nothing is in l3 mode, without flags, with its parent's address \
              and MTU whatever address it is told; its mode is then that of its siblings, too; an \
              MTU that it is told it has",
    source: Source {
        cite: "ipvlan_link_new, drivers/net/ipvlan/ipvlan_main.c; ip-link(8), ipvlan",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn l3_unless_told() {
    check(&DEFAULTS, async |case| {
        let mut lab = case.lab(&childless().mtu("p:p0", 1400)).await?;
        let parents = lab.option("p:p0", link::ADDRESS).await?.unwrap_or_default();
        let told = [(link::MTU, 1300)];
        let born = lab.newborn("ipvlan", "p", Some("p0"), &told).await?.option(link::MTU);
        lab.claim("an MTU that it is told", born == Some(1300), format!("{born:?}"))?;
        let told = [(link::ADDRESS, 0x0268_70ff_0001)];
        for told in [&[][..], &told] {
            let born = lab.newborn("ipvlan", "p", Some("p0"), told).await?;
            for (option, wanted) in
                [(MODE, 1), (FLAGS, 0), (link::MTU, 1400), (link::ADDRESS, parents)]
            {
                let seen = born.option(option);
                let claim = format!("a newborn has {option} {wanted}");
                lab.claim(&claim, seen == Some(wanted), format!("{seen:?}"))?;
            }
        }
        lab.grow(|lan| lan.ipvlan("p:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Private)).await?;
        lab.newborn("ipvlan", "p", Some("p0"), &[(FLAGS, 2)]).await?;
        lab.expect_option("p:i0", MODE, 1).await?;
        lab.expect_option("p:i0", FLAGS, 2).await
    });
}

const LENGTHS: Rule = Rule {
    id: "ipvlan.birth.as-long-as-it-likes",
    promise: "a child takes an MTU of 68 to 65535 bytes, whatever its parent's is",
    source: Source {
        cite: "ipvlan_link_setup, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn as_long_as_it_likes() {
    check(&LENGTHS, async |case| {
        let lan = childless().ipvlan("p:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge);
        let mut lab = case.lab(&lan).await?;
        lab.expect_option("p:i0", link::MIN_MTU, 68).await?;
        lab.expect_option("p:i0", link::MAX_MTU, 65_535).await?;
        for mtu in [68, 65_535] {
            let done = lab.set_mtu("p:i0", mtu).await;
            lab.expect_done(&format!("an MTU of {mtu}"), done)?;
        }
        for mtu in [67, 65_536] {
            let done = lab.set_mtu("p:i0", mtu).await;
            lab.expect_refusal(&format!("an MTU of {mtu}"), done, Errno::EINVAL)?;
        }
        lab.expect_option("p:p0", link::MTU, 1500).await
    });
}

const NONSENSE: Rule = Rule {
    id: "ipvlan.birth.nonsense-is-refused",
    promise: "a child without a parent, on a loopback, or with settings that make no sense is \
              refused, and its parent stays free for a bridge",
    source: Source {
        cite: "ipvlan_nl_validate and ipvlan_link_new, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::no_such_parent(&[(link::BELOW, 9999)], Errno::ENODEV)]
#[case::on_the_loopback(&[(link::BELOW, 1)], Errno::EINVAL)]
#[case::unknown_mode(&[(MODE, 3)], Errno::EINVAL)]
#[case::private_and_vepa(&[(FLAGS, 3)], Errno::EINVAL)]
#[case::unknown_flag(&[(FLAGS, 4)], Errno::EINVAL)]
#[case::highest_flag(&[(FLAGS, 0x8000)], Errno::EINVAL)]
fn nonsense_is_refused(#[case] told: &[(LinkOption, u64)], #[case] errno: Errno) {
    check(&NONSENSE, async |case| {
        let mut lab = case.lab(&childless()).await?;
        let elsewhere = told.iter().any(|(option, _)| *option == link::BELOW);
        let below = (!elsewhere).then_some("p0");
        let born = lab.newborn("ipvlan", "p", below, told).await;
        lab.expect_refusal("such a child", born, errno)?;
        let born = lab.newborn("ipvlan", "p", None, &[]).await;
        lab.expect_refusal("a child of nobody", born, Errno::EINVAL)?;
        let joined = lab.set_bridge("p:p0", Some("br")).await;
        lab.expect_done("to become a port", joined)?;
        let born = lab.newborn("ipvlan", "p", Some("p0"), &[]).await;
        lab.expect_refusal("a child of a port", born, Errno::EBUSY)?;
        lab.set_bridge("p:p0", None).await?;
        let born = lab.newborn("ipvlan", "p", Some("p0"), &[]).await;
        lab.expect_done("a good child", born)
    });
}

const GRANDCHILD: Rule = Rule {
    id: "ipvlan.birth.a-childs-child-is-its-sibling",
    promise: "an ipvlan on an ipvlan stands on the latter's parent, and has the mode that all have \
              from then on",
    source: Source {
        cite: "ipvlan_link_new, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_childs_child_is_its_sibling() {
    check(&GRANDCHILD, async |case| {
        let lan = childless().ipvlan("p:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge);
        let lab = case.lab(&lan).await?;
        let parent = u64::from(lab.link("p:p0").await?.index);
        let born = lab.newborn("ipvlan", "p", Some("i0"), &[(MODE, 2)]).await?;
        let below = born.option(link::BELOW);
        lab.claim("it stands on p0", below == Some(parent), format!("{below:?}"))?;
        lab.expect_option("p:i0", MODE, 2).await
    });
}

const NOTHING_ABOVE: Rule = Rule {
    id: "ipvlan.birth.nothing-stands-on-a-child",
    promise: "an ipvlan child is no parent of macvlan children, no bridge port, and takes no VLAN",
    source: Source {
        cite: "ipvlan_link_new, IFF_NO_RX_HANDLER, and IPVLAN_ALWAYS_ON, \
               drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        Need::Driver("veth"),
        Need::Driver("macvlan"),
        Need::Driver("ipvlan"),
        Need::Driver("vlan"),
    ],
};

#[test]
fn nothing_stands_on_a_child() {
    check(&NOTHING_ABOVE, async |case| {
        let lan = childless().ipvlan("p:i0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge);
        let mut lab = case.lab(&lan).await?;
        let born = lab.newborn("macvlan", "p", Some("i0"), &[]).await;
        lab.expect_refusal("a macvlan child", born, Errno::EINVAL)?;
        let born = lab.newborn("vlan", "p", Some("i0"), &[(vlan::ID, 5)]).await;
        lab.expect_refusal("a VLAN", born, Errno::EOPNOTSUPP)?;
        let joined = lab.set_bridge("p:i0", Some("br")).await;
        lab.expect_refusal("to become a port", joined, Errno::EINVAL)?;
        let born = lab.newborn("vlan", "p", Some("p0"), &[(vlan::ID, 5)]).await;
        lab.expect_done("a VLAN of its parent", born)
    });
}

const SEGMENTS: Rule = Rule {
    id: "ipvlan.birth.segments-as-large-as-its-parents",
    promise: "a child may leave packets uncut that are as large as its parent can take",
    source: Source {
        cite: "ipvlan_init, netif_inherit_tso_max, drivers/net/ipvlan/ipvlan_main.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("ipvlan"), Need::Since(6, 0)],
};

#[test]
fn segments_as_large_as_its_parents() {
    check(&SEGMENTS, async |case| {
        let lab = case.lab(&childless()).await?;
        let most = lab.option("p:p0", link::TSO_MAX_SIZE).await?;
        lab.claim("a cable takes more than 64 KiB", most > Some(65_536), format!("{most:?}"))?;
        let born = lab.newborn("ipvlan", "p", Some("p0"), &[]).await?;
        let seen = born.option(link::TSO_MAX_SIZE);
        lab.claim("so does the child", seen == most, format!("{seen:?}"))
    });
}

const GIVEN_AWAY: Rule = Rule {
    id: "ipvlan.birth.one-that-was-given-away-rules-nobody",
    promise: "who was given a child and does not rule its parent's namespace may bring it up, but changes \
              no mode and no flags, which are those of all children, and makes no sibling of it; who rules \
              both may",
    source: Source {
        cite: "ipvlan_nl_changelink and ipvlan_link_new, ns_capable, \
               drivers/net/ipvlan/ipvlan_main.c; user_namespaces(7)",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn one_that_was_given_away_rules_nobody() {
    check(&GIVEN_AWAY, async |case| {
        let (mode, flag) = (IpvlanMode::L2, IpvlanFlag::Bridge);
        let lan = Topology::new("given-away").host("c1").host("p").cable("p:p0", "p:p1");
        let lan = lan.ipvlan("p:i0", "p:p0", mode, flag).ipvlan("c1:i0", "p:p0", mode, flag);
        let mut lab = case.lab(&lan).await?;
        let born = lab.newborn("ipvlan", "c1", Some("i0"), &[(MODE, 1)]).await;
        lab.expect_done("to make a sibling of it", born)?;
        for (option, value) in [(MODE, 2), (FLAGS, 1), (MODE, 0), (FLAGS, 0)] {
            let done = lab.set_option("c1:i0", option, value).await;
            lab.expect_done(&format!("{option} {value}"), done)?;
        }
        let pleas =
            [Plea::Up, Plea::Set(MODE, 2), Plea::Set(FLAGS, 1), Plea::Child("ipvlan"), Plea::Up];
        let answers = lab.ask_as_stranger("c1:i0", &pleas).await?;
        let no = Err(Errno::EPERM as i32);
        let wanted = [Ok(()), no, no, no, Ok(())];
        lab.claim(&format!("{pleas:?}: {wanted:?}"), answers == wanted, format!("{answers:?}"))?;
        lab.expect_option("p:i0", MODE, 0).await?;
        lab.expect_option("p:i0", FLAGS, 0).await
    });
}
