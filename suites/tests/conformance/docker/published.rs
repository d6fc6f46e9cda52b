//! Published ports: c1's port 80 at port 8080 of the machine's address on the LAN.
//!
//! ```text
//!   c1:80, c2 --- br1 [r: DNAT 8080 -> c1:80] br2 --- c3
//!                      up --- e
//! ```
//!
//! *NAT loopback* is what goes from a network to the machine's public address and back into the same
//! network. That is also called hairpin NAT; it is not what a bridge port's `hairpin` does.

use hairpin_fixtures::docker::{docker_lan, docker_rules, forward, public, publish, routed_lan};
use hairpin_fixtures::reflecting;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{
    Family, Firewall, Flow, Match, Policy, PortFlags, Rule, Source, Strength, check,
};
use rstest::rstest;

use super::FILTERED;

pub(crate) const RULES: &[Rule] = &[OUTSIDE, HOST, OTHER_BRIDGE, LOOPBACK, LOCALNET, BRIDGED];

const OUTSIDE: Rule = Rule {
    id: "docker.published.outside-reaches-it",
    promise: "a port that is published is reached from outside though FORWARD is at DROP, and the \
              container sees who asks; unpublished, the machine itself refuses",
    source: Source {
        cite: "Docker: port publishing and mapping; nft(8), dnat",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const HOST: Rule = Rule {
    id: "docker.published.the-machine-reaches-it",
    promise: "the machine's own processes reach a published port only by a rule at its output: what \
              they send is never seen by prerouting",
    source: Source {
        cite: "nft(8), nat chains at prerouting and output",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const OTHER_BRIDGE: Rule = Rule {
    id: "docker.published.isolation-comes-first",
    promise: "rules that keep bridges apart also keep a container of one from the published port of \
              another, as they see where the packet goes after it was translated",
    source: Source {
        cite: "nft(8), hook priorities: prerouting comes before forward",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const LOOPBACK: Rule = Rule {
    id: "docker.published.loopback-needs-masquerade-not-hairpin",
    promise: "containers reach a port that their own network publishes only if what is sent back \
              into the network is masqueraded (a container does not answer itself otherwise, and \
              over IPv4 does not even hear); while packets are routed and not bridged, the bridge \
              port's hairpin has no part in it",
    source: Source {
        cite: "RFC 4787, 6 (hairpinning); net/bridge/br_forward.c, should_deliver",
        strength: Strength::Code,
    },
    article: &[],
    needs: FILTERED,
};

/// Asks for the published port.
fn asking(transport: Protocol, family: Family) -> Flow<'static> {
    Flow::new(transport, family).port(80).asking(public(family, 8080)).aside("r", 81)
}

/// Masquerades what goes back into the network that it came from.
fn loopback(rules: Firewall) -> Firewall {
    let nets = ["192.0.2.0/24", "2001:db8:1::/64"];
    nets.into_iter().fold(rules, |rules, net| {
        rules.masquerade(
            Match::any().from(net.parse().expect("a network of the fixture")).to_link("br1"),
        )
    })
}

#[rstest]
#[case::v4(Protocol::Tcp, Family::V4, 'X')]
#[case::v6(Protocol::Tcp, Family::V6, 'X')]
#[case::udp_v4(Protocol::Udp, Family::V4, 'P')]
#[case::udp_v6(Protocol::Udp, Family::V6, 'P')]
fn outside_reaches_it(#[case] transport: Protocol, #[case] family: Family, #[case] refused: char) {
    check(&OUTSIDE, async |case| {
        let mut lab = case.lab(&routed_lan().firewall("r", docker_rules())).await?;
        let flow = asking(transport, family).between("e", "c1").control("c2");
        lab.expect_flow(&flow, refused).await?;
        lab.set_firewall("r", publish(docker_rules(), transport, family))?;
        let seen = lab.expect_flow(&flow, '+').await?.source.map(|source| source.ip());
        let own = lab.topology().address_of("e", family);
        lab.claim("the container sees who asks", seen == own, format!("{seen:?}"))
    });
}

#[rstest]
#[case::v4(Protocol::Tcp, Family::V4, 'X')]
#[case::v6(Protocol::Tcp, Family::V6, 'X')]
#[case::udp_v4(Protocol::Udp, Family::V4, 'P')]
#[case::udp_v6(Protocol::Udp, Family::V6, 'P')]
fn the_machine_reaches_it(
    #[case] transport: Protocol,
    #[case] family: Family,
    #[case] refused: char,
) {
    check(&HOST, async |case| {
        let whole = publish(docker_rules(), transport, family);
        let others_only = Firewall { local_dnat: Vec::new(), ..whole.clone() };
        let mut lab = case.lab(&docker_lan().firewall("r", others_only)).await?;
        let flow = asking(transport, family).between("r", "c1").aside("c2", 81).control("c2");
        lab.expect_flow(&flow, refused).await?;
        lab.set_firewall("r", whole)?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn isolation_comes_first(#[case] family: Family) {
    check(&OTHER_BRIDGE, async |case| {
        let apart = publish(docker_rules(), Protocol::Tcp, family);
        let mut lab = case.lab(&docker_lan().firewall("r", apart)).await?;
        let flow = asking(Protocol::Tcp, family).between("c3", "c1").control("c2");
        lab.expect_flow(&flow, '#').await?;
        let together = publish(forward(Policy::Accept), Protocol::Tcp, family);
        lab.set_firewall("r", together)?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}

#[rstest]
#[case::neighbour_v4(Family::V4, "c2", false, false)]
#[case::neighbour_v6(Family::V6, "c2", false, false)]
#[case::neighbour_hairpin_v4(Family::V4, "c2", true, false)]
#[case::neighbour_hairpin_v6(Family::V6, "c2", true, false)]
#[case::neighbour_masquerade_v4(Family::V4, "c2", false, true)]
#[case::neighbour_masquerade_v6(Family::V6, "c2", false, true)]
#[case::itself_v4(Family::V4, "c1", false, false)]
#[case::itself_v6(Family::V6, "c1", false, false)]
#[case::itself_hairpin_v4(Family::V4, "c1", true, false)]
#[case::itself_hairpin_v6(Family::V6, "c1", true, false)]
#[case::itself_masquerade_v4(Family::V4, "c1", false, true)]
#[case::itself_masquerade_v6(Family::V6, "c1", false, true)]
fn loopback_needs_masquerade_not_hairpin(
    #[case] family: Family,
    #[case] from: &str,
    #[case] hairpin: bool,
    #[case] masquerade: bool,
) {
    check(&LOOPBACK, async |case| {
        let port = if hairpin { reflecting() } else { PortFlags::default() };
        let rules = publish(docker_rules(), Protocol::Tcp, family);
        let masqueraded = loopback(rules.clone());
        let first = if masquerade { masqueraded.clone() } else { rules };
        let lan = docker_lan().port_with("r:v1", "br1", port).firewall("r", first);
        let mut lab = case.lab(&lan).await?;
        let other = if from == "c1" { "c2" } else { "r" };
        let flow = asking(Protocol::Tcp, family).between(from, "c1").control(other);
        let passage = match (masquerade, from) {
            (true, _) => '+',
            // The answer comes from the container's own address, which was not asked.
            (false, "c2") => '>',
            // IPv4 takes nothing from outside that has its own address as the sender's.
            (false, _) if family == Family::V4 => '#',
            (false, _) => '>',
        };
        lab.expect_flow(&flow, passage).await?;
        lab.set_firewall("r", masqueraded)?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}

const LOCALNET: Rule = Rule {
    id: "docker.published.at-the-machines-loopback",
    promise: "a port that is published at 127.0.0.1 is reached by the machine's own processes only \
              while route_localnet is on and what leaves with that address is masqueraded",
    source: Source { cite: "ip-sysctl.rst, route_localnet", strength: Strength::Documented },
    article: &[],
    needs: FILTERED,
};

#[rstest]
#[case::neither("0", false, '#')]
#[case::masqueraded("0", true, '#')]
#[case::routed("1", false, '#')]
#[case::both("1", true, '+')]
fn at_the_machines_loopback(#[case] routed: &str, #[case] masqueraded: bool, #[case] symbol: char) {
    check(&LOCALNET, async |case| {
        let published = |masqueraded: bool| {
            let own = "127.0.0.0/8".parse().expect("a network");
            let asked = Match::any().to(own).port(Protocol::Tcp, 8080);
            let rules = Firewall::new().local_dnat(asked, ([192, 0, 2, 11], 80).into());
            if masqueraded {
                rules.masquerade(Match::any().from(own).to_link("br1"))
            } else {
                rules
            }
        };
        let switch = "ipv4.conf.all.route_localnet";
        let topology = |routed, masqueraded| {
            docker_lan().sysctl("r", switch, routed).firewall("r", published(masqueraded))
        };
        let mut lab = case.lab(&topology(routed, masqueraded)).await?;
        let flow = Flow::new(Protocol::Tcp, Family::V4).port(80);
        let flow = flow.between("r", "c1").asking(([127, 0, 0, 1], 8080).into());
        let flow = flow.aside("c2", 81).control("c2");
        lab.expect_flow(&flow, symbol).await?;
        // A machine that has followed nothing yet.
        let mut lab = case.lab(&topology("1", true)).await?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}

const BRIDGED: Rule = Rule {
    id: "docker.published.loopback-while-bridged-packets-are-shown",
    promise: "with br_netfilter NAT loopback is as without it where it is masqueraded; where it is \
              not, the answer that a neighbour sends straight back is translated on the bridge, so \
              that neighbours reach each other by a published port",
    source: Source {
        cite: "br_nf_pre_routing, net/bridge/br_netfilter_hooks.c; RFC 4787, 6",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[
        hairpin_harness::Need::Driver("veth"),
        hairpin_harness::Need::Driver("bridge"),
        hairpin_harness::Need::Nftables,
        hairpin_harness::Need::BrNetfilter,
    ],
};

#[rstest]
#[case::v4(Family::V4, "bridge.bridge-nf-call-iptables")]
#[case::v6(Family::V6, "bridge.bridge-nf-call-ip6tables")]
fn loopback_while_bridged_packets_are_shown(#[case] family: Family, #[case] switch: &str) {
    check(&BRIDGED, async |case| {
        let rules = publish(forward(Policy::Accept), Protocol::Tcp, family);
        let topology = docker_lan().firewall("r", rules.clone()).sysctl("r", switch, "1");
        let mut lab = case.lab(&topology).await?;
        let flow = asking(Protocol::Tcp, family).between("c2", "c1").control("c3");
        lab.expect_flow(&flow, '+').await?;
        lab.set_firewall("r", loopback(rules))?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}
