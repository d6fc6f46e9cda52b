//! Where the suite program is: named, beside us, or built from the source tree around us.

use std::path::{Path, PathBuf};

use hairpin_model::Error;

use crate::suite::cargo;

/// The name of the installed program.
const INSTALLED: &str = "hairpin-suite";

/// The option that every subcommand with a suite program has.
#[derive(clap::Args)]
pub(crate) struct SuiteArgs {
    /// A suite program built with hairpin-harness, instead of Hairpin's own.
    ///
    /// Without it: `hairpin-suite` beside this executable, or, inside Hairpin's source tree,
    /// the one that cargo builds there.
    #[arg(long, value_name = "PROGRAM", value_hint = clap::ValueHint::ExecutablePath)]
    pub(crate) suite: Option<PathBuf>,
}

impl SuiteArgs {
    /// The path of the suite program; builds it if it is to be built. `quiet` holds back cargo's
    /// own progress.
    pub(crate) fn locate(&self, quiet: bool) -> Result<PathBuf, Error> {
        if let Some(named) = &self.suite {
            return executable(named).ok_or_else(|| {
                let help = "name an executable file; `cargo test --no-run` prints where it is";
                Error::new("the suite program is no executable file", shown(named), help)
            });
        }
        if let Some(installed) = beside().and_then(|path| executable(&path)) {
            return Ok(installed);
        }
        let Some(root) = source_tree() else {
            return Err(nowhere());
        };
        cargo::build(&root, quiet)
    }

    /// Whether cargo would have to build the program.
    pub(crate) fn is_to_be_built(&self) -> bool {
        self.suite.is_none() && beside().and_then(|path| executable(&path)).is_none()
    }
}

/// The source tree that we stand in, or were built from.
pub(crate) fn source_tree() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    // Where we were compiled is a hint only: the tree may be gone, or moved.
    let hint = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().chain([hint]).find(|path| is_source_tree(path)).map(Path::to_owned)
}

fn is_source_tree(path: &Path) -> bool {
    let manifest = path.join("suites/Cargo.toml");
    std::fs::read_to_string(manifest).is_ok_and(|text| text.contains("name = \"hairpin-suites\""))
}

/// The installed program's place: our own folder.
fn beside() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(INSTALLED))
}

/// The absolute path, if there is an executable file.
fn executable(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = path.canonicalize().ok()?;
    let meta = path.metadata().ok()?;
    (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then_some(path)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn nowhere() -> Error {
    let beside = beside().map_or_else(|| INSTALLED.to_owned(), |path| shown(&path));
    Error::new(
        "there is no suite program to run",
        format!("`{beside}` is not there, and this folder is in no source tree of Hairpin"),
        "name one with --suite PROGRAM, install `hairpin-suite`, or run inside the source tree",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_program_must_be_executable() {
        for wrong in ["/nowhere/at/all", "/proc/version", "/etc"] {
            let args = SuiteArgs { suite: Some(wrong.into()) };
            let error = args.locate(true).unwrap_err();
            assert_eq!(error.what, "the suite program is no executable file");
            assert_eq!(error.place, wrong);
        }
    }

    #[test]
    fn a_named_program_becomes_absolute() {
        let args = SuiteArgs { suite: Some("/proc/self/exe".into()) };
        assert_eq!(args.locate(true).unwrap(), std::env::current_exe().unwrap());
    }

    #[test]
    fn the_source_tree_is_found_by_walking_up() {
        assert!(source_tree().is_some_and(|root| root.join("model/Cargo.toml").exists()));
    }
}
