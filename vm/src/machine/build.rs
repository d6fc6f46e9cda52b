//! From what to boot to a machine's parts: the first file system, the memory, the command line.

use std::sync::Arc;
use std::time::Duration;

use hairpin_guest::wire::{MARKER, VERSION};
use hairpin_model::Error;

use super::{BootSpec, Profile};
use crate::accel::{self, Accel, Choice, Chosen};
use crate::initramfs::{self, GuestFile};
use crate::qemu::{self, Line, Memory};

/// Memory that is enough for a kernel, its modules and a program of a few megabytes.
const MEMORY_MIB: u32 = 128;
/// Files up to this size fit into that.
const FILES_MIB: u32 = 12;

/// Files that C libraries look for, when no user has brought his own.
const USUAL: [(&str, &[u8]); 4] = [
    ("/etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n"),
    ("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("/etc/group", b"root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n"),
];

/// A machine's parts, from which it can be booted any number of times.
pub(crate) struct Built {
    pub(crate) line: Arc<Line>,
    pub(crate) chosen: Chosen,
    /// Whether the accelerator was chosen by measuring, and may turn out to be a bad choice.
    pub(crate) measured: bool,
    pub(crate) deadline: Duration,
}

impl Built {
    pub(crate) fn new(spec: &BootSpec) -> Result<Self, Error> {
        let chosen = choose(spec);
        let archive = pack(spec);
        let line = Line {
            qemu: qemu::find(spec.qemu.as_deref())?,
            profile: spec.profile,
            accel: chosen.accel,
            memory_mib: spec.memory_mib.unwrap_or_else(|| memory_for(archive.len())),
            kernel: kernel(spec),
            takes_cycles: spec.image.version() >= (5, 11),
            stub: stub(spec)?,
            initramfs: Memory::holding("hairpin-initramfs", &archive)?,
            append: spec.append.clone(),
        };
        let measured = spec.accel == Choice::Measure;
        Ok(Self { line: Arc::new(line), chosen, measured, deadline: spec.deadline })
    }
}

/// Only the translator can count instructions.
fn choose(spec: &BootSpec) -> Chosen {
    match spec.profile {
        Profile::VirtualTime => {
            Chosen { accel: Accel::Tcg, why: "tcg (virtual time needs it)".into() }
        }
        _ => accel::choose(spec.accel),
    }
}

/// The kernel as its makers packed it where nothing may be short-cut, else what starts soonest.
fn kernel(spec: &BootSpec) -> std::path::PathBuf {
    let packed = spec.image.bzimage.as_deref().filter(|_| spec.profile.is_plain());
    packed.unwrap_or_else(|| spec.image.boot_file()).to_owned()
}

/// Only a kernel booted by PVH leaves a machine like the one that a stub makes.
fn stub(spec: &BootSpec) -> Result<Option<Memory>, Error> {
    let by_pvh = spec.image.pvh && Some(kernel(spec)) == spec.image.vmlinux;
    by_pvh.then(|| Memory::holding("hairpin-stub", &qemu::stub_kernel())).transpose()
}

fn pack(spec: &BootSpec) -> Vec<u8> {
    let version = VERSION.to_string();
    let file = |path, bytes, executable| GuestFile { path, bytes, executable };
    let mut files = vec![file(MARKER, version.as_bytes(), false)];
    let own = |path: &str| spec.files.iter().any(|file| file.path == path);
    files.extend(USUAL.iter().filter(|(path, _)| !own(path)).map(|(p, b)| file(p, b, false)));
    files.extend(spec.files.iter().map(|f| file(&f.path, &f.bytes, false)));
    let programs = spec.programs.iter().flat_map(crate::program::Program::files);
    for packed in spec.init.libraries.iter().chain(programs) {
        // Two programs share their C library.
        if files.iter().all(|file| file.path != packed.path) {
            files.push(file(&packed.path, &packed.bytes, true));
        }
    }
    initramfs::build(&spec.init.file.bytes, &files, &spec.modules)
}

/// While the kernel unpacks it the archive is there twice, and the files may take half of what it leaves free.
fn memory_for(archive: usize) -> u32 {
    let mib = u32::try_from(archive >> 20).unwrap_or(u32::MAX / 4);
    (MEMORY_MIB + mib.saturating_sub(FILES_MIB) * 3).next_multiple_of(16)
}

impl Line {
    /// The same machine on another accelerator.
    pub(crate) fn with_accel(&self, accel: Accel) -> Result<Self, Error> {
        Ok(Self {
            qemu: self.qemu.clone(),
            profile: self.profile,
            accel,
            memory_mib: self.memory_mib,
            kernel: self.kernel.clone(),
            takes_cycles: self.takes_cycles,
            stub: self.stub.as_ref().map(Memory::try_clone).transpose()?,
            initramfs: self.initramfs.try_clone()?,
            append: self.append.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_what_is_packed() {
        assert_eq!(memory_for(4 << 20), 128);
        assert_eq!(memory_for(12 << 20), 128);
        assert_eq!(memory_for(32 << 20), 192);
        assert_eq!(memory_for(112 << 20), 432);
    }
}
