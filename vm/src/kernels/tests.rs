//! The store as a user meets it, over made-up kernels: whole, split, damaged, on a full disk, several at once.

mod closures;
mod locals;
mod mirror;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hairpin_model::Error;
use tempfile::TempDir;

use super::testing::{self, Compression};
use super::{Image, KernelRef, Options, Presence, Store, Wanted};

const RELEASE: &str = "7.2.1-test";

/// A cache and a folder for packages, both gone at the end.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("debs")).unwrap();
        Self { dir }
    }

    fn debs(&self) -> PathBuf {
        self.dir.path().join("debs")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn store(&self) -> Store {
        Store::open(Options { cache: Some(self.cache()), ..Options::default() }).unwrap()
    }

    fn resolve(&self) -> Result<Image, Error> {
        self.store().resolve(&KernelRef::Debs(self.debs()))
    }

    /// Names of what lies in a folder of the cache.
    fn kept(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.cache().join(folder)).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

fn module(name: &str, depends: &str) -> Vec<u8> {
    let vermagic = format!("vermagic={RELEASE} SMP mod_unload");
    testing::module(&[&format!("name={name}"), &format!("depends={depends}"), &vermagic])
}

/// The files of a kernel: three modules, one of them packed, one name built in.
fn files(release: &str) -> Vec<(String, Vec<u8>)> {
    let at = format!("usr/lib/modules/{release}");
    let mut files = vec![
        (format!("boot/vmlinuz-{release}"), testing::bzimage(release, true)),
        (format!("boot/config-{release}"), b"CONFIG_PVH=y\nCONFIG_VETH=m\n".to_vec()),
        (format!("{at}/modules.builtin"), b"kernel/net/packet/af-packet.ko\n".to_vec()),
    ];
    for (path, bytes) in [
        ("net/veth.ko", module("veth", "")),
        ("net/bridge.ko.xz", testing::xz(&module("bridge", "stp,llc"))),
        ("net/stp.ko.gz", testing::gzip(&module("stp", "llc"))),
        ("net/llc.ko", module("llc", "")),
    ] {
        files.push((format!("{at}/kernel/{path}"), bytes));
    }
    files
}

/// Writes the packages of a kernel that is split as Debian's are from 6.19 on.
fn split(folder: &Path) {
    let files = files(RELEASE);
    let part = |kind: &str, want: &dyn Fn(&str) -> bool| {
        let chosen: Vec<(&str, Vec<u8>)> = files
            .iter()
            .filter(|(path, _)| want(path))
            .map(|(path, bytes)| (path.as_str(), bytes.clone()))
            .collect();
        let name = format!("linux-{kind}-{RELEASE}");
        testing::deb(folder, &name, "7.2.1-1", &chosen, Compression::Xz);
    };
    part("image", &|_| false);
    part("binary", &|path| path.contains("vmlinuz"));
    part("base", &|path| path.contains("config") || path.ends_with("modules.builtin"));
    part("modules", &|path| path.contains(".ko") && !path.ends_with("builtin"));
}

fn one(folder: &Path, release: &str) -> PathBuf {
    let files = files(release);
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let name = format!("linux-image-{release}");
    testing::deb(folder, &name, "7.2.1-1", &files, Compression::Zstd)
}

fn names(image: &Image, required: &[&str]) -> Result<Vec<String>, Error> {
    let closure = image.closure(&Wanted { required, ..Wanted::default() })?;
    Ok(closure.load.into_iter().map(|module| module.name).collect())
}

#[test]
fn a_split_kernel_becomes_one_image() {
    let place = Place::new();
    split(&place.debs());
    let image = place.resolve().unwrap();
    assert_eq!((image.release.as_str(), image.pvh), (RELEASE, true));
    assert_eq!(image.title(), format!("linux-image-{RELEASE} 7.2.1-1"));
    assert_eq!(image.packages.len(), 4);
    assert!(image.boot_file().ends_with("vmlinux") && image.boot_file().exists());
    assert_eq!(image.presence("af_packet"), Presence::Builtin);
    assert_eq!(image.presence("macvlan"), Presence::Absent);
    assert_eq!(names(&image, &["bridge", "veth"]).unwrap(), ["llc", "stp", "bridge", "veth"]);
    image.require_options(&["CONFIG_PVH"]).unwrap();
    let error = image.require_options(&["CONFIG_KASAN"]).unwrap_err();
    assert_eq!(error.what, "the kernel was built without `CONFIG_KASAN`");
}

#[test]
fn one_package_is_enough_and_is_unpacked_once() {
    let place = Place::new();
    let deb = KernelRef::Deb(one(&place.debs(), RELEASE));
    let first = place.store().resolve(&deb).unwrap();
    let made = fs::metadata(first.boot_file()).unwrap().modified().unwrap();
    assert_eq!(names(&first, &["bridge"]).unwrap(), ["llc", "stp", "bridge"]);
    let again = place.store().resolve(&deb).unwrap();
    assert_eq!(fs::metadata(again.boot_file()).unwrap().modified().unwrap(), made);
    // Now from the modules that were kept unpacked.
    assert_eq!(names(&again, &["bridge"]).unwrap(), ["llc", "stp", "bridge"]);
    assert!(place.kept("tmp").is_empty());
}

#[test]
fn without_pvh_the_bzimage_is_booted_and_that_is_noted() {
    let place = Place::new();
    let kernel = testing::bzimage(RELEASE, false);
    let mut all = files(RELEASE);
    all[0].1 = kernel;
    let all: Vec<(&str, Vec<u8>)> =
        all.iter().map(|(p, bytes)| (p.as_str(), bytes.clone())).collect();
    testing::deb(&place.debs(), "linux-image-x", "1", &all, Compression::Plain);
    let image = place.resolve().unwrap();
    assert!(image.boot_file().ends_with("bzimage"));
    assert_eq!(image.notes, ["built without CONFIG_PVH: booted from its bzImage"]);
}

#[test]
fn a_cut_package_leaves_nothing_behind() {
    let place = Place::new();
    let deb = one(&place.debs(), RELEASE);
    let whole = fs::read(&deb).unwrap();
    fs::write(&deb, &whole[..whole.len() / 2]).unwrap();
    let error = place.resolve().unwrap_err();
    assert!(error.what.starts_with("the package cannot be read: "), "{error}");
    assert!(error.help.contains("fetch it again"), "{error}");
    assert!(place.kept("images").is_empty() && place.kept("tmp").is_empty());
    fs::write(&deb, whole).unwrap();
    place.resolve().unwrap();
}

#[test]
fn a_missing_part_is_named() {
    let place = Place::new();
    split(&place.debs());
    let part = |kind: &str| place.debs().join(format!("linux-{kind}-{RELEASE}_7.2.1-1_amd64.deb"));
    for (kind, what) in [
        ("modules", "the packages hold no modules"),
        ("binary", "the packages hold no kernel image"),
        ("base", "the packages hold no `modules.builtin`"),
    ] {
        let away = place.dir.path().join("away");
        fs::rename(part(kind), &away).unwrap();
        assert_eq!(place.resolve().unwrap_err().what, what);
        fs::rename(&away, part(kind)).unwrap();
    }
    place.resolve().unwrap();
}

#[test]
fn packages_of_two_kernels_are_refused() {
    let place = Place::new();
    one(&place.debs(), RELEASE);
    let other = one(&place.debs(), "7.2.2-test");
    let what = "the packages do not belong together: `7.2.2-test` and `7.2.1-test`";
    assert_eq!(place.resolve().unwrap_err().what, what);
    // Also when the other one brings no modules.
    fs::remove_file(other).unwrap();
    let kernel = [("boot/vmlinuz-7.2.2-test", testing::bzimage("7.2.2-test", true))];
    testing::deb(&place.debs(), "linux-image-x", "1", &kernel, Compression::Plain);
    assert_eq!(place.resolve().unwrap_err().what, what);
}

#[test]
fn a_folder_without_packages_is_no_kernel() {
    let place = Place::new();
    fs::write(place.debs().join("linux-headers-1_1_amd64.deb"), "not looked at").unwrap();
    assert_eq!(place.resolve().unwrap_err().what, "the folder holds no kernel packages");
}

#[test]
fn several_stores_at_once_make_one_image() {
    let place = Place::new();
    split(&place.debs());
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| place.resolve().unwrap())).collect();
        for run in runs {
            assert_eq!(run.join().unwrap().release, RELEASE);
        }
    });
    assert_eq!(place.kept("images").len(), 1);
    assert!(place.kept("tmp").is_empty());
}

