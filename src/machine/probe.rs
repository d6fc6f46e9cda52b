//! Tries to make namespaces, in a process of its own because there is no way back.
//!
//! `hairpin` starts itself with [`WORD`] and reads one line: the errno of each attempt, 0 for
//! success.

use std::process::{Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};

/// The first argument that leads here.
pub(crate) const WORD: &str = "__probe";

/// What came of the attempts, as errno; 0 is success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// A network namespace with the rights that we have.
    pub(crate) netns: i32,
    /// A user namespace.
    pub(crate) userns: i32,
    /// A network namespace inside that user namespace.
    pub(crate) netns_in_userns: i32,
}

/// Makes the attempts and prints what came of them. In this order: a network namespace does not
/// change what the others need.
pub(crate) fn enter() -> ExitCode {
    let attempt = |flags| unshare(flags).err().map_or(0, |errno| errno as i32);
    let netns = attempt(CloneFlags::CLONE_NEWNET);
    let userns = attempt(CloneFlags::CLONE_NEWUSER);
    let netns_in_userns = attempt(CloneFlags::CLONE_NEWNET);
    println!("{netns} {userns} {netns_in_userns}");
    ExitCode::SUCCESS
}

/// Has the attempts made.
pub(crate) fn attempt() -> std::io::Result<Attempts> {
    let mut command = Command::new("/proc/self/exe");
    let output = command.arg(WORD).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<i32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [netns, userns, netns_in_userns] => Ok(Attempts { netns, userns, netns_in_userns }),
        _ => Err(std::io::Error::other(format!("the attempt answered `{}`", text.trim()))),
    }
}
