//! The senders that a macvlan child in source mode hears, told by the kernel and asked for as a list.

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::Lab;
use super::options::{
    IFLA_LINKINFO, INFO_DATA, INFO_KIND, LinkOption, driver_data, link_header, write,
};
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{Question, RTM_NEWLINK};

/// Addresses within one attribute (`IFLA_MACVLAN_MACADDR_DATA`).
const LIST: u16 = 5;

impl Lab {
    /// The senders that a child hears, in order, as often as each is told.
    pub async fn senders(&self, link: impl Into<LinkName>) -> Result<Vec<Mac>, Error> {
        let attrs = self.link_attributes(&link.into())?;
        let list = driver_data(&attrs).and_then(|data| find(data, LIST)).unwrap_or_default();
        let told = parse(list).filter_map(|(_, mac)| mac.try_into().ok());
        let mut senders: Vec<Mac> = told.map(Mac).collect();
        senders.sort();
        Ok(senders)
    }

    /// Asks for a list of senders, item by item as it is given, good or bad, with other options of the
    /// driver's beside it. The topology value does not follow.
    pub async fn list_senders(
        &mut self,
        link: impl Into<LinkName>,
        beside: &[(LinkOption, u64)],
        list: &[(LinkOption, u64)],
    ) -> Result<(), Error> {
        let link = link.into();
        let driver = self.topology.link(&link).map_or("", |link| link.kind.driver());
        let items = list.iter().copied().fold(Attrs::new(), write);
        let values = beside.iter().copied().fold(Attrs::new(), write).nest(LIST, &items);
        let info = Attrs::new().text(INFO_KIND, driver).nest(INFO_DATA, &values);
        let attrs = Attrs::new().nest(IFLA_LINKINFO, &info);
        let header = link_header(0, self.index(&link)?, 0, 0);
        let asked = Question { kind: RTM_NEWLINK, flags: 0, header: &header, attrs };
        self.command(&link, &asked, &format!("list {} senders", list.len()))?;
        self.tell(|| format!("{link} lists {} senders", list.len()));
        Ok(())
    }
}
