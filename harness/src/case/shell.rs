//! A shell in a host of a case's first network, in place of what the case asks: for `hairpin shell`.
//!
//! What is started in it goes with it, and so does the network: the shell is the first process of a PID namespace, and
//! is killed with this process. Standard output is passed in as the event stream would be, so that a command's output
//! stands alone there.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use hairpin_model::Error;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use serde_json::Value;

use crate::lab::Lab;
use crate::{events, sys};

/// The variable that asks for it.
const VARIABLE: &str = "HAIRPIN_SHELL";
/// The exit code of a case in which no shell could be opened.
const NOT_OPENED: i32 = 2;

/// What is asked for.
#[derive(Debug)]
struct Wish {
    /// The host; the first of the network if it is not named.
    host: Option<String>,
    /// The command; without one an interactive shell.
    command: Vec<String>,
    /// Whether this is a guest, where there is no other terminal.
    in_guest: bool,
}

impl Wish {
    fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let words = value["command"].as_array().into_iter().flatten();
        let command = words.filter_map(|word| Some(word.as_str()?.to_owned())).collect();
        let in_guest = value["in_guest"] == true;
        Self { host: value["host"].as_str().map(str::to_owned), command, in_guest }
    }
}

fn wish() -> Option<&'static Wish> {
    static WISH: OnceLock<Option<Wish>> = OnceLock::new();
    WISH.get_or_init(|| Some(Wish::read(&std::env::var(VARIABLE).ok()?))).as_ref()
}

/// Whether a shell is asked for, and no case.
pub(crate) fn is_asked() -> bool {
    wish().is_some()
}

/// Opens the shell that is asked for, waits for its end, and ends this process as it ended.
pub(crate) fn instead(lab: &Lab) -> Result<(), Error> {
    let Some(wish) = wish() else { return Ok(()) };
    let host = host(lab, wish.host.as_deref())?;
    let failed = |error: io::Error| {
        let what = format!("the shell cannot be opened: {error}");
        Error::new(what, format!("host `{host}`"), "name another program in SHELL")
    };
    if wish.command.is_empty() {
        introduce(lab, host, wish.in_guest);
    }
    let status = open(lab, host, &wish.command).map_err(failed)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    std::process::exit(code)
}

/// Tells why there was no network to open a shell in, and ends this process.
pub(crate) fn not_opened(why: &str) -> ! {
    eprintln!("error: {why}");
    std::process::exit(NOT_OPENED)
}

fn host<'l>(lab: &'l Lab, named: Option<&str>) -> Result<&'l str, Error> {
    let names: Vec<&str> = lab.topology().netns.iter().map(|netns| netns.name.as_str()).collect();
    let found = match named {
        None => names.first(),
        Some(named) => names.iter().find(|name| **name == named),
    };
    found.copied().ok_or_else(|| {
        let what = format!("there is no host `{}`", named.unwrap_or_default());
        Error::new(what, "the case's network", format!("name one of these: {}", names.join(" ")))
    })
}

fn introduce(lab: &Lab, host: &str, in_guest: bool) {
    let from = if in_guest { "to go on to another host" } else { "from another terminal" };
    eprintln!("{}\n\nthis is `{host}`; {from}:", lab.topology().wiring());
    for (name, line) in lab.entrances().iter().filter(|(name, _)| name != host) {
        eprintln!("  {name:<8} {line}");
    }
    eprintln!("the network goes when the shell ends\n");
}

fn open(lab: &Lab, host: &str, command: &[String]) -> io::Result<std::process::ExitStatus> {
    let mut shell = if command.is_empty() {
        Command::new(std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into()))
    } else {
        // The first process of a PID namespace does not hear of Ctrl-C, so it is never the command itself.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "\"$@\"; exit $?", "hairpin"]).args(command);
        shell
    };
    shell.env_remove(VARIABLE).env("HAIRPIN_HOST", host).env("PS1", format!("{host}# "));
    if let Some(out) = events::descriptor() {
        shell.stdout(Stdio::from(sys::inherited(out)?));
    }
    sys::tie_to_us(&mut shell);
    // Ctrl-C is the shell's; its process hears of it again.
    SigSet::from(Signal::SIGINT).thread_block()?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    let started = lab.inside(host, || shell.spawn()).map_err(io::Error::other)?;
    started?.wait()
}
