//! An image's folder in the cache: made once from its packages, read ever after.
//!
//! It holds the kernel (packed, and unpacked where that works), its config, all modules in one file as they were
//! packed, and `index.json`, which is written last. Files are found in packages by their names, for the
//! packages have been cut differently over the years.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use hairpin_model::Error;
use serde::{Deserialize, Serialize};

use super::cache::{self, Cache, disk};
use super::image::Stored;
use super::modinfo::{name_of_file, normal};
use super::{Config, Image, Package, bzimage, deb};

/// Part of every key: a change of the folder's layout makes new folders.
const LAYOUT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Index {
    release: String,
    packages: Vec<Package>,
    vmlinux: bool,
    pvh: bool,
    notes: Vec<String>,
    builtin: BTreeSet<String>,
    modules: BTreeMap<String, Stored>,
}

/// Opens the image made from these packages, making it first if need be. The image package comes first.
pub(crate) fn from_debs(
    cache: &Cache,
    debs: &[PathBuf],
    progress: &dyn Fn(&str),
) -> Result<Image, Error> {
    let mut hashes = Vec::new();
    for deb in debs {
        let hash = cache::sha256_of(deb).map_err(|error| disk("cannot be read", deb, &error))?;
        hashes.push((deb.clone(), hash));
    }
    open_or_make(cache, &hashes, progress)
}

/// As [`from_debs`], for files whose hashes are known: those that the cache keeps under them.
pub(crate) fn open_or_make(
    cache: &Cache,
    debs: &[(PathBuf, String)],
    progress: &dyn Fn(&str),
) -> Result<Image, Error> {
    let key = key(debs);
    let folder = cache.image(&key);
    if let Some(image) = open(&folder) {
        return Ok(image);
    }
    let _held = cache.lock(&key)?;
    // Another process may have made it while this one waited.
    if let Some(image) = open(&folder) {
        return Ok(image);
    }
    let scratch = cache.scratch()?;
    let new = scratch.path().join("image");
    progress("unpacking the kernel, once");
    make(&new, debs)?;
    if folder.exists() {
        // It did not open, so it is of no use to anybody.
        fs::remove_dir_all(&folder).map_err(|error| disk("cannot be removed", &folder, &error))?;
    }
    fs::rename(&new, &folder).map_err(|error| disk("cannot be moved", &folder, &error))?;
    open(&folder).ok_or_else(|| {
        Error::new(
            "the image was unpacked, but cannot be read back",
            folder.display().to_string(),
            "check the disk",
        )
    })
}

/// The key of the image made from these packages, in whatever order they are named.
fn key(debs: &[(PathBuf, String)]) -> String {
    let hashes: BTreeSet<&str> = debs.iter().map(|(_, hash)| hash.as_str()).collect();
    let mut text = format!("{LAYOUT}\n");
    for hash in hashes {
        text.push_str(hash);
        text.push('\n');
    }
    cache::sha256(text.as_bytes())
}

fn open(folder: &Path) -> Option<Image> {
    let text = fs::read(folder.join("index.json")).ok()?;
    let index: Index = serde_json::from_slice(&text).ok()?;
    let config = fs::read_to_string(folder.join("config")).ok();
    Some(Image {
        release: index.release,
        packages: index.packages,
        bzimage: Some(folder.join("bzimage")),
        vmlinux: index.vmlinux.then(|| folder.join("vmlinux")),
        pvh: index.pvh,
        config: config.as_deref().map(Config::parse),
        notes: index.notes,
        builtin: index.builtin,
        modules: index.modules,
        pack: Some(folder.join("modules.pack")),
    })
}

fn make(folder: &Path, debs: &[(PathBuf, String)]) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| disk("cannot be made", folder, &error))?;
    let mut sorter =
        Sorter::new(folder).map_err(|error| disk("cannot be written", folder, &error))?;
    let mut packages = Vec::new();
    for (path, sha256) in debs {
        let control = deb::read(path, &mut |name, file| sorter.take(name, file))?;
        let (name, version) = (control.name, control.version);
        packages.push(Package { name, version, sha256: sha256.clone() });
    }
    let index = sorter.finish(packages)?;
    let text = serde_json::to_vec(&index).expect("an index is plain values");
    let path = folder.join("index.json");
    fs::write(&path, text).map_err(|error| disk("cannot be written", &path, &error))
}

