//! What a case holds of things that come to be in the kernel's own time. Awaiting them is the lab's.

use std::net::IpAddr;

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::{CaseLab, Stop};
use crate::lab::options::LinkOption;
use crate::lab::{Notices, Offload, Tiding};

impl CaseLab {
    /// Holds that something that was awaited has come.
    fn claim_came(&self, claim: &str, came: Result<(), Error>) -> Result<(), Stop> {
        let seen = came.as_ref().err().map(|error| error.what.clone()).unwrap_or_default();
        self.claim(claim, came.is_ok(), seen)
    }

    /// Holds that a port becomes a member of a group, or ends to be one, within twenty seconds.
    pub async fn expect_member(
        &self,
        port: impl Into<LinkName>,
        group: &str,
        member: bool,
    ) -> Result<(), Stop> {
        let port = port.into();
        let seen = self.lab.await_member(&port, group, member).await;
        let words = if member { "is" } else { "is no longer" };
        self.claim_came(&format!("{port} {words} a member of {group}"), seen)
    }

    /// Holds that a port becomes a member of a group and then is none any more, within twenty seconds: by what
    /// the kernel tells of it, as it may be over before we look.
    pub async fn expect_member_for_a_time(
        &self,
        notices: &Notices,
        port: impl Into<LinkName>,
        group: &str,
    ) -> Result<(), Stop> {
        let port = port.into();
        let lines = ["new", "gone"].map(|verb| format!("{verb} {group} {}", port.link));
        let seen = self.lab.await_told(notices, &lines).await;
        self.claim_came(&format!("{port} is a member of {group} for a time"), seen)
    }

    /// Holds that a bridge comes to have a router behind a port, or none any more, within twenty
    /// seconds.
    pub async fn expect_router(&self, port: impl Into<LinkName>, is: bool) -> Result<(), Stop> {
        let port = port.into();
        let seen = self.lab.await_router(&port, is).await;
        let words = if is { "comes to be" } else { "is no longer" };
        self.claim_came(&format!("{port} {words} a router's"), seen)
    }

    /// Holds that what the kernel says of an option of a link becomes a value, within twenty
    /// seconds.
    pub async fn expect_to_become(
        &self,
        link: impl Into<LinkName>,
        option: LinkOption,
        value: u64,
    ) -> Result<(), Stop> {
        let link = link.into();
        let seen = self.lab.await_option(&link, option, value).await;
        self.claim_came(&format!("{link} comes to have {option} {value}"), seen)
    }

    /// Holds that each of these has been told of a link since the notices were last read, or is within
    /// twenty seconds.
    pub async fn expect_tidings(
        &self,
        notices: &Notices,
        link: impl Into<LinkName>,
        tidings: &[Tiding],
    ) -> Result<(), Stop> {
        let link = link.into();
        let seen = self.lab.await_tidings(notices, &link, tidings).await;
        self.claim_came(&format!("{link} is told {tidings:?}"), seen)
    }

    /// Holds that a link comes to be up, or down, as the one below it is.
    pub async fn expect_up(&self, link: impl Into<LinkName>, up: bool) -> Result<(), Stop> {
        let link = link.into();
        let seen = self.lab.await_up(&link, up).await;
        self.claim_came(&format!("{link} comes to be {}", if up { "up" } else { "down" }), seen)
    }

    /// Holds that a link comes to do something for the stack, or no longer to.
    pub async fn expect_offload(
        &self,
        link: impl Into<LinkName>,
        offload: Offload,
        on: bool,
    ) -> Result<(), Stop> {
        let link = link.into();
        let seen = self.lab.await_offload(&link, offload, on).await;
        self.claim_came(&format!("{link} comes to have {offload} {on}"), seen)
    }

    /// Holds that a host comes to have an Ethernet address for an IP address without having asked.
    pub async fn expect_neighbour(&self, host: &str, ip: IpAddr, mac: Mac) -> Result<(), Stop> {
        let seen = self.lab.await_neighbour(host, ip, mac).await;
        self.claim_came(&format!("{host} comes to have {ip} at {mac}"), seen)
    }

    /// Brings a link up or down, and holds that thereupon every link runs that stands on links that
    /// do, and no other: for promises that speak of carrier. Elsewhere a lab that does not settle is
    /// an error of ours.
    pub async fn expect_to_settle(
        &mut self,
        link: impl Into<LinkName>,
        up: bool,
    ) -> Result<(), Stop> {
        let link = link.into();
        self.lab.switch(&link, up).await?;
        let settled = self.lab.settle().await;
        let words = if up { "up" } else { "down" };
        self.claim_came(&format!("with {link} {words} all run that can, and no other"), settled)
    }
}
