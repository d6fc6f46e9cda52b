//! The machine's own apt tools, run with a state of their own: indexes and packages, verified, never installed.
//!
//! Nothing of the machine's apt is changed: lists, cache, configuration and trust are private to the cache folder.
//! Only how the machine reaches its mirror (proxies, time-outs, credentials) is taken over. No root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use hairpin_model::Error;

use super::Catalogue;
use super::cache::{self, Cache, Held, disk};
use super::packages::{self, Part};
use super::sources::{self, Source};

const HELPER: &str = "/usr/lib/apt/apt-helper";
/// Part of a list's name: raised when lists hold more than they did, so that older ones are asked for again.
const LISTING: u32 = 2;

/// What a suite has, and what the reader should know about that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) parts: Vec<Part>,
    pub(crate) notes: Vec<String>,
}

/// apt, with its state in the cache.
#[derive(Clone, Copy)]
pub(crate) struct Apt<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) catalogue: &'a Catalogue,
    /// A file in the form of sources.list that names archives in place of the machine's own.
    pub(crate) extra: Option<&'a Path>,
    /// How old an index may be before the mirror is asked again.
    pub(crate) max_age: Duration,
    /// Told what is being waited for.
    pub(crate) progress: &'a dyn Fn(&str),
}

impl Apt<'_> {
    /// The kernel packages of a suite. Without the network the last known list is used, and that is noted.
    pub(crate) fn listing(&self, suite: &str) -> Result<Listing, Error> {
        let file = self.listing_file(suite)?;
        if let Some(parts) = read_listing(&file, Some(self.max_age)) {
            return Ok(Listing { parts, notes: Vec::new() });
        }
        let _held = self.cache.lock(&format!("apt-{suite}"))?;
        // Another process may have asked while this one waited.
        if let Some(parts) = read_listing(&file, Some(self.max_age)) {
            return Ok(Listing { parts, notes: Vec::new() });
        }
        match self.ask(suite) {
            Ok(listing) => {
                let text = serde_json::to_vec(&listing.parts).expect("parts are plain values");
                self.cache.write(&file, &text)?;
                Ok(listing)
            }
            Err(error) => {
                let parts = read_listing(&file, None).ok_or_else(|| error.clone())?;
                let note = format!("an old list of `{suite}` was used: {}", error.what);
                Ok(Listing { parts, notes: vec![note] })
            }
        }
    }

    /// A package's file in the cache, fetched and checked if it is not there yet.
    pub(crate) fn fetch(&self, part: &Part) -> Result<PathBuf, Error> {
        let kept = self.cache.deb(&part.sha256);
        let _held = self.cache.lock(&part.sha256)?;
        if kept.exists() {
            return Ok(kept);
        }
        (self.progress)(&format!(
            "fetching {} {} ({} MB)",
            part.name,
            part.version,
            part.size / 1_000_000
        ));
        let scratch = self.cache.scratch()?;
        let wanted = format!("{}={}", part.name, part.version);
        {
            let state = self.state(&part.archive)?;
            let mut apt = state.apt_get()?;
            run(apt.args(["download", &wanted]).current_dir(scratch.path()), &wanted)?;
        }
        let file = only_deb(scratch.path()).ok_or_else(|| {
            Error::new("apt-get brought no package", wanted.as_str(), "try again")
        })?;
        verify(&file, part)?;
        fs::rename(&file, &kept).map_err(|error| disk("cannot be moved", &kept, &error))?;
        Ok(kept)
    }

    fn listing_file(&self, suite: &str) -> Result<PathBuf, Error> {
        let mut name = suite.replace('/', "-");
        if let Some(extra) = self.extra {
            let text = fs::read(extra).map_err(|error| disk("cannot be read", extra, &error))?;
            name = format!("{name}+{}", &cache::sha256(&text)[..8]);
        }
        Ok(self.cache.root().join("apt").join(format!("{name}.{LISTING}.json")))
    }

    fn ask(&self, suite: &str) -> Result<Listing, Error> {
        let keyring = Path::new(&self.catalogue.keyring);
        if !keyring.exists() {
            return Err(Error::new(
                "the keys that sign Debian's archives are not on this machine",
                self.catalogue.keyring.as_str(),
                "install the package `debian-archive-keyring`",
            ));
        }
        let found = sources::for_suite(suite, &self.discover(None)?, &self.discover_extra()?);
        let mut listing = Listing::default();
        let mut failure = Error::new(
            "the machine has no source of Debian packages",
            suite,
            "name one in a file of sources.list's form, and that file in HAIRPIN_KERNEL_SOURCES",
        );
        let mut answered = false;
        for source in &found {
            // One of the machine's own mirrors is enough; each archive that the user named is asked.
            if answered && !source.extra {
                break;
            }
            match self.update(source) {
                Ok(parts) => {
                    answered = true;
                    listing.parts.extend(parts);
                }
                Err(error) => {
                    listing.notes.push(format!("{}: {}", error.place, error.what));
                    failure = error;
                }
            }
        }
        if answered { Ok(listing) } else { Err(failure) }
    }

    /// Fetches the index of an archive and picks the kernels out of it.
    fn update(&self, source: &Source) -> Result<Vec<Part>, Error> {
        let line = source.line(&self.catalogue.architecture, Path::new(&self.catalogue.keyring));
        let id =
            format!("{}-{}", source.suite.replace('/', "-"), &cache::sha256(line.as_bytes())[..8]);
        let place = format!("{} {}", source.base, source.suite);
        (self.progress)(&format!("asking the mirror for {}", source.suite));
        let state = self.state(&id)?;
        state.lay_out(&line, &self.catalogue.architecture)?;
        run(state.apt_get()?.args(["update", "--error-on=any"]), &place)?;
        let target = ["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"];
        let files = run(state.apt_get()?.args(target), &place)?;
        let text = run(state.tool(HELPER)?.arg("cat-file").args(files.lines()), &place)?;
        let mut parts = packages::parse(&text, &self.catalogue.architecture);
        for part in &mut parts {
            part.archive.clone_from(&id);
        }
        Ok(parts)
    }

    /// Asks apt for the sources that the machine, or the given file, is set up with.
    fn discover(&self, list: Option<&Path>) -> Result<Vec<Source>, Error> {
        let scratch = self.cache.scratch()?;
        let mut command = Command::new("apt-get");
        command.stdin(Stdio::null()).arg("-o").arg(option("Dir::State::lists", scratch.path()));
        if let Some(list) = list {
            command.arg("-o").arg(option("Dir::Etc::sourcelist", list));
            command.args(["-o", "Dir::Etc::sourceparts=/dev/null"]);
        }
        let printed = run(command.args(["update", "--print-uris"]), "the sources of apt")?;
        Ok(sources::from_uris(&printed, list.is_some()))
    }

    fn discover_extra(&self) -> Result<Vec<Source>, Error> {
        let Some(extra) = self.extra else { return Ok(Vec::new()) };
        let path =
            fs::canonicalize(extra).map_err(|error| disk("cannot be read", extra, &error))?;
        self.discover(Some(&path))
    }

    fn state(&self, id: &str) -> Result<State, Error> {
        let folder = self.cache.root().join("apt").join(id);
        Ok(State { folder, held: self.cache.lock(id)? })
    }
}

