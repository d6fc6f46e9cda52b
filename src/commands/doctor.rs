//! `hairpin doctor`: can this machine run the suite, and what to change where it cannot.

mod guests;

use std::process::{Command, Stdio};
use std::time::Duration;

use hairpin_model::event::Outcome;
use hairpin_model::{Error, Event};

use crate::exit::Exit;
use crate::machine;
use crate::machine::privilege::{Facts, Means};
use crate::machine::remedy::Modules;
use crate::run::judge::judge;
use crate::run::process::{self, Job};
use crate::run::stop::Stop;
use crate::show::{Out, STRONG, count, outcome, paint, width, wrap};
use crate::suite::locate::{SuiteArgs, source_tree};
use crate::suite::needs::Needs;
use crate::suite::{NEEDS, Suite, cargo};

const EXAMPLES: &str = "\
Examples:
  hairpin doctor                    look, and name a remedy for each missing thing
  hairpin doctor --suite PROGRAM    the same for a suite program of your own

Exit code 0: `hairpin check` can run here (what is missing will be skipped); 2: it cannot.
Other kernels need QEMU and kernels besides: what is missing for them changes no exit code.";

/// How long the suite program may look at the kernel.
const DEADLINE: Duration = Duration::from_secs(30);

/// The options of `hairpin doctor`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    suite: SuiteArgs,
}

/// One thing that was looked at.
struct Finding {
    what: String,
    /// What there is, or what is wrong with it.
    state: Result<String, String>,
    remedy: Option<String>,
    /// Whether nothing can run without it.
    vital: bool,
}

impl Finding {
    fn good(what: &str, state: impl Into<String>) -> Self {
        Self { what: what.into(), state: Ok(state.into()), remedy: None, vital: false }
    }

    fn fatal(what: &str, error: &Error) -> Self {
        let state = Err(format!("{} ({})", error.what, error.place));
        Self { what: what.into(), state, remedy: Some(error.help.clone()), vital: true }
    }

    fn lesser(what: &str, error: &Error) -> Self {
        Self { vital: false, ..Self::fatal(what, error) }
    }
}

/// Looks at the machine and tells what it found.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let mut out = Out::stdout();
    let mut findings = vec![Finding::good("kernel", machine::kernel()), privilege()];
    if args.suite.is_to_be_built() {
        findings.extend(builder());
    }
    let mut rules_without = 0;
    match suite(&args.suite) {
        Ok((suite, found)) => {
            findings.push(found);
            let (needs, missing) = needs(&suite)?;
            rules_without = lacking(&suite, &missing);
            findings.extend(needs);
        }
        Err(error) => findings.push(Finding::fatal("suite", &error)),
    }
    let (of_guests, guests) = guests::findings();
    findings.extend(of_guests);
    let widest = findings.iter().map(|f| f.what.chars().count()).max().unwrap_or(0);
    for finding in &findings {
        out.text(&line(finding, widest));
    }
    let vital = findings.iter().filter(|f| f.vital && f.state.is_err()).count();
    let (exit, mut words) = match (vital, rules_without) {
        (0, 0) => (Exit::Fine, "ready: everything can be checked here".to_owned()),
        (0, n) => (Exit::Fine, format!("ready, but {} will be skipped here", count(n, "rule"))),
        (n, _) => (Exit::CouldNotRun, format!("not ready: {} to change", count(n, "thing"))),
    };
    if !guests {
        words.push_str(
            "\nonly the kernel that runs here can be checked: other kernels need `hairpin setup`",
        );
    }
    out.text(&format!("\n{}\n", paint(STRONG, words)));
    Ok(exit)
}

fn privilege() -> Finding {
    const WHAT: &str = "namespaces";
    match Facts::gather().and_then(|facts| facts.judge()) {
        Ok(Means::Privileged) => Finding::good(WHAT, "with root's rights"),
        Ok(Means::UserNamespace) => Finding::good(WHAT, "in a user namespace; no root needed"),
        Err(error) => Finding::fatal(WHAT, &error),
    }
}

/// Cargo, where the suite program is to be built.
fn builder() -> Option<Finding> {
    let root = source_tree()?;
    let version = Command::new(cargo::program()).arg("--version").stdin(Stdio::null()).output();
    let place = format!("source tree {}", root.display());
    Some(match version {
        Ok(output) if output.status.success() => {
            Finding::good("cargo", String::from_utf8_lossy(&output.stdout).trim())
        }
        Ok(output) => {
            let what = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Finding::fatal("cargo", &Error::new(what, place, "mend the Rust installation"))
        }
        Err(e) => {
            let help = "install Rust (https://rustup.rs), or name a built suite with --suite";
            Finding::fatal("cargo", &Error::new(format!("cannot be started: {e}"), place, help))
        }
    })
}

fn suite(args: &SuiteArgs) -> Result<(Suite, Finding), Error> {
    let program = args.locate(false)?;
    let suite = Suite::load(&program, DEADLINE, &Stop::new()?)?;
    let held =
        format!("{} of {}", count(suite.cases.len(), "case"), count(suite.rules.len(), "rule"));
    let found = Finding::good("suite", format!("{held}: {}", program.display()));
    Ok((suite, found))
}

/// What the suite program says of its needs; with the words of those that are missing.
fn needs(suite: &Suite) -> Result<(Vec<Finding>, Needs), Error> {
    if !suite.tells_needs {
        return Ok((Vec::new(), Needs::default()));
    }
    let args = ["--exact", NEEDS, "--nocapture"].map(str::to_owned).to_vec();
    let job = Job::new(&suite.program, args, DEADLINE);
    let ended = process::run(&job, &Stop::new()?, &mut |_, _| {})?;
    let modules = Modules::of_this_kernel();
    let mut findings = Vec::new();
    for record in &ended.records {
        let Event::Check { claim, observed } = &record.event else { continue };
        let Some(why) = observed else {
            findings.push(Finding::good(claim, "there"));
            continue;
        };
        let remedy = modules.remedy(claim);
        let state = Err(format!("missing: {why}"));
        findings.push(Finding { what: claim.clone(), state, remedy, vital: false });
    }
    if let Some((bad @ (Outcome::Error | Outcome::Crash | Outcome::Hang), why)) = judge(&ended)
        && ended.end != process::End::Exited(0)
    {
        let what = why.unwrap_or_else(|| bad.word().to_owned());
        let last = ended.output.lines().last().unwrap_or_default().to_owned();
        findings.push(Finding::fatal("labs", &Error::new(what, NEEDS, last)));
    }
    Ok((findings, Needs::told(&ended.records)))
}

/// How many rules need something that is missing.
fn lacking(suite: &Suite, needs: &Needs) -> usize {
    suite.rules.iter().filter(|rule| !needs.lacking(&rule.needs).is_empty()).count()
}

fn line(finding: &Finding, widest: usize) -> String {
    let (mark, state) = match &finding.state {
        Ok(state) => (paint(outcome(Outcome::Pass), "ok  "), state),
        Err(state) if finding.vital => (paint(outcome(Outcome::Fail), "MISS"), state),
        Err(state) => (paint(outcome(Outcome::Skip), "miss"), state),
    };
    let indent = widest + 8;
    let room = width().saturating_sub(indent).max(40);
    let mut lines = wrap(state, room);
    lines.extend(
        finding
            .remedy
            .iter()
            .filter(|r| !r.is_empty())
            .flat_map(|remedy| wrap(&format!("remedy: {remedy}"), room)),
    );
    let mut out = format!("{mark}  {:widest$}  ", finding.what);
    out.push_str(&lines.join(&format!("\n{:indent$}", "")));
    out + "\n"
}
