//! A suite program that builds no network: it speaks the protocol with canned events, and breaks
//! it in every way that the command must stand.
//!
//! Run by the tests of the command, never by itself. `FAKE_DIR` is a folder for its own traces,
//! `FAKE_FORBIDDEN` lets it find that no lab can be built.

mod canned;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hairpin_model::event::{Outcome, Quantity, VERSION};
use hairpin_model::{CaseId, Event, Need, Record};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--list") {
        for test in canned::TESTS.iter().chain(&["hairpin_catalogue", "hairpin_needs", "unit::own"])
        {
            println!("{test}: test");
        }
        return ExitCode::SUCCESS;
    }
    let [exact, test, nocapture] = args.as_slice() else {
        eprintln!("the fake suite was started as {args:?}");
        return ExitCode::FAILURE;
    };
    assert_eq!((exact.as_str(), nocapture.as_str()), ("--exact", "--nocapture"));
    let mut events = Events::open();
    match test.as_str() {
        "hairpin_catalogue" => events.write(Event::Catalogue { rules: canned::rules() }),
        "hairpin_needs" => return needs(&mut events),
        "measure::round" => measure(&mut events),
        case => return run(&mut events, case),
    }
    ExitCode::SUCCESS
}

/// The events pipe.
struct Events {
    to: File,
    us: u64,
}

impl Events {
    fn open() -> Self {
        let fd = std::env::var("HAIRPIN_EVENTS_FD").expect("the variable names the pipe");
        // By name, because a descriptor by number is nothing that safe code can own.
        let to = OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}"));
        Self { to: to.expect("the pipe is open"), us: 0 }
    }

    fn write(&mut self, event: Event) {
        // A clock would make every run differ.
        self.us += 1000;
        let record = Record { v: VERSION, us: self.us, event };
        let line = serde_json::to_string(&record).expect("records serialise");
        self.raw(&line);
    }

    fn raw(&mut self, line: &str) {
        writeln!(self.to, "{line}").expect("somebody reads");
    }

    fn finished(&mut self, case: &CaseId, outcome: Outcome, reason: Option<&str>) -> ExitCode {
        self.write(Event::CaseFinished {
            case: case.clone(),
            rule: canned::rule_of(case),
            outcome,
            reason: reason.map(Into::into),
            case_us: self.us,
        });
        if outcome.is_bad() { ExitCode::from(101) } else { ExitCode::SUCCESS }
    }
}

/// What this "kernel" has; or that no lab can be built.
fn needs(events: &mut Events) -> ExitCode {
    if std::env::var_os("FAKE_FORBIDDEN").is_some() {
        let id = CaseId::of_test("hairpin_needs");
        return events.finished(&id, Outcome::Error, Some("namespaces are forbidden"));
    }
    for (claim, missing) in [
        ("driver `bridge`", None),
        ("driver `macvlan`", None),
        ("driver `vlan`", Some("operation not supported")),
    ] {
        events.write(Event::Check { claim: claim.into(), observed: missing.map(Into::into) });
    }
    ExitCode::SUCCESS
}

/// A round of figures; the third waits for ever.
fn measure(events: &mut Events) {
    note("rounds", "x");
    if std::fs::read_to_string(traces().join("rounds")).expect("just written").len() == 3 {
        forever();
    }
    for (network, value) in [("veth", 3_000_000), ("veth-again", 3_000_000), ("bridge", 2_400_000)]
    {
        for quantity in [Quantity::Throughput, Quantity::Latency] {
            events.write(Event::Measurement { network: network.into(), quantity, value });
        }
    }
}

