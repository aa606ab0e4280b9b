//! A stream of Opus packets as Ogg pages, each written when it holds a second of sound: what ends without a goodbye lacks
//! no more than that.

use super::page::{FIRST, LAST, MOST_SEGMENTS, Page};

/// Samples at 48 kHz that a decoder drops in the beginning (RFC 7845 section 4.2): what libopus looks ahead.
pub(super) const PRE_SKIP: u16 = 312;
/// Sound of a page, in samples at 48 kHz.
const PAGE_SAMPLES: u64 = 48_000;

/// Writes one mono stream.
#[derive(Debug)]
pub struct Writer {
    serial: u32,
    sequence: u32,
    /// Samples of all packets so far.
    samples: u64,
    /// Those of pages that are written.
    written: u64,
    segments: Vec<u8>,
    body: Vec<u8>,
}

impl Writer {
    /// Begins a stream: its two header pages are appended to `out`. `serial` tells streams of one file apart; `comments`
    /// are `NAME=value` (RFC 7845 section 5.2).
    pub fn begin(serial: u32, comments: &[(&str, &str)], out: &mut Vec<u8>) -> Self {
        let mut writer = Self {
            serial,
            sequence: 0,
            samples: 0,
            written: 0,
            segments: Vec::with_capacity(MOST_SEGMENTS),
            body: Vec::new(),
        };
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend_from_slice(&PRE_SKIP.to_le_bytes());
        head.extend_from_slice(&48_000_u32.to_le_bytes());
        // No gain, and the mapping of one or two channels.
        head.extend_from_slice(&[0, 0, 0]);
        writer.put(&head);
        writer.write(FIRST, out);
        let mut tags = b"OpusTags".to_vec();
        let mut text = |text: &str| {
            tags.extend_from_slice(&(text.len() as u32).to_le_bytes());
            tags.extend_from_slice(text.as_bytes());
        };
        text("tgtrunk");
        let count = comments.len() as u32;
        tags.extend_from_slice(&count.to_le_bytes());
        for (name, value) in comments {
            let comment = format!("{name}={value}");
            tags.extend_from_slice(&(comment.len() as u32).to_le_bytes());
            tags.extend_from_slice(comment.as_bytes());
        }
        writer.put(&tags);
        writer.write(0, out);
        writer
    }

    /// Takes the next packet, which sounds for so many samples at 48 kHz; pages that are full are appended to `out`.
    pub fn push(&mut self, packet: &[u8], samples: u32, out: &mut Vec<u8>) {
        if self.segments.len() + packet.len() / 255 + 1 > MOST_SEGMENTS {
            self.write(0, out);
        }
        self.put(packet);
        self.samples += u64::from(samples);
        if self.samples - self.written >= PAGE_SAMPLES {
            self.write(0, out);
        }
    }

    /// Appends what waits for its page to be full.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.segments.is_empty() {
            self.write(0, out);
        }
    }

    /// Ends the stream.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.write(LAST, out);
    }

    /// How much sound was pushed, in samples at 48 kHz.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    fn put(&mut self, packet: &[u8]) {
        self.segments.extend(std::iter::repeat_n(255, packet.len() / 255));
        self.segments.push((packet.len() % 255) as u8);
        self.body.extend_from_slice(packet);
    }

    fn write(&mut self, flags: u8, out: &mut Vec<u8>) {
        let page = Page {
            flags,
            granule: self.samples,
            serial: self.serial,
            sequence: self.sequence,
            segments: &self.segments,
            body: &self.body,
        };
        page.write(out);
        self.sequence = self.sequence.wrapping_add(1);
        self.written = self.samples;
        self.segments.clear();
        self.body.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets;
    use super::*;

    const SILENT: [u8; 3] = [31 << 3, 0xff, 0xfe];

    #[test]
    fn packets_read_back_in_order_whatever_their_length() {
        let mut out = Vec::new();
        let mut writer = Writer::begin(7, &[("TITLE", "Анна")], &mut out);
        let lengths = [3, 254, 255, 256, 510, 1275, 1];
        // One frame of 20 ms each (RFC 6716 section 3.1), whatever is in it.
        let packet = |at: usize| {
            let mut packet = vec![at as u8; lengths[at % lengths.len()]];
            packet[0] = SILENT[0];
            packet
        };
        let sent: Vec<Vec<u8>> = (0..700).map(packet).collect();
        for packet in &sent {
            writer.push(packet, 960, &mut out);
        }
        writer.end(&mut out);
        let found: Vec<Vec<u8>> = packets(&out).map(|packet| packet.payload).collect();
        assert!(found == sent, "{} packets of {}", found.len(), sent.len());
        assert!(out.windows(10).any(|bytes| bytes == "TITLE=Анн".as_bytes().get(..10).unwrap()));
    }

    #[test]
    fn a_second_of_sound_is_a_page_and_what_is_cut_off_is_all_that_is_lost() {
        let mut out = Vec::new();
        let mut writer = Writer::begin(7, &[], &mut out);
        let mut written = out.len();
        for at in 1..=120 {
            writer.push(&SILENT, 960, &mut out);
            assert_eq!(out.len() > written, at % 50 == 0, "packet {at}");
            written = out.len();
        }
        assert_eq!(packets(&out).count(), 100);
        assert_eq!(packets(&out[..out.len() - 1]).count(), 50);
        writer.flush(&mut out);
        writer.flush(&mut out);
        assert_eq!(packets(&out).last().unwrap().at, 119 * 960);
        writer.end(&mut out);
        assert_eq!((packets(&out).count(), writer.samples()), (120, 120 * 960));
    }
}
