//! Copies of a guest that has rehearsed: what they have of it, what they have not of each other, and how they end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hairpin_model::event::Outcome;
use hairpin_vm::{End, Guests, JobResult};

use crate::common::{SERIES, job, spec, stdout};

/// Guests of which one has left a file, and is copied.
fn rehearsed(series: &str) -> Guests {
    let mut spec = spec(series);
    spec.beforehand = Some(job(&["", ""]));
    let mut guests = Guests::prepare(&spec).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(guests.rehearse(&job(&["mark", "/tmp/rehearsal"])), "{series}: {:?}", guests.notes());
    guests
}

fn run(guests: &Guests, words: &[&str]) -> JobResult {
    let result = guests.run(&job(words)).unwrap_or_else(|failure| panic!("{failure}"));
    // Else a job got another guest because it could get no copy.
    assert_eq!(guests.notes(), [""; 0]);
    result
}

#[test]
fn a_copy_has_the_rehearsal_behind_it_and_no_other_job() {
    for series in SERIES {
        let guests = rehearsed(series);
        assert_eq!(stdout(&run(&guests, &["mark", "/tmp/rehearsal"])), "true\n", "{series}");
        for _ in 0..3 {
            assert_eq!(stdout(&run(&guests, &["mark", "/tmp/job"])), "false\n", "{series}");
        }
        let result = run(&guests, &["sleep", "2"]);
        assert_eq!(result.end, End::Exited(0), "{series}: {}", result.console.text());
        assert!(result.timing.inside.as_secs_f32() >= 2.0, "{series}: {:?}", result.timing);
        println!("{series}: {:?}", result.timing);
    }
}

#[test]
fn copies_run_side_by_side_each_with_its_own_chance_and_the_right_time() {
    let guests = rehearsed("6.1");
    let numbers = std::thread::scope(|scope| {
        let asked = [(); 12].map(|()| scope.spawn(|| stdout(&run(&guests, &["random"]))));
        asked.map(|answer| answer.join().unwrap()).into_iter().collect::<BTreeSet<String>>()
    });
    assert_eq!(numbers.len(), 12, "{numbers:?}");
    let clock: u64 = stdout(&run(&guests, &["clock"])).trim().parse().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now.abs_diff(clock) < 5, "{clock} there, {now} here");
}

#[test]
fn a_copy_that_crashes_hangs_or_speaks_much_is_told_as_such_and_the_next_one_runs() {
    for series in SERIES {
        let guests = rehearsed(series);
        let crashed = run(&guests, &["kernel", "c"]);
        assert_eq!(crashed.outcome().0, Outcome::Crash, "{series}: {:?}", crashed.end);
        assert!(crashed.evidence[0].ended_machine, "{:?}", crashed.evidence);
        let mut hang = job(&["hang"]);
        hang.deadline = Duration::from_secs(3);
        let begin = Instant::now();
        let hung = guests.run(&hang).unwrap();
        assert_eq!(hung.end, End::Hung(hang.deadline), "{series}");
        assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
        assert!(hung.console.text().contains("NMI"), "{series}: {}", hung.console.text());
        let much = run(&guests, &["bulk", "1000000"]);
        let expected: Vec<u8> = (0..=255).cycle().take(1_000_000 / 256 * 256).collect();
        assert!(much.stdout == expected, "{series}: {} bytes", much.stdout.len());
        assert_eq!(stdout(&run(&guests, &["say", "still here"])), "still here\n");
    }
}

#[test]
fn a_rehearsal_that_goes_badly_is_told_and_jobs_get_guests_that_did_not_see_it() {
    let mut guests = Guests::prepare(&spec("6.1")).unwrap_or_else(|failure| panic!("{failure}"));
    let complaint = "<4>WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 dev_open+0x1/0x2";
    let mut endless = job(&["hang"]);
    endless.deadline = Duration::from_secs(1);
    let bad = [job(&["to-console", complaint]), job(&["kernel", "c"]), endless];
    for rehearsal in &bad {
        assert!(!guests.rehearse(rehearsal), "{:?}", rehearsal.args);
    }
    let notes = guests.notes().join("\n");
    for why in ["dev_open", "crash", "did not come to its end"] {
        assert!(notes.contains(why), "{why}: {notes}");
    }
    assert_eq!(stdout(&guests.run(&job(&["mark", "/tmp/x"])).unwrap()), "false\n");
}
