//! One packet beside an explanation: what it shows, and what it does not.

use std::net::TcpListener;

use hairpin_explain::probed::{Agreement, Probed, Seen};
use hairpin_explain::{Question, Snapshot, explain};
use hairpin_fixtures::docker::{docker_host, forward};
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Action, Error, Firewall, Hook, Lab, Match, Policy, PortFlags};
use hairpin_inspect::{probe, words};

use crate::bridge::switched;
use crate::hold::{live, places, snapshot};

/// Explains from what was read, and sends.
fn probed(lab: &Lab, read: &Snapshot, question: &Question) -> Result<Probed, Error> {
    let places = places(lab)?;
    let explained = explain(read, question);
    let seen = probe(&places.all[question.from], question)?;
    Ok(Probed::new(words(question), seen, &explained))
}

#[test]
fn an_answer_is_seen() {
    live(async || {
        let lab = Lab::build(&docker_host()).await?;
        let read = snapshot(&lab)?;
        for to in ["198.51.100.13", "2001:db8:2::13"] {
            let found = probed(&lab, &read, &Question::new(&read, "c1", to)?)?;
            assert_eq!((found.seen, found.agreement), (Seen::Answered, Agreement::Agrees), "{to}");
        }
        let named = probed(&lab, &read, &Question::new(&read, "192.0.2.12", "198.51.100.13")?)?;
        assert_eq!(named.agreement, Agreement::Agrees);
        let local = read.spaces[3].links.iter().find(|link| link.name == "br1").expect("a bridge");
        let ip =
            local.addresses.iter().find(|net| net.to_string().starts_with("fe80")).expect("one");
        let near = Question::new(&read, "c1", &format!("{}%eth0", ip.addr()))?;
        assert_eq!(probed(&lab, &read, &near)?.agreement, Agreement::Agrees);
        Ok(())
    });
}

#[test]
fn silence_is_only_what_was_seen() {
    // Dropped, and explained so; and a host that answers no pings.
    live(async || {
        let lab = Lab::build(&docker_host().firewall("r", forward(Policy::Drop))).await?;
        let read = snapshot(&lab)?;
        let found = probed(&lab, &read, &Question::new(&read, "c1", "c3")?)?;
        assert_eq!((found.seen, found.agreement), (Seen::Nothing(4), Agreement::Open));
        Ok(())
    });
    let deaf = switched(PortFlags::default()).sysctl("b", "ipv6.icmp.echo_ignore_all", "1");
    live(async || {
        let lab = Lab::build(&deaf).await?;
        let read = snapshot(&lab)?;
        let found = probed(&lab, &read, &Question::new(&read, "a", "2001:db8::12")?)?;
        assert_eq!((found.seen, found.agreement), (Seen::Nothing(4), Agreement::Open));
        Ok(())
    });
}

#[test]
fn a_refusal_is_seen() {
    let refuses = Firewall::new().rule(Hook::Forward, Match::any(), Action::Reject);
    live(async || {
        let lab = Lab::build(&docker_host().firewall("r", refuses)).await?;
        let read = snapshot(&lab)?;
        for to in ["198.51.100.13", "2001:db8:2::13"] {
            let found = probed(&lab, &read, &Question::new(&read, "c1", to)?)?;
            assert!(matches!(found.seen, Seen::Refused(_)), "{found:?}");
            assert_eq!(found.agreement, Agreement::Agrees, "{found:?}");
        }
        Ok(())
    });
}

#[test]
fn ports() {
    live(async || {
        let lab = Lab::build(&docker_host()).await?;
        let read = snapshot(&lab)?;
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let closed = Question::new(&read, "c1", "c3")?.at_port(protocol, 80);
            let found = probed(&lab, &read, &closed)?;
            assert!(matches!(found.seen, Seen::Refused(_)), "{found:?}");
            assert_eq!(found.agreement, Agreement::Agrees, "{found:?}");
        }
        let _held = lab.inside("c3", || TcpListener::bind("0.0.0.0:80"))?.expect("a socket");
        let read = snapshot(&lab)?;
        let open = Question::new(&read, "c1", "c3")?.at_port(Protocol::Tcp, 80);
        assert_eq!(probed(&lab, &read, &open)?.agreement, Agreement::Agrees);
        Ok(())
    });
}

#[test]
fn what_changed_since_disagrees() {
    live(async || {
        let mut lab = Lab::build(&docker_host().firewall("r", forward(Policy::Drop))).await?;
        let dropped = snapshot(&lab)?;
        lab.set_firewall("r", Firewall::new())?;
        let found = probed(&lab, &dropped, &Question::new(&dropped, "c1", "c3")?)?;
        assert_eq!((found.seen, found.agreement), (Seen::Answered, Agreement::Disagrees));
        let open = snapshot(&lab)?;
        let refuses = Firewall::new().rule(Hook::Forward, Match::any(), Action::Reject);
        lab.set_firewall("r", refuses)?;
        let found = probed(&lab, &open, &Question::new(&open, "c1", "c3")?)?;
        assert_eq!(found.agreement, Agreement::Disagrees, "{found:?}");
        Ok(())
    });
}