/// Sorts the files of packages into the image's folder.
struct Sorter {
    folder: PathBuf,
    pack: BufWriter<File>,
    offset: u64,
    modules: BTreeMap<String, Stored>,
    kernel: Option<Vec<u8>>,
    builtin: Option<BTreeSet<String>>,
    releases: BTreeSet<String>,
}

impl Sorter {
    fn new(folder: &Path) -> io::Result<Self> {
        let pack = BufWriter::new(File::create(folder.join("modules.pack"))?);
        let (folder, modules, releases) = (folder.into(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { folder, pack, offset: 0, modules, kernel: None, builtin: None, releases })
    }

    fn take(&mut self, path: &str, file: &mut dyn Read) -> io::Result<()> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let in_modules = path.strip_prefix("usr/").unwrap_or(path).strip_prefix("lib/modules/");
        if let Some(module) = name_of_file(path) {
            if let Some((release, _)) = in_modules.and_then(|rest| rest.split_once('/')) {
                self.releases.insert(release.to_owned());
            }
            let length = io::copy(file, &mut self.pack)?;
            self.modules.insert(module, Stored::Packed { offset: self.offset, length });
            self.offset += length;
        } else if name == "vmlinuz" || name.starts_with("vmlinuz-") {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            fs::write(self.folder.join("bzimage"), &bytes)?;
            self.releases.extend(bzimage::release(&bytes));
            self.kernel = Some(bytes);
        } else if in_modules.is_some() && name == "modules.builtin" {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            self.builtin = Some(builtin_names(&text));
        } else if is_config(path, name) {
            io::copy(file, &mut File::create(self.folder.join("config"))?)?;
        }
        Ok(())
    }

    fn finish(mut self, packages: Vec<Package>) -> Result<Index, Error> {
        let place = packages.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        self.pack.flush().map_err(|error| disk("cannot be written", &self.folder, &error))?;
        let kernel = self.kernel.take().ok_or_else(|| lacks("kernel image", &place))?;
        let builtin = self.builtin.take().ok_or_else(|| lacks("`modules.builtin`", &place))?;
        if self.modules.is_empty() {
            return Err(lacks("modules", &place));
        }
        let release = bzimage::release(&kernel).ok_or_else(|| no_kernel(&place))?;
        if let Some(other) = self.releases.iter().find(|other| **other != release) {
            return Err(Error::new(
                format!("the packages do not belong together: `{release}` and `{other}`"),
                place,
                "give packages of one version and one flavour",
            ));
        }
        let mut notes = Vec::new();
        let pvh = self.unpack(&kernel, &mut notes)?;
        let vmlinux = self.folder.join("vmlinux").exists();
        Ok(Index { release, packages, vmlinux, pvh, notes, builtin, modules: self.modules })
    }

    /// Unpacks the kernel, says whether PVH can boot it, and notes why not.
    fn unpack(&self, kernel: &[u8], notes: &mut Vec<String>) -> Result<bool, Error> {
        let path = self.folder.join("vmlinux");
        match bzimage::vmlinux(kernel) {
            Ok(elf) => {
                fs::write(&path, &elf).map_err(|error| disk("cannot be written", &path, &error))?;
                let pvh = bzimage::has_pvh_note(&elf);
                if !pvh {
                    notes.push("built without CONFIG_PVH: booted from its bzImage".into());
                }
                Ok(pvh)
            }
            Err(why) => {
                notes.push(format!("booted from its bzImage: {why}"));
                Ok(false)
            }
        }
    }
}

/// The names in a `modules.builtin` file.
pub(crate) fn builtin_names(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(name_of_file).map(|name| normal(&name)).collect()
}

fn is_config(path: &str, name: &str) -> bool {
    (path.starts_with("boot/") && name.starts_with("config-"))
        || (path.contains("lib/modules/") && name == "config" && path.matches('/').count() <= 4)
}

fn lacks(what: &str, place: &str) -> Error {
    Error::new(
        format!("the packages hold no {what}"),
        place,
        "from 6.19 on a kernel is split: give linux-base-*, linux-binary-* and linux-modules-* too",
    )
}

fn no_kernel(place: &str) -> Error {
    Error::new("the packaged kernel is no bzImage", place, "give a package for amd64")
}
