//! What `ethtool` asks of a link: its driver, speed, offloads, queues and counters of its own.
//!
//! The commands are those of `<linux/ethtool.h>`. Each request is a command and what it is about,
//! in one buffer that the kernel fills.

use std::collections::BTreeMap;
use std::fmt;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::Lab;
use super::options::BECOME;
use super::tables::{u16_at, u32_at};
use crate::netlink::plain::EventKind;
use crate::sys::ioctl;

/// Something that a link does for the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Looks at check sums of what comes.
    RxChecksums,
    /// Makes check sums of what goes.
    TxChecksums,
    /// Takes frames in pieces.
    Scatter,
    /// Cuts TCP into segments.
    Tso,
    /// Leaves the cutting to the last moment.
    Gso,
    /// Joins what comes.
    Gro,
    /// Joins what comes before the stack sees it, as hardware does.
    Lro,
    /// Puts tags into what goes.
    TxTags,
    /// Takes tags out of what comes.
    RxTags,
}

impl Offload {
    /// The commands that ask for it and that set it, and its bit, where one command is for many.
    const fn commands(self) -> ([u32; 2], u32) {
        match self {
            Self::RxChecksums => ([0x14, 0x15], ALONE),
            Self::TxChecksums => ([0x16, 0x17], ALONE),
            Self::Scatter => ([0x18, 0x19], ALONE),
            Self::Tso => ([0x1e, 0x1f], ALONE),
            Self::Gso => ([0x23, 0x24], ALONE),
            Self::Gro => ([0x2b, 0x2c], ALONE),
            Self::TxTags => (FLAGS, 1 << 7),
            Self::RxTags => (FLAGS, 1 << 8),
            Self::Lro => (FLAGS, 1 << 15),
        }
    }
}

/// The bit of what has commands of its own.
const ALONE: u32 = 1;
/// The commands for several at once (`ETHTOOL_GFLAGS` and `ETHTOOL_SFLAGS`).
const FLAGS: [u32; 2] = [0x25, 0x26];

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RxChecksums => "check sums of what comes",
            Self::TxChecksums => "check sums of what goes",
            Self::Scatter => "scatter and gather",
            Self::Tso => "TCP segmentation",
            Self::Gso => "generic segmentation",
            Self::Gro => "joining what comes",
            Self::Lro => "joining what comes in hardware",
            Self::TxTags => "tags of what goes",
            Self::RxTags => "tags of what comes",
        })
    }
}

/// How many queues a link uses, and how many it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Receive queues in use.
    pub rx: u32,
    /// Transmit queues in use.
    pub tx: u32,
    /// Receive queues that it was made with.
    pub most_rx: u32,
    /// Transmit queues that it was made with.
    pub most_tx: u32,
}

const GSET: u32 = 0x01;
const GDRVINFO: u32 = 0x03;
const GMSGLVL: u32 = 0x07;
const SMSGLVL: u32 = 0x08;
const GLINK: u32 = 0x0a;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const GCHANNELS: u32 = 0x3c;
const SCHANNELS: u32 = 0x3d;
const GTSINFO: u32 = 0x41;
/// The length of `struct ethtool_ts_info`.
const TSINFO: usize = 44;

/// The length of `struct ethtool_drvinfo`, and where it tells how many counters there are.
const DRVINFO: usize = 196;
const N_STATS: usize = 180;
/// The length of a name, and of `struct ethtool_cmd`.
const NAME: usize = 32;
const COMMAND: usize = 44;
/// The set of names that are those of counters (`ETH_SS_STATS`).
const OF_STATS: u32 = 1;

/// A request of so many bytes that begins with these numbers.
fn request(bytes: usize, numbers: &[u32]) -> Vec<u8> {
    let mut request: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    request.resize(bytes, 0);
    request
}

/// The text that a field begins with.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// What a driver answers, or nothing if it does not know the question.
fn said(told: Result<Vec<u8>, Error>) -> Result<Option<Vec<u8>>, Error> {
    match told {
        Err(error) if error.errno == libc::EOPNOTSUPP => Ok(None),
        told => told.map(Some),
    }
}

