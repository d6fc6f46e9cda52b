//! Programs in the hands of ordinary users, also when the tests are run by root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

/// `nobody`: every machine has that user, and it owns nothing.
pub(crate) const NOBODY: u32 = 65534;

/// Whether this machine lets ordinary users make labs.
pub(crate) fn may_have_labs() -> bool {
    let is = |name: &str, value: &str| {
        fs::read_to_string(format!("/proc/sys/{name}")).is_ok_and(|text| text.trim() == value)
    };
    !is("user/max_user_namespaces", "0")
        && !is("user/max_net_namespaces", "0")
        && !is("kernel/unprivileged_userns_clone", "0")
        && !is("kernel/apparmor_restrict_unprivileged_userns", "1")
}

/// A copy of a program where every user can start it: a source tree may lie in root's home. Gone
/// when this is dropped.
pub(crate) struct Program {
    folder: PathBuf,
    path: PathBuf,
}

impl Program {
    pub(crate) fn of_ordinary_users(program: &Path) -> Self {
        let name = program.file_name().expect("a program is a file");
        let copy = format!("hairpin-selftest-{}-{}", std::process::id(), name.display());
        let folder = std::env::temp_dir().join(copy);
        fs::create_dir(&folder).expect("a folder can be made for the copy");
        let path = folder.join(name);
        fs::copy(program, &path).expect("a program can be copied");
        for place in [&folder, &path] {
            fs::set_permissions(place, fs::Permissions::from_mode(0o755)).expect("ours to open");
        }
        Self { folder, path }
    }

    /// The command that starts it as an ordinary user.
    pub(crate) fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).current_dir("/");
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).expect("the copy can be deleted");
    }
}
