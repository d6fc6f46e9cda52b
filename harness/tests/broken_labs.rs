//! Labs that are broken on purpose: the verdict must be the stated one, and never say more than is
//! proved. What becomes of a whole case is the matter of `broken_cases.rs`.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

#[path = "support/live.rs"]
mod live;

use hairpin_harness::{
    Action, Cell, Class, Family, Fdb, Firewall, Grid, Hook, Lab, LinkName, Mac, Match, Mode,
    PortFlags, Rule, Topology, Verdict, suite,
};
use rstest::rstest;

use live::live;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

fn isolated() -> PortFlags {
    PortFlags::default().isolated(true)
}

/// Hosts on one bridge, without addresses.
fn plugged(hosts: &[&str], flags: PortFlags) -> Topology {
    let plug = |topology: Topology, (place, host): (usize, &&str)| {
        let (port, link) = (format!("sw:p{}", place + 1), format!("{host}:eth0"));
        topology.cable(&port, &link).port_with(&port, "br", flags)
    };
    let empty = hosts.iter().fold(Topology::new("switch"), |topology, host| topology.host(host));
    hosts.iter().enumerate().fold(empty.netns("sw").bridge("sw:br"), plug)
}

/// Hosts on one bridge, each with both families.
fn on_one_bridge(hosts: &[&str], flags: PortFlags) -> Topology {
    let number = |topology: Topology, (place, host): (usize, &&str)| {
        let link = format!("{host}:eth0");
        topology
            .address(&link, &format!("192.0.2.{}/24", place + 1))
            .address(&link, &format!("2001:db8::{}/64", place + 1))
    };
    hosts.iter().enumerate().fold(plugged(hosts, flags), number)
}

fn three() -> Topology {
    on_one_bridge(&["a", "b", "c"], PortFlags::default())
}

fn verdict<'g>(grid: &'g Grid, from: &str, to: &str) -> &'g Verdict {
    &grid.cell(from, to).expect("both are hosts of the grid").verdict
}

fn proof<'g>(grid: &'g Grid, from: &str, to: &str) -> &'g str {
    grid.cell(from, to).and_then(|cell| cell.proof.as_deref()).unwrap_or("none")
}

/// Holds a grid against a drawing; says why what could not be told could not.
fn assert_drawn(grid: &Grid, drawing: &str) {
    let reason = |(from, to, cell): (&str, &str, &Cell)| match &cell.verdict {
        Verdict::Inconclusive(why) => {
            Some(format!("{from} to {to}: {why}; seen: {:?}\n", cell.seen))
        }
        _ => None,
    };
    let reasons: String = grid.pairs().filter_map(reason).collect();
    assert_eq!(grid.to_string(), drawing, "\n{reasons}");
}

/// Two vepa children, and another machine on the switch outside.
fn vepa() -> Topology {
    Topology::new("vepa")
        .host("c1")
        .host("c2")
        .host("e")
        .netns("p")
        .netns("sw")
        .bridge("sw:br")
        .cable("sw:s0", "p:p0")
        .port("sw:s0", "br")
        .cable("sw:s1", "e:e0")
        .port("sw:s1", "br")
        .macvlan("c1:c0", "p:p0", Mode::Vepa)
        .macvlan("c2:c0", "p:p0", Mode::Vepa)
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24")
        .address("e:e0", "192.0.2.9/24")
}

#[rstest]
#[case::unicast(Class::Unicast)]
#[case::broadcast(Class::Broadcast)]
#[case::multicast(Class::Multicast)]
#[case::ping4(Class::Ping4)]
fn hairpin_off_where_on_is_needed(#[case] class: Class) {
    live(async || {
        let mut lab = Lab::build(&vepa()).await?;
        let off = lab.observe(class).await?;
        assert_drawn(&off, "    c1 c2 e\nc1  .  #  +\nc2  #  .  +\ne   +  +  .");
        assert!(proof(&off, "c1", "c2").starts_with("a later one reached `e`, "));
        let seen = off.cell("c1", "c2").expect("both are hosts of the grid");
        assert!(seen.touches("sw:s0") && !seen.touches("c2:c0"), "{:?}", seen.seen);
        lab.set_port("sw:s0", PortFlags::default().hairpin(true)).await?;
        let on = lab.observe(class).await?;
        assert_drawn(&on, "    c1 c2 e\nc1  .  +  +\nc2  +  .  +\ne   +  +  .");
        Ok(())
    });
}