impl Lab {
    fn ethtool(&self, link: &LinkName, mut asked: Vec<u8>, doing: &str) -> Result<Vec<u8>, Error> {
        self.by_socket(link, doing, |socket| ioctl::ethtool(socket, &link.link, &mut asked))?;
        Ok(asked)
    }

    /// Whether a link does something for the stack.
    pub fn offload(&self, link: impl Into<LinkName>, offload: Offload) -> Result<bool, Error> {
        let ([get, _], bit) = offload.commands();
        Ok(self.bits(&link.into(), get)? & bit != 0)
    }

    /// Waits until a link does something for the stack, or no longer: a link on another hears of what
    /// that does, since 7.3 at the latest a moment later.
    pub async fn await_offload(
        &self,
        link: impl Into<LinkName>,
        offload: Offload,
        on: bool,
    ) -> Result<(), Error> {
        let link = link.into();
        let is = async || Ok(self.offload(&link, offload)? == on);
        let came = self.comes_to_hold(&link.netns, &[EventKind::Link], BECOME, is).await?;
        came.then_some(()).ok_or_else(|| {
            Error::new(
                format!("{offload} of `{link}` was not {on} within {} s", BECOME.as_secs()),
                format!("lab of topology `{}`", self.topology.name),
                "does it follow the link that it stands on?",
            )
        })
    }

    fn bits(&self, link: &LinkName, get: u32) -> Result<u32, Error> {
        let told = self.ethtool(link, request(8, &[get]), "show an offload")?;
        Ok(u32_at(&told, 4))
    }

    /// Has a link do something for the stack, or no longer.
    pub fn set_offload(
        &mut self,
        link: impl Into<LinkName>,
        offload: Offload,
        on: bool,
    ) -> Result<(), Error> {
        let link = link.into();
        let ([get, set], bit) = offload.commands();
        let others = self.bits(&link, get)? & !bit;
        let bits = if on { others | bit } else { others };
        self.ethtool(&link, request(8, &[set, bits]), &format!("set {offload}"))?;
        self.tell(|| format!("{link} {offload}: {}", if on { "on" } else { "off" }));
        Ok(())
    }

    /// How many queues a link uses.
    pub fn channels(&self, link: impl Into<LinkName>) -> Result<Channels, Error> {
        let told = self.ethtool(&link.into(), request(36, &[GCHANNELS]), "show the queues")?;
        let number = |place: usize| u32_at(&told, 4 * place);
        Ok(Channels { most_rx: number(1), most_tx: number(2), rx: number(5), tx: number(6) })
    }

    /// Has a link use so many queues.
    pub fn set_channels(
        &mut self,
        link: impl Into<LinkName>,
        rx: u32,
        tx: u32,
    ) -> Result<(), Error> {
        let link = link.into();
        let asked = request(36, &[SCHANNELS, 0, 0, 0, 0, rx, tx]);
        self.ethtool(&link, asked, &format!("use {rx} and {tx} queues"))?;
        self.tell(|| format!("{link} uses {rx} queues to receive and {tx} to send"));
        Ok(())
    }

    /// The name that a link's driver gives itself.
    pub fn driver(&self, link: impl Into<LinkName>) -> Result<String, Error> {
        let told = self.ethtool(&link.into(), request(DRVINFO, &[GDRVINFO]), "show the driver")?;
        Ok(text(&told[4..4 + NAME]))
    }

    /// The version that a link's driver gives itself.
    pub fn driver_version(&self, link: impl Into<LinkName>) -> Result<String, Error> {
        let told = self.ethtool(&link.into(), request(DRVINFO, &[GDRVINFO]), "show the driver")?;
        Ok(text(&told[4 + NAME..4 + 2 * NAME]))
    }

    /// Of what a link's driver is to write to the log (`NETIF_MSG_*`).
    pub fn log_level(&self, link: impl Into<LinkName>) -> Result<u32, Error> {
        Ok(u32_at(&self.ethtool(&link.into(), request(8, &[GMSGLVL]), "show what is logged")?, 4))
    }

    /// Has a link's driver write of other things to the log.
    pub fn set_log_level(&mut self, link: impl Into<LinkName>, level: u32) -> Result<(), Error> {
        let link = link.into();
        self.ethtool(&link, request(8, &[SMSGLVL, level]), "set what is logged")?;
        self.tell(|| format!("{link} logs {level:#x}"));
        Ok(())
    }

