//! Packets of another length out of packets: split where a peer wants them shorter, joined where it wants them longer.

use std::time::Duration;

use super::Shape;
use super::frames::{self, Frames, LONGEST_US};

/// Splits a packet into packets that sound `longest` at most, or one frame where a frame alone sounds longer.
///
/// Write each of them with [`Frames::write`]; [`Frames::shape`] tells how far the timestamp moves. `None` is a malformed
/// packet.
pub fn split(packet: &[u8], longest: Duration) -> Option<impl Iterator<Item = Frames<'_>>> {
    let mut frames = Frames::read(packet)?;
    let each = longest.as_micros() / u128::from(frames.shape().frame_us);
    let each = u8::try_from(each.max(1)).unwrap_or(u8::MAX);
    Some(std::iter::from_fn(move || frames.split_first(each)))
}

/// Appends one packet with the frames of all these to `out`, and tells its shape.
///
/// `None` when they cannot stand in one packet, and nothing is appended then: one is malformed, they differ in
/// configuration or channels, together they sound longer than 120 ms, or there is none.
pub fn join<'a>(packets: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) -> Option<Shape> {
    let first = Frames::read(packets.clone().next()?)?;
    let mut shape = Shape { frames: 0, ..first.shape() };
    for packet in packets.clone() {
        let frames = Frames::read(packet).filter(|frames| frames.is_like(&first))?;
        shape.frames = shape.frames.checked_add(frames.shape().frames)?;
        if u32::from(shape.frames) * shape.frame_us > LONGEST_US {
            return None;
        }
    }
    frames::write(first.toc(), packets.filter_map(Frames::read).flatten(), out);
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_packet_is_split_to_the_length_that_is_wanted() {
        let packet = [0x7b, 0x83, 1, 2, 10, 20, 21, 30];
        assert_eq!(pieces(&packet, MS * 20), [&[0x78, 10][..], &[0x78, 20, 21], &[0x78, 30]]);
        assert_eq!(pieces(&packet, MS * 40), [&[0x7a, 1, 10, 20, 21][..], &[0x78, 30]]);
        assert_eq!(pieces(&packet, MS * 59), pieces(&packet, MS * 40));
        assert_eq!(pieces(&packet, MS * 60), [packet]);
        assert_eq!(pieces(&packet, Duration::MAX), [packet]);
    }

    #[test]
    fn a_frame_that_is_too_long_by_itself_stays_whole() {
        let silk_60_ms = [3 << 3, 1, 2, 3];
        assert_eq!(pieces(&silk_60_ms, MS * 20), [silk_60_ms]);
        assert_eq!(pieces(&silk_60_ms, Duration::ZERO), [silk_60_ms]);
    }

    #[test]
    fn a_split_packet_joins_back() {
        let packet = [0x7b, 0x83, 1, 2, 10, 20, 21, 30];
        for longest in [MS * 20, MS * 40] {
            let pieces = pieces(&packet, longest);
            let mut joined = vec![9];
            let shape = join(pieces.iter().map(Vec::as_slice), &mut joined).unwrap();
            assert_eq!((shape, &joined[1..]), (Shape::read(&packet).unwrap(), &packet[..]));
        }
    }

    #[test]
    fn what_does_not_belong_together_is_not_joined() {
        let twenty: &[u8] = &[0x78, 1];
        let mut out = Vec::new();
        for others in [
            &[][..],
            &[twenty, &[0x7c, 1]],
            &[twenty, &[0x70, 1]],
            &[twenty, &[]],
            &[&[][..], twenty],
            &[twenty; 7],
        ] {
            assert_eq!(join(others.iter().copied(), &mut out), None, "{others:02x?}");
        }
        assert!(out.is_empty());
        assert_eq!(join([twenty; 6].into_iter(), &mut out).unwrap().duration(), MS * 120);
    }

    #[test]
    fn a_malformed_packet_is_not_split() {
        assert!(split(&[], MS).is_none());
        assert!(split(&[3, 0], MS).is_none());
    }

    fn pieces(packet: &[u8], longest: Duration) -> Vec<Vec<u8>> {
        let piece = |frames: Frames<'_>| {
            let mut written = Vec::new();
            frames.write(&mut written);
            written
        };
        split(packet, longest).unwrap().map(piece).collect()
    }
}
