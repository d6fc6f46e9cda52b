//! Pages of made-up runs.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hairpin_model::event::{Guest, Outcome, VERSION};
use hairpin_model::grid::{Direction, Sighting};
use hairpin_model::journey::Headers;
use hairpin_model::rule::RuleEntry;
use hairpin_model::topology::Mac;
use hairpin_model::{Cell, Class, Event, Grid, Record, Strength, Topology, Verdict};

use super::book::Book;
use super::*;
use crate::commands::report::testing;
use crate::measure::tests::{TYPICAL, run};
use crate::results::{Case, Run};

const NASTY: &str = "</script><img src=x onerror=alert(1)>\"'&";

/// Outcomes of one case, a letter a kernel, oldest first; a space where it was not run.
fn column(name: &str, letter: char) -> Run {
    let outcome = match letter {
        'p' => Outcome::Pass,
        's' => Outcome::Skip,
        'k' => Outcome::Known,
        'f' => Outcome::Fail,
        'e' => Outcome::Error,
        _ => Outcome::Crash,
    };
    let mut run = Run { name: name.into(), ..testing::run() };
    run.cases.truncate(1);
    run.cases[0].outcome = outcome;
    run.cases.retain(|_| letter != ' ');
    run
}

fn book(runs: &[&str]) -> Book {
    let names = ["5.10", "6.1", "6.2", "6.12", "7.3"];
    let mut read = Vec::new();
    for (at, letters) in runs.iter().enumerate() {
        for (name, letter) in names.iter().zip(letters.chars()) {
            read.push((PathBuf::from(format!("runs/{at}/{name}.jsonl")), column(name, letter)));
        }
    }
    Book::of(read)
}

fn letters(runs: &[&str]) -> String {
    let book = book(runs);
    history::marks(&book, &book.rows[0], None).letters()
}

#[test]
fn a_case_is_marked_by_what_it_did() {
    assert_eq!(letters(&["ppp"]), "");
    assert_eq!(letters(&["ps "]), "ds");
    assert_eq!(letters(&["fff"]), "f", "a failure that was always there is not new");
    assert_eq!(letters(&["ppf"]), "dfn");
    assert_eq!(letters(&["psf"]), "dfns", "a skip says nothing of what was before");
    assert_eq!(letters(&["pfp"]), "dfn");
    assert_eq!(letters(&["ffc"]), "dfn", "a crash is worse than a failure");
}

#[test]
fn with_two_runs_new_is_what_the_earlier_one_did_not_have() {
    assert_eq!(letters(&["ppf", "ppf"]), "df");
    assert_eq!(letters(&["ppp", "ppf"]), "dfn");
    assert_eq!(letters(&["pp ", "ppf"]), "dfn", "a new case must not begin red unseen");
    let book = book(&["ppf", "ppp"]);
    let of = |run| history::marks(&book, &book.rows[0], Some(run)).letters();
    assert_eq!((of(0), of(1)), ("df".into(), String::new()));
}

#[test]
fn repetitions_that_differ_are_flaky() {
    let mut run = column("6.1", 'f');
    run.cases[0].runs = 3;
    let book = Book::of_values(vec![run]);
    assert_eq!(history::marks(&book, &book.rows[0], None).letters(), "fk");
}

#[test]
fn a_turn_is_between_the_kernels_that_say_something() {
    let turns = |letters: &str| -> Vec<(usize, usize, bool)> {
        let book = book(&[letters]);
        let turns = history::turns(&book, &book.rows[0]);
        turns.into_iter().map(|turn| (turn.before, turn.after, turn.is_bad)).collect()
    };
    assert_eq!(turns("ppffp"), [(1, 2, true), (3, 4, false)]);
    assert_eq!(turns("pseff"), [(0, 3, true)]);
    assert_eq!(turns("kkppp"), [(1, 2, false)], "a known failure is a failure here");
    assert_eq!(turns("fffff"), []);
}

#[test]
fn folders_with_a_kernel_in_common_are_runs_and_others_are_parts_of_one() {
    let file = |path: &str, name: &str| (PathBuf::from(path), column(name, 'p'));
    let two = Book::of(vec![
        file("now/6.12.jsonl", "6.12"),
        file("now/6.2.jsonl", "6.2"),
        file("before/6.12.jsonl", "6.12"),
    ]);
    let labels: Vec<&str> = two.columns.iter().map(|column| &*column.label).collect();
    assert_eq!(labels, ["now 6.2", "now 6.12", "before 6.12"]);
    let parts = Book::of(vec![file("b/6.12.jsonl", "6.12"), file("a/6.2.jsonl", "6.2")]);
    let labels: Vec<&str> = parts.columns.iter().map(|column| &*column.label).collect();
    assert_eq!((labels, parts.runs.len()), (vec!["6.2", "6.12"], 1));
}

