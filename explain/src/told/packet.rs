//! What stops packets in a stack: routes, firewalls, sysctls, neighbours.

use std::net::IpAddr;

use super::{Names, Told, config};
use hairpin_model::Family;

use crate::cause::{Cause, Drop};
use crate::route::alone;
use crate::ruleset::{Hook, Load};
use crate::wire::Packet;

impl Cause {
    pub(super) fn packet(&self, names: &Names<'_>) -> Told {
        match self {
            Self::Filter(drop) => filter(names, drop),
            Self::NoRoute(space, to) => no_route(names, *space, *to),
            Self::Forbidden(space, kind, to) => {
                config(format!("a route of {} says {kind} {to}", names.space(*space)), None)
                    .remedy("take the route away", format!("{}ip route del {kind} {to}", names.within(*space)))
            }
            Self::NoForwarding(link, family) => config(
                format!("{} does not route what comes in by {}", names.space(link.0), names.bare(*link)),
                Some("bridge.docker.other-bridge-needs-routing"),
            )
            .remedy("let it route", format!("{}sysctl -w net.{}=1", names.within(link.0), match family {
                Family::V4 => "ipv4.ip_forward",
                Family::V6 => "ipv6.conf.all.forwarding",
            })),
            Self::ReversePath(link, from) => config(
                format!(
                    "the reverse path filter of {}: what comes from {from} is expected by another link",
                    names.link(*link)
                ),
                None,
            )
            .remedy("mend the route back", format!("{}ip route get {from}", names.within(link.0)))
            .remedy("or be content with any route back", format!("{}sysctl -w net/ipv4/conf/{}/rp_filter=2", names.within(link.0), names.bare(*link))),
            Self::Martian(link, from) => config(
                format!("{from} is an address of {} itself, so it drops what comes from there", names.space(link.0)),
                None,
            )
            .remedy("give each host an address of its own", format!("{}ip address show", names.within(link.0))),
            Self::EchoIgnored(space, family) => {
                config(format!("{} answers no pings", names.space(*space)), None)
                    .remedy("let it answer", format!("{}sysctl -w net.{}=0", names.within(*space), match family {
                        Family::V4 => "ipv4.icmp_echo_ignore_all",
                        Family::V6 => "ipv6.icmp.echo_ignore_all",
                    }))
            }
            Self::ArpIgnored(link) => config(
                format!("arp_ignore of {} has it not answer for addresses of other links", names.link(*link)),
                None,
            )
            .remedy("let it answer", format!("{}sysctl -w net/ipv4/conf/{}/arp_ignore=0", names.within(link.0), names.bare(*link))),
            Self::Taken(link, ip) => config(
                format!(
                    "{ip} on {} is not in use: another had it when it was asked for (duplicate address detection failed)",
                    names.link(*link)
                ),
                None,
            )
            .remedy("give it an address that nobody else has", format!("{}ip -6 address show dev {} dadfailed", names.within(link.0), names.bare(*link)))
            .remedy(
                "or, once the other is gone, take this one anew",
                format!("{}sh -c 'ip address del {ip} dev {1}; ip address add {ip} dev {1}'", names.within(link.0), names.bare(*link)),
            ),
            Self::Elsewhere(link, ip) => config(
                format!("{ip} is an address of another link of {}, and in IPv6 only that answers for it, not {}", names.space(link.0), names.bare(*link)),
                None,
            )
            .remedy("give the address to the link that it is asked for at", format!("{}ip address add {} dev {}", names.within(link.0), alone(*ip), names.bare(*link))),
            Self::NoIpv6(link) => config(format!("IPv6 is off at {}", names.link(*link)), None)
                .remedy("turn it on", format!("{}sysctl -w net/ipv6/conf/{}/disable_ipv6=0", names.within(link.0), names.bare(*link))),
            Self::LinkLocal(link, from) => config(
                format!("{} does not pass on what comes from {from}, which is good on one link only", names.space(link.0)),
                None,
            )
            .remedy("give the sender an address that is good beyond its link", "ip -6 address show scope global".into()),
            Self::Neighbour(link, ip, mac) => config(
                format!("{} holds {mac} for {ip}, and that is not where {ip} is", names.link(*link)),
                None,
            )
            .remedy("forget the entry", format!("{}ip neigh del {ip} dev {}", names.within(link.0), names.bare(*link))),
            _ => unreachable!("told elsewhere"),
        }
    }
}

