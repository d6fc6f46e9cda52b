//! Writes the record stream to the descriptor that the environment names, if it names one.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use hairpin_model::Event;
use hairpin_model::event::{Record, VERSION};

use crate::case::shell;

/// The variable that names the descriptor.
const VARIABLE: &str = "HAIRPIN_EVENTS_FD";

struct Stream {
    file: Mutex<File>,
    began: Instant,
}

/// The descriptor that the environment names, which a shell has for its own output.
pub(crate) fn descriptor() -> Option<i32> {
    std::env::var(VARIABLE).ok()?.parse().ok()
}

/// Whether somebody reads the stream.
pub(crate) fn are_read() -> bool {
    stream().is_some()
}

/// Writes one event; without a reader it goes nowhere.
pub(crate) fn emit(event: Event) {
    let Some(stream) = stream() else { return };
    let us = u64::try_from(stream.began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let record = Record { v: VERSION, us, event };
    let mut line = serde_json::to_vec(&record).expect("an event is plain data");
    line.push(b'\n');
    let mut file = stream.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A reader that went away has ended the run: there is nobody left to tell.
    file.write_all(&line).unwrap_or_default();
}

fn stream() -> Option<&'static Stream> {
    static STREAM: OnceLock<Option<Stream>> = OnceLock::new();
    let open = || {
        if shell::is_asked() {
            return None;
        }
        let file = File::from(crate::sys::inherited(descriptor()?).ok()?);
        Some(Stream { file: Mutex::new(file), began: Instant::now() })
    };
    STREAM.get_or_init(open).as_ref()
}
