//! Who is with a guest while its program runs: who is told what it writes, and who sits before it and types.

use std::os::fd::BorrowedFd;

use hairpin_guest::wire::{Stream, ToGuest, Window};

/// Told of a program's output as it comes.
pub type Listener<'a> = &'a mut dyn FnMut(Stream, &[u8]);

/// What comes from a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// This is for the program's standard input; nothing at all is its end.
    Bytes(Vec<u8>),
    /// The terminal has this size now.
    Window(Window),
    /// Nobody wants the guest any longer.
    Leave,
}

/// Who sits before the program.
pub trait Seat {
    /// What becomes readable when there is something to ask for. While the program does not take its input
    /// (`takes_input`), what that is read from is not watched.
    fn watched(&self, takes_input: bool) -> Vec<BorrowedFd<'_>>;

    /// Reads of one of these, none of which has to wait for it. Not asked for bytes while the program takes none.
    fn next(&mut self, takes_input: bool) -> Typed;
}

/// All of them.
pub(crate) struct Company<'a> {
    pub(crate) listener: Listener<'a>,
    seat: Option<&'a mut dyn Seat>,
    takes_input: bool,
}

impl<'a> Company<'a> {
    /// A listener alone.
    pub(crate) fn of(listener: Listener<'a>) -> Self {
        Self { listener, seat: None, takes_input: false }
    }

    /// Somebody who types, too.
    pub(crate) fn with(listener: Listener<'a>, seat: &'a mut dyn Seat) -> Self {
        Self { listener, seat: Some(seat), takes_input: true }
    }

    /// What to watch beside the guest.
    pub(crate) fn watched(&self) -> Vec<BorrowedFd<'_>> {
        self.seat.as_ref().map_or_else(Vec::new, |seat| seat.watched(self.takes_input))
    }

    /// What to say to the guest, if it is to go on.
    pub(crate) fn next(&mut self) -> Option<ToGuest> {
        match self.seat.as_mut()?.next(self.takes_input) {
            Typed::Bytes(bytes) => {
                self.takes_input = false;
                Some(ToGuest::Input(bytes))
            }
            Typed::Window(window) => Some(ToGuest::Window(window)),
            Typed::Leave => None,
        }
    }

    /// The program has taken its input.
    pub(crate) fn took(&mut self) {
        self.takes_input = true;
    }
}
