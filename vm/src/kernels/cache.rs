//! The folder in which kernels are kept, safe for several processes at once.
//!
//! Everything is made under `tmp/` and moved to its place when it is whole, so a crash leaves nothing half done.
//! Locks are held by an open file: when a process dies, its lock is gone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use hairpin_model::Error;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// What lies longer in `tmp/` was left by a process that was killed.
const LEFT_OVER: Duration = Duration::from_secs(24 * 3600);

/// The cache folder.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// A lock, held until it is dropped.
pub(crate) struct Held {
    file: File,
}

impl Held {
    /// A standard input, empty, that holds the lock too: it stays held until the child ends, even if this process
    /// is killed before.
    pub(crate) fn shared_with_child(&self) -> io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }
}

impl Cache {
    /// Opens the cache in `root`, or in the user's own cache folder, and makes it if need be.
    pub(crate) fn open(root: Option<&Path>) -> Result<Self, Error> {
        let root = root.map_or_else(default_root, |root| Ok(root.to_owned()))?;
        let cache = Self { root };
        for folder in ["tmp", "locks", "debs", "images", "apt"] {
            let path = cache.root.join(folder);
            fs::create_dir_all(&path).map_err(|error| disk("cannot be made", &path, &error))?;
        }
        cache.sweep();
        Ok(cache)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a package file with this hash lies, or would lie.
    pub(crate) fn deb(&self, sha256: &str) -> PathBuf {
        self.root.join("debs").join(format!("{sha256}.deb"))
    }

    /// Where the unpacked image with this key lies, or would lie.
    pub(crate) fn image(&self, key: &str) -> PathBuf {
        self.root.join("images").join(key)
    }

    /// A new folder on the same file system; it goes away when it is dropped.
    pub(crate) fn scratch(&self) -> Result<TempDir, Error> {
        let tmp = self.root.join("tmp");
        tempfile::tempdir_in(&tmp).map_err(|error| disk("cannot be written to", &tmp, &error))
    }

    /// Waits until no other process holds the lock of this name.
    pub(crate) fn lock(&self, name: &str) -> Result<Held, Error> {
        let path = self.root.join("locks").join(name);
        let open =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let locked = open.and_then(|file| file.lock().map(|()| file));
        locked.map(|file| Held { file }).map_err(|error| disk("cannot be locked", &path, &error))
    }

    /// Writes a small file in one move, so that a reader sees the old or the new one.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let scratch = self.scratch()?;
        let new = scratch.path().join("new");
        fs::write(&new, bytes)
            .and_then(|()| fs::rename(&new, path))
            .map_err(|error| disk("cannot be written", path, &error))
    }

    /// Best effort: what cannot be removed today is tried again at the next start.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("tmp")) else { return };
        let old = |entry: &fs::DirEntry| {
            let changed = entry.metadata().and_then(|data| data.modified()).ok();
            changed.and_then(|time| SystemTime::now().duration_since(time).ok()) > Some(LEFT_OVER)
        };
        for entry in entries.flatten().filter(old) {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut HashWriter(&mut hash))?;
    Ok(hex(&hash.finalize()))
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// An error of the disk, with the one step that mends the usual one.
pub(crate) fn disk(what: &str, path: &Path, error: &io::Error) -> Error {
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or set XDG_CACHE_HOME to a folder with more"
        }
        io::ErrorKind::NotFound => "check the path",
        _ => "check the folder's owner and mode, or set XDG_CACHE_HOME to a folder of yours",
    };
    Error::new(format!("the file {what}: {error}"), path.display().to_string(), help)
}

fn default_root() -> Result<PathBuf, Error> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    base.map(|base| base.join("hairpin")).ok_or_else(|| {
        Error::new(
            "there is no folder to keep kernels in",
            "environment",
            "set XDG_CACHE_HOME or HOME to a folder",
        )
    })
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
