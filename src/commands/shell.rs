//! `hairpin shell`: a shell, or a command, in a host of a case's network.
//!
//! The suite program builds the network and opens the shell; here it is found, started, and waited for. The network is
//! the case's first, settled, before anything was asked of it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use hairpin_model::Error;
use serde_json::json;

use super::draw::told;
use crate::commands::check::unknown;
use crate::exit::Exit;
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

Whatever is started in the shell ends with it, and the network is gone: nothing is left behind.
HAIRPIN_HOST is the host's name. Without root you are root in the network all the same, and nowhere
else.";

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
    #[command(flatten)]
    suite: SuiteArgs,
}

/// Opens the shell and waits for its end.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let program = args.suite.locate(true)?;
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
    let wish = json!({ "host": args.host, "command": args.command });
    let mut command = Command::new("/proc/self/exe");
    command.arg(trampoline::SHELL_WORD).arg(std::process::id().to_string());
    command.arg(&program).args(["--exact", &test, "--nocapture"]);
    command.env("HAIRPIN_SHELL", wish.to_string());
    let failed = |error: std::io::Error| {
        let place = program.display().to_string();
        Error::new(format!("the suite program cannot be run: {error}"), place, "build it anew")
    };
    let status = command.status().map_err(failed)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Exit::Program(u8::try_from(code).unwrap_or(u8::MAX)))
}
