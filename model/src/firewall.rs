//! What a namespace filters and translates: the part of nftables that Docker-style networks use.
//!
//! One [`Firewall`] is the whole ruleset of its namespace, for IPv4 and IPv6 alike; setting
//! another replaces it.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What happens to a packet that no rule decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It passes.
    #[default]
    Accept,
    /// It is dropped without a word.
    Drop,
}

/// Where in a packet's way a rule looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Packets for the namespace itself.
    Input,
    /// Packets that it routes.
    Forward,
    /// Packets that it sends.
    Output,
}

/// What a rule does with a packet that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It passes.
    Accept,
    /// It is dropped without a word.
    Drop,
    /// It is answered by ICMP(v6) port unreachable.
    Reject,
    /// It is answered by a TCP reset. Only for rules that name a TCP port.
    Reset,
}

/// A transport protocol that rules can name a port of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Reset => "reset",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// What a packet must be for a rule to take it. Empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The link that it came in by.
    pub input: Option<String>,
    /// The link that it leaves by.
    pub output: Option<String>,
    /// A link that it did not come in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_input: Option<String>,
    /// A link that it does not leave by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_output: Option<String>,
    /// The addresses that it comes from.
    pub source: Option<IpNet>,
    /// The addresses that it goes to.
    pub destination: Option<IpNet>,
    /// The protocol and destination UDP or TCP port.
    pub port: Option<(Protocol, u16)>,
    /// Only packets of a connection that is established or related to one.
    pub established: bool,
}

impl Match {
    /// Everything.
    pub fn any() -> Self {
        Self::default()
    }

    /// Only what came in by this link.
    #[must_use]
    pub fn from_link(mut self, link: &str) -> Self {
        self.input = Some(link.into());
        self
    }

    /// Only what leaves by this link.
    #[must_use]
    pub fn to_link(mut self, link: &str) -> Self {
        self.output = Some(link.into());
        self
    }

    /// Only what came in by another link than this.
    #[must_use]
    pub fn not_from_link(mut self, link: &str) -> Self {
        self.not_input = Some(link.into());
        self
    }

    /// Only what leaves by another link than this.
    #[must_use]
    pub fn not_to_link(mut self, link: &str) -> Self {
        self.not_output = Some(link.into());
        self
    }

    /// Only what comes from these addresses.
    #[must_use]
    pub fn from(mut self, net: IpNet) -> Self {
        self.source = Some(net);
        self
    }

    /// Only what goes to these addresses.
    #[must_use]
    pub fn to(mut self, net: IpNet) -> Self {
        self.destination = Some(net);
        self
    }

    /// Only this destination port.
    #[must_use]
    pub fn port(mut self, protocol: Protocol, port: u16) -> Self {
        self.port = Some((protocol, port));
        self
    }

    /// Only packets of connections that are established or related to one.
    #[must_use]
    pub fn established(mut self) -> Self {
        self.established = true;
        self
    }
}

/// Each demand in words, with a blank before it: nothing for what matches everything.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = [
            (" in by ", &self.input),
            (" out by ", &self.output),
            (" not in by ", &self.not_input),
            (" not out by ", &self.not_output),
        ];
        for (words, link) in links {
            link.iter().try_for_each(|link| write!(f, "{words}{link}"))?;
        }
        for (words, net) in [(" from ", &self.source), (" to ", &self.destination)] {
            net.iter().try_for_each(|net| write!(f, "{words}{net}"))?;
        }
        self.port.iter().try_for_each(|(protocol, port)| write!(f, " {protocol} port {port}"))?;
        f.write_str(if self.established { " established" } else { "" })
    }
}

/// One filter rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterRule {
    /// Where it looks.
    pub hook: Hook,
    /// What it takes.
    pub matches: Match,
    /// What it does.
    pub action: Action,
}

/// `forward in by br0 tcp port 80: drop`.
impl fmt::Display for FilterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", self.hook, self.matches, self.action)
    }
}

/// A published port: what reaches `matches` is sent on to `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dnat {
    /// What it takes; must name a port.
    pub matches: Match,
    /// Where it sends it.
    pub to: SocketAddr,
}

/// The whole ruleset of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// The policy of the forward hook, as Docker's `iptables -P FORWARD`.
    pub forward: Policy,
    /// Filter rules, first match decides.
    pub rules: Vec<FilterRule>,
    /// What leaves with the router's own address as source.
    pub masquerade: Vec<Match>,
    /// Published ports.
    pub dnat: Vec<Dnat>,
    /// Ports that are published to the namespace's own processes, whose packets `dnat` never sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_dnat: Vec<Dnat>,
}

impl Firewall {
    /// A ruleset that lets everything pass.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the policy for what the namespace routes.
    #[must_use]
    pub fn forward(mut self, policy: Policy) -> Self {
        self.forward = policy;
        self
    }

    /// Adds a filter rule behind those that are there.
    #[must_use]
    pub fn rule(mut self, hook: Hook, matches: Match, action: Action) -> Self {
        self.rules.push(FilterRule { hook, matches, action });
        self
    }

    /// Gives what matches the router's own address as source.
    #[must_use]
    pub fn masquerade(mut self, matches: Match) -> Self {
        self.masquerade.push(matches);
        self
    }

    /// Publishes a port: what matches is sent on to `to`.
    #[must_use]
    pub fn dnat(mut self, matches: Match, to: SocketAddr) -> Self {
        self.dnat.push(Dnat { matches, to });
        self
    }

    /// Publishes a port to the namespace's own processes.
    #[must_use]
    pub fn local_dnat(mut self, matches: Match, to: SocketAddr) -> Self {
        self.local_dnat.push(Dnat { matches, to });
        self
    }
}
