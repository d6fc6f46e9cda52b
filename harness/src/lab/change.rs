//! What a case can change in a live lab. Each change is made in the kernel and in the topology
//! value, so that the two stay alike, and the lab has settled again when it returns.

use hairpin_model::firewall::Firewall;
use hairpin_model::topology::{Kind, Link, LinkName, Macvlan, Netns, PortFlags, Route};
use hairpin_model::{Error, Mac, Topology};

use super::Lab;
use super::build::{Builder, LOOPBACK};
use super::options::link_header;
use crate::attrs::Attrs;
use crate::netlink::Refused;
use crate::netlink::plain::{Question, RTM_NEWLINK};
use crate::ns::Ns;
use crate::{nft, sysctl};

/// Which frames a link is asked to take besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All unicast, and all groups.
    Promisc,
    /// All groups.
    Allmulti,
}

const IFLA_NET_NS_FD: u16 = 28;

impl Lab {
    /// Brings a link up or down.
    pub async fn set_up(&mut self, link: impl Into<LinkName>, up: bool) -> Result<(), Error> {
        self.switch(link, up).await?;
        self.settle().await
    }

    /// Brings a link up or down, and does not wait for what follows.
    pub async fn switch(&mut self, link: impl Into<LinkName>, up: bool) -> Result<(), Error> {
        let link = &link.into();
        let index = self.index(link)?;
        let done = self.node(&link.netns)?.netlink.set_up(index, up).await;
        done.map_err(|refused| {
            refused.error(if up { "bring it up" } else { "bring it down" }, link)
        })?;
        self.edit(link, |link| link.up = up);
        self.tell(|| format!("{link} {}", if up { "up" } else { "down" }));
        Ok(())
    }

