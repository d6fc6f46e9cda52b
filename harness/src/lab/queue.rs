//! A macvtap link's character device, as a virtual machine's monitor has it open.
//!
//! Each opening is one *queue* of the link (the kernel's word): while a link has queues, what it
//! gets comes out of them and its host's own stack hears nothing of it. What a queue takes and gives
//! is held with [`Lab::emerged`] and [`Lab::shoot_from`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hairpin_model::topology::LinkName;
use hairpin_model::{Error, Mac};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::stat::{Mode, SFlag, mknod};

use super::sysfs::PLACE;
use super::{Lab, sysfs};
use crate::ns::Ns;
use crate::observe::wait_readable;
use crate::sys::ioctl;

/// A link of Ethernet frames, which have no packet information before them: what every queue of a
/// macvtap link is.
pub const PLAIN: u16 = (libc::IFF_TAP | libc::IFF_NO_PI) as u16;
/// Each frame comes and goes behind a `struct virtio_net_hdr`.
pub const VNET_HEADER: u16 = libc::IFF_VNET_HDR as u16;
/// The queue can be detached and attached.
pub const MULTI_QUEUE: u16 = libc::IFF_MULTI_QUEUE as u16;

/// How long a frame may be under way. It takes microseconds.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The longest frame that any link takes, and what may stand before it.
pub(crate) const LONGEST: usize = 65535 + 18 + 64;

/// One opening of a macvtap link's character device. It blocks nobody but who wants it ([`set_blocking`](Self::set_blocking)).
#[derive(Debug)]
pub struct Queue {
    file: File,
    link: LinkName,
}

impl Lab {
    /// Opens a macvtap link's character device. As the kernel gives it, each frame comes and goes
    /// behind a header of ten bytes.
    pub fn open_queue(&self, link: impl Into<LinkName>) -> Result<Queue, Error> {
        let queue = self.open(link.into(), None)?;
        self.tell(|| format!("{} is opened", queue.link));
        Ok(queue)
    }

    /// The same of the device that has another number beside that of the link's driver, whatever it is.
    pub fn open_number(&self, link: impl Into<LinkName>, minor: u32) -> Result<Queue, Error> {
        self.open(link.into(), Some(minor))
    }

    fn open(&self, link: LinkName, minor: Option<u32>) -> Result<Queue, Error> {
        let ns = &self.node(&link.netns)?.ns;
        let file = open_as(ns, &link.link, minor);
        let file = file.map_err(|refused| refused.error(&link.to_string()))?;
        Ok(Queue { file, link })
    }
}

