//! `hairpin completions`: a completion script on stdout.

use clap::CommandFactory;
use clap_complete::Shell;
use hairpin_model::Error;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::show::Out;

const EXAMPLES: &str = "\
Example:
  hairpin completions bash > ~/.local/share/bash-completion/completions/hairpin";

/// The options of `hairpin completions`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Writes the script.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hairpin", &mut script);
    Out::stdout().text(&String::from_utf8_lossy(&script));
    Ok(Exit::Fine)
}
