//! VLANs by the older calls, as `vconfig` makes them (`SIOCSIFVLAN`, `linux/if_vlan.h`), and what
//! `/proc/net/vlan` tells of them.

use std::fs;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::Lab;
use super::ethtool::text;
use super::tables::u32_at;
use crate::sys::ioctl;

/// What such a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vconfig {
    /// Makes a VLAN of a link, with the number as its id.
    Add = 0,
    /// Takes a VLAN's link away.
    Delete = 1,
    /// Gives what comes with that priority in its tag the number as its own.
    Ingress = 2,
    /// Gives what has the number as its priority that one in its tag.
    Egress = 3,
    /// Asks which priority what comes with that one in its tag has. No kernel has ever answered.
    AskIngress = 4,
    /// Asks which priority what has the number as its own gets in its tag. Nor this.
    AskEgress = 5,
    /// Says how those that are made from now on are named.
    NameType = 6,
    /// Sets the flag that the number is, or takes it away if the other is 0.
    Flag = 7,
}

const PARENT: u32 = 8;
const ID: u32 = 9;

/// Where `struct vlan_ioctl_args` has its number or second name, and its priority.
const NUMBER: usize = 28;
const PRIORITY: usize = 52;
/// The room that it has for a name.
const NAME: usize = 24;

impl Lab {
    /// Does that to a link. The topology value does not follow.
    pub fn vconfig(
        &mut self,
        link: impl Into<LinkName>,
        command: Vconfig,
        number: u32,
        priority: u16,
    ) -> Result<(), Error> {
        let link = link.into();
        let doing = format!("{command:?} {number} {priority}");
        self.ask_vlan(&link, command as u32, (number, priority), &doing)?;
        self.tell(|| format!("{link} {doing}"));
        Ok(())
    }

    /// The name of the link that a VLAN's stands on.
    pub fn vconfig_parent(&self, link: impl Into<LinkName>) -> Result<String, Error> {
        let told = self.ask_vlan(&link.into(), PARENT, (0, 0), "show the link below")?;
        Ok(text(&told[NUMBER..NUMBER + NAME]))
    }

    /// The id of a VLAN's link.
    pub fn vconfig_id(&self, link: impl Into<LinkName>) -> Result<u32, Error> {
        let told = self.ask_vlan(&link.into(), ID, (0, 0), "show the id")?;
        Ok(u32_at(&told, NUMBER))
    }

    /// The lines of a file of `/proc/net/vlan`: `config`, or that of a VLAN's link.
    pub fn vlan_file(&self, netns: &str, file: &str) -> Result<Vec<String>, Error> {
        let path = format!("/proc/thread-self/net/vlan/{file}");
        let text = self.inside(netns, || fs::read_to_string(&path))?;
        let text = text.map_err(|error| Error {
            errno: error.raw_os_error().unwrap_or_default(),
            ..Error::new(
                format!("cannot read {path}: {error}"),
                format!("namespace `{netns}`"),
                "does the kernel have VLANs, and a link of that name?",
            )
        })?;
        Ok(text.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    fn ask_vlan(
        &self,
        link: &LinkName,
        command: u32,
        (number, priority): (u32, u16),
        doing: &str,
    ) -> Result<[u8; ioctl::VLAN_ARGUMENTS], Error> {
        let mut arguments = [0; ioctl::VLAN_ARGUMENTS];
        arguments[..4].copy_from_slice(&command.to_ne_bytes());
        for (to, from) in arguments[4..4 + NAME - 1].iter_mut().zip(link.link.bytes()) {
            *to = from;
        }
        arguments[NUMBER..NUMBER + 4].copy_from_slice(&number.to_ne_bytes());
        arguments[PRIORITY..PRIORITY + 2].copy_from_slice(&priority.to_ne_bytes());
        self.by_socket(link, doing, |socket| ioctl::vlan(socket, &mut arguments))?;
        Ok(arguments)
    }
}
