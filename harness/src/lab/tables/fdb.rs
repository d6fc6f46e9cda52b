//! Forwarding entries of bridges, and the addresses that a link listens for, which the kernel tells
//! in the same breath.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use hairpin_model::topology::{Kind, Link, LinkName};
use hairpin_model::{Error, Mac};

use super::super::Lab;
use super::super::options::link_header;
use super::{u16_at, u32_at};
use crate::attrs::{Attrs, find};
use crate::netlink::plain::{
    ACK, AF_BRIDGE, Answer, CREATE, DUMP, EXCL, EventKind, Question, REPLACE, RTM_DELNEIGH,
    RTM_GETNEIGH, RTM_NEWNEIGH,
};

/// An entry of a bridge's forwarding database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FdbEntry {
    /// The address.
    pub mac: Mac,
    /// The port, or the bridge itself.
    pub link: String,
    /// The VLAN, where the bridge keeps them apart.
    pub vlan: Option<u16>,
    /// Whether it is the bridge's or a port's own address: such frames go up.
    pub own: bool,
    /// Whether it does not age.
    pub fixed: bool,
    /// Whether it stays where it is when its address is seen elsewhere.
    pub sticky: bool,
    /// Whether it only shows that a locked port has seen the address.
    pub locked: bool,
    /// Whether somebody else has learned it, and told the bridge.
    pub extern_learn: bool,
    /// Whether it is told when its address falls silent and when it speaks again.
    pub activity_notify: bool,
    /// Whether it has fallen silent.
    pub inactive: bool,
}

impl fmt::Display for FdbEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.mac, self.link)?;
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        let words = [
            (self.own, "own"),
            (self.fixed && !self.own, "static"),
            (self.sticky, "sticky"),
            (self.locked, "locked"),
            (self.extern_learn, "extern_learn"),
            (self.activity_notify, "activity_notify"),
            (self.inactive, "inactive"),
        ];
        words.iter().filter(|(is, _)| *is).try_for_each(|(_, word)| write!(f, " {word}"))
    }
}

/// What an entry that is made by hand is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fdb {
    vlan: Option<u16>,
    own: bool,
    ages: bool,
    sticky: bool,
    /// Whether one that is there is left alone, or one that is not is made; both unless it is said.
    only: Option<Only>,
    /// Who says so, if it is not the user.
    by: u8,
    /// Whether its activity is told: `FDB_NOTIFY_*`.
    activity: Option<u8>,
}

/// What an entry that is made by hand must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// No entry of that address.
    New,
    /// One that it replaces.
    Old,
}

impl Fdb {
    /// Stays until it is deleted; frames to it leave by the port.
    pub const STATIC: Self = Self {
        vlan: None,
        own: false,
        ages: false,
        sticky: false,
        only: None,
        by: 0,
        activity: None,
    };
    /// Ages as if it had been learned.
    pub const DYNAMIC: Self = Self { ages: true, ..Self::STATIC };
    /// The bridge's own: frames to it go up.
    pub const OWN: Self = Self { own: true, ..Self::STATIC };
    /// Static, and not moved when its address is seen elsewhere.
    pub const STICKY: Self = Self { sticky: true, ..Self::STATIC };
    /// Learned by somebody else, who sees to its age (`extern_learn`).
    pub const EXTERN: Self = Self { ages: true, by: NTF_EXT_LEARNED, ..Self::STATIC };
    /// As if a frame of that address had come in (`use`).
    pub const HEARD: Self = Self { ages: true, by: NTF_USE, ..Self::STATIC };

    /// The same as the bridge's own.
    #[must_use]
    pub const fn own(mut self) -> Self {
        self.own = true;
        self
    }

    /// Told when its address falls silent and when it speaks again (`activity_notify`), since 5.9;
    /// `inactive` says that it has fallen silent already.
    #[must_use]
    pub const fn activity_notify(mut self, inactive: bool) -> Self {
        self.activity = Some(if inactive { NOTIFY | NOTIFY_INACTIVE } else { NOTIFY });
        self
    }

    /// Silent, and not told when it speaks again: what no kernel takes.
    #[must_use]
    pub const fn inactive_unnoticed(mut self) -> Self {
        self.activity = Some(NOTIFY_INACTIVE);
        self
    }

    /// Not moved when its address is seen elsewhere.
    #[must_use]
    pub const fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// Refused where there is one already.
    #[must_use]
    pub const fn only_new(mut self) -> Self {
        self.only = Some(Only::New);
        self
    }

    /// Refused where there is none to replace.
    #[must_use]
    pub const fn only_old(mut self) -> Self {
        self.only = Some(Only::Old);
        self
    }

    /// In this VLAN.
    #[must_use]
    pub const fn vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }
}

