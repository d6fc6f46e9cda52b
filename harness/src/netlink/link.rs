//! Making and changing links.

use std::os::fd::RawFd;

use hairpin_model::Mac;
use hairpin_model::topology::{Bridge, IpvlanFlag, IpvlanMode, Macvlan, Mode, PortFlags};
use rtnetlink::packet_route::link::{
    BondMode, InfoBond, InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoVeth, IpVlanFlags,
    IpVlanMode, LinkAttribute, LinkMessage, LinkXdp, MacVlanFlags, MacVlanMacAddressMode,
    MacVlanMode, VlanFlags,
};
use rtnetlink::{LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth, LinkVlan};

use super::{Netlink, Refused};
use crate::ns::Ns;

/// What every new link is given at once.
#[derive(Clone, Debug)]
pub(crate) struct Birth<'t> {
    pub(crate) name: &'t str,
    pub(crate) index: u32,
    /// `None` leaves the address to the driver.
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: Option<u32>,
    pub(crate) queues: Option<u32>,
    pub(crate) up: bool,
}

impl Birth<'_> {
    fn apply<T>(&self, builder: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
        let mut builder = builder.index(self.index);
        if let Some(mac) = self.mac {
            builder = builder.address(mac.0.to_vec());
        }
        if let Some(mtu) = self.mtu {
            builder = builder.mtu(mtu);
        }
        for attribute in queues(self.queues) {
            builder = builder.append_extra_attribute(attribute);
        }
        if self.up { builder.up() } else { builder.down() }
    }
}

/// How many queues there are to be each way.
fn queues(number: Option<u32>) -> impl Iterator<Item = LinkAttribute> {
    let both = |n| [LinkAttribute::NumTxQueues(n), LinkAttribute::NumRxQueues(n)];
    number.into_iter().flat_map(both)
}

impl Netlink {
    async fn add(&self, message: LinkMessage) -> Result<(), Refused> {
        Ok(self.handle.link().add(message).execute().await?)
    }

    async fn set(&self, message: LinkMessage) -> Result<(), Refused> {
        Ok(self.handle.link().set(message).execute().await?)
    }

    /// Makes a bridge.
    pub(crate) async fn add_bridge(
        &self,
        birth: &Birth<'_>,
        settings: &Bridge,
    ) -> Result<(), Refused> {
        // The forward delay has no effect without STP but on old kernels; ports forward at once.
        let mut builder = LinkMessageBuilder::<LinkBridge>::new(birth.name).forward_delay(0);
        if let Some(ageing) = settings.ageing {
            builder = builder.ageing_time(ageing);
        }
        if let Some(on) = settings.mcast_snooping {
            builder = builder.mcast_snooping(on);
        }
        if settings.vlan_filtering {
            builder = builder.vlan_filtering(true);
        }
        if settings.nf_call {
            builder = builder.nf_call_iptables(true).nf_call_ip6tables(true);
        }
        self.add(birth.apply(builder).build()).await
    }

