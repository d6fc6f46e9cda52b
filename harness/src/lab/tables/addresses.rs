//! Addresses of a link as its kernel has them: those of IPv6 may be on trial, or have failed it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use crate::attrs::Attrs;
use crate::netlink::plain::{CREATE, EXCL, EventKind, Events, Question, RTM_DELADDR, RTM_NEWADDR};

/// What an address is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The link has no such address.
    None,
    /// It is on trial: others are being asked whether they have it (RFC 4862, 5.4).
    OnTrial,
    /// Another has it: it is not used.
    Duplicate,
    /// It is used.
    Good,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "there is none",
            Self::OnTrial => "on trial",
            Self::Duplicate => "a duplicate",
            Self::Good => "good",
        })
    }
}

/// `IFA_F_DADFAILED` and `IFA_F_TENTATIVE`.
const FAILED: u32 = 0x08;
const TENTATIVE: u32 = 0x40;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IFA_LOCAL: u16 = 2;

/// How long a trial may take: a random second first, then a second of silence.
const TRIAL: Duration = Duration::from_secs(10);

impl Lab {
    /// What an IPv6 address of a link is good for.
    pub fn standing(
        &self,
        link: impl Into<LinkName>,
        address: Ipv6Addr,
    ) -> Result<Standing, Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let read = || std::fs::read_to_string("/proc/thread-self/net/if_inet6");
        let table = self.inside(&link.netns, read)?.map_err(|error| {
            Error::new(
                format!("cannot read its addresses: {error}"),
                &link.netns,
                "is /proc there?",
            )
        })?;
        let name: String = address.octets().iter().map(|byte| format!("{byte:02x}")).collect();
        let flags = table.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let of_link = u32::from_str_radix(words.get(1)?, 16).ok()? == index;
            (of_link && words[0] == name).then(|| u32::from_str_radix(words.get(4)?, 16).ok())?
        });
        Ok(match flags {
            None => Standing::None,
            Some(flags) if flags & FAILED != 0 => Standing::Duplicate,
            Some(flags) if flags & TENTATIVE != 0 => Standing::OnTrial,
            Some(_) => Standing::Good,
        })
    }

    /// Gives a link an IPv6 address of a network of 64 bits that it has to try first, if its kernel
    /// is told to (`accept_dad`): [`Lab::add_address`] gives it one that is good at once. The
    /// topology value does not follow.
    pub async fn try_address(
        &mut self,
        link: impl Into<LinkName>,
        address: Ipv6Addr,
    ) -> Result<(), Error> {
        let link = link.into();
        // `ifaddrmsg`: family, prefix length, flags, scope, link.
        let mut header = vec![AF_INET6, 64, 0, 0];
        header.extend(self.index(&link)?.to_ne_bytes());
        let attrs = Attrs::new().bytes(IFA_LOCAL, &address.octets());
        let asked = Question { kind: RTM_NEWADDR, flags: CREATE | EXCL, header: &header, attrs };
        self.command(&link, &asked, &format!("try {address}"))?;
        self.tell(|| format!("{link} tries {address}"));
        Ok(())
    }

    /// Takes an address away from a link.
    pub async fn delete_address(
        &mut self,
        link: impl Into<LinkName>,
        address: IpAddr,
    ) -> Result<(), Error> {
        let link = link.into();
        let held = self
            .topology
            .link(&link)
            .and_then(|link| link.addresses.iter().copied().find(|net| net.addr() == address));
        let net = held.ok_or_else(|| {
            Error::new(
                format!("it has no address {address}"),
                link.to_string(),
                "name one of the topology",
            )
        })?;
        let (family, own) = match address {
            IpAddr::V4(ip) => (AF_INET, ip.octets().to_vec()),
            IpAddr::V6(ip) => (AF_INET6, ip.octets().to_vec()),
        };
        let mut header = vec![family, net.prefix_len(), 0, 0];
        header.extend(self.index(&link)?.to_ne_bytes());
        let attrs = Attrs::new().bytes(IFA_LOCAL, &own);
        let asked = Question { kind: RTM_DELADDR, flags: 0, header: &header, attrs };
        self.command(&link, &asked, &format!("take {address} away"))?;
        self.edit(&link, |link| link.addresses.retain(|held| *held != net));
        self.tell(|| format!("{link} has lost {address}"));
        Ok(())
    }

    /// Waits until an address is not on trial any more, woken by the kernel's own events, and gives
    /// what became of it.
    pub async fn await_trial(
        &self,
        link: impl Into<LinkName>,
        address: Ipv6Addr,
    ) -> Result<Standing, Error> {
        let link = link.into();
        let mut events = Events::subscribe(&self.node(&link.netns)?.ns, &[EventKind::Ipv6Address])?;
        let until = tokio::time::Instant::now() + TRIAL;
        loop {
            let standing = self.standing(&link, address)?;
            if standing != Standing::OnTrial || tokio::time::Instant::now() > until {
                return Ok(standing);
            }
            // Not every end of a trial is told of, so we also look again.
            tokio::time::timeout(LOOK_AGAIN, events.next()).await.unwrap_or_default();
        }
    }
}

/// How often an address is looked at that nothing is told of.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
