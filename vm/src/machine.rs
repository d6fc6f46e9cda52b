//! A guest: booted from a kernel and a program, given one job, or frozen and woken for one job each.
//!
//! What a job does is the program's business. That no guest outlives its job, and that nothing of one job
//! reaches the next, is ours.

pub(crate) mod build;
mod company;
mod drive;
pub(crate) mod kept;
pub(crate) mod rehearsed;
mod snapshot;

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hairpin_guest::wire::{Input, Ready, Run, ToGuest, ToHost, VERSION};
use hairpin_model::Error;

use crate::accel::{Accel, Choice, Chosen};
use crate::console::{Console, Evidence};
use crate::kernels::{Image, ModuleFile};
use crate::program::{Packed, Program};
use crate::qemu::{Begin, Due, Guest, Heard, Line, Memory};
use crate::result::JobResult;
use company::Company;

pub use company::{Listener, Seat, Typed};
pub use kept::Shelf;
pub use snapshot::Snapshot;

/// A guest on hardware shows a sign of life within this time, or the hardware is none.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// Lines of a panic that fit into an error.
const PANIC_LINES: usize = 12;

/// What kind of machine a guest is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Starts as soon as it can.
    #[default]
    Fast,
    /// The machine and the kernel's command line as they come, so that no short cut hides a defect.
    Faithful,
    /// Time passes as the guest computes, and jumps when it waits: minutes of kernel timers take a second.
    VirtualTime,
    /// Two processors.
    Smp,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fast, Self::Faithful, Self::VirtualTime, Self::Smp];

    /// As it is written in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Faithful => "faithful",
            Self::VirtualTime => "virtual-time",
            Self::Smp => "smp",
        }
    }

    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::Faithful)
    }
}

/// What to boot.
#[derive(Clone, Debug)]
pub struct BootSpec {
    /// The kernel.
    pub image: Image,
    /// Its modules to load, in order: [`crate::kernels::Closure::load`].
    pub modules: Vec<ModuleFile>,
    /// The program that is the guest's init: one that calls [`hairpin_guest::init_if_pid1`].
    pub init: Program,
    /// Other programs for jobs to run.
    pub programs: Vec<Program>,
    /// Other files for programs to read.
    pub files: Vec<Packed>,
    /// The kind of machine.
    pub profile: Profile,
    /// What runs it.
    pub accel: Choice,
    /// Its memory; by default what the files need, and at least 128 MiB.
    pub memory_mib: Option<u32>,
    /// More for the kernel's command line.
    pub append: String,
    /// A job whose program is started before the guest is frozen and waits there for its arguments. Jobs with as many
    /// arguments of the same program then need not start it.
    pub beforehand: Option<Job>,
    /// Where frozen guests are kept for later runs; without one, each run boots its own.
    pub shelf: Option<Shelf>,
    /// How long the boot may take.
    pub deadline: Duration,
    /// The QEMU to use; by default the one that HAIRPIN_QEMU names, or else the one in PATH.
    pub qemu: Option<PathBuf>,
}

impl BootSpec {
    /// Boots `image` with `init` and nothing else, as soon as possible.
    pub fn new(image: Image, init: Program) -> Self {
        Self {
            image,
            modules: Vec::new(),
            init,
            programs: Vec::new(),
            files: Vec::new(),
            profile: Profile::default(),
            accel: Choice::default(),
            memory_mib: None,
            append: String::new(),
            beforehand: None,
            shelf: None,
            deadline: Duration::from_secs(60),
            qemu: None,
        }
    }

    /// Packs a file of this machine at the same path in the guest; a program with its libraries.
    pub fn add(&mut self, file: &Path) -> Result<(), Error> {
        let cannot = |error| {
            Error::new(
                format!("the file cannot be packed: {error}"),
                file.display().to_string(),
                "name a file that can be read",
            )
        };
        let path = std::path::absolute(file).map_err(cannot)?;
        let name = path.display().to_string();
        let data = std::fs::metadata(&path).map_err(cannot)?;
        let executable = data.permissions().mode() & 0o111 != 0;
        if let Some(Ok(program)) = executable.then(|| Program::read(&path, &name)) {
            self.programs.push(program);
        } else {
            let bytes = std::fs::read(&path).map_err(cannot)?;
            self.files.push(Packed { path: name, bytes });
        }
        Ok(())
    }
}

