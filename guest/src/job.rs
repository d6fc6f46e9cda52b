//! One program in the guest: started, listened to, seen to its end.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe, pipe2};

use crate::channel::Channel;
use crate::setup;
use crate::wire::{ENVIRONMENT, Exit, RECORDS_FD, Run, Stream, ToGuest};

/// Bytes read of a pipe at once: what a pipe holds.
const PIECE: usize = 64 * 1024;
/// Reads of one pipe before the others have their turn, and before the program's end is looked for again.
const TURN: usize = 16;

/// Runs the program and passes on all that it writes. Errors say why it did not run.
pub(crate) fn run(run: &Run, channel: &mut Channel) -> Result<Exit, String> {
    let children = children().map_err(|error| format!("children cannot be watched: {error}"))?;
    let (child, mut pipes) =
        start(run).map_err(|error| format!("`{}` cannot be started: {error}", run.program))?;
    let ended = listen(child, &children, &mut pipes, channel);
    ended.map_err(|error| format!("`{}` was lost: {error}", run.program))
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

fn start(run: &Run) -> io::Result<(Pid, [Pipe; 3])> {
    let (out, out_end) = pipe2(OFlag::O_CLOEXEC)?;
    let (err, err_end) = pipe2(OFlag::O_CLOEXEC)?;
    // Its writing end is inherited under its own number. Nothing else is started meanwhile that could get it too.
    let (records, records_end) = pipe()?;
    fcntl(&records, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let child = Command::new(&run.program)
        .args(&run.args)
        .env_clear()
        .envs(ENVIRONMENT)
        .envs(run.env.iter().map(|(name, value)| (name, value)))
        .env(RECORDS_FD, records_end.as_raw_fd().to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out_end)
        .stderr(err_end)
        .spawn()?;
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    let pipe = |stream, end: OwnedFd| -> io::Result<Pipe> {
        fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Pipe { stream, file: Some(end.into()) })
    };
    let pipes =
        [pipe(Stream::Records, records)?, pipe(Stream::Stderr, err)?, pipe(Stream::Stdout, out)?];
    Ok((Pid::from_raw(id), pipes))
}

fn listen(
    child: Pid,
    children: &SignalFd,
    pipes: &mut [Pipe; 3],
    channel: &mut Channel,
) -> io::Result<Exit> {
    loop {
        if wait(children, pipes, channel)? && channel.receive()? == ToGuest::ShowTasks {
            setup::show_tasks()?;
        }
        while children.read_signal()?.is_some() {}
        // Asked before the pipes are read: what the program wrote before its end is then all there.
        let ended = reap(child)?;
        for pipe in pipes.iter_mut() {
            pipe.pass_on(channel)?;
        }
        if let Some(exit) = ended {
            return Ok(exit);
        }
    }
}

/// Waits until something happens, and says whether the host has spoken.
fn wait(children: &SignalFd, pipes: &[Pipe; 3], channel: &Channel) -> io::Result<bool> {
    let open = pipes.iter().filter_map(|pipe| pipe.file.as_ref());
    let mut fds: Vec<PollFd<'_>> =
        open.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)).collect();
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
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
