//! What surprises people, built as labs: each is explained, and the explanation is held against
//! what the kernel does with every pair of hosts.
//!
//! An explanation may say that it cannot tell; it may never say something else than the kernel.

use std::fs::File;
use std::net::IpAddr;

use Answer::{BlockedByConfiguration, BlockedByDesign, CannotTell, Reaches};
use hairpin_explain::{Answer, Question, Snapshot, explain};
use hairpin_fixtures::docker::{docker_host, forward, unrouted};
use hairpin_fixtures::lan::{mixed_lan, reflecting, single_lan};
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::topology::Macvlan;
use hairpin_harness::{
    Action, Class, Error, Firewall, Grid, Hook, Lab, Match, Mode, Policy, PortFlags, Rule,
    Topology, Verdict, suite,
};
use hairpin_inspect::{Place, Places, read};

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

/// Reads a lab as a machine is read.
fn snapshot(lab: &Lab) -> Result<Snapshot, Error> {
    let mut places = Places::default();
    for netns in &lab.topology().netns {
        let file = lab.inside(&netns.name, || File::open("/proc/thread-self/ns/net"))?;
        let file =
            file.map_err(|error| Error::new(error.to_string(), &netns.name, "mount /proc"))?;
        places.all.push(Place { name: netns.name.clone(), file });
    }
    read(&places)
}

/// The hosts of a grid that have an IPv4 address.
fn hosts(lab: &Lab, grid: &Grid) -> Vec<String> {
    let has = |host: &&String| {
        lab.topology().links_of(host).any(|link| link.addresses.iter().any(|a| a.addr().is_ipv4()))
    };
    grid.hosts.iter().filter(has).cloned().collect()
}

/// What a grid asks: the host's first address.
fn question(lab: &Lab, snapshot: &Snapshot, from: &str, to: &str) -> Question {
    let nets = lab.topology().links_of(to).flat_map(|link| link.addresses.clone());
    let first = nets.map(|net| net.addr()).find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let at = snapshot.spaces.iter().position(|space| space.name == from);
    Question { from: at.expect("it was read"), source: None, to: first.expect("it has an address") }
}

/// How many pairs were explained, and how many could not be.
#[derive(Default)]
struct Tally {
    told: usize,
    untold: usize,
}

/// Holds what is explained of all pairs against the kernel, and of some against what is expected.
async fn hold(lab: &mut Lab, expected: &[(&str, &str, Answer, &str)]) -> Result<Tally, Error> {
    let snapshot = snapshot(lab)?;
    let grid = lab.observe(Class::Ping4).await?;
    let mut tally = Tally::default();
    let all = hosts(lab, &grid);
    for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (from, to))) {
        if from == to {
            continue;
        }
        let question = question(lab, &snapshot, from, to);
        let explained = explain(&snapshot, &question);
        let cell = grid.cell(from, to).expect("the grid has its hosts");
        let text = hairpin_explain::text::text(&explained);
        assert!(
            !matches!(cell.verdict, Verdict::Inconclusive(_)),
            "{from} -> {to}: {}",
            cell.verdict
        );
        match explained.answer {
            CannotTell => tally.untold += 1,
            answer => {
                tally.told += 1;
                let arrives = matches!(cell.verdict, Verdict::Delivered);
                assert_eq!(
                    answer == Reaches,
                    arrives,
                    "the kernel: {}\n{text}\n{grid}",
                    cell.verdict
                );
            }
        }
        let wanted = expected.iter().find(|wanted| (wanted.0, wanted.1) == (from, to));
        if let Some((.., answer, rule)) = wanted {
            assert_eq!(explained.answer, *answer, "{text}");
            let first = explained.reasons.first().and_then(|reason| reason.rule.clone());
            assert_eq!(first.unwrap_or_default(), *rule, "{text}");
        }
    }
    println!("{}: {} told, {} not", lab.topology().name, tally.told, tally.untold);
    Ok(tally)
}

fn live(body: impl AsyncFnOnce() -> Result<(), Error>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Err(error) = runtime.expect("a runtime can be made").block_on(body()) {
        panic!("{error}");
    }
}

/// Builds, and holds.
fn surprise(topology: Topology, expected: &[(&str, &str, Answer, &str)]) {
    live(async || {
        let mut lab = Lab::build(&topology).await?;
        hold(&mut lab, expected).await?;
        Ok(())
    });
}

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

/// Two machines and the bridge between them, whose port to the first has these flags.
fn switched(flags: PortFlags) -> Topology {
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
        .address("a:eth0", "192.0.2.11/24")
        .address("b:eth0", "192.0.2.12/24")
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
