//! Grids of ICMP echo, each pair from a cold neighbour cache.
//!
//! surge-ping sends the requests and waits for the answers; a raw ICMP socket on each host, its
//! *ear*, tells whether a request arrived that was not answered. An echo between cold caches is a
//! chain: a broadcast (or multicast) that asks for the address, its unicast answer, the request,
//! the reply. A control is the same chain between a pair that works. Two rounds of them, out of
//! every sender and then into every receiver that something is missing from, flush each step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::{FutureExt, poll};
use hairpin_model::grid::{Cell, Direction, Grid, Refusal, Sighting, Verdict};
use hairpin_model::{Class, Error, Family};
use socket2::{Domain, Protocol, Socket, Type};
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

use super::controls::{Receiver, Sender, blocked};
use super::decode::{self, Heard};
use super::ears::{Listeners, broken};
use super::{Endpoint, trace};
use crate::lab::Lab;

/// How long an answer is waited for before the next pair is asked. No verdict depends on it: what
/// comes later is found when the controls are through.
const GRACE: Duration = Duration::from_micros(150);

/// How long a control may take before it counts as lost; see `frame`.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long to wait for the first answer to or from a host that may be cut off.
const FIRST: Duration = Duration::from_millis(250);

/// Longer than any case: surge-ping must not decide when we stop waiting.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// The ICMP sockets of a lab's hosts, for one family.
pub(crate) struct Pings {
    clients: Vec<Client>,
    ears: Vec<Socket>,
}

impl Pings {
    fn open(lab: &Lab, hosts: &[Endpoint], family: Family) -> Result<Self, Error> {
        let mut pings = Self { clients: Vec::new(), ears: Vec::new() };
        for host in hosts {
            let ns = &lab.nodes()[host.node].ns;
            let client =
                ns.enter(|| client(family)).map_err(|e| broken("open an ICMP socket", &e))?;
            if client.get_socket().get_type() != Type::RAW {
                let why = io::Error::other("the kernel gave no raw one");
                return Err(broken("open an ICMP socket", &why));
            }
            pings.clients.push(client);
            pings
                .ears
                .push(ns.enter(|| ear(family)).map_err(|e| broken("open an ICMP socket", &e))?);
        }
        Ok(pings)
    }
}

fn client(family: Family) -> io::Result<Client> {
    let kind = match family {
        Family::V4 => ICMP::V4,
        Family::V6 => ICMP::V6,
    };
    Client::new(&Config::builder().kind(kind).sock_type_hint(Type::RAW).build())
}

fn ear(family: Family) -> io::Result<Socket> {
    let (domain, protocol) = match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(protocol))?;
    socket.set_recv_buffer_size(8 << 20)?;
    Ok(socket)
}

/// Observes one grid.
pub(super) async fn observe(
    lab: &mut Lab,
    listeners: &mut Listeners,
    hosts: &[Endpoint],
    family: Family,
) -> Result<Grid, Error> {
    listeners.open_taps(lab)?;
    let slot = &mut listeners.pings[usize::from(family == Family::V6)];
    let pings = match slot.take() {
        Some(pings) => pings,
        None => Pings::open(lab, hosts, family)?,
    };
    let addresses: Vec<IpAddr> =
        hosts.iter().map(|host| address(lab, host, family)).collect::<Result<_, _>>()?;
    let mut asking = Asking {
        lab,
        hosts,
        family,
        addresses,
        pings: &pings,
        taps: &listeners.taps,
        asked: BTreeMap::new(),
        numbers: HashMap::new(),
        heard: BTreeMap::new(),
    };
    asking.drain_ears()?;
    asking.ask_everyone().await?;
    let grid = asking.decide().await;
    *slot = Some(pings);
    grid
}

fn address(lab: &Lab, host: &Endpoint, family: Family) -> Result<IpAddr, Error> {
    lab.topology().address_of(&host.name, family).ok_or_else(|| {
        Error::new(
            format!("`{}` has no {family:?} address to be pinged at", host.name),
            format!("topology `{}`", lab.topology().name),
            "give one of its links an address of that family",
        )
    })
}

