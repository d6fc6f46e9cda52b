//! What this machine allows, and the remedy where it does not.

pub(crate) mod packages;
pub(crate) mod privilege;
pub(crate) mod probe;
pub(crate) mod remedy;

/// The kernel's release, as `uname -r` prints it.
pub(crate) fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(|_| "an unknown kernel".into(), |text| text.trim().to_owned())
}
