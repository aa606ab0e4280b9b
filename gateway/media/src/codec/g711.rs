//! The two companding laws of ITU-T G.711: eight bits hold a sign, a segment and a step in it.
//!
//! Both ways are tables, made by the compiler from the laws.

use std::fmt;

use super::Encoder;

/// Sound of each A-law byte.
pub(super) static FROM_A: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = a_to_linear(byte as u8);
        byte += 1;
    }
    table
};

/// Sound of each µ-law byte.
pub(super) static FROM_MU: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = mu_to_linear(byte as u8);
        byte += 1;
    }
    table
};

/// A-law looks at the upper 12 bits of a sample.
static TO_A: [u8; 1 << 12] = {
    let mut table = [0; 1 << 12];
    let mut upper = 0;
    while upper < table.len() {
        table[upper] = linear_to_a((upper << 4) as u16 as i16);
        upper += 1;
    }
    table
};

/// µ-law looks at the upper 14 bits of a sample.
static TO_MU: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut upper = 0;
    while upper < table.len() {
        table[upper] = linear_to_mu((upper << 2) as u16 as i16);
        upper += 1;
    }
    table
};

/// Even bits of an A-law byte are sent inverted (G.711 table 1a, note 2).
const ALTERNATE: u8 = 0x55;
/// µ-law shifts all magnitudes by this many steps of 14 bits, so that every segment begins at a power of two.
const BIAS: u16 = 33;

/// The A-law byte of a sample.
pub(super) fn to_a(sample: i16) -> u8 {
    TO_A[usize::from(sample as u16 >> 4)]
}

/// The µ-law byte of a sample.
pub(super) fn to_mu(sample: i16) -> u8 {
    TO_MU[usize::from(sample as u16 >> 2)]
}

const fn a_to_linear(byte: u8) -> i16 {
    let bits = byte ^ ALTERNATE;
    let (segment, step) = (bits >> 4 & 7, (bits & 15) as i16);
    // The middle of the step; the first two segments are equally fine.
    let magnitude = match segment {
        0 => step << 4 | 8,
        _ => (step << 4 | 0x108) << (segment - 1),
    };
    if bits & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn linear_to_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !sample >> 4) } else { (0x80, sample >> 4) };
    // Of eleven bits the highest one set names the segment.
    let segment = 12_u32.saturating_sub(magnitude.leading_zeros());
    let step = magnitude >> segment.saturating_sub(1) & 15;
    (sign | (segment as u8) << 4 | step as u8) ^ ALTERNATE
}

const fn mu_to_linear(byte: u8) -> i16 {
    let bits = !byte;
    let (segment, step) = (bits >> 4 & 7, (bits & 15) as i16);
    let magnitude = ((step << 3 | 0x84) << segment) - (BIAS << 2) as i16;
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

const fn linear_to_mu(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80, !sample >> 2) } else { (0, sample >> 2) };
    let biased = magnitude as u16 + BIAS;
    let biased = if biased > 0x1fff { 0x1fff } else { biased };
    // The bias sets the sixth bit at least.
    let segment = 10 - biased.leading_zeros();
    let step = biased >> (segment + 1) & 15;
    !(sign | (segment as u8) << 4 | step as u8)
}

/// Writes sound by a law so that less of the noise is heard: what one byte is off is taken from the next sample in part,
/// which moves noise up to where an ear hears less of it. Quiet speech, of which A-law leaves little, gains most.
pub(super) struct Shaper<To> {
    to: To,
    sounds: &'static [i16; 256],
    /// How much louder the last byte is than was wanted.
    off: i32,
    /// Zeros in a row.
    zeros: usize,
}

impl<To: Fn(i16) -> u8> Shaper<To> {
    /// So many zeros, 10 ms of them, are no speech, however quiet.
    const SILENCE: usize = 80;
    /// The share that is taken from the next sample, in hundredths: scores of speech rise up to here, by both laws and at
    /// levels from 0 to -20 dB.
    const SHARE: i32 = 40;

    /// One for a law: what it writes a sample as, and what each byte sounds like.
    pub(super) fn new(to: To, sounds: &'static [i16; 256]) -> Self {
        Self { to, sounds, off: 0, zeros: 0 }
    }

    fn write(&mut self, sample: i16) -> u8 {
        self.zeros = if sample == 0 { self.zeros + 1 } else { 0 };
        if self.zeros > Self::SILENCE {
            // The byte that others know silence by.
            self.off = 0;
        }
        let wanted = i32::from(sample) - self.off * Self::SHARE / 100;
        let wanted = wanted.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        let byte = (self.to)(wanted);
        self.off = i32::from(self.sounds[usize::from(byte)]) - i32::from(wanted);
        byte
    }
}

