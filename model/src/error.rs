//! The one shape of an error that a reader of Hairpin meets: what, where, help.

use std::fmt;

/// Something that the user, the machine or the kernel can cause. Bugs of ours panic instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong: lowercase, no full stop, names in backticks, the kernel's own words if any.
    pub what: String,
    /// The thing that it is wrong with: a link, a file, a line.
    pub place: String,
    /// One step that the reader can take.
    pub help: String,
    /// The kernel's error number if it refused something, positive; else 0.
    pub errno: i32,
}

impl Error {
    /// Builds an error from its three parts.
    pub fn new(what: impl Into<String>, place: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), place: place.into(), help: help.into(), errno: 0 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  where: {}\n  help:  {}", self.what, self.place, self.help)
    }
}

impl std::error::Error for Error {}
