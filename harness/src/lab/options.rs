//! Settings of links that the kernel knows by number, to be set and to be read back.
//!
//! The numbers are those of `<linux/if_link.h>`; what they mean is the driver's to say, and a
//! case's to hold it to. What a topology needs to be built has typed fields of its own.

mod asked;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::attrs::{Attrs, find};
use crate::netlink::Refused;
use crate::netlink::plain::{self, ACK, Question, RTM_GETLINK};
use crate::ns::Ns;

/// Where the kernel keeps a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With the link itself (`IFLA_*`).
    Link,
    /// With the link's driver (`IFLA_INFO_DATA`).
    Driver,
    /// With the bridge port that the link is (`IFLA_PROTINFO`, `IFLA_INFO_SLAVE_DATA`).
    Port,
}

/// A setting of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOption {
    name: &'static str,
    place: Place,
    number: u16,
    /// How many bytes its value has; 6 for an address.
    bytes: usize,
    /// Whether the value is in network order.
    network: bool,
}

/// All that the kernel says of a bridge, and of the port that a link is, clocks aside: to see that a
/// change changed one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(BTreeMap<(&'static str, u16), Vec<u8>>);

/// What goes on by itself: timers, what other queriers say, how much was learned.
const CLOCKS: [(&str, u16); 10] = [
    ("driver", 16),
    ("driver", 17),
    ("driver", 18),
    ("driver", 19),
    ("driver", 47),
    ("driver", 48),
    ("port", 21),
    ("port", 22),
    ("port", 23),
    ("port", 38),
];

impl Told {
    /// What is told otherwise later, in the order of the kernel's numbers: `driver 4`, `port 8`.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        let other = keys.into_iter().filter(|key| self.0.get(key) != later.0.get(key));
        other.map(|(place, number)| format!("{place} {number}")).collect()
    }
}

impl LinkOption {
    /// Its place and number, as [`Told::changes`] has them.
    pub fn spot(self) -> String {
        let place = match self.place {
            Place::Link => "link",
            Place::Driver => "driver",
            Place::Port => "port",
        };
        format!("{place} {}", self.number)
    }

    const fn new(name: &'static str, place: Place, number: u16, bytes: usize) -> Self {
        Self { name, place, number, bytes, network: bytes == 6 }
    }

    /// The same with a value of another length than the kernel knows, as somebody might send it.
    #[must_use]
    pub const fn in_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    const fn in_network_order(mut self) -> Self {
        self.network = true;
        self
    }

    pub(super) const fn place(self) -> Place {
        self.place
    }

    fn encode(self, value: u64) -> Vec<u8> {
        encode(value, self.bytes, self.network)
    }

    fn decode(self, bytes: &[u8]) -> u64 {
        decode(bytes, self.network)
    }
}

/// A value in so many bytes, in network order or this machine's.
pub(super) fn encode(value: u64, bytes: usize, network: bool) -> Vec<u8> {
    if network || cfg!(target_endian = "big") {
        value.to_be_bytes()[8 - bytes..].to_vec()
    } else {
        value.to_le_bytes()[..bytes].to_vec()
    }
}

/// The value that some bytes are, in network order or this machine's.
pub(super) fn decode(bytes: &[u8], network: bool) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if network || cfg!(target_endian = "big") {
        bytes.iter().fold(0, fold)
    } else {
        bytes.iter().rev().fold(0, fold)
    }
}

impl fmt::Display for LinkOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.to_lowercase())
    }
}

