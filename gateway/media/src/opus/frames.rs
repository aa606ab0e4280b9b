//! The frames of an Opus packet, taken out and put into other packets without decoding (RFC 6716 section 3.2).

use super::shape::{Shape, frame_us};

/// The longest sound one packet may hold, in microseconds (RFC 6716 section 3.2.5, requirement R5).
pub(super) const LONGEST_US: u32 = 120_000;
/// The largest frame in bytes (requirement R2).
const LARGEST_FRAME_BYTES: usize = 1275;

/// A row of frames of one packet; it yields them in their order.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    toc: u8,
    left: u8,
    lengths: Lengths<'a>,
    /// The frames one after the other and nothing else.
    bytes: &'a [u8],
}

/// How long the frames of a packet are.
#[derive(Debug, Clone)]
enum Lengths<'a> {
    Equal(usize),
    /// The length bytes of all frames but the last, which has the rest.
    Stated(&'a [u8]),
}

impl<'a> Frames<'a> {
    /// Reads a packet's framing and checks it whole (RFC 6716 section 3.4, requirements R1 to R7).
    ///
    /// `None` is a malformed packet, which a decoder would refuse.
    pub fn read(packet: &'a [u8]) -> Option<Self> {
        let (&toc, rest) = packet.split_first()?;
        let frames = match toc & 0b11 {
            0 => Self { toc, left: 1, lengths: Lengths::Equal(rest.len()), bytes: rest },
            1 if rest.len().is_multiple_of(2) => {
                Self { toc, left: 2, lengths: Lengths::Equal(rest.len() / 2), bytes: rest }
            }
            1 => return None,
            2 => Self::stated(toc, 2, rest, 0)?,
            _ => Self::many(toc, rest)?,
        };
        frames.clone().all(|frame| frame.len() <= LARGEST_FRAME_BYTES).then_some(frames)
    }

    /// What a packet of these frames says about itself.
    pub fn shape(&self) -> Shape {
        Shape { frames: self.left, frame_us: frame_us(self.toc >> 3), stereo: self.toc & 0b100 != 0 }
    }

    /// Takes the first `count` frames away; fewer where fewer are left, `None` where none are or none are asked for.
    pub fn split_first(&mut self, count: u8) -> Option<Self> {
        let mut first = self.clone();
        let taken = self.by_ref().take(count.into());
        let (frames, bytes) = taken.fold((0, 0), |(frames, bytes), frame| (frames + 1, bytes + frame.len()));
        first.left = frames;
        first.bytes = &first.bytes[..bytes];
        (frames > 0).then_some(first)
    }

    /// Appends a packet of these frames to `out`, without padding.
    pub fn write(&self, out: &mut Vec<u8>) {
        write(self.toc, self.clone(), out);
    }

    /// Whether frames of both may stand in one packet: the same configuration and channels.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.toc >> 2 == other.toc >> 2
    }

    pub(super) fn toc(&self) -> u8 {
        self.toc
    }

    /// Code 3 (RFC 6716 section 3.2.5): a count byte, padding, and frames of equal or of stated lengths.
    fn many(toc: u8, rest: &'a [u8]) -> Option<Self> {
        let (&count, mut rest) = rest.split_first()?;
        let (own_lengths, padded, left) = (count & 0x80 != 0, count & 0x40 != 0, count & 0x3f);
        if left == 0 || u32::from(left) * frame_us(toc >> 3) > LONGEST_US {
            return None;
        }

        let mut padding = 0_usize;
        if padded {
            loop {
                let (&length, after) = rest.split_first()?;
                rest = after;
                if length < 255 {
                    padding += usize::from(length);
                    break;
                }
                padding += 254;
            }
        }

        if own_lengths {
            return Self::stated(toc, left, rest, padding);
        }
        let bytes = &rest[..rest.len().checked_sub(padding)?];
        let each = bytes.len() / usize::from(left);
        (each * usize::from(left) == bytes.len()).then_some(Self {
            toc,
            left,
            lengths: Lengths::Equal(each),
            bytes,
        })
    }

    /// `left` frames, each but the last with its length before all frames, then `padding` bytes.
    fn stated(toc: u8, left: u8, rest: &'a [u8], padding: usize) -> Option<Self> {
        let (mut after, mut stated) = (rest, 0_usize);
        for _ in 1..left {
            let length;
            (length, after) = frame_length(after)?;
            stated += length;
        }
        let bytes = &after[..after.len().checked_sub(padding)?];
        let lengths = Lengths::Stated(&rest[..rest.len() - after.len()]);
        (stated <= bytes.len()).then_some(Self { toc, left, lengths, bytes })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let length = match &mut self.lengths {
            Lengths::Equal(length) => *length,
            Lengths::Stated(_) if self.left == 0 => self.bytes.len(),
            Lengths::Stated(bytes) => {
                let (length, rest) = frame_length(bytes)?;
                *bytes = rest;
                length
            }
        };
        let (frame, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.into(), Some(self.left.into()))
    }
}

impl ExactSizeIterator for Frames<'_> {}

/// Appends a packet of these frames, which are of the configuration in `toc` and no longer than a packet may be.
pub(super) fn write<'a>(toc: u8, frames: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) {
    let count = frames.clone().count();
    let first = frames.clone().next().map_or(0, <[u8]>::len);
    let equal = frames.clone().all(|frame| frame.len() == first);
    let toc = toc & !0b11;
    match (count, equal) {
        (1, _) => out.push(toc),
        (2, true) => out.push(toc | 1),
        (2, false) => out.push(toc | 2),
        (_, true) => out.extend([toc | 3, count as u8 & 0x3f]),
        (_, false) => out.extend([toc | 3, 0x80 | count as u8 & 0x3f]),
    }
    if !equal {
        for frame in frames.clone().take(count - 1) {
            write_length(frame.len(), out);
        }
    }
    for frame in frames {
        out.extend_from_slice(frame);
    }
}

