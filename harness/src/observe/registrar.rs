//! What machines say of the VLANs that they are in: declarations of GVRP (IEEE 802.1D-2004, 12) and
//! MVRP (IEEE 802.1Q, 10 and 11), read as a machine has sent them.
//!
//! A declaration waits for a timer of the kernel's, with all others that are made meanwhile: of two
//! that were made one behind the other, the later never comes before the earlier.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use hairpin_model::{Error, Mac};

use super::bpdu::{ETH_P_802_2, LLC};
use super::ear::Ear;
use crate::lab::Lab;

/// Where both protocols are spoken.
const REGISTRARS: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x21]);

/// By which protocol VLANs are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The older: `gvrp on`.
    Gvrp,
    /// The newer: `mvrp on`.
    Mvrp,
}

impl Registration {
    /// What the kernel calls its frames (`linux/if_ether.h`).
    const fn ethertype(self) -> u16 {
        match self {
            Self::Gvrp => ETH_P_802_2,
            Self::Mvrp => 0x88f5,
        }
    }
}

/// What is said of one VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// The speaker is in it.
    Join(u16),
    /// The speaker is no longer in it.
    Leave(u16),
}

impl Declared {
    /// The VLAN.
    pub const fn vlan(self) -> u16 {
        match self {
            Self::Join(vlan) | Self::Leave(vlan) => vlan,
        }
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(vlan) => write!(f, "joins {vlan}"),
            Self::Leave(vlan) => write!(f, "leaves {vlan}"),
        }
    }
}

/// How long a declaration may take. The kernel's timers are of a fifth of a second, and of one.
const PATIENCE: Duration = Duration::from_secs(10);

/// An ear of a host for declarations, from the time that it was opened.
#[derive(Debug)]
pub struct RegistrarEar {
    ear: Ear,
    protocol: Registration,
    heard: VecDeque<Declared>,
}

/// Opens an ear.
pub(crate) async fn hear_registrations(
    lab: &Lab,
    host: &str,
    protocol: Registration,
) -> Result<RegistrarEar, Error> {
    let ear = Ear::open(lab, host, protocol.ethertype(), "declarations of VLANs").await?;
    Ok(RegistrarEar { ear, protocol, heard: VecDeque::new() })
}

impl RegistrarEar {
    /// What is said until that is, and without it; if it is not within ten seconds that is an error,
    /// and proves nothing.
    pub fn until(&mut self, wanted: Declared) -> Result<Vec<Declared>, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        while let Some(said) = self.next(deadline)? {
            if said == wanted {
                return Ok(before);
            }
            before.push(said);
        }
        let (host, seconds) = (&self.ear.host, PATIENCE.as_secs());
        Err(Error::new(
            format!("`{host}` did not hear that the other end {wanted} in {seconds} s"),
            format!("{:?}, heard {before:?}", self.protocol),
            "is the link up, and does it have the flag?",
        ))
    }

    /// The next declaration; a frame has several.
    fn next(&mut self, until: Instant) -> Result<Option<Declared>, Error> {
        while self.heard.is_empty() {
            let protocol = self.protocol;
            let Some(all) = self.ear.wait(until, |frame, _, _| read(protocol, frame))? else {
                return Ok(None);
            };
            self.heard.extend(all);
        }
        Ok(self.heard.pop_front())
    }
}

/// What a frame declares, if it is one of that protocol.
fn read(protocol: Registration, frame: &[u8]) -> Option<Vec<Declared>> {
    let body = frame.strip_prefix(&REGISTRARS.0)?.get(8..)?;
    match protocol {
        Registration::Gvrp => of_gvrp(body.strip_prefix(&LLC)?.strip_prefix(&[0, 1, 1])?),
        Registration::Mvrp => of_mvrp(body.strip_prefix(&[0, 1, 2])?),
    }
}

/// Attributes, each of its length, what happened, and a VLAN; none is the end.
fn of_gvrp(mut rest: &[u8]) -> Option<Vec<Declared>> {
    let mut all = Vec::new();
    while *rest.first()? == 4 {
        let [_, event, high, low] = *rest.first_chunk()?;
        let vlan = u16::from_be_bytes([high, low]);
        match event {
            1 | 2 => all.push(Declared::Join(vlan)),
            3 | 4 => all.push(Declared::Leave(vlan)),
            _ => {}
        }
        rest = &rest[4..];
    }
    Some(all)
}

/// Vectors, each of how many VLANs it is about, the first of them, and what happened to each: three
/// to a byte, in base six; none is the end.
fn of_mvrp(mut rest: &[u8]) -> Option<Vec<Declared>> {
    let mut all = Vec::new();
    while let Some([high, low, first_high, first_low]) = rest.first_chunk() {
        let count = u16::from_be_bytes([*high, *low]) & 0x1fff;
        let first = u16::from_be_bytes([*first_high, *first_low]);
        if count == 0 {
            break;
        }
        let bytes = usize::from(count).div_ceil(3);
        let events = rest.get(4..4 + bytes)?.iter().flat_map(|b| [b / 36, b / 6 % 6, b % 6]);
        for (vlan, event) in (first..first.checked_add(count)?).zip(events) {
            match event {
                0 | 1 | 3 => all.push(Declared::Join(vlan)),
                5 => all.push(Declared::Leave(vlan)),
                _ => {}
            }
        }
        rest = &rest[4 + bytes..];
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        [&REGISTRARS.0[..], &[2, 0, 0, 0, 0, 1, 0, 0], body, &[0; 40]].concat()
    }

    #[test]
    fn declarations_are_read_as_the_standards_have_them() {
        use Declared::{Join, Leave};
        let gvrp = frame(&[0x42, 0x42, 3, 0, 1, 1, 4, 2, 0, 5, 4, 3, 1, 6, 4, 0, 0, 9, 0, 0]);
        let said = [Join(5), Leave(0x106)];
        assert_eq!(read(Registration::Gvrp, &gvrp).as_deref(), Some(&said[..]));
        assert_eq!(read(Registration::Mvrp, &gvrp), None);
        // VLANs 5 to 8: joined, none of it, left, new; and 0x106: joined.
        let events = [36 + 4 * 6 + 5, 0, 36];
        let mvrp = [0, 1, 2, 0, 4, 0, 5, events[0], events[1], 0, 1, 1, 6, events[2], 0, 0, 0, 0];
        let said = [Join(5), Leave(7), Join(8), Join(0x106)];
        assert_eq!(read(Registration::Mvrp, &frame(&mvrp)).as_deref(), Some(&said[..]));
        let mut elsewhere = frame(&mvrp);
        elsewhere[5] = 0x20;
        assert_eq!(read(Registration::Mvrp, &elsewhere), None);
    }
}
