//! Flat TAP 13. Readers of kernel test output know neither nested results nor newer headers, take
//! any `not ok` for a failure whatever its directive, and look for words such as `FAIL:` anywhere.

use hairpin_model::event::Outcome;

use super::reason;
use crate::results::{Case, Run};

/// The runs as one list; with several, a case's name begins with its kernel's.
pub(super) fn text(runs: &[Run]) -> String {
    let cases: usize = runs.iter().map(|run| run.cases.len()).sum();
    let mut out = format!("TAP version 13\n1..{cases}\n");
    let mut number = 0;
    for run in runs {
        for case in &run.cases {
            number += 1;
            let name = match runs.len() {
                1 => case.id.clone(),
                _ => format!("{}.{}", run.name.replace('.', "-"), case.id),
            };
            let good = if case.outcome.is_bad() && !case.is_mere_flake() { "not ok" } else { "ok" };
            let directive = directive(case);
            out.push_str(&format!("{good} {number} {name}{directive}\n"));
        }
    }
    out
}

fn directive(case: &Case) -> String {
    let why = reason(case).replace('#', "").replace("FAIL", "fail").replace("SKIP", "skip");
    match case.outcome {
        _ if case.is_mere_flake() => {
            format!(" # flaky {}/{}: {why}", case.runs - case.times, case.runs)
        }
        Outcome::Pass => format!(" # time={}ms", case.took.as_millis()),
        Outcome::Skip => format!(" # SKIP {why}"),
        Outcome::Known => format!(" # XFAIL {why}"),
        Outcome::Fail => format!(" # {why}"),
        Outcome::Error => format!(" # ERROR setup: {why}"),
        Outcome::Crash => format!(" # ERROR kernel: {why}"),
        Outcome::Hang => format!(" # TIMEOUT {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_line() {
        insta::assert_snapshot!(text(&[super::super::testing::run()]), @r##"
        TAP version 13
        1..8
        ok 1 area.rule-0 # time=12ms
        ok 2 area.rule-1 # SKIP why  <1> & more
        ok 3 area.rule-2 # XFAIL why  <2> & more
        not ok 4 area.rule-3 # why  <3> & more
        not ok 5 area.rule-4 # ERROR setup: why  <4> & more
        not ok 6 area.rule-5 # ERROR kernel: why  <5> & more
        not ok 7 area.rule-6 # TIMEOUT why  <6> & more
        ok 8 area.rule-9 # flaky 2/3: why  <9> & more
        "##);
    }
}
