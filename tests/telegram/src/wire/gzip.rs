//! `gzip_packed` (core.telegram.org/mtproto/service_messages, "Packed Object"). TDLib packs with zlib's frame, others with gzip's.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::GzEncoder;
use grammers_tl_types::{Cursor, Deserializable, Serializable};

const GZIP_PACKED: u32 = 0x3072_cfa1;
/// No request is larger than this, unpacked.
const LIMIT: u64 = 16 << 20;

/// The object inside `gzip_packed`, or the object itself if it is not packed.
///
/// # Errors
/// Broken or endless data.
pub(crate) fn unpack(object: &[u8]) -> io::Result<Vec<u8>> {
    let mut cursor = Cursor::from_slice(object);
    if u32::deserialize(&mut cursor) != Ok(GZIP_PACKED) {
        return Ok(object.to_vec());
    }
    let packed = Vec::<u8>::deserialize(&mut cursor).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    match packed.first() {
        Some(0x1f) => read_all(GzDecoder::new(&packed[..])),
        _ => read_all(ZlibDecoder::new(&packed[..])),
    }
}

/// Packs an object, if that makes it smaller.
pub(crate) fn pack(object: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(object).ok()?;
    let packed = encoder.finish().ok()?;
    // TL writes the length of bytes in 24 bits.
    if packed.len() + 8 >= object.len() || packed.len() >= 1 << 24 {
        return None;
    }
    let mut out = GZIP_PACKED.to_bytes();
    packed.serialize(&mut out);
    Some(out)
}

fn read_all(decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(LIMIT + 1).read_to_end(&mut out)?;
    if out.len() as u64 > LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    // python3: gzip.compress(b'tgtrunk ' * 8, mtime=0), zlib.compress(b'tgtrunk ' * 8)
    const GZIP: &str = "1f8b08000000000002032b492f292acdcb562821930600cbb0666d40000000";
    const ZLIB: &str = "789c2b492f292acdcb56282193060045451979";

    #[test]
    fn both_frames_unpack() {
        for packed in [GZIP, ZLIB] {
            let mut object = GZIP_PACKED.to_bytes();
            hex::decode(packed).unwrap().serialize(&mut object);
            assert_eq!(unpack(&object).unwrap(), b"tgtrunk ".repeat(8));
        }
    }

    #[test]
    fn what_is_not_packed_stays_as_it_is() {
        assert_eq!(unpack(b"\x01\x02\x03\x04rest").unwrap(), b"\x01\x02\x03\x04rest");
        assert_eq!(unpack(b"").unwrap(), b"");
    }

    #[test]
    fn packing_is_undone_by_unpacking_and_left_out_where_it_does_not_pay() {
        let object = vec![9; 5000];
        let packed = pack(&object).unwrap();
        assert!(packed.len() < 100);
        assert_eq!(unpack(&packed).unwrap(), object);
        assert_eq!(pack(&crate::wire::random::bytes::<600>()), None);
    }

    #[test]
    fn broken_data_and_bombs_are_refused() {
        let mut broken = GZIP_PACKED.to_bytes();
        vec![0x1f, 0x8b, 8, 0, 0].serialize(&mut broken);
        assert!(unpack(&broken).is_err());
        assert!(unpack(&GZIP_PACKED.to_bytes()).is_err());
        let bomb = pack(&vec![0; LIMIT as usize + 1]).unwrap();
        assert_eq!(unpack(&bomb).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
