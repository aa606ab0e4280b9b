//! Ogg pages (RFC 3533 section 6).

/// Bytes of a page before its segment table.
const HEADER_BYTES: usize = 27;
/// Most entries of a segment table.
pub(super) const MOST_SEGMENTS: usize = 255;
/// Where the checksum stands.
const CRC_AT: std::ops::Range<usize> = 22..26;

/// The page's first packet goes on from the page before.
pub(super) const CONTINUED: u8 = 1;
/// First page of the stream.
pub(super) const FIRST: u8 = 2;
/// Last page of the stream.
pub(super) const LAST: u8 = 4;

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) flags: u8,
    /// Samples at 48 kHz when the last packet that ends in this page has sounded (RFC 7845 section 4).
    pub(super) granule: u64,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// The lacing values: a packet ends with the first that is not 255.
    pub(super) segments: &'a [u8],
    pub(super) body: &'a [u8],
}

impl<'a> Page<'a> {
    /// Appends the page to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(b"OggS\0");
        out.push(self.flags);
        out.extend_from_slice(&self.granule.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let segments = &self.segments[..self.segments.len().min(MOST_SEGMENTS)];
        out.push(segments.len() as u8);
        out.extend_from_slice(segments);
        out.extend_from_slice(self.body);
        let crc = crc(&out[begin..]).to_le_bytes();
        out[begin..][CRC_AT].copy_from_slice(&crc);
    }

    /// Reads the page that `bytes` begin with, and what follows it. `None`: there is no whole and sound page.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let header = bytes.get(..HEADER_BYTES).filter(|header| header.starts_with(b"OggS\0"))?;
        let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let count = usize::from(header[26]);
        let segments = bytes.get(HEADER_BYTES..HEADER_BYTES + count)?;
        let length: usize = segments.iter().map(|length| usize::from(*length)).sum();
        let end = HEADER_BYTES + count + length;
        let (page, rest) = bytes.split_at_checked(end)?;
        let whole = [&page[..CRC_AT.start], &[0; 4], &page[CRC_AT.end..]];
        if whole.iter().fold(0, |crc, part| crc_on(crc, part)) != word(CRC_AT.start)? {
            return None;
        }
        let granule = header[6..14].try_into().ok().map(u64::from_le_bytes)?;
        let body = &page[HEADER_BYTES + count..];
        let (flags, serial, sequence) = (header[5], word(14)?, word(18)?);
        Some((Self { flags, granule, serial, sequence, segments, body }, rest))
    }
}

/// The checksum of RFC 3533 section 6: polynomial 0x04c11db7, from zero, nothing reflected or inverted.
fn crc(bytes: &[u8]) -> u32 {
    crc_on(0, bytes)
}

fn crc_on(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = (at as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first page that ffmpeg 5.1 wrote for `ffmpeg -f lavfi -i sine -c:a libopus -ac 1 x.ogg`.
    const GOLDEN: &[u8] = include_bytes!("../../testdata/ffmpeg-head.ogg");

    #[test]
    fn a_page_of_another_program_is_read_and_written_back_byte_for_byte() {
        let (page, rest) = Page::read(GOLDEN).unwrap();
        assert!(rest.is_empty());
        assert_eq!((page.flags, page.granule, page.sequence), (FIRST, 0, 0));
        assert!(page.body.starts_with(b"OpusHead\x01\x01"));
        let mut written = Vec::new();
        page.write(&mut written);
        assert_eq!(written, GOLDEN);
    }

    #[test]
    fn a_page_that_is_cut_or_changed_is_none() {
        for length in 0..GOLDEN.len() {
            assert_eq!(Page::read(&GOLDEN[..length]), None);
        }
        for at in 0..GOLDEN.len() {
            let mut changed = GOLDEN.to_vec();
            changed[at] ^= 1;
            assert_eq!(Page::read(&changed), None, "byte {at}");
        }
    }
}
