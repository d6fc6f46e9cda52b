//! The program that the boot tests run in guests, and their init. Each word makes it do one thing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

fn main() -> ExitCode {
    hairpin_guest::init_if_pid1();
    hairpin_guest::await_args();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| args.get(at).map_or("", String::as_str);
    match act(word(0), word(1), &args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {error}", args.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn act(what: &str, with: &str, args: &[String]) -> io::Result<ExitCode> {
    match what {
        "say" => println!("{with}"),
        "complain" => eprintln!("{with}"),
        "exit" => return Ok(ExitCode::from(with.parse::<u8>().map_err(io::Error::other)?)),
        "abort" => std::process::abort(),
        "read" => print!("{}", fs::read_to_string(with)?),
        "links" => list("/sys/class/net")?,
        "environment" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        "mark" => mark(with)?,
        "random" => println!("{:?}", random()?),
        "clock" => println!("{}", since_1970()),
        "records" => records(&args[1..])?,
        "bulk" => bulk(with.parse().map_err(io::Error::other)?)?,
        "sleep" => sleep(with.parse().map_err(io::Error::other)?),
        "eat-memory" => eat_memory(),
        "hang" => wait_for_ever(),
        "leave-a-child" => drop(Command::new("/proc/self/exe").arg("hang").spawn()?),
        "kernel" => trigger(with)?,
        "flood" => flood(with.parse().map_err(io::Error::other)?)?,
        "to-console" => console()?.write_all(format!("{with}\n").as_bytes())?,
        "damage-the-line" => damage()?,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(folder: &str) -> io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(folder)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names.iter().for_each(|name| println!("{}", name.display()));
    Ok(())
}

/// Says whether the file was there before, and leaves it there.
fn mark(path: &str) -> io::Result<()> {
    println!("{}", fs::exists(path)?);
    File::create(path).map(drop)
}

fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Writes its arguments as lines where records go.
fn records(lines: &[String]) -> io::Result<()> {
    let number = std::env::var("HAIRPIN_EVENTS_FD").map_err(io::Error::other)?;
    let mut file = OpenOptions::new().write(true).open(format!("/proc/self/fd/{number}"))?;
    lines.iter().try_for_each(|line| file.write_all(format!("{line}\n").as_bytes()))
}

fn bulk(bytes: usize) -> io::Result<()> {
    let line: Vec<u8> = (0..=255).collect();
    let mut out = io::stdout().lock();
    for _ in 0..bytes / line.len() {
        out.write_all(&line)?;
    }
    out.flush()
}

fn sleep(seconds: u64) {
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    println!("{}", begin.elapsed().as_secs());
}

fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
    }
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// `c` crashes, `w` shows waiting tasks, … (Documentation/admin-guide/sysrq.rst).
fn trigger(key: &str) -> io::Result<()> {
    fs::write("/proc/sysrq-trigger", key)
}

/// The kernel's log, with its own protection against floods off.
fn console() -> io::Result<File> {
    fs::write("/proc/sys/kernel/printk_devkmsg", "on\n")?;
    OpenOptions::new().write(true).open("/dev/kmsg")
}

/// Lines of the highest urgency, which no log level holds back.
fn flood(lines: usize) -> io::Result<()> {
    let mut console = console()?;
    let text = "x".repeat(200);
    (0..lines).try_for_each(|at| console.write_all(format!("<0>flood {at} {text}\n").as_bytes()))
}

/// Writes where only the init may write.
fn damage() -> io::Result<()> {
    OpenOptions::new().write(true).open("/dev/ttyS1")?.write_all(b"not a frame")
}
