//! The rules that explanations name are rules of the suite, and so are their promises.

use std::fs;
use std::path::Path;

use hairpin_explain::promise::{PROMISES, Promise, promise};

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            sources(&path, text);
        } else {
            text.push_str(&fs::read_to_string(&path).expect("a source can be read"));
        }
    }
}

/// A text of the sources as the compiler reads it: continued lines are one, quotes are quotes.
fn unfolded(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |all, line| all + line.trim_start()).replace("\\\"", "\"")
}

#[test]
fn every_promise_is_the_suites() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut suite = String::new();
    sources(&here.join("../suites/tests/conformance"), &mut suite);
    let suite = unfolded(&suite);
    for Promise { id, promise, source } in PROMISES {
        let start = suite.find(&format!("id: \"{id}\"")).unwrap_or_else(|| panic!("no rule {id}"));
        let rule = &suite[start..];
        let rule = &rule[..rule.find("needs:").expect("a rule has needs")];
        assert!(rule.contains(promise), "{id}: {promise}");
        // A source of several rules stands elsewhere in its file.
        let place = if rule.contains("cite:") { rule } else { suite.as_str() };
        assert!(place.contains(source.cite), "{id}: {}", source.cite);
    }
}

#[test]
fn every_rule_that_is_named_has_its_promise() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut words = String::new();
    sources(&here.join("src/told"), &mut words);
    let areas =
        ["bridge.", "docker.published.", "docker.mtu.", "macvlan.", "nat.", "veth.", "vlan."];
    let words = words.split('"').filter(|word| !word.contains(char::is_whitespace));
    let ids: Vec<&str> =
        words.filter(|word| areas.iter().any(|area| word.starts_with(area))).collect();
    assert!(ids.len() > 15, "{ids:?}");
    for id in ids {
        assert!(promise(id).is_some(), "no promise of {id}");
    }
}
