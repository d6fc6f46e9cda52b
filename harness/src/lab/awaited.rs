//! Waiting for what the kernel does in its own time, woken by its events. What is waited for, and what
//! it means that it does not come, is the caller's.

use std::time::Duration;

use hairpin_model::Error;

use super::Lab;
use crate::netlink::plain::{EventKind, Events};

impl Lab {
    /// Waits until something holds, and looks anew whenever the kernel tells of such a thing in a
    /// namespace; whether it came to hold in time.
    pub(crate) async fn comes_to_hold(
        &self,
        netns: &str,
        kinds: &[EventKind],
        limit: Duration,
        mut holds: impl AsyncFnMut() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        // Subscribed first, then read: no change can fall between the two.
        let mut events = Events::subscribe(&self.node(netns)?.ns, kinds)?;
        let watch = async {
            while !holds().await? {
                events.next().await;
            }
            Ok(true)
        };
        tokio::time::timeout(limit, watch).await.unwrap_or(Ok(false))
    }
}