/// apt's private state for one archive, locked against other processes.
struct State {
    folder: PathBuf,
    held: Held,
}

impl State {
    fn lay_out(&self, line: &str, architecture: &str) -> Result<(), Error> {
        let at = &self.folder;
        let broken = |error: std::io::Error| disk("cannot be written", at, &error);
        for folder in ["lists/partial", "cache/archives/partial", "conf.d"] {
            fs::create_dir_all(at.join(folder)).map_err(broken)?;
        }
        fs::write(at.join("sources.list"), line).map_err(broken)?;
        fs::write(at.join("status"), "").map_err(broken)?;
        let reach = run(Command::new("apt-config").arg("dump").stdin(Stdio::null()), "apt-config")?;
        let path = at.join("apt.conf");
        fs::write(&path, configuration(at, architecture, &reach)).map_err(broken)?;
        // It may name a proxy with its password.
        private(&path).map_err(broken)
    }

    fn apt_get(&self) -> Result<Command, Error> {
        let mut command = self.tool("apt-get")?;
        command.arg("--quiet=2");
        Ok(command)
    }

    /// A tool with this state. It holds the lock itself: should this process be killed, the next one waits until
    /// the tool has ended too.
    fn tool(&self, program: &str) -> Result<Command, Error> {
        let input = self.held.shared_with_child();
        let input = input.map_err(|error| disk("cannot be locked", &self.folder, &error))?;
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).stdin(input);
        Ok(command)
    }
}

fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// apt's configuration: the machine's way to its mirror, and private paths for everything else. The machine's
/// files are not read again, so that none of its hooks runs.
fn configuration(state: &Path, architecture: &str, machine: &str) -> String {
    let reach = machine.lines().filter(|line| {
        line.starts_with("Acquire::")
            && !["Acquire::IndexTargets", "Acquire::Languages", "Acquire::Allow"]
                .iter()
                .any(|other| line.starts_with(other))
    });
    let mut out: String = reach.map(|line| format!("{line}\n")).collect();
    let at = state.display();
    out.push_str(&format!(
        "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"{at}/conf.d\";\n\
         Dir::Etc::sourcelist \"{at}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::preferences \"/dev/null\";\nDir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::State \"{at}\";\nDir::State::lists \"{at}/lists\";\n\
         Dir::State::status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n\
         Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n\
         APT::Architecture \"{architecture}\";\nAPT::Architectures {{ \"{architecture}\"; }};\n\
         APT::Sandbox::User \"\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n"
    ));
    out
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// Runs a command to its end and gives what it printed, or its own words of why not.
fn run(command: &mut Command, place: &str) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output().map_err(|error| {
        Error::new(
            format!("`{program}` cannot be run: {error}"),
            place,
            "install apt, or give the path of a package, an image or a tree with --kernel",
        )
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let words = said.lines().find(|line| line.starts_with("E: ")).or(said.lines().next_back());
    let words = words.unwrap_or("it said nothing").trim_start_matches("E: ");
    Err(Error::new(format!("`{program}` failed: {words}"), place, advice(words)))
}

fn advice(words: &str) -> &'static str {
    let has = |part: &str| words.contains(part);
    if has("No space left") || has("enough free space") {
        "free some space in the cache folder, or set XDG_CACHE_HOME"
    } else if has("does not have a Release file") || has("404") || has("was not found") {
        "the mirror no longer has it: name one that has in HAIRPIN_KERNEL_SOURCES"
    } else if has("not signed") || has("GPG") || has("NO_PUBKEY") {
        "bring the package `debian-archive-keyring` up to date"
    } else {
        "check the network and the machine's apt sources with `apt-get update`"
    }
}

fn read_listing(file: &Path, max_age: Option<Duration>) -> Option<Vec<Part>> {
    let changed = fs::metadata(file).and_then(|data| data.modified()).ok()?;
    let age = SystemTime::now().duration_since(changed).unwrap_or_default();
    if max_age.is_some_and(|max| age > max) {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn only_deb(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"))
}

fn verify(file: &Path, part: &Part) -> Result<(), Error> {
    let hash = cache::sha256_of(file).map_err(|error| disk("cannot be read", file, &error))?;
    if hash == part.sha256 {
        return Ok(());
    }
    Err(Error::new(
        format!("the package's SHA-256 is {hash}, the index says {}", part.sha256),
        format!("{} {}", part.name, part.version),
        "try again; if it stays so, the mirror is damaged",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_way_is_taken_over_and_its_hooks_are_not() {
        let machine = "Acquire::http::Proxy \"http://proxy.example:3128\";\n\
                       Acquire::AllowInsecureRepositories \"1\";\nAPT::Update::Post-Invoke:: \"rm -f x\";\n\
                       Acquire::IndexTargets::deb::DEP-11::MetaKey \"x\";\n";
        let text = configuration(Path::new("/state"), "amd64", machine);
        assert!(text.contains("http://proxy.example:3128"));
        for word in ["Insecure", "Post-Invoke", "DEP-11"] {
            assert!(!text.contains(word), "{word}");
        }
    }

    #[test]
    fn a_tool_that_is_not_there_is_named() {
        let error = run(&mut Command::new("/nonexistent/apt-get"), "trixie").unwrap_err();
        assert!(error.what.starts_with("`/nonexistent/apt-get` cannot be run"), "{error}");
        assert!(error.help.contains("--kernel"));
    }

    #[test]
    fn a_failing_tool_is_quoted() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo W: noise >&2; echo 'E: No space left on device' >&2; exit 100"]);
        let error = run(&mut command, "trixie").unwrap_err();
        assert_eq!(error.what, "`sh` failed: No space left on device");
        assert!(error.help.starts_with("free some space"));
    }
}
