//! The sets and maps that rules look into, with all that is in them.
//!
//! What of a set cannot be read makes it unknown, and with it each rule that looks into it.

use hairpin_explain::ruleset::Entry;
use hairpin_model::Error;

use super::{HEADER, NF_HEADER, attr, attrs, number, request, request_of, text, verdict};
use crate::list::Kernel;

/// `NFT_MSG_GETSET` and `NFT_MSG_GETSETELEM`.
const GET_SET: u16 = 0x0a0a;
const GET_ELEMENTS: u16 = 0x0a0d;
/// `NFTA_SET_TABLE` and `NFTA_SET_NAME`; those of a list of elements have the same numbers.
const TABLE: u16 = 1;
const NAME: u16 = 2;
const FLAGS: u16 = 3;
/// `NFT_SET_INTERVAL`.
const INTERVAL: u32 = 4;
/// `NFTA_SET_ELEM_LIST_ELEMENTS`.
const ELEMENTS: u16 = 3;

/// A set of a table.
struct Set {
    family: u8,
    table: String,
    name: String,
    /// `None` where they are not understood.
    entries: Option<Vec<Entry>>,
}

/// All sets of a namespace.
pub(super) struct Sets(Vec<Set>);

impl Sets {
    /// Reads them; `None` if they changed meanwhile.
    pub(super) fn read(kernel: &Kernel) -> Result<Option<Self>, Error> {
        let Some(told) = kernel.ask("the firewall's sets", &request(GET_SET))? else {
            return Ok(None);
        };
        let mut sets = Vec::new();
        for message in told {
            let family = message[HEADER];
            let attrs = message.get(HEADER + NF_HEADER..).unwrap_or_default();
            let named = attr(attrs, TABLE).and_then(text).zip(attr(attrs, NAME).and_then(text));
            let Some((table, name)) = named else { continue };
            let of = request_of(GET_ELEMENTS, family, &[(TABLE, &table), (NAME, &name)]);
            let Some(told) = kernel.ask("the elements of a set", &of)? else { return Ok(None) };
            let elements: Option<Vec<Element>> =
                told.iter().flat_map(|message| listed(message)).map(element).collect();
            let in_ranges = number(attrs, FLAGS).unwrap_or(0) & INTERVAL != 0;
            let entries = elements.and_then(|all| entries(all, in_ranges));
            sets.push(Set { family, table, name, entries });
        }
        Ok(Some(Self(sets)))
    }

    /// What is in a set.
    pub(super) fn entries(&self, family: u8, table: &str, name: &str) -> Option<Vec<Entry>> {
        let is = |set: &&Set| set.family == family && set.table == table && set.name == name;
        self.0.iter().find(is)?.entries.clone()
    }
}

/// The elements that a message lists.
fn listed(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = message.get(HEADER + NF_HEADER..).and_then(|attrs| attr(attrs, ELEMENTS));
    attrs(all.unwrap_or_default()).map(|(_, element)| element)
}

/// An element as the kernel has it.
struct Element {
    entry: Entry,
    /// Whether a range ends before it, and none begins.
    ends: bool,
    /// Whether it says itself where its range ends.
    is_whole: bool,
    /// Whether it stands for all that no other has.
    is_rest: bool,
}

/// Reads one; `None` if it decides more than whether it is there.
fn element(attrs: &[u8]) -> Option<Element> {
    const KEY: u16 = 1;
    const DATA: u16 = 2;
    const ELEMENT_FLAGS: u16 = 3;
    const EXPRESSION: u16 = 6;
    const KEY_END: u16 = 10;
    const EXPRESSIONS: u16 = 11;
    const ENDS: u32 = 1;
    const REST: u32 = 2;
    let counts = |expr: &[u8]| attr(expr, 1).and_then(text).is_some_and(|name| name == "counter");
    let alone = attr(attrs, EXPRESSION).is_none_or(counts);
    let many = attr(attrs, EXPRESSIONS).unwrap_or_default();
    if !alone || !self::attrs(many).all(|(_, expr)| counts(expr)) {
        return None;
    }
    let value = |kind| attr(attrs, kind).map(|data| attr(data, 1).map(<[u8]>::to_vec));
    let flags = number(attrs, ELEMENT_FLAGS).unwrap_or(0);
    let is_rest = flags & REST != 0;
    let least = if is_rest { Vec::new() } else { value(KEY)?? };
    let end = value(KEY_END).flatten();
    let data = attr(attrs, DATA);
    let verdict = match data.and_then(|data| attr(data, 2)) {
        Some(told) => Some(verdict(told)?),
        None => None,
    };
    let data = data.and_then(|data| attr(data, 1)).map(<[u8]>::to_vec);
    let is_whole = end.is_some();
    let most = end.unwrap_or_else(|| least.clone());
    let entry = Entry { least, most, data, verdict };
    Some(Element { entry, ends: flags & ENDS != 0, is_whole, is_rest })
}

