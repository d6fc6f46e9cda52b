//! The frames that the taps of a case's labs saw, kept until the case's end.
//!
//! A case that ends badly tells them, so that a capture can be made of them; for any other they are
//! forgotten. This decides nothing: verdicts come from `trace` and the ears.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hairpin_model::event::Frame;
use hairpin_model::grid::Direction;
use hairpin_model::topology::Link;

use super::decode::Heard;
use crate::sys::Arrival;

/// How many frames are kept. A failure ends its case: the last ones tell why.
const KEPT: usize = 4096;

/// What a case's labs record into. Clones share one recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    labs: usize,
    frames: VecDeque<Frame>,
    left_off: usize,
}

impl Recording {
    /// The place of a lab that begins to be recorded.
    pub(crate) fn begin_lab(&self) -> usize {
        let mut kept = self.lock();
        kept.labs += 1;
        kept.labs - 1
    }

    /// Keeps a frame, and lets go of the oldest if there are too many.
    pub(crate) fn keep(&self, frame: Frame) {
        let mut kept = self.lock();
        if kept.frames.len() == KEPT {
            kept.frames.pop_front();
            kept.left_off += 1;
        }
        kept.frames.push_back(frame);
    }

    /// Takes out what was kept, oldest first.
    pub(crate) fn take(&self) -> Vec<Frame> {
        let mut kept = self.lock();
        let mut frames: Vec<Frame> = kept.frames.drain(..).collect();
        // Taps are read one after the other, and labs built one after the other.
        frames.sort_by_key(|frame| (frame.lab, frame.ns));
        if let Some(first) = frames.first_mut() {
            first.left_off = std::mem::take(&mut kept.left_off);
        }
        frames
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame as it is told, except for its lab.
pub(super) fn frame(
    link: &Link,
    (direction, at): (Direction, u64),
    arrival: &Arrival,
    bytes: &[u8],
    heard: Option<&Heard>,
) -> Frame {
    let tag = arrival.tag.map(in_place);
    let (addresses, rest) = bytes.split_at(bytes.len().min(12));
    let whole = addresses.iter().chain(tag.iter().flatten()).chain(rest);
    Frame {
        lab: 0,
        link: link.name.to_string(),
        direction,
        ns: at,
        len: arrival.len + tag.map_or(0, |tag| tag.len()),
        bytes: hexadecimal(whole),
        probe: heard.map(ToString::to_string),
        left_off: 0,
    }
}

/// A tag that the kernel keeps beside a frame, as it stands in the frame on a wire.
fn in_place((protocol, control): (u16, u16)) -> [u8; 4] {
    let ([a, b], [c, d]) = (protocol.to_be_bytes(), control.to_be_bytes());
    [a, b, c, d]
}

/// By hand: this is done for every frame of every case, and formatting would take longer than all
/// else here.
fn hexadecimal<'b>(bytes: impl Iterator<Item = &'b u8>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Kind;

    fn seen(tag: Option<(u16, u16)>) -> Frame {
        let topology = hairpin_model::Topology::new("t").host("a").host("b").cable("a:x", "b:x");
        let bytes: Vec<u8> = (0..16).collect();
        let arrival = Arrival {
            ifindex: 10,
            kind: Kind::Host,
            at: Some(5),
            len: 16,
            tag,
            ethertype: 0x0800,
            from: None,
            network: 14,
        };
        let passed = (Direction::In, 5);
        frame(&topology.links[0], passed, &arrival, &bytes, Some(&Heard::Frame(7)))
    }

    #[test]
    fn a_tag_beside_a_frame_is_told_in_its_place() {
        assert_eq!(seen(None).bytes, "000102030405060708090a0b0c0d0e0f");
        let tagged = seen(Some((0x8100, 10)));
        assert_eq!(tagged.bytes, "000102030405060708090a0b8100000a0c0d0e0f");
        assert_eq!((tagged.len, tagged.probe.as_deref()), (20, Some("frame of probe 7")));
    }

    #[test]
    fn the_newest_frames_are_kept_in_order_of_time_and_the_rest_counted() {
        let recording = Recording::default();
        for ns in (0..KEPT as u64 + 3).rev() {
            recording.keep(Frame { ns, ..seen(None) });
        }
        let frames = recording.take();
        assert_eq!((frames.len(), frames[0].ns, frames[0].left_off), (KEPT, 0, 3));
        assert!(frames.is_sorted_by_key(|frame| frame.ns));
        assert!(recording.take().is_empty());
    }
}
