//! The senders that a macvlan child in source mode hears, told by the kernel and asked for as a list.

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::Lab;
use super::options::{LinkOption, driver_data, write};
use crate::attrs::{Attrs, find, parse};

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
        let items = list.iter().copied().fold(Attrs::new(), write);
        let values = beside.iter().copied().fold(Attrs::new(), write).nest(LIST, &items);
        let many = list.len();
        let words = (&*format!("list {many} senders"), &*format!("lists {many} senders"));
        self.change_driver(&link.into(), &values, words)
    }
}
