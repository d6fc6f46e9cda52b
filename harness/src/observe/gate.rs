//! The queue in which a parent keeps frames to groups until a worker hands them to its children.
//!
//! A worker may be late, and other frames pass beside it: unicast, and what siblings send each
//! other. So a frame that went in may have come out only if the taps saw it come out at its
//! receiver, or saw one that went in later come out at any child: the queue is first in, first out.
//! Which way a control takes cannot be told from the topology: a parent's machine with a child of
//! its own asks that child's siblings directly, and a neighbour that is known is not asked for.

use std::collections::BTreeSet;

use hairpin_model::Topology;
use hairpin_model::grid::Direction;
use hairpin_model::topology::LinkName;

use super::Endpoint;
use super::trace::Seen;

/// The queue before a receiver.
pub(super) struct Gate {
    parent: String,
    children: BTreeSet<String>,
    receiver: String,
    /// Whether it takes also what children send, not only what the parent receives.
    takes_all: bool,
}

impl Gate {
    /// The queue before that host, if there is one.
    pub(super) fn before(host: &Endpoint, topology: &Topology) -> Option<Self> {
        let parent = host.parent.as_ref()?;
        let children = topology.links.iter().filter(|link| link.kind.parent() == Some(parent));
        Some(Self {
            parent: parent.to_string(),
            children: children.map(|link| link.name.to_string()).collect(),
            receiver: host.link.to_string(),
            takes_all: host.queues_all,
        })
    }

    /// Whether a frame, seen here, may still wait in the queue after all that was seen.
    pub(super) fn may_hold<'s>(
        &self,
        frame: impl Iterator<Item = &'s Seen> + Clone,
        all: &[Seen],
    ) -> bool {
        let Some(entered) = frame.clone().filter(|s| self.takes(s)).map(|s| s.at).max() else {
            return false;
        };
        let mut here = frame.filter(|s| self.hands_over(s));
        if here.any(|s| s.sighting.link == self.receiver) {
            return false;
        }
        let mut later = all.iter().filter(|s| s.at > entered && self.takes(s));
        !later.any(|taken| all.iter().any(|s| self.hands_over(s) && self.is_same(taken, s)))
    }

    fn takes(&self, seen: &Seen) -> bool {
        let Seen { sighting, to_group, .. } = seen;
        let sent = self.takes_all
            && sighting.direction == Direction::Out
            && self.children.contains(&sighting.link);
        *to_group && (sent || (sighting.direction == Direction::In && sighting.link == self.parent))
    }

    fn hands_over(&self, seen: &Seen) -> bool {
        let Seen { sighting, to_group, .. } = seen;
        *to_group && sighting.direction == Direction::In && self.children.contains(&sighting.link)
    }

    /// Whether what was handed over is what was taken. It keeps the parent's time stamp; a copy that
    /// a sibling handed over directly has another. Where there are no such copies, the order tells.
    fn is_same(&self, taken: &Seen, handed: &Seen) -> bool {
        let in_time = handed.at == taken.at || (self.takes_all && handed.at > taken.at);
        in_time && handed.heard == taken.heard
    }
}

/// Whether a frame to a group from this host comes to the other through the queue before it, as far
/// as the topology tells. Siblings hand over to each other beside it.
pub(super) fn goes_through(from: &Endpoint, to: &Endpoint) -> bool {
    to.queues_all || !to.parent.as_ref().is_some_and(|parent| from.is_beside(parent))
}

impl Endpoint {
    /// Whether what its machine sends may go to a parent's children directly.
    fn is_beside(&self, parent: &LinkName) -> bool {
        self.parents.contains(parent)
    }
}

#[cfg(test)]
mod tests {
    use hairpin_model::Mac;
    use hairpin_model::grid::Sighting;
    use hairpin_model::topology::{Macvlan, Mode};

    use super::super::decode::Heard;
    use super::*;

    fn child(name: &str) -> Endpoint {
        Endpoint {
            name: name.into(),
            node: 0,
            link: LinkName::new(name, "c0"),
            index: 1,
            mac: Mac([0; 6]),
            parent: Some("p:p0".into()),
            parents: vec!["p:p0".into()],
            queues_all: false,
            running: true,
        }
    }

    fn gate(takes_all: bool) -> Gate {
        let topology = Topology::new("t")
            .macvlan("c1:c0", "p:p0", Macvlan::from(Mode::Bridge))
            .macvlan("c2:c0", "p:p0", Macvlan::from(Mode::Bridge));
        Gate::before(&Endpoint { queues_all: takes_all, ..child("c1") }, &topology).unwrap()
    }

    fn seen(number: u32, link: &str, direction: Direction, at: u64) -> Seen {
        let sighting =
            Sighting { link: link.into(), direction, what: "frame".into(), headers: None };
        Seen { heard: Heard::Frame(number), sighting, tag: None, to_group: true, at, height: 0 }
    }

    fn holds(gate: &Gate, all: &[Seen]) -> bool {
        gate.may_hold(all.iter().filter(|s| s.heard == Heard::Frame(1)), all)
    }

    #[test]
    fn what_did_not_go_in_or_came_out_does_not_wait() {
        let gate = gate(false);
        assert!(!holds(&gate, &[seen(1, "e:e0", Direction::Out, 1)]));
        let entered = seen(1, "p:p0", Direction::In, 2);
        assert!(holds(&gate, std::slice::from_ref(&entered)));
        assert!(holds(&gate, &[entered.clone(), seen(1, "c2:c0", Direction::In, 2)]));
        assert!(!holds(&gate, &[entered, seen(1, "c1:c0", Direction::In, 2)]));
    }

    #[test]
    fn a_later_one_that_came_out_has_emptied_it() {
        let gate = gate(false);
        let all = |taken, handed| {
            [
                seen(1, "p:p0", Direction::In, 5),
                seen(2, "p:p0", Direction::In, taken),
                seen(2, "c2:c0", Direction::In, handed),
            ]
        };
        assert!(!holds(&gate, &all(7, 7)));
        assert!(holds(&gate, &all(4, 4)), "that one went in before");
        assert!(holds(&gate, &all(7, 6)), "a sibling handed that one over, and it still waits");
        let unicast = all(7, 7).map(|s| Seen { to_group: s.at == 5, ..s });
        assert!(holds(&gate, &unicast), "unicast passes beside");
    }

    #[test]
    fn a_queue_for_all_takes_what_siblings_send() {
        let all = [
            seen(1, "p:p0", Direction::In, 5),
            seen(2, "c2:c0", Direction::Out, 7),
            seen(2, "c1:c0", Direction::In, 9),
        ];
        assert!(!holds(&gate(true), &all));
        assert!(holds(&gate(false), &all));
    }

    #[test]
    fn a_machine_with_a_child_is_beside_the_queue() {
        let shim = Endpoint { parent: None, ..child("p") };
        assert!(!goes_through(&shim, &child("c1")));
        let outside = Endpoint { parents: Vec::new(), ..shim };
        assert!(goes_through(&outside, &child("c1")));
        assert!(goes_through(&child("c2"), &Endpoint { queues_all: true, ..child("c1") }));
    }
}
