//! What became of a suite program's cases in one guest, as an event file that reports read.
//!
//! Cases of one process run side by side, and what they tell on their way does not name them: only their ends are kept.

use std::collections::BTreeMap;
use std::path::Path;

use hairpin_model::event::Outcome;
use hairpin_model::{Error, Event, Record};

use crate::stream::Stream;

/// Writes the file.
pub(super) fn write(
    file: &Path,
    (program, kernel): (&str, &str),
    records: &[Record],
) -> Result<(), Error> {
    let ended: Vec<&Event> = records.iter().map(|record| &record.event).filter(is_end).collect();
    let mut stream = Stream::create(file)?;
    let (program, kernel) = (program.to_owned(), kernel.to_owned());
    stream.event(Event::RunStarted { program, kernel, cases: ended.len(), guest: None })?;
    let (mut counts, mut run_us) = (BTreeMap::<Outcome, usize>::new(), 0);
    for event in ended {
        let Event::CaseFinished { case, rule, outcome, case_us, .. } = event else { continue };
        *counts.entry(*outcome).or_default() += 1;
        run_us += case_us;
        stream.event(Event::CaseStarted { case: case.clone(), rule: rule.clone() })?;
        stream.event(event.clone())?;
    }
    stream.event(Event::RunFinished { counts: counts.into_iter().collect(), run_us })
}

fn is_end(event: &&Event) -> bool {
    matches!(event, Event::CaseFinished { .. })
}

#[cfg(test)]
mod tests {
    use hairpin_model::CaseId;
    use hairpin_model::event::VERSION;

    use super::*;
    use crate::results;

    #[test]
    fn cases_that_ran_side_by_side_are_read_back_each_with_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("6.1.jsonl");
        let started =
            |case: &str| Event::CaseStarted { case: CaseId::of_test(case), rule: "r".into() };
        let finished = |case: &str, outcome| Event::CaseFinished {
            case: CaseId::of_test(case),
            rule: "r".into(),
            outcome,
            reason: None,
            case_us: 5,
        };
        let events = [
            started("a"),
            started("b"),
            Event::Step { text: "whose?".into() },
            finished("b", Outcome::Skip),
            finished("a", Outcome::Pass),
            started("c"),
        ];
        let record = |event| Record { v: VERSION, us: 1, event };
        let records: Vec<Record> = events.into_iter().map(record).collect();
        write(&file, ("/suite", "6.1.0"), &records).unwrap();
        let runs = results::read(&[file]).unwrap();
        let run = &runs[0];
        assert_eq!((run.name.as_str(), run.kernel.as_str(), run.is_whole), ("6.1", "6.1.0", true));
        let outcomes: Vec<_> = run.cases.iter().map(|c| (c.id.as_str(), c.outcome)).collect();
        assert_eq!(outcomes, [("b", Outcome::Skip), ("a", Outcome::Pass)]);
    }
}
