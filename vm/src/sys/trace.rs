//! Another process, held still: its threads' registers, system calls made in its name, and copies of it.
//!
//! A copy made by `fork` has one thread. Here the others are made again in the copy, each with the registers, the
//! signal mask and the identity (for its C library) that it has in the original, so that the copy goes on where the
//! original was stopped. What is shared all the same (open files) is for the caller to replace before he lets it go.
//!
//! All calls on one process must come from the thread that holds it: the kernel knows no other tracer.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;

use libc::user_regs_struct;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `syscall`, as the processor reads it.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// What a system call that a stop broke off has left in `rax`, by which the kernel makes it again.
const BROKEN_OFF: [i64; 4] = [-512, -513, -514, -516];
/// More than any processor has of vector and other state for a thread.
const EXTENDED: usize = 64 * 1024;
/// The type of the register set that holds it (`NT_X86_XSTATE`).
const NT_X86_XSTATE: libc::c_int = 0x202;
/// Since 3.5, where the kernel can have processes saved and restored (`CHECKPOINT_RESTORE`).
const PR_GET_TID_ADDRESS: libc::c_int = 40;
const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;

/// A process all of whose threads stand still. Dropping it ends the process; whoever started it waits for its end.
pub(crate) struct Held {
    process: Pid,
    /// The first one is the process's main thread.
    threads: Vec<(Pid, State)>,
    memory: File,
    /// Where in its memory there is a `syscall`.
    call_at: u64,
    is_copy: bool,
    is_released: bool,
}

/// All that a thread has and its memory has not.
#[derive(Clone)]
struct State {
    registers: user_regs_struct,
    extended: Vec<u8>,
    mask: u64,
    /// Where the C library has the thread's number, which the kernel clears when the thread ends.
    identity: u64,
}

impl Held {
    /// Stops all threads of a child of ours.
    pub(crate) fn hold(process: Pid) -> io::Result<Self> {
        let memory = memory_of(process)?;
        let call_at = find_call(process, &memory)?;
        let (is_copy, is_released) = (false, false);
        let mut held = Self { process, threads: Vec::new(), memory, call_at, is_copy, is_released };
        // A thread that was about to start another one is stopped by then, so the list comes to an end.
        while let Some(thread) = held.next_thread()? {
            ptrace::seize(thread, options())?;
            ptrace::interrupt(thread)?;
            await_stop(thread)?;
            let mut state = State::of(thread)?;
            state.identity = held.identity(thread, &state)?;
            held.threads.push((thread, state));
        }
        Ok(held)
    }

