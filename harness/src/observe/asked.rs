//! Questions for memberships as a host hears them: what a bridge asks, of whom, and how long it waits.
//!
//! Only reads them; `membership` writes such as a case makes itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use etherparse::checksum::Sum16BitWords;
use hairpin_model::{Error, Family};

use super::ear::Ear;
use crate::lab::Lab;
use crate::sys::{ALL, Arrival};

/// A question that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The version of IGMP or MLD that it is of.
    pub version: u8,
    /// Who asks.
    pub from: IpAddr,
    /// Whom it was sent to.
    pub to: IpAddr,
    /// The group that it is about, if not all.
    pub group: Option<IpAddr>,
    /// How long answers may take, in milliseconds.
    pub response: u32,
    /// What only the newer version says: its robustness, and its interval in seconds.
    pub newer: Option<(u8, u8)>,
    /// The senders that it is about.
    pub sources: Vec<IpAddr>,
    /// Whether hop count, router alert and check sum are as they have to be.
    pub sound: bool,
    /// The VLAN of the tag that it bore.
    pub vlan: Option<u16>,
    /// When the kernel heard it, by its real-time clock: since 1970.
    pub at: Duration,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.to.is_ipv4() { "IGMPv" } else { "MLDv" };
        write!(f, "{protocol}{} to {}", self.version, self.to)?;
        match self.group {
            None => write!(f, " for all"),
            Some(group) => write!(f, " for {group}"),
        }?;
        self.sources.iter().try_for_each(|source| write!(f, " from {source}"))?;
        write!(f, " within {} ms", self.response)?;
        if let Some((robustness, interval)) = self.newer {
            write!(f, ", robustness {robustness}, every {interval} s")?;
        }
        f.write_str(if self.sound { "" } else { ", unsound" })?;
        self.vlan.map_or(Ok(()), |id| write!(f, " in VLAN {id}"))
    }
}

/// An ear of a host for such questions, from the time that it was opened.
#[derive(Debug)]
pub struct Asking(Ear, Family);

/// How long a question may take: beyond every interval that a case sets.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens an ear.
pub(crate) async fn listen(lab: &Lab, host: &str, family: Family) -> Result<Asking, Error> {
    // A socket for one ethertype hears tagged frames without their tag.
    Ear::open(lab, host, ALL, "questions for memberships").await.map(|ear| Asking(ear, family))
}

impl Asking {
    /// The next question for one group; those for all are passed over. None within ten seconds is an
    /// error, and proves nothing.
    pub fn next_for_a_group(&self) -> Result<Asked, Error> {
        self.next_of(|asked| asked.group.is_some())
    }

    /// The next question; none within ten seconds is an error, and proves nothing.
    pub fn next(&self) -> Result<Asked, Error> {
        self.next_of(|_| true)
    }

    fn next_of(&self, is: impl Fn(&Asked) -> bool) -> Result<Asked, Error> {
        let asked = |frame: &[u8], arrival: &Arrival, at: Duration| {
            let vlan = arrival.tag.map(|(_, control)| control & 0xfff);
            let asked = read(frame, at)?;
            let of_family = asked.to.is_ipv4() == (self.1 == Family::V4);
            Some(Asked { vlan, ..asked }).filter(|asked| of_family && is(asked))
        };
        self.0.wait(Instant::now() + PATIENCE, asked)?.ok_or_else(|| {
            Error::new(
                format!("`{}` was asked nothing within {} s", self.0.host, PATIENCE.as_secs()),
                "a question for memberships",
                "does the bridge ask, and has it an address to ask from?",
            )
        })
    }
}

/// A question, if the frame is one. It was heard at that time.
fn read(frame: &[u8], at: Duration) -> Option<Asked> {
    match frame.get(12..14)? {
        [0x08, 0x00] => igmp(frame.get(14..)?, at),
        [0x86, 0xdd] => mld(frame.get(14..)?, at),
        _ => None,
    }
}

