//! One case in a guest of its own, and what is kept of it when it ends badly.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hairpin_model::{CaseId, Error};
use hairpin_vm::console::Console;
use hairpin_vm::{Guests, Job, JobResult};

use crate::run::schedule::Result as CaseResult;

/// Where cases run in guests, and where the consoles of those that end badly are kept.
pub(crate) struct Ward<'g> {
    /// The guests.
    pub(crate) guests: &'g Guests,
    /// The folder of the consoles, made when there is one to keep.
    pub(crate) consoles: PathBuf,
}

impl Ward<'_> {
    /// Runs one case of the guest's init.
    pub(crate) fn run(
        &self,
        (index, id): (usize, &CaseId),
        test: &str,
        deadline: Duration,
        began: Duration,
    ) -> Result<CaseResult, Error> {
        let start = Instant::now();
        let mut job = Job::new("/init", ["--exact", test, "--nocapture"].map(str::to_owned));
        job.deadline = deadline;
        let mut ended = self.guests.run(&job)?;
        let (outcome, reason) = ended.outcome();
        let mut output = printed(&ended);
        if outcome.is_bad() {
            let file = self.keep(id, &ended.console)?;
            output.push_str(&format!(
                "{}the kernel's console: {}\n",
                complaints(&ended),
                file.display()
            ));
        }
        let records = std::mem::take(&mut ended.records);
        Ok(CaseResult { index, outcome, reason, records, output, began, took: start.elapsed() })
    }

    fn keep(&self, id: &CaseId, console: &Console) -> Result<PathBuf, Error> {
        let file = self.consoles.join(format!("{id}.txt"));
        let written = std::fs::create_dir_all(&self.consoles)
            .and_then(|()| std::fs::write(&file, console.text()));
        written.map_err(|error| unwritten(&file, &error))?;
        Ok(file)
    }
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

fn unwritten(file: &Path, error: &std::io::Error) -> Error {
    Error::new(
        format!("the console of a failing case cannot be kept: {error}"),
        file.display().to_string(),
        "name a folder that can be written, on a disk with room",
    )
}

/// Where consoles go when the user named no place: beside the event file, or else in the user's
/// folder of states.
pub(crate) fn folder(events: Option<&Path>, kernel: &str) -> PathBuf {
    if let Some(file) = events {
        return file.with_extension("consoles");
    }
    let name: String = kernel.chars().map(|c| if c == '/' { '-' } else { c }).collect();
    state().join("consoles").join(name)
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
