//! CPUs and their receive queues: keeping a thread on one, and letting all of them run empty.
//!
//! What one thread sends while it stays on one CPU is queued there in that order. A parent's worker
//! breaks this: it hands over frames to groups on whatever CPU it runs, and what they set off goes
//! on there, late if that CPU is busy. No later frame from another CPU proves anything of it.
//!
//! While a thread runs on a CPU, the kernel is not in the middle of a received frame there
//! (PREEMPT_RT is the exception). So if its queue is empty then, nothing is under way on it.

use std::fs;
use std::time::{Duration, Instant};

use hairpin_model::Error;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// How often each CPU is visited. A frame may pass to another CPU behind our back wherever a worker
/// hands it over, and that is once for a question and once if its receiver asks back: in one of
/// three rounds it stays where it is.
const ROUNDS: usize = 3;

/// Where the kernel tells of them.
const TABLE: &str = "/proc/thread-self/net/softnet_stat";

/// How long a queue may take to run empty once.
const DEADLINE: Duration = Duration::from_secs(5);

/// The CPUs that a thread may run on. When this is dropped it may again.
struct Before(CpuSet);

impl Before {
    fn read() -> nix::Result<Self> {
        sched_getaffinity(Pid::from_raw(0)).map(Self)
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        // Staying on one CPU is slower, not wrong.
        sched_setaffinity(Pid::from_raw(0), &self.0).unwrap_or_default();
    }
}

/// Keeps the thread on one CPU: what it sends first is then queued first.
pub(super) struct Pinned {
    _before: Option<Before>,
}

impl Pinned {
    pub(super) fn here() -> Self {
        let pin = || -> nix::Result<Before> {
            let before = Before::read()?;
            go_to(sched_getcpu()?)?;
            Ok(before)
        };
        // Where pinning is not allowed the controls still hold: they only lose an easy argument.
        Self { _before: pin().ok() }
    }
}

fn go_to(cpu: usize) -> nix::Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &one)
}

/// Does something on each CPU that the thread may run on, one after the other; gives how many they are.
pub(crate) fn on_each(mut work: impl FnMut() -> Result<(), Error>) -> Result<usize, Error> {
    let refused = |error: nix::Error| {
        Error::new(
            format!("cannot choose a CPU: {error}"),
            "sched_setaffinity",
            "may it be called?",
        )
    };
    let before = Before::read().map_err(refused)?;
    let ours = (0..CpuSet::count()).filter(|cpu| before.0.is_set(*cpu).unwrap_or_default());
    let mut count = 0;
    for cpu in ours {
        go_to(cpu).map_err(refused)?;
        work()?;
        count += 1;
    }
    Ok(count)
}

/// Waits until what was under way on any CPU has been handled. Ends where the thread was.
///
/// A CPU that the process may not run on is only seen from outside.
pub(crate) fn run_empty() -> Result<(), Error> {
    let _before = Before::read();
    (0..ROUNDS).try_for_each(|_| run_each_empty())
}

fn run_each_empty() -> Result<(), Error> {
    let cpus: Vec<_> = waiting(&table()?).map(|(cpu, _)| cpu).collect();
    if cpus.is_empty() {
        let what = "the kernel does not tell how many frames wait for each CPU";
        return Err(Error::new(what, TABLE, "use Linux 5.10 or later"));
    }
    for cpu in cpus {
        // Where it may not go it looks from outside.
        go_to(cpu).unwrap_or_default();
        let until = Instant::now() + DEADLINE;
        while waiting(&table()?).any(|(of, frames)| of == cpu && frames > 0) {
            if Instant::now() >= until {
                let what = format!("the receive queue of CPU {cpu} did not run empty within 5 s");
                let help = "give the machine less to do meanwhile";
                return Err(Error::new(what, TABLE, help));
            }
            std::thread::yield_now();
        }
    }
    Ok(())
}

/// The kernel's table of receive queues.
pub(super) fn table() -> Result<String, Error> {
    fs::read_to_string(TABLE).map_err(|error| {
        Error::new(format!("cannot read the kernel's table: {error}"), TABLE, "mount /proc")
    })
}

/// Each CPU, and how many frames wait in its queue: the last but one and the last of thirteen
/// columns, in hexadecimal (there may be more).
fn waiting(table: &str) -> impl Iterator<Item = (usize, u32)> {
    table.lines().filter_map(|line| {
        let mut columns = line.split_whitespace().skip(11);
        let frames = u32::from_str_radix(columns.next()?, 16).ok()?;
        let cpu = usize::from_str_radix(columns.next()?, 16).ok()?;
        Some((cpu, frames))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_read_of_each_cpu() {
        let table = "008d9dc1 0 1 0 0 0 0 0 0 0 0 0000001f 00000000 0000001f 00000000\n\
                     00885c33 0 0 0 0 0 0 0 0 0 0 00000000 0000000a\n";
        assert_eq!(waiting(table).collect::<Vec<_>>(), [(0, 31), (10, 0)]);
    }

    #[test]
    fn the_kernel_tells_of_each_of_its_cpus() {
        let cpus = std::thread::available_parallelism().expect("it can be counted").get();
        assert!(waiting(&table().unwrap()).count() >= cpus);
    }

    #[test]
    fn the_thread_ends_where_it_was() {
        let _pinned = Pinned::here();
        let me = Pid::from_raw(0);
        let before = sched_getaffinity(me).unwrap();
        run_empty().unwrap();
        assert_eq!(sched_getaffinity(me).unwrap(), before);
    }

    #[test]
    fn the_thread_ends_where_it_was_though_the_work_fails() {
        let me = Pid::from_raw(0);
        let before = sched_getaffinity(me).unwrap();
        let mut done = 0;
        let failed = on_each(|| {
            done += 1;
            Err(Error::new("as it was asked to", "a test", "none"))
        });
        assert!(failed.is_err());
        assert_eq!((done, sched_getaffinity(me).unwrap()), (1, before));
        let allowed = |cpu: &usize| before.is_set(*cpu).unwrap_or_default();
        let each = (0..CpuSet::count()).filter(allowed).count();
        assert_eq!(on_each(|| Ok(())).unwrap(), each);
        assert_eq!(sched_getaffinity(me).unwrap(), before);
    }
}
