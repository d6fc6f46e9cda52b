//! The way that frames took: what the taps of a lab saw, in order of time.

use hairpin_model::Error;
use hairpin_model::Topology;
use hairpin_model::grid::{Direction, Sighting};
use hairpin_model::topology::{Kind as LinkKind, Link};

use super::decode::{Heard, hear};
use super::ears::broken;
use super::headers::headers;
use super::{recording, stamps};
use crate::lab::Lab;
use crate::sys::{Kind, PacketSocket};

/// A frame that a tap saw.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) heard: Heard,
    pub(super) sighting: Sighting,
    /// The outermost VLAN tag that it had there: ethertype and tag control information.
    pub(super) tag: Option<(u16, u16)>,
    /// Whether it is for more than one: broadcast or multicast.
    pub(super) to_group: bool,
    /// When it was received or sent.
    pub(super) at: u64,
    /// How many links the one that it was seen on stands on.
    pub(super) height: usize,
}

/// Takes everything out of the taps, oldest first.
pub(super) fn read(lab: &Lab, taps: &[PacketSocket]) -> Result<Vec<Seen>, Error> {
    let mut seen = Vec::new();
    let mut buffer = [0; 2048];
    for (node, tap) in lab.nodes().iter().zip(taps) {
        while let Some(arrival) =
            tap.receive(&mut buffer).map_err(|error| broken("read from a tap", &error))?
        {
            let bytes = &buffer[..arrival.len.min(buffer.len())];
            let Some(link) = lab.topology().link_at(&node.name, arrival.ifindex) else { continue };
            let out = arrival.kind == Kind::Outgoing;
            let direction = if out { Direction::Out } else { Direction::In };
            let (heard, at) = (hear(bytes), stamps::of(arrival.at)?);
            lab.record(|| recording::frame(link, (direction, at), &arrival, bytes, heard.as_ref()));
            let Some(heard) = heard else { continue };
            let tag = arrival.tag.or_else(|| in_band(bytes));
            let what = heard.what().into();
            let headers = headers(bytes, arrival.tag);
            let sighting = Sighting { link: link.name.to_string(), direction, what, headers };
            let height = height(lab.topology(), link);
            let to_group = bytes.first().is_some_and(|first| first & 1 != 0);
            seen.push(Seen { heard, sighting, tag, to_group, at, height });
        }
        all_read(tap, &node.name)?;
    }
    in_order(&mut seen);
    Ok(seen)
}

/// Sorts what was seen by its time. What several reads gave is to be sorted as one: a frame that waits in a receive queue
/// is read later than the ones that it came before.
pub(super) fn in_order(seen: &mut [Seen]) {
    // A frame that is handed up within a namespace keeps its stamp: lower links come first.
    seen.sort_by_key(|seen| (seen.at, seen.height));
}

/// The tag that a frame bears among its bytes, where the kernel does not keep it beside them.
fn in_band(frame: &[u8]) -> Option<(u16, u16)> {
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let protocol = word(12).filter(|protocol| matches!(protocol, 0x8100 | 0x88a8))?;
    Some((protocol, word(14)?))
}

/// A tap that lost frames would show frames where they did not go.
fn all_read(tap: &PacketSocket, netns: &str) -> Result<(), Error> {
    match tap.dropped().map_err(|error| broken("read a socket's statistics", &error))? {
        0 => Ok(()),
        lost => Err(Error::new(
            format!("a tap lost {lost} frames: no path can be told"),
            format!("namespace `{netns}`"),
            "observe labs of many hosts without paths: `Lab::untraced`",
        )),
    }
}

/// How many links a link stands on.
fn height(topology: &Topology, link: &Link) -> usize {
    match (&link.kind, link.kind.parent()) {
        // Its ports are cables, or stand on some.
        (LinkKind::Bridge(_), _) => topology.links.len(),
        (_, Some(parent)) => 1 + topology.link(parent).map_or(0, |parent| height(topology, parent)),
        (_, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(link: &str, at: u64, height: usize) -> Seen {
        let (link, what) = (link.to_owned(), "echo request".into());
        let sighting = Sighting { link, direction: Direction::In, what, headers: None };
        Seen { heard: Heard::Frame(0), sighting, tag: None, to_group: false, at, height }
    }

    #[test]
    fn what_was_read_late_stands_where_it_came() {
        let mut seen = vec![on("c1:i0", 1, 1), on("p:p0", 3, 0)];
        seen.extend([on("c2:i0", 2, 1), on("sw:br0", 4, 9), on("sw:s0", 4, 0)]);
        in_order(&mut seen);
        let links: Vec<&str> = seen.iter().map(|seen| seen.sighting.link.as_str()).collect();
        assert_eq!(links, ["c1:i0", "c2:i0", "p:p0", "sw:s0", "sw:br0"]);
    }
}
