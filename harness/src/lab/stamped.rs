//! Time stamps of what is sent: a socket that asked for them gets them back from its error queue.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use hairpin_model::Error;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, recvmsg, setsockopt, sockopt,
};

use super::Lab;
use super::process::{cannot_send, sender};

impl Lab {
    /// Has a process in this namespace send one UDP datagram, and tells whether its link has stamped
    /// that with the time: it does so while it sends, if it is `asked`. Nobody is to be asked for the
    /// receiver's address first.
    pub fn stamps(&self, netns: &str, to: SocketAddr, asked: bool) -> Result<bool, Error> {
        let send = || -> io::Result<bool> {
            let socket = sender(to)?;
            if asked {
                let flags = TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
                    | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
                setsockopt(&socket, sockopt::Timestamping, &flags)?;
            }
            socket.send_to(&[0x68; 100], to)?;
            stamp(&socket)
        };
        self.inside(netns, send)?.map_err(|error| cannot_send(netns, to, &error))
    }
}

/// Whether there is a stamp in the error queue, which is filled while one sends.
fn stamp(socket: &UdpSocket) -> io::Result<bool> {
    let mut bytes = [0; 2048];
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let mut control = nix::cmsg_space!(Timestamps, [u8; 256]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(message) => {
            let stamped = |one| matches!(one, ControlMessageOwned::ScmTimestampsns(_));
            Ok(message.cmsgs()?.any(stamped))
        }
    }
}
