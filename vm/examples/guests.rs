//! Measures guests: `cargo run --release -p hairpin-vm --example guests INIT [SERIES…]`.
//!
//! INIT is a program that calls `hairpin_guest::init_if_pid1`, such as `hairpin-testguest`. For each kernel it prints the
//! median times of booting, of waking a guest, of a job in it, and of twelve jobs on two workers.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hairpin_vm::kernels::{KernelRef, Options, Store, Wanted};
use hairpin_vm::program::Program;
use hairpin_vm::{BootSpec, Guests, Job};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

const RUNS: usize = 9;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((init, series)) = args.split_first() else {
        eprintln!("usage: guests INIT [SERIES…]");
        return ExitCode::FAILURE;
    };
    for name in series {
        if let Err(error) = measure(init, name) {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(init: &str, series: &str) -> Result<(), hairpin_model::Error> {
    let store = Store::open(Options::default())?;
    let image = store.resolve(&KernelRef::Series(series.into()))?;
    let wanted = Wanted { required: &["veth", "bridge", "macvlan"], ..Wanted::default() };
    let modules = image.closure(&wanted)?.load;
    let mut spec = BootSpec::new(image, Program::read(init.as_ref(), "/init")?);
    spec.modules = modules;
    let mut boots = Vec::new();
    for _ in 1..3 {
        boots.push(Guests::prepare(&spec)?.booted().took);
    }
    let guests = Guests::prepare(&spec)?;
    boots.push(guests.booted().took);
    let job = Job::new("/init", ["say".to_owned(), "hello".to_owned()]);
    let before = processor_time();
    let results: Result<Vec<_>, _> = (0..RUNS).map(|_| guests.run(&job)).collect();
    let results = results?;
    let each = (processor_time() - before) / u32::try_from(RUNS).expect("a few");
    let all = |of: fn(&hairpin_vm::result::Timing) -> Duration| {
        median(results.iter().map(|result| of(&result.timing)).collect())
    };
    println!(
        "{series}: boot {:?}, wake {:?}, job {:?}, leave {:?}, {each:?} of processor, {} MiB, {}",
        median(boots),
        all(|timing| timing.guest),
        all(|timing| timing.job),
        all(|timing| timing.leave),
        guests.booted().memory_mib,
        guests.booted().accel.why,
    );
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..6).for_each(|_| drop(guests.run(&job))));
        }
    });
    println!("{series}: 12 jobs on 2 workers {:?}", begin.elapsed());
    Ok(())
}

/// What all guests that are gone have used; unlike the time that passed, it hardly depends on what else runs.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it cannot fail for children");
    let time = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    time(usage.user_time()) + time(usage.system_time())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
