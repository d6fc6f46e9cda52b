//! The way of a flow's first packets, as the taps saw it: a SYN and its answer, a datagram, and the
//! ICMP errors about them. Evidence for a reader, and never a verdict.

use std::net::SocketAddr;

use hairpin_model::Error;
use hairpin_model::grid::{Cell, Direction, Verdict};

use super::super::decode::Heard;
use super::super::ears::Listeners;
use super::super::{dropped, trace, with_listeners};
use super::Places;
use crate::lab::Lab;

/// Forgets what the taps have of earlier, before a flow is asked for.
pub(super) async fn begin(lab: &mut Lab) -> Result<(), Error> {
    let forget = async |lab: &mut Lab, listeners: &mut Listeners| {
        listeners.open_taps(lab)?;
        trace::read(lab, &listeners.taps)
    };
    with_listeners(lab, forget).await?;
    dropped::take(lab);
    Ok(())
}

/// Tells in a flow's cell where its packets were seen, and where the kernel gave one up.
pub(super) async fn tell(
    lab: &mut Lab,
    from: &str,
    at: Places,
    cell: &mut Cell,
) -> Result<(), Error> {
    let read = async |lab: &mut Lab, listeners: &mut Listeners| trace::read(lab, &listeners.taps);
    let seen = with_listeners(lab, read).await?;
    let begins = |seen: &&trace::Seen| {
        let headers = seen.sighting.headers.as_ref();
        let to = headers.and_then(|h| Some(SocketAddr::new(h.ip?.1, h.ports?.1)));
        seen.sighting.direction == Direction::Out
            && seen.sighting.link.split(':').next() == Some(from)
            && to.is_some_and(|to| to == at.asked || to == at.own)
    };
    // What the sender sends there first is no control: those go elsewhere. A host that publishes a
    // port and asks for it translates before any link sees the packet.
    let first = seen.iter().find(begins).map(|seen| Sign::of(&seen.heard));
    let Some(sign) = first.flatten() else { return Ok(()) };
    let ours = |heard: &Heard| Sign::of(heard) == Some(sign);
    cell.seen = seen.iter().filter(|s| ours(&s.heard)).map(|s| s.sighting.clone()).collect();
    if cell.verdict != Verdict::Delivered {
        let told = dropped::take(lab).into_iter().filter(|told| ours(&told.heard));
        cell.dropped = told.map(|told| told.dropped).collect();
    }
    Ok(())
}

/// By what a packet is known to belong to a flow, whoever translates its addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Connection(u32),
    Datagram(u32),
}

impl Sign {
    const fn of(heard: &Heard) -> Option<Self> {
        match heard {
            Heard::Segment { of, .. } | Heard::SegmentError { of } => Some(Self::Connection(*of)),
            Heard::Datagram(number) | Heard::IcmpError { number } => Some(Self::Datagram(*number)),
            Heard::Frame(_) | Heard::Resolution { .. } | Heard::Echo { .. } => None,
        }
    }
}
