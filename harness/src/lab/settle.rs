//! Waiting until a lab's links are what they will be.
//!
//! A veth opened before its peer keeps a queue that drops everything until the kernel's link watch
//! has run, so a lab is not ready when the last request is acknowledged. We wait for the state that
//! the topology implies, woken by the kernel's own link events; time only bounds the wait, and its
//! end says what was waited for.

use std::time::Duration;

use futures::StreamExt;
use hairpin_model::topology::{Kind, Link, LinkName};
use hairpin_model::{Error, Topology};
use rtnetlink::MulticastGroup;

use super::{Lab, build};
use crate::ns::Ns;

/// How long a link may take to come up. A loaded machine needs milliseconds, a slow guest tens.
const DEADLINE: Duration = Duration::from_secs(10);

impl Lab {
    /// Waits until every link runs that can, and none that cannot.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        for link in &self.topology.links {
            let should = runs(&self.topology, link);
            if self.link(&link.name).await?.running != should {
                self.await_running(&link.name, should).await?;
            }
        }
        // The flag is set an instant before the queue is switched on, both under the lock that
        // this request waits for.
        let Some(node) = self.nodes.first() else { return Ok(()) };
        let barrier = node.netlink.set_up(build::LOOPBACK, true).await;
        barrier.map_err(|refused| refused.error("bring the loopback up", &node.name))
    }

    async fn await_running(&self, link: &LinkName, should: bool) -> Result<(), Error> {
        let mut events = LinkEvents::subscribe(&self.node(&link.netns)?.ns)?;
        let watch = async {
            // Subscribed first, then read again: no change can fall between the two.
            while self.link(link).await?.running != should {
                events.next().await;
            }
            Ok(())
        };
        match tokio::time::timeout(DEADLINE, watch).await {
            Ok(result) => result,
            Err(_) => Err(self.overdue(link, should).await),
        }
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

/// The link events of one namespace, as a thing to wait for.
struct LinkEvents {
    messages: futures::channel::mpsc::UnboundedReceiver<(
        rtnetlink::packet_core::NetlinkMessage<rtnetlink::packet_route::RouteNetlinkMessage>,
        rtnetlink::sys::SocketAddr,
    )>,
    driver: tokio::task::JoinHandle<()>,
}

impl LinkEvents {
    fn subscribe(ns: &Ns) -> Result<Self, Error> {
        let open = ns.enter(|| rtnetlink::new_multicast_connection(&[MulticastGroup::Link]));
        let (connection, _, messages) = open.map_err(|error| {
            Error::new(
                format!("cannot listen for link events: {error}"),
                "this machine",
                "see `hairpin doctor`",
            )
        })?;
        Ok(Self { messages, driver: tokio::spawn(connection) })
    }

    /// Waits for the next event of any link.
    async fn next(&mut self) {
        self.messages.next().await;
    }
}

impl Drop for LinkEvents {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Whether a link of this topology will carry frames.
fn runs(topology: &Topology, link: &Link) -> bool {
    let named = |name: &LinkName| topology.link(name);
    link.up
        && match &link.kind {
            Kind::Veth { peer } => named(peer).is_some_and(|peer| peer.up),
            Kind::Macvlan { parent, .. } | Kind::Vlan { parent, .. } => {
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
