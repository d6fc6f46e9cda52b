//! What explanations do not model: whoever passes it gets *cannot tell*, and its name.
//!
//! Labs make none of this, since no case needs it: it is set up by netlink's bytes, in the lab's
//! own namespaces.

use hairpin_explain::{Answer, Explanation, Question, Snapshot, explain};
use hairpin_harness::{Class, Error, Lab, PortFlags, Verdict};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};

use crate::bridge::switched;
use crate::hold::{live, question, snapshot};

const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const CREATE: u16 = 0x400;

pub(crate) fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("a short value");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attr(kind, &[value.as_bytes(), &[0]].concat())
}

pub(crate) fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).expect("a short message");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend([kind.to_ne_bytes(), (flags | REQUEST).to_ne_bytes()].concat());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// Sends to the kernel of the namespace that the thread is in, and awaits as many consents.
pub(crate) fn tell(protocol: isize, bytes: &[u8], consents: usize) {
    let mut socket = Socket::new(protocol).expect("a socket");
    socket.bind_auto().expect("an address");
    socket.connect(&SocketAddr::new(0, 0)).expect("the kernel");
    socket.send(bytes, 0).expect("it is sent");
    for _ in 0..consents {
        let (answer, _) = socket.recv_from_full().expect("an answer");
        let code = answer[16..20].try_into().map(i32::from_ne_bytes).expect("a code");
        assert_eq!(code, 0, "the kernel refuses");
    }
}

/// A table of nftables with one chain that drops all: of that family, with that hook's attributes.
fn dropping(family: u8, flags: u32, hook: u32, link: Option<&str>) -> Vec<u8> {
    const BATCH: [u8; 4] = [0, 0, 0, 10];
    let head = [family, 0, 0, 0];
    let table = [head.to_vec(), text(1, "t"), attr(2, &flags.to_be_bytes())].concat();
    let mut place = [attr(1, &hook.to_be_bytes()), attr(2, &0u32.to_be_bytes())].concat();
    place.extend(link.map(|link| text(3, link)).unwrap_or_default());
    let chain = [
        head.to_vec(),
        text(1, "t"),
        text(3, "c"),
        attr(4 | 1 << 15, &place),
        attr(5, &0u32.to_be_bytes()),
        text(7, "filter"),
    ];
    [
        message(0x10, 0, &BATCH),
        message(0x0a00, CREATE | ACK, &table),
        message(0x0a03, CREATE | ACK, &chain.concat()),
        message(0x11, 0, &BATCH),
    ]
    .concat()
}

pub(crate) fn index(read: &Snapshot, netns: &str, link: &str) -> u32 {
    let space = read.spaces.iter().find(|space| space.name == netns).expect("it was read");
    space.links.iter().find(|found| found.name == link).expect("it is there").index
}

async fn arrives(lab: &mut Lab, from: &str, to: &str) -> Result<bool, Error> {
    let grid = lab.observe(Class::Ping4).await?;
    let cell = grid.cell(from, to).expect("the grid has its hosts");
    Ok(matches!(cell.verdict, Verdict::Delivered))
}

fn explained(lab: &Lab, from: &str, to: &str) -> Result<Explanation, Error> {
    let read = snapshot(lab)?;
    Ok(explain(&read, &question(lab, &read, from, to)))
}

#[track_caller]
fn cannot_tell(explained: &Explanation, why: &str) {
    assert_eq!(explained.answer, Answer::CannotTell, "{explained:?}");
    assert!(explained.missing.iter().any(|line| line.contains(why)), "{explained:?}");
}

/// The hook of links: what comes in, and what leaves.
const NETDEV: u8 = 5;
const INET: u8 = 1;

#[test]
fn chains_that_are_hooked_to_a_link() {
    // On the switch's port to a; on what b itself has; of family inet, which has an ingress too.
    let places = [
        ("sw", "p1", NETDEV, 0, "`netdev t c` on sw:p1"),
        ("sw", "p2", NETDEV, 1, "`netdev t c` on sw:p2"),
        ("b", "eth0", NETDEV, 0, "`netdev t c` on b:eth0"),
        ("a", "eth0", NETDEV, 1, "`netdev t c` on a:eth0"),
        ("b", "eth0", INET, 5, "`inet t c` on b:eth0"),
    ];
    for (netns, link, family, hook, why) in places {
        live(async || {
            let mut lab = Lab::build(&switched(PortFlags::default())).await?;
            assert_eq!(explained(&lab, "a", "b")?.answer, Answer::Reaches);
            assert!(arrives(&mut lab, "a", "b").await?);
            let bytes = dropping(family, 0, hook, Some(link));
            lab.inside(netns, || tell(NETLINK_NETFILTER, &bytes, 2))?;
            assert!(!arrives(&mut lab, "a", "b").await?, "{why}");
            cannot_tell(&explained(&lab, "a", "b")?, why);
            Ok(())
        });
    }
}

