//! Where a person, or a pipe of the host, sits before the program: its standard input.
//!
//! What comes in for it is written when the program takes it, and no more is asked for before: the first process never
//! waits for a program that does not read.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use libc::winsize;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::unistd::pipe2;

use crate::sys;
use crate::wire::{Input, Window};

/// The way to a program's standard input.
#[derive(Default)]
pub(crate) struct Seat {
    way: Option<File>,
    is_terminal: bool,
    /// What the program has not taken yet.
    due: Vec<u8>,
    /// Whether the host waits to hear that it has.
    asked: bool,
}

impl Seat {
    /// Gives the command its standard input. What is read of it comes along if it is a terminal, for the command then
    /// writes there too.
    pub(crate) fn make(input: Input, command: &mut Command) -> io::Result<(Self, Option<OwnedFd>)> {
        match input {
            Input::Nothing => {
                command.stdin(Stdio::null());
                Ok((Self::default(), None))
            }
            Input::Pipe => {
                let (end, way) = pipe2(OFlag::O_CLOEXEC)?;
                command.stdin(end);
                Ok((Self::of(way, false)?, None))
            }
            Input::Terminal(window) => {
                let pty = openpty(&size(window), None)?;
                command.stdin(held(&pty.slave)?).stdout(held(&pty.slave)?);
                command.stderr(held(&pty.slave)?);
                sys::seat(command);
                let written = held(&pty.master)?;
                Ok((Self::of(held(&pty.master)?, true)?, Some(written)))
            }
        }
    }

    fn of(way: OwnedFd, is_terminal: bool) -> io::Result<Self> {
        fcntl(&way, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { way: Some(way.into()), is_terminal, ..Self::default() })
    }

    /// Takes what is for the program; nothing at all is the end. A terminal has no end: there, who types says so.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() && !self.is_terminal {
            self.way = None;
        }
        self.due.extend_from_slice(bytes);
        self.asked = true;
    }

    /// Tells the terminal its size.
    pub(crate) fn resize(&self, window: Window) {
        if let Some(way) = self.way.as_ref().filter(|_| self.is_terminal) {
            // A terminal of another size than it thinks is a nuisance, and nothing more.
            sys::resize(way, &size(window)).unwrap_or_default();
        }
    }

    /// To be polled for room, if something waits for it.
    pub(crate) fn blocked(&self) -> Option<BorrowedFd<'_>> {
        self.way.as_ref().filter(|_| !self.due.is_empty()).map(|way| way.as_fd())
    }

    /// Writes what there is room for. Says, once for each piece, that all is written or is wanted by nobody.
    pub(crate) fn pass_on(&mut self) -> bool {
        while let Some(way) = self.way.as_mut().filter(|_| !self.due.is_empty()) {
            match way.write(&self.due) {
                Ok(count) => drop(self.due.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Nobody reads any more.
                Err(_) => self.way = None,
            }
        }
        self.due.clear();
        std::mem::take(&mut self.asked)
    }
}

/// Another descriptor of the same, that no program inherits.
fn held(fd: &OwnedFd) -> io::Result<OwnedFd> {
    fd.try_clone()
}

fn size(window: Window) -> winsize {
    winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_pipe_that_nobody_empties_holds_up_nobody() {
        let mut command = Command::new("cat");
        let (mut seat, none) = Seat::make(Input::Pipe, &mut command).unwrap();
        assert!(none.is_none() && !seat.pass_on(), "nothing was asked");
        seat.take(&vec![b'x'; 1 << 20]);
        assert!(!seat.pass_on() && seat.blocked().is_some());
        // The reading end goes with the command.
        drop(command);
        assert!(seat.pass_on() && seat.blocked().is_none());
        assert!(!seat.pass_on(), "it is said once");
    }

    #[test]
    fn a_program_in_a_terminal_hears_what_is_typed_and_its_size() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read line; echo got $line; stty size"]);
        let window = Window { rows: 7, columns: 33 };
        let (mut seat, written) = Seat::make(Input::Terminal(window), &mut command).unwrap();
        let mut child = command.spawn().unwrap();
        drop(command);
        seat.take(b"word\n");
        assert!(seat.pass_on());
        let mut said = Vec::new();
        child.wait().unwrap();
        // The read that finds nobody left to write fails.
        File::from(written.unwrap()).read_to_end(&mut said).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&said), "word\r\ngot word\r\n7 33\r\n");
    }
}
