//! The sysctls that a lab depends on, set in every one of its namespaces.
//!
//! A new namespace is not a clean slate: it copies the machine's settings. What a verdict may
//! depend on is therefore pinned here, before the first link is made; a topology's own sysctls
//! come after and win.

use std::fs;
use std::io::ErrorKind;

use hairpin_model::Error;

/// Name below `net.` and value. Those that a kernel does not have are passed over: it then has
/// nothing to pin.
pub const PINNED: &[(&str, &str)] = &[
    // Docker and friends switch routing on for the whole machine.
    ("ipv4.ip_forward", "0"),
    ("ipv6.conf.all.forwarding", "0"),
    // A reverse path filter drops what the topology says should pass.
    ("ipv4.conf.all.rp_filter", "0"),
    ("ipv4.conf.default.rp_filter", "0"),
    // An error that is rate-limited away looks like a drop.
    ("ipv4.icmp_ratelimit", "0"),
    ("ipv6.icmp.ratelimit", "0"),
    ("ipv4.icmp_echo_ignore_all", "0"),
    // Addresses are exactly those of the topology, and usable at once.
    ("ipv6.conf.all.disable_ipv6", "0"),
    ("ipv6.conf.default.disable_ipv6", "0"),
    ("ipv6.conf.all.keep_addr_on_down", "1"),
    ("ipv6.conf.default.keep_addr_on_down", "1"),
    ("ipv6.conf.default.accept_dad", "0"),
    ("ipv6.conf.default.accept_ra", "0"),
    ("ipv6.conf.default.router_solicitations", "0"),
    // No link-local addresses: the reports that come with them teach switches where hosts are.
    ("ipv6.conf.default.addr_gen_mode", "1"),
    // Each host answers for its own addresses only.
    ("ipv4.conf.all.proxy_arp", "0"),
    ("ipv4.conf.all.arp_ignore", "0"),
    // Bridged packets stay out of the IP firewall unless a bridge asks (`Bridge::nf_call`).
    ("bridge.bridge-nf-call-iptables", "0"),
    ("bridge.bridge-nf-call-ip6tables", "0"),
];

/// Sets the pinned sysctls in the current namespace.
pub(crate) fn pin() -> Result<(), Error> {
    for (name, value) in PINNED {
        match fs::write(path(name), value) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.map_err(|error| refused(name, value, &error))?,
        }
    }
    Ok(())
}

/// Gives the links of the current namespace link-local addresses: a router asks for its neighbours
/// from there.
pub(crate) fn make_router() -> Result<(), Error> {
    set("ipv6.conf.default.addr_gen_mode", "0")
}

/// Sets one sysctl in the current namespace.
pub(crate) fn set(name: &str, value: &str) -> Result<(), Error> {
    fs::write(path(name), value).map_err(|error| refused(name, value, &error))
}

/// `ipv4.conf.eth0.rp_filter` as its file: a link's name with a dot in it is written with `/`.
fn path(name: &str) -> String {
    let below = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    format!("/proc/sys/net/{below}")
}

fn refused(name: &str, value: &str, error: &std::io::Error) -> Error {
    Error::new(
        format!("cannot set `net.{name}` to `{value}`: {error}"),
        path(name),
        "check its name below `net.`, and that this kernel has it for each network namespace",
    )
}
