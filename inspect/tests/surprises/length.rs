//! Surprises of length: a router says that a packet is too long, a bridge says nothing.

use Answer::{BlockedByConfiguration, CannotTell, Reaches};
use hairpin_explain::{Answer, Explanation, Question, explain, text::text};
use hairpin_fixtures::docker::{docker_host, routed_lan};
use hairpin_fixtures::macvlan_lan;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Error, Family, Flow, Lab, Mode, Verdict};

use crate::hold::{live, snapshot};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Explains a datagram of a flow's length, as far as the host that it is for.
fn explained(lab: &Lab, flow: &Flow<'_>) -> Result<Explanation, Error> {
    let mut read = snapshot(lab)?;
    // Somebody listens: not what is asked here.
    for space in read.spaces.iter_mut().filter(|space| space.name == flow.to) {
        space.listeners.push(hairpin_explain::snapshot::Listener {
            protocol: Protocol::Udp,
            ip: match flow.family {
                Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
                Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            },
            port: flow.port,
        });
    }
    let to = lab.topology().address_of(flow.to, flow.family).expect("it has an address");
    let from = read.spaces.iter().position(|space| space.name == flow.from).expect("it was read");
    let bytes = u32::try_from(flow.bytes.expect("a length")).expect("a short one");
    let question = Question::ping(from, to).at_port(Protocol::Udp, flow.port).of_bytes(bytes);
    Ok(explain(&read, &question))
}

/// Holds that explanation against the flow.
async fn hold(lab: &mut Lab, flow: &Flow<'_>, expected: (Answer, &str)) -> Result<(), Error> {
    let said = explained(lab, flow)?;
    let verdict = lab.flow(flow).await?.cell.verdict;
    let text = text(&said);
    assert!(!matches!(verdict, Verdict::Inconclusive(_)), "{flow}: {verdict}");
    assert_eq!(said.answer == Reaches, verdict == Verdict::Delivered, "{flow}: {verdict}\n{text}");
    assert_eq!(said.answer, expected.0, "{flow}: {verdict}\n{text}");
    let why = said.reasons.first().map_or("", |reason| &reason.why);
    assert!(why.contains(expected.1), "{text}");
    // Told or not, as the kernel does.
    let refused = matches!(verdict, Verdict::Refused(_));
    assert_eq!(why.contains("by ICMP"), refused, "{flow}: {verdict}\n{text}");
    Ok(())
}

#[test]
fn a_router_says_so() {
    for family in FAMILIES {
        live(async || {
            let mut lab = Lab::build(&routed_lan()).await?;
            lab.set_mtu("e:eth0", 1400).await?;
            lab.set_mtu("r:up", 1400).await?;
            let flow = Flow::new(Protocol::Udp, family).between("c1", "e").control("r");
            hold(&mut lab, &flow.bytes(1400), (Reaches, "")).await?;
            let told = (BlockedByConfiguration, "r:up takes packets of 1400 bytes");
            hold(&mut lab, &flow.bytes(1401), told).await
        });
    }
}

#[test]
fn a_bridge_says_nothing() {
    // The port and what it is plugged into take less; there is room for a tag of four bytes.
    for family in FAMILIES {
        live(async || {
            let mut lab = Lab::build(&docker_host()).await?;
            lab.set_mtu("r:v2", 1400).await?;
            lab.set_mtu("c2:eth0", 1400).await?;
            let flow = Flow::new(Protocol::Udp, family).between("c1", "c2").control("c3");
            for (bytes, answer) in [
                (1400, Reaches),
                (1404, Reaches),
                (1405, BlockedByConfiguration),
                (1500, BlockedByConfiguration),
            ] {
                let why = if answer == Reaches { "" } else { "nobody is told" };
                hold(&mut lab, &flow.bytes(bytes), (answer, why)).await?;
            }
            Ok(())
        });
    }
}

#[test]
fn the_far_end_of_a_cable_says_nothing() {
    for family in FAMILIES {
        live(async || {
            let mut lab = Lab::build(&docker_host()).await?;
            lab.set_mtu("c2:eth0", 1400).await?;
            let flow = Flow::new(Protocol::Udp, family).between("c1", "c2").control("c3");
            hold(&mut lab, &flow.bytes(1404), (Reaches, "")).await?;
            let lost = (BlockedByConfiguration, "c2:eth0 takes packets of 1400 bytes");
            hold(&mut lab, &flow.bytes(1405), lost).await
        });
    }
}

#[test]
fn a_sibling_takes_what_its_parent_takes() {
    live(async || {
        let mut lab = Lab::build(&macvlan_lan(Mode::Bridge)).await?;
        lab.set_mtu("c2:c0", 1400).await?;
        let flow = Flow::new(Protocol::Udp, Family::V4).between("c1", "c2").control("e");
        hold(&mut lab, &flow.bytes(1500), (Reaches, "")).await
    });
}

#[test]
fn the_sender_itself() {
    live(async || {
        let mut lab = Lab::build(&docker_host()).await?;
        lab.set_mtu("c1:eth0", 1400).await?;
        let flow = Flow::new(Protocol::Udp, Family::V4).between("c1", "c2");
        let said = explained(&lab, &flow.bytes(1401))?;
        assert_eq!(said.answer, BlockedByConfiguration, "{}", text(&said));
        assert!(said.reasons[0].why.contains("Message too long"), "{}", text(&said));
        // What it sends itself goes by the loopback, which takes more.
        let read = snapshot(&lab)?;
        let own = Question::new(&read, "c1", "192.0.2.11")?.of_bytes(9000);
        assert_eq!(explain(&read, &own).answer, Reaches);
        // Both ways over one cable are one reason.
        let long = explain(&read, &Question::new(&read, "c1", "192.0.2.1")?.of_bytes(2000));
        let own = long.reasons.iter().filter(|reason| reason.why.starts_with("c1:eth0 takes"));
        assert_eq!(own.count(), 1, "{}", text(&long));
        // An echo comes back as long as it went, and its way back may have it cut.
        let echo = Question::new(&read, "c2", "c1")?.of_bytes(1402);
        assert_eq!(explain(&read, &echo).answer, CannotTell);
        Ok(())
    });
}
