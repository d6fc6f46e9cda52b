//! Waiting until a lab's links are what they will be.
//!
//! A veth opened before its peer keeps a queue that drops everything until the kernel's link watch
//! has run, so a lab is not ready when the last request is acknowledged. We wait for the state that
//! the topology implies, woken by the kernel's own link events; time only bounds the wait, and its
//! end says what was waited for.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hairpin_model::topology::{IpvlanMode, Kind, Link, LinkName};
use hairpin_model::{Error, Topology};
use ipnet::IpNet;

use super::{Lab, build, timers};
use crate::netlink::plain::{EventKind, Events};
use crate::observe::solicited_mac;

/// How long a link may take to come up. A loaded machine needs milliseconds, a slow guest tens.
const DEADLINE: Duration = Duration::from_secs(10);

/// What is told when a link comes or goes, or gets an address.
const LINK_EVENTS: &[EventKind] = &[EventKind::Link, EventKind::Ipv6Address];

/// How often a state without an event of its own is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Lab {
    /// Waits until every link runs that can, and none that cannot.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        for link in &self.topology.links {
            if is_in_doubt(&self.topology, link) {
                continue;
            }
            let should = runs(&self.topology, link);
            if self.link(&link.name).await?.running != should {
                self.await_running(&link.name, should).await?;
            }
        }
        for link in &self.topology.links {
            if runs(&self.topology, link) && !self.listens(link)? {
                self.await_listening(link).await?;
            }
        }
        self.apply_rx_modes().await?;
        if timers::are_of_interest(&self.topology) {
            timers::run_what_is_due().map_err(|error| self.without_timers(&error))?;
        }
        // The flag is set an instant before the queue is switched on, both under the lock that
        // this request waits for.
        let Some(node) = self.nodes.first() else { return Ok(()) };
        let barrier = node.netlink.set_up(build::LOOPBACK, true).await;
        barrier.map_err(|refused| refused.error("bring the loopback up", &node.name))
    }

    /// Has the kernel apply what links have been told to take. Since 7.2 at the latest, a group that
    /// is joined by a socket, or for an IPv6 address, reaches the filter of a link that stands on
    /// another, and the other's list, from a work queue; any request to change a link runs what is
    /// waiting for it first (`netif_rx_mode_sync`, net/core/dev_addr_lists.c). Ours changes nothing.
    pub(crate) async fn apply_rx_modes(&self) -> Result<(), Error> {
        // A link hands on to its parent, which stands before it.
        for link in self.topology.links.iter().rev().filter(|link| link.kind.parent().is_some()) {
            let name = &link.name;
            match self.node(&name.netns)?.netlink.touch(self.index(name)?).await {
                Ok(()) => {}
                // A link that is gone has nothing left to hand on.
                Err(refused) if refused.errno == libc::ENODEV => {}
                Err(refused) => return Err(refused.error("have its filters applied", name)),
            }
        }
        Ok(())
    }

    async fn await_running(&self, link: &LinkName, should: bool) -> Result<(), Error> {
        let is = async || Ok(self.link(link).await?.running == should);
        match self.comes_to_hold(&link.netns, LINK_EVENTS, DEADLINE, is).await? {
            true => Ok(()),
            false => Err(self.overdue(link, should).await),
        }
    }

    /// Waits until a link is up or down. Since 7.3 at the latest a VLAN's link follows the one below
    /// from a work queue, when the request has long been acknowledged.
    pub(crate) async fn await_up(&self, link: &LinkName, up: bool) -> Result<(), Error> {
        let is = async || Ok(self.link(link).await?.up == up);
        let came = self.comes_to_hold(&link.netns, &[EventKind::Link], DEADLINE, is).await?;
        came.then_some(()).ok_or_else(|| {
            let words = if up { "up" } else { "down" };
            Error::new(
                format!("`{link}` was not {words} within {} s", DEADLINE.as_secs()),
                format!("lab of topology `{}`", self.topology.name),
                "does it follow the link that it stands on?",
            )
        })
    }

    /// Whether the link takes the groups at which its IPv6 addresses are asked for. The kernel joins
    /// them in a work queue, some time after it has acknowledged the address; until then nobody
    /// can resolve it. A router also needs its link-local address, to ask from.
    fn listens(&self, link: &Link) -> Result<bool, Error> {
        let groups: Vec<String> = link.addresses.iter().filter_map(solicited_group).collect();
        // In l3 modes nobody is asked.
        let silent = matches!(&link.kind, Kind::Ipvlan { mode, .. } if *mode != IpvlanMode::L2);
        if groups.is_empty() || silent {
            return Ok(true);
        }
        let joined = self.inside(&link.name.netns, || (table("dev_mcast"), table("if_inet6")))?;
        let (joined, addresses) = (joined.0?, joined.1?);
        let index = self.topology.ifindex(&link.name);
        let has_joined = |group: &String| {
            joined.lines().map(|line| line.split_whitespace()).any(|mut words| {
                words.next() == Some(&index.to_string()) && words.last() == Some(group)
            })
        };
        let can_ask = !self.topology.is_router(&link.name.netns)
            || addresses.lines().any(|line| is_link_local(line, index));
        Ok(groups.iter().all(has_joined) && can_ask)
    }

    async fn await_listening(&self, link: &Link) -> Result<(), Error> {
        let mut events = Events::subscribe(&self.node(&link.name.netns)?.ns, LINK_EVENTS)?;
        let until = tokio::time::Instant::now() + DEADLINE;
        while !self.listens(link)? {
            // Woken by the address's own event; not every kernel sends one, so we also look again.
            tokio::time::timeout(LOOK_AGAIN, events.next()).await.unwrap_or_default();
            if tokio::time::Instant::now() > until {
                return Err(Error::new(
                    format!(
                        "`{}` did not join its addresses' groups within {} s",
                        link.name,
                        DEADLINE.as_secs()
                    ),
                    format!("lab of topology `{}`", self.topology.name),
                    "is IPv6 switched off on the link by one of the topology's sysctls?",
                ));
            }
        }
        Ok(())
    }

    fn without_timers(&self, error: &io::Error) -> Error {
        Error::new(
            format!("cannot wait for the timers of its bridges: {error}"),
            format!("lab of topology `{}`", self.topology.name),
            "the wait needs a thread on each CPU: what limits threads or CPUs here?",
        )
    }

    async fn overdue(&self, link: &LinkName, should: bool) -> Error {
        let seen = match self.link(link).await {
            Ok(state) => {
                format!("up: {}, carrier: {}, running: {}", state.up, state.carrier, state.running)
            }
            Err(error) => error.what,
        };
        let wanted = if should { "running" } else { "not running" };
        Error::new(
            format!("`{link}` was not {wanted} within {} s; last seen {seen}", DEADLINE.as_secs()),
            format!("lab of topology `{}`", self.topology.name),
            "look for what keeps the link from its carrier: its peer, its parent, a bridge without ports",
        )
    }
}

