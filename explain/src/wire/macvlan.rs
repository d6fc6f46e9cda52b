//! Macvlan: what children and their parents hear of each other, as `macvlan.c` has it.

use super::{Frame, Wire};
use crate::cause::Cause;
use crate::snapshot::{Kind, LinkId, Macvlan};
use hairpin_model::Mac;

impl<'s> Wire<'s> {
    pub(super) fn children(&self, above: &[LinkId]) -> Vec<(LinkId, &'s Macvlan)> {
        let child = |at: &LinkId| match &self.snapshot.link(*at)?.kind {
            Kind::Macvlan(child) | Kind::Macvtap(child) => Some((*at, child)),
            _ => None,
        };
        above.iter().filter_map(child).collect()
    }

    fn is_up(&self, id: LinkId) -> bool {
        self.snapshot.link(id).is_some_and(|l| l.up || self.lifted.contains(&Cause::Down(id)))
    }

    pub(super) fn has_mac(&self, id: LinkId, mac: Mac) -> bool {
        self.snapshot.link(id).is_some_and(|link| link.mac == Some(mac))
    }

    fn concerns(&self, id: LinkId, frame: &Frame) -> bool {
        frame.is_group() || self.has_mac(id, frame.dst)
    }

    /// What a parent's own stack sends does not come to its children.
    pub(super) fn children_hear(&mut self, parent: LinkId, frame: &Frame) {
        let children = self.children(&self.snapshot.above(parent));
        for (child, _) in children {
            if self.concerns(child, frame) && !self.stops(Cause::Apart(parent)) {
                self.stack(child, frame, &[self.snapshot.name(parent), self.snapshot.name(child)]);
            }
        }
    }

    /// `macvlan_queue_xmit`.
    pub(super) fn child_sends(
        &mut self,
        id: LinkId,
        child: &Macvlan,
        parent: LinkId,
        frame: Frame,
        path: Vec<String>,
    ) {
        if self.dead(parent) {
            return;
        }
        self.note_strange(parent);
        for (sibling, other) in self.children(&self.snapshot.above(parent)) {
            if sibling == id || !self.is_up(sibling) || !self.concerns(sibling, &frame) {
                continue;
            }
            if child.mode == "bridge" && other.mode == "bridge" {
                if self.overflows(parent, &frame) {
                    return;
                }
                self.receive(sibling, frame.clone(), path.clone());
                if !frame.is_group() {
                    return;
                }
            } else {
                let mode = if child.mode == "bridge" { &other.mode } else { &child.mode };
                let (one, two) = (id.min(sibling), id.max(sibling));
                if !self.stops(Cause::Siblings(parent, mode.clone(), one, two)) {
                    self.receive(sibling, frame.clone(), path.clone());
                }
            }
        }
        if self.concerns(parent, &frame) && !self.stops(Cause::Apart(parent)) {
            self.stack(parent, &frame, &path);
        }
        self.transmit(parent, frame, path);
    }

    /// `macvlan_handle_frame`.
    pub(super) fn parent_hears(
        &mut self,
        parent: LinkId,
        children: &[(LinkId, &Macvlan)],
        frame: &Frame,
        path: &[String],
    ) {
        let up: Vec<_> = children.iter().filter(|(id, _)| self.is_up(*id)).copied().collect();
        if frame.is_group() {
            return self.parent_hears_group(parent, &up, frame, path);
        }
        if self.source_children(&up, frame, path) {
            return;
        }
        if let Some((child, _)) = up.iter().find(|(_, child)| child.mode == "passthru") {
            self.receive(*child, frame.clone(), path.to_vec());
            if self.has_mac(parent, frame.dst) && !self.stops(Cause::Passthru(parent, *child)) {
                self.stack(parent, frame, path);
            }
            return;
        }
        match up.iter().find(|(id, child)| child.mode != "source" && self.has_mac(*id, frame.dst)) {
            Some((child, _)) => self.receive(*child, frame.clone(), path.to_vec()),
            None if self.has_mac(parent, frame.dst) => self.stack(parent, frame, path),
            None => {
                for (child, _) in &up {
                    // Only what is itself a way to somebody could want it.
                    let leads_on = self.snapshot.link(*child).is_some_and(|l| l.port.is_some());
                    if leads_on && !self.stops(Cause::OwnAddressOnly(parent, *child)) {
                        self.receive(*child, frame.clone(), path.to_vec());
                    }
                }
            }
        }
    }

    fn parent_hears_group(
        &mut self,
        parent: LinkId,
        up: &[(LinkId, &Macvlan)],
        frame: &Frame,
        path: &[String],
    ) {
        if self.source_children(up, frame, path) {
            return;
        }
        let sender = up.iter().find(|(id, _)| self.has_mac(*id, frame.src));
        if let Some((own, child)) = sender
            && !matches!(child.mode.as_str(), "vepa" | "bridge")
        {
            return self.receive(*own, frame.clone(), path.to_vec());
        }
        for (id, child) in up {
            let hears = match sender.map(|(_, child)| child.mode.as_str()) {
                None => child.mode != "source",
                Some("vepa") => matches!(child.mode.as_str(), "vepa" | "bridge"),
                Some(_) => child.mode == "vepa",
            };
            let is_sender = sender.is_some_and(|(own, _)| own == id);
            if !hears || is_sender {
                continue;
            }
            // A queue of length 0 with all children: the longest of them counts.
            if child.queue == Some(0) && frame.dst != Mac::BROADCAST {
                // Since 6.4 multicast that few wait for goes beside the queue.
                self.odd(format!("multicast and no queue for it at {}", self.snapshot.name(*id)));
            } else if child.queue == Some(0) && self.stops(Cause::NoQueue(*id)) {
                continue;
            }
            self.receive(*id, frame.clone(), path.to_vec());
        }
        self.stack(parent, frame, path);
    }

    /// `macvlan_forward_source`; whether the frame is theirs alone.
    fn source_children(
        &mut self,
        up: &[(LinkId, &Macvlan)],
        frame: &Frame,
        path: &[String],
    ) -> bool {
        let mut alone = false;
        for (id, child) in up.iter().filter(|(_, child)| child.mode == "source") {
            if child.senders.contains(&frame.src) {
                alone |= child.nodst;
                self.receive(*id, frame.clone(), path.to_vec());
            } else if self.concerns(*id, frame)
                && !self.stops(Cause::NotListed(*id, frame.src.to_string()))
            {
                self.receive(*id, frame.clone(), path.to_vec());
            }
        }
        alone
    }
}