/// What a guest is to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The program's path in the guest; `/init` is the init itself.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides [`hairpin_guest::wire::ENVIRONMENT`].
    pub env: Vec<(String, String)>,
    /// How long it may take, on this side's clock.
    pub deadline: Duration,
    /// What the guest's random numbers are made from.
    pub seed: u64,
    /// For how long, on the guest's clock, the kernel is watched when the program has ended.
    pub linger: Duration,
    /// Its standard input; what fills it is a [`Seat`].
    pub input: Input,
}

impl Job {
    /// Runs a program of the guest with these arguments, and a seed of its own.
    pub fn new(program: impl Into<String>, args: impl IntoIterator<Item = String>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().collect(),
            env: Vec::new(),
            deadline: Duration::from_secs(60),
            seed: fresh_seed(),
            linger: Duration::ZERO,
            input: Input::Nothing,
        }
    }

    fn order(&self) -> Run {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Run {
            program: self.program.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            seed: self.seed,
            clock_ns: now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)),
            linger_ms: u64::try_from(self.linger.as_millis()).unwrap_or(u64::MAX),
            input: self.input,
        }
    }
}

/// A seed that no other guest has.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u128(std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos()));
    hasher.finish()
}

/// Why there is no guest, and what its kernel said.
#[derive(Debug)]
pub struct BootFailure {
    /// What is wrong, where, and what helps.
    pub error: Error,
    /// What the kernel said.
    pub console: Box<Console>,
}

impl fmt::Display for BootFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for BootFailure {}

impl From<Error> for BootFailure {
    fn from(error: Error) -> Self {
        Self { error, console: Box::default() }
    }
}

impl From<BootFailure> for Error {
    fn from(failure: BootFailure) -> Self {
        failure.error
    }
}

/// What is known of a guest that came up.
#[derive(Clone, Debug)]
pub struct Booted {
    /// What the guest says of itself: its kernel's release, what did not go well.
    pub ready: Ready,
    /// What runs it, and why that.
    pub accel: Chosen,
    /// How long it took.
    pub took: Duration,
    /// Its memory.
    pub memory_mib: u32,
    /// Whether an earlier run booted and froze it; `took` is then what finding it took.
    pub kept: bool,
}

/// A guest that is up and waits for a job.
pub struct Machine {
    guest: Guest,
    line: Arc<Line>,
    ram: Memory,
    booted: Booted,
}

impl Machine {
    /// Boots a guest.
    pub fn boot(spec: &BootSpec) -> Result<Self, BootFailure> {
        Self::boot_built(&build::Built::new(spec)?)
    }

    /// What is known of it.
    pub fn booted(&self) -> &Booted {
        &self.booted
    }

    /// What the kernel said so far that is evidence against it.
    pub fn evidence(&self) -> &[Evidence] {
        self.guest.console.evidence()
    }

    /// QEMU's process id.
    pub fn process_id(&self) -> u32 {
        self.guest.process_id()
    }

    /// Gives it its one job.
    pub fn run(self, job: &Job) -> JobResult {
        self.run_live(job, &mut |_, _| {})
    }

    /// As [`Machine::run`], with the program's output passed on as it comes.
    pub fn run_live(self, job: &Job, listener: Listener<'_>) -> JobResult {
        self.run_in_company(job, &mut Company::of(listener))
    }

    /// As [`Machine::run_live`], with somebody before the program, who may type and may leave.
    pub fn run_seated(self, job: &Job, listener: Listener<'_>, seat: &mut dyn Seat) -> JobResult {
        self.run_in_company(job, &mut Company::with(listener, seat))
    }

    fn run_in_company(self, job: &Job, company: &mut Company<'_>) -> JobResult {
        let leaves = drive::leaves(&self.line, Begin::Boot);
        let mut result = drive::run(self.guest, &self.booted.ready, job, leaves, company);
        result.timing.guest = self.booted.took;
        result
    }

    /// Freezes it, to be woken any number of times.
    pub fn snapshot(self) -> Result<Snapshot, Error> {
        Snapshot::take(self)
    }

