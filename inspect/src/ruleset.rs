//! Reads the nftables ruleset of the namespace that the thread is in.

mod compat;
mod sets;

use hairpin_explain::ruleset::{Base, Chain, Entry, Rule, Step};
use hairpin_model::{Error, Policy};
use netlink_packet_core::{NLA_HEADER_SIZE, NLM_F_DUMP, NLM_F_REQUEST, NlasIterator};

use crate::list::{Kernel, failed};
use sets::Sets;

/// `NFNL_SUBSYS_NFTABLES << 8`, with `NFT_MSG_GETTABLE`, `NFT_MSG_GETCHAIN` and `NFT_MSG_GETRULE`.
const GET_TABLE: u16 = 0x0a01;
const GET_CHAIN: u16 = 0x0a04;
const GET_RULE: u16 = 0x0a07;
/// The netlink header, and netfilter's own behind it.
const HEADER: usize = 16;
const NF_HEADER: usize = 4;
/// How often a list is read anew that changed under our eyes, before we give up.
const ATTEMPTS: usize = 16;

/// All chains of all families, with their rules.
pub(crate) fn read() -> Result<Vec<Chain>, Error> {
    // A kernel without nftables has no rules of it.
    let Some(kernel) = Kernel::netfilter() else { return Ok(Vec::new()) };
    for _ in 0..ATTEMPTS {
        let tables = match kernel.ask("the firewall's tables", &request(GET_TABLE)) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            found => found?,
        };
        let Some(tables) = tables else { continue };
        let Some(chains) = kernel.ask("the firewall's chains", &request(GET_CHAIN))? else {
            continue;
        };
        let Some(sets) = Sets::read(&kernel)? else { continue };
        let Some(rules) = kernel.ask("the firewall's rules", &request(GET_RULE))? else { continue };
        let mut found: Vec<Chain> = chains.iter().filter_map(|message| chain(message)).collect();
        for message in &rules {
            add_rule(&mut found, message, &sets);
        }
        let sleeping: Vec<_> = tables.iter().filter_map(|message| dormant(message)).collect();
        found.retain(|chain| {
            !sleeping.iter().any(|(family, table)| chain.family == *family && chain.table == *table)
        });
        return Ok(found);
    }
    Err(failed("the firewall", "it changed each time that it was read"))
}

fn is_absent(error: &Error) -> bool {
    use nix::errno::Errno;
    [Errno::EINVAL as i32, Errno::EOPNOTSUPP as i32].contains(&error.errno)
}

/// Asks for all of a kind, of all families.
fn request(kind: u16) -> Vec<u8> {
    request_of(kind, 0, &[])
}

