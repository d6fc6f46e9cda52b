//! The pcapng format, as far as a capture of ours needs it: one section, its interfaces, its frames.
//!
//! See draft-ietf-opsawg-pcapng. All numbers are little-endian, which the section's first number says.

use hairpin_model::event::Frame;
use hairpin_model::grid::Direction;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;

// Options: of all blocks, of a section, of an interface, of a packet.
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const FLAGS: u16 = 2;

/// Times are in units of ten to the minus ninth of a second.
const NANOSECONDS: u8 = 9;

/// A link of a lab.
type Link = (usize, String);

/// A capture that is being written.
pub(super) struct Writer {
    bytes: Vec<u8>,
    links: Vec<Link>,
}

impl Writer {
    /// A section with that comment.
    pub(super) fn new(comment: &str) -> Self {
        let mut body = BYTE_ORDER.to_le_bytes().to_vec();
        body.extend(1u16.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        // How long the section is: not told, it ends with the file.
        body.extend((-1i64).to_le_bytes());
        option(&mut body, COMMENT, comment.as_bytes());
        let application = concat!("hairpin ", env!("CARGO_PKG_VERSION"));
        option(&mut body, APPLICATION, application.as_bytes());
        option(&mut body, END_OF_OPTIONS, &[]);
        let mut writer = Self { bytes: Vec::new(), links: Vec::new() };
        writer.block(SECTION, &body);
        writer
    }

    /// Adds an interface; frames of that link are then its.
    pub(super) fn interface(&mut self, link: Link, name: &str) {
        let mut body = ETHERNET.to_le_bytes().to_vec();
        body.extend(0u16.to_le_bytes());
        // No limit to the length of what was captured.
        body.extend(0u32.to_le_bytes());
        option(&mut body, NAME, name.as_bytes());
        option(&mut body, RESOLUTION, &[NANOSECONDS]);
        option(&mut body, END_OF_OPTIONS, &[]);
        self.block(INTERFACE, &body);
        self.links.push(link);
    }

    /// Adds a frame of a link that has its interface.
    pub(super) fn frame(&mut self, frame: &Frame) {
        let place =
            self.links.iter().position(|(lab, link)| (*lab, link) == (frame.lab, &frame.link));
        let place = place.expect("every link of a frame has been added");
        let bytes = octets(&frame.bytes);
        let mut body = number(place).to_le_bytes().to_vec();
        // The time's upper half comes first, whatever the order of bytes.
        body.extend(((frame.ns >> 32) as u32).to_le_bytes());
        body.extend((frame.ns as u32).to_le_bytes());
        body.extend(number(bytes.len()).to_le_bytes());
        body.extend(number(frame.len.max(bytes.len())).to_le_bytes());
        padded(&mut body, &bytes);
        if let Some(probe) = &frame.probe {
            option(&mut body, COMMENT, probe.as_bytes());
        }
        let direction: u32 = match frame.direction {
            Direction::In => 1,
            Direction::Out => 2,
        };
        option(&mut body, FLAGS, &direction.to_le_bytes());
        option(&mut body, END_OF_OPTIONS, &[]);
        self.block(ENHANCED_PACKET, &body);
    }

    /// The file.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A block: its kind, its length, the body, and its length again for those that read backwards.
    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = number(body.len() + 12).to_le_bytes();
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(length);
    }
}

/// An option. What does not fit its length of 16 bits is cut off: only comments can be so long.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

/// Bytes, and zeros up to a multiple of four. All that stands before is one already.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a capture is far below four GiB")
}

/// The bytes that hexadecimal digits stand for, up to the first that is none.
fn octets(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let digit = |at: u8| char::from(at).to_digit(16);
    pairs.map_while(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_whole_and_a_multiple_of_four() {
        let mut writer = Writer::new("why");
        writer.interface((0, "a:x".into()), "a:x");
        writer.frame(&Frame {
            lab: 0,
            link: "a:x".into(),
            direction: Direction::Out,
            ns: (7 << 32) + 5,
            len: 60,
            bytes: "0102030405".into(),
            probe: Some("frame of probe 7".into()),
            left_off: 0,
        });
        let bytes = writer.into_bytes();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (mut at, mut kinds) = (0, Vec::new());
        while at < bytes.len() {
            let length = word(at + 4) as usize;
            assert_eq!((length % 4, word(at + length - 4) as usize), (0, length));
            kinds.push(word(at));
            at += length;
        }
        assert_eq!(
            (at, kinds.as_slice()),
            (bytes.len(), &[SECTION, INTERFACE, ENHANCED_PACKET][..])
        );
        let packet = bytes.len() - word(bytes.len() - 4) as usize;
        let head: Vec<u32> = (2..7).map(|n| word(packet + 4 * n)).collect();
        assert_eq!(head, [0, 7, 5, 5, 60], "interface, time, captured, length");
    }

    #[test]
    fn digits_are_read_up_to_what_is_none() {
        assert_eq!(octets("00ff7e"), [0, 255, 126]);
        assert_eq!(octets("01zz02"), [1]);
        assert_eq!(octets("0102a"), [1, 2]);
    }
}
