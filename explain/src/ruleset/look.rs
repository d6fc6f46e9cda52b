//! A packet as rules see it: what they can load of it, as far as that is known.

use std::net::IpAddr;

use hairpin_model::firewall::Protocol;

use super::lookup::{self, Entry};
use super::{Change, Registers};
use crate::snapshot::Space;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    /// An ICMP echo request, or its answer.
    Echo,
    /// A neighbour solicitation of IPv6, or the advertisement that answers it.
    Discovery,
    /// The first segment of a TCP connection, or the one that answers it.
    Tcp,
    /// A UDP datagram, or one that answers it.
    Udp,
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Echo => "ping",
            Self::Discovery => "neighbour discovery",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

impl From<Protocol> for Load {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
        }
    }
}

/// The packet, as far as rules are told of it.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// The link that it came in by.
    pub input: Option<&'a str>,
    /// The link that it leaves by.
    pub output: Option<&'a str>,
    /// Who sent it.
    pub source: IpAddr,
    /// Who it is for.
    pub destination: IpAddr,
    /// What it carries.
    pub load: Load,
    /// The port that the request is for: TCP and UDP.
    pub port: u16,
    /// Between which ports the sender's own is.
    pub senders: (u16, u16),
    /// The namespace whose firewall is asked.
    pub space: &'a Space,
    /// Whether it may be translated here: only where a connection begins.
    pub translates: bool,
    /// Whether it is the answer to one that passed here; `None` where that is not known.
    pub answer: Option<bool>,
}

