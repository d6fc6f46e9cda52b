//! The requests to the kernel that no safe crate offers, and one to the C library. All `unsafe` of this crate is here.
#![expect(unsafe_code, reason = "ioctls take raw pointers, and the environment has no lock")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Bytes of a seed. The kernel asks for no more to call its random numbers ready.
const SEED: usize = 64;

/// `struct rand_pool_info` of `linux/random.h`, with room for the bytes.
#[repr(C)]
struct Pool {
    bits: libc::c_int,
    size: libc::c_int,
    bytes: [u8; SEED],
}

nix::ioctl_write_ptr_bad!(
    /// Sets an interface's flags.
    set_flags,
    libc::SIOCSIFFLAGS,
    libc::ifreq
);
nix::ioctl_write_ptr_bad!(
    /// Mixes bytes into the kernel's random numbers, and counts them as random.
    add_entropy,
    nix::request_code_write!(b'R', 3, 2 * size_of::<libc::c_int>()),
    Pool
);
nix::ioctl_none!(
    /// Has the kernel use what was mixed in for the very next number.
    reseed_now,
    b'R',
    7
);

nix::ioctl_write_ptr_bad!(
    /// Sets the size of a terminal.
    set_window,
    libc::TIOCSWINSZ,
    libc::winsize
);
nix::ioctl_write_int_bad!(
    /// Makes a terminal that of this session.
    take_terminal,
    libc::TIOCSCTTY
);

/// Tells a terminal its size; who runs in it hears of that.
pub(crate) fn resize(terminal: &impl AsFd, size: &libc::winsize) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the size lives and is of the type that this ioctl reads.
    unsafe { set_window(terminal.as_fd().as_raw_fd(), size) }?;
    Ok(())
}

/// Has the program begin a session whose terminal is its standard input, so that Ctrl-C reaches what runs in it.
pub(crate) fn seat(command: &mut Command) {
    let prepare = || {
        nix::unistd::setsid()?;
        // SAFETY: standard input is open, and this ioctl takes no pointer.
        unsafe { take_terminal(libc::STDIN_FILENO, 0) }?;
        Ok(())
    };
    // SAFETY: `prepare` allocates nothing, takes no lock, and makes system calls only.
    unsafe { command.pre_exec(prepare) };
}

/// Takes the loopback link of the network namespace that the process is in up.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: `ifreq` is plain data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING)
        .expect("interface flags fit their own field");
    // SAFETY: the descriptor is open, and the request lives and is of the type that this ioctl reads.
    unsafe { set_flags(socket.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// Takes a variable out of this program's environment, before `main`.
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: there is one thread as yet, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
}

/// Makes the kernel's random numbers those of this guest alone.
pub(crate) fn reseed(seed: u64) -> io::Result<()> {
    let random = OpenOptions::new().write(true).open("/dev/urandom")?;
    let bytes = stretch(seed);
    let bits = i32::try_from(8 * SEED).expect("it is 512");
    let pool = Pool { bits, size: i32::try_from(SEED).expect("it is 64"), bytes };
    // SAFETY: the descriptor is open, and `pool` has as many bytes as its `size` says.
    unsafe { add_entropy(random.as_raw_fd(), &raw const pool) }?;
    // SAFETY: the descriptor is open, and this ioctl takes no argument.
    unsafe { reseed_now(random.as_raw_fd()) }?;
    Ok(())
}

/// Sixty-four bytes that differ in all places for seeds that differ in one (splitmix64).
fn stretch(seed: u64) -> [u8; SEED] {
    let mut state = seed;
    let mut out = [0; SEED];
    for chunk in out.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_seeds_share_no_word() {
        let (one, two) = (stretch(1), stretch(2));
        assert!(one.chunks(8).zip(two.chunks(8)).all(|(a, b)| a != b));
        assert_eq!(one, stretch(1));
    }
}
