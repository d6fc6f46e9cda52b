//! Runs a short loop on a bare KVM processor and counts how far it comes.
//!
//! Only the ioctls and the layout of the tiny guest are here; what the count means is for [`crate::accel`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::os::unix::thread::JoinHandleExt as _;
use std::ptr;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// The one version that KVM has had since 2007.
const API_VERSION: libc::c_int = 12;
const GET_API_VERSION: libc::c_ulong = 0xAE00;
const CREATE_VM: libc::c_ulong = 0xAE01;
const GET_VCPU_MMAP_SIZE: libc::c_ulong = 0xAE04;
const CREATE_VCPU: libc::c_ulong = 0xAE41;
const SET_USER_MEMORY_REGION: libc::c_ulong = 0x4020_AE46;
const SET_TSS_ADDR: libc::c_ulong = 0xAE47;
const RUN: libc::c_ulong = 0xAE80;
const GET_REGS: libc::c_ulong = 0x8090_AE81;
const SET_REGS: libc::c_ulong = 0x4090_AE82;
const GET_SREGS: libc::c_ulong = 0x8138_AE83;
const SET_SREGS: libc::c_ulong = 0x4138_AE84;
const SET_SIGNAL_MASK: libc::c_ulong = 0x4004_AE8B;

/// Where in the shared page `exit_reason` is, and what it is after a port was written.
const EXIT_REASON: usize = 8;
const EXIT_IO: u32 = 2;

const MEMORY: usize = 2 << 20;
const PML4: usize = 0x1000;
const PDPT: usize = 0x2000;
const PD: usize = 0x3000;
const CODE: usize = 0x4000;
/// Three pages that Intel processors want for themselves, where no memory is.
const TSS: libc::c_ulong = 0xFFFB_D000;
/// `l: dec ecx; jnz l; out 0x10, al; hlt`.
const LOOP: [u8; 7] = [0xFF, 0xC9, 0x75, 0xFC, 0xE6, 0x10, 0xF4];
/// Wakes the processor's thread. It stays blocked there, so no handler is needed and none is touched.
const WAKE: libc::c_int = libc::SIGUSR1;

/// How a loop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// How many rounds of it were done.
    pub(crate) rounds: u64,
    /// Whether it came to its end before the deadline.
    pub(crate) finished: bool,
    /// How long it ran.
    pub(crate) took: Duration,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Segment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    avl: u8,
    unusable: u8,
    padding: u8,
}

#[repr(C)]
struct Sregs {
    /// cs, ds, es, fs, gs, ss, tr, ldt.
    segments: [Segment; 8],
    tables: [u64; 4],
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupts: [u64; 4],
}

/// rax rbx rcx rdx rsi rdi rsp rbp r8-r15 rip rflags.
type Regs = [u64; 18];
const RCX: usize = 2;
const RIP: usize = 16;
const RFLAGS: usize = 17;

#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest: u64,
    size: u64,
    host: u64,
}

#[repr(C, packed)]
struct SignalMask {
    length: u32,
    blocked: u64,
}

/// Runs `rounds` of the loop in 64-bit mode, for at most `limit`. Errors say what `/dev/kvm` does not do.
pub(crate) fn run_loop(rounds: u32, limit: Duration) -> io::Result<Ran> {
    let (ready, set_up) = channel();
    let processor = std::thread::spawn(move || on_processor(rounds, &ready));
    if set_up.recv().is_ok() {
        wake_after(&processor, limit);
    }
    processor.join().map_err(|_| io::Error::other("the probe panicked"))?
}

fn wake_after(processor: &std::thread::JoinHandle<io::Result<Ran>>, limit: Duration) {
    let deadline = Instant::now() + limit;
    while !processor.is_finished() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    if !processor.is_finished() {
        // SAFETY: the thread has not been joined, so its handle is valid even if it has just ended.
        unsafe { libc::pthread_kill(processor.as_pthread_t(), WAKE) };
    }
}

fn on_processor(rounds: u32, ready: &Sender<()>) -> io::Result<Ran> {
    block_wake()?;
    let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm")?;
    let version = control(kvm.as_raw_fd(), GET_API_VERSION, 0)?;
    if version != API_VERSION {
        return Err(io::Error::other(format!("it has the unknown version {version}")));
    }
    let size = control(kvm.as_raw_fd(), GET_VCPU_MMAP_SIZE, 0)?;
    let vm = owned(control(kvm.as_raw_fd(), CREATE_VM, 0)?);
    let memory = Mapping::anonymous(MEMORY)?;
    lay_out(&memory);
    control(vm.as_raw_fd(), SET_TSS_ADDR, TSS)?;
    let region = MemoryRegion {
        slot: 0,
        flags: 0,
        guest: 0,
        size: MEMORY as u64,
        host: memory.start as u64,
    };
    pass(vm.as_raw_fd(), SET_USER_MEMORY_REGION, &region)?;
    let vcpu = owned(control(vm.as_raw_fd(), CREATE_VCPU, 0)?);
    let shared = Mapping::of(vcpu.as_raw_fd(), usize::try_from(size).map_err(io::Error::other)?)?;
    set_registers(&vcpu, rounds)?;
    pass(vcpu.as_raw_fd(), SET_SIGNAL_MASK, &SignalMask { length: 8, blocked: 0 })?;
    ready.send(()).map_err(io::Error::other)?;
    let begin = Instant::now();
    let end = control(vcpu.as_raw_fd(), RUN, 0);
    let took = begin.elapsed();
    let finished = match end {
        Ok(_) => shared.u32_at(EXIT_REASON) == EXIT_IO,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
        Err(error) => return Err(error),
    };
    let mut regs: Regs = [0; 18];
    fill(vcpu.as_raw_fd(), GET_REGS, &mut regs)?;
    let left = regs[RCX].min(u64::from(rounds));
    Ok(Ran { rounds: u64::from(rounds) - left, finished, took })
}

