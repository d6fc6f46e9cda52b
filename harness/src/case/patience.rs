//! What a case says of kernel timers that run for minutes: not sooner than they should, and not much later.
//!
//! Such a case needs [`Need::VirtualTime`](hairpin_model::Need): its guest's clock jumps whenever the guest only waits.

use std::time::{Duration, Instant};

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};

use super::{CaseLab, Stop};
use crate::lab::options::LinkOption;

/// The kernel's timers count from the last tick. Ticks are 10 ms apart where they are longest, and come
/// late to a guest that gets little of a processor: 21 ms have been seen.
const TICK: Duration = Duration::from_millis(100);
/// What wakes and tells us takes a moment on top.
const MOMENT: Duration = Duration::from_secs(1);

/// When something began that is to take its time.
#[derive(Clone, Copy, Debug)]
pub struct Since(Instant);

/// How long something is to take.
struct Span {
    since: Instant,
    span: Duration,
}

impl Span {
    /// The latest end. The kernel's timers are the coarser the longer they run, by up to an eighth.
    fn latest(&self) -> Duration {
        self.span + self.span / 8 + MOMENT
    }

    /// For how long to wait for the end from now on.
    fn limit(&self) -> Duration {
        (self.latest() + MOMENT).saturating_sub(self.since.elapsed())
    }

    fn holds(&self, took: Duration) -> bool {
        took + TICK >= self.span && took <= self.latest()
    }
}

impl CaseLab {
    /// The moment from which a span counts: taken before what begins it.
    pub fn now(&self) -> Since {
        Since(Instant::now())
    }

    /// Holds that what was just seen to happen took so long.
    pub fn claim_after(&self, what: &str, since: Since, span: Duration) -> Result<(), Stop> {
        self.hold_span(what, &Span { since: since.0, span }, Ok(()))
    }

    /// Holds that something did not come before its time: `took` after what began it, not `span`.
    pub fn claim_not_before(&self, what: &str, took: Duration, span: Duration) -> Result<(), Stop> {
        self.claim(what, took + TICK >= span, format!("{took:?}"))
    }

    /// Holds that an address is forgotten by the bridges of a namespace after so long.
    pub async fn expect_forgotten_after(
        &self,
        netns: &str,
        mac: Mac,
        since: Since,
        span: Duration,
    ) -> Result<(), Stop> {
        let span = Span { since: since.0, span };
        let seen = self.lab.await_forgotten_within(netns, &[mac], span.limit()).await;
        self.hold_span(&format!("{mac} is forgotten"), &span, seen)
    }

    /// Holds that an option of a link comes to have a value after so long.
    pub async fn expect_to_become_after(
        &self,
        (link, option, value): (&str, LinkOption, u64),
        since: Since,
        span: Duration,
    ) -> Result<(), Stop> {
        let span = Span { since: since.0, span };
        let seen = self.lab.await_option_within(link, option, value, span.limit()).await;
        self.hold_span(&format!("{link} comes to have {option} {value}"), &span, seen)
    }

    /// Holds that a port is no longer a member of a group after so long.
    pub async fn expect_no_member_after(
        &self,
        port: impl Into<LinkName>,
        group: &str,
        since: Since,
        span: Duration,
    ) -> Result<(), Stop> {
        let (port, span) = (port.into(), Span { since: since.0, span });
        let seen = self.lab.await_member_within(&port, group, false, span.limit()).await;
        self.hold_span(&format!("{port} is no longer a member of {group}"), &span, seen)
    }

    fn hold_span(&self, what: &str, span: &Span, seen: Result<(), Error>) -> Result<(), Stop> {
        let took = span.since.elapsed();
        let claim = format!("{what} after {} s", span.span.as_secs());
        let observed = match &seen {
            Ok(()) => format!("after {:.3} s", took.as_secs_f64()),
            Err(error) => error.what.clone(),
        };
        self.claim(&claim, seen.is_ok() && span.holds(took), observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_neither_shorter_nor_much_longer() {
        let span = Span { since: Instant::now(), span: Duration::from_secs(16) };
        let holds = |ms| span.holds(Duration::from_millis(ms));
        assert_eq!([15_899, 15_900, 19_000, 19_001].map(holds), [false, true, true, false]);
    }
}
