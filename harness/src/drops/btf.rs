//! Where the kernel's structures have their fields, and its functions their parameters, as the
//! kernel describes itself (BTF, `Documentation/bpf/btf.rst`).
//!
//! Reads no more of the format than that takes.

use std::fs;
use std::io;

use super::u32_at;

/// Where a kernel that describes itself does so.
const FILE: &str = "/sys/kernel/btf/vmlinux";

/// What a description begins with.
const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;

/// The length of what every type begins with: name, kind and count, size or type.
const TYPE: usize = 12;

const STRUCT: u8 = 4;
const UNION: u8 = 5;
const FUNC: u8 = 12;

/// A kernel's description of itself.
pub(super) struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    /// Where each type begins; the first is type 1.
    types: Vec<usize>,
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// How many bytes a kind has behind its beginning, for each of its members and once.
const fn tail(kind: u8) -> Option<(usize, usize)> {
    match kind {
        // Integers, variables and declaration tags have one number.
        1 | 14 | 17 => Some((0, 4)),
        // Pointers, qualifiers, names of types, forward declarations, functions, floats, type tags.
        2 | 7..=12 | 16 | 18 => Some((0, 0)),
        3 => Some((0, 12)),
        // Structures, unions, sections, and enumerations of long numbers.
        4 | 5 | 15 | 19 => Some((12, 0)),
        // Enumerations, and what functions take.
        6 | 13 => Some((8, 0)),
        _ => None,
    }
}

impl Btf {
    /// The description of the running kernel.
    pub(super) fn of_this_kernel() -> io::Result<Self> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, format!("{FILE} is not BTF"));
        Self::read(fs::read(FILE)?).ok_or_else(unknown)
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        if u16::from_ne_bytes(*bytes.first_chunk()?) != MAGIC || bytes.len() < HEADER {
            return None;
        }
        let header = size_at(&bytes, 4)?;
        let first = header + size_at(&bytes, 8)?;
        let end = first + size_at(&bytes, 12)?;
        let strings = header + size_at(&bytes, 16)?;
        let mut types = Vec::new();
        let mut at = first;
        while at < end {
            types.push(at);
            let (each, once) = tail(kind(&bytes, at)?)?;
            at += TYPE + each * count(&bytes, at)? + once;
        }
        Some(Self { bytes, strings, types })
    }

    /// How far into a structure its member is, in bytes. Members of what has no name are its own.
    pub(super) fn offset(&self, structure: &str, member: &str) -> Option<usize> {
        let is = |at: &usize| {
            matches!(kind(&self.bytes, *at), Some(STRUCT | UNION)) && self.is_named(*at, structure)
        };
        let mut all = self.types.iter().copied().filter(is);
        Some(all.find_map(|at| self.bits(at, member))? / 8)
    }

    fn bits(&self, structure: usize, member: &str) -> Option<usize> {
        // Where members may be of bits, their width is above where they are.
        let mask =
            if u32_at(&self.bytes, structure + 4)? >> 31 == 0 { u32::MAX } else { 0xff_ffff };
        (0..count(&self.bytes, structure)?).find_map(|number| {
            let at = structure + TYPE + 12 * number;
            let bits = usize::try_from(u32_at(&self.bytes, at + 8)? & mask).ok()?;
            if self.is_named(at, member) {
                return Some(bits);
            }
            let inner = *self.types.get(size_at(&self.bytes, at + 4)?.checked_sub(1)?)?;
            let nested = matches!(kind(&self.bytes, inner)?, STRUCT | UNION);
            let within = self.is_named(at, "") && nested;
            if within { Some(bits + self.bits(inner, member)?) } else { None }
        })
    }

    /// Which parameter of a function has that name, from 0; `None` if there is no such function.
    pub(super) fn parameter(&self, function: &str, name: &str) -> Option<usize> {
        let is = |at: &usize| kind(&self.bytes, *at) == Some(FUNC) && self.is_named(*at, function);
        let function = self.types.iter().copied().find(is)?;
        let kind = *self.types.get(size_at(&self.bytes, function + 8)?.checked_sub(1)?)?;
        (0..count(&self.bytes, kind)?).find(|number| self.is_named(kind + TYPE + 8 * number, name))
    }

    /// Whether the name of what begins there is that one.
    fn is_named(&self, at: usize, name: &str) -> bool {
        let text = size_at(&self.bytes, at).and_then(|at| self.bytes.get(self.strings + at..));
        text.and_then(|text| text.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn kind(bytes: &[u8], at: usize) -> Option<u8> {
    Some(bytes.get(at + 7)? & 0x1f)
}

fn count(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_ne_bytes(*bytes.get(at + 4..)?.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct s { int a; union { struct { int b; int c; }; }; }` and `void f(int x, struct s *s)`.
    fn described() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0c\0f\0x\0int\0";
        let info = |kind: u32, many: u32| kind << 24 | many;
        let types: Vec<u32> = [
            vec![13, info(1, 0), 4, 32],
            vec![0, info(4, 2), 8, 5, 1, 0, 7, 1, 32],
            vec![0, info(5, 1), 8, 0, 2, 0],
            vec![1, info(4, 2), 12, 3, 1, 0, 0, 3, 32],
            vec![0, info(2, 0), 4],
            vec![0, info(13, 2), 0, 11, 1, 1, 5],
            vec![9, info(12, 0), 6],
        ]
        .concat();
        let length = 4 * u32::try_from(types.len()).unwrap();
        let mut bytes = [&MAGIC.to_ne_bytes()[..], &[1, 0]].concat();
        let header = [24, 0, length, length, u32::try_from(strings.len()).unwrap()];
        bytes.extend(header.iter().chain(&types).flat_map(|number| number.to_ne_bytes()));
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_in_what_has_no_name() {
        let btf = Btf::read(described()).unwrap();
        assert_eq!(btf.offset("s", "a"), Some(0));
        assert_eq!(btf.offset("s", "b"), Some(4));
        assert_eq!(btf.offset("s", "c"), Some(8));
        assert_eq!(btf.offset("s", "d"), None);
        assert_eq!(btf.offset("t", "a"), None);
    }

    #[test]
    fn parameters_are_counted_from_0() {
        let btf = Btf::read(described()).unwrap();
        assert_eq!((btf.parameter("f", "x"), btf.parameter("f", "s")), (Some(0), Some(1)));
        assert_eq!((btf.parameter("f", "y"), btf.parameter("g", "x")), (None, None));
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let whole = described();
        for length in 0..whole.len() {
            let Some(btf) = Btf::read(whole[..length].to_vec()) else { continue };
            assert_eq!(btf.offset("s", "d"), None);
        }
        assert!(Btf::read(vec![0; 64]).is_none());
    }
}
