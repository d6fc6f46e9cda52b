//! Topologies that cannot be: the error says what, where and what to do, in the kernel's own words
//! where it was the kernel that refused, and nothing is left behind.

use std::collections::BTreeMap;
use std::fs;

use hairpin_harness::{Error, Lab, Mac, Mode, Rule, Topology, suite};
use nix::sched::{CloneFlags, unshare};
use rstest::rstest;

// For the sandbox; the labs here are not cases.
const RULES: &[Rule] = &[];
suite!(RULES);

/// A parent `p0` on a cable, for children in `c1` and `c2`.
fn parent() -> Topology {
    Topology::new("t").host("c1").host("c2").netns("p").netns("x").cable("p:p0", "x:x0")
}

/// The error of a topology that cannot be built, when it has left nothing behind.
///
/// What a lab leaves could only be open descriptors (its namespaces and sockets) and links in the
/// namespace of this thread. The thread first gets a table of descriptors of its own, so that the
/// labs of other tests do not show.
fn refusal(topology: &Topology) -> Error {
    unshare(CloneFlags::CLONE_FILES).expect("a thread may part with the others' descriptors");
    let before = (descriptors(), here());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let refused = runtime.block_on(Lab::build(topology));
    drop(runtime);
    let error = refused.map(|lab| lab.topology().wiring()).expect_err("this cannot be built");
    assert_eq!((descriptors(), here()), before, "left behind by: {error}");
    error
}

/// The thread's open descriptors.
fn descriptors() -> BTreeMap<String, String> {
    let folder = fs::read_dir("/proc/thread-self/fd").expect("a thread sees its descriptors");
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a thread sees its descriptors");
        // The folder itself is open while it is read.
        let target = fs::read_link(entry.path()).ok()?;
        let target = target.to_string_lossy().into_owned();
        let own = target.ends_with("/fd");
        (!own).then(|| (entry.file_name().to_string_lossy().into_owned(), target))
    };
    folder.filter_map(entry).collect()
}

/// The thread's namespace, and the links there.
fn here() -> (String, Vec<String>) {
    let namespace = fs::read_link("/proc/thread-self/ns/net").expect("/proc is mounted");
    let links = fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is mounted");
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.trim().to_owned());
    (namespace.to_string_lossy().into_owned(), links.lines().filter_map(name).collect())
}

/// The error as text, without what only some kernels say beyond the name of the error.
fn told(topology: &Topology) -> String {
    let error = refusal(topology).to_string();
    let (what, rest) = error.split_once('\n').expect("what, where, help are a line each");
    match what.rsplit_once(": ") {
        Some((what, words)) if words.ends_with(')') => {
            let name = words.rsplit_once('(').map_or("", |(_, name)| name.trim_end_matches(')'));
            format!("{what}: {name}\n{rest}")
        }
        _ => error,
    }
}

#[test]
fn a_parent_with_a_passthru_child_takes_no_other() {
    let owned = parent().macvlan("c1:c0", "p:p0", Mode::Passthru);
    insta::assert_snapshot!(told(&owned.macvlan("c2:c0", "p:p0", Mode::Passthru)), @r"
    the kernel refused to make `c2:c0`, a macvlan in passthru mode on `p:p0`: Invalid argument
      where: topology `t`, `c2:c0`
      help:  the kernel refuses this topology: change it, or assert the refusal
    ");
}

/// Whichever way round they are added: bridges come first.
#[test]
fn a_bridge_port_is_no_parent() {
    let child = |t: Topology| t.macvlan("c1:c0", "p:p0", Mode::Bridge);
    let port = |t: Topology| t.port("p:p0", "br");
    for both in [child(port(parent().bridge("p:br"))), port(child(parent().bridge("p:br")))] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&both), @r"
            the kernel refused to make `c1:c0`, a macvlan in bridge mode on `p:p0`: Device or resource busy
              where: topology `t`, `c1:c0`
              help:  the link already serves another purpose (bridge port, macvlan parent)
            ");
        }
    }
}

#[test]
fn siblings_have_addresses_of_their_own() {
    let same = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x01]);
    let twins = parent().macvlan("c1:c0", "p:p0", Mode::Bridge).mac("c1:c0", same);
    let twins = twins.macvlan("c2:c0", "p:p0", Mode::Bridge).mac("c2:c0", same);
    insta::assert_snapshot!(told(&twins), @r"
    the kernel refused to make `c2:c0`, a macvlan in bridge mode on `p:p0`: Address already in use
      where: topology `t`, `c2:c0`
      help:  another link of the same parent has this address
    ");
}

