//! The system's package manager: what it calls the things that guests need, and how it is told to install them.

use std::path::Path;
use std::process::{Command, Stdio};

use hairpin_model::Error;

/// Something that guests need of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Runs guests.
    Qemu,
    /// The keys that sign Debian's kernels.
    Keyring,
}

/// A package manager.
#[derive(Debug)]
pub(crate) struct Manager {
    /// Its command, by which it is found.
    command: &'static str,
    install: &'static [&'static str],
    qemu: &'static str,
    /// Where it has them.
    keyring: Option<&'static str>,
}

/// The first that is there is the system's own.
const MANAGERS: [Manager; 5] = [
    Manager {
        command: "apt-get",
        install: &["install", "-yq", "--no-install-recommends"],
        qemu: "qemu-system-x86",
        keyring: Some("debian-archive-keyring"),
    },
    Manager {
        command: "dnf",
        install: &["install", "-y"],
        qemu: "qemu-system-x86-core",
        keyring: Some("debian-keyring"),
    },
    Manager { command: "zypper", install: &["install", "-y"], qemu: "qemu-x86", keyring: None },
    Manager {
        command: "pacman",
        install: &["-S", "--noconfirm"],
        qemu: "qemu-system-x86",
        keyring: Some("debian-archive-keyring"),
    },
    Manager {
        command: "apk",
        install: &["add"],
        qemu: "qemu-system-x86_64",
        keyring: Some("debian-archive-keyring"),
    },
];

impl Manager {
    /// The one of this machine, if we know it.
    pub(crate) fn of_this_machine() -> Option<&'static Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        let there = |manager: &&Self| folders.iter().any(|f| f.join(manager.command).is_file());
        MANAGERS.iter().find(there)
    }

    /// The command that installs these, for a person to type.
    pub(crate) fn line(&self, tools: &[Tool]) -> String {
        let words = self.install.iter().copied().chain(self.names(tools));
        let words: Vec<&str> = std::iter::once(self.command).chain(words).collect();
        words.join(" ")
    }

    /// Installs these, its own words on stderr. `apt-get` may have no lists yet.
    pub(crate) fn install(&self, tools: &[Tool]) -> Result<(), Error> {
        if self.command == "apt-get" {
            self.run(&["update", "-q"])?;
        }
        let words: Vec<&str> = self.install.iter().copied().chain(self.names(tools)).collect();
        self.run(&words)
    }

    fn names(&self, tools: &[Tool]) -> impl Iterator<Item = &'static str> {
        tools.iter().filter_map(|tool| match tool {
            Tool::Qemu => Some(self.qemu),
            Tool::Keyring => self.keyring,
        })
    }

    fn run(&self, words: &[&str]) -> Result<(), Error> {
        let place = format!("{} {}", self.command, words.join(" "));
        let failed = |why: String| {
            let help = "its words stand above; install the packages by hand, then run this again";
            Error::new(format!("the package manager failed: {why}"), &place, help)
        };
        let mut command = Command::new(self.command);
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        // What it says is progress; our own results go to stdout.
        let status =
            command.stdout(std::io::stderr()).status().map_err(|e| failed(e.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
    }
}

/// What guests need and this machine has not; `keyring` is the file of the keys.
pub(crate) fn missing(keyring: &Path) -> Vec<Tool> {
    let mut missing = Vec::new();
    // A wrong word of the user's is no missing package.
    let named = std::env::var_os("HAIRPIN_QEMU").is_some_and(|value| !value.is_empty());
    if !named && hairpin_vm::installed_qemu().is_err() {
        missing.push(Tool::Qemu);
    }
    if !keyring.exists() {
        missing.push(Tool::Keyring);
    }
    missing
}

/// How to install these on this machine, for a person to read.
pub(crate) fn advice(tools: &[Tool]) -> String {
    match Manager::of_this_machine() {
        Some(manager) => format!("as root: {}", manager.line(tools)),
        None => "install QEMU for x86-64 (`qemu-system-x86_64`) with the system's packages".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manager_has_its_line() {
        let lines: Vec<String> =
            MANAGERS.iter().map(|m| m.line(&[Tool::Qemu, Tool::Keyring])).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        apt-get install -yq --no-install-recommends qemu-system-x86 debian-archive-keyring
        dnf install -y qemu-system-x86-core debian-keyring
        zypper install -y qemu-x86
        pacman -S --noconfirm qemu-system-x86 debian-archive-keyring
        apk add qemu-system-x86_64 debian-archive-keyring
        ");
    }

    #[test]
    fn what_a_manager_says_of_its_failure_is_told() {
        let manager = Manager { command: "false", install: &[], qemu: "q", keyring: None };
        let error = manager.install(&[Tool::Qemu]).unwrap_err();
        assert!(error.what.starts_with("the package manager failed: exit status: 1"), "{error}");
        assert_eq!(error.place, "false q");
    }
}
