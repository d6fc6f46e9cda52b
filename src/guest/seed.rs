//! What makes one guest differ from its twins, all from one number, so that a run can be had again.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use hairpin_model::CaseId;

/// Where the random numbers of all guests of a run come from.
#[derive(Debug)]
pub(crate) struct Seeds {
    run: u32,
    turns: Mutex<BTreeMap<CaseId, u64>>,
}

impl Seeds {
    /// From the number that was given, or from one that nobody knew before.
    pub(crate) fn new(given: Option<u32>) -> Self {
        Self { run: given.unwrap_or_else(any), turns: Mutex::default() }
    }

    /// The number that gives the same seeds again.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// The seed of the next turn of a case: the same in each run with that number, whatever else runs.
    pub(crate) fn next(&self, case: &CaseId) -> u64 {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(case.clone()).or_default();
        *turn += 1;
        mixed(self.run, case.as_str(), *turn)
    }
}

/// A number that a reader can type.
fn any() -> u32 {
    let many = RandomState::new().hash_one(std::process::id());
    u32::try_from(many >> 32).expect("the upper half of 64 bits")
}

/// FNV-1a: it must stay the same for ever, which the standard library does not promise of its own.
fn mixed(run: u32, case: &str, turn: u64) -> u64 {
    let bytes = run.to_le_bytes().into_iter().chain(case.bytes()).chain(turn.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gives_its_seeds_again_in_any_order() {
        let (one, two) = (CaseId::of_test("a::one"), CaseId::of_test("a::two"));
        let (first, again) = (Seeds::new(Some(7)), Seeds::new(Some(7)));
        let told = [first.next(&one), first.next(&two), first.next(&one)];
        let (other, turns) = (again.next(&two), [again.next(&one), again.next(&one)]);
        assert_eq!(told, [turns[0], other, turns[1]]);
        assert_ne!(turns[0], turns[1]);
        assert_ne!(Seeds::new(Some(8)).next(&one), turns[0]);
    }
}
