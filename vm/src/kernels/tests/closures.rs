//! Which modules a guest loads: order, soft wishes, circles, gaps and rebuilt files.

use super::super::Closure;
use super::*;

/// An image of these modules, each in a file of its own: (name, further .modinfo entries).
fn image(place: &Place, modules: &[(&str, &[&str])]) -> Image {
    let kernel = place.dir.path().join("bzImage");
    fs::write(&kernel, testing::bzimage(RELEASE, true)).unwrap();
    let folder = place.dir.path().join("modules");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("modules.builtin"), "kernel/lib/crc32.ko\n").unwrap();
    for (name, entries) in modules {
        fs::write(folder.join(format!("{name}.ko")), built(name, RELEASE, entries)).unwrap();
    }
    place.store().resolve(&KernelRef::Image { file: kernel, modules: Some(folder) }).unwrap()
}

fn built(name: &str, release: &str, entries: &[&str]) -> Vec<u8> {
    let (name, vermagic) = (format!("name={name}"), format!("vermagic={release} SMP"));
    let mut all = vec![name.as_str(), vermagic.as_str()];
    all.extend(entries);
    testing::module(&all)
}

fn rebuilt(place: &Place, file: &str, bytes: &[u8]) -> PathBuf {
    let path = place.dir.path().join(file);
    fs::write(&path, bytes).unwrap();
    path
}

fn with(image: &Image, required: &[&str], overrides: &[PathBuf]) -> Result<Closure, Error> {
    image.closure(&Wanted { required, optional: &[], overrides })
}

#[test]
fn needs_come_before_and_what_is_built_in_is_there_already() {
    let place = Place::new();
    let image = image(
        &place,
        &[
            ("8021q", &["depends=garp,mrp"]),
            ("garp", &["depends=stp-x,crc32"]),
            ("mrp", &["depends="]),
            ("stp_x", &[]),
        ],
    );
    assert_eq!(names(&image, &["8021q"]).unwrap(), ["stp_x", "garp", "mrp", "8021q"]);
}

#[test]
fn soft_wishes_are_met_where_they_can_be_and_circles_end() {
    let place = Place::new();
    let image = image(
        &place,
        &[
            ("a", &["softdep=pre: b nothing post: c"]),
            ("b", &["softdep=pre: a"]),
            ("c", &["depends=a"]),
        ],
    );
    assert_eq!(names(&image, &["a"]).unwrap(), ["b", "a", "c"]);
}

#[test]
fn what_an_optional_name_lacks_is_reported_and_what_a_required_one_lacks_fails() {
    let place = Place::new();
    let image = image(&place, &[("veth", &[])]);
    let optional = ["nft_counter", "veth", "crc32"];
    let wanted = Wanted { optional: &optional, ..Wanted::default() };
    let closure = image.closure(&wanted).unwrap();
    assert_eq!(
        (closure.absent, closure.builtin),
        (vec!["nft_counter".into()], vec!["crc32".into()])
    );
    let error = names(&image, &["macvlan"]).unwrap_err();
    assert_eq!(error.what, "the module `macvlan` is missing, and is not built in");
    assert!(error.place.contains(RELEASE) && error.help.contains("--module"), "{error}");
}

#[test]
fn a_need_that_is_missing_names_who_needs_it() {
    let place = Place::new();
    let image = image(&place, &[("bridge", &["depends=stp"])]);
    let error = names(&image, &["bridge"]).unwrap_err();
    assert_eq!(error.what, "the module `stp`, which `bridge` needs, is missing");
}

#[test]
fn a_rebuilt_module_takes_the_packaged_ones_place() {
    let place = Place::new();
    let image = image(&place, &[("macvlan", &[]), ("veth", &[]), ("llc", &[])]);
    let bytes = built("macvlan", RELEASE, &["depends=llc", "note=mine"]);
    let mine = rebuilt(&place, "macvlan.ko", &bytes);
    // Nobody asked for it by name: giving the file is asking.
    let closure = with(&image, &["veth"], std::slice::from_ref(&mine)).unwrap();
    let load: Vec<&str> = closure.load.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(load, ["veth", "llc", "macvlan"]);
    assert_eq!(closure.load[2].from.as_deref(), Some(mine.as_path()));
    assert_eq!(closure.load[2].bytes, bytes);
}

#[test]
fn a_rebuilt_module_that_does_not_fit_is_refused() {
    let place = Place::new();
    let image = image(&place, &[("macvlan", &[])]);
    let refused = |file: &str, bytes: &[u8]| {
        let path = rebuilt(&place, file, bytes);
        let error = with(&image, &[], std::slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.place, path.display().to_string());
        error.what
    };
    assert_eq!(
        refused("a.ko", &built("macvlan", "6.1.0-other", &[])),
        format!("the module was built for `6.1.0-other`, the kernel is `{RELEASE}`")
    );
    assert_eq!(
        refused("b.ko", &built("crc32", RELEASE, &[])),
        format!("`crc32` is built into `{RELEASE}`: a module cannot take its place")
    );
    assert!(refused("c.ko", b"words").starts_with("this is no kernel module: "));
    let twice =
        [rebuilt(&place, "d.ko", &built("macvlan", RELEASE, &[])), place.dir.path().join("d.ko")];
    let error = with(&image, &[], &twice).unwrap_err();
    assert_eq!(error.what, "the module `macvlan` is given twice");
    let none = with(&image, &[], &[place.dir.path().join("none.ko")]).unwrap_err();
    assert!(none.what.starts_with("the module cannot be read: "), "{none}");
}

#[test]
fn a_module_of_another_build_is_told_before_the_guest_refuses_it() {
    let place = Place::new();
    let image = image(&place, &[("veth", &[])]);
    let file = place.dir.path().join("modules/veth.ko");
    fs::write(file, built("veth", "7.2.0-older", &[])).unwrap();
    let error = names(&image, &["veth"]).unwrap_err();
    assert_eq!(error.what, "the module `veth` was built for `7.2.0-older`");
}
