//! Surprises of machines that route, or do not: forwarding, firewalls, the way back.

use Answer::{BlockedByConfiguration, Reaches};
use hairpin_explain::{Answer, Question, explain};
use hairpin_fixtures::docker::{docker_host, forward, unrouted};
use hairpin_harness::{Action, Firewall, Hook, Lab, Match, Policy};

use crate::hold::{hold, live, snapshot, surprise};

#[test]
fn two_bridges_and_a_machine_that_does_not_route() {
    let rule = "bridge.docker.other-bridge-needs-routing";
    let expected = [
        ("c1", "c2", Reaches, ""),
        ("c1", "c3", BlockedByConfiguration, rule),
        ("c1", "r", Reaches, ""),
    ];
    surprise(unrouted(), &expected);
    let routes = unrouted().route("c3", "0.0.0.0/0", "198.51.100.1");
    surprise(routes, &[("c1", "c3", BlockedByConfiguration, rule)]);
    surprise(docker_host(), &[("c1", "c3", Reaches, ""), ("c3", "c1", Reaches, "")]);
}

#[test]
fn an_internal_network_reaches_its_gateway_alone() {
    // Without a default route, but with a machine that routes. Of its addresses the one on the
    // same bridge is reached; that on the other bridge is what the grid asks for.
    let internal = unrouted().sysctl("r", "ipv4.ip_forward", "1");
    let rule = "bridge.docker.other-bridge-needs-routing";
    live(async || {
        let mut lab = Lab::build(&internal).await?;
        let refused = BlockedByConfiguration;
        hold(&mut lab, &[("c3", "r", refused, rule), ("c3", "c1", refused, rule)]).await?;
        let read = snapshot(&lab)?;
        let gateway = Question::new(&read, "c3", "r")?;
        assert_eq!(explain(&read, &gateway).answer, Reaches);
        Ok(())
    });
}

#[test]
fn forward_drop_cuts_bridges_apart() {
    let dropped = docker_host().firewall("r", forward(Policy::Drop));
    let rule = "bridge.docker.forward-drop-cuts-bridges-apart";
    let expected = [
        ("c1", "c3", BlockedByConfiguration, rule),
        ("c1", "c2", Reaches, ""),
        ("c1", "r", Reaches, ""),
    ];
    surprise(dropped, &expected);
}

#[test]
fn a_host_firewall_that_drops_one_bridge() {
    let rules = Firewall::new().rule(Hook::Input, Match::any().from_link("br1"), Action::Drop);
    let expected = [
        ("c1", "r", BlockedByConfiguration, "nat.port.dropped-alone"),
        ("c3", "r", Reaches, ""),
        ("c1", "c3", Reaches, ""),
    ];
    surprise(docker_host().firewall("r", rules), &expected);
}

#[test]
fn answers_pass_where_questions_do_not() {
    // As Docker has it: what c1 began may be answered, what c3 begins is dropped.
    let rules = forward(Policy::Drop)
        .rule(Hook::Forward, Match::any().established(), Action::Accept)
        .rule(Hook::Forward, Match::any().from_link("br1"), Action::Accept);
    let rule = "bridge.docker.forward-drop-cuts-bridges-apart";
    surprise(
        docker_host().firewall("r", rules),
        &[("c1", "c3", Reaches, ""), ("c3", "c1", BlockedByConfiguration, rule)],
    );
}

#[test]
fn masquerading_needs_no_route_back() {
    let net = "192.0.2.0/24".parse().expect("a network");
    let rules = Firewall::new().masquerade(Match::any().from(net).not_to_link("br1"));
    let routed = unrouted().sysctl("r", "ipv4.ip_forward", "1").firewall("r", rules);
    let rule = "bridge.docker.other-bridge-needs-routing";
    surprise(routed, &[("c1", "c3", Reaches, ""), ("c3", "c1", BlockedByConfiguration, rule)]);
}

#[test]
fn the_reverse_path_filter() {
    // c1 has a second way to c3's network, and answers by it.
    let two_ways = docker_host()
        .cable("c1:eth1", "c3:eth1")
        .address("c1:eth1", "203.0.113.1/24")
        .address("c3:eth1", "203.0.113.3/24")
        .route("c3", "192.0.2.0/24", "203.0.113.1");
    surprise(two_ways.clone(), &[]);
    let strict = two_ways.sysctl("c3", "ipv4.conf.all.rp_filter", "1");
    surprise(strict, &[]);
}

#[test]
fn proxy_arp_stands_in() {
    // c3 takes all for its neighbours; the machine answers for those that are not.
    let flat = |proxy: &str| {
        let mut topology = docker_host().sysctl("r", "ipv4.conf.all.proxy_arp", proxy);
        for netns in &mut topology.netns {
            netns.routes.retain(|_| netns.name != "c3");
        }
        for link in &mut topology.links {
            if link.name.netns == "c3" {
                link.addresses = vec!["198.51.100.13/0".parse().expect("an address")];
            }
        }
        topology
    };
    surprise(flat("1"), &[]);
    surprise(flat("0"), &[]);
}
