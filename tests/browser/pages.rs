//! Pages to look at: runs of the fake suite's cases, with everything in them that a page can tell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hairpin_model::event::{Guest, Outcome, Quantity, VERSION};
use hairpin_model::grid::{Cell, Counted, Direction, Dropped, Sighting, Verdict};
use hairpin_model::journey::{Headers, fold};
use hairpin_model::topology::Mac;
use hairpin_model::{CaseId, Event, Record};

use crate::canned;

/// Text that would be a program if it were not kept text.
pub(crate) const NASTY: &str = "</script><img src=x onerror=window.hacked=1>";

/// The case of which all is told that can be.
pub(crate) const CASE: &str = "macvlan.vepa.siblings-need-reflection.v4";

/// The case that asks for a flow.
pub(crate) const FLOW: &str = "bridge.l2.same-bridge.v4";

/// A folder with a page, which is gone with the value.
pub(crate) struct Page {
    folder: tempfile::TempDir,
}

impl Page {
    /// Two runs on three kernels.
    pub(crate) fn of_two_runs() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (before, today) = (folder.path().join("before"), folder.path().join("today"));
        for (run, is_today) in [(&before, false), (&today, true)] {
            for (at, kernel) in ["5.10", "6.1", "6.12"].into_iter().enumerate() {
                write(run, kernel, &cases(at, is_today));
            }
        }
        let console = today.join("consoles/6.12");
        fs::create_dir_all(&console).expect("a folder can be made");
        fs::write(console.join("faults.told.crash.txt"), format!("BUG: {NASTY}\n"))
            .expect("a file can be written");
        let costs = folder.path().join("costs");
        write_costs(&costs, "6.1", 0.8);
        write_costs(&costs, "6.12", 0.6);
        let page = Self { folder };
        page.make(&[before, today, costs]);
        page
    }

    /// 600 cases on 11 kernels, which were measured too.
    pub(crate) fn of_many() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (run, costs) = (folder.path().join("many"), folder.path().join("costs"));
        for kernel in 0..11 {
            let cases: Vec<Told> = (0..600)
                .map(|at| Told {
                    id: format!("area-{}.some-topic.a-claim-of-usual-length-{at}", at % 7),
                    like: CASE,
                    outcome: if (at + kernel) % 40 == 0 { Outcome::Fail } else { Outcome::Pass },
                    reason: format!("c1 -> c2 is off by {at}"),
                })
                .collect();
            write(&run, &format!("6.{kernel}"), &cases);
            write_costs(&costs, &format!("6.{kernel}"), 0.8);
        }
        let page = Self { folder };
        page.make(&[run, costs]);
        page
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("page.html")
    }

    fn make(&self, runs: &[PathBuf]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.arg("report").args(runs).args(["--format", "html", "-o"]).arg(self.file());
        assert!(command.status().expect("the command can be started").success());
    }
}

/// How a case ends, and the canned case whose events it tells.
struct Told {
    id: String,
    like: &'static str,
    outcome: Outcome,
    reason: String,
}

/// A driver of somebody's own, in a folder whose name a shell would take apart.
fn module() -> Vec<String> {
    ["--module", "my drivers/macvlan.ko"].map(Into::into).into()
}

/// The cases on a kernel: some pass, some never do, some turn.
fn cases(kernel: usize, is_today: bool) -> Vec<Told> {
    let case = |like: &'static str, outcome: Outcome, reason: &str| Told {
        id: like.into(),
        like,
        outcome,
        reason: reason.into(),
    };
    let from = |first: usize| if kernel >= first { Outcome::Fail } else { Outcome::Pass };
    let today = if is_today { from(1) } else { Outcome::Pass };
    let crash = if is_today && kernel == 2 { Outcome::Crash } else { Outcome::Pass };
    vec![
        case("bridge.l2.same-bridge.v4", Outcome::Pass, ""),
        case("bridge.l2.same-bridge.v6", from(2), "ping (IPv6): a -> b expected +, observed #"),
        case("bridge.vlan.tags-are-kept", Outcome::Skip, "driver `vlan`"),
        case("faults.told.crash", crash, NASTY),
        case("faults.told.flake", Outcome::Pass, ""),
        case("faults.told.flake", from(2), "now and then"),
        case(CASE, today, "ping (IPv4): c1 -> c2 expected #, observed +"),
        case("macvlan.private.siblings-may-not-talk", Outcome::Known, "a bug that is known"),
    ]
}

/// The same with what taps read in frames: as if the switch tagged, masqueraded and counted hops, and a
/// guest's kernel told where it dropped.
fn in_full(mut event: Event) -> Event {
    if let Event::Grid { observed, .. } = &mut event {
        // c2 asks twice.
        let asks = &mut observed.cells[1][0].seen;
        if !asks.is_empty() {
            asks.push(Sighting::new("c2:c0", Direction::Out, "arp request"));
        }
        if !observed.is_whole() {
            let (at, what) = ("sw".into(), "packets taken by the policy of forward: drop".into());
            observed.counted.push(Counted { at, many: 4, what });
        }
        for cell in observed.cells.iter_mut().flatten() {
            let (mut kind, mut outside) = (String::new(), false);
            for sighting in &mut cell.seen {
                outside = sighting.link == "sw:s1" || (outside && sighting.what == kind);
                kind.clone_from(&sighting.what);
                sighting.headers = Some(headers(sighting, outside));
            }
            fold(&mut cell.seen);
            if !cell.verdict.reached() && !cell.seen.is_empty() {
                cell.dropped.push(Dropped {
                    what: "arp request".into(),
                    link: "sw:s0".into(),
                    function: "br_handle_frame_finish".into(),
                    reason: Some("NO_TX_TARGET".into()),
                });
            }
        }
    }
    event
}

