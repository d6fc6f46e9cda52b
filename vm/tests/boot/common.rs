//! Kernels and jobs for the boot tests.

use std::sync::LazyLock;
use std::time::Duration;

use hairpin_model::Error;
use hairpin_vm::kernels::{KernelRef, Options, Store, Wanted};
use hairpin_vm::program::Program;
use hairpin_vm::{BootSpec, Guests, Job, JobResult};

/// The oldest, a long-lived one, and the newest.
pub(crate) const SERIES: [&str; 3] = ["5.10", "6.1", "7.3"];

/// Guests that tests share: each of them gives a fresh one to every job.
pub(crate) static GUESTS: LazyLock<Guests> =
    LazyLock::new(|| Guests::prepare(&spec("6.1")).unwrap_or_else(|failure| panic!("{failure}")));

pub(crate) fn spec(series: &str) -> BootSpec {
    try_spec(series).unwrap_or_else(|error| panic!("{error}"))
}

fn try_spec(series: &str) -> Result<BootSpec, Error> {
    let store = Store::open(Options::default())?;
    let image = store.resolve(&KernelRef::Series(series.into()))?;
    let wanted = Wanted { required: &["veth", "bridge", "macvlan"], ..Wanted::default() };
    let modules = image.closure(&wanted)?.load;
    let init = Program::read(env!("CARGO_BIN_EXE_hairpin-testguest").as_ref(), "/init")?;
    let mut spec = BootSpec::new(image, init);
    spec.modules = modules;
    Ok(spec)
}

pub(crate) fn job(words: &[&str]) -> Job {
    let mut job = Job::new("/init", words.iter().map(|word| (*word).to_owned()));
    job.deadline = Duration::from_secs(60);
    job
}

pub(crate) fn run(words: &[&str]) -> JobResult {
    GUESTS.run(&job(words)).unwrap_or_else(|failure| panic!("{failure}"))
}

pub(crate) fn stdout(result: &JobResult) -> String {
    String::from_utf8_lossy(&result.stdout).into_owned()
}
