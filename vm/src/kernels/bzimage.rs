//! The kernel image itself: its release, its ELF inside the bzImage, whether it can boot by PVH.
//!
//! Layout after Documentation/arch/x86/boot.rst: a setup header at 0x1f1, then the packed ELF. Booting that ELF
//! directly saves the guest the time to unpack it.

use object::Endianness;
use object::elf::{FileHeader64, NoteType};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::unpack;

/// `XEN_ELFNOTE_PHYS32_ENTRY`: the address at which a PVH loader enters the kernel.
const PVH_ENTRY: NoteType = NoteType(18);
const SECTOR: usize = 512;

/// Whether the bytes are a bzImage.
pub(crate) fn is_bzimage(image: &[u8]) -> bool {
    image.get(0x202..0x206) == Some(b"HdrS")
}

/// Whether the bytes are an ELF file.
pub(crate) fn is_elf(image: &[u8]) -> bool {
    image.starts_with(b"\x7fELF")
}

/// The release that a bzImage names itself, as `uname -r` will print it.
pub(crate) fn release(image: &[u8]) -> Option<String> {
    let at = usize::from(u16_at(image, 0x20e)?) + 0x200;
    word(image.get(at..)?)
}

/// The release that an unpacked kernel names itself, found in its banner.
pub(crate) fn release_of_vmlinux(elf: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    let found = elf.windows(BANNER.len()).enumerate().filter(|(_, window)| *window == BANNER);
    // The first hit may be a format string (`Linux version %s`); the banner has a digit next.
    found
        .map(|(at, _)| &elf[at + BANNER.len()..])
        .find(|rest| rest.first().is_some_and(u8::is_ascii_digit))
        .and_then(word)
}

/// The ELF packed in a bzImage, or why it cannot be had.
pub(crate) fn vmlinux(image: &[u8]) -> Result<Vec<u8>, String> {
    let payload = payload(image).ok_or("its header names no payload")?;
    let elf = unpack::all(payload).map_err(|error| format!("its payload is damaged: {error}"))?;
    if is_elf(&elf) { Ok(elf) } else { Err("its payload is packed in a way not known here".into()) }
}

/// Whether an unpacked kernel has the note that a PVH loader looks for.
pub(crate) fn has_pvh_note(elf: &[u8]) -> bool {
    pvh_notes(elf).unwrap_or(false)
}

fn pvh_notes(elf: &[u8]) -> object::Result<bool> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, elf)? {
        let Some(mut notes) = segment.notes(endian, elf)? else { continue };
        while let Some(note) = notes.next()? {
            if note.name() == b"Xen" && note.n_type(endian) == PVH_ENTRY {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let protocol = u16_at(image, 0x206)?;
    if !is_bzimage(image) || protocol < 0x208 {
        return None;
    }
    let setup_sectors = match *image.get(0x1f1)? {
        0 => 4,
        other => usize::from(other),
    };
    let start = (setup_sectors + 1) * SECTOR + u32_at(image, 0x248)? as usize;
    image.get(start..start.checked_add(u32_at(image, 0x24c)? as usize)?)
}

fn word(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0 || byte.is_ascii_whitespace())?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
