//! What a link has counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::u64_at;
use crate::attrs::find;

/// How long a kernel may be behind with what it counts, and how often it is asked.
const BEHIND: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(5);

/// What a link has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames that were broken when they came.
    pub rx_errors: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
    /// Frames that came and were thrown away.
    pub rx_dropped: u64,
    /// Frames that were to be sent and were thrown away.
    pub tx_dropped: u64,
    /// Group frames received.
    pub multicast: u64,
}

impl std::ops::Sub for Counters {
    type Output = Self;

    /// What was counted since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            rx_packets: self.rx_packets.wrapping_sub(earlier.rx_packets),
            tx_packets: self.tx_packets.wrapping_sub(earlier.tx_packets),
            rx_bytes: self.rx_bytes.wrapping_sub(earlier.rx_bytes),
            tx_bytes: self.tx_bytes.wrapping_sub(earlier.tx_bytes),
            rx_errors: self.rx_errors.wrapping_sub(earlier.rx_errors),
            tx_errors: self.tx_errors.wrapping_sub(earlier.tx_errors),
            rx_dropped: self.rx_dropped.wrapping_sub(earlier.rx_dropped),
            tx_dropped: self.tx_dropped.wrapping_sub(earlier.tx_dropped),
            multicast: self.multicast.wrapping_sub(earlier.multicast),
        }
    }
}

/// Asks until the answer is so, or for two seconds; gives the last answer.
async fn asked_until<T>(
    ask: impl AsyncFn() -> Result<T, Error>,
    is: impl Fn(&T) -> bool,
) -> Result<T, Error> {
    let until = Instant::now() + BEHIND;
    loop {
        let answer = ask().await?;
        if is(&answer) || Instant::now() >= until {
            return Ok(answer);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Lab {
    /// What a link has counted once it has received so many frames since `earlier`, or when it has not for two seconds. A
    /// driver that polls counts what it took at the end of its turn, which the kernel may put off, and tells nobody of it.
    pub async fn counters_after(
        &self,
        link: impl Into<LinkName>,
        earlier: Counters,
        frames: u64,
    ) -> Result<Counters, Error> {
        let link = link.into();
        let since = async || Ok(self.counters(link.clone()).await? - earlier);
        asked_until(since, |since| since.rx_packets >= frames).await
    }

    /// What a link's driver itself has counted once that is so, or when it is not for two seconds: it may count at the end
    /// of its turn, as it does the frames.
    pub async fn own_counters_once(
        &self,
        link: impl Into<LinkName>,
        is: impl Fn(&BTreeMap<String, u64>) -> bool,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let link = link.into();
        asked_until(async || self.own_counters(link.clone()), is).await
    }

    /// What a link has counted since it was made.
    pub async fn counters(&self, link: impl Into<LinkName>) -> Result<Counters, Error> {
        const IFLA_STATS64: u16 = 23;
        let attrs = self.link_attributes(&link.into())?;
        let stats = find(&attrs, IFLA_STATS64).unwrap_or_default();
        let at = |place: usize| u64_at(stats, 8 * place);
        Ok(Counters {
            rx_packets: at(0),
            tx_packets: at(1),
            rx_bytes: at(2),
            tx_bytes: at(3),
            rx_errors: at(4),
            tx_errors: at(5),
            rx_dropped: at(6),
            tx_dropped: at(7),
            multicast: at(8),
        })
    }
}
