//! The kinds of machine.

use std::time::{Duration, Instant};

use hairpin_vm::{End, Guests, Machine, Profile};

use crate::common::{job, spec, stdout};

#[test]
fn minutes_of_waiting_take_seconds_in_virtual_time() {
    let mut spec = spec("6.1");
    spec.profile = Profile::VirtualTime;
    let guests = Guests::prepare(&spec).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(guests.are_woken(), "{:?}", guests.notes());
    let begin = Instant::now();
    let result = guests.run(&job(&["sleep", "300"])).unwrap();
    assert_eq!(stdout(&result), "300\n", "{:?}", result.end);
    assert!(result.timing.inside >= Duration::from_secs(300), "{:?}", result.timing);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    println!("300 s took {:?}", begin.elapsed());
}

#[test]
fn the_faithful_machine_boots_and_leaves_as_a_machine_does() {
    for series in crate::common::SERIES {
        let mut spec = spec(series);
        spec.profile = Profile::Faithful;
        let machine = Machine::boot(&spec).unwrap_or_else(|failure| panic!("{failure}"));
        let took = machine.booted().took;
        let result = machine.run(&job(&["read", "/proc/cmdline"]));
        assert_eq!(result.end, End::Exited(0));
        assert!(!stdout(&result).contains("acpi=off"));
        let console = result.console.text();
        assert!(console.contains("reboot: Restarting system"), "{}", result.console.last_lines(5));
        println!("{series}: boot {took:?}, then {:?}", result.timing);
    }
}

#[test]
fn two_processors_are_two() {
    let mut spec = spec("6.1");
    spec.profile = Profile::Smp;
    let guests = Guests::prepare(&spec).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(guests.are_woken(), "{:?}", guests.notes());
    let result = guests.run(&job(&["read", "/sys/devices/system/cpu/online"])).unwrap();
    assert_eq!(stdout(&result), "0-1\n", "{:?}", result.end);
}
