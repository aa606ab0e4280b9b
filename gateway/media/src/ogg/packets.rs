//! The packets of an Ogg stream of Opus, as far as its pages are whole.

use super::page::{CONTINUED, Page};
use crate::opus::Shape;

/// Pages of headers, each with one packet of its own (RFC 7845 section 3).
const HEADERS: usize = 2;
/// The longest packet that is put together.
const LONGEST_BYTES: usize = 61_440;

/// One packet and when it sounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Since the beginning, in samples at 48 kHz.
    pub at: u64,
    /// How long, the same.
    pub samples: u32,
    /// The packet; malformed ones are left out.
    pub payload: Vec<u8>,
}

/// Reads a file's packets up to its end, or to the first page that is not whole.
pub fn packets(file: &[u8]) -> impl Iterator<Item = Packet> {
    let mut rest = file;
    let pages = std::iter::from_fn(move || {
        let (page, after) = Page::read(rest)?;
        rest = after;
        Some(page)
    });
    let mut at = 0;
    let mut packet: Vec<u8> = Vec::new();
    pages.skip(HEADERS).flat_map(move |page| {
        let mut found = Vec::new();
        let mut body = page.body;
        if page.flags & CONTINUED == 0 {
            packet.clear();
        }
        for length in page.segments {
            let (part, after) = body.split_at(usize::from(*length).min(body.len()));
            body = after;
            if packet.len() <= LONGEST_BYTES {
                packet.extend_from_slice(part);
            }
            if *length == 255 {
                continue;
            }
            let payload = std::mem::take(&mut packet);
            if let Some(shape) = Shape::read(&payload) {
                found.push(Packet { at, samples: shape.ticks(), payload });
                at += u64::from(shape.ticks());
            }
        }
        found
    })
}
