//! Grids of bare Ethernet frames: unicast, broadcast, multicast.
//!
//! Three rounds, each a frame from every sender (to every receiver, for unicast). The first is the
//! probe. What arrived of it is sent again twice, each time awaited: the second round flushes every
//! way out of the senders, the third every way into the receivers. See the parent module for why
//! that proves what is missing of the first, and that what arrived arrived once.

mod fired;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use hairpin_model::grid::{Cell, Grid, Sighting, Verdict};
use hairpin_model::{Class, Error, Mac};

use super::controls::{Receiver, Sender, blocked};
use super::decode::{ETHERTYPE, Heard, frame, number_in};
use super::ears::{LOOPBACK, Listeners, broken, wait_readable};
use super::gate::{Gate, goes_through};
use super::shot::Shot;
use super::{Endpoint, cpus, dropped, has_queues, trace};
use crate::lab::{Lab, Queue};
use crate::sys::{Kind, PacketSocket};

use fired::Fired;
pub(super) use fired::shoot;

/// A group that no protocol uses, in the range for IPv4 documentation groups (233.252.0.1).
pub(super) const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0x7c, 0x00, 0x01]);

/// How long a frame may be under way before a control counts as lost. The worst seen on a loaded
/// machine is a hundredth of it.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long to wait for the first frame of a host that may be deaf or mute, where a parent's queue is
/// in between. Only hosts without any working way pay for it.
const FIRST: Duration = Duration::from_millis(250);

/// The same where no queue is in between: what comes later is counted when it comes, and does not
/// serve as a control.
const BRIEF: Duration = Duration::from_millis(2);

/// Sender, and receiver for unicast (`None` for a group), of each frame by its number.
type Sent = HashMap<u32, (usize, Option<usize>)>;

/// One round's frames and where they arrived, how often.
#[derive(Default)]
struct Round {
    sent: Sent,
    refused: BTreeMap<(usize, Option<usize>), String>,
    arrived: BTreeMap<(usize, usize), u32>,
    /// Sender, receiver, and another host whose stack took it.
    overheard: BTreeSet<(usize, usize, usize)>,
}

impl Round {
    fn count(&self, from: usize, to: usize) -> u32 {
        self.arrived.get(&(from, to)).copied().unwrap_or(0)
    }
}

/// Observes one grid.
pub(super) fn observe(
    lab: &mut Lab,
    listeners: &mut Listeners,
    hosts: &[Endpoint],
    class: Class,
) -> Result<Grid, Error> {
    let (probing, seen) = probe(lab, listeners, hosts, class, None)?;
    probing.judge(&seen)
}

/// Has all rounds sent, behind a shot if there is one.
fn probe<'l>(
    lab: &'l mut Lab,
    listeners: &'l mut Listeners,
    hosts: &'l [Endpoint],
    class: Class,
    shot: Option<((usize, Option<&Queue>), &'l Shot)>,
) -> Result<(Probing<'l>, Vec<trace::Seen>), Error> {
    listeners.open_frames(lab, hosts)?;
    listeners.open_taps(lab)?;
    let ethertype = shot.map_or(ETHERTYPE, |(_, shot)| shot.heard_as());
    listeners.open_datagrams(lab, hosts, ethertype)?;
    let listeners = &*listeners;
    let ears = &listeners.frames;
    let datagram_ears = listeners.datagrams.get(&ethertype).map_or(&[][..], Vec::as_slice);
    let mut probing = Probing {
        lab,
        hosts,
        ears,
        datagram_ears,
        class,
        rounds: Vec::new(),
        heard_itself: BTreeSet::new(),
        shot: None,
        buffer: vec![0; if shot.is_some() { LONGEST } else { 64 }],
    };
    probing.forget()?;
    probing.announce()?;
    trace::read(probing.lab, &listeners.taps)?;
    if let Some((from, shot)) = shot {
        probing.fire(from, shot)?;
    }
    probing.rounds()?;
    if probing.waits_in_queues() {
        cpus::run_empty()?;
    }
    probing.drain()?;
    let seen = trace::read(probing.lab, &listeners.taps)?;
    Ok((probing, seen))
}

/// The longest frame that any link takes, and its header.
const LONGEST: usize = 65535 + 18;

struct Probing<'l> {
    lab: &'l mut Lab,
    hosts: &'l [Endpoint],
    ears: &'l [PacketSocket],
    /// What the shot is heard by if it is a datagram. It is handed up by the same queues as the
    /// frames are, so their controls flush these, too.
    datagram_ears: &'l [PacketSocket],
    class: Class,
    rounds: Vec<Round>,
    /// Host, and number of the frame that it heard over its loopback.
    heard_itself: BTreeSet<(usize, u32)>,
    shot: Option<Fired<'l>>,
    buffer: Vec<u8>,
}

