//! Where a packet goes: the routing tables of one namespace, asked as the kernel asks them.

use std::net::Ipv4Addr;

use crate::snapshot::{Route, Space};

/// The tables that every lookup goes through, in order. Other policies make a namespace strange.
const TABLES: [u32; 3] = [255, 254, 253];

impl Space {
    /// The route for an address.
    pub(crate) fn route(&self, to: Ipv4Addr) -> Option<&Route> {
        TABLES.iter().find_map(|table| {
            let fits = self.routes.iter().filter(|r| r.table == *table && r.to.contains(&to));
            fits.min_by_key(|route| (std::cmp::Reverse(route.to.prefix_len()), route.metric))
        })
    }

    /// Whether the address is the namespace's own.
    pub(crate) fn is_local(&self, ip: Ipv4Addr) -> bool {
        self.route(ip).is_some_and(|route| route.kind == "local")
    }

    /// The address that a packet of the namespace's own gets.
    pub(crate) fn source(&self, route: &Route, to: Ipv4Addr) -> Option<Ipv4Addr> {
        let link = self.links.iter().find(|link| Some(link.index) == route.link)?;
        let near = route.via.unwrap_or(to);
        let fits = link.addresses.iter().find(|net| net.contains(&near));
        route.source.or_else(|| fits.or(link.addresses.first()).map(|net| net.addr()))
    }

    /// A sysctl's number, 0 where there is none.
    pub(crate) fn number(&self, name: &str) -> u32 {
        self.sysctls.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// The greater of a link's setting and that of all.
    pub(crate) fn of_link(&self, link: &str, name: &str) -> u32 {
        let all = self.number(&format!("ipv4/conf/all/{name}"));
        all.max(self.number(&format!("ipv4/conf/{link}/{name}")))
    }
}
