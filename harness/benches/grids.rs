//! What a grid costs: a blocked cell, with its proof; and grids of many hosts on one bridge, beside
//! the `pingall` of Mininet.
//!
//! Mininet's run is a process from start to end, so ours is one too: this program calls itself.

mod support;

use std::env;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::WallTime};
use hairpin_harness::{Class, Family, Grid, Lab, PortFlags, Topology, Verdict};
use support::{Race, let_the_kernel_finish, run, runtime, spread};

/// The hosts of a LAN beside Mininet's.
const HOSTS: usize = 32;

/// Said to this program when it calls itself: how many hosts.
const LAN: &str = "HAIRPIN_BENCH_LAN";

/// So many hosts on one bridge.
fn lan(hosts: usize, flags: impl Fn(usize) -> PortFlags) -> Topology {
    let mut lan = Topology::new("lan").netns("s1").bridge("s1:br0");
    for at in 1..=hosts {
        let (host, port) = (format!("h{at}"), format!("s1:eth{at}"));
        lan = lan
            .host(&host)
            .cable(port.as_str(), format!("{host}:eth0").as_str())
            .port_with(port.as_str(), "br0", flags(at))
            .address(
                format!("{host}:eth0").as_str(),
                &format!("198.18.{}.{}/16", at / 250, at % 250 + 1),
            );
    }
    lan
}

/// Builds, asks every pair, drops; and the time that only the asking took.
fn ask(topology: &Topology) -> (Grid, Duration) {
    runtime().block_on(async {
        let mut lab = Lab::build(topology).await.expect("a LAN can be built").untraced();
        let begin = Instant::now();
        let grid = lab.observe(Class::ping(Family::V4)).await.expect("a LAN can be observed");
        (grid, begin.elapsed())
    })
}

fn count(grid: &Grid, verdict: &Verdict) -> usize {
    grid.cells.iter().flatten().filter(|cell| cell.verdict == *verdict).count()
}

/// This program again, with one LAN: the time of the process.
fn whole_run(hosts: usize) -> Duration {
    let program = env::current_exe().expect("this program has a path");
    timed(Command::new(program).env(LAN, hosts.to_string()))
}

fn lan_of_the_environment(hosts: &str) {
    let hosts: usize = hosts.parse().expect("the variable holds a number");
    let (grid, _) = ask(&lan(hosts, |_| PortFlags::default()));
    assert_eq!(count(&grid, &Verdict::Delivered), hosts * (hosts - 1), "{grid}");
}

/// Mininet in namespaces of its own, unable to write to the machine's sysctls as it would.
fn mininet(hosts: usize) -> Duration {
    let inside = format!(
        "mount -o bind,ro /proc/sys /proc/sys && mount -t sysfs sysfs /sys \
         && mount -t tmpfs tmpfs /run && ip link set lo up \
         && exec mn --switch lxbr --controller none --topo single,{hosts} --test pingall"
    );
    timed(Command::new("unshare").args(["--net", "--mount", "sh", "-c", &inside]))
}

fn has_mininet() -> bool {
    let mut asked = Command::new("mn");
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

fn timed(command: &mut Command) -> Duration {
    let_the_kernel_finish();
    let begin = Instant::now();
    run(command);
    begin.elapsed()
}

/// All hosts but the first are isolated from each other: 56 of 72 cells are blocked.
fn blocked_cells(criterion: &mut Criterion) {
    const ALL: usize = 9;
    let cells = (ALL * (ALL - 1)) as f64;
    let isolated = lan(ALL, |at| PortFlags::default().isolated(at > 1));
    let open = lan(ALL, |_| PortFlags::default());
    let mut costs = Vec::new();
    let mut group = flat(criterion, "cell");
    group.bench_function("blocked", |bencher| {
        bencher.iter_custom(|turns| {
            let mut total = 0.0;
            for _ in 0..turns {
                let_the_kernel_finish();
                let (_, all_delivered) = ask(&open);
                let_the_kernel_finish();
                let (grid, took) = ask(&isolated);
                let blocked = count(&grid, &Verdict::Blocked) as f64;
                assert_eq!(blocked as usize, (ALL - 1) * (ALL - 2), "{grid}");
                let delivered = all_delivered.as_secs_f64() / cells * (cells - blocked);
                costs.push((took.as_secs_f64() - delivered) / blocked);
                total += costs[costs.len() - 1];
            }
            Duration::from_secs_f64(total.max(0.0))
        });
    });
    group.finish();
    if !costs.is_empty() {
        println!("a blocked cell: {} us", spread(costs.iter().map(|cost| cost * 1e6)));
    }
}

fn beside_mininet(criterion: &mut Criterion) {
    if !has_mininet() {
        println!("skipped: Mininet's pingall, as there is no `mn` (Debian: mininet, bridge-utils)");
        return;
    }
    let mut race = Race::new(
        "every pair of 32 hosts on a bridge, from start to end of the process",
        &["harness", "mininet"],
    );
    let mut group = flat(criterion, "pingall");
    group.bench_function("32", |bencher| {
        bencher.iter_custom(|turns| {
            (0..turns).map(|_| race.turn([whole_run(HOSTS), mininet(HOSTS)])).sum()
        });
    });
    group.finish();
    race.print();
}

/// Whether the cost grows no worse than the number of pairs.
fn growth(criterion: &mut Criterion) {
    let mut group = flat(criterion, "lan");
    for hosts in [HOSTS, 2 * HOSTS, 4 * HOSTS] {
        let mut pairs = Vec::new();
        group.bench_function(hosts.to_string(), |bencher| {
            bencher.iter_custom(|turns| {
                let mut turn = || {
                    let took = whole_run(hosts);
                    pairs.push(took.as_secs_f64() * 1e6 / (hosts * (hosts - 1)) as f64);
                    took
                };
                (0..turns).map(|_| turn()).sum()
            });
        });
        if !pairs.is_empty() {
            println!("{hosts} hosts: {} us a pair", spread(pairs.into_iter()));
        }
    }
    group.finish();
}

fn flat<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_millis(10));
    group
}

fn main() {
    support::enter();
    if let Ok(hosts) = env::var(LAN) {
        return lan_of_the_environment(&hosts);
    }
    let mut criterion = Criterion::default().configure_from_args();
    blocked_cells(&mut criterion);
    beside_mininet(&mut criterion);
    growth(&mut criterion);
    criterion.final_summary();
}
