//! `hairpin run` as cargo's runner: `cargo test` of a crate that knows nothing of Hairpin, on another kernel.

use std::path::Path;
use std::process::Command;

use crate::{Ended, SERIES, ran};

/// `cargo test` of the crate, told to be on `series`, run on `kernel`.
fn cargo_test(series: &str, kernel: Option<&str>) -> Ended {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runner-crate");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--offline", "--target-dir"]);
    cargo.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("runner-crate"));
    cargo.current_dir(folder).env("ANYBODYS_SERIES", series);
    if let Some(kernel) = kernel {
        let runner = format!("{} run --kernel {kernel} --", env!("CARGO_BIN_EXE_hairpin"));
        cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    }
    ran(cargo)
}

#[test]
fn cargo_test_runs_on_the_kernel_that_its_runner_is_given() {
    for series in SERIES {
        let ended = cargo_test(series, Some(series));
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
        // Unit tests, integration tests and the example in the documentation.
        let results: Vec<&str> =
            ended.stdout.lines().filter(|line| line.starts_with("test result: ok")).collect();
        assert_eq!(results.len(), 3, "{}", ended.stdout);
    }
}

#[test]
fn a_failed_test_in_the_guest_fails_cargo() {
    let ended = cargo_test("5.10", Some("7.3"));
    assert_eq!(ended.code, Some(101), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("this_is_the_kernel_that_was_asked_for ... FAILED"), "{ended:?}");
    assert!(ended.stdout.contains("there_is_no_network_but_loopback ... ok"), "{ended:?}");
}
