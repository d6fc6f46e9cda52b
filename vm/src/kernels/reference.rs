//! What a user may name as a kernel: `6.12`, `6.12.90-1`, a package, a folder of packages, an image, a tree.

use std::path::{Path, PathBuf};

use hairpin_model::Error;

use super::Catalogue;

/// A kernel as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelRef {
    /// The newest whole kernel of a series.
    Series(String),
    /// One package version of a series.
    Version {
        /// The series that it belongs to.
        series: String,
        /// The image package's full version.
        version: String,
    },
    /// One package file that holds it all.
    Deb(PathBuf),
    /// A folder of package files.
    Debs(PathBuf),
    /// An image file, and the folder of its modules if there is one.
    Image {
        /// A bzImage or vmlinux.
        file: PathBuf,
        /// A folder under which the modules are.
        modules: Option<PathBuf>,
    },
    /// A built kernel tree.
    Tree(PathBuf),
}

impl KernelRef {
    /// Reads what stands behind `--kernel`, with the folder behind `--modules` if that is given.
    ///
    /// A name with a `/`, or of a file that is there, is a path; anything else is a series or a version.
    pub fn parse(text: &str, modules: Option<&Path>, catalogue: &Catalogue) -> Result<Self, Error> {
        let path = expand(text);
        let is_path = text.contains('/') || text.starts_with('~') || text == "." || path.exists();
        let kernel = if is_path { at_path(&path, modules)? } else { named(text, catalogue)? };
        match (&kernel, modules) {
            (Self::Image { .. }, _) | (_, None) => Ok(kernel),
            (_, Some(modules)) => Err(Error::new(
                "only an image file takes a folder of modules",
                modules.display().to_string(),
                "drop --modules, or name a bzImage or vmlinux with --kernel",
            )),
        }
    }
}

fn named(text: &str, catalogue: &Catalogue) -> Result<KernelRef, Error> {
    if catalogue.find(text).is_ok() {
        return Ok(KernelRef::Series(text.to_owned()));
    }
    match catalogue.series_of(text) {
        Some(series) => {
            Ok(KernelRef::Version { series: series.name.clone(), version: text.to_owned() })
        }
        None => catalogue.find(text).map(|_| KernelRef::Series(text.to_owned())),
    }
}

fn at_path(path: &Path, modules: Option<&Path>) -> Result<KernelRef, Error> {
    let data = std::fs::metadata(path).map_err(|error| {
        let place = path.display().to_string();
        Error::new(format!("the kernel cannot be read: {error}"), place, "check the path")
    })?;
    let path = path.to_owned();
    Ok(match () {
        () if data.is_dir() && is_tree(&path) => KernelRef::Tree(path),
        () if data.is_dir() => KernelRef::Debs(path),
        () if path.extension().is_some_and(|end| end == "deb") => KernelRef::Deb(path),
        () => KernelRef::Image { file: path, modules: modules.map(Path::to_owned) },
    })
}

fn is_tree(path: &Path) -> bool {
    path.join("Makefile").exists() || path.join("include/config/kernel.release").exists()
}

/// The shell leaves `~` alone in `--kernel=~/linux`.
fn expand(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KernelRef, Error> {
        KernelRef::parse(text, None, &Catalogue::built_in())
    }

    #[test]
    fn names() {
        assert_eq!(parse("6.12").unwrap(), KernelRef::Series("6.12".into()));
        let version = KernelRef::Version { series: "6.12".into(), version: "6.12.90-1".into() };
        assert_eq!(parse("6.12.90-1").unwrap(), version);
        assert_eq!(parse("4.4").unwrap_err().what, "there is no kernel series `4.4`");
    }

    #[test]
    fn paths() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a.deb"), "").unwrap();
        std::fs::write(at("bzImage"), "").unwrap();
        std::fs::create_dir(at("tree")).unwrap();
        std::fs::write(at("tree/Makefile"), "").unwrap();
        let of = |name: &str| parse(at(name).to_str().unwrap());
        assert_eq!(of("a.deb").unwrap(), KernelRef::Deb(at("a.deb")));
        assert_eq!(of("bzImage").unwrap(), KernelRef::Image { file: at("bzImage"), modules: None });
        assert_eq!(of("tree").unwrap(), KernelRef::Tree(at("tree")));
        assert_eq!(of("").unwrap(), KernelRef::Debs(dir.path().join("")));
        assert!(of("none").unwrap_err().what.starts_with("the kernel cannot be read: "));
    }

    #[test]
    fn modules_go_with_an_image_only() {
        let modules = Some(Path::new("/m"));
        let error = KernelRef::parse("6.12", modules, &Catalogue::built_in()).unwrap_err();
        assert_eq!(error.what, "only an image file takes a folder of modules");
    }
}
