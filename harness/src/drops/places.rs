//! The names of places in the kernel: which function an address is in.
//!
//! Only the kernel knows, and its list of all takes a translated guest seconds to write. So a second, short event
//! tells the same address in both forms, and is read as text when an address is met for the first time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::pipe;

/// What the event tells.
pub(super) const ARGUMENTS: &str = "place=$stack0:x64 function=$stack0:symbol";

/// The names that are known so far, and where more come from.
pub(super) struct Places {
    pipe: File,
    known: HashMap<u64, String>,
}

impl Places {
    /// Those told in the instance in that folder.
    pub(super) fn open(instance: &str) -> io::Result<Self> {
        let pipe = pipe(Path::new(&format!("{instance}/trace_pipe")))?;
        Ok(Self { pipe, known: HashMap::new() })
    }

    /// The function that an address is in; the address itself where the kernel had no room left to tell.
    pub(super) fn name(&mut self, place: u64) -> String {
        if !self.known.contains_key(&place) {
            self.read();
        }
        self.known.entry(place).or_insert_with(|| format!("{place:#x}")).clone()
    }

    fn read(&mut self) {
        let (mut text, mut buffer) = (Vec::new(), [0; 1 << 14]);
        // It tells whole lines, and nothing more to come as an error.
        while let Ok(many @ 1..) = self.pipe.read(&mut buffer) {
            text.extend_from_slice(&buffer[..many]);
        }
        self.known.extend(String::from_utf8_lossy(&text).lines().filter_map(parse));
    }
}

/// `… place: (kfree_skb+0x0/0x90) place=0xffffffffc0123456 function=br_forward+0x1d/0x40 [bridge]`
fn parse(line: &str) -> Option<(u64, String)> {
    let (_, told) = line.split_once(" place=0x")?;
    let (place, function) = told.split_once(" function=")?;
    Some((u64::from_str_radix(place, 16).ok()?, function.split('+').next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_a_place_and_its_function() {
        let line = "  suite-71  [001] ..s1.  2.000718: place: (kfree_skb_reason+0x0/0x1c) \
                    place=0xffffffffc0123456 function=br_forward+0x1d/0x40 [bridge]";
        assert_eq!(parse(line), Some((0xffff_ffff_c012_3456, "br_forward".to_owned())));
        assert_eq!(parse("CPU:0 [LOST 12 EVENTS]"), None);
    }
}
