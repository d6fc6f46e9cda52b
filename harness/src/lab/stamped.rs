//! Time stamps of what is sent: a socket that asked for them gets them back from its error queue.

use std::io;
use std::net::SocketAddr;

use hairpin_model::Error;
use nix::sys::socket::{MsgFlags, TimestampingFlag, setsockopt, sockopt};

use super::Lab;
use super::process::{cannot_send, sender};
use crate::observe::next_is_stamped;

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
            // The error queue is filled while one sends.
            next_is_stamped(&socket, MsgFlags::MSG_ERRQUEUE)
        };
        self.inside(netns, send)?.map_err(|error| cannot_send(netns, to, &error))
    }
}
