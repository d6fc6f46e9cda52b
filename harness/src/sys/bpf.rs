//! Loading a BPF program (`linux/bpf.h`), by the system call itself.
//!
//! What programs there are is told in `lab::xdp`.
#![expect(unsafe_code, reason = "bpf(2) has no wrapper in libc")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// `BPF_PROG_LOAD` and `BPF_PROG_TYPE_XDP`.
const LOAD: libc::c_long = 5;
const XDP: u32 = 6;

/// What `BPF_PROG_LOAD` reads: the beginning of its part of `union bpf_attr`.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
}

/// Loads an XDP program; each number is an instruction as the kernel has it in memory.
pub(crate) fn load_xdp(code: &[u64], flags: u32) -> io::Result<OwnedFd> {
    let load = Load {
        kind: XDP,
        instructions: u32::try_from(code.len()).unwrap_or(u32::MAX),
        code: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        version: 0,
        flags,
    };
    // SAFETY: the kernel reads `load`, and as much code as it tells, and keeps neither.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const load, size_of::<Load>()) };
    super::check(RawFd::try_from(fd).unwrap_or(-1))?;
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap_or(-1)) })
}
