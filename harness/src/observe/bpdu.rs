//! Messages by which bridges agree on a spanning tree (IEEE 802.1D-1998, 9.3): written as a case
//! wants them, so that a host stands for a bridge, and read as a bridge has sent them.
//!
//! What a bridge makes of one is read in its options, or in what it says next.

use std::fmt;
use std::time::{Duration, Instant};

use hairpin_model::{Error, Mac};

use super::ear::Ear;
use super::ears::broken;
use super::{endpoints, place};
use crate::lab::Lab;
use crate::sys::{Arrival, PacketSocket};

/// What a bridge tells of the tree. Times are in hundredths of a second, as a bridge's options are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The tree has changed.
    pub changed: bool,
    /// A notice of a change was heard.
    pub acknowledged: bool,
    /// The bridge that is held for the root: its priority, and its address.
    pub root: (u16, Mac),
    /// How far that is from the speaker.
    pub cost: u32,
    /// The speaker: its priority, and its address.
    pub bridge: (u16, Mac),
    /// The port that it speaks from.
    pub port: u16,
    /// How old the root's word is.
    pub age: u16,
    /// How old it may become.
    pub max_age: u16,
    /// How often the root speaks.
    pub hello: u16,
    /// For how long a port listens, and learns.
    pub delay: u16,
}

impl Config {
    /// The word of a root of that priority and address, with the times that bridges have unless
    /// they are told others.
    pub const fn of_root(priority: u16, mac: Mac) -> Self {
        Self {
            changed: false,
            acknowledged: false,
            root: (priority, mac),
            cost: 0,
            bridge: (priority, mac),
            port: 0x8001,
            age: 0,
            max_age: 2000,
            hello: 200,
            delay: 1500,
        }
    }
}

/// A message of the spanning tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A bare notice, towards the root, that the tree has changed.
    Notice,
    /// What the tree is.
    Config(Config),
}

/// A message to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bpdu {
    said: Said,
    to: Mac,
    version: u8,
}

/// The group of all bridges.
const BRIDGES: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 0]);

/// The link service access point of the spanning tree, twice, and that no answer is awaited.
pub(super) const LLC: [u8; 3] = [0x42, 0x42, 0x03];

/// How the kernel calls frames that have a length in the place of an ethertype (`ETH_P_802_2`).
pub(super) const ETH_P_802_2: u16 = 0x0004;

const CONFIG: u8 = 0;
const NOTICE: u8 = 0x80;
const CHANGED: u8 = 0x01;
const ACKNOWLEDGED: u8 = 0x80;

impl Bpdu {
    /// As bridges say it: to the group of all bridges, in version 0.
    pub const fn new(said: Said) -> Self {
        Self { said, to: BRIDGES, version: 0 }
    }

    /// Sent to another group.
    #[must_use]
    pub const fn to(mut self, group: Mac) -> Self {
        self.to = group;
        self
    }

    /// Of another version: 2 is that of the rapid spanning tree.
    #[must_use]
    pub const fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    fn frame(&self, from: Mac) -> Vec<u8> {
        let mut body = LLC.to_vec();
        body.extend([0, 0, self.version]);
        match &self.said {
            Said::Notice => body.push(NOTICE),
            Said::Config(config) => body.extend(written(config)),
        }
        let length = u16::try_from(body.len()).unwrap_or_default();
        let mut frame = [self.to.0, from.0].concat();
        frame.extend(length.to_be_bytes());
        frame.extend(body);
        // As short as Ethernet has them.
        frame.resize(60, 0);
        frame
    }
}

fn written(config: &Config) -> Vec<u8> {
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    let flags = flag(config.changed, CHANGED) | flag(config.acknowledged, ACKNOWLEDGED);
    let mut bytes = vec![CONFIG, flags];
    bytes.extend(identifier(config.root));
    bytes.extend(config.cost.to_be_bytes());
    bytes.extend(identifier(config.bridge));
    bytes.extend(config.port.to_be_bytes());
    for hundredths in [config.age, config.max_age, config.hello, config.delay] {
        // On the wire a second has 256 parts.
        let parts = u32::from(hundredths) * 256 / 100;
        bytes.extend(u16::try_from(parts).unwrap_or(u16::MAX).to_be_bytes());
    }
    bytes
}

fn identifier((priority, mac): (u16, Mac)) -> Vec<u8> {
    [&priority.to_be_bytes()[..], &mac.0].concat()
}

