//! Makes a bare kernel a place where programs can run: file systems, modules, the loopback link.
//!
//! Nothing here ends the guest: what goes wrong is noted, and the host is told with `ready`. A program that
//! needs what is missing then fails for itself, and the note says why.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};

use crate::wire::{self, Ready};

/// One path a line, in the order in which they load. Written by the host beside the modules.
const MODULE_LIST: &str = "/hairpin/modules";
/// (kind, where), in the order in which they are mounted.
const MOUNTS: [(&str, &str); 9] = [
    ("devtmpfs", "/dev"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("debugfs", "/sys/kernel/debug"),
    ("tracefs", "/sys/kernel/tracing"),
];
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Sets the guest up and says how it went.
pub(crate) fn guest() -> Ready {
    let mut notes = Vec::new();
    mounts(&mut notes);
    links();
    let modules = modules(&mut notes);
    clock(&mut notes);
    if let Err(error) = crate::sys::loopback_up() {
        notes.push(format!("`lo` cannot be set up: {error}"));
    }
    Ready {
        version: wire::VERSION,
        release: line("/proc/sys/kernel/osrelease"),
        tainted: tainted(),
        uptime_us: uptime_us(),
        modules,
        notes,
    }
}

/// The kernel's taint flags: not 0 once it has warned of itself.
pub(crate) fn tainted() -> u64 {
    line("/proc/sys/kernel/tainted").parse().unwrap_or(0)
}

/// Microseconds since the kernel started.
pub(crate) fn uptime_us() -> u64 {
    let since = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    since.map_or(0, |time| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_nsec() / 1000).unwrap_or(0)
    })
}

/// Has the kernel print what all tasks do, and holds none of it back.
pub(crate) fn show_tasks() -> std::io::Result<()> {
    fs::write("/proc/sys/kernel/printk", "8")?;
    fs::write("/proc/sysrq-trigger", "t")
}

/// Writes the last line of a job to the kernel's log, urgent enough for every console.
pub(crate) fn end_console() -> std::io::Result<()> {
    fs::write("/dev/kmsg", format!("<1>{}\n", wire::END_OF_JOB))
}

/// A clock that only ticks cannot tell which of two frames came first.
fn clock(notes: &mut Vec<String>) {
    let name = line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    if name.ends_with("jiffies") {
        notes.push(format!("the kernel found no better clock than `{name}`, which is coarse"));
    }
}

fn mounts(notes: &mut Vec<String>) {
    // A mount would hide files that the host has packed there.
    let is_packed = |place| fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some());
    for (kind, place) in MOUNTS.iter().filter(|(kind, at)| *kind != "tmpfs" || !is_packed(at)) {
        let done = fs::create_dir_all(place).map_err(|error| error.to_string()).and_then(|()| {
            let (none, flags) = (None::<&str>, MsFlags::empty());
            mount(Some(*kind), *place, Some(*kind), flags, none).map_err(|error| error.to_string())
        });
        if let Err(error) = done {
            notes.push(format!("`{kind}` cannot be mounted on {place}: {error}"));
        }
    }
}

/// What shells and C libraries expect of a device folder. A kernel that makes them itself is no trouble.
fn links() {
    for (target, place) in LINKS {
        if !Path::new(place).exists() {
            symlink(target, place).unwrap_or_default();
        }
    }
}

/// Loads the listed modules and takes their files away, which lie in memory. Gives how many are loaded.
fn modules(notes: &mut Vec<String>) -> usize {
    let list = fs::read_to_string(MODULE_LIST).unwrap_or_default();
    let mut loaded = 0;
    for path in list.lines() {
        match load(path) {
            Ok(()) => loaded += 1,
            Err(error) => notes.push(format!("the module {path} cannot be loaded: {error}")),
        }
        fs::remove_file(path).unwrap_or_default();
    }
    loaded
}

fn load(path: &str) -> std::io::Result<()> {
    match finit_module(File::open(path)?, c"", ModuleInitFlags::empty()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
