//! Memberships of groups that bridges know.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Family, Mac};

use super::super::Lab;
use super::super::options::driver_data;
use super::mdb_words::{MDB_PERMANENT, MdbWords};
use super::{u16_at, u32_at};
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{
    AF_BRIDGE, Answer, CREATE, DUMP, EXCL, EventKind, Question, RTM_DELMDB, RTM_GETMDB, RTM_NEWMDB,
};

/// A group that a bridge port is a member of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MdbEntry {
    /// The port, or the bridge itself.
    pub link: String,
    /// The group: an IP address, or an Ethernet one.
    pub group: String,
    /// The source, if it is of one only.
    pub source: Option<IpAddr>,
    /// The VLAN, where the bridge keeps them apart.
    pub vlan: Option<u16>,
    /// Whether it was made by hand and does not end.
    pub permanent: bool,
    /// Whether what it is about is kept from the port.
    pub blocked: bool,
}

impl MdbEntry {
    /// Whether it is about a group (`239.1.2.3`), the group from one source alone (`239.1.2.3 from
    /// 192.0.2.1`), or what is kept out of it (`239.1.2.3 without 192.0.2.1`).
    fn is_about(&self, name: &str) -> bool {
        let of = |(group, source): (&str, &str)| {
            self.group == group && self.source.is_some_and(|own| own.to_string() == source)
        };
        match (name.split_once(" from "), name.split_once(" without ")) {
            (Some(from), _) => of(from),
            (_, Some(without)) => self.blocked && of(without),
            _ => self.group == name,
        }
    }
}

impl fmt::Display for MdbEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.group, self.link)?;
        if let Some(source) = self.source {
            write!(f, " from {source}")?;
        }
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        f.write_str(if self.permanent { " permanent" } else { "" })?;
        f.write_str(if self.blocked { " blocked" } else { "" })
    }
}

const MDBA_MDB: u16 = 1;
const MDBA_ROUTER: u16 = 2;
const MDBA_ROUTER_PORT: u16 = 1;
const IFLA_BR_MCAST_QUERIER_STATE: u16 = 47;
const MDBA_MDB_ENTRY: u16 = 1;
const MDBA_MDB_ENTRY_INFO: u16 = 1;
const MDBA_MDB_EATTR_SOURCE: u16 = 4;
const MDB_FLAGS_BLOCKED: u8 = 1 << 3;

/// How long a report, or the end of a membership that is not reported again, may take.
const REPORTED: Duration = Duration::from_secs(20);

/// An address of IPv4 or IPv6.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
        _ => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
    }
}

/// What a message of the kernel tells of memberships, each with what follows it.
pub(super) fn infos(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = find(body.get(8..).unwrap_or_default(), MDBA_MDB).unwrap_or_default();
    let entries = parse(all).filter(|(kind, _)| *kind == MDBA_MDB_ENTRY);
    let infos = entries.flat_map(|(_, entry)| parse(entry));
    infos.filter(|(kind, _)| *kind == MDBA_MDB_ENTRY_INFO).map(|(_, info)| info)
}

impl Lab {
    /// The memberships that the bridges of a namespace know, in order of group.
    pub async fn mdb(&self, netns: &str) -> Result<Vec<MdbEntry>, Error> {
        let mut found = Vec::new();
        for (_, body) in &self.group_tables(netns, "show the memberships")? {
            found.extend(self.memberships(netns, body));
        }
        found.sort();
        Ok(found)
    }

    /// All that the bridges of a namespace say of groups: memberships, and where routers are.
    pub(super) fn group_tables(&self, netns: &str, what: &str) -> Result<Vec<Answer>, Error> {
        let header = [AF_BRIDGE, 0, 0, 0, 0, 0, 0, 0];
        let attrs = Attrs::new();
        let asked = Question { kind: RTM_GETMDB, flags: DUMP, header: &header, attrs };
        let answers = self.ask(netns, &asked)?;
        answers.map_err(|refused| refused.error(what, netns))
    }

    /// The memberships that a message of the kernel tells.
    pub(super) fn memberships(&self, netns: &str, body: &[u8]) -> Vec<MdbEntry> {
        infos(body).filter_map(|info| self.membership(netns, info)).collect()
    }

    pub(super) fn membership(&self, netns: &str, info: &[u8]) -> Option<MdbEntry> {
        let vlan = u16_at(info, 6);
        let group = match u16::from_be_bytes(*info.get(24..)?.first_chunk()?) {
            0x0800 => Ipv4Addr::from(*info.get(8..)?.first_chunk::<4>()?).to_string(),
            0x86dd => Ipv6Addr::from(*info.get(8..)?.first_chunk::<16>()?).to_string(),
            _ => Mac(*info.get(8..)?.first_chunk::<6>()?).to_string(),
        };
        let source = find(info.get(28..)?, MDBA_MDB_EATTR_SOURCE);
        let source = source.and_then(address);
        Some(MdbEntry {
            link: self.topology.link_at(netns, u32_at(info, 0))?.name.link.clone(),
            group,
            source,
            vlan: (vlan != 0).then_some(vlan),
            permanent: info.get(4) == Some(&MDB_PERMANENT),
            blocked: info.get(5).is_some_and(|flags| flags & MDB_FLAGS_BLOCKED != 0),
        })
    }

