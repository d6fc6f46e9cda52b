//! What explanations say, word for word; and that what was kept is explained alike.

use hairpin_explain::{Question, Snapshot, explain, text::text};
use hairpin_fixtures::docker::{docker_host, docker_rules, forward, publish, routed_lan, unrouted};
use hairpin_fixtures::lan::mixed_lan;
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Family, Lab, Mode, Policy, PortFlags, Topology};

use crate::bridge::switched;
use crate::hold::{live, snapshot};

/// The text, held against the one that was looked at.
fn says(name: &str, topology: Topology, from: &str, to: &str) {
    says_of(name, topology, (from, to), None);
}

fn says_of(
    name: &str,
    topology: Topology,
    (from, to): (&str, &str),
    port: Option<(Protocol, u16)>,
) {
    live(async || {
        let lab = Lab::build(&topology).await?;
        let read = snapshot(&lab)?;
        let question = Question { port, ..Question::new(&read, from, to)? };
        let said = text(&explain(&read, &question));
        for placeholder in
            ["NAME", "BRIDGE", "CHILD", "PARENT", "ADDRESS", "ROUTER", "CONTAINER", "SENDER"]
        {
            assert!(!said.contains(placeholder), "{placeholder} in\n{said}");
        }
        insta::assert_snapshot!(name, said);
        Ok(())
    });
}

#[test]
fn of_design() {
    says("a child and its machine", macvlan_lan(Mode::Bridge), "c1", "p");
    says("private siblings", macvlan_lan(Mode::Private), "c1", "c2");
}

#[test]
fn of_configuration() {
    let dropped = docker_host().firewall("r", forward(Policy::Drop));
    says("a firewall", dropped, "c1", "c3");
    says("a machine that does not route", unrouted(), "c1", "c3");
    says("a locked port", switched(PortFlags::default().locked(true).learning(false)), "a", "b");
    says("a sender that is not listed", mixed_lan(Mode::Source, Mode::Bridge), "c1", "e");
}

#[test]
fn of_ports() {
    let published =
        || routed_lan().firewall("r", publish(docker_rules(), Protocol::Tcp, Family::V4));
    let port = Some((Protocol::Tcp, 8080));
    says_of("a port of ones own network", published(), ("c2", "203.0.113.1"), port);
    says_of("a published port", published(), ("e", "203.0.113.1"), port);
}

#[test]
fn of_a_ping_that_arrives() {
    says("a ping through a bridge", switched(PortFlags::default()), "a", "b");
}

#[test]
fn what_was_kept_is_explained_alike() {
    live(async || {
        let lab = Lab::build(&macvlan_lan(Mode::Vepa)).await?;
        let read = snapshot(&lab)?;
        let text = serde_json::to_string(&read).expect("a snapshot is JSON");
        let kept: Snapshot = serde_json::from_str(&text).expect("and is read back");
        assert_eq!(kept, read);
        Ok(())
    });
}
