//! Options of a VLAN at a port, and of a VLAN of a whole bridge (`RTM_NEWVLAN`, since 5.7 and 5.15).

use std::fmt;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::super::options::{decode, encode};
use super::u16_at;
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{AF_BRIDGE, Answer, DUMP, Question, RTM_GETVLAN, RTM_NEWVLAN};

/// An option of a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanOption {
    name: &'static str,
    pub(super) number: u16,
    pub(super) bytes: usize,
    /// Whether it is of the VLAN on the whole bridge.
    pub(super) global: bool,
}

impl fmt::Display for VlanOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl VlanOption {
    /// The same in so many bytes, however many it should have.
    #[must_use]
    pub fn in_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// What can be set of a VLAN.
pub mod vlan_option {
    use super::VlanOption;

    const fn at_port(name: &'static str, number: u16, bytes: usize) -> VlanOption {
        VlanOption { name, number, bytes, global: false }
    }

    const fn of_all(name: &'static str, number: u16, bytes: usize) -> VlanOption {
        VlanOption { name, number, bytes, global: true }
    }

    /// The state of a port in this VLAN: 0 disabled to 3 forwarding, 4 blocking.
    pub const STATE: VlanOption = at_port("state", 3, 1);
    /// Whether a router is behind the port in this VLAN: 0 no, 1 learned, 2 always; since 5.15.
    pub const MCAST_ROUTER: VlanOption = at_port("mcast_router", 6, 1);
    /// How many groups may be followed there; since 6.3.
    pub const MCAST_MAX_GROUPS: VlanOption = at_port("mcast_max_groups", 8, 4);
    /// Whether questions for known neighbours are kept from the port in this VLAN; since 6.3.
    pub const NEIGH_SUPPRESS: VlanOption = at_port("neigh_suppress", 9, 1);
    /// Whether memberships are followed in this VLAN; since 5.15, as all below.
    pub const MCAST_SNOOPING: VlanOption = of_all("mcast_snooping", 3, 1);
    /// The version of IGMP that is spoken.
    pub const MCAST_IGMP_VERSION: VlanOption = of_all("mcast_igmp_version", 4, 1);
    /// The version of MLD that is spoken.
    pub const MCAST_MLD_VERSION: VlanOption = of_all("mcast_mld_version", 5, 1);
    /// How many queries follow a leave.
    pub const MCAST_LAST_MEMBER_COUNT: VlanOption = of_all("mcast_last_member_count", 6, 4);
    /// How many queries at the start.
    pub const MCAST_STARTUP_QUERY_COUNT: VlanOption = of_all("mcast_startup_query_count", 7, 4);
    /// Hundredths of a second that a leave waits for others.
    pub const MCAST_LAST_MEMBER_INTERVAL: VlanOption = of_all("mcast_last_member_interval", 8, 8);
    /// Hundredths of a second that a membership is kept.
    pub const MCAST_MEMBERSHIP_INTERVAL: VlanOption = of_all("mcast_membership_interval", 10, 8);
    /// Hundredths of a second that another querier is believed.
    pub const MCAST_QUERIER_INTERVAL: VlanOption = of_all("mcast_querier_interval", 11, 8);
    /// Hundredths of a second between queries.
    pub const MCAST_QUERY_INTERVAL: VlanOption = of_all("mcast_query_interval", 12, 8);
    /// Hundredths of a second that answers may take.
    pub const MCAST_QUERY_RESPONSE_INTERVAL: VlanOption =
        of_all("mcast_query_response_interval", 13, 8);
    /// Hundredths of a second between the queries at the start.
    pub const MCAST_STARTUP_QUERY_INTERVAL: VlanOption =
        of_all("mcast_startup_query_interval", 14, 8);
    /// Whether the bridge asks for memberships there.
    pub const MCAST_QUERIER: VlanOption = of_all("mcast_querier", 15, 1);
    /// The spanning tree instance that it belongs to; since 5.18.
    pub const MSTI: VlanOption = of_all("msti", 18, 2);
}

/// `BRIDGE_VLAN_INFO_ONLY_OPTS`: the membership itself stays as it is.
pub(super) const ONLY_OPTIONS: u16 = 1 << 6;
pub(super) const ENTRY: u16 = 1;
pub(super) const GLOBAL: u16 = 2;
pub(super) const ENTRY_INFO: u16 = 1;
const ENTRY_RANGE: u16 = 2;
pub(super) const ENTRY_STATS: u16 = 5;
const GLOBAL_ID: u16 = 1;
const GLOBAL_RANGE: u16 = 2;
const DUMP_FLAGS: u16 = 1;
/// `BRIDGE_VLANDB_DUMPF_STATS`: what each VLAN has counted, too.
pub(super) const DUMP_STATS: u32 = 1;
/// `BRIDGE_VLANDB_DUMPF_GLOBAL`: what is of the whole bridge, instead.
pub(super) const DUMP_GLOBAL: u32 = 2;

/// `br_vlan_msg`: 8 bytes.
pub(super) fn vlan_header(index: u32) -> Vec<u8> {
    let mut header = vec![AF_BRIDGE, 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header
}

impl Lab {
    /// Sets an option of a VLAN: at a port, or at the bridge for one that is of the whole bridge.
    pub async fn set_vlan_option(
        &mut self,
        link: impl Into<LinkName>,
        id: u16,
        option: VlanOption,
        value: u64,
    ) -> Result<(), Error> {
        let link = link.into();
        let header = vlan_header(self.index(&link)?);
        let attrs = options_alone((id, id), &[(option, value)]);
        let asked = Question { kind: RTM_NEWVLAN, flags: 0, header: &header, attrs };
        self.command(&link, &asked, &format!("set {option} {value} of VLAN {id}"))?;
        self.tell(|| format!("{link} VLAN {id} {option} {value}"));
        Ok(())
    }

    /// Reads an option of a VLAN back; `None` if it is not told.
    pub async fn vlan_option(
        &self,
        link: impl Into<LinkName>,
        id: u16,
        option: VlanOption,
    ) -> Result<Option<u64>, Error> {
        let flags = if option.global { DUMP_GLOBAL } else { 0 };
        let entries = self.vlan_entries(&link.into(), flags)?;
        let entry = entries.iter().find(|(_, entry)| is_of(entry, option.global, id));
        let bytes = entry.and_then(|(_, entry)| find(entry, option.number));
        Ok(bytes.map(|bytes| decode(bytes, false)))
    }

    /// What is told of the VLANs of a port, or of a bridge, if it is asked for so much (`DUMP_*`): of which kind
    /// each entry is, and its attributes.
    pub(super) fn vlan_entries(
        &self,
        link: &LinkName,
        flags: u32,
    ) -> Result<Vec<(u16, Vec<u8>)>, Error> {
        let index = self.index(link)?;
        let answers = self.vlan_messages(&link.netns, index, flags, link)?;
        let bodies = answers.iter().filter_map(|(_, body)| body.get(vlan_header(index).len()..));
        Ok(bodies.flat_map(parse).map(|(kind, entry)| (kind, entry.to_vec())).collect())
    }

    /// The messages that tell of the VLANs of the link of that index, or of all if that is 0; `place` is where that
    /// is, for an error.
    pub(super) fn vlan_messages(
        &self,
        netns: &str,
        index: u32,
        flags: u32,
        place: impl fmt::Display,
    ) -> Result<Vec<Answer>, Error> {
        let header = vlan_header(index);
        let attrs = Attrs::new().bytes(DUMP_FLAGS, &flags.to_ne_bytes());
        let asked = Question { kind: RTM_GETVLAN, flags: DUMP, header: &header, attrs };
        self.ask(netns, &asked)?.map_err(|refused| refused.error("show the VLANs", place))
    }
}

/// Whether an entry, which may be told for a range of VLANs alike, is that VLAN's.
fn is_of(entry: &[u8], global: bool, id: u16) -> bool {
    range_of(entry, global).is_some_and(|(first, last)| (first..=last).contains(&id))
}

/// The first and the last VLAN that an entry is told for.
pub(super) fn range_of(entry: &[u8], global: bool) -> Option<(u16, u16)> {
    let (first, last) = if global {
        (u16_at(find(entry, GLOBAL_ID)?, 0), find(entry, GLOBAL_RANGE))
    } else {
        (u16_at(find(entry, ENTRY_INFO)?, 2), find(entry, ENTRY_RANGE))
    };
    Some((first, last.map_or(first, |last| u16_at(last, 0))))
}

/// Options of a range of VLANs, whose memberships stay as they are.
pub(super) fn options_alone(range: (u16, u16), options: &[(VlanOption, u64)]) -> Attrs {
    if !options.iter().any(|(option, _)| option.global) {
        return at_port(range, ONLY_OPTIONS, options);
    }
    let (first, last) = range;
    let mut entry = Attrs::new().bytes(GLOBAL_ID, &first.to_ne_bytes());
    if first != last {
        entry = entry.bytes(GLOBAL_RANGE, &last.to_ne_bytes());
    }
    Attrs::new().nest(GLOBAL, &with(entry, options))
}

/// A range of VLANs at a port, with the flags of their membership.
pub(super) fn at_port(range: (u16, u16), flags: u16, options: &[(VlanOption, u64)]) -> Attrs {
    Attrs::new().nest(ENTRY, &with(members(range, flags), options))
}

/// What an entry begins with: its VLANs and the flags of their membership.
pub(super) fn members((first, last): (u16, u16), flags: u16) -> Attrs {
    let info = [flags.to_ne_bytes(), first.to_ne_bytes()].concat();
    let mut entry = Attrs::new().bytes(ENTRY_INFO, &info);
    if first != last {
        entry = entry.bytes(ENTRY_RANGE, &last.to_ne_bytes());
    }
    entry
}

fn with(entry: Attrs, options: &[(VlanOption, u64)]) -> Attrs {
    options.iter().fold(entry, |entry, (option, value)| {
        entry.bytes(option.number, &encode(*value, option.bytes, false))
    })
}
