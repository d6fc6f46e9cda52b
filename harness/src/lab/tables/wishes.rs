//! What a bridge knows of a member besides that it is one: whom it wants to hear, for how long that
//! holds, and who said so (`bridge -d -s mdb show`).

use std::fmt;
use std::net::IpAddr;

use hairpin_model::Error;

use super::super::Lab;
use super::mdb::{MdbEntry, address};
use super::u32_at;
use crate::attrs::{find, parse};

/// Of `MDBA_MDB_EATTR_*`, which follow a membership.
const TIMER: u16 = 1;
const SENDERS: u16 = 2;
const MODE: u16 = 3;
const ORIGIN: u16 = 5;
/// Of `MDBA_MDB_SRCATTR_*`.
const SENDER: u16 = 1;
const SENDER_TIMER: u16 = 2;

/// A membership of all senders, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    entry: MdbEntry,
    /// Whether the senders alone are heard, or all but they, where the bridge knows of senders.
    includes: Option<bool>,
    /// Who made it: `RTPROT_*`.
    origin: Option<u8>,
    /// How long it holds yet, in tens of seconds and up.
    rest: u32,
    /// The senders, and how long each holds yet.
    senders: Vec<(IpAddr, u32)>,
}

impl fmt::Display for Wish {
    /// `239.1.2.3 p2 only by 2 for 0: 192.0.2.1 for 26`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.includes.map_or("", |only| if only { " only" } else { " all but" });
        let origin = self.origin.map_or_else(String::new, |number| format!(" by {number}"));
        write!(f, "{}{mode}{origin} for {}", self.entry, self.rest)?;
        for (at, (sender, rest)) in self.senders.iter().enumerate() {
            write!(f, "{} {sender} for {rest}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Lab {
    /// What the bridges of a namespace know of the members of groups, whatever their senders.
    pub async fn wishes(&self, netns: &str) -> Result<Vec<Wish>, Error> {
        let mut found = Vec::new();
        for (_, body) in &self.group_tables(netns, "show the memberships")? {
            let infos = super::mdb::infos(body);
            found.extend(infos.filter_map(|info| wish(self.membership(netns, info)?, info)));
        }
        found.retain(|wish| wish.entry.source.is_none());
        found.sort();
        Ok(found)
    }
}

fn wish(entry: MdbEntry, info: &[u8]) -> Option<Wish> {
    let attrs = info.get(28..)?;
    let listed = parse(find(attrs, SENDERS).unwrap_or_default());
    let mut senders: Vec<_> = listed.filter_map(|(_, sender)| heard(sender)).collect();
    senders.sort();
    Some(Wish {
        entry,
        includes: find(attrs, MODE).map(|mode| mode.first() == Some(&1)),
        origin: find(attrs, ORIGIN).and_then(|origin| origin.first().copied()),
        rest: tens(find(attrs, TIMER)?)?,
        senders,
    })
}

fn heard(sender: &[u8]) -> Option<(IpAddr, u32)> {
    Some((address(find(sender, SENDER)?)?, tens(find(sender, SENDER_TIMER)?)?))
}

/// A time in the kernel's hundredths of a second, in tens of seconds.
fn tens(hundredths: &[u8]) -> Option<u32> {
    hundredths.get(..4).map(|bytes| u32_at(bytes, 0).div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_tens_of_seconds_and_up() {
        let told = [0_u32, 1, 25_001, 26_000].map(|time| tens(&time.to_ne_bytes()));
        assert_eq!(told, [Some(0), Some(1), Some(26), Some(26)]);
        assert_eq!(tens(&[0, 0]), None);
    }
}
