//! The command from outside: what it prints, how it ends, and that nothing stays behind.
//!
//! It runs a fake suite program (`tests/fake_suite`), so nothing here needs a privilege.

#[path = "command/captures.rs"]
mod captures;
#[path = "command/diffs.rs"]
mod diffs;
#[path = "command/draws.rs"]
mod draws;
#[path = "command/ends.rs"]
mod ends;
#[path = "command/lives.rs"]
mod lives;
#[path = "command/prints.rs"]
mod prints;
#[path = "command/setups.rs"]
mod setups;
#[path = "command/shells.rs"]
mod shells;
#[path = "command/streams.rs"]
mod streams;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The command, in a clean environment, with the fake suite program for `check` and `list`.
fn hairpin(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("XDG_STATE_HOME", STATE).args(args);
    if args.first().is_some_and(|word| ["check", "list", "doctor"].contains(word)) {
        command.arg("--suite").arg(fake_suite());
    }
    command
}

/// The folder of states: of the build, so that nothing is left elsewhere.
const STATE: &str = env!("CARGO_TARGET_TMPDIR");

/// The fake suite program, which cargo builds along with these tests.
fn fake_suite() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_hairpin")).with_file_name("examples/fake_suite");
    assert!(built.exists(), "cargo build --package hairpin --example fake_suite comes first");
    built
}

/// Runs the command to its end: what it printed, how it ended.
fn ran(mut command: Command) -> (Output, String, String) {
    let output = command.output().expect("the command can be started");
    let (stdout, stderr) = (plain(&output.stdout), plain(&output.stderr));
    (output, stdout, stderr)
}

fn code(args: &[&str]) -> i32 {
    ran(hairpin(args)).0.status.code().expect("no signal")
}

/// What was printed, without what differs between machines and runs.
fn plain(printed: &[u8]) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("this is Linux");
    let text = String::from_utf8_lossy(printed);
    let text =
        text.replace(kernel.trim(), "KERNEL").replace(&*fake_suite().to_string_lossy(), "SUITE");
    let text = text.replace(STATE, "STATE");
    // What would help depends on the modules of this machine's kernel.
    let lines = text.lines().filter(|line| !line.starts_with("    remedy: "));
    lines.map(|line| timeless(line) + "\n").collect()
}

/// A line with `T` for each duration: a number with a fraction, then its unit.
fn timeless(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_number = |word: &str| word.contains('.') && word.ends_with(|c: char| c.is_ascii_digit());
    let mut out: Vec<String> = Vec::new();
    for word in words {
        let unit = ["ms", "s"].iter().find(|unit| word.trim_end_matches("\u{1b}[0m") == **unit);
        match (out.last_mut(), unit) {
            (Some(number), Some(unit)) if is_number(number) => {
                let digits = number.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
                *number = format!("{digits}T{}", word.trim_start_matches(unit));
            }
            _ => out.push(word.to_owned()),
        }
    }
    out.join(" ")
}

/// A folder for the fake suite's traces, which is gone with the value.
fn traces() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}
