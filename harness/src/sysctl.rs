//! The sysctls that a lab depends on, set in every one of its namespaces.
//!
//! A new namespace is not a clean slate: it copies the machine's settings. What a verdict may
//! depend on is therefore pinned here, before the first link is made; a topology's own sysctls
//! come after and win.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;

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
    // Addresses are those of the topology, and link-local ones, and usable at once.
    ("ipv6.conf.all.disable_ipv6", "0"),
    ("ipv6.conf.default.disable_ipv6", "0"),
    ("ipv6.conf.all.keep_addr_on_down", "1"),
    ("ipv6.conf.default.keep_addr_on_down", "1"),
    ("ipv6.conf.default.accept_dad", "0"),
    ("ipv6.conf.default.accept_ra", "0"),
    ("ipv6.conf.default.router_solicitations", "0"),
    // Each host answers for its own addresses only.
    ("ipv4.conf.all.proxy_arp", "0"),
    ("ipv4.conf.all.arp_ignore", "0"),
    // Bridged packets stay out of the IP firewall unless a bridge asks (`Bridge::nf_call`).
    ("bridge.bridge-nf-call-iptables", "0"),
    ("bridge.bridge-nf-call-ip6tables", "0"),
];

/// Sets the pinned sysctls in the current namespace.
///
/// Only those that differ: some writes take the lock of all link changes, and the kernel waits for
/// it in a busy loop. `addr_gen_mode` does so even when it is read, which was a fifth of the time
/// of the whole suite; so links keep their link-local addresses.
pub(crate) fn pin() -> Result<(), Error> {
    for (name, value) in PINNED {
        match adjust(name, value) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            ended => ended.map_err(|error| refused(name, value, &error))?,
        }
    }
    Ok(())
}

/// Sets one sysctl if it has another value.
fn adjust(name: &str, value: &str) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path(name))?;
    let mut now = [0; 64];
    let len = file.read(&mut now)?;
    if now[..len].trim_ascii_end() == value.as_bytes() {
        return Ok(());
    }
    file.write_all_at(value.as_bytes(), 0)
}

/// Sets one sysctl in the current namespace.
pub(crate) fn set(name: &str, value: &str) -> Result<(), Error> {
    fs::write(path(name), value).map_err(|error| refused(name, value, &error))
}

/// Reads one sysctl in the current namespace.
pub(crate) fn get(name: &str) -> Result<String, Error> {
    let text = fs::read_to_string(path(name)).map_err(|error| {
        Error::new(
            format!("cannot read `net.{name}`: {error}"),
            path(name),
            "check its name below `net.`, and that this kernel has it for each network namespace",
        )
    })?;
    Ok(text.trim_end().to_owned())
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
