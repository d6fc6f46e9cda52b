//! Surprises of IPv6: neighbours are asked for by packets that firewalls drop and switches flood by
//! a flag of their own; routing has a switch of its own; an address may be somebody else's.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use Answer::{BlockedByConfiguration, CannotTell, Reaches};
use hairpin_explain::{Answer, Explanation, Question, explain};
use hairpin_fixtures::docker::{docker_host, forward};
use hairpin_harness::{
    Action, Error, Family, Firewall, Hook, Lab, Match, Policy, PortFlags, Topology,
};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::bridge::switched;
use crate::hold::{Expected, hold_of, live, question_of, snapshot};
use crate::unread::{ACK, CREATE, attr, index, message, tell};

fn surprise_in_v6(topology: Topology, expected: &[Expected<'_>]) {
    live(async || {
        let mut lab = Lab::build(&topology).await?;
        hold_of(Family::V6, &mut lab, expected).await?;
        Ok(())
    });
}

fn explained(lab: &Lab, from: &str, to: &str) -> Result<Explanation, Error> {
    let read = snapshot(lab)?;
    Ok(explain(&read, &question_of(Family::V6, lab, &read, from, to)))
}

#[test]
fn two_networks_and_a_machine_that_routes() {
    let all = [("c1", "c3", Reaches, ""), ("c3", "c1", Reaches, ""), ("c1", "r", Reaches, "")];
    surprise_in_v6(docker_host(), &all);
    let rule = "bridge.docker.other-bridge-needs-routing";
    // Each family has a switch of its own.
    let off = docker_host().sysctl("r", "ipv6.conf.all.forwarding", "0");
    surprise_in_v6(off, &[("c1", "c3", BlockedByConfiguration, rule), ("c1", "c2", Reaches, "")]);
    let rule = "bridge.docker.forward-drop-cuts-bridges-apart";
    let dropped = docker_host().firewall("r", forward(Policy::Drop));
    surprise_in_v6(dropped, &[("c1", "c3", BlockedByConfiguration, rule)]);
}

#[test]
fn a_firewall_that_drops_all_drops_neighbour_discovery() {
    let one = "2001:db8::11/128".parse().expect("a network");
    let rules = Firewall::new().rule(Hook::Input, Match::any().from(one), Action::Drop);
    live(async || {
        let mut lab = Lab::build(&switched(PortFlags::default()).firewall("b", rules)).await?;
        let expected = [
            ("a", "b", BlockedByConfiguration, ""),
            ("b", "a", BlockedByConfiguration, ""),
            ("sw", "b", Reaches, ""),
        ];
        hold_of(Family::V6, &mut lab, &expected).await?;
        let why = &explained(&lab, "a", "b")?.reasons[0].why;
        assert!(why.contains("drops neighbour discovery"), "{why}");
        Ok(())
    });
}

#[test]
fn what_belongs_to_nothing_is_untracked() {
    // Established passes and all else is dropped: so is discovery, which belongs to nothing.
    let one = "2001:db8::12/128".parse().expect("a network");
    let rules = Firewall::new().rule(Hook::Input, Match::any().established(), Action::Accept).rule(
        Hook::Input,
        Match::any().from(one),
        Action::Drop,
    );
    let closed = switched(PortFlags::default()).firewall("a", rules);
    surprise_in_v6(closed, &[("a", "b", BlockedByConfiguration, ""), ("b", "sw", Reaches, "")]);
}

#[test]
fn a_port_without_multicast() {
    let rule = "bridge.port.group-flood-off-stops-its-own-kind";
    let flags = PortFlags::default().mcast_flood(false);
    let expected = [("b", "a", BlockedByConfiguration, rule), ("a", "b", Reaches, "")];
    surprise_in_v6(switched(flags), &expected);
    // And without broadcast nothing is amiss.
    let flags = PortFlags::default().bcast_flood(false);
    surprise_in_v6(switched(flags), &[("b", "a", Reaches, "")]);
}

#[test]
fn a_host_that_answers_no_pings() {
    // No grid can tell: where no ping is answered, no control is.
    let deaf = switched(PortFlags::default()).sysctl("b", "ipv6.icmp.echo_ignore_all", "1");
    live(async || {
        let lab = Lab::build(&deaf).await?;
        assert_eq!(explained(&lab, "a", "b")?.answer, BlockedByConfiguration);
        assert_eq!(explained(&lab, "b", "a")?.answer, Reaches);
        Ok(())
    });
}

#[test]
fn a_route_that_forbids() {
    let rule = "bridge.docker.other-bridge-needs-routing";
    let mut lost = docker_host();
    for netns in lost.netns.iter_mut().filter(|netns| netns.name == "c3") {
        netns.routes.clear();
    }
    surprise_in_v6(lost, &[("c1", "c3", BlockedByConfiguration, rule)]);
}

/// Gives an address as `ip address add` does: it is asked for first, whether somebody has it.
fn asked_for(lab: &Lab, netns: &str, link: &str, ip: IpAddr) -> Result<(), Error> {
    let IpAddr::V6(ip) = ip else { unreachable!("IPv6 has that") };
    // RTM_NEWADDR: family, prefix, flags, scope, index; IFA_LOCAL, IFA_ADDRESS.
    let mut body = vec![10, 64, 0, 0];
    body.extend(index(&snapshot(lab)?, netns, link).to_ne_bytes());
    body.extend([attr(2, &ip.octets()), attr(1, &ip.octets())].concat());
    lab.inside(netns, || tell(NETLINK_ROUTE, &message(20, CREATE | ACK, &body), 1))
}

/// Waits until it is known of an address whether somebody else has it.
fn decided(lab: &Lab, netns: &str, ip: IpAddr) -> Result<Option<String>, Error> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let read = snapshot(lab)?;
        let space = read.spaces.iter().find(|space| space.name == netns).expect("it was read");
        let state = space.links.iter().find_map(|link| link.unready.get(&ip)).cloned();
        if state.as_deref() != Some("tentative") {
            return Ok(state);
        }
        assert!(Instant::now() < deadline, "{ip} is {state:?}");
    }
}

