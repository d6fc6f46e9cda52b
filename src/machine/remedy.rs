//! What to do about something that a kernel lacks.

/// What a need stands on: the beginning of its words, its modules, its options.
const PARTS: &[(&str, &[&str], &str)] = &[
    ("driver `bond`", &["bonding"], "CONFIG_BONDING"),
    ("driver `bridge`", &["bridge"], "CONFIG_BRIDGE"),
    ("driver `dummy`", &["dummy"], "CONFIG_DUMMY"),
    ("driver `ipvlan`", &["ipvlan"], "CONFIG_IPVLAN"),
    ("driver `ipvtap`", &["ipvtap"], "CONFIG_IPVTAP"),
    ("driver `macvlan`", &["macvlan"], "CONFIG_MACVLAN"),
    ("driver `macvtap`", &["macvtap"], "CONFIG_MACVTAP"),
    ("driver `veth`", &["veth"], "CONFIG_VETH"),
    ("driver `vlan`", &["8021q"], "CONFIG_VLAN_8021Q"),
    ("driver `vxlan`", &["vxlan"], "CONFIG_VXLAN"),
    (
        "nftables with NAT",
        &["nf_tables", "nft_ct", "nft_masq", "nft_nat"],
        "CONFIG_NF_TABLES_INET, CONFIG_NFT_CT, CONFIG_NFT_NAT, CONFIG_NFT_MASQ",
    ),
    ("bridge VLAN filtering", &[], "CONFIG_BRIDGE_VLAN_FILTERING"),
    ("locked bridge ports", &[], "CONFIG_BRIDGE, of 5.18 or later"),
    ("the count of those that ask for all groups", &[], "CONFIG_NET, of 6.0 or later"),
    ("macvtap character devices", &["macvtap"], "CONFIG_MACVTAP, as root"),
    ("XDP programs", &[], "CONFIG_BPF_SYSCALL, as root"),
    ("br_netfilter", &["br_netfilter"], "CONFIG_BRIDGE_NETFILTER"),
    ("netem", &["sch_netem"], "CONFIG_NET_SCH_NETEM"),
];

/// The modules that this kernel could load.
pub(crate) struct Modules {
    /// `modules.dep` of the running kernel; empty if it has no modules.
    listing: String,
    release: String,
}

impl Modules {
    /// Those of the running kernel.
    pub(crate) fn of_this_kernel() -> Self {
        let release = super::kernel();
        let path = format!("/lib/modules/{release}/modules.dep");
        Self { listing: std::fs::read_to_string(path).unwrap_or_default(), release }
    }

    /// Whether a module is there to be loaded.
    fn has(&self, module: &str) -> bool {
        let name = |path: &str| {
            let file = path.rsplit('/').next()?;
            Some(file.split_once(".ko")?.0.replace('-', "_"))
        };
        let paths = self.listing.lines().filter_map(|line| line.split(':').next());
        paths.filter_map(name).any(|found| found == module)
    }

    /// What to do about a missing need, given in its words; none for words that we do not know.
    pub(crate) fn remedy(&self, missing: &str) -> Option<String> {
        if missing.starts_with("Linux ") {
            return Some(format!("run on {missing} or a later kernel"));
        }
        if missing == hairpin_model::Need::VIRTUAL_TIME {
            return Some("run in a guest: `hairpin check --kernel 6.12` has such guests".into());
        }
        let (_, modules, options) =
            PARTS.iter().find(|(words, _, _)| missing.starts_with(words))?;
        if !modules.is_empty() && modules.iter().all(|module| self.has(module)) {
            return Some(format!("as root: modprobe -a {}", modules.join(" ")));
        }
        let extra = if self.listing.is_empty() || modules.is_empty() {
            String::new()
        } else {
            format!(" (on Ubuntu: apt-get install linux-modules-extra-{})", self.release)
        };
        Some(format!("run on a kernel built with {options}{extra}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_there_is_loaded_and_another_kernel_named_otherwise() {
        let listing = "kernel/net/8021q/8021q.ko.zst: kernel/net/802/mrp.ko\n\
            kernel/net/bridge/br-netfilter.ko: a\n";
        let modules = Modules { listing: listing.into(), release: "6.1.0".into() };
        let needs = [
            "driver `vlan`",
            "br_netfilter: no sysctl",
            "driver `macvlan`",
            "bridge VLAN filtering",
        ];
        let told: Vec<String> = needs.iter().filter_map(|n| modules.remedy(n)).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        as root: modprobe -a 8021q
        as root: modprobe -a br_netfilter
        run on a kernel built with CONFIG_MACVLAN (on Ubuntu: apt-get install linux-modules-extra-6.1.0)
        run on a kernel built with CONFIG_BRIDGE_VLAN_FILTERING
        ");
        assert_eq!(modules.remedy("a driver nobody knows"), None);
    }

    #[test]
    fn every_need_of_the_model_has_a_remedy() {
        use hairpin_model::Need;
        let none = Modules { listing: String::new(), release: String::new() };
        let needs = [
            Need::Driver("bridge"),
            Need::Driver("macvlan"),
            Need::Driver("veth"),
            Need::Driver("vlan"),
            Need::Nftables,
            Need::VlanFiltering,
            Need::LockedPorts,
            Need::BrNetfilter,
            Need::AllmultiCount,
            Need::MacvtapDevice,
            Need::Xdp,
            Need::VirtualTime,
            Need::Since(6, 4),
        ];
        for need in needs {
            assert!(none.remedy(&need.to_string()).is_some(), "{need}");
        }
    }
}
