//! The store: a kernel's name in, an [`Image`] out. It joins the catalogue, apt, the cache and the lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hairpin_model::Error;

use super::apt::Apt;
use super::cache::{Cache, disk};
use super::kit::{self, Kit};
use super::packages::candidates;
use super::version::compare;
use super::{
    Candidate, Catalogue, Image, KernelRef, Lock, LockedSeries, Part, Series, bundle, local,
};
use crate::machine::Shelf;

/// Names a file in the form of sources.list: archives to ask for the suites that it names, in place of the
/// machine's own.
const EXTRA_SOURCES: &str = "HAIRPIN_KERNEL_SOURCES";
const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// What a kernel's own build puts beside the image package and a guest has no use for.
const NOT_OURS: [&str; 4] = ["linux-headers-", "linux-libc-dev", "linux-kbuild-", "linux-doc"];

/// How a store is to work.
pub struct Options {
    /// The cache folder; by default `hairpin` in the user's own.
    pub cache: Option<PathBuf>,
    /// The known series.
    pub catalogue: Catalogue,
    /// A file in the form of sources.list: archives to ask for the suites that it names, in place of the
    /// machine's own.
    pub sources: Option<PathBuf>,
    /// How old a list of packages may be before the mirror is asked again.
    pub max_age: Duration,
    /// Told what is being waited for.
    pub progress: Box<dyn Fn(&str) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        let sources = std::env::var_os(EXTRA_SOURCES).filter(|value| !value.is_empty());
        Self {
            cache: None,
            catalogue: Catalogue::built_in(),
            sources: sources.map(PathBuf::from),
            max_age: A_DAY,
            progress: Box::new(|_| {}),
        }
    }
}

/// Where kernels are found, fetched and kept.
pub struct Store {
    cache: Cache,
    options: Options,
}

/// The kernels of a series on the mirror, and what the reader should know about that.
struct Found {
    candidates: Vec<Candidate>,
    notes: Vec<String>,
}

impl Store {
    /// Opens the store, and makes its folder if need be. Asks nothing of the network.
    pub fn open(options: Options) -> Result<Self, Error> {
        let cache = Cache::open(options.cache.as_deref())?;
        Ok(Self { cache, options })
    }

    /// The folder in which everything is kept.
    pub fn folder(&self) -> &Path {
        self.cache.root()
    }

    /// Where frozen guests are kept for later runs.
    pub fn shelf(&self) -> Shelf {
        Shelf::new(self.cache.clone())
    }

    /// The series that are known by name.
    pub fn catalogue(&self) -> &Catalogue {
        &self.options.catalogue
    }

    /// Finds a kernel, fetches it if need be, and unpacks it if that was not done yet.
    pub fn resolve(&self, kernel: &KernelRef) -> Result<Image, Error> {
        match kernel {
            KernelRef::Series(name) => self.newest(self.catalogue().find(name)?),
            KernelRef::Version { series, version } => self.exact(series, version),
            KernelRef::Deb(file) => self.unpack(std::slice::from_ref(file)),
            KernelRef::Debs(folder) => self.unpack(&debs_in(folder)?),
            KernelRef::Image { file, modules } => {
                local::from_image(&self.cache, file, modules.as_deref())
            }
            KernelRef::Tree(tree) => local::from_tree(&self.cache, tree),
        }
    }

    /// As [`Store::resolve`], with each series held to its pin. Asks the network only for what is not kept.
    pub fn resolve_locked(&self, kernel: &KernelRef, lock: &Lock) -> Result<Image, Error> {
        let KernelRef::Series(name) = kernel else { return self.resolve(kernel) };
        let pin = lock.get(name)?;
        self.kept(pin).map_or_else(|| self.pinned(name, pin), Ok)
    }

    /// Every version of a series that the mirror has, oldest first, whole or not; also those of `older` suites.
    pub fn versions(&self, series: &str) -> Result<Vec<Candidate>, Error> {
        let series = self.catalogue().find(series)?;
        Ok(self.find(series, series.suites.iter().chain(&series.older))?.candidates)
    }

    /// The newest whole kernel of a series on the mirror.
    pub fn pick(&self, series: &str) -> Result<Candidate, Error> {
        let series = self.catalogue().find(series)?;
        pick(series, self.find(series, &series.suites)?.candidates)
    }

