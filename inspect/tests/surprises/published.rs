//! Surprises of ports: published ones, closed ones, those that one firewall drops; held against
//! what becomes of a flow of the same kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use Answer::{BlockedByConfiguration, Reaches};
use hairpin_explain::{Answer, Explanation, Question, explain, text::text};
use hairpin_fixtures::docker::{
    docker_host, docker_lan, docker_rules, public, publish, routed_lan,
};
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Action, Error, Family, Firewall, Flow, Hook, Lab, Match, Verdict};

use crate::hold::{live, snapshot};

const ALL: [(Protocol, Family); 4] = [
    (Protocol::Tcp, Family::V4),
    (Protocol::Tcp, Family::V6),
    (Protocol::Udp, Family::V4),
    (Protocol::Udp, Family::V6),
];

/// Explains a flow, while somebody listens where it should end.
fn explained(lab: &Lab, flow: &Flow<'_>) -> Result<Explanation, Error> {
    let any: IpAddr = match flow.family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let at = SocketAddr::new(any, flow.port);
    let held = lab.inside(flow.to, || match flow.transport {
        Protocol::Tcp => TcpListener::bind(at).map(|ear| (Some(ear), None)),
        Protocol::Udp => UdpSocket::bind(at).map(|ear| (None, Some(ear))),
    })?;
    let _held = held.expect("a socket");
    asked(lab, flow)
}

/// Explains a flow, whoever listens.
pub(crate) fn asked(lab: &Lab, flow: &Flow<'_>) -> Result<Explanation, Error> {
    let read = snapshot(lab)?;
    let own = lab.topology().address_of(flow.to, flow.family).expect("it has an address");
    let to = flow.asked.unwrap_or_else(|| SocketAddr::new(own, flow.port));
    let from = read.spaces.iter().position(|space| space.name == flow.from).expect("it was read");
    let question = Question::ping(from, to.ip()).at_port(flow.transport, to.port());
    Ok(explain(&read, &question))
}

/// Holds the explanation of a flow against the flow.
pub(crate) async fn hold(
    lab: &mut Lab,
    flow: &Flow<'_>,
    expected: (Answer, &str),
) -> Result<(), Error> {
    let said = explained(lab, flow)?;
    let verdict = lab.flow(flow).await?.cell.verdict;
    let text = text(&said);
    assert!(!matches!(verdict, Verdict::Inconclusive(_)), "{flow}: {verdict}");
    let arrives = verdict == Verdict::Delivered;
    let told = said.answer == Reaches;
    // Of a datagram the kernel shows the way there alone.
    let comes = |line: &String| line.contains("takes the request");
    let open = !said.reasons.first().is_some_and(|reason| reason.why.contains("listens"));
    let there = flow.transport == Protocol::Udp && open && said.way.iter().any(comes);
    if said.answer != Answer::CannotTell {
        assert_eq!(told || there, arrives, "{flow}: {verdict}\n{text}");
    }
    assert_eq!(said.answer, expected.0, "{flow}: {verdict}\n{text}");
    let rule = said.reasons.first().and_then(|reason| reason.rule.clone());
    assert_eq!(rule.unwrap_or_default(), expected.1, "{text}");
    Ok(())
}

const DROPPED: &str = "nat.port.dropped-alone";
const FORWARD: &str = "bridge.docker.forward-drop-cuts-bridges-apart";
const LOOPBACK: &str = "docker.published.loopback-needs-masquerade-not-hairpin";

#[test]
fn a_published_port() {
    for (transport, family) in ALL {
        live(async || {
            let rules = publish(docker_rules(), transport, family);
            let mut lab = Lab::build(&routed_lan().firewall("r", rules)).await?;
            let flow = Flow::new(transport, family).port(80).control("c2");
            let published = flow.asking(public(family, 8080)).aside("r", 81);
            hold(&mut lab, &published.between("e", "c1"), (Reaches, "")).await?;
            // What was not published is dropped on its way in.
            let plain = flow.between("e", "c1").port(81).aside("r", 82);
            hold(&mut lab, &plain, (BlockedByConfiguration, FORWARD)).await
        });
    }
}

