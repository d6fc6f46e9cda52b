//! Ends a system call in which one of our threads sleeps: by a signal whose handler does nothing.

use std::io;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Pid, getpid};

static HANDLED: OnceLock<nix::Result<()>> = OnceLock::new();

const SIGNAL: Signal = Signal::SIGUSR1;

extern "C" fn nothing(_: libc::c_int) {}

/// Has the signal do nothing but interrupt: the call is not to be begun again.
fn handle() -> nix::Result<()> {
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler touches nothing, and nothing else of a test program handles this signal.
    unsafe { sigaction(SIGNAL, &action) }.map(|_| ())
}

/// Interrupts what a thread of this process sleeps in. One that is gone already is no error.
pub(crate) fn interrupt(thread: Pid) -> io::Result<()> {
    (*HANDLED.get_or_init(handle))?;
    let (process, thread) = (getpid().as_raw(), thread.as_raw());
    // SAFETY: the call takes three numbers; the handler is there.
    let done = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL as libc::c_int) };
    match Errno::result(done) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
