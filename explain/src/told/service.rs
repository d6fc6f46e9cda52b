//! What stops connections at their ends: nobody who listens, an answer from elsewhere.

use std::net::{IpAddr, SocketAddr};

use hairpin_model::firewall::Protocol;

use super::{Names, Told, config};
use crate::cause::Cause;
use crate::ruleset::Load;

impl Cause {
    pub(super) fn service(&self, names: &Names<'_>) -> Told {
        match self {
            Self::Closed(space, load, ip, port) => closed(names, *space, *load, (*ip, *port)),
            Self::Crossed(at, asked, from, by) => crossed(names, *at, *asked, *from, *by),
            _ => unreachable!("told elsewhere"),
        }
    }
}

fn closed(names: &Names<'_>, space: usize, load: Load, (ip, port): (IpAddr, u16)) -> Told {
    let (protocol, answer, option) = match load {
        Load::Udp => (Protocol::Udp, "it answers that the port is unreachable", "-lun"),
        _ => (Protocol::Tcp, "it refuses the connection with a reset", "-ltn"),
    };
    let look = format!("{}ss {option}", names.within(space));
    let elsewhere: Vec<String> = names.0.spaces[space]
        .at_port(protocol, port)
        .map(|one| SocketAddr::new(one.ip, port).to_string())
        .collect();
    let name = names.space(space);
    if elsewhere.is_empty() {
        let why = format!("nobody listens at {load} port {port} of {name}: {answer}");
        return config(why, None).remedy("start who is to listen there, and look", look);
    }
    let why = format!(
        "who listens at {load} port {port} of {name} does so at {} only, and not at {ip}: {answer}",
        elsewhere.join(", ")
    );
    config(why, None).remedy("have the program listen at all addresses, and look", look)
}

fn crossed(
    names: &Names<'_>,
    at: usize,
    asked: (IpAddr, u16),
    from: (IpAddr, u16),
    by: usize,
) -> Told {
    let [asked, other] = [asked, from].map(|(ip, port)| match port {
        0 => ip.to_string(),
        _ => SocketAddr::new(ip, port).to_string(),
    });
    let why = format!(
        "the answer comes from {other} and not from {asked}, which {} asked: it did not pass {}, which had \
         changed the destination and would have changed it back",
        names.space(at),
        names.space(by)
    );
    let rule = Some("docker.published.loopback-needs-masquerade-not-hairpin");
    let chains = &names.0.spaces[by].chains;
    let is_nat = |chain: &&crate::ruleset::Chain| {
        chain.base.as_ref().is_some_and(|base| base.kind == "nat" && base.hook == 4)
    };
    let (ip, tables) = if from.0.is_ipv4() { ("ip", "iptables") } else { ("ip6", "ip6tables") };
    let fits = |chain: &&crate::ruleset::Chain| chain.family == ip || chain.family == "inet";
    let command = match chains.iter().filter(is_nat).find(fits) {
        Some(chain) => format!(
            "nft add rule {} {} {} {ip} saddr SENDER {ip} daddr {} masquerade",
            chain.family, chain.table, chain.name, from.0
        ),
        None => format!("{tables} -t nat -A POSTROUTING -s SENDER -d {} -j MASQUERADE", from.0),
    };
    let words = "masquerade what is sent back into its own network";
    config(why, rule).remedy(words, format!("{}{command}", names.within(by)))
}
