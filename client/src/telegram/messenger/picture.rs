//! A link as a QR code in a PNG file (ISO/IEC 15948), one bit a pixel, without compression.

use qrcode::{Color, EcLevel, QrCode};

/// Pixels of a module's side.
const SCALE: usize = 8;
/// Modules of white around the code (ISO/IEC 18004 section 9.1).
const QUIET: usize = 4;

/// The picture; empty for a link that no code holds.
pub(super) fn of(link: &str) -> Vec<u8> {
    let Ok(code) = QrCode::with_error_correction_level(link.as_bytes(), EcLevel::M) else {
        return Vec::new();
    };
    let modules = code.width();
    let side = (modules + 2 * QUIET) * SCALE;
    let is_dark = |x: usize, y: usize| {
        let (x, y) = ((x / SCALE).checked_sub(QUIET), (y / SCALE).checked_sub(QUIET));
        matches!((x, y), (Some(x), Some(y)) if x < modules && y < modules && code[(x, y)] == Color::Dark)
    };
    let mut rows = Vec::with_capacity(side * (side / 8 + 2));
    for y in 0..side {
        // No filter.
        rows.push(0);
        for eight in 0..side.div_ceil(8) {
            let bits = (0..8).map(|bit| eight * 8 + bit).map(|x| u8::from(!is_dark(x, y)));
            rows.push(bits.fold(0, |byte, bit| byte << 1 | bit));
        }
    }
    let side = u32::try_from(side).unwrap_or(0).to_be_bytes();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // One bit of grey, no interlacing.
    chunk(&mut png, *b"IHDR", &[&side[..], &side[..], &[1, 0, 0, 0, 0]].concat());
    chunk(&mut png, *b"IDAT", &stored(&rows));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    png.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    let begin = png.len();
    png.extend(kind);
    png.extend(data);
    let sum = crc32(&png[begin..]);
    png.extend(sum.to_be_bytes());
}

/// A zlib stream whose blocks are stored as they are (RFC 1950, RFC 1951 section 3.2.4).
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend((b << 16 | a).to_be_bytes());
    out
}

/// ISO/IEC 15948 annex D.
fn crc32(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| {
                if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 }
            },
        )
    });
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standards() {
        // The check value of CRC-32, and RFC 1950's sum of a well-known word.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert!(stored(b"Wikipedia").ends_with(&0x11e6_0398_u32.to_be_bytes()));
    }

    #[test]
    fn a_link_becomes_a_square_picture() {
        let png = of("tg://login?token=AQIDBAUGBwg");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"));
        assert_eq!(png[16..20], png[20..24]);
        assert!(png.ends_with(&[0xae, 0x42, 0x60, 0x82]));
    }
}