/// These words are the kernel's own, and all kernels have them.
#[test]
fn the_kernels_own_words_are_told() {
    insta::assert_snapshot!(refusal(&parent().bridge("p:br").mtu("p:br", 10)), @r"
    the kernel refused to make `p:br`, a bridge: mtu less than device minimum (Invalid argument)
      where: topology `t`, `p:br`
      help:  the kernel refuses this topology: change it, or assert the refusal
    ");
    let nested = parent().bridge("x:outer").bridge("x:inner").port("x:inner", "outer");
    insta::assert_snapshot!(refusal(&nested), @r"
    the kernel refused to make `x:inner`, a bridge: Can not enslave a bridge to a bridge (Too many symbolic links encountered)
      where: topology `t`, `x:inner`
      help:  the kernel refuses this topology: change it, or assert the refusal
    ");
    let lost = parent().address("p:p0", "192.0.2.1/24");
    insta::assert_snapshot!(refusal(&lost.route("p", "198.51.100.0/24", "203.0.113.1")), @r"
    the kernel refused to add the route 198.51.100.0/24 via 203.0.113.1: Nexthop has invalid gateway (Network is unreachable)
      where: topology `t`, `p`
      help:  the kernel refuses this topology: change it, or assert the refusal
    ");
}

#[test]
fn a_sysctl_that_is_not_there_is_named() {
    let topology = parent().sysctl("p", "ipv4.no_such_thing", "1");
    insta::assert_snapshot!(refusal(&topology), @r"
    cannot set `net.ipv4.no_such_thing` to `1`: No such file or directory (os error 2)
      where: topology `t`, `p`
      help:  check its name below `net.`, and that this kernel has it for each network namespace
    ");
}

/// On a kernel that has the driver this topology is sound, and there is nothing to see.
#[test]
fn a_driver_that_is_missing_is_named() {
    let vlan = parent().vlan("p:v5", "p:p0", 5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let built = runtime.expect("a runtime can be made").block_on(Lab::build(&vlan)).is_ok();
    if built {
        eprintln!("not checked: this kernel has the driver `vlan`");
        return;
    }
    insta::assert_snapshot!(refusal(&vlan), @r"
    the kernel refused to make `p:v5`, a vlan: Unknown device type (Operation not supported on transport endpoint)
      where: topology `t`, `p:v5`
      help:  this kernel lacks the driver or the feature: see `hairpin doctor`
    ");
}

/// What can be known from the value alone is told before the kernel is asked.
#[rstest]
#[case::long_name(parent().bridge("p:a-very-long-bridge"), "`a-very-long-bridge` is 18 bytes long")]
#[case::numbered_name(parent().bridge("p:br%d"), "the kernel takes no link named `br%d`")]
#[case::unknown_parent(
    parent().macvlan("c1:c0", "p:nowhere", Mode::Vepa),
    "`c1:c0` has an unknown parent `p:nowhere`"
)]
#[case::address_twice(
    parent().address("p:p0", "192.0.2.1/24").address("x:x0", "192.0.2.1/24"),
    "`p:p0` and `x:x0` both have 192.0.2.1"
)]
fn a_mistake_in_the_value_is_told(#[case] topology: Topology, #[case] what: &str) {
    let error = refusal(&topology);
    assert!(error.what.starts_with(what), "{error}");
    assert!(error.place.starts_with("topology `t`, `"), "{error}");
    assert!(!error.help.is_empty(), "{error}");
}

/// A live lab that cannot grow is as it was.
#[test]
fn a_refused_link_takes_those_before_it_away() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.expect("a runtime can be made").block_on(async {
        let mut lab = Lab::build(&parent()).await?;
        let first = |lan: Topology| lan.bridge("x:br").macvlan("c1:c0", "p:p0", Mode::Passthru);
        let both = |lan: Topology| first(lan).macvlan("c2:c0", "p:p0", Mode::Passthru);
        let refused = lab.grow(both).await;
        assert!(refused.is_err_and(|e| e.what.contains("`c2:c0`")));
        assert_eq!(*lab.topology(), parent());
        // Were they still there, their names would be taken.
        lab.grow(first).await
    });
    ended.unwrap_or_else(|error: Error| panic!("{error}"));
}
