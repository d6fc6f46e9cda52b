//! A stopped QEMU from which running ones are forked: copies of the process, with lines of their own.
//!
//! QEMU translates a guest's code as it runs, and what it has translated goes with its process. A copy has it all.
//! The copy shares nothing with the original that either could notice: its memory is its own (`fork`), its lines and
//! what wakes its threads are replaced here. Anything else that would be shared is a reason not to copy.

use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::Memory;
use super::guest::Guest;
use super::line::Ports;
use super::process::{Ends, Process};
use crate::sys::trace::{Held, word};

/// A page for what system calls point to.
const PAGE: u64 = 4096;
const ROOM_FOR_BYTE: u64 = 128;
const ROOM_FOR_CONTROL: u64 = 256;
/// The control message's header, and four descriptors.
const CONTROL: u64 = 16 + 16;

/// A stopped machine to copy.
pub(crate) struct Zygote {
    held: Held,
    guest: Guest,
    ports: Ports,
    wakers: Vec<Waker>,
    /// A page of its memory that QEMU knows nothing of.
    page: u64,
}

/// A descriptor by which threads of the process wake each other.
struct Waker {
    fd: RawFd,
    count: u64,
    is_nonblocking: bool,
}

impl Zygote {
    /// Of a machine that was stopped by its control line. All calls must come from the thread that made it.
    pub(crate) fn of(guest: Guest) -> io::Result<Self> {
        let held = Held::hold(guest.pid())?;
        let ports = guest.ports();
        let wakers = wakers(&held, ports)?;
        let_copies_have_memory(&held)?;
        let page = add_page(&held)?;
        empty(&held, ports.control, page)?;
        Ok(Self { held, guest, ports, wakers, page })
    }

    /// A machine that goes on where this one was stopped.
    pub(crate) fn fork(&self) -> io::Result<Guest> {
        let copy = self.held.fork()?;
        for waker in &self.wakers {
            let flags = if waker.is_nonblocking { libc::O_NONBLOCK } else { 0 };
            let own = copy.call(libc::SYS_eventfd2, [waker.count, word(flags), 0, 0, 0, 0])?;
            put(&copy, own, waker.fd)?;
        }
        let said = Memory::sized("hairpin-words", 0).map_err(io::Error::other)?;
        let ends = self.give_lines(&copy, &said)?;
        let process = copy.process();
        copy.release()?;
        let process = Process::copied(process, said, self.ports);
        Ok(Guest::with(process, ends, self.guest.due()))
    }

