//! How long an Opus packet sounds, read from its framing without decoding (RFC 6716 section 3).

use std::time::Duration;

use super::Frames;

/// What the framing of one Opus packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many frames the packet holds, 1 to 48.
    pub frames: u8,
    /// How long each of them sounds, in microseconds: 2500 to 60000.
    pub frame_us: u32,
    /// Whether the sender coded two channels.
    pub stereo: bool,
}

impl Shape {
    /// Reads a packet's framing and checks it whole (RFC 6716 section 3.4, requirements R1 to R7).
    ///
    /// `None` is a malformed packet, which a decoder would refuse.
    pub fn read(packet: &[u8]) -> Option<Self> {
        Frames::read(packet).map(|frames| frames.shape())
    }

    /// How long the packet sounds: at most 120 ms.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(u64::from(self.frames) * u64::from(self.frame_us))
    }

    /// The same in ticks of Opus' 48 kHz RTP clock (RFC 7587 section 4.1).
    pub fn ticks(&self) -> u32 {
        u32::from(self.frames) * self.frame_us / 500 * 24
    }
}

/// How long a packet sounds; `None` when it is malformed.
pub fn duration(packet: &[u8]) -> Option<Duration> {
    Shape::read(packet).map(|shape| shape.duration())
}

/// Frame length of a configuration number 0 to 31 (RFC 6716 section 3.1, table 2).
pub(super) fn frame_us(config: u8) -> u32 {
    match (config, config % 4) {
        (12..=15, step) if step % 2 == 0 => 10_000,
        (12..=15, _) => 20_000,
        (0..12, 0) => 10_000,
        (0..12, 1) => 20_000,
        (0..12, 2) => 40_000,
        (0..12, _) => 60_000,
        (_, 0) => 2_500,
        (_, 1) => 5_000,
        (_, 2) => 10_000,
        (_, _) => 20_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6716 table 2, one row of milliseconds (times ten) for each configuration.
    const TABLE_2: [u32; 32] = [
        100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 400, 600, // SILK: narrow, medium, wide
        100, 200, 100, 200, // hybrid: super-wide, full
        25, 50, 100, 200, 25, 50, 100, 200, 25, 50, 100, 200, 25, 50, 100, 200, // CELT
    ];

    #[test]
    fn each_of_the_32_configurations_has_the_frame_length_of_the_standard() {
        for (config, tenths) in TABLE_2.into_iter().enumerate() {
            let shape = Shape::read(&[(config as u8) << 3, 0xaa]).unwrap();
            assert_eq!((shape.frames, shape.frame_us), (1, tenths * 100), "configuration {config}");
        }
    }

    #[test]
    fn a_60_ms_telegram_packet_is_three_20_ms_frames() {
        // code 3, CELT full band 20 ms (configuration 31), mono, constant rate, M = 3
        let mut packet = vec![31 << 3 | 3, 3];
        packet.extend([0x11; 3 * 79]);
        let shape = Shape::read(&packet).unwrap();
        assert_eq!(shape, Shape { frames: 3, frame_us: 20_000, stereo: false });
        assert_eq!(shape.ticks(), 2880);
        assert_eq!(duration(&packet), Some(Duration::from_millis(60)));
    }

    #[test]
    fn ticks_are_exact_for_the_shortest_frames_too() {
        assert_eq!(Shape::read(&[16 << 3, 1]).unwrap().ticks(), 120); // 2.5 ms
        assert_eq!(Shape::read(&[16 << 3 | 3, 3, 1, 1, 1]).unwrap().ticks(), 360); // 7.5 ms
    }

    #[test]
    fn the_stereo_bit_is_read() {
        assert!(Shape::read(&[0b100, 1]).unwrap().stereo);
        assert!(!Shape::read(&[0b000, 1]).unwrap().stereo);
    }

    #[test]
    fn code_0_holds_one_frame_even_an_empty_one() {
        assert_eq!(frames_in(&[0]), Some(1), "an empty frame means nothing was sent (section 3.2.1)");
        assert_eq!(frames_in(&with_bytes(&[0], 1275)), Some(1));
        assert_eq!(frames_in(&with_bytes(&[0], 1276)), None, "R2");
    }

    #[test]
    fn code_1_holds_two_equal_frames() {
        assert_eq!(frames_in(&with_bytes(&[1], 80)), Some(2));
        assert_eq!(frames_in(&with_bytes(&[1], 81)), None, "R3");
        assert_eq!(frames_in(&with_bytes(&[1], 2 * 1276)), None, "R2");
    }

    #[test]
    fn code_2_holds_two_frames_the_first_with_its_length() {
        assert_eq!(frames_in(&with_bytes(&[2, 10], 30)), Some(2));
        assert_eq!(frames_in(&with_bytes(&[2, 30], 30)), Some(2), "the second may be empty");
        assert_eq!(frames_in(&with_bytes(&[2, 31], 30)), None, "R4");
        // 252 + 4 * 1 = 256 bytes
        assert_eq!(frames_in(&with_bytes(&[2, 252, 1], 256)), Some(2));
        assert_eq!(frames_in(&with_bytes(&[2, 252, 1], 255)), None, "R4");
        assert_eq!(frames_in(&[2]), None, "the length is missing");
        assert_eq!(frames_in(&[2, 252]), None, "half of the length is missing");
        assert_eq!(frames_in(&with_bytes(&[2, 0], 1276)), None, "R2");
    }

    #[test]
    fn code_3_with_equal_frames_divides_evenly() {
        assert_eq!(frames_in(&with_bytes(&[3, 6], 60)), Some(6));
        assert_eq!(frames_in(&with_bytes(&[3, 6], 61)), None, "R6");
        assert_eq!(frames_in(&[3, 0]), None, "R5: no frame at all");
        assert_eq!(frames_in(&[3]), None, "the count is missing");
    }

    #[test]
    fn code_3_never_sounds_longer_than_120_ms() {
        assert_eq!(frames_in(&with_bytes(&[3, 12], 12)), Some(12), "12 x 10 ms");
        assert_eq!(frames_in(&with_bytes(&[3, 13], 13)), None, "R5");
        assert_eq!(frames_in(&with_bytes(&[16 << 3 | 3, 48], 48)), Some(48), "48 x 2.5 ms");
        assert_eq!(frames_in(&with_bytes(&[16 << 3 | 3, 49], 49)), None, "R5");
        assert_eq!(frames_in(&with_bytes(&[3 << 3 | 3, 3], 3)), None, "3 x 60 ms");
    }

    #[test]
    fn code_3_padding_is_taken_off_before_the_frames_are_counted() {
        // 4 bytes of padding behind 2 frames of 5 bytes
        assert_eq!(frames_in(&with_bytes(&[3, 0x40 | 2, 4], 10 + 4)), Some(2));
        assert_eq!(frames_in(&with_bytes(&[3, 0x40 | 2, 4], 10 + 5)), None, "R6");
        assert_eq!(frames_in(&with_bytes(&[3, 0x40 | 2, 4], 3)), None, "more padding than packet");
        // 254 + 1 bytes of padding
        assert_eq!(frames_in(&with_bytes(&[3, 0x40 | 1, 255, 1], 255)), Some(1));
        assert_eq!(frames_in(&with_bytes(&[3, 0x40 | 1, 255, 1], 254)), None, "more padding than packet");
        assert_eq!(frames_in(&[3, 0x40 | 1]), None, "the padding length is missing");
        assert_eq!(frames_in(&[3, 0x40 | 1, 255]), None, "the rest of it is missing");
    }

    #[test]
    fn code_3_with_stated_lengths_needs_them_all() {
        assert_eq!(frames_in(&with_bytes(&[3, 0x80 | 3, 5, 6], 5 + 6 + 7)), Some(3));
        assert_eq!(frames_in(&with_bytes(&[3, 0x80 | 3, 5, 6], 5 + 6)), Some(3), "the last may be empty");
        assert_eq!(frames_in(&with_bytes(&[3, 0x80 | 3, 5, 6], 5 + 5)), None, "R7");
        assert_eq!(frames_in(&[3, 0x80 | 3, 0]), None, "one length is missing");
        assert_eq!(frames_in(&with_bytes(&[3, 0xc0 | 2, 3, 5], 5 + 7 + 3)), Some(2), "with padding");
        assert_eq!(frames_in(&with_bytes(&[3, 0x80 | 1], 1276)), None, "R2");
    }

    #[test]
    fn an_empty_packet_is_malformed() {
        assert_eq!(Shape::read(&[]), None);
    }

    #[test]
    fn no_three_leading_bytes_make_the_reader_panic_or_claim_too_much() {
        for length in [3, 4, 60, 1278] {
            for seed in 0..=u16::MAX {
                let [first, second] = seed.to_be_bytes();
                let mut packet = vec![first ^ second; length];
                packet[0] = first;
                packet[1] = second;
                if let Some(shape) = Shape::read(&packet) {
                    assert!(shape.duration() <= Duration::from_millis(120), "{first:02x} {second:02x}");
                }
            }
        }
    }

    fn frames_in(packet: &[u8]) -> Option<u8> {
        Shape::read(packet).map(|shape| shape.frames)
    }

    fn with_bytes(head: &[u8], count: usize) -> Vec<u8> {
        let mut packet = head.to_vec();
        packet.resize(head.len() + count, 0x5a);
        packet
    }
}
