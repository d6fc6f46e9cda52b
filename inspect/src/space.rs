//! Reads the namespace that the thread is in.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use hairpin_explain::snapshot::{Link, Space};
use hairpin_model::Error;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourMessage};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::tc::TcMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::decode;
use crate::list::{Kernel, failed};
use crate::listen;
use crate::place::Place;
use crate::ruleset;

/// The sysctls of a namespace that decide over a ping.
const SYSCTLS: [&str; 6] = [
    "ipv4/ip_local_port_range",
    "ipv4/icmp_echo_ignore_all",
    "ipv6/icmp/echo_ignore_all",
    "bridge/bridge-nf-call-iptables",
    "bridge/bridge-nf-call-ip6tables",
    "bridge/bridge-nf-call-arptables",
];
/// Those of each link.
const OF_LINKS: [&str; 9] = [
    "forwarding",
    "rp_filter",
    "accept_local",
    "arp_ignore",
    "arp_filter",
    "proxy_arp",
    "arp_announce",
    "proxy_arp_pvlan",
    "ignore_routes_with_linkdown",
];

/// Those of each link that IPv6 has.
const OF_LINKS_IN_V6: [&str; 7] = [
    "mtu",
    "forwarding",
    "force_forwarding",
    "disable_ipv6",
    "proxy_ndp",
    "use_oif_addrs_only",
    "ignore_routes_with_linkdown",
];

/// The families that the kernel has.
fn families() -> Vec<AddressFamily> {
    let six = Path::new("/proc/sys/net/ipv6").exists().then_some(AddressFamily::Inet6);
    [AddressFamily::Inet].into_iter().chain(six).collect()
}

/// Reads everything.
pub(crate) fn read(place: &Place, all: &[Place]) -> Result<Space, Error> {
    let kernel = Kernel::route()?;
    let mut space = Space { name: place.name.clone(), inode: place.inode(), ..Space::default() };
    space.links = links(&kernel)?;
    routes(&kernel, &mut space)?;
    neighbours(&kernel, &mut space)?;
    for family in families() {
        let odd = rules(&kernel, family).unwrap_or_else(|error| vec![error.what]);
        match family {
            AddressFamily::Inet => space.strange_in_v4.extend(odd),
            _ => space.strange_in_v6.extend(odd),
        }
    }
    queues(&kernel, &mut space);
    space.peers = peers(&kernel, &space, all)?;
    space.sysctls = sysctls(&space.links);
    match ruleset::read() {
        Ok(chains) => space.chains = chains,
        Err(error) => space.strange.push(error.what),
    }
    space.listeners = listen::read();
    others(&mut space);
    Ok(space)
}

