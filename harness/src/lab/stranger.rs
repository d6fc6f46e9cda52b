//! What somebody may do who was given one link and rules nothing else, as a container's administrator.

use std::io;
use std::os::fd::AsRawFd;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::Lab;
use super::options::{IFLA_LINKINFO, INFO_DATA, INFO_KIND, LinkOption, link_header, write};
use crate::attrs::Attrs;
use crate::netlink::plain::{self, ACK, CREATE, EXCL, Question, RTM_NEWLINK};
use crate::sys::stranger;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_NET_NS_FD: u16 = 28;
const IFF_UP: u32 = 1;

/// What the stranger would like.
#[derive(Clone, Copy, Debug)]
pub enum Plea {
    /// To bring the link up.
    Up,
    /// To change what the link's driver has.
    Set(LinkOption, u64),
    /// To make a link of that driver on the link.
    Child(&'static str),
}

impl Lab {
    /// Gives a link to the network namespace of somebody who rules that one alone, and has them ask for
    /// these things, one after the other: whether each was done, or the error's number. The link is gone
    /// with them.
    pub async fn ask_as_stranger(
        &mut self,
        link: impl Into<LinkName>,
        pleas: &[Plea],
    ) -> Result<Vec<Result<(), i32>>, Error> {
        let link = link.into();
        let (index, ns) = (self.index(&link)?, &self.node(&link.netns)?.ns);
        let driver = self.topology.link(&link).map_or("", |link| link.kind.driver());
        let questions: Vec<_> = pleas.iter().map(|plea| question(*plea, driver, index)).collect();
        let answers = stranger::ask(
            |netns| {
                let attrs = Attrs::new().bytes(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
                let header = link_header(0, index, 0, 0);
                let asked = Question { kind: RTM_NEWLINK, flags: ACK, header: &header, attrs };
                plain::ask(ns, &asked).map_err(|refused| io::Error::other(refused.words))?;
                Ok(())
            },
            &questions,
        );
        let answers = answers.map_err(|error| {
            Error::new(
                format!("cannot have a stranger ask: {error}"),
                link.to_string(),
                "this needs user namespaces within the one that we are in",
            )
        })?;
        self.tell(|| format!("{link} was given to a stranger, and is gone with them"));
        Ok(answers
            .into_iter()
            .map(|number| if number == 0 { Ok(()) } else { Err(number) })
            .collect())
    }
}

/// What is asked of the kernel for a plea about a link of that driver.
fn question(plea: Plea, driver: &str, index: u32) -> Vec<u8> {
    let info = |driver: &str, data| {
        let info = Attrs::new().text(INFO_KIND, driver).nest(INFO_DATA, &data);
        Attrs::new().nest(IFLA_LINKINFO, &info)
    };
    let (flags, header, attrs) = match plea {
        Plea::Up => (ACK, link_header(0, index, IFF_UP, IFF_UP), Attrs::new()),
        Plea::Set(option, value) => {
            let data = write(Attrs::new(), (option, value));
            (ACK, link_header(0, index, 0, 0), info(driver, data))
        }
        Plea::Child(driver) => {
            let attrs = info(driver, Attrs::new()).text(IFLA_IFNAME, "child");
            let attrs = attrs.bytes(IFLA_LINK, &index.to_ne_bytes());
            (ACK | CREATE | EXCL, link_header(0, 0, 0, 0), attrs)
        }
    };
    Question { kind: RTM_NEWLINK, flags, header: &header, attrs }.bytes()
}
