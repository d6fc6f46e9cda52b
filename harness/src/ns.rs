//! A network namespace, held by a file descriptor and by nothing else.
//!
//! A socket belongs to the namespace that it was made in, for good. So one thread serves a whole
//! lab: it steps into a namespace to make a socket or to write a sysctl, and out again.

use std::fs::File;
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::thread;

use hairpin_model::Error;
use nix::sched::{CloneFlags, setns, unshare};

use crate::sysctl;

/// A network namespace that exists as long as this value, or a socket made in it, does.
#[derive(Debug)]
pub struct Ns(OwnedFd);

impl Ns {
    /// Makes a new, empty namespace.
    pub fn new() -> Result<Self, Error> {
        crate::sandbox::status()?;
        let home = current()?;
        leave()?;
        let made = current();
        go(home.as_fd());
        made.map(Self)
    }

    /// Makes so many at once, on all cores, with their sysctls pinned: this is half of what a small lab
    /// costs.
    pub(crate) fn several(count: usize) -> Result<Vec<Self>, Error> {
        crate::sandbox::status()?;
        let mut made = taken(count);
        let count = count - made.len();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = count.div_ceil(cores).max(1);
        // These threads never come home: they end where they are.
        thread::scope(|scope| {
            let makers: Vec<_> = (0..count)
                .step_by(share)
                .map(|first| (first..count.min(first + share)).map(|_| pinned()))
                .map(|shared| scope.spawn(|| shared.collect::<Result<Vec<_>, _>>()))
                .collect();
            for maker in makers {
                made.extend(maker.join().expect("making a namespace does not panic")?);
            }
            Ok(made)
        })
    }

    /// Makes so many for the labs to come. A guest does so before it is copied: each copy has them then, as
    /// new as if it had made them.
    pub(crate) fn reserve(count: usize) -> Result<(), Error> {
        let _back = Back(current()?);
        let made: Result<_, _> = (0..count).map(|_| pinned()).collect();
        *RESERVE.lock().unwrap_or_else(PoisonError::into_inner) = made?;
        Ok(())
    }

    /// By which number the kernel knows it: that of its inode.
    pub(crate) fn inode(&self) -> Option<u32> {
        nix::sys::stat::fstat(&self.0).ok().and_then(|stat| stat.st_ino.try_into().ok())
    }

    /// The namespace that the calling thread is in.
    pub(crate) fn current() -> Result<Self, Error> {
        current().map(Self)
    }

    /// Runs `work` inside the namespace. It is not async on purpose: nothing can be awaited while
    /// the thread is away from home.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let home = current().expect("the thread's own namespace can be opened");
        // Also on a panic the thread must come home.
        let _back = Back(home);
        go(self.0.as_fd());
        work()
    }

    /// The descriptor, for netlink messages that move links, and for `nsenter`.
    pub fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Namespaces in which nothing was ever made.
static RESERVE: Mutex<Vec<Ns>> = Mutex::new(Vec::new());

/// As many of the reserve as there are, up to so many.
fn taken(count: usize) -> Vec<Ns> {
    let mut reserve = RESERVE.lock().unwrap_or_else(PoisonError::into_inner);
    let left = reserve.len().saturating_sub(count);
    reserve.split_off(left)
}

/// Moves the calling thread into a new namespace whose sysctls are pinned.
fn pinned() -> Result<Ns, Error> {
    leave()?;
    sysctl::pin()?;
    Ns::current()
}

struct Back(OwnedFd);

impl Drop for Back {
    fn drop(&mut self) {
        go(self.0.as_fd());
    }
}

/// Moves the calling thread into a new namespace.
fn leave() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
        Error::new(
            format!("cannot make a network namespace: {}", errno.desc()),
            "this machine",
            "see `hairpin doctor`; `sysctl user.max_net_namespaces` is the limit",
        )
    })
}

fn current() -> Result<OwnedFd, Error> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from).map_err(|error| {
        Error::new(
            format!("cannot open the thread's network namespace: {error}"),
            "/proc/thread-self/ns/net",
            "mount /proc",
        )
    })
}

/// Enters a namespace that we hold. Failing would leave the thread where it must not be.
fn go(ns: BorrowedFd<'_>) {
    setns(ns, CloneFlags::CLONE_NEWNET).expect("a namespace that we hold can be entered");
}
