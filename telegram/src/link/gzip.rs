//! `gzip_packed` (core.telegram.org/mtproto/service_messages#packed-object).

use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use grammers_tl_types::{Cursor, Deserializable as _, Serializable as _};

/// Its constructor.
pub(super) const GZIP_PACKED: u32 = 0x3072_cfa1;
/// What is smaller is not worth the work.
const WORTH_IT: usize = 512;
/// No answer is larger than this, unpacked.
const LIMIT: u64 = 16 << 20;

/// The object inside, whose constructor was seen.
pub(super) fn unpack(object: &[u8]) -> io::Result<Vec<u8>> {
    let mut cursor = Cursor::from_slice(object.get(4..).unwrap_or_default());
    let packed = Vec::<u8>::deserialize(&mut cursor).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let mut out = Vec::new();
    GzDecoder::new(packed.as_slice()).take(LIMIT + 1).read_to_end(&mut out)?;
    if u64::try_from(out.len()).unwrap_or(u64::MAX) > LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(out)
}

/// Packs an object, if that makes it smaller.
pub(super) fn pack(object: &[u8]) -> Option<Vec<u8>> {
    if object.len() < WORTH_IT {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(object).ok()?;
    let mut out = GZIP_PACKED.to_bytes();
    encoder.finish().ok()?.serialize(&mut out);
    (out.len() < object.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_smaller_is_packed_and_comes_out_whole() {
        let object = b"tgtrunk ".repeat(100);
        let packed = pack(&object).unwrap();
        assert!(packed.len() < 100, "{}", packed.len());
        assert_eq!(unpack(&packed).unwrap(), object);
        assert_eq!(pack(&object[..504]), None, "small");
        let mut noise = vec![0; 600];
        getrandom::fill(&mut noise).unwrap();
        assert_eq!(pack(&noise), None, "no smaller");
    }

    #[test]
    fn what_is_broken_or_endless_is_an_error() {
        let packed = pack(&b"tgtrunk ".repeat(100)).unwrap();
        assert!(unpack(&packed[..8]).is_err());
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..17 {
            bomb.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let mut object = GZIP_PACKED.to_bytes();
        bomb.finish().unwrap().serialize(&mut object);
        assert_eq!(unpack(&object).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