    /// Fetches a candidate's packages and opens its image.
    pub fn fetch(&self, candidate: &Candidate) -> Result<Image, Error> {
        let (place, help) = (&candidate.image().name, "pick another version");
        if !candidate.is_whole() {
            let what = format!("the mirror no longer has `{}`", candidate.missing.join("`, `"));
            return Err(Error::new(what, place, help));
        }
        let mut debs = Vec::new();
        for part in &candidate.parts {
            debs.push((self.apt().fetch(part)?, part.sha256.clone()));
        }
        bundle::open_or_make(&self.cache, &debs, &*self.options.progress)
    }

    /// Pins these series to the packages that are kept of them; those without are left out.
    pub fn pins(&self, series: &[String]) -> Lock {
        let pin = |name: &String| Some((name.clone(), self.remembered(name)?));
        Lock { series: series.iter().filter_map(pin).collect() }
    }

    /// The version of a series that is kept whole and would be used without the network; nothing is fetched.
    pub fn kept_version(&self, series: &str) -> Option<String> {
        let pin = self.remembered(series)?;
        let whole = pin.packages.iter().all(|package| self.cache.deb(&package.sha256).exists());
        whole.then_some(pin.version)
    }

    /// What the kernel's own build has left for whoever builds its modules: its headers, and of its sources these
    /// folders without what lies below them. Fetched and unpacked if that was not done yet.
    pub fn kit(&self, image: &Image, folders: &[&str]) -> Result<Kit, Error> {
        let mut debs = Vec::new();
        for part in self.kit_parts(image)? {
            let file = self.apt().fetch(&part)?;
            debs.push((part, file));
        }
        kit::open_or_make(&self.cache, &debs, folders, &*self.options.progress)
    }

    /// The packages of a kit, the headers of the kernel itself first.
    fn kit_parts(&self, image: &Image) -> Result<Vec<Part>, Error> {
        let known = image.packages.first().and_then(|package| {
            Some((&package.version, self.catalogue().series_of(&package.version)?))
        });
        let (version, series) = known.ok_or_else(|| {
            Error::new(
                "this kernel is no package whose headers and sources are known",
                image.release.as_str(),
                "name a series or a package's version with --kernel",
            )
        })?;
        let mut all: Vec<Part> = Vec::new();
        for suite in series.suites.iter().chain(&series.older) {
            // A suite that cannot be asked may not have it anyway; what is missing is told below.
            all.extend(self.apt().listing(suite).map(|listing| listing.parts).unwrap_or_default());
        }
        kit::pick(&all, &image.release, &series.name, version)
    }

    fn unpack(&self, debs: &[PathBuf]) -> Result<Image, Error> {
        bundle::from_debs(&self.cache, debs, &*self.options.progress)
    }

    fn newest(&self, series: &Series) -> Result<Image, Error> {
        let found = self.find(series, &series.suites);
        let picked = found.and_then(|found| Ok((pick(series, found.candidates)?, found.notes)));
        match picked {
            Ok((candidate, notes)) => {
                let mut image = self.fetch(&candidate)?;
                image.notes.extend(notes);
                self.remember(&series.name, &candidate)?;
                Ok(image)
            }
            // What was fetched once stays of use when the mirror has moved on, or cannot be reached.
            Err(error) => {
                let pin = self.remembered(&series.name);
                let mut image = pin.and_then(|pin| self.kept(&pin)).ok_or_else(|| error.clone())?;
                image.notes.push(format!("kept from an earlier run: {}", error.what));
                Ok(image)
            }
        }
    }

    fn exact(&self, series: &str, version: &str) -> Result<Image, Error> {
        let versions = self.versions(series)?;
        let wanted = versions.iter().find(|candidate| candidate.version == version);
        let candidate = wanted.ok_or_else(|| {
            let known: Vec<&str> = versions.iter().map(|c| c.version.as_str()).collect();
            Error::new(
                format!("the mirror has no version `{version}`"),
                format!("series {series}"),
                format!("it has: {}", known.join(" ")),
            )
        })?;
        self.fetch(candidate)
    }

