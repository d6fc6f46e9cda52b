//! Kernels that are no packages: an image file with a folder of modules, or a built kernel tree.
//!
//! They are read where they lie, each time: a tree changes between two runs. Only the unpacked kernel is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hairpin_model::Error;

use super::cache::{self, Cache, disk};
use super::image::Stored;
use super::modinfo::name_of_file;
use super::{Config, Image, bundle, bzimage};

/// Where the parts of a local kernel are.
#[derive(Debug, Default)]
struct Files {
    bzimage: Option<PathBuf>,
    vmlinux: Option<PathBuf>,
    modules: Option<PathBuf>,
    config: Option<PathBuf>,
}

/// Opens an image file, with the folder under which its modules are.
pub(crate) fn from_image(
    cache: &Cache,
    file: &Path,
    modules: Option<&Path>,
) -> Result<Image, Error> {
    let bytes = fs::read(file).map_err(|error| disk("cannot be read", file, &error))?;
    let mut files = Files { modules: modules.map(Path::to_owned), ..Files::default() };
    let release = match () {
        () if bzimage::is_bzimage(&bytes) => {
            files.bzimage = Some(file.to_owned());
            bzimage::release(&bytes)
        }
        () if bzimage::is_elf(&bytes) => {
            files.vmlinux = Some(file.to_owned());
            bzimage::release_of_vmlinux(&bytes)
        }
        () => None,
    };
    let release = release.ok_or_else(|| {
        Error::new(
            "this is no kernel for amd64",
            file.display().to_string(),
            "name a bzImage, a vmlinux, a `.deb`, a folder of them, or a built tree",
        )
    })?;
    files.config = config_beside(file, modules, &release);
    assemble(cache, release, files, &bytes)
}

/// Opens a kernel tree in which image and modules were built.
pub(crate) fn from_tree(cache: &Cache, tree: &Path) -> Result<Image, Error> {
    let candidates = ["arch/x86/boot/bzImage", "arch/x86_64/boot/bzImage", "vmlinux"];
    let found = candidates.iter().map(|name| tree.join(name)).find(|path| path.exists());
    let file = found.ok_or_else(|| {
        Error::new(
            "the tree holds no built kernel",
            tree.display().to_string(),
            "run `make bzImage modules` in it",
        )
    })?;
    let mut image = from_image(cache, &file, Some(tree))?;
    if image.config.is_none() {
        let config = fs::read_to_string(tree.join(".config")).ok();
        image.config = config.as_deref().map(Config::parse);
    }
    Ok(image)
}

fn assemble(cache: &Cache, release: String, files: Files, kernel: &[u8]) -> Result<Image, Error> {
    let mut notes = Vec::new();
    let (vmlinux, pvh) = match &files.vmlinux {
        Some(path) => (Some(path.clone()), bzimage::has_pvh_note(kernel)),
        None => unpacked(cache, kernel, &mut notes)?,
    };
    if !pvh && files.bzimage.is_some() && notes.is_empty() {
        notes.push("built without CONFIG_PVH: booted from its bzImage".into());
    }
    if !pvh && files.bzimage.is_none() {
        return Err(Error::new(
            "this vmlinux cannot be booted by PVH",
            release,
            "set CONFIG_PVH=y, or name the bzImage",
        ));
    }
    let (modules, builtin) = match &files.modules {
        Some(folder) => scan(folder)?,
        None => (BTreeMap::new(), BTreeSet::new()),
    };
    let config = files.config.as_ref().and_then(|path| fs::read_to_string(path).ok());
    Ok(Image {
        release,
        packages: Vec::new(),
        bzimage: files.bzimage,
        vmlinux,
        pvh,
        config: config.as_deref().map(Config::parse),
        notes,
        builtin,
        modules,
        pack: None,
    })
}

/// Unpacks a bzImage into the cache, under its hash.
fn unpacked(
    cache: &Cache,
    kernel: &[u8],
    notes: &mut Vec<String>,
) -> Result<(Option<PathBuf>, bool), Error> {
    let path = cache.image(&format!("{}.vmlinux", cache::sha256(kernel)));
    if let Ok(elf) = fs::read(&path) {
        return Ok((Some(path), bzimage::has_pvh_note(&elf)));
    }
    match bzimage::vmlinux(kernel) {
        Ok(elf) => {
            cache.write(&path, &elf)?;
            Ok((Some(path), bzimage::has_pvh_note(&elf)))
        }
        Err(why) => {
            notes.push(format!("booted from its bzImage: {why}"));
            Ok((None, false))
        }
    }
}

type Scanned = (BTreeMap<String, Stored>, BTreeSet<String>);

/// Finds every module, and the list of what is built in, under a folder.
fn scan(folder: &Path) -> Result<Scanned, Error> {
    let (mut modules, mut builtin) = (BTreeMap::new(), BTreeSet::new());
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|error| disk("cannot be read", &folder, &error))?;
        let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
        // The same order on every machine, so that the same of two modules of one name is taken.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            // Links are not followed: `build` and `source` in a modules folder lead out of it.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(path);
            } else if let Some(name) = path.to_str().and_then(name_of_file) {
                modules.entry(name).or_insert(Stored::File(path));
            } else if entry.file_name() == "modules.builtin" {
                let text = fs::read_to_string(&path)
                    .map_err(|error| disk("cannot be read", &path, &error))?;
                builtin.extend(bundle::builtin_names(&text));
            }
        }
    }
    Ok((modules, builtin))
}

fn config_beside(file: &Path, modules: Option<&Path>, release: &str) -> Option<PathBuf> {
    let name = format!("config-{release}");
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut places = vec![folder.join(&name), folder.join("config"), folder.join(".config")];
    if let Some(modules) = modules {
        places.extend([modules.join(&name), modules.join("config"), modules.join(".config")]);
    }
    places.into_iter().find(|path| path.is_file())
}
