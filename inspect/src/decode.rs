//! What netlink's messages say, as a snapshot's values. Only reads messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hairpin_explain::snapshot::{Bridge, Entry, Kind, Link, Macvlan, Neighbour, Port, Route};
use hairpin_model::Mac;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags};
use netlink_packet_route::link::{
    BridgeQuerierState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoMacVlan, InfoMacVtap,
    InfoPortData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkXdp, MacVlanFlags, XdpAttached,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMetric};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags};
use netlink_packet_route::tc::TcAttribute;

/// A link.
pub(crate) fn link(message: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        loopback: flags.contains(LinkFlags::Loopback),
        noarp: flags.contains(LinkFlags::Noarp),
        ..Link::default()
    };
    let (mut below, mut number, mut controller, mut port) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Link(index) => below = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkNetNsId(id) => number = Some(*id),
            LinkAttribute::Controller(index) => controller = Some(*index),
            LinkAttribute::Xdp(xdp) if has_program(xdp) => {
                link.strange.push("an XDP program".into());
            }
            LinkAttribute::LinkInfo(infos) => port = info(&mut link, infos),
            _ => {}
        }
    }
    link.below = below.map(|index| (number, index));
    match (controller, port) {
        (Some(bridge), Some(port)) => link.port = Some((bridge, port)),
        (Some(_), None) => link.strange.push("a master that is no bridge".into()),
        (None, _) => {}
    }
    Some(link)
}

fn has_program(xdp: &[LinkXdp]) -> bool {
    xdp.iter().any(|xdp| matches!(xdp, LinkXdp::Attached(how) if *how != XdpAttached::None))
}

/// Notes what kind of link it is; gives its settings as a bridge port.
fn info(link: &mut Link, infos: &[LinkInfo]) -> Option<Port> {
    let mut port = None;
    let mut data = None;
    for info in infos {
        match info {
            LinkInfo::Kind(kind) => link.kind = self::kind(kind),
            LinkInfo::Data(found) => data = Some(found),
            LinkInfo::PortData(InfoPortData::BridgePort(flags)) => {
                port = Some(self::port(flags, &mut link.strange));
            }
            _ => {}
        }
    }
    match (&mut link.kind, data) {
        (Kind::Bridge(bridge), Some(InfoData::Bridge(infos))) => set_bridge(bridge, infos),
        (Kind::Macvlan(child), Some(InfoData::MacVlan(infos))) => set_macvlan(child, infos),
        (Kind::Macvtap(child), Some(InfoData::MacVtap(infos))) => set_macvtap(child, infos),
        (Kind::Vlan(id), Some(InfoData::Vlan(infos))) => {
            let found = infos.iter().find_map(|info| match info {
                InfoVlan::Id(id) => Some(*id),
                _ => None,
            });
            *id = found.unwrap_or_default();
        }
        _ => {}
    }
    port
}

fn kind(kind: &InfoKind) -> Kind {
    match kind {
        InfoKind::Veth => Kind::Veth,
        InfoKind::Bridge => Kind::Bridge(Bridge::default()),
        InfoKind::MacVlan => Kind::Macvlan(Macvlan::default()),
        InfoKind::MacVtap => Kind::Macvtap(Macvlan::default()),
        InfoKind::Vlan => Kind::Vlan(0),
        InfoKind::Dummy => Kind::Dummy,
        InfoKind::Tun => Kind::Tun,
        other => Kind::Other(other.to_string()),
    }
}

fn set_bridge(bridge: &mut Bridge, infos: &[InfoBridge]) {
    for info in infos {
        match info {
            InfoBridge::VlanFiltering(on) => bridge.vlan_filtering = *on,
            InfoBridge::NfCallIpTables(on) => bridge.nf_call_iptables = *on,
            InfoBridge::NfCallIp6Tables(on) => bridge.nf_call_ip6tables = *on,
            InfoBridge::NfCallArpTables(on) => bridge.nf_call_arptables = *on,
            InfoBridge::MulticastSnooping(on) => bridge.snooping = *on,
            InfoBridge::MulticastQuerier(true) => bridge.querier = true,
            InfoBridge::MulticastQuerierState(state) => {
                let six = |found: &BridgeQuerierState| {
                    matches!(found, BridgeQuerierState::Ipv6Address(_))
                };
                bridge.querier |= state.iter().any(six);
            }
            _ => {}
        }
    }
}

fn set_macvlan(child: &mut Macvlan, infos: &[InfoMacVlan]) {
    for info in infos {
        match info {
            InfoMacVlan::Mode(mode) => child.mode = mode_name(u32::from(*mode)),
            InfoMacVlan::Flags(flags) => child.nodst = flags.contains(MacVlanFlags::NoDst),
            InfoMacVlan::MacAddr(mac) => child.senders.push(Mac(*mac)),
            InfoMacVlan::MacAddrData(list) => set_macvlan(child, list),
            InfoMacVlan::BcQueueLenUsed(length) => child.queue = Some(*length),
            _ => {}
        }
    }
}