/// How an echo request ended.
enum Answer {
    Reply,
    Refused(Refusal),
    /// Something is wrong with us: words.
    Broken(String),
}

type Pending = Pin<Box<dyn Future<Output = Answer>>>;

/// A request and what is known of it.
struct Asked {
    number: u32,
    answer: Option<Answer>,
    pending: Option<Pending>,
    seen: Vec<Sighting>,
    /// The request's TTL when it was seen entering the receiver.
    ttl: Option<u8>,
}

/// How often, and with which TTL, an ear heard a request.
type Hearing = (u32, Option<u8>);

struct Asking<'l> {
    lab: &'l mut Lab,
    hosts: &'l [Endpoint],
    family: Family,
    addresses: Vec<IpAddr>,
    pings: &'l Pings,
    taps: &'l [crate::sys::PacketSocket],
    asked: BTreeMap<(usize, usize), Asked>,
    numbers: HashMap<u32, (usize, usize)>,
    heard: BTreeMap<(u32, usize), Hearing>,
}

impl Asking<'_> {
    async fn ask_everyone(&mut self) -> Result<(), Error> {
        for from in 0..self.hosts.len() {
            for to in 0..self.hosts.len() {
                if from != to {
                    self.ask_pair(from, to).await?;
                }
            }
        }
        Ok(())
    }

    /// Asks one pair from a cold cache and notes the way its frames took.
    async fn ask_pair(&mut self, from: usize, to: usize) -> Result<(), Error> {
        self.cool(from, to).await?;
        trace::read(self.lab, self.taps)?;
        let (number, mut pending) = self.ask(from, to);
        let answer = within(GRACE, &mut pending).await;
        self.drain_ears()?;
        let mut asked =
            Asked { number, answer, pending: Some(pending), seen: Vec::new(), ttl: None };
        for seen in trace::read(self.lab, self.taps)? {
            if self.belongs(&seen.heard, from, to, number) {
                asked.note(seen, &self.hosts[to]);
            }
        }
        if asked.answer.is_some() {
            asked.pending = None;
        }
        self.asked.insert((from, to), asked);
        Ok(())
    }

    /// Sends an echo request, and gives its number and what its answer will be.
    fn ask(&mut self, from: usize, to: usize) -> (u32, Pending) {
        let number = self.lab.take_probe();
        self.numbers.insert(number, (from, to));
        let client = self.pings.clients[from].clone();
        let address = self.addresses[to];
        let pending = async move {
            // Identifier and sequence number together are as unique as the probe's own number.
            let [a, b, c, d] = number.to_be_bytes();
            let identifier = PingIdentifier(u16::from_be_bytes([a, b]) ^ 0x4850);
            let mut pinger = client.pinger(address, identifier).await;
            pinger.timeout(FOREVER);
            let sequence = PingSequence(u16::from_be_bytes([c, d]));
            answer(address, pinger.ping(sequence, &decode::payload(number)).await)
        };
        (number, Box::pin(pending))
    }

    /// Makes sender, receiver and every router forget their neighbours.
    async fn cool(&self, from: usize, to: usize) -> Result<(), Error> {
        for (place, node) in self.lab.nodes().iter().enumerate() {
            let ends = place == self.hosts[from].node || place == self.hosts[to].node;
            if ends || self.routes(&node.name) {
                let forgot = node.netlink.forget_neighbours().await;
                forgot.map_err(|refused| refused.error("forget the neighbours", &node.name))?;
            }
        }
        Ok(())
    }

    fn routes(&self, netns: &str) -> bool {
        let netns = self.lab.topology().netns.iter().find(|n| n.name == netns);
        netns.is_some_and(|n| {
            n.sysctls.keys().any(|name| name.ends_with("forward") || name.ends_with("forwarding"))
        })
    }

    /// Whether a frame belongs to the request that was just sent.
    fn belongs(&self, heard: &Heard, from: usize, to: usize, number: u32) -> bool {
        let ends = [self.addresses[from], self.addresses[to]];
        match heard {
            Heard::Frame(_) => false,
            Heard::Echo { number: n, .. } | Heard::IcmpError { number: n } => *n == number,
            Heard::Resolution { from, about, .. } => {
                ends.contains(about) || from.is_some_and(|from| ends.contains(&from))
            }
        }
    }

    /// Takes everything out of the ears.
    fn drain_ears(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 2048];
        for (at, mut ear) in self.pings.ears.iter().enumerate() {
            loop {
                match ear.read(&mut buffer) {
                    Ok(len) => {
                        if let Some((number, ttl)) = request(&buffer[..len], self.family) {
                            let hearing = self.heard.entry((number, at)).or_default();
                            *hearing = (hearing.0 + 1, ttl);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(broken("read from an ICMP socket", &error)),
                }
            }
        }
        Ok(())
    }

    fn hearing(&self, number: u32, at: usize) -> Hearing {
        self.heard.get(&(number, at)).copied().unwrap_or_default()
    }

    /// Looks again at every request that is still open.
    async fn look_again(&mut self) -> Result<(), Error> {
        for asked in self.asked.values_mut() {
            if let Some(pending) = &mut asked.pending
                && let std::task::Poll::Ready(answer) = poll!(pending)
            {
                asked.answer = Some(answer);
                asked.pending = None;
            }
        }
        self.drain_ears()
    }

    fn open(&self) -> Vec<(usize, usize)> {
        self.asked
            .iter()
            .filter(|(_, asked)| asked.answer.is_none())
            .map(|(pair, _)| *pair)
            .collect()
    }

    fn answered(&self, from: usize, to: usize) -> bool {
        self.asked.get(&(from, to)).is_some_and(|asked| matches!(asked.answer, Some(Answer::Reply)))
    }

    /// A host whose echo requests `from` gets answered, other than `to`; best a sibling of `to`.
    fn witness(&self, from: usize, to: usize) -> Option<usize> {
        let mut reached: Vec<usize> =
            (0..self.hosts.len()).filter(|z| *z != to && self.answered(from, *z)).collect();
        reached.sort_by_key(|z| self.hosts[*z].parent != self.hosts[to].parent);
        reached.first().copied()
    }

    /// A host that gets answers from `to`, other than `from`.
    fn caller(&self, from: usize, to: usize) -> Option<usize> {
        (0..self.hosts.len()).find(|y| *y != from && self.answered(*y, to))
    }

    /// Gives hosts without any working pair the time to show one.
    async fn await_first(&mut self) -> Result<(), Error> {
        let until = Instant::now() + FIRST;
        let cut_off = |asking: &Self| {
            asking.open().iter().any(|&(from, to)| {
                let (a, b) = (&asking.hosts[from], &asking.hosts[to]);
                a.running
                    && b.running
                    && (asking.witness(from, to).is_none() || asking.caller(from, to).is_none())
            })
        };
        while cut_off(self) && Instant::now() < until {
            tokio::time::timeout_at(until.into(), next_tick()).await.unwrap_or_default();
            self.look_again().await?;
        }
        Ok(())
    }

    /// Runs the controls for every open request.
    async fn run_controls(&mut self) -> Result<Controls, Error> {
        let mut controls = Controls::default();
        for _ in 0..2 {
            let mut done = BTreeSet::new();
            for (from, to) in self.open() {
                if let Some(z) = self.witness(from, to)
                    && done.insert((from, z))
                    && self.control(from, z).await?
                {
                    controls.out.insert((from, z));
                }
            }
            let mut done = BTreeSet::new();
            for (from, to) in self.open() {
                let Some(y) = self.caller(from, to) else {
                    if done.insert((to, to)) && self.hears_itself(to).await? {
                        controls.itself.insert(to);
                    }
                    continue;
                };
                if done.insert((y, to)) && self.control(y, to).await? {
                    controls.into.insert((y, to));
                }
            }
        }
        self.look_again().await?;
        Ok(controls)
    }

    /// Runs one control between a pair that works: whether it came through and the receiver's ear
    /// heard it.
    async fn control(&mut self, from: usize, to: usize) -> Result<bool, Error> {
        self.cool(from, to).await?;
        let (number, pending) = self.ask(from, to);
        let answer = tokio::time::timeout(DEADLINE, pending).await;
        self.drain_ears()?;
        Ok(matches!(answer, Ok(Answer::Reply)) && self.hearing(number, to).0 > 0)
    }

    /// Whether a host's ear hears a request from the host to itself.
    async fn hears_itself(&mut self, host: usize) -> Result<bool, Error> {
        let (number, pending) = self.ask(host, host);
        tokio::time::timeout(DEADLINE, pending).map(drop).await;
        self.drain_ears()?;
        Ok(self.hearing(number, host).0 > 0)
    }

    async fn decide(&mut self) -> Result<Grid, Error> {
        self.await_first().await?;
        let controls =
            if self.open().is_empty() { Controls::default() } else { self.run_controls().await? };
        let names = self.hosts.iter().map(|host| host.name.clone()).collect();
        let mut grid = Grid::undecided(Class::ping(self.family), names);
        for (&(from, to), asked) in &self.asked {
            let (verdict, proof) = self.verdict(from, to, asked, &controls);
            let ttl = self.hearing(asked.number, to).1.or(asked.ttl);
            grid.cells[from][to] = Cell { verdict, proof, seen: asked.seen.clone(), ttl };
        }
        Ok(grid)
    }

    fn verdict(
        &self,
        from: usize,
        to: usize,
        asked: &Asked,
        controls: &Controls,
    ) -> (Verdict, Option<String>) {
        let times = self.hearing(asked.number, to).0;
        match &asked.answer {
            Some(Answer::Reply) if times > 1 => (Verdict::Duplicated(times), None),
            Some(Answer::Reply) => (Verdict::Delivered, None),
            Some(Answer::Refused(refusal)) => (Verdict::Refused(refusal.clone()), None),
            Some(Answer::Broken(words)) => (Verdict::Inconclusive(words.clone()), None),
            None => match self.proof(from, to, asked, controls) {
                Ok(proof) if times > 0 => (Verdict::OneWay, Some(proof)),
                Ok(proof) => (Verdict::Blocked, Some(proof)),
                Err(why) => (Verdict::Inconclusive(why), None),
            },
        }
    }

    fn proof(
        &self,
        from: usize,
        to: usize,
        asked: &Asked,
        controls: &Controls,
    ) -> Result<String, String> {
        let own = self.hosts[from].link.to_string();
        let reached: Vec<usize> =
            controls.out.iter().filter(|(s, z)| *s == from && *z != to).map(|(_, z)| *z).collect();
        let beyond =
            asked.seen.iter().rfind(|s| s.link != own && !s.link.starts_with(&self.hosts[to].name));
        let sender = if !reached.is_empty() {
            Sender::Reached(reached)
        } else if let Some(sighting) = beyond {
            Sender::SeenOn(sighting.link.clone())
        } else if !self.hosts[from].running {
            Sender::Mute(format!("`{own}` has no carrier"))
        } else {
            Sender::Unknown
        };
        let receiver = match controls.into.iter().find(|(y, at)| *at == to && *y != from) {
            Some((y, _)) => Receiver::HeardFrom(*y),
            None if controls.itself.contains(&to) => Receiver::HeardItself,
            None => Receiver::Deaf,
        };
        let queued = self.hosts[to].parent.as_ref().is_some_and(|parent| {
            let parent = parent.to_string();
            !self.lab.is_traced()
                || asked.seen.iter().any(|s| s.link == parent && s.direction == Direction::In)
        });
        blocked(self.hosts, to, &sender, &receiver, queued)
    }
}

