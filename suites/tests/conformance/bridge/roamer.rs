//! An address that is no link's own, and what a bridge knows and tells of it: for cases about entries.

use hairpin_harness::{CaseLab, Mac, Notices, Shot, Stop};

/// An address that no link of the topology has.
pub(super) const ROAMER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x1a]);

/// Another, which ages as any does: once it is forgotten, the first had the time to be.
pub(super) const PASSER: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x1b]);

pub(super) fn here_i_am() -> Shot {
    Shot::broadcast().from(ROAMER)
}

/// Holds what the bridge knows of the roamer without regard to VLANs.
pub(super) async fn expect_roamer(lab: &CaseLab, when: &str, lines: &[&str]) -> Result<(), Stop> {
    let entries = lab.fdb("sw").await?.into_iter();
    let ours = entries.filter(|entry| entry.mac == ROAMER && entry.vlan.is_none());
    let seen = ours.map(|entry| entry.to_string().replace(&format!("{ROAMER} "), ""));
    lab.expect_lines(when, seen, lines)
}

/// Holds what was told of the roamer without regard to VLANs.
pub(super) fn expect_told(
    lab: &CaseLab,
    notices: &Notices,
    when: &str,
    lines: &[&str],
) -> Result<(), Stop> {
    let name = ROAMER.to_string();
    let told = lab.told_of(notices)?.into_iter();
    let told = told.filter(|line| line.contains(&name) && !line.contains("vlan"));
    lab.expect_lines(when, told.map(|line| line.replace(&name, "it")), lines)
}
