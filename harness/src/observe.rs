//! Asking every host to reach every other, and proving what did not arrive.
//!
//! Nothing is ever concluded from silence. A frame that did not arrive is *blocked* only if, after
//! it was sent,
//!
//! - **the sender's side is flushed**: a later frame of the same class from the same sender, sent
//!   by the same thread on the same CPU, has arrived somewhere, or was seen further down its way
//!   than its own link, or the sender's link is known to be unable to send; and
//! - **the receiver's side is alive and flushed**: a still later frame of the same class has come
//!   out of the very socket that the first one is missing from.
//!
//! Queues between the two are first in, first out within a class, so whatever was going to arrive
//! has. A parent's queue of frames to groups is one that controls may pass beside, so it must be
//! seen to run empty (`gate`), and its worker hands them over on any CPU, so all of these must have
//! run empty too (`cpus`). If a control is missing the cell is inconclusive, which no drawing accepts; so it is if a
//! queue was full meanwhile, the receiver's socket (`frame`) or the machine's own (`losses`).
//!
//! `frame` does this for bare Ethernet frames, `ping` for ICMP echo, `flow` for TCP and UDP
//! ports.

mod advert;
mod answer;
mod asked;
mod bound;
mod bpdu;
mod checksum;
mod controls;
mod counted;
mod cpus;
mod decode;
mod dropped;
mod ear;
mod ears;
mod flaw;
mod flow;
mod frame;
mod gate;
mod headers;
mod icmpv6;
mod joined;
mod losses;
mod membership;
mod noted;
mod pieces;
mod ping;
mod queue;
mod recording;
mod registrar;
mod session;
mod shot;
mod solicitation;
mod stamps;
mod trace;

use hairpin_model::grid::{Cell, Grid};
use hairpin_model::topology::{Kind, Link, LinkName};
use hairpin_model::{Class, Error, Family, Mac, Topology};

use crate::lab::{Lab, Queue};
use crate::ns::Ns;
use crate::sys::PacketSocket;

use cpus::Pinned;

pub use advert::Advert;
pub(crate) use advert::advertise;
pub(crate) use asked::listen;
pub use asked::{Asked, Asking};
pub(crate) use bound::hears_bound;
pub use bpdu::{Bpdu, BridgeEar, Config, HeardBpdu, Said};
pub(crate) use bpdu::{hear_bridges, say_as_bridge};
pub use checksum::Received;
pub(crate) use checksum::datagram;
pub(crate) use cpus::{on_each, run_empty};
pub(crate) use ears::{Listeners, wait_readable};
pub use flaw::Flaw;
pub(crate) use flow::flow;
pub use flow::{Flow, Passage};
pub(crate) use icmpv6::solicited_mac;
pub use joined::Joined;
pub(crate) use joined::joined;
pub use membership::{Message, Record};
pub use noted::Noted;
pub(crate) use noted::{noted, told_sender};
pub use pieces::Pieces;
pub(crate) use pieces::{pieces, pieces_for};
pub use queue::Emerged;
pub(crate) use queue::emerged;
pub(crate) use recording::Recording;
pub(crate) use registrar::hear_registrations;
pub use registrar::{Declared, RegistrarEar, Registration};
pub use shot::{Fate, Hearing, Shot, Tag, Taken};
pub(crate) use stamps::{await_begun as await_stamps, keep as keep_stamps, next_is_stamped};

/// A host as the probes see it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    /// The place of its namespace in the lab.
    pub(crate) node: usize,
    /// The link that it sends from and is reached at.
    pub(crate) link: LinkName,
    pub(crate) index: u32,
    pub(crate) mac: Mac,
    /// The parent, if the link is a macvlan or ipvlan child: siblings share that parent's queue.
    pub(crate) parent: Option<LinkName>,
    /// The parents of all children that its machine has.
    pub(crate) parents: Vec<LinkName>,
    /// Whether that parent queues groups from wherever they come, not only those from outside.
    pub(crate) queues_all: bool,
    /// Whether the link can send and receive at all.
    pub(crate) running: bool,
}

