//! Docker's default networks: the picture is at the head of `hairpin_fixtures::docker`.
//!
//! ```text
//!   c1, c2 on br1, c3 on br2, r routes between them (or does not)
//! ```

use hairpin_fixtures::docker::{docker_host, forward, unrouted};
use hairpin_harness::Class::{Broadcast, Ping4, Ping6, Unicast};
use hairpin_harness::{Class, Family, Need, Policy, Rule, Source, Strength, Topology, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] =
    &[SAME_BRIDGE, GATEWAY, OTHER_BRIDGE, HOPS, FORWARD_DROP, BRIDGED_DROP, THREE_CAUSES];

const FILTERED: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables];

const SAME_BRIDGE: Rule = Rule {
    id: "bridge.docker.same-bridge-is-one-wire",
    promise: "hosts on one bridge reach each other at layer 2: each is resolved to its own MAC and \
              no hop is counted; hosts on another bridge do not hear them",
    source: Source { cite: "Documentation/networking/bridge.rst", strength: Strength::Documented },
    article: &["B2"],
    needs: NEEDS,
};

mod same_bridge_is_one_wire {
    use super::*;

    #[rstest]
    #[case::v4(Family::V4)]
    #[case::v6(Family::V6)]
    fn resolved(#[case] family: Family) {
        check(&SAME_BRIDGE, async |case| {
            let mut lab = case.lab(&docker_host()).await?;
            let cell = lab.ping(family, "c1", "c2").await?;
            lab.claim("c1 reaches c2", cell.verdict.symbol() == '+', &cell.verdict)?;
            lab.claim("no hop is counted", cell.ttl == Some(64), format!("{:?}", cell.ttl))?;
            let c2 = lab.link("c2:eth0").await?.mac;
            let address = lab.topology().address_of("c2", family).expect("c2 has both families");
            let resolved = lab.neighbour("c1", address).await?;
            lab.claim(
                &format!("c1 resolves c2 to {c2}"),
                resolved == Some(c2),
                format!("{resolved:?}"),
            )
        });
    }

    #[rstest]
    #[case::unicast(Unicast)]
    #[case::broadcast(Broadcast)]
    fn frames(#[case] class: Class) {
        check(&SAME_BRIDGE, async |case| {
            let mut lab = case.lab(&docker_host()).await?;
            // r takes part with the bridge of its first address, br1.
            let apart = "
                    c1 c2 c3 r
                c1  .  +  #  +
                c2  +  .  #  +
                c3  #  #  .  #
                r   +  +  #  .";
            lab.expect(class, apart).await?;
            // The twin: plug c3 into the first bridge.
            lab.set_bridge("r:v3", Some("br1")).await?;
            let together = "
                    c1 c2 c3 r
                c1  .  +  +  +
                c2  +  .  +  +
                c3  +  +  .  +
                r   +  +  +  .";
            lab.expect(class, together).await?;
            Ok(())
        });
    }
}

const GATEWAY: Rule = Rule {
    id: "bridge.docker.gateway-is-on-the-bridge",
    promise: "each container has a cable to a port of its bridge, whose own address is the \
              container's gateway and is reached from it",
    source: Source { cite: "the article; docker-network(1)", strength: Strength::Documented },
    article: &["B1"],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Ping4)]
#[case::v6(Ping6)]
fn gateway_is_on_the_bridge(#[case] class: Class) {
    check(&GATEWAY, async |case| {
        let topology = docker_host();
        let mut lab = case.lab(&topology).await?;
        for port in ["v1", "v2", "v3"] {
            let link = lab.link(format!("r:{port}").as_str()).await?;
            lab.claim(&format!("{port} is up with carrier"), link.running, format!("{link:?}"))?;
        }
        let all = "
                c1 c2 c3 r
            c1  .  +  +  +
            c2  +  .  +  +
            c3  +  +  .  +
            r   +  +  +  .";
        lab.expect(class, all).await?;
        Ok(())
    });
}

const OTHER_BRIDGE: Rule = Rule {
    id: "bridge.docker.other-bridge-needs-routing",
    promise: "hosts on different bridges of one machine reach each other at layer 3, by way of \
              their gateways, only while the machine routes",
    source: Source {
        cite: "ip-sysctl.rst, ip_forward and forwarding",
        strength: Strength::Documented,
    },
    article: &["B3", "B5"],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Ping4, "ipv4.ip_forward", "echo request")]
