//! Surprises of macvlan: parents, siblings, modes.

use Answer::{BlockedByConfiguration, BlockedByDesign, Reaches};
use hairpin_explain::Answer;
use hairpin_fixtures::lan::{mixed_lan, reflecting, single_lan};
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{Lab, Mode, Topology};

use crate::hold::{hold, live, surprise};

const APART: &str = "macvlan.parent.apart-unless-reflected";

#[test]
fn a_child_and_its_parents_machine() {
    let expected = [
        ("c1", "p", BlockedByDesign, APART),
        ("p", "c1", BlockedByDesign, APART),
        ("c1", "e", Reaches, ""),
        ("e", "c1", Reaches, ""),
    ];
    surprise(macvlan_lan(Mode::Bridge), &expected);
}

#[test]
fn a_machine_with_a_child_of_its_own() {
    // The parent's machine has the shim, and a route to the container through it.
    let lan = macvlan_lan(Mode::Bridge)
        .macvlan("p:shim", "p:p0", Mode::Bridge)
        .address("p:shim", "192.0.2.10/31");
    surprise(lan, &[("p", "c1", Reaches, ""), ("p", "c2", BlockedByDesign, APART)]);
}

const VEPA: &str = "macvlan.vepa.siblings-need-reflection";

#[test]
fn vepa_siblings_and_a_plain_switch() {
    surprise(macvlan_lan(Mode::Vepa), &[("c1", "c2", BlockedByDesign, VEPA)]);
}

#[test]
fn vepa_siblings_and_a_switch_that_reflects() {
    live(async || {
        let mut lab = Lab::build(&macvlan_lan(Mode::Vepa)).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        hold(&mut lab, &[("c1", "c2", Reaches, ""), ("c1", "p", Reaches, "")]).await?;
        Ok(())
    });
}

const PRIVATE: &str = "macvlan.private.siblings-stay-apart";

#[test]
fn private_siblings_even_if_the_switch_reflects() {
    live(async || {
        let mut lab = Lab::build(&macvlan_lan(Mode::Private)).await?;
        let expected = [("c1", "c2", BlockedByDesign, PRIVATE), ("c1", "e", Reaches, "")];
        hold(&mut lab, &expected).await?;
        lab.set_port("sw:s0", reflecting()).await?;
        hold(&mut lab, &expected).await?;
        Ok(())
    });
}

#[test]
fn children_of_different_modes() {
    for other in [Mode::Vepa, Mode::Private] {
        let rule = if other == Mode::Vepa { VEPA } else { PRIVATE };
        surprise(mixed_lan(other, Mode::Bridge), &[("c1", "c2", BlockedByDesign, rule)]);
        surprise(mixed_lan(Mode::Bridge, other), &[("c1", "c2", BlockedByDesign, rule)]);
    }
}

#[test]
fn an_address_behind_a_child() {
    // A bridge in the container, with a child as its port: what is on it has another address.
    let mut lan = single_lan(Mode::Bridge);
    for link in lan.links.iter_mut().filter(|link| link.name.netns == "c1") {
        link.addresses.clear();
    }
    for netns in lan.netns.iter_mut().filter(|netns| netns.name == "c1") {
        netns.host = false;
    }
    let behind = lan
        .bridge("c1:br")
        .port("c1:c0", "br")
        .host("vm")
        .cable("c1:v0", "vm:eth0")
        .port("c1:v0", "br")
        .address("vm:eth0", "192.0.2.31/24");
    let rule = "macvlan.delivery.only-its-own-address";
    surprise(behind, &[("vm", "e", BlockedByDesign, rule), ("e", "vm", BlockedByDesign, rule)]);
}

#[test]
fn passthru_leaves_its_parent_without_unicast() {
    surprise(single_lan(Mode::Passthru), &[("c1", "e", Reaches, "")]);
}

#[test]
fn a_parent_that_is_down() {
    live(async || {
        let mut lab = Lab::build(&macvlan_lan(Mode::Bridge)).await?;
        lab.set_up("p:p0", false).await?;
        let rule = "macvlan.life.carrier-is-the-parents";
        hold(
            &mut lab,
            &[
                ("c1", "c2", BlockedByConfiguration, rule),
                ("c1", "e", BlockedByConfiguration, rule),
            ],
        )
        .await?;
        lab.set_up("p:p0", true).await?;
        hold(&mut lab, &[("c1", "c2", Reaches, ""), ("c1", "e", Reaches, "")]).await?;
        Ok(())
    });
}

#[test]
fn source_children_hear_who_is_listed() {
    let rule = "macvlan.source.hears-listed-senders-only";
    let deaf = mixed_lan(Mode::Source, Mode::Bridge);
    let e = deaf.mac_of(&"e:e0".into());
    surprise(deaf, &[("c1", "e", BlockedByConfiguration, rule), ("c2", "e", Reaches, "")]);
    let listed = mixed_lan(Macvlan::from(Mode::Source).sender(e), Mode::Bridge);
    surprise(listed, &[("c1", "e", Reaches, ""), ("e", "c1", Reaches, "")]);
}

#[test]
fn a_dummy_as_parent() {
    // What a network without a parent gets: children talk, and nobody else hears them.
    // (Where there is no dummy driver, a bridge without ports stands in: it has no carrier.)
    let lonely = Topology::new("lonely")
        .host("c1")
        .host("c2")
        .host("p")
        .bridge("p:none")
        .macvlan("c1:c0", "p:none", Mode::Bridge)
        .macvlan("c2:c0", "p:none", Mode::Bridge)
        .address("p:none", "192.0.2.1/24")
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24");
    surprise(lonely, &[("c1", "c2", BlockedByConfiguration, "")]);
}
