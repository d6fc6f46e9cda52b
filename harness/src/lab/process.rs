//! What a process in one of a lab's namespaces can see and do: links, routes, TCP connections.
//!
//! The kernel keeps a thread's namespace as it keeps a process's, so a thread that has entered one
//! stands for a process that was started there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hairpin_model::Error;
use nix::sys::socket::{setsockopt, sockopt};

use super::Lab;
use crate::observe::{on_each, run_empty};
use crate::sys::without_net_admin;

/// What a process sees of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sights {
    /// Which namespace it is in, as the kernel names it: `net:[4026532281]`.
    pub namespace: String,
    /// The names of its links.
    pub links: BTreeSet<String>,
    /// Its IPv4 routes, as `/proc/net/route` has them.
    pub routes: Vec<String>,
}

/// What a process gives its datagrams besides what they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The type of service, or IPv6's traffic class.
    pub tos: u8,
    /// The mark that they have within the kernel.
    pub mark: u32,
    /// The link by which alone they are to leave.
    pub by: Option<&'static str>,
}

/// How long a connection may take to be made or refused. Both take microseconds.
const DEADLINE: Duration = Duration::from_secs(5);

impl Lab {
    /// What a process that is started in this namespace sees of the network.
    pub fn sights(&self, netns: &str) -> Result<Sights, Error> {
        let look = || -> io::Result<Sights> {
            let table = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}"));
            let link = |line: &str| line.split_once(':').map(|(name, _)| name.trim().to_owned());
            Ok(Sights {
                namespace: fs::read_link("/proc/thread-self/ns/net")?
                    .to_string_lossy()
                    .into_owned(),
                links: table("dev")?.lines().filter_map(link).collect(),
                routes: table("route")?
                    .lines()
                    .skip(1)
                    .map(|line| line.trim_end().to_owned())
                    .collect(),
            })
        };
        self.inside(netns, look)?.map_err(|error| {
            Error::new(
                format!("cannot look around: {error}"),
                format!("namespace `{netns}`"),
                "mount /proc",
            )
        })
    }

    /// Has a process in this namespace send UDP datagrams that carry so many bytes, and asks nothing:
    /// for what links count of them once they have been handled, and they have when this returns.
    pub fn send_datagrams(
        &self,
        netns: &str,
        to: SocketAddr,
        bytes: usize,
        times: usize,
    ) -> Result<(), Error> {
        self.send(netns, to, |socket| {
            (0..times).try_for_each(|_| socket.send_to(&vec![0x68; bytes], to).map(|_| ()))
        })
    }

    /// Has a process in this namespace send UDP datagrams with these marks, so many bytes so many times,
    /// and asks nothing: for what links count of them. They have been handled when this returns. Some kernels tell the
    /// process that a link has dropped one, others do not.
    pub fn send_marked(
        &self,
        netns: &str,
        to: SocketAddr,
        marks: Marks,
        (bytes, times): (usize, usize),
    ) -> Result<(), Error> {
        self.send(netns, to, |socket| {
            setsockopt(socket, sockopt::Mark, &marks.mark)?;
            if let Some(link) = marks.by {
                setsockopt(socket, sockopt::BindToDevice, &OsString::from(link))?;
            }
            match to {
                SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4Tos, &marks.tos.into())?,
                SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6TClass, &marks.tos.into())?,
            }
            for _ in 0..times {
                let _dropped = socket.send_to(&vec![0x68; bytes], to);
            }
            Ok(())
        })
    }

    /// Has a process in this namespace send so many UDP datagrams of 100 bytes in one piece, which its
    /// kernel cuts where the link does not: they leave together. They have been handled when this returns, but for what
    /// a link polls.
    pub fn send_burst(&self, netns: &str, to: SocketAddr, times: usize) -> Result<(), Error> {
        const EACH: usize = 100;
        self.send(netns, to, |socket| {
            setsockopt(socket, sockopt::UdpGsoSegment, &(EACH as i32))?;
            socket.send_to(&vec![0x68; EACH * times], to).map(|_| ())
        })
    }

    /// Has a process in this namespace send something, and lets the kernel handle it. That may wait in a receive queue:
    /// older kernels leave all of it to a thread of theirs (`ksoftirqd`) for as long as that has something to do.
    fn send(
        &self,
        netns: &str,
        to: SocketAddr,
        send: impl FnOnce(&UdpSocket) -> io::Result<()>,
    ) -> Result<(), Error> {
        let sent = self.inside(netns, || send(&sender(to)?))?;
        sent.map_err(|error| cannot_send(netns, to, &error))?;
        run_empty()
    }

    /// Has something sent from each CPU that this process may run on; gives how many those are.
    pub fn from_each_cpu(
        &self,
        mut send: impl FnMut(&Self) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        Ok(on_each(|| send(self))? as u64)
    }

    /// Does something as somebody who may not administer networks.
    pub fn without_rights<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Error> {
        without_net_admin(|| work(self)).map_err(|error| {
            Error::new(
                format!("cannot give up the right to administer networks: {error}"),
                "capset",
                "run as root, or with user namespaces",
            )
        })
    }

    /// Has a process in this namespace connect by TCP. The inner result is the kernel's answer;
    /// no answer at all is an error, as nothing can be concluded from it.
    pub fn connect(&self, netns: &str, to: SocketAddr) -> Result<io::Result<TcpStream>, Error> {
        let answer = self.inside(netns, || TcpStream::connect_timeout(&to, DEADLINE))?;
        match answer {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Error::new(
                format!(
                    "{to} neither took nor refused a connection within {} s",
                    DEADLINE.as_secs()
                ),
                format!("namespace `{netns}`"),
                "ask with a grid, which has controls, when it may be dropped on the way",
            )),
            answer => Ok(answer),
        }
    }
}

/// A socket of any port that sends to that family.
pub(crate) fn sender(to: SocketAddr) -> io::Result<UdpSocket> {
    match to {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

pub(super) fn cannot_send(netns: &str, to: SocketAddr, error: &io::Error) -> Error {
    Error::new(
        format!("cannot send to {to}: {error}"),
        format!("namespace `{netns}`"),
        "has it a route there?",
    )
}
