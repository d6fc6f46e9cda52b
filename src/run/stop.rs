//! Stopping a run: one switch, which signals turn and every waiting thread sees.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hairpin_model::Error;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};

use crate::exit::Exit;

/// A switch that is turned once. Its descriptor becomes readable then, so that a thread in
/// `poll` wakes up; nobody reads from it.
#[derive(Clone)]
pub(crate) struct Stop {
    inner: Arc<Inner>,
}

struct Inner {
    stopped: AtomicBool,
    readable: OwnedFd,
    // Closing the writing end makes the reading end readable for ever.
    writable: Mutex<Option<OwnedFd>>,
}

impl Stop {
    /// A switch that nothing turns but [`Stop::stop`].
    pub(crate) fn new() -> Result<Self, Error> {
        let (readable, writable) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| {
            let help = "raise the limit of open files (`ulimit -n`)";
            Error::new(format!("no pipe to be had: {e}"), "this process", help)
        })?;
        let writable = Mutex::new(Some(writable));
        let stopped = AtomicBool::new(false);
        Ok(Self { inner: Arc::new(Inner { stopped, readable, writable }) })
    }

    /// A switch that SIGINT, SIGTERM and SIGHUP turn, from now on, instead of ending us. A
    /// second one ends us at once; the processes of our cases die with us.
    pub(crate) fn on_signals() -> Result<Self, Error> {
        let stop = Self::new()?;
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        // Before any other thread is there, so that all inherit it and only ours is woken.
        signals.thread_block().map_err(|e| {
            Error::new(format!("cannot block signals: {e}"), "this process", "report this")
        })?;
        let turned = stop.clone();
        std::thread::spawn(move || {
            if signals.wait().is_ok() {
                turned.stop();
            }
            if signals.wait().is_ok() {
                let mut stderr = std::io::stderr();
                // Whether or not anybody reads this, we go.
                stderr.write_all(b"\nhairpin: interrupted again, leaving at once\n").ok();
                std::process::exit(Exit::Interrupted.code().into());
            }
        });
        Ok(stop)
    }

    /// Turns the switch.
    pub(crate) fn stop(&self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.inner.writable.lock().expect("nobody panics holding it").take();
    }

    /// Whether it is turned.
    pub(crate) fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::SeqCst)
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.readable.as_fd()
    }
}