/// Asks for all of a kind that belongs to what has these names.
fn request_of(kind: u16, family: u8, names: &[(u16, &str)]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend([0; 8]);
    // Version 0.
    bytes.extend([family, 0, 0, 0]);
    for (kind, name) in names {
        let length = u16::try_from(NLA_HEADER_SIZE + name.len() + 1).unwrap_or(u16::MAX);
        bytes.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
        bytes.extend(name.bytes());
        bytes.resize((bytes.len() + 1).next_multiple_of(4), 0);
    }
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// The family and the name of a table whose chains are not hooked: it has the flag `dormant`.
fn dormant(message: &[u8]) -> Option<(&'static str, String)> {
    const DORMANT: u32 = 1;
    let attrs = message.get(HEADER + NF_HEADER..)?;
    let sleeps = number(attrs, 2).is_some_and(|flags| flags & DORMANT != 0);
    Some((family(message[HEADER]), text(attr(attrs, 1)?)?)).filter(|_| sleeps)
}

/// The names of links in a chain's hook: `NFTA_HOOK_DEV`, and the list `NFTA_HOOK_DEVS`.
fn devices(hook: &[u8]) -> Vec<String> {
    const PREFIX: u16 = 2;
    let one = attr(hook, 3).and_then(text);
    let list = attr(hook, 4).map(|list| attrs(list).collect::<Vec<_>>()).unwrap_or_default();
    let named = |(kind, name): (u16, &[u8])| {
        text(name).map(|name| if kind == PREFIX { name + "*" } else { name })
    };
    let mut all: Vec<String> = one.into_iter().chain(list.into_iter().filter_map(named)).collect();
    all.dedup();
    all
}

fn chain(message: &[u8]) -> Option<Chain> {
    let attrs = message.get(HEADER + NF_HEADER..)?;
    let base = attr(attrs, 4).and_then(|hook| {
        Some(Base {
            hook: number(hook, 1)?,
            priority: number(hook, 2)?.cast_signed(),
            kind: text(attr(attrs, 7)?)?,
            policy: if number(attrs, 5) == Some(0) { Policy::Drop } else { Policy::Accept },
            devices: devices(hook),
        })
    });
    Some(Chain {
        family: family(message[HEADER]).into(),
        table: text(attr(attrs, 1)?)?,
        name: text(attr(attrs, 3)?)?,
        base,
        rules: Vec::new(),
    })
}

/// `NFPROTO_*`, as `nft` writes them.
const fn family(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}

fn add_rule(chains: &mut [Chain], message: &[u8], sets: &Sets) -> Option<()> {
    let attrs = message.get(HEADER + NF_HEADER..)?;
    let (table, name) = (text(attr(attrs, 1)?)?, text(attr(attrs, 2)?)?);
    let place = Place { family: message[HEADER], table: &table, sets };
    let family = family(place.family);
    let same =
        |chain: &&mut Chain| chain.family == family && chain.table == table && chain.name == name;
    let chain = chains.iter_mut().find(same)?;
    let handle = attr(attrs, 3).and_then(|h| h.try_into().ok()).map_or(0, u64::from_be_bytes);
    let steps = attr(attrs, 4)
        .map(|list| self::attrs(list).flat_map(|(_, expr)| place.steps(expr)).collect());
    chain.rules.push(Rule { handle, steps: steps.unwrap_or_default() });
    Some(())
}

/// Where a rule stands.
struct Place<'a> {
    family: u8,
    table: &'a str,
    sets: &'a Sets,
}

impl Place<'_> {
    /// An expression; whatever cannot be read of it makes it another one.
    fn steps(&self, expr: &[u8]) -> Vec<Step> {
        let name = attr(expr, 1).and_then(text).unwrap_or_default();
        let data = attr(expr, 2).unwrap_or_default();
        let steps = match name.as_str() {
            "match" | "target" => return self.older(&name, data),
            "lookup" => self.lookup(data),
            _ => known(&name, data),
        };
        vec![steps.unwrap_or(Step::Other(name))]
    }

    /// A match or a target of the older iptables.
    fn older(&self, kind: &str, data: &[u8]) -> Vec<Step> {
        let name = attr(data, 1).and_then(text).unwrap_or_default();
        let (revision, info) = (number(data, 2).unwrap_or(0), attr(data, 3).unwrap_or_default());
        let steps = match kind {
            "match" => compat::demand(self.family, &name, revision, info),
            _ => compat::act(self.family, &name, revision, info),
        };
        steps.unwrap_or_else(|| vec![Step::Other(format!("{kind} {name}"))])
    }

    fn lookup(&self, data: &[u8]) -> Option<Step> {
        const INVERTS: u32 = 1;
        let entries = self.sets.entries(self.family, self.table, &attr(data, 1).and_then(text)?)?;
        let unlike = number(data, 5).unwrap_or(0) & INVERTS != 0;
        Some(Step::Lookup { from: number(data, 2)?, unlike, to: number(data, 3), entries })
    }
}

/// The code of a verdict, and its chain.
fn verdict(told: &[u8]) -> Option<(i32, Option<String>)> {
    Some((number(told, 1)?.cast_signed(), attr(told, 2).and_then(text)))
}

