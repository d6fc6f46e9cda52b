//! A machine's network configuration as a value: what there was to read, and what could not be.
//!
//! It can be stored and explained elsewhere. It has no opinion of what follows from it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hairpin_model::Mac;
use hairpin_model::firewall::Protocol;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ruleset::Chain;

/// The layout that this version writes.
pub const FORMAT: u32 = 2;

/// Everything that was read of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The layout: [`FORMAT`].
    pub format: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The network namespaces, the reader's own first.
    pub spaces: Vec<Space>,
    /// What could not be read at all.
    pub missing: Vec<String>,
}

/// One network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// The name that people know it by.
    pub name: String,
    /// The number of its file, the same for all who hold it.
    pub inode: u64,
    /// Its links.
    pub links: Vec<Link>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its neighbours.
    pub neighbours: Vec<Neighbour>,
    /// The entries of its bridges.
    pub fdb: Vec<Entry>,
    /// Its nftables chains of all families.
    pub chains: Vec<Chain>,
    /// Sysctls below `net.`, with `/` between the parts.
    pub sysctls: BTreeMap<String, String>,
    /// The TCP and UDP ports that somebody listens at.
    #[serde(default)]
    pub listeners: Vec<Listener>,
    /// Which of the snapshot's namespaces a number in its links means.
    pub peers: BTreeMap<i32, usize>,
    /// What it has that is not understood and may decide over any packet.
    pub strange: Vec<String>,
    /// The same, over IPv4 packets only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strange_in_v4: Vec<String>,
    /// The same, over IPv6 packets only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strange_in_v6: Vec<String>,
    /// Whether it answers for single neighbours (`ip neigh add proxy`).
    #[serde(default)]
    pub has_proxies: bool,
    /// Whether it does so in IPv6 (`ip -6 neigh add proxy`).
    #[serde(default)]
    pub has_proxies_in_v6: bool,
    /// What it has that is not understood and may decide over frames on its bridges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strange_on_bridges: Vec<String>,
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its driver.
    pub kind: Kind,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has carrier.
    pub carrier: bool,
    /// Whether it is the loopback.
    pub loopback: bool,
    /// Whether it asks nobody for neighbours.
    pub noarp: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The link below or across, by namespace number and index.
    pub below: Option<(Option<i32>, u32)>,
    /// The bridge that it is a port of, by index, and its settings there.
    pub port: Option<(u32, Port)>,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<IpNet>,
    /// IPv6 addresses that are not used yet, or never: `tentative`, `dadfailed`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unready: BTreeMap<IpAddr, String>,
    /// IPv6 addresses that are not the first choice of a sender: `deprecated`, `temporary`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unloved: BTreeMap<IpAddr, String>,
    /// What it has that is not understood.
    pub strange: Vec<String>,
}

/// What a link is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No virtual driver: a network card, or the loopback.
    #[default]
    Card,
    /// One end of a cable.
    Veth,
    /// A bridge.
    Bridge(Bridge),
    /// A macvlan child.
    Macvlan(Macvlan),
    /// A macvlan child that a program reads.
    Macvtap(Macvlan),
    /// A VLAN of the link below.
    Vlan(u16),
    /// A link that swallows what is sent.
    Dummy,
    /// One that a program reads.
    Tun,
    /// Something else, by the kernel's name.
    Other(String),
}

/// A macvlan child's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macvlan {
    /// Its mode, as `ip link` writes it.
    pub mode: String,
    /// Whether what listed senders send is its alone.
    pub nodst: bool,
    /// The senders that a child of source mode hears.
    pub senders: Vec<Mac>,
    /// How many broadcasts wait for the children; 0 keeps none.
    pub queue: Option<u32>,
}

/// A bridge's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Whether it keeps VLANs apart.
    pub vlan_filtering: bool,
    /// Whether it gives bridged IPv4 packets to the IP firewall.
    pub nf_call_iptables: bool,
    /// Whether it gives bridged IPv6 packets to the IP firewall.
    #[serde(default)]
    pub nf_call_ip6tables: bool,
    /// Whether it gives bridged ARP packets to the ARP firewall.
    pub nf_call_arptables: bool,
    /// Whether it sends multicast only where somebody asked for it, once there is a querier.
    #[serde(default)]
    pub snooping: bool,
    /// Whether it knows of a querier, itself or another.
    #[serde(default)]
    pub querier: bool,
}

