//! A kernel that is ready to boot: its files, its modules and what it says of itself.
//!
//! Where it came from no longer matters here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use hairpin_model::Error;
use serde::{Deserialize, Serialize};

use super::modinfo::normal;
use super::{Config, unpack};

/// A package that part of an image came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name, as `linux-image-6.1.0-50-cloud-amd64`.
    pub name: String,
    /// Its full version, as `6.1.176-1`.
    pub version: String,
    /// The SHA-256 of its file, in hexadecimal.
    pub sha256: String,
}

/// How a kernel has a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the image: it is always there.
    Builtin,
    /// As a file that can be loaded.
    Module,
    /// Not at all.
    Absent,
}

/// Where a module's bytes are, as they were packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stored {
    /// In the image's one file of all modules.
    Packed { offset: u64, length: u64 },
    /// In a file of its own.
    File(PathBuf),
}

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// What `uname -r` prints on it.
    pub release: String,
    /// The packages that it came from, the image package first; none for a kernel of your own.
    pub packages: Vec<Package>,
    /// The bzImage, if there is one: boots everywhere.
    pub bzimage: Option<PathBuf>,
    /// The unpacked kernel, if it could be had.
    pub vmlinux: Option<PathBuf>,
    /// Whether `vmlinux` can be booted by PVH.
    pub pvh: bool,
    /// Its build options, if they are known.
    pub config: Option<Config>,
    /// What the reader of a report should know of this image, one sentence each.
    pub notes: Vec<String>,
    pub(crate) builtin: BTreeSet<String>,
    pub(crate) modules: BTreeMap<String, Stored>,
    pub(crate) pack: Option<PathBuf>,
}

impl Image {
    /// The file to give to the machine: the unpacked kernel where PVH works, else the bzImage.
    pub fn boot_file(&self) -> &Path {
        let unpacked = self.vmlinux.as_deref().filter(|_| self.pvh || self.bzimage.is_none());
        unpacked.or(self.bzimage.as_deref()).expect("an image is made with at least one file")
    }

    /// The first package's name and version, or the release of a kernel of your own.
    pub fn title(&self) -> String {
        match self.packages.first() {
            Some(package) => format!("{} {}", package.name, package.version),
            None => self.release.clone(),
        }
    }

    /// The first two numbers of its release.
    pub(crate) fn version(&self) -> (u32, u32) {
        version_of(&self.release)
    }

    /// How this kernel has a module; `-` and `_` are the same.
    pub fn presence(&self, module: &str) -> Presence {
        let name = normal(module);
        match () {
            () if self.modules.contains_key(&name) => Presence::Module,
            () if self.builtin.contains(&name) => Presence::Builtin,
            () => Presence::Absent,
        }
    }

    /// The names of all its loadable modules.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// Fails with the first of `options` that this kernel was built without.
    pub fn require_options(&self, options: &[&str]) -> Result<(), Error> {
        match &self.config {
            Some(config) => config.require(options, &self.release),
            None if options.is_empty() => Ok(()),
            None => Err(Error::new(
                "the kernel's build options are not known",
                format!("kernel {}", self.release),
                format!("put its `config-{}` beside the image or the modules", self.release),
            )),
        }
    }

    /// A module's bytes, unpacked.
    pub(crate) fn module(&self, name: &str) -> Result<Vec<u8>, Error> {
        let stored = self.modules.get(name).expect("the caller found it in this image");
        self.unpacked(name, stored).map_err(|error| {
            Error::new(
                format!("the module `{name}` cannot be read: {error}"),
                format!("kernel {}", self.release),
                "remove the image from the cache, so that it is unpacked again",
            )
        })
    }

    /// Every run wants the same thirty modules of thousands, so those are kept unpacked once they were wanted.
    fn unpacked(&self, name: &str, stored: &Stored) -> io::Result<Vec<u8>> {
        let bytes = self.stored(stored)?;
        let Some(folder) = self.pack.as_ref().and_then(|pack| pack.parent()) else {
            return unpack::all(&bytes);
        };
        if !unpack::is_packed(&bytes) {
            return Ok(bytes);
        }
        let kept = folder.join("modules").join(name);
        if let Ok(bytes) = std::fs::read(&kept) {
            return Ok(bytes);
        }
        let bytes = unpack::all(&bytes)?;
        // Only time is lost where it cannot be kept, as in a cache that is read-only or full.
        drop(keep(&kept, &bytes));
        Ok(bytes)
    }

    fn stored(&self, stored: &Stored) -> io::Result<Vec<u8>> {
        match stored {
            Stored::File(path) => std::fs::read(path),
            Stored::Packed { offset, length } => {
                let pack = self.pack.as_ref().ok_or(io::ErrorKind::NotFound)?;
                let length = usize::try_from(*length).map_err(io::Error::other)?;
                let mut bytes = vec![0; length];
                File::open(pack)?.read_exact_at(&mut bytes, *offset)?;
                Ok(bytes)
            }
        }
    }
}

/// The first two numbers of a release: (5, 10) for `5.10.0-46-cloud-amd64`.
pub(crate) fn version_of(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Writes a file in one move, so that another process reads all of it or nothing.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