/// The controls that came through.
#[derive(Default)]
struct Controls {
    /// Out of senders that something is missing from: sender, host reached.
    out: BTreeSet<(usize, usize)>,
    /// Into receivers that something is missing at: host, receiver.
    into: BTreeSet<(usize, usize)>,
    /// Receivers that heard themselves.
    itself: BTreeSet<usize>,
}

impl Asked {
    fn note(&mut self, seen: trace::Seen, receiver: &Endpoint) {
        if let Heard::Echo { what: "echo request", ttl, .. } = seen.heard
            && seen.sighting.direction == Direction::In
            && seen.sighting.link == receiver.link.to_string()
        {
            self.ttl = Some(ttl);
        }
        self.seen.push(seen.sighting);
    }
}

/// Lets the runtime turn until the future is ready or the time is over, without sleeping: timers
/// are a hundred times coarser than an answer is fast.
async fn within(time: Duration, pending: &mut Pending) -> Option<Answer> {
    let until = Instant::now() + time;
    loop {
        if let std::task::Poll::Ready(answer) = poll!(pending.as_mut()) {
            return Some(answer);
        }
        if Instant::now() >= until {
            return None;
        }
        tokio::task::yield_now().await;
    }
}

/// Lets the runtime's own tasks and sockets have a turn of a millisecond at most.
async fn next_tick() {
    tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
        .await
        .unwrap_or_default();
}

