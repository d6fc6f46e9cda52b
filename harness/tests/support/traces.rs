//! What a program may leave behind: processes, namespaces, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the kernel may take to end what has been killed.
const DEADLINE: Duration = Duration::from_secs(10);

/// The variable by which a program's descendants are known: they inherit it.
const MARK: &str = "HAIRPIN_TEST_MARK";

/// Watches one program. It works in a folder of its own, which must stay empty.
pub(crate) struct Traces {
    mark: String,
    folder: PathBuf,
    /// The namespaces that it was seen with.
    namespaces: BTreeSet<String>,
}

impl Traces {
    /// Has the command started under watch.
    pub(crate) fn watch(test: &str, command: &mut Command) -> Self {
        let mark = format!("{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(format!("hairpin-selftest-{mark}"));
        fs::create_dir(&folder).expect("a folder can be made");
        command.env(MARK, &mark).env("TMPDIR", &folder).env("HOME", &folder).current_dir(&folder);
        Self { mark, folder, namespaces: BTreeSet::new() }
    }

    /// Notes the namespaces that a living process holds, and gives how many were noted.
    pub(crate) fn note(&mut self, pid: u32) -> usize {
        let ours = held(std::process::id());
        self.namespaces.extend(held(pid).difference(&ours).cloned());
        self.namespaces.len()
    }

    pub(crate) fn has(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }

    /// Waits until nothing is left; panics with what is when the deadline has passed.
    pub(crate) fn await_nothing(mut self) {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = self.left();
            if left.is_empty() {
                break;
            }
            let waited = DEADLINE.as_secs();
            assert!(Instant::now() < until, "still there after {waited} s: {left:#?}");
            std::thread::yield_now();
        }
        let files = super::machine::listing(&self.folder);
        fs::remove_dir_all(&self.folder).expect("the folder can be deleted");
        assert_eq!(files, "", "files were left behind");
    }

    /// Marked processes, and who holds the noted namespaces.
    fn left(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let mut still_held = BTreeSet::new();
        for pid in processes() {
            let held: Vec<String> =
                held(pid).into_iter().filter(|ns| self.namespaces.contains(ns)).collect();
            if is_marked(pid, &self.mark) {
                left.push(format!("process {pid}, a descendant"));
            }
            left.extend(held.iter().map(|namespace| format!("{namespace}, held by process {pid}")));
            still_held.extend(held);
        }
        // The kernel gives the number of a namespace that is gone to the next one that anybody makes.
        self.namespaces = still_held;
        left
    }
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The network namespaces that a process is in or has open, as far as we may see.
fn held(pid: u32) -> BTreeSet<String> {
    let link = |path: &Path| Some(fs::read_link(path).ok()?.to_string_lossy().into_owned());
    let process = PathBuf::from(format!("/proc/{pid}"));
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let open = open.filter_map(|entry| link(&entry.path()));
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let in_use = threads.filter_map(|entry| link(&entry.path().join("ns/net")));
    open.chain(in_use).filter(|target| target.starts_with("net:[")).collect()
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes()))
}
