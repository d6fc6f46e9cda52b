//! What is asked of links by calls on a socket (`ioctl`), as tools older than netlink do.
//!
//! Which calls there are is told by `brctl`, `ethtool`, `older` and `vconfig`.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::Lab;
use crate::netlink::Refused;
use crate::sys::ioctl;

impl Lab {
    /// Asks something by a socket of a link's namespace.
    pub(super) fn by_socket<T>(
        &self,
        link: &LinkName,
        doing: &str,
        ask: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Result<T, Error> {
        let asked = || ask(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.as_fd());
        self.inside(&link.netns, asked)?.map_err(|error| Refused::from(&error).error(doing, link))
    }

    /// Gives a link another name. The topology value does not follow: the lab keeps to the old one.
    pub fn rename(&mut self, link: impl Into<LinkName>, name: &str) -> Result<(), Error> {
        let link = link.into();
        let doing = format!("name it {name}");
        self.by_socket(&link, &doing, |socket| ioctl::rename(socket, &link.link, name))?;
        self.tell(|| format!("{link} is named {name}"));
        Ok(())
    }
}