/// The parent of a child, where the parent queues frames to groups for its children.
fn queueing_parent(link: &Link) -> Option<LinkName> {
    let queues =
        matches!(link.kind, Kind::Macvlan { .. } | Kind::Macvtap { .. } | Kind::Ipvlan { .. });
    queues.then(|| link.kind.parent().cloned()).flatten()
}

/// Whether frames to groups wait in a queue anywhere.
fn has_queues(topology: &Topology) -> bool {
    topology.links.iter().any(|link| queueing_parent(link).is_some())
}

/// Has what the taps still hold recorded, without judging it.
pub(crate) fn drain(lab: &mut Lab) -> Result<(), Error> {
    let listeners = lab.listeners_mut().take();
    let drained = listeners.as_ref().map_or(Ok(()), |listeners| listeners.drain(lab));
    *lab.listeners_mut() = listeners;
    drained
}

/// Does something with a lab's listeners, which are opened as they are needed and then kept.
async fn with_listeners<T>(
    lab: &mut Lab,
    work: impl AsyncFnOnce(&mut Lab, &mut Listeners) -> T,
) -> T {
    let mut listeners = lab.listeners_mut().take().unwrap_or_default();
    let worked = work(lab, &mut listeners).await;
    *lab.listeners_mut() = Some(listeners);
    worked
}

/// Observes one grid.
pub(crate) async fn observe(lab: &mut Lab, class: Class) -> Result<Grid, Error> {
    let hosts = endpoints(lab).await?;
    if class == Class::Multicast {
        let all: Vec<usize> = (0..hosts.len()).collect();
        join_at(lab, &hosts, &all, frame::GROUP).await?;
    }
    let losses = losses::Losses::now(lab).await?;
    let counts = counted::Counts::now(lab)?;
    let observed = async |lab: &mut Lab, listeners: &mut Listeners| {
        let _pinned = Pinned::here();
        match class.family() {
            Some(family) => ping::observe(lab, listeners, &hosts, family, None).await,
            None => frame::observe(lab, listeners, &hosts, class),
        }
    };
    let mut grid = with_listeners(lab, observed).await?;
    losses.doubt(lab, grid.cells.iter_mut().flatten()).await?;
    if !grid.is_whole() {
        grid.counted = counts.since(lab)?;
    }
    Ok(grid)
}

/// Asks one host to ping one other. Its neighbour cache is as the ping has left it afterwards.
pub(crate) async fn ping(
    lab: &mut Lab,
    family: Family,
    from: &str,
    to: &str,
) -> Result<Cell, Error> {
    let hosts = endpoints(lab).await?;
    let pair = (place(lab, &hosts, from)?, place(lab, &hosts, to)?);
    let losses = losses::Losses::now(lab).await?;
    let observed = async |lab: &mut Lab, listeners: &mut Listeners| {
        let _pinned = Pinned::here();
        ping::observe(lab, listeners, &hosts, family, Some(pair)).await
    };
    let mut cell = with_listeners(lab, observed).await?.cells[pair.0][pair.1].clone();
    losses.doubt(lab, std::iter::once(&mut cell)).await?;
    Ok(cell)
}

