//! The kernel series that Hairpin knows by name: `fixtures/kernels.toml`.

use hairpin_model::Error;
use serde::Deserialize;

const BUILT_IN: &str = include_str!("../../../fixtures/kernels.toml");

/// All known series, oldest first, and what they share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The processor architecture of the packages.
    pub architecture: String,
    /// The keys that must have signed the archives.
    pub keyring: String,
    /// The series, oldest first.
    pub series: Vec<Series>,
}

/// One stable series, as `6.12`, and where its packages are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name, as `6.12`.
    pub name: String,
    /// The image package's name; `*` stands for anything.
    pub package: String,
    /// The suites of which the newest package is taken.
    pub suites: Vec<String>,
    /// Suites that are searched for single versions too.
    #[serde(default)]
    pub older: Vec<String>,
}

impl Catalogue {
    /// The catalogue that comes with this program.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN, "fixtures/kernels.toml").expect("a test reads the built-in catalogue")
    }

    /// Reads a catalogue from the text of a file.
    pub fn parse(text: &str, place: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            Error::new(error.message(), place, "write it as fixtures/kernels.toml is written")
        })
    }

    /// The series of this name.
    pub fn find(&self, name: &str) -> Result<&Series, Error> {
        self.series.iter().find(|series| series.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
            Error::new(
                format!("there is no kernel series `{name}`"),
                "fixtures/kernels.toml",
                format!(
                    "known: {}; or give the path of a package, an image or a tree",
                    known.join(" ")
                ),
            )
        })
    }

    /// The series that a version belongs to: `6.12.90-1` to `6.12`.
    pub fn series_of(&self, version: &str) -> Option<&Series> {
        self.series.iter().find(|series| {
            let rest = version.strip_prefix(series.name.as_str());
            rest.is_some_and(|rest| rest.starts_with(['.', '~']))
        })
    }
}

impl Series {
    /// Whether a package's name is that of an image of this series.
    pub(crate) fn matches(&self, package: &str) -> bool {
        glob(&self.package, package)
    }
}

/// Matches a text against a pattern in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.into_iter().any(|at| glob(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_reads_and_rises() {
        let names: Vec<String> =
            Catalogue::built_in().series.into_iter().map(|series| series.name).collect();
        assert_eq!(names.join(" "), "5.10 6.1 6.12 6.16 6.17 6.18 6.19 7.0 7.1 7.2 7.3");
    }

    #[test]
    fn an_unknown_series_names_those_that_are_known() {
        let error = Catalogue::built_in().find("4.4").unwrap_err();
        assert_eq!(error.what, "there is no kernel series `4.4`");
        assert!(error.help.starts_with("known: 5.10 6.1 6.12 "), "{}", error.help);
    }

    #[test]
    fn image_packages_are_told_from_their_neighbours() {
        let catalogue = Catalogue::built_in();
        let series = catalogue.find("6.1").unwrap();
        assert!(series.matches("linux-image-6.1.0-50-cloud-amd64"));
        for other in [
            "linux-image-6.1-cloud-amd64",
            "linux-image-6.12.90+deb13-cloud-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
        ] {
            assert!(!series.matches(other), "{other}");
        }
    }

    #[test]
    fn versions_belong_to_series() {
        let catalogue = Catalogue::built_in();
        let name = |version| catalogue.series_of(version).map(|series| series.name.as_str());
        assert_eq!(name("6.1.170-3"), Some("6.1"));
        assert_eq!(name("6.12.90-1"), Some("6.12"));
        assert_eq!(name("7.3~rc7-1~exp1"), Some("7.3"));
        assert_eq!(name("6.2.1-1"), None);
    }
}
