//! The expressions of a rule: a small program that the kernel runs on each packet.
//!
//! Each function adds the steps for one thing that a rule says. Every comparison ends the rule
//! when it fails, so that steps in a row mean "and". Knows no [`hairpin_model::Firewall`].

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::message::Attrs;
use crate::octets::octets;

/// An element of a list of expressions: `NFTA_LIST_ELEM`.
const LIST_ELEM: u16 = 1;
/// What an expression is made of: `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
pub(super) const EXPR_NAME: u16 = 1;
pub(super) const EXPR_DATA: u16 = 2;
/// `NFTA_DATA_VALUE`, `NFTA_DATA_VERDICT`, `NFTA_VERDICT_CODE`.
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;

/// Registers of 16 bytes each. The verdict has its own.
const VERDICT: u32 = 0;
const FIRST: u32 = 1;
const SECOND: u32 = 2;

/// `NFT_CMP_EQ`, `NFT_CMP_NEQ`.
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// The expression that counts.
pub(super) const COUNTER: &str = "counter";

/// The length of a name of a link, with the NUL at its end.
pub(super) const IFNAMSIZ: usize = 16;

/// What the kernel knows of a packet besides its bytes: `NFT_META_*`.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum Meta {
    Protocol = 1,
    Mark = 3,
    InputName = 6,
    OutputName = 7,
    Family = 15,
    Transport = 16,
    Kind = 19,
}

/// Which of a packet's two addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Source,
    Destination,
}

/// What a rule says of the packets that it matches: `NF_DROP`, `NF_ACCEPT`.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Verdict {
    Drop = 0,
    Accept = 1,
}

/// The address families, by the kernel's `NFPROTO_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Family {
    V4 = 2,
    V6 = 10,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// A rule's steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Attrs);

impl Steps {
    /// The list of expressions, ready to be a rule's attribute.
    pub(super) fn attrs(&self) -> &Attrs {
        &self.0
    }

    /// Only packets that came in by this link.
    pub(super) fn input(self, link: &str) -> Self {
        self.meta(Meta::InputName).compare(EQUAL, &padded(link))
    }

    /// Only packets that leave by this link.
    pub(super) fn output(self, link: &str) -> Self {
        self.meta(Meta::OutputName).compare(EQUAL, &padded(link))
    }

    /// Only packets that came in by another link.
    pub(super) fn not_input(self, link: &str) -> Self {
        self.meta(Meta::InputName).compare(NOT_EQUAL, &padded(link))
    }

    /// Only packets that leave by another link.
    pub(super) fn not_output(self, link: &str) -> Self {
        self.meta(Meta::OutputName).compare(NOT_EQUAL, &padded(link))
    }

    /// Only packets with this mark.
    pub(super) fn mark(self, mark: u32) -> Self {
        self.meta(Meta::Mark).compare(EQUAL, &mark.to_ne_bytes())
    }

    /// Only packets that the kernel takes for ones of that ethertype.
    pub(super) fn ethertype(self, ethertype: u16) -> Self {
        self.meta(Meta::Protocol).compare(EQUAL, &ethertype.to_be_bytes())
    }

    /// Only packets that were to a group, as their frame came in: `PACKET_MULTICAST`.
    pub(super) fn of_groups(self) -> Self {
        const MULTICAST: u8 = 2;
        self.meta(Meta::Kind).compare(EQUAL, &[MULTICAST])
    }

    /// Only packets of this address family.
    pub(super) fn family(self, family: Family) -> Self {
        self.meta(Meta::Family).compare(EQUAL, &[family as u8])
    }

    /// Only packets with an address among these. Reads IPv4 at IPv4's place and IPv6 at IPv6's,
    /// so the family must be compared before.
    pub(super) fn address(self, end: End, net: IpNet) -> Self {
        let (address, mask) = (octets(net.network()), octets(net.netmask()));
        let offset = match (net, end) {
            (IpNet::V4(_), End::Source) => 12,
            (IpNet::V4(_), End::Destination) => 16,
            (IpNet::V6(_), End::Source) => 8,
            (IpNet::V6(_), End::Destination) => 24,
        };
        match net.prefix_len() {
            0 => self,
            all if all == net.max_prefix_len() => {
                self.payload(NETWORK_HEADER, offset, address.len()).compare(EQUAL, &address)
            }
            _ => self
                .payload(NETWORK_HEADER, offset, address.len())
                .mask(&mask)
                .compare(EQUAL, &address),
        }
    }

    /// Only packets with these bytes at that place, counted from where the network's header begins.
    pub(super) fn network(self, offset: u32, bytes: &[u8]) -> Self {
        self.payload(NETWORK_HEADER, offset, bytes.len()).compare(EQUAL, bytes)
    }

