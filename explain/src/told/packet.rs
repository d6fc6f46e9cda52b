//! What stops packets in a stack: routes, firewalls, sysctls, neighbours.

use std::net::Ipv4Addr;

use super::{Names, Told, config};
use crate::cause::Cause;
use crate::ruleset::Hook;

impl Cause {
    pub(super) fn packet(&self, names: &Names<'_>) -> Told {
        match self {
            Self::Filter(space, hook, chain, handle, bridged) => filter(names, *space, *hook, chain, *handle, *bridged),
            Self::NoRoute(space, to) => no_route(names, *space, *to),
            Self::Forbidden(space, kind, to) => {
                config(format!("a route of {} says {kind} {to}", names.space(*space)), None)
                    .remedy("take the route away", format!("{}ip route del {kind} {to}", names.within(*space)))
            }
            Self::NoForwarding(link) => config(
                format!("{} does not route what comes in by {}", names.space(link.0), names.bare(*link)),
                Some("bridge.docker.other-bridge-needs-routing"),
            )
            .remedy("let it route", format!("{}sysctl -w net.ipv4.ip_forward=1", names.within(link.0))),
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
            Self::EchoIgnored(space) => {
                config(format!("{} answers no pings", names.space(*space)), None)
                    .remedy("let it answer", format!("{}sysctl -w net.ipv4.icmp_echo_ignore_all=0", names.within(*space)))
            }
            Self::ArpIgnored(link) => config(
                format!("arp_ignore of {} has it not answer for addresses of other links", names.link(*link)),
                None,
            )
            .remedy("let it answer", format!("{}sysctl -w net/ipv4/conf/{}/arp_ignore=0", names.within(link.0), names.bare(*link))),
            Self::Neighbour(link, ip, mac) => config(
                format!("{} holds {mac} for {ip}, and that is not where {ip} is", names.link(*link)),
                None,
            )
            .remedy("forget the entry", format!("{}ip neigh del {ip} dev {}", names.within(link.0), names.bare(*link))),
            _ => unreachable!("told elsewhere"),
        }
    }
}

fn filter(
    names: &Names<'_>,
    at: usize,
    hook: Hook,
    chain: &str,
    handle: Option<u64>,
    bridged: bool,
) -> Told {
    let by =
        handle.map_or("its policy".to_owned(), |handle| format!("its rule with handle {handle}"));
    let on = if bridged { " (bridged packets go there since br_netfilter is on)" } else { "" };
    let why =
        format!("the {hook} hook of {} drops it: chain `{chain}`, by {by}{on}", names.space(at));
    let rule = match (bridged, hook, handle) {
        (true, ..) => "bridge.docker.br-netfilter-drops-on-one-bridge-too",
        (_, Hook::Forward, None) => "bridge.docker.forward-drop-cuts-bridges-apart",
        _ => "nat.port.dropped-alone",
    };
    let within = names.within(at);
    let mut told = config(why, Some(rule));
    if bridged {
        let off = format!("{within}sysctl -w net.bridge.bridge-nf-call-iptables=0");
        told = told.remedy("keep bridged packets out of the IP firewall", off);
    }
    let look = format!("{within}nft -a list chain {chain}");
    let told = told.remedy("read the chain, and let this pair pass before the drop", look);
    told.remedy(
        "an accept for the one pair",
        format!("{within}nft insert rule {chain} ip saddr A ip daddr B accept"),
    )
}

fn no_route(names: &Names<'_>, space: usize, to: Ipv4Addr) -> Told {
    let told = config(
        format!("{} has no route to {to}", names.space(space)),
        Some("bridge.docker.other-bridge-needs-routing"),
    );
    let near = |ip: Ipv4Addr| {
        let links = names.0.spaces[space].links.iter().filter(|link| !link.loopback);
        links.flat_map(|link| &link.addresses).any(|net| net.contains(&ip))
    };
    let knows =
        |at: usize| names.0.spaces[at].route(to).is_some_and(|route| route.to.prefix_len() > 0);
    let routers = names.0.links().filter(|((at, _), _)| *at != space && knows(*at));
    let router = routers.flat_map(|(_, link)| &link.addresses).find(|net| near(net.addr()));
    match router {
        Some(net) => told.remedy(
            "add a route by way of a router that both know",
            format!("{}ip route add {to}/32 via {}", names.within(space), net.addr()),
        ),
        None => told.remedy(
            "nobody who was read is on both networks: give one machine a link on each, and look at the routes",
            format!("{}ip route show", names.within(space)),
        ),
    }
}
