//! `hairpin shell`: a shell, or a command, in a host of a case's network.
//!
//! The suite program builds the network and opens the shell; here it is found, started, and waited for. The network is
//! the case's first, settled, before anything was asked of it. With `--kernel` all this is in a guest ([`guest`]).

mod guest;
mod terminal;
mod tools;

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hairpin_model::Error;
use serde_json::json;

use super::draw::told;
use crate::commands::check::unknown;
use crate::exit::Exit;
use crate::guest::GuestArgs;
use crate::run::stop::Stop;
use crate::run::trampoline;
use crate::select::select;
use crate::suite::Suite;
use crate::suite::locate::SuiteArgs;

const EXAMPLES: &str = "\
Examples:
  hairpin shell macvlan.vepa                       in the network's first host
  hairpin shell macvlan.vepa c1                    in this one
  hairpin shell macvlan.vepa c1 -- ip -d link      one command; its exit code is the exit code
  hairpin draw macvlan.vepa                        what hosts are there?
  hairpin shell macvlan.vepa c1 --kernel 6.1       the same on another kernel, in a guest
  hairpin shell macvlan.vepa c1 --kernel 6.1 -- ./my-probe --once

Whatever is started in the shell ends with it, and the network is gone: nothing is left behind.
HAIRPIN_HOST is the host's name. Without root you are root in the network all the same, and nowhere
else.

A guest has no files of this machine but a shell, the usual tools as far as they are here (ip, bridge,
ping, tcpdump, nft, busybox, ...), PROGRAM, and what --file names. See docs/guests.md.";

/// The variable that asks a suite program for a shell in place of a case.
const WISH: &str = "HAIRPIN_SHELL";

/// How long the suite program may take to tell its cases.
const DEADLINE: Duration = Duration::from_secs(30);

/// The options of `hairpin shell`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A case; of a filter that several match, the first.
    #[arg(value_name = "CASE")]
    case: String,
    /// A host of its network [default: the first].
    #[arg(value_name = "HOST")]
    host: Option<String>,
    /// What to run in place of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Build the network on another kernel, in a guest: a series (6.12), a package's version, a `.deb` or a
    /// folder of them, a bzImage, a built tree.
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<String>,
    #[command(flatten)]
    guest: GuestArgs,
    /// A file or program of this machine that the guest has too, at the same path; may be given several times.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    suite: SuiteArgs,
}

/// Opens the shell and waits for its end.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let program = args.suite.locate(true)?;
    let windows = args.kernel.as_ref().map(|_| terminal::Windows::watch()).transpose()?;
    // Ctrl-C is for what runs in the shell; a second one ends us, and all of it.
    let stop = Stop::on_signals()?;
    let test = {
        let suite = Suite::load(&program, DEADLINE, &stop)?;
        let cases = match select(&suite, std::slice::from_ref(&args.case)) {
            Ok(cases) => cases,
            Err(unmatched) => return Ok(unknown(&unmatched)),
        };
        let Some(case) = cases.first() else { return Ok(Exit::NothingRan) };
        told(cases.len(), case.id.as_str());
        case.test.clone()
    };
    match args.kernel.as_deref().zip(windows) {
        Some((kernel, windows)) => guest::run(args, kernel, (&program, &test), (&stop, windows)),
        None => here(args, &program, &test),
    }
}

fn here(args: &Args, program: &Path, test: &str) -> Result<Exit, Error> {
    let wish = json!({ "host": args.host, "command": args.command });
    let mut command = Command::new("/proc/self/exe");
    command.arg(trampoline::SHELL_WORD).arg(std::process::id().to_string());
    command.arg(program).args(["--exact", test, "--nocapture"]);
    command.env(WISH, wish.to_string());
    let failed = |error: std::io::Error| {
        let place = program.display().to_string();
        Error::new(format!("the suite program cannot be run: {error}"), place, "build it anew")
    };
    let status = command.status().map_err(failed)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Exit::Program(u8::try_from(code).unwrap_or(u8::MAX)))
}
