//! `hairpin setup`: brings what guests need to this machine, and says what it could not bring.

use std::path::{Path, PathBuf};

use hairpin_model::Error;
use hairpin_model::event::Outcome;
use hairpin_vm::kernels::{Catalogue, KernelRef, Lock, Options, Store};

use crate::exit::Exit;
use crate::machine::packages::{self, Manager, Tool};
use crate::show::{DIM, Out, STRONG, count, outcome, paint};

const EXAMPLES: &str = "\
Examples:
  hairpin setup                          QEMU, and every kernel that can be had
  hairpin setup --kernels 5.10,7.3       two of them
  hairpin setup --kernels oldest,newest  the same, by age
  hairpin setup --dry-run                say what is missing, and change nothing
  hairpin setup --lock kernels.lock      pin the packages, for runs that can be had again

QEMU is installed by the system's package manager when you are root; otherwise the command for it
is printed. Kernels are kept in the cache folder of the user and installed nowhere.

Exit code 0: guests can run, with at least one of these kernels; 2: they cannot.";

/// The options of `hairpin setup`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Series, by name or as `oldest`, `newest`, `all`.
    #[arg(long, value_name = "LIST", default_value = "all", value_delimiter = ',')]
    kernels: Vec<String>,
    /// Say what is missing, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write which packages these kernels are, for `--locked FILE` of `check`, `run` and `matrix`.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    lock: Option<PathBuf>,
}

/// Brings what is missing.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let store = Store::open(Options { progress: Box::new(progress), ..Options::default() })?;
    let series = series(&args.kernels, store.catalogue())?;
    let mut out = Out::stdout();
    let tools = tools(args.dry_run, Path::new(&store.catalogue().keyring), &mut out)?;
    let mut had = Vec::new();
    for name in &series {
        let got = if args.dry_run { look(&store, name) } else { fetch(&store, name) };
        out.text(&line(name, &got));
        had.extend(got.is_ok().then(|| name.clone()));
    }
    if let Some(file) = &args.lock {
        write(file, &store.pins(&had))?;
    }
    let had = had.len();
    let folder = store.folder().display();
    let words = format!("{} of {} in {folder}", had, count(series.len(), "kernel"));
    out.text(&format!("\n{}\n", paint(STRONG, words)));
    Ok(if args.dry_run || (tools && had > 0) { Exit::Fine } else { Exit::CouldNotRun })
}

/// The series that a list of words means, oldest first, each once.
fn series(words: &[String], catalogue: &Catalogue) -> Result<Vec<String>, Error> {
    let all: Vec<&str> = catalogue.series.iter().map(|series| series.name.as_str()).collect();
    let mut wanted: Vec<&str> = Vec::new();
    for word in words {
        match (word.as_str(), all.as_slice()) {
            ("all", _) => wanted.extend(all.iter()),
            ("oldest", [oldest, ..]) => wanted.push(oldest),
            ("newest", [.., newest]) => wanted.push(newest),
            (name, _) => wanted.push(&catalogue.find(name)?.name),
        }
    }
    Ok(all.into_iter().filter(|name| wanted.contains(name)).map(str::to_owned).collect())
}

/// Installs the tools that are missing, or says how to. Gives whether guests can be run then.
fn tools(dry_run: bool, keyring: &Path, out: &mut Out) -> Result<bool, Error> {
    let missing = packages::missing(keyring);
    let root = nix::unistd::geteuid().is_root();
    if let Some(manager) = Manager::of_this_machine()
        && !missing.is_empty()
        && !dry_run
        && root
    {
        progress(&manager.line(&missing));
        manager.install(&missing)?;
    }
    let left = packages::missing(keyring);
    let got = match hairpin_vm::installed_qemu() {
        Ok((path, version)) => Ok(format!("{version}: {}", path.display())),
        Err(error) if left.contains(&Tool::Qemu) => {
            Err(Error { help: packages::advice(&left), ..error })
        }
        Err(error) => Err(error),
    };
    out.text(&line("QEMU", &got));
    if left.contains(&Tool::Keyring) {
        let what = "the keys that sign Debian's kernels are missing";
        let error = Error::new(what, keyring.display().to_string(), packages::advice(&left));
        out.text(&line("keys", &Err(error)));
    }
    Ok(got.is_ok())
}

/// Writes the lock whole or not at all: half a lock pins half the kernels.
fn write(file: &Path, lock: &Lock) -> Result<(), Error> {
    let beside = file.with_extension("lock-new");
    std::fs::write(&beside, lock.to_text()).and_then(|()| std::fs::rename(&beside, file)).map_err(
        |error| {
            Error::new(
                format!("the lock file cannot be written: {error}"),
                file.display().to_string(),
                "name a file in a folder that can be written, on a disk with room",
            )
        },
    )
}

/// Whether a kernel is there, without asking anybody.
fn look(store: &Store, series: &str) -> Result<String, Error> {
    let kept = store.kept_version(series).map(|version| format!("{version}, kept"));
    kept.ok_or_else(|| {
        let place = store.folder().display().to_string();
        Error::new("not here yet", place, "`hairpin setup` fetches it")
    })
}

fn fetch(store: &Store, series: &str) -> Result<String, Error> {
    let image = store.resolve(&KernelRef::Series(series.into()))?;
    let version = image.packages.first().map_or("", |package| package.version.as_str());
    let mut text = format!("{version} ({})", image.release);
    for note in &image.notes {
        text.push_str(&format!("\n        {}", paint(DIM, note)));
    }
    Ok(text)
}

fn line(name: &str, got: &Result<String, Error>) -> String {
    match got {
        Ok(text) => format!("{}  {name:<5} {text}\n", paint(outcome(Outcome::Pass), "ok  ")),
        Err(error) => format!(
            "{}  {name:<5} {}\n             where: {}\n             help:  {}\n",
            paint(outcome(Outcome::Skip), "miss"),
            error.what,
            error.place,
            error.help
        ),
    }
}

/// What is being waited for.
fn progress(text: &str) {
    Out::stderr().text(&format!("{}\n", paint(DIM, format!("  {text}"))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: &[&str]) -> Result<String, Error> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        series(&words, &Catalogue::built_in()).map(|names| names.join(" "))
    }

    #[test]
    fn series_are_named_by_age_too() {
        assert_eq!(named(&["newest", "6.12", "oldest", "5.10"]).unwrap(), "5.10 6.12 7.3");
        assert!(named(&["all"]).unwrap().starts_with("5.10 6.1 6.12 "));
    }

    #[test]
    fn an_unknown_series_is_refused() {
        assert_eq!(named(&["6.12", "4.4"]).unwrap_err().what, "there is no kernel series `4.4`");
    }
}
