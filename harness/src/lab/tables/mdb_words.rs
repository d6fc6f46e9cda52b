//! What a request for a membership says, word by word: also as no program says it.

use std::net::IpAddr;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::super::Lab;
use crate::attrs::Attrs;
use crate::netlink::plain::{ACK, AF_BRIDGE, CREATE, EXCL, Question, RTM_NEWMDB};
use crate::octets::octets;

const MDBA_SET_ENTRY: u16 = 1;
const MDBA_SET_ENTRY_ATTRS: u16 = 2;
const MDBE_ATTR_SOURCE: u16 = 1;

/// How many bytes a `br_mdb_entry` has.
const ENTRY_BYTES: usize = 28;

/// The state of a membership that lasts, as it is asked for and as it is told.
pub(super) const MDB_PERMANENT: u8 = 1;

/// What a request for a membership says, word by word (`struct br_port_msg` and `br_mdb_entry`).
#[derive(Clone, Debug)]
pub struct MdbWords {
    /// The bridge, by its index.
    pub bridge: u32,
    /// The port, by its index.
    pub port: u32,
    /// Whether it is to last: 0 or 1.
    pub state: u8,
    /// The VLAN; 0 is none.
    pub vlan: u16,
    /// The ethertype that the group's address is of; 0 for an Ethernet address.
    pub protocol: u16,
    /// The group's address.
    pub group: Vec<u8>,
    /// The sender's, if it is of one only.
    pub sender: Option<Vec<u8>>,
    /// How many bytes the entry is said in: 28 are right.
    pub bytes: usize,
}

impl MdbWords {
    /// Those of a membership of a group, or of the group from one sender alone: `239.1.2.3 from 192.0.2.1`. None if
    /// that is no name of a group.
    pub(super) fn of((bridge, port): (u32, u32), name: &str, vlan: u16, state: u8) -> Option<Self> {
        let (group, sender) = match name.split_once(" from ") {
            Some((group, sender)) => (group, Some(octets(sender.parse().ok()?))),
            None => (name, None),
        };
        let (protocol, group) = match (group.parse(), group.parse::<Mac>()) {
            (Ok(ip @ IpAddr::V4(_)), _) => (0x0800, octets(ip)),
            (Ok(ip @ IpAddr::V6(_)), _) => (0x86dd, octets(ip)),
            (_, Ok(mac)) => (0, mac.0.to_vec()),
            _ => return None,
        };
        Some(Self { bridge, port, state, vlan, protocol, group, sender, bytes: ENTRY_BYTES })
    }

    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = vec![AF_BRIDGE, 0, 0, 0];
        header.extend(self.bridge.to_ne_bytes());
        header
    }

    pub(super) fn attrs(&self) -> Attrs {
        let attrs = Attrs::new().bytes(MDBA_SET_ENTRY, &self.entry());
        self.sender.iter().fold(attrs, |attrs, sender| {
            attrs.nest(MDBA_SET_ENTRY_ATTRS, &Attrs::new().bytes(MDBE_ATTR_SOURCE, sender))
        })
    }

    fn entry(&self) -> Vec<u8> {
        let mut entry = vec![0; ENTRY_BYTES];
        entry[..4].copy_from_slice(&self.port.to_ne_bytes());
        entry[4] = self.state;
        entry[6..8].copy_from_slice(&self.vlan.to_ne_bytes());
        let group = self.group.len().min(16);
        entry[8..8 + group].copy_from_slice(&self.group[..group]);
        entry[24..26].copy_from_slice(&self.protocol.to_be_bytes());
        entry.resize(self.bytes, 0);
        entry
    }
}

impl Lab {
    /// The words of a lasting membership of a port in the group 239.1.2.3, with which nothing is wrong.
    pub fn mdb_words(
        &self,
        bridge: impl Into<LinkName>,
        port: impl Into<LinkName>,
    ) -> Result<MdbWords, Error> {
        let links = (self.index(&bridge.into())?, self.index(&port.into())?);
        Ok(MdbWords::of(links, "239.1.2.3", 0, MDB_PERMANENT).expect("that names a group"))
    }

    /// Asks for a membership in such words, in that namespace.
    pub fn ask_in_words(&mut self, netns: &str, words: &MdbWords) -> Result<(), Error> {
        let (header, attrs) = (words.header(), words.attrs());
        let asked =
            Question { kind: RTM_NEWMDB, flags: ACK | CREATE | EXCL, header: &header, attrs };
        let answer = self.ask(netns, &asked)?;
        answer.map_err(|refused| refused.error("ask for a membership", netns))?;
        self.tell(|| format!("{netns} is asked for {words:?}"));
        Ok(())
    }
}
