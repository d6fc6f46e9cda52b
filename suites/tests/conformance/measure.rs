//! What each kind of network costs: one round of figures, for `hairpin measure` to make many of.
//!
//! ```text
//!    c1 --- e            veth: what all others are compared with
//!    c1 --- p --- e      p forwards: a bridge, a router with NAT, macvlan's or ipvlan's parent
//!    c1, c2 --- p --- sw the switch reflects: how vepa siblings meet
//! ```
//!
//! Each figure is of one TCP stream from `c1`. This is no case: nothing is promised of speed.

use std::net::IpAddr;
use std::time::Duration;

use hairpin_fixtures::lan::reflecting;
use hairpin_harness::measure::{lacking, measure, tell, tell_absent};
use hairpin_harness::topology::{IpvlanFlag, IpvlanMode};
use hairpin_harness::{Error, Firewall, Lab, Match, Mode, Need, Quantity, Topology};

/// How long a stream is written in a round, and how many round trips are made.
const TIME: Duration = Duration::from_millis(60);
const TRIPS: usize = 300;

/// A network, and who is sent to.
struct Network {
    name: &'static str,
    needs: &'static [Need],
    topology: Topology,
    to: (&'static str, &'static str),
}

const OUTSIDE: (&str, &str) = ("e", "192.0.2.20");
const SIBLING: (&str, &str) = ("c2", "192.0.2.12");
const MACVLAN: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Driver("macvlan")];

/// Two hosts and the cable between them.
fn veth() -> Topology {
    Topology::new("veth")
        .host("c1")
        .host("e")
        .cable("c1:eth0", "e:e0")
        .address("c1:eth0", "192.0.2.11/24")
        .address("e:e0", "192.0.2.20/24")
}

/// The machine `p` between `c1`, `c2` and the host outside.
fn machine(name: &str) -> Topology {
    Topology::new(name)
        .host("c1")
        .host("c2")
        .host("e")
        .netns("p")
        .cable("p:p0", "e:e0")
        .address("e:e0", "192.0.2.20/24")
}

fn bridge() -> Topology {
    machine("bridge")
        .bridge("p:br")
        .port("p:p0", "br")
        .cable("p:v1", "c1:eth0")
        .port("p:v1", "br")
        .cable("p:v2", "c2:eth0")
        .port("p:v2", "br")
        .address("c1:eth0", "192.0.2.11/24")
        .address("c2:eth0", "192.0.2.12/24")
}

/// As Docker has it: the bridge is a network of its own, and the machine gives it its address.
fn nat() -> Topology {
    let inside = "198.51.100.0/24".parse().expect("a network");
    machine("bridge-nat")
        .bridge("p:br")
        .cable("p:v1", "c1:eth0")
        .port("p:v1", "br")
        .cable("p:v2", "c2:eth0")
        .port("p:v2", "br")
        .address("p:br", "198.51.100.1/24")
        .address("p:p0", "192.0.2.10/24")
        .address("c1:eth0", "198.51.100.11/24")
        .address("c2:eth0", "198.51.100.12/24")
        .route("c1", "0.0.0.0/0", "198.51.100.1")
        .sysctl("p", "ipv4.ip_forward", "1")
        .firewall("p", Firewall::new().masquerade(Match::any().from(inside).not_to_link("br")))
}

fn macvlan(mode: Mode) -> Topology {
    machine("macvlan")
        .macvlan("c1:c0", "p:p0", mode)
        .macvlan("c2:c0", "p:p0", mode)
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24")
}

/// Vepa children behind a switch that sends their frames back.
fn reflected() -> Topology {
    Topology::new("macvlan-reflected")
        .host("c1")
        .host("c2")
        .netns("p")
        .netns("sw")
        .bridge("sw:br")
        .cable("sw:s0", "p:p0")
        .port_with("sw:s0", "br", reflecting())
        .macvlan("c1:c0", "p:p0", Mode::Vepa)
        .macvlan("c2:c0", "p:p0", Mode::Vepa)
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24")
}

fn ipvlan() -> Topology {
    machine("ipvlan")
        .ipvlan("c1:c0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)
        .ipvlan("c2:c0", "p:p0", IpvlanMode::L2, IpvlanFlag::Bridge)
        .address("c1:c0", "192.0.2.11/24")
        .address("c2:c0", "192.0.2.12/24")
}

/// All of them. The first is what the others are compared with; the second is the same again, which
/// shows the noise.
fn networks() -> Vec<Network> {
    const BRIDGE: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge")];
    const NAT: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables];
    const IPVLAN: &[Need] = &[Need::Driver("veth"), Need::Driver("ipvlan")];
    let network = |name, needs, topology, to| Network { name, needs, topology, to };
    vec![
        network("veth", &[], veth(), OUTSIDE),
        network("veth-again", &[], veth(), OUTSIDE),
        network("bridge", BRIDGE, bridge(), OUTSIDE),
        network("bridge-nat", NAT, nat(), OUTSIDE),
        network("macvlan-bridge", MACVLAN, macvlan(Mode::Bridge), OUTSIDE),
        network("macvlan-private", MACVLAN, macvlan(Mode::Private), OUTSIDE),
        network("macvlan-vepa", MACVLAN, macvlan(Mode::Vepa), OUTSIDE),
        network("ipvlan-l2", IPVLAN, ipvlan(), OUTSIDE),
        network("bridge-siblings", BRIDGE, bridge(), SIBLING),
        network("macvlan-bridge-siblings", MACVLAN, macvlan(Mode::Bridge), SIBLING),
        network("macvlan-vepa-siblings", MACVLAN, reflected(), SIBLING),
        network("ipvlan-l2-siblings", IPVLAN, ipvlan(), SIBLING),
    ]
}

async fn figures(network: &Network) -> Result<(), Error> {
    let missing = lacking(network.needs).await?;
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|(need, _)| need.to_string()).collect();
        tell_absent(network.name, &names.join(", "));
        return Ok(());
    }
    let lab = Lab::build(&network.topology).await?;
    let ip: IpAddr = network.to.1.parse().expect("an address");
    let to = (network.to.0, ip);
    tell(network.name, Quantity::Latency, lab.round_trip("c1", to, TRIPS)?);
    tell(network.name, Quantity::Throughput, lab.throughput("c1", to, TIME)?);
    Ok(())
}

/// One round: every network once, each time beginning at another of them.
#[test]
fn round() {
    measure(async || {
        let mut networks = networks();
        let first = std::process::id() as usize % networks.len();
        networks.rotate_left(first);
        for network in &networks {
            figures(network).await?;
        }
        Ok(())
    });
}
