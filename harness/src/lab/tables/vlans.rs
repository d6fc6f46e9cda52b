//! VLANs of bridge ports.

use std::fmt;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::super::options::{LINK_HEADER, link_header};
use super::{u16_at, u32_at};
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{AF_BRIDGE, DUMP, Question, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK};

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

    /// As the kernel has them (`BRIDGE_VLAN_INFO_PVID` and `_UNTAGGED`).
    pub(super) const fn flags(self) -> u16 {
        (if self.pvid { VLAN_PVID } else { 0 }) | (if self.untagged { VLAN_UNTAGGED } else { 0 })
    }
}

impl fmt::Display for PortVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pvid = if self.pvid { " pvid" } else { "" };
        write!(f, "{}{pvid}{}", self.id, if self.untagged { " untagged" } else { "" })
    }
}

pub(super) const IFLA_AF_SPEC: u16 = 26;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const BRIDGE_FLAGS_SELF: u16 = 2;
pub(super) const VLAN_PVID: u16 = 2;
pub(super) const VLAN_UNTAGGED: u16 = 4;
pub(super) const VLAN_RANGE_BEGIN: u16 = 8;
pub(super) const VLAN_RANGE_END: u16 = 16;
/// `RTEXT_FILTER_BRVLAN`: tell the VLANs one by one.
const WITH_VLANS: u32 = 2;

impl Lab {
    /// The VLANs of a bridge port, or of the bridge itself.
    pub async fn vlans(&self, link: impl Into<LinkName>) -> Result<Vec<PortVlan>, Error> {
        let link = link.into();
        let told = self.beside(&link, WITH_VLANS)?;
        let infos = told.iter().filter(|(kind, _)| *kind == IFLA_BRIDGE_VLAN_INFO);
        let mut vlans: Vec<PortVlan> = infos.map(|(_, info)| port_vlan(info)).collect();
        vlans.sort_unstable();
        Ok(vlans)
    }

    /// What the kernel tells of a bridge port beside its settings (`IFLA_AF_SPEC`), of the kinds
    /// that a mask of `RTEXT_FILTER_*` names.
    pub(super) fn beside(&self, link: &LinkName, mask: u32) -> Result<Vec<(u16, Vec<u8>)>, Error> {
        let index = self.index(link)?;
        let header = link_header(AF_BRIDGE, 0, 0, 0);
        let attrs = Attrs::new().bytes(IFLA_EXT_MASK, &mask.to_ne_bytes());
        let asked = Question { kind: RTM_GETLINK, flags: DUMP, header: &header, attrs };
        let answers = self.ask(&link.netns, &asked)?;
        let answers = answers.map_err(|refused| refused.error("show the VLANs", link))?;
        let bodies = answers.iter().filter(|(_, body)| u32_at(body, 4) == index);
        let specs = bodies.filter_map(|(_, body)| find(body.get(LINK_HEADER..)?, IFLA_AF_SPEC));
        Ok(specs.flat_map(parse).map(|(kind, value)| (kind, value.to_vec())).collect())
    }

    /// Makes a bridge port, or the bridge itself, a member of a VLAN.
    pub async fn add_vlan(
        &mut self,
        link: impl Into<LinkName>,
        vlan: PortVlan,
    ) -> Result<(), Error> {
        self.change_vlan(RTM_SETLINK, &link.into(), (vlan.id, vlan.id), vlan)
    }

    /// Makes a bridge port, or the bridge itself, a member of a range of VLANs in one request, each
    /// as `vlan` says.
    pub async fn add_vlans(
        &mut self,
        link: impl Into<LinkName>,
        range: (u16, u16),
        vlan: PortVlan,
    ) -> Result<(), Error> {
        self.change_vlan(RTM_SETLINK, &link.into(), range, vlan)
    }

    /// Takes a bridge port, or the bridge itself, out of a range of VLANs in one request.
    pub async fn delete_vlans(
        &mut self,
        link: impl Into<LinkName>,
        range: (u16, u16),
    ) -> Result<(), Error> {
        self.change_vlan(RTM_DELLINK, &link.into(), range, PortVlan::tagged(0))
    }

    /// Takes a bridge port, or the bridge itself, out of a VLAN.
    pub async fn delete_vlan(&mut self, link: impl Into<LinkName>, id: u16) -> Result<(), Error> {
        self.change_vlan(RTM_DELLINK, &link.into(), (id, id), PortVlan::tagged(id))
    }

    fn change_vlan(
        &mut self,
        kind: u16,
        link: &LinkName,
        (first, last): (u16, u16),
        vlan: PortVlan,
    ) -> Result<(), Error> {
        let header = link_header(AF_BRIDGE, self.index(link)?, 0, 0);
        let flags = vlan.flags();
        let info = |id: u16, more: u16| [(flags | more).to_ne_bytes(), id.to_ne_bytes()].concat();
        let is_port = self.topology.link(link).is_some_and(|link| link.port.is_some());
        let mut spec = Attrs::new();
        if !is_port {
            spec = spec.bytes(IFLA_BRIDGE_FLAGS, &BRIDGE_FLAGS_SELF.to_ne_bytes());
        }
        let spec = if first == last {
            spec.bytes(IFLA_BRIDGE_VLAN_INFO, &info(first, 0))
        } else {
            spec.bytes(IFLA_BRIDGE_VLAN_INFO, &info(first, VLAN_RANGE_BEGIN))
                .bytes(IFLA_BRIDGE_VLAN_INFO, &info(last, VLAN_RANGE_END))
        };
        let vlan = PortVlan { id: first, ..vlan };
        let attrs = Attrs::new().nest(IFLA_AF_SPEC, &spec);
        let asked = Question { kind, flags: 0, header: &header, attrs };
        self.command(link, &asked, &format!("change VLAN {vlan}"))?;
        let verb = if kind == RTM_SETLINK { "is in" } else { "has left" };
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
