//! One process of a suite program: started, its two pipes read, its end awaited.
//!
//! Knows nothing of cases: what an end means is for [`crate::run::judge`].

use std::fmt;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hairpin_model::{Error, Event, Need, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::run::pipe::Pipe;
use crate::run::stop::Stop;
use crate::run::trampoline;

/// How much of a program's words is kept: enough for a panic with its backtrace, and for the
/// listing of a large program.
const OUTPUT_BYTES: usize = 1 << 20;

/// What to run, and for how long.
pub(crate) struct Job<'a> {
    program: &'a Path,
    args: Vec<String>,
    deadline: Duration,
    /// The needs that are known to be met, see [`Need::MET`].
    pub(crate) met: &'a str,
    /// Leave the lab alive at the first failure: the process shares our terminal, and once it
    /// has failed, it may stay as long as the user likes and its words are passed on.
    pub(crate) keep: bool,
}

impl<'a> Job<'a> {
    /// A process that must come to its result, and then to its end, within the deadline each.
    pub(crate) fn new(program: &'a Path, args: Vec<String>, deadline: Duration) -> Self {
        Self { program, args, deadline, met: "", keep: false }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// We killed it: no result within the deadline.
    Deadline,
    /// We killed it: a result, but no end within the deadline.
    Lingered,
    /// We killed it: the run was stopped.
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Signalled(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
            Self::Deadline => f.write_str("did not answer within the deadline"),
            Self::Lingered => f.write_str("did not end after its result"),
            Self::Stopped => f.write_str("was stopped"),
        }
    }
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its records, in order.
    pub(crate) records: Vec<Record>,
    /// The first line on its events pipe that is no record, in words.
    pub(crate) unread: Option<String>,
    /// The end of what it printed.
    pub(crate) output: String,
    /// How it ended.
    pub(crate) end: End,
    /// From its start to its result, or to its end if it had none.
    pub(crate) took: Duration,
}

/// Runs a process to its end. `on` is told of every record, and whether the process is kept.
pub(crate) fn run(
    job: &Job<'_>,
    stop: &Stop,
    on: &mut dyn FnMut(&[Record], bool),
) -> Result<Ended, Error> {
    let place = || job.program.display().to_string();
    let failed = |what: &str, e: &dyn fmt::Display| {
        Error::new(format!("{what}: {e}"), place(), "lower --jobs, or raise `ulimit -n` and `-u`")
    };
    let mut running = Running::start(job).map_err(|e| failed("cannot start a process", &e))?;
    let watched =
        running.watch(job, stop, on).map_err(|e| failed("lost sight of a process", &e))?;
    let status = running.reap().map_err(|e| failed("cannot wait for a process", &e))?;
    let end = watched.unwrap_or_else(|| match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        // It shares our terminal, and may hear of the user's wish before we do.
        (None, Some(signal)) if job.keep && signal == Signal::SIGINT as i32 => End::Stopped,
        (None, signal) => End::Signalled(signal.unwrap_or_default()),
    });
    Ok(running.into_ended(end))
}

/// Whether a record tells of a failure, after which a kept process keeps its lab.
fn is_failure(record: &Record) -> bool {
    match &record.event {
        Event::Grid { agrees, .. } => !agrees,
        Event::Check { observed, .. } => observed.is_some(),
        Event::CaseFinished { outcome, .. } => outcome.is_bad(),
        _ => false,
    }
}

/// A process that has been started and not yet reaped. Dropping it kills it.
struct Running {
    child: Child,
    /// Readable when the process has ended.
    pidfd: OwnedFd,
    events: Pipe,
    output: Pipe,
    group: bool,
    reaped: bool,
    started: Instant,
    records: Vec<Record>,
    unread: Option<String>,
    finished: Option<Instant>,
    kept: bool,
}

