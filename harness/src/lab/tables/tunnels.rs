//! Which tunnel each VLAN of a bridge port is mapped to (`vlan_tunnel`).

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::super::options::link_header;
use super::vlan_options::{ENTRY, ONLY_OPTIONS, members};
use super::vlans::{IFLA_AF_SPEC, VLAN_RANGE_BEGIN, VLAN_RANGE_END};
use super::{u16_at, u32_at};
use crate::attrs::{Attrs, find};
use crate::netlink::plain::{AF_BRIDGE, Question, RTM_DELLINK, RTM_NEWVLAN, RTM_SETLINK};

const TUNNEL_INFO: u16 = 3;
const TUNNEL_ID: u16 = 1;
const TUNNEL_VID: u16 = 2;
const TUNNEL_FLAGS: u16 = 3;
/// Of an entry that tells a VLAN, since 5.7.
const ENTRY_TUNNEL: u16 = 4;
const ENTRY_TUNNEL_ID: u16 = 1;
const ENTRY_TUNNEL_COMMAND: u16 = 2;
/// `RTEXT_FILTER_BRVLAN_COMPRESSED`: tell VLANs in ranges.
const IN_RANGES: u32 = 4;

/// The tunnel that an entry of a VLAN tells.
pub(super) fn tunnel_of(entry: &[u8]) -> Option<u32> {
    Some(u32_at(find(find(entry, ENTRY_TUNNEL)?, ENTRY_TUNNEL_ID)?, 0))
}

impl Lab {
    /// Maps VLANs of a port to tunnels, the first to the first, in one request of the port's.
    pub async fn add_tunnels(
        &mut self,
        port: impl Into<LinkName>,
        vlans: (u16, u16),
        tunnels: (u32, u32),
    ) -> Result<(), Error> {
        self.change_tunnels(&port.into(), RTM_SETLINK, vlans, tunnels)
    }

    /// Takes the mapping of VLANs to tunnels away, in one request of the port's.
    pub async fn delete_tunnels(
        &mut self,
        port: impl Into<LinkName>,
        vlans: (u16, u16),
        tunnels: (u32, u32),
    ) -> Result<(), Error> {
        self.change_tunnels(&port.into(), RTM_DELLINK, vlans, tunnels)
    }

    fn change_tunnels(
        &mut self,
        port: &LinkName,
        kind: u16,
        vlans: (u16, u16),
        tunnels: (u32, u32),
    ) -> Result<(), Error> {
        let header = link_header(AF_BRIDGE, self.index(port)?, 0, 0);
        let info = |vlan: u16, tunnel: u32, flags: u16| {
            let info = Attrs::new().bytes(TUNNEL_ID, &tunnel.to_ne_bytes());
            let info = info.bytes(TUNNEL_VID, &vlan.to_ne_bytes());
            info.bytes(TUNNEL_FLAGS, &flags.to_ne_bytes())
        };
        let spec = if vlans.0 == vlans.1 {
            Attrs::new().nest(TUNNEL_INFO, &info(vlans.0, tunnels.0, 0))
        } else {
            let first = info(vlans.0, tunnels.0, VLAN_RANGE_BEGIN);
            let last = info(vlans.1, tunnels.1, VLAN_RANGE_END);
            Attrs::new().nest(TUNNEL_INFO, &first).nest(TUNNEL_INFO, &last)
        };
        let attrs = Attrs::new().nest(IFLA_AF_SPEC, &spec);
        let asked = Question { kind, flags: 0, header: &header, attrs };
        self.command(port, &asked, &format!("map VLANs {vlans:?} to tunnels {tunnels:?}"))?;
        let verb = if kind == RTM_SETLINK { "are mapped" } else { "are no longer mapped" };
        self.tell(|| format!("{port} VLANs {vlans:?} {verb} to tunnels {tunnels:?}"));
        Ok(())
    }

    /// Maps VLANs of a port to tunnels from one on, or to none, in a request that is of VLANs only;
    /// since 5.7.
    pub async fn map_vlan_range(
        &mut self,
        port: impl Into<LinkName>,
        vlans: (u16, u16),
        tunnel: Option<u32>,
    ) -> Result<(), Error> {
        let command = if tunnel.is_some() { RTM_SETLINK } else { RTM_DELLINK };
        let mut map = Attrs::new().bytes(ENTRY_TUNNEL_COMMAND, &u32::from(command).to_ne_bytes());
        if let Some(tunnel) = tunnel {
            map = map.bytes(ENTRY_TUNNEL_ID, &tunnel.to_ne_bytes());
        }
        let attrs =
            Attrs::new().nest(ENTRY, &members(vlans, ONLY_OPTIONS).nest(ENTRY_TUNNEL, &map));
        self.change_range(&port.into(), RTM_NEWVLAN, vlans, attrs)
    }

    /// Which tunnels the VLANs of a port are mapped to, in the ranges in which they are told:
    /// `10-12 to 1000-1002`.
    pub async fn tunnels(&self, port: impl Into<LinkName>) -> Result<Vec<String>, Error> {
        let told = self.beside(&port.into(), IN_RANGES)?;
        let mut lines = Vec::new();
        let mut begun = None;
        for (_, info) in told.iter().filter(|(kind, _)| *kind == TUNNEL_INFO) {
            let of = |kind| find(info, kind).unwrap_or_default();
            let (vlan, tunnel) = (u16_at(of(TUNNEL_VID), 0), u32_at(of(TUNNEL_ID), 0));
            match u16_at(of(TUNNEL_FLAGS), 0) {
                VLAN_RANGE_BEGIN => begun = Some((vlan, tunnel)),
                VLAN_RANGE_END => lines.push(match begun.take() {
                    Some((first, from)) => format!("{first}-{vlan} to {from}-{tunnel}"),
                    None => format!("an end at {vlan} to {tunnel}"),
                }),
                _ => lines.push(format!("{vlan} to {tunnel}")),
            }
        }
        lines.extend(begun.map(|(vlan, tunnel)| format!("a beginning at {vlan} to {tunnel}")));
        Ok(lines)
    }
}
