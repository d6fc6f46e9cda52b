//! From a topology to namespaces and links, in the order that the kernel needs.
//!
//! Bridges first, so that a cable's near end can be born as a port; children after their parents,
//! as the topology lists them; addresses before routes.

use std::collections::HashMap;

use hairpin_model::topology::{Kind, Link, LinkName};
use hairpin_model::{Error, Mac, Topology};

use super::Node;
use crate::netlink::{Birth, Netlink, Refused};
use crate::ns::Ns;
use crate::{nft, sysctl};

/// Builds everything. What fails is dropped with all that was built before it.
pub(super) async fn build(topology: &Topology) -> Result<Vec<Node>, Error> {
    let nodes = make_nodes(topology).await?;
    let builder =
        Builder { topology, by_name: nodes.iter().map(|n| (n.name.as_str(), n)).collect() };
    for link in &topology.links {
        if matches!(link.kind, Kind::Bridge(_)) {
            builder.make(link).await?;
        }
    }
    for link in &topology.links {
        if !matches!(link.kind, Kind::Bridge(_)) {
            builder.make(link).await?;
        }
    }
    for link in &topology.links {
        builder.furnish(link).await?;
    }
    builder.furnish_namespaces().await?;
    Ok(nodes)
}

async fn make_nodes(topology: &Topology) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    let made = Ns::several(topology.netns.len())?;
    for (netns, ns) in topology.netns.iter().zip(made) {
        // Defaults are for links to come.
        for (name, value) in netns.sysctls.iter().filter(|(name, _)| is_default(name)) {
            ns.enter(|| sysctl::set(name, value))?;
        }
        let netlink = Netlink::connect(&ns)?;
        let up = netlink.set_up(LOOPBACK, true).await;
        up.map_err(|refused| refused.error("bring the loopback up", &netns.name))?;
        nodes.push(Node { name: netns.name.clone(), ns, netlink });
    }
    Ok(nodes)
}

/// Whether a sysctl is what links are born with, and nothing to those that are there.
fn is_default(name: &str) -> bool {
    name.contains(".default.")
}

/// The index of `lo` in every namespace.
pub(super) const LOOPBACK: u32 = 1;

/// Makes links of a topology in the nodes of its lab.
pub(super) struct Builder<'l> {
    pub(super) topology: &'l Topology,
    pub(super) by_name: HashMap<&'l str, &'l Node>,
}

