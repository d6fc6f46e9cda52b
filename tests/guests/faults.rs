//! What is broken around a guest: each is one error that says what, where and what helps, and leaves nothing
//! behind that would be in the way of the next run.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hairpin_vm::kernels::{KernelRef, Options, Store};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;

use crate::{Ended, hairpin, ran};

/// A program that says when it runs, and never ends.
const SPINS: &str = "echo up; while :; do :; done";

/// A package with a whole kernel, and a cache of its own.
struct Place {
    folder: tempfile::TempDir,
    deb: PathBuf,
}

impl Place {
    fn new() -> Self {
        let store = Store::open(Options::default()).unwrap();
        let image = store.resolve(&KernelRef::Series("5.10".into())).unwrap();
        let deb = store.folder().join("debs").join(format!("{}.deb", image.packages[0].sha256));
        Self { folder: tempfile::tempdir().unwrap(), deb }
    }

    /// A copy of the package after `change`.
    fn changed(&self, change: impl Fn(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = fs::read(&self.deb).unwrap();
        change(&mut bytes);
        let path = self.folder.path().join("changed.deb");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, kernel: &Path) -> Command {
        let mut command = hairpin(&["run", "--kernel"]);
        command.arg(kernel).args(["--", "sh", "-c", "echo fine"]);
        command.env("XDG_CACHE_HOME", self.cache());
        command
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// What half-done work would leave.
    fn left(&self) -> usize {
        let folders = ["hairpin/tmp", "hairpin/images"].map(|name| self.cache().join(name));
        folders.iter().map(|folder| fs::read_dir(folder).map_or(0, Iterator::count)).sum()
    }
}

fn told(ended: &Ended, what: &str, help: &str) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(what), "{ended:?}");
    assert!(ended.stderr.contains("\n  where: "), "{ended:?}");
    let said = ended.stderr.split("\n  help:").nth(1).unwrap_or_default();
    assert!(said.contains(help), "{ended:?}");
}

#[rstest]
#[case::unknown_series(&["--kernel", "4.4"], "there is no kernel series `4.4`", "known: 5.10 ")]
#[case::no_such_file(&["--kernel", "./none.deb"], "the kernel cannot be read", "check the path")]
#[case::no_kernel(&["--kernel", "/etc/passwd"], "this is no kernel", "name a bzImage")]
#[case::missing_module(&["--kernel", "5.10", "--load", "nonesuch"],
    "the module `nonesuch` is missing", "pick a kernel that has it")]
#[case::no_module(&["--kernel", "5.10", "--module", "/etc/passwd"],
    "this is no kernel module", "name a `.ko` file")]
#[case::no_room(&["--kernel", "5.10", "--console", "/nowhere/console"],
    "the console cannot be written", "name a file that can be written")]
fn a_wrong_word_is_told(#[case] options: &[&str], #[case] what: &str, #[case] help: &str) {
    let mut command = hairpin(&["run"]);
    command.args(options).args(["--", "sh", "-c", "exit 0"]);
    told(&ran(command), what, help);
}

#[test]
fn a_package_that_was_cut_or_damaged_is_refused_and_a_good_one_works_then() {
    let place = Place::new();
    let cut = place.changed(|bytes| bytes.truncate(bytes.len() / 2));
    told(&ran(place.command(&cut)), "changed.deb", "");
    let damaged = place.changed(|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0x55);
    });
    told(&ran(place.command(&damaged)), "changed.deb", "");
    assert_eq!(place.left(), 0);
    let ended = ran(place.command(&place.deb));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "fine\n"), "{ended:?}");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let place = Place::new();
    fs::create_dir(place.cache()).unwrap();
    let inner = place.command(&place.deb);
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    outer.arg("mount -t tmpfs -o size=4m none \"$0\" && \"$@\"; code=$?; ls \"$0\"/hairpin/tmp; exit $code");
    outer.arg(place.cache()).arg(inner.get_program()).args(inner.get_args());
    outer.env("XDG_CACHE_HOME", place.cache());
    let ended = ran(outer);
    told(&ended, "No space left on device", "free some space");
    assert_eq!(ended.stdout, "");
}

