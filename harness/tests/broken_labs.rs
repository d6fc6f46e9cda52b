//! Labs that are broken on purpose: the verdict must be the stated one, and never say more than is
//! proved. What becomes of a whole case is the matter of `broken_cases.rs`.
//!
//! ```text
//!   a --- p1 +----+ p3 --- c
//!            | br |
//!   b --- p2 +----+
//! ```

use hairpin_harness::{
    Action, Bridge, Class, Error, Family, Firewall, Grid, Hook, Lab, LinkName, Mac, Match, Mode,
    PortFlags, Rule, Topology, Verdict, suite,
};
use rstest::rstest;

#[path = "support/user.rs"]
mod user;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

/// Runs a test in the kind of runtime that a lab needs.
fn live<T>(test: impl AsyncFnOnce() -> Result<T, Error>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.expect("a runtime can be made").block_on(test());
    ended.unwrap_or_else(|error| panic!("{error}"))
}

fn isolated() -> PortFlags {
    PortFlags::default().isolated(true)
}

/// Hosts on one bridge, each with both families.
fn on_one_bridge(hosts: &[&str], flags: PortFlags) -> Topology {
    let plug = |topology: Topology, (place, host): (usize, &&str)| {
        let (port, link) = (format!("sw:p{}", place + 1), format!("{host}:eth0"));
        topology
            .cable(&port, &link)
            .port_with(&port, "br", flags)
            .address(&link, &format!("192.0.2.{}/24", place + 1))
            .address(&link, &format!("2001:db8::{}/64", place + 1))
    };
    let empty = hosts.iter().fold(Topology::new("switch"), |topology, host| topology.host(host));
    hosts.iter().enumerate().fold(empty.netns("sw").bridge("sw:br"), plug)
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
        assert_eq!(off.to_string(), "    c1 c2 e\nc1  .  #  +\nc2  #  .  +\ne   +  +  .");
        assert!(proof(&off, "c1", "c2").starts_with("a later one reached `e`, "));
        let seen = off.cell("c1", "c2").expect("both are hosts of the grid");
        assert!(seen.touches("sw:s0") && !seen.touches("c2:c0"), "{:?}", seen.seen);
        lab.set_port("sw:s0", PortFlags::default().hairpin(true)).await?;
        let on = lab.observe(class).await?;
        assert_eq!(on.to_string(), "    c1 c2 e\nc1  .  +  +\nc2  +  .  +\ne   +  +  .");
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
        assert_eq!(grid.to_string(), "    c1 c2 e\nc1  .  #  #\nc2  #  .  #\ne   #  #  .");
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
        lab.pin_fdb("sw:p3", b).await?;
        let grid = lab.observe(class).await?;
        assert_eq!(grid.to_string(), expected);
        let cell = grid.cell("a", "b").expect("both are hosts of the grid");
        assert_eq!(cell.path(lost), "a:eth0> sw:p1< sw:p3> c:eth0<");
        assert!(proof(&grid, "a", "b").starts_with("a later one reached `c`"));
        Ok(())
    });
}

/// Two hosts have one address: the switch sends what is for either to the one that spoke last.
#[test]
fn one_address_twice() {
    live(async || {
        let same = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x01]);
        let mut lab = Lab::build(&three().mac("b:eth0", same).mac("c:eth0", same)).await?;
        let grid = lab.observe(Class::Unicast).await?;
        assert_eq!(grid.to_string(), "   a b c\na  . # +\nb  + . #\nc  + # .");
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
        assert_eq!(v4.to_string(), "   a b c\na  . # +\nb  > . >\nc  + # .");
        assert_eq!(
            proof(&v4, "a", "b"),
            "a later one reached `c`, its socket then heard itself over its loopback"
        );
        // Neighbours are asked for by ICMPv6: b never learns where a is.
        let v6 = lab.observe(Class::Ping6).await?;
        assert_eq!(v6.to_string(), "   a b c\na  . # +\nb  # . #\nc  + # .");
        // Frames pass below any firewall.
        let frames = lab.observe(Class::Unicast).await?;
        assert_eq!(frames.to_string(), "   a b c\na  . + +\nb  + . +\nc  + + .");
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
        assert_eq!(grid.to_string(), "   a b\na  . #\nb  # .");
        for (from, to) in [("a", "b"), ("b", "a")] {
            let proof = proof(&grid, from, to);
            assert!(proof.starts_with("a later one was seen on `sw:"), "{proof}");
            assert!(proof.ends_with("its socket then heard itself over its loopback"), "{proof}");
        }
        Ok(())
    });
}

