//! What joins links: cables, and children to their parents where the tree in a box does not show it.

use super::blocks::below;
use crate::topology::{Kind, LinkName, Topology};

/// What an edge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// A veth pair.
    Cable,
    /// A child on its parent.
    Child,
}

/// Two links that are joined, by their places in the topology. The second is the parent, if one is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) join: Join,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// All edges that are drawn as lines.
pub(super) fn edges(topology: &Topology) -> Vec<Edge> {
    let place = |name: &LinkName| topology.links.iter().position(|link| link.name == *name);
    let mut out = Vec::new();
    for (from, link) in topology.links.iter().enumerate() {
        let found = match &link.kind {
            // Each cable once, by its first end.
            Kind::Veth { peer } => place(peer).filter(|to| *to > from).map(|to| (Join::Cable, to)),
            other => other
                .parent()
                .and_then(place)
                .filter(|to| below(topology, link) != Some(*to))
                .map(|to| (Join::Child, to)),
        };
        out.extend(found.map(|(join, to)| Edge { join, from, to }));
    }
    out
}