    fn next_thread(&self) -> io::Result<Option<Pid>> {
        let mut threads = Vec::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.process))? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            threads.push(Pid::from_raw(number.ok_or_else(|| io::Error::other("no thread"))?));
        }
        threads.sort_unstable_by_key(|thread| (*thread != self.process, *thread));
        let is_new = |thread: &Pid| self.threads.iter().all(|(known, _)| known != thread);
        Ok(threads.into_iter().find(is_new))
    }

    /// Where that thread's number is. Nothing else than the kernel and the C library knows.
    fn identity(&self, thread: Pid, state: &State) -> io::Result<u64> {
        // Below what the thread has on its stack, and what it may use below that without a word.
        let room = (state.registers.rsp - 1024) & !15;
        let args = [word(PR_GET_TID_ADDRESS), room, 0, 0, 0, 0];
        self.call_of(thread, libc::SYS_prctl, args)?;
        let mut address = [0; 8];
        self.read(room, &mut address)?;
        Ok(u64::from_ne_bytes(address))
    }

    /// Makes a system call in the name of its main thread.
    pub(crate) fn call(&self, number: i64, args: [u64; 6]) -> io::Result<u64> {
        self.call_of(self.process, number, args).map(|(value, _)| value)
    }

    /// Makes one in the name of a thread; gives the process or thread that it started, too.
    fn call_of(&self, thread: Pid, number: i64, args: [u64; 6]) -> io::Result<(u64, Option<Pid>)> {
        let mut registers = ptrace::getregs(thread)?;
        registers.rip = self.call_at;
        registers.rax = number.cast_unsigned();
        // It does not come from a system call, so there is none to be made again.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] =
            args;
        ptrace::setregs(thread, registers)?;
        let mut started = None;
        loop {
            ptrace::step(thread, None)?;
            match await_stop(thread)? {
                Stop::Started => {
                    let number =
                        i32::try_from(ptrace::getevent(thread)?).map_err(io::Error::other)?;
                    started = Some(Pid::from_raw(number));
                }
                Stop::Other => break,
            }
        }
        let value = ptrace::getregs(thread)?.rax.cast_signed();
        match i32::try_from(value) {
            Ok(error @ -4095..=-1) => Err(io::Error::from_raw_os_error(-error)),
            _ => Ok((value.cast_unsigned(), started)),
        }
    }

    /// Reads its memory.
    pub(crate) fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.memory.read_exact_at(bytes, at)
    }

    /// Writes to its memory.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, at)
    }

    /// Its number.
    pub(crate) fn process(&self) -> Pid {
        self.process
    }

    /// A copy of it, held too: a child of ours, which the kernel ends when the thread ends that started the original.
    pub(crate) fn fork(&self) -> io::Result<Self> {
        let flags = libc::CLONE_PARENT | libc::SIGCHLD;
        let args = [word(flags), 0, 0, 0, 0, 0];
        let (_, started) = self.call_of(self.process, libc::SYS_clone, args)?;
        let process = started.ok_or_else(|| io::Error::other("the copy is not announced"))?;
        let (_, main) = &self.threads[0];
        let (memory, call_at) = (memory_of(process)?, self.call_at);
        let threads = vec![(process, main.clone())];
        let mut copy =
            Self { process, threads, memory, call_at, is_copy: true, is_released: false };
        await_stop(process)?;
        copy.identify(process, main)?;
        copy.call(libc::SYS_prctl, [word(libc::PR_SET_PDEATHSIG), 9, 0, 0, 0, 0])?;
        for (_, state) in &self.threads[1..] {
            copy.add_thread(state)?;
        }
        Ok(copy)
    }

    fn add_thread(&mut self, state: &State) -> io::Result<()> {
        let flags = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM;
        let args = [word(flags), state.registers.rsp, 0, 0, 0, 0];
        let (_, started) = self.call_of(self.process, libc::SYS_clone, args)?;
        let thread = started.ok_or_else(|| io::Error::other("a thread is not announced"))?;
        self.threads.push((thread, state.clone()));
        await_stop(thread)?;
        self.identify(thread, state)
    }

    /// Has the kernel tell the C library when the thread ends, for those who wait for it. The number that the library knows
    /// the thread by stays the original's: locks that were held when it was stopped bear it.
    fn identify(&self, thread: Pid, state: &State) -> io::Result<()> {
        let args = [state.identity, 0, 0, 0, 0, 0];
        self.call_of(thread, libc::SYS_set_tid_address, args).map(drop)
    }

    /// Lets it go on.
    pub(crate) fn release(mut self) -> io::Result<()> {
        for (thread, state) in &self.threads {
            state.restore(*thread)?;
        }
        for (thread, _) in self.threads.iter().rev() {
            ptrace::detach(*thread, None)?;
        }
        self.is_released = true;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_released {
            // It may be gone already, which is what is wanted.
            let _gone = nix::sys::signal::kill(self.process, Signal::SIGKILL);
            let threads = self.threads.iter().skip(usize::from(!self.is_copy)).rev();
            for (thread, _) in threads {
                let _gone = waitpid(*thread, Some(WaitPidFlag::__WALL));
            }
        }
    }
}

impl State {
    fn of(thread: Pid) -> io::Result<Self> {
        let registers = ptrace::getregs(thread)?;
        Ok(Self { registers, extended: extended(thread)?, mask: mask(thread)?, identity: 0 })
    }

    fn restore(&self, thread: Pid) -> io::Result<()> {
        set_extended(thread, &self.extended)?;
        set_mask(thread, self.mask)?;
        Ok(ptrace::setregs(thread, made_again(self.registers))?)
    }
}

