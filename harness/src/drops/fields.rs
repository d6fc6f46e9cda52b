//! Where an entry of a trace buffer has what the probe wrote, as the event's `format` says, and the frame in it.

use std::time::Duration;

use super::{BEFORE, Given};

/// Where each field begins, and how many bytes it has.
pub(super) struct Fields {
    id: u16,
    netns: Field,
    link: Field,
    mac: Field,
    network: Field,
    protocol: Field,
    head: Field,
    data: Field,
    reason: Option<Field>,
    bytes: Field,
    place: Field,
}

#[derive(Clone, Copy)]
struct Field(usize, usize);

impl Field {
    /// `field:u32 netns; offset:16; size:4; signed:0;`
    fn of(format: &str, name: &str) -> Option<Self> {
        let line = format.lines().find(|line| {
            let declared = line.split(';').next().unwrap_or_default();
            let last = declared.split_whitespace().last().unwrap_or_default();
            last.split('[').next() == Some(name)
        })?;
        let number = |what| {
            let part = line.split(';').find_map(|part| part.trim().strip_prefix(what));
            part?.parse().ok()
        };
        Some(Self(number("offset:")?, number("size:")?))
    }

    fn bytes<'e>(&self, entry: &'e [u8]) -> Option<&'e [u8]> {
        entry.get(self.0..self.0 + self.1)
    }

    fn number(&self, entry: &[u8]) -> Option<u64> {
        let mut wide = [0; 8];
        let bytes = self.bytes(entry)?;
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        // Only little-endian machines have their numbers so, and only such have guests.
        Some(u64::from_le_bytes(wide))
    }

    fn short(&self, entry: &[u8]) -> Option<u32> {
        self.number(entry)?.try_into().ok()
    }
}

impl Fields {
    /// Those that a `format` tells.
    pub(super) fn of(format: &str) -> Option<Self> {
        let id = format.lines().find_map(|line| line.strip_prefix("ID: "))?.trim().parse().ok()?;
        let field = |name| Field::of(format, name);
        Some(Self {
            id,
            netns: field("netns")?,
            link: field("link")?,
            mac: field("mac")?,
            network: field("network")?,
            protocol: field("protocol")?,
            head: field("head")?,
            data: field("data")?,
            reason: field("reason"),
            bytes: field("bytes")?,
            place: field("place")?,
        })
    }

    /// What an entry tells, if it is the event's.
    pub(super) fn given(&self, at: Duration, entry: &[u8]) -> Option<Given> {
        if entry.first_chunk().copied().map(u16::from_ne_bytes) != Some(self.id) {
            return None;
        }
        let reason = match &self.reason {
            Some(reason) => Some(reason.short(entry)?),
            None => None,
        };
        Some(Given {
            at,
            netns: self.netns.short(entry)?,
            link: self.link.short(entry)?,
            place: self.place.number(entry)?,
            reason,
            frame: self.frame(entry)?,
        })
    }

    /// The frame, from its Ethernet header on. What a host sends itself has none before it is at a link.
    fn frame(&self, entry: &[u8]) -> Option<Vec<u8>> {
        /// A header that is not there yet.
        const UNSET: u32 = 0xffff;
        // Headers are counted from where the frame's memory begins.
        let data = self.data.number(entry)?.checked_sub(self.head.number(entry)?)?;
        let from = |header: u32| {
            let begins = (u64::from(header) + BEFORE as u64).checked_sub(data)?;
            self.bytes.bytes(entry)?.get(usize::try_from(begins).ok()?..)
        };
        Some(match self.mac.short(entry)? {
            UNSET => {
                let protocol = self.protocol.bytes(entry)?;
                [&[0; 12][..], protocol, from(self.network.short(entry)?)?].concat()
            }
            mac => from(mac)?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: drop\nID: 1234\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:u32 netns;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:u32 link;\toffset:12;\tsize:4;\tsigned:0;\n\
        \tfield:u16 mac;\toffset:16;\tsize:2;\tsigned:0;\n\
        \tfield:u16 network;\toffset:18;\tsize:2;\tsigned:0;\n\
        \tfield:u16 protocol;\toffset:20;\tsize:2;\tsigned:0;\n\
        \tfield:u64 head;\toffset:22;\tsize:8;\tsigned:0;\n\
        \tfield:u64 data;\toffset:30;\tsize:8;\tsigned:0;\n\
        \tfield:u64 bytes[24];\toffset:38;\tsize:192;\tsigned:0;\n\
        \tfield:u64 place;\toffset:230;\tsize:8;\tsigned:0;\n\n\
        print fmt: \"(%lx) netns=%u place=0x%Lx\", REC->__probe_ip, REC->netns, REC->place\n";

    /// An entry of a frame whose memory has 80 bytes before what is read next; its bytes are numbered.
    fn entry(mac: u16) -> Vec<u8> {
        let head = 0xffff_8880_0400_0000_u64;
        let mut entry = [&1234_u16.to_le_bytes()[..], &[0; 6]].concat();
        entry.extend(4_026_531_999_u32.to_le_bytes());
        entry.extend(10_u32.to_le_bytes());
        for number in [mac, 80, 0x0008] {
            entry.extend(number.to_le_bytes());
        }
        entry.extend(head.to_le_bytes());
        entry.extend((head + 80).to_le_bytes());
        entry.extend(0..192_u8);
        entry.extend(0xffff_ffff_8100_0010_u64.to_le_bytes());
        entry
    }

    #[test]
    fn an_entry_tells_a_frame_and_its_place() {
        let fields = Fields::of(FORMAT).unwrap();
        let given = fields.given(Duration::from_micros(7), &entry(66)).unwrap();
        assert_eq!((given.at, given.reason), (Duration::from_micros(7), None));
        assert_eq!((given.netns, given.link), (4_026_531_999, 10));
        assert_eq!(given.place, 0xffff_ffff_8100_0010);
        // 64 bytes before what is read next, less the 14 of the header that was read.
        assert_eq!(given.frame, (50..192).collect::<Vec<u8>>());
    }

    #[test]
    fn a_packet_without_a_header_is_given_one() {
        let given = Fields::of(FORMAT).unwrap().given(Duration::ZERO, &entry(0xffff)).unwrap();
        assert_eq!(given.frame[..12], [0; 12]);
        assert_eq!(given.frame[12..16], [8, 0, 64, 65]);
    }

    #[test]
    fn why_is_told_where_the_kernel_tells_it() {
        let format = FORMAT.replace(
            "field:u16 protocol",
            "field:u32 reason;\toffset:8;\tsize:4;\n\tfield:u16 protocol",
        );
        let given = Fields::of(&format).unwrap().given(Duration::ZERO, &entry(66)).unwrap();
        assert_eq!(given.reason, Some(4_026_531_999));
    }

    #[test]
    fn what_is_another_event_or_cut_is_passed_over() {
        let fields = Fields::of(FORMAT).unwrap();
        let entry = entry(66);
        assert_eq!(fields.given(Duration::ZERO, &[&[9, 9][..], &entry[2..]].concat()), None);
        for length in 0..entry.len() {
            assert_eq!(fields.given(Duration::ZERO, &entry[..length]), None, "{length}");
        }
        assert!(Fields::of(&FORMAT.replace("netns", "other")).is_none());
    }
}
