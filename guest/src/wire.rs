//! What a guest and its host say to each other: typed messages, in numbered and checked frames.
//!
//! The line is a serial port: bytes in order, nothing said about where a message ends or whether the machine
//! died in the middle of one. [`frame`] mends that; this file says what a frame can mean. No I/O.

pub mod frame;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use frame::{Damage, Decoder, Encoder, Frame, MAX_PAYLOAD};

/// The version of this language. Host and guest are one version, or do not talk.
pub const VERSION: u32 = 4;
/// The file in the guest that says "you are in a Hairpin guest"; it holds [`VERSION`].
pub const MARKER: &str = "/hairpin/guest";
/// The serial port in the guest that carries the frames.
pub const PORT: &str = "/dev/ttyS1";
/// The environment variable that names the descriptor for a program's records.
pub const RECORDS_FD: &str = "HAIRPIN_EVENTS_FD";
/// The environment variable that names the descriptors of a program that waits for its arguments: where they come
/// from, and where it says that it waits (`5,7`).
pub const ORDER_FDS: &str = "HAIRPIN_ORDER_FDS";
/// Bytes that such a program has room for in each of its arguments, with the NUL behind it.
pub const SLOT: usize = 512;

/// What every program in a guest finds in its environment, unless its job says otherwise.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/"),
    ("TMPDIR", "/tmp"),
];

/// The guest's last line on the kernel's console for a job. Some kernels print in a thread of their own: once this line
/// is there, all that they had to say of the job is.
pub const END_OF_JOB: &str = "hairpin: the job has ended";

/// What the guest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHost {
    /// The guest is set up and waits for a job.
    Ready(Ready),
    /// What was to be prepared is, as far as it can be.
    Prepared(Prepared),
    /// The program wrote this, in pieces of any size.
    Output(Stream, Vec<u8>),
    /// The program has ended.
    Exit(Exit),
    /// The program has taken the last [`ToGuest::Input`], or never will.
    Took,
    /// Nothing more will come; the guest leaves once this is acknowledged.
    Done,
    /// The guest cannot do what it was asked.
    Trouble(String),
}

/// What the host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToGuest {
    /// Start this, up to where it waits for its arguments: it will be run, with as many others.
    Prepare(Run),
    /// Run this.
    Run(Run),
    /// This is for the program's standard input; nothing at all is its end. The next one waits for [`ToHost::Took`], so
    /// that a program that does not read holds up nobody but itself.
    Input(Vec<u8>),
    /// The terminal has this size now.
    Window(Window),
    /// Have the kernel print what all tasks do.
    ShowTasks,
    /// [`ToHost::Done`] was received: leave.
    Ack,
}

/// What the program's standard input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Empty.
    #[default]
    Nothing,
    /// A pipe, filled by [`ToGuest::Input`].
    Pipe,
    /// A terminal of its own of this size, which is its standard output and error too.
    Terminal(Window),
}

impl Input {
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// Which of the program's three ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The record stream.
    Records,
}

/// How a guest came up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// [`VERSION`] of the guest.
    pub version: u32,
    /// What `uname -r` prints.
    pub release: String,
    /// The kernel's taint flags.
    pub tainted: u64,
    /// Microseconds since the kernel started.
    pub uptime_us: u64,
    /// How many modules were loaded.
    pub modules: usize,
    /// What did not go as it should and may not matter: one sentence each.
    pub notes: Vec<String>,
}

/// What came of preparing a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Whether it waits now. One that cannot wait is started when it is to run.
    pub waits: bool,
    /// Microseconds since the kernel started.
    pub uptime_us: u64,
}

/// A program to run, and what makes this guest differ from its twins. Its names are short on the line, where each
/// byte takes the guest some 40 microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program's path in the guest.
    #[serde(rename = "p")]
    pub program: String,
    /// Its arguments.
    #[serde(rename = "a")]
    pub args: Vec<String>,
    /// Its environment, besides [`ENVIRONMENT`] and [`RECORDS_FD`].
    #[serde(rename = "e")]
    pub env: Vec<(String, String)>,
    /// Mixed into the kernel's random numbers.
    #[serde(rename = "s")]
    pub seed: u64,
    /// The time, in nanoseconds since 1970.
    #[serde(rename = "c")]
    pub clock_ns: u64,
    /// For how long to go on watching the kernel when the program has ended, in milliseconds.
    #[serde(rename = "l")]
    pub linger_ms: u64,
    /// Its standard input.
    #[serde(rename = "i", default, skip_serializing_if = "Input::is_nothing")]
    pub input: Input,
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that killed it, if one did.
    pub signal: Option<i32>,
    /// The kernel's taint flags when it had ended.
    pub tainted: u64,
    /// Microseconds since the kernel started.
    pub uptime_us: u64,
}

const READY: u8 = 1;
const STDOUT: u8 = 2;
const STDERR: u8 = 3;
const RECORDS: u8 = 4;
const EXIT: u8 = 5;
const DONE: u8 = 6;
const TROUBLE: u8 = 7;
const PREPARED: u8 = 8;
const TOOK: u8 = 9;
const RUN: u8 = 16;
const ACK: u8 = 17;
const SHOW_TASKS: u8 = 18;
const PREPARE: u8 = 19;
const INPUT: u8 = 20;
const WINDOW: u8 = 21;

