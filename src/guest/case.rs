//! One case in a guest of its own, and what is kept of it when it ends badly.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hairpin_model::Error;
use hairpin_vm::console::Console;
use hairpin_vm::{Job, JobResult};

use super::{Fleet, Seeds};
use crate::run::schedule::Result as CaseResult;
use crate::suite::Case;

/// Where cases run in guests, and where the consoles of those that end badly are kept.
pub(crate) struct Ward<'g> {
    /// The guests.
    pub(crate) guests: &'g Fleet,
    /// What their random numbers are made from.
    pub(crate) seeds: &'g Seeds,
    /// The folder of the consoles, made when there is one to keep.
    pub(crate) consoles: PathBuf,
}

impl Ward<'_> {
    /// Runs one case of the guest's init.
    pub(crate) fn run(
        &self,
        (index, case): (usize, &Case),
        waits_for_minutes: bool,
        deadline: Duration,
        began: Duration,
    ) -> Result<CaseResult, Error> {
        let guests = self.guests.of(waits_for_minutes)?;
        let start = Instant::now();
        let id = &case.id;
        let seed = self.seeds.next(id);
        let ended = guests.run(&Job { seed, ..job(&case.test, deadline) })?;
        let (outcome, reason) = ended.outcome();
        let mut output = printed(&ended);
        if outcome.is_bad() {
            let file = self.consoles.join(format!("{id}.txt"));
            keep(&ended.console, &file)?;
            output.push_str(&format!(
                "{}the kernel's console: {}\n",
                complaints(&ended),
                file.display()
            ));
        }
        let records = ended.records;
        let took = start.elapsed();
        Ok(CaseResult { index, outcome, reason, records, output, frames: None, began, took })
    }
}

/// One case as a guest is asked for it: its init is the suite program.
pub(crate) fn job(test: &str, deadline: Duration) -> Job {
    let args = ["--exact", test, "--nocapture"].map(str::to_owned);
    // One case needs one thread, and nobody has to find out how many there could be.
    let env = vec![("RUST_TEST_THREADS".into(), "1".into())];
    Job { deadline, env, ..Job::new("/init", args) }
}

/// Keeps what a kernel said; makes the folder if need be.
pub(crate) fn keep(console: &Console, file: &Path) -> Result<(), Error> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let written =
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, console.text()));
    written.map_err(|error| {
        Error::new(
            format!("the console of a failing case cannot be kept: {error}"),
            file.display().to_string(),
            "name a folder that can be written, on a disk with room",
        )
    })
}

/// What the program wrote for people.
fn printed(ended: &JobResult) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&ended.stdout) + &text(&ended.stderr)
}

/// What the kernel complained of, in its own words, and what identifies each.
fn complaints(ended: &JobResult) -> String {
    let one = |evidence: &hairpin_vm::console::Evidence| {
        format!(
            "{}\nfingerprint {}: {}\n",
            evidence.text.trim_end(),
            evidence.fingerprint(),
            evidence.signature()
        )
    };
    ended.evidence.iter().map(one).collect()
}

/// Where consoles go when the user named no place: beside the event file, or else in the user's
/// folder of states.
pub(crate) fn folder(events: Option<&Path>, kernel: &str) -> PathBuf {
    if let Some(file) = events {
        return file.with_extension("consoles");
    }
    kept_of("consoles", kernel)
}

/// The folder for things of that kind, of that kernel, among the user's states.
pub(crate) fn kept_of(kind: &str, kernel: &str) -> PathBuf {
    state().join(kind).join(kernel.replace('/', "-"))
}

/// Our folder among the user's folders of states.
pub(crate) fn state() -> PathBuf {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME")
        .or_else(|| Some(set("HOME")?.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("hairpin")
}