/// The registers with which a thread makes the system call again that its stop broke off.
fn made_again(mut registers: user_regs_struct) -> user_regs_struct {
    let from_call = registers.orig_rax.cast_signed() >= 0;
    if from_call && BROKEN_OFF.contains(&registers.rax.cast_signed()) {
        registers.rax = registers.orig_rax;
        registers.rip -= SYSCALL.len() as u64;
    }
    registers.orig_rax = u64::MAX;
    registers
}

enum Stop {
    /// It has started a process or a thread.
    Started,
    Other,
}

fn await_stop(thread: Pid) -> io::Result<Stop> {
    let stop = loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL)) {
            Err(nix::Error::EINTR) => {}
            stop => break stop?,
        }
    };
    match stop {
        WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_CLONE) => {
            Ok(Stop::Started)
        }
        WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(Stop::Other),
        other => Err(io::Error::other(format!("the thread did not stop: {other:?}"))),
    }
}

fn options() -> Options {
    Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACECLONE
}

/// A number or flags as a system call's argument.
pub(crate) fn word(value: libc::c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

fn memory_of(process: Pid) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("/proc/{process}/mem"))
}

/// The kernel's own page in each process has one.
fn find_call(process: Pid, memory: &File) -> io::Result<u64> {
    let missing = || io::Error::other("there is no place to make a system call from");
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).ok_or_else(missing)?;
    let (from, to) =
        line.split_once(' ').and_then(|(range, _)| range.split_once('-')).ok_or_else(missing)?;
    let number = |text: &str| u64::from_str_radix(text, 16).map_err(io::Error::other);
    let (from, to) = (number(from)?, number(to)?);
    let mut code = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    memory.read_exact_at(&mut code, from)?;
    let at = code.windows(2).position(|pair| pair == SYSCALL).ok_or_else(missing)?;
    Ok(from + at as u64)
}

