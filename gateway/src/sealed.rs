//! A stream of bytes that only a passphrase opens, and that cannot be changed or cut short unseen.
//!
//! ```text
//! "tgtrunk sealed 1\n"               17 bytes: what it is, and the version of this shape
//! memory_kib, passes, lanes          of Argon2id (RFC 9106, version 0x13), 4 bytes each, the highest first
//! salt                               16 bytes
//! chunk, chunk, …                    65,536 bytes sealed by AES-256-GCM (NIST SP 800-38D) and its tag of 16; the last one
//!                                    is shorter, and may be empty but for its tag
//! ```
//!
//! The key is the 32 bytes that Argon2id makes of passphrase and salt. The nonce of chunk `n`, from 0, is one byte that
//! is 1 for the last chunk and 0 for others, three zeros, and `n` in 8 bytes, the highest first. The bytes before the
//! first chunk are authenticated with each chunk.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

const MAGIC: &[u8; 17] = b"tgtrunk sealed 1\n";
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = MAGIC.len() + 12 + SALT_BYTES;
const CHUNK_BYTES: usize = 65_536;
const TAG_BYTES: usize = 16;
/// What a guess costs: 64 MiB, three times over.
const COST: Cost = Cost { memory_kib: 65_536, passes: 3, lanes: 1 };
/// More than this no file of ours asks for: one that does is not let take all memory.
const DEAREST: Cost = Cost { memory_kib: 1_048_576, passes: 16, lanes: 16 };

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why a stream was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as such a stream does.
    #[error("this is no backup of tgtrunk, or one of a later version")]
    Foreign,
    /// Another passphrase, or other bytes than were sealed.
    #[error("the passphrase is another one, or the file is damaged")]
    Closed,
    /// The cryptography refused to work.
    #[error("the backup cannot be sealed")]
    Broken,
}

/// Takes plain bytes and writes sealed ones. [`Sealer::finish`] must be called, or the stream is cut short.
pub(crate) struct Sealer<W> {
    out: W,
    chunks: Chunks,
    plain: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Begins a stream. The salt must come from the system's randomness.
    pub(crate) fn begin(out: W, passphrase: &str, salt: [u8; SALT_BYTES]) -> Result<Self, SealError> {
        Self::begin_at(COST, out, passphrase, salt)
    }

    fn begin_at(cost: Cost, mut out: W, passphrase: &str, salt: [u8; SALT_BYTES]) -> Result<Self, SealError> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        for number in [cost.memory_kib, cost.passes, cost.lanes] {
            header.extend_from_slice(&number.to_be_bytes());
        }
        header.extend_from_slice(&salt);
        out.write_all(&header)?;
        let chunks = Chunks::new(cost, passphrase, header)?;
        Ok(Self { out, chunks, plain: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES) })
    }

    /// Seals what is left and says that it is the end.
    pub(crate) fn finish(mut self) -> Result<W, SealError> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self, is_last: bool) -> Result<(), SealError> {
        let nonce = self.chunks.nonce(is_last);
        let Chunks { key, header, .. } = &self.chunks;
        key.seal_in_place_append_tag(nonce, Aad::from(header), &mut self.plain)
            .map_err(|_| SealError::Broken)?;
        self.out.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits: only what comes after it shows that it is not the last.
        if self.plain.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.seal(false).map_err(io::Error::other)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads sealed bytes and gives plain ones. What it gives is authentic, but only the end shows that it is all.
pub(crate) struct Opener<R> {
    input: R,
    chunks: Chunks,
    /// Read and not opened yet: one chunk and what shows whether it is the last.
    ahead: Vec<u8>,
    plain: Vec<u8>,
    given: usize,
    over: bool,
}

impl<R: Read> Opener<R> {
    /// Begins to read a stream.
    pub(crate) fn begin(mut input: R, passphrase: &str) -> Result<Self, SealError> {
        let mut header = vec![0; HEADER_BYTES];
        input.read_exact(&mut header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SealError::Foreign,
            _ => SealError::Io(error),
        })?;
        let numbers = header.strip_prefix(MAGIC.as_slice()).ok_or(SealError::Foreign)?;
        let number = |at: usize| {
            let bytes = numbers.get(4 * at..4 * at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_be_bytes).ok_or(SealError::Foreign)
        };
        let cost = Cost { memory_kib: number(0)?, passes: number(1)?, lanes: number(2)? };
        if cost.memory_kib > DEAREST.memory_kib || cost.passes > DEAREST.passes || cost.lanes > DEAREST.lanes
        {
            return Err(SealError::Foreign);
        }
        let chunks = Chunks::new(cost, passphrase, header)?;
        Ok(Self { input, chunks, ahead: Vec::new(), plain: Vec::new(), given: 0, over: false })
    }

    fn open(&mut self) -> Result<(), SealError> {
        const WHOLE: usize = CHUNK_BYTES + TAG_BYTES;
        let missing = (WHOLE + 1 - self.ahead.len()) as u64;
        (&mut self.input).take(missing).read_to_end(&mut self.ahead)?;
        let is_last = self.ahead.len() <= WHOLE;
        let rest = self.ahead.split_off(self.ahead.len().min(WHOLE));
        let nonce = self.chunks.nonce(is_last);
        let Chunks { key, header, .. } = &self.chunks;
        let opened = key
            .open_in_place(nonce, Aad::from(header), &mut self.ahead)
            .map_err(|_| SealError::Closed)?
            .len();
        self.ahead.truncate(opened);
        self.plain = std::mem::replace(&mut self.ahead, rest);
        (self.given, self.over) = (0, is_last);
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() && !self.over {
            self.open().map_err(|error| match error {
                SealError::Io(error) => error,
                error => io::Error::new(io::ErrorKind::InvalidData, error),
            })?;
        }
        let left = &self.plain[self.given..];
        let taken = left.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&left[..taken]);
        self.given += taken;
        Ok(taken)
    }
}

