//! The Debian package format: an `ar` archive of two packed `tar` archives. Read, never installed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use hairpin_model::Error;

use super::unpack;

/// The name and version in a package's control file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Visits every plain file of a package, by its path without the leading `./`.
pub(crate) fn read(
    deb: &Path,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<Control, Error> {
    with_data(deb, &mut |packed| files(packed, visit))
}

/// Unpacks all of a package's files into a folder, with their modes and symbolic links.
pub(crate) fn unpack_into(deb: &Path, folder: &Path) -> Result<Control, Error> {
    with_data(deb, &mut |packed| {
        let mut stream = unpack::stream(packed)?;
        tar::Archive::new(&mut stream).unpack(folder)?;
        io::copy(&mut stream, &mut io::sink()).map(drop)
    })
}

fn with_data(
    deb: &Path,
    data: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
) -> Result<Control, Error> {
    parts(deb, data).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::StorageFull => {
                "free some space in the cache folder, or set XDG_CACHE_HOME"
            }
            _ => "the file is cut short or damaged, or no Debian package: fetch it again",
        };
        Error::new(format!("the package cannot be read: {error}"), deb.display().to_string(), help)
    })
}

fn parts(deb: &Path, data: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>) -> io::Result<Control> {
    let mut archive = ar::Archive::new(BufReader::new(File::open(deb)?));
    let (mut control, mut has_data) = (None, false);
    while let Some(entry) = archive.next_entry() {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(entry.header().identifier()).into_owned();
        let (size, mut read) = (entry.header().size(), 0);
        let mut counted = Counted { inner: &mut entry, read: &mut read };
        if name.starts_with("control.tar") {
            control = Some(control_of(&mut counted)?);
        } else if name.starts_with("data.tar") {
            has_data = true;
            data(&mut counted)?;
        } else {
            continue;
        }
        // The tar archive may end before the packed stream does; a cut file shows in the rest.
        io::copy(&mut counted, &mut io::sink())?;
        if read != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends too early"));
        }
    }
    match (control, has_data) {
        (Some(control), true) => Ok(control),
        (None, _) => Err(io::Error::new(io::ErrorKind::InvalidData, "it has no control part")),
        (_, false) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has no data part")),
    }
}

/// Visits every plain file of a packed tar archive, by its path without the leading `./`.
pub(crate) fn files(
    packed: &mut dyn Read,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut stream = unpack::stream(packed)?;
    {
        let mut archive = tar::Archive::new(&mut stream);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.header().entry_type().is_file() {
                let path = entry.path()?.to_string_lossy().into_owned();
                visit(path.trim_start_matches("./"), &mut entry)?;
            }
        }
    }
    // Reading to the end makes the unpacker hold the stream against its check sum.
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

fn control_of(packed: &mut dyn Read) -> io::Result<Control> {
    let mut found = None;
    files(packed, &mut |path, file| {
        if path == "control" {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            found = Some(control_in(&text));
        }
        Ok(())
    })?;
    let control = found.filter(|control| !control.name.is_empty() && !control.version.is_empty());
    control.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it does not name itself"))
}

fn control_in(text: &str) -> Control {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    };
    Control { name: field("Package"), version: field("Version") }
}

struct Counted<'a> {
    inner: &'a mut dyn Read,
    read: &'a mut u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        *self.read += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{self, Compression};

    fn listing(deb: &Path) -> Result<(Control, Vec<(String, usize)>), Error> {
        let mut files = Vec::new();
        let control = read(deb, &mut |path, file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            files.push((path.to_owned(), bytes.len()));
            Ok(())
        })?;
        Ok((control, files))
    }

    #[rstest::rstest]
    #[case::plain(Compression::Plain)]
    #[case::gzip(Compression::Gzip)]
    #[case::xz(Compression::Xz)]
    #[case::zstd(Compression::Zstd)]
    fn a_package_is_read_in_every_packing(#[case] compression: Compression) {
        let dir = tempfile::tempdir().unwrap();
        let files = [("boot/config-1", b"abc".to_vec()), ("x/y.ko", vec![1; 70_000])];
        let deb = testing::deb(dir.path(), "linux-image-1", "1-1", &files, compression);
        let (control, files) = listing(&deb).unwrap();
        assert_eq!(control, Control { name: "linux-image-1".into(), version: "1-1".into() });
        assert_eq!(files, [("boot/config-1".to_owned(), 3), ("x/y.ko".to_owned(), 70_000)]);
    }

    /// Wherever a package is cut, it is an error, never a smaller package.
    #[rstest::rstest]
    #[case::plain(Compression::Plain)]
    #[case::xz(Compression::Xz)]
    #[case::zstd(Compression::Zstd)]
    fn a_cut_package_is_an_error(#[case] compression: Compression) {
        let dir = tempfile::tempdir().unwrap();
        let body: Vec<u8> = (0..9000_u32).flat_map(u32::to_le_bytes).collect();
        let deb = testing::deb(dir.path(), "p", "1", &[("boot/vmlinuz-1", body)], compression);
        let whole = std::fs::read(&deb).unwrap();
        for part in 0..20 {
            std::fs::write(&deb, &whole[..whole.len() * part / 20]).unwrap();
            let error = listing(&deb).expect_err(&format!("{part}/20 of the package"));
            assert!(error.what.starts_with("the package cannot be read: "), "{error}");
        }
    }

    #[test]
    fn a_flipped_byte_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let body: Vec<u8> = (0..9000_u32).flat_map(u32::to_le_bytes).collect();
        let files = [("boot/vmlinuz-1", body)];
        let deb = testing::deb(dir.path(), "p", "1", &files, Compression::Xz);
        let mut bytes = std::fs::read(&deb).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(&deb, bytes).unwrap();
        assert!(listing(&deb).is_err());
    }
}
