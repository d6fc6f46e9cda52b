//! Links that are asked for by numbers, read as they were born, and taken away at once: for births
//! that a topology has no words for, or that the kernel is to refuse.

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::Lab;
use super::options::{
    IFLA_LINKINFO, INFO_DATA, INFO_KIND, LINK_HEADER, LinkOption, Place, link_header, read, write,
};
use crate::attrs::{Attrs, find};
use crate::netlink::Refused;
use crate::netlink::plain::{
    self, ACK, CREATE, EXCL, Question, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK,
};
use crate::ns::Ns;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;

/// A name that no topology of the suite uses.
const NAME: &str = "newborn";

/// What the kernel said of a link when it was made. The link is gone.
#[derive(Clone, Debug)]
pub struct Newborn {
    attrs: Vec<u8>,
}

impl Newborn {
    /// The driver that it is told to be of.
    pub fn driver(&self) -> Option<String> {
        let kind = find(find(&self.attrs, IFLA_LINKINFO)?, INFO_KIND)?;
        Some(String::from_utf8_lossy(kind).trim_end_matches('\0').to_owned())
    }

    /// An option as the link was born with it; `None` if this kernel does not tell it.
    pub fn option(&self, option: LinkOption) -> Option<u64> {
        read(&self.attrs, option)
    }
}

impl Lab {
    /// What the kernel says of a link that was not made by the lab, by its name.
    pub fn not_ours(&self, link: impl Into<LinkName>) -> Result<Newborn, Error> {
        let link = link.into();
        let seen = by_name(&self.node(&link.netns)?.ns, RTM_GETLINK, &link.link);
        seen.map(|attrs| Newborn { attrs }).map_err(|refused| refused.error("show it", &link))
    }

    /// Has the kernel make a link of that driver in a namespace, on a link of the same one if there
    /// is one, with these options, and with nothing for the driver if none of them is the driver's;
    /// reads it, and deletes it. The error is the kernel's refusal.
    pub async fn newborn(
        &self,
        driver: &str,
        netns: &str,
        below: Option<&str>,
        options: &[(LinkOption, u64)],
    ) -> Result<Newborn, Error> {
        let place = LinkName::new(netns, NAME);
        let of = |place| options.iter().copied().filter(move |(o, _)| o.place() == place);
        let data = of(Place::Driver).fold(Attrs::new(), write);
        let mut info = Attrs::new().text(INFO_KIND, driver);
        if of(Place::Driver).next().is_some() {
            info = info.nest(INFO_DATA, &data);
        }
        let mut attrs = of(Place::Link).fold(Attrs::new().text(IFLA_IFNAME, NAME), write);
        if let Some(below) = below {
            let index = self.index(&LinkName::new(netns, below))?;
            attrs = attrs.bytes(IFLA_LINK, &index.to_ne_bytes());
        }
        let attrs = attrs.nest(IFLA_LINKINFO, &info);
        let header = link_header(0, 0, 0, 0);
        let asked = Question { kind: RTM_NEWLINK, flags: CREATE | EXCL, header: &header, attrs };
        self.command(&place, &asked, &format!("make a link of `{driver}`"))?;
        let ns = &self.node(netns)?.ns;
        let seen = by_name(ns, RTM_GETLINK, NAME);
        let gone = by_name(ns, RTM_DELLINK, NAME);
        gone.map_err(|refused| refused.error("delete a link again", &place))?;
        let attrs = seen.map_err(|refused| refused.error("show a link", &place))?;
        self.tell(|| format!("a link of {driver} was made in {netns}, and deleted"));
        Ok(Newborn { attrs })
    }
}

/// Asks something of the link, which has an index of the kernel's own choice.
fn by_name(ns: &Ns, kind: u16, name: &str) -> Result<Vec<u8>, Refused> {
    let header = link_header(0, 0, 0, 0);
    let attrs = Attrs::new().text(IFLA_IFNAME, name);
    let answers = plain::ask(ns, &Question { kind, flags: ACK, header: &header, attrs })?;
    let body = answers.first().and_then(|(_, body)| body.get(LINK_HEADER..));
    Ok(body.unwrap_or_default().to_vec())
}
