//! An nftables ruleset as a value, and what it does with one packet.
//!
//! A rule is the small program that the kernel runs. What a step cannot be foreseen to do makes
//! the rule's outcome unknown, and with it that of the hook: never a guess.

mod look;
mod lookup;

use std::net::IpAddr;

use hairpin_model::Policy;
use serde::{Deserialize, Serialize};

pub use look::{Load, Look};
pub use lookup::Entry;

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The family, as `nft` writes it.
    pub family: String,
    /// The table.
    pub table: String,
    /// The name.
    pub name: String,
    /// Where it begins, if a hook of the kernel starts it.
    pub base: Option<Base>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

impl Chain {
    /// Whether frames of that link pass this chain: family `netdev`, or the ingress hook of `inet`.
    pub(crate) fn hooks_link(&self, link: &str) -> bool {
        /// `NF_INET_INGRESS`.
        const INGRESS: u32 = 5;
        let Some(base) = &self.base else { return false };
        let of_links = self.family == "netdev" || (self.family == "inet" && base.hook == INGRESS);
        let idle = self.rules.is_empty() && base.policy == Policy::Accept;
        let is = |device: &String| match device.strip_suffix('*') {
            Some(start) => link.starts_with(start),
            None => device == link,
        };
        of_links && !idle && (base.devices.is_empty() || base.devices.iter().any(is))
    }
}

/// What starts a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The hook's number: `NF_INET_*` for the IP families.
    pub hook: u32,
    /// Lower comes first.
    pub priority: i32,
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// What happens to a packet that no rule decides.
    pub policy: Policy,
    /// The links that it is hooked to, where the hook is one of links; `NAME*` is all that begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its handle, which deletes it.
    pub handle: u64,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Loads what the kernel knows of the packet (`NFT_META_*`).
    Meta {
        /// Which of it.
        key: u32,
        /// Where to.
        to: u32,
    },
    /// Loads bytes of the packet.
    Payload {
        /// `NFT_PAYLOAD_*`.
        base: u32,
        /// From which byte of it.
        offset: u32,
        /// How many.
        length: u32,
        /// Where to.
        to: u32,
    },
    /// Loads what is known of the connection (`NFT_CT_*`).
    Ct {
        /// Which of it.
        key: u32,
        /// Where to.
        to: u32,
    },
    /// Keeps some bits.
    Mask {
        /// From where.
        from: u32,
        /// Where to.
        to: u32,
        /// Which bits.
        mask: Vec<u8>,
        /// Which to turn over.
        xor: Vec<u8>,
    },
    /// Goes on only if equal (or unlike).
    Compare {
        /// What.
        from: u32,
        /// Whether to go on if they are unlike.
        unlike: bool,
        /// With what.
        with: Vec<u8>,
    },
    /// Goes on only if it is in a set (or not), and loads what a map has for it, or ends with it.
    Lookup {
        /// What.
        from: u32,
        /// Whether to go on if it is not in it.
        unlike: bool,
        /// Where to.
        to: Option<u32>,
        /// The set.
        entries: Vec<Entry>,
    },
    /// Ends with a verdict (`NF_*`, `NFT_*`), perhaps in another chain.
    Verdict {
        /// The code.
        code: i32,
        /// The chain that it goes to.
        chain: Option<String>,
    },
    /// Loads a value of the rule's own.
    Load {
        /// Where to.
        to: u32,
        /// What.
        data: Vec<u8>,
    },
    /// Loads what the routing tables say of an address (`NFTA_FIB_*`).
    Fib {
        /// Of which.
        flags: u32,
        /// What of it.
        result: u32,
        /// Where to.
        to: u32,
    },
    /// Gives another address, another port, or both.
    Translate {
        /// To the destination, and not the source.
        destination: bool,
        /// Where the address was loaded.
        address: Option<u32>,
        /// Where the port was loaded.
        port: Option<u32>,
    },
    /// Answers and drops.
    Reject,
    /// Gives the address of the link that it leaves by.
    Masquerade,
    /// Counts, logs, comments: decides nothing.
    Idle,
    /// Something else, by the kernel's name.
    Other(String),
}

/// The hooks of the IP families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// What came in, before it is routed.
    Prerouting = 0,
    /// What is for the namespace itself.
    Input = 1,
    /// What it routes.
    Forward = 2,
    /// What it sends.
    Output = 3,
    /// What leaves.
    Postrouting = 4,
}

impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

/// What a hook does with the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It passes, perhaps changed.
    Pass(Change),
    /// It ends here.
    Drop {
        /// `family table chain`.
        chain: String,
        /// The rule's handle; `None` is the policy.
        handle: Option<u64>,
    },
    /// What is not understood, and where it stands.
    Unknown(String),
}

