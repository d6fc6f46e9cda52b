//! The nftables encoder against the running kernel, each test in network namespaces of its own.
//!
//! Needs root: to make a network namespace. A test that cannot have one fails and says so.

mod lab;
mod listing;
mod traffic;
