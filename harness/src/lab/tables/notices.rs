//! What the kernel tells of its tables unasked: an entry, a membership, a link or a VLAN that came or
//! went.
//!
//! A change is told before the call that makes it returns, and an address that a frame teaches before
//! the frame goes on. So what was not told when that is over was never told: no time is waited.

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::super::options::{BECOME, IFLA_PROTINFO, LINK_HEADER};
use super::{VlanRange, u32_at};
use crate::attrs::find;
use crate::netlink::plain::{
    AF_BRIDGE, Answer, EventKind, Kept, RTM_DELLINK, RTM_DELMDB, RTM_DELNEIGH, RTM_DELVLAN,
    RTM_NEWLINK, RTM_NEWMDB, RTM_NEWNEIGH, RTM_NEWVLAN,
};

/// What the kernel has told in one namespace since it was asked to.
#[derive(Debug)]
pub struct Notices {
    netns: String,
    kept: Kept,
}

impl Notices {
    /// Takes in what is told until that was enough; whether it came to that in time.
    async fn come_to(&self, mut is_enough: impl FnMut(&Answer) -> bool) -> Result<bool, Error> {
        let enough = async {
            let mut told = self.kept.take()?;
            loop {
                // All of it, so that what is told next is read from its beginning.
                let mut is_all = false;
                for message in &told {
                    is_all |= is_enough(message);
                }
                if is_all {
                    return Ok(());
                }
                told = self.kept.next().await?;
            }
        };
        match tokio::time::timeout(BECOME, enough).await {
            Ok(ended) => ended.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

fn untold(netns: &str, missing: &impl std::fmt::Debug, help: &str) -> Error {
    let what = format!("the kernel did not tell {missing:?} within {} s", BECOME.as_secs());
    Error::new(what, format!("namespace `{netns}`"), help)
}

/// Why the kernel tells of a link of which nothing has changed (`IFLA_EVENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tiding {
    /// A bond has another link in use.
    Failover = 3,
    /// Its neighbours are to be told where it is.
    Neighbours = 4,
    /// Its memberships are to be told again.
    Memberships = 5,
}

const IFLA_EVENT: u16 = 44;

const IFLA_BRPORT_STATE: u16 = 1;

impl Lab {
    /// Has what the kernel tells of the bridges of a namespace kept from now on.
    pub fn notices(&self, netns: &str) -> Result<Notices, Error> {
        let kinds = [EventKind::Link, EventKind::Neighbour, EventKind::Mdb];
        let kept = Kept::subscribe(&self.node(netns)?.ns, &kinds)?;
        Ok(Notices { netns: netns.to_owned(), kept })
    }

    /// Has what the kernel tells of the VLANs of bridges and ports of a namespace kept from now on
    /// (`bridge monitor vlan`, since 5.6).
    pub fn vlan_notices(&self, netns: &str) -> Result<Notices, Error> {
        let kept = Kept::subscribe(&self.node(netns)?.ns, &[EventKind::Vlan])?;
        Ok(Notices { netns: netns.to_owned(), kept })
    }

    /// What has been told since it was last asked for, oldest first, a line each: `new ENTRY` and
    /// `gone ENTRY` of the forwarding table and of memberships, `port p1 state 3` and `no port p1`;
    /// `new p1 5-9` and `gone p1 5-9` of VLANs; `new router p1` and `gone router p1`.
    /// Neighbours of the namespace itself and changes of links as such are left out.
    pub fn told_of(&self, notices: &Notices) -> Result<Vec<String>, Error> {
        let told = notices.kept.take()?;
        Ok(told.iter().flat_map(|message| self.notice(&notices.netns, message)).collect())
    }

    /// Waits until each of these has been told of a link since the notices were last read.
    pub async fn await_tidings(
        &self,
        notices: &Notices,
        link: impl Into<LinkName>,
        tidings: &[Tiding],
    ) -> Result<(), Error> {
        let index = self.index(&link.into())?;
        let mut missing = tidings.to_vec();
        let is_all = |(_, body): &Answer| {
            let why =
                (u32_at(body, 4) == index).then(|| find(body.get(LINK_HEADER..)?, IFLA_EVENT));
            let why = why.flatten().map_or(0, |value| u32_at(value, 0));
            missing.retain(|tiding| *tiding as u32 != why);
            missing.is_empty()
        };
        let came = notices.come_to(is_all).await?;
        let help = "does the driver pass on what the link below is told?";
        came.then_some(()).ok_or_else(|| untold(&notices.netns, &missing, help))
    }

    /// Waits until each of these lines has been told, in this order, since the notices were last read: as
    /// [`Lab::told_of`] gives them. What holds for a moment only is not missed so, however late we look.
    pub async fn await_told(&self, notices: &Notices, lines: &[String]) -> Result<(), Error> {
        let mut missing = lines;
        let is_all = |message: &Answer| {
            for line in self.notice(&notices.netns, message) {
                missing = missing.strip_prefix(&[line][..]).unwrap_or(missing);
            }
            missing.is_empty()
        };
        let came = notices.come_to(is_all).await?;
        let help = "is it about this namespace, and in these words?";
        came.then_some(()).ok_or_else(|| untold(&notices.netns, &missing, help))
    }

    fn notice(&self, netns: &str, (kind, body): &Answer) -> Vec<String> {
        let verb = match *kind {
            RTM_DELNEIGH | RTM_DELMDB | RTM_DELVLAN => "gone",
            _ => "new",
        };
        if body.first() != Some(&AF_BRIDGE) {
            return Vec::new();
        }
        match *kind {
            RTM_NEWNEIGH | RTM_DELNEIGH => {
                let entry = self.fdb_entry(netns, body);
                entry.map(|entry| format!("{verb} {entry}")).into_iter().collect()
            }
            RTM_NEWMDB | RTM_DELMDB => {
                let entries = self.memberships(netns, body).into_iter();
                let entries = entries.map(|entry| format!("{verb} {entry}"));
                let routers = self.routers(netns, body).into_iter();
                entries.chain(routers.map(|port| format!("{verb} router {port}"))).collect()
            }
            RTM_NEWVLAN | RTM_DELVLAN => {
                let Some(link) = self.topology.link_at(netns, u32_at(body, 4)) else {
                    return Vec::new();
                };
                let of = |range| format!("{verb} {} {range}", link.name.link);
                VlanRange::all(body).iter().map(of).collect()
            }
            RTM_NEWLINK | RTM_DELLINK => self.port_notice(netns, *kind, body).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn port_notice(&self, netns: &str, kind: u16, body: &[u8]) -> Option<String> {
        let link = &self.topology.link_at(netns, u32_at(body, 4))?.name.link;
        if kind == RTM_DELLINK {
            return Some(format!("no port {link}"));
        }
        let port = find(body.get(LINK_HEADER..)?, IFLA_PROTINFO)?;
        let state = find(port, IFLA_BRPORT_STATE)?.first()?;
        Some(format!("port {link} state {state}"))
    }
}
