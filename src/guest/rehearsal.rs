//! Which cases a guest runs before it is copied for all: a few of the run's own, of its areas in turn.
//!
//! What a case has QEMU translate is mostly what the next one needs, too. So a handful is enough, and few enough cases are
//! not worth one.

use std::time::Duration;

use hairpin_vm::Job;

use super::case;
use crate::suite::{Case, Suite};

/// One case in so many is rehearsed,
const ONE_IN: usize = 12;
/// and no more than these: what another one adds is less than what it costs.
const AT_MOST: usize = 4;
/// How long a rehearsed case may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// For how long the kernel may take down the rehearsal's networks before it is copied.
const LINGER: Duration = Duration::from_millis(300);

/// The cases to rehearse for so many turns of these; none if that is too short to pay.
pub(crate) fn chosen<'s>(suite: &Suite, cases: &[&'s Case], turns: usize) -> Vec<&'s Case> {
    let usual: Vec<&Case> =
        cases.iter().copied().filter(|case| !suite.waits_for_minutes(case)).collect();
    spread(&usual, usual.len() * turns)
}

/// As many of them as so many runs are worth, in equal distances.
fn spread<T: Copy>(all: &[T], runs: usize) -> Vec<T> {
    let count = (runs / ONE_IN).min(AT_MOST).min(all.len());
    (0..count).map(|index| all[index * all.len() / count]).collect()
}

/// These cases as one job.
pub(crate) fn job(cases: &[&Case]) -> Job {
    let mut job = case::job("", DEADLINE * u32::try_from(cases.len()).unwrap_or(u32::MAX));
    let tests = cases.iter().map(|case| case.test.clone());
    job.args = tests.chain(["--exact", "--test-threads=1"].map(str::to_owned)).collect();
    job.linger = LINGER;
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_cases_of_a_long_run_are_rehearsed_and_none_of_a_short_one() {
        let of = |count: usize| spread(&(0..count).collect::<Vec<usize>>(), count);
        assert_eq!(of(11), [0usize; 0]);
        assert_eq!(of(12), [0]);
        assert_eq!(of(30), [0, 15]);
        assert_eq!(of(1000), [0, 250, 500, 750]);
        assert_eq!(spread(&[7], 100), [7]);
    }
}
