//! What a link can be told to be: modes and flags of macvlan and ipvlan children, settings of bridges
//! and of their ports. Values only; where a link stands is the topology's.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Mac;

/// How a macvlan child deals with its siblings and its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Siblings may not talk, not even by way of a reflecting switch.
    Private,
    /// Siblings talk by way of a switch that reflects.
    Vepa,
    /// Siblings talk directly.
    Bridge,
    /// One child owns the parent.
    Passthru,
    /// The child hears the senders on its list.
    Source,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Bridge => "bridge",
            Self::Passthru => "passthru",
            Self::Source => "source",
        })
    }
}

/// A macvlan child's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macvlan {
    /// The mode.
    pub mode: Mode,
    /// Passthru: do not make the parent promiscuous.
    pub nopromisc: bool,
    /// Source: consume the frames of listed senders.
    pub nodst: bool,
    /// Source: the senders that are heard.
    pub senders: Vec<Mac>,
    /// The length of the parent's broadcast queue that this child asks for, in frames.
    pub bc_queue: Option<u32>,
}

impl From<Mode> for Macvlan {
    fn from(mode: Mode) -> Self {
        Self { mode, nopromisc: false, nodst: false, senders: Vec::new(), bc_queue: None }
    }
}

impl Macvlan {
    /// Sets the `nopromisc` flag (passthru).
    #[must_use]
    pub fn nopromisc(mut self) -> Self {
        self.nopromisc = true;
        self
    }

    /// Sets the `nodst` flag (source).
    #[must_use]
    pub fn nodst(mut self) -> Self {
        self.nodst = true;
        self
    }

    /// Adds a sender that is heard (source).
    #[must_use]
    pub fn sender(mut self, mac: Mac) -> Self {
        self.senders.push(mac);
        self
    }

    /// Asks for a broadcast queue of that many frames.
    #[must_use]
    pub fn bc_queue(mut self, frames: u32) -> Self {
        self.bc_queue = Some(frames);
        self
    }
}

/// What an ipvlan child looks at to find out for whom a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpvlanMode {
    /// IP addresses; the child answers ARP and hears groups.
    L2,
    /// IP addresses; no ARP, no groups, routed in the parent's namespace.
    L3,
    /// As l3, and what comes in passes the parent's firewall.
    L3s,
}

impl fmt::Display for IpvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        })
    }
}

/// How an ipvlan child deals with its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpvlanFlag {
    /// Siblings talk directly.
    Bridge,
    /// Siblings may not talk.
    Private,
    /// Siblings talk by way of a switch that reflects.
    Vepa,
}

impl fmt::Display for IpvlanFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
        })
    }
}

/// A bridge's settings. `Default` is the kernel's own, but for STP's forward delay: 0, so that
/// ports forward at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// How long a learned address is kept, in hundredths of a second; 0 learns nothing.
    pub ageing: Option<u32>,
    /// Whether group memberships are followed (IGMP and MLD snooping).
    pub mcast_snooping: Option<bool>,
    /// Whether the bridge keeps VLANs apart.
    pub vlan_filtering: bool,
    /// Whether bridged IP packets pass the namespace's IP firewall (`br_netfilter`).
    pub nf_call: bool,
    /// Whether it takes its address from its ports.
    #[serde(default)]
    pub nameless: bool,
}

impl Bridge {
    /// Sets how long a learned address is kept, in hundredths of a second; 0 learns nothing.
    #[must_use]
    pub fn ageing(mut self, centiseconds: u32) -> Self {
        self.ageing = Some(centiseconds);
        self
    }

    /// Follows group memberships, or floods all groups.
    #[must_use]
    pub fn mcast_snooping(mut self, on: bool) -> Self {
        self.mcast_snooping = Some(on);
        self
    }

    /// Keeps VLANs apart.
    #[must_use]
    pub fn vlan_filtering(mut self) -> Self {
        self.vlan_filtering = true;
        self
    }

    /// Gives it no address: it takes the lowest of its ports'.
    #[must_use]
    pub fn without_address(mut self) -> Self {
        self.nameless = true;
        self
    }

    /// Sends bridged IP packets through the namespace's IP firewall.
    #[must_use]
    pub fn nf_call(mut self) -> Self {
        self.nf_call = true;
        self
    }
}

/// A bridge port's flags. `None` is what the kernel chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortFlags {
    /// Send a frame back out of the port it came in by (reflective relay).
    pub hairpin: Option<bool>,
    /// Never forward to another isolated port.
    pub isolated: Option<bool>,
    /// Learn the addresses that send here.
    pub learning: Option<bool>,
    /// Forward unicast to unknown addresses out of this port.
    pub flood: Option<bool>,
    /// Forward broadcast out of this port.
    pub bcast_flood: Option<bool>,
    /// Forward unregistered multicast out of this port.
    pub mcast_flood: Option<bool>,
    /// Drop what comes from an address that has no entry on this port.
    pub locked: Option<bool>,
}

macro_rules! port_flag {
    ($($name:ident: $doc:literal),* $(,)?) => {
        impl PortFlags {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(mut self, on: bool) -> Self {
                    self.$name = Some(on);
                    self
                }
            )*

            /// These flags where `over` leaves them open, and `over` where it does not.
            #[must_use]
            pub fn overlaid(self, over: Self) -> Self {
                Self { $($name: over.$name.or(self.$name)),* }
            }

            /// The flags that are set, by name.
            pub fn named(&self) -> Vec<(&'static str, bool)> {
                [$((stringify!($name), self.$name)),*]
                    .into_iter()
                    .filter_map(|(name, flag)| Some((name, flag?)))
                    .collect()
            }
        }
    };
}

port_flag! {
    hairpin: "Sends a frame back out of the port it came in by, or not.",
    isolated: "Cuts the port off from other isolated ports, or not.",
    learning: "Learns the addresses that send here, or not.",
    flood: "Forwards unicast to unknown addresses out of this port, or not.",
    bcast_flood: "Forwards broadcast out of this port, or not.",
    mcast_flood: "Forwards unregistered multicast out of this port, or not.",
    locked: "Drops what comes from addresses without an entry on this port, or not.",
}

impl fmt::Display for PortFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.named();
        let words =
            words.iter().map(|(name, on)| format!("{name} {}", if *on { "on" } else { "off" }));
        f.write_str(&words.collect::<Vec<_>>().join(", "))
    }
}
