//! What a namespace's packet filter sees of what passes, where no firewall of routed packets is asked;
//! and what its IP stacks count.

use std::fs;

use hairpin_model::Error;

use super::Lab;
use crate::nft::{self, Watch};

impl Lab {
    /// Has a namespace count what a watch is for, from zero. Another of the same kind ends.
    pub fn watch(&mut self, netns: &str, watch: &Watch) -> Result<(), Error> {
        self.inside(netns, || nft::set_watch(watch))?.map_err(Error::from)?;
        self.tell(|| format!("{netns} watches: {watch}"));
        Ok(())
    }

    /// How many packets that has counted.
    pub fn watched(&self, netns: &str, watch: &Watch) -> Result<u64, Error> {
        let count = self.inside(netns, || nft::watched(watch))?.map_err(Error::from)?;
        count.ok_or_else(|| {
            Error::new("nobody watches that", netns, "have the namespace watch it first")
        })
    }

    /// A counter of a namespace's IP stacks by its name: of IPv4's header lines in `snmp` and
    /// `netstat`, `InHdrErrors`, or of IPv6, `Ip6InHdrErrors`.
    pub fn ip_counter(&self, netns: &str, name: &str) -> Result<u64, Error> {
        let read = |file| fs::read_to_string(format!("/proc/thread-self/net/{file}"));
        let read = || Ok([read("snmp")?, read("netstat")?, read("snmp6")?]);
        let files: std::io::Result<_> = self.inside(netns, read)?;
        let help = "does the kernel have a counter of that name?";
        let files = files.map_err(|error| {
            Error::new(format!("cannot read the counters of IP: {error}"), netns, help)
        })?;
        let found = files.iter().find_map(|text| listed(text, name));
        found.ok_or_else(|| Error::new(format!("no counter `{name}`"), netns, help))
    }
}

/// A counter in such a file: below its name in a line of names that begins as its own does, or beside
/// its name.
fn listed(text: &str, name: &str) -> Option<u64> {
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    let beside = lines.iter().find(|line| line.len() == 2 && line[0] == name);
    if let Some(line) = beside {
        return line[1].parse().ok();
    }
    lines.windows(2).filter(|pair| pair[0].first() == pair[1].first()).find_map(|pair| {
        let is_ip = matches!(pair[0].first(), Some(&"Ip:" | &"IpExt:"));
        let at = pair[0].iter().position(|word| is_ip && *word == name)?;
        pair[1].get(at)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_below_its_name_or_beside_it() {
        let snmp = "Icmp: InErrors\nIcmp: 4\nIp: Forwarding InErrors\nIp: 1 5\n";
        assert_eq!(listed(snmp, "InErrors"), Some(5));
        assert_eq!(listed(snmp, "OutErrors"), None);
        assert_eq!(listed("Ip6InErrors   \t7\n", "Ip6InErrors"), Some(7));
    }
}
