//! What no safe crate offers: children that die with us, and `/dev/kvm`. All `unsafe` of this crate is here.
#![expect(
    unsafe_code,
    reason = "code between fork and exec, and ioctls, are beyond what the compiler checks"
)]

pub(crate) mod kvm;
pub(crate) mod trace;

use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// For how long the cycle counter is watched: the clock's own error is then some 10 in a million.
const WATCHED: Duration = Duration::from_millis(5);

/// A command to start, the descriptors that it inherits, and where to put the outcome.
struct Order {
    command: Command,
    inherit: Vec<RawFd>,
    answer: Sender<io::Result<Child>>,
}

/// Starts a child that gets these descriptors under their own numbers, and that the kernel kills when this
/// process dies, however that comes about. It has a process group of its own: Ctrl-C is ours to handle.
///
/// The caller holds the descriptors open until this returns.
pub(crate) fn spawn_held(command: Command, inherit: Vec<RawFd>) -> io::Result<Child> {
    let (answer, outcome) = channel();
    let orders = orders().lock().unwrap_or_else(PoisonError::into_inner);
    let sent = orders.send(Order { command, inherit, answer });
    drop(orders);
    sent.map_err(io::Error::other)?;
    outcome.recv().map_err(io::Error::other)?
}

/// The kernel counts the end of the *thread* that started a child as the parent's death, so one thread that
/// never ends starts them all.
fn orders() -> &'static Mutex<Sender<Order>> {
    static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let (sender, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for Order { command, inherit, answer } in orders {
                // Whoever asked may be gone; the child is then dropped, and was of use to nobody.
                drop(answer.send(spawn(command, inherit)));
            }
        });
        Mutex::new(sender)
    })
}

/// How many cycles this machine's counter counts in a millisecond, measured once in the life of the process, to the next
/// thousand: processors' counters have round frequencies, and guests of two runs are to be told the same.
pub(crate) fn cycles_a_millisecond() -> u64 {
    static MEASURED: OnceLock<u64> = OnceLock::new();
    *MEASURED.get_or_init(|| {
        let (begin, first) = clocks();
        loop {
            let (now, last) = clocks();
            let passed = now - begin;
            if passed >= WATCHED {
                let cycles = u128::from(last.wrapping_sub(first)) * 1_000_000 / passed.as_nanos();
                let cycles = u64::try_from(cycles).unwrap_or(u64::MAX);
                return cycles.saturating_add(500) / 1000 * 1000;
            }
        }
    })
}

/// Both clocks at one moment: of several tries that in which the least time passed between the two.
fn clocks() -> (Instant, u64) {
    let tries = (0..8).map(|_| {
        let (before, now, after) = (cycles(), Instant::now(), cycles());
        (after.wrapping_sub(before), now, before.wrapping_add(after.wrapping_sub(before) / 2))
    });
    let (_, now, cycles) = tries.min_by_key(|(took, ..)| *took).expect("there are tries");
    (now, cycles)
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and reading it changes nothing.
    unsafe { core::arch::x86_64::_rdtsc() }
}

fn spawn(mut command: Command, inherit: Vec<RawFd>) -> io::Result<Child> {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: prctl, getppid, close_range and fcntl may be called between fork and exec, and take no pointers here.
        unsafe {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            // It may have died before the line above.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // What this process was given by its own parent is not for QEMU. Before 5.11 it gets that too.
            let all = (3 as libc::c_uint, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            libc::syscall(libc::SYS_close_range, all.0, all.1, all.2);
            for fd in &inherit {
                check(libc::fcntl(*fd, libc::F_SETFD, 0))?;
            }
        }
        Ok(())
    };
    command.process_group(0);
    // SAFETY: `prepare` allocates nothing, takes no lock, and makes system calls only.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