    /// The ports of a namespace's bridges behind which routers are, in order.
    pub async fn router_ports(&self, netns: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for (_, body) in &self.group_tables(netns, "show the routers")? {
            found.extend(self.routers(netns, body));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The ports of routers that a message of the kernel tells.
    pub(super) fn routers(&self, netns: &str, body: &[u8]) -> Vec<String> {
        let all = find(body.get(8..).unwrap_or_default(), MDBA_ROUTER).unwrap_or_default();
        let ports = parse(all).filter(|(kind, _)| *kind == MDBA_ROUTER_PORT);
        let links = ports.filter_map(|(_, port)| self.topology.link_at(netns, u32_at(port, 0)));
        links.map(|link| link.name.link.clone()).collect()
    }

    /// Waits until a port is one behind which a router is, or is no more, woken by the kernel's own
    /// events.
    pub async fn await_router(&self, port: impl Into<LinkName>, is: bool) -> Result<(), Error> {
        let port = port.into();
        let so = async || Ok(self.router_ports(&port.netns).await?.contains(&port.link) == is);
        let came = self.comes_to_hold(&port.netns, &[EventKind::Mdb], REPORTED, so).await?;
        came.then_some(()).ok_or_else(|| {
            let still = if is { "not" } else { "still" };
            Error::new(
                format!("`{port}` was {still} a router's after {} s", REPORTED.as_secs()),
                format!("namespace `{}`", port.netns),
                "does the bridge follow memberships, and did a router ask behind the port?",
            )
        })
    }

    /// Who asks for memberships in the eyes of a bridge: its address, and the port that it is behind,
    /// if it is not the bridge itself. `None` where nobody does; told since 5.15.
    pub async fn querier(
        &self,
        bridge: impl Into<LinkName>,
        family: Family,
    ) -> Result<Option<(IpAddr, Option<String>)>, Error> {
        let bridge = bridge.into();
        let attrs = self.link_attributes(&bridge)?;
        let state = driver_data(&attrs).and_then(|data| find(data, IFLA_BR_MCAST_QUERIER_STATE));
        let Some(state) = state else { return Ok(None) };
        let (address, port) = match family {
            Family::V4 => (1, 2),
            Family::V6 => (5, 6),
        };
        let address = find(state, address).and_then(|bytes| match bytes.len() {
            4 => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
            _ => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
        });
        let port = find(state, port).map(|bytes| u32_at(bytes, 0));
        let link = port.and_then(|index| self.topology.link_at(&bridge.netns, index));
        Ok(address.map(|address| (address, link.map(|link| link.name.link.clone()))))
    }

    /// Waits until a port is a member of a group, or is no more, woken by the kernel's own events:
    /// memberships follow reports, which hosts send in their own time.
    pub async fn await_member(
        &self,
        port: impl Into<LinkName>,
        group: &str,
        member: bool,
    ) -> Result<(), Error> {
        self.await_member_within(&port.into(), group, member, REPORTED).await
    }

    pub(crate) async fn await_member_within(
        &self,
        port: &LinkName,
        group: &str,
        member: bool,
        limit: Duration,
    ) -> Result<(), Error> {
        let so = async || {
            let entries = self.mdb(&port.netns).await?;
            let mut of_it = entries.iter().filter(|e| e.link == port.link);
            Ok(of_it.any(|e| e.is_about(group)) == member)
        };
        let came = self.comes_to_hold(&port.netns, &[EventKind::Mdb], limit, so).await?;
        came.then_some(()).ok_or_else(|| {
            let still = if member { "not" } else { "still" };
            Error::new(
                format!("`{port}` was {still} a member of {group} after {} s", limit.as_secs()),
                format!("namespace `{}`", port.netns),
                "does the bridge follow memberships, and did a host behind the port join or leave?",
            )
        })
    }

    /// Makes a port (or the bridge itself) a lasting member of a group: an IP address or, since
    /// 5.13, an Ethernet one. `239.1.2.3 from 192.0.2.1` is the group from that sender alone.
    pub async fn add_mdb(
        &mut self,
        bridge: impl Into<LinkName>,
        port: impl Into<LinkName>,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        self.change_mdb((RTM_NEWMDB, MDB_PERMANENT), &bridge.into(), &port.into(), group, vlan)
    }

    /// Makes a port a member of a group for as long as if it had been reported, or the bridge itself.
    pub async fn add_mdb_for_a_time(
        &mut self,
        bridge: impl Into<LinkName>,
        port: impl Into<LinkName>,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        self.change_mdb((RTM_NEWMDB, 0), &bridge.into(), &port.into(), group, vlan)
    }

    /// Ends a membership.
    pub async fn delete_mdb(
        &mut self,
        bridge: impl Into<LinkName>,
        port: impl Into<LinkName>,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        self.change_mdb((RTM_DELMDB, MDB_PERMANENT), &bridge.into(), &port.into(), group, vlan)
    }

    fn change_mdb(
        &mut self,
        (kind, state): (u16, u8),
        bridge: &LinkName,
        port: &LinkName,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        let links = (self.index(bridge)?, self.index(port)?);
        let words = MdbWords::of(links, group, vlan.unwrap_or(0), state).ok_or_else(|| {
            Error::new(
                format!("`{group}` is no group"),
                port.to_string(),
                "write an IP or an Ethernet address, or `239.1.2.3 from 192.0.2.1`",
            )
        })?;
        let create = if kind == RTM_NEWMDB { CREATE | EXCL } else { 0 };
        let verb = if kind == RTM_NEWMDB { "add" } else { "end" };
        let header = words.header();
        let asked = Question { kind, flags: create, header: &header, attrs: words.attrs() };
        self.command(port, &asked, &format!("{verb} its membership of {group}"))?;
        self.tell(|| format!("{port} {verb} member of {group}"));
        Ok(())
    }
}
