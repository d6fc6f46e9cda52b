//! Single flows in labs that are broken on purpose: what is said of a port is what was done to it,
//! and nothing where a control is missing.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

#[path = "support/live.rs"]
mod live;

use hairpin_harness::firewall::Protocol;
use hairpin_harness::{
    Action, Family, Firewall, Flow, Hook, Lab, Match, Refusal, Rule, Topology, Verdict, suite,
};
use hairpin_model::grid::Direction;
use hairpin_model::journey::legs;
use rstest::rstest;

use live::live;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

fn three() -> Topology {
    let plug = |topology: Topology, (n, host): (usize, &str)| {
        let (port, link) = (format!("sw:p{n}"), format!("{host}:eth0"));
        topology
            .cable(&port, &link)
            .port(&port, "br")
            .address(&link, &format!("192.0.2.{n}/24"))
            .address(&link, &format!("2001:db8::{n}/64"))
    };
    let switch = Topology::new("switch").host("a").host("b").host("c").netns("sw").bridge("sw:br");
    [(1, "a"), (2, "b"), (3, "c")].into_iter().fold(switch, plug)
}

/// From a to b's port 80, with b's port 81 and host c as controls.
fn flow(transport: Protocol, family: Family) -> Flow<'static> {
    Flow::new(transport, family).between("a", "b").control("c")
}

fn at(matches: Match, action: Action) -> Firewall {
    Firewall::new().rule(Hook::Input, matches, action)
}

#[rstest]
fn a_free_port_is_reached(
    #[values(Protocol::Tcp, Protocol::Udp)] transport: Protocol,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let passage = lab.flow(&flow(transport, family)).await?;
        assert_eq!(passage.cell.verdict, Verdict::Delivered);
        let sender = passage.source.map(|source| source.ip());
        assert_eq!(sender, lab.topology().address_of("a", family));
        let there = "a:eth0> sw:p1< sw:p2> b:eth0<";
        if transport == Protocol::Udp {
            assert_eq!(passage.cell.path("datagram"), there);
        } else {
            assert_eq!(passage.cell.path("tcp syn"), there);
            assert_eq!(passage.cell.path("tcp syn-ack"), "b:eth0> sw:p2< sw:p1> a:eth0<");
        }
        assert_eq!(passage.counted, []);
        Ok(())
    });
}

#[rstest]
fn a_dropped_port_is_blocked(
    #[values(Protocol::Tcp, Protocol::Udp)] transport: Protocol,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let a = lab.topology().address_of("a", family).expect("a has both families");
        let drop = Match::any().port(transport, 80).from(a.into());
        lab.set_firewall("b", at(drop, Action::Drop))?;
        let passage = lab.flow(&flow(transport, family)).await?;
        assert_eq!(passage.cell.verdict, Verdict::Blocked);
        let proof = "a later one reached port 81, its socket then heard `c`";
        assert_eq!(passage.cell.proof.as_deref(), Some(proof));
        let first = passage.cell.seen.last().expect("it was seen where it ended");
        assert_eq!((first.link.as_str(), first.direction), ("b:eth0", Direction::In));
        let counted = passage.counted.first().expect("the firewall counted it");
        assert!(counted.what.ends_with("port 80: drop"), "{counted}");
        lab.set_firewall("b", Firewall::new())?;
        let passage = lab.flow(&flow(transport, family)).await?;
        assert_eq!(passage.cell.verdict, Verdict::Delivered);
        Ok(())
    });
}

/// The port that the sender's control goes to is dropped, too: it may be the cable.
#[rstest]
fn without_the_senders_control_nothing_is_said(
    #[values(Protocol::Tcp, Protocol::Udp)] transport: Protocol,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let from_a = Match::any().from("192.0.2.1/32".parse().expect("a prefix"));
        lab.set_firewall("b", at(from_a, Action::Drop))?;
        let passage = lab.flow(&flow(transport, Family::V4)).await?;
        let why = "nothing of `a` arrives at `b`".to_owned();
        assert_eq!(passage.cell.verdict, Verdict::Inconclusive(why));
        assert_eq!(passage.cell.proof, None);
        Ok(())
    });
}

/// The port is dropped for all, so the third host's control is missing: the socket may be deaf.
#[rstest]
fn without_the_third_hosts_control_nothing_is_said(
    #[values(Protocol::Tcp, Protocol::Udp)] transport: Protocol,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        lab.set_firewall("b", at(Match::any().port(transport, 80), Action::Drop))?;
        let passage = lab.flow(&flow(transport, Family::V4)).await?;
        let why = "the socket of `b` heard no control".to_owned();
        assert_eq!(passage.cell.verdict, Verdict::Inconclusive(why));
        Ok(())
    });
}

