//! What the kernel tells of links in sysfs, and takes there: the older way to most settings of
//! bridges and their ports.
//!
//! Sysfs has the links of the namespace that mounts it. So a thread with mounts of its own mounts
//! one, and takes it with it when it ends.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use hairpin_model::Error;
use hairpin_model::topology::LinkName;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::Lab;
use crate::netlink::Refused;

/// Where every system has a folder that can be mounted over.
pub(super) const PLACE: &str = "/sys";

/// A link's folder.
pub(super) fn folder(link: &str) -> PathBuf {
    Path::new(PLACE).join("class/net").join(link)
}

/// Gives the calling thread mounts of its own, and among them the sysfs of the namespace that it is
/// in. The error tells which step did not work.
pub(super) fn mount_here() -> Result<(), (&'static str, Errno)> {
    let nothing = None::<&str>;
    let step = |what: &'static str| move |errno: Errno| (what, errno);
    unshare(CloneFlags::CLONE_NEWNS).map_err(step("make a mount namespace"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing).map_err(step("make its mounts private"))?;
    mount(nothing, PLACE, Some("sysfs"), MsFlags::empty(), nothing)
        .map_err(step("mount the namespace's sysfs"))
}

impl Lab {
    /// What a file of a link says, `bridge/hello_time`, without the end of its line.
    pub fn sysfs(&self, link: impl Into<LinkName>, file: &str) -> Result<String, Error> {
        let bytes = self.sysfs_bytes(link, file)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
    }

    /// The same of a file that is no text, `brforward`.
    pub fn sysfs_bytes(&self, link: impl Into<LinkName>, file: &str) -> Result<Vec<u8>, Error> {
        let link = link.into();
        self.in_sysfs(&link, &format!("read {file}"), |folder| fs::read(folder.join(file)))
    }

    /// The names in a folder of a link, in order: `brif` has the ports of a bridge.
    pub fn sysfs_names(&self, link: impl Into<LinkName>, file: &str) -> Result<Vec<String>, Error> {
        let link = link.into();
        let mut names = self.in_sysfs(&link, &format!("list {file}"), |folder| {
            let name = |entry: io::Result<fs::DirEntry>| {
                entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
            };
            fs::read_dir(folder.join(file))?.map(name).collect::<io::Result<Vec<_>>>()
        })?;
        names.sort();
        Ok(names)
    }

    /// Writes to a file of a link. The topology value does not follow. The error is the kernel's
    /// refusal.
    pub fn set_sysfs(
        &mut self,
        link: impl Into<LinkName>,
        file: &str,
        text: &str,
    ) -> Result<(), Error> {
        let link = link.into();
        self.in_sysfs(&link, &format!("write `{text}` to {file}"), |folder| {
            fs::OpenOptions::new().write(true).open(folder.join(file))?.write_all(text.as_bytes())
        })?;
        self.tell(|| format!("{link} {file}: {text}"));
        Ok(())
    }

    fn in_sysfs<T: Send>(
        &self,
        link: &LinkName,
        doing: &str,
        work: impl FnOnce(PathBuf) -> io::Result<T> + Send,
    ) -> Result<T, Error> {
        let ns = &self.node(&link.netns)?.ns;
        let done = thread::scope(|scope| {
            let there = || {
                mount_here().map_err(unmounted)?;
                work(folder(&link.link)).map_err(|error| Refused::from(&error).error(doing, link))
            };
            scope.spawn(|| ns.enter(there)).join()
        });
        done.expect("using sysfs does not panic")
    }
}

fn unmounted((what, errno): (&'static str, Errno)) -> Error {
    Error::new(
        format!("cannot {what}: {}", errno.desc()),
        "a lab's sysfs",
        "it needs root, or a machine whose own sysfs is mounted and not covered",
    )
}
