//! The rules that explanations name are rules of the suite.

use std::fs;
use std::path::Path;

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

#[test]
fn every_rule_that_is_named_is_in_the_suite() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut suite = String::new();
    sources(&here.join("../suites/tests/conformance"), &mut suite);
    let causes = fs::read_to_string(here.join("src/cause.rs")).expect("a source can be read");
    let areas = ["bridge.", "macvlan.", "nat.", "veth.", "vlan."];
    let words = causes.split('"').filter(|word| !word.contains(char::is_whitespace));
    let ids: Vec<&str> =
        words.filter(|word| areas.iter().any(|area| word.starts_with(area))).collect();
    assert!(ids.len() > 15, "{ids:?}");
    for id in ids {
        assert!(suite.contains(&format!("id: \"{id}\"")), "no rule {id}");
    }
}
