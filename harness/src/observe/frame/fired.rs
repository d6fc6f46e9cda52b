//! A frame of the case's own, fired ahead of a grid's rounds: their controls prove what became of it.

use hairpin_model::grid::Sighting;
use hairpin_model::{Class, Error};

use super::{Endpoint, Probing, probe};
use crate::lab::{Lab, Queue};
use crate::observe::controls::{Sender, blocked};
use crate::observe::decode::Heard;
use crate::observe::ears::{Listeners, broken};
use crate::observe::shot::{Fate, Hearing, Shot, Tag};
use crate::observe::trace;
use crate::sys::{Arrival, PacketSocket};

/// A shot under way.
pub(super) struct Fired<'l> {
    shot: &'l Shot,
    from: usize,
    pub(super) number: u32,
    refused: Option<i32>,
    /// Host, link, and what came there.
    heard: Vec<(usize, u32, Hearing)>,
}

/// Sends a frame of the case's own from a host, and proves what became of it.
pub(in crate::observe) fn shoot(
    lab: &mut Lab,
    listeners: &mut Listeners,
    hosts: &[Endpoint],
    from: (usize, Option<&Queue>),
    shot: &Shot,
) -> Result<Fate, Error> {
    let class = if shot.is_group() { Class::Broadcast } else { Class::Unicast };
    let (probing, seen) = probe(lab, listeners, hosts, class, Some((from, shot)))?;
    probing.fate(&seen)
}

impl<'l> Probing<'l> {
    /// Sends the case's own frame.
    pub(super) fn fire(
        &mut self,
        (from, queue): (usize, Option<&Queue>),
        shot: &'l Shot,
    ) -> Result<(), Error> {
        let number = self.lab.take_probe();
        let host = &self.hosts[from];
        let frame = shot.frame(host.mac, number);
        let refused = |sent: std::io::Result<()>| sent.err().and_then(|e| e.raw_os_error());
        let refused = if let Some(queue) = queue {
            queue.send(&frame).err().map(|error| error.errno)
        } else if shot.is_apart() {
            refused(self.lab.nodes()[host.node].ns.enter(|| {
                let socket = PacketSocket::open(0, frame.len())?;
                if shot.bypasses() {
                    socket.bypass_queue()?;
                }
                socket.set_priority(shot.urgent())?;
                socket.send_as(host.index, shot.told_as(), &frame)
            }))
        } else {
            refused(self.ears[from].send(host.index, &frame))
        };
        self.shot = Some(Fired { shot, from, number, refused, heard: Vec::new() });
        Ok(())
    }

    /// What became of the case's own frame.
    fn fate(&self, seen: &[trace::Seen]) -> Result<Fate, Error> {
        let Some(fired) = &self.shot else { return Ok(Fate::default()) };
        let ours = |heard: &Heard| *heard == Heard::Frame(fired.number);
        let seen_of_it = || seen.iter().filter(|s| ours(&s.heard));
        let sightings: Vec<Sighting> = seen_of_it().map(|s| s.sighting.clone()).collect();
        let tags = seen_of_it().map(|s| s.tag.map(Tag::read)).collect();
        let mut heard: Vec<_> = fired.heard.iter().collect();
        heard.sort_by_key(|(host, link, _)| (*host, *link != self.hosts[*host].index, *link));
        let mut missing = Vec::new();
        for (to, (host, ear)) in self.hosts.iter().zip(self.ears).enumerate() {
            let beside = self.datagram_ears.get(to);
            let lost = std::iter::once(ear).chain(beside).try_fold(0, |lost, ear| {
                let more = ear.dropped().map_err(|e| broken("read a socket's statistics", &e))?;
                Ok::<u32, Error>(lost + more)
            })?;
            if lost > 0 {
                let why = format!("the socket of `{}` lost {lost} frames", host.name);
                missing.push((host.name.clone(), Err(why)));
            } else if !heard.iter().any(|(at, ..)| *at == to) {
                missing.push((host.name.clone(), self.unheard_proof(fired, to, seen)));
            }
        }
        let heard = heard.into_iter().map(|(.., hearing)| hearing.clone()).collect();
        let mut fate = Fate { heard, refused: fired.refused, seen: sightings, tags, missing };
        fate.add_tags();
        Ok(fate)
    }

    /// Why a host did not hear the case's own frame, or why we cannot tell.
    fn unheard_proof(
        &self,
        fired: &Fired<'_>,
        to: usize,
        seen: &[trace::Seen],
    ) -> Result<String, String> {
        if fired.refused.is_some() {
            return Ok("the sender's kernel refused to send it".into());
        }
        let is_shot = |heard: &Heard| *heard == Heard::Frame(fired.number);
        let queued = self.is_queued(fired.from, to, &is_shot, seen);
        // Whichever later frame of the sender's got through shows that the shot was sent.
        let others = (0..self.hosts.len()).filter(|other| *other != fired.from).map(Some);
        let receivers = if self.class.is_group() { vec![None] } else { others.collect() };
        let mut senders = receivers.into_iter().map(|r| self.sender(fired.from, to, r, seen));
        let sender = senders.find(|s| *s != Sender::Unknown).unwrap_or(Sender::Unknown);
        blocked(self.hosts, to, &sender, &self.receiver(to), queued)
    }

    fn link_name(&self, host: usize, index: u32) -> String {
        let netns = &self.hosts[host].name;
        let link = self.lab.topology().link_at(netns, index);
        link.map_or_else(|| format!("{netns}:?"), |link| link.name.to_string())
    }

    /// Notes an arrival of the case's own frame.
    pub(super) fn hear_shot(&mut self, host: usize, arrival: &Arrival, bytes: &[u8]) {
        let hosts = self.hosts;
        let link = self.link_name(host, arrival.ifindex);
        let Some(fired) = &mut self.shot else { return };
        let own = arrival.ifindex == hosts[host].index;
        let at = if own { hosts[host].name.clone() } else { link.clone() };
        let hearing = Hearing {
            at,
            link,
            kind: arrival.kind.into(),
            times: 1,
            tag: None,
            whole: fired.shot.is(hosts[fired.from].mac, fired.number, bytes),
            bytes: bytes.len(),
        };
        let again = fired
            .heard
            .iter_mut()
            .find(|(_, _, other)| Hearing { times: 1, ..other.clone() } == hearing);
        match again {
            Some((_, _, other)) => other.times += 1,
            None => fired.heard.push((host, arrival.ifindex, hearing)),
        }
    }
}