fn extended(thread: Pid) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; EXTENDED];
    let length = regset(libc::PTRACE_GETREGSET, thread, &mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn set_extended(thread: Pid, bytes: &[u8]) -> io::Result<()> {
    regset(libc::PTRACE_SETREGSET, thread, &mut bytes.to_vec()).map(drop)
}

fn regset(request: libc::c_uint, thread: Pid, bytes: &mut [u8]) -> io::Result<usize> {
    let mut room = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: the kernel reads or writes at most `iov_len` bytes at `iov_base`, which `bytes` owns.
    let done = unsafe {
        libc::ptrace(request, thread.as_raw(), NT_X86_XSTATE, std::ptr::from_mut(&mut room))
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(room.iov_len) }
}

fn mask(thread: Pid) -> io::Result<u64> {
    let mut mask = 0;
    // SAFETY: the kernel writes the 8 bytes that it is told of.
    let done = unsafe {
        libc::ptrace(PTRACE_GETSIGMASK, thread.as_raw(), 8usize, std::ptr::from_mut(&mut mask))
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(mask) }
}

fn set_mask(thread: Pid, mask: u64) -> io::Result<()> {
    // SAFETY: the kernel reads the 8 bytes that it is told of.
    let done = unsafe {
        libc::ptrace(PTRACE_SETSIGMASK, thread.as_raw(), 8usize, std::ptr::from_ref(&mask))
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsRawFd as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::{Arc, Condvar, Mutex};

    use nix::sys::socket::{MsgFlags, recv};

    use super::*;

    const PROGRAM: &str = "sys::trace::tests::a_program_of_three_threads";

    /// Not a test: what the tests hold. Two threads wait for each letter, the one in a read, the other for the first.
    #[test]
    #[ignore = "it is run by the tests"]
    fn a_program_of_three_threads() {
        let letters: Arc<(Mutex<Vec<u8>>, Condvar)> = Arc::default();
        let (theirs, wake) = (Arc::clone(&letters), Arc::clone(&letters));
        let reader = std::thread::spawn(move || {
            let mut letter = [0; 1];
            while std::io::stdin().read(&mut letter).unwrap() == 1 {
                theirs.0.lock().unwrap().extend(letter);
                theirs.1.notify_one();
            }
            theirs.0.lock().unwrap().push(0);
            theirs.1.notify_one();
        });
        let writer = std::thread::spawn(move || {
            loop {
                let letters = wake.0.lock().unwrap();
                let mut letters = wake.1.wait_while(letters, |it| it.is_empty()).unwrap();
                let told: Vec<u8> = letters.drain(..).collect();
                if told == [0] {
                    return;
                }
                std::io::stderr().write_all(&told.to_ascii_uppercase()).unwrap();
            }
        });
        // Waiting for a thread is what needs its identity.
        reader.join().unwrap();
        writer.join().unwrap();
        std::io::stderr().write_all(b"!").unwrap();
    }

    struct Program {
        child: Child,
        line: UnixStream,
    }

    impl Program {
        fn start() -> Self {
            let (line, its) = UnixStream::pair().unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", PROGRAM, "--ignored", "--nocapture"]).stdout(Stdio::null());
            let [stdin, stderr] = [its.try_clone().unwrap(), its].map(OwnedFd::from);
            let child = command.stdin(stdin).stderr(stderr).spawn().unwrap();
            let mut program = Self { child, line };
            // It is up once it answers.
            assert_eq!(program.ask(b"a"), b"A");
            program
        }

        fn ask(&mut self, letters: &[u8]) -> Vec<u8> {
            self.line.write_all(letters).unwrap();
            let mut answer = vec![0; letters.len()];
            self.line.read_exact(&mut answer).unwrap();
            answer
        }

        fn pid(&self) -> Pid {
            Pid::from_raw(self.child.id().cast_signed())
        }
    }

    /// What it says when nothing more will come.
    fn last_words(line: &mut UnixStream) -> String {
        line.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = String::new();
        line.read_to_string(&mut rest).unwrap();
        rest
    }

    /// A copy with a line of its own, which the copy finds by a name in the file system.
    fn copy(held: &Held, folder: &Path) -> (UnixStream, Pid) {
        let path = folder.join("line");
        let listener = UnixListener::bind(&path).unwrap();
        let copy = held.fork().unwrap();
        let mut address = vec![1, 0];
        address.extend(path.to_str().unwrap().bytes().chain([0]));
        let map = [0, 4096, 3, word(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), u64::MAX, 0];
        let room = copy.call(libc::SYS_mmap, map).unwrap();
        copy.write(room, &address).unwrap();
        let own = copy.call(libc::SYS_socket, [1, 1, 0, 0, 0, 0]).unwrap();
        copy.call(libc::SYS_connect, [own, room, address.len() as u64, 0, 0, 0]).unwrap();
        for port in [0, 2] {
            copy.call(libc::SYS_dup3, [own, port, 0, 0, 0, 0]).unwrap();
        }
        copy.call(libc::SYS_close, [own, 0, 0, 0, 0, 0]).unwrap();
        let process = copy.process();
        copy.release().unwrap();
        std::fs::remove_file(path).unwrap();
        (listener.accept().unwrap().0, process)
    }

    #[test]
    fn copies_go_on_by_themselves_and_the_original_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::start();
        let held = Held::hold(program.pid()).unwrap();
        assert!(held.threads.len() >= 3, "{}", held.threads.len());
        let mut copies: Vec<_> = (0..3).map(|_| copy(&held, folder.path())).collect();
        for (line, _) in &mut copies {
            line.write_all(b"b").unwrap();
            let mut answer = [0; 1];
            line.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"B");
        }
        for (mut line, process) in copies {
            assert_eq!(last_words(&mut line), "!");
            let status = waitpid(process, None).unwrap();
            assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        }
        program.line.write_all(b"c").unwrap();
        let (socket, at_once) = (program.line.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        assert_eq!(recv(socket, &mut [0; 1], at_once), Err(nix::Error::EAGAIN));
        held.release().unwrap();
        let mut answer = [0; 1];
        program.line.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"C");
        assert_eq!(last_words(&mut program.line), "!");
        assert!(program.child.wait().unwrap().success());
    }

    #[test]
    fn what_is_held_ends_when_it_is_dropped() {
        let mut program = Program::start();
        let held = Held::hold(program.pid()).unwrap();
        let copy = held.fork().unwrap();
        let process = copy.process();
        drop(copy);
        assert_eq!(waitpid(process, None), Err(nix::Error::ECHILD));
        drop(held);
        assert_eq!(program.child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut program = Program::start();
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        assert!(Held::hold(program.pid()).is_err());
    }
}