fn igmp(packet: &[u8], at: Duration) -> Option<Asked> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let body = packet.get(header..length)?;
    if *packet.get(9)? != 2 || *body.first()? != 0x11 {
        return None;
    }
    let from = v4(packet.get(12..)?)?;
    let group = v4(body.get(4..)?)?;
    let newer = body.len() >= 12;
    let version = match (newer, body[1]) {
        (true, _) => 3,
        (false, 0) => 1,
        (false, _) => 2,
    };
    let alert = packet.get(20..header) == Some(&[0x94, 4, 0, 0]);
    let sum = Sum16BitWords::new().add_slice(body).ones_complement();
    Some(Asked {
        version,
        from,
        to: v4(packet.get(16..)?)?,
        group: (group != IpAddr::from(Ipv4Addr::UNSPECIFIED)).then_some(group),
        response: u32::from(body[1]) * 100,
        newer: newer.then(|| (body[8] & 7, body[9])),
        sources: body
            .get(12..)
            .map_or_else(Vec::new, |s| s.chunks_exact(4).filter_map(v4).collect()),
        sound: alert && sum == 0 && packet[8] == 1,
        vlan: None,
        at,
    })
}

fn mld(packet: &[u8], at: Duration) -> Option<Asked> {
    const HEADER: usize = 40;
    let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
    let options = packet.get(HEADER..HEADER + 8)?;
    let body = packet.get(HEADER + 8..HEADER + length)?;
    if *packet.get(6)? != 0 || options[0] != 58 || *body.first()? != 130 || body.len() < 24 {
        return None;
    }
    let group = v6(body.get(8..)?)?;
    let newer = body.len() >= 28;
    let pseudo = Sum16BitWords::new().add_slice(&packet[8..40]);
    let long = u16::try_from(body.len()).ok()?.to_be_bytes();
    let sum = pseudo.add_2bytes(long).add_2bytes([0, 58]).add_slice(body).ones_complement();
    let alert = options[2..6] == [5, 2, 0, 0];
    Some(Asked {
        version: if newer { 2 } else { 1 },
        from: v6(packet.get(8..)?)?,
        to: v6(packet.get(24..)?)?,
        group: (group != IpAddr::from(Ipv6Addr::UNSPECIFIED)).then_some(group),
        response: u32::from(u16::from_be_bytes([body[4], body[5]])),
        newer: newer.then(|| (body[24] & 7, body[25])),
        sources: body
            .get(28..)
            .map_or_else(Vec::new, |s| s.chunks_exact(16).filter_map(v6).collect()),
        sound: alert && sum == 0 && packet[7] == 1,
        vlan: None,
        at,
    })
}

fn v4(bytes: &[u8]) -> Option<IpAddr> {
    bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into())
}

fn v6(bytes: &[u8]) -> Option<IpAddr> {
    bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into())
}

#[cfg(test)]
mod tests {
    use hairpin_model::Mac;

    use super::super::Message;
    use super::*;

    fn read_back(message: &Message) -> String {
        read(&message.frame(Mac([2, 0, 0, 0, 0, 1])), Duration::ZERO)
            .map_or("none".into(), |asked| asked.to_string())
    }

    /// What a case can write itself is read as what it is.
    #[test]
    fn a_question_is_read_as_it_was_written() {
        let group = "239.1.2.3".parse().unwrap();
        assert_eq!(
            read_back(&Message::query(Family::V4)),
            "IGMPv3 to 224.0.0.1 for all within 0 ms, robustness 2, every 125 s"
        );
        assert_eq!(
            read_back(&Message::query_of(group, 7)),
            "IGMPv2 to 239.1.2.3 for 239.1.2.3 within 700 ms"
        );
        assert_eq!(
            read_back(&Message::query(Family::V6)),
            "MLDv2 to ff02::1 for all within 0 ms, robustness 2, every 125 s"
        );
        let unsound = Message::query_of("ff0e::1".parse().unwrap(), 7).unsound();
        assert_eq!(read_back(&unsound), "MLDv1 to ff0e::1 for ff0e::1 within 700 ms, unsound");
        assert_eq!(read_back(&Message::report(group)), "none");
    }
}
