//! How a job in a guest ended, and all that is known of it.

use std::time::Duration;

use hairpin_guest::wire::{Exit, Stream};
use hairpin_model::event::Outcome;
use hairpin_model::{Event, Record};

use crate::console::{Console, Evidence, Kind, Log};

/// Bytes kept of each output: the beginning and the end.
const OUTPUT: usize = 1 << 20;
/// Bytes of one record. A longer line is none of ours.
const RECORD: usize = 4 << 20;
/// Taint flags with which a kernel says that it misbehaved: bad page, died, warned, locked up.
const MISBEHAVED: u64 = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The program exited with this code.
    Exited(i32),
    /// This signal killed the program.
    Killed(i32),
    /// The guest was gone before it had said that it was done. The text says what is known of it.
    Crashed(String),
    /// The deadline passed. The console ends with what all tasks were doing.
    Hung(Duration),
    /// What the guest said cannot be trusted, or it could not do what it was asked.
    Failed(String),
}

/// A job's end, and all that is known of it.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// How it ended.
    pub end: End,
    /// The records that the program wrote, in order.
    pub records: Vec<Record>,
    /// Lines where records should be that are none.
    pub bad_records: Vec<String>,
    /// What the program wrote to its standard output, the middle left out if it is much.
    pub stdout: Vec<u8>,
    /// What the program wrote to its standard error, likewise.
    pub stderr: Vec<u8>,
    /// What the kernel said since the guest was given the job; of a guest booted for it, since its boot.
    pub console: Console,
    /// What of that is evidence against the kernel.
    pub evidence: Vec<Evidence>,
    /// What the guest's random numbers were made from.
    pub seed: u64,
    /// How long it took.
    pub timing: Timing,
    /// What the reader of a report should know, one sentence each.
    pub notes: Vec<String>,
}

/// How long a job took, on this side's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Until there was a guest to give it to.
    pub guest: Duration,
    /// From then to the job's end.
    pub job: Duration,
    /// Until the guest was gone.
    pub leave: Duration,
    /// On the guest's clock, from the guest's `ready` to the program's end.
    pub inside: Duration,
}

impl JobResult {
    /// One word for how it ended, and why if it is no pass. What the kernel did counts before what the program
    /// says: a case may well pass on a kernel that is broken by then.
    pub fn outcome(&self) -> (Outcome, Option<String>) {
        let because = |outcome, why: String| (outcome, Some(why));
        match &self.end {
            End::Hung(limit) => {
                return because(Outcome::Hang, format!("no end within {} s", limit.as_secs_f32()));
            }
            End::Crashed(why) => return because(Outcome::Crash, why.clone()),
            End::Failed(why) => return because(Outcome::Error, why.clone()),
            End::Exited(_) | End::Killed(_) => {}
        }
        if let Some(first) = self.evidence.first() {
            let fatal = self.evidence.iter().any(|evidence| evidence.kind.is_fatal());
            let outcome = if fatal { Outcome::Crash } else { Outcome::Fail };
            return because(outcome, format!("the kernel complained: {first}"));
        }
        if let Some(line) = self.bad_records.first() {
            return because(Outcome::Error, format!("this is no record: {line}"));
        }
        self.of_program()
    }

    /// What the program itself says of how it ended.
    fn of_program(&self) -> (Outcome, Option<String>) {
        let said = self.records.iter().rev().find_map(|record| match &record.event {
            Event::CaseFinished { outcome, reason, .. } => Some((*outcome, reason.clone())),
            _ => None,
        });
        let began = self.records.iter().any(|r| matches!(r.event, Event::CaseStarted { .. }));
        match (&self.end, said) {
            (End::Killed(signal), _) => {
                (Outcome::Crash, Some(format!("the program was killed by signal {signal}")))
            }
            (End::Exited(code), Some((outcome, _))) if !outcome.is_bad() && *code != 0 => {
                let why = format!("the program said `{}`, then exited {code}", outcome.word());
                (Outcome::Crash, Some(why))
            }
            (_, Some(said)) => said,
            (End::Exited(code), None) if began => {
                (Outcome::Crash, Some(format!("the case never finished: exit code {code}")))
            }
            (End::Exited(0), None) => (Outcome::Pass, None),
            (End::Exited(code), None) => (Outcome::Fail, Some(format!("exit code {code}"))),
            (End::Crashed(why) | End::Failed(why), None) => (Outcome::Crash, Some(why.clone())),
            (End::Hung(_), None) => (Outcome::Hang, None),
        }
    }
}

/// What a program has written so far.
#[derive(Debug)]
pub(crate) struct Written {
    stdout: Log,
    stderr: Log,
    line: Vec<u8>,
    records: Vec<Record>,
    bad: Vec<String>,
}

impl Default for Written {
    fn default() -> Self {
        let log = || Log::with_room(OUTPUT, OUTPUT);
        let (line, records, bad) = (Vec::new(), Vec::new(), Vec::new());
        Self { stdout: log(), stderr: log(), line, records, bad }
    }
}

impl Written {
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
            Stream::Records => bytes.split_inclusive(|byte| *byte == b'\n').for_each(|piece| {
                self.line.extend(&piece[..piece.len().min(RECORD - self.line.len())]);
                if piece.ends_with(b"\n") || self.line.len() == RECORD {
                    self.end_of_record();
                }
            }),
        }
    }

    fn end_of_record(&mut self) {
        let line = std::mem::take(&mut self.line);
        match serde_json::from_slice(&line) {
            Ok(record) => self.records.push(record),
            Err(_) => {
                self.bad.push(String::from_utf8_lossy(&line).trim().chars().take(200).collect());
            }
        }
    }

    /// The whole result, once the guest is gone.
    pub(crate) fn into_result(mut self, end: End, console: Console, seed: u64) -> JobResult {
        if !self.line.is_empty() {
            self.end_of_record();
        }
        JobResult {
            end,
            records: self.records,
            bad_records: self.bad,
            stdout: self.stdout.kept(),
            stderr: self.stderr.kept(),
            evidence: console.evidence().to_vec(),
            console,
            seed,
            timing: Timing::default(),
            notes: Vec::new(),
        }
    }
}

/// How a program ended, by what the guest reported.
pub(crate) fn end_of(exit: &Exit) -> End {
    match (exit.code, exit.signal) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Killed(signal),
        (None, None) => End::Failed("the guest did not say how the program ended".into()),
    }
}

/// Evidence that the console does not show: the kernel has marked itself since the guest was ready.
pub(crate) fn marked(before: u64, after: u64) -> Option<Evidence> {
    let new = after & !before & MISBEHAVED;
    (new != 0).then(|| Evidence {
        kind: Kind::Warning,
        title: format!(
            "the kernel marked itself as tainted ({new:#x}), and its console does not say why"
        ),
        frames: Vec::new(),
        text: String::new(),
        ended_machine: false,
    })
}

#[cfg(test)]
mod tests;
