//! A program of this machine, with all that it needs to run where there is nothing else.
//!
//! A static program needs nothing. For one that is not, the host's own loader is asked which files it would
//! load, so that `cargo test` programs run in a guest as they were built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hairpin_model::Error;
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::{Endianness, elf};

/// Where in an ELF header the three fields are that say where its sections are.
const SECTION_TABLE: std::ops::Range<usize> = 40..48;
const SECTION_COUNTS: std::ops::Range<usize> = 58..64;

/// A file for a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Its absolute path in the guest.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A program for a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program's own file, without what only debuggers read.
    pub file: Packed,
    /// The libraries that it loads, at their paths of here.
    pub libraries: Vec<Packed>,
}

impl Program {
    /// Reads a program and what it needs, to be put at `path` in the guest.
    pub fn read(file: &Path, path: &str) -> Result<Self, Error> {
        let bytes = read(file)?;
        let elf = Elf::parse(&bytes).map_err(|why| {
            Error::new(
                format!("this is no program for a guest: {why}"),
                file.display().to_string(),
                "give a 64-bit Linux executable for x86-64; put a script's interpreter first",
            )
        })?;
        let libraries = match &elf.interpreter {
            Some(interpreter) => libraries(interpreter, file)?,
            None => Vec::new(),
        };
        Ok(Self { file: Packed { path: path.to_owned(), bytes: elf.stripped }, libraries })
    }

    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &Packed> {
        std::iter::once(&self.file).chain(&self.libraries)
    }
}

struct Elf {
    interpreter: Option<PathBuf>,
    stripped: Vec<u8>,
}

impl Elf {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file = ElfFile64::<Endianness>::parse(bytes).map_err(|error| error.to_string())?;
        let endian = file.endian();
        if file.elf_header().e_machine.get(endian) != elf::EM_X86_64 {
            return Err("it is for another processor".into());
        }
        let headers = file.elf_program_headers();
        let interpreter = headers
            .iter()
            .find_map(|header| header.interpreter(endian, bytes).ok().flatten())
            .map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned()));
        let ends = headers.iter().map(|header| header.p_offset(endian) + header.p_filesz(endian));
        let end = usize::try_from(ends.max().unwrap_or(0)).map_err(|error| error.to_string())?;
        Ok(Self { interpreter, stripped: without_sections(bytes, end) })
    }
}

/// A kernel runs segments; sections (names, lines, debugging) only fill the guest's memory.
fn without_sections(bytes: &[u8], end: usize) -> Vec<u8> {
    let mut out = bytes[..end.min(bytes.len())].to_vec();
    for field in [SECTION_TABLE, SECTION_COUNTS] {
        out[field.clone()].fill(0);
    }
    // The size of one entry stays what it is by definition.
    out[58..60].copy_from_slice(&64u16.to_le_bytes());
    out
}

/// What the loader would load, and the loader.
fn libraries(interpreter: &Path, file: &Path) -> Result<Vec<Packed>, Error> {
    let failed = |why: String| {
        Error::new(
            format!("the libraries of this program cannot be found: {why}"),
            file.display().to_string(),
            "build it static: RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --target x86_64-unknown-linux-gnu",
        )
    };
    let output = Command::new(interpreter).arg("--list").arg(file).output();
    let output = output.map_err(|error| failed(format!("{}: {error}", interpreter.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let mut paths: Vec<String> = text.lines().filter_map(path_in).map(str::to_owned).collect();
    paths.push(interpreter.display().to_string());
    paths.sort();
    paths.dedup();
    paths.into_iter().map(|path| Ok(Packed { bytes: read(Path::new(&path))?, path })).collect()
}

/// The path in `libc.so.6 => /lib/libc.so.6 (0x7f00)`, or in `/lib64/ld.so (0x7f00)`.
fn path_in(line: &str) -> Option<&str> {
    let place = line.split_once(" => ").map_or(line, |(_, place)| place).trim();
    let path = place.split(" (0x").next()?;
    path.starts_with('/').then_some(path)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| {
        Error::new(
            format!("the program cannot be read: {error}"),
            path.display().to_string(),
            "check the path and the file's mode",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_brings_its_libraries() {
        let this = std::env::current_exe().unwrap();
        let program = Program::read(&this, "/init").unwrap();
        let paths: Vec<&str> = program.libraries.iter().map(|l| l.path.as_str()).collect();
        assert!(paths.iter().any(|path| path.contains("libc.so")), "{paths:?}");
        assert!(paths.iter().any(|path| path.contains("ld-linux")), "{paths:?}");
        assert!(program.file.bytes.len() < fs::read(this).unwrap().len());
    }

    #[test]
    fn a_stripped_program_still_runs() {
        let program = Program::read(Path::new("/bin/true"), "/true").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("true");
        fs::write(&path, &program.file.bytes).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert!(Command::new(&path).status().unwrap().success());
    }

    #[test]
    fn a_script_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
        let error = Program::read(&path, "/x").unwrap_err();
        assert!(error.what.starts_with("this is no program for a guest"), "{error}");
    }

    #[test]
    fn the_loaders_lines_are_read() {
        assert_eq!(path_in("\tlibc.so.6 => /lib/libc.so.6 (0x00007f)"), Some("/lib/libc.so.6"));
        assert_eq!(
            path_in("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(path_in("\tlinux-vdso.so.1 (0x00007f)"), None);
        assert_eq!(path_in("\tstatically linked"), None);
    }
}
