//! A live topology: built, settled, changed, read and dropped.
//!
//! A lab holds its namespaces by file descriptors. Dropping it, or killing the process, leaves
//! nothing behind. Who reaches whom is asked by [`Lab::observe`]; everything else that a case can
//! read or change is here.

mod awaited;
mod brctl;
mod build;
mod change;
mod ethtool;
mod newborn;
mod older;
pub mod options;
mod process;
mod prohibition;
pub mod queue;
mod senders;
mod settle;
mod sleeper;
mod socket;
mod stamped;
mod stranger;
mod sysfs;
mod tables;
mod timers;
mod vconfig;
mod watched;
pub(crate) mod xdp;

use std::net::IpAddr;

use hairpin_model::event::Frame;
use hairpin_model::grid::{Cell, Grid};
use hairpin_model::topology::LinkName;
use hairpin_model::{Class, Error, Family, Mac, Topology};

use crate::netlink::{LinkState, Netlink};
use crate::ns::Ns;
pub use change::Filter;
pub use ethtool::{Channels, Offload};
pub use newborn::Newborn;
pub use older::{Brctl, BridgeInfo, PortInfo};
pub(crate) use process::sender;
pub use process::{Marks, Sights};
pub use prohibition::Selector;
pub use queue::Queue;
pub use sleeper::Sleeper;
pub use stranger::Plea;
pub use tables::{
    Counters, Fdb, FdbEntry, Flush, MdbEntry, MdbWords, MessageCount, Notices, PortVlan, Quality,
    Standing, StpCounters, Tiding, VlanCounters, VlanOption, VlanRange, Way, Wish, vlan_option,
};
pub use vconfig::Vconfig;
pub use xdp::Xdp;

use crate::observe::{
    Advert, Asking, Bpdu, BridgeEar, Emerged, Fate, Flow, Joined, Listeners, Message, Noted,
    Passage, Pieces, Received, Recording, RegistrarEar, Registration, Shot, advertise, datagram,
    emerged, flow, hear_bridges, hear_registrations, hears_bound, join, joined, listen, noted,
    observe, pieces, pieces_for, ping, say, say_as_bridge, send_many, shoot, shoot_from,
    told_sender,
};

/// One namespace of a lab.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) ns: Ns,
    pub(crate) netlink: Netlink,
}

/// What an ear keeps unless told otherwise: enough for the grids of a hundred hosts.
pub(crate) const EAR_BYTES: usize = 8 << 20;