    /// Makes a cable; the far end is born in `far_ns`, and is brought up apart: the kernel refuses
    /// to do so in one message.
    pub(crate) async fn add_veth(
        &self,
        near: &Birth<'_>,
        bridge: Option<u32>,
        far: &Birth<'_>,
        far_ns: &Ns,
    ) -> Result<(), Refused> {
        let mut peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(far.name)
            .index(far.index)
            .setns_by_fd(far_ns.raw());
        if let Some(mac) = far.mac {
            peer = peer.address(mac.0.to_vec());
        }
        if let Some(mtu) = far.mtu {
            peer = peer.mtu(mtu);
        }
        for attribute in queues(far.queues) {
            peer = peer.append_extra_attribute(attribute);
        }
        let builder = LinkMessageBuilder::<LinkVeth>::new(near.name, far.name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
        let mut builder = near.apply(builder);
        if let Some(bridge) = bridge {
            builder = builder.controller(bridge);
        }
        self.add(builder.build()).await
    }

    /// Makes a macvlan child, or with that driver a macvtap one, in `ns` of a parent in this
    /// namespace.
    pub(crate) async fn add_macvlan(
        &self,
        birth: &Birth<'_>,
        driver: &str,
        parent: u32,
        settings: &Macvlan,
        ns: &Ns,
    ) -> Result<(), Refused> {
        let data = InfoData::MacVlan(macvlan_data(settings));
        self.add_child(birth, InfoKind::Other(driver.into()), data, parent, ns).await
    }

    /// Makes an ipvlan child in `ns` of a parent in this namespace.
    pub(crate) async fn add_ipvlan(
        &self,
        birth: &Birth<'_>,
        (parent, tap): (u32, bool),
        mode: IpvlanMode,
        flag: IpvlanFlag,
        ns: &Ns,
    ) -> Result<(), Refused> {
        let mode = match mode {
            IpvlanMode::L2 => IpVlanMode::L2,
            IpvlanMode::L3 => IpVlanMode::L3,
            IpvlanMode::L3s => IpVlanMode::L3S,
        };
        let flags = match flag {
            IpvlanFlag::Bridge => IpVlanFlags::empty(),
            IpvlanFlag::Private => IpVlanFlags::Private,
            IpvlanFlag::Vepa => IpVlanFlags::Vepa,
        };
        let data = InfoData::IpVlan(vec![InfoIpVlan::Mode(mode), InfoIpVlan::Flags(flags)]);
        let kind = if tap { InfoKind::IpVtap } else { InfoKind::IpVlan };
        self.add_child(birth, kind, data, parent, ns).await
    }

    async fn add_child(
        &self,
        birth: &Birth<'_>,
        kind: InfoKind,
        data: InfoData,
        parent: u32,
        ns: &Ns,
    ) -> Result<(), Refused> {
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind)
            .name(birth.name)
            .link(parent)
            .set_info_data(data)
            .setns_by_fd(ns.raw());
        self.add(birth.apply(builder).build()).await
    }

