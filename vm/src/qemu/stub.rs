//! The smallest file that QEMU takes for a kernel to be booted by PVH.
//!
//! A woken guest has its kernel in its memory and never boots, but QEMU builds the machine by what it is given to
//! boot. A real kernel of 60 MB would be read, copied and held for nothing, in each guest.

/// Where it says that it is to be loaded: memory that every guest has. Nothing is, in a guest that is woken.
const PLACE: u64 = 0x100_0000;
const HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;
const NOTE_AT: u64 = 64 + 2 * 56;
const SIZE: usize = 4096;

const EXECUTABLE: u16 = 2;
const X86_64: u16 = 62;
const LOAD: u32 = 1;
const NOTE: u32 = 4;
/// `XEN_ELFNOTE_PHYS32_ENTRY` (Documentation/arch/x86/boot.rst calls it the PVH entry point).
const PVH_ENTRY: u32 = 18;

/// The file's bytes.
pub(crate) fn kernel() -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend(halves(&[EXECUTABLE, X86_64]));
    out.extend(1_u32.to_le_bytes());
    out.extend(longs(&[PLACE, u64::from(HEADER), 0]));
    out.extend(0_u32.to_le_bytes());
    out.extend(halves(&[HEADER, PROGRAM_HEADER, 2, 64, 0, 0]));
    segment(&mut out, LOAD, 0, SIZE as u64);
    let note = note();
    segment(&mut out, NOTE, NOTE_AT, note.len() as u64);
    out.extend(note);
    out.resize(SIZE, 0);
    out
}

fn note() -> Vec<u8> {
    let mut out = Vec::new();
    for word in [4, 8, PVH_ENTRY] {
        out.extend(word.to_le_bytes());
    }
    out.extend(b"Xen\0");
    out.extend(PLACE.to_le_bytes());
    out
}

fn segment(out: &mut Vec<u8>, kind: u32, at: u64, size: u64) {
    out.extend(kind.to_le_bytes());
    out.extend(5_u32.to_le_bytes());
    out.extend(longs(&[at, PLACE + at, PLACE + at, size, size, 4]));
}

fn halves(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn longs(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use object::read::elf::{ElfFile64, ProgramHeader as _};

    use super::*;

    #[test]
    fn it_is_an_elf_file_with_the_note_that_qemu_looks_for() {
        let bytes = kernel();
        let file = ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
        let endian = file.endian();
        let headers = file.elf_program_headers();
        let mut notes = headers.iter().find_map(|h| h.notes(endian, &*bytes).unwrap()).unwrap();
        let note = notes.next().unwrap().unwrap();
        assert_eq!((note.name(), note.n_type(endian).0), (&b"Xen"[..], PVH_ENTRY));
        assert_eq!(note.desc(), PLACE.to_le_bytes());
    }
}
