//! Frames: where a message begins and ends, whether it is whole, and whether one is missing.
//!
//! `HPN1`, kind (1 byte), number (4), length (4), payload, CRC-32 of kind to payload (4); little-endian. A
//! receiver that has seen damage trusts nothing that follows: better no result than a wrong one.
//!
//! A byte on the line takes a guest longer than a hundred instructions do, so what is worth it is packed (LZ4): the
//! kind then has its highest bit set, and the payload is preceded by its length when unpacked (4).

use std::fmt;

/// The most bytes that one frame carries.
pub const MAX_PAYLOAD: usize = 64 * 1024;

const MAGIC: [u8; 4] = *b"HPN1";
const HEAD: usize = MAGIC.len() + 1 + 4 + 4;
const CRC: usize = 4;
/// The bit of the kind that says that the payload is packed.
const PACKED: u8 = 0x80;
/// Payloads up to this size are sent as they are.
const SMALL: usize = 256;

/// One frame, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What its payload is.
    pub kind: u8,
    /// Its number; the first of a sender is 0.
    pub seq: u32,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Why the line cannot be trusted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// There is something else where a frame should begin.
    Noise {
        /// The number of the frame that was due.
        due: u32,
    },
    /// A frame is longer than frames can be.
    Length {
        /// The number of the frame that was due.
        due: u32,
    },
    /// A frame's bytes were changed on the way.
    Checksum {
        /// The number of the frame that was due.
        due: u32,
    },
    /// Frames are missing, or come twice.
    Order {
        /// The number of the frame that was due.
        due: u32,
        /// The number that came.
        came: u32,
    },
    /// The payload was packed, and cannot be unpacked.
    Packing {
        /// The number of the frame that was due.
        due: u32,
    },
    /// The frame is whole, but is nothing that this side knows.
    Meaning {
        /// Its number.
        seq: u32,
        /// Its kind.
        kind: u8,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise { due } => write!(f, "noise in place of frame {due}"),
            Self::Length { due } => write!(f, "frame {due} has an impossible length"),
            Self::Checksum { due } => write!(f, "frame {due} has a wrong checksum"),
            Self::Packing { due } => write!(f, "frame {due} cannot be unpacked"),
            Self::Order { due, came } => write!(f, "frame {came} came in place of frame {due}"),
            Self::Meaning { seq, kind } => write!(f, "frame {seq} of kind {kind} means nothing"),
        }
    }
}

/// Numbers frames and writes them as bytes.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    next: u32,
}

impl Encoder {
    /// One that goes on where another stopped.
    pub const fn starting_at(next: u32) -> Self {
        Self { next }
    }

    /// The number of the next frame.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// One frame's bytes.
    ///
    /// # Panics
    /// If the payload is longer than [`MAX_PAYLOAD`]: senders cut before they send. If the kind is above 127.
    pub fn encode(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        assert!(payload.len() <= MAX_PAYLOAD, "a frame of {} bytes", payload.len());
        assert!(kind & PACKED == 0, "a frame of kind {kind}");
        match packed(payload) {
            Some(packed) => self.frame(kind | PACKED, &packed),
            None => self.frame(kind, payload),
        }
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("it is at most MAX_PAYLOAD");
        let mut out = Vec::with_capacity(HEAD + payload.len() + CRC);
        out.extend(MAGIC);
        out.push(kind);
        out.extend(self.next.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(payload);
        out.extend(crc32fast::hash(&out[MAGIC.len()..]).to_le_bytes());
        self.next = self.next.wrapping_add(1);
        out
    }
}

/// The payload in fewer bytes, if it is large enough and there is a way.
fn packed(payload: &[u8]) -> Option<Vec<u8>> {
    let packed =
        (payload.len() > SMALL).then(|| lz4_flex::block::compress_prepend_size(payload))?;
    (packed.len() < payload.len()).then_some(packed)
}

/// What was packed. A length that no payload has is not believed.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let (length, block) = packed.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let payload = (length <= MAX_PAYLOAD)
        .then(|| lz4_flex::block::decompress(block, length).ok())
        .flatten()?;
    (payload.len() == length).then_some(payload)
}

/// Finds frames in bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    next: u32,
    in_step: bool,
    damage: Option<Damage>,
}

impl Decoder {
    /// For a sender that has already sent the frames before number `next` to somebody else.
    pub fn starting_at(next: u32) -> Self {
        Self { next, in_step: next > 0, ..Self::default() }
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; nothing if more bytes are needed for it.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Damage> {
        if let Some(damage) = &self.damage {
            return Err(damage.clone());
        }
        let found = self.find();
        self.damage = found.as_ref().err().cloned();
        found
    }

    /// Whether the bytes end in the middle of a frame: the sender died while it spoke.
    pub fn is_amid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The number of the frame that is due.
    pub fn due(&self) -> u32 {
        self.next
    }

    fn find(&mut self) -> Result<Option<Frame>, Damage> {
        if !self.in_step {
            self.skip_noise();
        }
        let due = self.next;
        let begins = self.buffer.iter().zip(MAGIC).all(|(have, want)| *have == want);
        if !begins {
            return Err(Damage::Noise { due });
        }
        let Some(length) = self.number(MAGIC.len() + 5) else { return Ok(None) };
        let end = HEAD + length as usize;
        if length as usize > MAX_PAYLOAD {
            return Err(Damage::Length { due });
        }
        let Some(crc) = self.number(end) else { return Ok(None) };
        if crc != crc32fast::hash(&self.buffer[MAGIC.len()..end]) {
            return Err(Damage::Checksum { due });
        }
        let seq = self.number(MAGIC.len() + 1).expect("it lies before what was just read");
        if seq != due {
            return Err(Damage::Order { due, came: seq });
        }
        let frame = self.frame(seq, end).ok_or(Damage::Packing { due })?;
        self.buffer.drain(..end + CRC);
        self.next = self.next.wrapping_add(1);
        self.in_step = true;
        Ok(Some(frame))
    }

    /// The frame that ends there; none if it cannot be unpacked.
    fn frame(&self, seq: u32, end: usize) -> Option<Frame> {
        let (kind, payload) = (self.buffer[MAGIC.len()], &self.buffer[HEAD..end]);
        let payload = match kind & PACKED {
            0 => payload.into(),
            _ => unpacked(payload)?,
        };
        Some(Frame { kind: kind & !PACKED, seq, payload })
    }

    /// Firmware may say something on the port before the guest opens it: only then is noise no damage.
    fn skip_noise(&mut self) {
        let start = self.buffer.windows(MAGIC.len()).position(|window| window == MAGIC);
        let keep = start.unwrap_or_else(|| {
            let tails = (1..MAGIC.len()).rev().filter(|n| self.buffer.ends_with(&MAGIC[..*n]));
            self.buffer.len() - tails.into_iter().next().unwrap_or(0)
        });
        self.buffer.drain(..keep);
    }

    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.buffer.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().expect("four bytes were asked for")))
    }
}

#[cfg(test)]
mod tests;