#[test]
fn two_runs_share_one_new_cache() {
    let place = Place::new();
    let start = || place.command(&place.deb).stdout(Stdio::piped()).spawn().unwrap();
    for child in [start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"fine\n"[..]));
    }
    let images = fs::read_dir(place.cache().join("hairpin/images")).unwrap();
    assert_eq!(images.count(), 1);
}

#[test]
fn a_missing_qemu_is_told_with_the_way_to_get_it() {
    let words = ["run", "--kernel", "5.10", "--", "sh", "-c", "exit 0"];
    let mut command = hairpin(&words);
    command.env("HAIRPIN_QEMU", "/nothing");
    told(&ran(command), "`/nothing` is not there", "unset it");
    let mut command = hairpin(&words);
    command.env_remove("HAIRPIN_QEMU").env("PATH", "/nothing");
    told(&ran(command), "no such program", "name its path");
    let mut command = hairpin(&["run", "--kernel", "5.10", "--", "/bin/true"]);
    command.env_remove("HAIRPIN_QEMU").env("PATH", "/nothing");
    told(&ran(command), "`qemu-system-x86_64` is not there", "`hairpin setup`");
}

#[test]
fn a_kernel_that_panics_at_boot_is_told_in_its_own_words() {
    let ended = ran(hairpin(&["run", "--kernel", "5.10", "--memory", "72", "--", "/bin/true"]));
    told(&ended, "the guest's kernel gave up: Kernel panic", "give it more memory");
    assert!(ended.stderr.lines().count() < 20, "{ended:?}");
}

#[test]
fn a_flood_on_the_console_hides_no_result() {
    let flood = "echo on >/proc/sys/kernel/printk_devkmsg; i=0; while [ $i -lt 3000 ]; do \
                 echo '<0>all work and no play makes Jack a dull boy, and this line a long one'; \
                 i=$((i + 1)); done >/dev/kmsg; echo fine";
    let ended = ran(hairpin(&["run", "--kernel", "5.10", "--", "sh", "-c", flood]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "fine\n"), "{ended:?}");
}

/// A command whose program runs; it is ended with the value.
struct Running {
    child: Child,
    qemu: Pid,
}

impl Running {
    fn start() -> Self {
        let mut command = hairpin(&["run", "--kernel", "5.10", "--", "sh", "-c", SPINS]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut running = Self { child, qemu: Pid::from_raw(0) };
        let mut up = [0; 3];
        running.child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        assert_eq!(&up, b"up\n");
        running.qemu = only_child(running.child.id());
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already unless the test failed.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

fn only_child(parent: u32) -> Pid {
    let stats = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("stat"));
    let children: Vec<i32> = stats.filter_map(|stat| child_of(parent, &stat)).collect();
    let [qemu] = children[..] else { panic!("QEMU is its only child: {children:?}") };
    Pid::from_raw(qemu)
}

/// The process id in `17 (qemu) S 9 …`, if the number behind the state is the parent's.
fn child_of(parent: u32, stat: &Path) -> Option<i32> {
    let text = fs::read_to_string(stat).ok()?;
    let (before, after) = text.rsplit_once(") ")?;
    let is_its = after.split(' ').nth(1)? == parent.to_string();
    is_its.then(|| before.split(' ').next()?.parse().ok())?
}

#[test]
fn a_qemu_that_is_killed_is_told() {
    let mut running = Running::start();
    kill(running.qemu, Signal::SIGKILL).unwrap();
    let mut stderr = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("QEMU is gone"), "{stderr}");
}

#[test]
fn an_interrupt_takes_qemu_along_and_holds_nothing_up() {
    let mut running = Running::start();
    kill(Pid::from_raw(i32::try_from(running.child.id()).unwrap()), Signal::SIGINT).unwrap();
    let status = running.child.wait().unwrap();
    let qemu = running.qemu;
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{status:?}");
    let until = Instant::now() + Duration::from_secs(5);
    while lives(qemu) {
        assert!(Instant::now() < until, "QEMU {qemu} outlives the command");
        std::thread::yield_now();
    }
    let ended = ran(hairpin(&["run", "--kernel", "5.10", "--", "sh", "-c", "echo fine"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "fine\n"), "{ended:?}");
}

/// Whether it is there and no zombie, which only its new parent can take away.
fn lives(process: Pid) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}