/// A live topology.
///
/// ```
/// use hairpin_harness::{Class, Family, Lab, Topology};
/// # hairpin_harness::sandbox::enter();
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let pair = Topology::new("pair")
///     .host("a").host("b")
///     .cable("a:eth0", "b:eth0")
///     .address("a:eth0", "192.0.2.1/24")
///     .address("b:eth0", "192.0.2.2/24");
/// let mut lab = Lab::build(&pair).await?;
/// let grid = lab.observe(Class::ping(Family::V4)).await?;
/// assert_eq!(grid.to_string(), "   a b\na  . +\nb  + .");
/// # Ok::<(), hairpin_harness::Error>(()) }).unwrap();
/// ```
pub struct Lab {
    topology: Topology,
    nodes: Vec<Node>,
    listeners: Option<Listeners>,
    traced: bool,
    /// How many bytes an ear keeps that were not taken out yet.
    ear_bytes: usize,
    /// Who is told of each change.
    steps: Option<fn(String)>,
    /// Where what the taps see is kept, and the place of this lab there.
    recording: Option<(Recording, usize)>,
    /// The number of the next probe: no two frames of a lab carry the same.
    next_probe: u32,
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl Lab {
    /// Builds the topology and waits until every link that can carry frames does.
    ///
    /// Must be called in a current-thread tokio runtime. Nothing is left behind when it fails.
    pub async fn build(topology: &Topology) -> Result<Self, Error> {
        topology.check()?;
        let nodes = build::build(topology).await?;
        let lab = Self {
            topology: topology.clone(),
            nodes,
            listeners: None,
            traced: true,
            ear_bytes: EAR_BYTES,
            steps: None,
            recording: None,
            next_probe: 0,
        };
        lab.settle().await?;
        Ok(lab)
    }

    /// Observes without noting the way of each frame: for grids of many hosts, where that costs
    /// more than the probes.
    #[must_use]
    pub fn untraced(mut self) -> Self {
        self.traced = false;
        self
    }

    /// Listens with sockets that keep so many bytes (the kernel adds its own, some 700 a frame)
    /// instead of 8 MiB: what does not fit is lost, and grids say so. To be said before the first
    /// grid.
    #[must_use]
    pub fn with_ears_of(mut self, bytes: usize) -> Self {
        self.ear_bytes = bytes;
        self
    }

    /// The topology as it is now, changes included.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Asks every host to reach every other with traffic of that class.
    pub async fn observe(&mut self, class: Class) -> Result<Grid, Error> {
        observe(self, class).await
    }

    /// Asks one host to ping one other, from cold caches; what it resolved stays to be read.
    pub async fn ping(&mut self, family: Family, from: &str, to: &str) -> Result<Cell, Error> {
        ping(self, family, from, to).await
    }

    /// Sends one datagram, or opens one connection, and proves what became of it. What the hosts
    /// have learned of their neighbours stays as it is.
    pub async fn flow(&mut self, asked: &Flow<'_>) -> Result<Passage, Error> {
        flow(self, asked).await
    }

    /// Sends one frame of your own making from a host, and proves what became of it at all hosts.
    pub async fn shoot(&mut self, from: &str, shot: &Shot) -> Result<Fate, Error> {
        shoot(self, from, shot).await
    }

    /// Sends a frame so many times out of a link, and does not ask what becomes of it: for what is
    /// to go while frames are under way. A link that is gone or down sends nothing. Gives how many the
    /// kernel said that it took.
    pub fn send_many(
        &self,
        link: impl Into<LinkName>,
        shot: &Shot,
        times: usize,
    ) -> Result<usize, Error> {
        let link = link.into();
        let (ns, index) = (&self.node(&link.netns)?.ns, self.index(&link)?);
        send_many(ns, (index, self.topology.mac_of(&link)), shot, times)
    }

    /// Sends a UDP datagram from one host's link straight to another's, with a sound check sum or a
    /// broken one, and tells what the receiver's kernel made of it. The two are on one network.
    pub fn datagram(
        &self,
        family: Family,
        from: &str,
        to: &str,
        sound: bool,
    ) -> Result<Received, Error> {
        datagram(self, family, (from, to), sound)
    }

    /// Sends a datagram from a host to another's own address, and tells whether a socket gets it that
    /// is bound to that link of the receiver's (`SO_BINDTODEVICE`).
    pub fn hears_bound(
        &self,
        family: Family,
        from: &str,
        to: impl Into<LinkName>,
    ) -> Result<bool, Error> {
        hears_bound(self, family, from, &to.into())
    }

    /// Sends one frame through a macvtap link's queue, and proves what became of it at all hosts.
    /// Its own host is deaf while the queue is open.
    pub async fn shoot_from(&mut self, queue: &Queue, shot: &Shot) -> Result<Fate, Error> {
        shoot_from(self, queue, shot).await
    }

    /// Sends one frame of your own making from a host; gives each copy that comes out of one of a
    /// macvtap link's queues, and the place of that queue. That there are no more is proved by a
    /// later one.
    pub async fn emerged(
        &mut self,
        queues: &[&Queue],
        from: &str,
        shot: &Shot,
    ) -> Result<Vec<(usize, Emerged)>, Error> {
        emerged(self, queues, from, shot).await
    }

    /// Writes a frame to a macvtap link's queue; gives what the kernel has noted of it when it left by
    /// the link.
    pub fn noted(&self, queue: &Queue, frame: &[u8]) -> Result<Noted, Error> {
        noted(self, queue, frame)
    }

    /// Sends a frame out of a link; gives who has sent it, as the kernel tells whoever watches another
    /// that it comes to.
    pub fn told_sender(
        &self,
        from: impl Into<LinkName>,
        shot: &Shot,
        at: impl Into<LinkName>,
    ) -> Result<Option<Mac>, Error> {
        told_sender(self, (&from.into(), shot), &at.into())
    }

    /// Sends a stream of so many bytes from one host's link to another's, which are on one network, and
    /// tells what those see of it who watch the two.
    pub fn joined(
        &self,
        from: impl Into<LinkName>,
        to: impl Into<LinkName>,
        bytes: usize,
    ) -> Result<Joined, Error> {
        joined(self, (&from.into(), &to.into()), bytes)
    }

    /// Has a host's link take the frames of an Ethernet group, as long as the lab lives.
    pub async fn join(&mut self, host: &str, group: Mac) -> Result<(), Error> {
        join(self, host, group).await
    }

    /// Has a host say something about memberships, one message behind the other. What its own
    /// kernel is a member of does not change.
    pub async fn say(&mut self, host: &str, messages: &[Message]) -> Result<(), Error> {
        say(self, host, messages).await
    }

    /// Sends a datagram that may be too long for its way from a host to another, to be cut in pieces.
    pub async fn pieces(
        &self,
        from: &str,
        to: &str,
        family: Family,
        bytes: usize,
    ) -> Result<Pieces, Error> {
        pieces(self, (from, to), family, bytes).await
    }

    /// The same, to an address that the receiver is not alone to have: that of all.
    pub async fn pieces_for(
        &self,
        from: &str,
        to: &str,
        address: IpAddr,
        bytes: usize,
    ) -> Result<Pieces, Error> {
        pieces_for(self, (from, to), address, bytes).await
    }

    /// Has a host tell all on its link something as routers and neighbours of IPv6 do.
    pub async fn advertise(&mut self, host: &str, advert: Advert) -> Result<(), Error> {
        advertise(self, host, advert).await?;
        self.tell(|| format!("{host} tells {advert:?}"));
        Ok(())
    }

    /// Has a host listen for questions for memberships from now on.
    pub async fn listen(&self, host: &str, family: Family) -> Result<Asking, Error> {
        listen(self, host, family).await
    }

    /// Has a host listen to what bridges say of the spanning tree from now on.
    pub async fn hear_bridges(&self, host: &str) -> Result<BridgeEar, Error> {
        hear_bridges(self, host).await
    }

    /// Has a host listen to which VLANs others declare from now on.
    pub async fn hear_registrations(
        &self,
        host: &str,
        protocol: Registration,
    ) -> Result<RegistrarEar, Error> {
        hear_registrations(self, host, protocol).await
    }

    /// Has a host say these as a bridge would, one message behind the other.
    pub async fn say_as_bridge(&self, host: &str, bpdus: &[Bpdu]) -> Result<(), Error> {
        say_as_bridge(self, host, bpdus).await?;
        self.tell(|| format!("{host} says, as a bridge, {bpdus:?}"));
        Ok(())
    }

    /// A link as the kernel has it now.
    pub async fn link(&self, link: impl Into<LinkName>) -> Result<LinkState, Error> {
        let link = link.into();
        let index = self.index(&link)?;
        let found = self.node(&link.netns)?.netlink.link(index).await;
        found.map_err(|refused| refused.error("show a link", &link))
    }

    /// Where a bridge has learned or been told that an address is: the port's name.
    pub async fn fdb_port(&self, netns: &str, mac: Mac) -> Result<Option<String>, Error> {
        let entries = self.fdb(netns).await?;
        let mut found = entries.into_iter().filter(|entry| entry.mac == mac && !entry.own);
        Ok(found.next().map(|entry| entry.link))
    }

    /// The Ethernet address of a link, as it is now.
    pub fn mac(&self, link: impl Into<LinkName>) -> Mac {
        self.topology.mac_of(&link.into())
    }

    /// The Ethernet address that a host has resolved an IP address to, if it has.
    pub async fn neighbour(&self, host: &str, ip: IpAddr) -> Result<Option<Mac>, Error> {
        let found = self.node(host)?.netlink.neighbour(ip).await;
        found.map_err(|refused| refused.error("show the neighbours", host))
    }

    /// Runs `work` inside a namespace of the lab: sockets made there stay there.
    pub fn inside<T>(&self, netns: &str, work: impl FnOnce() -> T) -> Result<T, Error> {
        Ok(self.node(netns)?.ns.enter(work))
    }

    /// How to enter each namespace from another terminal, while this process lives.
    pub fn entrances(&self) -> Vec<(String, String)> {
        let pid = std::process::id();
        let user = if crate::sandbox::is_rootless() {
            format!("--user=/proc/{pid}/ns/user --preserve-credentials ")
        } else {
            String::new()
        };
        let line = |node: &Node| format!("nsenter {user}--net=/proc/{pid}/fd/{}", node.ns.raw());
        self.nodes.iter().map(|node| (node.name.clone(), line(node))).collect()
    }

    /// Has each change told, in words.
    pub(crate) fn tell_steps(&mut self, steps: fn(String)) {
        self.steps = Some(steps);
    }

    /// Has all frames that the taps see kept.
    pub(crate) fn record_into(&mut self, recording: &Recording) {
        self.recording = Some((recording.clone(), recording.begin_lab()));
    }

    /// Keeps a frame, if somebody wants it kept.
    pub(crate) fn record(&self, frame: impl FnOnce() -> Frame) {
        if let Some((recording, lab)) = &self.recording {
            recording.keep(Frame { lab: *lab, ..frame() });
        }
    }

    fn tell(&self, step: impl FnOnce() -> String) {
        if let Some(tell) = self.steps {
            tell(step());
        }
    }

    /// Asks something once without taps.
    pub(crate) async fn without_taps<T>(&mut self, ask: impl AsyncFnOnce(&mut Self) -> T) -> T {
        let traced = std::mem::replace(&mut self.traced, false);
        self.listeners = None;
        let answer = ask(self).await;
        self.traced = traced;
        self.listeners = None;
        answer
    }

    pub(crate) fn ear_bytes(&self) -> usize {
        self.ear_bytes
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.traced
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn listeners_mut(&mut self) -> &mut Option<Listeners> {
        &mut self.listeners
    }

    /// Numbers that no other probe of this lab has.
    pub(crate) fn take_probe(&mut self) -> u32 {
        self.next_probe += 1;
        self.next_probe
    }

    pub(crate) fn node(&self, name: &str) -> Result<&Node, Error> {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .ok_or_else(|| self.unknown("namespace", name))
    }

    pub(crate) fn index(&self, link: &LinkName) -> Result<u32, Error> {
        match self.topology.ifindex(link) {
            0 => Err(self.unknown("link", &link.to_string())),
            index => Ok(index),
        }
    }

    fn unknown(&self, kind: &str, name: &str) -> Error {
        Error::new(
            format!("there is no {kind} `{name}`"),
            format!("lab of topology `{}`", self.topology.name),
            "name one that the topology has; links are `netns:link`",
        )
    }
}
