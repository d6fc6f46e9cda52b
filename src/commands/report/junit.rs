//! JUnit's XML: a suite a kernel. Known failures are skipped there, with their reason: a page that
//! is red every day is not read.

use hairpin_model::Error;
use hairpin_model::event::Outcome;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::reason;
use crate::results::{Case, Run};

/// The runs as one file.
pub(super) fn text(runs: &[Run]) -> Result<String, Error> {
    let mut report = Report::new("hairpin");
    for run in runs {
        let mut suite = TestSuite::new(run.name.as_str());
        suite.add_property(("kernel", run.kernel.as_str()));
        if let Some(guest) = &run.guest {
            suite.add_property(("package", guest.title.as_str()));
            suite.add_property(("accelerator", guest.accel.as_str()));
        }
        suite.add_test_cases(run.cases.iter().map(case));
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| {
        Error::new(format!("the report cannot be written as XML: {error}"), "JUnit", "report this")
    })
}

fn case(case: &Case) -> TestCase {
    let bad = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(case.outcome.word()).set_message(reason(case));
        status.set_description(case.output.as_str());
        status
    };
    let status = match case.outcome {
        _ if case.is_mere_flake() => {
            let mut rerun = TestRerun::new(NonSuccessKind::Failure);
            rerun.set_type(case.outcome.word()).set_message(reason(case));
            let mut status = TestCaseStatus::success();
            status.add_rerun(rerun);
            status
        }
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Skip | Outcome::Known => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(case.outcome.word()).set_message(reason(case));
            status
        }
        Outcome::Fail => bad(NonSuccessKind::Failure),
        Outcome::Error | Outcome::Crash | Outcome::Hang => bad(NonSuccessKind::Error),
    };
    let mut out = TestCase::new(case.id.as_str(), status);
    out.set_classname(case.rule.as_str()).set_time(case.took);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_with_each_outcome_in_its_place() {
        let text = text(&[super::super::testing::run()]).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        let suite = &read.test_suites[0];
        assert_eq!((suite.name.as_str(), suite.tests), ("6.12", 8));
        // An error of ours, a crash and a hang are errors; two were skipped.
        assert_eq!((suite.failures, suite.errors, suite.disabled), (1, 3, 2));
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
