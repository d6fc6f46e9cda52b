//! Steps that `iptables-nft` writes: matches and targets of the older iptables within a rule of
//! nftables, said by steps of nftables' own.
//!
//! Whoever is not here, or has a demand that is not, stays another step.

use hairpin_explain::ruleset::{Entry, Step};

/// Where a step keeps what the next one asks about: no register of the kernel's has that number.
const SCRATCH: u32 = 1000;
const PORT: u32 = 1001;
/// `NFPROTO_IPV4`.
const IPV4: u8 = 2;

/// What a match demands.
pub(super) fn demand(family: u8, name: &str, revision: u32, info: &[u8]) -> Option<Vec<Step>> {
    match (name, revision) {
        ("comment", _) => Some(vec![Step::Idle]),
        ("conntrack", 2 | 3) => connection(info),
        ("state", 0) => Some(in_state(u16::try_from(word(info, 0)?).ok()?, false)),
        ("addrtype", 1) => kind_of_address(family, info),
        ("tcp", 0) => tcp(info),
        ("udp", 0) => ports(info, info.get(8).copied()?),
        ("multiport", 1) => several_ports(info),
        ("icmp", 0) if family == IPV4 => icmp(info),
        ("icmp6", 0) if family != IPV4 => icmp(info),
        _ => None,
    }
}