fn answer(target: IpAddr, result: Result<(IcmpPacket, Duration), SurgeError>) -> Answer {
    match result {
        Ok((IcmpPacket::V4(packet), _)) => {
            let source = IpAddr::V4(packet.get_source());
            icmp4(packet.get_icmp_type().0, packet.get_icmp_code().0, source == target)
        }
        Ok((IcmpPacket::V6(packet), _)) => {
            let source = IpAddr::V6(packet.get_source());
            icmp6(packet.get_icmpv6_type().0, packet.get_icmpv6_code().0, source == target)
        }
        Err(SurgeError::IOError(error)) => local(&error),
        Err(error) => Answer::Broken(error.to_string()),
    }
}

/// Codes of RFC 792 and RFC 1812.
fn icmp4(kind: u8, code: u8, from_target: bool) -> Answer {
    match (kind, code) {
        (0, _) if from_target => Answer::Reply,
        (3, 0) => Answer::Refused(Refusal::NoRoute),
        (3, 1) => Answer::Refused(Refusal::Host),
        (3, 3) => Answer::Refused(Refusal::Port),
        (3, 9 | 10 | 13) => Answer::Refused(Refusal::Prohibited),
        (kind, code) => Answer::Refused(Refusal::Other(format!("ICMP type {kind} code {code}"))),
    }
}

