//! What a guest is given of this machine, so that its shell is of use.
//!
//! Nothing is brought along by Hairpin itself: a shell there is the one here, with its libraries.

use std::path::{Path, PathBuf};

use hairpin_model::Error;
use hairpin_vm::program::{Packed, Program};

use crate::commands::run::find;

/// Where shells are by custom; the suite program starts this one.
const SH: &str = "/bin/sh";
/// Shells that can be typed into comfortably.
const SHELLS: [&str; 1] = ["bash"];
/// What one looks at networks with, and at files. What is not here is not there.
const TOOLS: [&str; 49] = [
    "arping",
    "awk",
    "bridge",
    "busybox",
    "cat",
    "chmod",
    "conntrack",
    "cp",
    "cut",
    "date",
    "dmesg",
    "ethtool",
    "find",
    "grep",
    "head",
    "id",
    "ip",
    "kill",
    "less",
    "ls",
    "mkdir",
    "mount",
    "mv",
    "nc",
    "nft",
    "nsenter",
    "od",
    "ping",
    "ps",
    "rm",
    "sed",
    "seq",
    "sleep",
    "sort",
    "ss",
    "strace",
    "stty",
    "sysctl",
    "tail",
    "tc",
    "tcpdump",
    "tee",
    "timeout",
    "touch",
    "tr",
    "traceroute",
    "uname",
    "wc",
    "xargs",
];
/// Folders of programs that the PATH of an ordinary user may lack.
const MORE_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Where descriptions of terminals are.
const TERMINALS: [&str; 3] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];

/// All that is given.
pub(super) struct Tools {
    pub(super) programs: Vec<Program>,
    pub(super) files: Vec<Packed>,
    /// The shell to open, as the guest has it.
    pub(super) shell: String,
    /// The command to run in its place, as the guest has it.
    pub(super) command: Vec<String>,
}

impl Tools {
    /// Finds them. What is asked for must be a program; of the usual ones those are taken that are.
    pub(super) fn find(command: &[String]) -> Result<Self, Error> {
        let sh = find("sh").and_then(|path| Program::read(&path, SH)).map_err(|error| {
            let help = "`apt-get install busybox-static`, and link `sh` to it";
            Error::new(format!("there is no shell for the guest: {}", error.what), "PATH", help)
        })?;
        let comfortable = SHELLS.iter().find_map(|name| usual(name));
        let shell = comfortable.as_ref().map_or_else(|| SH.into(), |it| it.file.path.clone());
        let mut programs: Vec<Program> = [sh].into_iter().chain(comfortable).collect();
        let mut command = command.to_vec();
        if let Some(word) = command.first_mut() {
            let asked = asked(word)?;
            word.clone_from(&asked.file.path);
            programs.push(asked);
        }
        programs.extend(TOOLS.iter().filter_map(|name| usual(name)));
        Ok(Self { programs, files: terminal().into_iter().collect(), shell, command })
    }
}

/// The program that the user named, at its path of here.
fn asked(word: &str) -> Result<Program, Error> {
    let found = find(word)?;
    let path = std::path::absolute(&found).unwrap_or(found);
    Program::read(&path, &path.display().to_string())
}

/// A program that is taken if it is here and can be.
fn usual(name: &str) -> Option<Program> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(MORE_FOLDERS.map(PathBuf::from));
    let place = folders.map(|folder| folder.join(name)).find(|place| place.is_file())?;
    // A folder that the guest's PATH names.
    Program::read(&place, &format!("/usr/bin/{name}")).ok()
}

/// The description of the terminal that we are in.
fn terminal() -> Option<Packed> {
    let name = std::env::var("TERM").ok().filter(|name| !name.contains('/'))?;
    let first = name.chars().next()?;
    let places = TERMINALS.map(|folder| Path::new(folder).join(first.to_string()).join(&name));
    let place = places.into_iter().find(|place| place.is_file())?;
    let bytes = std::fs::read(&place).ok()?;
    Some(Packed { path: place.display().to_string(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_shell_and_the_command_is_found_where_it_is_packed() {
        let tools = Tools::find(&["cat".into(), "x".into()]).unwrap();
        let paths: Vec<&str> = tools.programs.iter().map(|it| it.file.path.as_str()).collect();
        assert!(paths.contains(&SH) && paths.contains(&tools.shell.as_str()), "{paths:?}");
        assert!(paths.contains(&tools.command[0].as_str()), "{paths:?}");
        assert_eq!(tools.command[1], "x");
    }

    #[test]
    fn what_is_asked_for_must_be_a_program() {
        let what = |word: &str| Tools::find(&[word.into()]).err().map(|error| error.what);
        assert_eq!(what("no-such-program").as_deref(), Some("there is no such program"));
        assert!(what("/etc/passwd").unwrap().starts_with("this is no program for a guest"));
    }
}
