//! What the kernel keeps about a lab's links: counters, filters, forwarding entries, group
//! memberships, VLANs of ports. Read, added to and taken from by hand.
//!
//! Entries print as one line each, the same on every kernel, so that a case can hold a table
//! against a list of lines.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use rtnetlink::MulticastGroup;

use super::Lab;
use super::options::{LINK_HEADER, link_header};
use super::settle::Events;
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{ACK, Answer, BULK, CREATE, DUMP, EXCL, Question, REPLACE};

const AF_BRIDGE: u8 = 7;

/// What a link has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames that were broken when they came.
    pub rx_errors: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
    /// Frames that came and were thrown away.
    pub rx_dropped: u64,
    /// Frames that were to be sent and were thrown away.
    pub tx_dropped: u64,
    /// Group frames received.
    pub multicast: u64,
}

impl std::ops::Sub for Counters {
    type Output = Self;

    /// What was counted since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            rx_packets: self.rx_packets.wrapping_sub(earlier.rx_packets),
            tx_packets: self.tx_packets.wrapping_sub(earlier.tx_packets),
            rx_bytes: self.rx_bytes.wrapping_sub(earlier.rx_bytes),
            tx_bytes: self.tx_bytes.wrapping_sub(earlier.tx_bytes),
            rx_errors: self.rx_errors.wrapping_sub(earlier.rx_errors),
            tx_errors: self.tx_errors.wrapping_sub(earlier.tx_errors),
            rx_dropped: self.rx_dropped.wrapping_sub(earlier.rx_dropped),
            tx_dropped: self.tx_dropped.wrapping_sub(earlier.tx_dropped),
            multicast: self.multicast.wrapping_sub(earlier.multicast),
        }
    }
}

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
}

impl Fdb {
    /// Stays until it is deleted; frames to it leave by the port.
    pub const STATIC: Self = Self { vlan: None, own: false, ages: false, sticky: false };
    /// Ages as if it had been learned.
    pub const DYNAMIC: Self = Self { vlan: None, own: false, ages: true, sticky: false };
    /// The bridge's own: frames to it go up.
    pub const OWN: Self = Self { vlan: None, own: true, ages: false, sticky: false };
    /// Static, and not moved when its address is seen elsewhere.
    pub const STICKY: Self = Self { vlan: None, own: false, ages: false, sticky: true };

    /// In this VLAN.
    #[must_use]
    pub const fn vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }
}

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
        f.write_str(if self.permanent { " permanent" } else { "" })
    }
}

/// A VLAN of a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortVlan {
    /// Its id.
    pub id: u16,
    /// Whether untagged frames that come in are of it.
    pub pvid: bool,
    /// Whether its frames leave without a tag.
    pub untagged: bool,
}

impl PortVlan {
    /// Tagged both ways.
    pub const fn tagged(id: u16) -> Self {
        Self { id, pvid: false, untagged: false }
    }

    /// Untagged both ways: an access port.
    pub const fn access(id: u16) -> Self {
        Self { id, pvid: true, untagged: true }
    }
}

impl fmt::Display for PortVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pvid = if self.pvid { " pvid" } else { "" };
        write!(f, "{}{pvid}{}", self.id, if self.untagged { " untagged" } else { "" })
    }
}

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
const NUD_REACHABLE: u16 = 0x02;
const NTF_SELF: u8 = 0x02;
const NTF_MASTER: u8 = 0x04;
const NTF_STICKY: u8 = 0x40;
const NTF_EXT_LOCKED: u32 = 2;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_MASTER: u16 = 9;
const NDA_FLAGS_EXT: u16 = 15;

/// `ndmsg`.
fn neighbour_header(index: u32, state: u16, flags: u8) -> Vec<u8> {
    let mut header = vec![AF_BRIDGE, 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(state.to_ne_bytes());
    header.extend([flags, 0]);
    header
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_ne_bytes(*b))
}