impl Running {
    fn start(job: &Job<'_>) -> std::io::Result<Self> {
        let (events, events_in) = Pipe::new()?;
        let (output, output_in) = Pipe::new()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg(trampoline::WORD).arg(std::process::id().to_string());
        command.arg(job.program).args(&job.args);
        // Strictness is ours to judge; a library's snapshot files would be left behind.
        command.env_remove("HAIRPIN_STRICT").env_remove("HAIRPIN_KEEP").env("INSTA_UPDATE", "no");
        command.env(Need::MET, job.met).stdout(events_in).stderr(output_in);
        if job.keep {
            command.env("HAIRPIN_KEEP", "1").stdin(Stdio::inherit());
        } else {
            command.stdin(Stdio::null()).process_group(0);
        }
        let child = command.spawn()?;
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self {
            child,
            pidfd,
            events,
            output,
            group: !job.keep,
            reaped: false,
            started: Instant::now(),
            records: Vec::new(),
            unread: None,
            finished: None,
            kept: false,
        })
    }

    /// Reads until the process ends, or until it must be killed: then says why.
    fn watch(
        &mut self,
        job: &Job<'_>,
        stop: &Stop,
        on: &mut dyn FnMut(&[Record], bool),
    ) -> std::io::Result<Option<End>> {
        loop {
            let ready = self.wait(stop, job.deadline)?;
            if self.read_events(job.keep)? {
                on(&self.records, self.kept);
            }
            self.read_output()?;
            match ready {
                Ready::Data => {}
                Ready::Ended => return Ok(None),
                Ready::Stop => return Ok(Some(End::Stopped)),
                // What was just read may have changed what we wait for.
                Ready::Late if self.left(job.deadline) != Some(Duration::ZERO) => {}
                Ready::Late if self.finished.is_some() => return Ok(Some(End::Lingered)),
                Ready::Late => return Ok(Some(End::Deadline)),
            }
        }
    }

    /// The time left for the result, or after it for the end; a kept process has no limit.
    fn left(&self, deadline: Duration) -> Option<Duration> {
        let until = self.finished.unwrap_or(self.started) + deadline;
        (!self.kept).then(|| until.saturating_duration_since(Instant::now()))
    }

    /// Waits for the first thing to happen.
    fn wait(&self, stop: &Stop, deadline: Duration) -> nix::Result<Ready> {
        let mut fds = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        if !self.kept {
            // A kept process hears the terminal's signals itself, and is given time to clear up.
            fds.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
        }
        let controls = fds.len();
        for fd in [&self.events, &self.output].into_iter().filter_map(Pipe::fd) {
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
        }
        // Rounded up, so that the deadline has passed when the wait has.
        let timeout = self.left(deadline).map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(0) => return Ok(Ready::Late),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Ready::Data),
            Err(errno) => return Err(errno),
        }
        let any = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let (controls, pipes) = fds.split_at(controls);
        Ok(match (any(&controls[0]), controls[1..].iter().any(any), pipes.iter().any(any)) {
            (_, true, _) => Ready::Stop,
            // What was written before the end is read first.
            (true, _, false) => Ready::Ended,
            _ => Ready::Data,
        })
    }

    /// Reads what is there of the events; tells whether there was a record.
    fn read_events(&mut self, keep: bool) -> std::io::Result<bool> {
        self.events.fill()?;
        let before = self.records.len();
        for line in self.events.lines() {
            match serde_json::from_slice::<Record>(&line) {
                Ok(record) if record.v == hairpin_model::event::VERSION => {
                    self.kept |= keep && is_failure(&record);
                    if matches!(record.event, Event::CaseFinished { .. }) {
                        self.finished.get_or_insert_with(Instant::now);
                    }
                    self.records.push(record);
                }
                Ok(record) => self.complain(format!("records of version {}", record.v)),
                Err(e) => self.complain(unread(&line, &e)),
            }
        }
        Ok(self.records.len() > before)
    }

    fn complain(&mut self, words: String) {
        self.unread.get_or_insert(words);
    }

    /// Reads what was printed; keeps its end, and passes on what a kept process says.
    fn read_output(&mut self) -> std::io::Result<()> {
        self.output.fill()?;
        if self.kept {
            std::io::stderr().write_all(&self.output.take())?;
        } else {
            self.output.shorten(OUTPUT_BYTES);
        }
        Ok(())
    }

    /// Ends what is left of the process and its group, and takes its exit status.
    fn reap(&mut self) -> std::io::Result<ExitStatus> {
        self.kill();
        let status = self.child.wait()?;
        self.reaped = true;
        Ok(status)
    }

    /// Kills the group, which the process leads; harmless for one that has ended and has not
    /// been waited for, because its number is still its own.
    fn kill(&self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let killed =
            if self.group { killpg(pid, Signal::SIGKILL) } else { kill(pid, Signal::SIGKILL) };
        // ESRCH is all that can come back for a child of ours, and then there is nobody to kill.
        killed.ok();
    }

    fn into_ended(mut self, end: End) -> Ended {
        let took = self.finished.map_or_else(|| self.started.elapsed(), |at| at - self.started);
        Ended {
            records: std::mem::take(&mut self.records),
            unread: self.unread.take(),
            output: String::from_utf8_lossy(&self.output.take()).into_owned(),
            end,
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // An error path already has its error; this only leaves no zombie.
            self.child.wait().ok();
        }
    }
}

/// What a wait came to.
enum Ready {
    Data,
    Ended,
    Stop,
    Late,
}

/// A line that is no record, in words.
fn unread(line: &[u8], error: &serde_json::Error) -> String {
    let text: String = String::from_utf8_lossy(line).chars().take(60).collect();
    format!("a line that is no record ({error}): {text}")
}
