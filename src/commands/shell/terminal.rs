//! The terminal that we are in, lent to a program in a guest: keys as they are pressed, its size, its end.
//!
//! Ctrl-C and the like are characters then, which the terminal in the guest makes signals of. When [`Front`] is dropped
//! the terminal is as it was.

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use hairpin_guest::wire::{Input, Window};
use hairpin_model::Error;
use hairpin_vm::{Seat, Typed};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use terminal_size::{Height, Width, terminal_size};

use crate::run::stop::Stop;

/// Bytes that the guest is given at once.
const PIECE: usize = 1024;
/// The size of a terminal that does not tell.
const USUAL: Window = Window { rows: 24, columns: 80 };

/// Tells of changes of the terminal's size.
pub(super) struct Windows(SignalFd);

impl Windows {
    /// To be called before there is a second thread, which could swallow them.
    pub(super) fn watch() -> Result<Self, Error> {
        let signals = SigSet::from(Signal::SIGWINCH);
        let watched = signals.thread_block().and_then(|()| {
            SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        });
        watched.map(Self).map_err(|error| failed("signals cannot be watched", &error.into()))
    }
}

/// What is before the program in the guest.
pub(super) struct Front<'s> {
    stop: &'s Stop,
    windows: Windows,
    stdin: io::Stdin,
    input: Input,
    is_open: bool,
    /// How the terminal was.
    before: Option<Termios>,
}

impl<'s> Front<'s> {
    /// Takes the terminal, if there is one for both ways. A terminal whose output goes elsewhere is left to whoever reads
    /// that.
    pub(super) fn new(stop: &'s Stop, windows: Windows) -> Result<Self, Error> {
        let stdin = io::stdin();
        let input = match (stdin.is_terminal(), io::stdout().is_terminal()) {
            (true, true) => Input::Terminal(window()),
            (true, false) => Input::Nothing,
            (false, _) => Input::Pipe,
        };
        let before = matches!(input, Input::Terminal(_)).then(|| {
            let before = tcgetattr(&stdin)?;
            let mut raw = before.clone();
            cfmakeraw(&mut raw);
            tcsetattr(&stdin, SetArg::TCSADRAIN, &raw)?;
            Ok(before)
        });
        let before = before
            .transpose()
            .map_err(|error: nix::Error| failed("the terminal cannot be used", &error.into()))?;
        let is_open = input != Input::Nothing;
        Ok(Self { stop, windows, stdin, input, is_open, before })
    }

    /// What the program's standard input is to be.
    pub(super) fn input(&self) -> Input {
        self.input
    }

    fn keys(&mut self) -> Typed {
        let mut bytes = vec![0; PIECE];
        let count = loop {
            match nix::unistd::read(&self.stdin, &mut bytes) {
                Err(nix::Error::EINTR) => {}
                // A terminal that is gone has nothing more to say.
                other => break other.unwrap_or(0),
            }
        };
        if count == 0 {
            self.is_open = false;
            if self.before.is_some() {
                return Typed::Leave;
            }
        }
        bytes.truncate(count);
        Typed::Bytes(bytes)
    }
}

impl Seat for Front<'_> {
    fn watched(&self, takes_input: bool) -> Vec<BorrowedFd<'_>> {
        let mut watched = vec![self.stop.as_fd(), self.windows.0.as_fd()];
        if takes_input && self.is_open {
            watched.push(self.stdin.as_fd());
        }
        watched
    }

    fn next(&mut self, takes_input: bool) -> Typed {
        if self.stop.is_stopped() {
            return Typed::Leave;
        }
        let resized = matches!(self.windows.0.read_signal(), Ok(Some(_)));
        if resized || !takes_input || !self.is_open {
            return Typed::Window(window());
        }
        self.keys()
    }
}

impl Drop for Front<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs it no more.
            tcsetattr(&self.stdin, SetArg::TCSADRAIN, before).unwrap_or_default();
        }
    }
}

fn window() -> Window {
    terminal_size().map_or(USUAL, |(Width(columns), Height(rows))| Window { rows, columns })
}

fn failed(what: &str, error: &io::Error) -> Error {
    Error::new(
        format!("{what}: {error}"),
        "this terminal",
        "run a COMMAND, with its input from a file",
    )
}