    /// Only packets to this port of the transport protocol with this number.
    pub(super) fn port(self, transport: u8, port: u16) -> Self {
        self.meta(Meta::Transport)
            .compare(EQUAL, &[transport])
            .payload(TRANSPORT_HEADER, 2, 2)
            .compare(EQUAL, &port.to_be_bytes())
    }

    /// Only packets of a connection that is established or related to one.
    pub(super) fn established(self) -> Self {
        const NFT_CT_STATE: u32 = 0;
        const ESTABLISHED: u32 = 1 << 1;
        const RELATED: u32 = 1 << 2;
        // The state is a number in the register, so it has the machine's order, not the network's.
        self.add("ct", &Attrs::new().number(2, NFT_CT_STATE).number(1, FIRST))
            .mask(&(ESTABLISHED | RELATED).to_ne_bytes())
            .compare(NOT_EQUAL, &0u32.to_ne_bytes())
    }

    /// Counts the packets that came this far.
    pub(super) fn counter(self) -> Self {
        self.add(COUNTER, &Attrs::new())
    }

    /// Ends with a verdict.
    pub(super) fn verdict(self, verdict: Verdict) -> Self {
        let code = Attrs::new().number(VERDICT_CODE, verdict as u32);
        let data = Attrs::new().nest(DATA_VERDICT, &code);
        self.add("immediate", &Attrs::new().number(1, VERDICT).nest(2, &data))
    }

    /// Answers by ICMP or ICMPv6 port unreachable, whichever the packet's family has.
    pub(super) fn reject(self) -> Self {
        const NFT_REJECT_ICMPX_UNREACH: u32 = 2;
        const NFT_REJECT_ICMPX_PORT_UNREACH: u8 = 1;
        let attrs = Attrs::new()
            .number(1, NFT_REJECT_ICMPX_UNREACH)
            .bytes(2, &[NFT_REJECT_ICMPX_PORT_UNREACH]);
        self.add("reject", &attrs)
    }

    /// Answers by a TCP reset; the kernel drops what is no TCP without a word.
    pub(super) fn reset(self) -> Self {
        const NFT_REJECT_TCP_RST: u32 = 1;
        self.add("reject", &Attrs::new().number(1, NFT_REJECT_TCP_RST))
    }

    /// Gives the connection the address of the link that it leaves by as source.
    pub(super) fn masquerade(self) -> Self {
        self.add("masq", &Attrs::new())
    }

    /// Sends the connection on to another address and port.
    pub(super) fn dnat(self, to: SocketAddr) -> Self {
        const NFT_NAT_DNAT: u32 = 1;
        let attrs = Attrs::new()
            .number(1, NFT_NAT_DNAT)
            .number(2, u32::from(Family::of(to.ip()) as u8))
            .number(3, FIRST)
            .number(5, SECOND);
        self.load(FIRST, &octets(to.ip())).load(SECOND, &to.port().to_be_bytes()).add("nat", &attrs)
    }

    fn meta(self, key: Meta) -> Self {
        self.add("meta", &Attrs::new().number(2, key as u32).number(1, FIRST))
    }

    fn payload(self, header: u32, offset: u32, length: usize) -> Self {
        let attrs = Attrs::new()
            .number(1, FIRST)
            .number(2, header)
            .number(3, offset)
            .number(4, length_of(length));
        self.add("payload", &attrs)
    }

    /// Keeps only the bits of the mask in the first register.
    fn mask(self, mask: &[u8]) -> Self {
        let attrs = Attrs::new()
            .number(1, FIRST)
            .number(2, FIRST)
            .number(3, length_of(mask.len()))
            .nest(4, &value(mask))
            .nest(5, &value(&vec![0; mask.len()]));
        self.add("bitwise", &attrs)
    }

    fn compare(self, how: u32, with: &[u8]) -> Self {
        self.add("cmp", &Attrs::new().number(1, FIRST).number(2, how).nest(3, &value(with)))
    }

    fn load(self, register: u32, bytes: &[u8]) -> Self {
        self.add("immediate", &Attrs::new().number(1, register).nest(2, &value(bytes)))
    }

    fn add(self, name: &str, data: &Attrs) -> Self {
        let expr = Attrs::new().text(EXPR_NAME, name).nest(EXPR_DATA, data);
        Self(self.0.nest(LIST_ELEM, &expr))
    }
}

fn value(bytes: &[u8]) -> Attrs {
    Attrs::new().bytes(DATA_VALUE, bytes)
}

fn length_of(length: usize) -> u32 {
    u32::try_from(length).expect("a register has 16 bytes")
}

/// The whole field, so that `eth1` is not taken for the start of `eth10`.
fn padded(link: &str) -> [u8; IFNAMSIZ] {
    let mut field = [0; IFNAMSIZ];
    field[..link.len()].copy_from_slice(link.as_bytes());
    field
}
