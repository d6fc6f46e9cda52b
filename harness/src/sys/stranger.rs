//! A process in a user namespace of its own, which may do as it likes in its own network namespace and
//! nothing elsewhere. No thread of ours could be that: only a process with one thread may leave its user
//! namespace.
//!
//! What it is for is told in `lab::stranger`.
#![expect(unsafe_code, reason = "fork and what a forked process may call have no safe form")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::time::Duration;

use super::check;

/// How long anything that it does may take. It takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// Has such a process ask rtnetlink these questions, one after the other, once something was given to
/// its network namespace. Gives the kernel's answers: 0, or the number of an error.
pub(crate) fn ask(
    give: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
    questions: &[Vec<u8>],
) -> io::Result<Vec<i32>> {
    let (mut near, far) = UnixStream::pair()?;
    near.set_read_timeout(Some(DEADLINE))?;
    // SAFETY: the forked process calls nothing that memory or locks of other threads matter to, and
    // never returns.
    let child = check(unsafe { libc::fork() })?;
    if child == 0 {
        live(far.as_raw_fd(), questions);
    }
    drop(far);
    let answers = answers(&mut near, child, give, questions.len());
    // Whatever became of it, it ends when it can write no more.
    drop(near);
    // SAFETY: it is our child, and nobody else waits for it.
    unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
    answers
}

fn answers(
    near: &mut UnixStream,
    child: libc::pid_t,
    give: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
    many: usize,
) -> io::Result<Vec<i32>> {
    near.read_exact(&mut [0])?;
    give(File::open(format!("/proc/{child}/ns/net"))?.as_fd())?;
    near.write_all(&[0])?;
    let mut told = vec![0; 4 * many];
    near.read_exact(&mut told)?;
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b));
    Ok(told.chunks_exact(4).map(number).collect())
}

/// The life of the process: it allocates nothing.
fn live(far: RawFd, questions: &[Vec<u8>]) -> ! {
    let mut byte = 0_u8;
    let place = (&raw mut byte).cast();
    // SAFETY: these calls read or write one byte that is there.
    let given = unsafe {
        libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) == 0
            && libc::write(far, place, 1) == 1
            && libc::read(far, place, 1) == 1
    };
    if given {
        // SAFETY: it makes a socket or fails.
        let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
        for question in questions {
            let answer = answer(socket, question);
            // SAFETY: four bytes are there to be read.
            unsafe { libc::write(far, (&raw const answer).cast(), 4) };
        }
    }
    // SAFETY: it ends the process and nothing else.
    unsafe { libc::_exit(0) }
}

/// What the kernel answers to one question: 0, or the number of an error.
fn answer(socket: RawFd, question: &[u8]) -> i32 {
    /// Where a netlink message tells an error, behind its header.
    const ERROR: usize = 16;
    let mut told = [0_u8; 1024];
    // SAFETY: both calls are given where the bytes are, and how many there may be.
    let length = unsafe {
        if libc::send(socket, question.as_ptr().cast(), question.len(), 0) < 0 {
            return libc::EIO;
        }
        libc::recv(socket, told.as_mut_ptr().cast(), told.len(), 0)
    };
    match told[ERROR..].first_chunk() {
        Some(number) if length >= 20 => -i32::from_ne_bytes(*number),
        _ => libc::EIO,
    }
}