fn filter(names: &Names<'_>, drop: &Drop) -> Told {
    let Drop { space, hook, chain, handle, bridged, packet } = drop;
    let by =
        handle.map_or("its policy".to_owned(), |handle| format!("its rule with handle {handle}"));
    let on = if *bridged { " (bridged packets go there since br_netfilter is on)" } else { "" };
    let what = match (packet.load, packet.answer) {
        (Load::Discovery, _) => "neighbour discovery, so nobody's Ethernet address is found",
        (_, true) => "the answer",
        _ => "it",
    };
    let at = names.space(*space);
    let why = format!("the {hook} hook of {at} drops {what}: chain `{chain}`, by {by}{on}");
    let within = names.within(*space);
    if packet.load == Load::Discovery {
        return discovery(&within, chain, why);
    }
    let rule = match (bridged, hook, handle) {
        (true, ..) => "bridge.docker.br-netfilter-drops-on-one-bridge-too",
        (_, Hook::Forward, None) => "bridge.docker.forward-drop-cuts-bridges-apart",
        _ => "nat.port.dropped-alone",
    };
    let mut told = config(why, Some(rule));
    if *bridged {
        let switch = if packet.source.is_ipv4() { "iptables" } else { "ip6tables" };
        let off = format!("{within}sysctl -w net.bridge.bridge-nf-call-{switch}=0");
        told = told.remedy("keep bridged packets out of the IP firewall", off);
    }
    let look = format!("{within}nft -a list chain {chain}");
    told.remedy("read the chain, and let this pair pass before the drop", look).remedy(
        "an accept for the one pair",
        format!("{within}nft insert rule {chain} {} accept", matching(packet)),
    )
}

/// What matches a packet, as `nft` writes it.
fn matching(packet: &Packet) -> String {
    let ip = if packet.source.is_ipv4() { "ip" } else { "ip6" };
    let ports = match (packet.load, packet.answer) {
        (Load::Tcp, false) => format!(" tcp dport {}", packet.port),
        (Load::Tcp, true) => format!(" tcp sport {}", packet.port),
        (Load::Udp, false) => format!(" udp dport {}", packet.port),
        (Load::Udp, true) => format!(" udp sport {}", packet.port),
        (Load::Echo | Load::Discovery, _) => String::new(),
    };
    format!("{ip} saddr {} {ip} daddr {}{ports}", packet.source, packet.destination)
}

/// What neighbours ask each other are packets to the firewall.
fn discovery(within: &str, chain: &str, why: String) -> Told {
    let kinds = "icmpv6 type '{ nd-neighbor-solicit, nd-neighbor-advert }'";
    let command = format!("{within}nft insert rule {chain} {kinds} accept");
    config(why, None).remedy("let neighbour discovery pass", command)
}

fn no_route(names: &Names<'_>, space: usize, to: IpAddr) -> Told {
    let told = config(
        format!("{} has no route to {to}", names.space(space)),
        Some("bridge.docker.other-bridge-needs-routing"),
    );
    let near = |ip: IpAddr| {
        let links = names.0.spaces[space].links.iter().filter(|link| !link.loopback);
        links.flat_map(|link| &link.addresses).any(|net| net.contains(&ip))
    };
    let knows =
        |at: usize| names.0.spaces[at].route(to).is_some_and(|route| route.to.prefix_len() > 0);
    let routers = names.0.links().filter(|((at, _), _)| *at != space && knows(*at));
    let router = routers.flat_map(|(_, link)| link.of_family(to)).find(|net| near(net.addr()));
    match router {
        Some(net) => told.remedy(
            "add a route by way of a router that both know",
            format!("{}ip route add {} via {}", names.within(space), alone(to), net.addr()),
        ),
        None => told.remedy(
            "nobody who was read is on both networks: give one machine a link on each, and look at the routes",
            format!("{}ip {}route show", names.within(space), if to.is_ipv6() { "-6 " } else { "" }),
        ),
    }
}
