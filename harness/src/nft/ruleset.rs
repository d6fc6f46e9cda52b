//! Says a [`Firewall`] as a batch of nf_tables messages: its table, chains and rules.
//!
//! Pure: what a packet can never meet is refused here, before anything is sent.

use std::fmt;

use hairpin_model::{
    Firewall, Policy,
    firewall::{Action, Dnat, FilterRule, Hook, Match, Protocol},
};
use ipnet::IpNet;

use super::{
    error::Error,
    expr::{End, Family, IFNAMSIZ, Steps, Verdict},
    message::{APPEND, Attrs, Batch, CREATE, Verb},
};

/// Hairpin's table. It owns nothing else in the namespace.
const TABLE: &str = "hairpin";
/// `NFTA_TABLE_NAME`.
pub(super) const TABLE_NAME: u16 = 1;
/// `NFTA_RULE_TABLE`.
pub(super) const RULE_TABLE: u16 = 1;
/// `NFTA_RULE_EXPRESSIONS`.
pub(super) const RULE_EXPRESSIONS: u16 = 4;
/// `NFTA_RULE_USERDATA`.
pub(super) const RULE_USERDATA: u16 = 7;
/// The kind of user data that `nft` shows as a rule's comment.
pub(super) const COMMENT: u8 = 0;

/// What in a [`Firewall`] a counter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Firewall::rules[n]`.
    Rule(usize),
    /// `Firewall::masquerade[n]`. Counts connections: only their first packet gets here.
    Masquerade(usize),
    /// `Firewall::dnat[n]`. Counts connections: only their first packet gets here.
    Dnat(usize),
    /// `Firewall::local_dnat[n]`. Counts connections: only their first packet gets here.
    LocalDnat(usize),
    /// What no rule of the hook decided, and the hook's policy did.
    Policy(Hook),
}

impl Place {
    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (what, which) = text.split_once(' ')?;
        match what {
            "rule" => which.parse().ok().map(Self::Rule),
            "masquerade" => which.parse().ok().map(Self::Masquerade),
            "dnat" => which.parse().ok().map(Self::Dnat),
            "local-dnat" => which.parse().ok().map(Self::LocalDnat),
            "policy" => {
                HOOKS.into_iter().find(|hook| filter(*hook).name == which).map(Self::Policy)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(n) => write!(f, "rule {n}"),
            Self::Masquerade(n) => write!(f, "masquerade {n}"),
            Self::Dnat(n) => write!(f, "dnat {n}"),
            Self::LocalDnat(n) => write!(f, "local-dnat {n}"),
            Self::Policy(hook) => write!(f, "policy {}", filter(*hook).name),
        }
    }
}

/// A chain that a hook of the kernel starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// The kernel's `NF_INET_*`, or of frames `NF_BR_*`.
    pub(super) hook: u32,
    pub(super) priority: i32,
}

const HOOKS: [Hook; 3] = [Hook::Input, Hook::Forward, Hook::Output];
const PREROUTING: Chain = Chain { name: "prerouting", kind: "nat", hook: 0, priority: -100 };
/// Not named `output`, which is the filter's.
const LOCAL_OUT: Chain = Chain { name: "local-out", kind: "nat", hook: 3, priority: -100 };
const POSTROUTING: Chain = Chain { name: "postrouting", kind: "nat", hook: 4, priority: 100 };

fn filter(hook: Hook) -> Chain {
    let (name, hook) = match hook {
        Hook::Input => ("input", 1),
        Hook::Forward => ("forward", 2),
        Hook::Output => ("output", 3),
    };
    Chain { name, kind: "filter", hook, priority: 0 }
}

/// The batch that puts this firewall in place of what Hairpin's table held.
pub(super) fn replace(firewall: &Firewall) -> Result<Batch, Error> {
    let mut batch = remove();
    table(&mut batch, Verb::NewTable, CREATE);
    for hook in HOOKS {
        let policy = if hook == Hook::Forward { firewall.forward } else { Policy::Accept };
        chain(&mut batch, filter(hook), policy);
        filter_rules(&mut batch, hook, &firewall.rules)?;
    }
    // Without these chains a firewall that translates nothing needs no NAT of the kernel.
    if !firewall.dnat.is_empty() {
        chain(&mut batch, PREROUTING, Policy::Accept);
        dnat_rules(&mut batch, PREROUTING, Place::Dnat, &firewall.dnat)?;
    }
    if !firewall.local_dnat.is_empty() {
        chain(&mut batch, LOCAL_OUT, Policy::Accept);
        dnat_rules(&mut batch, LOCAL_OUT, Place::LocalDnat, &firewall.local_dnat)?;
    }
    if !firewall.masquerade.is_empty() {
        chain(&mut batch, POSTROUTING, Policy::Accept);
        masquerade_rules(&mut batch, &firewall.masquerade)?;
    }
    Ok(batch)
}

/// The batch that takes Hairpin's table away, whether it is there or not: to make a table that
/// is there is no error, to delete one that is not there is.
pub(super) fn remove() -> Batch {
    let mut batch = Batch::new();
    table(&mut batch, Verb::NewTable, CREATE);
    table(&mut batch, Verb::DelTable, 0);
    batch
}

