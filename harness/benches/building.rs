//! The topology "two bridges, three hosts, three cables", built by the harness, by a sequence of
//! `ip` commands, and by `ip -batch`.
//!
//! ```text
//!    c1            c2                        c3
//!    eth0 .11      eth0 .12                  eth0 .13
//!     |             |                         |
//!   v1|           v2|                       v3|
//!   +-+--- br1 -----+-+                 +-----+ br2 -----+
//!   |  192.0.2.1/24   |                 | 198.51.100.1/24|
//!   +-----------------+        r        +----------------+
//! ```
//!
//! All end with the same: namespaces with their loopback up, links up, ports in their bridges,
//! addresses of both families, usable at once. The harness does more: it pins sysctls, Ethernet
//! addresses and indices, and returns when frames can pass. What `ip` does not need a command of
//! its own for is said in the one before.

mod support;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use hairpin_harness::{Lab, Topology};
use support::{Race, ip, let_the_kernel_finish, run, runtime};

fn topology() -> Topology {
    Topology::new("two-bridges")
        .netns("r")
        .host("c1")
        .host("c2")
        .host("c3")
        .bridge("r:br1")
        .bridge("r:br2")
        .cable("r:v1", "c1:eth0")
        .port("r:v1", "br1")
        .cable("r:v2", "c2:eth0")
        .port("r:v2", "br1")
        .cable("r:v3", "c3:eth0")
        .port("r:v3", "br2")
        .address("r:br1", "192.0.2.1/24")
        .address("r:br1", "2001:db8:1::1/64")
        .address("r:br2", "198.51.100.1/24")
        .address("r:br2", "2001:db8:2::1/64")
        .address("c1:eth0", "192.0.2.11/24")
        .address("c1:eth0", "2001:db8:1::11/64")
        .address("c2:eth0", "192.0.2.12/24")
        .address("c2:eth0", "2001:db8:1::12/64")
        .address("c3:eth0", "198.51.100.13/24")
        .address("c3:eth0", "2001:db8:2::13/64")
}

const NETNS: [&str; 4] = ["r", "c1", "c2", "c3"];

/// The same for `ip`: the namespace that a command is for (none makes namespaces), and its words.
const COMMANDS: &[(Option<&str>, &str)] = &[
    (None, "netns add r"),
    (None, "netns add c1"),
    (None, "netns add c2"),
    (None, "netns add c3"),
    (Some("r"), "link set lo up"),
    (Some("r"), "link add br1 up type bridge forward_delay 0"),
    (Some("r"), "link add br2 up type bridge forward_delay 0"),
    (Some("r"), "link add v1 up master br1 type veth peer name eth0 netns c1"),
    (Some("r"), "link add v2 up master br1 type veth peer name eth0 netns c2"),
    (Some("r"), "link add v3 up master br2 type veth peer name eth0 netns c3"),
    (Some("r"), "address add 192.0.2.1/24 dev br1"),
    (Some("r"), "address add 2001:db8:1::1/64 dev br1 nodad"),
    (Some("r"), "address add 198.51.100.1/24 dev br2"),
    (Some("r"), "address add 2001:db8:2::1/64 dev br2 nodad"),
    (Some("c1"), "link set lo up"),
    (Some("c1"), "link set eth0 up"),
    (Some("c1"), "address add 192.0.2.11/24 dev eth0"),
    (Some("c1"), "address add 2001:db8:1::11/64 dev eth0 nodad"),
    (Some("c2"), "link set lo up"),
    (Some("c2"), "link set eth0 up"),
    (Some("c2"), "address add 192.0.2.12/24 dev eth0"),
    (Some("c2"), "address add 2001:db8:1::12/64 dev eth0 nodad"),
    (Some("c3"), "link set lo up"),
    (Some("c3"), "link set eth0 up"),
    (Some("c3"), "address add 198.51.100.13/24 dev eth0"),
    (Some("c3"), "address add 2001:db8:2::13/64 dev eth0 nodad"),
];

/// Builds with the harness. Dropping the lab is not part of the time, as it is not for the others.
fn with_the_harness() -> Duration {
    let topology = topology();
    let runtime = runtime();
    let begin = Instant::now();
    let lab = runtime.block_on(Lab::build(&topology)).expect("the topology can be built");
    let took = begin.elapsed();
    drop(lab);
    took
}

/// Builds with a process a command.
fn with_ip() -> Duration {
    built_by_ip(|| {
        for (netns, words) in COMMANDS {
            match netns {
                Some(netns) => ip(&format!("-n {netns} {words}")),
                None => ip(words),
            }
        }
    })
}

/// Builds with a process a namespace, and one that makes those; the files are there before.
fn with_ip_batch() -> Duration {
    let of = |wanted: Option<&str>| {
        let lines = COMMANDS.iter().filter(|(netns, _)| *netns == wanted);
        lines.map(|(_, words)| format!("{words}\n")).collect::<String>()
    };
    let file = |netns: Option<&str>| format!("/run/{}.batch", netns.unwrap_or("all"));
    let places: Vec<_> = std::iter::once(None).chain(NETNS.map(Some)).collect();
    for &netns in &places {
        fs::write(file(netns), of(netns)).expect("/run is ours");
    }
    built_by_ip(|| {
        for &netns in &places {
            let mut command = Command::new("ip");
            command.args(netns.map(|netns| ["-n", netns]).iter().flatten());
            run(command.args(["-batch", &file(netns)]));
        }
    })
}

/// The time of a build; what it made is taken away again.
fn built_by_ip(build: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    build();
    let took = begin.elapsed();
    for netns in NETNS {
        ip(&format!("netns del {netns}"));
    }
    took
}

fn main() {
    support::enter();
    let mut criterion = Criterion::default().configure_from_args();
    let mut race = Race::new(
        "two bridges, three hosts, three cables",
        &["harness", "ip, a process a command", "ip -batch, a process a netns"],
    );
    let mut group = criterion.benchmark_group("build");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group.measurement_time(Duration::from_secs(10)).warm_up_time(Duration::from_secs(1));
    group.bench_function("two-bridges", |bencher| {
        bencher.iter_custom(|turns| {
            let contenders = [with_the_harness, with_ip, with_ip_batch];
            let turn = |race: &mut Race| race.turn(contenders.map(measure));
            (0..turns).map(|_| turn(&mut race)).sum()
        });
    });
    group.finish();
    race.print();
    criterion.final_summary();
}

fn measure(contender: fn() -> Duration) -> Duration {
    let_the_kernel_finish();
    contender()
}
