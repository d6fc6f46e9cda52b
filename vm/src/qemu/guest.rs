//! A running machine and its three lines, all of them listened to at once.
//!
//! A machine that is not listened to stands still, so whoever waits for one line here reads them all.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hairpin_guest::wire::{Damage, Decoder, Encoder, ToGuest, ToHost};
use hairpin_model::Error;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Memory;
use super::control::{self, Control, Refused};
use super::line::{Begin, Line, Ports};
use super::process::{Ends, Process};
use crate::console::Console;

/// QEMU answers in no time, or it is not well.
const ANSWER: Duration = Duration::from_secs(10);
const PIECE: usize = 64 * 1024;

/// A running machine.
pub(crate) struct Guest {
    process: Process,
    lines: [Option<UnixStream>; 3],
    control: Control,
    pub(crate) console: Console,
    decoder: Decoder,
    encoder: Encoder,
}

const CONTROL: usize = 0;
const CONSOLE: usize = 1;
const EVENTS: usize = 2;

/// The numbers of the next frames: the guest's, and ours.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Due {
    its: u32,
    ours: u32,
}

/// What waiting for the guest came to.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It said something.
    Message(ToHost),
    /// It said something that cannot be trusted.
    Damage(Damage),
    /// The time was up first.
    Nothing,
    /// There is something to read on this side.
    Beside,
    /// The machine is gone.
    Gone,
}

impl Guest {
    /// Starts a machine; the frames of both ways are counted from `due`.
    pub(crate) fn start(line: &Line, begin: Begin, ram: &Memory, due: Due) -> Result<Self, Error> {
        let (process, ends) = Process::start(line, begin, ram)?;
        Ok(Self::with(process, ends, due))
    }

    /// A machine that runs already.
    pub(crate) fn with(process: Process, ends: Ends, due: Due) -> Self {
        Self {
            process,
            lines: [Some(ends.control), Some(ends.console), Some(ends.events)],
            control: Control::default(),
            console: Console::default(),
            decoder: Decoder::starting_at(due.its),
            encoder: Encoder::starting_at(due.ours),
        }
    }

    /// The numbers that its lines have in its process.
    pub(crate) fn ports(&self) -> Ports {
        self.process.ports()
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.id()
    }

    pub(crate) fn control_line(&self) -> Option<&UnixStream> {
        self.lines[CONTROL].as_ref()
    }

    /// How long the machine has waited for a CPU of ours since it was started.
    pub(crate) fn waited_for_a_cpu(&self) -> Duration {
        self.process.waited_for_a_cpu()
    }

    /// Does the greeting, after which QEMU takes commands.
    pub(crate) fn greet(&mut self) -> Result<(), Refused> {
        self.ask("qmp_capabilities", Value::Null).map(drop)
    }

    /// Asks QEMU for something and waits for its answer.
    pub(crate) fn ask(&mut self, name: &str, arguments: Value) -> Result<Value, Refused> {
        self.write(CONTROL, &control::command(name, arguments))
            .map_err(|error| Refused(self.gone_words(&error.to_string())))?;
        self.answer(name)
    }

    fn answer(&mut self, name: &str) -> Result<Value, Refused> {
        let until = Instant::now() + ANSWER;
        loop {
            if let Some(answer) = self.control.next_answer() {
                return answer.map_err(|refused| Refused(format!("{name}: {refused}")));
            }
            match self.listen(until) {
                Listened::More | Listened::Beside => {}
                Listened::Nothing => return Err(Refused(format!("{name}: no answer"))),
                Listened::Gone => return Err(Refused(self.gone_words(name))),
            }
        }
    }

    /// Hands QEMU a descriptor, which it knows by `name` from then on.
    pub(crate) fn lend(&mut self, name: &str, fd: &impl AsFd) -> Result<(), Refused> {
        let line = control::command("getfd", json!({ "fdname": name }));
        let sent = self.lines[CONTROL].as_ref().map(|stream| {
            let lent = [fd.as_fd().as_raw_fd()];
            let message = [ControlMessage::ScmRights(&lent)];
            let (iov, flags) = ([IoSlice::new(&line)], MsgFlags::MSG_NOSIGNAL);
            sendmsg::<()>(stream.as_raw_fd(), &iov, &message, flags, None)
        });
        match sent {
            Some(Ok(count)) if count == line.len() => self.answer("getfd").map(drop),
            _ => Err(Refused(self.gone_words("getfd"))),
        }
    }

    /// Waits for the end of a migration, in or out.
    pub(crate) fn await_migration(&mut self) -> Result<(), Refused> {
        let until = Instant::now() + ANSWER;
        loop {
            while let Some(event) = self.control.next_event() {
                match event.data["status"].as_str() {
                    Some("completed") if event.name == "MIGRATION" => return Ok(()),
                    Some("failed") if event.name == "MIGRATION" => {
                        return Err(Refused(self.gone_words("the state could not be moved")));
                    }
                    _ => {}
                }
            }
            match self.listen(until) {
                Listened::More | Listened::Beside => {}
                Listened::Nothing => return Err(Refused("the state was not moved in time".into())),
                Listened::Gone => return Err(Refused(self.gone_words("the state was not moved"))),
            }
        }
    }

    /// Has migrations announce their end, which they else do not.
    pub(crate) fn announce_migrations(&mut self) -> Result<(), Refused> {
        let wanted = ["events", "x-ignore-shared"];
        let wanted = wanted.map(|name| json!({ "capability": name, "state": true }));
        self.ask("migrate-set-capabilities", json!({ "capabilities": wanted })).map(drop)
    }

