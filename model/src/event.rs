//! The record stream: the only thing that reports are made from.
//!
//! One JSON object a line. `docs/events.md` is its reference for readers in other languages; a
//! snapshot test there keeps the two alike. Fields are only ever added within a version.

use serde::{Deserialize, Serialize};

use crate::case::CaseId;
use crate::grid::{Cell, Direction, Grid};
use crate::rule::RuleEntry;
use crate::topology::Topology;

/// The version of the stream: raised when a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// One line of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the stream.
    pub v: u32,
    /// Microseconds since the writer began.
    pub us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The kernel kept the promise.
    Pass,
    /// The kernel lacks what the case needs; nothing was checked.
    Skip,
    /// The kernel broke the promise in a way that is known of it.
    Known,
    /// The kernel broke the promise.
    Fail,
    /// We could not tell: a lab that would not build, a control that did not arrive.
    Error,
    /// The program died: a signal, a kernel that stopped.
    Crash,
    /// The deadline passed.
    Hang,
}

impl Outcome {
    /// One word, as it is written in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Known => "known",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Crash => "crash",
            Self::Hang => "hang",
        }
    }

    /// Whether a run with this outcome in it has failed.
    pub const fn is_bad(self) -> bool {
        !matches!(self, Self::Pass | Self::Skip | Self::Known)
    }
}

/// The guest that the cases of a run were given to, each a fresh one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// The kernel, as it was asked for: `6.12`, a path.
    pub kernel: String,
    /// Its package and version, or its file.
    pub title: String,
    /// What ran the guest, and why that.
    pub accel: String,
    /// The kind of machine: `fast`, `faithful`, `virtual-time`.
    pub profile: String,
    /// Its memory.
    pub memory_mib: u32,
    /// Milliseconds from nothing to a guest that waits for a case.
    pub boot_ms: u64,
    /// Whether guests were woken from a frozen one, or booted for each case.
    pub woken: bool,
    /// Whether the frozen one was an earlier run's; `boot_ms` is then what finding it took.
    #[serde(default)]
    pub kept: bool,
    /// What had run in the guest that was copied for each case; none if each was woken or booted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rehearsed: Vec<CaseId>,
    /// What the guests' random numbers were made from; what wrote before this was added has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// What the reader should know, one sentence each.
    pub notes: Vec<String>,
    /// What was asked of it besides its kernel, as words of a command line: `--module`, `./macvlan.ko`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Guest {
    /// How each case came to its guest: `woken`, `booted`, or `copied`.
    pub fn how(&self) -> &'static str {
        match (self.rehearsed.is_empty(), self.woken) {
            (false, _) => "copied",
            (true, true) => "woken",
            (true, false) => "booted",
        }
    }
}

/// A frame that a tap saw, with all that a capture needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The place of its lab among those that the case built, from 0 on.
    pub lab: usize,
    /// The link, as `netns:link`.
    pub link: String,
    /// Which way it passed.
    pub direction: Direction,
    /// When the kernel saw it: nanoseconds of the real-time clock, the same for all links.
    pub ns: u64,
    /// How long it was.
    pub len: usize,
    /// Its first bytes, a VLAN tag in its place among them, as hexadecimal digits.
    pub bytes: String,
    /// What it is, if it belongs to a probe: `echo request of probe 7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// How many frames that passed before it are not told: too many were seen.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_off: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// What can be measured of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Bytes a second that one TCP stream carries.
    Throughput,
    /// Nanoseconds of a round trip of one byte by TCP: the median of many.
    Latency,
}

/// What can happen in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A suite program was asked what it holds.
    Catalogue {
        /// Its rules, in the program's own order.
        rules: Vec<RuleEntry>,
    },
    /// A run begins.
    RunStarted {
        /// The suite program, as it was named.
        program: String,
        /// The kernel's release (`uname -r`).
        kernel: String,
        /// How many cases will run, repeats counted.
        cases: usize,
        /// The guest that they run in, if it is not the machine itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<Guest>,
    },
    /// A case begins.
    CaseStarted {
        /// Its id.
        case: CaseId,
        /// Its rule's id.
        rule: String,
    },
    /// A lab stands and has settled.
    LabBuilt {
        /// The topology as text, see [`crate::Topology::wiring`].
        wiring: String,
        /// The topology itself, from which it can be drawn; what wrote before this was added has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topology: Option<Topology>,
        /// Microseconds from nothing to settled.
        build_us: u64,
    },
    /// The case changed something in its lab.
    Step {
        /// What, in words: `sw:s0 hairpin on`.
        text: String,
    },
    /// A grid was observed and held against its drawing.
    Grid {
        /// What was asked: the class, or the case's own words.
        title: String,
        /// What the kernel did.
        observed: Grid,
        /// The drawing that it was held against.
        expected: String,
        /// Whether they agree.
        agrees: bool,
    },
    /// Something other than a grid was held against the promise.
    Check {
        /// The claim, in words.
        claim: String,
        /// What was seen, when it does not hold.
        observed: Option<String>,
    },
    /// The way that a flow of TCP or UDP took, told before what became of it is held against the promise.
    Flow {
        /// What was asked for, in words: `TCP over IPv4 from e to c1 port 80`.
        title: String,
        /// Who sent.
        from: String,
        /// Who listened.
        to: String,
        /// What became of it, and where its packets were seen.
        cell: Cell,
    },
    /// A frame that a tap of the lab saw, told at the end of a case that ended badly.
    Frame(Frame),
    /// One flow of one network was measured once.
    Measurement {
        /// The network: `veth`, `macvlan-bridge`.
        network: String,
        /// What was measured.
        quantity: Quantity,
        /// How much, in the quantity's unit.
        value: u64,
    },
    /// What the case's process printed, added by the runner when the case ended badly.
    Output {
        /// The end of its stdout and stderr together.
        text: String,
    },
    /// A case has ended.
    CaseFinished {
        /// Its id.
        case: CaseId,
        /// Its rule's id.
        rule: String,
        /// How.
        outcome: Outcome,
        /// Why, for all but a pass: one line that is the same for the same cause.
        reason: Option<String>,
        /// Microseconds from its start.
        case_us: u64,
    },
    /// The run is over.
    RunFinished {
        /// How many cases ended in each way, bad ones last.
        counts: Vec<(Outcome, usize)>,
        /// Microseconds from its start.
        run_us: u64,
    },
}
