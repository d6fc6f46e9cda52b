//! Rules that `iptables-nft`, `ip6tables-nft` and `nft` have written, as machines with Docker have
//! them: understood, and held against what the kernel does.
//!
//! Needs those programs; see the feature `program-tests`.

use std::process::{Command, Stdio};

use Answer::{BlockedByConfiguration, CannotTell, Reaches};
use hairpin_explain::Answer;
use hairpin_fixtures::docker::{docker_host, public, routed_lan};
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{Error, Family, Flow, Lab};

use crate::hold::{hold_of, live};
use crate::published::{asked, hold};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// Runs a program in a namespace, and has it succeed.
fn run(lab: &Lab, netns: &str, program: &str, arguments: &[&str], input: &str) {
    let ran = lab.inside(netns, || {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), input.as_bytes())?;
        child.wait_with_output()
    });
    let ran = ran.expect("a namespace of the lab");
    let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; install iptables, nftables"));
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Has `iptables-nft` or its twin write rules, as `iptables-save` prints them.
fn restore(lab: &Lab, netns: &str, family: Family, rules: &str) {
    let program = match family {
        Family::V4 => "iptables-nft-restore",
        Family::V6 => "ip6tables-nft-restore",
    };
    run(lab, netns, program, &["--noflush"], rules);
}

/// What Docker has iptables write for [`routed_lan`]: port 80 of c1 published at 8080, in its words.
fn dockers(family: Family, protocol: Protocol) -> String {
    let (first, second, container, port) = match family {
        Family::V4 => ("192.0.2.0/24", "198.51.100.0/24", "192.0.2.11", "192.0.2.11:80"),
        Family::V6 => {
            ("2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:1::11", "[2001:db8:1::11]:80")
        }
    };
    let (loopback, own) = match family {
        Family::V4 => ("127.0.0.0/8", "32"),
        Family::V6 => ("::1/128", "128"),
    };
    format!(
        "*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br1 -j DOCKER
-A FORWARD -i br1 ! -o br1 -j ACCEPT
-A FORWARD -i br1 -o br1 -j ACCEPT
-A FORWARD -o br2 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br2 -j DOCKER
-A FORWARD -i br2 ! -o br2 -j ACCEPT
-A FORWARD -i br2 -o br2 -j ACCEPT
-A DOCKER -d {container}/{own} ! -i br1 -o br1 -p {protocol} -m {protocol} --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i br1 ! -o br1 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i br2 ! -o br2 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o br1 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o br2 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -m comment --comment \"whatever the user has\" -j RETURN
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {loopback} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {first} ! -o br1 -j MASQUERADE
-A POSTROUTING -s {second} ! -o br2 -j MASQUERADE
-A POSTROUTING -s {container}/{own} -d {container}/{own} -p {protocol} -m {protocol} --dport 80 -j MASQUERADE
-A DOCKER -i br1 -j RETURN
-A DOCKER -i br2 -j RETURN
-A DOCKER ! -i br1 -p {protocol} -m {protocol} --dport 8080 -j DNAT --to-destination {port}
COMMIT
"
    )
}

/// Holds the pings of all pairs, each of which is told.
async fn pings(lab: &mut Lab, family: Family) -> Result<(), Error> {
    let tally = hold_of(family, lab, &[]).await?;
    assert_eq!(tally.untold, 0, "{family:?}");
    Ok(())
}

const FORWARD: &str = "bridge.docker.forward-drop-cuts-bridges-apart";
const DROPPED: &str = "nat.port.dropped-alone";

#[test]
fn dockers_own_rules() {
    for (family, protocol) in FAMILIES.into_iter().flat_map(|f| PROTOCOLS.map(|p| (f, p))) {
        live(async || {
            let mut lab = Lab::build(&routed_lan()).await?;
            restore(&lab, "r", family, &dockers(family, protocol));
            if protocol == Protocol::Tcp {
                pings(&mut lab, family).await?;
            }
            let flow = Flow::new(protocol, family).port(80).control("c2");
            let published = flow.asking(public(family, 8080)).aside("r", 81);
            hold(&mut lab, &published.between("e", "c1"), (Reaches, "")).await?;
            let plain = flow.between("e", "c1").port(81).aside("r", 82);
            hold(&mut lab, &plain, (BlockedByConfiguration, FORWARD)).await
        });
    }
}

