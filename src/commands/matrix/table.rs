//! The matrix as text: a row a case, a column a kernel, and of the rows those that differ.

use std::collections::{BTreeMap, BTreeSet};

use super::column::Column;
use super::earlier::Cells;
use super::{Cell, paragraph};
use crate::show::{DIM, STRONG, paint};
use crate::suite::Case;

/// Width of a kernel's column, the space after it included.
const COLUMN: usize = 7;

/// Cases by kernels.
pub(super) struct Table<'t> {
    cases: &'t [&'t Case],
    columns: Vec<&'t Column>,
}

impl<'t> Table<'t> {
    /// The kernels that cases were given to.
    pub(super) fn new(cases: &'t [&'t Case], columns: &'t [Column]) -> Self {
        Self { cases, columns: columns.iter().filter(|column| column.has_run()).collect() }
    }

    /// All cells.
    pub(super) fn cells(&self) -> Cells {
        let of = |column: &'t Column| {
            let cells = column.cells.iter();
            cells.map(|(case, cell)| ((column.name.clone(), case.clone()), cell.clone()))
        };
        self.columns.iter().copied().flat_map(of).collect()
    }

    /// The table, and the reasons of what is not a pass.
    pub(super) fn text(&self, all: bool, width: usize) -> String {
        let rows: Vec<(&str, Vec<Option<&Cell>>)> = self
            .cases
            .iter()
            .map(|case| {
                let id = case.id.as_str();
                (id, self.columns.iter().map(|column| column.cells.get(id)).collect())
            })
            .collect();
        let shown: Vec<_> = rows.iter().filter(|(_, row)| all || differs(row)).collect();
        let alike = rows.len() - shown.len();
        let mut out = String::new();
        if !shown.is_empty() {
            let heads: String =
                self.columns.iter().map(|column| format!("{:<COLUMN$}", column.name)).collect();
            out.push_str(&format!("{}\n", paint(STRONG, heads.trim_end())));
            for (id, row) in shown {
                out.push_str(&line(id, row, width));
            }
            out.push('\n');
        }
        let rest = match alike {
            n if n > 0 && self.columns.len() != 1 => {
                format!("{n} of {} cases ended alike on all kernels\n\n", rows.len())
            }
            _ => String::new(),
        };
        out + &rest + &reasons(&rows, &self.columns)
    }
}

/// Whether a row says something: kernels that differ, or something bad.
fn differs(row: &[Option<&Cell>]) -> bool {
    let word = |cell: &Option<&Cell>| cell.map(Cell::word);
    row.iter().any(|cell| word(cell) != word(&row[0]))
        || row.iter().flatten().any(|cell| cell.is_bad())
}

/// The cells first, so that they stand in line whatever a case's id is.
fn line(id: &str, row: &[Option<&Cell>], width: usize) -> String {
    let cell = |cell: &Option<&Cell>| match cell {
        Some(cell) => cell.painted(COLUMN),
        None => paint(DIM, format!("{:<COLUMN$}", "-")),
    };
    let cells: String = row.iter().map(cell).collect();
    if row.len() * COLUMN + id.len() > width {
        return format!("{cells}\n    {id}\n");
    }
    format!("{cells}{id}\n")
}

/// Each reason once, with the kernels and how many cases it stands for.
fn reasons<'t>(rows: &[(&'t str, Vec<Option<&'t Cell>>)], columns: &[&'t Column]) -> String {
    let mut found: BTreeMap<(&str, &str), Cause<'t>> = BTreeMap::new();
    for (id, row) in rows {
        for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
            let Some(Cell { reason: Some(reason), .. }) = cell else { continue };
            let word = cell.map_or("", Cell::word);
            let cause = found.entry((word, reason)).or_default();
            cause.kernels.insert(index, &column.name);
            cause.cases.insert(id);
        }
    }
    let mut out = String::new();
    for ((word, reason), cause) in found {
        let cases = match cause.cases.len() {
            1 => cause.cases.first().copied().unwrap_or_default().to_owned(),
            many => format!("{many} cases"),
        };
        let kernels: Vec<&str> = cause.kernels.into_values().collect();
        out.push_str(&paragraph(&format!("{word} on {}: {cases}: {reason}", kernels.join(" "))));
    }
    out
}

/// What ended for one reason: kernels in their order, and cases.
#[derive(Default)]
struct Cause<'t> {
    kernels: BTreeMap<usize, &'t str>,
    cases: BTreeSet<&'t str>,
}