/// A connection whose answer was lost.
fn flow() -> Event {
    let seen = |link: &str, direction, own: u8| {
        let from = Mac([2, 0x68, 0x70, 0, 0, own]);
        let headers = Headers {
            from,
            to: Mac([2, 0x68, 0x70, 0, 0, 1]),
            vlan: Vec::new(),
            ip: Some(([192, 0, 2, 1].into(), [192, 0, 2, own].into())),
            ttl: Some(64),
            ports: Some((40000, 80)),
        };
        Sighting { headers: Some(headers), ..Sighting::new(link, direction, "tcp syn") }
    };
    let mut cell = Cell::new(Verdict::OneWay);
    cell.seen = vec![seen("a:eth0", Direction::Out, 9), seen("b:eth0", Direction::In, 2)];
    let (title, from, to) = ("TCP over IPv4 from a to b port 80".into(), "a".into(), "b".into());
    Event::Flow { title, from, to, cell }
}

fn headers(sighting: &Sighting, outside: bool) -> Headers {
    let own = u8::from(outside);
    let is_ip = sighting.what == "echo request";
    Headers {
        from: Mac([2, 0x68, 0x70, 0, 0, 10 + own]),
        to: Mac::BROADCAST,
        vlan: if outside && !is_ip { vec![10] } else { Vec::new() },
        ip: is_ip.then(|| ([192, 0, 2, 11 - own].into(), [192, 0, 2, 9].into())),
        ttl: is_ip.then_some(64 - own),
        ports: None,
    }
}

fn write(run: &Path, kernel: &str, cases: &[Told]) {
    let mut events = vec![
        Event::Catalogue { rules: canned::rules() },
        Event::RunStarted {
            program: "p".into(),
            kernel: format!("{kernel}.1-amd64"),
            cases: cases.len(),
            guest: Some(guest(kernel)),
        },
    ];
    for case in cases {
        let (id, like) = (case_id(&case.id), case_id(case.like));
        let rule = canned::rule_of(&like);
        events.push(Event::CaseStarted { case: id.clone(), rule: rule.clone() });
        events.extend(canned::events(&like).into_iter().map(in_full));
        if case.id == FLOW {
            events.push(flow());
        }
        if case.outcome == Outcome::Crash {
            events.push(Event::Output { text: NASTY.into() });
        }
        let reason = (case.outcome != Outcome::Pass).then(|| case.reason.clone());
        events.push(Event::CaseFinished {
            case: id,
            rule,
            outcome: case.outcome,
            reason,
            case_us: 7000,
        });
    }
    events.push(Event::RunFinished { counts: Vec::new(), run_us: 9 });
    keep(run, kernel, events);
}

/// What `hairpin measure` writes, of a kernel on which a bridge carries that much of what a cable does.
fn write_costs(folder: &Path, kernel: &str, bridge: f64) {
    let started = Event::RunStarted {
        program: "p".into(),
        kernel: format!("{kernel}.1-amd64"),
        cases: 0,
        guest: Some(guest(kernel)),
    };
    let lacks = Some("driver `ipvlan`".into());
    let mut events = vec![started, Event::Check { claim: "ipvlan-l2".into(), observed: lacks }];
    for round in 0..9 {
        let off = 1.0 + f64::from(round % 3 - 1) / 100.0;
        for (network, carries) in
            [("veth", 1.0), ("veth-again", off), ("bridge", bridge * off), ("macvlan-bridge", off)]
        {
            for (quantity, value) in
                [(Quantity::Throughput, 3e9 * carries), (Quantity::Latency, 12_000.0 * off)]
            {
                let (network, value) = (network.into(), value as u64);
                events.push(Event::Measurement { network, quantity, value });
            }
        }
    }
    events.push(Event::RunFinished { counts: Vec::new(), run_us: 9 });
    keep(folder, kernel, events);
}

fn guest(kernel: &str) -> Guest {
    Guest {
        kernel: kernel.into(),
        title: format!("linux-image-{kernel}.1-amd64 {kernel}.1-1"),
        accel: "tcg".into(),
        profile: "fast".into(),
        memory_mib: 144,
        boot_ms: 1900,
        woken: true,
        kept: false,
        rehearsed: Vec::new(),
        seed: Some(7),
        notes: vec![NASTY.into()],
        options: if kernel == "6.12" { module() } else { Vec::new() },
    }
}

fn keep(run: &Path, kernel: &str, events: Vec<Event>) {
    let line =
        |event| serde_json::to_string(&Record { v: VERSION, us: 1, event }).expect("plain values");
    let lines: String = events.into_iter().map(|event| line(event) + "\n").collect();
    fs::create_dir_all(run).expect("a folder can be made");
    fs::write(run.join(format!("{kernel}.jsonl")), lines).expect("a file can be written");
}

fn case_id(text: &str) -> CaseId {
    serde_json::from_value(text.into()).expect("an id is read as any text")
}
