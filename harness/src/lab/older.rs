//! A bridge by its first interface, as `brctl` of old spoke to it: commands by number through
//! `SIOCDEVPRIVATE`, and `SIOCGIFBR` for those about none of them (`linux/if_bridge.h`).

use std::collections::BTreeMap;
use std::time::Duration;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::Lab;
use super::tables::{u16_at, u32_at};
use crate::sys::ioctl;

/// What such a command sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brctl {
    /// A link becomes a port, by its index.
    AddPort = 4,
    /// A port is one no more.
    RemovePort = 5,
    /// The ports are listed, from that address on, as many as there is room for; sets nothing.
    PortList = GET_PORT_LIST as isize,
    /// The forward delay, in hundredths of a second.
    ForwardDelay = 8,
    /// The hello time.
    HelloTime = 9,
    /// The greatest age of a message.
    MaxAge = 10,
    /// The ageing time.
    AgeingTime = 11,
    /// How often old addresses were looked for: the kernel takes it no longer.
    GcInterval = 12,
    /// Whether there is a spanning tree.
    Stp = 14,
    /// The bridge's priority.
    Priority = 15,
    /// A port's priority: its number, and the value.
    PortPriority = 16,
    /// A port's cost.
    PortCost = 17,
}

const GET_VERSION: u32 = 0;
const GET_BRIDGES: u32 = 1;
const GET_BRIDGE_INFO: u32 = 6;
const GET_PORT_LIST: u32 = 7;
const GET_PORT_INFO: u32 = 13;
const GET_FDB_ENTRIES: u32 = 18;

/// What is told of a bridge (`struct __bridge_info`), those fields that have one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeInfo {
    /// The root: priority and address.
    pub root: [u8; 8],
    /// The bridge itself.
    pub bridge: [u8; 8],
    /// How far the root is.
    pub cost: u32,
    /// The times that count now: a message's greatest age, and the hello time.
    pub times: (u32, u32),
    /// The forward delay, were it the root.
    pub own_delay: u32,
    /// Whether the tree has changed, and whether the bridge has seen it.
    pub changed: (bool, bool),
    /// The number of the port that leads to the root.
    pub root_port: u8,
    /// Whether there is a spanning tree.
    pub stp: bool,
    /// The ageing time.
    pub ageing: u32,
}

/// What is told of a port (`struct __port_info`), clocks aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The root, as the port's segment knows it.
    pub root: [u8; 8],
    /// The bridge that leads there.
    pub bridge: [u8; 8],
    /// Its identifier, and that of the port which leads to the root.
    pub ids: (u16, u16),
    /// Its cost, and that of the root from there.
    pub costs: (u32, u32),
    /// Its state.
    pub state: u8,
}

