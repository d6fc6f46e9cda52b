//! A network as a value: namespaces, links, addresses, routes, sysctls.
//!
//! Links are named `netns:link`. The builder methods never fail; what is wrong with a topology is
//! told all at once by [`Topology::check`], which every lab calls before it touches the kernel.
//!
//! ```
//! use hairpin_model::topology::{Mode, Topology};
//! let lan = Topology::new("lan")
//!     .host("c1").host("e").netns("p").netns("sw")
//!     .bridge("sw:br0")
//!     .cable("sw:s0", "p:p0").port("sw:s0", "br0")
//!     .cable("sw:s1", "e:e0").port("sw:s1", "br0")
//!     .macvlan("c1:c0", "p:p0", Mode::Vepa)
//!     .address("c1:c0", "192.0.2.11/24")
//!     .address("e:e0", "192.0.2.9/24");
//! assert!(lan.check().is_ok());
//! ```

mod check;
mod mac;
mod settings;
mod wiring;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::class::Family;
use crate::firewall::Firewall;

pub use mac::Mac;
pub use settings::{Bridge, IpvlanFlag, IpvlanMode, Macvlan, Mode, PortFlags};

/// A link and the namespace that it is in, written `netns:link`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkName {
    /// The namespace.
    pub netns: String,
    /// The link's name there.
    pub link: String,
}

impl LinkName {
    /// The link of that name in that namespace.
    pub fn new(netns: impl Into<String>, link: impl Into<String>) -> Self {
        Self { netns: netns.into(), link: link.into() }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.netns, self.link)
    }
}

impl From<&str> for LinkName {
    /// A text without `:` becomes a link in a namespace without a name, which
    /// [`Topology::check`] refuses with the text in its message.
    fn from(text: &str) -> Self {
        let (netns, link) = text.split_once(':').unwrap_or(("", text));
        Self::new(netns, link)
    }
}

impl From<&String> for LinkName {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&LinkName> for LinkName {
    fn from(name: &LinkName) -> Self {
        name.clone()
    }
}

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One end of a cable.
    Veth {
        /// The other end.
        peer: LinkName,
    },
    /// A bridge.
    Bridge(Bridge),
    /// A macvlan child; its parent may be in another namespace.
    Macvlan {
        /// The parent.
        parent: LinkName,
        /// The child's settings.
        settings: Macvlan,
    },
    /// A macvlan child that is read and written through a file instead of by a stack.
    Macvtap {
        /// The parent.
        parent: LinkName,
        /// The child's settings.
        settings: Macvlan,
    },
    /// An ipvlan child; its parent may be in another namespace, and has the same address.
    Ipvlan {
        /// The parent.
        parent: LinkName,
        /// What it looks at; the same for all children of a parent.
        mode: IpvlanMode,
        /// How siblings deal with each other; the same for all children of a parent.
        flag: IpvlanFlag,
        /// Whether it is read and written through a file instead of by a stack: an ipvtap child.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tap: bool,
    },
    /// A VLAN on top of a link of the same namespace.
    Vlan {
        /// The link below.
        parent: LinkName,
        /// The VLAN id, 1 to 4094.
        id: u16,
        /// Whether its carrier is that of the ports, of the bridge below, that are in its VLAN.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bridge_binding: bool,
    },
    /// A link that swallows what is sent.
    Dummy,
    /// Several links that stand for one, of which one at a time is in use. It is born without any, and
    /// without carrier; who belongs to it is no topology's to say.
    Bond,
}

impl Kind {
    /// The kernel's name of the driver.
    pub const fn driver(&self) -> &'static str {
        match self {
            Self::Veth { .. } => "veth",
            Self::Bridge(_) => "bridge",
            Self::Macvlan { .. } => "macvlan",
            Self::Macvtap { .. } => "macvtap",
            Self::Ipvlan { tap: true, .. } => "ipvtap",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Vlan { .. } => "vlan",
            Self::Dummy => "dummy",
            Self::Bond => "bond",
        }
    }

    /// The link that this one stands on.
    pub const fn parent(&self) -> Option<&LinkName> {
        match self {
            Self::Macvlan { parent, .. }
            | Self::Macvtap { parent, .. }
            | Self::Ipvlan { parent, .. }
            | Self::Vlan { parent, .. } => Some(parent),
            Self::Veth { .. } | Self::Bridge(_) | Self::Dummy | Self::Bond => None,
        }
    }

    /// A macvlan's settings, also of one that is read through a file.
    pub const fn macvlan(&self) -> Option<&Macvlan> {
        match self {
            Self::Macvlan { settings, .. } | Self::Macvtap { settings, .. } => Some(settings),
            _ => None,
        }
    }
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: LinkName,
    /// What it is.
    pub kind: Kind,
    /// Its address; `None` takes the one that the topology assigns by the link's place.
    pub mac: Option<Mac>,
    /// Its MTU in bytes; `None` is the kernel's.
    pub mtu: Option<u32>,
    /// How many queues it is made with each way; `None` is the driver's choice.
    pub queues: Option<u32>,
    /// Its IP addresses.
    pub addresses: Vec<IpNet>,
    /// The bridge that it is a port of, in its own namespace, and its flags there.
    pub port: Option<(String, PortFlags)>,
    /// Whether it is brought up.
    pub up: bool,
}