/// A run that tells everything that a page has a place for.
fn told(name: &str, case: &str, words: &str) -> Run {
    let mut grid = Grid::undecided(Class::Unicast, vec!["a".into(), words.into()]);
    grid.cells[0][1] = Cell::new(Verdict::Blocked);
    grid.cells[0][1].proof = Some(words.into());
    let seen = Sighting::new(words, Direction::Out, words);
    grid.cells[0][1].seen.push(seen);
    let rule = RuleEntry {
        id: "a.b".into(),
        promise: words.into(),
        source: words.into(),
        strength: Strength::Observed,
        article: vec![words.into()],
        needs: vec![words.into()],
    };
    let lab = Topology::new(words).host("a").host("b").cable("a:e0", "b:e0");
    let events = vec![
        Event::Catalogue { rules: vec![rule] },
        Event::CaseStarted { case: id(case), rule: "a.b".into() },
        Event::LabBuilt { wiring: words.into(), topology: Some(lab), build_us: 1 },
        Event::Step { text: words.into() },
        Event::Check { claim: words.into(), observed: Some(words.into()) },
        Event::Grid { title: words.into(), observed: grid, expected: words.into(), agrees: false },
        Event::CaseFinished {
            case: id(case),
            rule: "a.b".into(),
            outcome: Outcome::Fail,
            reason: Some(words.into()),
            case_us: 1,
        },
    ];
    let mut run = column(name, 'f');
    let of = Case {
        id: case.into(),
        rule: "a.b".into(),
        reason: Some(words.into()),
        output: words.into(),
        ..run.cases[0].clone()
    };
    run.cases = vec![of];
    run.kernel = words.into();
    run.records = events.into_iter().map(|event| Record { v: VERSION, us: 1, event }).collect();
    run
}

fn id(text: &str) -> hairpin_model::CaseId {
    serde_json::from_value(text.into()).expect("an id is read as any text")
}

#[test]
fn nothing_that_comes_from_events_is_more_than_text() {
    let page = html(&Book::of_values(vec![told(NASTY, NASTY, NASTY)]));
    let (head, rest) = page.split_once("<body>").unwrap();
    let (_, script) = rest.rsplit_once("<script>").unwrap();
    assert!(!head.contains("<img") && !script.contains("onerror"));
    assert!(!rest.contains("<img") && !rest.contains("alert(1)>\""));
    assert_eq!(rest.matches("</script>").count(), 2);
    // The picture, the only thing that the script does not make of text itself.
    let details = unpacked(&page);
    let svg = details["labs"][0]["svg"].as_str().unwrap();
    assert!(svg.contains("&lt;/script>&lt;img src=x onerror") && !svg.contains("<img"), "{svg}");
    assert_eq!(details["cases"][0]["id"], NASTY);
}

#[test]
fn malformed_values_break_nothing() {
    let mut run = told("6.1", "a.b.c", "x");
    for record in &mut run.records {
        match &mut record.event {
            Event::Grid { observed, .. } => drop(observed.cells.pop()),
            Event::LabBuilt { topology: Some(topology), .. } => drop(topology.netns.pop()),
            _ => {}
        }
    }
    let details = unpacked(&html(&Book::of_values(vec![run])));
    assert_eq!(details["labs"][0]["svg"], serde_json::Value::Null);
    assert_eq!(details["labs"][0]["text"], "x");
}

#[test]
fn lines_that_cannot_be_read_are_named_above_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("6.12.jsonl");
    let whole = "{\"v\":1,\"us\":1,\"event\":\"case-finished\",\"case\":\"a.b\",\"rule\":\"a.b\",\"outcome\":\"pass\",\"reason\":null,\"case_us\":7}\n";
    fs::write(&file, format!("{{\"v\":2}}\n<b>\n{whole}")).unwrap();
    let book = Book::read(&[file]).unwrap();
    let page = html(&book);
    assert!(page.contains("6.12.jsonl, line 1</code>: the record is of version 2"), "{page}");
    assert!(page.contains("6.12.jsonl, line 2</code>: this line is no record"), "{page}");
    assert_eq!((book.unread.len(), book.rows.len()), (2, 1));
}

#[test]
fn the_same_runs_make_the_same_page() {
    let make = || html(&Book::of_values(vec![told("6.1", "a.b", "x"), told("6.2", "a.b", "x")]));
    let page = make();
    assert_eq!(page, make());
    // What two kernels have alike is stored once.
    assert_eq!(unpacked(&page)["stories"].as_array().unwrap().len(), 1);
}