/// A frame length of one or two bytes, and what follows it (RFC 6716 section 3.2.1).
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((usize::from(first), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((usize::from(second) * 4 + usize::from(first), rest))
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    if length < 252 {
        out.push(length as u8);
    } else {
        let first = 252 + (length & 3);
        out.extend([first as u8, ((length - first) / 4) as u8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_yields_its_frames() {
        let of = |packet: &'static [u8]| Frames::read(packet).unwrap().collect::<Vec<_>>();
        assert_eq!(of(&[0x78, 1, 2, 3]), [&[1, 2, 3][..]]);
        assert_eq!(of(&[0x79, 1, 2, 3, 4]), [[1, 2], [3, 4]]);
        assert_eq!(of(&[0x7a, 1, 9, 2, 3]), [&[9][..], &[2, 3]]);
        assert_eq!(of(&[0x7b, 3, 1, 2, 3]), [[1], [2], [3]]);
        assert_eq!(of(&[0x7b, 0x83, 1, 2, 1, 2, 3, 4]), [&[1][..], &[2, 3], &[4]]);
        assert_eq!(of(&[0x7b, 0xc3, 2, 1, 0, 1, 4, 0, 0]), [&[1][..], &[], &[4]], "padding is none of them");
    }

    #[test]
    fn a_60_ms_telegram_packet_falls_into_three_of_20_ms() {
        // Code 3, CELT full band 20 ms (configuration 31), mono, lengths of their own.
        let packet = [31 << 3 | 3, 0x83, 2, 3, 0xa1, 0xa2, 0xb1, 0xb2, 0xb3, 0xc1];
        let mut frames = Frames::read(&packet).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = frames.split_first(1) {
            assert_eq!(piece.shape(), Shape { frames: 1, frame_us: 20_000, stereo: false });
            let mut written = Vec::new();
            piece.write(&mut written);
            pieces.push(written);
        }
        let expected: [&[u8]; 3] = [&[31 << 3, 0xa1, 0xa2], &[31 << 3, 0xb1, 0xb2, 0xb3], &[31 << 3, 0xc1]];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_piece_may_hold_several_frames_and_the_last_one_fewer() {
        let packet = [0x7b, 0x85, 1, 2, 3, 4, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5];
        let mut frames = Frames::read(&packet).unwrap();
        let lengths: Vec<Vec<usize>> = std::iter::from_fn(|| frames.split_first(2))
            .map(|piece| piece.map(<[u8]>::len).collect())
            .collect();
        assert_eq!(lengths, [vec![1, 2], vec![3, 4], vec![1]]);
        assert!(Frames::read(&packet).unwrap().split_first(0).is_none());
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_frames() {
        for lengths in [
            &[0][..],
            &[1],
            &[1275],
            &[5, 5],
            &[0, 0],
            &[5, 6],
            &[251, 252],
            &[252, 251],
            &[255, 256],
            &[1275, 3],
            &[9, 9, 9],
            &[9, 0, 9],
            &[300, 252, 253],
            &[7, 7, 7, 7, 7, 8],
        ] {
            let bodies: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(at, &length)| vec![at as u8; length]).collect();
            let mut packet = Vec::new();
            write(0x7c, bodies.iter().map(Vec::as_slice), &mut packet);
            let frames = Frames::read(&packet).unwrap();
            assert_eq!(frames.shape(), Shape { frames: lengths.len() as u8, frame_us: 20_000, stereo: true });
            assert_eq!(frames.len(), lengths.len());
            assert_eq!(frames.collect::<Vec<_>>(), bodies);
        }
    }

    #[test]
    fn a_decoder_takes_what_was_written_for_the_same_sound() {
        use audiopus::coder::{Decoder, Encoder};
        use audiopus::{Application, Channels, SampleRate};
        let encoder = Encoder::new(SampleRate::Hz48000, Channels::Mono, Application::Audio).unwrap();
        let decoder = || Decoder::new(SampleRate::Hz48000, Channels::Mono).unwrap();
        let (mut whole, mut pieces) = (decoder(), decoder());
        let hear = |decoder: &mut Decoder, packet: &[u8]| {
            let mut pcm = vec![0_i16; 5760];
            let samples = decoder
                .decode(Some(packet.try_into().unwrap()), pcm.as_mut_slice().try_into().unwrap(), false)
                .unwrap();
            pcm.truncate(samples);
            pcm
        };
        for round in 0..5 {
            // 60 ms in CELT mode is a packet of three frames.
            let sound: Vec<i16> = (0..2880)
                .map(|at| (9000.0 * ((round * 2880 + at) as f32 * (0.02 + at as f32 * 1e-5)).sin()) as i16)
                .collect();
            let mut packet = [0; 1500];
            let length = encoder.encode(&sound, &mut packet).unwrap();
            let mut frames = Frames::read(&packet[..length]).unwrap();
            assert_eq!(frames.len(), 3);
            let expected = hear(&mut whole, &packet[..length]);
            let mut heard = Vec::new();
            while let Some(piece) = frames.split_first(1) {
                let mut written = Vec::new();
                piece.write(&mut written);
                heard.extend(hear(&mut pieces, &written));
            }
            assert_eq!(heard, expected);
        }
    }
}
