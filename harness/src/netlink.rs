//! One rtnetlink connection into one namespace, and the kernel's errors in words.
//!
//! The only module that names rtnetlink's types, which change with every release.

mod link;
pub(crate) mod plain;
mod read;

use std::io;
use std::net::IpAddr;

use futures::{StreamExt, TryStreamExt};
use hairpin_model::topology::Route;
use hairpin_model::{Error, Family, Mac};
use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage};
use rtnetlink::packet_route::route::RouteType;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, RouteMessageBuilder};
use tokio::task::JoinHandle;

use crate::ns::Ns;

pub(crate) use link::Birth;
pub use read::LinkState;

/// A connection into one namespace.
pub(crate) struct Netlink {
    handle: Handle,
    driver: JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Netlink {
    /// Connects to the kernel in that namespace.
    pub(crate) fn connect(ns: &Ns) -> Result<Self, Error> {
        let open = || {
            let (mut connection, handle, _) = rtnetlink::new_connection()?;
            let socket = connection.socket_mut().socket_mut();
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok((connection, handle))
        };
        let (connection, handle) = ns.enter(open).map_err(|error: std::io::Error| {
            Error::new(
                format!("cannot open a netlink socket: {error}"),
                "this machine",
                "see `hairpin doctor`",
            )
        })?;
        Ok(Self { handle, driver: tokio::spawn(connection) })
    }

    /// Gives a link an address; IPv6 ones are usable at once (no duplicate address detection).
    pub(crate) async fn add_address(&self, index: u32, net: IpNet) -> Result<(), Refused> {
        let mut request = self.handle.address().add(index, net.addr(), net.prefix_len());
        request.message_mut().header.flags = AddressHeaderFlags::Nodad;
        Ok(request.execute().await?)
    }

    /// Adds a route.
    pub(crate) async fn add_route(&self, route: &Route) -> Result<(), Refused> {
        Ok(self.handle.route().add(route_message(route)?).execute().await?)
    }

    /// Takes a route away.
    pub(crate) async fn delete_route(&self, route: &Route) -> Result<(), Refused> {
        Ok(self.handle.route().del(route_message(route)?).execute().await?)
    }

    /// Forgets every neighbour that was learned.
    pub(crate) async fn forget_neighbours(&self, family: Family) -> Result<(), Refused> {
        // The kernel looks through the tables of all namespaces: of one family if it is told which.
        let request = self.handle.neighbours().get().set_address_family(address_family(family));
        let found: Vec<NeighbourMessage> = request.execute().try_collect().await?;
        for entry in found.into_iter().filter(is_learned) {
            match self.handle.neighbours().del(entry).execute().await.map_err(Refused::from) {
                // It timed out, or its link went, between the dump and the deletion.
                Err(refused) if refused.errno == libc::ENOENT || refused.errno == libc::ENODEV => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The neighbours that are being asked for, while what is to be sent to them waits (`true`), and
    /// those of whom it is known that nobody answers.
    pub(crate) async fn unresolved(&self, family: Family) -> Result<Vec<(IpAddr, bool)>, Refused> {
        let request = self.handle.neighbours().get().set_address_family(address_family(family));
        let found: Vec<NeighbourMessage> = request.execute().try_collect().await?;
        let unresolved = |entry: &NeighbourMessage| match entry.header.state {
            NeighbourState::Incomplete => Some((destination(entry)?, true)),
            NeighbourState::Failed => Some((destination(entry)?, false)),
            _ => None,
        };
        Ok(found.iter().filter_map(unresolved).collect())
    }

    /// Forgets one neighbour, if it is known.
    pub(crate) async fn forget_neighbour(&self, index: u32, ip: IpAddr) -> Result<(), Refused> {
        let mut entry = self.handle.neighbours().add(index, ip);
        let message = std::mem::take(entry.message_mut());
        match self.handle.neighbours().del(message).execute().await.map_err(Refused::from) {
            Err(refused) if refused.errno == libc::ENOENT => Ok(()),
            other => other,
        }
    }

    /// How often the machine's tables of neighbours were too full for another one: all namespaces
    /// share them.
    pub(crate) async fn full_neighbour_tables(&self) -> Result<u64, Refused> {
        let message = RouteNetlinkMessage::GetNeighbourTable(NeighbourTableMessage::default());
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut handle = self.handle.clone();
        let mut answers = handle.request(request)?;
        let mut full = 0;
        while let Some(answer) = answers.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbourTable(table)) => {
                    full += table.attributes.iter().map(times_full).sum::<u64>();
                }
                NetlinkPayload::Error(error) => {
                    return Err(rtnetlink::Error::NetlinkError(error).into());
                }
                _ => {}
            }
        }
        Ok(full)
    }

    /// The Ethernet address that the namespace has resolved an IP address to.
    pub(crate) async fn neighbour(&self, ip: IpAddr) -> Result<Option<Mac>, Refused> {
        let found: Vec<NeighbourMessage> =
            self.handle.neighbours().get().execute().try_collect().await?;
        Ok(found.iter().find(|entry| destination(entry) == Some(ip)).and_then(|entry| {
            entry.attributes.iter().find_map(|attribute| match attribute {
                NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
                _ => None,
            })
        }))
    }
}

fn times_full(attribute: &NeighbourTableAttribute) -> u64 {
    match attribute {
        NeighbourTableAttribute::Stats(stats) => stats.table_fulls,
        _ => 0,
    }
}

const fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn is_learned(entry: &NeighbourMessage) -> bool {
    !matches!(entry.header.state, NeighbourState::Permanent | NeighbourState::Noarp)
        && entry.header.kind == RouteType::Unicast
}

fn destination(entry: &NeighbourMessage) -> Option<IpAddr> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => Some(IpAddr::V4(*ip)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => Some(IpAddr::V6(*ip)),
        _ => None,
    })
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

