//! Passes on a kernel of the series that ANYBODYS_SERIES names, and in a guest only.

#[test]
fn this_is_the_kernel_that_was_asked_for() {
    // Set while the test is built: the environment in the guest is another one.
    let series = env!("ANYBODYS_SERIES");
    let release = anybodys::release();
    println!("on {release}");
    assert!(release.starts_with(&format!("{series}.")), "{release}");
}

#[test]
fn there_is_no_network_but_loopback() {
    let links = std::fs::read_dir("/sys/class/net").expect("it is mounted");
    let names: Vec<_> = links.flatten().map(|link| link.file_name()).collect();
    assert_eq!(names, ["lo"]);
}