impl Link {
    /// Follows another link's, or its own, move: wherever this one names it.
    pub fn rename(&mut self, old: &LinkName, new: &LinkName) {
        let below = match &mut self.kind {
            Kind::Veth { peer: below }
            | Kind::Macvlan { parent: below, .. }
            | Kind::Macvtap { parent: below, .. }
            | Kind::Ipvlan { parent: below, .. }
            | Kind::Vlan { parent: below, .. } => Some(below),
            Kind::Bridge(_) | Kind::Dummy | Kind::Bond => None,
        };
        for name in std::iter::once(&mut self.name).chain(below) {
            if name == old {
                name.clone_from(new);
            }
        }
    }
}

/// A route of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to; a prefix of length 0 is the default route.
    pub to: IpNet,
    /// By way of which router.
    pub via: IpAddr,
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netns {
    /// Its name in the topology; the kernel knows it by file descriptor only.
    pub name: String,
    /// Whether it acts as an endpoint: has a row and a column in grids.
    pub host: bool,
    /// Its routes beyond those of its addresses.
    pub routes: Vec<Route>,
    /// Its sysctls below `net.`, `ipv4.ip_forward` for example, beyond those every lab pins.
    pub sysctls: BTreeMap<String, String>,
    /// Its ruleset, if it has one.
    pub firewall: Option<Firewall>,
}

/// A network as a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Its name, for messages.
    pub name: String,
    /// Its namespaces, in the order of a grid's rows.
    pub netns: Vec<Netns>,
    /// Its links, in the order in which they are made.
    pub links: Vec<Link>,
    /// What the builder was given and could not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<crate::topology::check::Unread>,
}

