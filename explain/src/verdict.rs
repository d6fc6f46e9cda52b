//! What a walk means: the one cause that, once lifted, lets the ping pass.
//!
//! As a case's twin does, an explanation lifts a cause and looks: a cause counts only if the ping
//! then gets farther. What no cause explains is *cannot tell*.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use hairpin_model::Error;
use hairpin_model::firewall::Protocol;
use serde::Serialize;

use crate::cause::Cause;
use crate::probed::Probed;
use crate::promise::promise;
use crate::route::{alone, is_link_local};
use crate::ruleset::Load;
use crate::snapshot::{Kind, Link, Snapshot};
use crate::walk::{Asked, Outcome, ping};

/// Who asks for whom.
#[derive(Clone, Debug)]
pub struct Question {
    /// The namespace that sends, by its place in the snapshot.
    pub from: usize,
    /// The address that it sends from, if it was named.
    pub source: Option<IpAddr>,
    /// Who it is for.
    pub to: IpAddr,
    /// The link that a link-local address is at, by its index where it is sent.
    pub link: Option<u32>,
    /// The port that is asked for; `None` is a ping.
    pub port: Option<(Protocol, u16)>,
    /// How long the IP packet is, which is not to be cut on its way; `None` is as short as can be.
    pub bytes: Option<u32>,
}

/// Whether a ping is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is.
    Reaches,
    /// It is not, and drivers are made so.
    BlockedByDesign,
    /// It is not, and somebody set it up so.
    BlockedByConfiguration,
    /// What was read does not say.
    CannotTell,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reaches => "REACHES",
            Self::BlockedByDesign => "BLOCKED by design",
            Self::BlockedByConfiguration => "BLOCKED by configuration",
            Self::CannotTell => "CANNOT TELL",
        })
    }
}

/// A reason, for a reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What happens, in one sentence.
    pub why: String,
    /// Whether drivers are made so.
    pub design: bool,
    /// The suite's rule that promises it.
    pub rule: Option<String>,
    /// What that rule promises.
    pub promise: Option<String>,
    /// Who promises it, and how strongly that binds.
    pub source: Option<String>,
    /// What helps, the safest first.
    pub remedies: Vec<Remedy>,
    /// What is often tried and does not help.
    pub no_remedy: Option<String>,
}

/// Something that helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// What to do.
    pub words: String,
    /// How.
    pub command: String,
}

/// The whole explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who sends.
    pub from: String,
    /// Who it is for.
    pub to: String,
    /// Whether it arrives and is answered.
    pub answer: Answer,
    /// How far it gets, a line a station.
    pub way: Vec<String>,
    /// Why not: what decides first, then what would stop it after that.
    pub reasons: Vec<Reason>,
    /// What was not understood, or not there to be read.
    pub missing: Vec<String>,
    /// What the answer takes for granted.
    pub assumed: Vec<String>,
    /// What one packet showed, if one was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probed: Option<Probed>,
}

/// More causes than these in a row are not told apart any more.
const MOST_CAUSES: usize = 6;

impl Question {
    /// Asks for two by their names: `host`, a namespace's name, `pid:N`, or an address.
    /// IPv6 has `fe80::1%LINK` for an address that is one link's only; two names mean IPv4 if both
    /// have it.
    pub fn new(snapshot: &Snapshot, from: &str, to: &str) -> Result<Self, Error> {
        let (from, source) = place(snapshot, from)?;
        let from =
            from.ok_or_else(|| nobody(&source.map_or(String::new(), |ip| ip.to_string())))?;
        if let Some((ip, zone)) = to.split_once('%') {
            let to = ip.parse::<Ipv6Addr>().map_err(|_| nobody(to))?;
            let link = zone_of(snapshot, from, zone)?;
            return Ok(Self { source, link: Some(link), ..Self::ping(from, to.into()) });
        }
        let ip = match place(snapshot, to)? {
            (_, Some(ip)) => ip,
            (at, None) => nearest(snapshot, (from, source), at.unwrap_or(0)).ok_or_else(|| {
                let help = "name an address, or give it one with `ip address add`";
                Error::new("it has no address to reach", to, help)
            })?,
        };
        if is_link_local(ip) {
            let help = "name the sender's link with it: fe80::1%eth0";
            return Err(Error::new("a link-local address is one link's only", to, help));
        }
        if source.is_some_and(|source| source.is_ipv4() != ip.is_ipv4()) {
            let help = "name two of one family, or the namespaces";
            return Err(Error::new("the two addresses are of different families", to, help));
        }
        Ok(Self { source, ..Self::ping(from, ip) })
    }

