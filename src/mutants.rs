//! Mutants: one-line bugs in the drivers, and which case notices each.
//!
//! | module | idea |
//! |---|---|
//! | [`data`] | what a mutant is, and those that come with this program |
//! | [`edit`] | one edit of one line of a function; pure |
//! | [`workshop`] | the kernel's sources in a private copy, and modules built of them |
//! | [`mod@bench`] | cases given to a kernel with built modules, until one notices |
//! | [`campaign`] | many mutants, several guests at a time |
//! | [`told`] | what is told meanwhile |
//! | [`verdict`] | what became of a mutant |
//! | [`table`] | the verdicts as a person and a program read them |

pub(crate) mod bench;
pub(crate) mod campaign;
pub(crate) mod data;
pub(crate) mod edit;
pub(crate) mod table;
pub(crate) mod told;
pub(crate) mod verdict;
pub(crate) mod workshop;