impl Look<'_> {
    /// The family of the chains that are asked besides those of `inet`.
    pub(super) const fn family(&self) -> &'static str {
        if self.source.is_ipv4() { "ip" } else { "ip6" }
    }

    /// `IPPROTO_*`.
    const fn protocol(&self) -> u8 {
        match (self.load, self.source) {
            (Load::Tcp, _) => 6,
            (Load::Udp, _) => 17,
            (_, IpAddr::V4(_)) => 1,
            (_, IpAddr::V6(_)) => 58,
        }
    }

    pub(super) fn meta(&self, key: u32) -> Option<Vec<u8>> {
        let four = self.source.is_ipv4();
        // NFT_META_PROTOCOL, IIF, OIF, IIFNAME, OIFNAME, NFPROTO, L4PROTO.
        match key {
            1 => Some(if four { 0x0800u16 } else { 0x86dd }.to_be_bytes().to_vec()),
            4 => self.index(self.input),
            5 => self.index(self.output),
            6 => Some(padded(self.input.unwrap_or_default())),
            7 => Some(padded(self.output.unwrap_or_default())),
            15 => Some(vec![if four { 2 } else { 10 }]),
            16 => Some(vec![self.protocol()]),
            _ => None,
        }
    }

    /// The number of a link of the namespace's; that of none is 0.
    fn index(&self, link: Option<&str>) -> Option<Vec<u8>> {
        let number = match link {
            Some(name) => self.space.links.iter().find(|link| link.name == name)?.index,
            None => 0,
        };
        Some(number.to_ne_bytes().to_vec())
    }

    /// The entry of a set that has what is in a register; an error if nobody can know.
    pub(super) fn find<'e>(
        &self,
        entries: &'e [Entry],
        registers: &Registers,
        from: u32,
    ) -> Result<Option<&'e Entry>, String> {
        let is_no_sender = |entry: &Entry| self.is_no_sender(&entry.least, &entry.most);
        match registers.get(from) {
            Err(_) if registers.is_sender(from) && entries.iter().all(is_no_sender) => Ok(None),
            Err(what) => Err(what),
            Ok(value) => lookup::find(entries, &value),
        }
    }

    pub(super) fn payload(&self, base: u32, offset: u32, length: u32) -> Option<Vec<u8>> {
        const NETWORK: u32 = 1;
        const TRANSPORT: u32 = 2;
        let at = offset as usize;
        let header = match (base, self.source) {
            (NETWORK, IpAddr::V4(_)) => match at {
                9 => vec![self.protocol()],
                12..16 => octets(self.source)[at - 12..].to_vec(),
                16..20 => octets(self.destination)[at - 16..].to_vec(),
                _ => return None,
            },
            (NETWORK, IpAddr::V6(_)) => match at {
                6 => vec![self.protocol()],
                // What neighbours say to each other has passed no router.
                7 if self.load == Load::Discovery => vec![255],
                8..24 => octets(self.source)[at - 8..].to_vec(),
                24..40 => octets(self.destination)[at - 24..].to_vec(),
                _ => return None,
            },
            (TRANSPORT, _) => self.transport().get(at..)?.iter().map_while(|byte| *byte).collect(),
            _ => return None,
        };
        header.get(..length as usize).map(<[u8]>::to_vec)
    }

    /// The header behind that of IP, as far as it is known.
    fn transport(&self) -> Vec<Option<u8>> {
        let Some(answer) = self.answer else { return Vec::new() };
        let kind = match (self.load, self.source) {
            (Load::Echo, IpAddr::V4(_)) => [8, 0],
            (Load::Echo, IpAddr::V6(_)) => [128, 129],
            (Load::Discovery, _) => [135, 136],
            (Load::Tcp | Load::Udp, _) => return self.ports(answer),
        };
        // The type, and the code.
        vec![Some(kind[usize::from(answer)]), Some(0)]
    }

    /// The ports, of which the sender's is not known, and the flags of TCP.
    fn ports(&self, answer: bool) -> Vec<Option<u8>> {
        const FLAGS: usize = 13;
        /// `SYN`; `SYN` and `ACK`.
        const OPENS: [u8; 2] = [0x02, 0x12];
        let mut header = vec![None; if self.load == Load::Tcp { 20 } else { 8 }];
        let at = if answer { 0 } else { 2 };
        let port = self.port.to_be_bytes();
        (header[at], header[at + 1]) = (Some(port[0]), Some(port[1]));
        if self.load == Load::Tcp {
            header[FLAGS] = Some(OPENS[usize::from(answer)]);
        }
        header
    }

    /// Whether those bytes are the port that the asker has.
    pub(super) fn is_senders_port(&self, base: u32, offset: u32, length: u32) -> bool {
        let at = self.answer.map(|answer| if answer { 2 } else { 0 });
        base == 2 && length == 2 && at == Some(offset) && matches!(self.load, Load::Tcp | Load::Udp)
    }

    /// Whether no asker has a port between these.
    pub(super) fn is_no_sender(&self, least: &[u8], most: &[u8]) -> bool {
        let port = |bytes: &[u8]| <[u8; 2]>::try_from(bytes).map(u16::from_be_bytes);
        let (Ok(least), Ok(most)) = (port(least), port(most)) else { return false };
        most < self.senders.0 || least > self.senders.1
    }

    /// The kind of an address, as the routing tables have it: `RTN_UNICAST`, `RTN_LOCAL`.
    pub(super) fn fib(&self, flags: u32, result: u32) -> Option<Vec<u8>> {
        const SOURCE: u32 = 1;
        const DESTINATION: u32 = 2;
        const KIND: u32 = 3;
        let ip = match flags {
            SOURCE => self.source,
            DESTINATION => self.destination,
            _ => return None,
        };
        let kind: u32 = match self.space.route(ip)?.kind.as_str() {
            "unicast" => 1,
            "local" => 2,
            _ => return None,
        };
        (result == KIND).then(|| kind.to_ne_bytes().to_vec())
    }

    /// What is asked after a translation is asked of what it made.
    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Destination(ip, port) => {
                self.destination = ip.unwrap_or(self.destination);
                self.port = port.unwrap_or(self.port);
            }
            Change::Source(ip, _) => self.source = ip.unwrap_or(self.source),
            Change::None | Change::Masquerade => {}
        }
    }

    pub(super) fn ct(&self, key: u32) -> Option<Vec<u8>> {
        const STATE: u32 = 0;
        const UNTRACKED: u32 = 1 << 6;
        let state: u32 = match self.load {
            Load::Discovery => UNTRACKED,
            _ => {
                if self.answer? {
                    1 << 1
                } else {
                    1 << 3
                }
            }
        };
        (key == STATE).then(|| state.to_ne_bytes().to_vec())
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn padded(name: &str) -> Vec<u8> {
    let mut field = vec![0; 16];
    field[..name.len().min(15)].copy_from_slice(&name.as_bytes()[..name.len().min(15)]);
    field
}
