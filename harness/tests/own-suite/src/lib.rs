//! The suite is the test program `tests/office.rs`.
