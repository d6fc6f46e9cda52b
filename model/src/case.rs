//! The stable dotted names of rules and cases.
//!
//! A rule is `area.topic.claim`, for example `macvlan.vepa.siblings-need-reflection`. A case is a
//! test function in the module and with the name of its rule, so its id needs no registry: it is
//! the libtest name with `::` as `.`, `_` as `-`, and rstest's `case_N_` numbers taken away.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a case: the id of its rule, then the variant if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseId(String);

impl CaseId {
    /// The case that a libtest test name stands for.
    ///
    /// ```
    /// # use hairpin_model::CaseId;
    /// let id = CaseId::of_test("macvlan::vepa::siblings_need_reflection::case_1_v4");
    /// assert_eq!(id.as_str(), "macvlan.vepa.siblings-need-reflection.v4");
    /// ```
    pub fn of_test(test: &str) -> Self {
        let parts: Vec<String> = test.split("::").map(segment).collect();
        Self(parts.join("."))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment: the area that the case belongs to.
    pub fn area(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Whether the case belongs to the rule of that id: the same path, or below it.
    pub fn is_under(&self, rule: &str) -> bool {
        self.0.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Whether every result format can carry this id: two or more segments of `[a-z0-9-]`.
    pub fn is_well_formed(id: &str) -> bool {
        let good = |s: &str| {
            !s.is_empty()
                && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        id.split('.').count() >= 2 && id.split('.').all(good)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One libtest path segment as one id segment: without the names and numbers that rstest puts before
/// a case's name (`case_2_v6`) or an argument's value (`family_1_Family__V4`).
fn segment(part: &str) -> String {
    let named = numbered(part).map_or(part, |value| value.rsplit("__").next().unwrap_or(value));
    named.to_ascii_lowercase().replace('_', "-")
}

/// What follows the first number that stands alone between `_`.
fn numbered(part: &str) -> Option<&str> {
    let digits = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let number = part.split('_').skip(1).find(digits)?;
    let (_, value) = part.split_once(&format!("_{number}_"))?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_rstest_is_no_part_of_the_id() {
        let id = CaseId::of_test("bridge::l2::same_bridge::case_2_v6");
        assert_eq!(id.as_str(), "bridge.l2.same-bridge.v6");
        assert_eq!(id.area(), "bridge");
    }

    #[test]
    fn an_argument_is_known_by_its_value() {
        let id = CaseId::of_test("b::causes::case_3_accept::family_2_Family__V6");
        assert_eq!(id.as_str(), "b.causes.accept.v6");
    }

    #[test]
    fn a_case_is_under_its_rule_by_whole_segments() {
        let id = CaseId::of_test("a::b_c::d");
        assert!(id.is_under("a.b-c"));
        assert!(id.is_under("a.b-c.d"));
        assert!(!id.is_under("a.b"));
    }

    #[test]
    fn ids_are_dotted_lowercase() {
        assert!(CaseId::is_well_formed("macvlan.vepa.siblings-need-reflection"));
        for bad in ["macvlan", "a..b", "A.b", "a.b_c", "a/b.c"] {
            assert!(!CaseId::is_well_formed(bad), "{bad}");
        }
    }
}
