//! One complaint of a kernel, and the fingerprint by which it is known again.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::trigger::Kind;

/// One complaint of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it complains of.
    pub kind: Kind,
    /// Its first line, without time.
    pub title: String,
    /// The innermost functions of its stack, without offsets.
    pub frames: Vec<String>,
    /// All of it, as far as there is room.
    pub text: String,
    /// Whether the kernel gave up over it.
    pub ended_machine: bool,
}

impl Evidence {
    /// The same text for the same defect, on all kernels that name their functions alike.
    pub fn signature(&self) -> String {
        let mut out = format!("{}: {}", self.kind.word(), general(&self.title));
        for (at, frame) in self.frames.iter().enumerate() {
            out.push_str(if at == 0 { " | " } else { " < " });
            out.push_str(frame);
        }
        out
    }

    /// The signature in twelve letters.
    pub fn fingerprint(&self) -> String {
        let hash = Sha256::digest(self.signature().as_bytes());
        hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.title, self.fingerprint())
    }
}

/// A title without what differs from boot to boot and from kernel to kernel.
fn general(title: &str) -> String {
    if let Some(warning) = title.strip_prefix("WARNING: ").and_then(warning) {
        return warning;
    }
    without_numbers(title)
}

/// Both forms, `CPU: 0 PID: 9 at net/core/dev.c:12 f+0x1/0x2 [m]` and, since 6.18,
/// `net/core/dev.c:12 at f+0x1/0x2 [m], CPU#0: ip/9`, as `WARNING at net/core/dev.c f`.
fn warning(rest: &str) -> Option<String> {
    let (before, after) = rest.split_once(" at ")?;
    let (file, place) = match before.starts_with("CPU: ") {
        true => after.split_once(' ').unwrap_or((after, "")),
        false => (before.split_whitespace().last()?, after),
    };
    let file = file.split(':').next()?;
    let function = super::frames::function(place).unwrap_or_default();
    Some(format!("WARNING at {file} {function}").trim_end().to_owned())
}

/// Addresses and numbers as `N`, offsets and module names gone.
fn without_numbers(title: &str) -> String {
    let words = title.split_whitespace().map(|word| {
        super::frames::function(word).map_or_else(|| numbers_as_n(word), str::to_owned)
    });
    words.collect::<Vec<_>>().join(" ")
}

fn numbers_as_n(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let hex = bare.strip_prefix("0x").unwrap_or(bare);
    if hex.len() >= 4
        && hex.chars().all(|c| c.is_ascii_hexdigit())
        && hex.contains(|c: char| c.is_ascii_digit())
    {
        return word.replace(bare, "N");
    }
    let mut out = String::new();
    for c in word.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with('N') => {}
            true => out.push('N'),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_warning_are_one() {
        let old = "WARNING: CPU: 1 PID: 312 at net/core/dev.c:8675 dev_set_promiscuity+0x1a/0x40";
        let new = "WARNING: net/core/dev.c:8733 at dev_set_promiscuity+0x2a/0x50, CPU#0: ip/9";
        assert_eq!(general(old), "WARNING at net/core/dev.c dev_set_promiscuity");
        assert_eq!(general(old), general(new));
    }

    #[test]
    fn addresses_and_counts_do_not_tell_defects_apart() {
        let title = |text: &str| general(text);
        assert_eq!(
            title("BUG: kernel NULL pointer dereference, address: 0000000000000010"),
            "BUG: kernel NULL pointer dereference, address: N"
        );
        assert_eq!(
            title("BUG: KASAN: slab-use-after-free in br_fdb_add+0x1/0x2 [bridge]"),
            "BUG: KASAN: slab-use-after-free in br_fdb_add [bridge]"
        );
        assert_eq!(
            title("BUG: soft lockup - CPU#0 stuck for 23s! [ip:312]"),
            title("BUG: soft lockup - CPU#1 stuck for 26s! [ip:9]")
        );
    }
}