/// What names Hairpin's rules in a request for them.
pub(super) fn all_rules() -> Attrs {
    Attrs::new().text(RULE_TABLE, TABLE)
}

fn filter_rules(batch: &mut Batch, hook: Hook, rules: &[FilterRule]) -> Result<(), Error> {
    let chain = filter(hook);
    for (n, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.hook == hook) {
        let place = Place::Rule(n);
        let tcp = matches!(rule.matches.port, Some((Protocol::Tcp, _)));
        if rule.action == Action::Reset && !tcp {
            let help = "name the TCP port";
            return Err(unusable("only TCP can be answered by a reset", chain, place, help));
        }
        let steps = matching(chain, place, &rule.matches, None)?.counter();
        let steps = match rule.action {
            Action::Accept => steps.verdict(Verdict::Accept),
            Action::Drop => steps.verdict(Verdict::Drop),
            Action::Reject => steps.reject(),
            Action::Reset => steps.reset(),
        };
        push(batch, chain, place, &steps);
    }
    // Only what no rule decided comes this far; the policy does the rest.
    push(batch, chain, Place::Policy(hook), &Steps::default().counter());
    Ok(())
}

fn dnat_rules(
    batch: &mut Batch,
    chain: Chain,
    place: fn(usize) -> Place,
    rules: &[Dnat],
) -> Result<(), Error> {
    for (n, rule) in rules.iter().enumerate() {
        let place = place(n);
        if rule.matches.port.is_none() || rule.to.port() == 0 {
            return Err(unusable(
                "a published port without a port",
                chain,
                place,
                "name the port that it matches, and one other than 0 to send it to",
            ));
        }
        let family = Family::of(rule.to.ip());
        let steps = matching(chain, place, &rule.matches, Some(family))?;
        push(batch, chain, place, &steps.counter().dnat(rule.to));
    }
    Ok(())
}

fn masquerade_rules(batch: &mut Batch, rules: &[Match]) -> Result<(), Error> {
    for (n, matches) in rules.iter().enumerate() {
        let place = Place::Masquerade(n);
        let steps = matching(POSTROUTING, place, matches, None)?;
        push(batch, POSTROUTING, place, &steps.counter().masquerade());
    }
    Ok(())
}

