//! Which frames of a lab its kernel gave up, as a journey tells it.

use std::time::Duration;

use hairpin_model::grid::Dropped;
use nix::time::{ClockId, clock_gettime};

use super::decode::{Heard, hear};
use crate::drops;
use crate::lab::Lab;

/// A frame of a probe that was given up.
pub(super) struct Told {
    pub(super) heard: Heard,
    /// The namespace that it was in, as a place in the lab.
    pub(super) node: usize,
    /// When, as [`now`] counts.
    pub(super) at: Duration,
    pub(super) dropped: Dropped,
}

/// What time it is for those that tell of drops, in whole microseconds as they are.
pub(super) fn now() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// What was given up in a lab's namespaces since this was last asked: each frame of a probe.
pub(super) fn take(lab: &Lab) -> Vec<Told> {
    if !drops::is_watched() {
        return Vec::new();
    }
    let inodes: Vec<Option<u32>> = lab.nodes().iter().map(|node| node.ns.inode()).collect();
    let namespaces: Vec<u32> = inodes.iter().copied().flatten().collect();
    let told = drops::take(&namespaces).into_iter().filter_map(|drop| {
        let heard = hear(&drop.frame)?;
        let node = inodes.iter().position(|inode| *inode == Some(drop.netns))?;
        let netns = &lab.nodes()[node].name;
        let link = lab.topology().link_at(netns, drop.link);
        let link = link.map_or_else(|| format!("{netns}:?"), |link| link.name.to_string());
        let (what, function, reason) = (heard.what().into(), drop.function, drop.reason);
        let dropped = Dropped { what, link, function, reason };
        Some(Told { heard, node, at: drop.at, dropped })
    });
    told.collect()
}
