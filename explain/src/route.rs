//! Where a packet goes: the routing tables of one namespace, asked as the kernel asks them.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::snapshot::{Link, Route, Space};

/// The tables that every lookup goes through, in order. Other policies make a namespace strange.
const fn tables(ip: IpAddr) -> &'static [u32] {
    if ip.is_ipv4() { &[255, 254, 253] } else { &[255, 254] }
}

/// What a lookup finds.
pub(crate) enum Found<'s> {
    /// No route.
    None,
    /// The route.
    One(&'s Route),
    /// IPv6 routes that are as good as each other.
    Several(&'s Route),
}

impl Space {
    /// The route for an address.
    pub(crate) fn route(&self, to: IpAddr) -> Option<&Route> {
        match self.routes_to(to, None) {
            Found::None => None,
            Found::One(route) | Found::Several(route) => Some(route),
        }
    }

    /// The route for an address, of a packet that has to do with a link: link-local addresses are
    /// looked for there only, and of IPv6 routes that are as good as each other its is taken.
    pub(crate) fn routes_to(&self, to: IpAddr, near: Option<u32>) -> Found<'_> {
        let strict = is_link_local(to) && near.is_some();
        for table in tables(to) {
            let fits = |route: &&Route| {
                route.table == *table && route.to.contains(&to) && (!strict || route.link == near)
            };
            let rank = |route: &&Route| (std::cmp::Reverse(route.to.prefix_len()), route.metric);
            let Some(best) = self.routes.iter().filter(fits).min_by_key(rank) else { continue };
            // The first of IPv4's counts; IPv6 takes turns.
            let same = |route: &&Route| rank(route) == rank(&best) && to.is_ipv6();
            let mut equal = self.routes.iter().filter(fits).filter(same);
            if equal.clone().count() < 2 {
                return Found::One(best);
            }
            return equal
                .find(|route| route.link == near && near.is_some())
                .map_or(Found::Several(best), Found::One);
        }
        Found::None
    }

    /// Whether the address is the namespace's own.
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        self.route(ip).is_some_and(|route| route.kind == "local")
    }

    /// The address that a packet of the namespace's own gets.
    pub(crate) fn source(&self, route: &Route, to: IpAddr) -> Option<IpAddr> {
        let link = self.links.iter().find(|link| Some(link.index) == route.link)?;
        if to.is_ipv6() {
            return route.source.or_else(|| self.best_source(link, to));
        }
        let near = route.via.unwrap_or(to);
        let fits = link.of_family(to).find(|net| net.contains(&near));
        route.source.or_else(|| fits.or(link.of_family(to).next()).map(IpNet::addr))
    }

    /// `ipv6_dev_get_saddr`: the scope first, then the link, then what it shares with the address.
    fn best_source(&self, out: &Link, to: IpAddr) -> Option<IpAddr> {
        let IpAddr::V6(to) = to else { return None };
        let on_out_only = is_link_local(to.into());
        let links = self.links.iter().filter(|link| !on_out_only || link.index == out.index);
        let usable = links.flat_map(|link| {
            let ready = |net: &&IpNet| !link.unready.contains_key(&net.addr());
            link.of_family(to.into()).filter(ready).map(move |net| (link, net))
        });
        let rank = |(link, net): &(&Link, &IpNet)| {
            let IpAddr::V6(ip) = net.addr() else { return (0, 0, 0, 0, 0) };
            let (scope, wanted) = (scope(ip), scope(to));
            // A wide enough scope, and of those the smallest; of the others the widest.
            let fit = if scope >= wanted { 100 - scope } else { scope - 100 };
            let alike = (ip.to_bits() ^ to.to_bits()).leading_zeros();
            (
                i32::from(ip == to),
                fit,
                i32::from(link.index == out.index),
                i32::from(label(ip) == label(to)),
                alike.min(u32::from(net.prefix_len())).cast_signed(),
            )
        };
        let mut best: Option<(&Link, &IpNet)> = None;
        for one in usable {
            // The first of those that are alike.
            if best.is_none_or(|held| rank(&one) > rank(&held)) {
                best = Some(one);
            }
        }
        best.map(|(_, net)| net.addr())
    }

    /// A sysctl's number, 0 where there is none.
    pub(crate) fn number(&self, name: &str) -> u32 {
        self.sysctls.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// Between which ports a socket's own is, if nobody chose it.
    pub(crate) fn senders(&self) -> (u16, u16) {
        let words = self.sysctls.get("ipv4/ip_local_port_range").map_or("", String::as_str);
        let mut numbers = words.split_whitespace().filter_map(|word| word.parse().ok());
        numbers.next().zip(numbers.next()).unwrap_or((1, u16::MAX))
    }

    /// The greater of a link's setting and that of all.
    pub(crate) fn of_link(&self, link: &str, name: &str) -> u32 {
        let all = self.number(&format!("ipv4/conf/all/{name}"));
        all.max(self.number(&format!("ipv4/conf/{link}/{name}")))
    }

    /// The same of IPv6.
    pub(crate) fn of_link_in_v6(&self, link: &str, name: &str) -> u32 {
        let all = self.number(&format!("ipv6/conf/all/{name}"));
        all.max(self.number(&format!("ipv6/conf/{link}/{name}")))
    }

    /// What is not understood and may decide over packets of a family.
    pub(crate) fn strange_for(&self, ip: IpAddr) -> impl Iterator<Item = &String> {
        let own = if ip.is_ipv4() { &self.strange_in_v4 } else { &self.strange_in_v6 };
        self.strange.iter().chain(own)
    }
}

impl Link {
    /// Its addresses of the family that another has.
    pub(crate) fn of_family(&self, like: IpAddr) -> impl Iterator<Item = &IpNet> + Clone {
        self.addresses.iter().filter(move |net| net.addr().is_ipv4() == like.is_ipv4())
    }
}

/// Whether it is an address of one link only (`fe80::/10`).
pub(crate) const fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// How far an address is good: RFC 4007, as numbers that grow.
const fn scope(ip: Ipv6Addr) -> i32 {
    match ip.segments()[0] {
        _ if ip.is_loopback() => 2,
        0xfe80..=0xfebf => 2,
        0xfec0..=0xfeff => 5,
        _ => 14,
    }
}

/// The labels of RFC 6724, as the kernel begins with them.
const fn label(ip: Ipv6Addr) -> u32 {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => 0,
        [0, 0, 0, 0, 0, 0xffff, ..] => 4,
        [0, 0, 0, 0, 0, 0, ..] => 3,
        [0x2002, ..] => 2,
        [0x2001, 0, ..] => 6,
        [0x2001, 0x10..=0x1f, ..] => 7,
        [first, ..] if first & 0xfe00 == 0xfc00 => 5,
        _ => 1,
    }
}

/// The network of one host.
pub(crate) fn alone(ip: IpAddr) -> IpNet {
    ip.into()
}
