//! Netlink's attributes as bytes: lengths, padding, byte order. Knows no family's numbers.

/// Says that an attribute holds others.
const NLA_F_NESTED: u16 = 1 << 15;

/// The flags above an attribute's kind.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// A run of netlink attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attrs(Vec<u8>);

impl Attrs {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute with these bytes as they are.
    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).expect("an attribute is below 64 KiB");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        pad(&mut self.0);
        self
    }

    /// Adds a text, which the kernel wants to end in NUL.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds a number in network order, as nf_tables has them.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds attributes within an attribute.
    pub(crate) fn nest(self, kind: u16, inner: &Self) -> Self {
        self.bytes(kind | NLA_F_NESTED, &inner.0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The attributes in these bytes, as far as they are whole.
pub(crate) fn parse(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(align(length)..).unwrap_or_default();
        Some((kind & NLA_TYPE_MASK, value))
    })
}

/// The first attribute of that kind.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    parse(bytes).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

/// The next multiple of four, which everything in netlink starts at.
pub(crate) fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(align(bytes.len()), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was put in comes out, for every length of every attribute in a run.
    #[test]
    fn attributes_of_every_length_are_padded_and_counted() {
        for first in 0..=67 {
            for second in 0..=9 {
                let (a, b) = (vec![0xaa; first], vec![0xbb; second]);
                let inner = Attrs::new().bytes(1, &a).bytes(2, &b);
                let outer = Attrs::new().nest(3, &inner).bytes(4, &a);
                assert_eq!(all(&inner.0), [(1, a.clone()), (2, b)]);
                assert_eq!(all(&outer.0), [(3, inner.0.clone()), (4, a)]);
                assert_eq!(find(&outer.0, 3), Some(inner.as_bytes()));
            }
        }
    }

    #[test]
    fn a_cut_run_ends_at_the_cut() {
        let whole = Attrs::new().bytes(1, &[1; 5]).bytes(2, &[2; 5]);
        for length in 0..whole.0.len() {
            let seen = all(&whole.0[..length]).len();
            assert_eq!(seen, usize::from(length >= 9) + usize::from(length >= 21), "{length}");
        }
    }

    fn all(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        parse(bytes).map(|(kind, value)| (kind, value.to_vec())).collect()
    }
}