pub(super) const NUD_NOARP: u16 = 0x40;
/// It was asked for in vain.
const NUD_FAILED: u16 = 0x20;
pub(super) const NUD_PERMANENT: u16 = 0x80;
const NUD_REACHABLE: u16 = 0x02;
pub(super) const NTF_USE: u8 = 0x01;
const NTF_SELF: u8 = 0x02;
const NTF_MASTER: u8 = 0x04;
pub(super) const NTF_EXT_LEARNED: u8 = 0x10;
pub(super) const NTF_STICKY: u8 = 0x40;
const NTF_EXT_LOCKED: u32 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
pub(super) const NDA_VLAN: u16 = 5;
const NDA_MASTER: u16 = 9;
const NDA_FDB_EXT_ATTRS: u16 = 14;
const NDA_FLAGS_EXT: u16 = 15;
const NFEA_ACTIVITY_NOTIFY: u16 = 1;
/// `FDB_NOTIFY_BIT` and `FDB_NOTIFY_INACTIVE_BIT`.
const NOTIFY: u8 = 1;
const NOTIFY_INACTIVE: u8 = 2;

/// `ndmsg`.
pub(super) fn neighbour_header(index: u32, state: u16, flags: u8) -> Vec<u8> {
    let mut header = vec![AF_BRIDGE, 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(state.to_ne_bytes());
    header.extend([flags, 0]);
    header
}

impl Lab {
    /// The addresses and groups, besides its own address and those that every link has, that a
    /// link takes frames for: what its children and its sockets have asked it to.
    pub async fn filters(&self, link: impl Into<LinkName>) -> Result<BTreeSet<Mac>, Error> {
        let link = link.into();
        // Since 7.2 links hand their lists down later: until then the link below lacks what is new,
        // and the link itself still lists what it was told to take no longer.
        self.apply_rx_modes().await?;
        let index = self.index(&link)?;
        let entries = self.neighbours(&link.netns)?;
        let of_link = entries.iter().filter(|(_, body)| {
            u32_at(body, 4) == index && body.get(10).is_some_and(|flags| flags & NTF_SELF != 0)
        });
        let mac = |(_, body): &Answer| {
            find(body.get(12..)?, NDA_LLADDR).and_then(|mac| mac.try_into().ok()).map(Mac)
        };
        Ok(of_link.filter_map(mac).collect())
    }

    /// Has a link take the frames for an address, or for a group, besides its own (`bridge fdb add …
    /// self`). `again` says that it may have it already.
    pub async fn add_filter(
        &mut self,
        link: impl Into<LinkName>,
        mac: Mac,
        again: bool,
    ) -> Result<(), Error> {
        let link = link.into();
        let header = neighbour_header(self.index(&link)?, NUD_PERMANENT, NTF_SELF);
        let flags = CREATE | if again { REPLACE } else { EXCL };
        let asked =
            Question { kind: RTM_NEWNEIGH, flags, header: &header, attrs: fdb_attrs(mac, None) };
        self.command(&link, &asked, &format!("have it take frames for {mac}"))?;
        self.tell(|| format!("{link} takes frames for {mac}"));
        self.apply_rx_modes().await
    }

    /// Has a link no longer take the frames for an address of those that were added.
    pub async fn delete_filter(
        &mut self,
        link: impl Into<LinkName>,
        mac: Mac,
    ) -> Result<(), Error> {
        let link = link.into();
        let header = neighbour_header(self.index(&link)?, NUD_PERMANENT, NTF_SELF);
        let attrs = fdb_attrs(mac, None);
        let asked = Question { kind: RTM_DELNEIGH, flags: 0, header: &header, attrs };
        self.command(&link, &asked, &format!("have it take no frames for {mac}"))?;
        self.tell(|| format!("{link} takes frames for {mac} no longer"));
        self.apply_rx_modes().await
    }

    /// What the bridges of a namespace know, in order of address.
    pub async fn fdb(&self, netns: &str) -> Result<Vec<FdbEntry>, Error> {
        let mut entries = self.fdb_listed(netns, None).await?;
        entries.dedup();
        Ok(entries)
    }

    /// What the bridges of a namespace know, as often as it is told; of one link alone, if it is named.
    pub async fn fdb_listed(
        &self,
        netns: &str,
        link: Option<&str>,
    ) -> Result<Vec<FdbEntry>, Error> {
        let asked = link.map(|link| self.index(&LinkName::new(netns, link))).transpose()?;
        let entries = self.neighbours_of(netns, asked.unwrap_or(0))?;
        let mut entries: Vec<FdbEntry> =
            entries.iter().filter_map(|(_, body)| self.fdb_entry(netns, body)).collect();
        entries.sort();
        Ok(entries)
    }

    /// How long ago a frame was last sent by an address, and how long ago one was last sent to it, as the bridges of a
    /// namespace tell it, in hundredths of a second; none for an address that they do not know.
    pub async fn silence(
        &self,
        netns: &str,
        mac: Mac,
    ) -> Result<Option<(Duration, Duration)>, Error> {
        let ages = |body: &[u8]| {
            let attrs = body.get(12..)?;
            find(attrs, NDA_MASTER)?;
            // `struct nda_cacheinfo`: confirmed, used, updated, references.
            let ages = find(attrs, NDA_CACHEINFO).filter(|bytes| bytes.len() >= 16)?;
            let since = |at| Duration::from_millis(10 * u64::from(u32_at(ages, at)));
            (find(attrs, NDA_LLADDR)? == mac.0).then(|| (since(8), since(4)))
        };
        Ok(self.neighbours(netns)?.iter().find_map(|(_, body)| ages(body)))
    }

    fn neighbours(&self, netns: &str) -> Result<Vec<Answer>, Error> {
        self.neighbours_of(netns, 0)
    }

    /// The same of the link with that index, or of all for 0.
    fn neighbours_of(&self, netns: &str, index: u32) -> Result<Vec<Answer>, Error> {
        // The old header, an ifinfomsg, is the one that every kernel takes.
        let header = link_header(AF_BRIDGE, index, 0, 0);
        let attrs = Attrs::new();
        let question = Question { kind: RTM_GETNEIGH, flags: DUMP, header: &header, attrs };
        let answers = self.ask(netns, &question)?;
        answers.map_err(|refused| refused.error("show the forwarding entries", netns))
    }

    /// An entry, if it is a bridge's.
    pub(super) fn fdb_entry(&self, netns: &str, body: &[u8]) -> Option<FdbEntry> {
        let attrs = body.get(12..)?;
        let link = self.topology.link_at(netns, u32_at(body, 4))?.name.link.clone();
        find(attrs, NDA_MASTER)?;
        let (state, flags) = (u16_at(body, 8), *body.get(10)?);
        let ext = find(attrs, NDA_FLAGS_EXT).map_or(0, |bytes| u32_at(bytes, 0));
        let activity = find(attrs, NDA_FDB_EXT_ATTRS)
            .and_then(|attrs| find(attrs, NFEA_ACTIVITY_NOTIFY)?.first().copied());
        let activity = activity.unwrap_or_default();
        Some(FdbEntry {
            mac: Mac(find(attrs, NDA_LLADDR)?.try_into().ok()?),
            link,
            vlan: find(attrs, NDA_VLAN).map(|bytes| u16_at(bytes, 0)),
            own: state & NUD_PERMANENT != 0,
            fixed: state & (NUD_NOARP | NUD_PERMANENT) != 0,
            sticky: flags & NTF_STICKY != 0,
            locked: ext & NTF_EXT_LOCKED != 0,
            extern_learn: flags & NTF_EXT_LEARNED != 0,
            activity_notify: activity & NOTIFY != 0,
            inactive: activity & NOTIFY_INACTIVE != 0,
        })
    }

    /// The one entry of an address in a VLAN, or in none, of the bridge that the link is, or is a port
    /// of; where there is none, the kernel's refusal.
    pub async fn fdb_entry_of(
        &self,
        link: impl Into<LinkName>,
        mac: Mac,
        vlan: Option<u16>,
    ) -> Result<FdbEntry, Error> {
        let link = link.into();
        let header = neighbour_header(self.index(&link)?, 0, self.whose(&link));
        let attrs = fdb_attrs(mac, vlan);
        let asked = Question { kind: RTM_GETNEIGH, flags: ACK, header: &header, attrs };
        let answers = self.ask(&link.netns, &asked)?;
        let answers = answers.map_err(|no| no.error(&format!("show the entry {mac}"), &link))?;
        let entry = answers.iter().find_map(|(_, body)| self.fdb_entry(&link.netns, body));
        entry.ok_or_else(|| {
            let what = format!("the kernel showed no entry {mac} and did not refuse either");
            Error::new(what, link.to_string(), "this is a bug: please report it")
        })
    }

    /// Whom a request about forwarding entries is for: the bridge that a link is a port of, or the
    /// link itself.
    pub(super) fn whose(&self, link: &LinkName) -> u8 {
        let is_bridge = |link: &Link| matches!(link.kind, Kind::Bridge(_));
        if self.topology.link(link).is_some_and(is_bridge) { NTF_SELF } else { NTF_MASTER }
    }

    /// Adds or replaces a forwarding entry of the bridge that the link is, or is a port of.
    pub async fn add_fdb(
        &mut self,
        port: impl Into<LinkName>,
        mac: Mac,
        entry: Fdb,
    ) -> Result<(), Error> {
        let port = port.into();
        let state = match entry {
            Fdb { own: true, .. } => NUD_PERMANENT,
            Fdb { ages: true, .. } => NUD_REACHABLE,
            _ => NUD_NOARP,
        };
        let sticky = if entry.sticky { NTF_STICKY } else { 0 };
        let flags = self.whose(&port) | entry.by | sticky;
        let header = neighbour_header(self.index(&port)?, state, flags);
        let flags = match entry.only {
            None => CREATE | REPLACE,
            Some(Only::New) => CREATE | EXCL,
            Some(Only::Old) => REPLACE,
        };
        let mut attrs = fdb_attrs(mac, entry.vlan);
        if let Some(bits) = entry.activity {
            attrs =
                attrs.nest(NDA_FDB_EXT_ATTRS, &Attrs::new().bytes(NFEA_ACTIVITY_NOTIFY, &[bits]));
        }
        let asked = Question { kind: RTM_NEWNEIGH, flags, header: &header, attrs };
        self.command(&port, &asked, &format!("add the forwarding entry {mac}"))?;
        self.tell(|| format!("{port} has {mac} as a forwarding entry"));
        Ok(())
    }

    /// Deletes a forwarding entry of the bridge that the link is, or is a port of.
    pub async fn delete_fdb(
        &mut self,
        port: impl Into<LinkName>,
        mac: Mac,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        let port = port.into();
        let header = neighbour_header(self.index(&port)?, 0, self.whose(&port));
        let attrs = fdb_attrs(mac, vlan);
        let asked = Question { kind: RTM_DELNEIGH, flags: 0, header: &header, attrs };
        self.command(&port, &asked, &format!("delete the entry {mac}"))?;
        self.tell(|| format!("{port} has lost the forwarding entry {mac}"));
        Ok(())
    }

    /// Tells a link for good which Ethernet address an IP address has.
    pub async fn add_neighbour(
        &mut self,
        link: impl Into<LinkName>,
        ip: IpAddr,
        mac: Mac,
    ) -> Result<(), Error> {
        let link = link.into();
        self.set_neighbour(&link, ip, mac, NUD_PERMANENT)?;
        self.tell(|| format!("{link} knows {ip} at {mac}"));
        Ok(())
    }

    /// Has a link take a neighbour for one that does not answer any more.
    pub async fn fail_neighbour(
        &mut self,
        link: impl Into<LinkName>,
        ip: IpAddr,
        mac: Mac,
    ) -> Result<(), Error> {
        let link = link.into();
        self.set_neighbour(&link, ip, mac, NUD_FAILED)?;
        self.tell(|| format!("{link} takes {ip} at {mac} for gone"));
        Ok(())
    }

    fn set_neighbour(
        &self,
        link: &LinkName,
        ip: IpAddr,
        mac: Mac,
        state: u16,
    ) -> Result<(), Error> {
        let (family, bytes) = match ip {
            IpAddr::V4(ip) => (AF_INET, ip.octets().to_vec()),
            IpAddr::V6(ip) => (AF_INET6, ip.octets().to_vec()),
        };
        let mut header = neighbour_header(self.index(link)?, state, 0);
        header[0] = family;
        let flags = CREATE | REPLACE;
        let attrs = fdb_attrs(mac, None).bytes(NDA_DST, &bytes);
        let asked = Question { kind: RTM_NEWNEIGH, flags, header: &header, attrs };
        self.command(link, &asked, &format!("set the neighbour {ip}"))
    }

    /// Waits until the bridges of a namespace have forgotten these addresses, woken by the kernel's
    /// own events.
    pub async fn await_forgotten(&self, netns: &str, macs: &[Mac]) -> Result<(), Error> {
        self.await_forgotten_within(netns, macs, FORGOTTEN).await
    }

    pub(crate) async fn await_forgotten_within(
        &self,
        netns: &str,
        macs: &[Mac],
        limit: Duration,
    ) -> Result<(), Error> {
        let none = async || Ok(!self.fdb(netns).await?.iter().any(|e| macs.contains(&e.mac)));
        let came = self.comes_to_hold(netns, &[EventKind::Neighbour], limit, none).await?;
        came.then_some(()).ok_or_else(|| {
            Error::new(
                format!("{macs:?} were not forgotten within {} s", limit.as_secs()),
                format!("namespace `{netns}`"),
                "set a short ageing time first, and have them be silent",
            )
        })
    }
}

/// How long an address may take to be forgotten beyond its ageing time: the kernel looks in its own
/// time, at the latest when the ageing time has passed once more.
const FORGOTTEN: Duration = Duration::from_secs(20);

fn fdb_attrs(mac: Mac, vlan: Option<u16>) -> Attrs {
    let attrs = Attrs::new().bytes(NDA_LLADDR, &mac.0);
    match vlan {
        Some(id) => attrs.bytes(NDA_VLAN, &id.to_ne_bytes()),
        None => attrs,
    }
}