/// A message, if the frame is one.
fn read(frame: &[u8]) -> Option<Said> {
    let body = frame.get(14..)?.strip_prefix(&LLC)?.strip_prefix(&[0, 0, 0])?;
    if *body.first()? == NOTICE {
        return Some(Said::Notice);
    }
    let half = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let bridge = |at: usize| Some((half(at)?, Mac(*body.get(at + 2..)?.first_chunk()?)));
    let time = |at: usize| u16::try_from((u32::from(half(at)?) * 100 + 128) / 256).ok();
    Some(Said::Config(Config {
        changed: body.get(1)? & CHANGED != 0,
        acknowledged: body.get(1)? & ACKNOWLEDGED != 0,
        root: bridge(2)?,
        cost: u32::from_be_bytes(*body.get(10..)?.first_chunk()?),
        bridge: bridge(14)?,
        port: half(22)?,
        age: time(24)?,
        max_age: time(26)?,
        hello: time(28)?,
        delay: time(30)?,
    }))
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Config(config) = self else { return f.write_str("a notice of a change") };
        let Config { root, cost, bridge, age, max_age, hello, delay, .. } = config;
        write!(f, "root {:#x} {} at {cost}, says {:#x} {}", root.0, root.1, bridge.0, bridge.1)?;
        write!(f, ", age {age} of {max_age}, hello {hello}, delay {delay}")?;
        f.write_str(if config.changed { ", changed" } else { "" })?;
        f.write_str(if config.acknowledged { ", acknowledged" } else { "" })
    }
}

/// A message that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardBpdu {
    /// What it says.
    pub said: Said,
    /// To which group.
    pub to: Mac,
    /// When the kernel took it in, counted from a time of its own.
    pub at: Duration,
}

/// An ear of a host for what bridges say, from the time that it was opened.
#[derive(Debug)]
pub struct BridgeEar(Ear);

/// How long a message may take where a case names no other time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens an ear.
pub(crate) async fn hear_bridges(lab: &Lab, host: &str) -> Result<BridgeEar, Error> {
    Ear::open(lab, host, ETH_P_802_2, "messages of the spanning tree").await.map(BridgeEar)
}

/// Has a host say these as a bridge would, one behind the other.
pub(crate) async fn say_as_bridge(lab: &Lab, host: &str, bpdus: &[Bpdu]) -> Result<(), Error> {
    let hosts = endpoints(lab).await?;
    let host = &hosts[place(lab, &hosts, host)?];
    // They are told in order: what a later one has changed, the earlier ones have, too.
    let _pinned = super::Pinned::here();
    let send = || -> std::io::Result<()> {
        let socket = PacketSocket::open(0, 0)?;
        let mut all = bpdus.iter();
        all.try_for_each(|bpdu| socket.send(host.index, &bpdu.frame(host.mac)))
    };
    let sent = lab.nodes()[host.node].ns.enter(send);
    sent.map_err(|error| broken("send a message of the spanning tree", &error))
}

impl BridgeEar {
    /// The next message; none within ten seconds is an error, and proves nothing.
    pub fn next(&self) -> Result<HeardBpdu, Error> {
        self.wait_for(PATIENCE, |_| true)
    }

    /// The next message that is meant; none within that time is an error, and proves nothing.
    pub fn wait_for(
        &self,
        patience: Duration,
        is: impl Fn(&Said) -> bool,
    ) -> Result<HeardBpdu, Error> {
        let until = Instant::now() + patience;
        let mut last = "nothing".to_owned();
        while let Some(heard) = self.0.wait(until, heard)? {
            if is(&heard.said) {
                return Ok(heard);
            }
            last = heard.said.to_string();
        }
        let host = &self.0.host;
        Err(Error::new(
            format!("`{host}` did not hear it in {} s; last: {last}", patience.as_secs()),
            "a message of the spanning tree",
            "does the bridge speak, and does its port run?",
        ))
    }

    /// What has come already.
    pub fn so_far(&self) -> Result<Vec<HeardBpdu>, Error> {
        let mut all = Vec::new();
        while let Some(heard) = self.0.take(heard)? {
            all.push(heard);
        }
        Ok(all)
    }
}

fn heard(frame: &[u8], _: &Arrival, at: Duration) -> Option<HeardBpdu> {
    let to = Mac(*frame.first_chunk()?);
    read(frame).map(|said| HeardBpdu { said, to, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Mac = Mac([2, 0, 0, 0, 0, 7]);

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let config = Config { changed: true, cost: 70_000, ..Config::of_root(0x1000, ROOT) };
        for said in [Said::Notice, Said::Config(config)] {
            let bpdu = Bpdu::new(said);
            assert_eq!(read(&bpdu.frame(ROOT)), Some(said));
            assert_eq!(bpdu.frame(ROOT).len(), 60);
            assert_eq!(read(&bpdu.version(2).frame(ROOT)), None);
        }
        assert_eq!(
            Said::Config(config).to_string(),
            "root 0x1000 02:00:00:00:00:07 at 70000, says 0x1000 02:00:00:00:00:07, age 0 of 2000, \
             hello 200, delay 1500, changed"
        );
    }
}