fn set_macvtap(child: &mut Macvlan, infos: &[InfoMacVtap]) {
    for info in infos {
        match info {
            InfoMacVtap::Mode(mode) => child.mode = mode_name(u32::from(*mode)),
            InfoMacVtap::MacAddr(mac) => child.senders.push(Mac(*mac)),
            InfoMacVtap::MacAddrData(list) => set_macvtap(child, list),
            InfoMacVtap::BcQueueLenUsed(length) => child.queue = Some(*length),
            _ => {}
        }
    }
}

/// `MACVLAN_MODE_*`.
fn mode_name(mode: u32) -> String {
    match mode {
        1 => "private",
        2 => "vepa",
        4 => "bridge",
        8 => "passthru",
        16 => "source",
        _ => "unknown",
    }
    .into()
}

fn port(flags: &[InfoBridgePort], strange: &mut Vec<String>) -> Port {
    let mut port = Port::default();
    for flag in flags {
        match flag {
            InfoBridgePort::State(state) => port.state = u8::from(*state),
            InfoBridgePort::HairpinMode(on) => port.hairpin = *on,
            InfoBridgePort::Isolated(on) => port.isolated = *on,
            InfoBridgePort::Learning(on) => port.learning = *on,
            InfoBridgePort::UnicastFlood(on) => port.flood = *on,
            InfoBridgePort::BroadcastFlood(on) => port.bcast_flood = *on,
            InfoBridgePort::MulticastFlood(on) => port.mcast_flood = *on,
            InfoBridgePort::Locked(on) => port.locked = *on,
            InfoBridgePort::NeighSupress(true) | InfoBridgePort::NeighVlanSuppress(true) => {
                strange.push("suppression of neighbour questions".into());
            }
            InfoBridgePort::ProxyARP(true) | InfoBridgePort::ProxyARPWifi(true) => {
                strange.push("proxy ARP of a bridge port".into());
            }
            InfoBridgePort::Mab(true) => strange.push("MAC authentication bypass".into()),
            InfoBridgePort::VlanTunnel(true) => strange.push("VLAN tunnels".into()),
            InfoBridgePort::BackupPort(_) => strange.push("a backup port".into()),
            _ => {}
        }
    }
    port
}

/// An address.
pub(crate) struct Address {
    /// Its link's index.
    pub(crate) link: u32,
    pub(crate) net: IpNet,
    /// Why it is not used, if so.
    pub(crate) unready: Option<&'static str>,
    /// Why it is not the first choice, if so.
    pub(crate) unloved: Option<&'static str>,
}

/// An address, and its link's index.
pub(crate) fn address(message: &RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let four = message.header.family == AddressFamily::Inet;
    let (mut local, mut near) = (None, None);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            // IPv6 has its own address here, unless there is one of a peer.
            AddressAttribute::Address(ip) if !four => near = Some(*ip),
            AddressAttribute::Flags(found) => flags = *found,
            _ => {}
        }
    }
    let ip = local.or(near).filter(|ip| ip.is_ipv4() == four)?;
    let is = |flag| !four && flags.contains(flag);
    let unready = match () {
        () if is(AddressFlags::Dadfailed) => Some("dadfailed"),
        () if is(AddressFlags::Tentative) && !is(AddressFlags::Optimistic) => Some("tentative"),
        () => None,
    };
    let unloved = match () {
        () if is(AddressFlags::Deprecated) => Some("deprecated"),
        () if is(AddressFlags::Secondary) => Some("temporary"),
        () if is(AddressFlags::Optimistic) => Some("optimistic"),
        () if is(AddressFlags::Homeaddress) => Some("home"),
        () => None,
    };
    let net = IpNet::new(ip, message.header.prefix_len).ok()?;
    Some(Address { link: message.header.index, net, unready, unloved })
}

