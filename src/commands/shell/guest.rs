//! The network and the shell in a guest: the suite program builds the one and opens the other, as it does here.
//!
//! What is typed goes to the guest over its serial line, and what is printed comes from there: the guest has no other way
//! out. However this ends, QEMU ends with it.

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use hairpin_guest::wire::{Input, Stream};
use hairpin_model::Error;
use hairpin_vm::program::Program;
use hairpin_vm::{BootSpec, Job, Machine};
use serde_json::json;

use super::terminal::{Front, Windows};
use super::{Args, WISH, tools};
use crate::commands::run::{own_executable, pass_on, verdict};
use crate::exit::Exit;
use crate::guest::{store, tell};
use crate::run::stop::Stop;
use crate::run::trampoline;

/// Where the suite program lies in the guest.
const SUITE: &str = "/hairpin/program";
/// Who sits in a shell is not hurried.
const DEADLINE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The exit code of a program that wrote to where nobody reads, as shells have it.
const NOBODY_READS: u8 = 128 + 13;

/// Boots the guest, opens the shell and waits for its end.
pub(super) fn run(
    args: &Args,
    kernel: &str,
    (program, test): (&Path, &str),
    (stop, windows): (&Stop, Windows),
) -> Result<Exit, Error> {
    let (spec, tools) = spec(args, kernel, program)?;
    let release = spec.image.release.clone();
    let machine = Machine::boot(&spec)?;
    let mut front = Front::new(stop, windows)?;
    let job = job(args, test, &tools, front.input());
    let unread = Cell::new(false);
    let mut listener = |stream, bytes: &[u8]| match stream {
        Stream::Stdout if written(bytes).is_err() => {
            unread.set(true);
            stop.stop();
        }
        Stream::Stdout => {}
        other => pass_on(other, bytes),
    };
    let result = machine.run_seated(&job, &mut listener, &mut front);
    // The terminal is as it was before anything else is said.
    drop(front);
    for note in &result.notes {
        tell(note);
    }
    match (unread.get(), stop.is_stopped()) {
        (true, _) => Ok(Exit::Program(NOBODY_READS)),
        (false, true) => Ok(Exit::Interrupted),
        (false, false) => Ok(verdict(&result, &format!("the shell on {release}"))),
    }
}

fn written(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// The guest: this executable as its init, the suite program, a shell with what it is of use with.
fn spec(args: &Args, kernel: &str, program: &Path) -> Result<(BootSpec, tools::Tools), Error> {
    let tools = tools::Tools::find(&args.command)?;
    let image = args.guest.image(&store()?, kernel)?;
    let mut spec = args.guest.spec(image, &own_executable()?)?;
    spec.programs.push(Program::read(program, SUITE)?);
    spec.programs.extend(tools.programs.iter().cloned());
    spec.files.extend(tools.files.iter().cloned());
    for file in &args.file {
        spec.add(file)?;
    }
    Ok((spec, tools))
}

fn job(args: &Args, test: &str, tools: &tools::Tools, input: Input) -> Job {
    let wish = json!({ "host": args.host, "command": tools.command, "in_guest": true });
    // The step before the suite program is this executable; its parent is the first process.
    let words = [trampoline::SHELL_WORD, "1", SUITE, "--exact", test, "--nocapture"];
    let mut job = Job::new("/init", words.map(str::to_owned));
    let mut env = |name: &str, value: String| job.env.push((name.to_owned(), value));
    env("RUST_TEST_THREADS", "1".into());
    env(WISH, wish.to_string());
    env("SHELL", tools.shell.clone());
    if let (Input::Terminal(_), Ok(term)) = (input, std::env::var("TERM")) {
        env("TERM", term);
    }
    job.deadline = DEADLINE;
    job.input = input;
    job
}