    /// A ping from a namespace to an address.
    pub const fn ping(from: usize, to: IpAddr) -> Self {
        Self { from, source: None, to, link: None, port: None, bytes: None }
    }

    /// The same two, asked about a port.
    #[must_use]
    pub const fn at_port(mut self, protocol: Protocol, port: u16) -> Self {
        self.port = Some((protocol, port));
        self
    }

    /// The same question of a packet of that length.
    #[must_use]
    pub const fn of_bytes(mut self, bytes: u32) -> Self {
        self.bytes = Some(bytes);
        self
    }

    fn asked(&self) -> Asked {
        let (load, port) =
            self.port.map_or((Load::Echo, 0), |(protocol, port)| (protocol.into(), port));
        Asked { load, port, bytes: self.bytes }
    }
}

/// A namespace, an address, or both.
fn place(snapshot: &Snapshot, word: &str) -> Result<(Option<usize>, Option<IpAddr>), Error> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        // Every namespace has those: they are its own who names them.
        if ip.is_loopback() {
            return Ok((None, Some(ip)));
        }
        let owners = snapshot.owners(ip);
        let mut spaces: Vec<usize> = owners.iter().map(|owner| owner.0).collect();
        spaces.dedup();
        return match spaces.as_slice() {
            [] => Ok((None, Some(ip))),
            [one] => Ok((Some(*one), Some(ip))),
            _ => {
                let names: Vec<&str> =
                    spaces.iter().map(|at| snapshot.spaces[*at].name.as_str()).collect();
                let what = format!("several have that address: {}", names.join(", "));
                Err(Error::new(what, word, "name the namespace instead"))
            }
        };
    }
    let named = snapshot.spaces.iter().position(|space| space.name == word);
    named.map(|at| (Some(at), None)).ok_or_else(|| nobody(word))
}

fn nobody(word: &str) -> Error {
    let help = "name `host`, `pid:N`, a file such as /run/netns/NAME, or an address of one of them";
    Error::new("no such host on this machine", word, help)
}

/// A link of the sender, by its name or its number.
fn zone_of(snapshot: &Snapshot, from: usize, zone: &str) -> Result<u32, Error> {
    let number = zone.parse::<u32>().ok();
    let is = |link: &&Link| link.name == zone || Some(link.index) == number;
    snapshot.spaces[from].links.iter().find(is).map(|link| link.index).ok_or_else(|| {
        let what = format!("{} has no such link", snapshot.spaces[from].name);
        Error::new(what, zone, "name a link of the sender behind the `%`")
    })
}

/// The address of a namespace by which another would call it: on a network that both are on, and
/// of IPv4 if there is one.
fn nearest(snapshot: &Snapshot, from: (usize, Option<IpAddr>), to: usize) -> Option<IpAddr> {
    let usable = |at: usize| snapshot.spaces[at].links.iter().filter(|link| !link.loopback);
    let speaks = |ip: &IpAddr| {
        let mut own = usable(from.0).flat_map(|link| link.of_family(*ip));
        own.any(|net| !is_link_local(net.addr()))
    };
    let fits = |ip: &IpAddr| {
        !is_link_local(*ip) && from.1.is_none_or(|source| source.is_ipv4() == ip.is_ipv4())
    };
    let mut all: Vec<IpAddr> =
        usable(to).flat_map(|link| &link.addresses).map(|net| net.addr()).filter(fits).collect();
    // Of a family that both have, and of IPv4 first.
    all.sort_by_cached_key(|ip| (!speaks(ip), ip.is_ipv6()));
    let nets: Vec<_> = usable(from.0).flat_map(|link| &link.addresses).collect();
    let shared = all.iter().find(|ip| nets.iter().any(|net| net.contains(*ip)));
    shared.or(all.first()).copied()
}

