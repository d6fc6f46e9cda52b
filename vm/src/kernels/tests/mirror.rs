//! apt end to end over an archive in a folder, signed with a key made for the test. No network.

use std::time::Duration;

use super::super::{Catalogue, Lock};
use super::*;

const SUITE: &str = "made-up";

/// An archive in a folder, and the key that signs it.
struct Archive {
    place: Place,
}

impl Archive {
    /// An archive with nothing in it, and a key for it.
    fn new() -> Self {
        let archive = Self { place: Place::new() };
        for folder in ["keys", "repo/pool", &format!("repo/dists/{SUITE}/main/binary-amd64")] {
            fs::create_dir_all(archive.at(folder)).unwrap();
        }
        archive.gpg(&["--quick-generate-key", "test@example.org", "ed25519"]);
        archive.gpg(&["--output", archive.at("key.gpg").to_str().unwrap(), "--export"]);
        let base = archive.at("repo");
        let line = format!("deb file:{} {SUITE} main\n", base.display());
        fs::write(archive.at("sources"), line).unwrap();
        archive
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.dir.path().join(name)
    }

    fn gpg(&self, args: &[&str]) {
        use std::os::unix::fs::PermissionsExt as _;
        let home = self.at("keys");
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let output = Command::new("gpg")
            .args(["--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"])
            .args(args)
            .env("GNUPGHOME", home)
            .output()
            .expect("gpg is installed (Debian: apt-get install gnupg)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Puts what lies in the pool into a new, signed index.
    fn publish(&self) {
        let mut packages = String::new();
        let mut debs: Vec<PathBuf> = fs::read_dir(self.at("repo/pool"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        debs.sort();
        for deb in debs {
            let file = deb.file_name().unwrap().to_str().unwrap();
            let (name, rest) = file.split_once('_').unwrap();
            let version = rest.trim_end_matches("_amd64.deb");
            let bytes = fs::read(&deb).unwrap();
            let depends = name.strip_prefix("linux-image-").map_or(String::new(), |at| {
                format!("Depends: kmod, linux-base-{at}, linux-binary-{at}, linux-modules-{at}\n")
            });
            packages.push_str(&format!(
                "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{depends}\
                 Filename: pool/{file}\nSize: {}\nSHA256: {}\n\n",
                bytes.len(),
                super::super::cache::sha256(&bytes),
            ));
        }
        let dists = self.at("repo/dists").join(SUITE);
        fs::write(dists.join("main/binary-amd64/Packages"), &packages).unwrap();
        let (hash, size) = (super::super::cache::sha256(packages.as_bytes()), packages.len());
        let release = format!(
            "Suite: {SUITE}\nCodename: {SUITE}\nDate: Wed, 01 Jan 2020 00:00:00 UTC\n\
             Architectures: amd64\nComponents: main\nSHA256:\n \
             {hash} {size} main/binary-amd64/Packages\n"
        );
        fs::write(dists.join("Release"), release).unwrap();
        let path = |name: &str| dists.join(name).to_str().unwrap().to_owned();
        self.gpg(&["--output", &path("InRelease"), "--clearsign", &path("Release")]);
    }

    fn pool(&self) -> PathBuf {
        self.at("repo/pool")
    }

    fn options(&self) -> Options {
        let text = format!(
            "architecture = 'amd64'\nkeyring = '{}'\n[[series]]\nname = '7.2'\n\
             package = 'linux-image-7.2.*-test'\nsuites = ['{SUITE}']\n",
            self.at("key.gpg").display()
        );
        Options {
            cache: Some(self.place.cache()),
            catalogue: Catalogue::parse(&text, "test").unwrap(),
            sources: Some(self.at("sources")),
            max_age: Duration::ZERO,
            ..Options::default()
        }
    }

    fn store(&self) -> Store {
        Store::open(self.options()).unwrap()
    }

    fn newest(&self) -> Result<Image, Error> {
        self.store().resolve(&KernelRef::Series("7.2".into()))
    }
}

/// An archive that has one split kernel, 7.2.1.
fn archive() -> Archive {
    let archive = Archive::new();
    split(&archive.pool());
    archive.publish();
    archive
}

/// Puts 7.2.2 in the place of 7.2.1: the whole kernel in its image package, so beside it nothing is needed.
fn move_on(archive: &Archive) {
    let noise: Vec<u8> =
        (0..60_000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let mut files = files("7.2.2-test");
    files.push(("usr/share/doc/noise".into(), noise));
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(p, bytes)| (p.as_str(), bytes.clone())).collect();
    fs::remove_dir_all(archive.pool()).unwrap();
    fs::create_dir(archive.pool()).unwrap();
    let name = "linux-image-7.2.2-test";
    testing::deb(&archive.pool(), name, "7.2.2-1", &files, Compression::Xz);
    archive.publish();
}

#[test]
fn a_series_is_fetched_checked_and_kept() {
    let archive = archive();
    let image = archive.newest().unwrap();
    assert_eq!(image.release, RELEASE);
    assert_eq!(image.packages.len(), 4);
    assert_eq!(names(&image, &["bridge"]).unwrap(), ["llc", "stp", "bridge"]);
    assert!(image.notes.is_empty(), "{:?}", image.notes);
    assert!(archive.place.kept("tmp").is_empty());
    // The mirror goes away: what was fetched stays of use, and why is told.
    fs::remove_dir_all(archive.at("repo")).unwrap();
    let image = archive.newest().unwrap();
    assert_eq!(image.release, RELEASE);
    assert!(image.notes[0].starts_with("an old list of `made-up` was used: "), "{:?}", image.notes);
}

#[test]
fn a_foreign_signature_is_refused() {
    let archive = archive();
    let other = Archive::new();
    fs::copy(other.at("key.gpg"), archive.at("key.gpg")).unwrap();
    let error = archive.newest().unwrap_err();
    assert!(error.what.starts_with("`apt-get` failed: "), "{error}");
    assert!(error.help.contains("debian-archive-keyring"), "{error}");
    assert!(archive.place.kept("debs").is_empty() && archive.place.kept("images").is_empty());
}

#[test]
fn a_keyring_that_is_not_there_is_named() {
    let archive = archive();
    fs::remove_file(archive.at("key.gpg")).unwrap();
    let error = archive.newest().unwrap_err();
    assert_eq!(error.what, "the keys that sign Debian's archives are not on this machine");
}

#[test]
fn a_package_that_is_not_the_signed_one_is_refused() {
    let archive = archive();
    let name = format!("linux-modules-{RELEASE}_7.2.1-1_amd64.deb");
    let deb = archive.pool().join(name);
    let mut bytes = fs::read(&deb).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&deb, bytes).unwrap();
    let error = archive.newest().unwrap_err();
    assert!(error.place.starts_with("linux-modules-7.2.1-test"), "{error}");
    assert!(archive.place.kept("images").is_empty() && archive.place.kept("tmp").is_empty());
}

#[test]
fn a_series_in_part_and_a_series_that_is_gone_are_named() {
    let archive = archive();
    fs::remove_file(archive.pool().join(format!("linux-modules-{RELEASE}_7.2.1-1_amd64.deb")))
        .unwrap();
    archive.publish();
    let error = archive.newest().unwrap_err();
    assert_eq!(
        error.what,
        "the mirror has series `7.2` in part only, without `linux-modules-7.2.1-test`"
    );
    fs::remove_dir_all(archive.pool()).unwrap();
    fs::create_dir(archive.pool()).unwrap();
    archive.publish();
    let error = archive.newest().unwrap_err();
    assert_eq!(error.what, "the mirror no longer has series `7.2`");
    assert!(error.help.contains("HAIRPIN_KERNEL_SOURCES"), "{error}");
}

#[test]
fn a_suite_that_was_never_reached_is_an_error_with_help() {
    let archive = archive();
    fs::remove_dir_all(archive.at("repo")).unwrap();
    let error = archive.newest().unwrap_err();
    assert!(error.what.starts_with("`apt-get` failed: "), "{error}");
    assert!(error.place.ends_with(" made-up") && !error.help.is_empty(), "{error}");
}

#[test]
fn a_lock_holds_while_the_mirror_moves_on() {
    let archive = archive();
    archive.newest().unwrap();
    let lock = archive.store().pins(&["7.2".into(), "6.1".into()]);
    assert_eq!(lock.series.keys().collect::<Vec<_>>(), ["7.2"]);
    let path = archive.at("kernels.lock");
    fs::write(&path, lock.to_text()).unwrap();
    let lock = Lock::read(&path).unwrap();
    let series = KernelRef::Series("7.2".into());
    let locked = || archive.store().resolve_locked(&series, &lock);
    assert_eq!(locked().unwrap().release, RELEASE);
    move_on(&archive);
    assert_eq!(archive.newest().unwrap().release, "7.2.2-test");
    assert_eq!(locked().unwrap().release, RELEASE);
    // Where it was never fetched it cannot be had any more, and that is told.
    fs::remove_dir_all(archive.place.cache()).unwrap();
    let error = locked().unwrap_err();
    assert_eq!(error.what, "the mirror no longer has `linux-image-7.2.1-test` 7.2.1-1");
    let other = Lock::default();
    let error = archive.store().resolve_locked(&series, &other).unwrap_err();
    assert_eq!(error.what, "the series `7.2` is not in the lock file");
    fs::write(&path, "words").unwrap();
    assert!(Lock::read(&path).unwrap_err().what.starts_with("the lock file is damaged"));
}

#[test]
fn single_versions_are_listed_and_fetched() {
    let archive = archive();
    move_on(&archive);
    split(&archive.pool());
    archive.publish();
    let versions = archive.store().versions("7.2").unwrap();
    let versions: Vec<&str> = versions.iter().map(|candidate| candidate.version.as_str()).collect();
    assert_eq!(versions, ["7.2.1-1", "7.2.2-1"]);
    let fetch = |version: &str| {
        let (series, version) = ("7.2".into(), version.into());
        archive.store().resolve(&KernelRef::Version { series, version })
    };
    assert_eq!(fetch("7.2.1-1").unwrap().release, RELEASE);
    let error = fetch("7.2.9-1").unwrap_err();
    assert_eq!(error.what, "the mirror has no version `7.2.9-1`");
    assert_eq!(error.help, "it has: 7.2.1-1 7.2.2-1");
}

#[test]
fn several_processes_may_fetch_at_once() {
    let archive = archive();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| archive.newest().unwrap())).collect();
        for run in runs {
            assert_eq!(run.join().unwrap().release, RELEASE);
        }
    });
    assert_eq!(archive.place.kept("debs").len(), 4);
    assert!(archive.place.kept("tmp").is_empty());
}