    /// Has the job's program started up to where it waits for its arguments, so that a guest that is woken need not
    /// start it. Says whether it waits: not every program does.
    pub fn prepare(&mut self, job: &Job) -> Result<bool, Error> {
        let begin = Instant::now();
        self.guest.say(&ToGuest::Prepare(job.order()));
        match self.guest.hear(begin + job.deadline) {
            Heard::Message(ToHost::Prepared(prepared)) => {
                self.booted.took += begin.elapsed();
                self.booted.ready.uptime_us = prepared.uptime_us;
                Ok(prepared.waits)
            }
            heard => Err(Error::new(
                format!("the guest cannot start `{}` beforehand: {heard:?}", job.program),
                format!("kernel {}", self.booted.ready.release),
                "`hairpin run --console FILE` keeps all that the kernel says",
            )),
        }
    }

    pub(crate) fn boot_built(built: &build::Built) -> Result<Self, BootFailure> {
        let chosen = built.chosen.clone();
        let doubtful = chosen.accel == Accel::Kvm && built.measured;
        if !doubtful {
            return Self::boot_with(&built.line, chosen, built.deadline);
        }
        let first = Self::boot_with(&built.line, chosen, built.deadline.min(SIGN_OF_LIFE));
        match first {
            Err(failure) if failure.console.bytes() == 0 => {
                let why = "tcg (kvm passed the probe, but the guest gave no sign of life)".into();
                let chosen = Chosen { accel: Accel::Tcg, why };
                let line = Arc::new(built.line.with_accel(Accel::Tcg)?);
                Self::boot_with(&line, chosen, built.deadline)
            }
            other => other,
        }
    }

    fn boot_with(line: &Arc<Line>, accel: Chosen, limit: Duration) -> Result<Self, BootFailure> {
        let begin = Instant::now();
        let ram = Memory::sized("hairpin-ram", u64::from(line.memory_mib) << 20)?;
        let mut guest = Guest::start(line, Begin::Boot, &ram, Due::default())?;
        // A QEMU that does not like its command line is gone by now; what it said comes up below.
        let greeted = guest.greet();
        match (greeted, guest.hear(begin + limit)) {
            // It may be up all the same, with half of a program.
            (Ok(()), Heard::Message(ToHost::Ready(ready)))
                if ready.version == VERSION && !guest.has_given_up() =>
            {
                let memory_mib = line.memory_mib;
                let took = begin.elapsed();
                let booted = Booted { ready, accel, took, memory_mib, kept: false };
                Ok(Self { guest, line: line.clone(), ram, booted })
            }
            (_, heard) => Err(not_up(guest, &heard, line, limit)),
        }
    }
}

/// Why a guest did not come up, from all that is known.
fn not_up(guest: Guest, heard: &Heard, line: &Line, limit: Duration) -> BootFailure {
    let words = guest.gone_words("it left no word");
    let console = guest.end();
    let evidence = console.fatal().or(console.evidence().last());
    let what = match (evidence, heard) {
        (Some(evidence), _) => format!("the guest's kernel gave up: {}", evidence.title),
        (None, Heard::Gone) => format!("the guest was gone before it was up: {words}"),
        (None, Heard::Nothing | Heard::Beside) => {
            format!("the guest was not up within {} s", limit.as_secs())
        }
        (None, Heard::Damage(damage)) => format!("the guest's event line is damaged: {damage}"),
        (None, Heard::Message(_)) => "the guest's init is of another version of Hairpin".into(),
    };
    let last = console.last_lines(5);
    // After a panic the console ends with what all tasks did, which hardly anybody asks.
    let help = match evidence {
        Some(evidence) => {
            let lines: Vec<&str> = evidence.text.lines().take(PANIC_LINES).collect();
            format!("give it more memory (--memory), or another kernel; its words:\n{}", lines.join("\n"))
        }
        None if last.is_empty() => {
            "its console is empty; give it more memory (--memory), another accelerator or another kernel"
                .into()
        }
        None => format!("its console ends with:\n{last}"),
    };
    let place =
        format!("kernel {}, {}, {} MiB", line.kernel.display(), line.accel.name(), line.memory_mib);
    BootFailure { error: Error::new(what, place, help), console: Box::new(console) }
}