/// What a killed process leaves: its lock's file, its scratch folder, and at worst half an image.
#[test]
fn what_a_killed_process_left_is_no_hindrance() {
    let place = Place::new();
    split(&place.debs());
    let image = place.resolve().unwrap();
    let folder = image.boot_file().parent().unwrap().to_owned();
    fs::remove_file(folder.join("index.json")).unwrap();
    fs::create_dir(place.cache().join("tmp/left")).unwrap();
    assert!(!place.kept("locks").is_empty());
    assert_eq!(place.resolve().unwrap().boot_file(), image.boot_file());
}

/// Runs itself again on a file system of 200 KiB, in namespaces of its own.
#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    const FOLDER: &str = "HAIRPIN_TEST_FULL_DISK";
    if let Some(folder) = std::env::var_os(FOLDER) {
        on_a_full_disk(Path::new(&folder));
        return;
    }
    let place = Place::new();
    let noise: Vec<u8> =
        (0..100_000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let mut all = files(RELEASE);
    all.push((format!("usr/lib/modules/{RELEASE}/kernel/big.ko"), noise));
    let all: Vec<(&str, Vec<u8>)> =
        all.iter().map(|(p, bytes)| (p.as_str(), bytes.clone())).collect();
    testing::deb(&place.debs(), "linux-image-x", "1", &all, Compression::Plain);
    fs::create_dir(place.cache()).unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=200k none \"$1/cache\" && exec \"$2\" --exact \"$3\" --nocapture")
        .args(["sh".as_ref(), place.dir.path().as_os_str()])
        .arg(std::env::current_exe().unwrap())
        .arg("kernels::tests::a_full_disk_is_told_and_leaves_nothing_behind")
        .env(FOLDER, place.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("the disk was full"), "{said}");
}

fn on_a_full_disk(folder: &Path) {
    let cache = folder.join("cache");
    let store = Store::open(Options { cache: Some(cache.clone()), ..Options::default() }).unwrap();
    let error = store.resolve(&KernelRef::Debs(folder.join("debs"))).unwrap_err();
    assert!(error.what.contains("No space left on device"), "{error}");
    assert!(error.help.starts_with("free some space"), "{error}");
    for folder in ["tmp", "images"] {
        assert_eq!(fs::read_dir(cache.join(folder)).unwrap().count(), 0, "{folder}");
    }
    println!("the disk was full, and that was told");
}
