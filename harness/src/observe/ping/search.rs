//! Finding the controls of a request that was not answered, and running them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, poll};
use hairpin_model::{Error, Family};
use tokio::time::sleep_until;

use super::super::answer::Answer;
use super::super::gate::{Gate, goes_through};
use super::super::{cpus, has_queues, trace};
use super::{Asked, Asking, Pending, is_question};

/// How many pairs are asked at once when none is known to work. Each question goes to all hosts,
/// and a CPU's receive queue takes a thousand frames.
const AT_ONCE: usize = 6;

/// How often controls are looked for while the question may wait in a queue. A host asks for a
/// neighbour three times, a second apart, and each question waits behind the controls of before.
const ROUNDS: usize = 4;

/// How long a control may take before it counts as lost; see `frame`.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long to wait for the first answer to or from a host that may be cut off.
const FIRST: Duration = Duration::from_millis(250);

/// The same where no queue is in between: what comes later is caught by the loopback's turns.
const BRIEF: Duration = Duration::from_millis(2);

/// The controls of one request that came through.
#[derive(Default)]
pub(super) struct Controls {
    /// The question may still wait in the queue before the receiver.
    pub(super) queued: bool,
    /// A host that the sender reached.
    pub(super) out: Option<usize>,
    /// A host that reached the receiver.
    pub(super) into: Option<usize>,
    /// The receiver heard itself.
    pub(super) itself: bool,
    /// All that had come for the sender has been read.
    pub(super) read: bool,
}

