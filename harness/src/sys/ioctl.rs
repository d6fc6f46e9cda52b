//! The requests that links take by `ioctl`: a macvtap's by its file (`linux/if_tun.h`), any link's by
//! name (`linux/ethtool.h`), a bridge's and a VLAN's
//! (`linux/sockios.h`).
//!
//! What they mean is told in `lab::queue`, `lab::ethtool`, `lab::brctl`, `lab::older` and `lab::vconfig`.
#![expect(unsafe_code, reason = "ioctl has no safe form")]

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};

use hairpin_model::Mac;

use super::check;

/// Passes a number and gives it back as the kernel has left it.
pub(crate) fn number(fd: BorrowedFd<'_>, request: u32, value: i32) -> io::Result<i32> {
    let mut value: libc::c_int = value;
    // SAFETY: the requests that are passed here read or write one int.
    let rc = unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw mut value) };
    check(rc).map(|_| value)
}

/// Passes bits by value.
pub(crate) fn bits(fd: BorrowedFd<'_>, request: u32, bits: u32) -> io::Result<()> {
    // SAFETY: the requests that are passed here take their argument by value.
    let rc = unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), libc::c_ulong::from(bits)) };
    check(rc).map(|_| ())
}

/// Passes an address at which there is nothing.
pub(crate) fn nowhere(fd: BorrowedFd<'_>, request: u32) -> io::Result<()> {
    // SAFETY: the kernel checks what it is given to read or write at, and nothing is at 0.
    let rc = unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), 0 as libc::c_ulong) };
    check(rc).map(|_| ())
}

/// Passes flags in a `struct ifreq`, and gives back its name and flags as the kernel has left them.
pub(crate) fn flags(fd: BorrowedFd<'_>, request: u32, flags: u16) -> io::Result<(String, u16)> {
    // SAFETY: all-zero is a valid ifreq.
    let mut ifreq: libc::ifreq = unsafe { zeroed() };
    ifreq.ifr_ifru.ifru_flags = flags.cast_signed();
    // SAFETY: the requests that are passed here read or write one ifreq.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw mut ifreq) })?;
    // SAFETY: these requests leave flags in the union.
    Ok((name(&ifreq), unsafe { ifreq.ifr_ifru.ifru_flags }.cast_unsigned()))
}

/// Passes an Ethernet address in a `struct ifreq`, and gives its name and address back as the kernel
/// has left them.
pub(crate) fn address(fd: BorrowedFd<'_>, request: u32, mac: Mac) -> io::Result<(String, Mac)> {
    // SAFETY: all-zero is a valid ifreq and sockaddr.
    let (mut ifreq, mut given): (libc::ifreq, libc::sockaddr) = unsafe { (zeroed(), zeroed()) };
    given.sa_family = libc::ARPHRD_ETHER;
    for (to, from) in given.sa_data.iter_mut().zip(mac.0) {
        *to = from.cast_signed();
    }
    ifreq.ifr_ifru.ifru_hwaddr = given;
    // SAFETY: the requests that are passed here read or write one ifreq.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw mut ifreq) })?;
    // SAFETY: these requests leave an address in the union.
    let data = unsafe { ifreq.ifr_ifru.ifru_hwaddr }.sa_data;
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(data) {
        *to = from.cast_unsigned();
    }
    Ok((name(&ifreq), Mac(mac)))
}

fn name(ifreq: &libc::ifreq) -> String {
    let name = ifreq.ifr_name.iter().take_while(|c| **c != 0);
    name.map(|c| char::from(c.cast_unsigned())).collect()
}

/// `SIOCSIFNAME` of `<linux/sockios.h>`.
const SIOCSIFNAME: u32 = 0x8923;

/// Gives a link another name.
pub(crate) fn rename(fd: BorrowedFd<'_>, link: &str, name: &str) -> io::Result<()> {
    let mut ifreq = about(link);
    ifreq.ifr_ifru.ifru_newname = about(name).ifr_name;
    // SAFETY: the request reads two names, which an ifreq holds.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCSIFNAME.into(), &raw const ifreq) }).map(|_| ())
}

/// `SIOCETHTOOL` of `<linux/sockios.h>`.
const SIOCETHTOOL: u32 = 0x8946;

/// Passes a request, and leaves in its place what the kernel has made of it. The caller gives a
/// buffer as long as the request's command has it.
pub(crate) fn ethtool(fd: BorrowedFd<'_>, link: &str, request: &mut [u8]) -> io::Result<()> {
    let mut ifreq = about(link);
    ifreq.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: the kernel reads and writes as many bytes as the command has, which the buffer holds.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCETHTOOL.into(), &raw mut ifreq) }).map(|_| ())
}

/// `SIOCGMIIPHY` and `SIOCGMIIREG` of `<linux/sockios.h>`.
const SIOCGMIIPHY: u32 = 0x8947;
const SIOCGMIIREG: u32 = 0x8948;

/// Asks for a register of a link's transceiver, with the number of the transceiver or in search of it:
/// that number and what the register holds.
pub(crate) fn mii(
    fd: BorrowedFd<'_>,
    link: &str,
    number: Option<u16>,
    register: u16,
) -> io::Result<[u16; 2]> {
    let mut ifreq = about(link);
    let request = if number.is_some() { SIOCGMIIREG } else { SIOCGMIIPHY };
    // A `struct mii_ioctl_data` of four halves: the last is what the register holds.
    let asked: [u16; 4] = [number.unwrap_or(u16::MAX), register, u16::MAX, u16::MAX];
    let place = (&raw mut ifreq.ifr_ifru).cast::<[u16; 4]>();
    // SAFETY: the union is longer than eight bytes, and its members want no less an alignment.
    unsafe { place.write(asked) };
    // SAFETY: both requests read and write one ifreq.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw mut ifreq) })?;
    // SAFETY: as above; all eight bytes have been written.
    let [number, .., holds] = unsafe { (&raw const ifreq.ifr_ifru).cast::<[u16; 4]>().read() };
    Ok([number, holds])
}

