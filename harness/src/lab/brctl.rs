//! A bridge's ports by the older calls, as `brctl` makes them (`SIOCBRADDIF` and `SIOCBRDELIF`).
//!
//! Netlink takes a port out of its other bridge first; these do not, so they meet refusals of the
//! driver that netlink never does.

use hairpin_model::topology::{LinkName, PortFlags};

use super::Lab;
use crate::Error;
use crate::sys::ioctl;

impl Lab {
    /// Makes a link a port by the older call.
    pub async fn add_port(&mut self, bridge: impl Into<LinkName>, port: &str) -> Result<(), Error> {
        let bridge = bridge.into();
        self.brctl(&bridge, port, true)?;
        self.settle().await
    }

    /// Takes a port out by the older call.
    pub async fn remove_port(
        &mut self,
        bridge: impl Into<LinkName>,
        port: &str,
    ) -> Result<(), Error> {
        let bridge = bridge.into();
        self.brctl(&bridge, port, false)?;
        self.settle().await
    }

    fn brctl(&mut self, bridge: &LinkName, port: &str, joins: bool) -> Result<(), Error> {
        let link = LinkName::new(&bridge.netns, port);
        let index = self.index(&link)?;
        let doing = if joins { "add a port" } else { "remove a port" };
        self.by_socket(bridge, doing, |socket| ioctl::port(socket, &bridge.link, index, joins))?;
        self.edit(&link, |link| {
            link.port = joins.then(|| (bridge.link.clone(), PortFlags::default()));
        });
        self.tell(|| {
            format!("{link} {} {} (brctl)", if joins { "into" } else { "out of" }, bridge.link)
        });
        Ok(())
    }
}
