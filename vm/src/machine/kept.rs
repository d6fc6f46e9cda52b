//! Frozen guests on disk: a later run wakes what an earlier one has booted.
//!
//! A guest is found again by all that made it (kernel, first file system, command line, QEMU, the program that waits
//! in it), never by a name alone. What is read is checked, and copied into memory that nobody can change. Nothing
//! depends on it: what cannot be read is booted, and what cannot be written is booted again next time.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crc32fast::Hasher;
use hairpin_guest::wire::{Ready, VERSION};
use nix::unistd::{Whence, lseek};
use serde::{Deserialize, Serialize};

use super::Job;
use crate::accel::Accel;
use crate::kernels::cache::{Cache, sha256};
use crate::qemu::{Due, Line, Memory};

/// How many are kept. Each takes as much room as its guest has used of its memory, some 100 MB.
const AT_MOST: usize = 24;
/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;
/// A card is a few kilobytes, its console at most some hundred.
const LONGEST_CARD: u64 = 4 << 20;

/// Where frozen guests are kept.
#[derive(Clone, Debug)]
pub struct Shelf {
    cache: Cache,
}

/// What is written of a frozen guest before its memory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    /// What it said of itself.
    pub(crate) ready: Ready,
    pub(crate) due: Due,
    /// What its kernel said.
    pub(crate) console: String,
    /// What the reader of a report should know.
    pub(crate) notes: Vec<String>,
    /// Bytes of the machine's state, and of its memory.
    state: u64,
    ram: u64,
    /// Where there is anything in its memory: offsets and lengths.
    pieces: Vec<(u64, u64)>,
}

/// A frozen guest that was found.
pub(crate) struct Kept {
    pub(crate) card: Card,
    pub(crate) state: Memory,
    pub(crate) ram: Memory,
}

/// By what a guest is found again; none if it is not to be kept: a machine with hardware help is another one on
/// another processor, and boots in no time.
pub(crate) fn key(line: &Line, beforehand: Option<&Job>) -> Option<String> {
    if line.accel != Accel::Tcg || line.profile.is_plain() {
        return None;
    }
    let file = |path: &Path| {
        let path = path.canonicalize().ok()?;
        let data = fs::metadata(&path).ok()?;
        Some((path, data.len(), data.mtime(), data.mtime_nsec()))
    };
    let program = beforehand.map(|job| (&job.program, job.args.len(), &job.env));
    let made_of = format!(
        "{VERSION} {} {:?} {:?} {:?} {} {} {} {program:?}",
        env!("CARGO_PKG_VERSION"),
        file(&line.qemu)?,
        file(&line.kernel)?,
        line.profile,
        line.memory_mib,
        line.kernel_line(),
        sha256(&line.initramfs.bytes().ok()?),
    );
    Some(sha256(made_of.as_bytes()))
}

impl Shelf {
    pub(crate) fn new(cache: Cache) -> Self {
        Self { cache }
    }

    fn folder(&self) -> PathBuf {
        self.cache.root().join("frozen")
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder().join(format!("{key}.guest"))
    }

    /// Finds a guest. One that is damaged is thrown away.
    pub(crate) fn find(&self, key: &str) -> Option<Kept> {
        let path = self.file(key);
        let file = File::open(&path).ok()?;
        match read(&file) {
            Ok(kept) => {
                // The longest unused go first.
                file.set_modified(SystemTime::now()).ok();
                Some(kept)
            }
            Err(_) => {
                self.forget(key);
                None
            }
        }
    }

    /// Throws a guest away, if there is one.
    pub(crate) fn forget(&self, key: &str) {
        fs::remove_file(self.file(key)).ok();
    }

    /// Keeps a guest, and no more than there is room for.
    pub(crate) fn put(
        &self,
        key: &str,
        mut card: Card,
        (state, ram): (&Memory, &Memory),
    ) -> io::Result<()> {
        fs::create_dir_all(self.folder())?;
        let scratch = self.cache.scratch().map_err(io::Error::other)?;
        let path = scratch.path().join("guest");
        card.measure(state, ram)?;
        write(&File::create_new(&path)?, &card, (state, ram))?;
        fs::rename(&path, self.file(key))?;
        self.make_room()
    }