/// `SIOCGHWTSTAMP` and `SIOCSHWTSTAMP` of `<linux/sockios.h>`.
const SIOCGHWTSTAMP: u32 = 0x89b1;
const SIOCSHWTSTAMP: u32 = 0x89b0;

/// Passes a `struct hwtstamp_config` of flags, of what is sent and of what comes, to be set or to be
/// filled.
pub(crate) fn stamping(
    fd: BorrowedFd<'_>,
    link: &str,
    set: bool,
    settings: &mut [libc::c_int; 3],
) -> io::Result<()> {
    let mut ifreq = about(link);
    ifreq.ifr_ifru.ifru_data = settings.as_mut_ptr().cast();
    let request = if set { SIOCSHWTSTAMP } else { SIOCGHWTSTAMP };
    // SAFETY: both requests read or write three numbers, which the array holds.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw mut ifreq) }).map(|_| ())
}

/// `SIOCBRADDIF` and `SIOCBRDELIF` of `<linux/sockios.h>`.
const SIOCBRADDIF: u32 = 0x89a2;
const SIOCBRDELIF: u32 = 0x89a3;

/// Makes a link a port of a bridge, or takes it out.
pub(crate) fn port(fd: BorrowedFd<'_>, bridge: &str, index: u32, joins: bool) -> io::Result<()> {
    let mut ifreq = about(bridge);
    ifreq.ifr_ifru.ifru_ifindex = index.cast_signed();
    let request = if joins { SIOCBRADDIF } else { SIOCBRDELIF };
    // SAFETY: both requests read one ifreq.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw mut ifreq) }).map(|_| ())
}

/// `SIOCBRADDBR` and `SIOCBRDELBR` of `<linux/sockios.h>`.
const SIOCBRADDBR: u32 = 0x89a0;
const SIOCBRDELBR: u32 = 0x89a1;

/// Makes a bridge of that name, or takes one away.
pub(crate) fn bridge(fd: BorrowedFd<'_>, name: &str, made: bool) -> io::Result<()> {
    let ifreq = about(name);
    let request = if made { SIOCBRADDBR } else { SIOCBRDELBR };
    // SAFETY: both requests read a name, with which an ifreq begins.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.into(), &raw const ifreq) }).map(|_| ())
}

/// `SIOCDEVPRIVATE` and `SIOCGIFBR` of `<linux/sockios.h>`.
const SIOCDEVPRIVATE: u32 = 0x89f0;
const SIOCGIFBR: u32 = 0x8940;

/// Passes a command of bridges' first interface: with numbers, of which an answer's place takes the
/// first's. The caller gives a buffer for as much as the command fills. About a bridge, or about all
/// of the namespace.
pub(crate) fn first_of_bridges(
    fd: BorrowedFd<'_>,
    bridge: Option<&str>,
    command: u32,
    numbers: [libc::c_ulong; 3],
    answer: &mut [u8],
) -> io::Result<usize> {
    let [mut first, second, third] = numbers;
    if !answer.is_empty() {
        first = answer.as_mut_ptr() as libc::c_ulong;
    }
    let mut arguments = [libc::c_ulong::from(command), first, second, third];
    let mut ifreq = about(bridge.unwrap_or_default());
    ifreq.ifr_ifru.ifru_data = arguments.as_mut_ptr().cast();
    let rc = match bridge {
        // SAFETY: the kernel reads the four arguments, and fills what the caller has made room for.
        Some(_) => unsafe { libc::ioctl(fd.as_raw_fd(), SIOCDEVPRIVATE.into(), &raw mut ifreq) },
        // SAFETY: the same of three arguments.
        None => unsafe { libc::ioctl(fd.as_raw_fd(), SIOCGIFBR.into(), arguments.as_mut_ptr()) },
    };
    check(rc).map(|rc| usize::try_from(rc).unwrap_or_default())
}

/// `SIOCGIFVLAN` and `SIOCSIFVLAN` of `<linux/sockios.h>`: either takes every command.
const SIOCSIFVLAN: u32 = 0x8983;

/// The length of `struct vlan_ioctl_args`.
pub(crate) const VLAN_ARGUMENTS: usize = 56;

/// Passes a command of VLANs, and leaves in its place what the kernel has made of it.
pub(crate) fn vlan(fd: BorrowedFd<'_>, arguments: &mut [u8; VLAN_ARGUMENTS]) -> io::Result<()> {
    // SAFETY: the kernel reads and writes one vlan_ioctl_args, which is as long as the array.
    let rc = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCSIFVLAN.into(), arguments.as_mut_ptr()) };
    check(rc).map(|_| ())
}

/// A request about a link.
fn about(link: &str) -> libc::ifreq {
    // SAFETY: all-zero is a valid ifreq.
    let mut ifreq: libc::ifreq = unsafe { zeroed() };
    let room = ifreq.ifr_name.len() - 1;
    for (to, from) in ifreq.ifr_name[..room].iter_mut().zip(link.bytes()) {
        *to = from.cast_signed();
    }
    ifreq
}
