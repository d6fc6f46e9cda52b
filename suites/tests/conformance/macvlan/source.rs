//! x
use hairpin_harness::Rule;
pub(crate) const RULES: &[Rule] = &[];