fn identifier(answer: &[u8], place: usize) -> [u8; 8] {
    answer.get(place..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
}

impl Lab {
    /// Makes a bridge, or takes one away, by its name (`SIOCBRADDBR`, `SIOCBRDELBR`). The topology
    /// value does not know it.
    pub fn bridge_by_name(&mut self, netns: &str, name: &str, made: bool) -> Result<(), Error> {
        let link = LinkName::new(netns, name);
        let doing = if made { "make a bridge" } else { "take a bridge away" };
        self.by_socket(&link, doing, |socket| ioctl::bridge(socket, name, made))?;
        self.tell(|| format!("{link} {}", if made { "made" } else { "taken away" }));
        Ok(())
    }

    /// Sets something of a bridge, or of the port with the first number. The topology value does
    /// not follow.
    pub fn set_older(
        &mut self,
        bridge: impl Into<LinkName>,
        command: Brctl,
        numbers: (u64, u64),
    ) -> Result<(), Error> {
        let bridge = bridge.into();
        let doing = format!("{command:?} {numbers:?}");
        let numbers = [numbers.0, numbers.1, 0];
        self.older(&bridge, command as u32, numbers, &mut [], &doing)?;
        self.tell(|| format!("{bridge} {doing}"));
        Ok(())
    }

    /// The version of that interface, and the indices of all bridges of a namespace.
    pub fn older_bridges(&self, netns: &str) -> Result<(usize, Vec<u32>), Error> {
        const ROOM: usize = 16;
        let mut answer = [0; 4 * ROOM];
        let link = LinkName::new(netns, "any");
        let mut ask = |command, room| {
            self.by_socket(&link, "list the bridges", |socket| {
                let numbers = [0, room, 0];
                ioctl::first_of_bridges(socket, None, command, numbers, &mut answer)
            })
        };
        let version = ask(GET_VERSION, 0)?;
        let many = ask(GET_BRIDGES, ROOM as u64)?;
        Ok((version, (0..many.min(ROOM)).map(|place| u32_at(&answer, 4 * place)).collect()))
    }

    /// What is told of a bridge.
    pub fn older_info(&self, bridge: impl Into<LinkName>) -> Result<BridgeInfo, Error> {
        let mut told = [0; 72];
        self.older(&bridge.into(), GET_BRIDGE_INFO, [0; 3], &mut told, "show the bridge")?;
        Ok(BridgeInfo {
            root: identifier(&told, 0),
            bridge: identifier(&told, 8),
            cost: u32_at(&told, 16),
            times: (u32_at(&told, 20), u32_at(&told, 24)),
            own_delay: u32_at(&told, 40),
            changed: (told[44] != 0, told[45] != 0),
            root_port: told[46],
            stp: told[47] != 0,
            ageing: u32_at(&told, 48),
        })
    }

    /// The ports of a bridge: number and index of the link. There is room for so many numbers.
    pub fn older_ports(
        &self,
        bridge: impl Into<LinkName>,
        room: u16,
    ) -> Result<BTreeMap<usize, u32>, Error> {
        let mut told = vec![0; 4 * usize::from(room)];
        let numbers = [0, room.into(), 0];
        self.older(&bridge.into(), GET_PORT_LIST, numbers, &mut told, "list the ports")?;
        let all = (0..usize::from(room)).map(|number| (number, u32_at(&told, 4 * number)));
        Ok(all.filter(|(_, index)| *index != 0).collect())
    }

    /// What is told of the port with that number.
    pub fn older_port(&self, bridge: impl Into<LinkName>, number: u16) -> Result<PortInfo, Error> {
        let mut told = [0; 48];
        let numbers = [0, number.into(), 0];
        self.older(&bridge.into(), GET_PORT_INFO, numbers, &mut told, "show a port")?;
        Ok(PortInfo {
            root: identifier(&told, 0),
            bridge: identifier(&told, 8),
            ids: (u16_at(&told, 16), u16_at(&told, 18)),
            costs: (u32_at(&told, 20), u32_at(&told, 24)),
            state: told[28],
        })
    }

    /// What a bridge has learned and been told: address, port, and whether it is its own; at most
    /// so many, after the first few.
    pub fn older_table(
        &self,
        bridge: impl Into<LinkName>,
        room: u16,
        skipped: u16,
    ) -> Result<Vec<(Mac, u8, bool)>, Error> {
        const ENTRY: usize = 16;
        let mut told = vec![0; ENTRY * usize::from(room)];
        let numbers = [0, room.into(), skipped.into()];
        let many =
            self.older(&bridge.into(), GET_FDB_ENTRIES, numbers, &mut told, "list the addresses")?;
        let entry = |entry: &[u8]| {
            let mac = Mac(entry.first_chunk().copied().unwrap_or_default());
            (mac, entry[6], entry[7] != 0)
        };
        Ok(told.chunks_exact(ENTRY).take(many).map(entry).collect())
    }

    /// How long ago a bridge heard the last frame of an address; none if it does not know it.
    pub fn older_age(
        &self,
        bridge: impl Into<LinkName>,
        mac: Mac,
    ) -> Result<Option<Duration>, Error> {
        const ENTRIES: usize = 64;
        let mut told = vec![0; 16 * ENTRIES];
        let numbers = [0, ENTRIES as u64, 0];
        self.older(&bridge.into(), GET_FDB_ENTRIES, numbers, &mut told, "list the addresses")?;
        let ours = told.chunks_exact(16).find(|entry| entry[..6] == mac.0);
        // It is told in hundredths of a second.
        Ok(ours.map(|entry| Duration::from_millis(10 * u64::from(u32_at(entry, 8)))))
    }

    fn older(
        &self,
        bridge: &LinkName,
        command: u32,
        numbers: [u64; 3],
        answer: &mut [u8],
        doing: &str,
    ) -> Result<usize, Error> {
        self.by_socket(bridge, doing, |socket| {
            ioctl::first_of_bridges(socket, Some(&bridge.link), command, numbers, answer)
        })
    }
}