/// One of the kernel's tables for the thread's own namespace: /proc/net has the first thread's.
fn table(name: &str) -> Result<String, Error> {
    let path = format!("/proc/thread-self/net/{name}");
    fs::read_to_string(&path).map_err(|error| {
        Error::new(
            format!("cannot read the kernel's table: {error}"),
            path,
            "mount /proc; the kernel needs CONFIG_IPV6",
        )
    })
}

/// Whether a line of `if_inet6` is a link-local address of that link that is ready for use.
fn is_link_local(line: &str, index: u32) -> bool {
    const SCOPE: &str = "20";
    const TENTATIVE: u32 = 0x40;
    let words: Vec<&str> = line.split_whitespace().collect();
    let hex = |place: usize| words.get(place).and_then(|word| u32::from_str_radix(word, 16).ok());
    hex(1) == Some(index)
        && words.get(3) == Some(&SCOPE)
        && hex(4).is_some_and(|flags| flags & TENTATIVE == 0)
}

/// The Ethernet group at which an IPv6 address is asked for, as the kernel lists it.
fn solicited_group(address: &IpNet) -> Option<String> {
    let IpAddr::V6(ip) = address.addr() else { return None };
    Some(solicited_mac(ip).0.map(|byte| format!("{byte:02x}")).concat())
}

/// Whether kernels differ on what becomes of the link: before 6.15 an ipvlan child went on when its
/// parent was brought down ("ipvlan: handle NETDEV_DOWN event"). A VLAN's link may have been told to go
/// on, too (`loose_binding`), or to go by VLANs of ports, which the topology does not know
/// (`bridge_binding`). Nor does it know who belongs to a bond.
fn is_in_doubt(topology: &Topology, link: &Link) -> bool {
    if matches!(link.kind, Kind::Vlan { bridge_binding: true, .. }) || is_of_bond(topology, link) {
        return true;
    }
    let down = |parent: &LinkName| topology.link(parent).is_some_and(|parent| !parent.up);
    matches!(&link.kind, Kind::Ipvlan { parent, .. } | Kind::Vlan { parent, .. } if down(parent))
}

/// Whether a link is a bond, or stands on one.
fn is_of_bond(topology: &Topology, link: &Link) -> bool {
    let below = link.kind.parent().and_then(|parent| topology.link(parent));
    link.kind == Kind::Bond || below.is_some_and(|below| is_of_bond(topology, below))
}

/// Whether a link of this topology will carry frames.
fn runs(topology: &Topology, link: &Link) -> bool {
    let named = |name: &LinkName| topology.link(name);
    link.up
        && match &link.kind {
            Kind::Veth { peer } => named(peer).is_some_and(|peer| peer.up),
            Kind::Dummy => true,
            Kind::Bond => false,
            Kind::Macvlan { parent, .. }
            | Kind::Macvtap { parent, .. }
            | Kind::Ipvlan { parent, .. }
            | Kind::Vlan { parent, .. } => {
                named(parent).is_some_and(|parent| runs(topology, parent))
            }
            Kind::Bridge(_) => topology
                .links_of(&link.name.netns)
                .filter(|port| {
                    port.port.as_ref().is_some_and(|(bridge, _)| *bridge == link.name.link)
                })
                .any(|port| runs(topology, port)),
        }
}

#[cfg(test)]
mod tests {
    use hairpin_model::Topology;
    use hairpin_model::topology::Mode;

    use super::runs;

    #[test]
    fn a_link_runs_when_all_below_it_is_up() {
        let lan = Topology::new("lan")
            .host("c")
            .netns("p")
            .netns("sw")
            .bridge("sw:br0")
            .bridge("sw:alone")
            .cable("sw:s0", "p:p0")
            .port("sw:s0", "br0")
            .macvlan("c:c0", "p:p0", Mode::Bridge);
        let running = |t: &Topology| {
            t.links.iter().filter(|l| runs(t, l)).map(|l| l.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(running(&lan), ["sw:br0", "sw:s0", "p:p0", "c:c0"]);
        assert_eq!(running(&lan.down("p:p0")), Vec::<String>::new());
    }
}
