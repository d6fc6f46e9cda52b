//! Known failures of kernels: which case, on which kernels, failing how, and who says so.
//!
//! An expectation excuses one failure of one case on the kernels that have the bug. It never hides
//! a pass (the entry must then go), another failure of the same case, or a crash. What is isolated
//! by design is a rule's matter and never stands here.

use std::cmp::Ordering;

use serde::Deserialize;

use crate::case::CaseId;
use crate::error::Error;

/// A kernel's version, or a distribution's package of one: `6.18.44`, `6.1.192-1`.
///
/// Numbers are compared one by one, missing ones are 0. What follows a `~` makes a version sort
/// before the one without it, as Debian has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: Vec<u64>,
    before: bool,
}

impl Version {
    /// Reads the leading version of a text; `None` if it does not begin with a number.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, before) = match text.split_once('~') {
            Some((base, _)) => (base, true),
            None => (text, text.contains("-rc")),
        };
        let base = base.split("-rc").next().unwrap_or(base);
        let words = base.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        (!numbers.is_empty() && base.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(Self { numbers, before })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.numbers.len().max(other.numbers.len());
        let at = |v: &Self, i: usize| v.numbers.get(i).copied().unwrap_or(0);
        let by_number = (0..length).map(|i| at(self, i).cmp(&at(other, i)));
        by_number.fold(Ordering::Equal, Ordering::then).then(other.before.cmp(&self.before))
    }
}

/// The kernels from one version up to, and without, another: `6.12..6.12.80`, `..7.3.4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    from: Option<Version>,
    to: Option<Version>,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once("..")?;
        let end = |text: &str| match text.trim() {
            "" => Some(None),
            text => Version::parse(text).map(Some),
        };
        let range = Self { from: end(from)?, to: end(to)? };
        (range.from.is_some() || range.to.is_some()).then_some(range)
    }

    /// Whether a version lies in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.from.as_ref().is_none_or(|from| version >= from)
            && self.to.as_ref().is_none_or(|to| version < to)
    }
}

/// The running kernel, as expectations are keyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningKernel {
    /// The upstream version.
    pub upstream: Version,
    /// The distribution and its package version, if the kernel says so.
    pub package: Option<(String, Version)>,
}

impl RunningKernel {
    /// Reads the kernel's release (`uname -r`) and banner (`/proc/version`). Debian's release hides
    /// the stable version; its banner ends `… Debian 6.1.192-1 (2026-10-03)`.
    pub fn parse(release: &str, banner: &str) -> Option<Self> {
        let debian = banner.split("Debian ").last().filter(|_| banner.contains("Debian "));
        let package = debian
            .and_then(|rest| rest.split_whitespace().next())
            .filter(|word| word.contains('-') && word.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|word| Some((word, Version::parse(word)?)));
        let upstream = match &package {
            Some((word, _)) => Version::parse(word.split('-').next()?)?,
            None => Version::parse(release.split('-').next()?)?,
        };
        Some(Self { upstream, package: package.map(|(_, version)| ("debian".into(), version)) })
    }
}

/// One known failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The rule or case that fails.
    pub id: String,
    /// The upstream versions that have the bug.
    pub affected: Vec<Range>,
    /// Distribution packages that have it; where one of the running distribution is named, it
    /// decides alone, because a package may carry a fix before its version says so.
    pub packages: Vec<(String, Range)>,
    /// What the failure's line must contain.
    pub signature: String,
    /// Where the bug is known.
    pub link: String,
    /// What the bug is, in a sentence.
    pub reason: String,
    /// When somebody must look again, `YYYY-MM-DD`.
    pub review_by: String,
    /// The file that it stands in, for messages.
    pub file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expect: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    id: String,
    #[serde(default)]
    affected: Vec<String>,
    #[serde(default)]
    packages: Vec<PackageRange>,
    signature: String,
    link: String,
    reason: String,
    review_by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageRange {
    distribution: String,
    range: String,
}

impl Expectation {
    /// Reads a file of expectations; `file` is its name, for messages.
    pub fn read(file: &str, text: &str) -> Result<Vec<Self>, Error> {
        let parsed: File = toml::from_str(text).map_err(|error| {
            Error::new(
                format!("these expectations cannot be read: {}", error.message()),
                file,
                "see the head of fixtures/expectations for the keys of an `[[expect]]`",
            )
        })?;
        parsed.expect.into_iter().map(|entry| entry.read(file)).collect()
    }

