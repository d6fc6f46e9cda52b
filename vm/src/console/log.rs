//! Text of any length in bounded memory: the beginning, which says how it came about, and the end.

use std::collections::VecDeque;

const HEAD: usize = 64 * 1024;
const TAIL: usize = 256 * 1024;

/// The beginning and the end of a text.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    head: Vec<u8>,
    head_room: usize,
    tail: VecDeque<u8>,
    tail_room: usize,
    bytes: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self::with_room(HEAD, TAIL)
    }
}

impl Log {
    /// An empty one that keeps so many bytes of the beginning and of the end.
    pub(crate) fn with_room(head_room: usize, tail_room: usize) -> Self {
        Self { head: Vec::new(), head_room, tail: VecDeque::new(), tail_room, bytes: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_room - self.head.len()));
        self.head.extend_from_slice(head);
        // What would be pushed out again at once is not copied.
        self.tail.extend(&rest[rest.len().saturating_sub(self.tail_room)..]);
        let over = self.tail.len().saturating_sub(self.tail_room);
        self.tail.drain(..over);
    }

    /// Puts a line of ours between the guest's.
    pub(crate) fn mark(&mut self, line: &str) {
        self.push(format!("\n{line}\n").as_bytes());
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All that is kept, and between beginning and end how much is not.
    pub(crate) fn kept(&self) -> Vec<u8> {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let mut out = self.head.clone();
        if self.bytes > kept {
            let left_out = self.bytes - kept;
            out.extend(format!("\n[hairpin: {left_out} bytes are left out here]\n").into_bytes());
        }
        out.extend(&self.tail);
        out
    }

    /// The same as text, without carriage returns.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept()).replace('\r', "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_its_beginning_and_its_end() {
        let mut log = Log::default();
        log.push(b"first\r\n");
        for _ in 0..1000 {
            log.push(&[b'x'; 4096]);
        }
        log.push(b"\nlast");
        let text = log.text();
        assert!(text.starts_with("first\nx") && text.ends_with("x\nlast"));
        let left_out = log.bytes() - (HEAD + TAIL) as u64;
        assert!(text.contains(&format!("{left_out} bytes are left out")), "{left_out}");
        assert!(text.len() < HEAD + TAIL + 100);
    }

    #[test]
    fn a_short_text_is_whole() {
        let mut log = Log::default();
        log.push(&[b'a'; HEAD - 1]);
        log.push(b"bcd");
        assert_eq!(log.text(), "a".repeat(HEAD - 1) + "bcd");
    }
}