impl<To: Fn(i16) -> u8 + Send> Encoder for Shaper<To> {
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        out.extend(pcm.iter().map(|&sample| self.write(sample)));
    }
}

impl<To> fmt::Debug for Shaper<To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shaper").field("off", &self.off).field("zeros", &self.zeros).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    type Law = (fn(i16) -> u8, &'static [i16; 256]);

    const LAWS: [Law; 2] = [(to_a, &FROM_A), (to_mu, &FROM_MU)];

    fn written((to, sounds): Law, pcm: &[i16]) -> Vec<u8> {
        let mut out = Vec::new();
        Shaper::new(to, sounds).encode(pcm, &mut out);
        out
    }

    #[test]
    fn what_came_by_the_law_leaves_as_it_came_and_silence_is_one_byte() {
        for law in LAWS {
            let pcm: Vec<i16> = (0..=255_u8).map(|at| law.1[usize::from(at.wrapping_mul(91))]).collect();
            let expected: Vec<u8> = pcm.iter().map(|&sample| law.0(sample)).collect();
            assert_eq!(written(law, &pcm), expected);
            let mut spoken = vec![1000, -317, 3];
            spoken.resize(203, 0);
            assert_eq!(written(law, &spoken)[83..], [law.0(0); 120]);
        }
    }

    #[test]
    fn quiet_sound_has_less_noise_where_speech_is() {
        let wave = |at: u16| (30.0 * (TAU * 310.0 * f32::from(at) / 8000.0).sin()).round() as i16;
        let pcm: Vec<i16> = (0..8000).map(wave).collect();
        for law in LAWS {
            // Noise below 1 kHz: of eight samples together.
            let noise = |bytes: &[u8]| -> i64 {
                let off = bytes.iter().zip(&pcm).map(|(&byte, &sample)| law.1[usize::from(byte)] - sample);
                let off: Vec<i64> = off.map(i64::from).collect();
                off.windows(8).map(|eight| eight.iter().sum::<i64>().pow(2)).sum()
            };
            let plain: Vec<u8> = pcm.iter().map(|&sample| law.0(sample)).collect();
            let (shaped, plain) = (noise(&written(law, &pcm)), noise(&plain));
            assert!(shaped * 10 < plain * 7, "{shaped} of {plain}");
        }
    }

    /// Bytes 0 to 255 decoded by ffmpeg 5.1 (`-f alaw` and `-f mulaw` to `-f s16be`).
    const A_GOLDEN: &[u8] = include_bytes!("../../testdata/g711/alaw-expanded.s16be");
    const MU_GOLDEN: &[u8] = include_bytes!("../../testdata/g711/mulaw-expanded.s16be");

    #[test]
    fn every_byte_sounds_as_the_golden_tables_say() {
        for (table, golden) in [(&FROM_A, A_GOLDEN), (&FROM_MU, MU_GOLDEN)] {
            let golden: Vec<i16> =
                golden.as_chunks().0.iter().map(|&pair| i16::from_be_bytes(pair)).collect();
            assert_eq!(table.as_slice(), golden);
        }
    }

    #[test]
    fn every_sample_is_off_by_half_a_step_at_most() {
        for (to, table) in [(to_a as fn(i16) -> u8, &FROM_A), (to_mu, &FROM_MU)] {
            let mut levels = table.map(i32::from);
            levels.sort_unstable();
            let (softest, loudest) = (levels[0], levels[255]);
            for sample in (i16::MIN..=i16::MAX).filter(|&s| (softest..=loudest).contains(&s.into())) {
                let level = i32::from(table[usize::from(to(sample))]);
                let at = levels.partition_point(|&one| one < level);
                let around = &levels[at.saturating_sub(1)..(at + 3).min(256)];
                let step = around.windows(2).map(|two| two[1] - two[0]).max().unwrap();
                assert!((level - i32::from(sample)).abs() * 2 <= step, "{sample} sounds as {level}");
            }
        }
    }

    #[test]
    fn every_byte_comes_back_from_its_sound() {
        for byte in 0..=255 {
            assert_eq!(to_a(FROM_A[usize::from(byte)]), byte);
            // µ-law has two zeros, and the positive one is sent.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(to_mu(FROM_MU[usize::from(byte)]), expected);
        }
    }

    #[test]
    fn silence_and_the_loudest_sounds_are_the_bytes_of_the_standard() {
        assert_eq!([to_a(0), to_a(-1), to_a(i16::MAX), to_a(i16::MIN)], [0xd5, 0x55, 0xaa, 0x2a]);
        assert_eq!([to_mu(0), to_mu(-1), to_mu(i16::MAX), to_mu(i16::MIN)], [0xff, 0x7f, 0x80, 0x00]);
    }
}