#[rstest]
#[case::unicast(Class::Unicast)]
#[case::broadcast(Class::Broadcast)]
#[case::ping4(Class::Ping4)]
fn parent_down(#[case] class: Class) {
    live(async || {
        let mut lab = Lab::build(&vepa().down("p:p0")).await?;
        let grid = lab.observe(class).await?;
        assert_drawn(&grid, "    c1 c2 e\nc1  .  #  #\nc2  #  .  #\ne   #  #  .");
        for (from, link) in [("c1", "c1:c0"), ("c2", "c2:c0")] {
            let why = format!("`{link}` has no carrier, its socket then heard itself");
            assert!(proof(&grid, from, "e").starts_with(&why), "{}", proof(&grid, from, "e"));
        }
        Ok(())
    });
}

/// The switch was told that b is where c is, and does not learn better: what is for b goes to c.
#[rstest]
#[case::unicast(Class::Unicast, "   a b c\na  . # +\nb  + . +\nc  + # .", "frame")]
#[case::ping4(Class::Ping4, "   a b c\na  . # +\nb  # . #\nc  + # .", "echo request")]
fn forwarding_entry_points_elsewhere(
    #[case] class: Class,
    #[case] expected: &str,
    #[case] lost: &str,
) {
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        lab.set_port("sw:p2", PortFlags::default().learning(false)).await?;
        lab.flush_fdb("sw:p2").await?;
        let b = lab.topology().mac_of(&LinkName::from("b:eth0"));
        lab.add_fdb("sw:p3", b, Fdb::STATIC).await?;
        let grid = lab.observe(class).await?;
        assert_drawn(&grid, expected);
        let cell = grid.cell("a", "b").expect("both are hosts of the grid");
        assert_eq!(cell.path(lost), "a:eth0> sw:p1< sw:p3> c:eth0<");
        assert!(proof(&grid, "a", "b").starts_with("a later one reached `c`"));
        Ok(())
    });
}

/// Two hosts have one address: the switch sends what is for either to the one that spoke last. So
/// nobody may speak but our probes: with IPv6 a host tells its groups whenever it likes.
#[test]
fn one_address_twice() {
    live(async || {
        let same = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x01]);
        let silent =
            |topology: Topology, host| topology.sysctl(host, "ipv6.conf.all.disable_ipv6", "1");
        let topology = ["a", "b", "c"]
            .into_iter()
            .fold(plugged(&["a", "b", "c"], PortFlags::default()), silent);
        let mut lab = Lab::build(&topology.mac("b:eth0", same).mac("c:eth0", same)).await?;
        let grid = lab.observe(Class::Unicast).await?;
        assert_drawn(&grid, "   a b c\na  . # +\nb  + . #\nc  + # .");
        assert!(proof(&grid, "a", "b").starts_with("a later one reached `c`"));
        Ok(())
    });
}

fn dropping(matches: Match) -> Firewall {
    Firewall::new().rule(Hook::Input, matches, Action::Drop)
}

#[test]
fn firewall_drops_at_the_receiver() {
    live(async || {
        let topology = three().firewall("b", dropping(Match::any().from_link("eth0")));
        let mut lab = Lab::build(&topology).await?;
        let v4 = lab.observe(Class::Ping4).await?;
        assert_drawn(&v4, "   a b c\na  . # +\nb  > . >\nc  + # .");
        let counted: Vec<(&str, &str)> =
            v4.counted.iter().map(|counted| (counted.at.as_str(), counted.what.as_str())).collect();
        assert_eq!(counted, [("b", "packets taken by input in by eth0: drop")]);
        assert!((2..).contains(&v4.counted[0].many), "two hosts asked, and their controls");
        assert_eq!(
            proof(&v4, "a", "b"),
            "a later one reached `c`, its socket then heard itself over its loopback"
        );
        // Neighbours are asked for by ICMPv6: b never learns where a is.
        let v6 = lab.observe(Class::Ping6).await?;
        assert_drawn(&v6, "   a b c\na  . # +\nb  # . #\nc  + # .");
        // Frames pass below any firewall.
        let frames = lab.observe(Class::Unicast).await?;
        assert_drawn(&frames, "   a b c\na  . + +\nb  + . +\nc  + + .");
        assert_eq!(frames.counted, [], "all came");
        Ok(())
    });
}

