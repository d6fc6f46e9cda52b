//! Which frames of a lab its kernel gave up, as a journey tells it.

use hairpin_model::grid::Dropped;

use super::decode::{Heard, hear};
use crate::drops;
use crate::lab::Lab;

/// What was given up in a lab's namespaces since this was last asked: each frame of a probe.
pub(super) fn take(lab: &Lab) -> Vec<(Heard, Dropped)> {
    let inodes: Vec<Option<u32>> = lab.nodes().iter().map(|node| node.ns.inode()).collect();
    let namespaces: Vec<u32> = inodes.iter().copied().flatten().collect();
    let told = drops::take(&namespaces).into_iter().filter_map(|drop| {
        let heard = hear(&drop.frame)?;
        let node = inodes.iter().position(|inode| *inode == Some(drop.netns))?;
        let netns = &lab.nodes()[node].name;
        let link = lab.topology().link_at(netns, drop.link);
        let link = link.map_or_else(|| format!("{netns}:?"), |link| link.name.to_string());
        let (what, function, reason) = (heard.what().into(), drop.function, drop.reason);
        Some((heard, Dropped { what, link, function, reason }))
    });
    told.collect()
}
