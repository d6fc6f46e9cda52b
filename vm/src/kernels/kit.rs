//! What modules of a packaged kernel are built with: its headers, and some folders of its sources.
//!
//! Debian's packages, unpacked into the cache and made to work from there; none is installed. Nothing is built here.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hairpin_model::Error;

use super::cache::{self, Cache, disk};
use super::version::compare;
use super::{Part, deb};

/// Part of every key: a change of the folder's layout makes new folders.
const LAYOUT: u32 = 1;
/// Where packages have all that is unpacked here.
const PLACE: &str = "usr/src/";

/// Headers and sources of one kernel, in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kit {
    /// The folder for `make -C`.
    pub headers: PathBuf,
    /// The root of the source tree, of which only the wanted folders are there.
    pub source: PathBuf,
}

/// The packages of a kernel's kit among those of its suites, the headers of the kernel itself first.
///
/// All are of the kernel's version but the build tools: the headers ask for them as new or newer, and an archive that is
/// being filled has those of its next kernel already.
pub(crate) fn pick(
    all: &[Part],
    release: &str,
    series: &str,
    version: &str,
) -> Result<Vec<Part>, Error> {
    let find = |name: &str| {
        let named = all.iter().filter(|part| part.name == name);
        let same = named.clone().find(|part| part.version == version);
        let newer = || {
            let tools = name.starts_with("linux-kbuild-");
            named.clone().find(|part| tools && compare(&part.version, version).is_gt())
        };
        same.or_else(newer).cloned().ok_or_else(|| {
            Error::new(
                format!("the mirror does not have `{name}` {version}"),
                format!("headers and sources of {release}"),
                "name another kernel, or an archive that has it in HAIRPIN_KERNEL_SOURCES",
            )
        })
    };
    let mut parts = vec![find(&format!("linux-headers-{release}"))?];
    for need in parts[0].needs.clone() {
        parts.push(find(&need)?);
    }
    parts.push(find(&format!("linux-source-{series}"))?);
    Ok(parts)
}

/// Opens the kit of these packages with these folders of the sources, making it first if need be.
pub(crate) fn open_or_make(
    cache: &Cache,
    debs: &[(Part, PathBuf)],
    folders: &[&str],
    progress: &dyn Fn(&str),
) -> Result<Kit, Error> {
    let hashes: Vec<&str> = debs.iter().map(|(part, _)| part.sha256.as_str()).collect();
    let key = format!("{LAYOUT}\n{}\n{}\n", hashes.join("\n"), folders.join("\n"));
    let folder = cache.root().join("kits").join(cache::sha256(key.as_bytes()));
    let _held = cache.lock("kits")?;
    if !folder.exists() {
        progress("unpacking the kernel's headers and sources, once");
        let scratch = cache.scratch()?;
        let new = scratch.path().join("kit");
        make(&new, debs, folders)?;
        let above = cache.root().join("kits");
        fs::create_dir_all(&above).map_err(|error| disk("cannot be made", &above, &error))?;
        fs::rename(&new, &folder).map_err(|error| disk("cannot be moved", &folder, &error))?;
    }
    open(&folder)
}

fn open(folder: &Path) -> Result<Kit, Error> {
    let named = fs::read_to_string(folder.join("headers"));
    let named = named.map_err(|error| disk("cannot be read", folder, &error))?;
    Ok(Kit { headers: folder.join(PLACE).join(named), source: folder.join("source") })
}

fn make(folder: &Path, debs: &[(Part, PathBuf)], folders: &[&str]) -> Result<(), Error> {
    let source = folder.join("source");
    fs::create_dir_all(&source).map_err(|error| disk("cannot be made", &source, &error))?;
    for (part, path) in debs {
        if part.name.starts_with("linux-source-") {
            deb::read(path, &mut |name, file| match name.ends_with(".tar.xz") {
                true => take(file, folders, &source),
                false => Ok(()),
            })?;
        } else {
            deb::unpack_into(path, folder)?;
        }
    }
    let headers = debs.first().map_or("", |(part, _)| part.name.as_str());
    relocate(folder, headers).map_err(|error| disk("cannot be changed", folder, &error))
}

/// Takes the wanted folders' own files out of the archive of the sources.
fn take(file: &mut dyn Read, folders: &[&str], to: &Path) -> io::Result<()> {
    let mut stream = super::unpack::stream(file)?;
    for entry in tar::Archive::new(&mut stream).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        // The first folder's name is that of the release.
        let inner: PathBuf = path.components().skip(1).collect();
        let Some(parent) = inner.parent().and_then(Path::to_str) else { continue };
        if entry.header().entry_type().is_file() && folders.contains(&parent) {
            fs::create_dir_all(to.join(parent))?;
            entry.unpack(to.join(&inner))?;
        }
    }
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Makes the headers work where they are: they name each other by the place where they would be installed, and one of
/// them includes a file of the sources.
fn relocate(folder: &Path, headers: &str) -> io::Result<()> {
    let makefile = folder.join(PLACE).join(headers).join("Makefile");
    let text = fs::read_to_string(&makefile)?;
    let here = "$(dir $(abspath $(lastword $(MAKEFILE_LIST))))../";
    fs::write(&makefile, text.replace("/usr/src/", here))?;
    for entry in fs::read_dir(folder.join(PLACE))? {
        let common = entry?.path();
        if common.join("include/net").is_dir() {
            std::os::unix::fs::symlink("../../../source/net", common.join("net"))?;
        }
    }
    fs::write(folder.join("headers"), headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, version: &str, needs: &[&str]) -> Part {
        Part {
            name: name.into(),
            version: version.into(),
            sha256: String::new(),
            size: 1,
            archive: String::new(),
            needs: needs.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_kit_is_of_one_version_and_whole() {
        let mut all = vec![
            part("linux-headers-6.1.0-9-x", "6.1.9-1", &["linux-headers-6.1.0-9-common"]),
            part("linux-headers-6.1.0-9-common", "6.1.9-1", &[]),
            part("linux-source-6.1", "6.1.8-1", &[]),
        ];
        let error = pick(&all, "6.1.0-9-x", "6.1", "6.1.9-1").unwrap_err();
        assert_eq!(error.what, "the mirror does not have `linux-source-6.1` 6.1.9-1");
        all.push(part("linux-source-6.1", "6.1.9-1", &[]));
        let names = pick(&all, "6.1.0-9-x", "6.1", "6.1.9-1").unwrap();
        let names: Vec<&str> = names.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(
            names,
            ["linux-headers-6.1.0-9-x", "linux-headers-6.1.0-9-common", "linux-source-6.1"]
        );
    }

    #[test]
    fn build_tools_may_be_newer_and_not_older() {
        let older = part("linux-kbuild-6.1", "6.1.8-1", &[]);
        let mut all = vec![
            part("linux-headers-6.1.0-9-x", "6.1.9-1", &["linux-kbuild-6.1"]),
            part("linux-source-6.1", "6.1.9-1", &[]),
            older,
        ];
        let error = pick(&all, "6.1.0-9-x", "6.1", "6.1.9-1").unwrap_err();
        assert_eq!(error.what, "the mirror does not have `linux-kbuild-6.1` 6.1.9-1");
        all.push(part("linux-kbuild-6.1", "6.1.10-1", &[]));
        assert_eq!(pick(&all, "6.1.0-9-x", "6.1", "6.1.9-1").unwrap()[1].version, "6.1.10-1");
    }
}
