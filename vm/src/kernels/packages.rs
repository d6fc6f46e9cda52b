//! What an archive has: kernel packages in its index, and which of them make a whole kernel.
//!
//! Pure: text in, values out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Series;
use super::version::compare;

/// An image package smaller than this holds no kernel: it only names the packages that do.
const EMPTY: u64 = 100_000;
const KINDS: [&str; 4] = ["linux-image-", "linux-base-", "linux-binary-", "linux-modules-"];
/// What modules are built with; these name each other by their own names.
const BUILD: [&str; 3] = ["linux-headers-", "linux-kbuild-", "linux-source-"];

/// A package as an archive's index describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its full version.
    pub version: String,
    /// The SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// The size of its file in bytes.
    pub size: u64,
    /// The archive that has it.
    #[serde(default)]
    pub(crate) archive: String,
    /// Packages of its own version without which it is no kernel.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
}

/// A kernel that an archive has, or has in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The full version of the image package.
    pub version: String,
    /// The suite that it was found in.
    pub suite: String,
    /// Its packages, the image package first.
    pub parts: Vec<Part>,
    /// Packages that it is made of and that the archive no longer has.
    pub missing: Vec<String>,
}

impl Candidate {
    /// Whether enough of it is there to boot. A package that is missing beside a full image package is not needed:
    /// the full one holds kernel and modules itself.
    pub fn is_whole(&self) -> bool {
        self.image().size >= EMPTY || (self.missing.is_empty() && self.parts.len() > 1)
    }

    /// The image package.
    pub fn image(&self) -> &Part {
        &self.parts[0]
    }
}

/// Picks the kernel packages of one architecture out of the text of a `Packages` file, and what modules are built with.
pub(crate) fn parse(text: &str, architecture: &str) -> Vec<Part> {
    text.split("\n\n").filter_map(|stanza| part(stanza, architecture)).collect()
}

fn part(stanza: &str, architecture: &str) -> Option<Part> {
    // Most stanzas are none of ours: the name is looked at before anything else is read.
    let name = field(stanza, "Package")?;
    let mut kinds = KINDS.iter().chain(&BUILD);
    let kernel = kinds.find_map(|kind| name.strip_prefix(kind))?;
    if !kernel.starts_with(|c: char| c.is_ascii_digit())
        || ![architecture, "all"].contains(&field(stanza, "Architecture")?)
    {
        return None;
    }
    let is_needed = |other: &str| match BUILD.iter().any(|kind| name.starts_with(kind)) {
        true => BUILD.iter().any(|kind| other.starts_with(kind)),
        false => KINDS.iter().any(|kind| other.strip_prefix(kind) == Some(kernel)),
    };
    Some(Part {
        name: name.to_owned(),
        version: field(stanza, "Version")?.to_owned(),
        sha256: field(stanza, "SHA256")?.to_owned(),
        size: field(stanza, "Size")?.parse().ok()?,
        archive: String::new(),
        needs: field(stanza, "Depends").map(|text| needs(text, is_needed)).unwrap_or_default(),
    })
}

/// Those among a package's dependencies that are meant.
fn needs(depends: &str, is_needed: impl Fn(&str) -> bool) -> Vec<String> {
    let names = depends.split([',', '|']).filter_map(|item| item.split_whitespace().next());
    names.filter(|name| is_needed(name)).map(str::to_owned).collect()
}

fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    let value = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(str::trim)
}

/// The kernels of a series in one suite's packages, oldest first.
pub(crate) fn candidates(series: &Series, suite: &str, packages: &[Part]) -> Vec<Candidate> {
    let mut named: BTreeMap<(&str, &str), &Part> = BTreeMap::new();
    for part in packages {
        named.entry((&part.name, &part.version)).or_insert(part);
    }
    // A name without a version, as linux-image-6.12-cloud-amd64, only points to the newest image package.
    let points = |part: &Part| part.size < EMPTY && part.needs.is_empty();
    let images = named.values().filter(|part| series.matches(&part.name) && !points(part));
    let mut out: Vec<Candidate> = images.map(|image| candidate(image, suite, &named)).collect();
    out.sort_by(|left, right| compare(&left.version, &right.version));
    out
}

fn candidate(image: &Part, suite: &str, named: &BTreeMap<(&str, &str), &Part>) -> Candidate {
    let mut parts = vec![image.clone()];
    let mut missing = Vec::new();
    for need in &image.needs {
        match named.get(&(need.as_str(), image.version.as_str())) {
            Some(part) => parts.push((*part).clone()),
            None => missing.push(need.clone()),
        }
    }
    Candidate { version: image.version.clone(), suite: suite.into(), parts, missing }
}

