//! Kernels of one's own: an image file, a folder of modules, a built tree.

use super::*;

fn image(place: &Place, file: &Path, modules: Option<PathBuf>) -> Result<Image, Error> {
    place.store().resolve(&KernelRef::Image { file: file.into(), modules })
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_built_tree_is_found_by_its_folder() {
    let place = Place::new();
    let tree = place.dir.path().join("linux");
    write(&tree.join("Makefile"), b"");
    write(&tree.join(".config"), b"CONFIG_PVH=y\n");
    write(&tree.join("arch/x86/boot/bzImage"), &testing::bzimage(RELEASE, true));
    write(&tree.join("modules.builtin"), b"kernel/net/llc/llc.ko\n");
    write(&tree.join("drivers/net/veth.ko"), &module("veth", "llc"));
    let kernel = KernelRef::parse(tree.to_str().unwrap(), None, place.store().catalogue()).unwrap();
    assert_eq!(kernel, KernelRef::Tree(tree.clone()));
    let image = place.store().resolve(&kernel).unwrap();
    assert_eq!((image.release.as_str(), image.pvh), (RELEASE, true));
    assert_eq!(names(&image, &["veth"]).unwrap(), ["veth"]);
    assert_eq!(image.title(), RELEASE);
    image.require_options(&["CONFIG_PVH"]).unwrap();
    // Built again, it is another kernel: nothing of the first is remembered.
    write(&tree.join("arch/x86/boot/bzImage"), &testing::bzimage("7.2.2-test", true));
    assert_eq!(place.store().resolve(&kernel).unwrap().release, "7.2.2-test");
}

#[test]
fn a_tree_that_was_not_built_says_so() {
    let place = Place::new();
    let tree = place.dir.path().join("linux");
    write(&tree.join("Makefile"), b"");
    let error = place.store().resolve(&KernelRef::Tree(tree)).unwrap_err();
    assert_eq!(error.what, "the tree holds no built kernel");
    assert_eq!(error.help, "run `make bzImage modules` in it");
}

#[test]
fn an_image_alone_boots_and_has_no_modules() {
    let place = Place::new();
    let file = place.dir.path().join("bzImage");
    write(&file, &testing::bzimage(RELEASE, true));
    let image = image(&place, &file, None).unwrap();
    assert_eq!(image.presence("veth"), Presence::Absent);
    assert_eq!(
        image.require_options(&["CONFIG_PVH"]).unwrap_err().what,
        "the kernel's build options are not known"
    );
}

#[test]
fn a_vmlinux_is_booted_as_it_is_if_it_can_be() {
    let place = Place::new();
    let file = place.dir.path().join("vmlinux");
    let banner = format!("\0Linux version %s\0Linux version {RELEASE} (made up) #1\n");
    let elf = |pvh| [testing::vmlinux(pvh), banner.clone().into_bytes()].concat();
    write(&file, &elf(true));
    let image_of = || image(&place, &file, None);
    let found = image_of().unwrap();
    assert_eq!((found.release.as_str(), found.boot_file()), (RELEASE, file.as_path()));
    write(&file, &elf(false));
    assert_eq!(image_of().unwrap_err().what, "this vmlinux cannot be booted by PVH");
}

#[test]
fn a_payload_that_cannot_be_unpacked_falls_back_to_the_bzimage() {
    let place = Place::new();
    let file = place.dir.path().join("bzImage");
    let mut bytes = testing::bzimage(RELEASE, true);
    let payload = 1024 + 512;
    bytes[payload..payload + 2].copy_from_slice(b"BZ");
    write(&file, &bytes);
    let image = image(&place, &file, None).unwrap();
    assert_eq!((image.boot_file(), image.pvh), (file.as_path(), false));
    assert_eq!(
        image.notes,
        ["booted from its bzImage: its payload is packed in a way not known here"]
    );
}

#[test]
fn other_files_are_no_kernels() {
    let place = Place::new();
    let file = place.dir.path().join("kernel");
    write(&file, b"words");
    assert_eq!(image(&place, &file, None).unwrap_err().what, "this is no kernel for amd64");
}
