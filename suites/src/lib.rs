//! Hairpin's own suite: rules about bridge, veth and macvlan, and the cases that hold a kernel to
//! them.
//!
//! Everything is in the test program `tests/conformance`, one file an area; this library is empty.
//! `cargo test -p hairpin-suites` runs it, and so does `hairpin check`.
