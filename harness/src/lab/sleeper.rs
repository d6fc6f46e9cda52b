//! Somebody who sleeps in a read of a macvtap link's queue, as a program does that has nothing else to do.

use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use hairpin_model::Error;
use nix::unistd::{Pid, gettid};

use super::queue::{DEADLINE, LONGEST, Queue};
use crate::sys::interrupt::interrupt;

/// A thread that reads a queue which blocks (see [`Queue::set_blocking`]), and sleeps until there is something. It ends
/// with this value.
#[derive(Debug)]
pub struct Sleeper<'q> {
    queue: &'q Queue,
    thread: Pid,
    slept: bool,
    /// Ends with what the read gave.
    handle: Option<Handle>,
}

type Handle = JoinHandle<io::Result<Vec<u8>>>;

impl Queue {
    /// Has somebody read the next frame. Returns when they sleep, or when they were given something at once.
    pub fn sleep_in_read(&self) -> Result<Sleeper<'_>, Error> {
        let begun = || -> io::Result<Sleeper<'_>> {
            let (handle, thread) = begin(self.file().try_clone()?)?;
            let mut sleeper = Sleeper { queue: self, thread, slept: false, handle: Some(handle) };
            sleeper.slept = sleeper.settle()?;
            Ok(sleeper)
        };
        begun().map_err(|error| self.refused("have somebody sleep in a read", &error))
    }
}

fn begin(mut file: File) -> io::Result<(Handle, Pid)> {
    let (tell, thread) = channel();
    let handle = thread::Builder::new().name("sleeper".into()).spawn(move || {
        tell.send(gettid()).ok();
        let mut bytes = vec![0; LONGEST];
        file.read(&mut bytes).map(|length| bytes[..length].to_vec())
    })?;
    Ok((handle, thread.recv().map_err(io::Error::other)?))
}

/// Lets others run until something is so, for five seconds at most; whether it is.
fn within_deadline(mut is: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + DEADLINE;
    while !is() {
        if Instant::now() >= until {
            return false;
        }
        thread::yield_now();
    }
    true
}

impl Sleeper<'_> {
    /// Waits until it sleeps in its read, or has ended; tells whether it sleeps.
    fn settle(&self) -> io::Result<bool> {
        let call = format!("/proc/self/task/{}/syscall", self.thread);
        let read = format!("{} ", libc::SYS_read);
        let mut sleeps = false;
        let settled = within_deadline(|| {
            let ended = self.has_ended();
            let reads = || fs::read_to_string(&call).is_ok_and(|call| call.starts_with(&read));
            sleeps = !ended && reads();
            ended || sleeps
        });
        settled.then_some(sleeps).ok_or_else(|| io::Error::other("not asleep within 5 s"))
    }

    fn has_ended(&self) -> bool {
        self.handle.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether it slept, when it was begun.
    pub const fn slept(&self) -> bool {
        self.slept
    }

    /// What it was given, or why it was given nothing; none when it sleeps on for five seconds.
    pub fn woken(mut self) -> Result<Option<Vec<u8>>, Error> {
        let ended = within_deadline(|| self.has_ended());
        let Some(handle) = self.handle.take_if(|_| ended) else { return Ok(None) };
        let read = handle.join().unwrap_or_else(|_| Err(io::Error::other("the reader panicked")));
        read.map(Some).map_err(|error| self.queue.refused("read", &error))
    }

    /// Has a signal come for it.
    pub fn interrupt(&self) -> Result<(), Error> {
        interrupt(self.thread).map_err(|error| self.queue.refused("interrupt a read", &error))
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let ended = self.has_ended()
            || (interrupt(self.thread).is_ok() && within_deadline(|| self.has_ended()));
        // Who does not end is left behind rather than waited for.
        if let Some(handle) = self.handle.take_if(|_| ended) {
            handle.join().map(drop).unwrap_or_default();
        }
    }
}