/// Codes of RFC 4443.
fn icmp6(kind: u8, code: u8, from_target: bool) -> Answer {
    match (kind, code) {
        (129, _) if from_target => Answer::Reply,
        (1, 0) => Answer::Refused(Refusal::NoRoute),
        (1, 1 | 5 | 6) => Answer::Refused(Refusal::Prohibited),
        (1, 3) => Answer::Refused(Refusal::Host),
        (1, 4) => Answer::Refused(Refusal::Port),
        (kind, code) => Answer::Refused(Refusal::Other(format!("ICMPv6 type {kind} code {code}"))),
    }
}

/// What the sender's own kernel said.
fn local(error: &io::Error) -> Answer {
    Answer::Refused(match error.raw_os_error() {
        Some(libc::ENETUNREACH) => Refusal::NoRoute,
        Some(libc::EHOSTUNREACH) => Refusal::Host,
        Some(libc::EPERM | libc::EACCES) => Refusal::Prohibited,
        _ => Refusal::Other(format!("the sender's kernel: {error}")),
    })
}

/// The number and TTL of an echo request as a raw socket hands it over: IPv4 with its header, IPv6
/// without.
fn request(bytes: &[u8], family: Family) -> Option<(u32, Option<u8>)> {
    let (icmp, ttl, kind) = match family {
        Family::V4 => {
            let header = usize::from(bytes.first()? & 0x0f) * 4;
            (bytes.get(header..)?, bytes.get(8).copied(), 8)
        }
        Family::V6 => (bytes, None, 128),
    };
    if *icmp.first()? != kind {
        return None;
    }
    Some((decode::number(icmp.get(8..)?)?, ttl))
}