/// The same firewall over the loopback too: no control can come out of b's socket any more.
#[test]
fn a_deaf_receiver_is_inconclusive() {
    live(async || {
        let mut lab = Lab::build(&three().firewall("b", dropping(Match::any()))).await?;
        let cell = lab.ping(Family::V4, "a", "b").await?;
        let why = "the socket of `b` heard no control".to_owned();
        assert_eq!(cell.verdict, Verdict::Inconclusive(why));
        assert_eq!(cell.proof, None);
        Ok(())
    });
}

/// Two hosts that are isolated from each other: neither has a third to show that it can send.
/// Untraced, nobody saw its frames either.
#[rstest]
fn no_control_can_arrive(
    #[values(Class::Unicast, Class::Broadcast, Class::Multicast, Class::Ping4, Class::Ping6)]
    class: Class,
) {
    live(async || {
        let mut lab = Lab::build(&on_one_bridge(&["a", "b"], isolated())).await?.untraced();
        let grid = lab.observe(class).await?;
        for (from, to) in [("a", "b"), ("b", "a")] {
            let Verdict::Inconclusive(why) = verdict(&grid, from, to) else {
                panic!("{class}: {}, proof: {}", verdict(&grid, from, to), proof(&grid, from, to));
            };
            assert!(why.starts_with("no later frame of this sender was seen anywhere"), "{why}");
        }
        Ok(())
    });
}

/// Traced, the frame was seen at the switch, so the sender sent; and the receiver hears its own
/// loopback. That is a proof, and it says which.
#[rstest]
fn a_tap_and_a_loopback_are_controls(
    #[values(Class::Unicast, Class::Broadcast, Class::Multicast, Class::Ping4, Class::Ping6)]
    class: Class,
) {
    live(async || {
        let mut lab = Lab::build(&on_one_bridge(&["a", "b"], isolated())).await?;
        let grid = lab.observe(class).await?;
        assert_drawn(&grid, "   a b\na  . #\nb  # .");
        for (from, to) in [("a", "b"), ("b", "a")] {
            let proof = proof(&grid, from, to);
            assert!(proof.starts_with("a later one was seen on `sw:"), "{proof}");
            assert!(proof.ends_with("its socket then heard itself over its loopback"), "{proof}");
        }
        Ok(())
    });
}

/// What a socket lost was not blocked, and what it kept may have been more.
/// Ears this small are full after a few frames, long before the machine's own queues are: those
/// belong to every lab of the machine.
#[test]
fn an_overflowed_socket_is_inconclusive() {
    live(async || {
        const HOSTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let topology = on_one_bridge(&HOSTS, PortFlags::default());
        let mut lab = Lab::build(&topology).await?.untraced().with_ears_of(1);
        let grid = lab.observe(Class::Broadcast).await?;
        for (from, to, cell) in grid.pairs() {
            let Verdict::Inconclusive(why) = &cell.verdict else {
                panic!("{from} to {to}: {}", cell.verdict);
            };
            assert!(why.starts_with(&format!("the socket of `{to}` lost ")), "{why}");
        }
        Ok(())
    });
}

#[test]
fn a_neighbour_that_announces_nothing_is_waited_for_in_vain() {
    const ANOTHER: Mac = Mac([0x02, 0x68, 0x70, 0, 0xaa, 1]);
    live(async || {
        let mut lab = Lab::build(&three()).await?;
        lab.ping(Family::V4, "a", "b").await?;
        let (ip, old) = ("192.0.2.2".parse().expect("an address"), lab.mac("b:eth0"));
        lab.await_neighbour("a", ip, old).await?;
        lab.set_mac("b:eth0", ANOTHER).await?;
        let error = lab.await_neighbour("a", ip, ANOTHER).await.expect_err("b says nothing");
        assert_eq!(error.what, format!("after 5 s 192.0.2.2 is still at {old}, not {ANOTHER}"));
        lab.set_sysctl("b", "ipv4.conf.eth0.arp_notify", "1")?;
        lab.set_mac("b:eth0", old).await?;
        lab.set_mac("b:eth0", ANOTHER).await?;
        lab.await_neighbour("a", ip, ANOTHER).await
    });
}