fn known(name: &str, data: &[u8]) -> Option<Step> {
    /// `NFT_OBJECT_COUNTER`.
    const COUNTER: u32 = 1;
    Some(match name {
        "counter" | "log" => Step::Idle,
        "objref" if number(data, 1)? == COUNTER => Step::Idle,
        "meta" => Step::Meta { key: number(data, 2)?, to: number(data, 1)? },
        "ct" => Step::Ct { key: number(data, 2)?, to: number(data, 1)? },
        "payload" => Step::Payload {
            base: number(data, 2)?,
            offset: number(data, 3)?,
            length: number(data, 4)?,
            to: number(data, 1)?,
        },
        // Only masks; shifts have an operation of their own.
        "bitwise" if number(data, 6).unwrap_or(0) == 0 => Step::Mask {
            from: number(data, 1)?,
            to: number(data, 2)?,
            mask: attr(attr(data, 4)?, 1)?.to_vec(),
            xor: attr(attr(data, 5)?, 1)?.to_vec(),
        },
        "cmp" => compared(number(data, 1)?, number(data, 2)?, attr(attr(data, 3)?, 1)?.to_vec())?,
        "range" => {
            let end = |kind| Some(attr(attr(data, kind)?, 1)?.to_vec());
            let entries = vec![Entry::between(end(3)?, end(4)?)];
            let unlike = match number(data, 2)? {
                0 => false,
                1 => true,
                _ => return None,
            };
            Step::Lookup { from: number(data, 1)?, unlike, to: None, entries }
        }
        "immediate" if number(data, 1)? == 0 => {
            let (code, chain) = verdict(attr(attr(data, 2)?, 2)?)?;
            Step::Verdict { code, chain }
        }
        "immediate" => Step::Load { to: number(data, 1)?, data: attr(attr(data, 2)?, 1)?.to_vec() },
        "fib" => {
            Step::Fib { to: number(data, 1)?, result: number(data, 2)?, flags: number(data, 3)? }
        }
        "nat" => translation(data)?,
        "reject" => Step::Reject,
        // A range of ports does not concern a ping, a flag might.
        "masq" => Step::Masquerade,
        _ => return None,
    })
}

/// A comparison by its operation (`NFT_CMP_*`): bytes are compared as numbers in network order are.
fn compared(from: u32, operation: u32, with: Vec<u8>) -> Option<Step> {
    let (least, most) = (vec![0; with.len()], vec![0xff; with.len()]);
    let (unlike, entry) = match operation {
        0 | 1 => return Some(Step::Compare { from, unlike: operation == 1, with }),
        2 => (true, Entry::between(with, most)),
        3 => (false, Entry::between(least, with)),
        4 => (true, Entry::between(least, with)),
        5 => (false, Entry::between(with, most)),
        _ => return None,
    };
    Some(Step::Lookup { from, unlike, to: None, entries: vec![entry] })
}

/// One address, one port: of a range nobody knows which it will be.
fn translation(data: &[u8]) -> Option<Step> {
    /// `NF_NAT_RANGE_MAP_IPS`, `PROTO_SPECIFIED`, `PROTO_RANDOM`, `PERSISTENT`, `PROTO_RANDOM_FULLY`.
    const PLAIN: u32 = 0b1_1111;
    let one = |least, most| {
        let found = number(data, least);
        (number(data, most).is_none() || number(data, most) == found).then_some(found)
    };
    if number(data, 7).unwrap_or(0) & !PLAIN != 0 {
        return None;
    }
    Some(Step::Translate {
        destination: number(data, 1)? == 1,
        address: one(3, 4)?,
        port: one(5, 6)?,
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok().map(str::to_owned)
}

fn number(bytes: &[u8], kind: u16) -> Option<u32> {
    attr(bytes, kind)?.try_into().ok().map(u32::from_be_bytes)
}

fn attr(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attrs(bytes).find(|attr| attr.0 == kind).map(|attr| attr.1)
}

/// Kinds and values, up to the first attribute that is cut.
fn attrs(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attr| {
        let end = usize::from(attr.length());
        (attr.kind(), &attr.into_inner()[NLA_HEADER_SIZE..end])
    })
}
