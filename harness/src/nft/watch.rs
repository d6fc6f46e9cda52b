//! One rule in a table of its own, for what no firewall of routed packets can say: frames of a bridge,
//! and packets before they are routed or when they leave. It counts what fits, and may drop it.

use std::fmt;
use std::net::IpAddr;

use super::{
    expr::{Steps, Verdict},
    message::{APPEND, Attrs, Batch, CREATE, NFPROTO_INET, Verb},
    ruleset::{Chain, Place, RULE_TABLE, TABLE_NAME, chain_of, rule_of},
};

/// `NFPROTO_BRIDGE`.
const BRIDGE: u8 = 7;

/// Where in a packet's way a watch is: a table of its own, and the place of its chain.
#[derive(Clone, Copy, Debug)]
struct Post {
    table: &'static str,
    family: u8,
    chain: Chain,
}

/// What is counted, and where.
#[derive(Clone, Debug)]
pub struct Watch {
    post: Post,
    steps: Steps,
    drops: bool,
}

impl Watch {
    const fn at(table: &'static str, family: u8, hook: u32, priority: i32) -> Post {
        Post { table, family, chain: Chain { name: "watch", kind: "filter", hook, priority } }
    }

    fn of(post: Post) -> Self {
        Self { post, steps: Steps::default(), drops: false }
    }

    /// Frames that come in by a bridge's port, before br_netfilter looks at them.
    pub fn frames_before() -> Self {
        Self::of(Self::at("hairpin-before", BRIDGE, 0, -200))
    }

    /// Frames that come in by a bridge's port, when br_netfilter has looked at them.
    pub fn frames_behind() -> Self {
        Self::of(Self::at("hairpin-behind", BRIDGE, 0, 200))
    }

    /// Frames that a bridge hands from one port to another, when br_netfilter has looked at them.
    pub fn frames_bridged() -> Self {
        Self::of(Self::at("hairpin-bridged", BRIDGE, 2, 200))
    }

    /// IP packets that come in, before they are routed.
    pub fn coming() -> Self {
        Self::of(Self::at("hairpin-coming", NFPROTO_INET, 0, 0))
    }

    /// IP packets that are passed on.
    pub fn passed_on() -> Self {
        Self::of(Self::at("hairpin-passed-on", NFPROTO_INET, 2, 0))
    }

    /// IP packets that leave.
    pub fn leaving() -> Self {
        Self::of(Self::at("hairpin-leaving", NFPROTO_INET, 4, 0))
    }

    /// Only what came in by this link.
    #[must_use]
    pub fn from_link(mut self, link: &str) -> Self {
        self.steps = self.steps.input(link);
        self
    }

    /// Only what is known as for a group, and not as for this machine or another.
    #[must_use]
    pub fn of_groups(mut self) -> Self {
        self.steps = self.steps.of_groups();
        self
    }

    /// Only what leaves by this link.
    #[must_use]
    pub fn to_link(mut self, link: &str) -> Self {
        self.steps = self.steps.output(link);
        self
    }

    /// Only what has that mark within the kernel.
    #[must_use]
    pub fn marked(mut self, mark: u32) -> Self {
        self.steps = self.steps.mark(mark);
        self
    }

    /// Only packets to that address.
    #[must_use]
    pub fn to(mut self, address: impl Into<IpAddr>) -> Self {
        self.steps = match address.into() {
            IpAddr::V4(address) => self.steps.network(16, &address.octets()),
            IpAddr::V6(address) => self.steps.network(24, &address.octets()),
        };
        self
    }

    /// Only what the kernel takes for packets of that ethertype.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.steps = self.steps.ethertype(ethertype);
        self
    }

    /// Dropped once it is counted.
    #[must_use]
    pub const fn drops(mut self) -> Self {
        self.drops = true;
        self
    }

    /// Makes its table, or makes it anew.
    pub(super) fn batch(&self) -> Batch {
        let mut batch = Batch::of(self.post.family);
        for (verb, flags) in
            [(Verb::NewTable, CREATE), (Verb::DelTable, 0), (Verb::NewTable, CREATE)]
        {
            let attrs = Attrs::new().text(TABLE_NAME, self.post.table);
            batch.push(verb, flags, &attrs, self.place());
        }
        let Post { table, chain, .. } = self.post;
        let steps = self.steps.clone().counter();
        let steps = if self.drops { steps.verdict(Verdict::Drop) } else { steps };
        let rule = rule_of(table, chain, Place::Rule(0), &steps);
        let accepting = chain_of(table, chain, Verdict::Accept);
        batch.push(Verb::NewChain, CREATE, &accepting, self.place());
        batch.push(Verb::NewRule, CREATE | APPEND, &rule, self.place());
        batch
    }

    /// What names its rule in a request: the family, and the table.
    pub(super) fn rules(&self) -> (u8, Attrs) {
        (self.post.family, Attrs::new().text(RULE_TABLE, self.post.table))
    }

    fn place(&self) -> String {
        format!("table `{}`", self.post.table)
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.post.table, if self.drops { ", which drops" } else { "" })
    }
}
