//! What a namespace's packet filter sees of what passes, where no firewall of routed packets is asked;
//! and what its IP stacks count.

use hairpin_model::Error;

use super::Lab;
use crate::nft::{self, Watch};
use crate::snmp;

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
        let read = || match name.starts_with("Ip6") {
            true => snmp::ipv6(name),
            false => snmp::ipv4(&["Ip:", "IpExt:"], name),
        };
        let found: std::io::Result<_> = self.inside(netns, read)?;
        let help = "does the kernel have a counter of that name?";
        let found = found.map_err(|error| {
            Error::new(format!("cannot read the counters of IP: {error}"), netns, help)
        })?;
        found.ok_or_else(|| Error::new(format!("no counter `{name}`"), netns, help))
    }
}
