//! The `hairpin` command: runs suite programs and tells what the kernel did.
//!
//! Nothing here builds a network or sends a packet. The command starts programs that do, one
//! process a case, reads their event stream, and makes every report from it.
//!
//! | module | idea |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`commands`] | one file a subcommand |
//! | [`suite`] | where the suite program is and what it holds |
//! | [`select`] | which cases the filters mean |
//! | [`guest`] | cases in guests on other kernels |
//! | [`results`] | runs read back from their event files |
//! | [`captures`] | a pcapng file of each failing case |
//! | [`observed`] | which kernels have shown which rule |
//! | [`measure`] | what networks cost, as ratios, tables and pictures |
//! | [`mutants`] | one-line bugs in the drivers, and which case notices each |
//! | [`run`] | cases as processes: starting, watching, ending them |
//! | [`tally`] | what all repetitions of all cases came to |
//! | [`stream`] | the event file |
//! | [`show`] | everything that a person reads |
//! | [`machine`] | what this machine allows, and the remedy where it does not |
//! | [`exit`] | the exit codes |

mod captures;
mod cli;
mod commands;
mod exit;
mod guest;
mod machine;
mod measure;
mod mutants;
mod observed;
mod results;
mod run;
mod select;
mod show;
mod stream;
mod suite;
mod tally;

use std::process::ExitCode;

fn main() -> ExitCode {
    // In a guest this executable is the first process, and stays in there.
    hairpin_guest::init_if_pid1();
    // Three inner steps come back to this executable; none is for people, so none is in clap.
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|word| word.to_str()) {
        Some(run::trampoline::WORD) => return run::trampoline::enter(args, false),
        Some(run::trampoline::SHELL_WORD) => return run::trampoline::enter(args, true),
        Some(machine::probe::WORD) => return machine::probe::enter(),
        _ => {}
    }
    cli::main().into()
}
