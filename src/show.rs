//! Everything that a person reads. Made from results alone; runs nothing.

pub(crate) mod area;
pub(crate) mod ending;
pub(crate) mod journey;
mod palette;
mod picture;
pub(crate) mod progress;
pub(crate) mod story;
mod text;
pub(crate) mod way;

use std::io::Write;

use hairpin_model::Error;

use crate::exit::Exit;

pub(crate) use palette::{DIM, STRONG, meaning, outcome, paint, verdict};
pub(crate) use text::{count, span, wrap};

/// Where text goes; colours are taken out on the way where they are not wanted.
///
/// A reader that has left (`hairpin list | head`) is no error: the rest is dropped.
pub(crate) struct Out {
    to: Box<dyn Write>,
    left: bool,
}

impl Out {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self { to: Box::new(anstream::stdout()), left: false }
    }

    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self { to: Box::new(anstream::stderr()), left: false }
    }

    /// Writes the text as it is.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.left {
            self.left = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()).is_err();
        }
    }
}

/// Tells an error on stderr.
pub(crate) fn error(error: &Error) {
    Out::stderr().text(&format!("{} {error}\n", paint(palette::BAD, "error:")));
}

/// Tells what could not be read, after all that could; how a command ends that would else end so.
pub(crate) fn unread(errors: &[Error], otherwise: Exit) -> Exit {
    errors.iter().for_each(error);
    if errors.is_empty() { otherwise } else { Exit::CouldNotRun }
}

/// The width to write for: the terminal's within reason, or that of a page in a pipe.
pub(crate) fn width() -> usize {
    let of_terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    of_terminal.unwrap_or(PAGE).clamp(NARROWEST, WIDEST)
}

const PAGE: usize = 100;
const NARROWEST: usize = 60;
const WIDEST: usize = 120;