    /// Gathers a series from several suites. A suite that cannot be had is noted; none at all is an error.
    fn find<'a>(
        &self,
        series: &Series,
        suites: impl IntoIterator<Item = &'a String>,
    ) -> Result<Found, Error> {
        let mut found = Found { candidates: Vec::new(), notes: Vec::new() };
        let (mut failure, mut any) = (None, false);
        for suite in suites {
            match self.apt().listing(suite) {
                Ok(listing) => {
                    any = true;
                    found.candidates.extend(candidates(series, suite, &listing.parts));
                    found.notes.extend(listing.notes);
                }
                Err(error) => {
                    found.notes.push(format!("suite {suite}: {}", error.what));
                    failure = Some(error);
                }
            }
        }
        found.candidates.sort_by(|left, right| compare(&left.version, &right.version));
        found.candidates.dedup_by(|later, first| {
            later.version == first.version && later.image().sha256 == first.image().sha256
        });
        match failure {
            Some(error) if !any => Err(error),
            _ => Ok(found),
        }
    }

    fn apt(&self) -> Apt<'_> {
        Apt {
            cache: &self.cache,
            catalogue: &self.options.catalogue,
            extra: self.options.sources.as_deref(),
            max_age: self.options.max_age,
            progress: &*self.options.progress,
        }
    }

    fn pinned(&self, series: &str, pin: &LockedSeries) -> Result<Image, Error> {
        let listing = self.apt().listing(&pin.suite)?;
        let mut parts: Vec<Part> = Vec::new();
        for package in &pin.packages {
            let same = |part: &&Part| {
                (&part.name, &part.version, &part.sha256)
                    == (&package.name, &package.version, &package.sha256)
            };
            let part = listing.parts.iter().find(same).ok_or_else(|| {
                Error::new(
                    format!("the mirror no longer has `{}` {}", package.name, package.version),
                    format!("series {series}, locked"),
                    "run without --locked, or name an archive that has it in HAIRPIN_KERNEL_SOURCES",
                )
            })?;
            parts.push(part.clone());
        }
        let (version, suite) = (pin.version.clone(), pin.suite.clone());
        self.fetch(&Candidate { version, suite, parts, missing: Vec::new() })
    }

    /// The image of a pin, if all its packages are kept.
    fn kept(&self, pin: &LockedSeries) -> Option<Image> {
        let debs: Vec<(PathBuf, String)> = pin
            .packages
            .iter()
            .map(|package| (self.cache.deb(&package.sha256), package.sha256.clone()))
            .collect();
        let all = debs.iter().all(|(path, _)| path.exists());
        all.then(|| bundle::open_or_make(&self.cache, &debs, &*self.options.progress).ok())
            .flatten()
    }

    fn remember(&self, series: &str, candidate: &Candidate) -> Result<(), Error> {
        let mut lock = Lock::default();
        lock.pin(series, candidate);
        let (path, text) = (self.memory(series), lock.to_text());
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        self.cache.write(&path, text.as_bytes())
    }

    fn remembered(&self, series: &str) -> Option<LockedSeries> {
        Lock::read(&self.memory(series)).ok()?.series.remove(series)
    }

    fn memory(&self, series: &str) -> PathBuf {
        self.cache.root().join("images").join(format!("{series}.lock"))
    }
}

fn pick(series: &Series, candidates: Vec<Candidate>) -> Result<Candidate, Error> {
    let newest = candidates.last().cloned();
    if let Some(whole) = candidates.into_iter().rev().find(Candidate::is_whole) {
        return Ok(whole);
    }
    let place = series.suites.join(", ");
    let help = "name an archive that has it in HAIRPIN_KERNEL_SOURCES, or give --kernel PATH";
    Err(match newest {
        Some(newest) => Error::new(
            format!(
                "the mirror has series `{}` in part only, without `{}`",
                series.name,
                newest.missing.join("`, `")
            ),
            place,
            help,
        ),
        None => {
            Error::new(format!("the mirror no longer has series `{}`", series.name), place, help)
        }
    })
}

/// The packages in a folder that make a kernel, the image package first.
fn debs_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(|error| disk("cannot be read", folder, &error))?;
    let mut debs: Vec<(bool, PathBuf)> = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let of_use = name.ends_with(".deb")
            && !name.contains("-dbg")
            && !NOT_OURS.iter().any(|start| name.starts_with(start));
        if of_use {
            debs.push((!name.starts_with("linux-image"), path));
        }
    }
    if debs.is_empty() {
        return Err(Error::new(
            "the folder holds no kernel packages",
            folder.display().to_string(),
            "name a folder of `.deb` files, or a kernel tree in which `make` has run",
        ));
    }
    debs.sort();
    Ok(debs.into_iter().map(|(_, path)| path).collect())
}
