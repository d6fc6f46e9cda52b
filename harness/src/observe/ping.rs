//! Grids of ICMP echo, each pair from a cold neighbour cache.
//!
//! surge-ping sends the requests and waits for the answers; a raw ICMP socket on each host, its
//! *ear*, tells whether a request arrived that was not answered. An echo between cold caches is a
//! chain: a broadcast (or multicast) that asks for the address, its unicast answer, the request,
//! the reply. A control is the same chain between a pair that works. Two rounds of them, out of
//! the sender and then into the receiver, flush each step.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::poll;
use hairpin_model::grid::{Cell, Direction, Dropped, Grid, Sighting, Verdict};
use hairpin_model::{Class, Error, Family};
use socket2::{Domain, Protocol, Socket, Type};
use surge_ping::{Client, Config, ICMP, PingIdentifier, PingSequence};

use super::answer::{Answer, answer, is_giving_up};
use super::controls::{Receiver, Sender, blocked};
use super::decode::{self, Heard};
use super::dropped::Told;
use super::ears::{Listeners, broken};
use super::{Endpoint, dropped, trace};
use crate::lab::{Lab, Node};
use crate::sys::PacketSocket;

use search::Controls;

/// How long an answer is waited for before the next pair is asked. No verdict depends on it: what
/// comes later is found when the controls are through.
const GRACE: Duration = Duration::from_micros(150);

/// How much longer for each host: a question is flooded to all of them first.
const GRACE_FOR_EACH: Duration = Duration::from_micros(10);

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