impl Lab {
    /// What a link has counted since it was made.
    pub async fn counters(&self, link: impl Into<LinkName>) -> Result<Counters, Error> {
        const IFLA_STATS64: u16 = 23;
        let attrs = self.link_attributes(&link.into())?;
        let stats = find(&attrs, IFLA_STATS64).unwrap_or_default();
        let at = |place: usize| {
            let bytes = stats.get(8 * place..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        Ok(Counters {
            rx_packets: at(0),
            tx_packets: at(1),
            rx_bytes: at(2),
            tx_bytes: at(3),
            rx_errors: at(4),
            tx_errors: at(5),
            rx_dropped: at(6),
            tx_dropped: at(7),
            multicast: at(8),
        })
    }

    /// The addresses and groups, besides its own address and those that every link has, that a
    /// link takes frames for: what its children and its sockets have asked it to.
    pub async fn filters(&self, link: impl Into<LinkName>) -> Result<BTreeSet<Mac>, Error> {
        let link = link.into();
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

    /// What the bridges of a namespace know, in order of address.
    pub async fn fdb(&self, netns: &str) -> Result<Vec<FdbEntry>, Error> {
        let entries = self.neighbours(netns)?;
        let mut entries: Vec<FdbEntry> =
            entries.iter().filter_map(|(_, body)| self.fdb_entry(netns, body)).collect();
        entries.sort();
        entries.dedup();
        Ok(entries)
    }

    fn neighbours(&self, netns: &str) -> Result<Vec<Answer>, Error> {
        // The old header, an ifinfomsg, is the one that every kernel takes.
        let header = link_header(AF_BRIDGE, 0, 0, 0);
        let attrs = Attrs::new();
        let question = Question { kind: RTM_GETNEIGH, flags: DUMP, header: &header, attrs };
        let answers = self.ask(netns, &question)?;
        answers.map_err(|refused| refused.error("show the forwarding entries", netns))
    }

    /// An entry, if it is a bridge's.
    fn fdb_entry(&self, netns: &str, body: &[u8]) -> Option<FdbEntry> {
        let attrs = body.get(12..)?;
        let bridge = self.name_of(netns, u32_at(body, 4))?;
        find(attrs, NDA_MASTER)?;
        let (state, flags) = (u16_at(body, 8), *body.get(10)?);
        let ext = find(attrs, NDA_FLAGS_EXT).map_or(0, |bytes| u32_at(bytes, 0));
        Some(FdbEntry {
            mac: Mac(find(attrs, NDA_LLADDR)?.try_into().ok()?),
            link: bridge,
            vlan: find(attrs, NDA_VLAN).map(|bytes| u16_at(bytes, 0)),
            own: state & NUD_PERMANENT != 0,
            fixed: state & (NUD_NOARP | NUD_PERMANENT) != 0,
            sticky: flags & NTF_STICKY != 0,
            locked: ext & NTF_EXT_LOCKED != 0,
        })
    }

    fn name_of(&self, netns: &str, index: u32) -> Option<String> {
        let mut links = self.topology.links_of(netns);
        links.find(|l| self.topology.ifindex(&l.name) == index).map(|l| l.name.link.clone())
    }

    /// Adds or replaces a forwarding entry of the bridge that the link is a port of.
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
        let flags = NTF_MASTER | if entry.sticky { NTF_STICKY } else { 0 };
        let header = neighbour_header(self.index(&port)?, state, flags);
        let flags = ACK | CREATE | REPLACE;
        let attrs = fdb_attrs(mac, entry.vlan);
        let asked = Question { kind: RTM_NEWNEIGH, flags, header: &header, attrs };
        let done = self.ask(&port.netns, &asked)?;
        done.map_err(|refused| refused.error(&format!("add the forwarding entry {mac}"), &port))?;
        self.tell(|| format!("{port} has {mac} as a forwarding entry"));
        Ok(())
    }

    /// Deletes a forwarding entry of the bridge that the link is a port of.
    pub async fn delete_fdb(
        &mut self,
        port: impl Into<LinkName>,
        mac: Mac,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        let port = port.into();
        let header = neighbour_header(self.index(&port)?, 0, NTF_MASTER);
        let attrs = fdb_attrs(mac, vlan);
        let asked = Question { kind: RTM_DELNEIGH, flags: ACK, header: &header, attrs };
        let done = self.ask(&port.netns, &asked)?;
        done.map_err(|refused| refused.error(&format!("delete the entry {mac}"), &port))?;
        self.tell(|| format!("{port} has lost the forwarding entry {mac}"));
        Ok(())
    }

    /// Makes a bridge forget all that it has learned.
    pub async fn flush_bridge(&mut self, bridge: impl Into<LinkName>) -> Result<(), Error> {
        const NDA_NDM_STATE_MASK: u16 = 16;
        let bridge = bridge.into();
        let header = neighbour_header(self.index(&bridge)?, 0, NTF_SELF);
        let attrs =
            Attrs::new().bytes(NDA_NDM_STATE_MASK, &(NUD_NOARP | NUD_PERMANENT).to_ne_bytes());
        let flags = ACK | BULK;
        let done = self
            .ask(&bridge.netns, &Question { kind: RTM_DELNEIGH, flags, header: &header, attrs })?;
        done.map_err(|refused| refused.error("forget what it has learned", &bridge))?;
        self.tell(|| format!("{bridge} forgets what it has learned"));
        Ok(())
    }
}

/// How long an address may take to be forgotten beyond its ageing time: the kernel looks in its own
/// time, at the latest when the ageing time has passed once more.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// How often a state without an event of its own is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Lab {
    /// Waits until the bridges of a namespace have forgotten these addresses, woken by the kernel's
    /// own events.
    pub async fn await_forgotten(&self, netns: &str, macs: &[Mac]) -> Result<(), Error> {
        let mut events = Events::subscribe(&self.node(netns)?.ns, MulticastGroup::Neigh)?;
        let watch = async {
            while self.fdb(netns).await?.iter().any(|entry| macs.contains(&entry.mac)) {
                events.next().await;
            }
            Ok(())
        };
        tokio::time::timeout(FORGOTTEN, watch).await.unwrap_or_else(|_| {
            Err(Error::new(
                format!("{macs:?} were not forgotten within {} s", FORGOTTEN.as_secs()),
                format!("namespace `{netns}`"),
                "set a short ageing time first, and have them be silent",
            ))
        })
    }
}

fn fdb_attrs(mac: Mac, vlan: Option<u16>) -> Attrs {
    let attrs = Attrs::new().bytes(NDA_LLADDR, &mac.0);
    match vlan {
        Some(id) => attrs.bytes(NDA_VLAN, &id.to_ne_bytes()),
        None => attrs,
    }
}

const RTM_NEWMDB: u16 = 84;
const RTM_DELMDB: u16 = 85;
const RTM_GETMDB: u16 = 86;
const MDBA_MDB: u16 = 1;
const MDBA_MDB_ENTRY: u16 = 1;
const MDBA_MDB_ENTRY_INFO: u16 = 1;
const MDBA_SET_ENTRY: u16 = 1;
const MDBA_MDB_EATTR_SOURCE: u16 = 4;
const MDB_PERMANENT: u8 = 1;

/// `br_mdb_entry`: 28 bytes.
fn mdb_entry(port: u32, group: &str, vlan: u16) -> Option<[u8; 28]> {
    let mut entry = [0; 28];
    entry[..4].copy_from_slice(&port.to_ne_bytes());
    entry[4] = MDB_PERMANENT;
    entry[6..8].copy_from_slice(&vlan.to_ne_bytes());
    let protocol: u16 = match (group.parse(), group.parse::<Mac>()) {
        (Ok(IpAddr::V4(ip)), _) => {
            entry[8..12].copy_from_slice(&ip.octets());
            0x0800
        }
        (Ok(IpAddr::V6(ip)), _) => {
            entry[8..24].copy_from_slice(&ip.octets());
            0x86dd
        }
        (_, Ok(mac)) => {
            entry[8..14].copy_from_slice(&mac.0);
            0
        }
        _ => return None,
    };
    entry[24..26].copy_from_slice(&protocol.to_be_bytes());
    Some(entry)
}

impl Lab {
    /// The memberships that the bridges of a namespace know, in order of group.
    pub async fn mdb(&self, netns: &str) -> Result<Vec<MdbEntry>, Error> {
        let header = [AF_BRIDGE, 0, 0, 0, 0, 0, 0, 0];
        let attrs = Attrs::new();
        let asked = Question { kind: RTM_GETMDB, flags: DUMP, header: &header, attrs };
        let answers = self.ask(netns, &asked)?;
        let answers = answers.map_err(|refused| refused.error("show the memberships", netns))?;
        let mut found = Vec::new();
        for (_, body) in &answers {
            let all = find(body.get(8..).unwrap_or_default(), MDBA_MDB).unwrap_or_default();
            let entries = parse(all).filter(|(kind, _)| *kind == MDBA_MDB_ENTRY);
            let infos = entries.flat_map(|(_, entry)| parse(entry));
            let infos = infos.filter(|(kind, _)| *kind == MDBA_MDB_ENTRY_INFO);
            found.extend(infos.filter_map(|(_, info)| self.membership(netns, info)));
        }
        found.sort();
        Ok(found)
    }

