//! VLANs as ranges: how the kernel tells them (`RTM_GETVLAN`, since 5.7), and how many are made,
//! changed and deleted in one request (`RTM_NEWVLAN`, `RTM_DELVLAN`).

use std::fmt;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::tunnels::tunnel_of;
use super::vlan_options::{
    DUMP_GLOBAL, ENTRY_INFO, GLOBAL, VlanOption, at_port, options_alone, range_of, vlan_header,
    vlan_option,
};
use super::vlans::{VLAN_PVID, VLAN_UNTAGGED};
use super::{PortVlan, u16_at, u32_at};
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{Question, RTM_DELVLAN, RTM_NEWVLAN};

/// VLANs in a row that are alike, as the kernel tells them: `5-9 untagged state 4`. What is as it
/// begins (state 3, `mcast_router` 1, no suppression, no tunnel) is not printed; of tunnels, the first
/// VLAN's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanRange {
    first: u16,
    last: u16,
    words: Vec<String>,
}

impl fmt::Display for VlanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        self.words.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// What a VLAN at a port begins with.
const BEGINS: [(VlanOption, u8); 3] =
    [(vlan_option::STATE, 3), (vlan_option::MCAST_ROUTER, 1), (vlan_option::NEIGH_SUPPRESS, 0)];

impl VlanRange {
    fn read(kind: u16, entry: &[u8]) -> Option<Self> {
        let (first, last) = range_of(entry, kind == GLOBAL)?;
        let words = if kind == GLOBAL { vec!["global".to_owned()] } else { words(entry) };
        Some(Self { first, last, words })
    }

    /// The ranges of a message about VLANs, behind its fixed header.
    pub(super) fn all(body: &[u8]) -> Vec<Self> {
        let attrs = body.get(vlan_header(0).len()..).unwrap_or_default();
        parse(attrs).filter_map(|(kind, entry)| Self::read(kind, entry)).collect()
    }
}

fn words(entry: &[u8]) -> Vec<String> {
    let flags = find(entry, ENTRY_INFO).map_or(0, |info| u16_at(info, 0));
    let is = [(VLAN_PVID, "pvid"), (VLAN_UNTAGGED, "untagged")];
    let is = is.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| (*word).to_owned());
    let other = BEGINS.iter().filter_map(|(option, begins)| {
        let value = *find(entry, option.number)?.first()?;
        (value != *begins).then(|| format!("{option} {value}"))
    });
    let tunnel = tunnel_of(entry).map(|tunnel| format!("tunnel {tunnel}"));
    is.chain(other).chain(tunnel).collect()
}

impl Lab {
    /// The VLANs of a bridge port, or of the bridge itself, in the ranges in which the kernel tells
    /// them.
    pub async fn vlan_ranges(&self, link: impl Into<LinkName>) -> Result<Vec<VlanRange>, Error> {
        self.ranges(&link.into(), 0)
    }

    /// The VLANs of a bridge that are alike in what is of the whole bridge, in such ranges; since
    /// 5.15.
    pub async fn global_vlan_ranges(
        &self,
        bridge: impl Into<LinkName>,
    ) -> Result<Vec<VlanRange>, Error> {
        self.ranges(&bridge.into(), DUMP_GLOBAL)
    }

    /// The VLANs of all bridges and ports of a namespace, as they are told at once, each behind the name of its link.
    pub fn all_vlan_ranges(&self, netns: &str) -> Result<Vec<String>, Error> {
        self.all_ranges(netns, 0)
    }

    /// The same of what is of whole bridges, since 5.15.
    pub fn all_global_vlan_ranges(&self, netns: &str) -> Result<Vec<String>, Error> {
        self.all_ranges(netns, DUMP_GLOBAL)
    }

    fn all_ranges(&self, netns: &str, flags: u32) -> Result<Vec<String>, Error> {
        let messages = self.vlan_messages(netns, 0, flags, netns)?;
        let lines = messages.iter().flat_map(|(_, body)| {
            let index = u32_at(body, 4);
            let link = self.topology().link_at(netns, index);
            let link = link.map_or_else(|| format!("link {index}"), |link| link.name.link.clone());
            VlanRange::all(body).into_iter().map(move |range| format!("{link} {range}"))
        });
        Ok(lines.collect())
    }

    fn ranges(&self, link: &LinkName, flags: u32) -> Result<Vec<VlanRange>, Error> {
        let entries = self.vlan_entries(link, flags)?;
        Ok(entries.iter().filter_map(|(kind, entry)| VlanRange::read(*kind, entry)).collect())
    }

    /// Makes a bridge port, or the bridge itself, a member of a range of VLANs, with options, all
    /// in one request.
    pub async fn add_vlan_range(
        &mut self,
        link: impl Into<LinkName>,
        range: (u16, u16),
        vlan: PortVlan,
        options: &[(VlanOption, u64)],
    ) -> Result<(), Error> {
        let attrs = at_port(range, vlan.flags(), options);
        self.change_range(&link.into(), RTM_NEWVLAN, range, attrs)
    }

    /// Sets options of a range of VLANs in one request; memberships stay as they are.
    pub async fn set_vlan_range(
        &mut self,
        link: impl Into<LinkName>,
        range: (u16, u16),
        options: &[(VlanOption, u64)],
    ) -> Result<(), Error> {
        let attrs = options_alone(range, options);
        self.change_range(&link.into(), RTM_NEWVLAN, range, attrs)
    }

    /// Takes a bridge port, or the bridge itself, out of a range of VLANs in one request that is of
    /// VLANs only.
    pub async fn delete_vlan_range(
        &mut self,
        link: impl Into<LinkName>,
        range: (u16, u16),
    ) -> Result<(), Error> {
        self.change_range(&link.into(), RTM_DELVLAN, range, at_port(range, 0, &[]))
    }

    pub(super) fn change_range(
        &mut self,
        link: &LinkName,
        kind: u16,
        (first, last): (u16, u16),
        attrs: Attrs,
    ) -> Result<(), Error> {
        let header = vlan_header(self.index(link)?);
        let asked = Question { kind, flags: 0, header: &header, attrs };
        self.command(link, &asked, &format!("change VLANs {first} to {last}"))?;
        let verb = if kind == RTM_DELVLAN { "deleted" } else { "set" };
        self.tell(|| format!("{link} VLANs {first} to {last} {verb}"));
        Ok(())
    }
}