#[case::v6(Ping6, "ipv6.conf.all.forwarding", "echo request")]
fn other_bridge_needs_routing(#[case] class: Class, #[case] switch: &str, #[case] request: &str) {
    check(&OTHER_BRIDGE, async |case| {
        let mut lab = case.lab(&docker_host()).await?;
        let routed = "
                c1 c2 c3 r
            c1  .  +  +  +
            c2  +  .  +  +
            c3  +  +  .  +
            r   +  +  +  .";
        let grid = lab.expect(class, routed).await?;
        let way = "c1:eth0> r:v1< r:br1< r:br2> r:v3> c3:eth0<";
        lab.expect_path(&grid, "c1", "c3", request, way)?;
        lab.set_sysctl("r", switch, "0")?;
        let unrouted = "
                c1 c2 c3 r
            c1  .  +  #  +
            c2  +  .  #  +
            c3  #  #  .  +
            r   +  +  +  .";
        lab.expect(class, unrouted).await?;
        lab.set_sysctl("r", switch, "1")?;
        lab.expect(class, routed).await?;
        Ok(())
    });
}

const HOPS: Rule = Rule {
    id: "bridge.docker.a-router-counts-one-hop",
    promise: "routing between two bridges takes exactly one from the TTL or hop limit",
    source: Source { cite: "RFC 1812, 5.3.1; RFC 8200, 3", strength: Strength::Standard },
    article: &["B3"],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn a_router_counts_one_hop(#[case] family: Family) {
    check(&HOPS, async |case| {
        let mut lab = case.lab(&docker_host()).await?;
        for (from, to, ttl) in
            [("c1", "c2", 64), ("c1", "c3", 63), ("c3", "c1", 63), ("c1", "r", 64)]
        {
            let cell = lab.ping(family, from, to).await?;
            lab.claim(
                &format!("{from} reaches {to}"),
                cell.verdict.symbol() == '+',
                &cell.verdict,
            )?;
            let claim = format!("it arrives with {ttl}");
            lab.claim(&claim, cell.ttl == Some(ttl), format!("{:?}", cell.ttl))?;
        }
        Ok(())
    });
}

const FORWARD_DROP: Rule = Rule {
    id: "bridge.docker.forward-drop-cuts-bridges-apart",
    promise: "with the FORWARD policy at DROP, as Docker sets it, nothing passes between bridges; \
              on one bridge everything still does, while bridged packets stay out of the firewall",
    source: Source {
        cite: "Docker: packet filtering and firewalls; nft(8)",
        strength: Strength::Documented,
    },
    article: &["B4"],
    needs: FILTERED,
};

#[rstest]
#[case::v4(Ping4)]
#[case::v6(Ping6)]
fn forward_drop_cuts_bridges_apart(#[case] class: Class) {
    check(&FORWARD_DROP, async |case| {
        let mut lab = case.lab(&docker_host().firewall("r", forward(Policy::Drop))).await?;
        let dropped = "
                c1 c2 c3 r
            c1  .  +  #  +
            c2  +  .  #  +
            c3  #  #  .  +
            r   +  +  +  .";
        lab.expect(class, dropped).await?;
        lab.set_firewall("r", forward(Policy::Accept))?;
        let accepted = "
                c1 c2 c3 r
            c1  .  +  +  +
            c2  +  .  +  +
            c3  +  +  .  +
            r   +  +  +  .";
        lab.expect(class, accepted).await?;
        Ok(())
    });
}

const BRIDGED_DROP: Rule = Rule {
    id: "bridge.docker.br-netfilter-drops-on-one-bridge-too",
    promise: "while br_netfilter hands bridged packets to the IP firewall, FORWARD DROP cuts hosts \
              on one bridge apart as well; with its switch at 0 they reach each other",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-call-iptables",
        strength: Strength::Documented,
    },
    article: &["B4"],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables, Need::BrNetfilter],
};

