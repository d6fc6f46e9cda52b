//! What the IP stacks of the calling thread's namespace count (`/proc/net/snmp`, `netstat`, `snmp6`; RFC 4293).

use std::fs;
use std::io;

/// A counter of IPv4's stack by its name in the lines of that protocol: `Udp:`.
pub(crate) fn ipv4(protocols: &[&str], name: &str) -> io::Result<Option<u64>> {
    let tables = read("snmp")? + &read("netstat")?;
    Ok(below(&tables, protocols, name))
}

/// A counter of IPv6's stack by its name.
pub(crate) fn ipv6(name: &str) -> io::Result<Option<u64>> {
    Ok(beside(&read("snmp6")?, name))
}

fn read(file: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/thread-self/net/{file}"))
}

/// Below its name: lines of names and lines of values take turns, and both begin with the protocol.
fn below(tables: &str, protocols: &[&str], name: &str) -> Option<u64> {
    let lines: Vec<Vec<&str>> =
        tables.lines().map(|line| line.split_whitespace().collect()).collect();
    let ours =
        lines.chunks(2).filter(|pair| pair[0].first().is_some_and(|p| protocols.contains(p)));
    ours.filter_map(|pair| {
        let at = pair[0].iter().position(|word| *word == name)?;
        pair.get(1)?.get(at)?.parse().ok()
    })
    .next()
}

/// Beside its name.
fn beside(table: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let (_, value) = lines.find(|(first, _)| *first == name)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_below_its_name_or_beside_it() {
        let snmp = "Icmp: InErrors\nIcmp: 4\nIp: Forwarding InErrors\nIp: 1 5\n";
        assert_eq!(below(snmp, &["Ip:"], "InErrors"), Some(5));
        assert_eq!(below(snmp, &["Ip:"], "OutErrors"), None);
        assert_eq!(beside("Ip6InErrors   \t7\n", "Ip6InErrors"), Some(7));
    }
}
