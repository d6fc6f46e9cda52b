//! Which archives to ask for a suite: those of the mirror that the machine is set up with.
//!
//! No host is named in this program. apt itself is asked for the machine's sources, so that every way in which
//! they can be written is understood.

use std::path::Path;

/// The words with which Debian's own suites begin; anything else is somebody else's archive.
const DEBIAN: [&str; 10] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "stable",
    "oldstable",
    "testing",
];

/// An archive: a mirror's address and a suite on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) base: String,
    pub(crate) suite: String,
    /// Whether the user named it in place of the machine's own sources. Archives of the past are no longer renewed, so
    /// its date is not held against it; its signature always is.
    pub(crate) extra: bool,
}

/// Reads what `apt-get update --print-uris` prints: `'<base>/dists/<suite>/InRelease' file size`.
pub(crate) fn from_uris(printed: &str, extra: bool) -> Vec<Source> {
    let uris = printed.lines().filter_map(|line| line.strip_prefix('\'')?.split_once('\''));
    let releases =
        uris.filter_map(|(uri, _)| uri.strip_suffix("/InRelease")?.split_once("/dists/"));
    releases.map(|(base, suite)| Source { base: base.into(), suite: suite.into(), extra }).collect()
}

/// The archives to ask for `suite`, in the order in which to try them.
pub(crate) fn for_suite(suite: &str, machine: &[Source], extra: &[Source]) -> Vec<Source> {
    let named: Vec<Source> = extra.iter().filter(|source| source.suite == suite).cloned().collect();
    if !named.is_empty() {
        return named;
    }
    let mut out = Vec::new();
    let security = is_security(suite);
    let debian = machine.iter().filter(|source| is_debian(&source.suite));
    let (same, other): (Vec<&Source>, Vec<&Source>) =
        debian.partition(|source| is_security(&source.suite) == security);
    let mut bases: Vec<String> = same.into_iter().map(|source| source.base.clone()).collect();
    if security && bases.is_empty() {
        // By convention a mirror has its security archive beside the main one.
        bases.extend(other.into_iter().map(|source| format!("{}-security", source.base)));
    }
    for base in bases {
        let source = Source { base, suite: suite.into(), extra: false };
        if !out.contains(&source) {
            out.push(source);
        }
    }
    out
}

impl Source {
    /// The line of a sources.list for it, bound to Debian's own keys.
    pub(crate) fn line(&self, architecture: &str, keyring: &Path) -> String {
        let date = if self.extra { " check-valid-until=no" } else { "" };
        let (base, suite, keyring) = (&self.base, &self.suite, keyring.display());
        format!("deb [arch={architecture} signed-by={keyring}{date}] {base} {suite} main\n")
    }
}

fn is_security(suite: &str) -> bool {
    suite.ends_with("-security") || suite.ends_with("/updates")
}

fn is_debian(suite: &str) -> bool {
    let first = suite.split(['-', '/']).next().unwrap_or_default();
    DEBIAN.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_InRelease 0 \n\
'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror.example_u_InRelease 0 \n\
'http://mirror.example/security/dists/bookworm-security/InRelease' s_InRelease 0 \n\
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' p 0 \n\
'https://other.example/tools/dists/nodistro/InRelease' n_InRelease 0 \n";

    fn bases(suite: &str, printed: &str) -> Vec<String> {
        let sources = from_uris(printed, false);
        for_suite(suite, &sources, &[]).into_iter().map(|source| source.base).collect()
    }

    #[test]
    fn the_machines_mirror_serves_other_suites_too() {
        assert_eq!(bases("trixie-backports", PRINTED), ["http://mirror.example/debian"]);
        assert_eq!(bases("trixie-security", PRINTED), ["http://mirror.example/security"]);
    }

    #[test]
    fn security_beside_the_main_archive_where_none_is_set_up() {
        let main = PRINTED.lines().next().unwrap();
        assert_eq!(bases("trixie-security", main), ["http://mirror.example/debian-security"]);
    }

    #[test]
    fn an_archive_that_the_user_names_takes_the_mirrors_place() {
        let extra = from_uris("'http://old.example/x/dists/trixie-backports/InRelease' f 0", true);
        let found = for_suite("trixie-backports", &from_uris(PRINTED, false), &extra);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].line("amd64", Path::new("/k.gpg")),
            "deb [arch=amd64 signed-by=/k.gpg check-valid-until=no] http://old.example/x \
             trixie-backports main\n"
        );
    }
}
