//! What the page tells: event files side by side, the cases of all of them, and their rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hairpin_model::rule::RuleEntry;
use hairpin_model::{Error, Event};

use super::costs::{self, Cost};
use crate::results::{self, Case, Run};

/// Everything that the page tells.
#[derive(Default)]
pub(crate) struct Book {
    /// The names of the runs that are held against each other; one, unless a kernel occurs twice.
    pub(super) runs: Vec<String>,
    /// Run by run, oldest kernel first.
    pub(super) columns: Vec<Column>,
    /// By id.
    pub(super) rows: Vec<Row>,
    pub(super) rules: BTreeMap<String, RuleEntry>,
    /// What networks cost, oldest kernel first.
    pub(super) costs: Vec<Cost>,
    /// A line each that could not be read.
    pub(crate) unread: Vec<Error>,
}

/// A kernel's cases in one run: an event file.
pub(super) struct Column {
    /// What it is called here: the kernel, after the run's name if there are several.
    pub(super) label: String,
    /// The place of its run among [`Book::runs`].
    pub(super) of: usize,
    pub(super) run: Run,
    pub(super) file: PathBuf,
}

/// A case on all kernels.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) rule: String,
    /// One a column.
    pub(super) cells: Vec<Option<Case>>,
}

impl Row {
    /// The first segment of the id.
    pub(super) fn area(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }
}

impl Book {
    /// Reads event files, and folders of them.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut files = results::event_files(paths)?;
        let mut seen = BTreeSet::new();
        files.retain(|file| seen.insert(file.clone()));
        let (runs, mut unread) = results::read_all_leniently(&files)?;
        let mut book = Self::of(files.into_iter().zip(runs).collect());
        unread.append(&mut book.unread);
        Ok(Self { unread, ..book })
    }

    /// Runs that no files are known of.
    pub(crate) fn of_values(runs: Vec<Run>) -> Self {
        Self::of(runs.into_iter().map(|run| (PathBuf::new(), run)).collect())
    }

    /// Runs with the files that they were read from.
    pub(super) fn of(mut read: Vec<(PathBuf, Run)>) -> Self {
        let (costs, unread) = costs::costs(&read);
        read.retain(|(_, run)| !run.is_only_measured());
        let folders = folders(&read);
        let mut columns: Vec<Column> = Vec::new();
        for (file, run) in read {
            let of = folders.iter().position(|folder| folder == parent(&file)).unwrap_or(0);
            columns.push(Column { label: run.name.clone(), of, run, file });
        }
        columns.sort_by_key(|column| (column.of, results::version(&column.run.name)));
        let runs = names(&folders);
        if runs.len() > 1 {
            for column in &mut columns {
                column.label = format!("{} {}", runs[column.of], column.run.name);
            }
        }
        let (rows, rules) = (rows(&columns), rules(&columns));
        Self { runs, columns, rows, rules, costs, unread }
    }
}

pub(super) fn parent(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new(""))
}

/// The folders of the runs, as they were named. Folders without a kernel in common are the parts of
/// one run: several machines can share the work.
fn folders(read: &[(PathBuf, Run)]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for (file, _) in read {
        if !folders.iter().any(|folder| folder == parent(file)) {
            folders.push(parent(file).to_owned());
        }
    }
    let mut names = BTreeSet::new();
    if read.iter().all(|(_, run)| names.insert(&run.name)) {
        folders.truncate(1);
    }
    folders
}

/// The last part of each folder's path, or the whole path where that says too little.
fn names(folders: &[PathBuf]) -> Vec<String> {
    let last = |folder: &PathBuf| folder.file_name().map(|n| n.to_string_lossy().into_owned());
    let short: BTreeSet<Option<String>> = folders.iter().map(last).collect();
    let are_short = short.len() == folders.len() && !short.contains(&None);
    let name = |folder: &PathBuf| match last(folder) {
        Some(name) if are_short => name,
        _ => folder.display().to_string(),
    };
    folders.iter().map(name).collect()
}

fn rows(columns: &[Column]) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (at, column) in columns.iter().enumerate() {
        for case in &column.run.cases {
            let row = rows.entry(case.id.clone()).or_insert_with(|| Row {
                id: case.id.clone(),
                rule: case.rule.clone(),
                cells: vec![None; columns.len()],
            });
            row.cells[at] = Some(case.clone());
        }
    }
    rows.into_values().collect()
}

/// The rules of all catalogues; of one id, what the last run says.
fn rules(columns: &[Column]) -> BTreeMap<String, RuleEntry> {
    let events = columns.iter().flat_map(|column| &column.run.records).map(|record| &record.event);
    let catalogues = events.filter_map(|event| match event {
        Event::Catalogue { rules } => Some(rules),
        _ => None,
    });
    catalogues.flatten().map(|rule| (rule.id.clone(), rule.clone())).collect()
}