fn links(kernel: &Kernel) -> Result<Vec<Link>, Error> {
    let found = kernel.list("the links", RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let mut links: Vec<Link> = found.iter().filter_map(decode::link).collect();
    for family in families() {
        let mut request = AddressMessage::default();
        request.header.family = family;
        for found in kernel.list("the addresses", RouteNetlinkMessage::GetAddress(request))? {
            let Some(address) = decode::address(&found) else { continue };
            let Some(link) = links.iter_mut().find(|link| link.index == address.link) else {
                continue;
            };
            let ip = address.net.addr();
            link.addresses.push(address.net);
            link.unready.extend(address.unready.map(|what| (ip, what.to_owned())));
            link.unloved.extend(address.unloved.map(|what| (ip, what.to_owned())));
        }
    }
    Ok(links)
}

fn routes(kernel: &Kernel, space: &mut Space) -> Result<(), Error> {
    for family in families() {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let found = kernel.list("the routes", RouteNetlinkMessage::GetRoute(request))?;
        space.routes.extend(found.iter().filter_map(decode::route));
    }
    Ok(())
}

fn neighbours(kernel: &Kernel, space: &mut Space) -> Result<(), Error> {
    let mut request = NeighbourMessage::default();
    for family in families() {
        request.header.family = family;
        let found =
            kernel.list("the neighbours", RouteNetlinkMessage::GetNeighbour(request.clone()))?;
        space.neighbours.extend(found.iter().filter_map(decode::neighbour));
        let mut proxies = request.clone();
        proxies.header.flags = NeighbourFlags::Proxy;
        let found =
            kernel.list("the proxied neighbours", RouteNetlinkMessage::GetNeighbour(proxies))?;
        match family {
            AddressFamily::Inet => space.has_proxies = !found.is_empty(),
            _ => space.has_proxies_in_v6 = !found.is_empty(),
        }
    }
    request.header.family = AddressFamily::Bridge;
    let found =
        kernel.list("the entries of bridges", RouteNetlinkMessage::GetNeighbour(request))?;
    space.fdb = found.iter().filter_map(decode::entry).collect();
    Ok(())
}

/// Policies beyond those that every namespace has.
fn rules(kernel: &Kernel, family: AddressFamily) -> Result<Vec<String>, Error> {
    let mut request = RuleMessage::default();
    request.header.family = family;
    let found = kernel.list("the routing policies", RouteNetlinkMessage::GetRule(request))?;
    let mut usual: Vec<u32> = Vec::new();
    let mut odd = Vec::new();
    for rule in &found {
        match decode::usual_rule(rule) {
            Some(table) => usual.push(table),
            None => odd.push("a routing policy of its own (`ip rule`)".into()),
        }
    }
    let expected: &[u32] =
        if family == AddressFamily::Inet { &[255, 254, 253] } else { &[255, 254] };
    if usual != expected {
        odd.push("routing tables in an order of their own (`ip rule`)".into());
    }
    Ok(odd)
}

/// Queueing disciplines that do more than wait.
fn queues(kernel: &Kernel, space: &mut Space) {
    let request = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
    let found = kernel.list("the queues", request).unwrap_or_else(|error| {
        space.strange.push(error.what);
        Vec::new()
    });
    for (index, kind) in found.iter().filter_map(decode::queue) {
        if let Some(link) = space.links.iter_mut().find(|link| link.index == index) {
            link.strange.push(format!("a queue of kind {kind}, which may drop or redirect"));
        }
    }
    for message in found.iter().filter(|message| decode::may_filter(message)) {
        filters(kernel, space, message);
    }
}

/// Filters on a queue that is itself plain: they may drop as well.
fn filters(kernel: &Kernel, space: &mut Space, queue: &RouteNetlinkMessage) {
    let RouteNetlinkMessage::NewQueueDiscipline(queue) = queue else { return };
    let mut request = TcMessage::default();
    request.header.index = queue.header.index;
    request.header.parent = queue.header.handle;
    let found = kernel.list("the filters", RouteNetlinkMessage::GetTrafficFilter(request));
    let index = u32::try_from(queue.header.index).ok();
    let Some(link) = space.links.iter_mut().find(|link| Some(link.index) == index) else { return };
    match found {
        Ok(filters) if filters.is_empty() => {}
        Ok(_) => link.strange.push("filters on its queue (`tc filter`)".into()),
        Err(error) => link.strange.push(error.what),
    }
}

/// Which of the namespaces this one's numbers mean.
fn peers(kernel: &Kernel, space: &Space, all: &[Place]) -> Result<BTreeMap<i32, usize>, Error> {
    let mut peers = BTreeMap::new();
    if space.links.iter().all(|link| link.below.is_none_or(|(number, _)| number.is_none())) {
        return Ok(peers);
    }
    for (at, place) in all.iter().enumerate() {
        let mut request = NsidMessage::default();
        let fd = u32::try_from(place.file.as_raw_fd())
            .map_err(|error| failed("a namespace", &error.to_string()))?;
        request.attributes.push(NsidAttribute::Fd(fd));
        if let Some(number) = kernel.number(request)? {
            peers.insert(number, at);
        }
    }
    Ok(peers)
}

/// `None` where the kernel has no such sysctl.
fn sysctl(name: &str) -> Option<(String, String)> {
    let value = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
    Some((name.to_owned(), value.trim().to_owned()))
}

fn sysctls(links: &[Link]) -> BTreeMap<String, String> {
    let names = links.iter().map(|link| link.name.as_str()).chain(["all"]);
    let each = names.flat_map(|link| {
        let four = OF_LINKS.map(|name| format!("ipv4/conf/{link}/{name}"));
        let six = OF_LINKS_IN_V6.map(|name| format!("ipv6/conf/{link}/{name}"));
        four.into_iter().chain(six)
    });
    let own = SYSCTLS.map(str::to_owned);
    each.chain(own).filter_map(|name| sysctl(&name)).collect()
}

/// What decides over packets and is not asked for here.
fn others(space: &mut Space) {
    let tables = |name: &str| {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{name}_tables_names"));
        names.is_ok_and(|names| !names.trim().is_empty())
    };
    if tables("ip") {
        space.strange_in_v4.push("rules of the old iptables (`iptables-legacy-save`)".into());
    }
    if tables("ip6") {
        space.strange_in_v6.push("rules of the old ip6tables (`ip6tables-legacy-save`)".into());
    }
    if tables("arp") {
        let what = "rules of the old arptables (`arptables-legacy-save`)";
        space.strange.push(what.into());
        space.strange_on_bridges.push(what.into());
    }
    // Which namespaces have such rules no file tells; without one of these modules none has any.
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    if modules.lines().any(|line| line.starts_with("ebtable_")) {
        space.strange_on_bridges.push("perhaps rules of the old ebtables".into());
    }
    let number = |name: &str| sysctl(name).and_then(|(_, value)| value.parse::<u64>().ok());
    let tracked = number("netfilter/nf_conntrack_count").zip(number("netfilter/nf_conntrack_max"));
    if tracked.is_some_and(|(count, most)| count >= most) {
        space.strange.push("a full table of connections".into());
    }
    if Kernel::xfrm().is_some_and(|kernel| kernel.has_policies()) {
        space.strange.push("IPsec policies (`ip xfrm policy`)".into());
    }
}
