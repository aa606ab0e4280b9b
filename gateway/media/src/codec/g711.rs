//! The two companding laws of ITU-T G.711: eight bits hold a sign, a segment and a step in it.
//!
//! Both ways are tables, made by the compiler from the laws.

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

#[cfg(test)]
mod tests {
    use super::*;

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