fn route_message(route: &Route) -> Result<rtnetlink::packet_route::route::RouteMessage, Refused> {
    let mixed = || Refused {
        errno: libc::EINVAL,
        words: format!("`{}` and `{}` are of two families", route.to, route.via),
    };
    let message = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(route.to.addr(), route.to.prefix_len())
        .map_err(|_| mixed())?
        .gateway(route.via)
        .map_err(|_| mixed())?;
    Ok(message.build())
}

/// What the kernel said when it refused a request.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The error number, positive; 0 when the request never got to the kernel.
    pub(crate) errno: i32,
    /// The kernel's own words: its extended acknowledgement if it gave one, else the errno's.
    pub(crate) words: String,
}

impl From<&io::Error> for Refused {
    /// What a call other than netlink's refused.
    fn from(error: &io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or_default(), words: error.to_string() }
    }
}

impl Refused {
    /// Whether the kernel lacks what was asked for.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.errno, libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)
    }

    /// As an error of a lab.
    pub(crate) fn error(&self, what: &str, place: impl std::fmt::Display) -> Error {
        let help = match self.errno {
            libc::EOPNOTSUPP => "this kernel lacks the driver or the feature: see `hairpin doctor`",
            libc::EPERM => "the lab lost its privilege: see `hairpin doctor`",
            libc::EBUSY => "the link already serves another purpose (bridge port, macvlan parent)",
            libc::EADDRINUSE => "another link of the same parent has this address",
            _ => "the kernel refuses this topology: change it, or assert the refusal",
        };
        let what = format!("the kernel refused to {what}: {}", self.words);
        Error { errno: self.errno, ..Error::new(what, place.to_string(), help) }
    }
}

impl From<rtnetlink::Error> for Refused {
    fn from(error: rtnetlink::Error) -> Self {
        match error {
            rtnetlink::Error::NetlinkError(message) => {
                let errno = message.raw_code().abs();
                let errno_words = nix::errno::Errno::from_raw(errno).desc();
                let words = match ext_ack(&message.header) {
                    Some(text) => format!("{text} ({errno_words})"),
                    None => errno_words.to_owned(),
                };
                Self { errno, words }
            }
            other => Self { errno: 0, words: other.to_string() },
        }
    }
}

/// The text of an extended acknowledgement, which follows the 16-byte header of the request.
fn ext_ack(echoed: &[u8]) -> Option<String> {
    const REQUEST_HEADER: usize = 16;
    const MESSAGE: u16 = 1;
    let mut rest = echoed.get(REQUEST_HEADER..)?;
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        let kind = u16::from_ne_bytes([rest[2], rest[3]]);
        let value = rest.get(4..length)?;
        if kind == MESSAGE {
            return Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::ext_ack;

    #[test]
    fn the_kernels_words_are_found_behind_the_request() {
        let mut echoed = vec![0; 16];
        echoed.extend([8, 0, 2, 0, 0, 0, 0, 0]);
        echoed.extend([7, 0, 1, 0, b'n', b'o', 0, 0]);
        assert_eq!(ext_ack(&echoed).as_deref(), Some("no"));
        assert_eq!(ext_ack(&echoed[..24]), None);
        assert_eq!(ext_ack(&[]), None);
    }
}