/// The ports that these rules let in are 80, 8000 to 8080, and nothing else but what is no new connection.
async fn some_ports(lab: &mut Lab, protocol: Protocol, family: Family) -> Result<(), Error> {
    let flow = Flow::new(protocol, family).between("c1", "c3").control("r").aside("r", 90);
    for (port, expected) in [
        (80, (Reaches, "")),
        (81, (BlockedByConfiguration, DROPPED)),
        (7999, (BlockedByConfiguration, DROPPED)),
        (8000, (Reaches, "")),
        (8080, (Reaches, "")),
        (8081, (BlockedByConfiguration, DROPPED)),
    ] {
        hold(lab, &flow.port(port), expected).await?;
    }
    Ok(())
}

#[test]
fn several_ports_of_iptables() {
    let each = [
        "-m multiport --dports 80,8000:8080 -j ACCEPT",
        "-m multiport ! --dports 80,8000:8080 -j DROP",
    ];
    for (at, (family, protocol)) in
        FAMILIES.into_iter().flat_map(|f| PROTOCOLS.map(|p| (f, p))).enumerate()
    {
        live(async || {
            let mut lab = Lab::build(&docker_host()).await?;
            let ports = each[at % 2];
            let rules = format!(
                "*filter\n-A FORWARD -m state --state ESTABLISHED -j ACCEPT\n\
                 -A FORWARD -p {protocol} {ports}\n\
                 -A FORWARD -p {protocol} -m {protocol} --dport 0:79 -j DROP\n\
                 -A FORWARD -p {protocol} -m {protocol} --dport 81:7999 -j DROP\n\
                 -A FORWARD -p {protocol} -m {protocol} --dport 8081: -j DROP\nCOMMIT\n"
            );
            restore(&lab, "r", family, &rules);
            pings(&mut lab, family).await?;
            some_ports(&mut lab, protocol, family).await
        });
    }
}

#[test]
fn sets_of_nft() {
    for (family, protocol) in FAMILIES.into_iter().flat_map(|f| PROTOCOLS.map(|p| (f, p))) {
        live(async || {
            let mut lab = Lab::build(&docker_host()).await?;
            let rules = format!(
                "table inet t {{
                    counter seen {{ }}
                    set open {{ type inet_service; flags interval; elements = {{ 8000-8080 }} }}
                    chain forward {{
                        type filter hook forward priority filter; policy drop;
                        counter name seen
                        ct state vmap {{ established : accept, related : accept, invalid : drop }}
                        meta l4proto {{ icmp, ipv6-icmp }} accept
                        iifname != {{ \"br1\", \"br2\" }} drop
                        {protocol} dport {{ 80, 443 }} accept
                        {protocol} dport @open accept
                        {protocol} dport 1-65535 jump rest
                    }}
                    chain rest {{
                        counter drop
                    }}
                }}"
            );
            run(&lab, "r", "nft", &["-f", "-"], &rules);
            pings(&mut lab, family).await?;
            some_ports(&mut lab, protocol, family).await
        });
    }
}

/// The rules of nftables' own example for a workstation, on c1: what it lets in of the network.
#[test]
fn an_example_of_nft() {
    for family in FAMILIES {
        live(async || {
            let mut lab = Lab::build(&docker_host()).await?;
            let rules = "table inet filter {
                chain input {
                    type filter hook input priority 0; policy drop;
                    ct state vmap { invalid : drop, established : accept, related : accept }
                    iif lo accept
                    icmpv6 type { nd-neighbor-solicit, nd-router-advert, nd-neighbor-advert } accept
                    ip saddr { 192.0.2.12, 198.51.100.0-198.51.100.13 } icmp type echo-request accept
                    ip6 saddr vmap { 2001:db8:1::12 : accept, 2001:db8:2::/64 : accept, * : drop }
                }
            }";
            run(&lab, "c1", "nft", &["-f", "-"], rules);
            pings(&mut lab, family).await
        });
    }
}

/// What nobody can foresee stays so, and is named.
#[test]
fn a_limit_cannot_be_told() {
    live(async || {
        let lab = Lab::build(&docker_host()).await?;
        let rules = "*filter\n-A FORWARD -m limit --limit 5/minute -j ACCEPT\n\
                     -A FORWARD -m helper --helper ftp -j DROP\nCOMMIT\n";
        restore(&lab, "r", Family::V4, rules);
        let flow = Flow::new(Protocol::Tcp, Family::V4).between("c1", "c3").control("r").port(80);
        let said = asked(&lab, &flow)?;
        assert_eq!(said.answer, CannotTell);
        let named = |what: &str| said.missing.iter().any(|missing| missing.contains(what));
        assert!(named("`limit` in rule ip filter FORWARD"), "{:?}", said.missing);
        Ok(())
    });
}