    /// Makes a link that swallows what is sent.
    pub(crate) async fn add_dummy(&self, birth: &Birth<'_>) -> Result<(), Refused> {
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Dummy);
        self.add(birth.apply(builder.name(birth.name)).build()).await
    }

    /// Makes a bond of which one link at a time is in use.
    pub(crate) async fn add_bond(&self, birth: &Birth<'_>) -> Result<(), Refused> {
        let mode = InfoData::Bond(vec![InfoBond::Mode(BondMode::ActiveBackup)]);
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Bond);
        self.add(birth.apply(builder.name(birth.name).set_info_data(mode)).build()).await
    }

    /// Changes a macvlan child's mode, flags and list of senders.
    pub(crate) async fn set_macvlan(
        &self,
        index: u32,
        driver: &str,
        settings: &Macvlan,
    ) -> Result<(), Refused> {
        let data = InfoData::MacVlan(macvlan_data(settings));
        let kind = InfoKind::Other(driver.into());
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind);
        // A driver's settings are changed by RTM_NEWLINK without the flags that create.
        let message = builder.index(index).set_info_data(data).build();
        Ok(self.handle.link().change(message).execute().await?)
    }

    /// Makes a VLAN on top of a link of this namespace.
    pub(crate) async fn add_vlan(
        &self,
        birth: &Birth<'_>,
        parent: u32,
        id: u16,
        bridge_binding: bool,
    ) -> Result<(), Refused> {
        let mut builder = LinkMessageBuilder::<LinkVlan>::new(birth.name).link(parent).id(id);
        if bridge_binding {
            builder = builder.flags(VlanFlags::BridgeBinding, VlanFlags::BridgeBinding);
        }
        self.add(birth.apply(builder).build()).await
    }

    /// Asks for a link of this kind that no driver would make: its MTU is beyond all. What comes
    /// back tells whether there is a driver to refuse it, and no link has to be taken away again,
    /// which would cost a grace period.
    pub(crate) async fn ask_for_impossible(&self, name: &str, kind: &str) -> Result<(), Refused> {
        let kind = InfoKind::Other(kind.into());
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind);
        self.add(builder.name(name).mtu(i32::MAX.unsigned_abs()).build()).await
    }

    /// Brings a link up or down.
    pub(crate) async fn set_up(&self, index: u32, up: bool) -> Result<(), Refused> {
        let builder = LinkUnspec::new_with_index(index);
        self.set(if up { builder.up() } else { builder.down() }.build()).await
    }

    /// Asks for a change of a link that changes nothing, which has the kernel do what it has put off.
    pub(crate) async fn touch(&self, index: u32) -> Result<(), Refused> {
        self.set(LinkUnspec::new_with_index(index).build()).await
    }

    /// Gives a link an Ethernet address.
    pub(crate) async fn set_mac(&self, index: u32, mac: Mac) -> Result<(), Refused> {
        self.set(LinkUnspec::new_with_index(index).address(mac.0.to_vec()).build()).await
    }

    /// Makes a link a port of a bridge, or (`None`) of none.
    pub(crate) async fn set_bridge(&self, index: u32, bridge: Option<u32>) -> Result<(), Refused> {
        let builder = LinkUnspec::new_with_index(index);
        let message = match bridge {
            Some(bridge) => builder.controller(bridge),
            None => builder.nocontroller(),
        };
        self.set(message.build()).await
    }

    /// Gives a link's driver an XDP program by its descriptor, or (-1) takes it away.
    pub(crate) async fn set_xdp(&self, index: u32, fd: RawFd) -> Result<(), Refused> {
        /// `XDP_FLAGS_DRV_MODE` of `<linux/if_link.h>`.
        const BY_THE_DRIVER: u32 = 1 << 2;
        let xdp = vec![LinkXdp::Fd(fd), LinkXdp::Flags(BY_THE_DRIVER)];
        let message = LinkUnspec::new_with_index(index);
        self.set(message.append_extra_attribute(LinkAttribute::Xdp(xdp)).build()).await
    }

    /// Sets a bridge port's flags; those that are not named stay as they are.
    pub(crate) async fn set_port(&self, index: u32, flags: &PortFlags) -> Result<(), Refused> {
        let mut builder = LinkBridgePort::new(index);
        type Setter =
            fn(LinkMessageBuilder<LinkBridgePort>, bool) -> LinkMessageBuilder<LinkBridgePort>;
        let flags: [(Option<bool>, Setter); 7] = [
            (flags.hairpin, LinkMessageBuilder::<LinkBridgePort>::hairpin),
            (flags.isolated, LinkMessageBuilder::<LinkBridgePort>::isolated),
            (flags.learning, LinkMessageBuilder::<LinkBridgePort>::learning),
            (flags.flood, LinkMessageBuilder::<LinkBridgePort>::flood),
            (flags.bcast_flood, LinkMessageBuilder::<LinkBridgePort>::bcast_flood),
            (flags.mcast_flood, LinkMessageBuilder::<LinkBridgePort>::mcast_flood),
            (flags.locked, LinkMessageBuilder::<LinkBridgePort>::locked),
        ];
        for (flag, set) in flags {
            if let Some(on) = flag {
                builder = set(builder, on);
            }
        }
        Ok(self.handle.link().set_port(builder.build()).execute().await?)
    }

    /// Makes a bridge forget what it has learned on a port.
    pub(crate) async fn flush_fdb(&self, port: u32) -> Result<(), Refused> {
        let message = LinkBridgePort::new(port).fdb_flush().build();
        Ok(self.handle.link().set_port(message).execute().await?)
    }

    /// Deletes a link.
    pub(crate) async fn delete_link(&self, index: u32) -> Result<(), Refused> {
        Ok(self.handle.link().del(index).execute().await?)
    }
}

fn macvlan_data(settings: &Macvlan) -> Vec<InfoMacVlan> {
    let mode = match settings.mode {
        Mode::Private => MacVlanMode::Private,
        Mode::Vepa => MacVlanMode::Vepa,
        Mode::Bridge => MacVlanMode::Bridge,
        Mode::Passthru => MacVlanMode::Passthrough,
        Mode::Source => MacVlanMode::Source,
    };
    let mut data = vec![InfoMacVlan::Mode(mode)];
    let mut flags = MacVlanFlags::empty();
    flags.set(MacVlanFlags::from_bits_retain(NOPROMISC), settings.nopromisc);
    flags.set(MacVlanFlags::from_bits_retain(NODST), settings.nodst);
    data.push(InfoMacVlan::Flags(flags));
    if settings.mode == Mode::Source {
        data.push(InfoMacVlan::MacAddrMode(MacVlanMacAddressMode::Set));
        let senders = settings.senders.iter().map(|mac| InfoMacVlan::MacAddr(mac.0)).collect();
        data.push(InfoMacVlan::MacAddrData(senders));
    }
    if let Some(frames) = settings.bc_queue {
        data.push(InfoMacVlan::BcQueueLen(frames));
    }
    data
}

/// `MACVLAN_FLAG_NOPROMISC` and `MACVLAN_FLAG_NODST` of `<linux/if_link.h>`.
const NOPROMISC: u16 = 1;
const NODST: u16 = 2;