    /// Waits for the guest's next message.
    pub(crate) fn hear(&mut self, until: Instant) -> Heard {
        self.hear_beside(until, &[])
    }

    /// Waits for the guest's next message, or until there is something to read elsewhere.
    pub(crate) fn hear_beside(&mut self, until: Instant, beside: &[BorrowedFd<'_>]) -> Heard {
        loop {
            match self.decoder.next_frame().and_then(|f| f.map(ToHost::of).transpose()) {
                Ok(Some(message)) => return Heard::Message(message),
                Err(damage) => return Heard::Damage(damage),
                Ok(None) => {}
            }
            match self.listen_beside(until, beside) {
                Listened::More => {}
                Listened::Nothing => return Heard::Nothing,
                Listened::Beside => return Heard::Beside,
                Listened::Gone => return Heard::Gone,
            }
        }
    }

    /// Says something to the guest. A guest that is gone is noticed by who listens next.
    pub(crate) fn say(&mut self, message: &ToGuest) {
        let (kind, payload) = message.parts();
        let frame = self.encoder.encode(kind, &payload);
        self.write(EVENTS, &frame).unwrap_or_default();
    }

    /// Listens until the machine is gone or the time is up; says whether it is gone.
    pub(crate) fn see_off(&mut self, until: Instant) -> bool {
        loop {
            match self.listen(until) {
                Listened::More | Listened::Beside => {}
                Listened::Nothing => return false,
                Listened::Gone => return true,
            }
        }
    }

    /// Listens until the console has said all of its job, or the time is up.
    pub(crate) fn hear_end_of_console(&mut self, until: Instant) {
        while !self.console.has_ended() && matches!(self.listen(until), Listened::More) {}
    }

    /// Listens until the console pauses for so long, or the time is up.
    pub(crate) fn hear_out_console(&mut self, pause: Duration, until: Instant) {
        loop {
            let before = self.console.bytes();
            self.see_off(until.min(Instant::now() + pause));
            if self.console.bytes() == before || Instant::now() >= until {
                return;
            }
        }
    }

    /// Whether its kernel has said that it cannot be relied on any more.
    pub(crate) fn has_given_up(&self) -> bool {
        self.console.fatal().is_some()
    }

    /// The numbers of the next frames.
    pub(crate) fn due(&self) -> Due {
        Due { its: self.decoder.due(), ours: self.encoder.next() }
    }

    /// Whether the guest stopped in the middle of a frame.
    pub(crate) fn is_amid_frame(&self) -> bool {
        self.decoder.is_amid_frame()
    }

    /// The process id of QEMU.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id().as_raw().cast_unsigned()
    }

    /// Ends the machine and gives what its kernel said.
    pub(crate) fn end(mut self) -> Console {
        self.process.end();
        // What it wrote before its end is still in the sockets, whose other ends are closed now.
        self.see_off(Instant::now() + ANSWER);
        self.console.finish();
        self.console
    }

    /// What QEMU itself said, or `otherwise`.
    pub(crate) fn gone_words(&self, otherwise: &str) -> String {
        let words = self.process.words();
        if words.is_empty() { format!("QEMU is gone ({otherwise})") } else { words }
    }

    fn write(&mut self, line: usize, bytes: &[u8]) -> io::Result<()> {
        match &mut self.lines[line] {
            Some(stream) => stream.write_all(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until something comes and takes it. A machine that never stops talking does not hold up the clock.
    fn listen(&mut self, until: Instant) -> Listened {
        self.listen_beside(until, &[])
    }

    /// As [`Self::listen`]; what the machine says comes before what is elsewhere.
    fn listen_beside(&mut self, until: Instant, beside: &[BorrowedFd<'_>]) -> Listened {
        let open: Vec<usize> =
            (0..self.lines.len()).filter(|at| self.lines[*at].is_some()).collect();
        if open.is_empty() {
            return Listened::Gone;
        }
        if Instant::now() >= until {
            return Listened::Nothing;
        }
        let (readable, is_beside) = match readable(&self.lines, &open, beside, until) {
            Ok(readable) => readable,
            // Nothing else can fail here than a lack of memory in the kernel.
            Err(_) => return Listened::Nothing,
        };
        if readable.is_empty() {
            return if is_beside { Listened::Beside } else { Listened::Nothing };
        }
        for at in readable {
            self.read(at);
        }
        Listened::More
    }

    fn read(&mut self, at: usize) {
        let mut bytes = [0; PIECE];
        let read = self.lines[at].as_mut().map(|stream| stream.read(&mut bytes));
        let Some(Ok(count @ 1..)) = read else {
            self.lines[at] = None;
            return;
        };
        let bytes = &bytes[..count];
        match at {
            CONTROL => self.control.push(bytes),
            CONSOLE => self.console.feed(bytes),
            _ => self.decoder.push(bytes),
        }
    }
}

enum Listened {
    More,
    Nothing,
    Beside,
    Gone,
}

/// Which of the open lines can be read, and whether anything else can; none if the time is up.
fn readable(
    lines: &[Option<UnixStream>; 3],
    open: &[usize],
    beside: &[BorrowedFd<'_>],
    until: Instant,
) -> nix::Result<(Vec<usize>, bool)> {
    let streams = open.iter().filter_map(|at| lines[*at].as_ref());
    let mut fds: Vec<PollFd<'_>> =
        streams.map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
    fds.extend(beside.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
    loop {
        // Rounded up, so that what is left of a millisecond does not become a busy loop.
        let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
    let ready = fds.iter().zip(open).filter(|(fd, _)| is_ready(fd));
    Ok((ready.map(|(_, at)| *at).collect(), fds[open.len()..].iter().any(is_ready)))
}