/// What a socket lost was not blocked, and what it kept may have been more.
///
/// Root's sockets keep 16 MB: so many frames would also fill the machine's own queues. So this is
/// done as an ordinary user, who gets 400 KB.
#[test]
fn an_overflowed_socket_is_inconclusive() {
    if !user::may_have_labs() {
        eprintln!("not checked: this machine allows ordinary users no namespaces");
        return;
    }
    let test = "overflow::of_a_listener";
    let program = user::Program::of_ordinary_users(&std::env::current_exe().expect("our path"));
    let mut command = program.command(["--exact", test, "--nocapture"]);
    let ended = command.env(overflow::ASKED_FOR, "1").output().expect("the program starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Only for the test above, which starts it as another user.
mod overflow {
    use super::*;

    pub(crate) const ASKED_FOR: &str = "HAIRPIN_TEST_OVERFLOW";
    const SPEAKERS: usize = 7;

    /// ```text
    ///   s0 ---+         +--- .. ---+
    ///   ..    +-- hub --+  cables  +-- funnel --- listener
    ///   s6 ---+         +--- .. ---+
    /// ```
    /// Neither switch learns, so both flood: what one says to another comes to the listener over
    /// every cable. Nothing goes back, so nothing goes in circles.
    fn megaphone(cables: usize) -> Topology {
        let deaf = Bridge::default().ageing(0);
        let closed = isolated().flood(false).bcast_flood(false).mcast_flood(false);
        let names: Vec<String> = (0..SPEAKERS).map(|i| format!("s{i}")).collect();
        let mut topology = names.iter().fold(Topology::new("megaphone"), |t, name| t.host(name));
        topology = topology.host("listener").netns("hub").netns("funnel");
        topology = topology.bridge_with("hub:br", deaf.clone()).bridge_with("funnel:br", deaf);
        for name in &names {
            let port = format!("hub:{name}");
            topology = topology.cable(&port, &format!("{name}:eth0")).port(&port, "br");
        }
        for i in 0..cables {
            let (near, far) = (format!("hub:r{i}"), format!("funnel:r{i}"));
            topology = topology.cable(&near, &far);
            topology = topology.port_with(&near, "br", isolated()).port_with(&far, "br", closed);
        }
        topology.cable("funnel:out", "listener:eth0").port("funnel:out", "br")
    }

    #[test]
    fn of_a_listener() {
        if std::env::var_os(ASKED_FOR).is_none() {
            return;
        }
        // How much an ordinary user's socket keeps is the machine's to say.
        let lost = [25, 100, 400].into_iter().any(|cables| live(async || loses(cables).await));
        assert!(lost, "no socket of the listener was full");
    }

    async fn loses(cables: usize) -> Result<bool, Error> {
        let mut lab = Lab::build(&megaphone(cables)).await?.untraced();
        let grid = lab.observe(Class::Unicast).await?;
        assert_eq!(*verdict(&grid, "s0", "s1"), Verdict::Delivered);
        let verdicts: Vec<&Verdict> =
            (0..SPEAKERS).map(|i| verdict(&grid, &format!("s{i}"), "listener")).collect();
        if verdicts.iter().all(|v| matches!(v, Verdict::Duplicated(n) if *n as usize == cables)) {
            return Ok(false);
        }
        for verdict in verdicts {
            let Verdict::Inconclusive(why) = verdict else { panic!("{cables} cables: {verdict}") };
            assert!(why.starts_with("the socket of `listener` lost "), "{why}");
        }
        Ok(true)
    }
}