/// The key, and the place in the row.
struct Chunks {
    key: LessSafeKey,
    header: Vec<u8>,
    next: u64,
}

impl Chunks {
    fn new(cost: Cost, passphrase: &str, header: Vec<u8>) -> Result<Self, SealError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
        let argon2 =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| SealError::Foreign)?);
        let mut key = Zeroizing::new([0; 32]);
        let salt = &header[HEADER_BYTES - SALT_BYTES..];
        argon2
            .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
            .map_err(|_| SealError::Broken)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SealError::Broken)?;
        Ok(Self { key: LessSafeKey::new(key), header, next: 0 })
    }

    fn nonce(&mut self, is_last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[0] = u8::from(is_last);
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    #[test]
    fn what_was_sealed_opens_with_its_passphrase_whatever_its_length() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let sealed = seal(&plain);
            assert_eq!(open(&sealed, "secret").unwrap(), plain, "{length} bytes");
            assert_eq!(open(&sealed, "Secret").unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_stream_that_was_changed_cut_or_shuffled_does_not_open() {
        let sealed = seal(&vec![7; 2 * CHUNK_BYTES + 10]);
        let chunk = CHUNK_BYTES + TAG_BYTES;
        for at in [20, 30, HEADER_BYTES, HEADER_BYTES + chunk + 5, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, "secret").is_err(), "byte {at}");
        }
        for length in [HEADER_BYTES, HEADER_BYTES + chunk, HEADER_BYTES + 2 * chunk, sealed.len() - 1] {
            assert!(open(&sealed[..length], "secret").is_err(), "{length} bytes");
        }
        let mut shuffled = sealed.clone();
        let (one, other) = shuffled[HEADER_BYTES..].split_at_mut(chunk);
        one.swap_with_slice(&mut other[..chunk]);
        assert!(open(&shuffled, "secret").is_err() || sealed == shuffled);
        let longer = [sealed.as_slice(), b"x"].concat();
        assert!(open(&longer, "secret").is_err());
    }

    #[test]
    fn what_is_no_such_stream_is_told_before_any_work() {
        assert!(matches!(Opener::begin(&b"PK"[..], "x"), Err(SealError::Foreign)));
        assert!(matches!(Opener::begin(&[0; 100][..], "x"), Err(SealError::Foreign)));
        let mut dear = seal(b"x");
        dear[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(Opener::begin(dear.as_slice(), "secret"), Err(SealError::Foreign)));
    }

    #[test]
    fn the_shape_is_what_version_1_promises() {
        let sealed = seal(b"tgtrunk");
        assert_eq!(&sealed[..17], b"tgtrunk sealed 1\n");
        assert_eq!(&sealed[17..29], [0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(&sealed[29..45], [9; 16]);
        assert_eq!(sealed.len(), 45 + 7 + 16);
    }

    fn seal(plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::begin_at(CHEAP, Vec::new(), "secret", [9; SALT_BYTES]).unwrap();
        sealer.write_all(plain).unwrap();
        sealer.finish().unwrap()
    }

    fn open(sealed: &[u8], passphrase: &str) -> io::Result<Vec<u8>> {
        let mut opener = Opener::begin(sealed, passphrase).map_err(io::Error::other)?;
        let mut plain = Vec::new();
        opener.read_to_end(&mut plain)?;
        Ok(plain)
    }
}
