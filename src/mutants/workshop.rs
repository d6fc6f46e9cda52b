//! The kernel's sources in a private copy, and modules built of them as the kernel's own build does it.
//!
//! One copy a driver. A file is edited, its module built and taken away, and the file put back, so that the next
//! build compiles two files and not a driver.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use hairpin_model::Error;
use hairpin_vm::kernels::Kit;

use super::data::Driver;

/// Lines of the compiler that are told.
const WORDS: usize = 4;

/// A driver's sources, which can be edited and built.
pub(crate) struct Workshop {
    headers: PathBuf,
    folder: PathBuf,
    modules: Vec<String>,
}

impl Workshop {
    /// Copies the driver's sources to a folder.
    pub(crate) fn new(kit: &Kit, driver: &Driver, folder: PathBuf) -> Result<Self, Error> {
        let from = kit.source.join(&driver.folder);
        copy(&from, &folder).map_err(|error| unusable(&folder, &error))?;
        // kbuild takes this file before the `Makefile`, which lists the parts of each module.
        let objects: String = driver.modules.iter().map(|name| format!(" {name}.o")).collect();
        let text = format!("include $(src)/Makefile\nobj-y :=\nobj-m :={objects}\n");
        fs::write(folder.join("Kbuild"), text).map_err(|error| unusable(&folder, &error))?;
        Ok(Self { headers: kit.headers.clone(), folder, modules: driver.modules.clone() })
    }

    /// The text of a source file.
    pub(crate) fn source(&self, file: &str) -> Result<String, Error> {
        read_source(&self.folder.join(file))
    }

    /// Builds the modules with another text in one file, puts them into `to`, and the file back. The inner error is the
    /// compiler's.
    pub(crate) fn build_with(
        &self,
        file: &str,
        text: &str,
        to: &Path,
    ) -> Result<Result<Vec<PathBuf>, String>, Error> {
        let (path, before) = (self.folder.join(file), self.source(file)?);
        let kept = Kept::of(&path);
        fs::write(&path, text).map_err(|error| unusable(&path, &error))?;
        let built = self.build(to);
        fs::write(&path, before).map_err(|error| unusable(&path, &error))?;
        if let Some(kept) = kept {
            kept.restore();
        }
        built
    }

    /// Builds the modules and puts them into `to`.
    pub(crate) fn build(&self, to: &Path) -> Result<Result<Vec<PathBuf>, String>, Error> {
        let output = self.make()?.output().map_err(|error| {
            let what = format!("`make` cannot be run: {error}");
            Error::new(what, "building modules", "install the packages `make` and `gcc-12`")
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return match missing_compiler(&said) {
                Some(error) => Err(error),
                None => Ok(Err(words(&said))),
            };
        }
        fs::create_dir_all(to).map_err(|error| unusable(to, &error))?;
        let mut built = Vec::new();
        for module in &self.modules {
            let (from, at) = (self.folder.join(format!("{module}.ko")), format!("{module}.ko"));
            let at = to.join(at);
            fs::copy(&from, &at).map_err(|error| unusable(&from, &error))?;
            built.push(at);
        }
        Ok(Ok(built))
    }

    fn make(&self) -> Result<Command, Error> {
        let mut command = Command::new("make");
        command.arg("-C").arg(&self.headers).arg(format!("M={}", self.folder.display()));
        // Without what only a debugger reads: the guest holds all of it in memory.
        command.args(["KCFLAGS=-g0", "--quiet", "modules"]);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        Ok(command)
    }
}

/// The time of a source, and its object, as they were. The object is put back as new, so that make links it again, and the
/// source as old, so that make does not compile it. What cannot be kept costs time and nothing else.
struct Kept {
    source: PathBuf,
    time: SystemTime,
    object: Vec<u8>,
}

impl Kept {
    fn of(source: &Path) -> Option<Self> {
        let time = fs::metadata(source).and_then(|data| data.modified()).ok()?;
        let object = fs::read(source.with_extension("o")).ok()?;
        Some(Self { source: source.to_owned(), time, object })
    }

    fn restore(self) {
        if fs::write(self.source.with_extension("o"), self.object).is_ok() {
            let file = fs::File::options().write(true).open(&self.source);
            file.and_then(|file| file.set_modified(self.time)).ok();
        }
    }
}

/// The text of a source file.
pub(crate) fn read_source(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| {
        let place = path.display().to_string();
        Error::new(format!("the source cannot be read: {error}"), place, "mend the mutant's file")
    })
}

/// The error of a machine that has no compiler for this kernel.
fn missing_compiler(said: &str) -> Option<Error> {
    let line = said.lines().find(|line| {
        line.contains("gcc") && (line.contains("not found") || line.contains("No such file"))
    })?;
    Some(Error::new(
        format!("the compiler of this kernel is not here: {}", line.trim()),
        "building modules",
        "install the `gcc` package that the words above name",
    ))
}

/// What the compiler has against a source: its first errors.
fn words(said: &str) -> String {
    // The folder is gone when somebody reads this, so only the file's name is told.
    let file = |line: &str| match line.split_once(": ") {
        Some((place, rest)) => format!("{}: {rest}", place.rsplit('/').next().unwrap_or(place)),
        None => line.to_owned(),
    };
    let errors = said.lines().filter(|line| line.contains(": error: ")).map(file);
    let errors: Vec<String> = errors.take(WORDS).collect();
    match errors.as_slice() {
        [] => said.lines().next_back().unwrap_or("make failed and said nothing").to_owned(),
        lines => lines.join("\n"),
    }
}

/// Copies a folder's own files.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(
        format!("the build folder cannot be used: {error}"),
        path.display().to_string(),
        "free some space there, or set TMPDIR to a folder with more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_missing_is_no_fault_of_the_source() {
        let said = "/bin/sh: 1: gcc-12: not found\nmake[1]: *** [x.o] Error 127";
        let error = missing_compiler(said).unwrap();
        assert!(error.what.ends_with("gcc-12: not found"), "{error}");
        assert!(missing_compiler("x.c:3: error: expected `;`").is_none());
    }

    #[test]
    fn the_first_errors_are_told() {
        let said =
            "a warning\n/tmp/a/x.c:3:1: error: one\nx.c:4:1: note: two\nx.c:5:1: error: three\n";
        assert_eq!(words(said), "x.c:3:1: error: one\nx.c:5:1: error: three");
    }
}
