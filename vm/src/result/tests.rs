//! What counts before what.

use hairpin_model::CaseId;
use hairpin_model::event::VERSION;

use super::*;

fn record(event: Event) -> Record {
    Record { v: VERSION, us: 1, event }
}

fn finished(outcome: Outcome) -> Record {
    let (case, rule) = (CaseId::of_test("a::b"), "a.b".to_owned());
    record(Event::CaseFinished { case, rule, outcome, reason: None, case_us: 1 })
}

fn started() -> Record {
    record(Event::CaseStarted { case: CaseId::of_test("a::b"), rule: "a.b".into() })
}

fn result(end: End, records: Vec<Record>, console: &str) -> JobResult {
    let mut heard = Console::default();
    heard.feed(console.as_bytes());
    heard.finish();
    let mut written = Written::default();
    for record in records {
        let mut line = serde_json::to_vec(&record).unwrap();
        line.push(b'\n');
        // Cut as a serial line may cut it.
        line.chunks(5).for_each(|piece| written.take(Stream::Records, piece));
    }
    written.into_result(end, heard, 7)
}

fn outcome(end: End, records: Vec<Record>, console: &str) -> Outcome {
    result(end, records, console).outcome().0
}

#[test]
fn what_the_case_says_counts_when_nothing_speaks_against_it() {
    let said = |outcome| vec![started(), finished(outcome)];
    assert_eq!(outcome(End::Exited(0), said(Outcome::Pass), ""), Outcome::Pass);
    assert_eq!(outcome(End::Exited(0), said(Outcome::Skip), ""), Outcome::Skip);
    assert_eq!(outcome(End::Exited(101), said(Outcome::Fail), ""), Outcome::Fail);
}

#[test]
fn a_pass_on_a_kernel_that_complains_is_none() {
    let said = || vec![started(), finished(Outcome::Pass)];
    let warning = "[    9.1] WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 f+0x1/0x2\n";
    assert_eq!(outcome(End::Exited(0), said(), warning), Outcome::Fail);
    let oops = "[    9.1] BUG: kernel NULL pointer dereference, address: 0000000000000000\n";
    assert_eq!(outcome(End::Exited(0), said(), oops), Outcome::Crash);
}

#[test]
fn a_case_without_an_end_has_crashed_whatever_the_exit_code() {
    assert_eq!(outcome(End::Exited(0), vec![started()], ""), Outcome::Crash);
    assert_eq!(outcome(End::Killed(11), vec![started()], ""), Outcome::Crash);
    let said = vec![started(), finished(Outcome::Pass)];
    assert_eq!(outcome(End::Exited(101), said, ""), Outcome::Crash);
    assert_eq!(
        outcome(End::Crashed("gone".into()), vec![finished(Outcome::Pass)], ""),
        Outcome::Crash
    );
}

#[test]
fn a_program_without_records_is_judged_by_its_exit_code() {
    assert_eq!(outcome(End::Exited(0), vec![], ""), Outcome::Pass);
    assert_eq!(outcome(End::Exited(3), vec![], ""), Outcome::Fail);
    assert_eq!(outcome(End::Hung(Duration::from_secs(1)), vec![], ""), Outcome::Hang);
}

#[test]
fn a_record_that_is_none_is_our_error() {
    let mut written = Written::default();
    written.take(Stream::Records, b"{\"v\":1,\"us\":0,");
    let result = written.into_result(End::Exited(0), Console::default(), 0);
    assert_eq!(result.outcome().0, Outcome::Error);
    assert_eq!(result.bad_records, ["{\"v\":1,\"us\":0,"]);
}

#[test]
fn a_kernel_that_marked_itself_is_not_believed() {
    assert_eq!(marked(0x1000, 0x3000), None);
    assert_eq!(marked(0x200, 0x200), None);
    assert!(marked(0, 0x200).is_some());
}
