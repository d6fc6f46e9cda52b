//! Bridged packets that are shown to the IP firewall: by which switch, of which family, and what the
//! firewall may do to them.
//!
//! ```text
//!   c1, c2 --- br1 [r] br2 --- c3
//! ```

use hairpin_fixtures::docker::{docker_host, forward};
use hairpin_harness::Class::{Ping4, Ping6};
use hairpin_harness::firewall::Protocol;
use hairpin_harness::options::{LinkOption, bridge};
use hairpin_harness::{
    Action, CaseLab, Class, Family, Firewall, Flow, Hook, Match, Need, Policy, Rule, Source, Stop,
    Strength, Topology, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[OWN_SWITCH, FAMILY, SWITCHES, PIECES, TRANSLATED];

const NEEDS: &[Need] =
    &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables, Need::BrNetfilter];

const OWN_SWITCH: Rule = Rule {
    id: "bridge.netfilter.a-bridges-own-switch",
    promise: "a bridge that is told to shows its packets of that family to the IP firewall, though \
              its namespace's switch is off; other bridges do not, nor are packets of the other \
              family shown",
    source: Source {
        cite: "ip-link(8), nf_call_iptables and nf_call_ip6tables; br_nf_pre_routing",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

const EVERYBODY: &str = "
        c1 c2 c3 r
    c1  .  +  +  +
    c2  +  .  +  +
    c3  +  +  .  +
    r   +  +  +  .";

/// While FORWARD drops what is routed.
const ONE_BRIDGE: &str = "
        c1 c2 c3 r
    c1  .  +  #  +
    c2  +  .  #  +
    c3  #  #  .  +
    r   +  +  +  .";

/// While it drops what is bridged, too.
const MACHINE_ONLY: &str = "
        c1 c2 c3 r
    c1  .  #  #  +
    c2  #  .  #  +
    c3  #  #  .  +
    r   +  +  +  .";

/// Takes the rules away: the twin of what they cut off.
async fn expect_all(lab: &mut CaseLab) -> Result<(), Stop> {
    lab.set_firewall("r", forward(Policy::Accept))?;
    lab.expect(Ping4, EVERYBODY).await?;
    lab.expect(Ping6, EVERYBODY).await?;
    Ok(())
}

#[rstest]
#[case::v4(Ping4, Ping6, bridge::NF_CALL_IPTABLES)]
#[case::v6(Ping6, Ping4, bridge::NF_CALL_IP6TABLES)]
fn a_bridges_own_switch(#[case] shown: Class, #[case] other: Class, #[case] switch: LinkOption) {
    check(&OWN_SWITCH, async |case| {
        let mut lab = case.lab(&docker_host().firewall("r", forward(Policy::Drop))).await?;
        lab.expect(shown, ONE_BRIDGE).await?;
        lab.set_option("r:br2", switch, 1).await?;
        lab.expect(shown, ONE_BRIDGE).await?;
        lab.set_option("r:br1", switch, 1).await?;
        lab.expect(shown, MACHINE_ONLY).await?;
        lab.expect(other, ONE_BRIDGE).await?;
        lab.set_option("r:br1", switch, 0).await?;
        lab.expect(shown, ONE_BRIDGE).await?;
        expect_all(&mut lab).await
    });
}

const FAMILY: Rule = Rule {
    id: "bridge.netfilter.each-switch-is-of-its-family",
    promise: "the namespace's switch for one family shows packets of that family of all bridges, and \
              none of the other; the switch for ARP cuts nobody off",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-call-iptables, -ip6tables and -arptables",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4("bridge.bridge-nf-call-iptables", Ping4, Ping6)]
#[case::v6("bridge.bridge-nf-call-ip6tables", Ping6, Ping4)]
fn each_switch_is_of_its_family(#[case] switch: &str, #[case] shown: Class, #[case] other: Class) {
    check(&FAMILY, async |case| {
        let topology = docker_host().firewall("r", forward(Policy::Drop)).sysctl("r", switch, "1");
        let mut lab = case.lab(&topology).await?;
        lab.expect(other, ONE_BRIDGE).await?;
        lab.expect(shown, MACHINE_ONLY).await?;
        lab.set_sysctl("r", switch, "0")?;
        lab.set_sysctl("r", "bridge.bridge-nf-call-arptables", "1")?;
        lab.expect(shown, ONE_BRIDGE).await?;
        expect_all(&mut lab).await
    });
}

const SWITCHES: Rule = Rule {
    id: "bridge.netfilter.switches-of-a-namespace",
    promise: "a new namespace shows IPv4, IPv6 and ARP of its bridges, and none of what is tagged or in \
              a session; each switch is on if anything but 0 is written to it, and changes no other, \
              nor one of another namespace",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-*; br_netfilter_sysctl_init_net and brnf_sysctl_call_tables",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

/// The switches, and what they are in a new namespace.
const NAMES: [(&str, &str); 6] = [
    ("bridge.bridge-nf-call-arptables", "1"),
    ("bridge.bridge-nf-call-iptables", "1"),
    ("bridge.bridge-nf-call-ip6tables", "1"),
    ("bridge.bridge-nf-filter-vlan-tagged", "0"),
    ("bridge.bridge-nf-filter-pppoe-tagged", "0"),
    ("bridge.bridge-nf-pass-vlan-input-dev", "0"),
];

/// Those that are on in a namespace.
fn on(lab: &CaseLab, netns: &str) -> Result<Vec<&'static str>, Stop> {
    let mut on = Vec::new();
    for (name, _) in NAMES {
        if lab.sysctl(netns, name)? != "0" {
            on.push(name);
        }
    }
    Ok(on)
}

#[test]
fn switches_of_a_namespace() {
    check(&SWITCHES, async |case| {
        let off = |topology, (name, _): (&str, _)| Topology::sysctl(topology, "r", name, "0");
        let mut lab = case.lab(&NAMES.into_iter().fold(docker_host(), off)).await?;
        let other = on(&lab, "c1")?;
        for (name, at_birth) in NAMES {
            let seen = lab.sysctl_at_birth(name)?;
            lab.claim(&format!("{name} is born {at_birth}"), seen == at_birth, &seen)?;
            lab.set_sysctl("r", name, "5")?;
            let seen = (lab.sysctl("r", name)?, on(&lab, "r")?);
            let claim = format!("{name} alone is on, and reads 1");
            lab.claim(&claim, seen == ("1".into(), vec![name]), format!("{seen:?}"))?;
            lab.set_sysctl("r", name, "0")?;
        }
        let seen = on(&lab, "c1")?;
        lab.claim("those of another namespace are as they were", seen == other, format!("{seen:?}"))
    });
}

const PIECES: Rule = Rule {
    id: "bridge.netfilter.pieces-are-judged-as-a-whole",
    promise: "where bridged packets are shown to a firewall that follows connections, the pieces of a \
              datagram are put together before it is asked, and leave again as pieces no longer than \
              they came",
    source: Source {
        cite: "br_nf_dev_queue_xmit and br_nf_ip_fragment, net/bridge/br_netfilter_hooks.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Lets datagrams for one port pass, of which only a first piece tells, and what is needed to resolve
/// addresses in IPv6 (what has no port) not.
fn one_port() -> Firewall {
    let port = Match::any().port(Protocol::Udp, 5003);
    forward(Policy::Drop).rule(Hook::Forward, port, Action::Accept).rule(
        Hook::Forward,
        Match::any().established(),
        Action::Accept,
    )
}

/// How much is sent, by a link that takes how much, and the packets that it comes to.
type Sent = (usize, u32, &'static [usize]);

const LONG_V4: Sent = (4000, 1500, &[1500, 1500, 1068]);
const LONG_V6: Sent = (4000, 1500, &[1496, 1496, 1160]);
/// Together they would fit into one packet of the bridge.
const SHORT_V4: Sent = (1400, 1300, &[1300, 148]);
const SHORT_V6: Sent = (1400, 1300, &[1296, 208]);

#[rstest]
#[case::v4(Family::V4, bridge::NF_CALL_IPTABLES, LONG_V4)]
#[case::v6(Family::V6, bridge::NF_CALL_IP6TABLES, LONG_V6)]
#[case::short_v4(Family::V4, bridge::NF_CALL_IPTABLES, SHORT_V4)]
#[case::short_v6(Family::V6, bridge::NF_CALL_IP6TABLES, SHORT_V6)]
fn pieces_are_judged_as_a_whole(
    #[case] family: Family,
    #[case] switch: LinkOption,
    #[case] (bytes, mtu, packets): Sent,
) {
    check(&PIECES, async |case| {
        let mut lab = case.lab(&docker_host()).await?;
        for (near, far) in [("c1", "c2"), ("c2", "c1")] {
            let (link, mac) = (format!("{near}:eth0"), lab.mac(format!("{far}:eth0").as_str()));
            let ip = lab.topology().address_of(far, family).expect("it has both families");
            lab.add_neighbour(&*link, ip, mac).await?;
        }
        lab.set_mtu("c1:eth0", mtu).await?;
        for shown in [0, 1] {
            lab.set_option("r:br1", switch, shown).await?;
            lab.set_firewall("r", one_port())?;
            let seen = lab.pieces("c1", "c2", family, bytes).await?;
            let claim = format!("{bytes} bytes arrive whole, as {packets:?} bytes; shown: {shown}");
            lab.claim(&claim, seen.whole && seen.packets == packets, format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const TRANSLATED: Rule = Rule {
    id: "bridge.netfilter.what-is-translated-goes-elsewhere",
    promise: "a bridged packet whose destination the firewall changes goes to the new one: another \
              port, the machine itself, a neighbour, or another network; without the switch it goes \
              where it was sent",
    source: Source {
        cite: "br_nf_pre_routing_finish and br_nf_pre_routing_finish_ipv6",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::port_v4(Family::V4, "c1")]
#[case::machine_v4(Family::V4, "r")]
#[case::network_v4(Family::V4, "c3")]
#[case::port_v6(Family::V6, "c1")]
#[case::machine_v6(Family::V6, "r")]
#[case::network_v6(Family::V6, "c3")]
fn what_is_translated_goes_elsewhere(#[case] family: Family, #[case] to: &str) {
    check(&TRANSLATED, async |case| {
        let switch = match family {
            Family::V4 => bridge::NF_CALL_IPTABLES,
            Family::V6 => bridge::NF_CALL_IP6TABLES,
        };
        let topology = docker_host();
        let address = |host| topology.address_of(host, family).expect("it has both families");
        let asked = (address("c1"), 8080).into();
        let rules = forward(Policy::Accept).dnat(
            Match::any().to(address("c1").into()).port(Protocol::Tcp, 8080),
            (address(to), 80).into(),
        );
        let mut lab = case.lab(&topology.clone().firewall("r", rules)).await?;
        let flow = Flow::new(Protocol::Tcp, family).port(80).asking(asked);
        let control = if to == "c3" { "r" } else { "c3" };
        let flow = flow.between("c2", to).aside("r", 81).control(control);
        lab.expect_flow(&flow, 'X').await?;
        lab.set_option("r:br1", switch, 1).await?;
        lab.expect_flow(&flow, '+').await?;
        Ok(())
    });
}
