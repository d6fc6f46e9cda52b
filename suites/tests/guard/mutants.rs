//! The data of `fixtures/mutants`, held against the suite: a mutant that names no case is never noticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hairpin_model::CaseId;

use crate::{none, root, suite};

/// The files, one a driver, each as a table with its path.
fn drivers() -> Vec<(PathBuf, toml::Table)> {
    let folder = fs::read_dir(root().join("fixtures/mutants")).expect("the folder can be read");
    let mut files: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a file of mutants can be read");
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    files.iter().map(|file| (file.clone(), read(file))).collect()
}

fn text<'t>(table: &'t toml::Table, key: &str) -> &'t str {
    table.get(key).and_then(toml::Value::as_str).unwrap_or_default()
}

fn mutants(driver: &toml::Table) -> impl Iterator<Item = &toml::Table> {
    let list = driver.get("mutant").and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_table)
}

fn filters(table: &toml::Table) -> impl Iterator<Item = &str> {
    let list = table.get("cases").and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str)
}

#[test]
fn every_mutant_has_a_name_of_its_own_and_is_one_line() {
    let mut seen = BTreeSet::new();
    none(drivers().iter().flat_map(|(_, driver)| mutants(driver)).filter_map(|mutant| {
        let id = text(mutant, "id").to_owned();
        let is_line = |key| !text(mutant, key).is_empty() && !text(mutant, key).contains('\n');
        let good = CaseId::is_well_formed(&id)
            && ["function", "find", "breaks"].into_iter().all(is_line)
            && !text(mutant, "put").contains('\n');
        (!good || !seen.insert(id.clone())).then(|| format!("`{id}` is malformed or taken"))
    }));
}

#[test]
fn every_mutant_names_cases_that_are_there() {
    let suite = suite();
    let ids: Vec<CaseId> =
        suite.functions.iter().filter(|f| f.is_test).map(|f| CaseId::of_test(&f.path)).collect();
    let is_there = |filter: &str| {
        let below = |id: &CaseId| filter.starts_with(&format!("{id}."));
        ids.iter().any(|id| id.is_under(filter) || below(id))
    };
    none(drivers().iter().flat_map(|(_, driver)| {
        let named = mutants(driver).chain([driver]).flat_map(|table| {
            filters(table).map(|filter| (text(table, "id").to_owned(), filter.to_owned()))
        });
        let lost = named.filter(|(_, filter)| !is_there(filter));
        lost.map(|(id, filter)| format!("`{id}` names `{filter}`")).collect::<Vec<_>>()
    }));
}

#[test]
fn every_file_of_mutants_is_built_in() {
    let list = fs::read_to_string(root().join("src/mutants/data.rs")).expect("it can be read");
    none(drivers().iter().filter_map(|(file, _)| {
        let name = file.file_name()?.to_str()?;
        (!list.contains(&format!("fixtures/mutants/{name}"))).then(|| name.to_owned())
    }));
}
