//! What a process's end means for its case.
//!
//! A pass is believed only from a process that says so and then ends well.

use hairpin_model::Event;
use hairpin_model::event::Outcome;

use crate::run::process::{End, Ended};

/// The outcome of a case, and why for all but a pass. `None` when the run was stopped before the
/// case had one.
pub(crate) fn judge(ended: &Ended) -> Option<(Outcome, Option<String>)> {
    let told = ended.records.iter().rev().find_map(|record| match &record.event {
        Event::CaseFinished { outcome, reason, .. } => Some((*outcome, reason.clone())),
        _ => None,
    });
    if ended.end == End::Stopped && told.is_none() {
        return None;
    }
    if let Some(words) = &ended.unread {
        return Some((Outcome::Error, Some(format!("the suite program wrote {words}"))));
    }
    Some(match (told, ended.end) {
        (told, End::Deadline) => (Outcome::Hang, Some(hang(ended, told.is_some()))),
        (None, end) => (Outcome::Crash, Some(format!("the process {end} without a result"))),
        (Some(told), End::Exited(0) | End::Stopped) => told,
        // libtest turns a failure into an exit code, so that one is no news.
        (Some((outcome, reason)), _) if outcome.is_bad() => (outcome, reason),
        (Some((_, _)), End::Lingered) => (Outcome::Hang, Some(hang(ended, true))),
        (Some((outcome, _)), end) => {
            let reason = format!("the process {end} after it had told a {}", outcome.word());
            (Outcome::Crash, Some(reason))
        }
    })
}

/// Why a case hangs: what it had last told before it fell silent.
fn hang(ended: &Ended, finished: bool) -> String {
    if finished {
        return "the process did not end after its result".into();
    }
    let last = match ended.records.last().map(|record| &record.event) {
        None => "before its first event".to_owned(),
        Some(Event::CaseStarted { .. }) => "before its lab was built".into(),
        Some(Event::LabBuilt { .. }) => "after its lab was built".into(),
        Some(Event::Step { text }) => format!("after the step `{text}`"),
        Some(Event::Grid { title, .. }) => format!("after the grid `{title}`"),
        Some(Event::Check { claim, .. }) => format!("after the check `{claim}`"),
        Some(Event::Frame(_)) => "while it told its frames".into(),
        Some(_) => "after an event that belongs to no case".into(),
    };
    format!("no result within the deadline; silent {last}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hairpin_model::{CaseId, Record};

    use super::*;

    fn ended(events: Vec<Event>, end: End) -> Ended {
        let records = events.into_iter().map(|event| Record { v: 1, us: 0, event }).collect();
        let took = Duration::ZERO;
        Ended { records, unread: None, output: String::new(), end, took }
    }

    fn told(outcome: Outcome, end: End) -> Ended {
        let event = Event::CaseFinished {
            case: CaseId::of_test("a::b"),
            rule: "a.b".into(),
            outcome,
            reason: (outcome != Outcome::Pass).then(|| "why".to_owned()),
            case_us: 1,
        };
        ended(vec![event], end)
    }

    fn verdict(ended: &Ended) -> String {
        let (outcome, reason) = judge(ended).unwrap();
        format!("{}: {}", outcome.word(), reason.unwrap_or_default())
    }

    #[test]
    fn what_a_case_tells_is_believed_when_it_ends_well() {
        assert_eq!(verdict(&told(Outcome::Pass, End::Exited(0))), "pass: ");
        assert_eq!(verdict(&told(Outcome::Skip, End::Exited(0))), "skip: why");
        assert_eq!(verdict(&told(Outcome::Fail, End::Exited(101))), "fail: why");
        assert_eq!(verdict(&told(Outcome::Error, End::Signalled(9))), "error: why");
    }

    #[test]
    fn a_pass_before_a_bad_end_is_a_crash() {
        insta::assert_snapshot!(verdict(&told(Outcome::Pass, End::Exited(101))),
            @"crash: the process ended with exit code 101 after it had told a pass");
        insta::assert_snapshot!(verdict(&told(Outcome::Skip, End::Signalled(11))),
            @"crash: the process was killed by SIGSEGV after it had told a skip");
        insta::assert_snapshot!(verdict(&told(Outcome::Pass, End::Lingered)),
            @"hang: the process did not end after its result");
    }

    #[test]
    fn no_result_is_a_crash_or_a_hang() {
        insta::assert_snapshot!(verdict(&ended(vec![], End::Exited(0))),
            @"crash: the process ended with exit code 0 without a result");
        let step = Event::Step { text: "p:p0 down".into() };
        insta::assert_snapshot!(verdict(&ended(vec![step], End::Deadline)),
            @"hang: no result within the deadline; silent after the step `p:p0 down`");
        assert_eq!(judge(&ended(vec![], End::Stopped)), None);
    }

    #[test]
    fn a_line_that_is_no_record_spoils_a_pass() {
        let mut passed = told(Outcome::Pass, End::Exited(0));
        passed.unread = Some("nonsense".into());
        assert_eq!(verdict(&passed), "error: the suite program wrote nonsense");
    }
}
