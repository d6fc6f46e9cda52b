//! Builds test programs of this and other packages, and says where they are: a test program gets
//! told the place of no other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The harness's own folder.
pub(crate) const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Builds the chosen tests of a package or workspace, and gives the programs by name. Shares
/// everything that is built already.
pub(crate) fn programs(
    manifest: &Path,
    choice: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> BTreeMap<String, PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("`tmp` is in `target`");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--no-run", "--offline", "--message-format=json", "--manifest-path"]);
    cargo.arg(manifest).arg("--target-dir").arg(target).args(choice);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.output().unwrap_or_else(|error| panic!("{cargo:?} cannot start: {error}"));
    assert!(built.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&built.stderr));
    String::from_utf8_lossy(&built.stdout).lines().filter_map(program).collect()
}

/// The name and place of a program that a line of cargo's tells of.
fn program(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let name = message["target"]["name"].as_str()?;
    let executable = message["executable"].as_str()?;
    Some((name.to_owned(), executable.into()))
}