/// Blocks the signal in this thread alone. `RUN` unblocks it while it runs, and then ends early.
fn block_wake() -> io::Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let mut mask = SigSet::empty();
    mask.add(Signal::try_from(WAKE)?);
    Ok(mask.thread_block()?)
}

/// One page of two megabytes, at the same address for the guest's code as for its memory.
fn lay_out(memory: &Mapping) {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 0x80;
    memory.write(PML4, &(PDPT as u64 | PRESENT_WRITABLE).to_le_bytes());
    memory.write(PDPT, &(PD as u64 | PRESENT_WRITABLE).to_le_bytes());
    memory.write(PD, &(PRESENT_WRITABLE | LARGE).to_le_bytes());
    memory.write(CODE, &LOOP);
}

fn set_registers(vcpu: &File, rounds: u32) -> io::Result<()> {
    // SAFETY: `Sregs` is numbers only, for which all zeroes is a value.
    let mut sregs: Sregs = unsafe { std::mem::zeroed() };
    fill(vcpu.as_raw_fd(), GET_SREGS, &mut sregs)?;
    let data = Segment {
        base: 0,
        limit: u32::MAX,
        selector: 0x10,
        kind: 3,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        avl: 0,
        unusable: 0,
        padding: 0,
    };
    let code = Segment { selector: 8, kind: 11, db: 0, l: 1, ..data };
    sregs.segments[0] = code;
    sregs.segments[1..6].fill(data);
    sregs.cr3 = PML4 as u64;
    sregs.cr4 |= 1 << 5; // PAE
    sregs.cr0 |= 1 | 1 << 31; // protected, paged
    sregs.efer |= 1 << 8 | 1 << 10; // long mode, enabled and active
    pass(vcpu.as_raw_fd(), SET_SREGS, &sregs)?;
    let mut regs: Regs = [0; 18];
    (regs[RCX], regs[RIP], regs[RFLAGS]) = (u64::from(rounds), CODE as u64, 2);
    pass(vcpu.as_raw_fd(), SET_REGS, &regs)
}

/// An ioctl whose argument is a number.
fn control(fd: RawFd, request: libc::c_ulong, argument: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: the callers pass requests that take a number, so nothing is read or written through it.
    super::check(unsafe { libc::ioctl(fd, request, argument) })
}

/// An ioctl that reads a value.
fn pass<T>(fd: RawFd, request: libc::c_ulong, value: &T) -> io::Result<()> {
    // SAFETY: the callers pair each request with the type that it reads, and the reference is valid.
    super::check(unsafe { libc::ioctl(fd, request, ptr::from_ref(value)) }).map(drop)
}

/// An ioctl that writes a value.
fn fill<T>(fd: RawFd, request: libc::c_ulong, value: &mut T) -> io::Result<()> {
    // SAFETY: the callers pair each request with the type that it writes, and the reference is valid.
    super::check(unsafe { libc::ioctl(fd, request, ptr::from_mut(value)) }).map(drop)
}

fn owned(fd: libc::c_int) -> File {
    // SAFETY: the ioctl that gave this descriptor made it for its caller alone.
    unsafe { File::from_raw_fd(fd) }
}

/// Mapped memory, unmapped when it is dropped.
struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    fn anonymous(length: usize) -> io::Result<Self> {
        Self::map(-1, length, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
    }

    fn of(fd: RawFd, length: usize) -> io::Result<Self> {
        Self::map(fd, length, libc::MAP_SHARED)
    }

    fn map(fd: RawFd, length: usize, flags: libc::c_int) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel picks touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: start.cast(), length })
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.length);
        // SAFETY: the range lies in the mapping, as was just asserted, and nothing else points to it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) };
    }

    fn u32_at(&self, at: usize) -> u32 {
        assert!(at + 4 <= self.length);
        // SAFETY: the range lies in the mapping, as was just asserted; no alignment is asked for.
        unsafe { self.start.add(at).cast::<u32>().read_unaligned() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map` and nothing points into it any more.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}
