//! A set or a map as a rule looks into it: its ranges, and what is kept of each.

use serde::{Deserialize, Serialize};

/// What a set has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The first value.
    pub least: Vec<u8>,
    /// The last value: the first, if it is one alone.
    pub most: Vec<u8>,
    /// What a map has for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<u8>>,
    /// The verdict that a map has for them (`NF_*`, `NFT_*`), and its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<(i32, Option<String>)>,
}

impl Entry {
    /// One value alone.
    pub fn one(value: Vec<u8>) -> Self {
        Self { most: value.clone(), least: value, ..Self::default() }
    }

    /// All values between two, which are as long as each other.
    pub fn between(least: Vec<u8>, most: Vec<u8>) -> Self {
        Self { least, most, ..Self::default() }
    }

    fn has(&self, value: &[u8]) -> bool {
        // Bytes in network order are ordered as the numbers are.
        self.least.as_slice() <= value && value <= self.most.as_slice()
    }
}

/// The entry that has a value; an error if the entries are of something longer, as several fields are.
pub(super) fn find<'e>(entries: &'e [Entry], value: &[u8]) -> Result<Option<&'e Entry>, String> {
    if entries.iter().any(|entry| entry.least.len() != value.len()) {
        return Err("a set of several fields".into());
    }
    Ok(entries.iter().find(|entry| entry.has(value)))
}