impl<'l> Builder<'l> {
    fn node(&self, netns: &str) -> &'l Node {
        self.by_name.get(netns).expect("a checked topology has the namespace of each of its links")
    }

    fn birth<'t>(&self, link: &'t Link) -> Birth<'t> {
        Birth {
            name: &link.name.link,
            index: self.topology.ifindex(&link.name),
            mac: (!has_given_address(link)).then(|| self.topology.mac_of(&link.name)),
            mtu: link.mtu,
            queues: link.queues,
            up: link.up && !has_flags(link),
        }
    }

    /// Makes one link. Both ends of a cable are made at the first.
    pub(super) async fn make(&self, link: &Link) -> Result<(), Error> {
        let netlink = &self.node(&link.name.netns).netlink;
        let birth = self.birth(link);
        let made = match &link.kind {
            Kind::Bridge(settings) => netlink.add_bridge(&birth, settings).await,
            Kind::Veth { peer } => self.make_cable(link, peer).await,
            Kind::Macvlan { parent, settings } | Kind::Macvtap { parent, settings } => {
                let above = &self.node(&parent.netns).netlink;
                let (index, driver) = (self.topology.ifindex(parent), link.kind.driver());
                let ns = &self.node(&link.name.netns).ns;
                above.add_macvlan(&birth, driver, index, settings, ns).await
            }
            Kind::Ipvlan { parent, mode, flag, tap } => {
                let above = &self.node(&parent.netns).netlink;
                let ns = &self.node(&link.name.netns).ns;
                let parent = self.topology.ifindex(parent);
                above.add_ipvlan(&birth, (parent, *tap), *mode, *flag, ns).await
            }
            Kind::Dummy => netlink.add_dummy(&birth).await,
            Kind::Bond => netlink.add_bond(&birth).await,
            Kind::Vlan { parent, id, bridge_binding } => {
                let parent = self.topology.ifindex(parent);
                netlink.add_vlan(&birth, parent, *id, *bridge_binding).await
            }
        };
        made.map_err(|refused| self.refused(link, &refused))
    }

    async fn make_cable(&self, link: &Link, peer: &LinkName) -> Result<(), Refused> {
        let far = self.topology.link(peer).expect("a cable has two ends");
        if self.topology.ifindex(peer) < self.topology.ifindex(&link.name) {
            return Ok(());
        }
        let (near_node, far_node) = (self.node(&link.name.netns), self.node(&peer.netns));
        let (near_birth, far_birth) = (self.birth(link), self.birth(far));
        near_node
            .netlink
            .add_veth(&near_birth, self.bridge_of(link), &far_birth, &far_node.ns)
            .await?;
        if let Some(bridge) = self.bridge_of(far) {
            far_node.netlink.set_bridge(far_birth.index, Some(bridge)).await?;
        }
        if far_birth.up {
            far_node.netlink.set_up(far_birth.index, true).await?;
        }
        Ok(())
    }

    fn bridge_of(&self, link: &Link) -> Option<u32> {
        let (bridge, _) = link.port.as_ref()?;
        Some(self.topology.ifindex(&LinkName::new(&link.name.netns, bridge)))
    }

    /// Makes a link what the topology says beyond its birth.
    pub(super) async fn furnish(&self, link: &Link) -> Result<(), Error> {
        let netlink = &self.node(&link.name.netns).netlink;
        let index = self.topology.ifindex(&link.name);
        if let Some((_, flags)) = &link.port {
            if !matches!(link.kind, Kind::Veth { .. }) {
                let joined = netlink.set_bridge(index, self.bridge_of(link)).await;
                joined.map_err(|refused| self.refused(link, &refused))?;
            }
            if has_flags(link) {
                let set = netlink.set_port(index, flags).await;
                set.map_err(|refused| {
                    refused.error("set the port's flags", self.place(&link.name))
                })?;
                if link.up {
                    let up = netlink.set_up(index, true).await;
                    up.map_err(|refused| refused.error("bring it up", self.place(&link.name)))?;
                }
            }
        }
        for address in &link.addresses {
            let added = netlink.add_address(index, *address).await;
            added.map_err(|refused| {
                refused.error(&format!("add {address}"), self.place(&link.name))
            })?;
        }
        Ok(())
    }

    async fn furnish_namespaces(&self) -> Result<(), Error> {
        for netns in &self.topology.netns {
            let node = self.node(&netns.name);
            for (name, value) in netns.sysctls.iter().filter(|(name, _)| !is_default(name)) {
                let set = node.ns.enter(|| sysctl::set(name, value));
                set.map_err(|error| Error { place: self.place(&netns.name), ..error })?;
            }
            for route in &netns.routes {
                let what = format!("add the route {} via {}", route.to, route.via);
                let added = node.netlink.add_route(route).await;
                added.map_err(|refused| refused.error(&what, self.place(&netns.name)))?;
            }
            if let Some(firewall) = &netns.firewall {
                node.ns.enter(|| nft::apply(firewall)).map_err(hairpin_model::Error::from)?;
            }
        }
        Ok(())
    }

    fn place(&self, thing: &dyn std::fmt::Display) -> String {
        format!("topology `{}`, `{thing}`", self.topology.name)
    }

    fn refused(&self, link: &Link, refused: &Refused) -> Error {
        let what = match &link.kind {
            Kind::Macvlan { parent, settings } => {
                format!("make `{}`, a macvlan in {} mode on `{parent}`", link.name, settings.mode)
            }
            kind => format!("make `{}`, a {}", link.name, kind.driver()),
        };
        refused.error(&what, self.place(&link.name))
    }
}

/// Whether a link takes its address from others: an ipvlan child its parent's, a bridge its ports',
/// and who was given none that of the link below.
fn has_given_address(link: &Link) -> bool {
    let by_its_kind = match &link.kind {
        Kind::Ipvlan { .. } => true,
        Kind::Bridge(settings) => settings.nameless,
        _ => false,
    };
    by_its_kind || link.mac == Some(Mac::NONE)
}

/// Whether the link is a port with flags of its own. It then comes up when it has them: until it is
/// isolated it may close a loop, whose storm takes the machine's own queues.
fn has_flags(link: &Link) -> bool {
    link.port.as_ref().is_some_and(|(_, flags)| !flags.named().is_empty())
}
