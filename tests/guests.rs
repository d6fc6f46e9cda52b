//! The command with real kernels in real guests. Not part of a plain `cargo test`: see the feature `boot-tests`.

#[path = "guests/faults.rs"]
mod faults;
#[path = "guests/journeys.rs"]
mod journeys;
#[path = "guests/matrix.rs"]
mod matrix;
#[path = "guests/run.rs"]
mod run;
#[path = "guests/runner.rs"]
mod runner;
#[path = "guests/shell.rs"]
mod shell;

use std::process::Command;

/// The oldest kernel and the newest.
const SERIES: [&str; 2] = ["5.10", "7.3"];

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn hairpin(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    command.args(args);
    command
}

fn ran(mut command: Command) -> Ended {
    let output = command.output().expect("the command can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
