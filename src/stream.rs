//! The event file: everything that happened, one JSON object a line. `docs/events.md` describes it.
//!
//! Cases run side by side and their records do not name them, so each case's records are written
//! together when it ends. Their times are turned into times of the run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hairpin_model::event::VERSION;
use hairpin_model::{Error, Event, Record};

use crate::run::schedule::Result as CaseResult;
use crate::suite::{Case, Suite};

/// The event file of a run.
pub(crate) struct Stream {
    path: PathBuf,
    file: BufWriter<File>,
    began: Instant,
}

impl Stream {
    /// Makes the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|e| unwritten(path, &e))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), began: Instant::now() })
    }

    /// Makes a file that will take another's place, see [`Stream::settle`].
    pub(crate) fn create_beside(path: &Path) -> Result<Self, Error> {
        Self::create(&path.with_extension("jsonl-new"))
    }

    /// Takes the other's place, and is written on there.
    pub(crate) fn settle(&mut self, path: &Path) -> Result<(), Error> {
        self.file
            .flush()
            .and_then(|()| std::fs::rename(&self.path, path))
            .map_err(|e| unwritten(path, &e))?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Writes an event of the run itself.
    pub(crate) fn event(&mut self, event: Event) -> Result<(), Error> {
        let us = micros(self.began.elapsed());
        self.write(&Record { v: VERSION, us, event })?;
        self.file.flush().map_err(|e| unwritten(&self.path, &e))
    }

    /// Writes all that happened in one run of a case: exactly one `case-started` first, exactly
    /// one `case-finished` last, whatever its process came to tell.
    pub(crate) fn case(
        &mut self,
        suite: &Suite,
        case: &Case,
        result: &CaseResult,
    ) -> Result<(), Error> {
        let began = micros(result.began);
        let rule = suite.rule_of(case).id.clone();
        let started = Event::CaseStarted { case: case.id.clone(), rule: rule.clone() };
        self.write(&Record { v: VERSION, us: began, event: started })?;
        for record in &result.records {
            let own = matches!(
                record.event,
                Event::CaseStarted { .. } | Event::CaseFinished { .. } | Event::Catalogue { .. }
            );
            if !own {
                self.write(&Record { us: began + record.us, ..record.clone() })?;
            }
        }
        let case_us = micros(result.took);
        let us = began + case_us;
        if result.outcome.is_bad() && !result.output.is_empty() {
            let event = Event::Output { text: result.output.clone() };
            self.write(&Record { v: VERSION, us, event })?;
        }
        let (outcome, reason) = (result.outcome, result.reason.clone());
        let event = Event::CaseFinished { case: case.id.clone(), rule, outcome, reason, case_us };
        self.write(&Record { v: VERSION, us, event })?;
        // What is finished is in the file, even if we are killed next.
        self.file.flush().map_err(|e| unwritten(&self.path, &e))
    }

    /// Writes a record of an earlier start of the same run as it was.
    pub(crate) fn record(&mut self, record: &Record) -> Result<(), Error> {
        self.write(record)
    }

    fn write(&mut self, record: &Record) -> Result<(), Error> {
        serde_json::to_writer(&mut self.file, record)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|e| unwritten(&self.path, &e))
    }
}

/// A duration as the stream counts it.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        format!("cannot write the event file: {error}"),
        path.display().to_string(),
        "name a file that can be written, on a disk with room",
    )
}
