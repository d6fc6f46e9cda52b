//! A guest's kernel console: what it said, and what of that is evidence that the kernel misbehaved.
//!
//! Bytes go in as they come; memory is bounded whatever the guest does. No I/O, no guest: only text.

mod evidence;
mod frames;
mod log;
mod scan;
mod trigger;

pub use evidence::Evidence;
pub use trigger::Kind;

pub(crate) use log::Log;
use scan::Scanner;

/// One guest's console.
#[derive(Clone, Debug, Default)]
pub struct Console {
    log: Log,
    scanner: Scanner,
    post_mortem: bool,
}

impl Console {
    /// Takes bytes as they came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.log.push(bytes);
        if !self.post_mortem {
            self.scanner.feed(bytes);
        }
    }

    /// From here on the kernel is made to speak: what it says is kept, but is no evidence.
    pub fn begin_post_mortem(&mut self) {
        self.scanner.finish();
        self.log.mark("[hairpin: the deadline has passed; all tasks follow]");
        self.post_mortem = true;
    }

    /// Ends it: what was being said is then evidence as far as it came.
    pub fn finish(&mut self) {
        self.scanner.finish();
    }

    /// Whether the guest has said that no more is due for its job.
    pub fn has_ended(&self) -> bool {
        self.scanner.has_ended()
    }

    /// What was found so far, in order.
    pub fn evidence(&self) -> &[Evidence] {
        self.scanner.found()
    }

    /// The first of it after which the kernel cannot be relied on: what came then may be its consequence.
    pub fn fatal(&self) -> Option<&Evidence> {
        self.evidence().iter().find(|evidence| evidence.kind.is_fatal())
    }

    /// How often evidence was found that is not kept, for there was too much.
    pub fn evidence_dropped(&self) -> usize {
        self.scanner.dropped()
    }

    /// The text: its beginning and its end, and between them how much is left out.
    pub fn text(&self) -> String {
        self.log.text()
    }

    /// How many bytes there were, kept or not.
    pub fn bytes(&self) -> u64 {
        self.log.bytes()
    }

    /// The last lines, for an error that has room for a few only.
    pub fn last_lines(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

#[cfg(test)]
mod tests;