/// Observes one grid, or only one pair of it.
pub(super) async fn observe(
    lab: &mut Lab,
    listeners: &mut Listeners,
    hosts: &[Endpoint],
    family: Family,
    only: Option<(usize, usize)>,
) -> Result<Grid, Error> {
    listeners.open_taps(lab)?;
    let slot = &mut listeners.pings[usize::from(family == Family::V6)];
    let pings = match slot.take() {
        Some(pings) => pings,
        None => Pings::open(lab, hosts, family)?,
    };
    let addresses: Vec<IpAddr> =
        hosts.iter().map(|host| address(lab, host, family)).collect::<Result<_, _>>()?;
    let topology = lab.topology();
    let forwarding = topology.links.iter().filter(|link| topology.is_router(&link.name.netns));
    let routers = forwarding.flat_map(|link| &link.addresses).map(ipnet::IpNet::addr).collect();
    let place = |(place, node): (usize, &Node)| topology.is_router(&node.name).then_some(place);
    let routing = lab.nodes().iter().enumerate().filter_map(place).collect();
    let mut asking = Asking {
        lab,
        hosts,
        family,
        addresses,
        pings: &pings,
        taps: &listeners.taps,
        routers,
        routing,
        works: BTreeSet::new(),
        heard: BTreeMap::new(),
        seen: Vec::new(),
    };
    let grid = asking.ask_everyone(only).await;
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

type Pending = Pin<Box<dyn Future<Output = Answer>>>;

/// A request that is being decided.
struct Asked {
    from: usize,
    to: usize,
    number: u32,
    pending: Pending,
    answer: Option<Answer>,
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
    /// The addresses of namespaces that route: they resolve others on behalf of a request.
    routers: BTreeSet<IpAddr>,
    /// The places of those namespaces in the lab.
    routing: Vec<usize>,
    pings: &'l Pings,
    taps: &'l [PacketSocket],
    /// Pairs that are known to work: where controls come from.
    works: BTreeSet<(usize, usize)>,
    heard: BTreeMap<(u32, usize), Hearing>,
    /// What the taps saw since the pair was asked.
    seen: Vec<trace::Seen>,
}

impl Asking<'_> {
    async fn ask_everyone(&mut self, only: Option<(usize, usize)>) -> Result<Grid, Error> {
        let names = self.hosts.iter().map(|host| host.name.clone()).collect();
        let mut grid = Grid::undecided(Class::ping(self.family), names);
        for from in 0..self.hosts.len() {
            for to in 0..self.hosts.len() {
                if from != to && only.is_none_or(|only| only == (from, to)) {
                    grid.cells[from][to] = self.decide(from, to).await?;
                }
            }
        }
        Ok(grid)
    }

    /// Asks one pair from cold caches, and does not go on before it is decided: the next pair's
    /// cold caches would kill a request that still waits for its neighbour.
    async fn decide(&mut self, from: usize, to: usize) -> Result<Cell, Error> {
        self.cool(from, to).await?;
        self.heard.clear();
        self.seen.clear();
        trace::read(self.lab, self.taps)?;
        let since = dropped::now();
        let (number, pending) = self.ask(from, to);
        let mut asked = Asked { from, to, number, pending, answer: None, ttl: None };
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let grace = GRACE + GRACE_FOR_EACH * hosts;
        asked.answer = within(grace, &mut asked.pending).await;
        self.note(&mut asked)?;
        let controls = match asked.answer {
            Some(_) => None,
            None => Some(self.run_controls(&mut asked).await?),
        };
        self.note(&mut asked)?;
        let (verdict, proof) = self.verdict(&asked, controls);
        if verdict == Verdict::Delivered {
            self.works.insert((from, to));
        }
        let ttl = self.hearing(number, to).1.or(asked.ttl);
        let dropped = match verdict {
            Verdict::Delivered => Vec::new(),
            _ => self.dropped(&asked, since),
        };
        let seen = self.sightings(&asked).cloned().collect();
        Ok(Cell { verdict, proof, seen, dropped, overheard: Vec::new(), ttl })
    }

    /// Sends an echo request, and gives its number and what its answer will be.
    fn ask(&mut self, from: usize, to: usize) -> (u32, Pending) {
        self.ask_address(from, self.addresses[to])
    }

    fn ask_address(&mut self, from: usize, address: IpAddr) -> (u32, Pending) {
        let number = self.lab.take_probe();
        let client = self.pings.clients[from].clone();
        let pending = async move {
            // Identifier and sequence number together are the probe's own number.
            let [a, b, c, d] = number.to_be_bytes();
            let mut pinger =
                client.pinger(address, PingIdentifier(u16::from_be_bytes([a, b]))).await;
            pinger.timeout(FOREVER);
            let sequence = PingSequence(u16::from_be_bytes([c, d]));
            let asked = Instant::now();
            let answer = answer(address, pinger.ping(sequence, &decode::payload(number)).await);
            match &answer {
                Answer::Refused(refusal) if is_giving_up(refusal, asked.elapsed()) => {
                    std::future::pending().await
                }
                _ => answer,
            }
        };
        (number, Box::pin(pending))
    }

    /// Makes sender, receiver and every router forget their neighbours.
    async fn cool(&self, from: usize, to: usize) -> Result<(), Error> {
        let ends = [self.hosts[from].node, self.hosts[to].node];
        let routing = self.routing.iter().filter(|place| !ends.contains(place));
        for place in ends.iter().chain(routing) {
            let node = &self.lab.nodes()[*place];
            let forgot = node.netlink.forget_neighbours(self.family).await;
            forgot.map_err(|refused| refused.error("forget the neighbours", &node.name))?;
        }
        Ok(())
    }

    /// Makes two hosts forget each other, and nobody else: a request that still waits stays.
    async fn cool_pair(&self, a: usize, b: usize) -> Result<(), Error> {
        for (one, other) in [(a, b), (b, a)] {
            let node = &self.lab.nodes()[self.hosts[one].node];
            let forgot =
                node.netlink.forget_neighbour(self.hosts[one].index, self.addresses[other]).await;
            forgot.map_err(|refused| refused.error("forget a neighbour", &node.name))?;
        }
        Ok(())
    }

    /// Takes what the ears and taps have, and what of it belongs to the request.
    fn note(&mut self, asked: &mut Asked) -> Result<(), Error> {
        self.drain(asked.to)?;
        for seen in trace::read(self.lab, self.taps)? {
            if self.belongs(&seen.heard, asked) {
                asked.note(&seen, &self.hosts[asked.to]);
            }
            self.seen.push(seen);
        }
        trace::in_order(&mut self.seen);
        Ok(())
    }

    /// Where the request's frames were seen, in order of time.
    fn sightings(&self, asked: &Asked) -> impl DoubleEndedIterator<Item = &Sighting> {
        self.seen.iter().filter(|seen| self.belongs(&seen.heard, asked)).map(|seen| &seen.sighting)
    }

    /// What was given up of a request, and of the questions for its ends, since it was asked: an
    /// earlier pair has asked for the same addresses.
    fn dropped(&self, asked: &Asked, since: Duration) -> Vec<Dropped> {
        let ours = |told: &Told| told.at >= since && self.belongs(&told.heard, asked);
        dropped::take(self.lab).into_iter().filter(ours).map(|told| told.dropped).collect()
    }

    fn belongs(&self, heard: &Heard, asked: &Asked) -> bool {
        let ends = [self.addresses[asked.from], self.addresses[asked.to]];
        // A router asks from its link-local address; what it asks about tells for whom.
        let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let ours = |ip: &IpAddr| ends.contains(ip) || self.routers.contains(ip) || link_local(ip);
        match heard {
            Heard::Frame(_)
            | Heard::Datagram(_)
            | Heard::Segment { .. }
            | Heard::SegmentError { .. } => false,
            Heard::Echo { number, .. } | Heard::IcmpError { number } => *number == asked.number,
            Heard::Resolution { from, about, to, .. } => {
                ours(about) && from.as_ref().is_none_or(ours) && to.as_ref().is_none_or(ours)
            }
        }
    }

    /// Takes everything out of a host's ear.
    fn drain(&mut self, host: usize) -> Result<(), Error> {
        let mut buffer = [0; 2048];
        let mut ear = &self.pings.ears[host];
        loop {
            match ear.read(&mut buffer) {
                Ok(len) => {
                    if let Some((number, ttl)) = request(&buffer[..len], self.family) {
                        let hearing = self.heard.entry((number, host)).or_default();
                        *hearing = (hearing.0 + 1, ttl);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(broken("read from an ICMP socket", &error)),
            }
        }
    }

    fn hearing(&self, number: u32, at: usize) -> Hearing {
        self.heard.get(&(number, at)).copied().unwrap_or_default()
    }

    fn verdict(&self, asked: &Asked, controls: Option<Controls>) -> (Verdict, Option<String>) {
        let times = self.hearing(asked.number, asked.to).0;
        match &asked.answer {
            Some(Answer::Reply) if times > 1 => (Verdict::Duplicated(times), None),
            Some(Answer::Reply) => (Verdict::Delivered, None),
            Some(Answer::Refused(refusal)) => (Verdict::Refused(refusal.clone()), None),
            Some(Answer::Broken(words)) => (Verdict::Inconclusive(words.clone()), None),
            None => match self.proof(asked, &controls.unwrap_or_default()) {
                Ok(proof) if times > 0 => (Verdict::OneWay, Some(proof)),
                Ok(proof) => (Verdict::Blocked, Some(proof)),
                Err(why) => (Verdict::Inconclusive(why), None),
            },
        }
    }

    fn proof(&self, asked: &Asked, controls: &Controls) -> Result<String, String> {
        let (from, to) = (asked.from, asked.to);
        let own = self.hosts[from].link.to_string();
        let sender = match controls.out {
            Some(z) => Sender::Reached(vec![z]),
            None => match self.sightings(asked).rfind(|s| s.link != own && is_question(&s.what)) {
                Some(sighting) => Sender::SeenOn(sighting.link.clone()),
                None if !self.hosts[from].running => {
                    Sender::Mute(format!("`{own}` has no carrier"))
                }
                None => Sender::Unknown,
            },
        };
        let receiver = match controls.into {
            Some(y) => Receiver::HeardFrom(y),
            None if controls.itself => Receiver::HeardItself,
            None => Receiver::Deaf,
        };
        if !controls.read {
            return Err(format!(
                "`{}` did not hear itself: it may have an answer",
                self.hosts[from].name
            ));
        }
        blocked(self.hosts, to, &sender, &receiver, controls.queued)
    }
}

/// Whether a frame is the sender's own: not an answer to it.
fn is_question(what: &str) -> bool {
    matches!(what, "arp request" | "neighbour solicitation" | "echo request")
}

impl Asked {
    fn note(&mut self, seen: &trace::Seen, receiver: &Endpoint) {
        if let Heard::Echo { what: "echo request", ttl, .. } = seen.heard
            && seen.sighting.direction == Direction::In
            && seen.sighting.link == receiver.link.to_string()
        {
            self.ttl = Some(ttl);
        }
    }
}

/// Lets the runtime turn until the future is ready or the time is over, without sleeping: timers
/// are a hundred times coarser than an answer is fast.
///
/// It looks twice at least, whatever the time: a first look may only find that the runtime is owed
/// a turn, and then nothing is sent yet.
async fn within(time: Duration, pending: &mut Pending) -> Option<Answer> {
    let until = Instant::now() + time;
    let mut looks = 0;
    loop {
        if let std::task::Poll::Ready(answer) = poll!(pending.as_mut()) {
            return Some(answer);
        }
        looks += 1;
        if looks > 1 && Instant::now() >= until {
            return None;
        }
        tokio::task::yield_now().await;
    }
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
