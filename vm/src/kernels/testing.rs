//! Kernels made up for tests: packages, images and modules as small as their formats allow.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

/// How the parts of a made-up package are packed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

pub(crate) fn xz(plain: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn pack(plain: Vec<u8>, compression: Compression) -> (&'static str, Vec<u8>) {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    match compression {
        Compression::Plain => ("", plain),
        Compression::Gzip => (".gz", gzip(&plain)),
        Compression::Xz => (".xz", xz(&plain)),
        Compression::Zstd => (".zst", compress_to_vec(&plain[..], CompressionLevel::Fastest)),
    }
}

fn tarball(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("./{path}"), &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Writes a package with these files into a folder.
pub(crate) fn deb(
    folder: &Path,
    name: &str,
    version: &str,
    files: &[(&str, Vec<u8>)],
    compression: Compression,
) -> PathBuf {
    let path = folder.join(format!("{name}_{version}_amd64.deb"));
    let control = format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n");
    let (end, control) = pack(tarball(&[("control", control.into_bytes())]), compression);
    let (_, data) = pack(tarball(files), compression);
    let mut archive = ar::Builder::new(std::fs::File::create(&path).unwrap());
    for (member, bytes) in [
        ("debian-binary".to_owned(), b"2.0\n".to_vec()),
        (format!("control.tar{end}"), control),
        (format!("data.tar{end}"), data),
    ] {
        let header = ar::Header::new(member.into_bytes(), bytes.len() as u64);
        archive.append(&header, &bytes[..]).unwrap();
    }
    path
}

/// A bzImage that names itself `release`, around an ELF file with or without the PVH note.
pub(crate) fn bzimage(release: &str, pvh: bool) -> Vec<u8> {
    let payload = gzip(&vmlinux(pvh));
    let mut image = vec![0; 1024 + 512];
    image[0x1f1] = 1;
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    let name = format!("{release} (made up)\0");
    image[0x300..0x300 + name.len()].copy_from_slice(name.as_bytes());
    image[0x248..0x24c].copy_from_slice(&512_u32.to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    image.extend(payload);
    image
}

/// An ELF file with one segment of notes.
pub(crate) fn vmlinux(pvh: bool) -> Vec<u8> {
    let kind: u32 = if pvh { 18 } else { 17 };
    let mut note = Vec::new();
    for word in [4_u32, 8, kind] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"Xen\0");
    note.extend([0; 8]);
    let mut elf = elf_header(1, 0, 0);
    let offset = 64 + 56_u64;
    let size = note.len() as u64;
    elf.extend(4_u32.to_le_bytes());
    elf.extend(4_u32.to_le_bytes());
    for word in [offset, 0, 0, size, size, 4] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(note);
    elf
}

/// A kernel module: an ELF file with nothing but `.modinfo`.
pub(crate) fn module(modinfo: &[&str]) -> Vec<u8> {
    let mut info: Vec<u8> = modinfo.iter().flat_map(|entry| entry.bytes().chain([0])).collect();
    info.resize(info.len().next_multiple_of(8), 0);
    let names = b"\0.modinfo\0.shstrtab\0\0\0\0\0";
    let sections = 64 + (info.len() + names.len()) as u64;
    let mut elf = elf_header(0, 3, sections);
    elf.extend(&info);
    elf.extend(names);
    elf.extend([0; 64]);
    for (name, kind, offset, size) in
        [(1_u32, 1_u32, 64, info.len()), (10, 3, 64 + info.len(), names.len())]
    {
        elf.extend(name.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        for word in [0, 0, offset as u64, size as u64, 0, 1, 0] {
            let word: u64 = word;
            elf.extend(word.to_le_bytes());
        }
    }
    // link and info are one 8-byte field above, so a section header is 8 + 7 * 8 bytes.
    elf
}

fn elf_header(segments: u16, sections: u16, section_offset: u64) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    for half in [1_u16, 62] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    for word in [0, if segments > 0 { 64 } else { 0 }, section_offset] {
        let word: u64 = word;
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64, 56, segments, 64, sections, sections.saturating_sub(1)] {
        let half: u16 = half;
        elf.extend(half.to_le_bytes());
    }
    elf
}
