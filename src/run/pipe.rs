//! The reading end of a pipe, read without waiting, and what came out of it.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

/// How many pieces are read at once, so that a writer that never stops cannot keep its reader
/// from looking at the clock.
const PIECES: usize = 64;
const PIECE_BYTES: usize = 16 * 1024;

/// The reading end of a pipe.
pub(crate) struct Pipe {
    /// `None` once all writers are gone.
    fd: Option<OwnedFd>,
    data: Vec<u8>,
    /// How much of the data is known to hold no line's end.
    searched: usize,
}

impl Pipe {
    /// A pipe, and its writing end as a process's output.
    pub(crate) fn new() -> nix::Result<(Self, Stdio)> {
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&reading, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Self { fd: Some(reading), data: Vec::new(), searched: 0 }, writing.into()))
    }

    /// The descriptor to wait for, while there is a writer.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there.
    pub(crate) fn fill(&mut self) -> std::io::Result<()> {
        let mut piece = [0; PIECE_BYTES];
        for _ in 0..PIECES {
            let Some(fd) = &self.fd else { break };
            match read(fd, &mut piece).map_err(std::io::Error::from) {
                Ok(0) => self.fd = None,
                Ok(n) => self.data.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Takes the whole lines that are there, without their ends.
    pub(crate) fn lines(&mut self) -> Vec<Vec<u8>> {
        let fresh = &self.data[self.searched..];
        let Some(last) = fresh.iter().rposition(|byte| *byte == b'\n') else {
            self.searched = self.data.len();
            return Vec::new();
        };
        let rest = self.data.split_off(self.searched + last + 1);
        let mut whole = std::mem::replace(&mut self.data, rest);
        self.searched = self.data.len();
        whole.pop();
        whole.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// Takes everything.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.data)
    }

    /// Forgets all but the last bytes.
    pub(crate) fn shorten(&mut self, bytes: usize) {
        // Only now and then, so that a flood is not moved about at every piece.
        if self.data.len() > 2 * bytes {
            self.data.drain(..self.data.len() - bytes);
            self.searched = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe(data: &[u8]) -> Pipe {
        Pipe { fd: None, data: data.to_vec(), searched: 0 }
    }

    #[test]
    fn lines_are_whole_and_in_order() {
        let mut pipe = pipe(b"one\ntwo\nthr");
        assert_eq!(pipe.lines(), [b"one".to_vec(), b"two".to_vec()]);
        assert!(pipe.lines().is_empty());
        pipe.data.extend(b"ee\n\n");
        assert_eq!(pipe.lines(), [b"three".to_vec(), b"".to_vec()]);
        assert!(pipe.data.is_empty());
    }

    #[test]
    fn a_flood_keeps_its_end() {
        let mut pipe = pipe(b"0123456789");
        pipe.shorten(5);
        assert_eq!(pipe.data.len(), 10);
        pipe.shorten(4);
        assert_eq!(pipe.take(), b"6789");
    }
}