impl Topology {
    /// An empty network.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), netns: Vec::new(), links: Vec::new(), unread: Vec::new() }
    }

    /// Adds a namespace that acts as an endpoint.
    #[must_use]
    pub fn host(self, name: &str) -> Self {
        self.add_netns(name, true)
    }

    /// Adds a namespace that does not: a switch, a parent's keeper.
    #[must_use]
    pub fn netns(self, name: &str) -> Self {
        self.add_netns(name, false)
    }

    fn add_netns(mut self, name: &str, host: bool) -> Self {
        self.netns.push(Netns { name: name.into(), host, ..Netns::default() });
        self
    }

    /// Adds a bridge with the kernel's settings.
    #[must_use]
    pub fn bridge(self, name: impl Into<LinkName>) -> Self {
        self.bridge_with(name, Bridge::default())
    }

    /// Adds a bridge.
    #[must_use]
    pub fn bridge_with(self, name: impl Into<LinkName>, settings: Bridge) -> Self {
        self.add_link(name, Kind::Bridge(settings))
    }

    /// Adds a cable: a veth pair, one end at each name.
    #[must_use]
    pub fn cable(self, a: impl Into<LinkName>, b: impl Into<LinkName>) -> Self {
        let (a, b) = (a.into(), b.into());
        self.add_link(a.clone(), Kind::Veth { peer: b.clone() }).add_link(b, Kind::Veth { peer: a })
    }

    /// Makes a link a port of a bridge in its own namespace.
    #[must_use]
    pub fn port(self, link: impl Into<LinkName>, bridge: &str) -> Self {
        self.port_with(link, bridge, PortFlags::default())
    }

    /// Makes a link a port of a bridge in its own namespace, with flags.
    #[must_use]
    pub fn port_with(self, link: impl Into<LinkName>, bridge: &str, flags: PortFlags) -> Self {
        self.edit_link(link, |link| link.port = Some((bridge.into(), flags)))
    }

    /// Adds a macvlan child of a parent, which may be in another namespace.
    #[must_use]
    pub fn macvlan(
        self,
        name: impl Into<LinkName>,
        parent: impl Into<LinkName>,
        settings: impl Into<Macvlan>,
    ) -> Self {
        let kind = Kind::Macvlan { parent: parent.into(), settings: settings.into() };
        self.add_link(name, kind)
    }

    /// Adds a macvtap child of a parent, which may be in another namespace.
    #[must_use]
    pub fn macvtap(
        self,
        name: impl Into<LinkName>,
        parent: impl Into<LinkName>,
        settings: impl Into<Macvlan>,
    ) -> Self {
        let kind = Kind::Macvtap { parent: parent.into(), settings: settings.into() };
        self.add_link(name, kind)
    }

    /// Adds an ipvlan child of a parent, which may be in another namespace.
    #[must_use]
    pub fn ipvlan(
        self,
        name: impl Into<LinkName>,
        parent: impl Into<LinkName>,
        mode: IpvlanMode,
        flag: IpvlanFlag,
    ) -> Self {
        self.add_link(name, Kind::Ipvlan { parent: parent.into(), mode, flag, tap: false })
    }

    /// Adds an ipvtap child of a parent, which may be in another namespace.
    #[must_use]
    pub fn ipvtap(
        self,
        name: impl Into<LinkName>,
        parent: impl Into<LinkName>,
        mode: IpvlanMode,
        flag: IpvlanFlag,
    ) -> Self {
        self.add_link(name, Kind::Ipvlan { parent: parent.into(), mode, flag, tap: true })
    }

    /// Adds a link that swallows what is sent.
    #[must_use]
    pub fn dummy(self, name: impl Into<LinkName>) -> Self {
        self.add_link(name, Kind::Dummy)
    }

    /// Adds a bond, of which one link at a time is in use.
    #[must_use]
    pub fn bond(self, name: impl Into<LinkName>) -> Self {
        self.add_link(name, Kind::Bond)
    }

    /// Adds a VLAN on top of a link of the same namespace.
    #[must_use]
    pub fn vlan(self, name: impl Into<LinkName>, parent: impl Into<LinkName>, id: u16) -> Self {
        self.add_link(name, Kind::Vlan { parent: parent.into(), id, bridge_binding: false })
    }

    /// Adds a VLAN on top of a bridge of the same namespace, whose carrier is that of the bridge's
    /// ports in the VLAN.
    #[must_use]
    pub fn bound_vlan(
        self,
        name: impl Into<LinkName>,
        bridge: impl Into<LinkName>,
        id: u16,
    ) -> Self {
        self.add_link(name, Kind::Vlan { parent: bridge.into(), id, bridge_binding: true })
    }

    fn add_link(mut self, name: impl Into<LinkName>, kind: Kind) -> Self {
        let link = Link {
            name: name.into(),
            kind,
            mac: None,
            mtu: None,
            queues: None,
            addresses: Vec::new(),
            port: None,
            up: true,
        };
        self.links.push(link);
        self
    }

    /// Gives a link an IP address, written `192.0.2.1/24`.
    #[must_use]
    pub fn address(mut self, link: impl Into<LinkName>, address: &str) -> Self {
        let link = link.into();
        match address.parse() {
            Ok(net) => self.edit_link(link, |link| link.addresses.push(net)),
            Err(_) => {
                self.unread.push(check::Unread::new("address", address, &link.to_string()));
                self
            }
        }
    }

    /// Gives a link no Ethernet address, so that it takes that of the link below.
    #[must_use]
    pub fn without_address(self, link: impl Into<LinkName>) -> Self {
        self.mac(link, Mac::NONE)
    }

    /// Gives a link an Ethernet address.
    #[must_use]
    pub fn mac(self, link: impl Into<LinkName>, mac: Mac) -> Self {
        self.edit_link(link, |link| link.mac = Some(mac))
    }

    /// Gives a link an MTU in bytes.
    #[must_use]
    pub fn mtu(self, link: impl Into<LinkName>, bytes: u32) -> Self {
        self.edit_link(link, |link| link.mtu = Some(bytes))
    }

    /// Makes a link with so many queues each way.
    #[must_use]
    pub fn queues(self, link: impl Into<LinkName>, queues: u32) -> Self {
        self.edit_link(link, |link| link.queues = Some(queues))
    }

    /// Leaves a link down.
    #[must_use]
    pub fn down(self, link: impl Into<LinkName>) -> Self {
        self.edit_link(link, |link| link.up = false)
    }

    fn edit_link(mut self, name: impl Into<LinkName>, edit: impl FnOnce(&mut Link)) -> Self {
        let name = name.into();
        match self.links.iter_mut().find(|link| link.name == name) {
            Some(link) => edit(link),
            None => {
                self.unread.push(check::Unread::new("link", &name.to_string(), &name.netns));
            }
        }
        self
    }

    /// Adds a route to a namespace: `route("a", "198.51.100.0/24", "192.0.2.1")`.
    #[must_use]
    pub fn route(mut self, netns: &str, to: &str, via: &str) -> Self {
        match (to.parse(), via.parse()) {
            (Ok(to), Ok(via)) => {
                self.edit_netns(netns, |netns| netns.routes.push(Route { to, via }))
            }
            _ => {
                let text = format!("{to} via {via}");
                self.unread.push(check::Unread::new("route", &text, netns));
                self
            }
        }
    }

    /// Sets a sysctl of a namespace, named below `net.`: `sysctl("r", "ipv4.ip_forward", "1")`.
    #[must_use]
    pub fn sysctl(self, netns: &str, name: &str, value: &str) -> Self {
        self.edit_netns(netns, |netns| {
            netns.sysctls.insert(name.into(), value.into());
        })
    }

    /// Gives a namespace a ruleset.
    #[must_use]
    pub fn firewall(self, netns: &str, firewall: Firewall) -> Self {
        self.edit_netns(netns, |netns| netns.firewall = Some(firewall))
    }

    fn edit_netns(mut self, name: &str, edit: impl FnOnce(&mut Netns)) -> Self {
        match self.netns.iter_mut().find(|netns| netns.name == name) {
            Some(netns) => edit(netns),
            None => self.unread.push(check::Unread::new("namespace", name, &self.name)),
        }
        self
    }

    /// The link of that name.
    pub fn link(&self, name: &LinkName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    /// The links of a namespace, in the order in which they are made.
    pub fn links_of(&self, netns: &str) -> impl Iterator<Item = &Link> + use<'_> {
        let netns = netns.to_owned();
        self.links.iter().filter(move |link| link.name.netns == netns)
    }

    /// The link of a namespace that the kernel knows by that index.
    pub fn link_at(&self, netns: &str, index: u32) -> Option<&Link> {
        self.links_of(netns).find(|link| self.ifindex(&link.name) == index)
    }

    /// Whether a namespace routes for others: it is told to, or it is somebody's gateway.
    pub fn is_router(&self, netns: &str) -> bool {
        let told = |netns: &Netns| netns.sysctls.keys().any(|name| name.contains("forward"));
        let own = |ip: IpAddr| {
            self.links_of(netns).any(|link| link.addresses.iter().any(|net| net.addr() == ip))
        };
        self.netns.iter().any(|n| n.name == netns && told(n))
            || self.netns.iter().flat_map(|n| &n.routes).any(|route| own(route.via))
    }

    /// The endpoints, in the order of a grid's rows.
    pub fn hosts(&self) -> impl Iterator<Item = &Netns> {
        self.netns.iter().filter(|netns| netns.host)
    }

    /// The link that a host sends from and is reached at: its first with an address, or its first.
    pub fn endpoint(&self, host: &str) -> Option<&Link> {
        self.links_of(host)
            .find(|link| !link.addresses.is_empty())
            .or_else(|| self.links_of(host).next())
    }

    /// The address of that family at which a host is reached.
    pub fn address_of(&self, host: &str, family: Family) -> Option<IpAddr> {
        self.addresses_of(host, family).next()
    }

    /// All addresses of a host in a family, in the order they were given.
    pub fn addresses_of(&self, host: &str, family: Family) -> impl Iterator<Item = IpAddr> {
        let of_family = move |net: &IpNet| match family {
            Family::V4 => net.addr().is_ipv4(),
            Family::V6 => net.addr().is_ipv6(),
        };
        let links = self.links_of(host).flat_map(|link| &link.addresses);
        links.copied().filter(of_family).map(|net| net.addr())
    }

    /// The interface index of a link: its place in the topology, so no two links of a lab share
    /// one and every run has the same. 0 for a link that is not there.
    pub fn ifindex(&self, name: &LinkName) -> u32 {
        let place = self.links.iter().position(|link| link.name == *name);
        place.and_then(|i| u32::try_from(i).ok()).map_or(0, |i| i + FIRST_IFINDEX)
    }

    /// The Ethernet address of a link: its own, or one made from its place in the topology.
    /// A passthru or ipvlan child has its parent's.
    pub fn mac_of(&self, name: &LinkName) -> Mac {
        let Some(link) = self.link(name) else {
            return Mac([0; 6]);
        };
        match (&link.kind, link.mac) {
            (Kind::Macvlan { parent, settings } | Kind::Macvtap { parent, settings }, _)
                if settings.mode == Mode::Passthru =>
            {
                self.mac_of(parent)
            }
            (Kind::Ipvlan { parent, .. }, _) => self.mac_of(parent),
            (_, Some(mac)) => mac,
            (_, None) => {
                let [_, _, hi, lo] = self.ifindex(name).to_be_bytes();
                Mac([0x02, b'h', b'p', 0, hi, lo])
            }
        }
    }
}

/// The index of a lab's first link: above the loopback's 1.
const FIRST_IFINDEX: u32 = 10;