#[cfg(test)]
mod tests {
    use super::super::Catalogue;
    use super::*;

    fn stanza(name: &str, version: &str, size: u64, depends: &str) -> String {
        format!(
            "Package: {name}\nSource: linux\nVersion: {version}\nArchitecture: amd64\n\
             Depends: {depends}\nSize: {size}\nSHA256: {name}-{version}\nDescription: Linux\n"
        )
    }

    fn split(version: &str, whole: bool) -> String {
        let at = format!("{version}+deb13-cloud-amd64");
        let depends = format!(
            "dracut | initramfs-tools, kmod, linux-base-{at} (= {version}-1), \
             linux-binary-{at} (= {version}-1), linux-modules-{at} (= {version}-1)"
        );
        let mut out =
            vec![stanza(&format!("linux-image-{at}"), &format!("{version}-1"), 1928, &depends)];
        out.push(stanza(&format!("linux-binary-{at}"), &format!("{version}-1"), 13_000_000, ""));
        if whole {
            for kind in ["base", "modules"] {
                out.push(stanza(
                    &format!("linux-{kind}-{at}"),
                    &format!("{version}-1"),
                    9_000_000,
                    "",
                ));
            }
        }
        out.join("\n")
    }

    fn found(series: &str, text: &str) -> Vec<Candidate> {
        let catalogue = Catalogue::built_in();
        candidates(catalogue.find(series).unwrap(), "suite", &parse(text, "amd64"))
    }

    #[test]
    fn a_split_kernel_is_put_together() {
        let text = [split("7.2.6", true), split("7.2.11", true)].join("\n");
        let found = found("7.2", &text);
        let versions: Vec<&str> = found.iter().map(|c| c.version.as_str()).collect();
        assert_eq!(versions, ["7.2.6-1", "7.2.11-1"]);
        let names: Vec<&str> = found[1].parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "linux-image-7.2.11+deb13-cloud-amd64",
                "linux-base-7.2.11+deb13-cloud-amd64",
                "linux-binary-7.2.11+deb13-cloud-amd64",
                "linux-modules-7.2.11+deb13-cloud-amd64",
            ]
        );
        assert!(found[1].is_whole());
    }

    #[test]
    fn a_kernel_whose_modules_are_gone_is_not_whole() {
        let found = found("7.1", &split("7.1.8", false));
        assert!(!found[0].is_whole());
        assert_eq!(
            found[0].missing,
            ["linux-base-7.1.8+deb13-cloud-amd64", "linux-modules-7.1.8+deb13-cloud-amd64"]
        );
    }

    /// 6.18 has kernel and modules in its image package and yet depends on a linux-base package.
    #[test]
    fn a_full_image_package_is_whole_without_its_companion() {
        let at = "6.18.15+deb13-cloud-amd64";
        let depends = format!("kmod, linux-base-{at} (= 6.18.15-1)");
        let text = stanza(&format!("linux-image-{at}"), "6.18.15-1", 49_000_000, &depends);
        let found = found("6.18", &text);
        assert!(found[0].is_whole());
        assert_eq!(found[0].missing.len(), 1);
    }

    #[test]
    fn what_modules_are_built_with_is_found_too() {
        let mut headers = stanza(
            "linux-headers-6.1.0-56-cloud-amd64",
            "6.1.192-2",
            9,
            "linux-headers-6.1.0-56-common (= 6.1.192-2), linux-kbuild-6.1 (>= 6.1.192-2), gcc-12",
        );
        let source = stanza("linux-source-6.1", "6.1.192-2", 9, "binutils, xz-utils");
        headers.push_str(&format!("\n{}", source.replace("amd64", "all")));
        let parts = parse(&headers, "amd64");
        assert_eq!(parts[0].needs, ["linux-headers-6.1.0-56-common", "linux-kbuild-6.1"]);
        assert_eq!(parts[1].name, "linux-source-6.1");
    }

    #[test]
    fn other_architectures_and_packages_are_passed_over() {
        let mut text = stanza("linux-image-6.1.0-50-cloud-amd64", "6.1.176-1", 26_000_000, "kmod");
        text = text.replace("Architecture: amd64", "Architecture: arm64");
        text.push_str(&format!("\n{}", stanza("linux-libc-dev", "6.1.176-1", 9, "")));
        assert!(parse(&text, "amd64").is_empty());
    }
}