/// Explains what becomes of a ping.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Explanation {
    let (from, to) = ((question.from, question.source), (question.to, question.link));
    let walk = |lifted| ping(snapshot, from, to, question.asked(), lifted);
    let base = walk(BTreeSet::new());
    let causes = if base.answered { Vec::new() } else { decisive(&base, walk) };
    let mut missing = base.strange.clone();
    if !base.answered && causes.is_empty() {
        missing.extend(nowhere(snapshot, question.to, &base));
    }
    let mut reasons: Vec<Reason> = causes.iter().map(|cause| Reason::of(cause, snapshot)).collect();
    for remedy in reasons.iter_mut().flat_map(|reason| &mut reason.remedies) {
        remedy.fill(snapshot, question);
    }
    if !base.answered && missing.is_empty() && reasons.is_empty() {
        missing.push("a reason: nothing that was read explains why it does not arrive".into());
    }
    if !missing.is_empty() {
        missing.extend(snapshot.missing.iter().cloned());
    }
    let answer = match reasons.first() {
        _ if !missing.is_empty() => Answer::CannotTell,
        _ if base.answered => Answer::Reaches,
        Some(reason) if reason.design => Answer::BlockedByDesign,
        _ => Answer::BlockedByConfiguration,
    };
    Explanation {
        from: snapshot.spaces[question.from].name.clone(),
        to: target(snapshot, question),
        answer,
        way: base.ladder.clone(),
        reasons: if answer == Answer::CannotTell { Vec::new() } else { reasons },
        missing,
        assumed: assumed(snapshot, question, &base),
        probed: None,
    }
}

/// Of an address that nobody has who was read: where it may be.
fn nowhere(snapshot: &Snapshot, ip: IpAddr, base: &Outcome) -> Option<String> {
    if !snapshot.owners(ip).is_empty() {
        return None;
    }
    let links: Vec<String> = base.left.iter().map(|id| snapshot.name(*id)).collect();
    Some(match links.as_slice() {
        [] => format!("no host that was read has the address {ip}"),
        _ => format!("{ip} is not on this machine, but behind {}", links.join(" or ")),
    })
}

fn target(snapshot: &Snapshot, question: &Question) -> String {
    let ip = question.to;
    let host = match snapshot.owners(ip).first() {
        Some(owner) if !ip.is_loopback() => format!("{ip} ({})", snapshot.name(*owner)),
        _ => ip.to_string(),
    };
    let Asked { load, port, bytes } = question.asked();
    let port = if load == Load::Echo { String::new() } else { format!(", {load} port {port}") };
    let bytes = bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
    host + &port + &bytes
}

/// The causes that have to be lifted for the ping to be answered, the first that decides first.
fn decisive(base: &Outcome, walk: impl Fn(BTreeSet<Cause>) -> Outcome) -> Vec<Cause> {
    let mut found: Vec<Cause> = Vec::new();
    let mut now = base.clone();
    while !now.answered && found.len() < MOST_CAUSES {
        let with = |cause: &Cause| {
            let lifted = found.iter().chain([cause]).cloned().collect();
            (cause.clone(), walk(lifted))
        };
        let tried: Vec<(Cause, Outcome)> = now.stopped.iter().map(with).collect();
        let answered = tried.iter().find(|(_, outcome)| outcome.answered);
        // The first of those that bring it farthest.
        let farthest = tried.iter().rev().max_by_key(|(_, outcome)| outcome.progress);
        let better = farthest.filter(|(_, outcome)| outcome.progress > now.progress);
        let Some((cause, outcome)) = answered.or(better) else {
            // What ends a packet for certain, wherever it would have gone.
            found.extend(now.stopped.last().filter(|cause| cause.is_final()).cloned());
            break;
        };
        found.push(cause.clone());
        now = outcome.clone();
    }
    found
}

