//! The system calls that no safe wrapper covers: packet sockets, and code that runs before `main`.
//!
//! With the files in `sys/` the only one of the workspace's test side that holds
//! `unsafe`; everything it offers is safe.
#![expect(unsafe_code, reason = "packet sockets and their addresses have no safe wrapper in nix")]

pub(crate) mod bpf;
pub(crate) mod interrupt;
pub(crate) mod ioctl;
pub(crate) mod stranger;

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use hairpin_model::Mac;
use nix::sys::signal::SigSet;

/// A packet socket of the namespace that it was opened in, for all of its links.
#[derive(Debug)]
pub(crate) struct PacketSocket(OwnedFd);

/// What the kernel says about a frame that it hands over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The link, by its index.
    pub(crate) ifindex: u32,
    /// For whom it was: one of `PACKET_HOST`, `PACKET_BROADCAST` ….
    pub(crate) kind: Kind,
    /// When the kernel first saw it, in nanoseconds of the real-time clock; none if it did not yet stamp
    /// frames then (see `observe::stamps`).
    pub(crate) at: Option<u64>,
    /// How many bytes it has; the buffer holds as many of them as fit.
    pub(crate) len: usize,
    /// The VLAN tag that the kernel keeps beside the frame: ethertype and tag control information.
    pub(crate) tag: Option<(u16, u16)>,
    /// The ethertype that the kernel has noted of it.
    pub(crate) ethertype: u16,
    /// Who has sent it, as the link's driver says.
    pub(crate) from: Option<Mac>,
    /// Behind how many bytes the kernel has noted its network header.
    pub(crate) network: u16,
}

/// For whom a frame was, in the receiving link's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For this link's own address.
    Host,
    /// For all.
    Broadcast,
    /// For a group.
    Multicast,
    /// For somebody else.
    OtherHost,
    /// Sent by this link.
    Outgoing,
}

/// Every protocol (`ETH_P_ALL`): such a socket sees frames before bridges and parents take them,
/// and those that leave.
pub(crate) const ALL: u16 = 0x0003;

