//! Joining the shards of a distributed run: event files by kernel, and the consoles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hairpin_model::{Error, Event};

use crate::results::{self, Run};
use crate::stream::Stream;

/// Writes the run that the others are together.
pub(super) fn merge(from: &[PathBuf], into: &Path) -> Result<(), Error> {
    let mut kernels: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for run in results::read(from)? {
        kernels.entry(run.name.clone()).or_default().push(run);
    }
    for (name, parts) in &kernels {
        if let Some(other) = parts.iter().find(|part| part.kernel != parts[0].kernel) {
            return Err(Error::new(
                format!(
                    "two runs are called `{name}` and are of the kernels {} and {}",
                    parts[0].kernel, other.kernel
                ),
                into.display().to_string(),
                "name event files after their kernels, as `hairpin matrix` does",
            ));
        }
    }
    make_empty(into)?;
    for (name, parts) in &kernels {
        write(&into.join(format!("{name}.jsonl")), parts)?;
    }
    for run in from.iter().map(|run| run.join("consoles")).filter(|consoles| consoles.is_dir()) {
        copy(&run, &into.join("consoles")).map_err(|error| unwritten(into, &error))?;
    }
    Ok(())
}

fn make_empty(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    let mut entries = std::fs::read_dir(folder).map_err(|error| unwritten(folder, &error))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::new(
            "the folder of the joined run is not empty",
            folder.display().to_string(),
            "name another with --output",
        )),
    }
}

/// One kernel: one beginning, all cases, and an end if all parts had theirs.
fn write(file: &Path, parts: &[Run]) -> Result<(), Error> {
    let mut stream = Stream::create(file)?;
    let begins =
        |event: &Event| matches!(event, Event::Catalogue { .. } | Event::RunStarted { .. });
    for (at, part) in parts.iter().enumerate() {
        for record in part.records.iter().filter(|record| at == 0 || !begins(&record.event)) {
            stream.record(record)?;
        }
    }
    if parts.iter().all(|part| part.is_whole) {
        let mut counts = BTreeMap::new();
        for (outcome, n) in parts.iter().flat_map(Run::counts) {
            *counts.entry(outcome).or_default() += n;
        }
        let longest = parts.iter().flat_map(|part| &part.records).map(|record| record.us).max();
        let run_us = longest.unwrap_or_default();
        stream.event(Event::RunFinished { counts: counts.into_iter().collect(), run_us })?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), free(target))?;
        }
    }
    Ok(())
}

/// The path, or a numbered one beside it: two shards may each have a console of one case.
fn free(path: PathBuf) -> PathBuf {
    let (stem, end) = (path.with_extension(""), path.extension().unwrap_or_default());
    let numbered = |n: usize| {
        let mut name = stem.clone().into_os_string();
        name.push(format!("-{n}."));
        name.push(end);
        PathBuf::from(name)
    };
    let paths = std::iter::once(path.clone()).chain((2..).map(numbered));
    paths.into_iter().find(|path| !path.exists()).expect("numbers do not end")
}

fn unwritten(folder: &Path, error: &std::io::Error) -> Error {
    Error::new(
        format!("the joined run cannot be written: {error}"),
        folder.display().to_string(),
        "name a folder that can be written, on a disk with room",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_of_one_name_are_both_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b, to) =
            (folder.path().join("a"), folder.path().join("b"), folder.path().join("to"));
        for (shard, text) in [(&a, "first"), (&b, "second")] {
            std::fs::create_dir_all(shard.join("6.1")).unwrap();
            std::fs::write(shard.join("6.1/bridge.l2.x.txt"), text).unwrap();
            copy(shard, &to).unwrap();
        }
        let kept = |name: &str| std::fs::read_to_string(to.join("6.1").join(name)).unwrap();
        assert_eq!(kept("bridge.l2.x.txt"), "first");
        assert_eq!(kept("bridge.l2.x-2.txt"), "second");
    }
}
