//! The first file system of a guest, as the bytes of a `newc` archive.
//!
//! Written by hand (Documentation/driver-api/early-userspace/buffer-format.rst): a guest needs a dozen files
//! and four device nodes, unpacked, and the kernel reads nothing else so early.

use std::collections::BTreeSet;

use crate::kernels::ModuleFile;

/// The file in the guest that lists the modules to load, one path a line, in order.
pub const MODULE_LIST: &str = "/hairpin/modules";
/// The folder in the guest that holds the modules' files.
pub const MODULE_FOLDER: &str = "/hairpin/ko";

/// A file of the guest, beside `/init` and the modules.
#[derive(Clone, Copy, Debug)]
pub struct GuestFile<'a> {
    /// Its absolute path in the guest; folders above it are made.
    pub path: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether it is a program.
    pub executable: bool,
}

const FOLDERS: [&str; 8] =
    ["/dev", "/proc", "/sys", "/tmp", "/run", "/etc", "/hairpin", MODULE_FOLDER];
/// Character devices that exist before devtmpfs is mounted: (path, major, minor).
const NODES: [(&str, u32, u32); 4] =
    [("/dev/console", 5, 1), ("/dev/null", 1, 3), ("/dev/ttyS0", 4, 64), ("/dev/ttyS1", 4, 65)];

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const PLAIN: u32 = 0o100_644;
const CHARACTERS: u32 = 0o020_600;

/// Packs a guest: `init` as `/init`, `files` at their paths, `modules` and their list.
///
/// The same input gives the same bytes: no clock and no owner goes in.
pub fn build(init: &[u8], files: &[GuestFile<'_>], modules: &[ModuleFile]) -> Vec<u8> {
    let mut archive = Newc::default();
    for folder in FOLDERS {
        archive.folder(folder);
    }
    for (path, major, minor) in NODES {
        archive.entry(path, CHARACTERS, &[], (major, minor));
    }
    archive.file("/init", PROGRAM, init);
    let mut list = String::new();
    for module in modules {
        let path = format!("{MODULE_FOLDER}/{}.ko", module.name);
        archive.file(&path, PLAIN, &module.bytes);
        list.push_str(&path);
        list.push('\n');
    }
    archive.file(MODULE_LIST, PLAIN, list.as_bytes());
    for file in files {
        archive.file(file.path, if file.executable { PROGRAM } else { PLAIN }, file.bytes);
    }
    archive.finish()
}

#[derive(Default)]
struct Newc {
    out: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

impl Newc {
    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(path, mode, bytes, (0, 0));
    }

    fn folder(&mut self, path: &str) {
        if path.is_empty() || !self.folders.insert(path.to_owned()) {
            return;
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.entry(path, FOLDER, &[], (0, 0));
    }

    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8], device: (u32, u32)) {
        self.inode += 1;
        let name = path.trim_start_matches('/');
        let links = if mode == FOLDER { 2 } else { 1 };
        let size = u32::try_from(bytes.len()).expect("a guest's file is smaller than 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a path is short");
        let (major, minor) = device;
        // inode, mode, uid, gid, links, time, size, device of the file system, device, name, checksum
        let fields = [self.inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0];
        self.out.extend_from_slice(b"070701");
        for field in fields {
            self.out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        self.pad();
        self.out.extend_from_slice(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.out.resize(self.out.len().next_multiple_of(512), 0);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let module = |name: &str| ModuleFile { name: name.into(), bytes: vec![7; 5], from: None };
        let tool = GuestFile { path: "/usr/bin/tool", bytes: b"tool", executable: true };
        build(b"init!", &[tool], &[module("stp"), module("bridge")])
    }

    #[test]
    fn same_input_same_bytes() {
        assert_eq!(sample(), sample());
        assert_eq!(sample().len() % 512, 0);
    }

    /// A reader by somebody else is the judge of the format.
    #[test]
    fn another_reader_reads_it() {
        let (archive, mut listing) = (sample(), Vec::new());
        let mut rest = &archive[..];
        loop {
            let reader = cpio::NewcReader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            let (mode, size, name) = (entry.mode(), entry.file_size(), entry.name().to_owned());
            listing.push(format!("{mode:06o} {size} {name}"));
            rest = reader.finish().unwrap();
        }
        insta::assert_snapshot!(listing.join("\n"), @"
        040755 0 dev
        040755 0 proc
        040755 0 sys
        040755 0 tmp
        040755 0 run
        040755 0 etc
        040755 0 hairpin
        040755 0 hairpin/ko
        020600 0 dev/console
        020600 0 dev/null
        020600 0 dev/ttyS0
        020600 0 dev/ttyS1
        100755 5 init
        100644 5 hairpin/ko/stp.ko
        100644 5 hairpin/ko/bridge.ko
        100644 41 hairpin/modules
        040755 0 usr
        040755 0 usr/bin
        100755 4 usr/bin/tool
        ");
    }

    #[test]
    fn modules_are_listed_in_their_order() {
        let text = String::from_utf8_lossy(&sample()).into_owned();
        assert!(text.contains("/hairpin/ko/stp.ko\n/hairpin/ko/bridge.ko\n"));
    }
}
