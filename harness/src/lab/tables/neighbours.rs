//! What a host knows of its neighbours, waited for.

use std::net::IpAddr;
use std::time::Duration;

use hairpin_model::{Error, Mac};

use super::super::Lab;
use crate::netlink::plain::EventKind;

/// How long an announcement may take to be heard. It goes out as soon as the link has its address.
const HEARD: Duration = Duration::from_secs(5);

impl Lab {
    /// Waits until a host has an Ethernet address for an IP address that it knows of, woken by the
    /// kernel's own events. It asks nobody.
    pub async fn await_neighbour(&self, host: &str, ip: IpAddr, mac: Mac) -> Result<(), Error> {
        let is = async || Ok(self.neighbour(host, ip).await? == Some(mac));
        if self.comes_to_hold(host, &[EventKind::Neighbour], HEARD, is).await? {
            return Ok(());
        }
        let seen = self.neighbour(host, ip).await?;
        let seen = seen.map_or("nothing".into(), |mac| mac.to_string());
        Err(Error::new(
            format!("after {} s {ip} is still at {seen}, not {mac}", HEARD.as_secs()),
            format!("the neighbours of `{host}`"),
            "does the neighbour announce itself, and does the host know of it already?",
        ))
    }
}
