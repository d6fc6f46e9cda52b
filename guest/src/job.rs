//! One program in the guest: started, listened to, seen to its end.
//!
//! It may be started before it is known what it will be asked, and then waits ([`crate::await_args`]) while the guest
//! is frozen: no woken guest has to start it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe, pipe2};

use crate::channel::Channel;
use crate::seat::Seat;
use crate::setup;
use crate::wire::{ENVIRONMENT, Exit, Input, ORDER_FDS, RECORDS_FD, Run, SLOT, Stream};
use crate::wire::{ToGuest, ToHost};

/// Bytes read of a pipe at once: what a pipe holds.
const PIECE: usize = 64 * 1024;
/// Reads of one pipe before the others have their turn, and before the program's end is looked for again.
const TURN: usize = 16;

/// Runs the program and passes on all that it writes. Errors say why it did not run.
pub(crate) fn run(
    run: &Run,
    waiting: Option<Waiting>,
    channel: &mut Channel,
) -> Result<Exit, String> {
    let children = children().map_err(|error| format!("children cannot be watched: {error}"))?;
    let started = match waiting {
        Some(waiting) if waiting.is_for(run) => waiting.go(&run.args),
        other => {
            if let Some(unfit) = other {
                unfit.end();
            }
            start(run, &run.args, None)
        }
    };
    let started =
        started.map_err(|error| format!("`{}` cannot be started: {error}", run.program))?;
    let ended = listen(started, &children, channel);
    ended.map_err(|error| format!("`{}` was lost: {error}", run.program))
}

/// A program that has been started, its way in, and its ways out.
struct Started {
    child: Pid,
    seat: Seat,
    pipes: [Pipe; 3],
}

/// A program that has been started and waits for its arguments.
pub(crate) struct Waiting {
    run: Run,
    started: Started,
    order: File,
}

