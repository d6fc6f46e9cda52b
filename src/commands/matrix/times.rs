//! How long cases took when they last ran in guests: the longest begin first, and the rest of a run is estimated.
//!
//! Only the order and the estimate hang on it, so a file that is missing or broken is an empty one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::guest;
use crate::suite::Case;

/// What a case is believed to take that never ran.
const UNKNOWN: u64 = 500;

/// The times of the last runs, in milliseconds, and those of this one.
#[derive(Debug, Default)]
pub(super) struct Times {
    last: BTreeMap<String, u64>,
    now: Mutex<BTreeMap<String, u64>>,
}

/// The file, which all runs share.
pub(super) fn file() -> PathBuf {
    guest::state().join("times.json")
}

impl Times {
    /// Those that a file holds.
    pub(super) fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_default();
        Self { last: serde_json::from_slice(&bytes).unwrap_or_default(), now: Mutex::default() }
    }

    /// What a case is expected to take, in milliseconds.
    pub(super) fn expected(&self, case: &Case) -> u64 {
        self.last.get(case.id.as_str()).copied().unwrap_or(UNKNOWN)
    }

    /// Puts the longest first: what begins last then keeps a core waiting for a short time only.
    pub(super) fn sort(&self, cases: &mut [&Case]) {
        cases.sort_by_key(|case| std::cmp::Reverse(self.expected(case)));
    }

    /// Notes what a case took on one of the kernels; the longest is kept.
    pub(super) fn took(&self, case: &Case, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let known = now.entry(case.id.to_string()).or_default();
        *known = took.max(*known);
    }

    /// Keeps the times for the next run. A disk that is full costs the order, and no result.
    pub(super) fn write(self, file: &Path) -> std::io::Result<()> {
        let mut all = self.last;
        all.extend(self.now.into_inner().unwrap_or_else(PoisonError::into_inner));
        let text = serde_json::to_vec(&all).expect("names and numbers are plain values");
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Two runs at once each put a whole file in its place.
        let beside = file.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::testing;

    #[test]
    fn the_longest_of_the_last_run_comes_first_and_what_never_ran_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/times.json");
        let suite = testing::suite();
        let [short, new, long] = &suite.cases[..] else { panic!("there are three") };
        let first = Times::read(&file);
        first.took(short, Duration::from_millis(20));
        first.took(long, Duration::from_secs(2));
        first.took(long, Duration::from_secs(1));
        first.write(&file).unwrap();
        let second = Times::read(&file);
        assert_eq!([short, new, long].map(|case| second.expected(case)), [20, 500, 2000]);
        let mut order = [short, new, long];
        second.sort(&mut order);
        assert_eq!(order.map(|case| &case.id), [&long.id, &new.id, &short.id]);
    }

    #[test]
    fn a_broken_file_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("times.json");
        std::fs::write(&file, "{\"a\": ").unwrap();
        assert_eq!(Times::read(&file).expected(&testing::suite().cases[0]), UNKNOWN);
    }
}
