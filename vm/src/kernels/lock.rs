//! `kernels.lock`: the exact packages of each series, so that a run can be repeated.

use std::collections::BTreeMap;
use std::path::Path;

use hairpin_model::Error;
use serde::{Deserialize, Serialize};

use super::cache::disk;
use super::{Candidate, Package};

/// The packages that each series is pinned to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// By the series' name.
    #[serde(default)]
    pub series: BTreeMap<String, LockedSeries>,
}

/// What one series is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSeries {
    /// The version of the image package.
    pub version: String,
    /// The suite that had it.
    pub suite: String,
    /// All its packages, the image package first.
    pub packages: Vec<Package>,
}

impl Lock {
    /// Reads a lock file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|error| disk("cannot be read", path, &error))?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            Error::new(
                format!("the lock file is damaged: {}", error.message()),
                path.display().to_string(),
                "restore it, or delete it and have it written anew",
            )
        })
    }

    /// The text to write to a lock file; the same pins give the same bytes.
    pub fn to_text(&self) -> String {
        let pins = toml::to_string_pretty(self).expect("a lock is plain values");
        format!("# Written by hairpin: the packages that each kernel series is pinned to.\n{pins}")
    }

    /// Pins a series to what it was resolved to.
    pub fn pin(&mut self, series: &str, candidate: &Candidate) {
        let packages = candidate.parts.iter().map(|part| Package {
            name: part.name.clone(),
            version: part.version.clone(),
            sha256: part.sha256.clone(),
        });
        let locked = LockedSeries {
            version: candidate.version.clone(),
            suite: candidate.suite.clone(),
            packages: packages.collect(),
        };
        self.series.insert(series.to_owned(), locked);
    }

    /// The pin of a series.
    pub fn get(&self, series: &str) -> Result<&LockedSeries, Error> {
        self.series.get(series).ok_or_else(|| {
            Error::new(
                format!("the series `{series}` is not in the lock file"),
                "--locked",
                "pin it first, or run without --locked",
            )
        })
    }
}