    /// Gives the copy sockets and a file for its words in place of the original's.
    fn give_lines(&self, copy: &Held, said: &Memory) -> io::Result<Ends> {
        let (ends, its) = Ends::new()?;
        its.iter().try_for_each(|its| its.set_nonblocking(true))?;
        let [control, console, events] = its.each_ref().map(UnixStream::as_raw_fd);
        let lent = [control, console, events, said.number()];
        // The original would find them in its own line, but it does not run: the copy, which has that line too, takes them.
        let line = self.guest.control_line().ok_or(io::ErrorKind::BrokenPipe)?;
        let message = [ControlMessage::ScmRights(&lent)];
        sendmsg::<()>(
            line.as_raw_fd(),
            &[IoSlice::new(b"\n")],
            &message,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        let ports = [self.ports.control, self.ports.console, self.ports.events, 2];
        for (own, port) in take(copy, self.ports.control, self.page)?.into_iter().zip(ports) {
            put(copy, own, port)?;
        }
        Ok(ends)
    }
}

/// Adds a page to its memory.
fn add_page(held: &Held) -> io::Result<u64> {
    let can = word(libc::PROT_READ | libc::PROT_WRITE);
    let how = word(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    held.call(libc::SYS_mmap, [0, PAGE, can, how, u64::MAX, 0])
}

/// Reads what QEMU has not: the blanks behind its last command, which it answers when it has seen its end.
fn empty(held: &Held, line: RawFd, page: u64) -> io::Result<()> {
    let flags = word(libc::MSG_DONTWAIT);
    loop {
        match held.call(libc::SYS_recvfrom, [word(line), page, PAGE, flags, 0, 0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Ok(1..) => {}
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => return Err(error),
        }
    }
}

/// Receives four descriptors in the name of the copy.
fn take(copy: &Held, line: RawFd, page: u64) -> io::Result<[u64; 4]> {
    // A `msghdr`, and behind it its `iovec`.
    let vector = page + 64;
    let words = [0, 0, vector, 1, page + ROOM_FOR_CONTROL, CONTROL, 0, 0, page + ROOM_FOR_BYTE, 1];
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_ne_bytes()).collect();
    copy.write(page, &bytes)?;
    let flags = word(libc::MSG_CMSG_CLOEXEC);
    copy.call(libc::SYS_recvmsg, [word(line), page, flags, 0, 0, 0])?;
    let mut length = [0; 8];
    copy.read(page + 40, &mut length)?;
    if u64::from_ne_bytes(length) != CONTROL {
        return Err(io::Error::other("the copy's lines did not come"));
    }
    let mut received = [0; 16];
    copy.read(page + ROOM_FOR_CONTROL + 16, &mut received)?;
    let at = |index: usize| {
        let bytes = [0, 1, 2, 3].map(|byte| received[index * 4 + byte]);
        u64::from(u32::from_ne_bytes(bytes))
    };
    Ok([at(0), at(1), at(2), at(3)])
}

/// Has the copy know `own` by the number of `port`.
fn put(copy: &Held, own: u64, port: RawFd) -> io::Result<()> {
    copy.call(libc::SYS_dup3, [own, word(port), word(libc::O_CLOEXEC), 0, 0, 0])?;
    copy.call(libc::SYS_close, [own, 0, 0, 0, 0, 0]).map(drop)
}

/// The descriptors of the process that a copy needs anew. Files may be shared: nothing reads or writes them.
fn wakers(held: &Held, ports: Ports) -> io::Result<Vec<Waker>> {
    let mut wakers = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", held.process()))? {
        let entry = entry?;
        let fd: RawFd = entry.file_name().to_string_lossy().parse().map_err(io::Error::other)?;
        let what = fs::read_link(entry.path())?.to_string_lossy().into_owned();
        match what.as_str() {
            "anon_inode:[eventfd]" => wakers.push(Waker::of(held, fd)?),
            "anon_inode:[signalfd]" => {}
            _ if [ports.control, ports.console, ports.events].contains(&fd) => {}
            _ if what.starts_with('/') => {}
            _ => return Err(io::Error::other(format!("QEMU has `{what}` open"))),
        }
    }
    Ok(wakers)
}

impl Waker {
    fn of(held: &Held, fd: RawFd) -> io::Result<Self> {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", held.process()))?;
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).ok_or_else(|| io::Error::other("a descriptor tells nothing"))
        };
        let flags = i32::from_str_radix(field("flags:")?, 8).map_err(io::Error::other)?;
        let count = u64::from_str_radix(field("eventfd-count:")?, 16).map_err(io::Error::other)?;
        Ok(Self { fd, count, is_nonblocking: flags & libc::O_NONBLOCK != 0 })
    }
}

/// QEMU keeps a guest's memory from copies of itself.
fn let_copies_have_memory(held: &Held) -> io::Result<()> {
    let maps = fs::read_to_string(format!("/proc/{}/smaps", held.process()))?;
    let mut range = None;
    for line in maps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let has = |flag: &str| flags.split_whitespace().any(|it| it == flag);
            if let (Some((from, to)), true, false) = (range.take(), has("dc"), has("io")) {
                held.call(libc::SYS_madvise, [from, to - from, word(libc::MADV_DOFORK), 0, 0, 0])?;
            }
        } else if let Some((from, to)) = line.split_once(' ').and_then(|(it, _)| it.split_once('-'))
        {
            let hex = |text: &str| u64::from_str_radix(text, 16).ok();
            range = hex(from).zip(hex(to)).or(range);
        }
    }
    Ok(())
}
