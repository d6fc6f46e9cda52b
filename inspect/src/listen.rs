//! The sockets that wait for somebody, as the namespace of the thread lists them.

use std::fs;
use std::net::IpAddr;

use hairpin_explain::snapshot::Listener;
use hairpin_model::firewall::Protocol;

/// The lists, and the state in them of a socket that waits: `TCP_LISTEN`, and `TCP_CLOSE` of UDP,
/// which is no state but that it is bound and belongs to nobody yet.
const LISTS: [(&str, Protocol, &str); 4] = [
    ("tcp", Protocol::Tcp, "0A"),
    ("tcp6", Protocol::Tcp, "0A"),
    ("udp", Protocol::Udp, "07"),
    ("udp6", Protocol::Udp, "07"),
];

/// All of them.
pub(crate) fn read() -> Vec<Listener> {
    let list = |(name, protocol, waits): (&str, Protocol, &str)| -> Vec<Listener> {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
        text.lines().skip(1).filter_map(|line| listener(line, protocol, waits)).collect()
    };
    let mut all: Vec<Listener> = LISTS.into_iter().flat_map(list).collect();
    all.sort_by_key(|one| (one.protocol == Protocol::Udp, one.ip, one.port));
    all.dedup();
    all
}

/// A line: its number, the own address, the other's, the state, and what does not matter here.
fn listener(line: &str, protocol: Protocol, waits: &str) -> Option<Listener> {
    let mut words = line.split_whitespace().skip(1);
    let (own, state) = (words.next()?, words.nth(1)?);
    let (ip, port) = own.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == waits).then_some(Listener { protocol, ip: address(ip)?, port })
}

/// An address, in words of 32 bits that have the machine's order.
fn address(hex: &str) -> Option<IpAddr> {
    let words = hex.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let four = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from).ok();
    four.or_else(|| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let own = u32::from_ne_bytes([127, 0, 0, 1]);
        let line = format!("   0: {own:08X}:1F90 00000000:0000 0A 00000000:00000000 00:00000000");
        let found = listener(&line, Protocol::Tcp, "0A").expect("it waits");
        assert_eq!((found.ip, found.port), (IpAddr::from([127, 0, 0, 1]), 8080));
        assert_eq!(listener(&line, Protocol::Tcp, "01"), None);
        let one = format!("{:08X}", u32::from_ne_bytes([0, 0, 0, 1]));
        let six = address(&format!("{:024}{one}", 0)).expect("an address");
        assert_eq!(six, "::1".parse::<IpAddr>().expect("an address"));
    }
}
