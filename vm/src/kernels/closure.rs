//! Which modules a guest needs, in the order in which they load.
//!
//! Packages carry no modules.dep (it is made at installation), so the order is computed from what each module
//! says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hairpin_model::Error;

use super::modinfo::{ModInfo, normal};
use super::{Image, Presence, unpack};

/// What a guest is to have loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Modules without which there is no point in booting.
    pub required: &'a [&'a str],
    /// Modules that are loaded where the kernel has them, and reported where it has not.
    pub optional: &'a [&'a str],
    /// Rebuilt module files: each takes the place of the packaged module of its name.
    pub overrides: &'a [PathBuf],
}

/// A module to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// Its name as the kernel has it.
    pub name: String,
    /// The unpacked ELF file.
    pub bytes: Vec<u8>,
    /// The file that took the packaged module's place, if one did.
    pub from: Option<PathBuf>,
}

/// What a kernel has of what was wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Modules in the order in which they load.
    pub load: Vec<ModuleFile>,
    /// Wanted names that are built into the image.
    pub builtin: Vec<String>,
    /// Optional names that this kernel has in no form.
    pub absent: Vec<String>,
}

impl Image {
    /// Finds all that is to be loaded for `wanted`, each module after those that it needs.
    pub fn closure(&self, wanted: &Wanted<'_>) -> Result<Closure, Error> {
        let overrides = read_overrides(self, wanted.overrides)?;
        let mut walk =
            Walk { image: self, overrides, seen: BTreeSet::new(), out: Closure::default() };
        let replaced: Vec<String> = walk.overrides.keys().cloned().collect();
        let required = wanted.required.iter().map(|name| (normal(name), true));
        let optional = wanted.optional.iter().map(|name| (normal(name), false));
        for (name, must) in required.chain(replaced.into_iter().map(|n| (n, true))).chain(optional)
        {
            walk.want(&name, must)?;
        }
        Ok(walk.out)
    }
}

struct Override {
    path: PathBuf,
    bytes: Vec<u8>,
    info: ModInfo,
}

struct Walk<'a> {
    image: &'a Image,
    overrides: BTreeMap<String, Override>,
    seen: BTreeSet<String>,
    out: Closure,
}

impl Walk<'_> {
    fn want(&mut self, name: &str, must: bool) -> Result<(), Error> {
        match self.presence(name) {
            Presence::Module => self.visit(name),
            Presence::Builtin => {
                push_new(&mut self.out.builtin, name);
                Ok(())
            }
            Presence::Absent if must => Err(missing(self.image, name, None)),
            Presence::Absent => {
                push_new(&mut self.out.absent, name);
                Ok(())
            }
        }
    }

    fn presence(&self, name: &str) -> Presence {
        if self.overrides.contains_key(name) { Presence::Module } else { self.image.presence(name) }
    }

    fn visit(&mut self, name: &str) -> Result<(), Error> {
        // Marked before its needs are followed: a circle of soft dependencies must end.
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let (file, info) = self.read(name)?;
        for soft in &info.before {
            self.soft(soft)?;
        }
        for need in &info.depends {
            match self.presence(need) {
                Presence::Module => self.visit(need)?,
                Presence::Builtin => {}
                Presence::Absent => return Err(missing(self.image, need, Some(name))),
            }
        }
        self.out.load.push(file);
        info.after.iter().try_for_each(|soft| self.soft(soft))
    }

    fn soft(&mut self, name: &str) -> Result<(), Error> {
        if self.presence(name) == Presence::Module { self.visit(name) } else { Ok(()) }
    }

    fn read(&self, name: &str) -> Result<(ModuleFile, ModInfo), Error> {
        if let Some(Override { path, bytes, info }) = self.overrides.get(name) {
            let from = Some(path.clone());
            return Ok((
                ModuleFile { name: name.into(), bytes: bytes.clone(), from },
                info.clone(),
            ));
        }
        let bytes = self.image.module(name)?;
        let info = ModInfo::read(&bytes).map_err(|why| {
            Error::new(
                format!("the module `{name}` is damaged: {why}"),
                format!("kernel {}", self.image.release),
                "fetch the kernel again",
            )
        })?;
        if let Some(release) = info.release.as_ref().filter(|r| **r != self.image.release) {
            return Err(Error::new(
                format!("the module `{name}` was built for `{release}`"),
                format!("kernel {}", self.image.release),
                "build modules and image together, or give the modules of this kernel",
            ));
        }
        Ok((ModuleFile { name: name.into(), bytes, from: None }, info))
    }
}

fn read_overrides(image: &Image, paths: &[PathBuf]) -> Result<BTreeMap<String, Override>, Error> {
    let mut out = BTreeMap::new();
    for path in paths {
        let (name, module) = read_override(image, path)?;
        if let Some(Override { path: other, .. }) = out.insert(name.clone(), module) {
            return Err(bad_override(
                path,
                format!("the module `{name}` is given twice"),
                format!("drop this or `{}`", other.display()),
            ));
        }
    }
    Ok(out)
}

fn read_override(image: &Image, path: &Path) -> Result<(String, Override), Error> {
    let read = std::fs::read(path).and_then(|bytes| unpack::all(&bytes));
    let bytes = read.map_err(|error| {
        bad_override(
            path,
            format!("the module cannot be read: {error}"),
            "name a `.ko` file".into(),
        )
    })?;
    let info = ModInfo::read(&bytes).map_err(|why| {
        bad_override(path, format!("this is no kernel module: {why}"), "name a `.ko` file".into())
    })?;
    if let Some(release) = info.release.as_ref().filter(|release| **release != image.release) {
        return Err(bad_override(
            path,
            format!("the module was built for `{release}`, the kernel is `{}`", image.release),
            format!("build it against the headers of `{}`", image.release),
        ));
    }
    let file = path.to_string_lossy();
    let name = info.name.clone().or_else(|| super::modinfo::name_of_file(&file));
    let name = name.ok_or_else(|| {
        bad_override(path, "the module has no name".into(), "name a `.ko` file".into())
    })?;
    if image.presence(&name) == Presence::Builtin {
        return Err(bad_override(
            path,
            format!("`{name}` is built into `{}`: a module cannot take its place", image.release),
            "boot an image of your own with --kernel PATH".into(),
        ));
    }
    Ok((name, Override { path: path.into(), bytes, info }))
}

fn bad_override(path: &Path, what: String, help: String) -> Error {
    Error::new(what, path.display().to_string(), help)
}

fn missing(image: &Image, name: &str, by: Option<&str>) -> Error {
    let what = match by {
        Some(by) => format!("the module `{name}`, which `{by}` needs, is missing"),
        None => format!("the module `{name}` is missing, and is not built in"),
    };
    let place = format!("kernel {}, {} modules", image.release, image.modules.len());
    let help = match image.modules.len() {
        0 => "give the folder of its modules with --modules DIR",
        _ => "pick a kernel that has it, or give the file with --module FILE.ko",
    };
    Error::new(what, place, help)
}

fn push_new(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}