    /// Whether it is about this case on this kernel.
    pub fn applies(&self, case: &CaseId, kernel: &RunningKernel) -> bool {
        if !case.is_under(&self.id) {
            return false;
        }
        let packages = kernel.package.as_ref().map(|(distribution, version)| {
            let of_ours = self.packages.iter().filter(move |(d, _)| d == distribution);
            (of_ours.clone().count(), of_ours.into_iter().any(|(_, r)| r.contains(version)))
        });
        match packages {
            Some((count, found)) if count > 0 => found,
            _ => self.affected.iter().any(|range| range.contains(&kernel.upstream)),
        }
    }
}

impl Entry {
    fn read(self, file: &str) -> Result<Expectation, Error> {
        let id = self.id.clone();
        let range = |text: &str| {
            Range::parse(text).ok_or_else(|| {
                Error::new(
                    format!("`{text}` is no range of versions"),
                    format!("{file}, `{id}`"),
                    "write `6.12..6.12.80` or `..7.3.4`; the end is the first version without the bug",
                )
            })
        };
        if self.affected.is_empty() && self.packages.is_empty() {
            return Err(Error::new(
                "an expectation without a kernel excuses nothing",
                format!("{file}, `{}`", self.id),
                "name the versions under `affected` or `packages`",
            ));
        }
        Ok(Expectation {
            affected: self.affected.iter().map(|text| range(text)).collect::<Result<_, _>>()?,
            packages: self
                .packages
                .iter()
                .map(|p| Ok((p.distribution.clone(), range(&p.range)?)))
                .collect::<Result<_, Error>>()?,
            id: self.id,
            signature: self.signature,
            link: self.link,
            reason: self.reason,
            review_by: self.review_by,
            file: file.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[expect]]
        id = "macvlan.passthru.counts"
        affected = ["..7.3.4"]
        packages = [{ distribution = "debian", range = "..7.3.4-1" }]
        signature = "promiscuity"
        link = "https://example.org/bug"
        reason = "the count underflows"
        review-by = "2027-06-01"
    "#;

    fn applies(release: &str, banner: &str) -> bool {
        let kernel = RunningKernel::parse(release, banner).unwrap();
        let found = Expectation::read("macvlan.toml", FILE).unwrap();
        found[0].applies(&CaseId::of_test("macvlan::passthru::counts"), &kernel)
    }

    #[test]
    fn a_version_decides() {
        assert!(applies("6.18.44-fc", "Linux version 6.18.44-fc"));
        assert!(applies("7.3.3", "Linux version 7.3.3"));
        assert!(!applies("7.3.4", "Linux version 7.3.4"));
        assert!(!applies("7.10.0", "Linux version 7.10.0"));
    }

    #[test]
    fn a_package_decides_where_there_is_one() {
        let banner =
            |package: &str| format!("Linux version 7.3+deb (x) #1 SMP Debian {package} (2026)");
        assert!(applies("7.3+deb14", &banner("7.3.3-1")));
        assert!(!applies("7.3+deb14", &banner("7.3.4-1")));
        assert!(applies("7.3+deb14", &banner("7.3.4-1~bpo13+1")), "a backport sorts before");
    }

    #[test]
    fn a_debian_banner_tells_the_stable_version() {
        let banner = "Linux version 6.1.0-42-cloud-amd64 (d) #1 SMP Debian 6.1.192-1 (2026-10-03)";
        let kernel = RunningKernel::parse("6.1.0-42-cloud-amd64", banner).unwrap();
        assert_eq!(kernel.upstream, Version::parse("6.1.192").unwrap());
    }

    #[test]
    fn a_bad_file_says_what_is_wrong() {
        let bad = [
            FILE.replace("..7.3.4\"]", "7.3.4\"]"),
            FILE.replace("reason", "reasons"),
            FILE.replace("affected = [\"..7.3.4\"]", "").replace("packages", "# packages"),
        ];
        let whats = bad.map(|text| Expectation::read("x.toml", &text).unwrap_err().what);
        insta::assert_snapshot!(whats.join("\n"), @r"
        `7.3.4` is no range of versions
        these expectations cannot be read: unknown field `reasons`, expected one of `id`, `affected`, `packages`, `signature`, `link`, `reason`, `review-by`
        an expectation without a kernel excuses nothing
        ");
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let order = ["5.10.262", "6.1-rc7", "6.1", "6.1.9", "6.1.10", "6.1.192-1~bpo", "6.1.192-1"];
        let versions: Vec<Version> = order.iter().map(|v| Version::parse(v).unwrap()).collect();
        assert!(versions.is_sorted());
    }
}
