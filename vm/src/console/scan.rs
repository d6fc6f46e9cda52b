//! Finds complaints in a console as it streams by.

use hairpin_guest::wire::END_OF_JOB;

use super::evidence::Evidence;
use super::frames::Frames;
use super::trigger::{self, Kind};

/// Longer lines are cut: a kernel prints none, a program that floods the console may.
const LINE: usize = 2048;
/// Text kept of one complaint.
const TEXT: usize = 24 * 1024;
/// Complaints kept. The first one made the others.
const KEPT: usize = 16;
/// Lines after which a complaint is over even if the kernel does not say so.
const LINES: usize = 400;

/// Why a kernel panics after a complaint: `oops=panic` and its like (grep `panic(` in the files of `trigger.rs`).
const CONSEQUENCES: [&str; 7] = [
    "Fatal exception",
    "Fatal hardware error",
    "softlockup: hung tasks",
    "hung_task: blocked tasks",
    "RCU Stall",
    "Hard LOCKUP",
    "panic_on_warn set",
];

/// The state between two pieces of a console.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scanner {
    line: Vec<u8>,
    open: Option<Open>,
    found: Vec<Evidence>,
    dropped: usize,
    ended: bool,
}

/// A complaint whose end has not been seen.
#[derive(Clone, Debug)]
struct Open {
    kind: Kind,
    title: String,
    frames: Frames,
    text: String,
    lines: usize,
    ended_machine: bool,
}

impl Scanner {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_of_line(),
                _ if self.line.len() < LINE => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// Ends the last line and what it belongs to.
    pub(crate) fn finish(&mut self) {
        self.end_of_line();
        self.close();
    }

    pub(crate) fn found(&self) -> &[Evidence] {
        &self.found
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether the line has come after which nothing more is due.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    fn end_of_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        self.take(line.trim_end());
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        if trigger::message(line) == END_OF_JOB {
            self.ended = true;
            return self.close();
        }
        if let Some((kind, title)) = trigger::of(line) {
            return self.begin(kind, title, line);
        }
        if let Some(open) = &mut self.open {
            open.take(line);
            let message = trigger::message(line);
            if message.starts_with("---[ end ") || open.lines >= LINES {
                self.close();
            }
        }
    }

    fn begin(&mut self, kind: Kind, title: &str, line: &str) {
        let consequence = kind == Kind::Panic && is_consequence(title);
        match (&mut self.open, self.found.last_mut()) {
            (Some(open), _) if consequence || goes_on(open.kind, kind) => {
                open.ended_machine |= consequence;
                return open.take(line);
            }
            (None, Some(last)) if consequence => {
                last.ended_machine = true;
                return push_line(&mut last.text, line);
            }
            _ => {}
        }
        self.close();
        self.open = Some(Open::new(kind, title, line));
        if kind.is_one_line() {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let evidence = open.into_evidence();
        let known = self.found.iter().any(|e| e.signature() == evidence.signature());
        if known || self.found.len() >= KEPT {
            self.dropped += 1;
        } else {
            self.found.push(evidence);
        }
    }
}

/// Whether a complaint of kind `next` is more of the one that is being made.
fn goes_on(open: Kind, next: Kind) -> bool {
    next == Kind::Oops && matches!(open, Kind::Oops | Kind::Bug | Kind::Memory)
}

/// Whether the kernel gives up only because it was told to give up over the complaint before.
fn is_consequence(panic: &str) -> bool {
    CONSEQUENCES.iter().any(|reason| panic.contains(reason))
}

impl Open {
    fn new(kind: Kind, title: &str, line: &str) -> Self {
        let (frames, text) = (Frames::default(), String::new());
        let ended_machine = kind == Kind::Panic;
        let mut open = Self { kind, title: title.into(), frames, text, lines: 0, ended_machine };
        open.take(line);
        open
    }

    fn take(&mut self, line: &str) {
        self.lines += 1;
        self.frames.take(trigger::message(line));
        push_line(&mut self.text, line);
    }

    fn into_evidence(self) -> Evidence {
        let Self { kind, title, frames, text, ended_machine, .. } = self;
        Evidence { kind, title, frames: frames.into_names(), text, ended_machine }
    }
}

fn push_line(text: &mut String, line: &str) {
    if text.len() + line.len() < TEXT {
        text.push_str(line);
        text.push('\n');
    }
}
