//! A program that was started before it was known what it would be asked.
//!
//! Starting a program costs a translated guest more than building a small network: hardly any of its code has been
//! translated yet. So the program is started before the guest is frozen, with arguments that are room and nothing
//! else, and stops here before its `main`. A woken guest then only writes the real arguments into that room.
//!
//! Not a way to run a program twice, and nothing that a program notices: it finds its arguments where arguments are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;

use crate::sys;
use crate::wire::ORDER_FDS;

/// Which field of `/proc/PID/stat` says where the arguments begin, counted from the one behind the name.
const ARG_START: usize = 45;

/// Stops until the arguments are there, if this program was started to wait for them.
///
/// Call it before `main`, when there is one thread: what has read the arguments before has read nonsense.
pub fn await_args() {
    let Ok(fds) = std::env::var(ORDER_FDS) else { return };
    sys::forget_variable(ORDER_FDS);
    if let Err(error) = take(&fds) {
        // Its arguments are no words: going on would do nothing, and look as if all were well.
        eprintln!("hairpin: the program's arguments did not come: {error}");
        std::process::exit(2);
    }
}

fn take(fds: &str) -> io::Result<()> {
    let nonsense = || io::Error::other(format!("`{fds}` are no descriptors"));
    let (order, word) = fds.split_once(',').ok_or_else(nonsense)?;
    let mut order = taken_over(order, OpenOptions::new().read(true))?;
    let mut word = taken_over(word, OpenOptions::new().write(true))?;
    let room = Room::of_this_process()?;
    word.write_all(b"w")?;
    drop(word);
    let mut args = Vec::new();
    order.read_to_end(&mut args)?;
    room.fill(&args)
}

/// Opens an inherited pipe anew, so that whoever starts programs later does not pass it on.
fn taken_over(fd: &str, how: &OpenOptions) -> io::Result<File> {
    let number: i32 = fd.parse().map_err(io::Error::other)?;
    let file = how.open(format!("/proc/self/fd/{number}"))?;
    nix::unistd::close(number)?;
    Ok(file)
}

/// The room of this process's arguments: where each begins, and how many bytes it has.
struct Room {
    memory: File,
    slots: Vec<(u64, usize)>,
}

impl Room {
    fn of_this_process() -> io::Result<Self> {
        let words = fs::read("/proc/self/cmdline")?;
        let stat = fs::read_to_string("/proc/self/stat")?;
        let start = first_argument(&stat).ok_or_else(|| io::Error::other("where they are"))?;
        let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
        Ok(Self { memory, slots: slots(start, &words) })
    }

    /// Writes arguments over the room, each with its NUL.
    fn fill(&self, args: &[u8]) -> io::Result<()> {
        let words: Vec<&[u8]> = args.split_inclusive(|byte| *byte == 0).collect();
        if words.len() != self.slots.len() {
            let (came, due) = (words.len(), self.slots.len());
            return Err(io::Error::other(format!("{came} came in place of {due}")));
        }
        for (word, (at, room)) in words.iter().zip(&self.slots) {
            if word.len() > *room {
                return Err(io::Error::other(format!("one of {} bytes", word.len())));
            }
            self.memory.write_all_at(word, *at)?;
        }
        Ok(())
    }
}

/// Where the arguments of a process begin, from its `stat`. Its name may hold anything, but is the last in brackets.
fn first_argument(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(ARG_START)?.parse().ok()
}

/// The program's own name is the first of the words, and is not room.
fn slots(start: u64, words: &[u8]) -> Vec<(u64, usize)> {
    let mut at = start;
    let all = words.split_inclusive(|byte| *byte == 0).map(|word| {
        let slot = (at, word.len());
        at += word.len() as u64;
        slot
    });
    all.skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_an_argument_is_the_argument_and_its_end() {
        assert_eq!(slots(100, b"name\0one\0three\0"), [(105, 4), (109, 6)]);
        assert_eq!(slots(100, b"name\0"), []);
    }

    #[test]
    fn the_arguments_of_this_process_are_where_its_stat_says() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let words = fs::read("/proc/self/cmdline").unwrap();
        let memory = File::open("/proc/self/mem").unwrap();
        let mut there = vec![0; words.len()];
        memory.read_exact_at(&mut there, first_argument(&stat).unwrap()).unwrap();
        assert_eq!(there, words);
    }

    #[test]
    fn a_name_may_hold_brackets_and_spaces() {
        let fields: Vec<String> = (3..60).map(|field| field.to_string()).collect();
        assert_eq!(first_argument(&format!("1 (a) b) {}", fields.join(" "))), Some(48));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let memory = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let room = Room { memory, slots: vec![(0, 4), (4, 6)] };
        assert!(room.fill(b"one\0three\0").is_ok());
        assert!(room.fill(b"one\0").is_err());
        assert!(room.fill(b"three\0one\0").is_err());
    }
}