/// Starts the program up to where it waits for its arguments. None if it does not get there: not every program does.
pub(crate) fn prepare(run: Run) -> Option<Waiting> {
    let ((its_order, order), (said, its_word)) = (pipe().ok()?, pipe().ok()?);
    for ours in [&order, &said] {
        fcntl(ours, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    }
    let slots = vec!["-".repeat(SLOT - 1); run.args.len()];
    let fds = format!("{},{}", its_order.as_raw_fd(), its_word.as_raw_fd());
    let started = start(&run, &slots, Some((ORDER_FDS, &fds))).ok()?;
    // Its own ends are its alone: if it ends, so does what is read here.
    drop((its_order, its_word));
    let waiting = Waiting { run, started, order: order.into() };
    match File::from(said).read(&mut [0]) {
        Ok(1) => Some(waiting),
        _ => {
            waiting.end();
            None
        }
    }
}

impl Waiting {
    /// Whether it is what this asks for, but for the words of its arguments.
    fn is_for(&self, run: &Run) -> bool {
        let fits = |arg: &String| arg.len() < SLOT && !arg.contains('\0');
        (&self.run.program, &self.run.env, self.run.args.len())
            == (&run.program, &run.env, run.args.len())
            && run.args.iter().all(fits)
            && run.input == Input::Nothing
    }

    /// Gives it its arguments, with which it goes on.
    fn go(mut self, args: &[String]) -> io::Result<Started> {
        let words: Vec<u8> = args.iter().flat_map(|arg| [arg.as_bytes(), &[0]].concat()).collect();
        self.order.write_all(&words)?;
        Ok(self.started)
    }

    /// Ends it: it is not what is asked for.
    fn end(self) {
        // It may have ended by itself, which is as good.
        kill(self.started.child, Signal::SIGKILL).unwrap_or_default();
        waitpid(self.started.child, None).ok();
    }
}

/// One of the program's ways out.
struct Pipe {
    stream: Stream,
    file: Option<File>,
}

/// A descriptor that is readable when a child has ended.
fn children() -> nix::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Starts it with these arguments, and one more variable in its environment if there is one.
fn start(run: &Run, args: &[String], more: Option<(&str, &str)>) -> io::Result<Started> {
    let (out, out_end) = pipe2(OFlag::O_CLOEXEC)?;
    let (err, err_end) = pipe2(OFlag::O_CLOEXEC)?;
    // Its writing end is inherited under its own number. Nothing else is started meanwhile that could get it too.
    let (records, records_end) = pipe()?;
    fcntl(&records, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let mut command = Command::new(&run.program);
    command
        .args(args)
        .env_clear()
        .envs(ENVIRONMENT)
        .envs(run.env.iter().map(|(name, value)| (name, value)))
        .env(RECORDS_FD, records_end.as_raw_fd().to_string())
        .envs(more)
        .current_dir("/")
        .stdout(out_end)
        .stderr(err_end);
    // A terminal takes the places of both.
    let (seat, terminal) = Seat::make(run.input, &mut command)?;
    let id = i32::try_from(command.spawn()?.id()).map_err(io::Error::other)?;
    let pipe = |stream, end: OwnedFd| -> io::Result<Pipe> {
        fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Pipe { stream, file: Some(end.into()) })
    };
    let out = terminal.unwrap_or(out);
    let pipes =
        [pipe(Stream::Records, records)?, pipe(Stream::Stderr, err)?, pipe(Stream::Stdout, out)?];
    Ok(Started { child: Pid::from_raw(id), seat, pipes })
}

fn listen(started: Started, children: &SignalFd, channel: &mut Channel) -> io::Result<Exit> {
    let Started { child, mut seat, mut pipes } = started;
    loop {
        while let Some(message) = channel.received()? {
            obey(message, &mut seat)?;
        }
        if seat.pass_on() {
            channel.send(&ToHost::Took)?;
        }
        if wait(children, &pipes, &seat, channel)? {
            obey(channel.receive()?, &mut seat)?;
        }
        while children.read_signal()?.is_some() {}
        // Asked before the pipes are read: what the program wrote before its end is then all there.
        let ended = reap(child)?;
        for pipe in &mut pipes {
            pipe.pass_on(channel)?;
        }
        if let Some(exit) = ended {
            return Ok(exit);
        }
    }
}

/// Does what the host says while a program runs.
fn obey(message: ToGuest, seat: &mut Seat) -> io::Result<()> {
    match message {
        ToGuest::Input(bytes) => seat.take(&bytes),
        ToGuest::Window(window) => seat.resize(window),
        ToGuest::ShowTasks => setup::show_tasks()?,
        ToGuest::Prepare(_) | ToGuest::Run(_) | ToGuest::Ack => {}
    }
    Ok(())
}

/// Waits until something happens, and says whether the host has spoken.
fn wait(
    children: &SignalFd,
    pipes: &[Pipe; 3],
    seat: &Seat,
    channel: &Channel,
) -> io::Result<bool> {
    let open = pipes.iter().filter_map(|pipe| pipe.file.as_ref());
    let mut fds: Vec<PollFd<'_>> =
        open.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)).collect();
    fds.extend(seat.blocked().map(|way| PollFd::new(way, PollFlags::POLLOUT)));
    fds.push(PollFd::new(children.as_fd(), PollFlags::POLLIN));
    fds.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN));
    poll(&mut fds, PollTimeout::NONE)?;
    Ok(fds.last().and_then(PollFd::any).unwrap_or(false))
}

/// Collects all children that have ended, as the first process must; gives the end of `child`.
fn reap(child: Pid) -> io::Result<Option<Exit>> {
    let mut ended = None;
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return Ok(ended),
            other => other?,
        };
        if status.pid() == Some(child) {
            let (code, signal) = match status {
                WaitStatus::Exited(_, code) => (Some(code), None),
                WaitStatus::Signaled(_, signal, _) => (None, Some(signal as i32)),
                _ => continue,
            };
            ended = Some(Exit {
                code,
                signal,
                tainted: setup::tainted(),
                uptime_us: setup::uptime_us(),
            });
        }
    }
}

impl Pipe {
    /// Passes on what can be read now; drops the file at its end.
    fn pass_on(&mut self, channel: &mut Channel) -> io::Result<()> {
        let mut bytes = vec![0; PIECE];
        for _ in 0..TURN {
            let Some(file) = &mut self.file else { return Ok(()) };
            match file.read(&mut bytes) {
                Ok(0) => self.file = None,
                Ok(count) => channel.send_output(self.stream, &bytes[..count])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // So a terminal ends, whose last program is gone.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => self.file = None,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
