//! What a mutant is, and the ones that come with this program: `fixtures/mutants`, one file a driver.

use std::path::Path;

use hairpin_model::Error;
use serde::Deserialize;

/// The files of `fixtures/mutants`.
const BUILT_IN: [(&str, &str); 7] = [
    (
        "fixtures/mutants/br_netfilter.toml",
        include_str!("../../fixtures/mutants/br_netfilter.toml"),
    ),
    ("fixtures/mutants/bridge.toml", include_str!("../../fixtures/mutants/bridge.toml")),
    ("fixtures/mutants/ipvlan.toml", include_str!("../../fixtures/mutants/ipvlan.toml")),
    ("fixtures/mutants/macvlan.toml", include_str!("../../fixtures/mutants/macvlan.toml")),
    ("fixtures/mutants/macvtap.toml", include_str!("../../fixtures/mutants/macvtap.toml")),
    ("fixtures/mutants/veth.toml", include_str!("../../fixtures/mutants/veth.toml")),
    ("fixtures/mutants/vlan.toml", include_str!("../../fixtures/mutants/vlan.toml")),
];

/// A driver, and one-line bugs in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Driver {
    /// The name by which it is told apart, and with which the ids of its mutants begin.
    pub(crate) driver: String,
    /// The folder of the kernel's sources that it is built in.
    pub(crate) folder: String,
    /// The modules that are built of it.
    pub(crate) modules: Vec<String>,
    /// The cases of mutants that name none, and of all with `--wide`.
    pub(crate) cases: Vec<String>,
    #[serde(default, rename = "mutant")]
    pub(crate) mutants: Vec<Mutant>,
}

/// A one-line bug.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// `driver.what-is-wrong`.
    pub(crate) id: String,
    /// The file in the driver's folder.
    pub(crate) file: String,
    /// The function, or the table, whose text is changed.
    pub(crate) function: String,
    /// Words of an earlier line of it, where `find` alone would fit more than one.
    pub(crate) after: Option<String>,
    /// The words to find.
    pub(crate) find: String,
    /// The words to put in their place.
    pub(crate) put: String,
    /// What is wrong then, in a sentence.
    pub(crate) breaks: String,
    /// The cases that should notice, as filters, the likeliest first.
    #[serde(default)]
    pub(crate) cases: Vec<String>,
    /// The only series whose source it fits.
    pub(crate) kernel: Option<String>,
    /// Why no host can notice it: it is then not tried.
    pub(crate) equivalent: Option<String>,
}

/// The mutants that come with this program.
pub(crate) fn built_in() -> Result<Vec<Driver>, Error> {
    BUILT_IN.iter().map(|(place, text)| parse(text, place)).collect()
}

/// The mutants of a file.
pub(crate) fn read(file: &Path) -> Result<Vec<Driver>, Error> {
    let place = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let what = format!("the mutants cannot be read: {error}");
        Error::new(what, place.as_str(), "name a file as those in fixtures/mutants are")
    })?;
    Ok(vec![parse(&text, &place)?])
}

fn parse(text: &str, place: &str) -> Result<Driver, Error> {
    toml::from_str(text).map_err(|error| {
        Error::new(error.message(), place, "write it as the files in fixtures/mutants are written")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_built_in_mutants_are_well_formed() {
        let mut ids = BTreeSet::new();
        for driver in built_in().unwrap() {
            for mutant in driver.mutants {
                let id = &mutant.id;
                assert!(ids.insert(id.clone()), "`{id}` is there twice");
                assert!(id.starts_with(&format!("{}.", driver.driver)), "{id}");
                let texts = [&mutant.find, &mutant.put, &mutant.function, &mutant.breaks];
                assert!(texts.iter().all(|text| !text.contains('\n')), "{id} is one line");
                assert_ne!(mutant.find, mutant.put, "{id} changes nothing");
                assert!(mutant.breaks.len() > 15, "{id} says what it breaks");
            }
        }
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_the_file() {
        let error = parse("driver = \"x\"\nfolder = 3\n", "my.toml").unwrap_err();
        assert_eq!(error.place, "my.toml");
    }
}
