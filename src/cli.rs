//! The command line: what is common to all subcommands.
//!
//! Each subcommand's own options stand in its file under `commands`.

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    bisect, check, completions, diff, doctor, draw, explain, list, matrix, measure, mutants,
    report, run, setup, shell,
};
use crate::exit::{self, Exit};
use crate::show;

const EXAMPLES: &str = "\
Examples:
  hairpin check                     run everything on this kernel
  hairpin check macvlan             one area
  hairpin check macvlan.vepa        one topic, with the way that the frames took
  hairpin check '*.hairpin-*' M7    globs, and sentences of the article
  hairpin check --keep bridge.l2    stop at the first failure with its lab alive
  hairpin diff A B CASE             where do the frames of two runs part?
  hairpin explain pid:4711 host     why can this container not reach its machine?
  hairpin shell macvlan.vepa c1     look around in a case's network
  hairpin list                      what is promised, by whom, and what it needs
  hairpin mutants macvlan           which case notices which bug in a driver?
  hairpin measure                   what does each kind of network cost?
  hairpin doctor                    can this machine run it?
  hairpin run --kernel 6.12 -- X    any program on another kernel";

/// Does this kernel do what bridge, veth and macvlan promise?
#[derive(Parser)]
#[command(name = "hairpin", version, about, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Cli {
    /// When to use colours (NO_COLOR, CLICOLOR and CLICOLOR_FORCE are heard too).
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run cases and tell what the kernel did against what is promised.
    Check(check::Args),
    /// Run cases on many kernels, in guests, and tell what differs between them.
    Matrix(matrix::Args),
    /// Find the kernel package with which a case began to fail, or to pass.
    Bisect(bisect::Args),
    /// Put one-line bugs into the drivers, and tell which case notices each.
    Mutants(mutants::Args),
    /// Tell runs to others: TAP, JUnit, a job summary, JSON, a page; join the shards of a distributed run.
    Report(report::Args),
    /// Compare the journeys of a case in two runs: the first hop where they part.
    Diff(diff::Args),
    /// Draw the network of a case: as text, Mermaid or SVG.
    Draw(draw::Args),
    /// Open a shell in a host of a case's network.
    Shell(shell::Args),
    /// Tell why one host reaches another on this machine, or does not.
    Explain(explain::Args),
    /// Measure what each kind of network costs, and compare kernels.
    Measure(measure::Args),
    /// List the rules with their cases, sources and needs.
    List(list::Args),
    /// Tell whether this machine can run the suite, and what to change where it cannot.
    Doctor(doctor::Args),
    /// Run any program in a guest on another kernel; also as cargo's runner.
    Run(run::Args),
    /// Bring what guests need to this machine: QEMU and kernels.
    Setup(setup::Args),
    /// Write a completion script for a shell.
    Completions(completions::Args),
}

/// When to use colours.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    // Without a text of their own: they say what they are, and the help stays short.
    Auto,
    Always,
    Never,
}

/// Parses the command line, runs the subcommand, prints its error if it has one.
pub(crate) fn main() -> Exit {
    let cli = Cli::parse();
    let choice = match cli.color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::AlwaysAnsi,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
    let done = match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Bisect(args) => bisect::run(&args),
        Command::Mutants(args) => mutants::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Draw(args) => draw::run(&args),
        Command::Shell(args) => shell::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::List(args) => list::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    done.unwrap_or_else(|error| {
        show::error(&error);
        Exit::CouldNotRun
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
