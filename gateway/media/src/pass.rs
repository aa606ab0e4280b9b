//! Packets that pass undecoded: how long they sound, and into how many they are split (RFC 6716 section 3.2).

use crate::audio::Audio;
use crate::batch::Batch;
use crate::codec::{Codec, L16, OPUS};
use crate::opus::{Frames, Shape};
use crate::rtp::Packet;

/// Nobody sends more linear sound than this in one packet, and a decoder should not be kept busy by it.
const LONGEST_MS: u32 = 240;

/// What a payload holds, by its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sound {
    /// Of the codec's clock.
    pub(crate) ticks: u32,
    /// How many packets it becomes.
    pub(crate) parts: u16,
    /// Frames in each of them but perhaps the last.
    frames: u16,
    frame_ticks: u32,
}

/// What was appended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) packets: u16,
    pub(crate) octets: u64,
}

impl Sound {
    /// Reads a payload; with `cut` it is split to the packet time agreed there. `None` is malformed.
    pub(crate) fn measure(codec: &Codec, payload: &[u8], cut: Option<&Audio>) -> Option<Self> {
        if *codec == OPUS {
            let shape = Shape::read(payload)?;
            let frame_ticks = shape.ticks() / u32::from(shape.frames);
            let frames = match cut {
                Some(audio) => {
                    let most_ms = audio.ptime_ms.min(audio.maxptime_ms.unwrap_or(u32::MAX));
                    let most = most_ms * (OPUS.clock_hz / 1000) / frame_ticks;
                    most.clamp(1, shape.frames.into()) as u16
                }
                None => shape.frames.into(),
            };
            let parts = u16::from(shape.frames).div_ceil(frames);
            return Some(Self { ticks: shape.ticks(), parts, frames, frame_ticks });
        }
        // One octet is one tick of G.711, and of G.722 by its odd clock (RFC 3551 section 4.5.2).
        let octets = u32::try_from(payload.len()).ok()?;
        let ticks = if *codec == L16 { octets / 2 } else { octets };
        let longest = codec.clock_hz * LONGEST_MS / 1000;
        (1..=longest).contains(&ticks).then_some(Self { ticks, parts: 1, frames: 1, frame_ticks: ticks })
    }

    /// Whether even its parts are longer than the side takes.
    pub(crate) fn exceeds(&self, audio: &Audio) -> bool {
        let part_ticks = u64::from(self.frames) * u64::from(self.frame_ticks);
        let limit = audio.maxptime_ms.map(|ms| u64::from(ms) * u64::from(audio.codec.clock_hz / 1000));
        limit.is_some_and(|limit| part_ticks > limit)
    }

