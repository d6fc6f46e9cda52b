//! Runs a test of live labs in the kind of runtime that they need.

use hairpin_harness::Error;

/// Gives what the test gives; its error is a panic.
pub(crate) fn live<T>(test: impl AsyncFnOnce() -> Result<T, Error>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.expect("a runtime can be made").block_on(test());
    ended.unwrap_or_else(|error| panic!("{error}"))
}
