//! `hairpin run`: any program of this machine in a guest on another kernel, as if it ran here.

mod outcomes;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hairpin_guest::wire::Stream;
use hairpin_model::Error;
use hairpin_vm::{BootSpec, End, Job, JobResult, run_program};

use crate::commands::check::seconds;
use crate::exit::Exit;
use crate::guest::{GuestArgs, store, tell};
use crate::show;

const EXAMPLES: &str = "\
Examples:
  hairpin run --kernel 6.12 -- /bin/uname -r
  hairpin run --kernel 7.3 --module ./macvlan.ko -- ./my-test
  hairpin run --kernel 5.10 --events 5.10.jsonl -- ./my-suite --test-threads=4
  CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='hairpin run --kernel 6.12 --' cargo test

The program finds no network device but `lo`, none of this machine's files but its libraries and
those of --file, an empty standard input, and `/` as its folder. See docs/guests.md.

Exit code: the program's own (128 + N if signal N killed it). 1 in place of 0 when the kernel
complained; 1 when it crashed or the deadline passed; 2 when there was no guest to be had.";

/// Names of this process's environment that the program gets too: what steers a test program.
const PASSED_ON: [&str; 6] =
    ["RUST_", "INSTA_", "PROPTEST_", "CARGO_PKG_", "HAIRPIN_STRICT", "NO_COLOR"];

/// Lines of a complaint that stderr gets.
const EVIDENCE_LINES: usize = 30;

/// The options of `hairpin run`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A series (6.12), a package's version, a `.deb` or a folder of them, a bzImage, a built tree.
    #[arg(long, value_name = "KERNEL")]
    kernel: String,
    #[command(flatten)]
    guest: GuestArgs,
    /// How long the program may take.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    deadline: Duration,
    /// A file of this machine that the guest has too, at the same path; may be given several times.
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// A variable for the program; without a value, that of here.
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Keep all that the kernel said in a file.
    #[arg(long, value_name = "FILE")]
    console: Option<PathBuf>,
    /// Keep what became of a suite program's cases in an event file, from which reports are made.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The program, and its arguments.
    #[arg(required = true, last = true, num_args = 1.., value_name = "PROGRAM")]
    program: Vec<String>,
}

/// Runs the program.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let program = find(&args.program[0])?;
    // Before anything runs, so that nothing ran for nothing.
    args.console.as_deref().map_or(Ok(()), |path| keep(path, ""))?;
    let spec = args.spec()?;
    let (release, deadline) = (spec.image.release.clone(), args.deadline);
    let mut job = Job::new("", args.program[1..].iter().cloned());
    job.deadline = deadline;
    job.env = environment(&args.env)?;
    let result = run_program(spec, &program, &job, &mut pass_on)?;
    for note in &result.notes {
        tell(note);
    }
    if let Some(path) = &args.console {
        keep(path, &result.console.text())?;
    }
    if let Some(file) = &args.events {
        outcomes::write(file, (&program.display().to_string(), &release), &result.records)?;
    }
    Ok(verdict(&result, &format!("{} on {release}", program.display())))
}

impl Args {
    /// The guest: the kernel, its modules, this executable as its init, the user's files.
    fn spec(&self) -> Result<BootSpec, Error> {
        let image = self.guest.image(&store()?, &self.kernel)?;
        let mut spec = self.guest.spec(image, &own_executable()?)?;
        for file in &self.file {
            spec.add(file)?;
        }
        Ok(spec)
    }
}

pub(super) fn own_executable() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|e| {
        let what = format!("cannot tell which file we are: {e}");
        Error::new(what, "/proc/self/exe", "mount /proc")
    })
}