#[test]
fn an_address_that_somebody_else_has() {
    // x asks for b's address and does not get it; then b goes, and x holds an address that is none.
    let twice = switched(PortFlags::default())
        .host("x")
        .cable("sw:p3", "x:eth0")
        .port("sw:p3", "br")
        .sysctl("x", "ipv6.conf.all.accept_dad", "1")
        .sysctl("x", "ipv6.conf.eth0.accept_dad", "1")
        .sysctl("x", "ipv6.conf.eth0.dad_transmits", "1")
        .address("x:eth0", "192.0.2.13/24")
        .address("x:eth0", "2001:db8::13/64");
    live(async || {
        let mut lab = Lab::build(&twice).await?;
        let taken = "2001:db8::12".parse().expect("an address");
        asked_for(&lab, "x", "eth0", taken)?;
        let read = snapshot(&lab)?;
        assert_eq!(decided(&lab, "x", taken)?.as_deref(), Some("dadfailed"), "{read:?}");
        hold_of(Family::V6, &mut lab, &[("a", "b", Reaches, ""), ("a", "x", Reaches, "")]).await?;
        lab.delete("b:eth0").await?;
        let explained = explained(&lab, "a", "b")?;
        assert_eq!(explained.answer, BlockedByConfiguration, "{explained:?}");
        assert!(explained.reasons[0].why.contains("another had it"), "{explained:?}");
        Ok(())
    });
}

/// Whether a datagram comes to an address of one link.
fn datagram(lab: &Lab, (from, link): (&str, u32), to: &str, ip: IpAddr) -> Result<bool, Error> {
    let IpAddr::V6(ip) = ip else { unreachable!("IPv6 has that") };
    let ear = lab.inside(to, || UdpSocket::bind("[::]:4711"))?.expect("a socket");
    ear.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
    let to = SocketAddr::V6(SocketAddrV6::new(ip, 4711, 0, link));
    let sender = lab.inside(from, || UdpSocket::bind("[::]:0"))?.expect("a socket");
    sender.send_to(b"x", to).expect("it is sent");
    Ok(ear.recv(&mut [0; 8]).is_ok())
}

#[test]
fn an_address_of_one_link() {
    live(async || {
        let mut lab = Lab::build(&docker_host()).await?;
        hold_of(Family::V6, &mut lab, &[]).await?;
        let read = snapshot(&lab)?;
        let space = read.spaces.iter().find(|space| space.name == "r").expect("it was read");
        let br1 = space.links.iter().find(|link| link.name == "br1").expect("it is there");
        let local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let ip = br1.addresses.iter().map(|net| net.addr()).find(local).expect("it has one");
        let near = explain(&read, &Question::new(&read, "c1", &format!("{ip}%eth0"))?);
        assert_eq!(near.answer, Reaches, "{near:?}");
        let out = index(&read, "c1", "eth0");
        assert!(datagram(&lab, ("c1", out), "r", ip)?);
        // From the other network nobody answers for it, as far as that is on this machine.
        let far = explain(&read, &Question::new(&read, "c3", &format!("{ip}%eth0"))?);
        assert_ne!(far.answer, Reaches, "{far:?}");
        assert!(Question::new(&read, "c1", &ip.to_string()).is_err());
        assert!(Question::new(&read, "c1", &format!("{ip}%none")).is_err());
        Ok(())
    });
}

#[test]
fn an_address_that_is_down_with_its_link() {
    live(async || {
        // A lab's links keep their addresses; those of a machine do not, as a rule.
        let mut lab = Lab::build(&switched(PortFlags::default())).await?;
        lab.set_up("a:eth0", false).await?;
        let rule = "veth.carrier-while-both-are-up";
        hold_of(Family::V6, &mut lab, &[("a", "b", BlockedByConfiguration, rule)]).await?;
        assert_eq!(explained(&lab, "a", "b")?.reasons.len(), 1);
        lab.set_up("a:eth0", true).await?;
        lab.set_sysctl("a", "ipv6.conf.eth0.keep_addr_on_down", "0")?;
        lab.set_sysctl("a", "ipv6.conf.all.keep_addr_on_down", "0")?;
        lab.set_up("a:eth0", false).await?;
        let lost = explained(&lab, "a", "b")?;
        assert_eq!(lost.answer, CannotTell, "{lost:?}");
        assert!(lost.missing.iter().any(|line| line.contains("a:eth0 is down")), "{lost:?}");
        Ok(())
    });
}

#[test]
fn two_names_mean_a_family_that_both_have() {
    live(async || {
        let lab = Lab::build(&docker_host()).await?;
        let mut read = snapshot(&lab)?;
        assert!(Question::new(&read, "c1", "c3")?.to.is_ipv4());
        for link in read.spaces[0].links.iter_mut().filter(|link| !link.loopback) {
            link.addresses.retain(|net| net.addr().is_ipv6());
        }
        assert!(Question::new(&read, "c1", "c3")?.to.is_ipv6());
        Ok(())
    });
}