    /// Whether `ethtool` holds that a link has a link. One that does not say has none.
    pub fn detects(&self, link: impl Into<LinkName>) -> Result<bool, Error> {
        let told = self.ethtool(&link.into(), request(8, &[GLINK]), "show the link");
        Ok(said(told)?.is_some_and(|told| u32_at(&told, 4) != 0))
    }

    /// How fast a link says it is, in Mbit/s, and whether both ways at once. One that does not say has
    /// the speed that stands for an unknown one, and one way at a time.
    pub fn speed(&self, link: impl Into<LinkName>) -> Result<(u32, bool), Error> {
        const SPEED: usize = 12;
        const DUPLEX: usize = 14;
        const SPEED_HIGH: usize = 28;
        const UNKNOWN: (u32, bool) = (u32::MAX, false);
        let told = self.ethtool(&link.into(), request(COMMAND, &[GSET]), "show the speed");
        let Some(told) = said(told)? else { return Ok(UNKNOWN) };
        let half = |place| u32::from(u16_at(&told, place));
        Ok((half(SPEED_HIGH) << 16 | half(SPEED), told[DUPLEX] == 1))
    }

    /// Whether a link's transceiver says that it has a link (`SIOCGMIIPHY`, `SIOCGMIIREG`), and the
    /// number of that transceiver: asked in search of it, or by its number.
    pub fn transceiver(
        &self,
        link: impl Into<LinkName>,
        number: Option<u16>,
    ) -> Result<(u16, bool), Error> {
        /// IEEE 802.3, 22.2.4: the register of a transceiver's status, and its bit for a link.
        const STATUS: u16 = 1;
        const HAS_LINK: u16 = 1 << 2;
        let link = link.into();
        let told = self.by_socket(&link, "ask its transceiver", |socket| {
            ioctl::mii(socket, &link.link, number, STATUS)
        })?;
        Ok((told[0], told[1] & HAS_LINK != 0))
    }

    /// Which time stamps a link says there are (`SOF_TIMESTAMPING_*`), and the number of its clock: -1
    /// if it has none.
    pub fn time_stamps(&self, link: impl Into<LinkName>) -> Result<(u32, i32), Error> {
        let told = self.ethtool(&link.into(), request(TSINFO, &[GTSINFO]), "show time stamps")?;
        Ok((u32_at(&told, 4), u32_at(&told, 8).cast_signed()))
    }

    /// Whether a link's hardware stamps what is sent, and what of what comes (`SIOCGHWTSTAMP`).
    pub fn stamping(&self, link: impl Into<LinkName>) -> Result<(i32, i32), Error> {
        let (link, mut told) = (link.into(), [0; 3]);
        self.by_socket(&link, "show what is stamped", |socket| {
            ioctl::stamping(socket, &link.link, false, &mut told)
        })?;
        Ok((told[1], told[2]))
    }

    /// Has a link's hardware stamp what is sent, or not, and nothing of what comes (`SIOCSHWTSTAMP`).
    pub fn set_stamping(&mut self, link: impl Into<LinkName>, on: bool) -> Result<(), Error> {
        let (link, mut asked) = (link.into(), [0, i32::from(on), 0]);
        self.by_socket(&link, "set what is stamped", |socket| {
            ioctl::stamping(socket, &link.link, true, &mut asked)
        })
    }

    /// The counters that a link's driver has of its own, by name.
    pub fn own_counters(&self, link: impl Into<LinkName>) -> Result<BTreeMap<String, u64>, Error> {
        let link = link.into();
        let told = self.ethtool(&link, request(DRVINFO, &[GDRVINFO]), "show the driver")?;
        let count = u32_at(&told, N_STATS);
        let many = usize::try_from(count).unwrap_or_default();
        let names = request(12 + NAME * many, &[GSTRINGS, OF_STATS, count]);
        let names = self.ethtool(&link, names, "show the names of counters")?;
        let values =
            self.ethtool(&link, request(8 + 8 * many, &[GSTATS, count]), "show counters")?;
        let names = names[12..].chunks_exact(NAME).map(text);
        let values = values[8..].chunks_exact(8);
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| u64::from_ne_bytes(*b));
        Ok(names.zip(values.map(number)).collect())
    }
}