#[test]
fn a_page_without_a_case_is_a_page() {
    assert!(html(&Book::default()).contains("Hairpin: 0 cases on 0 kernels"));
}

/// 600 cases on 11 kernels, no two of which saw the same frames, or built the same network.
#[test]
fn a_page_of_six_hundred_cases_on_eleven_kernels_stays_under_its_limit() {
    let runs = (0..11).map(|kernel| {
        let mut run = told(&format!("6.{kernel}"), "a.b", "x");
        let (records, case) = (std::mem::take(&mut run.records), run.cases.remove(0));
        for at in 0..600 {
            let id = format!("area-{}.some-topic.a-claim-of-usual-length-{at}", at % 7);
            run.records.extend(many(&records, &id, kernel * 1000 + at));
            run.cases.push(Case {
                id,
                reason: Some(format!("c1 -> c2 is off by {at}")),
                ..case.clone()
            });
        }
        run
    });
    let page = html(&Book::of_values(runs.collect()));
    println!("{} bytes", page.len());
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert_eq!(unpacked(&page)["stories"].as_array().unwrap().len(), 6600);
}

/// A case's records, with a network of its own and grids with frames in an order of their own.
fn many(records: &[Record], case: &str, seed: usize) -> Vec<Record> {
    let grid = |n: usize| {
        let hosts: Vec<String> = (0..4).map(|host| format!("c{host}")).collect();
        let mut grid = Grid::undecided(Class::Unicast, hosts);
        for (at, cell) in grid.cells.iter_mut().flatten().enumerate() {
            *cell = Cell::new(Verdict::Delivered);
            cell.seen = (0..9)
                .map(|step| sighting((seed * 7 + n * 3 + at * 5 + step * step) % 23))
                .collect();
        }
        Event::Grid { title: "unicast".into(), observed: grid, expected: "x".into(), agrees: true }
    };
    let mut out = records.to_vec();
    for record in &mut out {
        match &mut record.event {
            Event::CaseStarted { case: of, .. } | Event::CaseFinished { case: of, .. } => {
                *of = id(case);
            }
            Event::LabBuilt { topology, .. } => {
                let address = format!("192.0.2.{}/24", 1 + seed % 200);
                *topology = topology.take().map(|topology| topology.address("a:e0", &address));
            }
            Event::Grid { .. } => record.event = grid(0),
            Event::Step { text } => *text = format!("step {seed}"),
            _ => {}
        }
    }
    let end = out.len() - 1;
    out.insert(end, Record { v: VERSION, us: 1, event: grid(1) });
    out
}

fn sighting(n: usize) -> Sighting {
    let direction = if n.is_multiple_of(2) { Direction::Out } else { Direction::In };
    let byte = u8::try_from(n).expect("there are few");
    let headers = Headers {
        from: Mac([2, 0x68, 0x70, 0, 0, byte]),
        to: Mac([2, 0x68, 0x70, 0, 0, byte / 2]),
        vlan: if n.is_multiple_of(3) { vec![10] } else { Vec::new() },
        ip: Some(([192, 0, 2, byte].into(), [192, 0, 2, byte / 3].into())),
        ttl: Some(64 - byte % 4),
        ports: None,
    };
    let seen = Sighting::new(format!("sw{}:port{n}", n % 5), direction, "arp request");
    Sighting { headers: Some(headers), ..seen }
}

/// A file of `hairpin measure`, in which a bridge carries this much of what a cable does.
fn measured(file: &str, kernel: &str, bridge: f64, guest: Option<&str>) -> (PathBuf, Run) {
    let networks = TYPICAL.map(|(name, carries, takes)| match name {
        "bridge" => (name, bridge, takes),
        _ => (name, carries, takes),
    });
    let guest = guest.map(|accel| Guest {
        kernel: kernel.into(),
        title: "t".into(),
        accel: accel.into(),
        profile: "fast".into(),
        memory_mib: 128,
        boot_ms: 1,
        woken: true,
        kept: false,
        rehearsed: Vec::new(),
        seed: None,
        notes: Vec::new(),
        options: Vec::new(),
    });
    (PathBuf::from(file), Run { guest, ..run(kernel, &networks, 0.01) })
}

/// The labels of measurements with what each is held against.
fn held(read: Vec<(PathBuf, Run)>) -> Vec<(String, Option<String>)> {
    let details = unpacked(&html(&Book::of(read)));
    let all = details["costs"]["measured"].as_array().unwrap();
    let label = |one: &serde_json::Value| one["label"].as_str().unwrap().to_owned();
    let before =
        |one: &serde_json::Value| Some(label(&all[usize::try_from(one["before"].as_u64()?).ok()?]));
    all.iter().map(|one| (label(one), before(one))).collect()
}