impl ToHost {
    /// The kind and the payload of the frame that carries this.
    pub fn parts(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Ready(ready) => (READY, json(ready)),
            Self::Prepared(prepared) => (PREPARED, json(prepared)),
            Self::Output(Stream::Stdout, bytes) => (STDOUT, bytes.clone()),
            Self::Output(Stream::Stderr, bytes) => (STDERR, bytes.clone()),
            Self::Output(Stream::Records, bytes) => (RECORDS, bytes.clone()),
            Self::Exit(exit) => (EXIT, json(exit)),
            Self::Took => (TOOK, Vec::new()),
            Self::Done => (DONE, Vec::new()),
            Self::Trouble(text) => (TROUBLE, text.clone().into_bytes()),
        }
    }

    /// What a frame from the guest means.
    pub fn of(frame: Frame) -> Result<Self, Damage> {
        Ok(match frame.kind {
            READY => Self::Ready(parse(&frame)?),
            PREPARED => Self::Prepared(parse(&frame)?),
            STDOUT => Self::Output(Stream::Stdout, frame.payload),
            STDERR => Self::Output(Stream::Stderr, frame.payload),
            RECORDS => Self::Output(Stream::Records, frame.payload),
            EXIT => Self::Exit(parse(&frame)?),
            TOOK => Self::Took,
            DONE => Self::Done,
            TROUBLE => Self::Trouble(String::from_utf8_lossy(&frame.payload).into_owned()),
            _ => return Err(Damage::Meaning { seq: frame.seq, kind: frame.kind }),
        })
    }
}

impl ToGuest {
    /// The kind and the payload of the frame that carries this.
    pub fn parts(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Prepare(run) => (PREPARE, json(run)),
            Self::Run(run) => (RUN, json(run)),
            Self::Input(bytes) => (INPUT, bytes.clone()),
            Self::Window(window) => (WINDOW, json(window)),
            Self::ShowTasks => (SHOW_TASKS, Vec::new()),
            Self::Ack => (ACK, Vec::new()),
        }
    }

    /// What a frame from the host means.
    pub fn of(frame: Frame) -> Result<Self, Damage> {
        match frame.kind {
            PREPARE => Ok(Self::Prepare(parse(&frame)?)),
            RUN => Ok(Self::Run(parse(&frame)?)),
            INPUT => Ok(Self::Input(frame.payload)),
            WINDOW => Ok(Self::Window(parse(&frame)?)),
            SHOW_TASKS => Ok(Self::ShowTasks),
            ACK => Ok(Self::Ack),
            _ => Err(Damage::Meaning { seq: frame.seq, kind: frame.kind }),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None) => f.write_str("ended in an unknown way"),
        }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("a message is plain values")
}

fn parse<T: DeserializeOwned>(frame: &Frame) -> Result<T, Damage> {
    serde_json::from_slice(&frame.payload)
        .map_err(|_| Damage::Meaning { seq: frame.seq, kind: frame.kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(message: ToHost) {
        let (kind, payload) = message.parts();
        assert_eq!(ToHost::of(Frame { kind, seq: 0, payload }), Ok(message));
    }

    #[test]
    fn every_message_of_the_guest_comes_back() {
        there_and_back(ToHost::Ready(Ready { release: "6.1".into(), ..Ready::default() }));
        for stream in [Stream::Stdout, Stream::Stderr, Stream::Records] {
            there_and_back(ToHost::Output(stream, vec![0, 255, b'\n']));
        }
        there_and_back(ToHost::Exit(Exit { signal: Some(11), ..Exit::default() }));
        there_and_back(ToHost::Prepared(Prepared { waits: true, uptime_us: 7 }));
        there_and_back(ToHost::Took);
        there_and_back(ToHost::Done);
        there_and_back(ToHost::Trouble("no `/init`".into()));
    }

    #[test]
    fn every_message_of_the_host_comes_back() {
        let run = Run { args: vec!["--exact".into()], seed: u64::MAX, ..Run::default() };
        let prepare = ToGuest::Prepare(run.clone());
        let window = Window { rows: 24, columns: 80 };
        let seated = ToGuest::Run(Run { input: Input::Terminal(window), ..run.clone() });
        let typed = ToGuest::Input(vec![3, 0, 255]);
        let orders = [prepare, ToGuest::Run(run), ToGuest::ShowTasks, ToGuest::Ack];
        for message in orders.into_iter().chain([seated, typed, ToGuest::Window(window)]) {
            let (kind, payload) = message.parts();
            assert_eq!(ToGuest::of(Frame { kind, seq: 3, payload }), Ok(message));
        }
    }

    #[test]
    fn a_frame_without_meaning_is_damage() {
        let frame = |kind, payload: &[u8]| Frame { kind, seq: 4, payload: payload.into() };
        let kind = |damage| matches!(damage, Damage::Meaning { seq: 4, .. });
        assert!(ToHost::of(frame(99, b"")).is_err_and(kind));
        assert!(ToHost::of(frame(EXIT, b"{")).is_err_and(kind));
        assert!(ToGuest::of(frame(READY, b"{}")).is_err_and(kind));
    }
}