#[rstest]
#[case::icmp(Protocol::Tcp, Action::Reject, Refusal::Port)]
#[case::reset(Protocol::Tcp, Action::Reset, Refusal::Reset)]
#[case::udp(Protocol::Udp, Action::Reject, Refusal::Port)]
fn a_refusal_is_told_as_it_came(
    #[case] transport: Protocol,
    #[case] action: Action,
    #[case] refusal: Refusal,
    #[values(Family::V4, Family::V6)] family: Family,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let a = lab.topology().address_of("a", family).expect("a has both families");
        lab.set_firewall("b", at(Match::any().port(transport, 80).from(a.into()), action))?;
        // From cold neighbours and from warm ones: then the refusal is back before the question's
        // own system call is.
        for _ in 0..2 {
            let passage = lab.flow(&flow(transport, family)).await?;
            assert_eq!(passage.cell.verdict, Verdict::Refused(refusal.clone()));
        }
        Ok(())
    });
}

/// The SYN arrives and its answer is dropped on its way back: that is not blocked.
#[rstest]
fn an_answer_that_is_lost_is_one_way(#[values(Family::V4, Family::V6)] family: Family) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let a = lab.topology().address_of("a", family).expect("a has both families");
        // All that b answers to a is lost, so the control goes to another host.
        let answers = Match::any().to(a.into());
        let drop = Firewall::new().rule(Hook::Output, answers.established(), Action::Drop);
        let flow = flow(Protocol::Tcp, family).aside("c", 81);
        lab.set_firewall("b", drop)?;
        let passage = lab.flow(&flow).await?;
        assert_eq!(passage.cell.verdict, Verdict::OneWay);
        assert_eq!(passage.source.map(|source| source.ip()), Some(a));
        Ok(())
    });
}

/// The SYN arrives, and nothing that the receiver sends: its answer may wait there still.
#[rstest]
fn without_the_receivers_control_nothing_is_one_way(
    #[values(Family::V4, Family::V6)] family: Family,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let [a, c] = ["a", "c"].map(|host| lab.topology().address_of(host, family));
        let (a, c) = (a.expect("a has both families"), c.expect("c has both families"));
        let answers = Match::any().to(a.into());
        // What the third host has asked is answered, what b asks it is not.
        let own = Match::any().to(c.into()).port(Protocol::Tcp, 81);
        let drop = Firewall::new().rule(Hook::Output, answers.established(), Action::Drop).rule(
            Hook::Output,
            own,
            Action::Drop,
        );
        lab.set_firewall("b", drop)?;
        let passage = lab.flow(&flow(Protocol::Tcp, family).aside("c", 81)).await?;
        let why = "nothing of `b` arrives at `c`".to_owned();
        assert_eq!(passage.cell.verdict, Verdict::Inconclusive(why));
        Ok(())
    });
}

/// Nobody listens where the sender was told to ask.
#[rstest]
fn no_listener_is_a_reset(#[values(Family::V4, Family::V6)] family: Family) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let b = lab.topology().address_of("b", family).expect("b has both families");
        let flow = flow(Protocol::Tcp, family).asking((b, 90).into());
        let passage = lab.flow(&flow).await?;
        assert_eq!(passage.cell.verdict, Verdict::Refused(Refusal::Reset));
        assert_eq!(passage.cell.path("tcp reset"), "b:eth0> sw:p2< sw:p1> a:eth0<");
        Ok(())
    });
}

/// A port of the switch's own address is published: the way tells where the address was changed.
#[rstest]
fn a_translated_flow_is_followed(#[values(Protocol::Tcp, Protocol::Udp)] transport: Protocol) {
    live(async || {
        let topology =
            three().address("sw:br", "192.0.2.9/24").sysctl("sw", "ipv4.ip_forward", "1");
        let mut lab = Lab::build(&topology).await?;
        let asked: std::net::SocketAddr = ([192, 0, 2, 9], 8080).into();
        let matches = Match::any().to(asked.ip().into()).port(transport, 8080);
        let rules = Firewall::new().dnat(matches, ([192, 0, 2, 2], 80).into());
        // So that the answer comes back by the way that it went.
        let back = Match::any().from("192.0.2.0/24".parse().expect("a network"));
        lab.set_firewall("sw", rules.masquerade(back))?;
        let passage = lab.flow(&flow(transport, Family::V4).asking(asked)).await?;
        assert_eq!(passage.cell.verdict, Verdict::Delivered);
        let kind = if transport == Protocol::Tcp { "tcp syn" } else { "datagram" };
        assert_eq!(passage.cell.path(kind), "a:eth0> sw:p1< sw:br< sw:br> sw:p2> b:eth0<");
        let legs = legs(&passage.cell.seen);
        let changed: Vec<&str> = legs[0].hops[3].changes.iter().map(|change| change.what).collect();
        for what in ["destination address", "destination port", "TTL"] {
            assert!(changed.contains(&what), "{changed:?}");
        }
        Ok(())
    });
}

/// Another host takes the connection: the receiver was not reached, and was not kept from it.
#[test]
fn a_connection_that_another_takes_is_inconclusive() {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        let c = lab.topology().address_of("c", Family::V4).expect("c has both families");
        let flow = flow(Protocol::Tcp, Family::V4).asking((c, 81).into()).aside("c", 81);
        let passage = lab.flow(&flow).await?;
        let why = "somebody else than the receiver took the connection".to_owned();
        assert_eq!(passage.cell.verdict, Verdict::Inconclusive(why));
        Ok(())
    });
}
