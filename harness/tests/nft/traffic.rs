//! The firewall's effect on packets: what it lets pass, drops, rejects and translates, and that
//! its counters say so.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use hairpin_harness::nft::{self, Place};
use hairpin_model::{
    Firewall, Policy,
    firewall::{Action, Hook, Match, Protocol},
};
use ipnet::IpNet;
use rstest::rstest;

use crate::lab::{Lab, Ns, Plan, exchange, receive, until, v4, v6};

/// A port that the tests let pass, and one that they do not.
const OPEN: u16 = 7000;
const SHUT: u16 = 7001;
/// The port that the router publishes the server's open one at.
const PUBLISHED: u16 = 5353;

fn apply(ns: &Ns, firewall: &Firewall) {
    ns.enter(|| nft::apply(firewall)).expect("the firewall can be set");
}

fn packets(ns: &Ns, place: Place) -> (u64, u64) {
    let counters = ns.enter(nft::counters).expect("the counters can be read");
    let found = counters.iter().find(|counter| counter.place == place);
    let counter = found.unwrap_or_else(|| panic!("no counter for `{place}` in {counters:?}"));
    (counter.packets, counter.bytes)
}

fn counted(ns: &Ns, place: Place, number: u64) {
    until(&format!("packet {number} of {place}"), || {
        let (packets, _) = packets(ns, place);
        assert!(packets <= number, "{place} counts {packets}, not {number}");
        (packets == number).then_some(())
    });
}

fn udp(port: u16) -> Match {
    Match::any().port(Protocol::Udp, port)
}

/// Lets everything pass, with answers finding their way back.
fn open() -> Firewall {
    Firewall::new().masquerade(Match::any().to_link("s0"))
}

/// The lab after traffic went both ways, so that links are up and neighbours known.
fn warm(plan: Plan) -> (Lab, UdpSocket, UdpSocket) {
    let lab = Lab::new();
    let server = lab.server.bind((plan.server, OPEN).into());
    let client = lab.client.bind((plan.client, 0).into());
    apply(&lab.router, &open());
    exchange(&client, (plan.server, OPEN).into(), &server);
    (lab, client, server)
}

#[rstest]
#[case::v4(v4())]
#[case::v6(v6())]
fn a_published_port_is_reached_and_sees_the_router_as_source(#[case] plan: Plan) {
    let (lab, _, server) = warm(plan);
    let to_server = udp(OPEN).from_link("c0").to_link("s0").to(IpNet::from(plan.server));
    let firewall = open()
        .forward(Policy::Drop)
        .rule(Hook::Forward, Match::any().established(), Action::Accept)
        .rule(Hook::Forward, to_server, Action::Accept)
        .dnat(udp(PUBLISHED).to(IpNet::from(plan.inner)), (plan.server, OPEN).into());
    apply(&lab.router, &firewall);

    let client = lab.client.bind((plan.client, 0).into());
    let published = SocketAddr::from((plan.inner, PUBLISHED));
    let (asker, answerer) = exchange(&client, published, &server);

    assert_eq!((asker.ip(), answerer), (plan.outer, published));
    // Only the first packet of a connection is looked at for translation.
    assert_eq!(packets(&lab.router, Place::Dnat(0)).0, 1);
    assert_eq!(packets(&lab.router, Place::Masquerade(0)).0, 1);
    assert_eq!(packets(&lab.router, Place::Rule(1)).0, 1);
    assert!(packets(&lab.router, Place::Rule(0)).0 >= 1, "the answer was of the connection");
    assert_eq!(packets(&lab.router, Place::Policy(Hook::Forward)).0, 0);
}

#[rstest]
#[case::v4(v4())]
#[case::v6(v6())]
fn what_the_policy_drops_is_counted_and_does_not_arrive(#[case] plan: Plan) {
    let (lab, _, server) = warm(plan);
    let pass = open().rule(Hook::Forward, udp(OPEN), Action::Accept).rule(
        Hook::Forward,
        Match::any().established(),
        Action::Accept,
    );
    apply(&lab.router, &pass.clone().forward(Policy::Drop));
    let shut = lab.server.bind((plan.server, SHUT).into());
    let client = lab.client.bind((plan.client, 0).into());

    for _ in 0..3 {
        client.send_to(b"blocked", (plan.server, SHUT)).expect("a datagram can be sent");
    }
    counted(&lab.router, Place::Policy(Hook::Forward), 3);
    let (_, bytes) = packets(&lab.router, Place::Policy(Hook::Forward));
    assert_eq!(bytes, 3 * (plan.headers + 7));
    exchange(&client, (plan.server, OPEN).into(), &server);
    assert_eq!(receive(&shut), None, "the control came through, the blocked one did not");

    // The twin: the policy alone made the difference.
    apply(&lab.router, &pass.forward(Policy::Accept));
    exchange(&client, (plan.server, SHUT).into(), &shut);
    assert!(packets(&lab.router, Place::Policy(Hook::Forward)).0 >= 1);
}

