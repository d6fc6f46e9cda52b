//! Which cases the filters of a command line mean.
//!
//! A filter is an area (`macvlan`), the beginning of an id by whole segments (`macvlan.vepa`), an
//! id, a glob over either (`*.vepa.*-v6`), or a sentence of the article (`M7`). Several filters
//! add up.

use std::collections::BTreeSet;

use crate::suite::{Case, Suite};

/// The filters that nothing matched, each with the names that look most like it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unmatched {
    /// The filter as it was given.
    pub(crate) filter: String,
    /// The nearest names, best first; may be empty.
    pub(crate) near: Vec<String>,
}

/// The cases that the filters mean, in the suite's order; all of them without a filter.
pub(crate) fn select<'s>(
    suite: &'s Suite,
    filters: &[String],
) -> Result<Vec<&'s Case>, Vec<Unmatched>> {
    let meant = |case: &Case, filter: &str| {
        means(filter, case.id.as_str()) || suite.rule_of(case).article.iter().any(|a| a == filter)
    };
    let unmatched: Vec<Unmatched> = filters
        .iter()
        .filter(|filter| !suite.cases.iter().any(|case| meant(case, filter)))
        .map(|filter| Unmatched { filter: filter.clone(), near: nearest(filter, suite) })
        .collect();
    if !unmatched.is_empty() {
        return Err(unmatched);
    }
    let wanted = |case: &&Case| filters.is_empty() || filters.iter().any(|f| meant(case, f));
    Ok(suite.cases.iter().filter(wanted).collect())
}

/// Whether the filter means this id, or a beginning of it by whole segments.
pub(crate) fn means(filter: &str, id: &str) -> bool {
    prefixes(id).any(|prefix| glob(filter.as_bytes(), prefix.as_bytes()))
}

/// `a`, `a.b`, `a.b.c` for `a.b.c`.
fn prefixes(id: &str) -> impl Iterator<Item = &str> {
    id.match_indices('.').map(|(at, _)| &id[..at]).chain([id])
}

/// `*` is any text, `?` one character; ids have no other special character, so nothing needs a
/// crate here.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => glob(rest, text),
        (Some((b'*', rest)), Some((_, left))) => glob(rest, text) || glob(pattern, left),
        (Some((p, rest)), Some((t, left))) => (*p == b'?' || p == t) && glob(rest, left),
        _ => false,
    }
}

/// How many names are suggested.
const SUGGESTIONS: usize = 3;

/// The names that look most like a filter: those that contain it, then those it may be a slip of.
fn nearest(filter: &str, suite: &Suite) -> Vec<String> {
    let plain = filter.trim_matches(['*', '.']);
    let names: BTreeSet<&str> =
        suite.cases.iter().flat_map(|case| prefixes(case.id.as_str())).collect();
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (likeness(plain, name), name))
        .filter(|(score, _)| *score >= LEAST_LIKENESS)
        .collect();
    scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.len().cmp(&y.len())));
    scored.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

/// Below this two names share hardly more than their letters.
const LEAST_LIKENESS: f64 = 0.75;

fn likeness(filter: &str, name: &str) -> f64 {
    let last = name.rsplit('.').next().unwrap_or(name);
    if !filter.is_empty() && last == filter {
        return 2.0;
    }
    // A name that holds the filter is nearer than one that merely resembles it.
    let holds = if filter.len() > 2 && last.contains(filter) { 1.0 } else { 0.0 };
    let close = strsim::jaro_winkler(filter, name).max(strsim::jaro_winkler(filter, last));
    holds + close * if holds > 0.0 { 0.5 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::testing::suite;

    fn chosen(filters: &[&str]) -> Vec<String> {
        let suite = suite();
        let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
        select(&suite, &filters).unwrap().iter().map(|case| case.id.to_string()).collect()
    }

    #[test]
    fn no_filter_means_every_case() {
        assert_eq!(chosen(&[]).len(), suite().cases.len());
    }

    #[test]
    fn a_filter_is_a_beginning_by_whole_segments() {
        assert_eq!(chosen(&["macvlan.vepa"]).len(), 2);
        assert_eq!(chosen(&["bridge"]), ["bridge.l2.same-bridge"]);
        assert_eq!(
            chosen(&["macvlan.vepa.siblings-need-reflection.v6"]),
            ["macvlan.vepa.siblings-need-reflection.v6"]
        );
    }

    #[test]
    fn a_filter_may_be_a_glob_or_a_sentence_of_the_article() {
        assert_eq!(chosen(&["*.v?"]).len(), 2);
        assert_eq!(chosen(&["*.vepa"]).len(), 2);
        assert_eq!(chosen(&["B2"]), ["bridge.l2.same-bridge"]);
        assert_eq!(chosen(&["*.v6", "bridge"]).len(), 2);
    }

    #[test]
    fn a_filter_that_means_nothing_comes_with_what_was_meant() {
        let suite = suite();
        let near = |filter: &str| select(&suite, &[filter.to_owned()]).unwrap_err().remove(0).near;
        assert_eq!(near("macvaln")[0], "macvlan");
        assert_eq!(near("vepa")[0], "macvlan.vepa");
        assert_eq!(near("macvlan.vepo")[0], "macvlan.vepa");
        assert_eq!(near("zzzz"), Vec::<String>::new());
        assert_eq!(near("macvlan.vep").len(), 3);
    }
}