/// What translation makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It gets the address of the link that it leaves by as its source.
    Masquerade,
    /// It gets that source.
    Source(Option<IpAddr>, Option<u16>),
    /// It gets that destination.
    Destination(Option<IpAddr>, Option<u16>),
}

/// How a chain ended.
enum End {
    Accept,
    Drop(String, Option<u64>),
    Changed(Change),
    Fallen,
    Unknown(String),
}

/// What the hook's chains do with the packet, in the order in which the kernel asks them.
pub fn ask(hook: Hook, look: &Look<'_>) -> Fate {
    let chains = &look.space.chains;
    let here = |chain: &&Chain| {
        let base = chain.base.as_ref();
        (chain.family == "inet" || chain.family == look.family())
            && base.is_some_and(|b| b.hook == hook as u32)
    };
    let mut started: Vec<&Chain> = chains.iter().filter(here).collect();
    started.sort_by_key(|chain| chain.base.as_ref().map(|base| base.priority));
    let (mut change, mut look) = (Change::None, look.clone());
    for chain in started {
        let policy = chain.base.as_ref().map_or(Policy::Accept, |base| base.policy);
        // Translation is asked of a connection's first packet alone; what is not tracked has none.
        let nat = chain.base.as_ref().is_some_and(|base| base.kind == "nat");
        match look.answer {
            // The first translation counts.
            _ if nat && (look.load == Load::Discovery || change != Change::None) => continue,
            _ if nat && !look.translates => continue,
            Some(true) if nat => continue,
            None if nat && !chain.rules.is_empty() => return Fate::Unknown(place(chain, None)),
            _ => {}
        }
        match run(chains, chain, &look, 0) {
            End::Drop(chain, handle) => return Fate::Drop { chain, handle },
            End::Unknown(what) => return Fate::Unknown(what),
            End::Changed(found) => {
                change = found;
                look.take(found);
            }
            End::Fallen if policy == Policy::Drop => {
                return Fate::Drop { chain: place(chain, None), handle: None };
            }
            End::Accept | End::Fallen => {}
        }
    }
    Fate::Pass(change)
}

fn place(chain: &Chain, rule: Option<&Rule>) -> String {
    let handle = rule.map_or_else(String::new, |rule| format!(" handle {}", rule.handle));
    format!("{} {} {}{handle}", chain.family, chain.table, chain.name)
}

/// Chains deeper than this are a circle, which the kernel does not allow either.
const DEEPEST: u32 = 16;

fn run(chains: &[Chain], chain: &Chain, look: &Look<'_>, depth: u32) -> End {
    if depth > DEEPEST {
        return End::Unknown(place(chain, None));
    }
    for rule in &chain.rules {
        match rule.decide(look) {
            Decision::On => {}
            Decision::Unknown(step) => {
                return End::Unknown(format!("`{step}` in rule {}", place(chain, Some(rule))));
            }
            Decision::Drop => return End::Drop(place(chain, None), Some(rule.handle)),
            Decision::Accept => return End::Accept,
            Decision::Changed(change) => return End::Changed(change),
            Decision::Return => return End::Fallen,
            Decision::Jump(name, comes_back) => {
                let same = |to: &&Chain| {
                    to.family == chain.family && to.table == chain.table && to.name == name
                };
                let Some(to) = chains.iter().find(same) else {
                    return End::Unknown(format!("chain {name}, which was not read"));
                };
                match run(chains, to, look, depth + 1) {
                    End::Fallen if comes_back => {}
                    end => return end,
                }
            }
        }
    }
    End::Fallen
}

enum Decision {
    On,
    Accept,
    Drop,
    Changed(Change),
    Return,
    Jump(String, bool),
    Unknown(String),
}

