//! Compression of signaling documents: written as gzip in the later versions, recognised by its
//! first bytes in all of them.

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::GzEncoder;

/// Longest inflated document, in bytes.
pub(crate) const MAX_INFLATED_BYTES: usize = 2 * 1024 * 1024;

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
        [0x1f, 0x8b, ..] => read_all(document, MultiGzDecoder::new(document)),
        [0x78, 0x9c, ..] => read_all(document, ZlibDecoder::new(document)),
        _ => Ok(Cow::Borrowed(document)),
    }
}

/// Compresses with a gzip header, as small as it gets.
pub(crate) fn gzip(document: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(document).and_then(|()| encoder.finish()).expect("writing into memory does not fail")
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
