//! `hairpin explain`: why one host reaches another on this machine, or does not.
//!
//! Reads the machine's configuration and changes nothing. The reasoning is not here.

use std::fs;
use std::path::{Path, PathBuf};

use hairpin_explain::probed::{Agreement, Probed};
use hairpin_explain::{Answer, Explanation, Question, Snapshot, explain, snapshot, text};
use hairpin_inspect::{Places, probe, read, words};
use hairpin_model::Error;
use hairpin_model::firewall::Protocol;

use crate::exit::Exit;
use crate::show::Out;

const EXAMPLES: &str = "\
Examples:
  hairpin explain 192.0.2.11 host              from the container with that address to this machine
  hairpin explain pid:4711 192.0.2.1           from a process's namespace to an address
  hairpin explain /run/netns/blue /run/netns/red
  hairpin explain host fe80::1%eth0            to an address of one link, by that link
  hairpin explain --tcp 8080 192.0.2.12 host   a published port, or any other
  hairpin explain --bytes 1500 pid:4711 192.0.2.9   whether a packet of that length fits
  hairpin explain --probe pid:4711 host        and see what becomes of one packet
  hairpin explain --save machine.json host 192.0.2.11
  hairpin explain --from machine.json 192.0.2.12 192.0.2.11

The question is a ping from cold neighbour caches, of IPv6 if B is such an address; with --tcp or --udp
a connection to that port, with what the firewalls make of it, and who listens there. Nothing is
changed, and nothing is sent but with --probe.
What is not understood makes the answer `cannot tell`, and is named.

Exit codes:
  0  it reaches
  1  it is blocked
  2  could not run: no such host, no privilege
  3  cannot tell: what is not understood is named; or --probe saw no answer where one was explained
  5  --probe saw something else than was explained";

/// The options of `hairpin explain`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Who sends: `host`, `pid:N`, the file of a namespace, or an address of one of them.
    #[arg(value_name = "A")]
    a: String,
    /// Who is to be reached: the same, or an address elsewhere.
    #[arg(value_name = "B")]
    b: String,
    /// Ask for a TCP connection to that port of B instead of a ping.
    #[arg(long, value_name = "PORT", conflicts_with = "udp", value_parser = clap::value_parser!(u16).range(1..))]
    tcp: Option<u16>,
    /// Ask for a UDP datagram to that port of B, and its answer, instead of a ping.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp: Option<u16>,
    /// Ask about an IP packet of so many bytes, which is not to be cut on its way.
    #[arg(long, value_name = "N", conflicts_with_all = ["tcp", "probe"], value_parser = clap::value_parser!(u32).range(48..=65535))]
    bytes: Option<u32>,
    /// Send one packet from A too (an echo request, a TCP connection, a UDP datagram), and tell
    /// whether what comes back is what was explained.
    #[arg(long, conflicts_with = "from")]
    probe: bool,
    /// Write the explanation as JSON.
    #[arg(long)]
    json: bool,
    /// Keep what was read of the machine.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    save: Option<PathBuf>,
    /// Explain what was kept instead of this machine.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Explains.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let (snapshot, places, a, b) = match &args.from {
        Some(file) => (load(file)?, None, args.a.clone(), args.b.clone()),
        None => inspect(&args.a, &args.b)?,
    };
    if let Some(file) = &args.save {
        save(&snapshot, file)?;
    }
    let question = asked(args, Question::new(&snapshot, &a, &b)?);
    let mut explained = explain(&snapshot, &question);
    // The namespaces are in the order in which they were read.
    let from = places.as_ref().and_then(|places| places.all.get(question.from));
    if let Some(place) = from.filter(|_| args.probe) {
        let seen = probe(place, &question)?;
        explained.probed = Some(Probed::new(words(&question), seen, &explained));
    }
    Out::stdout().text(&output(&explained, args.json)?);
    Ok(exit(&explained))
}

fn exit(explained: &Explanation) -> Exit {
    let agreement = explained.probed.as_ref().map(|probed| probed.agreement);
    match (explained.answer, agreement) {
        (_, Some(Agreement::Disagrees)) => Exit::Disagrees,
        (Answer::Reaches, Some(Agreement::Open)) | (Answer::CannotTell, _) => Exit::CannotTell,
        (Answer::Reaches, _) => Exit::Fine,
        (Answer::BlockedByDesign | Answer::BlockedByConfiguration, _) => Exit::Failed,
    }
}

fn save(snapshot: &Snapshot, file: &Path) -> Result<(), Error> {
    let written = serde_json::to_string_pretty(snapshot).map(|text| fs::write(file, text));
    written.map_err(std::io::Error::from).flatten().map_err(|error| {
        let what = format!("the configuration cannot be written: {error}");
        Error::new(what, file.display().to_string(), "name a file that can be written")
    })
}

/// The question, with what the options say of it.
const fn asked(args: &Args, mut question: Question) -> Question {
    question.bytes = args.bytes;
    match (args.tcp, args.udp) {
        (Some(port), _) => question.at_port(Protocol::Tcp, port),
        (_, Some(port)) => question.at_port(Protocol::Udp, port),
        (None, None) => question,
    }
}

/// Reads this machine; gives the names under which the two were read.
fn inspect(a: &str, b: &str) -> Result<(Snapshot, Option<Places>, String, String), Error> {
    let places = Places::find(&[a, b])?;
    let name = |word: &str| places.name_of(word).unwrap_or_else(|| word.to_owned());
    let (a, b) = (name(a), name(b));
    Ok((read(&places)?, Some(places), a, b))
}

fn load(file: &Path) -> Result<Snapshot, Error> {
    let place = || file.display().to_string();
    let help = "name a file that `hairpin explain --save` wrote";
    let text = fs::read_to_string(file)
        .map_err(|error| Error::new(format!("cannot be read: {error}"), place(), help))?;
    let found: Snapshot = serde_json::from_str(&text)
        .map_err(|error| Error::new(format!("no configuration: {error}"), place(), help))?;
    if found.format == snapshot::FORMAT {
        return Ok(found);
    }
    let what =
        format!("its format is {}, and this program knows {}", found.format, snapshot::FORMAT);
    Err(Error::new(what, place(), "use the version of hairpin that wrote it"))
}

fn output(explained: &Explanation, json: bool) -> Result<String, Error> {
    if !json {
        return Ok(text::text(explained));
    }
    let text = serde_json::to_string_pretty(explained);
    text.map(|text| text + "\n")
        .map_err(|error| Error::new(error.to_string(), "the explanation", "leave out --json"))
}
