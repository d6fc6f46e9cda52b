//! Files without a name: what a machine needs and must not leave behind.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};

use hairpin_model::Error;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file in memory. It is gone when the last process that has it open is.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    /// An empty one of this size; it takes room only where it is written to.
    pub(crate) fn sized(name: &str, bytes: u64) -> Result<Self, Error> {
        let memory = Self::make(name).map_err(|error| no_memory(&error))?;
        memory.0.set_len(bytes).map_err(|error| no_memory(&error))?;
        Ok(memory)
    }

    /// One that holds these bytes.
    pub(crate) fn holding(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut memory = Self::make(name).map_err(|error| no_memory(&error))?;
        memory.0.write_all(bytes).map_err(|error| no_memory(&error))?;
        Ok(memory)
    }

    /// Another descriptor of the same file.
    pub(crate) fn try_clone(&self) -> Result<Self, Error> {
        self.duplicate().map(Self).map_err(|error| no_memory(&error))
    }

    /// The path under which a process that inherits it opens it afresh, with a position of its own.
    pub(crate) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.number())
    }

    pub(crate) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Another descriptor of the same file, at its beginning.
    pub(crate) fn reopened(&self) -> io::Result<File> {
        File::open(self.path())
    }

    /// What it holds.
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reopened()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What it holds, as text.
    pub(crate) fn text(&self) -> String {
        self.bytes()
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// From here on nobody can change it: who maps it gets pages of his own where he writes.
    pub(crate) fn seal(&self) -> io::Result<()> {
        let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        Ok(fcntl(&self.0, FcntlArg::F_ADD_SEALS(seals)).map(drop)?)
    }

    /// Another descriptor of the same open file, for a child's standard error.
    pub(crate) fn duplicate(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    fn make(name: &str) -> io::Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        Ok(Self(memfd_create(name, flags)?.into()))
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn no_memory(error: &io::Error) -> Error {
    Error::new(
        format!("there is no memory for a guest: {error}"),
        "this machine",
        "run fewer guests at once, or raise the limit of the container",
    )
}