#[rstest]
#[case::v4(v4())]
#[case::v6(v6())]
fn a_rejected_sender_is_told_that_the_port_is_unreachable(#[case] plan: Plan) {
    let (lab, client, server) = warm(plan);
    let refuse = open().rule(Hook::Forward, udp(SHUT), Action::Reject);
    apply(&lab.router, &refuse);
    exchange(&client, (plan.server, OPEN).into(), &server);

    let refused = lab.client.bind((plan.client, 0).into());
    lab.client.enter(|| refused.connect((plan.server, SHUT))).expect("a socket can be connected");
    refused.send(b"rejected").expect("a datagram can be sent");
    let error = until("the rejection", || match refused.recv(&mut [0; 8]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        other => Some(other.expect_err("nothing is received")),
    });

    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(packets(&lab.router, Place::Rule(0)), (1, plan.headers + 8));
}

/// Each pair of rules differs in the one thing that is held against the packet.
#[rstest]
#[case::v4(v4(), "192.0.2.0/29", "192.0.2.8/29", "198.51.100.20/31")]
#[case::v6(v6(), "2001:db8:1::/125", "2001:db8:1::10/125", "2001:db8:2::21/127")]
fn a_rule_takes_what_it_names_and_nothing_else(
    #[case] plan: Plan,
    #[case] beside: IpNet,
    #[case] around: IpNet,
    #[case] to: IpNet,
) {
    let (lab, client, _server) = warm(plan);
    let missing = [
        Match::any().from(beside),
        Match::any().from_link("c"),
        Match::any().from_link("c00"),
        Match::any().to_link("c0"),
        Match::any().port(Protocol::Tcp, SHUT),
        udp(OPEN),
        Match::any().to(IpNet::from(plan.client)),
        Match::any().established(),
    ];
    let taking = udp(SHUT).from(around).to(to).from_link("c0").to_link("s0");
    let drop = |firewall: Firewall, matches| firewall.rule(Hook::Forward, matches, Action::Drop);
    let firewall = missing.iter().cloned().fold(open(), drop);
    apply(&lab.router, &drop(firewall, taking));

    client.send_to(b"blocked", (plan.server, SHUT)).expect("a datagram can be sent");

    counted(&lab.router, Place::Rule(missing.len()), 1);
    for (n, matches) in missing.iter().enumerate() {
        assert_eq!(packets(&lab.router, Place::Rule(n)).0, 0, "{matches:?}");
    }
}

#[rstest]
#[case::v4(v4(), v6(), "0.0.0.0/0")]
#[case::v6(v6(), v4(), "::/0")]
fn a_prefix_is_for_its_own_family_even_when_it_is_all_of_it(
    #[case] blocked: Plan,
    #[case] free: Plan,
    #[case] all: IpNet,
) {
    let (lab, client, _server) = warm(blocked);
    let firewall = open().rule(Hook::Forward, Match::any().from(all), Action::Drop);
    apply(&lab.router, &firewall);

    client.send_to(b"blocked", (blocked.server, SHUT)).expect("a datagram can be sent");
    counted(&lab.router, Place::Rule(0), 1);

    let server = lab.server.bind((free.server, OPEN).into());
    let client = lab.client.bind((free.client, 0).into());
    exchange(&client, (free.server, OPEN).into(), &server);
    assert_eq!(packets(&lab.router, Place::Rule(0)).0, 1);
}

#[rstest]
#[case::v4(v4())]
#[case::v6(v6())]
fn the_namespaces_own_traffic_is_filtered_by_its_own_hooks(#[case] plan: Plan) {
    let (lab, client, _server) = warm(plan);
    let firewall = Firewall::new().rule(Hook::Input, udp(SHUT).from_link("c0"), Action::Drop).rule(
        Hook::Output,
        udp(OPEN).to_link("c0"),
        Action::Drop,
    );
    apply(&lab.router, &firewall);
    let router = lab.router.bind((plan.inner, SHUT).into());

    client.send_to(b"blocked", (plan.inner, SHUT)).expect("a datagram can be sent");
    counted(&lab.router, Place::Rule(0), 1);
    // The kernel tells the sender of a packet that it is dropped on its own way out.
    let error = router.send_to(b"blocked", (plan.client, OPEN)).expect_err("it is dropped");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);

    assert_eq!(packets(&lab.router, Place::Rule(1)).0, 1);
    assert_eq!(receive(&router), None);
    assert_eq!(packets(&lab.router, Place::Policy(Hook::Forward)).0, 0);
}
