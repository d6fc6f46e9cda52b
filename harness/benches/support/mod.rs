//! What the benchmarks share: a place where nothing of the machine is touched, contenders that
//! take turns, and figures over the turns.
//!
//! A machine that is shared with other work is twice as slow at one moment as at the next. So
//! contenders are never measured one after the other: each turn measures all of them, and what is
//! printed is the ratio within a turn, as a median with its quartiles.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Takes the process into network and mount namespaces of its own, with an empty `/run` for
/// `ip netns`. Called first thing in `main`, before there is a second thread.
pub(crate) fn enter() {
    hairpin_harness::sandbox::enter();
    let nothing = None::<&str>;
    let isolate = || -> nix::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(nothing, "/", nothing, MsFlags::MS_SLAVE | MsFlags::MS_REC, nothing)?;
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), nothing)
    };
    isolate().expect("the benchmark can make a mount namespace of its own");
}

/// A runtime as a lab needs it.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime of one thread can be made")
}

/// Runs a command to its end, and panics with its output if it fails.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Waits until the kernel has taken every namespace apart that was let go of before.
///
/// It does so in a work queue of its own, in order, under the lock that every link change needs:
/// without this, one contender would pay for what another left behind. What is looked for is the
/// end of a link whose other end is in a namespace that is let go of here.
pub(crate) fn let_the_kernel_finish() {
    ip("netns add last");
    ip("link add near type veth peer name far netns last");
    ip("netns del last");
    let until = Instant::now() + DEADLINE;
    let links = || fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is mounted");
    while links().contains("near:") {
        assert!(Instant::now() < until, "the kernel does not take namespaces apart any more");
        thread::sleep(LOOK_AGAIN);
    }
}

/// How long the kernel may take for the namespaces of the largest lab here.
const DEADLINE: Duration = Duration::from_secs(60);

/// Often enough, and no load.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) {
    run(Command::new("ip").args(words.split_whitespace()));
}

/// Contenders for one and the same work, and how long each took in each turn.
pub(crate) struct Race {
    title: &'static str,
    names: Vec<&'static str>,
    turns: Vec<Vec<Duration>>,
}

impl Race {
    /// A race of these; the first is ours.
    pub(crate) fn new(title: &'static str, names: &[&'static str]) -> Self {
        Self { title, names: names.to_vec(), turns: Vec::new() }
    }

    /// Notes one turn, and gives our time, which is what criterion is told.
    pub(crate) fn turn(&mut self, times: impl Into<Vec<Duration>>) -> Duration {
        let times = times.into();
        assert_eq!(times.len(), self.names.len(), "each contender takes part in each turn");
        self.turns.push(times);
        self.turns[self.turns.len() - 1][0]
    }

    /// Prints each contender's time, and how much longer than ours it took within a turn.
    pub(crate) fn print(&self) {
        if self.turns.is_empty() {
            return;
        }
        println!("{} ({} turns):", self.title, self.turns.len());
        for (at, name) in self.names.iter().enumerate() {
            let millis = |turn: &Vec<Duration>| turn[at].as_secs_f64() * 1e3;
            let times = spread(self.turns.iter().map(millis));
            let ratio = spread(self.turns.iter().map(|t| t[at].as_secs_f64() / t[0].as_secs_f64()));
            println!("  {name:<28} {times} ms   {ratio} x");
        }
    }
}

/// A median between its quartiles.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    format!("{:8.2} [{:.2} .. {:.2}]", at(0.5), at(0.25), at(0.75))
}