impl Reason {
    fn of(cause: &Cause, snapshot: &Snapshot) -> Self {
        let told = cause.told(snapshot);
        let remedies = told.remedies.into_iter().map(|(words, command)| Remedy { words, command });
        let promise = told.rule.and_then(promise);
        Self {
            why: told.why,
            promise: promise.map(|found| found.promise.to_owned()),
            source: promise
                .map(|found| format!("{} ({})", found.source.cite, found.source.strength)),
            design: told.design,
            rule: told.rule.map(str::to_owned),
            remedies: remedies.collect(),
            no_remedy: told.no_remedy.map(str::to_owned),
        }
    }
}

impl Remedy {
    /// Puts the addresses of the two where the command speaks of them.
    fn fill(&mut self, snapshot: &Snapshot, question: &Question) {
        let own = snapshot.spaces[question.from].links.iter().filter(|link| !link.loopback);
        let mut nets = own.flat_map(|link| link.of_family(question.to));
        let near = nets.clone().find(|net| net.contains(&question.to)).or(nets.next());
        let Some(from) = question.source.or(near.map(|net| net.addr())) else { return };
        let is_child = |ip: IpAddr| {
            let links = snapshot.owners(ip).into_iter().filter_map(|owner| snapshot.link(owner));
            links.into_iter().any(|link| matches!(link.kind, Kind::Macvlan(_)))
        };
        let container = if is_child(question.to) { question.to } else { from };
        self.command = self.command.replace("SENDER", &from.to_string());
        let out = snapshot.owners(from).into_iter().find(|owner| owner.0 == question.from);
        let link = out.and_then(|owner| snapshot.link(owner)).map_or("eth0", |link| &link.name);
        self.command = self.command.replace("ip link set LINK", &format!("ip link set {link}"));
        self.command = self.command.replace("CONTAINER", &alone(container).to_string());
    }
}

/// No list of netlink's names them; where they sit on a queue or are XDP, the queue or XDP is seen.
const NO_PROGRAMS: &str =
    "no BPF program of a kind that netlink does not list (tcx, cgroup) drops it";

fn assumed(snapshot: &Snapshot, question: &Question, base: &Outcome) -> Vec<String> {
    let mut assumed = vec![NO_PROGRAMS.to_owned()];
    if question.bytes.is_some() {
        assumed.push(
            "nobody has learned of a smaller MTU on the way before (`ip route show cache`)".into(),
        );
    }
    if question.port.is_some() {
        assumed.push("who listens does so at all links (no SO_BINDTODEVICE)".into());
        let (least, most) = snapshot.spaces[question.from].senders();
        assumed
            .push(format!("the sender's own port is one that the kernel gives, {least} to {most}"));
    }
    for id in &base.snooping {
        let name = snapshot.name(*id);
        assumed
            .push(format!("no querier has {name} send multicast to those only who asked for it"));
    }
    for (at, port) in &base.both {
        let name = &snapshot.spaces[*at].name;
        assumed.push(format!(
            "who listens at [::]:{port} of {name} takes IPv4 too (IPV6_V6ONLY is off)"
        ));
    }
    for id in &base.left {
        let Some(link) = snapshot.link(*id) else { continue };
        assumed.push(match link.kind {
            Kind::Card => format!(
                "what is plugged into {} neither sends frames back (hairpin, VEPA) nor has the same addresses",
                snapshot.name(*id)
            ),
            _ => format!("the program that reads {} does not answer instead", snapshot.name(*id)),
        });
    }
    assumed
}