/// The program's file: a path as it is, a mere name by PATH, as a shell does it.
pub(super) fn find(program: &str) -> Result<PathBuf, Error> {
    if program.contains('/') {
        return Ok(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).ok_or_else(|| {
        Error::new("there is no such program", format!("`{program}` in PATH"), "name its path")
    })
}

/// The program's environment: what steers tests here, then what the user named.
fn environment(named: &[String]) -> Result<Vec<(String, String)>, Error> {
    let steers = |name: &str| PASSED_ON.iter().any(|start| name.starts_with(start));
    let own = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().ok()?)).filter(|(name, _)| steers(name))
    });
    let mut out: Vec<(String, String)> = own.collect();
    for word in named {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                word.as_str(),
                std::env::var(word).map_err(|e| {
                    let help = "give its value: --env NAME=VALUE";
                    Error::new(e.to_string(), format!("--env {word}"), help)
                })?,
            ),
        };
        out.retain(|(known, _)| known != name);
        out.push((name.to_owned(), value));
    }
    out.sort();
    Ok(out)
}

/// Writes on what the program wrote, as it comes. Whether anybody reads it is not the program's business.
pub(super) fn pass_on(stream: Stream, bytes: &[u8]) {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    match stream {
        Stream::Stdout => stdout.write_all(bytes).and_then(|()| stdout.flush()).ok(),
        Stream::Stderr => stderr.write_all(bytes).ok(),
        Stream::Records => None,
    };
}

fn keep(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|e| {
        let what = format!("the console cannot be written: {e}");
        Error::new(what, path.display().to_string(), "name a file that can be written")
    })
}

/// The exit code, with every complaint of the kernel told on stderr.
pub(super) fn verdict(result: &JobResult, place: &str) -> Exit {
    for evidence in &result.evidence {
        let help = format!("the kernel's own words:\n{}", beginning(&evidence.text));
        show::error(&Error::new(format!("the kernel complained: {evidence}"), place, help));
    }
    let broken = |what: String, help: String| {
        show::error(&Error::new(what, place, help));
        Exit::Failed
    };
    let console = || format!("the console ends with:\n{}", result.console.last_lines(8));
    match &result.end {
        End::Exited(0) if result.evidence.is_empty() => Exit::Fine,
        End::Exited(0) => Exit::Failed,
        End::Exited(code) => Exit::Program(u8::try_from(code & 0xff).unwrap_or(1)),
        End::Killed(signal) => {
            tell(&format!("signal {signal} killed the program"));
            Exit::Program(u8::try_from(128 + signal).unwrap_or(1))
        }
        // Told above already.
        End::Crashed(_) if !result.evidence.is_empty() => Exit::Failed,
        End::Crashed(why) => broken(format!("the guest crashed: {why}"), console()),
        End::Hung(limit) => {
            let what = format!("the program had not ended within {} s", limit.as_secs_f32());
            broken(what, "give it more time, or see with --console FILE what it waited for".into())
        }
        End::Failed(why) => broken(why.clone(), console()),
    }
}

/// The first lines of a complaint: what follows is mostly all other tasks.
fn beginning(text: &str) -> String {
    let lines: Vec<&str> = text.lines().take(EVIDENCE_LINES + 1).collect();
    match lines.get(..EVIDENCE_LINES) {
        Some(first) => first.join("\n") + "\n[more with --console FILE]",
        None => lines.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        assert_eq!(find("./x").unwrap(), Path::new("./x"));
        assert!(find("sh").unwrap().ends_with("sh"));
        assert_eq!(find("no-such-program").unwrap_err().what, "there is no such program");
    }

    #[test]
    fn a_named_variable_wins_and_a_missing_one_is_told() {
        let env = environment(&["RUST_BACKTRACE=0".into(), "PATH".into()]).unwrap();
        assert!(env.contains(&("RUST_BACKTRACE".into(), "0".into())), "{env:?}");
        assert_eq!(env.iter().filter(|(name, _)| name == "RUST_BACKTRACE").count(), 1);
        assert!(env.iter().any(|(name, _)| name == "PATH"));
        let error = environment(&["HAIRPIN_NO_SUCH".into()]).unwrap_err();
        assert_eq!(error.place, "--env HAIRPIN_NO_SUCH");
    }
}
