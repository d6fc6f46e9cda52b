//! The first process of a guest, from its first instruction to the machine's end.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use crate::channel::Channel;
use crate::wire::{MARKER, Prepared, Run, ToGuest, ToHost, VERSION};
use crate::{job, setup, sys};

/// Becomes the guest's init when this is the first process of a Hairpin guest, and then never returns.
/// Everywhere else it does nothing, and costs one or two system calls.
///
/// Call it before anything else: first in `main`, or before `main` (it needs nothing that only `main` sets up).
pub fn init_if_pid1() {
    if std::process::id() == 1
        && let Ok(version) = fs::read_to_string(MARKER)
    {
        if version.trim() != VERSION.to_string() {
            eprintln!("hairpin: this guest was packed by another version of Hairpin");
        }
        let Err(error) = serve();
        eprintln!("hairpin: the guest's init cannot go on: {error}");
        leave();
    }
}

/// Whether this machine is a Hairpin guest.
pub fn is_guest() -> bool {
    fs::exists(MARKER).unwrap_or_default()
}

enum Never {}

/// Runs jobs until the host lets the guest go. Without the host there is nothing to do.
fn serve() -> io::Result<Never> {
    let ready = setup::guest();
    let mut channel = Channel::open()?;
    channel.send(&ToHost::Ready(ready))?;
    let mut waiting = None;
    loop {
        match channel.receive()? {
            ToGuest::Prepare(run) => {
                // So that the first random numbers, for which a kernel changes its own code, are behind us.
                sys::reseed(run.seed).unwrap_or_default();
                waiting = job::prepare(run);
                let (waits, uptime_us) = (waiting.is_some(), setup::uptime_us());
                channel.send(&ToHost::Prepared(Prepared { waits, uptime_us }))?;
            }
            ToGuest::Run(run) => {
                if let Err(error) = execute(&run, waiting.take(), &mut channel) {
                    channel.send(&ToHost::Trouble(error))?;
                }
                setup::end_console()?;
                channel.send(&ToHost::Done)?;
            }
            ToGuest::ShowTasks => setup::show_tasks()?,
            // It was typed while the program ended.
            ToGuest::Input(_) | ToGuest::Window(_) => {}
            ToGuest::Ack => {
                channel.drain()?;
                leave();
            }
        }
    }
}

fn execute(run: &Run, waiting: Option<job::Waiting>, channel: &mut Channel) -> Result<(), String> {
    sys::reseed(run.seed).map_err(|error| format!("random numbers cannot be seeded: {error}"))?;
    set_clock(run.clock_ns).map_err(|error| format!("the clock cannot be set: {error}"))?;
    let exit = job::run(run, waiting, channel)?;
    channel.send(&ToHost::Exit(exit)).map_err(|error| error.to_string())?;
    // The kernel takes networks down after the last program that used them is gone; it may complain then.
    std::thread::sleep(Duration::from_millis(run.linger_ms));
    Ok(())
}

fn set_clock(since_1970_ns: u64) -> nix::Result<()> {
    let time = TimeSpec::from_duration(Duration::from_nanos(since_1970_ns));
    clock_settime(ClockId::CLOCK_REALTIME, time)
}

/// Ends the machine. A reset works on machines of all profiles; switching off needs ACPI.
fn leave() -> ! {
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    eprintln!("hairpin: the machine cannot be reset: {error}");
    // The kernel panics when its first process ends, which the host sees.
    std::process::exit(1);
}