#[test]
fn a_table_that_sleeps_drops_nothing() {
    const IP: u8 = 2;
    const DORMANT: u32 = 1;
    const INPUT: u32 = 1;
    for (flags, answer) in [(DORMANT, Answer::Reaches), (0, Answer::BlockedByConfiguration)] {
        live(async || {
            let mut lab = Lab::build(&switched(PortFlags::default())).await?;
            let bytes = dropping(IP, flags, INPUT, None);
            lab.inside("b", || tell(NETLINK_NETFILTER, &bytes, 2))?;
            assert_eq!(explained(&lab, "a", "b")?.answer, answer);
            assert_eq!(arrives(&mut lab, "a", "b").await?, answer == Answer::Reaches);
            Ok(())
        });
    }
}

/// Sets one thing up by one message of routing, and looks whether it is named.
fn named(
    netns: &'static str,
    link: &'static str,
    make: impl Fn(u32) -> Vec<u8>,
    why: &'static str,
) {
    live(async || {
        let lab = Lab::build(&switched(PortFlags::default())).await?;
        let read = snapshot(&lab)?;
        let bytes = make(index(&read, netns, link));
        lab.inside(netns, || tell(NETLINK_ROUTE, &bytes, 1))?;
        cannot_tell(&explained(&lab, "a", "b")?, why);
        Ok(())
    });
}

#[test]
fn a_queue_that_filters() {
    // RTM_NEWQDISC with TC_H_CLSACT: family, index, handle, parent, info; TCA_KIND.
    let clsact = |index: u32| {
        let numbers = [0, index, 0xFFFF_0000, 0xFFFF_FFF1, 0].map(u32::to_ne_bytes);
        message(36, CREATE | ACK, &[numbers.concat(), text(1, "clsact")].concat())
    };
    named("sw", "p1", clsact, "a queue of kind clsact");
}

/// RTM_NEWRULE: family, prefixes, type of service, table, action, flags; FRA_PRIORITY and FRA_FWMARK.
fn policy(flags: u32, mark: Option<u32>) -> Vec<u8> {
    const MAIN: u8 = 254;
    const TO_TABLE: u8 = 1;
    let mut body = vec![2, 0, 0, 0, MAIN, 0, 0, TO_TABLE];
    body.extend(flags.to_ne_bytes());
    body.extend(attr(6, &100u32.to_ne_bytes()));
    body.extend(mark.map(|mark| attr(10, &mark.to_ne_bytes())).unwrap_or_default());
    message(32, CREATE | ACK, &body)
}

#[test]
fn routing_policies() {
    const INVERTED: u32 = 2;
    named("a", "eth0", |_| policy(0, Some(1)), "a routing policy of its own");
    named("b", "eth0", |_| policy(INVERTED, None), "a routing policy of its own");
}

#[test]
fn a_route_that_sends_the_lookup_on() {
    // RTM_NEWROUTE: `throw 192.0.2.12/32` of table main.
    const THROW: u8 = 9;
    let throw = |_| {
        let head = [2, 32, 0, 0, 254, 4, 0, THROW, 0, 0, 0, 0];
        message(24, CREATE | ACK, &[head.to_vec(), attr(1, &[192, 0, 2, 12])].concat())
    };
    named("a", "eth0", throw, "a route of an unusual kind");
}

#[test]
fn a_neighbour_that_somebody_stands_in_for() {
    // RTM_NEWNEIGH with NTF_PROXY, for an address that nobody has.
    let absent = "192.0.2.99".parse().expect("an address");
    live(async || {
        let lab = Lab::build(&switched(PortFlags::default())).await?;
        let before = snapshot(&lab)?;
        let from = before.spaces.iter().position(|space| space.name == "a").expect("it was read");
        let asked = Question::ping(from, absent);
        let proxy = "proxy ARP of an unusual kind";
        assert!(!explain(&before, &asked).missing.iter().any(|line| line.contains(proxy)));
        let mut body = vec![2, 0, 0, 0];
        body.extend(index(&before, "b", "eth0").to_ne_bytes());
        body.extend([0, 0, 8, 0]);
        body.extend(attr(1, &[192, 0, 2, 99]));
        lab.inside("b", || tell(NETLINK_ROUTE, &message(28, CREATE | ACK, &body), 1))?;
        cannot_tell(&explain(&snapshot(&lab)?, &asked), proxy);
        Ok(())
    });
}