/// A bridge port's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its state; 3 is forwarding.
    pub state: u8,
    /// Whether it sends frames back out of itself.
    pub hairpin: bool,
    /// Whether it is apart from other isolated ports.
    pub isolated: bool,
    /// Whether addresses are learned from it.
    pub learning: bool,
    /// Whether it gets unicast to unknown addresses.
    pub flood: bool,
    /// Whether it gets broadcast.
    pub bcast_flood: bool,
    /// Whether it gets multicast that nobody asked for.
    #[serde(default = "yes")]
    pub mcast_flood: bool,
    /// Whether it takes frames of known senders only.
    pub locked: bool,
}

const fn yes() -> bool {
    true
}

impl Default for Port {
    fn default() -> Self {
        Self {
            state: 3,
            hairpin: false,
            isolated: false,
            learning: true,
            flood: true,
            bcast_flood: true,
            mcast_flood: true,
            locked: false,
        }
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub to: IpNet,
    /// What it does, as `ip route` writes it: `unicast`, `local`, `blackhole` …
    pub kind: String,
    /// Its table.
    pub table: u32,
    /// Its metric.
    pub metric: u32,
    /// The router.
    pub via: Option<IpAddr>,
    /// The link that it leaves by.
    pub link: Option<u32>,
    /// The address that packets of our own get.
    pub source: Option<IpAddr>,
    /// The MTU of what goes by it, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// What it has that is not understood.
    pub strange: Option<String>,
}

/// A socket that waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The address that it is bound to; unspecified is any.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub ip: IpAddr,
    /// The link that it is at.
    pub link: u32,
    /// Its Ethernet address.
    pub mac: Mac,
    /// `permanent`, `reachable`, `stale` …
    pub state: String,
}

/// An entry of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The bridge, by index.
    pub bridge: u32,
    /// The port that the address is at, by index.
    pub port: u32,
    /// The address.
    pub mac: Mac,
    /// Whether it is the bridge's own.
    pub own: bool,
    /// Whether it stays where it is.
    pub sticky: bool,
}

/// A link, by its namespace's place in the snapshot and its index there.
pub type LinkId = (usize, u32);

impl Snapshot {
    /// The link.
    pub fn link(&self, (space, index): LinkId) -> Option<&Link> {
        self.spaces.get(space)?.links.iter().find(|link| link.index == index)
    }

    /// The link below or across.
    pub fn below(&self, id: LinkId) -> Option<LinkId> {
        let (number, index) = self.link(id)?.below?;
        let space = number.map_or(Some(id.0), |n| self.spaces[id.0].peers.get(&n).copied())?;
        self.link((space, index)).map(|_| (space, index))
    }

    /// All links.
    pub fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        let spaces = self.spaces.iter().enumerate();
        spaces.flat_map(|(at, space)| space.links.iter().map(move |link| ((at, link.index), link)))
    }

    /// The links that stand on this one.
    pub fn above(&self, id: LinkId) -> Vec<LinkId> {
        let stands = |link: &Link| !matches!(link.kind, Kind::Veth | Kind::Card);
        let all =
            self.links().filter(|(above, link)| stands(link) && self.below(*above) == Some(id));
        all.map(|(above, _)| above).collect()
    }

    /// The namespaces that have this address, and the link that it is on.
    pub fn owners(&self, ip: IpAddr) -> Vec<LinkId> {
        let has = |link: &Link| link.addresses.iter().any(|net| net.addr() == ip);
        self.links().filter(|(_, link)| has(link)).map(|(id, _)| id).collect()
    }

    /// `namespace:link`.
    pub fn name(&self, id: LinkId) -> String {
        let link = self.link(id).map_or_else(|| format!("#{}", id.1), |link| link.name.clone());
        format!("{}:{link}", self.spaces[id.0].name)
    }
}
