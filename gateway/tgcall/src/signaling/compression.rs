//! Compression of signaling documents: written as gzip in the later versions, recognised by its
//! first bytes in all of them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read;

use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Longest inflated document, in bytes.
pub(crate) const MAX_INFLATED_BYTES: usize = 2 * 1024 * 1024;

/// Deflate, no flags, no time, as small as it gets, no system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];

/// What a document may grow by when it is compressed, at first.
const ROOM_BYTES: usize = 64;

thread_local! {
    /// Its tables hold 300 kB: to have them made costs more than to compress a document.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::best(), false));
}

/// Why a compressed document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// The compressed bytes are damaged.
    #[error("signaling document of {bytes} bytes does not inflate: {source}")]
    Damaged {
        /// Its length, compressed.
        bytes: usize,
        /// What the decoder says.
        source: std::io::Error,
    },
    /// It inflates to more than is allowed.
    #[error("signaling document of {0} bytes inflates to more than 2 MiB")]
    TooLong(usize),
}

/// Inflates what begins as gzip or zlib, and passes anything else through.
pub(crate) fn inflate(document: &[u8]) -> Result<Cow<'_, [u8]>, InflateError> {
    match document {
        [0x1f, 0x8b, ..] => read_all(document, GzDecoder::new(document)),
        [0x78, 0x9c, ..] => read_all(document, ZlibDecoder::new(document)),
        _ => Ok(Cow::Borrowed(document)),
    }
}

/// Compresses with a gzip header (RFC 1952), as small as it gets.
pub(crate) fn gzip(document: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(GZIP_HEADER.len() + document.len() + ROOM_BYTES);
    packed.extend_from_slice(&GZIP_HEADER);
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        loop {
            let rest = usize::try_from(compressor.total_in()).ok().and_then(|taken| document.get(taken..));
            let status =
                compressor.compress_vec(rest.unwrap_or_default(), &mut packed, FlushCompress::Finish);
            if status.expect("a stream that was begun goes on") == Status::StreamEnd {
                break;
            }
            packed.reserve(ROOM_BYTES);
        }
    });
    let mut crc = Crc::new();
    crc.update(document);
    packed.extend_from_slice(&crc.sum().to_le_bytes());
    packed.extend_from_slice(&crc.amount().to_le_bytes());
    packed
}

fn read_all<'a>(document: &[u8], decoder: impl Read) -> Result<Cow<'a, [u8]>, InflateError> {
    let mut inflated = Vec::new();
    decoder
        .take(MAX_INFLATED_BYTES as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|source| InflateError::Damaged { bytes: document.len(), source })?;
    if inflated.len() > MAX_INFLATED_BYTES {
        return Err(InflateError::TooLong(document.len()));
    }
    Ok(Cow::Owned(inflated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_gzip_inflates_to_its_document() {
        let published = "1f8b0800000000000203ab567228a92c4855b252724ecc4bc94c492c49\
            2d56d2514a4670aca2636b01c3e098a726000000";
        let compressed = hex::decode(published).unwrap();
        let document = inflate(&compressed).unwrap();
        assert_eq!(document.as_ref(), br#"{"@type":"Candidates","candidates":[]}"#);
    }

    #[test]
    fn what_is_compressed_here_has_a_gzip_header_and_inflates_again() {
        for document in [&b"some document"[..], b"", &[b'x'; 5_000], b"some document"] {
            let compressed = gzip(document);
            assert_eq!(compressed[..2], [0x1f, 0x8b]);
            assert_eq!(inflate(&compressed).unwrap().as_ref(), document);
        }
        assert_eq!(gzip(b"some document"), gzip(b"some document"), "nothing is kept of the one before");
        let mut random = 1_u32;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        };
        let noise: Vec<u8> = (0..1_000_000).map(|_| next()).collect();
        assert_eq!(inflate(&gzip(&noise)).unwrap().as_ref(), noise, "what does not get smaller finds room");
    }

    #[test]
    fn zlib_is_recognised_and_plain_text_passes() {
        // Made by Python's zlib.compress(b"hello").
        let zlib = hex::decode("789ccb48cdc9c90700062c0215").unwrap();
        assert_eq!(inflate(&zlib).unwrap().as_ref(), b"hello");
        assert_eq!(inflate(b"{}").unwrap().as_ref(), b"{}");
        assert_eq!(inflate(b"").unwrap().as_ref(), b"");
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let mut compressed = gzip(&[b'x'; 100]);
        compressed.truncate(15);
        assert!(matches!(inflate(&compressed), Err(InflateError::Damaged { bytes: 15, .. })));
        assert!(inflate(&[0x78, 0x9c, 1, 2, 3]).is_err());
    }

    #[test]
    fn nothing_inflates_beyond_two_mebibytes() {
        let exactly = gzip(&vec![0; MAX_INFLATED_BYTES]);
        assert_eq!(inflate(&exactly).unwrap().len(), MAX_INFLATED_BYTES);
        let beyond = gzip(&vec![0; MAX_INFLATED_BYTES + 1]);
        assert!(matches!(inflate(&beyond), Err(InflateError::TooLong(_))));
    }

    #[test]
    fn no_more_is_inflated_than_can_be_allowed() {
        struct Bomb(usize);
        impl Read for Bomb {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0 += buffer.len();
                assert!(self.0 <= 2 * MAX_INFLATED_BYTES, "still reading");
                Ok(buffer.len())
            }
        }
        assert!(matches!(read_all(&[], Bomb(0)), Err(InflateError::TooLong(0))));
    }
}