#[rstest]
#[case::v4(Ping4, "bridge.bridge-nf-call-iptables")]
#[case::v6(Ping6, "bridge.bridge-nf-call-ip6tables")]
fn br_netfilter_drops_on_one_bridge_too(#[case] class: Class, #[case] switch: &str) {
    check(&BRIDGED_DROP, async |case| {
        let topology = docker_host().firewall("r", forward(Policy::Drop)).sysctl("r", switch, "1");
        let mut lab = case.lab(&topology).await?;
        let dropped = "
                c1 c2 c3 r
            c1  .  #  #  +
            c2  #  .  #  +
            c3  #  #  .  +
            r   +  +  +  .";
        lab.expect(class, dropped).await?;
        lab.set_sysctl("r", switch, "0")?;
        let one_bridge = "
                c1 c2 c3 r
            c1  .  +  #  +
            c2  +  .  #  +
            c3  #  #  .  +
            r   +  +  +  .";
        lab.expect(class, one_bridge).await?;
        lab.set_sysctl("r", switch, "1")?;
        lab.set_firewall("r", forward(Policy::Accept))?;
        let all = "
                c1 c2 c3 r
            c1  .  +  +  +
            c2  +  .  +  +
            c3  +  +  .  +
            r   +  +  +  .";
        lab.expect(class, all).await?;
        Ok(())
    });
}

const THREE_CAUSES: Rule = Rule {
    id: "bridge.docker.three-causes-cut-off-alone",
    promise: "routing between bridges needs three things at once: forwarding on, FORWARD not at \
              DROP, and a route back; each missing alone cuts off, and with all there nothing does",
    source: Source {
        cite: "ip-sysctl.rst, ip_forward; nft(8); ip-route(8)",
        strength: Strength::Documented,
    },
    article: &["B5"],
    needs: FILTERED,
};

/// The truth table, for both families at once: what c1 and c3 see of each other by forwarding, FORWARD policy and c3's route.
///
/// Without its route c3 cannot answer: what reaches it is one way, and it says so itself when it
/// wants to speak.
#[rstest]
#[case::none(false, false, false, '#', 'N')]
#[case::route(false, false, true, '#', '#')]
#[case::accept(false, true, false, '#', 'N')]
#[case::accept_route(false, true, true, '#', '#')]
#[case::forward(true, false, false, '#', 'N')]
#[case::forward_route(true, false, true, '#', '#')]
#[case::forward_accept(true, true, false, '>', 'N')]
#[case::forward_accept_route(true, true, true, '+', '+')]
fn three_causes_cut_off_alone(
    #[case] forwards: bool,
    #[case] accepts: bool,
    #[case] has_route: bool,
    #[case] there: char,
    #[case] back: char,
) {
    check(&THREE_CAUSES, async |case| {
        let policy = if accepts { Policy::Accept } else { Policy::Drop };
        let mut topology = unrouted().firewall("r", forward(policy));
        for family in [Family::V4, Family::V6] {
            topology = with_causes(topology, family, forwards, has_route);
        }
        let mut lab = case.lab(&topology).await?;
        let gateway = if has_route { '+' } else { 'N' };
        let table = format!(
            "   c1 c2 c3 r
            c1  .  +  {there}  +
            c2  +  .  {there}  +
            c3  {back}  {back}  .  {gateway}
            r   +  +  +  ."
        );
        lab.expect(Ping4, &table).await?;
        lab.expect(Ping6, &table).await?;
        // The twin of each row: whatever is missing is put right.
        lab.set_firewall("r", forward(Policy::Accept))?;
        for family in [Family::V4, Family::V6] {
            lab.set_sysctl("r", routing_switch(family), "1")?;
            if !has_route {
                let (to, via) = default_route(family);
                lab.add_route("c3", to, via).await?;
            }
        }
        let all = "
                c1 c2 c3 r
            c1  .  +  +  +
            c2  +  .  +  +
            c3  +  +  .  +
            r   +  +  +  .";
        lab.expect(Ping4, all).await?;
        lab.expect(Ping6, all).await?;
        Ok(())
    });
}

fn with_causes(topology: Topology, family: Family, forwards: bool, has_route: bool) -> Topology {
    let topology = topology.sysctl("r", routing_switch(family), if forwards { "1" } else { "0" });
    let (to, via) = default_route(family);
    if has_route { topology.route("c3", to, via) } else { topology }
}

const fn routing_switch(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4.ip_forward",
        Family::V6 => "ipv6.conf.all.forwarding",
    }
}

const fn default_route(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::V4 => ("0.0.0.0/0", "198.51.100.1"),
        Family::V6 => ("::/0", "2001:db8:2::1"),
    }
}
