//! QEMU's control protocol (QMP): JSON lines, one answer a command, and events between them. No I/O.

use std::collections::VecDeque;
use std::fmt;

use serde_json::{Value, json};

/// What came in from QEMU, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Control {
    buffer: Vec<u8>,
    answers: VecDeque<Result<Value, Refused>>,
    events: VecDeque<Event>,
}

/// QEMU's words for why it did not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that happened to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// The line that asks for something.
pub(crate) fn command(name: &str, arguments: Value) -> Vec<u8> {
    let mut line = match arguments {
        Value::Null => json!({ "execute": name }),
        arguments => json!({ "execute": name, "arguments": arguments }),
    }
    .to_string()
    .into_bytes();
    line.push(b'\n');
    line
}

impl Control {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            // The greeting and what later versions may add have no meaning here.
            if let Ok(value) = serde_json::from_slice(&line) {
                self.take(&value);
            }
        }
    }

    pub(crate) fn next_answer(&mut self) -> Option<Result<Value, Refused>> {
        self.answers.pop_front()
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn take(&mut self, value: &Value) {
        if let Some(answer) = value.get("return") {
            self.answers.push_back(Ok(answer.clone()));
        } else if let Some(error) = value.get("error") {
            let words = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
            self.answers.push_back(Err(Refused(words.to_owned())));
        } else if let Some(name) = value.get("event").and_then(Value::as_str) {
            let data = value.get("data").cloned().unwrap_or(Value::Null);
            self.events.push_back(Event { name: name.to_owned(), data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_events_are_told_apart_however_they_are_cut() {
        let text = concat!(
            r#"{"QMP": {"version": {}, "capabilities": []}}"#,
            "\r\n",
            r#"{"return": {}}"#,
            "\r\n",
            r#"{"timestamp": {}, "event": "STOP"}"#,
            "\r\n",
            r#"{"error": {"class": "GenericError", "desc": "no such fd"}}"#,
            "\r\n",
            r#"{"event": "MIGRATION", "data": {"status": "completed"}}"#,
            "\r\n",
        );
        let mut control = Control::default();
        for piece in text.as_bytes().chunks(7) {
            control.push(piece);
        }
        assert_eq!(control.next_answer(), Some(Ok(json!({}))));
        assert_eq!(control.next_answer(), Some(Err(Refused("no such fd".into()))));
        assert_eq!(control.next_answer(), None);
        assert_eq!(control.next_event().map(|event| event.name), Some("STOP".into()));
        let event = control.next_event().unwrap();
        assert_eq!(event.data["status"], "completed");
    }

    #[test]
    fn a_command_without_arguments_has_none() {
        assert_eq!(command("stop", Value::Null), b"{\"execute\":\"stop\"}\n");
    }
}