/// What a target does.
pub(super) fn act(family: u8, name: &str, revision: u32, info: &[u8]) -> Option<Vec<Step>> {
    match (name, revision) {
        ("LOG" | "NFLOG" | "TCPMSS" | "CHECKSUM", _) => Some(vec![Step::Idle]),
        ("REJECT", _) => Some(vec![Step::Reject]),
        ("MASQUERADE", _) => Some(vec![Step::Masquerade]),
        ("DNAT", 1 | 2) => translation(true, family, info),
        ("SNAT", 1) => translation(false, family, info),
        ("DNAT" | "SNAT", 0) if family == IPV4 => older_translation(name == "DNAT", info),
        _ => None,
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// `struct xt_conntrack_mtinfo3`, as far as it asks for states alone.
fn connection(info: &[u8]) -> Option<Vec<Step>> {
    const MATCHES: usize = 146;
    const INVERTS: usize = 148;
    const STATES: usize = 150;
    /// `XT_CONNTRACK_STATE`, and `XT_CONNTRACK_STATE_ALIAS`: it was written as `-m state`.
    const STATE: u16 = 1;
    const ALIAS: u16 = 1 << 13;
    if half(info, MATCHES)? & !ALIAS != STATE {
        return None;
    }
    /// `XT_CONNTRACK_STATE_UNTRACKED`, which nftables has elsewhere; above the states that both have.
    const UNTRACKED: u16 = 1 << 8;
    const BOTH: u16 = 0b1111;
    let asked = half(info, STATES)?;
    if asked & !(BOTH | UNTRACKED) != 0 {
        return None;
    }
    let untracked = if asked & UNTRACKED == 0 { 0 } else { 1 << 6 };
    Some(in_state(asked & BOTH | untracked, half(info, INVERTS)? & STATE != 0))
}

/// Goes on if the connection is in one of these states (or in none).
fn in_state(states: u16, unlike: bool) -> Vec<Step> {
    const STATE: u32 = 0;
    let (none, mask) = (vec![0; 4], u32::from(states).to_ne_bytes().to_vec());
    vec![
        Step::Ct { key: STATE, to: SCRATCH },
        Step::Mask { from: SCRATCH, to: SCRATCH, mask, xor: none.clone() },
        Step::Compare { from: SCRATCH, unlike: !unlike, with: none },
    ]
}

/// `struct xt_addrtype_info_v1`: sources, destinations, flags. Of IPv6, only what is the namespace's
/// own is asked of the routes.
fn kind_of_address(family: u8, info: &[u8]) -> Option<Vec<Step>> {
    const LOCAL: u32 = 2;
    const KIND: u32 = 3;
    /// By the link that it passes.
    const LIMITED: u32 = 0b1100;
    let flags = word(info, 4)?;
    if flags & LIMITED != 0 {
        return None;
    }
    let mut steps = Vec::new();
    for (end, (at, inverts)) in [(1, (0, 1)), (2, (2, 2))] {
        let kinds = half(info, at)?;
        if kinds == 0 {
            continue;
        }
        let kind = kinds.trailing_zeros();
        if kinds.count_ones() > 1 || (family != IPV4 && kind != LOCAL) {
            return None;
        }
        steps.push(Step::Fib { flags: end, result: KIND, to: SCRATCH });
        let unlike = flags & inverts != 0;
        steps.push(Step::Compare { from: SCRATCH, unlike, with: kind.to_ne_bytes().to_vec() });
    }
    Some(steps)
}

/// `struct xt_tcp`: ports, an option, flags and which of them, what is inverted.
fn tcp(info: &[u8]) -> Option<Vec<Step>> {
    const FLAGS: u32 = 13;
    let [option, mask, flags, inverts] = *info.get(8..)?.first_chunk()?;
    if option != 0 {
        return None;
    }
    let mut steps = ports(info, inverts)?;
    if mask != 0 {
        const FLAGS_INVERTED: u8 = 4;
        steps.push(Step::Payload { base: 2, offset: FLAGS, length: 1, to: SCRATCH });
        let (mask, xor) = (vec![mask], vec![0]);
        steps.push(Step::Mask { from: SCRATCH, to: SCRATCH, mask, xor });
        let unlike = inverts & FLAGS_INVERTED != 0;
        steps.push(Step::Compare { from: SCRATCH, unlike, with: vec![flags] });
    }
    Some(steps)
}

/// The first and the last port of the source, then of the destination, in this machine's order.
fn ports(info: &[u8], inverts: u8) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for (at, offset, inverted) in [(0, 0, 1), (4, 2, 2)] {
        let (least, most) = (half(info, at)?, half(info, at + 2)?);
        let unlike = inverts & inverted != 0;
        if (least, most) == (0, u16::MAX) && !unlike {
            continue;
        }
        steps.push(Step::Payload { base: 2, offset, length: 2, to: PORT });
        let entries = vec![between(least, most)];
        steps.push(Step::Lookup { from: PORT, unlike, to: None, entries });
    }
    Some(steps)
}

fn between(least: u16, most: u16) -> Entry {
    Entry::between(least.to_be_bytes().to_vec(), most.to_be_bytes().to_vec())
}

/// `struct xt_multiport_v1`: of which end, how many, the ports, which begin a range, whether inverted.
fn several_ports(info: &[u8]) -> Option<Vec<Step>> {
    const MOST: usize = 15;
    const BEGINS: usize = 2 + 2 * MOST;
    let offset = match info.first()? {
        0 => 0,
        1 => 2,
        // Either end's.
        _ => return None,
    };
    let count = usize::from(*info.get(1)?);
    let port = |place: usize| half(info, 2 + 2 * place);
    let (mut entries, mut place) = (Vec::new(), 0);
    while place < count {
        let is_range = *info.get(BEGINS + place)? != 0;
        let last = if is_range { place + 1 } else { place };
        entries.push(between(port(place)?, port(last)?));
        place = last + 1;
    }
    let unlike = *info.get(BEGINS + MOST)? != 0;
    Some(vec![
        Step::Payload { base: 2, offset, length: 2, to: PORT },
        Step::Lookup { from: PORT, unlike, to: None, entries },
    ])
}

/// `struct ipt_icmp`: the type, the first and last code, whether inverted.
fn icmp(info: &[u8]) -> Option<Vec<Step>> {
    const ANY: u8 = 0xff;
    let [kind, least, most, inverts] = *info.first_chunk()?;
    if inverts != 0 {
        return None;
    }
    let mut steps = Vec::new();
    if kind != ANY {
        steps.push(Step::Payload { base: 2, offset: 0, length: 1, to: SCRATCH });
        steps.push(Step::Compare { from: SCRATCH, unlike: false, with: vec![kind] });
    }
    if (least, most) != (0, ANY) {
        steps.push(Step::Payload { base: 2, offset: 1, length: 1, to: SCRATCH });
        let entries = vec![Entry::between(vec![least], vec![most])];
        steps.push(Step::Lookup { from: SCRATCH, unlike: false, to: None, entries });
    }
    Some(steps)
}

/// `NF_NAT_RANGE_MAP_IPS` and `PROTO_SPECIFIED`; those of the others that change nothing here
/// (`PROTO_RANDOM`, `PERSISTENT`, `PROTO_RANDOM_FULLY`).
const ADDRESSES: u32 = 1;
const PORTS: u32 = 2;
const PLAIN: u32 = 0b1_1111;

/// `struct nf_nat_range`: flags, the first and last address, the first and last port.
fn translation(destination: bool, family: u8, info: &[u8]) -> Option<Vec<Step>> {
    let length = if family == IPV4 { 4 } else { 16 };
    let address = |at: usize| info.get(at..at + length);
    let addresses = (address(4)?, address(20)?);
    translate(destination, word(info, 0)?, addresses, (info.get(36..38)?, info.get(38..40)?))
}

/// `struct nf_nat_ipv4_multi_range_compat` of one range.
fn older_translation(destination: bool, info: &[u8]) -> Option<Vec<Step>> {
    if word(info, 0)? != 1 {
        return None;
    }
    let addresses = (info.get(8..12)?, info.get(12..16)?);
    translate(destination, word(info, 4)?, addresses, (info.get(16..18)?, info.get(18..20)?))
}

/// One address, one port: of a range nobody knows which it will be.
fn translate(
    destination: bool,
    flags: u32,
    addresses: (&[u8], &[u8]),
    ports: (&[u8], &[u8]),
) -> Option<Vec<Step>> {
    if flags & !PLAIN != 0 {
        return None;
    }
    let mut steps = Vec::new();
    let mut load = |flag: u32, to: u32, (least, most): (&[u8], &[u8])| {
        if flags & flag == 0 {
            return Some(None);
        }
        steps.push(Step::Load { to, data: least.to_vec() });
        (least == most).then_some(Some(to))
    };
    let (address, port) = (load(ADDRESSES, SCRATCH, addresses)?, load(PORTS, PORT, ports)?);
    steps.push(Step::Translate { destination, address, port });
    Some(steps)
}
