//! How a VLAN's link turns the priorities of tags into those within the kernel, and back.

use std::collections::BTreeMap;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::super::options::driver_data;
use super::u32_at;
use crate::attrs::{Attrs, find, parse};

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a tag's priority to one within the kernel.
    Ingress,
    /// From one within the kernel to a tag's.
    Egress,
}

const IFLA_VLAN_QOS_MAPPING: u16 = 1;

impl Way {
    /// `IFLA_VLAN_EGRESS_QOS`, `IFLA_VLAN_INGRESS_QOS`.
    const fn number(self) -> u16 {
        match self {
            Self::Egress => 3,
            Self::Ingress => 4,
        }
    }
}

impl Lab {
    /// Has a VLAN's link turn one priority into another; what is not named stays as it is.
    pub async fn set_priority(
        &mut self,
        link: impl Into<LinkName>,
        way: Way,
        from: u32,
        to: u32,
    ) -> Result<(), Error> {
        let pair = [from.to_ne_bytes(), to.to_ne_bytes()].concat();
        let list = Attrs::new().bytes(IFLA_VLAN_QOS_MAPPING, &pair);
        let data = Attrs::new().nest(way.number(), &list);
        let asked_for = format!("turn priority {from} into {to}");
        let done = format!("turns priority {from} into {to} ({way:?})");
        self.change_driver(&link.into(), &data, (&asked_for, &done))
    }

    /// Which priorities a VLAN's link turns into which.
    pub async fn priorities(
        &self,
        link: impl Into<LinkName>,
        way: Way,
    ) -> Result<BTreeMap<u32, u32>, Error> {
        let attrs = self.link_attributes(&link.into())?;
        let list = driver_data(&attrs).and_then(|data| find(data, way.number()));
        let list = list.unwrap_or_default();
        Ok(parse(list).map(|(_, pair)| (u32_at(pair, 0), u32_at(pair, 4))).collect())
    }
}