/// A route.
pub(crate) fn route(message: &RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let header = &message.header;
    let any: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let odd = match () {
        () if header.tos != 0 => Some("a type of service"),
        () if header.source_prefix_length != 0 => Some("a source of its own"),
        () => None,
    };
    let mut route = Route {
        to: IpNet::new(any, header.destination_prefix_length).ok()?,
        kind: route_kind(header.kind).to_owned(),
        table: u32::from(header.table),
        metric: 0,
        via: None,
        link: None,
        source: None,
        mtu: None,
        strange: odd.map(str::to_owned),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => {
                route.to = IpNet::new(ip(to)?, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Gateway(via) => route.via = Some(ip(via)?),
            RouteAttribute::PrefSource(from) => route.source = Some(ip(from)?),
            RouteAttribute::Oif(index) => route.link = Some(*index),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Metrics(all) => route.mtu = all.iter().find_map(mtu),
            RouteAttribute::MultiPath(_) => route.strange = Some("several next hops".into()),
            RouteAttribute::NhId(_) => route.strange = Some("a next hop object".into()),
            RouteAttribute::Encap(_) | RouteAttribute::Via(_) => {
                route.strange = Some("an encapsulation".into());
            }
            _ => {}
        }
    }
    // The kernel's own word for no route at all, in the lists of older ones.
    let none = route.kind == "unreachable" && route.to.prefix_len() == 0 && any.is_ipv6();
    (!(none && route.metric == u32::MAX)).then_some(route)
}

const fn mtu(metric: &RouteMetric) -> Option<u32> {
    match metric {
        RouteMetric::Mtu(bytes) => Some(*bytes),
        _ => None,
    }
}

const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

/// `RTN_*`, as `ip route` writes them.
fn route_kind(kind: netlink_packet_route::route::RouteType) -> &'static str {
    match u8::from(kind) {
        1 => "unicast",
        2 => "local",
        3 => "broadcast",
        4 => "anycast",
        5 => "multicast",
        6 => "blackhole",
        7 => "unreachable",
        8 => "prohibit",
        _ => "unusual",
    }
}

/// A neighbour whose Ethernet address is known.
pub(crate) fn neighbour(message: &RouteNetlinkMessage) -> Option<Neighbour> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let (mut ip, mut found) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                ip = Some(IpAddr::V4(*address));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                ip = Some(IpAddr::V6(*address));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => found = mac(bytes),
            _ => {}
        }
    }
    let state = match message.header.state {
        NeighbourState::Permanent => "permanent",
        NeighbourState::Noarp => "noarp",
        NeighbourState::Reachable => "reachable",
        NeighbourState::Stale => "stale",
        NeighbourState::Delay => "delay",
        NeighbourState::Probe => "probe",
        _ => return None,
    };
    Some(Neighbour { ip: ip?, link: message.header.ifindex, mac: found?, state: state.into() })
}

/// An entry of a bridge; those that links keep for themselves are none.
pub(crate) fn entry(message: &RouteNetlinkMessage) -> Option<Entry> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    if message.header.flags.contains(NeighbourFlags::Own) {
        return None;
    }
    let (mut bridge, mut found, mut vlan) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Controller(index) => bridge = Some(*index),
            NeighbourAttribute::LinkLayerAddress(bytes) => found = mac(bytes),
            NeighbourAttribute::Vlan(id) => vlan = Some(*id),
            _ => {}
        }
    }
    let own = message.header.state == NeighbourState::Permanent;
    // Without VLAN filtering those of VLANs are never looked at.
    if vlan.is_some_and(|id| id != 0) {
        return None;
    }
    Some(Entry {
        // The bridge's own address is an entry of the bridge itself.
        bridge: bridge.unwrap_or(message.header.ifindex),
        port: message.header.ifindex,
        mac: found?,
        own,
        sticky: message.header.flags.contains(NeighbourFlags::Sticky),
    })
}

/// The table of one of the policies that every namespace has; `None` for another policy.
pub(crate) fn usual_rule(message: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewRule(message) = message else { return None };
    let header = &message.header;
    if header.dst_len != 0
        || header.src_len != 0
        || header.tos != 0
        || header.flags.contains(RuleFlags::Invert)
        || header.action != RuleAction::ToTable
    {
        return None;
    }
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::Priority(_) | RuleAttribute::Protocol(_) => {}
            RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            _ => return None,
        }
    }
    [255, 254, 253].contains(&table).then_some(table)
}

/// A queue that may do more than wait: its link's index and its kind.
pub(crate) fn queue(message: &RouteNetlinkMessage) -> Option<(u32, String)> {
    const PLAIN: [&str; 8] =
        ["noqueue", "pfifo_fast", "pfifo", "fq_codel", "fq", "mq", "bfifo", "noop"];
    let RouteNetlinkMessage::NewQueueDiscipline(message) = message else { return None };
    let kind = message.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Kind(kind) => Some(kind.clone()),
        _ => None,
    })?;
    let index = u32::try_from(message.header.index).ok()?;
    (!PLAIN.contains(&kind.as_str())).then_some((index, kind))
}

/// Whether a plain queue can have filters on it that drop.
pub(crate) fn may_filter(message: &RouteNetlinkMessage) -> bool {
    let RouteNetlinkMessage::NewQueueDiscipline(message) = message else { return false };
    let is = |attribute: &TcAttribute| matches!(attribute, TcAttribute::Kind(kind) if kind == "fq_codel");
    message.attributes.iter().any(is)
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}
