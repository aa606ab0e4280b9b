//! The small picture that comes along with a message (core.telegram.org/api/files#stripped-thumbnails).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tgtrunk_telegram::tl;

/// Largest one that is told, in bytes.
const MOST_BYTES: usize = 32 * 1024;
/// What Telegram leaves out of a stripped picture: all of a JPEG (ITU-T T.81) before its first scan's bytes, without the
/// picture's height and width.
const HEADER: &str = concat!(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6",
    "/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCAAAAAAD",
    "ASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB",
    "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZ",
    "mqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQF",
    "BgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5",
    "OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX",
    "2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwA=",
);
/// Where in it height and width belong, one byte each.
const HEIGHT_AT: usize = 164;
const WIDTH_AT: usize = 166;
/// The marker that ends a JPEG.
const END: [u8; 2] = [0xff, 0xd9];

/// A small picture that came along whole, a JPEG in base64 (RFC 4648 section 4).
pub(super) fn of(sizes: &[tl::enums::PhotoSize]) -> Option<String> {
    let whole = sizes.iter().find_map(|size| match size {
        tl::enums::PhotoSize::PhotoCachedSize(size) if size.bytes.len() <= MOST_BYTES => {
            Some(size.bytes.clone())
        }
        _ => None,
    });
    let stripped = || {
        sizes.iter().find_map(|size| match size {
            tl::enums::PhotoSize::PhotoStrippedSize(size) => unstripped(&size.bytes),
            _ => None,
        })
    };
    whole.or_else(stripped).map(|bytes| STANDARD.encode(bytes))
}

/// A stripped picture: 1, height, width, and the scan.
fn unstripped(stripped: &[u8]) -> Option<Vec<u8>> {
    let [1, height, width, scan @ ..] = stripped else { return None };
    let mut jpeg = STANDARD.decode(HEADER).ok()?;
    *jpeg.get_mut(HEIGHT_AT)? = *height;
    *jpeg.get_mut(WIDTH_AT)? = *width;
    jpeg.extend_from_slice(scan);
    jpeg.extend_from_slice(&END);
    (jpeg.len() <= MOST_BYTES).then_some(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_picture_becomes_a_jpeg_of_its_size() {
        let jpeg = unstripped(&[1, 20, 40, 1, 2, 3]).unwrap();
        // As Telethon 1.45.0 (utils.stripped_photo_to_jpg) makes it.
        assert_eq!(jpeg.len(), 628);
        assert_eq!(jpeg[160..170], [0x00, 0x11, 0x08, 0x00, 20, 0x00, 40, 0x03, 0x01, 0x22]);
        assert_eq!(
            (&jpeg[..4], &jpeg[622..]),
            (&[0xff, 0xd8, 0xff, 0xe0][..], &[0, 1, 2, 3, 0xff, 0xd9][..])
        );
        for other in [&[][..], &[1, 20], &[2, 20, 40, 1]] {
            assert_eq!(unstripped(other), None);
        }
        assert_eq!(unstripped(&[1; MOST_BYTES]), None);
    }

    #[test]
    fn a_picture_that_came_along_whole_is_taken_before_a_stripped_one() {
        let stripped = tl::types::PhotoStrippedSize { r#type: "i".to_owned(), bytes: vec![1, 2, 3, 4] };
        let cached =
            tl::types::PhotoCachedSize { r#type: "s".to_owned(), w: 1, h: 1, bytes: b"jpeg".to_vec() };
        assert_eq!(of(&[stripped.clone().into(), cached.into()]), Some(STANDARD.encode("jpeg")));
        assert!(of(&[stripped.into()]).unwrap().starts_with("/9j/"));
        assert_eq!(of(&[]), None);
    }
}