fn told_of(pairs: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    let before = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    pairs.iter().map(|(label, of)| ((*label).to_owned(), before(of))).collect()
}

#[test]
fn a_measurement_is_held_against_the_kernel_before_it() {
    let of = |file, kernel| measured(file, kernel, 0.8, None);
    let held = held(vec![of("7.3.jsonl", "7.3"), of("6.12.jsonl", "6.12"), of("6.2.jsonl", "6.2")]);
    assert_eq!(held, told_of(&[("6.2.1", ""), ("6.12.1", "6.2.1"), ("7.3.1", "6.12.1")]));
}

#[test]
fn a_measurement_is_held_against_the_same_kernel_before_it_first() {
    let of = |folder: &str, kernel: &str| {
        measured(&format!("{folder}/{kernel}.jsonl"), kernel, 0.8, None)
    };
    let files = vec![of("a", "6.1"), of("a", "6.2"), of("b", "6.1"), of("b", "6.2")];
    let expected = [
        ("6.1.1 (a/6.1.jsonl)", ""),
        ("6.1.1 (b/6.1.jsonl)", "6.1.1 (a/6.1.jsonl)"),
        ("6.2.1 (a/6.2.jsonl)", "6.1.1 (a/6.1.jsonl)"),
        ("6.2.1 (b/6.2.jsonl)", "6.2.1 (a/6.2.jsonl)"),
    ];
    assert_eq!(held(files), told_of(&expected));
    let files =
        vec![measured("then.jsonl", "6.1", 0.8, None), measured("now.jsonl", "6.1", 0.8, None)];
    assert_eq!(held(files), told_of(&[("6.1.1 (then)", ""), ("6.1.1 (now)", "6.1.1 (then)")]));
}

#[test]
fn what_was_measured_in_another_way_is_not_held_against_it() {
    let files = vec![
        measured("6.1.jsonl", "6.1", 0.8, Some("tcg (there is no /dev/kvm)")),
        measured("6.2.jsonl", "6.2", 0.4, Some("kvm (it is faster)")),
        measured("6.3.jsonl", "6.3", 0.4, None),
        measured("6.4.jsonl", "6.4", 0.4, Some("tcg (it was asked for)")),
    ];
    assert_eq!(held(files), told_of(&[("6.1", ""), ("6.2", ""), ("6.3.1", ""), ("6.4", "6.1")]));
}

#[test]
fn a_line_a_kernel_tells_what_changed_beyond_the_noise() {
    let cases =
        (PathBuf::from("runs/6.2.jsonl"), Run { kernel: "6.2.1".into(), ..column("6.2", 'p') });
    let files = vec![
        measured("costs/6.1.jsonl", "6.1", 0.8, None),
        cases,
        measured("costs/6.2.jsonl", "6.2", 0.6, None),
    ];
    let book = Book::of(files);
    // Figures are no cases: no column, and no second run of a kernel.
    assert_eq!((book.columns.len(), book.runs.len()), (1, 1));
    let page = html(&book);
    let line = |kernel: &str| {
        page.lines().find(|line| line.contains(&format!("#kernel={kernel}\">"))).map(str::to_owned)
    };
    // The kernel with cases has one page for both; the other has one of its own.
    assert!(line("6.2").is_some() && line("6.1.1").is_some(), "{page}");
    assert!(page.contains("<b class=\"worse\">0.60 !</b> / 1.20</td>"), "{page}");
    assert_eq!(page.matches(" !</b>").count(), 1);
    assert!(!page.contains("veth-<wbr>again"));
}

#[test]
fn a_page_of_figures_alone_shows_no_empty_tables() {
    let page = html(&Book::of(vec![measured("6.1.jsonl", "6.1", 0.8, None)]));
    assert!(page.contains("<h1>Hairpin: what networks cost on 1 kernel</h1>"));
    for section in ["kernels", "cases"] {
        assert!(page.contains(&format!("aria-labelledby=\"{section}\" hidden>")), "{section}");
    }
}

#[test]
fn figures_without_a_whole_round_are_told_as_not_read() {
    let (file, mut cut) = measured("6.1.jsonl", "6.1", 0.8, None);
    cut.records.truncate(3);
    let book = Book::of(vec![(file, cut)]);
    assert_eq!((book.costs.len(), book.columns.len()), (0, 0));
    assert!(html(&book).contains("no round of measurements is in it"));
}

fn unpacked(page: &str) -> serde_json::Value {
    let packed = page.split("id=\"details\">").nth(1).unwrap().split('<').next().unwrap();
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&*STANDARD.decode(packed).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}
