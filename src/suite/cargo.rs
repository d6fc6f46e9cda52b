//! Has cargo build Hairpin's own suite program from the source tree.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hairpin_model::Error;
use serde::Deserialize;

const PACKAGE: &str = "hairpin-suites";
const TARGET: &str = "conformance";

/// The lines of cargo's `--message-format=json` that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The cargo that runs us, or the one in the path.
pub(crate) fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Builds the suite program with the profile that we were built with, and tells where it is.
///
/// Cargo's own progress goes to the terminal; in a pipe it is held back unless the build fails.
pub(crate) fn build(root: &Path, quiet: bool) -> Result<PathBuf, Error> {
    let live = !quiet && std::io::stderr().is_terminal();
    let mut command = Command::new(program());
    command.args(["test", "--package", PACKAGE, "--test", TARGET, "--no-run"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.current_dir(root).stdin(Stdio::null());
    command.stderr(if live { Stdio::inherit() } else { Stdio::piped() });
    let output = command.output().map_err(|e| {
        let what = format!("cannot start cargo to build the suite program: {e}");
        Error::new(what, place(root), "install Rust, or name a built program with --suite PROGRAM")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("cargo could not build the suite program\n{}", said.trim_end());
        return Err(Error::new(what.trim_end(), place(root), "mend what cargo names"));
    }
    executable(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
        let what = format!("cargo built no test `{TARGET}` of the package `{PACKAGE}`");
        Error::new(what, place(root), "is the source tree whole?")
    })
}

fn place(root: &Path) -> String {
    format!("source tree {}", root.display())
}

/// The executable of our target in cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == TARGET))
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_the_messages_of_cargo() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"hairpin_model"},"executable":null,"fresh":true}
{"reason":"compiler-artifact","target":{"name":"conformance","kind":["test"]},"executable":"/t/c-1"}
{"reason":"build-finished","success":true}
not json"#;
        assert_eq!(executable(messages), Some("/t/c-1".into()));
        assert_eq!(executable(""), None);
    }
}
