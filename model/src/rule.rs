//! A promise, who made it, and what a kernel needs to be held to it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How strongly a source binds the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// A published standard (IEEE, RFC) says so.
    Standard,
    /// The kernel's or iproute2's documentation says so.
    Documented,
    /// The code, or the commit that introduced it, says so; no document does.
    Code,
    /// Nobody promises it: it is what kernels do, kept so that a change is noticed.
    Observed,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Documented => "documented",
            Self::Code => "code",
            Self::Observed => "observed",
        })
    }
}

/// Where a promise is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Enough for a reader to find it: a document and its section, a function, a commit.
    pub cite: &'static str,
    /// How strongly it binds.
    pub strength: Strength,
}

/// Something that a kernel must have before a rule can be checked on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A link driver by its netlink kind: `bridge`, `macvlan`, `vlan` …
    Driver(&'static str),
    /// nftables with connection tracking and NAT.
    Nftables,
    /// Bridge VLAN filtering.
    VlanFiltering,
    /// Bridge ports that can be locked, since 5.18. Older kernels ignore the wish and say nothing.
    LockedPorts,
    /// A kernel of that series or a later one: for what no kernel can be asked about.
    Since(u32, u32),
    /// A link's count of those that asked for all groups (`IFLA_ALLMULTI`), since 6.0.
    AllmultiCount,
    /// Character devices of macvtap links that can be opened: root, and a kernel with macvtap.
    MacvtapDevice,
    /// XDP programs: root, and a kernel with BPF.
    Xdp,
    /// `br_netfilter` with its per-namespace switches.
    BrNetfilter,
    /// A guest whose clock jumps when it only waits (profile `virtual-time`): for kernel timers of minutes.
    VirtualTime,
}

impl Need {
    /// The variable in which a runner names, joined by `;`, the needs that it knows to be met, so that its
    /// processes do not ask again.
    pub const MET: &str = "HAIRPIN_NEEDS_MET";
    /// The words of [`Need::VirtualTime`], by which a runner knows the cases for such a guest.
    pub const VIRTUAL_TIME: &str = "virtual time";
    /// What such a guest's kernel is told, so that the cases know where they are.
    pub const IN_VIRTUAL_TIME: &str = "hairpin.time=virtual";
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(kind) => write!(f, "driver `{kind}`"),
            Self::Nftables => f.write_str("nftables with NAT"),
            Self::VlanFiltering => f.write_str("bridge VLAN filtering"),
            Self::LockedPorts => f.write_str("locked bridge ports"),
            Self::Since(major, minor) => write!(f, "Linux {major}.{minor}"),
            Self::AllmultiCount => f.write_str("the count of those that ask for all groups"),
            Self::MacvtapDevice => f.write_str("macvtap character devices"),
            Self::Xdp => f.write_str("XDP programs"),
            Self::BrNetfilter => f.write_str("br_netfilter"),
            Self::VirtualTime => f.write_str(Self::VIRTUAL_TIME),
        }
    }
}

/// A promise about the kernel, in one sentence, with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The stable dotted id; the module path and name of the cases' functions.
    pub id: &'static str,
    /// The promise: one sentence in the present tense.
    pub promise: &'static str,
    /// Who promises it.
    pub source: Source,
    /// The sentences of the article that it settles (`M6`); empty for what the article leaves out.
    pub article: &'static [&'static str],
    /// What a kernel needs to be held to it.
    pub needs: &'static [Need],
}

/// A rule as the event stream carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEntry {
    /// See [`Rule::id`].
    pub id: String,
    /// See [`Rule::promise`].
    pub promise: String,
    /// See [`Source::cite`].
    pub source: String,
    /// See [`Source::strength`].
    pub strength: Strength,
    /// See [`Rule::article`].
    pub article: Vec<String>,
    /// See [`Rule::needs`], in words.
    pub needs: Vec<String>,
}

impl From<&Rule> for RuleEntry {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id.into(),
            promise: rule.promise.into(),
            source: rule.source.cite.into(),
            strength: rule.source.strength,
            article: rule.article.iter().map(ToString::to_string).collect(),
            needs: rule.needs.iter().map(ToString::to_string).collect(),
        }
    }
}
