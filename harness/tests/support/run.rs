//! Runs a suite program as `hairpin check` does: in a process of its own, its events read from a
//! descriptor that it inherits.

use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use hairpin_model::Event;
use hairpin_model::event::Record;

/// How a program ended, and what it said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it printed: stdout, then stderr.
    pub(crate) text: String,
    pub(crate) events: Vec<Event>,
}

/// Runs a program to its end.
///
/// Its standard input is the descriptor that events go to: the only one that a child can be given
/// without a window in which other children get it too.
pub(crate) fn to_its_end(command: &mut Command) -> Ended {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    command.env("HAIRPIN_EVENTS_FD", "0").stdin(writer);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    // Ours must close, or the stream would not end with the child.
    command.stdin(Stdio::null());
    let child = child.unwrap_or_else(|error| panic!("{command:?} cannot start: {error}"));
    let events = thread::spawn(|| read(reader));
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = [output.stdout, output.stderr].concat();
    Ended {
        status: output.status,
        text: String::from_utf8_lossy(&text).into_owned(),
        events: events.join().expect("the program writes records"),
    }
}

fn read(stream: PipeReader) -> Vec<Event> {
    let record = |line: std::io::Result<String>| -> Event {
        let line = line.expect("the stream can be read");
        let record: Record =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("no record: {e}: {line}"));
        record.event
    };
    BufReader::new(stream).lines().map(record).collect()
}