impl Asking<'_> {
    /// Controls out of the sender and then into the receiver, twice; then looks whether the answer
    /// has come after all.
    pub(super) async fn run_controls(&mut self, asked: &mut Asked) -> Result<Controls, Error> {
        let (from, to) = (asked.from, asked.to);
        let (mut into, mut out) = (None, None);
        let mut queued = self.may_be_queued(asked);
        // The question may only now be on its way into the queue: then other controls are needed.
        for _ in 0..ROUNDS {
            into = self.find_into(asked, queued).await?;
            if let Some(y) = into.filter(|&y| !self.works.contains(&(y, to))) {
                // The hosts that asked in vain have broadcast too. What they sent must be through
                // before the sender asks them: their own question would tell it who they are.
                self.control(y, to).await?;
            }
            out = self.find_out(asked, queued).await?;
            self.note(asked)?;
            queued = self.is_queued(asked, into, out);
            if asked.answer.is_some() {
                return Ok(Controls::default());
            }
            if !queued {
                break;
            }
        }
        // Those two showed the way and flushed the question. What it set off is flushed by these.
        let mut controls = Controls { queued, ..Controls::default() };
        if let Some(z) = out {
            controls.out = self.control(from, z).await?.then_some(z);
        }
        match into {
            Some(y) => controls.into = self.control(y, to).await?.then_some(y),
            None => controls.itself = self.hears_itself(to).await?,
        }
        if has_queues(self.lab.topology()) {
            cpus::run_empty()?;
        }
        // What has come for the sender is read before what comes now.
        controls.read = self.hears_itself_once(from).await?;
        if let std::task::Poll::Ready(answer) = poll!(asked.pending.as_mut()) {
            asked.answer = Some(answer);
        }
        Ok(controls)
    }

    /// Whether the question may wait in the queue before the receiver, as far as the taps saw.
    fn may_be_queued(&self, asked: &Asked) -> bool {
        let Some(gate) = Gate::before(&self.hosts[asked.to], self.lab.topology()) else {
            return false;
        };
        let question =
            |s: &&trace::Seen| is_question(&s.sighting.what) && self.belongs(&s.heard, asked);
        !self.lab.is_traced() || gate.may_hold(self.seen.iter().filter(question), &self.seen)
    }

    /// The same after these controls, which must do as evidence where there are no taps.
    fn is_queued(&self, asked: &Asked, into: Option<usize>, out: Option<usize>) -> bool {
        let (from, to) = (&self.hosts[asked.from], &self.hosts[asked.to]);
        let passed = || {
            let into = into.is_some_and(|y| goes_through(&self.hosts[y], to));
            let out = out.map(|z| &self.hosts[z]);
            into || out.is_some_and(|z| z.parent == to.parent && goes_through(from, z))
        };
        self.may_be_queued(asked) && (self.lab.is_traced() || !passed())
    }

    /// A host that answers the sender; one behind the receiver's queue if it must be.
    async fn find_out(&mut self, asked: &mut Asked, queued: bool) -> Result<Option<usize>, Error> {
        let (from, to) = (asked.from, asked.to);
        let others = (0..self.hosts.len()).filter(|z| *z != from && *z != to);
        let pairs = others.map(|z| (from, z)).collect();
        let hosts = self.hosts;
        let good = |(_, z): (usize, usize)| !queued || hosts[z].parent == hosts[to].parent;
        let own = hosts[from].link.to_string();
        let got_out = self.sightings(asked).any(|s| s.link != own && is_question(&s.what));
        let at_most = if got_out && !queued { BRIEF } else { FIRST };
        Ok(self.first_control(asked, pairs, at_most, queued, good).await?.map(|(_, z)| z))
    }

    /// A host that gets answers from the receiver; one before its queue if it must be.
    async fn find_into(&mut self, asked: &mut Asked, queued: bool) -> Result<Option<usize>, Error> {
        let (from, to) = (asked.from, asked.to);
        let others = (0..self.hosts.len()).filter(|y| *y != from && *y != to);
        let pairs = others.map(|y| (y, to)).collect();
        let hosts = self.hosts;
        let good = |(y, _): (usize, usize)| !queued || goes_through(&hosts[y], &hosts[to]);
        let at_most = if queued { FIRST } else { BRIEF };
        Ok(self.first_control(asked, pairs, at_most, queued, good).await?.map(|(y, _)| y))
    }

    /// The first good pair of these that a control comes through between, or any that one does.
    /// Where none is known to work, all are asked at once. An answer to the question itself, late
    /// but not too late, ends the search. What waits in a queue is waited for longer.
    async fn first_control(
        &mut self,
        asked: &mut Asked,
        pairs: Vec<(usize, usize)>,
        at_most: Duration,
        queued: bool,
        good: impl Fn((usize, usize)) -> bool,
    ) -> Result<Option<(usize, usize)>, Error> {
        if let Some(&pair) = pairs.iter().find(|pair| self.works.contains(pair) && good(**pair)) {
            return Ok(self.control(pair.0, pair.1).await?.then_some(pair));
        }
        let running = |host: usize| self.hosts[host].running;
        let mut pairs: Vec<_> =
            pairs.into_iter().filter(|(a, b)| running(*a) && running(*b)).collect();
        pairs.sort_by_key(|pair| !good(*pair));
        pairs.truncate(AT_ONCE);
        let mut open = FuturesUnordered::new();
        for &(from, to) in &pairs {
            self.cool_pair(from, to).await?;
            let (number, pending) = self.ask(from, to);
            open.push(pending.map(move |answer| (answer, number, from, to)));
        }
        let begun = tokio::time::Instant::now();
        let mut until = begun + at_most;
        // A worker that is late is waited for: the queue will run empty.
        let patient = queued && self.lab.is_traced() && pairs.iter().any(|pair| good(*pair));
        let mut any = None;
        let mut waiting = pairs.clone();
        while asked.answer.is_none() {
            tokio::select! {
                answer = &mut asked.pending => asked.answer = Some(answer),
                found = open.next() => {
                    let Some((answer, number, from, to)) = found else { break };
                    waiting.retain(|pair| *pair != (from, to));
                    self.drain(to)?;
                    if matches!(answer, Answer::Reply) && self.hearing(number, to).0 > 0 {
                        any = Some((from, to));
                        if good((from, to)) {
                            break;
                        }
                    }
                }
                () = sleep_until(until) => {
                    self.note(asked)?;
                    if !patient || until > begun + DEADLINE || !self.may_be_queued(asked) {
                        break;
                    }
                    until += FIRST;
                }
            }
        }
        self.abandon(&waiting).await?;
        Ok(any)
    }

    /// Ends the questions that were not answered. One that waits for its neighbour wakes as soon as
    /// the neighbour is heard asking for somebody else, whenever that is: it would go off in the
    /// middle of a later pair's request, and have its receiver ask back.
    async fn abandon(&self, waiting: &[(usize, usize)]) -> Result<(), Error> {
        for &(from, to) in waiting {
            self.cool_pair(from, to).await?;
        }
        Ok(())
    }

    /// Runs one control between a pair that works: whether it came through and the receiver's ear
    /// heard it.
    async fn control(&mut self, from: usize, to: usize) -> Result<bool, Error> {
        self.cool_pair(from, to).await?;
        let asked = self.ask(from, to);
        self.comes_through(asked, to).await
    }

    /// Whether a host's ear hears requests over the host's own loopback, one after the other; see
    /// the same of frames for why several.
    async fn hears_itself(&mut self, host: usize) -> Result<bool, Error> {
        for _ in 0..self.lab.topology().links.len() {
            if !self.hears_itself_once(host).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn hears_itself_once(&mut self, host: usize) -> Result<bool, Error> {
        let loopback = match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let asked = self.ask_address(host, loopback);
        self.comes_through(asked, host).await
    }

    async fn comes_through(&mut self, asked: (u32, Pending), to: usize) -> Result<bool, Error> {
        let (number, pending) = asked;
        let answer = tokio::time::timeout(DEADLINE, pending).await;
        self.drain(to)?;
        Ok(matches!(answer, Ok(Answer::Reply)) && self.hearing(number, to).0 > 0)
    }
}
