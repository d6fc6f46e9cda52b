//! Kernel timers that are due: those of a bridge that has just come up.
//!
//! A bridge that follows memberships sets itself timers for its own queries when it comes up, due at
//! once, also where it asks nobody. Until they have run, an IPv6 query of another is not believed
//! (`br_multicast_select_querier`), and no message tells when they have. The kernel keeps timers in
//! wheels, one a CPU, and runs a wheel in order: a wait of our own in each of them, set later, ends
//! later.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use hairpin_model::Topology;
use hairpin_model::topology::Kind;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// As short as the wheel has it: it rounds up to its next tick.
const ONE_TICK: Duration = Duration::from_micros(1);

/// The calling thread.
const OURSELVES: Pid = Pid::from_raw(0);

/// Whether a bridge of the topology was told to follow memberships.
pub(super) fn are_of_interest(topology: &Topology) -> bool {
    topology.links.iter().any(|link| match &link.kind {
        Kind::Bridge(settings) => link.up && settings.mcast_snooping == Some(true),
        _ => false,
    })
}

/// Returns when all timers have run that were due at the call, of the CPUs that we may use.
pub(super) fn run_what_is_due() -> io::Result<()> {
    let ours = sched_getaffinity(OURSELVES)?;
    let cpus = (0..CpuSet::count()).filter(|cpu| ours.is_set(*cpu).unwrap_or(false));
    std::thread::scope(|scope| {
        let waits: Vec<_> = cpus.map(|cpu| scope.spawn(move || wait_on(cpu))).collect();
        waits.into_iter().try_for_each(|wait| wait.join().expect("a wait does not panic"))
    })
}

/// Waits in the wheel of that CPU. The deadline of a socket is kept there; that of a sleep is not.
fn wait_on(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(OURSELVES, &only)?;
    let silent = UnixDatagram::unbound()?;
    silent.set_read_timeout(Some(ONE_TICK))?;
    match silent.recv(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("a socket without an address was sent something")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_and_leaves_our_cpus_as_they_were() {
        let before = sched_getaffinity(OURSELVES).unwrap();
        run_what_is_due().unwrap();
        assert_eq!(sched_getaffinity(OURSELVES).unwrap(), before);
    }
}