impl<'l> Probing<'l> {
    /// Empties the ears of what earlier grids left.
    fn forget(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 64];
        for ear in self.ears.iter().chain(self.datagram_ears) {
            while ear.receive(&mut buffer).map_err(|e| broken("read a frame", &e))?.is_some() {}
            // Reading the counter sets it to zero.
            ear.dropped().map_err(|e| broken("read a socket's statistics", &e))?;
        }
        Ok(())
    }

    /// Before unicast, every host says where it is, so that switches forward and do not flood.
    fn announce(&mut self) -> Result<(), Error> {
        if self.class != Class::Unicast {
            return Ok(());
        }
        for (host, ear) in self.hosts.iter().zip(self.ears) {
            let number = self.lab.take_probe();
            // A link that cannot send is dealt with where the probes are.
            ear.send(host.index, &frame(Mac::BROADCAST, host.mac, number)).unwrap_or_default();
        }
        self.forget()
    }

    fn rounds(&mut self) -> Result<(), Error> {
        self.send()?;
        self.await_first()?;
        for _ in 0..2 {
            let expected: Vec<(usize, usize)> = self.rounds[0].arrived.keys().copied().collect();
            self.send()?;
            let round = self.rounds.len() - 1;
            self.wait(DEADLINE, |probing| {
                expected.iter().all(|&(from, to)| probing.rounds[round].count(from, to) > 0)
            })?;
        }
        for host in self.unheard() {
            self.loop_back(host)?;
        }
        Ok(())
    }

    /// Sends a frame from everyone to everyone, as a new round.
    fn send(&mut self) -> Result<(), Error> {
        let mut round = Round::default();
        for from in 0..self.hosts.len() {
            let receivers: Vec<Option<usize>> = if self.class.is_group() {
                vec![None]
            } else {
                (0..self.hosts.len()).filter(|to| *to != from).map(Some).collect()
            };
            for to in receivers {
                let number = self.lab.take_probe();
                let host = &self.hosts[from];
                let frame = frame(self.destination(to), host.mac, number);
                round.sent.insert(number, (from, to));
                if let Err(error) = self.ears[from].send(host.index, &frame) {
                    round.refused.insert((from, to), error.to_string());
                }
            }
        }
        self.rounds.push(round);
        self.drain()
    }

    fn destination(&self, to: Option<usize>) -> Mac {
        match (to, self.class) {
            (Some(to), _) => self.hosts[to].mac,
            (None, Class::Multicast) => GROUP,
            (None, _) => Mac::BROADCAST,
        }
    }

    /// Gives the first round the time to show where controls can come from. What is missing then
    /// is missing, or the proof will be.
    fn await_first(&mut self) -> Result<(), Error> {
        if self.waits_in_queues() {
            return self.wait(FIRST, Self::are_provable);
        }
        if !self.are_provable() {
            cpus::run_empty()?;
        }
        self.wait(BRIEF, Self::are_provable)
    }

    /// Whether frames of this class can wait in a queue of a link's own.
    fn waits_in_queues(&self) -> bool {
        self.class.is_group() && has_queues(self.lab.topology())
    }

    fn are_provable(&self) -> bool {
        let n = self.hosts.len();
        (0..n).all(|from| (0..n).all(|to| self.is_provable(from, to)))
    }

    /// Whether the pair's probe has arrived, or there are pairs to take controls from.
    fn is_provable(&self, from: usize, to: usize) -> bool {
        let running = self.hosts[from].running && self.hosts[to].running;
        let arrived = &self.rounds[0].arrived;
        if !running || (from == to && !self.class.is_group()) || arrived.contains_key(&(from, to)) {
            return true;
        }
        let out = || arrived.keys().filter(|(s, z)| *s == from && *z != to && *z != from);
        let into = || arrived.keys().filter(|(y, at)| *at == to && *y != to);
        let queue = self.class.is_group() && self.hosts[to].parent.is_some();
        let flushed = || {
            into().any(|(y, _)| goes_through(&self.hosts[*y], &self.hosts[to]))
                || out().any(|(_, z)| self.hosts[*z].parent == self.hosts[to].parent)
        };
        // Without a queue in between, a receiver that nobody reaches still hears its loopback.
        out().next().is_some() && (!queue || flushed())
    }

    /// Reads until `done`, at most so long.
    fn wait(&mut self, at_most: Duration, done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let until = Instant::now() + at_most;
        self.drain()?;
        while !done(self) && Instant::now() < until {
            wait_readable(self.ears, until);
            self.drain()?;
        }
        Ok(())
    }

    /// Takes everything out of the ears.
    fn drain(&mut self) -> Result<(), Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let drained = self.drain_into(&mut buffer);
        self.buffer = buffer;
        drained
    }

    fn drain_into(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let ears = self.ears.iter().enumerate().chain(self.datagram_ears.iter().enumerate());
        for (to, ear) in ears {
            while let Some(arrival) = ear.receive(buffer).map_err(|e| broken("read a frame", &e))? {
                let bytes = &buffer[..arrival.len.min(buffer.len())];
                let Some(number) = number_in(bytes) else { continue };
                if self.shot.as_ref().is_some_and(|fired| fired.number == number) {
                    self.hear_shot(to, &arrival, bytes);
                } else if arrival.ifindex == LOOPBACK {
                    self.heard_itself.insert((to, number));
                } else if arrival.ifindex == self.hosts[to].index && arrival.kind == self.kind() {
                    self.count(number, to);
                }
            }
        }
        Ok(())
    }

    /// What a frame of this class is to a link that it is for.
    fn kind(&self) -> Kind {
        match self.class {
            Class::Broadcast => Kind::Broadcast,
            Class::Multicast => Kind::Multicast,
            _ => Kind::Host,
        }
    }

    fn count(&mut self, number: u32, at: usize) {
        for round in &mut self.rounds {
            match round.sent.get(&number) {
                Some(&(from, Some(to))) if to != at => {
                    round.overheard.insert((from, to, at));
                }
                Some(&(from, _)) => *round.arrived.entry((from, at)).or_default() += 1,
                None => {}
            }
        }
    }

    /// The hosts that no control reached.
    fn unheard(&self) -> Vec<usize> {
        let last = &self.rounds[2].arrived;
        (0..self.hosts.len()).filter(|host| !last.keys().any(|&(_, to)| to == *host)).collect()
    }

    /// Lets a host's ear hear frames of this class over the host's own loopback, one after the
    /// other. Each passes the queue of this CPU once, and moves what waits there by a hop or more:
    /// after as many as there are hops, nothing is left on its way.
    fn loop_back(&mut self, host: usize) -> Result<(), Error> {
        let to = match self.class {
            Class::Broadcast => Mac::BROADCAST,
            Class::Multicast => GROUP,
            _ => Mac([0; 6]),
        };
        for _ in 0..self.lab.topology().links.len() {
            let number = self.lab.take_probe();
            let sent = self.ears[host].send(LOOPBACK, &frame(to, Mac([0; 6]), number));
            sent.map_err(|error| broken("send a frame over a loopback", &error))?;
            self.wait(DEADLINE, |probing| probing.heard_itself.contains(&(host, number)))?;
        }
        Ok(())
    }

    fn judge(&self, seen: &[trace::Seen]) -> Result<Grid, Error> {
        let mut dropped = Vec::new();
        for ear in self.ears {
            dropped.push(ear.dropped().map_err(|e| broken("read a socket's statistics", &e))?);
        }
        let mut grid =
            Grid::undecided(self.class, self.hosts.iter().map(|host| host.name.clone()).collect());
        for from in 0..self.hosts.len() {
            for (to, dropped) in dropped.iter().enumerate() {
                if from != to || self.class.is_group() {
                    grid.cells[from][to] = self.cell(from, to, *dropped, seen);
                }
            }
        }
        self.add_dropped(&mut grid);
        Ok(grid)
    }

    /// Tells of each pair whose frame did not come where the kernel gave it up.
    fn add_dropped(&self, grid: &mut Grid) {
        if grid.is_whole() {
            return;
        }
        for told in dropped::take(self.lab) {
            let Heard::Frame(number) = told.heard else { continue };
            let Some(&(from, to)) = self.rounds[0].sent.get(&number) else { continue };
            // A frame to all ends at every host, and concerns no pair but that host's.
            let ends_at = self.hosts.iter().position(|host| host.node == told.node);
            for (at, cell) in grid.cells[from].iter_mut().enumerate() {
                let concerns = to.or(ends_at).is_none_or(|only| only == at);
                if concerns && !cell.verdict.is_whole() {
                    cell.dropped.push(told.dropped.clone());
                }
            }
        }
    }

    fn cell(&self, from: usize, to: usize, dropped: u32, seen: &[trace::Seen]) -> Cell {
        let receiver = (!self.class.is_group()).then_some(to);
        let probe = self.sighted(0, from, receiver, seen);
        let (verdict, proof) = match self.rounds[0].count(from, to) {
            _ if dropped > 0 => {
                // Whatever it heard, it may have been more.
                let why = format!("the socket of `{}` lost {dropped} frames", self.hosts[to].name);
                (Verdict::Inconclusive(why), None)
            }
            1 => (Verdict::Delivered, None),
            0 => self.missing(from, to, seen),
            n => (Verdict::Duplicated(n), None),
        };
        let overheard = self.rounds[0].overheard.iter().filter(|(s, r, _)| (*s, *r) == (from, to));
        let overheard = overheard.map(|(_, _, at)| self.hosts[*at].name.clone()).collect();
        Cell { verdict, proof, seen: probe, dropped: Vec::new(), overheard, ttl: None }
    }

    fn missing(&self, from: usize, to: usize, seen: &[trace::Seen]) -> (Verdict, Option<String>) {
        let receiver = (!self.class.is_group()).then_some(to);
        let probe = |heard: &Heard| self.is_of(0, from, receiver, heard);
        let queued = self.is_queued(from, to, &probe, seen);
        let sender = match self.rounds[0].refused.get(&(from, receiver)) {
            Some(error) => Sender::Mute(format!("the sender's kernel refused to send it: {error}")),
            None => self.sender(from, to, receiver, seen),
        };
        match blocked(self.hosts, to, &sender, &self.receiver(to), queued) {
            Ok(_) if from == to => (Verdict::Own, None),
            Ok(proof) => (Verdict::Blocked, Some(proof)),
            Err(why) => (Verdict::Inconclusive(why), None),
        }
    }

    /// Whether a frame to a group may still wait in the queue before the receiver. Where there are no
    /// taps, the ways of the controls must do as evidence.
    fn is_queued(
        &self,
        from: usize,
        to: usize,
        probe: &dyn Fn(&Heard) -> bool,
        seen: &[trace::Seen],
    ) -> bool {
        let host = &self.hosts[to];
        let gate = Gate::before(host, self.lab.topology()).filter(|_| self.class.is_group());
        let Some(gate) = gate else { return false };
        if self.lab.is_traced() {
            return gate.may_hold(seen.iter().filter(|s| probe(&s.heard)), seen);
        }
        let goes = |y: usize, z: usize| {
            self.hosts[z].parent == host.parent && goes_through(&self.hosts[y], &self.hosts[z])
        };
        let out = self.rounds[1].arrived.keys().any(|&(s, z)| s == from && z != to && goes(s, z));
        let into = self.rounds[2].arrived.keys().any(|&(y, z)| z == to && y != to && goes(y, z));
        !(out || into)
    }

    /// What the second round shows of the sender.
    fn sender(
        &self,
        from: usize,
        to: usize,
        receiver: Option<usize>,
        seen: &[trace::Seen],
    ) -> Sender {
        let reached =
            self.rounds[1].arrived.keys().filter(|(s, z)| *s == from && *z != to && *z != from);
        let reached: Vec<usize> = reached.map(|&(_, z)| z).collect();
        if !reached.is_empty() {
            return Sender::Reached(reached);
        }
        let own = self.hosts[from].link.to_string();
        let beyond = self.sighted(1, from, receiver, seen).into_iter().rfind(|s| s.link != own);
        if let Some(sighting) = beyond {
            return Sender::SeenOn(sighting.link);
        }
        if !self.hosts[from].running {
            return Sender::Mute(format!("`{own}` has no carrier"));
        }
        Sender::Unknown
    }

    /// What the third round shows of the receiver; best a control that came out of its queue.
    fn receiver(&self, to: usize) -> Receiver {
        let heard = self.rounds[2].arrived.keys().filter(|&&(y, at)| at == to && y != to);
        match heard.map(|(y, _)| *y).max_by_key(|y| goes_through(&self.hosts[*y], &self.hosts[to]))
        {
            Some(from) => Receiver::HeardFrom(from),
            None if self.heard_itself.iter().any(|(host, _)| *host == to) => Receiver::HeardItself,
            None => Receiver::Deaf,
        }
    }

    /// Where the taps saw a round's frame.
    fn sighted(
        &self,
        round: usize,
        from: usize,
        to: Option<usize>,
        seen: &[trace::Seen],
    ) -> Vec<Sighting> {
        let ours = |seen: &&trace::Seen| self.is_of(round, from, to, &seen.heard);
        seen.iter().filter(ours).map(|seen| seen.sighting.clone()).collect()
    }

    /// Whether it is the frame that a host sent in a round.
    fn is_of(&self, round: usize, from: usize, to: Option<usize>, heard: &Heard) -> bool {
        let sent = &self.rounds[round].sent;
        matches!(heard, Heard::Frame(number) if sent.get(number) == Some(&(from, to)))
    }
}