impl Rule {
    fn decide(&self, look: &Look<'_>) -> Decision {
        let mut registers = Registers::default();
        for step in &self.steps {
            match step {
                Step::Idle => {}
                Step::Meta { key, to } => {
                    registers.set(*to, look.meta(*key), format!("meta {key}"));
                }
                Step::Payload { base, offset, length, to } => {
                    let what = format!("payload {base}+{offset}");
                    registers.set(*to, look.payload(*base, *offset, *length), what);
                    if look.is_senders_port(*base, *offset, *length) {
                        registers.senders.push(*to);
                    }
                }
                Step::Ct { key, to } => registers.set(*to, look.ct(*key), format!("ct {key}")),
                Step::Mask { from, to, mask, xor } => registers.mask(*from, *to, mask, xor),
                Step::Compare { from, unlike, with } => match registers.get(*from) {
                    // What it is not can be known of what is not known.
                    Err(_) if registers.is_sender(*from) && look.is_no_sender(with, with) => {
                        if !unlike {
                            return Decision::On;
                        }
                    }
                    Err(what) => return Decision::Unknown(what),
                    Ok(value) if (value.get(..with.len()) == Some(with)) == *unlike => {
                        return Decision::On;
                    }
                    Ok(_) => {}
                },
                Step::Lookup { from, unlike, to, entries } => {
                    match look.find(entries, &registers, *from) {
                        Err(what) => return Decision::Unknown(what),
                        Ok(found) if found.is_some() == *unlike => return Decision::On,
                        Ok(Some(Entry { verdict: Some((code, chain)), .. })) if *code != GO_ON => {
                            return verdict(*code, chain.as_deref());
                        }
                        Ok(found) => registers.keep(*to, found.and_then(|e| e.data.clone())),
                    }
                }
                Step::Verdict { code, chain } => return verdict(*code, chain.as_deref()),
                Step::Reject => return Decision::Drop,
                Step::Masquerade => return Decision::Changed(Change::Masquerade),
                Step::Load { to, data } => {
                    registers.set(*to, Some(data.clone()), String::new());
                }
                Step::Fib { flags, result, to } => {
                    registers.set(*to, look.fib(*flags, *result), format!("fib {flags} {result}"));
                }
                Step::Translate { destination, address, port } => {
                    return translate(*destination, &registers, *address, *port);
                }
                Step::Other(name) => return Decision::Unknown(name.clone()),
            }
        }
        Decision::On
    }
}

fn translate(
    destination: bool,
    registers: &Registers,
    address: Option<u32>,
    port: Option<u32>,
) -> Decision {
    let ip = address.map(|at| registers.get(at).map(|bytes| ip(&bytes)));
    let port = port.map(|at| registers.get(at).map(|bytes| number(&bytes)));
    match (ip, port) {
        (Some(Err(what)), _) | (_, Some(Err(what))) => Decision::Unknown(what),
        (Some(Ok(None)), _) | (_, Some(Ok(None))) => Decision::Unknown("a translation".into()),
        (ip, port) => {
            let (ip, port) =
                (ip.and_then(Result::ok).flatten(), port.and_then(Result::ok).flatten());
            Decision::Changed(match destination {
                true => Change::Destination(ip, port),
                false => Change::Source(ip, port),
            })
        }
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    four.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_be_bytes)
}

/// `NFT_CONTINUE`.
const GO_ON: i32 = -1;

fn verdict(code: i32, chain: Option<&str>) -> Decision {
    match (code, chain) {
        (0, _) => Decision::Drop,
        (1, _) => Decision::Accept,
        (GO_ON | -2, _) => Decision::On,
        (-3, Some(chain)) => Decision::Jump(chain.to_owned(), true),
        (-4, Some(chain)) => Decision::Jump(chain.to_owned(), false),
        (-5, _) => Decision::Return,
        _ => Decision::Unknown(format!("verdict {code}")),
    }
}

/// What the steps have loaded: the bytes, or what it was that is not known.
#[derive(Default)]
struct Registers {
    values: Vec<(u32, Result<Vec<u8>, String>)>,
    /// Which of them hold the sender's port.
    senders: Vec<u32>,
}

impl Registers {
    fn set(&mut self, register: u32, value: Option<Vec<u8>>, what: String) {
        self.senders.retain(|at| *at != register);
        self.values.push((register, value.ok_or(what)));
    }

    /// Loads what a map has, if it has something.
    fn keep(&mut self, register: Option<u32>, data: Option<Vec<u8>>) {
        if let Some((register, data)) = register.zip(data) {
            self.set(register, Some(data), String::new());
        }
    }

    fn is_sender(&self, register: u32) -> bool {
        self.senders.contains(&register)
    }

    fn get(&self, register: u32) -> Result<Vec<u8>, String> {
        let found = self.values.iter().rev().find(|(at, _)| *at == register);
        found.map_or_else(|| Err(format!("register {register}")), |(_, value)| value.clone())
    }

    fn mask(&mut self, from: u32, to: u32, mask: &[u8], xor: &[u8]) {
        let value = self.get(from).map(|value| {
            let masked = value.iter().zip(mask).zip(xor);
            masked.map(|((byte, mask), xor)| (byte & mask) ^ xor).collect()
        });
        self.senders.retain(|at| *at != to);
        self.values.push((to, value));
    }
}
