//! One door to every compression that a kernel package, module or image may use.
//!
//! The kind is told by the first bytes, never by the file's name.

use std::io::{self, Cursor, Read};

/// The most that a zstd frame may ask for: `zstd --ultra -22`, as the kernel's build uses, asks for 128 MiB.
const ZSTD_WINDOW: u64 = 256 << 20;
/// The size of one block of the kernel's own LZ4 format, unpacked.
const LZ4_BLOCK: usize = 8 << 20;

/// How some bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Xz,
    Zstd,
    Lz4Legacy,
}

impl Packing {
    /// Tells the packing from the first bytes.
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4Legacy,
            _ => Self::Plain,
        }
    }
}

/// Unpacks a stream as it is read. Bytes after the end of the packed stream are ignored.
pub(crate) fn stream<'a>(mut packed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    packed.by_ref().take(6).read_to_end(&mut head)?;
    let kind = Packing::of(&head);
    let whole = Cursor::new(head).chain(packed);
    Ok(match kind {
        Packing::Plain => Box::new(whole),
        Packing::Gzip => Box::new(flate2::read::GzDecoder::new(whole)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(io::BufReader::new(whole), false)),
        Packing::Zstd => Box::new(
            ruzstd::decoding::StreamingDecoder::new_with_max_window_size(whole, ZSTD_WINDOW)
                .map_err(invalid)?,
        ),
        Packing::Lz4Legacy => {
            let mut bytes = Vec::new();
            { whole }.read_to_end(&mut bytes)?;
            Box::new(Cursor::new(lz4_legacy(&bytes)?))
        }
    })
}

/// Whether the bytes are packed in a way known here.
pub(crate) fn is_packed(bytes: &[u8]) -> bool {
    Packing::of(bytes) != Packing::Plain
}

/// Unpacks bytes that are at hand as a whole.
pub(crate) fn all(packed: &[u8]) -> io::Result<Vec<u8>> {
    match Packing::of(packed) {
        Packing::Plain => Ok(packed.to_vec()),
        Packing::Lz4Legacy => lz4_legacy(packed),
        _ => {
            let mut out = Vec::new();
            stream(packed)?.read_to_end(&mut out)?;
            Ok(out)
        }
    }
}

/// The LZ4 format of kernel images: a magic number, then blocks, each behind its packed size. An image ends with
/// four bytes more, the unpacked size of it all.
fn lz4_legacy(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut rest = packed.get(4..).unwrap_or_default();
    let mut out = Vec::new();
    let mut block = vec![0; LZ4_BLOCK];
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = u32::from_le_bytes(*size) as usize;
        if after.is_empty() && size == out.len() {
            break;
        }
        let data = after.get(..size).ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = lz4_flex::block::decompress_into(data, &mut block).map_err(invalid)?;
        out.extend_from_slice(&block[..length]);
        rest = &after[size..];
    }
    Ok(out)
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lz4_image(plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0x02, 0x21, 0x4c, 0x18];
        for block in plain.chunks(LZ4_BLOCK) {
            let packed = lz4_flex::block::compress(block);
            out.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
            out.extend(packed);
        }
        out.extend(u32::try_from(plain.len()).unwrap().to_le_bytes());
        out
    }

    #[test]
    fn kernel_lz4_with_its_size_at_the_end() {
        let plain: Vec<u8> = (0..LZ4_BLOCK + 5000).map(|i| (i / 7) as u8).collect();
        assert_eq!(all(&lz4_image(&plain)).unwrap(), plain);
    }

    #[test]
    fn cut_lz4_is_an_error() {
        let image = lz4_image(&[7; 9000]);
        assert!(all(&image[..image.len() - 10]).is_err());
    }

    #[test]
    fn xz_gzip_zstd_and_plain_by_their_first_bytes() {
        use std::io::Write as _;
        let plain = b"plain words, plain words, plain words".repeat(50);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(
            &plain[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let xz = crate::kernels::testing::xz(&plain);
        for packed in [gzip.finish().unwrap(), zstd, xz, plain.clone()] {
            assert_eq!(all(&packed).unwrap(), plain);
        }
    }
}
