//! One file a subcommand: its options and what it does.

pub(crate) mod bisect;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod draw;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod matrix;
pub(crate) mod measure;
pub(crate) mod mutants;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod setup;
pub(crate) mod shell;