macro_rules! options {
    ($place:ident: $($(#[$attr:meta])* $name:ident = $number:literal, $bytes:literal;)*) => {
        use super::{LinkOption, Place};
        $(
            $(#[$attr])*
            pub const $name: LinkOption =
                LinkOption::new(stringify!($name), Place::$place, $number, $bytes);
        )*
    };
}

/// Of any link.
pub mod link {
    options! { Link:
        /// Largest payload of a frame, in bytes.
        MTU = 4, 4;
        /// The smallest MTU that the driver takes.
        MIN_MTU = 50, 4;
        /// The largest MTU that the driver takes.
        MAX_MTU = 51, 4;
        /// Length of the transmit queue, in frames.
        TXQLEN = 13, 4;
        /// Whether there is carrier.
        CARRIER = 33, 1;
        /// The index of the link below.
        BELOW = 5, 4;
        /// The index of the bridge or bond that it belongs to.
        CONTROLLER = 10, 4;
        /// How many asked for all unicast.
        PROMISCUITY = 30, 4;
        /// How many asked for all groups; told since 6.0.
        ALLMULTI = 61, 4;
        /// The state of RFC 2863: 2 down, 3 lower layer down, 6 up.
        OPERSTATE = 16, 1;
        /// Hardware address.
        ADDRESS = 1, 6;
        /// The address that stands for all.
        BROADCAST = 2, 6;
        /// A name of one letter, by its number.
        LETTER = 3, 1;
        /// The namespace of the link below, by a number of its own; not told if it is the same.
        BELOW_NETNS = 37, 4;
        /// Largest packet that is left to be cut by a link below, in bytes.
        GSO_MAX_SIZE = 41, 4;
        /// The largest that could be; told since 5.19.
        TSO_MAX_SIZE = 59, 4;
        /// How many transmit queues it was made with.
        NUM_TX_QUEUES = 31, 4;
        /// How many receive queues it was made with.
        NUM_RX_QUEUES = 32, 4;
        /// Whether its owner holds its carrier down.
        PROTO_DOWN = 39, 1;
    }
}

/// Of a bridge.
pub mod bridge {
    options! { Driver:
        /// Hundredths of a second in the listening and in the learning state.
        FORWARD_DELAY = 1, 4;
        /// Hundredths of a second between hellos.
        HELLO_TIME = 2, 4;
        /// Hundredths of a second that a hello is believed.
        MAX_AGE = 3, 4;
        /// Hundredths of a second that a learned address is kept.
        AGEING_TIME = 4, 4;
        /// Whether it speaks the spanning tree protocol.
        STP = 5, 4;
        /// Its priority as a root.
        PRIORITY = 6, 2;
        /// Whether it keeps VLANs apart.
        VLAN_FILTERING = 7, 1;
        /// Which of the reserved groups 01:80:c2:00:00:0X are forwarded, a bit each.
        GROUP_FWD_MASK = 9, 2;
        /// Its own identifier in the spanning tree: priority and address.
        BRIDGE_ID = 11, 8;
        /// The root's.
        ROOT_ID = 10, 8;
        /// The path cost to the root.
        ROOT_PATH_COST = 13, 4;
        /// The port towards the root.
        ROOT_PORT = 12, 2;
        /// Whether addresses are forgotten sooner, as the tree has changed.
        TOPOLOGY_CHANGE = 14, 1;
        /// Whether it has seen the tree change, and nobody has acknowledged that.
        TOPOLOGY_CHANGE_DETECTED = 15, 1;
        /// The group address of its own protocol.
        GROUP_ADDRESS = 20, 6;
        /// Whether groups go to whoever may be a router: 0 never, 1 learned, 2 always.
        MCAST_ROUTER = 22, 1;
        /// Whether it follows memberships.
        MCAST_SNOOPING = 23, 1;
        /// Whether queries bear its address.
        MCAST_QUERY_USE_IFADDR = 24, 1;
        /// Whether it asks for memberships.
        MCAST_QUERIER = 25, 1;
        /// The most memberships.
        MCAST_HASH_MAX = 27, 4;
        /// How many queries follow a leave.
        MCAST_LAST_MEMBER_COUNT = 28, 4;
        /// How many queries at the start.
        MCAST_STARTUP_QUERY_COUNT = 29, 4;
        /// Hundredths of a second that a leave waits for others.
        MCAST_LAST_MEMBER_INTERVAL = 30, 8;
        /// Hundredths of a second that a membership is kept.
        MCAST_MEMBERSHIP_INTERVAL = 31, 8;
        /// Hundredths of a second that another querier is believed.
        MCAST_QUERIER_INTERVAL = 32, 8;
        /// Hundredths of a second between queries.
        MCAST_QUERY_INTERVAL = 33, 8;
        /// Hundredths of a second that answers may take.
        MCAST_QUERY_RESPONSE_INTERVAL = 34, 8;
        /// Hundredths of a second between the queries at the start.
        MCAST_STARTUP_QUERY_INTERVAL = 35, 8;
        /// Whether bridged IPv4 is shown to the IP firewall, whatever the namespace's switch says.
        NF_CALL_IPTABLES = 36, 1;
        /// The same for IPv6.
        NF_CALL_IP6TABLES = 37, 1;
        /// The same for ARP.
        NF_CALL_ARPTABLES = 38, 1;
        /// The VLAN of untagged frames at new ports; 0 for none.
        DEFAULT_PVID = 39, 2;
        /// Forgets what was learned at all ports; bears no value.
        FDB_FLUSH = 21, 0;
        /// Whether VLANs are counted.
        VLAN_STATS = 41, 1;
        /// Whether they are counted for each port, too.
        VLAN_STATS_PER_PORT = 45, 1;
        /// Whether messages about memberships are counted.
        MCAST_STATS = 42, 1;
        /// Switches of one bit each, and in the upper half which of them are meant: see [`switch`].
        SWITCHES = 46, 8;
        /// The version of IGMP that it speaks.
        MCAST_IGMP_VERSION = 43, 1;
        /// The version of MLD that it speaks.
        MCAST_MLD_VERSION = 44, 1;
        /// How many addresses it may learn; since 6.7.
        FDB_MAX_LEARNED = 49, 4;
        /// How many it has learned; since 6.7.
        FDB_N_LEARNED = 48, 4;
    }

    /// The value of [`SWITCHES`] that sets one of them: 0 nothing is learned of reserved groups, 1
    /// memberships by VLAN, 2 port states by spanning tree instance.
    pub const fn switch(number: u32, on: bool) -> u64 {
        let (bit, mask) = (if on { 1 << number } else { 0 }, 1 << number);
        if cfg!(target_endian = "big") { bit << 32 | mask } else { mask << 32 | bit }
    }

    /// The ethertype of its VLAN tags.
    pub const VLAN_PROTOCOL: LinkOption =
        LinkOption::new("VLAN_PROTOCOL", Place::Driver, 8, 2).in_network_order();
}

/// Of a bond.
pub mod bond {
    options! { Driver:
        /// The index of the link that is in use.
        ACTIVE = 2, 4;
    }
}

/// Of a bridge port.
pub mod port {
    options! { Port:
        /// 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking.
        STATE = 1, 1;
        /// Its priority in the spanning tree.
        PRIORITY = 2, 2;
        /// Its cost in the spanning tree.
        COST = 3, 4;
        /// Whether a frame may leave by the port that it came in by.
        HAIRPIN = 4, 1;
        /// Whether it is switched off by a BPDU.
        GUARD = 5, 1;
        /// Whether it may never become the root port.
        ROOT_BLOCK = 6, 1;
        /// Whether a leave is believed at once.
        FAST_LEAVE = 7, 1;
        /// Whether it learns.
        LEARNING = 8, 1;
        /// Whether unknown unicast leaves here.
        UNICAST_FLOOD = 9, 1;
        /// Whether the bridge answers ARP for others here.
        PROXYARP = 10, 1;
        /// The same, without a forwarding entry at a port that is told to.
        PROXYARP_WIFI = 12, 1;
        /// Forgets what was learned here; bears no value.
        FLUSH = 24, 0;
        /// Whether VLANs are mapped to tunnels.
        VLAN_TUNNEL = 29, 1;
        /// Whether a router is behind it: 0 no, 1 learned, 2 always, 3 learned and told.
        MCAST_ROUTER = 25, 1;
        /// Whether unregistered groups leave here.
        MCAST_FLOOD = 27, 1;
        /// Whether groups leave as unicast, one for each member.
        MCAST_TO_UCAST = 28, 1;
        /// Whether broadcast leaves here.
        BCAST_FLOOD = 30, 1;
        /// Which reserved groups are forwarded from here.
        GROUP_FWD_MASK = 31, 2;
        /// Whether the bridge answers ARP and neighbour discovery for what is behind others.
        NEIGH_SUPPRESS = 32, 1;
        /// Whether it is cut off from other isolated ports.
        ISOLATED = 33, 1;
        /// The index of the port that takes over without carrier; 0 for none.
        BACKUP_PORT = 34, 4;
        /// Whether senders without an entry are dropped.
        LOCKED = 39, 1;
        /// Whether such senders become locked entries.
        MAB = 40, 1;
        /// How many groups are followed here; since 6.3.
        MCAST_N_GROUPS = 41, 4;
        /// How many may be; since 6.3.
        MCAST_MAX_GROUPS = 42, 4;
        /// How many hosts are told apart that ask for senders.
        MCAST_EHT_HOSTS_LIMIT = 37, 4;
        /// How many are.
        MCAST_EHT_HOSTS_COUNT = 38, 4;
        /// Whether [`NEIGH_SUPPRESS`] is a matter of each VLAN; since 6.3.
        NEIGH_VLAN_SUPPRESS = 43, 1;
        /// The next hop that frames get when the backup port takes over; since 6.5.
        BACKUP_NHID = 44, 4;
        /// The index of the port within the bridge.
        NUMBER = 18, 2;
        /// Its identifier in the spanning tree: priority and number.
        ID = 17, 2;
        /// The identifier of the root, as it is known here.
        ROOT_ID = 13, 8;
        /// The identifier of the bridge that leads to the root from here.
        BRIDGE_ID = 14, 8;
        /// The identifier of the port that leads to the root from here.
        DESIGNATED_PORT = 15, 2;
    }
}

/// Of a macvlan or macvtap child.
pub mod macvlan {
    options! { Driver:
        /// 1 private, 2 vepa, 4 bridge, 8 passthru, 16 source.
        MODE = 1, 4;
        /// 1 nopromisc, 2 nodst.
        FLAGS = 2, 2;
        /// What is done with a sender's address: 0 add, 1 delete, 2 flush, 3 set.
        MACADDR_MODE = 3, 4;
        /// A sender's address.
        MACADDR = 4, 6;
        /// How many senders are heard.
        MACADDR_COUNT = 6, 4;
        /// The broadcast queue that it asks for, in frames.
        BC_QUEUE_LEN = 7, 4;
        /// The broadcast queue that its parent has, in frames.
        BC_QUEUE_LEN_USED = 8, 4;
        /// Up to how many members groups are delivered at once; since 6.4.
        BC_CUTOFF = 9, 4;
    }
}

/// Of an ipvlan child.
pub mod ipvlan {
    options! { Driver:
        /// 0 l2, 1 l3, 2 l3s.
        MODE = 1, 2;
        /// 1 private, 2 vepa.
        FLAGS = 2, 2;
    }
}

/// Of a VLAN.
pub mod vlan {
    options! { Driver:
        /// Its id.
        ID = 1, 2;
        /// Its flags, and above them (32 bits higher) which of them are meant: see [`flags`].
        FLAGS = 2, 8;
        /// A map of priorities into the tag, of one entry with 4 bytes: see [`CUT`].
        EGRESS_MAP = 3, 8;
        /// A map of priorities out of the tag, of the same kind.
        INGRESS_MAP = 4, 8;
    }

    /// An entry of a map with only the first of its two numbers, 3, as somebody might send it.
    pub const CUT: u64 =
        if cfg!(target_endian = "big") { 0x0008_0001_0000_0003 } else { 0x0000_0003_0001_0008 };

    /// Frames are shown without their tag (`VLAN_FLAG_REORDER_HDR`).
    pub const REORDER_HEADER: u32 = 1;
    /// GVRP announces the VLAN.
    pub const GVRP: u32 = 2;
    /// It does not go down with the link below.
    pub const LOOSE_BINDING: u32 = 4;
    /// MVRP announces the VLAN.
    pub const MVRP: u32 = 8;
    /// Its carrier is that of the bridge's ports in its VLAN.
    pub const BRIDGE_BINDING: u32 = 16;

    /// Sets these flags to those values, and leaves the others as they are.
    pub const fn flags(meant: u32, values: u32) -> u64 {
        (meant as u64) << 32 | values as u64
    }

    /// The ethertype of its tag.
    pub const PROTOCOL: LinkOption =
        LinkOption::new("PROTOCOL", Place::Driver, 5, 2).in_network_order();
}

/// How long an option may take to change of itself: the spanning tree takes several seconds.
pub(super) const BECOME: Duration = Duration::from_secs(20);

pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_PROTINFO: u16 = 12;
pub(super) const INFO_KIND: u16 = 1;
pub(super) const INFO_DATA: u16 = 2;
const INFO_SLAVE_DATA: u16 = 5;

/// `ifinfomsg`.
pub(super) fn link_header(family: u8, index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![family, 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

/// The length of `ifinfomsg`.
pub(super) const LINK_HEADER: usize = 16;

/// Adds an option with its value.
pub(super) fn write(attrs: Attrs, (option, value): (LinkOption, u64)) -> Attrs {
    attrs.bytes(option.number, &option.encode(value))
}

/// What a link's driver says, among all that the kernel says of the link.
pub(super) fn driver_data(attrs: &[u8]) -> Option<&[u8]> {
    find(find(attrs, IFLA_LINKINFO)?, INFO_DATA)
}

/// Finds an option in what the kernel says of a link.
pub(super) fn read(attrs: &[u8], option: LinkOption) -> Option<u64> {
    let found = match option.place {
        Place::Link => find(attrs, option.number),
        Place::Driver => driver_data(attrs).and_then(|data| find(data, option.number)),
        Place::Port => find(find(attrs, IFLA_LINKINFO)?, INFO_SLAVE_DATA)
            .and_then(|data| find(data, option.number)),
    };
    found.map(|bytes| option.decode(&bytes[..bytes.len().min(8)]))
}

/// Whether this kernel tells that option of a link, in a namespace without a lab.
pub(crate) fn is_told(ns: &Ns, index: u32, option: LinkOption) -> Result<bool, Refused> {
    Ok(find(&attributes(ns, index)?, option.number).is_some())
}

/// Everything that the kernel says of a link.
fn attributes(ns: &Ns, index: u32) -> Result<Vec<u8>, Refused> {
    let header = link_header(0, index, 0, 0);
    let attrs = Attrs::new();
    let question = Question { kind: RTM_GETLINK, flags: ACK, header: &header, attrs };
    let answers = plain::ask(ns, &question)?;
    let body = answers.first().and_then(|(_, body)| body.get(LINK_HEADER..));
    Ok(body.unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_it_is_read() {
        for option in [bridge::STP, bridge::VLAN_PROTOCOL, port::STATE, link::ADDRESS] {
            let value = 0x0102_0304_0506_u64 & ((1u64 << (8 * option.bytes)) - 1);
            assert_eq!(option.decode(&option.encode(value)), value, "{option:?}");
        }
        assert_eq!(bridge::VLAN_PROTOCOL.encode(0x8100), [0x81, 0]);
        assert_eq!(link::ADDRESS.encode(0x0102_0304_0506), [1, 2, 3, 4, 5, 6]);
    }
}
