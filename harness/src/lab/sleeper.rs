//! Somebody who sleeps in a read of a macvtap link's queue, as a program does that has nothing else to do.

use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hairpin_model::Error;
use hairpin_model::topology::LinkName;
use nix::unistd::{Pid, gettid};

use super::queue::{LONGEST, Queue};
use crate::sys::interrupt::interrupt;

/// How long it may take to fall asleep, and to be woken. Both take microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// A thread that reads a queue which blocks (see [`Queue::set_blocking`]), and sleeps until there is something. It ends
/// with this value.
#[derive(Debug)]
pub struct Sleeper {
    link: LinkName,
    thread: Pid,
    /// What the read gave, told once.
    told: Receiver<io::Result<Vec<u8>>>,
    /// The same where it was told at once.
    early: Option<io::Result<Vec<u8>>>,
    has_told: bool,
    handle: Option<JoinHandle<()>>,
}

impl Queue {
    /// Has somebody read the next frame. Returns when they sleep, or when they were given something at once.
    pub fn sleep_in_read(&self) -> Result<Sleeper, Error> {
        let begun = self.file().try_clone().and_then(|file| begin(self.link().clone(), file));
        begun.and_then(Sleeper::settled).map_err(|error| cannot("be slept in", self.link(), &error))
    }
}

fn begin(link: LinkName, mut file: File) -> io::Result<Sleeper> {
    let (tell_thread, thread) = channel();
    let (tell, told) = channel();
    let handle = thread::Builder::new().name("sleeper".into()).spawn(move || {
        tell_thread.send(gettid()).ok();
        let mut bytes = vec![0; LONGEST];
        let read = file.read(&mut bytes).map(|length| bytes[..length].to_vec());
        // Nobody hears it who has given up.
        tell.send(read).ok();
    })?;
    let thread = thread.recv().map_err(io::Error::other)?;
    Ok(Sleeper { link, thread, told, early: None, has_told: false, handle: Some(handle) })
}

impl Sleeper {
    /// Waits until it sleeps in its read, or has ended.
    fn settled(mut self) -> io::Result<Self> {
        let call = format!("/proc/self/task/{}/syscall", self.thread);
        let read = format!("{} ", libc::SYS_read);
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            if let Ok(told) = self.told.try_recv() {
                self.has_told = true;
                self.early = Some(told);
                return Ok(self);
            }
            if fs::read_to_string(&call).is_ok_and(|call| call.starts_with(&read)) {
                return Ok(self);
            }
            thread::yield_now();
        }
        Err(io::Error::other("it did not fall asleep within 5 s"))
    }

    /// Whether it slept, when it was begun.
    pub const fn slept(&self) -> bool {
        self.early.is_none()
    }

    /// What it was given, or why it was given nothing; none when it sleeps on for five seconds.
    pub fn woken(mut self) -> Result<Option<Vec<u8>>, Error> {
        let told = self.early.take().map_or_else(|| self.told.recv_timeout(DEADLINE), Ok);
        self.has_told = self.has_told || told.is_ok();
        match told {
            Ok(read) => read.map(Some).map_err(|error| cannot("be read", &self.link, &error)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(lost @ RecvTimeoutError::Disconnected) => {
                Err(cannot("be read", &self.link, &io::Error::other(lost)))
            }
        }
    }

    /// Has a signal come for it.
    pub fn interrupt(&self) -> Result<(), Error> {
        interrupt(self.thread).map_err(|error| cannot("be left", &self.link, &error))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let tells = || interrupt(self.thread).is_ok() && self.told.recv_timeout(DEADLINE).is_ok();
        let ends = self.has_told || tells();
        // Who does not end is left behind rather than waited for.
        if let Some(handle) = self.handle.take().filter(|_| ends) {
            handle.join().unwrap_or_default();
        }
    }
}

fn cannot(what: &str, link: &LinkName, error: &io::Error) -> Error {
    Error {
        errno: error.raw_os_error().unwrap_or_default(),
        ..Error::new(
            format!("the queue cannot {what}: {error}"),
            format!("a queue of {link}"),
            "does it block (`set_blocking`)?",
        )
    }
}