impl PacketSocket {
    /// Opens a socket for one ethertype, or for [`ALL`], on every link of the current namespace.
    /// `bytes` is how much of what nobody has taken out yet it is to keep.
    pub(crate) fn open(protocol: u16, bytes: usize) -> io::Result<Self> {
        // SAFETY: plain system call; a protocol of 0 receives nothing until the bind below.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
                0,
            )
        };
        let fd = owned(fd)?;
        let socket = Self(fd);
        // To be told the stamps that there are; that there are any is not asked for here, but by `observe::stamps`.
        let told = libc::SOF_TIMESTAMPING_SOFTWARE as libc::c_int;
        socket.option(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, told)?;
        socket.option(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        socket.option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes).or_else(|_| {
            // Rootless: the forced size needs CAP_NET_ADMIN of the machine, the plain one nothing.
            socket.option(libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
        })?;
        let address = link_address(0, protocol);
        // SAFETY: the address is a valid sockaddr_ll of the length given.
        let rc = unsafe {
            libc::bind(
                socket.raw(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        check(rc)?;
        Ok(socket)
    }

    /// Makes the link take frames for this group.
    pub(crate) fn join(&self, ifindex: u32, group: Mac) -> io::Result<()> {
        // SAFETY: all-zero is a valid packet_mreq.
        let mut request: libc::packet_mreq = unsafe { zeroed() };
        request.mr_ifindex = ifindex as libc::c_int;
        request.mr_type = libc::PACKET_MR_MULTICAST as libc::c_ushort;
        request.mr_alen = 6;
        request.mr_address[..6].copy_from_slice(&group.0);
        // SAFETY: the option's value is a packet_mreq of the length given.
        let rc = unsafe {
            libc::setsockopt(
                self.raw(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        check(rc).map(|_| ())
    }

    /// Gives all that it sends a priority within the kernel.
    pub(crate) fn set_priority(&self, priority: u8) -> io::Result<()> {
        self.option(libc::SOL_SOCKET, libc::SO_PRIORITY, priority.into())
    }

    /// Sends a whole frame out of a link.
    pub(crate) fn send(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        self.send_as(ifindex, 0, frame)
    }

    /// Sends a whole frame out of a link, and tells the kernel its ethertype: it does not look.
    pub(crate) fn send_as(&self, ifindex: u32, protocol: u16, frame: &[u8]) -> io::Result<()> {
        let address = link_address(ifindex, protocol);
        // SAFETY: buffer and address are valid for the lengths given.
        let rc = unsafe {
            libc::sendto(
                self.raw(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Has what is sent go to the driver at once, past the link's transmit queue.
    pub(crate) fn bypass_queue(&self) -> io::Result<()> {
        self.option(libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
    }

    /// Takes the next frame out of the queue, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        // SAFETY: all-zero is a valid sockaddr_ll and msghdr.
        let (mut from, mut header): (libc::sockaddr_ll, libc::msghdr) = unsafe { zeroed() };
        let mut control = [0u64; 16];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        header.msg_name = (&raw mut from).cast();
        header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
        // SAFETY: every pointer of the header is to a live buffer of the length beside it.
        let rc = unsafe { libc::recvmsg(self.raw(), &raw mut header, libc::MSG_TRUNC) };
        let Ok(len) = usize::try_from(rc) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                // A link went down while we listened; the queue itself is sound.
                _ if error.raw_os_error() == Some(libc::ENETDOWN) => self.receive(buffer),
                _ => Err(error),
            };
        };
        let ifindex = from.sll_ifindex as u32;
        let (at, tag, network) = beside(&header);
        let ethertype = u16::from_be(from.sll_protocol);
        let [a, b, c, d, e, f, ..] = from.sll_addr;
        Ok(Some(Arrival {
            ifindex,
            kind: kind(from.sll_pkttype),
            at,
            len,
            tag,
            ethertype,
            from: (from.sll_halen == 6).then_some(Mac([a, b, c, d, e, f])),
            network,
        }))
    }

    /// How many frames the kernel dropped because nobody took them out in time.
    pub(crate) fn dropped(&self) -> io::Result<u32> {
        // SAFETY: all-zero is a valid tpacket_stats.
        let mut stats: libc::tpacket_stats = unsafe { zeroed() };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the value is a tpacket_stats of the length given.
        let rc = unsafe {
            libc::getsockopt(
                self.raw(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut len,
            )
        };
        check(rc).map(|_| stats.tp_drops)
    }

    fn option(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: the value is an int of the length given.
        let rc = unsafe {
            libc::setsockopt(
                self.raw(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        check(rc).map(|_| ())
    }

    fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl std::os::fd::AsFd for PacketSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has a command's process killed when the thread that starts it ends, and hear all signals though we do not.
pub(crate) fn tie_to_us(command: &mut std::process::Command) {
    let prepare = || {
        // SAFETY: prctl may be called between fork and exec, and takes no pointers here.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
        SigSet::empty().thread_set_mask().map_err(io::Error::from)
    };
    // SAFETY: `prepare` allocates nothing, takes no lock, and makes two system calls.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, prepare) };
}

/// The version of `capget` and `capset` that has 64 rights, and the right to administer networks.
const RIGHTS: u32 = 0x2008_0522;
const CAP_NET_ADMIN: u32 = 12;

/// A thread's rights: those in force, those that may be, and those that are passed on, each in two words.
#[derive(Clone, Copy)]
struct Rights([u32; 6]);

impl Rights {
    fn of_this_thread() -> io::Result<Self> {
        let mut rights = Self([0; 6]);
        rights.call(libc::SYS_capget)?;
        Ok(rights)
    }

    fn apply(mut self) -> io::Result<()> {
        self.call(libc::SYS_capset)
    }

    fn call(&mut self, number: libc::c_long) -> io::Result<()> {
        let header = [RIGHTS, 0];
        // SAFETY: header and rights are of the lengths that this version has.
        let rc = unsafe { libc::syscall(number, header.as_ptr(), self.0.as_mut_ptr()) };
        check(rc as libc::c_int).map(drop)
    }
}

/// Does something while this thread may not administer networks. Also on a panic it may again afterwards.
pub(crate) fn without_net_admin<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    struct Back(Rights);
    impl Drop for Back {
        fn drop(&mut self) {
            self.0.apply().expect("what a thread may take into force it can");
        }
    }

    let before = Rights::of_this_thread()?;
    let mut fewer = before;
    fewer.0[0] &= !(1 << CAP_NET_ADMIN);
    fewer.apply()?;
    let _back = Back(before);
    Ok(work())
}

/// Takes over a descriptor that the environment names, if it is open.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on any number is harmless; it fails for one that is not open.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and the caller was told by its parent that it is ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    check(fd)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(rc: libc::c_int) -> io::Result<libc::c_int> {
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc) }
}

fn link_address(ifindex: u32, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = ifindex as libc::c_int;
    address
}

fn kind(pkttype: u8) -> Kind {
    match pkttype {
        libc::PACKET_HOST => Kind::Host,
        libc::PACKET_BROADCAST => Kind::Broadcast,
        libc::PACKET_MULTICAST => Kind::Multicast,
        libc::PACKET_OUTGOING => Kind::Outgoing,
        _ => Kind::OtherHost,
    }
}

/// What a message's control data tells: the time stamp, the VLAN tag if there is one, and where the
/// network header is.
fn beside(header: &libc::msghdr) -> (Option<u64>, Option<(u16, u16)>, u16) {
    let (mut at, mut tag, mut network) = (None, None, 0);
    // SAFETY: recvmsg has filled the header; the CMSG macros walk within its control buffer, and
    // the kernel puts behind each kind the structure that is read.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            let data = libc::CMSG_DATA(control);
            match ((*control).cmsg_level, (*control).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                    let [time, ..] = data.cast::<[libc::timespec; 3]>().read_unaligned();
                    at = Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64);
                }
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                    let aux = data.cast::<libc::tpacket_auxdata>().read_unaligned();
                    let valid = aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
                    tag = valid.then_some((aux.tp_vlan_tpid, aux.tp_vlan_tci));
                    network = aux.tp_net;
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    (at, tag, network)
}

/// How many messages a socket has lost because its queue was full.
pub(crate) fn dropped(socket: &impl AsRawFd) -> io::Result<u32> {
    /// `SO_MEMINFO`, and where `SK_MEMINFO_DROPS` is in what it gives.
    const MEMINFO: libc::c_int = 55;
    const DROPS: usize = 8;
    let mut counts = [0_u32; DROPS + 1];
    let mut len = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: the value is an array of the length given.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            MEMINFO,
            counts.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    check(rc).map(|_| counts[DROPS])
}
