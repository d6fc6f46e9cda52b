//! A QEMU process, from its start to its end. Dropping it ends it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hairpin_model::Error;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::Memory;
use super::line::{Begin, Line, Ports};
use crate::sys;

/// Names another QEMU than the one in PATH.
const VARIABLE: &str = "HAIRPIN_QEMU";
const NAME: &str = "qemu-system-x86_64";
/// How much of QEMU's own words fits into an error.
const WORDS: usize = 500;

/// Our ends of a machine's lines.
pub(crate) struct Ends {
    pub(crate) control: UnixStream,
    pub(crate) console: UnixStream,
    pub(crate) events: UnixStream,
}

impl Ends {
    /// New lines: our ends, and the machine's, in the same order.
    pub(crate) fn new() -> io::Result<(Self, [UnixStream; 3])> {
        let (control, its_control) = UnixStream::pair()?;
        let (console, its_console) = UnixStream::pair()?;
        let (events, its_events) = UnixStream::pair()?;
        Ok((Self { control, console, events }, [its_control, its_console, its_events]))
    }
}

/// A running QEMU.
pub(crate) struct Process {
    child: Life,
    said: Memory,
    ports: Ports,
}

/// By what a process is ended.
enum Life {
    /// We have started it.
    Started(Child),
    /// It is a copy of one that we had started.
    Copied { pid: Pid, has_ended: bool },
}

impl Life {
    fn id(&self) -> Pid {
        match self {
            Self::Started(child) => Pid::from_raw(child.id().cast_signed()),
            Self::Copied { pid, .. } => *pid,
        }
    }

    /// Ends it at once, and waits until it is gone.
    fn end(&mut self) {
        match self {
            // It may have ended by itself, which is as good.
            Self::Started(child) => {
                child.kill().unwrap_or_default();
                drop(child.wait());
            }
            Self::Copied { pid, has_ended } => {
                if !std::mem::replace(has_ended, true) {
                    let _gone = kill(*pid, Signal::SIGKILL);
                    let _gone = waitpid(*pid, None);
                }
            }
        }
    }
}

/// Finds QEMU, or says how to get it. `asked` comes first, then the environment's word, then PATH.
pub(crate) fn find(asked: Option<&Path>) -> Result<PathBuf, Error> {
    let named = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    match (asked.map(Path::to_owned), named) {
        (Some(path), _) | (None, Some(path)) if is_program(&path) => Ok(path),
        (Some(path), _) => Err(missing(&path.display().to_string())),
        (None, Some(path)) => Err(Error::new(
            format!("`{}` is not there, or is no program", path.display()),
            VARIABLE,
            format!("correct {VARIABLE}, or unset it to have the QEMU in PATH"),
        )),
        (None, None) => find_in(&env::var_os("PATH").unwrap_or_default()),
    }
}

/// The QEMU that would be used, and how it calls itself: `QEMU emulator version 7.2.22`.
pub fn installed_qemu() -> Result<(PathBuf, String), Error> {
    let path = find(None)?;
    let broken = |why: String| {
        let help = "install it anew, or name another one in HAIRPIN_QEMU";
        Error::new(format!("QEMU does not work: {why}"), path.display().to_string(), help)
    };
    let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().chars().take(WORDS).collect();
        return Err(broken(said));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let first = said.lines().next().unwrap_or_default().trim().to_owned();
    Ok((path, first))
}

fn find_in(path: &OsStr) -> Result<PathBuf, Error> {
    let mut places = env::split_paths(path).map(|folder| folder.join(NAME));
    places.find(|place| is_program(place)).ok_or_else(|| missing(NAME))
}

/// The wait in a line of `schedstat`: nanoseconds run, nanoseconds waited, turns had.
fn wait_in(line: &str) -> Option<Duration> {
    line.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn missing(name: &str) -> Error {
    Error::new(
        format!("`{name}` is not there, so no other kernel can be run"),
        format!("PATH, or {VARIABLE}"),
        "install it, with `hairpin setup` or `apt-get install qemu-system-x86`",
    )
}

impl Process {
    /// Starts a machine.
    pub(crate) fn start(line: &Line, begin: Begin, ram: &Memory) -> Result<(Self, Ends), Error> {
        Self::try_start(line, begin, ram).map_err(|error| {
            Error::new(
                format!("QEMU cannot be started: {error}"),
                line.qemu.display().to_string(),
                format!("run `{} --version` to see whether it works", line.qemu.display()),
            )
        })
    }

    /// How long it was ready to run and did not: the most that any of its threads waited. The rest
    /// of them may have waited at the same time. None where the kernel does not tell.
    pub(crate) fn waited_for_a_cpu(&self) -> Duration {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            return Duration::ZERO;
        };
        let told = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("schedstat")).ok();
        let waits = threads.flatten().filter_map(told).filter_map(|line| wait_in(&line));
        waits.max().unwrap_or_default()
    }

    fn try_start(line: &Line, begin: Begin, ram: &Memory) -> io::Result<(Self, Ends)> {
        let (ends, its) = Ends::new()?;
        let [control, console, events] = its.each_ref().map(UnixStream::as_raw_fd);
        let ports = Ports { control, console, events };
        let said = Memory::sized("hairpin-words", 0).map_err(io::Error::other)?;
        let mut command = Command::new(&line.qemu);
        command
            .args(line.args(begin, ram, ports))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.duplicate()?);
        let mut inherit = vec![ports.control, ports.console, ports.events];
        inherit.extend([ram.number(), line.initramfs.number()]);
        inherit.extend(line.stub.as_ref().map(Memory::number));
        let child = sys::spawn_held(command, inherit)?;
        Ok((Self { child: Life::Started(child), said, ports }, ends))
    }

    /// QEMU's own words, if it had any.
    pub(crate) fn words(&self) -> String {
        let text = self.said.text();
        text.trim().chars().take(WORDS).collect()
    }

    /// One that is there already, a child of ours.
    pub(crate) fn copied(pid: Pid, said: Memory, ports: Ports) -> Self {
        Self { child: Life::Copied { pid, has_ended: false }, said, ports }
    }

    /// The numbers that its lines have in it.
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// The process id, for those who want to look at it from outside.
    pub(crate) fn id(&self) -> Pid {
        self.child.id()
    }

    /// Ends it at once, and waits until it is gone.
    pub(crate) fn end(&mut self) {
        self.child.end();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_second_of_three_numbers() {
        assert_eq!(wait_in("731000 2500000000 12\n"), Some(Duration::from_millis(2500)));
        assert_eq!(wait_in(""), None);
    }

    #[test]
    fn a_missing_qemu_is_named_with_the_way_to_get_it() {
        for error in [find_in(OsStr::new("/nowhere")), find(Some(Path::new("/nowhere/qemu")))] {
            let error = error.unwrap_err();
            assert!(error.what.contains("is not there"), "{error}");
            assert!(error.help.contains("apt-get install qemu-system-x86"), "{error}");
        }
    }

    #[test]
    fn a_folder_or_a_plain_file_is_no_program() {
        assert!(!is_program(Path::new("/")));
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(is_program(Path::new("/bin/sh")));
    }
}