impl Queue {
    /// The link that it is a queue of.
    pub const fn link(&self) -> &LinkName {
        &self.link
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Whether who reads sleeps until there is something, or is told that there is nothing.
    pub fn set_blocking(&self, blocks: bool) -> Result<(), Error> {
        let asked = || -> nix::Result<()> {
            let mut flags = OFlag::from_bits_retain(fcntl(self, FcntlArg::F_GETFL)?);
            flags.set(OFlag::O_NONBLOCK, !blocks);
            fcntl(self, FcntlArg::F_SETFL(flags)).map(|_| ())
        };
        asked().map_err(|errno| self.refused("set whether it blocks", &errno.into()))
    }

    /// Takes what comes next, its header included, if there is something; at most so many bytes.
    pub fn read(&self, at_most: usize) -> Result<Option<Vec<u8>>, Error> {
        let read = self.read_with_room(at_most)?;
        Ok(read.map(|(told, mut bytes)| {
            // As long as the kernel says, should it claim more than there was room for.
            bytes.resize(told, 0);
            bytes
        }))
    }

    /// The same: how many bytes the kernel says that it gave, and all that there was room for, of
    /// which it may have written more than it says.
    pub fn read_with_room(&self, room: usize) -> Result<Option<(usize, Vec<u8>)>, Error> {
        let mut bytes = vec![0; room];
        match (&self.file).read(&mut bytes) {
            Ok(told) => Ok(Some((told, bytes))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.refused("read", &error)),
        }
    }

    /// Takes what comes until something is what was asked for, header included; at most five
    /// seconds.
    pub fn wait_for(&self, what: &str, is: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Error> {
        Self::wait_for_either(&[self], what, is).map(|(_, bytes)| bytes)
    }

    /// The same of several queues: the place of the one that it came out of, too.
    pub fn wait_for_either(
        queues: &[&Self],
        what: &str,
        is: impl Fn(&[u8]) -> bool,
    ) -> Result<(usize, Vec<u8>), Error> {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            for (place, queue) in queues.iter().enumerate() {
                while let Some(bytes) = queue.read(LONGEST)? {
                    if is(&bytes) {
                        return Ok((place, bytes));
                    }
                }
            }
            wait_readable(queues, until);
        }
        let link = queues.first().map_or_else(String::new, |queue| queue.link.to_string());
        Err(Error::new(
            format!("{what} did not come out within {} s", DEADLINE.as_secs()),
            format!("a queue of {link}"),
            "was it sent, and is the queue attached?",
        ))
    }

    /// Whether there is something to read, and room to write (`poll`), by both of the names that
    /// each has.
    pub fn ready(&self) -> (bool, bool) {
        let input = PollFlags::POLLIN | PollFlags::POLLRDNORM;
        let output = PollFlags::POLLOUT | PollFlags::POLLWRNORM;
        let mut asked = [PollFd::new(self.as_fd(), input | output)];
        // Interrupted by a signal it has told nothing: asked again.
        while poll(&mut asked, PollTimeout::ZERO).is_err() {}
        let told = asked[0].revents().unwrap_or(PollFlags::empty());
        (told.contains(input), told.contains(output))
    }

    /// Watches for the moment at which something comes.
    pub fn watch(&self) -> Result<Watch, Error> {
        let made = || -> nix::Result<Epoll> {
            let watch = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            watch.add(self, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
            Ok(watch)
        };
        made().map(Watch).map_err(|errno| self.refused("watch it", &errno.into()))
    }

    /// Sends a frame, with a header before it if the queue has headers. Gives how many bytes were
    /// taken.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        (&self.file).write(bytes).map_err(|error| self.refused("write", &error))
    }

    /// Sends a frame that asks for nothing: behind a header of zeros, if the queue has headers.
    pub fn send(&self, frame: &[u8]) -> Result<(), Error> {
        let header = vec![0; self.header_of_frames()?];
        self.write(&[&header, frame].concat()).map(|_| ())
    }

    /// How many bytes stand before each frame.
    pub(crate) fn header_of_frames(&self) -> Result<usize, Error> {
        let has = self.flags()?.1 & VNET_HEADER != 0;
        Ok(if has { usize::try_from(self.header()?).unwrap_or(0) } else { 0 })
    }

    /// What kinds of queue the kernel knows (`TUNGETFEATURES`).
    pub fn features(&self) -> Result<u16, Error> {
        let bits = self.number("read its features", libc::TUNGETFEATURES as u32, 0)?;
        Ok((bits & 0xffff) as u16)
    }

    /// The name of its link, and what kind of queue it is (`TUNGETIFF`).
    pub fn flags(&self) -> Result<(String, u16), Error> {
        let told = ioctl::flags(self.as_fd(), libc::TUNGETIFF as u32, 0);
        told.map_err(|error| self.refused("read its flags", &error))
    }

    /// Makes it that kind of queue (`TUNSETIFF`).
    pub fn set_flags(&self, flags: u16) -> Result<(), Error> {
        let done = ioctl::flags(self.as_fd(), libc::TUNSETIFF as u32, flags);
        done.map(|_| ()).map_err(|error| self.refused("set its flags", &error))
    }

    /// How long the header before each frame is, in bytes (`TUNGETVNETHDRSZ`).
    pub fn header(&self) -> Result<i32, Error> {
        self.number("read its header's length", libc::TUNGETVNETHDRSZ as u32, 0)
    }

    /// Sets how long the header before each frame is, in bytes (`TUNSETVNETHDRSZ`).
    pub fn set_header(&self, bytes: i32) -> Result<(), Error> {
        let set = self.number("set its header's length", libc::TUNSETVNETHDRSZ as u32, bytes);
        set.map(|_| ())
    }

    /// Sets how many bytes that were written may wait to be sent (`TUNSETSNDBUF`).
    pub fn set_send_buffer(&self, bytes: i32) -> Result<(), Error> {
        self.number("set its buffer", libc::TUNSETSNDBUF as u32, bytes).map(|_| ())
    }

    /// Says what its reader can do without the kernel (`TUN_F_CSUM` …, `TUNSETOFFLOAD`).
    pub fn set_offload(&self, features: u32) -> Result<(), Error> {
        let done = ioctl::bits(self.as_fd(), libc::TUNSETOFFLOAD as u32, features);
        done.map_err(|error| self.refused("set its offloads", &error))
    }

    /// Attaches it, so that it gets its share of what the link gets, or detaches it
    /// (`TUNSETQUEUE`).
    pub fn attach(&self, on: bool) -> Result<(), Error> {
        const ATTACH: u16 = 0x0200;
        const DETACH: u16 = 0x0400;
        self.attach_by(if on { ATTACH } else { DETACH })
    }

    /// Attaches or detaches it by these flags, whatever they are (`TUNSETQUEUE`).
    pub fn attach_by(&self, flags: u16) -> Result<(), Error> {
        let done = ioctl::flags(self.as_fd(), libc::TUNSETQUEUE as u32, flags);
        let what = format!("attach or detach it by {flags:#x}");
        done.map(|_| ()).map_err(|error| self.refused(&what, &error))
    }

    /// Whether the numbers of its header are told to be little-endian (`TUNGETVNETLE`).
    pub fn little_endian(&self) -> Result<bool, Error> {
        let told = self.number("read its header's order", libc::TUNGETVNETLE as u32, 0);
        told.map(|number| number != 0)
    }

    /// Has the numbers of its header be little-endian, or in this machine's order (`TUNSETVNETLE`).
    pub fn set_little_endian(&self, on: bool) -> Result<(), Error> {
        let on = i32::from(on);
        self.number("set its header's order", libc::TUNSETVNETLE as u32, on).map(|_| ())
    }

    /// Whether the numbers of its header are told to be big-endian (`TUNGETVNETBE`); many kernels do
    /// not know the request.
    pub fn big_endian(&self) -> Result<bool, Error> {
        let told = self.number("read its header's order", libc::TUNGETVNETBE as u32, 0);
        told.map(|number| number != 0)
    }

    /// Has the numbers of its header be big-endian, or in this machine's order (`TUNSETVNETBE`).
    pub fn set_big_endian(&self, on: bool) -> Result<(), Error> {
        let on = i32::from(on);
        self.number("set its header's order", libc::TUNSETVNETBE as u32, on).map(|_| ())
    }

    /// Asks for something else, whatever it is, with a number.
    pub fn ask(&self, request: u32, number: i32) -> Result<i32, Error> {
        self.number(&format!("ask for {request:#x}"), request, number)
    }

    /// Asks for something whose argument is to be read or written where there is nothing.
    pub fn ask_nowhere(&self, request: u32) -> Result<(), Error> {
        let done = ioctl::nowhere(self.as_fd(), request);
        done.map_err(|error| self.refused(&format!("ask for {request:#x}"), &error))
    }

    /// The name of its link and its Ethernet address (`SIOCGIFHWADDR`).
    pub fn address(&self) -> Result<(String, Mac), Error> {
        let told = ioctl::address(self.as_fd(), libc::SIOCGIFHWADDR as u32, Mac([0; 6]));
        told.map_err(|error| self.refused("read its link's address", &error))
    }

    /// The Ethernet address of its link.
    pub fn mac(&self) -> Result<Mac, Error> {
        self.address().map(|(_, mac)| mac)
    }

    /// Gives its link an Ethernet address (`SIOCSIFHWADDR`). Only the kernel is told: the lab's
    /// topology keeps the old one.
    pub fn set_mac(&self, mac: Mac) -> Result<(), Error> {
        let done = ioctl::address(self.as_fd(), libc::SIOCSIFHWADDR as u32, mac);
        done.map(|_| ()).map_err(|error| self.refused("set its link's address", &error))
    }

    fn number(&self, what: &str, request: u32, value: i32) -> Result<i32, Error> {
        ioctl::number(self.as_fd(), request, value).map_err(|error| self.refused(what, &error))
    }

    pub(super) fn refused(&self, what: &str, error: &io::Error) -> Error {
        Error {
            errno: error.raw_os_error().unwrap_or_default(),
            ..Error::new(
                format!("cannot {what}: {error}"),
                format!("a queue of {}", self.link),
                "the kernel refused it; is it what the case holds?",
            )
        }
    }
}

/// Somebody who sleeps until something comes out of a queue (`epoll`).
#[derive(Debug)]
pub struct Watch(Epoll);

impl Watch {
    /// Whether it was woken, or is within five seconds. Asked while there is something to read:
    /// else it tells nothing.
    pub fn was_woken(&self) -> bool {
        let mut events = [EpollEvent::empty()];
        let five_seconds = 5000_u16;
        self.0.wait(&mut events, five_seconds) == Ok(1)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Which step of opening a link's device did not work.
#[derive(Debug)]
pub(crate) struct NoDevice(&'static str, io::Error);

impl NoDevice {
    pub(crate) fn error(&self, place: &str) -> Error {
        let help = if self.1.kind() == io::ErrorKind::NotFound {
            "name a macvtap link: others have no device"
        } else {
            "a lab's own device files need root, and a machine that lets it make them"
        };
        let errno = self.1.raw_os_error().unwrap_or_default();
        Error { errno, ..Error::new(self.words(), place, help) }
    }

    pub(crate) fn words(&self) -> String {
        format!("cannot {}: {}", self.0, self.1)
    }
}

/// Opens a link's character device. The kernel tells its number in sysfs alone, of the namespace
/// that mounts it; and `/dev` may have no file of it, or that of another namespace's link of the
/// same index. So a thread with mounts of its own makes one, and takes them with it when it ends.
pub(crate) fn open(ns: &Ns, link: &str) -> Result<File, NoDevice> {
    open_as(ns, link, None)
}

/// The same of the driver's device that has another number.
fn open_as(ns: &Ns, link: &str, minor: Option<u32>) -> Result<File, NoDevice> {
    thread::scope(|scope| {
        let opened = scope.spawn(|| ns.enter(|| open_here(link, minor))).join();
        opened.expect("opening a device does not panic")
    })
}

fn open_here(link: &str, minor: Option<u32>) -> Result<File, NoDevice> {
    let step = |what: &'static str| move |errno: Errno| NoDevice(what, errno.into());
    let nothing = None::<&str>;
    sysfs::mount_here().map_err(|(what, errno)| NoDevice(what, errno.into()))?;
    let device = number(link).map_err(|error| NoDevice("find the device's number", error))?;
    let device = minor.map_or(device, |minor| libc::makedev(libc::major(device), minor));
    mount(nothing, PLACE, Some("tmpfs"), MsFlags::empty(), nothing)
        .map_err(step("mount a tmpfs"))?;
    let path = Path::new(PLACE).join("queue");
    let rights = Mode::S_IRUSR | Mode::S_IWUSR;
    mknod(&path, SFlag::S_IFCHR, rights, device).map_err(step("make a device file"))?;
    let mut how = OpenOptions::new();
    how.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    how.open(&path).map_err(|error| NoDevice("open the device", error))
}

/// The number of a link's character device, `246:1` in `macvtap/tap4/dev`.
fn number(link: &str) -> io::Result<libc::dev_t> {
    let folder = |driver: &str| fs::read_dir(sysfs::folder(link).join(driver));
    let mut devices = folder("macvtap").or_else(|_| folder("ipvtap"))?;
    let tap = devices.next().ok_or(io::ErrorKind::NotFound)??;
    let text = fs::read_to_string(tap.path().join("dev"))?;
    let parts = text.trim().split_once(':').ok_or(io::ErrorKind::InvalidData)?;
    let part = |text: &str| text.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    Ok(libc::makedev(part(parts.0)?, part(parts.1)?))
}
