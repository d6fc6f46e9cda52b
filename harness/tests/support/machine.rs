//! The machine's own network as text, without what counts or runs down by itself.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::process::Command;

use futures::{Stream, TryStreamExt};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::RouteAttribute;
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};

/// What is compared: one text a thing.
pub(crate) type Machine = BTreeMap<String, String>;

/// Links, addresses, routes, rules, rulesets, sysctls and named namespaces.
pub(crate) fn snapshot() -> Machine {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut machine = runtime.expect("a runtime can be made").block_on(netlink());
    read_tree(Path::new("/proc/sys/net"), &mut machine);
    machine.insert("/run/netns".into(), listing(Path::new("/run/netns")));
    // A namespace that has a name is a mount of this kind.
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let named: Vec<&str> = mounts.lines().filter(|line| line.contains(" nsfs ")).collect();
    machine.insert("named namespaces".into(), named.join("\n"));
    if let Ok(nft) = Command::new("nft").args(["--stateless", "list", "ruleset"]).output() {
        let ruleset = String::from_utf8_lossy(&nft.stdout).into_owned();
        machine.insert("nft ruleset".into(), ruleset);
    }
    machine
}

/// What differs, a line a thing. A sysctl that is there only afterwards came with a driver that the
/// kernel loaded when it was first asked for: nothing that was there has changed.
pub(crate) fn differences(before: &Machine, after: &Machine) -> Vec<String> {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    let new = new.filter(|key| !key.starts_with("/proc/sys/")).map(|key| format!("{key} is new"));
    let changed = before.iter().filter(|(key, text)| after.get(*key) != Some(text));
    let told = |(key, text): (&String, &String)| match after.get(key) {
        Some(other) => format!("{key} was {text:?} and is {other:?}"),
        None => format!("{key} is gone"),
    };
    changed.map(told).chain(new).collect()
}

async fn netlink() -> Machine {
    let (connection, handle, _) = rtnetlink::new_connection().expect("netlink opens");
    tokio::spawn(connection);
    let mut machine = links_and_addresses(&handle).await;
    for version in [IpVersion::V4, IpVersion::V6] {
        let rules = all(handle.rule().get(version.clone()).execute()).await;
        machine.insert(format!("rules {version:?}"), text(&rules));
        let wanted = match version {
            IpVersion::V4 => RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
            IpVersion::V6 => RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
        };
        let mut routes = all(handle.route().get(wanted).execute()).await;
        for route in &mut routes {
            let runs = |a: &RouteAttribute| {
                matches!(a, RouteAttribute::CacheInfo(_) | RouteAttribute::Expires(_))
            };
            route.attributes.retain(|attribute| !runs(attribute));
        }
        machine.insert(format!("routes {version:?}"), text(&routes));
    }
    machine
}

async fn links_and_addresses(handle: &Handle) -> Machine {
    let mut links = all(handle.link().get().execute()).await;
    for link in &mut links {
        let counts = |a: &LinkAttribute| {
            // The last has the counters of IPv6; its settings are sysctls as well.
            use LinkAttribute::{AfSpecUnspec, Stats, Stats64};
            matches!(a, Stats(_) | Stats64(_) | AfSpecUnspec(_))
        };
        link.attributes.retain(|attribute| !counts(attribute));
    }
    let mut addresses = all(handle.address().get().execute()).await;
    for address in &mut addresses {
        address.attributes.retain(|a| !matches!(a, AddressAttribute::CacheInfo(_)));
    }
    [("links".to_owned(), text(&links)), ("addresses".to_owned(), text(&addresses))].into()
}

async fn all<T, E: Debug>(stream: impl Stream<Item = Result<T, E>>) -> Vec<T> {
    stream.try_collect().await.expect("the kernel tells what there is")
}

fn text(things: &[impl Debug]) -> String {
    let lines: Vec<String> = things.iter().map(|thing| format!("{thing:?}")).collect();
    lines.join("\n")
}

/// Every sysctl below a folder but those that count. Some cannot be read: they are only written to.
fn read_tree(folder: &Path, machine: &mut Machine) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_tree(&path, machine);
        } else if !path.ends_with("nf_conntrack_count")
            && let Ok(value) = fs::read_to_string(&path)
        {
            machine.insert(path.to_string_lossy().into_owned(), value);
        }
    }
}

/// The names in a folder; nothing for one that is not there.
pub(crate) fn listing(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.join(" ")
}