/// The steps that let only what `matches` past. `family` is what the rule's action asks for.
fn matching(
    chain: Chain,
    place: Place,
    matches: &Match,
    family: Option<Family>,
) -> Result<Steps, Error> {
    check_links(chain, place, matches)?;
    let mut steps = Steps::default();
    if let Some(link) = &matches.input {
        steps = steps.input(link);
    }
    if let Some(link) = &matches.output {
        steps = steps.output(link);
    }
    if let Some(link) = &matches.not_input {
        steps = steps.not_input(link);
    }
    if let Some(link) = &matches.not_output {
        steps = steps.not_output(link);
    }
    if let Some(family) = common_family(chain, place, matches, family)? {
        steps = steps.family(family);
    }
    if let Some(net) = matches.source {
        steps = steps.address(End::Source, net);
    }
    if let Some(net) = matches.destination {
        steps = steps.address(End::Destination, net);
    }
    if let Some((protocol, port)) = matches.port {
        steps = steps.port(number(protocol), port);
    }
    Ok(if matches.established { steps.established() } else { steps })
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// The one address family that everything in the rule is of, or `None` where it names none.
fn common_family(
    chain: Chain,
    place: Place,
    matches: &Match,
    action: Option<Family>,
) -> Result<Option<Family>, Error> {
    let of = |net: IpNet| Family::of(net.addr());
    let named = [action, matches.source.map(of), matches.destination.map(of)];
    let mut named = named.into_iter().flatten();
    let first = named.next();
    if named.any(|family| Some(family) != first) {
        let help = "make one rule an address family";
        return Err(unusable("no packet has addresses of two families", chain, place, help));
    }
    Ok(first)
}

/// Refuses links that a packet in this chain cannot have, and names that no link can have.
fn check_links(chain: Chain, place: Place, matches: &Match) -> Result<(), Error> {
    let (input, output) = (
        [&matches.input, &matches.not_input].into_iter().flatten(),
        [&matches.output, &matches.not_output].into_iter().flatten(),
    );
    if input.clone().next().is_some() && matches!(chain.name, "output" | "local-out") {
        let help = "match the link that it leaves by";
        return Err(unusable("no packet here has a link that it came in by", chain, place, help));
    }
    if output.clone().next().is_some() && matches!(chain.name, "input" | "prerouting") {
        let help = "match the link that it came in by";
        return Err(unusable("no packet here has a link to leave by", chain, place, help));
    }
    for link in input.chain(output) {
        if link.is_empty() || link.len() >= IFNAMSIZ || link.contains('\0') {
            let what = format!("no link can be named `{}`", link.escape_debug());
            return Err(unusable(what, chain, place, "a link has a name of 1 to 15 bytes"));
        }
    }
    Ok(())
}

fn unusable(what: impl Into<String>, chain: Chain, place: Place, help: &'static str) -> Error {
    Error::Unusable { what: what.into(), place: in_chain(chain, place), help }
}

fn in_chain(chain: Chain, place: Place) -> String {
    format!("{place} of the firewall, in chain `{}`", chain.name)
}

fn table(batch: &mut Batch, verb: Verb, flags: u16) {
    let attrs = Attrs::new().text(TABLE_NAME, TABLE);
    batch.push(verb, flags, &attrs, format!("table `{TABLE}`"));
}

/// What makes a chain of that table. The attributes are `NFTA_CHAIN_*` and, within, `NFTA_HOOK_*`.
pub(super) fn chain_of(table: &str, chain: Chain, policy: Verdict) -> Attrs {
    let hook = Attrs::new().number(1, chain.hook).number(2, chain.priority.cast_unsigned());
    let named = Attrs::new().text(1, table).text(3, chain.name);
    named.nest(4, &hook).number(5, policy as u32).text(7, chain.kind)
}

/// What makes a rule of that table, with its place as comment: counters are found again by it.
pub(super) fn rule_of(table: &str, chain: Chain, place: Place, steps: &Steps) -> Attrs {
    let comment = format!("{place}\0");
    let length = u8::try_from(comment.len()).expect("a comment is short");
    Attrs::new()
        .text(RULE_TABLE, table)
        .text(2, chain.name)
        .nest(RULE_EXPRESSIONS, steps.attrs())
        .bytes(RULE_USERDATA, &[&[COMMENT, length], comment.as_bytes()].concat())
}

/// Adds a chain.
fn chain(batch: &mut Batch, chain: Chain, policy: Policy) {
    let verdict = match policy {
        Policy::Accept => Verdict::Accept,
        Policy::Drop => Verdict::Drop,
    };
    let attrs = chain_of(TABLE, chain, verdict);
    batch.push(Verb::NewChain, CREATE, &attrs, format!("chain `{}`", chain.name));
}

/// Adds a rule.
fn push(batch: &mut Batch, chain: Chain, place: Place, steps: &Steps) {
    let attrs = rule_of(TABLE, chain, place, steps);
    batch.push(Verb::NewRule, CREATE | APPEND, &attrs, in_chain(chain, place));
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        let numbered = [Place::Rule(0), Place::Masquerade(12), Place::Dnat(3), Place::LocalDnat(4)];
        for place in numbered.into_iter().chain(HOOKS.map(Place::Policy)) {
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for text in ["", "rule", "rule x", "policy prerouting", "user's own"] {
            assert_eq!(Place::parse(text), None);
        }
    }

    #[test]
    fn what_no_packet_can_meet_is_refused() {
        let refused = |firewall: Firewall| {
            hairpin_model::Error::from(replace(&firewall).unwrap_err()).to_string()
        };
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let to: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        let port = Match::any().port(Protocol::Tcp, 80);
        let rule = |hook, matches| Firewall::new().rule(hook, matches, Action::Drop);
        let mixed = Match::any().from(net("192.0.2.0/24")).to(net("2001:db8::/64"));
        let all = [
            refused(rule(Hook::Forward, mixed)),
            refused(Firewall::new().dnat(port.clone().to(net("192.0.2.1/32")), to)),
            refused(Firewall::new().dnat(Match::any(), to)),
            refused(Firewall::new().dnat(port.clone().to_link("eth0"), to)),
            refused(rule(Hook::Input, Match::any().to_link("eth0"))),
            refused(rule(Hook::Output, Match::any().from_link("eth0"))),
            refused(Firewall::new().masquerade(Match::any().to_link("sixteen-bytes-01"))),
            refused(Firewall::new().local_dnat(port.from_link("eth0"), to)),
            refused(rule(Hook::Input, Match::any().not_to_link("eth0"))),
            refused(Firewall::new().rule(Hook::Input, Match::any(), Action::Reset)),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        no packet has addresses of two families
          where: rule 0 of the firewall, in chain `forward`
          help:  make one rule an address family
        no packet has addresses of two families
          where: dnat 0 of the firewall, in chain `prerouting`
          help:  make one rule an address family
        a published port without a port
          where: dnat 0 of the firewall, in chain `prerouting`
          help:  name the port that it matches, and one other than 0 to send it to
        no packet here has a link to leave by
          where: dnat 0 of the firewall, in chain `prerouting`
          help:  match the link that it came in by
        no packet here has a link to leave by
          where: rule 0 of the firewall, in chain `input`
          help:  match the link that it came in by
        no packet here has a link that it came in by
          where: rule 0 of the firewall, in chain `output`
          help:  match the link that it leaves by
        no link can be named `sixteen-bytes-01`
          where: masquerade 0 of the firewall, in chain `postrouting`
          help:  a link has a name of 1 to 15 bytes
        no packet here has a link that it came in by
          where: local-dnat 0 of the firewall, in chain `local-out`
          help:  match the link that it leaves by
        no packet here has a link to leave by
          where: rule 0 of the firewall, in chain `input`
          help:  match the link that it came in by
        only TCP can be answered by a reset
          where: rule 0 of the firewall, in chain `input`
          help:  name the TCP port
        ");
    }
}
