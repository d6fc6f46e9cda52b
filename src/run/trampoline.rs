//! The step between us and a suite program's process.
//!
//! `hairpin` starts itself with [`WORD`], arranges what only the process itself can arrange, and
//! becomes the suite program. That costs one `exec` and spares us both `unsafe` and a window in
//! which a process started at the same moment inherits this one's events pipe.
//!
//! What comes in: stdout is the events pipe, stderr takes what the program prints. What goes on:
//! the events pipe as the descriptor named in `HAIRPIN_EVENTS_FD`, both outputs on stderr.

use std::env::ArgsOs;
use std::iter::Skip;
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{dup, dup2_stdout, getppid};

/// The first argument that leads here.
pub(crate) const WORD: &str = "__case";
/// The same, where stdout is a person's or a command's own: what the test library says there is left out.
pub(crate) const SHELL_WORD: &str = "__shell";
/// The variable that names the descriptor of the events pipe.
const EVENTS_FD: &str = "HAIRPIN_EVENTS_FD";
/// The exit code of shells for a program that cannot be started.
const NOT_STARTED: u8 = 127;

/// Becomes the program in the arguments: the process that started us, the program, its arguments.
/// Returns only when that is impossible.
pub(crate) fn enter(mut args: Skip<ArgsOs>, is_shell: bool) -> ExitCode {
    let parent = args.next().and_then(|word| word.to_str()?.parse().ok());
    let program = args.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(args);
    let error = match arrange(parent, is_shell) {
        // The descriptor is inherited by number, so it is given away here, not closed.
        Ok(events) => command.env(EVENTS_FD, events.to_string()).exec(),
        Err(errno) => errno.into(),
    };
    eprintln!("cannot start `{}`: {error}", program.display());
    NOT_STARTED.into()
}

/// Ties our life to our parent's and moves the events pipe out of the way of stdout.
fn arrange(parent: Option<i32>, is_shell: bool) -> nix::Result<i32> {
    // Killed together with the thread that started us, however it ends: nothing stays behind.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if parent != Some(getppid().as_raw()) {
        // It died before the line above: nobody is left to run for.
        return Err(nix::errno::Errno::ESRCH);
    }
    // The parent blocks the signals that it waits for; the program is to have the usual ones.
    SigSet::empty().thread_set_mask()?;
    let events = dup(std::io::stdout())?;
    if is_shell {
        dup2_stdout(open("/dev/null", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?)?;
    } else {
        dup2_stdout(std::io::stderr())?;
    }
    Ok(events.into_raw_fd())
}
