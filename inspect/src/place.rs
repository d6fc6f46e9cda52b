//! Where the network namespaces of a machine are: found by the processes that are in them, and by
//! the files that hold them.

use std::fs::{self, File};
use std::os::linux::fs::MetadataExt;
use std::path::Path;

use hairpin_model::Error;

/// A network namespace to read.
#[derive(Debug)]
pub struct Place {
    /// The name that people know it by.
    pub name: String,
    /// The namespace.
    pub file: File,
}

/// Those that were found, and what was not.
#[derive(Debug, Default)]
pub struct Places {
    /// The reader's own first.
    pub all: Vec<Place>,
    /// What could not be opened.
    pub missing: Vec<String>,
}

/// Where runtimes keep the files of their namespaces.
const HOLDERS: [&str; 2] = ["/run/netns", "/run/docker/netns"];

impl Place {
    /// The number of the namespace's file, the same for all who hold it.
    pub fn inode(&self) -> u64 {
        self.file.metadata().map_or(0, |data| data.st_ino())
    }
}

impl Places {
    /// All that can be found on this machine. The words that the user names come first, so that
    /// they keep those names.
    pub fn find(words: &[&str]) -> Result<Self, Error> {
        let mut places = Self::default();
        let own = open("/proc/thread-self/ns/net")?;
        places.add("host".into(), own);
        for word in words {
            if let Some(path) = path(word) {
                let file = open(&path)?;
                let pid = word.parse::<u32>().map(|pid| format!("pid:{pid}"));
                places.add(pid.unwrap_or_else(|_| (*word).to_owned()), file);
            }
        }
        for folder in HOLDERS {
            places.add_folder(Path::new(folder));
        }
        places.add_processes()?;
        Ok(places)
    }

    fn add(&mut self, name: String, file: File) {
        let place = Place { name, file };
        if self.all.iter().all(|known| known.inode() != place.inode()) {
            self.all.push(place);
        }
    }

    /// The name under which the namespace that a word means was read.
    pub fn name_of(&self, word: &str) -> Option<String> {
        let file = open(&path(word)?).ok()?;
        let inode = file.metadata().ok()?.st_ino();
        self.all.iter().find(|place| place.inode() == inode).map(|place| place.name.clone())
    }

    fn add_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.path().display().to_string();
            match File::open(entry.path()) {
                Ok(file) => self.add(name, file),
                Err(error) => self.missing.push(format!("{name}: {error}")),
            }
        }
    }

    fn add_processes(&mut self) -> Result<(), Error> {
        let entries = fs::read_dir("/proc")
            .map_err(|error| Error::new(error.to_string(), "/proc", "mount /proc"))?;
        let number = |name: std::ffi::OsString| name.to_str()?.parse::<u32>().ok();
        let mut pids: Vec<u32> =
            entries.flatten().filter_map(|entry| number(entry.file_name())).collect();
        pids.sort_unstable();
        let mut closed = 0;
        for pid in pids {
            match File::open(format!("/proc/{pid}/ns/net")) {
                Ok(file) => self.add(format!("pid:{pid}"), file),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => closed += 1,
                // A process that ended meanwhile has none.
                Err(_) => {}
            }
        }
        if closed > 0 {
            self.missing.push(format!(
                "the namespaces of {closed} process{} may not be opened: run as root",
                if closed == 1 { "" } else { "es" }
            ));
        }
        Ok(())
    }
}

/// The file that a word means: a process, or itself.
fn path(word: &str) -> Option<String> {
    let pid = word.strip_prefix("pid:").unwrap_or(word);
    match pid.parse::<u32>() {
        Ok(pid) => Some(format!("/proc/{pid}/ns/net")),
        Err(_) if word.contains('/') => Some(word.to_owned()),
        Err(_) => None,
    }
}

fn open(path: &str) -> Result<File, Error> {
    File::open(path).map_err(|error| {
        let what = format!("the network namespace cannot be opened: {error}");
        Error::new(what, path, "name a process that runs, or a file of a namespace; run as root")
    })
}