/// Sends a frame so many times out of a link, and asks nothing; gives how many the kernel said that it
/// took. A link that is gone or down is no error.
pub(crate) fn send_many(
    ns: &Ns,
    (index, mac): (u32, Mac),
    shot: &Shot,
    times: usize,
) -> Result<usize, Error> {
    // No probe has that number.
    let frame = shot.frame(mac, 0);
    let send = || -> std::io::Result<usize> {
        let socket = PacketSocket::open(0, frame.len())?;
        let mut taken = 0;
        for _ in 0..times {
            let unable = |error: &std::io::Error| {
                matches!(error.raw_os_error(), Some(libc::ENXIO | libc::ENETDOWN | libc::ENOBUFS))
            };
            match socket.send(index, &frame) {
                Ok(()) => taken += 1,
                Err(error) if unable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    };
    ns.enter(send).map_err(|error| ears::broken("send a frame", &error))
}

/// Sends a frame of the case's own, and proves what became of it.
pub(crate) async fn shoot(lab: &mut Lab, from: &str, shot: &Shot) -> Result<Fate, Error> {
    let hosts = endpoints(lab).await?;
    let from = place(lab, &hosts, from)?;
    shoot_by(lab, &hosts, (from, None), shot).await
}

/// Sends a frame of the case's own through a macvtap link's queue, and proves what became of it.
pub(crate) async fn shoot_from(lab: &mut Lab, queue: &Queue, shot: &Shot) -> Result<Fate, Error> {
    let hosts = endpoints(lab).await?;
    let from = place(lab, &hosts, &queue.link().netns)?;
    shoot_by(lab, &hosts, (from, Some(queue)), shot).await
}

async fn shoot_by(
    lab: &mut Lab,
    hosts: &[Endpoint],
    from: (usize, Option<&Queue>),
    shot: &Shot,
) -> Result<Fate, Error> {
    let losses = losses::Losses::now(lab).await?;
    let shoot = async |lab: &mut Lab, listeners: &mut Listeners| {
        let _pinned = Pinned::here();
        frame::shoot(lab, listeners, hosts, from, shot)
    };
    let mut fate = with_listeners(lab, shoot).await?;
    if let Some(why) = losses.since(lab).await? {
        for (_, proof) in &mut fate.missing {
            *proof = Err(why.clone());
        }
    }
    Ok(fate)
}

/// Has a host say something about memberships.
pub(crate) async fn say(lab: &Lab, from: &str, messages: &[Message]) -> Result<(), Error> {
    let hosts = endpoints(lab).await?;
    let host = &hosts[place(lab, &hosts, from)?];
    // They are told in order: what a later one has changed, the earlier ones have, too.
    let _pinned = Pinned::here();
    let send = || -> std::io::Result<()> {
        let socket = PacketSocket::open(0, 0)?;
        messages.iter().try_for_each(|message| socket.send(host.index, &message.frame(host.mac)))
    };
    let sent = lab.nodes()[host.node].ns.enter(send);
    sent.map_err(|error| ears::broken("send a message about memberships", &error))
}

/// Has a host's link take the frames of a group, as long as the lab lives.
pub(crate) async fn join(lab: &mut Lab, host: &str, group: Mac) -> Result<(), Error> {
    let hosts = endpoints(lab).await?;
    let host = place(lab, &hosts, host)?;
    join_at(lab, &hosts, &[host], group).await
}

/// Has the links of the hosts at those places take the frames of a group from now on.
async fn join_at(
    lab: &mut Lab,
    hosts: &[Endpoint],
    places: &[usize],
    group: Mac,
) -> Result<(), Error> {
    let join = async |lab: &mut Lab, listeners: &mut Listeners| {
        listeners.open_frames(lab, hosts)?;
        places.iter().try_for_each(|host| listeners.join(*host, hosts[*host].index, group))
    };
    with_listeners(lab, join).await?;
    lab.apply_rx_modes().await
}

/// The place of a host among the endpoints.
fn place(lab: &Lab, hosts: &[Endpoint], name: &str) -> Result<usize, Error> {
    hosts.iter().position(|host| host.name == name).ok_or_else(|| {
        Error::new(
            format!("there is no host `{name}`"),
            format!("topology `{}`", lab.topology().name),
            "name a `host` of the topology; a `netns` neither pings nor sends",
        )
    })
}

async fn endpoints(lab: &Lab) -> Result<Vec<Endpoint>, Error> {
    let topology = lab.topology();
    let mut endpoints = Vec::new();
    for host in topology.hosts() {
        let link = topology.endpoint(&host.name).ok_or_else(|| {
            Error::new(
                format!("the host `{}` has no link", host.name),
                format!("topology `{}`", topology.name),
                "give it a link, or make it a `netns`: those have no row in a grid",
            )
        })?;
        let state = lab.link(&link.name).await?;
        let node = lab.nodes().iter().position(|node| node.name == host.name);
        endpoints.push(Endpoint {
            name: host.name.clone(),
            node: node.expect("a lab has a node for each host"),
            link: link.name.clone(),
            index: state.index,
            mac: state.mac,
            parent: queueing_parent(link),
            parents: topology.links_of(&host.name).filter_map(queueing_parent).collect(),
            queues_all: matches!(link.kind, Kind::Ipvlan { .. }),
            running: state.running,
        });
    }
    Ok(endpoints)
}