    fn membership(&self, netns: &str, info: &[u8]) -> Option<MdbEntry> {
        let vlan = u16_at(info, 6);
        let group = match u16::from_be_bytes(*info.get(24..)?.first_chunk()?) {
            0x0800 => Ipv4Addr::from(*info.get(8..)?.first_chunk::<4>()?).to_string(),
            0x86dd => Ipv6Addr::from(*info.get(8..)?.first_chunk::<16>()?).to_string(),
            _ => Mac(*info.get(8..)?.first_chunk::<6>()?).to_string(),
        };
        let source = find(info.get(28..)?, MDBA_MDB_EATTR_SOURCE);
        let source = source.and_then(|bytes| match bytes.len() {
            4 => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
            _ => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
        });
        Some(MdbEntry {
            link: self.name_of(netns, u32_at(info, 0))?,
            group,
            source,
            vlan: (vlan != 0).then_some(vlan),
            permanent: info.get(4) == Some(&MDB_PERMANENT),
        })
    }

    /// Waits until a port is a member of a group, or is no more: memberships follow reports, which
    /// hosts send in their own time.
    pub async fn await_member(
        &self,
        port: impl Into<LinkName>,
        group: &str,
        member: bool,
    ) -> Result<(), Error> {
        let port = port.into();
        let watch = async {
            loop {
                let entries = self.mdb(&port.netns).await?;
                let mut of_it = entries.iter().filter(|e| e.link == port.link && e.group == group);
                if of_it.next().is_some() == member {
                    return Ok(());
                }
                // rtnetlink does not know the events of memberships, and keeps them from us.
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(FORGOTTEN, watch).await.unwrap_or_else(|_| {
            let still = if member { "not" } else { "still" };
            Err(Error::new(
                format!("`{port}` was {still} a member of {group} after {} s", FORGOTTEN.as_secs()),
                format!("namespace `{}`", port.netns),
                "does the bridge follow memberships, and did a host behind the port join or leave?",
            ))
        })
    }

    /// Makes a port (or the bridge itself) a lasting member of a group: an IP address or, since
    /// 5.13, an Ethernet one.
    pub async fn add_mdb(
        &mut self,
        bridge: impl Into<LinkName>,
        port: impl Into<LinkName>,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        self.change_mdb(RTM_NEWMDB, &bridge.into(), &port.into(), group, vlan)
    }

    /// Ends a membership.
    pub async fn delete_mdb(
        &mut self,
        bridge: impl Into<LinkName>,
        port: impl Into<LinkName>,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        self.change_mdb(RTM_DELMDB, &bridge.into(), &port.into(), group, vlan)
    }

    fn change_mdb(
        &mut self,
        kind: u16,
        bridge: &LinkName,
        port: &LinkName,
        group: &str,
        vlan: Option<u16>,
    ) -> Result<(), Error> {
        let mut header = vec![AF_BRIDGE, 0, 0, 0];
        header.extend(self.index(bridge)?.to_ne_bytes());
        let entry = mdb_entry(self.index(port)?, group, vlan.unwrap_or(0)).ok_or_else(|| {
            Error::new(
                format!("`{group}` is no group"),
                port.to_string(),
                "write an IP or an Ethernet address",
            )
        })?;
        let attrs = Attrs::new().bytes(MDBA_SET_ENTRY, &entry);
        let create = if kind == RTM_NEWMDB { CREATE | EXCL } else { 0 };
        let asked = Question { kind, flags: ACK | create, header: &header, attrs };
        let done = self.ask(&bridge.netns, &asked)?;
        let verb = if kind == RTM_NEWMDB { "add" } else { "end" };
        done.map_err(|refused| refused.error(&format!("{verb} its membership of {group}"), port))?;
        self.tell(|| format!("{port} {verb} member of {group}"));
        Ok(())
    }
}

const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_DELLINK: u16 = 17;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const BRIDGE_FLAGS_SELF: u16 = 2;
const VLAN_PVID: u16 = 2;
const VLAN_UNTAGGED: u16 = 4;
/// `RTEXT_FILTER_BRVLAN`: tell the VLANs one by one.
const WITH_VLANS: u32 = 2;

impl Lab {
    /// The VLANs of a bridge port, or of the bridge itself.
    pub async fn vlans(&self, link: impl Into<LinkName>) -> Result<Vec<PortVlan>, Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let header = link_header(AF_BRIDGE, 0, 0, 0);
        let attrs = Attrs::new().bytes(IFLA_EXT_MASK, &WITH_VLANS.to_ne_bytes());
        let asked = Question { kind: RTM_GETLINK, flags: DUMP, header: &header, attrs };
        let answers = self.ask(&link.netns, &asked)?;
        let answers = answers.map_err(|refused| refused.error("show the VLANs", &link))?;
        let bodies = answers.iter().filter(|(_, body)| u32_at(body, 4) == index);
        let spec = |(_, body): &Answer| {
            let spec = find(body.get(LINK_HEADER..)?, IFLA_AF_SPEC)?;
            let infos = parse(spec).filter(|(kind, _)| *kind == IFLA_BRIDGE_VLAN_INFO);
            Some(infos.map(|(_, info)| port_vlan(info)).collect::<Vec<_>>())
        };
        let mut vlans: Vec<PortVlan> = bodies.filter_map(spec).flatten().collect();
        vlans.sort_unstable();
        Ok(vlans)
    }

    /// Makes a bridge port, or the bridge itself, a member of a VLAN.
    pub async fn add_vlan(
        &mut self,
        link: impl Into<LinkName>,
        vlan: PortVlan,
    ) -> Result<(), Error> {
        self.change_vlan(RTM_SETLINK, &link.into(), vlan)
    }

    /// Takes a bridge port, or the bridge itself, out of a VLAN.
    pub async fn delete_vlan(&mut self, link: impl Into<LinkName>, id: u16) -> Result<(), Error> {
        self.change_vlan(RTM_DELLINK, &link.into(), PortVlan::tagged(id))
    }

    fn change_vlan(&mut self, kind: u16, link: &LinkName, vlan: PortVlan) -> Result<(), Error> {
        let header = link_header(AF_BRIDGE, self.index(link)?, 0, 0);
        let flag = |on: bool, bit: u16| if on { bit } else { 0 };
        let flags = flag(vlan.pvid, VLAN_PVID) | flag(vlan.untagged, VLAN_UNTAGGED);
        let info = [flags.to_ne_bytes(), vlan.id.to_ne_bytes()].concat();
        let is_port = self.topology.link(link).is_some_and(|link| link.port.is_some());
        let mut spec = Attrs::new();
        if !is_port {
            spec = spec.bytes(IFLA_BRIDGE_FLAGS, &BRIDGE_FLAGS_SELF.to_ne_bytes());
        }
        let spec = spec.bytes(IFLA_BRIDGE_VLAN_INFO, &info);
        let attrs = Attrs::new().nest(IFLA_AF_SPEC, &spec);
        let done = self.ask(&link.netns, &Question { kind, flags: ACK, header: &header, attrs })?;
        let verb = if kind == RTM_SETLINK { "is in" } else { "has left" };
        done.map_err(|refused| refused.error(&format!("change VLAN {vlan}"), link))?;
        self.tell(|| format!("{link} {verb} VLAN {vlan}"));
        Ok(())
    }
}

fn port_vlan(info: &[u8]) -> PortVlan {
    let flags = u16_at(info, 0);
    PortVlan {
        id: u16_at(info, 2),
        pvid: flags & VLAN_PVID != 0,
        untagged: flags & VLAN_UNTAGGED != 0,
    }
}
