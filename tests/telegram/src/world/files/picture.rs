//! What kind of file some bytes are, and how large a picture.

use grammers_tl_types as tl;

/// The kind that `upload.file` names.
pub(super) fn storage(bytes: &[u8]) -> tl::enums::storage::FileType {
    match bytes {
        [0xff, 0xd8, ..] => tl::enums::storage::FileType::FileJpeg,
        [0x89, b'P', b'N', b'G', ..] => tl::enums::storage::FileType::FilePng,
        [b'%', b'P', b'D', b'F', ..] => tl::enums::storage::FileType::FilePdf,
        _ => tl::enums::storage::FileType::FileUnknown,
    }
}

/// Width and height of a PNG (its IHDR) or a JPEG (its frame header, ITU-T T.81 B.2.2).
pub(super) fn dimensions(bytes: &[u8]) -> Option<(i32, i32)> {
    let sixteen = |at: usize| Some(i32::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((sixteen(18)?, sixteen(22)?)).filter(|(w, h)| *w > 0 && *h > 0);
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    loop {
        let (0xff, marker) = (*bytes.get(at)?, *bytes.get(at + 1)?) else { return None };
        let frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if frame {
            return Some((sixteen(at + 7)?, sixteen(at + 5)?)).filter(|(w, h)| *w > 0 && *h > 0);
        }
        at = at.checked_add(2)?.checked_add(usize::try_from(sixteen(at + 2)?).ok()?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_photo_is_read_from_its_header() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0, 0, 1, 0x40, 0, 0, 0, 0xf0]);
        assert_eq!(dimensions(&png), Some((320, 240)));
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1, 0, 0, 0];
        assert_eq!(dimensions(&jpeg), Some((64, 48)));
        assert_eq!(dimensions(b"GIF89a"), None);
        assert_eq!(dimensions(&jpeg[..9]), None);
    }
}
