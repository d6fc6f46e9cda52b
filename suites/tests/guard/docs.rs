//! What the documents say of the suite, held against the sources: they are read first and changed last.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hairpin_harness::Mode;
use hairpin_model::draw;

use crate::source::Rule;
use crate::{none, root, suite};

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What stands between backticks in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a rule is meant by an id, or by one that ends in `.*`.
fn means(pattern: &str, rule: &Rule) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => rule.id.starts_with(beginning),
        None => rule.id == pattern,
    }
}

#[test]
fn the_article_names_the_rules_of_every_row() {
    let rules = suite().rules;
    let text = read("docs/article.md");
    let mut told = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [row, _, _, patterns] = cells[..] else { continue };
        told.insert(row);
        let of_row = || rules.iter().filter(|rule| rule.article.iter().any(|r| r == row));
        let forgotten = of_row().filter(|rule| !quoted(patterns).any(|p| means(p, rule)));
        wrong.extend(forgotten.map(|rule| format!("{row} does not name `{}`", rule.id)));
        let idle = quoted(patterns).filter(|p| !of_row().any(|rule| means(p, rule)));
        wrong.extend(idle.map(|p| format!("{row} names `{p}`, which is not about it")));
    }
    let rows = crate::ARTICLE.iter().filter(|row| !told.contains(**row));
    wrong.extend(rows.map(|row| format!("no line for {row}")));
    none(wrong);
}

#[test]
fn every_rule_that_is_named_exists() {
    let rules = suite().rules;
    let areas: BTreeSet<&str> = rules.iter().filter_map(|rule| rule.id.split('.').next()).collect();
    let is_id = |word: &str| {
        // `macvlan.vepa` is a topic, `macvlan.c` a file.
        word.split('.').count() == 3 && word.split('.').next().is_some_and(|a| areas.contains(a))
    };
    let text = read("docs/semantics.md");
    let named: Vec<&str> = text.lines().flat_map(quoted).filter(|word| is_id(word)).collect();
    assert!(named.len() > 10, "{named:?}");
    let unknown = named.iter().filter(|id| !rules.iter().any(|rule| means(id, rule)));
    none(unknown.map(|id| format!("docs/semantics.md: there is no rule `{id}`")));
}

#[test]
fn the_case_of_the_readme_is_the_one_that_is_built() {
    let readme = read("README.md");
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.expect("the README shows a case");
    let built = bare(&read("harness/examples/isolated_ports.rs"));
    // One function of it, so that a line that is left out between two parts is no difference.
    for part in block.split("\n\n") {
        assert!(built.contains(&bare(part)), "not in harness/examples/isolated_ports.rs:\n{part}");
    }
}

#[test]
fn the_picture_of_the_readme_is_up_to_date() {
    let drawn = draw::svg(&[hairpin_fixtures::macvlan_lan(Mode::Vepa)]);
    assert!(
        read("docs/wiring.svg") == drawn,
        "make it again: hairpin draw macvlan.vepa --format svg -o docs/wiring.svg"
    );
}

/// Code without its layout, which rustfmt decides in one place and the page's width in the other.
fn bare(code: &str) -> String {
    let dense: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    dense.replace(",)", ")")
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for file in documents() {
        let text = fs::read_to_string(&file).expect("a document can be read");
        let folder = file.parent().expect("a document is in a folder");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
        let broken = local.filter(|link| {
            let path = link.split('#').next().unwrap_or(link);
            !folder.join(path).exists()
        });
        wrong.extend(broken.map(|link| format!("{}: `{link}` is not there", file.display())));
    }
    none(wrong);
}

/// The documents of the root and of `docs`.
fn documents() -> Vec<PathBuf> {
    let is_document = |path: &PathBuf| path.extension().is_some_and(|e| e == "md");
    let of = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("the folder can be read");
        entries.map(|entry| entry.expect("the folder can be read").path()).collect::<Vec<_>>()
    };
    let all = [of(root()), of(&root().join("docs"))].concat();
    all.into_iter().filter(is_document).collect()
}