/// One case: canned events, then an end after its name.
fn run(events: &mut Events, test: &str) -> ExitCode {
    let id = CaseId::of_test(test);
    let met = std::env::var(Need::MET).expect("what was found is told to every case");
    // `draw` runs a single case and asks nothing before; `check` tells all that was found.
    let is_told = !met.is_empty();
    assert!(!is_told || met == "driver `bridge`;driver `macvlan`", "{met}");
    if let ["faults", "silent", how] = id.as_str().split('.').collect::<Vec<_>>()[..] {
        return silent(events, how);
    }
    events.write(Event::CaseStarted { case: id.clone(), rule: canned::rule_of(&id) });
    for event in canned::events(&id) {
        events.write(event);
    }
    match id.as_str() {
        // The kernel was found to lack what it needs: it is skipped, and never asked.
        "bridge.vlan.tags-are-kept" if is_told => die(),
        "bridge.vlan.tags-are-kept" => events.finished(&id, Outcome::Skip, Some("driver `vlan`")),
        "macvlan.private.siblings-may-not-talk" => fail(events, &id),
        "faults.told.error" => {
            println!("thread 'x' panicked at lab.rs:1:\nthe cable is unplugged");
            events.finished(&id, Outcome::Error, Some("the control did not arrive"))
        }
        "faults.told.crash" => die(),
        "faults.told.hang" => forever(),
        "faults.told.pass-then-crash" => {
            events.finished(&id, Outcome::Pass, None);
            die()
        }
        "faults.told.pass-then-hang" => {
            events.finished(&id, Outcome::Pass, None);
            forever()
        }
        "faults.told.nonsense" => {
            events.raw("{\"event\":\"nonsense\"}");
            events.finished(&id, Outcome::Pass, None)
        }
        "faults.told.flake" => flake(events, &id),
        "faults.told.slow" => {
            std::thread::sleep(Duration::from_millis(1500));
            events.finished(&id, Outcome::Pass, None)
        }
        _ => events.finished(&id, Outcome::Pass, None),
    }
}

/// Fails; under `--keep` first tells so, then how to enter, and waits for the end of its input.
fn fail(events: &mut Events, id: &CaseId) -> ExitCode {
    let code =
        events.finished(id, Outcome::Fail, Some("ping (IPv4): c1 -> c2 is delivered, not blocked"));
    if std::env::var_os("HAIRPIN_KEEP").is_some() {
        eprintln!("enter c1: nsenter --net=/proc/{}/fd/9", std::process::id());
        std::io::stdin().read_line(&mut String::new()).expect("the input can be read");
    }
    code
}

/// Ends without having told anything.
fn silent(events: &mut Events, how: &str) -> ExitCode {
    match how {
        "exit-0" => ExitCode::SUCCESS,
        "orphans" => {
            // A process of its own that holds both pipes, and a note of who it is.
            let child = std::process::Command::new("sleep").arg("1000").spawn();
            note("orphan", &child.expect("sleep is there").id().to_string());
            drop(events.to.flush());
            die()
        }
        _ => forever(),
    }
}

/// Does every second time something else.
fn flake(events: &mut Events, id: &CaseId) -> ExitCode {
    note("flakes", "x");
    let times = std::fs::read_to_string(traces().join("flakes")).expect("just written").len();
    if times.is_multiple_of(2) {
        return events.finished(id, Outcome::Fail, Some("the broadcast came twice"));
    }
    events.finished(id, Outcome::Pass, None)
}

fn traces() -> PathBuf {
    std::env::var_os("FAKE_DIR").expect("the test names a folder").into()
}

/// Adds text to a file in the folder for traces.
fn note(name: &str, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(traces().join(name));
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the folder can be written");
}

/// Dies by a signal.
fn die() -> ! {
    eprintln!("about to die");
    std::process::abort()
}

/// Waits for ever, in a user namespace if one is to be had: that must not untie the process from
/// the one that started it.
fn forever() -> ! {
    if std::env::var_os("FAKE_DIR").is_some() {
        note("waiting", &format!("{}\n", std::process::id()));
    }
    // Refused as root in some containers; then the test is one step weaker, no more.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).ok();
    loop {
        std::thread::park();
    }
}