    /// Appends the packet in as many parts as there are numbers for: one number takes it whole, and of several the last
    /// parts may find none.
    pub(crate) fn write(&self, packet: &Packet<'_>, parts: u16, out: &mut Batch) -> Written {
        let whole = Written { packets: 1, octets: packet.payload.len() as u64 };
        if parts == 1 {
            packet.write(&mut out.bytes);
            out.end_packet();
            return whole;
        }
        let mut written = Written::default();
        let Some(mut frames) = Frames::read(packet.payload) else { return written };
        let per_part = u8::try_from(self.frames).unwrap_or(u8::MAX);
        for part in 0..parts {
            let Some(some) = frames.split_first(per_part) else { break };
            let ticks = u32::from(part) * u32::from(self.frames) * self.frame_ticks;
            let header = Packet {
                marker: packet.marker && part == 0,
                sequence: packet.sequence.wrapping_add(part),
                timestamp: packet.timestamp.wrapping_add(ticks),
                payload: &[],
                ..*packet
            };
            header.write(&mut out.bytes);
            let begin = out.bytes.len();
            some.write(&mut out.bytes);
            written.packets += 1;
            written.octets += (out.bytes.len() - begin) as u64;
            out.end_packet();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{G722, PCMA};

    /// CELT, full band, 20 ms.
    const MS20: u8 = 31 << 3;

    #[test]
    fn three_frames_become_three_packets_one_frame_apart() {
        let audio = trunk(20, None);
        let payload = [MS20 | 3, 0x80 | 3, 1, 2, 0xa, 0xb, 0xb, 0xc, 0xc, 0xc];
        let sound = Sound::measure(&OPUS, &payload, Some(&audio)).unwrap();
        assert_eq!((sound.ticks, sound.parts), (2880, 3));
        let expected = [
            (true, 65_535, 1000, vec![MS20, 0xa]),
            (false, 0, 1960, vec![MS20, 0xb, 0xb]),
            (false, 1, 2920, vec![MS20, 0xc, 0xc, 0xc]),
        ];
        assert_eq!(written(sound, &payload, 3), expected);
        assert_eq!(written(sound, &payload, 2), expected[..2], "the last part found no number");
        assert_eq!(
            written(sound, &payload, 1),
            [(true, 65_535, 1000, payload.to_vec())],
            "one number takes it whole"
        );
    }

    #[test]
    fn parts_are_as_long_as_the_side_likes_them() {
        let payload = [MS20 | 3, 6, 1, 2, 3, 4, 5, 6];
        for (ptime_ms, maxptime_ms, parts) in [
            (20, None, 6),
            (40, None, 3),
            (50, None, 3),
            (60, None, 2),
            (60, Some(40), 3),
            (120, None, 1),
            (10, None, 6),
        ] {
            let audio = trunk(ptime_ms, maxptime_ms);
            let sound = Sound::measure(&OPUS, &payload, Some(&audio)).unwrap();
            assert_eq!(sound.parts, parts, "{ptime_ms} ms, at most {maxptime_ms:?}");
            let packets = written(sound, &payload, parts);
            assert_eq!(packets.len(), usize::from(parts));
            let frames: Vec<_> = packets
                .iter()
                .flat_map(|(.., payload)| Frames::read(payload).unwrap().map(<[u8]>::to_vec))
                .collect();
            assert_eq!(frames, [[1], [2], [3], [4], [5], [6]]);
        }
        assert_eq!(Sound::measure(&OPUS, &payload, None).unwrap().parts, 1);
    }

    #[test]
    fn a_frame_that_is_longer_than_the_side_takes_is_known() {
        let silk60 = [3 << 3, 1, 2, 3];
        for (maxptime_ms, exceeds) in [(Some(20), true), (Some(59), true), (Some(60), false), (None, false)] {
            let audio = trunk(20, maxptime_ms);
            let sound = Sound::measure(&OPUS, &silk60, Some(&audio)).unwrap();
            assert_eq!((sound.parts, sound.exceeds(&audio)), (1, exceeds), "{maxptime_ms:?}");
        }
    }

    #[test]
    fn linear_codecs_sound_as_long_as_their_octets_say() {
        for (codec, octets, ticks) in [
            (&PCMA, 160, Some(160)),
            (&G722, 160, Some(160)),
            (&L16, 960, Some(480)),
            (&PCMA, 0, None),
            (&PCMA, 1920, Some(1920)),
            (&PCMA, 1921, None),
        ] {
            let sound = Sound::measure(codec, &vec![0; octets], None);
            assert_eq!(sound.map(|sound| sound.ticks), ticks, "{}", codec.name);
        }
    }

    fn trunk(ptime_ms: u32, maxptime_ms: Option<u32>) -> Audio {
        Audio { ptime_ms, maxptime_ms, ..Audio::new(&OPUS, 107, 1) }
    }

    fn written(sound: Sound, payload: &[u8], parts: u16) -> Vec<(bool, u16, u32, Vec<u8>)> {
        let mut out = Batch::default();
        let packet =
            Packet { marker: true, payload_type: 107, sequence: 65_535, timestamp: 1000, ssrc: 1, payload };
        let told = sound.write(&packet, parts, &mut out);
        let packets: Vec<_> = out
            .iter()
            .map(|bytes| {
                let packet = Packet::read(bytes).unwrap();
                (packet.marker, packet.sequence, packet.timestamp, packet.payload.to_vec())
            })
            .collect();
        let octets = packets.iter().map(|(.., payload)| payload.len() as u64).sum();
        assert_eq!(told, Written { packets: packets.len() as u16, octets });
        packets
    }
}
