//! The serial port in the guest that leads to the host.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::sys::termios::{self, ControlFlags, SetArg};

use crate::wire::{Decoder, Encoder, MAX_PAYLOAD, PORT, Stream, ToGuest, ToHost};

/// How many bytes come in before the port says so.
const TRIGGER: &str = "/sys/class/tty/ttyS1/rx_trig_bytes";

/// The port, with the counters of both ways.
pub(crate) struct Channel {
    port: File,
    encoder: Encoder,
    decoder: Decoder,
}

impl Channel {
    /// Opens the port and makes it carry bytes as they are.
    pub(crate) fn open() -> io::Result<Self> {
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(PORT)?;
        let mut settings = termios::tcgetattr(&port)?;
        termios::cfmakeraw(&mut settings);
        // An emulated port takes no time for a byte, but waits four bytes' time before it says that some came.
        // The flag itself, for a static C library lacks the function that the `libc` crate asks for.
        settings.control_flags.remove(ControlFlags::CBAUD);
        settings.control_flags.insert(ControlFlags::from_bits_retain(libc::B115200));
        termios::tcsetattr(&port, SetArg::TCSANOW, &settings)?;
        // Fewer turns between the machine and the emulator for each order; where it cannot be had, more of them.
        std::fs::write(TRIGGER, "14").unwrap_or_default();
        Ok(Self { port, encoder: Encoder::default(), decoder: Decoder::default() })
    }

    pub(crate) fn send(&mut self, message: &ToHost) -> io::Result<()> {
        let (kind, payload) = message.parts();
        self.port.write_all(&self.encoder.encode(kind, &payload[..payload.len().min(MAX_PAYLOAD)]))
    }

    /// Sends what a program wrote, cut to frames.
    pub(crate) fn send_output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        bytes
            .chunks(MAX_PAYLOAD)
            .try_for_each(|piece| self.send(&ToHost::Output(stream, piece.to_vec())))
    }

    /// Waits for the host, for as long as it takes: only the host knows how long a wait may be.
    pub(crate) fn receive(&mut self) -> io::Result<ToGuest> {
        loop {
            match self.received()? {
                Some(message) => return Ok(message),
                None => self.read_more()?,
            }
        }
    }

    /// The next message of those that came along with another.
    pub(crate) fn received(&mut self) -> io::Result<Option<ToGuest>> {
        let found = self.decoder.next_frame().and_then(|f| f.map(ToGuest::of).transpose());
        found.map_err(|damage| io::Error::other(damage.to_string()))
    }

    /// Waits until all that was sent has left the machine.
    pub(crate) fn drain(&self) -> io::Result<()> {
        Ok(termios::tcdrain(&self.port)?)
    }

    /// To be polled for what the host says.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let count = self.port.read(&mut bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.decoder.push(&bytes[..count]);
        Ok(())
    }
}