/// The entries of a set. One of ranges has an element where a range begins and one behind its end.
fn entries(mut elements: Vec<Element>, in_ranges: bool) -> Option<Vec<Entry>> {
    let rest = elements.iter().position(|element| element.is_rest);
    let rest = rest.map(|at| elements.remove(at).entry);
    if in_ranges && !elements.iter().any(|element| element.is_whole) {
        elements.sort_by(|a, b| (&a.entry.least, !a.ends).cmp(&(&b.entry.least, !b.ends)));
        let next: Vec<Vec<u8>> =
            elements.iter().skip(1).map(|element| element.entry.least.clone()).collect();
        for (element, next) in
            elements.iter_mut().zip(next.into_iter().map(Some).chain(std::iter::once(None)))
        {
            let length = element.entry.least.len();
            element.entry.most = next.map_or_else(|| vec![0xff; length], before);
        }
        elements.retain(|element| !element.ends);
    }
    let mut entries: Vec<Entry> = elements.into_iter().map(|element| element.entry).collect();
    if let Some(mut rest) = rest {
        // Of how long a value it is the others tell.
        let length = entries.first()?.least.len();
        (rest.least, rest.most) = (vec![0; length], vec![0xff; length]);
        entries.push(rest);
    }
    Some(entries)
}

/// The number before, in network order.
fn before(mut bytes: Vec<u8>) -> Vec<u8> {
    for byte in bytes.iter_mut().rev() {
        let borrows = *byte == 0;
        *byte = byte.wrapping_sub(1);
        if !borrows {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: u16, ends: bool) -> Element {
        let entry = Entry::one(key.to_be_bytes().to_vec());
        Element { entry, ends, is_whole: false, is_rest: false }
    }

    fn ranges(elements: Vec<Element>, in_ranges: bool) -> Vec<(u16, u16)> {
        let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
        let found = entries(elements, in_ranges).unwrap();
        found.iter().map(|entry| (number(&entry.least), number(&entry.most))).collect()
    }

    #[test]
    fn a_range_ends_before_its_end() {
        // As `{ 22, 1024-2047, 2048-4095, 61000-65535 }` is told, whatever the order.
        let told = vec![
            at(61000, false),
            at(4096, true),
            at(2048, false),
            at(2048, true),
            at(1024, false),
            at(23, true),
            at(22, false),
            at(0, true),
        ];
        let expected = [(22, 22), (1024, 2047), (2048, 4095), (61000, 65535)];
        assert_eq!(ranges(told, true), expected);
        assert_eq!(ranges(vec![at(80, false), at(22, false)], false), [(80, 80), (22, 22)]);
    }

    #[test]
    fn the_rest_comes_last_and_has_all() {
        let rest = Element { is_rest: true, ..at(0, false) };
        assert_eq!(ranges(vec![rest, at(22, false)], false), [(22, 22), (0, 65535)]);
        let rest = Element { is_rest: true, ..at(0, false) };
        assert_eq!(entries(vec![rest], false), None, "of what, nobody knows");
    }

    #[test]
    fn numbers_are_borrowed_from() {
        assert_eq!(before(vec![1, 0, 0]), [0, 255, 255]);
        assert_eq!(before(vec![0, 80]), [0, 79]);
    }
}