    fn make_room(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.folder())? {
            let entry = entry?;
            kept.push((entry.metadata()?.modified()?, entry.path()));
        }
        kept.sort();
        for (_, path) in kept.iter().rev().skip(AT_MOST) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl Card {
    /// A guest's, before its memory is looked at.
    pub(crate) fn new(ready: Ready, due: Due, console: String, notes: Vec<String>) -> Self {
        Self { ready, due, console, notes, state: 0, ram: 0, pieces: Vec::new() }
    }

    fn measure(&mut self, state: &Memory, ram: &Memory) -> io::Result<()> {
        self.state = state.reopened()?.metadata()?.len();
        let file = ram.reopened()?;
        self.ram = file.metadata()?.len();
        let mut at = 0;
        // An error means that there is nothing behind.
        while let Ok(start) = lseek(&file, at, Whence::SeekData) {
            let end = lseek(&file, start, Whence::SeekHole)?;
            let offset = |at: i64| u64::try_from(at).map_err(io::Error::other);
            self.pieces.push((offset(start)?, offset(end - start)?));
            at = end;
        }
        Ok(())
    }
}

/// The card's length and the card, the state, the memory, and the check sum of it all.
fn write(file: &File, card: &Card, (state, ram): (&Memory, &Memory)) -> io::Result<()> {
    let mut out = Checked { inner: BufWriter::with_capacity(PIECE, file), sum: Hasher::new() };
    let text = serde_json::to_vec(card)?;
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    io::copy(&mut state.reopened()?, &mut out)?;
    let memory = ram.reopened()?;
    let mut piece = vec![0; PIECE];
    for (offset, length) in &card.pieces {
        for (at, count) in steps(*offset, *length) {
            memory.read_exact_at(&mut piece[..count], at)?;
            out.write_all(&piece[..count])?;
        }
    }
    let sum = out.sum.clone().finalize();
    out.inner.write_all(&sum.to_le_bytes())?;
    out.inner.flush()
}

fn read(file: &File) -> io::Result<Kept> {
    let room = file.metadata()?.len();
    let mut from = Checked { inner: BufReader::with_capacity(PIECE, file), sum: Hasher::new() };
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let damaged = || io::Error::other("the frozen guest is damaged");
    if length > LONGEST_CARD {
        return Err(damaged());
    }
    let mut text = Vec::new();
    (&mut from).take(length).read_to_end(&mut text)?;
    let card: Card = serde_json::from_slice(&text)?;
    let of_memory: u64 = card.pieces.iter().map(|(_, length)| *length).sum();
    if 8 + length + card.state + of_memory + 4 != room {
        return Err(damaged());
    }
    let memory = |name, bytes| Memory::sized(name, bytes).map_err(io::Error::other);
    let (state, ram) = (memory("hairpin-state", 0)?, memory("hairpin-ram", card.ram)?);
    io::copy(&mut (&mut from).take(card.state), &mut state.duplicate()?)?;
    let file = ram.duplicate()?;
    let mut piece = vec![0; PIECE];
    for (offset, length) in &card.pieces {
        for (at, count) in steps(*offset, *length) {
            from.read_exact(&mut piece[..count])?;
            file.write_all_at(&piece[..count], at)?;
        }
    }
    let sum = from.sum.clone().finalize();
    let mut told = [0; 4];
    from.inner.read_exact(&mut told)?;
    if sum != u32::from_le_bytes(told) {
        return Err(damaged());
    }
    ram.seal()?;
    Ok(Kept { card, state, ram })
}

/// A piece in steps of what is copied at once.
fn steps(offset: u64, length: u64) -> impl Iterator<Item = (u64, usize)> {
    (0..length).step_by(PIECE).map(move |at| {
        let count = (length - at).min(PIECE as u64);
        (offset + at, usize::try_from(count).unwrap_or(PIECE))
    })
}

/// Sums up what passes.
struct Checked<T> {
    inner: T,
    sum: Hasher,
}

impl<T: Write> Write for Checked<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Checked<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(Cache::open(Some(folder.path())).unwrap());
        (folder, shelf)
    }

    fn memories() -> (Memory, Memory) {
        let ram = Memory::sized("test", 8 << 20).unwrap();
        let file = ram.duplicate().unwrap();
        file.write_all_at(&[7; 5000], 4096).unwrap();
        file.write_all_at(b"end", (8 << 20) - 3).unwrap();
        (Memory::holding("test", b"the state").unwrap(), ram)
    }

    fn card() -> Card {
        Card::new(Ready::default(), Due::default(), "its words".into(), vec!["a note".into()])
    }

    #[test]
    fn a_guest_comes_back_as_it_was_put() {
        let (_folder, shelf) = shelf();
        let (state, ram) = memories();
        shelf.put("key", card(), (&state, &ram)).unwrap();
        let kept = shelf.find("key").unwrap();
        assert_eq!(
            (kept.card.console.as_str(), kept.card.notes),
            ("its words", vec!["a note".into()])
        );
        assert_eq!(kept.state.bytes().unwrap(), b"the state");
        assert!(kept.ram.bytes().unwrap() == ram.bytes().unwrap());
        // The file holds what was written, not all that it stands for.
        let size = fs::metadata(shelf.file("key")).unwrap().len();
        assert!(size < 1 << 20, "{size}");
        assert!(shelf.find("another").is_none());
    }

    #[test]
    fn a_damaged_guest_is_thrown_away() {
        let (_folder, shelf) = shelf();
        let (state, ram) = memories();
        for damage in [0, 100, 3000] {
            shelf.put("key", card(), (&state, &ram)).unwrap();
            let path = shelf.file("key");
            let mut bytes = fs::read(&path).unwrap();
            bytes[damage] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(shelf.find("key").is_none(), "{damage}");
            assert!(!path.exists());
        }
        shelf.put("key", card(), (&state, &ram)).unwrap();
        File::options().write(true).open(shelf.file("key")).unwrap().set_len(2000).unwrap();
        assert!(shelf.find("key").is_none());
    }

    #[test]
    fn the_longest_unused_go_first() {
        let (_folder, shelf) = shelf();
        let (state, ram) = memories();
        for number in 0..AT_MOST + 2 {
            shelf.put(&number.to_string(), card(), (&state, &ram)).unwrap();
            let file = File::open(shelf.file(&number.to_string())).unwrap();
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            file.set_modified(at).unwrap();
        }
        shelf.put("last", card(), (&state, &ram)).unwrap();
        let there = |key: &str| shelf.file(key).exists();
        assert!(!there("0") && !there("2") && there("3") && there("last"));
    }
}