    /// Sets the flags that are named on a bridge port; the others stay as they are.
    pub async fn set_port(
        &mut self,
        link: impl Into<LinkName>,
        flags: PortFlags,
    ) -> Result<(), Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let done = self.node(&link.netns)?.netlink.set_port(index, &flags).await;
        done.map_err(|refused| refused.error("set the port's flags", &link))?;
        self.edit(&link, |link| {
            if let Some((_, port)) = &mut link.port {
                *port = port.overlaid(flags);
            }
        });
        self.tell(|| format!("{link} {flags}"));
        self.settle().await
    }

    /// Takes a port out of its bridge, or puts a link into one.
    pub async fn set_bridge(
        &mut self,
        link: impl Into<LinkName>,
        bridge: Option<&str>,
    ) -> Result<(), Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let of =
            bridge.map(|bridge| self.index(&LinkName::new(&link.netns, bridge))).transpose()?;
        let done = self.node(&link.netns)?.netlink.set_bridge(index, of).await;
        done.map_err(|refused| refused.error("change its bridge", &link))?;
        self.edit(&link, |link| {
            link.port = bridge.map(|bridge| (bridge.to_owned(), PortFlags::default()));
        });
        self.tell(|| {
            format!("{link} {}", bridge.map_or("out of its bridge".into(), |b| format!("into {b}")))
        });
        self.settle().await
    }

    /// Puts the loopback of a bond's namespace into the bond, which may become another kind of link by
    /// that.
    pub async fn set_bond_of_loopback(&mut self, bond: &LinkName) -> Result<(), Error> {
        let (bond_index, netlink) = (self.index(bond)?, &self.node(&bond.netns)?.netlink);
        let refused = |doing, refused: Refused| refused.error(doing, bond);
        let down = netlink.set_up(LOOPBACK, false).await;
        down.map_err(|error| refused("bring the loopback down", error))?;
        let done = netlink.set_bridge(LOOPBACK, Some(bond_index)).await;
        done.map_err(|error| refused("take the loopback in", error))?;
        self.tell(|| format!("{bond} takes the loopback in"));
        Ok(())
    }

    /// Changes the mode, flags and senders of a macvlan child.
    pub async fn set_macvlan(
        &mut self,
        link: impl Into<LinkName>,
        settings: impl Into<Macvlan>,
    ) -> Result<(), Error> {
        let (link, settings): (LinkName, Macvlan) = (link.into(), settings.into());
        let mode = settings.mode;
        let index = self.index(&link)?;
        let driver = self.topology.link(&link).map_or("macvlan", |link| link.kind.driver());
        let done = self.node(&link.netns)?.netlink.set_macvlan(index, driver, &settings).await;
        done.map_err(|refused| {
            refused.error(&format!("change it to {} mode", settings.mode), &link)
        })?;
        self.edit(&link, |link| {
            if let Kind::Macvlan { settings: old, .. } | Kind::Macvtap { settings: old, .. } =
                &mut link.kind
            {
                *old = settings;
            }
        });
        self.tell(|| format!("{link} mode {mode}"));
        self.settle().await
    }

    /// Gives a link an Ethernet address.
    pub async fn set_mac(&mut self, link: impl Into<LinkName>, mac: Mac) -> Result<(), Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let done = self.node(&link.netns)?.netlink.set_mac(index, mac).await;
        done.map_err(|refused| refused.error(&format!("give it the address {mac}"), &link))?;
        self.edit(&link, |link| link.mac = Some(mac));
        self.tell(|| format!("{link} address {mac}"));
        self.settle().await
    }

    /// Gives a link an MTU in bytes.
    pub async fn set_mtu(&mut self, link: impl Into<LinkName>, bytes: u32) -> Result<(), Error> {
        let link = link.into();
        self.set_option(&link, super::options::link::MTU, u64::from(bytes)).await?;
        self.edit(&link, |link| link.mtu = Some(bytes));
        Ok(())
    }

    /// Asks a link for every unicast frame, or for every group, or no longer.
    pub async fn set_filter(
        &mut self,
        link: impl Into<LinkName>,
        filter: Filter,
        on: bool,
    ) -> Result<(), Error> {
        let link = link.into();
        let (bit, words) = match filter {
            Filter::Promisc => (libc::IFF_PROMISC.unsigned_abs(), "promisc"),
            Filter::Allmulti => (libc::IFF_ALLMULTI.unsigned_abs(), "allmulti"),
        };
        let header = link_header(0, self.index(&link)?, if on { bit } else { 0 }, bit);
        let asked = Question { kind: RTM_NEWLINK, flags: 0, header: &header, attrs: Attrs::new() };
        self.command(&link, &asked, &format!("set {words}"))?;
        self.tell(|| format!("{link} {words} {}", if on { "on" } else { "off" }));
        Ok(())
    }

    /// Moves a link to another namespace of the lab. It arrives down and without addresses, and
    /// keeps its name and index; what stands on it stays where it is.
    pub async fn move_link(&mut self, link: impl Into<LinkName>, netns: &str) -> Result<(), Error> {
        let old = link.into();
        let new = LinkName::new(netns, &old.link);
        let header = link_header(0, self.index(&old)?, 0, 0);
        let fd = self.node(netns)?.ns.raw();
        let attrs = Attrs::new().bytes(IFLA_NET_NS_FD, &fd.to_ne_bytes());
        let asked = Question { kind: RTM_NEWLINK, flags: 0, header: &header, attrs };
        self.command(&old, &asked, &format!("move it to `{netns}`"))?;
        self.edit(&old, |link| {
            link.up = false;
            link.addresses.clear();
            link.port = None;
        });
        for other in &mut self.topology.links {
            other.rename(&old, &new);
        }
        self.tell(|| format!("{old} moved to {netns}"));
        self.settle().await
    }

    /// Gives a link an IP address, written `192.0.2.1/24`.
    pub async fn add_address(
        &mut self,
        link: impl Into<LinkName>,
        address: &str,
    ) -> Result<(), Error> {
        let link = link.into();
        let net: ipnet::IpNet = address.parse().map_err(|_| {
            Error::new(
                format!("`{address}` is no address with a prefix length"),
                link.to_string(),
                "write it as `192.0.2.1/24` or `2001:db8::1/64`",
            )
        })?;
        let index = self.index(&link)?;
        let done = self.node(&link.netns)?.netlink.add_address(index, net).await;
        done.map_err(|refused| refused.error(&format!("add {net}"), &link))?;
        self.edit(&link, |link| link.addresses.push(net));
        self.tell(|| format!("{link} has {net}"));
        self.settle().await
    }

    /// Deletes a link in the kernel, with what goes with it: its other end, its children. The
    /// topology value keeps them, so nothing can be observed in this lab any more; ask
    /// [`Lab::exists`] who is left.
    pub async fn delete(&mut self, link: impl Into<LinkName>) -> Result<(), Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let done = self.node(&link.netns)?.netlink.delete_link(index).await;
        done.map_err(|refused| refused.error("delete it", &link))?;
        self.tell(|| format!("{link} deleted"));
        Ok(())
    }

    /// Makes a bridge forget what it has learned on a port.
    pub async fn flush_fdb(&mut self, port: impl Into<LinkName>) -> Result<(), Error> {
        let port = port.into();
        let index = self.index(&port)?;
        let done = self.node(&port.netns)?.netlink.flush_fdb(index).await;
        done.map_err(|refused| refused.error("forget what it has learned", &port))?;
        self.tell(|| format!("{port} forgets what it has learned"));
        Ok(())
    }

    /// Adds the links that `grow` adds to the topology; namespaces cannot be added to a live lab.
    /// If one is refused, none is added.
    pub async fn grow(&mut self, grow: impl FnOnce(Topology) -> Topology) -> Result<(), Error> {
        let grown = grow(self.topology.clone());
        grown.check()?;
        let by_name = self.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
        let builder = Builder { topology: &grown, by_name };
        let new = &grown.links[self.topology.links.len()..];
        if let Err(error) = add(&builder, new).await {
            for link in new.iter().rev() {
                self.take_away(&link.name, grown.ifindex(&link.name)).await?;
            }
            return Err(error);
        }
        self.topology = grown;
        self.settle().await
    }

    /// Deletes a link that may never have been made, or went with its other end.
    async fn take_away(&self, link: &LinkName, index: u32) -> Result<(), Error> {
        match self.node(&link.netns)?.netlink.delete_link(index).await {
            Err(refused) if refused.errno != libc::ENODEV => {
                Err(refused.error("delete it again", link))
            }
            _ => Ok(()),
        }
    }

    /// Deletes the link that was added last.
    pub async fn delete_last(&mut self) -> Result<(), Error> {
        let Some(link) = self.topology.links.last().map(|link| link.name.clone()) else {
            return Ok(());
        };
        let index = self.index(&link)?;
        let done = self.node(&link.netns)?.netlink.delete_link(index).await;
        done.map_err(|refused| refused.error("delete it", &link))?;
        self.topology.links.pop();
        self.tell(|| format!("{link} deleted"));
        self.settle().await
    }

    /// Sets a sysctl of a namespace, named below `net.`.
    pub fn set_sysctl(&mut self, netns: &str, name: &str, value: &str) -> Result<(), Error> {
        self.node(netns)?.ns.enter(|| sysctl::set(name, value))?;
        self.edit_netns(netns, |netns| {
            netns.sysctls.insert(name.into(), value.into());
        });
        self.tell(|| format!("{netns} {name}={value}"));
        Ok(())
    }

    /// What a sysctl of a namespace is set to, named below `net.`.
    pub fn sysctl(&self, netns: &str, name: &str) -> Result<String, Error> {
        self.node(netns)?.ns.enter(|| sysctl::get(name))
    }

    /// What it is set to in a namespace that has just been made.
    pub fn sysctl_at_birth(&self, name: &str) -> Result<String, Error> {
        Ns::new()?.enter(|| sysctl::get(name))
    }

    /// Replaces a namespace's ruleset.
    pub fn set_firewall(&mut self, netns: &str, firewall: Firewall) -> Result<(), Error> {
        self.node(netns)?.ns.enter(|| nft::apply(&firewall)).map_err(Error::from)?;
        self.edit_netns(netns, |netns| netns.firewall = Some(firewall));
        self.tell(|| format!("{netns} has another ruleset"));
        Ok(())
    }

    /// Adds a route, written as [`Topology::route`] has it.
    pub async fn add_route(&mut self, netns: &str, to: &str, via: &str) -> Result<(), Error> {
        let route = parse(netns, to, via)?;
        let done = self.node(netns)?.netlink.add_route(&route).await;
        done.map_err(|refused| refused.error(&format!("add the route {to} via {via}"), netns))?;
        self.edit_netns(netns, |netns| netns.routes.push(route));
        self.tell(|| format!("{netns} route {to} via {via} added"));
        Ok(())
    }

    /// Takes a route away.
    pub async fn delete_route(&mut self, netns: &str, to: &str, via: &str) -> Result<(), Error> {
        let route = parse(netns, to, via)?;
        let done = self.node(netns)?.netlink.delete_route(&route).await;
        done.map_err(|refused| refused.error(&format!("delete the route {to} via {via}"), netns))?;
        self.edit_netns(netns, |netns| netns.routes.retain(|r| *r != route));
        self.tell(|| format!("{netns} route {to} via {via} deleted"));
        Ok(())
    }

    pub(in crate::lab) fn edit(&mut self, name: &LinkName, edit: impl FnOnce(&mut Link)) {
        if let Some(link) = self.topology.links.iter_mut().find(|link| link.name == *name) {
            edit(link);
        }
    }

    fn edit_netns(&mut self, name: &str, edit: impl FnOnce(&mut Netns)) {
        if let Some(netns) = self.topology.netns.iter_mut().find(|netns| netns.name == name) {
            edit(netns);
        }
    }
}

async fn add(builder: &Builder<'_>, links: &[Link]) -> Result<(), Error> {
    for link in links {
        builder.make(link).await?;
    }
    for link in links {
        builder.furnish(link).await?;
    }
    Ok(())
}

fn parse(netns: &str, to: &str, via: &str) -> Result<Route, Error> {
    match (to.parse(), via.parse()) {
        (Ok(to), Ok(via)) => Ok(Route { to, via }),
        _ => Err(Error::new(
            format!("`{to} via {via}` is no route"),
            netns,
            "write a prefix and a router: `198.51.100.0/24`, `192.0.2.1`",
        )),
    }
}
