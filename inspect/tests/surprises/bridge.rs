//! Surprises of bridges: the flags of their ports, and who answers twice.

use Answer::{BlockedByConfiguration, CannotTell, Reaches};
use hairpin_explain::{Answer, explain};
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::{Lab, Mode, PortFlags, Topology};

use crate::hold::{hold, live, question, snapshot, surprise};

#[test]
fn the_far_end_of_a_cable_is_down() {
    live(async || {
        let mut lab = Lab::build(&macvlan_lan(Mode::Bridge)).await?;
        lab.set_up("sw:s1", false).await?;
        let rule = "veth.carrier-while-both-are-up";
        hold(&mut lab, &[("c1", "e", BlockedByConfiguration, rule), ("c1", "c2", Reaches, "")])
            .await?;
        Ok(())
    });
}

/// Two machines and the bridge between them, whose port to the first has these flags.
pub(crate) fn switched(flags: PortFlags) -> Topology {
    let other = if flags.isolated == Some(true) { flags } else { PortFlags::default() };
    Topology::new("switched")
        .host("a")
        .host("b")
        .host("sw")
        .bridge("sw:br")
        .cable("sw:p1", "a:eth0")
        .port_with("sw:p1", "br", flags)
        .cable("sw:p2", "b:eth0")
        .port_with("sw:p2", "br", other)
        .address("sw:br", "192.0.2.1/24")
        .address("sw:br", "2001:db8::1/64")
        .address("a:eth0", "192.0.2.11/24")
        .address("a:eth0", "2001:db8::11/64")
        .address("b:eth0", "192.0.2.12/24")
        .address("b:eth0", "2001:db8::12/64")
}

#[test]
fn isolated_ports() {
    let rule = "bridge.port.isolated-ports-stay-apart";
    let expected = [
        ("a", "b", BlockedByConfiguration, rule),
        ("a", "sw", Reaches, ""),
        ("sw", "b", Reaches, ""),
    ];
    surprise(switched(PortFlags::default().isolated(true)), &expected);
}

#[test]
fn a_port_without_broadcast() {
    let rule = "bridge.port.group-flood-off-stops-its-own-kind";
    let flags = PortFlags::default().bcast_flood(false);
    surprise(switched(flags), &[("b", "a", BlockedByConfiguration, rule), ("a", "b", Reaches, "")]);
}

#[test]
fn a_port_that_neither_learns_nor_floods() {
    let rule = "bridge.port.flood-off-stops-unknown-unicast-only";
    let flags = PortFlags::default().flood(false).learning(false);
    surprise(switched(flags), &[("b", "a", BlockedByConfiguration, rule)]);
}

#[test]
fn a_locked_port() {
    let rule = "bridge.port.locked-drops-unknown-senders";
    let flags = PortFlags::default().locked(true).learning(false);
    surprise(
        switched(flags),
        &[("a", "b", BlockedByConfiguration, rule), ("b", "a", BlockedByConfiguration, rule)],
    );
}

#[test]
fn a_bridge_that_is_down() {
    let rule = "bridge.flooding.a-bridge-that-is-down-forwards-nothing";
    surprise(
        switched(PortFlags::default()).down("sw:br"),
        &[("a", "b", BlockedByConfiguration, rule)],
    );
}

#[test]
fn one_address_twice() {
    // Both answer: who is believed is nobody's promise.
    let twice = switched(PortFlags::default())
        .netns("x")
        .cable("sw:p3", "x:eth0")
        .port("sw:p3", "br")
        .address("x:eth0", "192.0.2.13/24");
    live(async || {
        let mut lab = Lab::build(&twice).await?;
        lab.add_address("x:eth0", "192.0.2.12/24").await?;
        let read = snapshot(&lab)?;
        let explained = explain(&read, &question(&lab, &read, "a", "b"));
        assert_eq!(explained.answer, CannotTell);
        assert!(explained.missing.iter().any(|line| line.contains("both answer")), "{explained:?}");
        Ok(())
    });
}
