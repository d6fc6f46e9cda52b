//! The pages of a kernel's trace buffers, as they are (`include/linux/ring_buffer.h`): what they hold, and when
//! it was written.
//!
//! Text of the same would be for people: a kernel needs twenty times as long to write it as to have it read so.
//! What the bytes of an entry mean is for [`super`].

use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

use super::{pipe, u32_at};

/// More than a page of any buffer.
const ROOM: usize = 1 << 16;

/// What a page begins with: its time and how much of it is written. More bits of that tell of losses.
const PAGE_HEADER: usize = 16;
const WRITTEN: u64 = 0xf_ffff;

/// Kinds of entries: smaller ones are the length of what follows, in words.
const LENGTH_FOLLOWS: u32 = 0;
const PADDING: u32 = 29;
const LATER: u32 = 30;
const TIME: u32 = 31;

/// The bits of an entry's head: its kind, and the time since the one before.
const KIND_BITS: u32 = 5;
const TIME_BITS: u32 = 27;

/// The buffers of an instance, one of each processor.
pub(super) struct Ring(Vec<File>);

impl Ring {
    /// Those of the instance in that folder.
    pub(super) fn open(instance: &str) -> io::Result<Self> {
        let processors = fs::read_dir(format!("{instance}/per_cpu"))?;
        let open =
            |processor: io::Result<fs::DirEntry>| pipe(&processor?.path().join("trace_pipe_raw"));
        processors.map(open).collect::<io::Result<_>>().map(Self)
    }

    /// Takes out all that is there: `on` is given each entry, oldest first of each processor.
    pub(super) fn take(&mut self, mut on: impl FnMut(Duration, &[u8])) {
        let mut room = vec![0; ROOM];
        for file in &mut self.0 {
            // A page each, and nothing more to come as an error.
            while let Ok(many @ 1..) = file.read(&mut room) {
                entries(&room[..many], &mut on);
            }
        }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Goes through the entries of a page.
fn entries(page: &[u8], on: &mut impl FnMut(Duration, &[u8])) -> Option<()> {
    let mut time = u64_at(page, 0)?;
    let written = usize::try_from(u64_at(page, 8)? & WRITTEN).ok()?;
    let mut rest = page.get(PAGE_HEADER..PAGE_HEADER + written)?;
    loop {
        let head = u32_at(rest, 0)?;
        let (kind, passed) = (head & ((1 << KIND_BITS) - 1), u64::from(head >> KIND_BITS));
        let next = || u32_at(rest, 4);
        let (at, length) = match kind {
            LATER => {
                time += (u64::from(next()?) << TIME_BITS) + passed;
                (8, 0)
            }
            TIME => {
                time = (u64::from(next()?) << TIME_BITS) + passed;
                (8, 0)
            }
            // The rest of the page is empty.
            PADDING if passed == 0 => return Some(()),
            PADDING => {
                time += passed;
                (4 + usize::try_from(next()?).ok()?, 0)
            }
            LENGTH_FOLLOWS => {
                time += passed;
                (8, usize::try_from(next()?).ok()?.checked_sub(4)?)
            }
            words => {
                time += passed;
                (4, 4 * usize::try_from(words).ok()?)
            }
        };
        if length > 0 {
            on(Duration::from_nanos(time), rest.get(at..at + length)?);
        }
        rest = rest.get(at + length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: u32, passed: u32) -> [u8; 4] {
        (passed << KIND_BITS | kind).to_ne_bytes()
    }

    /// A page that begins at 1,000 ns and has those parts.
    fn page(parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let written = body.len() as u64 | 1 << 31;
        [&1000_u64.to_ne_bytes()[..], &written.to_ne_bytes(), &body, &[0; 64]].concat()
    }

    fn read(page: &[u8]) -> Vec<(u128, Vec<u8>)> {
        let mut all = Vec::new();
        entries(page, &mut |at, bytes| all.push((at.as_nanos(), bytes.to_vec())));
        all
    }

    #[test]
    fn entries_are_read_with_their_times() {
        let page = page(&[
            &head(2, 5),
            b"eightbyt",
            // Three times 2^27 ns and 1 later.
            &head(LATER, 1),
            &3_u32.to_ne_bytes(),
            &head(LENGTH_FOLLOWS, 10),
            &16_u32.to_ne_bytes(),
            b"twelve bytes",
            // Four bytes that were given up.
            &head(PADDING, 1),
            &8_u32.to_ne_bytes(),
            &[0; 4],
            &head(TIME, 7),
            &1_u32.to_ne_bytes(),
            &head(1, 0),
            b"four",
        ]);
        let later = 1005 + (3 << 27) + 11;
        assert_eq!(
            read(&page),
            [
                (1005, b"eightbyt".to_vec()),
                (later, b"twelve bytes".to_vec()),
                ((1 << 27) + 7, b"four".to_vec())
            ]
        );
    }

    #[test]
    fn a_page_ends_where_it_is_padded_or_cut() {
        let padded =
            page(&[&head(1, 0), b"four", &head(PADDING, 0), &[0; 4], &head(1, 0), b"none"]);
        assert_eq!(read(&padded).len(), 1);
        assert_eq!(read(&page(&[])), []);
        let whole = page(&[&head(1, 0), b"four", &head(3, 0), b"twelve bytes"]);
        for length in 0..whole.len() {
            // Whatever is cut off, nothing is made up.
            assert!(read(&whole[..length]).len() <= 2);
        }
    }
}
