//! Reading links back from the kernel.

use futures::TryStreamExt;
use hairpin_model::Mac;
use rtnetlink::packet_route::link::{
    InfoBridgePort, InfoPortData, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::{Netlink, Refused, mac};

/// A link as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has carrier (`LOWER_UP`).
    pub carrier: bool,
    /// Whether the kernel holds it ready to send (`RUNNING`): up, carrier, and told so.
    pub running: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// How many asked for it to be promiscuous.
    pub promiscuity: u32,
    /// Whether it asks nobody for neighbours' addresses (`NOARP`).
    pub noarp: bool,
}

impl Netlink {
    /// One link, by its index.
    pub(crate) async fn link(&self, index: u32) -> Result<LinkState, Refused> {
        let found = self.handle.link().get().match_index(index).execute().try_next().await?;
        found
            .as_ref()
            .map(state)
            .ok_or(Refused { errno: libc::ENODEV, words: "no such link".into() })
    }

    /// Whether the kernel tells, of a bridge's port, if it is locked. It takes the wish in any case.
    pub(crate) async fn knows_locked(&self, port: u32) -> Result<bool, Refused> {
        let found = self.handle.link().get().match_index(port).execute().try_next().await?;
        let attributes = found.iter().flat_map(|message| &message.attributes);
        let mut flags = attributes.filter_map(port_flags).flatten();
        Ok(flags.any(|flag| matches!(flag, InfoBridgePort::Locked(_))))
    }
}

fn port_flags(attribute: &LinkAttribute) -> Option<&[InfoBridgePort]> {
    let LinkAttribute::LinkInfo(infos) = attribute else { return None };
    infos.iter().find_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(flags)) => Some(flags.as_slice()),
        _ => None,
    })
}

fn state(message: &LinkMessage) -> LinkState {
    let flags = message.header.flags;
    let mut state = LinkState {
        name: String::new(),
        index: message.header.index,
        mac: Mac([0; 6]),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        running: flags.contains(LinkFlags::Running),
        mtu: 0,
        promiscuity: 0,
        noarp: flags.contains(LinkFlags::Noarp),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => state.name.clone_from(name),
            LinkAttribute::Address(bytes) => state.mac = mac(bytes).unwrap_or(state.mac),
            LinkAttribute::Mtu(mtu) => state.mtu = *mtu,
            LinkAttribute::Promiscuity(count) => state.promiscuity = *count,
            _ => {}
        }
    }
    state
}