#[test]
fn a_published_port_and_the_machine_itself() {
    for (transport, family) in ALL {
        live(async || {
            let whole = publish(docker_rules(), transport, family);
            let others_only = Firewall { local_dnat: Vec::new(), ..whole.clone() };
            let mut lab = Lab::build(&docker_lan().firewall("r", others_only)).await?;
            let flow = Flow::new(transport, family).port(80).asking(public(family, 8080));
            let own = flow.between("r", "c1").aside("c2", 81).control("c2");
            // Nobody listens on the machine itself.
            hold(&mut lab, &own, (BlockedByConfiguration, "")).await?;
            lab.set_firewall("r", whole)?;
            hold(&mut lab, &own, (Reaches, "")).await
        });
    }
}

#[test]
fn a_port_that_ones_own_network_publishes() {
    for (transport, family) in ALL {
        live(async || {
            let rules = publish(docker_rules(), transport, family);
            let mut lab = Lab::build(&routed_lan().firewall("r", rules.clone())).await?;
            let flow = Flow::new(transport, family).port(80).asking(public(family, 8080));
            let own = flow.between("c2", "c1").aside("r", 81).control("c3");
            let own = if transport == Protocol::Tcp { own.control("c2") } else { own.control("r") };
            hold(&mut lab, &own, (BlockedByConfiguration, LOOPBACK)).await?;
            let net = match family {
                Family::V4 => "192.0.2.0/24",
                Family::V6 => "2001:db8:1::/64",
            };
            let back = Match::any().from(net.parse().expect("a network")).to_link("br1");
            lab.set_firewall("r", rules.masquerade(back))?;
            hold(&mut lab, &own, (Reaches, "")).await
        });
    }
}

#[test]
fn one_port_that_is_dropped() {
    for (transport, family) in ALL {
        live(async || {
            let drop =
                Firewall::new().rule(Hook::Forward, Match::any().port(transport, 80), Action::Drop);
            let mut lab = Lab::build(&docker_host().firewall("r", drop)).await?;
            let flow = Flow::new(transport, family).between("c1", "c3").control("r");
            hold(&mut lab, &flow.port(80), (BlockedByConfiguration, DROPPED)).await?;
            hold(&mut lab, &flow.port(81), (Reaches, "")).await?;
            // The other protocol's port of that number is another.
            let other = match transport {
                Protocol::Tcp => Protocol::Udp,
                Protocol::Udp => Protocol::Tcp,
            };
            let other = Flow { transport: other, ..flow }.port(80);
            hold(&mut lab, &other, (Reaches, "")).await
        });
    }
}

#[test]
fn a_port_that_nobody_listens_at() {
    for (transport, family) in ALL {
        live(async || {
            let lab = Lab::build(&docker_host()).await?;
            let flow = Flow::new(transport, family).between("c1", "c2").port(80);
            let closed = asked(&lab, &flow)?;
            assert_eq!(closed.answer, BlockedByConfiguration, "{}", text(&closed));
            assert!(closed.reasons[0].why.contains("nobody listens"), "{}", text(&closed));
            assert_eq!(explained(&lab, &flow)?.answer, Reaches);
            // And the kernel does refuse.
            let to = lab.topology().address_of("c2", family).expect("an address");
            let refused = lab.connect("c1", SocketAddr::new(to, 80))?;
            let kind = refused.err().map(|error| error.kind());
            assert_eq!(kind, Some(std::io::ErrorKind::ConnectionRefused));
            Ok(())
        });
    }
}

#[test]
fn a_port_that_somebody_listens_at_for_himself() {
    live(async || {
        let lab = Lab::build(&docker_host()).await?;
        let flow = Flow::new(Protocol::Tcp, Family::V4).between("c1", "c2").port(80);
        let held = lab.inside("c2", || TcpListener::bind("127.0.0.1:80"))?.expect("a socket");
        let closed = asked(&lab, &flow)?;
        assert!(closed.reasons[0].why.contains("at 127.0.0.1:80 only"), "{}", text(&closed));
        let refused = lab.connect("c1", "192.0.2.12:80".parse().expect("an address"))?;
        assert!(refused.is_err());
        drop(held);
        // One of IPv6 is for IPv4 too, as a rule; that is said.
        let _held = lab.inside("c2", || TcpListener::bind("[::]:80"))?.expect("a socket");
        let open = asked(&lab, &flow)?;
        assert_eq!(open.answer, Reaches, "{}", text(&open));
        assert!(open.assumed.iter().any(|line| line.contains("[::]:80")), "{}", text(&open));
        assert!(lab.connect("c1", "192.0.2.12:80".parse().expect("an address"))?.is_ok());
        Ok(())
    });
}
