//! One of the two bands of G.722: an adaptive quantizer around an adaptive predictor (ITU-T G.722 sections 3 and 4).
//!
//! Names of the standard stand in brackets: [SZ], [DETL] and so on.

use super::saturated;

/// What sets the two bands apart.
#[derive(Debug)]
pub(super) struct Quantizer {
    /// Lower ends of the intervals in which the encoder looks up a difference, but the first, smallest first [Q6, Q2].
    borders: &'static [i16],
    /// The code of each interval, for differences above and below zero.
    codes: &'static [(u8, u8)],
    /// What the decoder takes each code for [QM6, QM2].
    fine: &'static [i32],
    /// How many low bits of a code only the decoder's sound knows and the prediction does not.
    spare_bits: u32,
    /// What the prediction takes each code for, without its spare bits [QM4, QM2].
    coarse: &'static [i32],
    /// How each code, without its spare bits, changes the logarithm of the step [WL, WH].
    steps: &'static [i32],
    /// The largest logarithm of the step.
    largest_log: i32,
    /// The shift in the way back from that logarithm [SCALEL, SCALEH].
    scale: i32,
    /// The step to begin with.
    first_step: i32,
}

/// 0 to 4 kHz, six bits.
pub(super) static LOW: Quantizer = Quantizer {
    borders: &[
        35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
        1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
    ],
    codes: &[
        (61, 63),
        (60, 62),
        (59, 31),
        (58, 30),
        (57, 29),
        (56, 28),
        (55, 27),
        (54, 26),
        (53, 25),
        (52, 24),
        (51, 23),
        (50, 22),
        (49, 21),
        (48, 20),
        (47, 19),
        (46, 18),
        (45, 17),
        (44, 16),
        (43, 15),
        (42, 14),
        (41, 13),
        (40, 12),
        (39, 11),
        (38, 10),
        (37, 9),
        (36, 8),
        (35, 7),
        (34, 6),
        (33, 5),
        (32, 4),
    ],
    fine: &[
        -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
        -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400,
        -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232,
        9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360,
        1040, 728, 432, 136, -432, -136,
    ],
    spare_bits: 2,
    coarse: &[
        0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
    ],
    steps: &[-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60],
    largest_log: 18_432,
    scale: 8,
    first_step: 32,
};

/// 4 to 8 kHz, two bits.
pub(super) static HIGH: Quantizer = Quantizer {
    borders: &[564],
    codes: &[(3, 1), (2, 0)],
    fine: &[-7408, -1616, 7408, 1616],
    spare_bits: 0,
    coarse: &[-7408, -1616, 7408, 1616],
    steps: &[798, -214, 798, -214],
    largest_log: 22_528,
    scale: 10,
    first_step: 8,
};

/// 2048 times the powers of two between 1 and 2, 32 of them [ILB].
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// The state of one band; encoder and decoder keep the same.
#[derive(Debug)]
pub(super) struct Band {
    quantizer: &'static Quantizer,
    /// What the next value is expected to be [S].
    prediction: i32,
    /// The zeros' share of it [SZ].
    from_zeros: i32,
    /// Logarithm of the step [NB].
    log: i32,
    /// The step [DET].
    step: i32,
    /// The two poles [A].
    poles: [i32; 2],
    /// The six zeros [B].
    zeros: [i32; 6],
    /// The last six differences, newest first [D], doubled as they are needed.
    differences: [i32; 6],
    /// The last two sums of difference and `from_zeros`, newest first [P].
    partial: [i32; 2],
    /// The last two values put together again, newest first [R], doubled too.
    rebuilt: [i32; 2],
}

impl Band {
    pub(super) fn new(quantizer: &'static Quantizer) -> Self {
        Self {
            quantizer,
            prediction: 0,
            from_zeros: 0,
            log: 0,
            step: quantizer.first_step,
            poles: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
            partial: [0; 2],
            rebuilt: [0; 2],
        }
    }

    /// The code of a value of 15 bits.
    pub(super) fn encode(&mut self, value: i32) -> u8 {
        let difference = saturated(value - self.prediction);
        let below = difference < 0;
        let size = if below { !difference } else { difference };
        // How many borders, times the step, lie at or under the size; divided once instead, and counted without a branch.
        let steps = saturated(((size << 12) + 4095) / self.step) as i16;
        let interval: i16 = self.quantizer.borders.iter().map(|&border| i16::from(border <= steps)).sum();
        let (above_code, below_code) = self.quantizer.codes[interval as usize];
        let code = if below { below_code } else { above_code };
        self.adapt(code);
        code
    }

    /// The value of a code, of 15 bits: -16384 to 16383.
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let difference = (self.quantizer.fine[usize::from(code)] * self.step) >> 15;
        let value = (self.prediction + difference).clamp(-16_384, 16_383);
        self.adapt(code);
        value
    }

    fn adapt(&mut self, code: u8) {
        let coarse = usize::from(code >> self.quantizer.spare_bits);
        let difference = (self.quantizer.coarse[coarse] * self.step) >> 15;
        self.adapt_step(self.quantizer.steps[coarse]);
        self.adapt_prediction(difference);
    }

    fn adapt_step(&mut self, change: i32) {
        self.log = (((self.log * 127) >> 7) + change).clamp(0, self.quantizer.largest_log);
        let power = POWERS[(self.log >> 6 & 31) as usize];
        let shift = self.quantizer.scale - (self.log >> 11);
        self.step = if shift < 0 { power << -shift } else { power >> shift } << 2;
    }

    fn adapt_prediction(&mut self, difference: i32) {
        let rebuilt = saturated(self.prediction + difference);
        let partial = saturated(self.from_zeros + difference);
        let [same, same_before] = self.partial.map(|before| (before < 0) == (partial < 0));

        // Both poles are kept where the predictor is stable [UPPOL2, UPPOL1].
        let [first, second] = self.poles;
        let towards = saturated(first << 2);
        let towards = (if same { -towards } else { towards }).min(i16::MAX.into());
        let second = (if same_before { 128 } else { -128 }) + (towards >> 7) + ((second * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let limit = saturated(15_360 - second);
        let first =
            saturated((if same { 192 } else { -192 }) + ((first * 32_640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];

        let towards = if difference == 0 { 0 } else { 128 };
        for (zero, &before) in self.zeros.iter_mut().zip(&self.differences) {
            let towards = if (before < 0) == (difference < 0) { towards } else { -towards };
            // At most 255/256 of what it was and 128 more: it stays within 16 bits by itself.
            *zero = towards + ((*zero * 32_640) >> 15);
        }

        self.differences.copy_within(..5, 1);
        self.differences[0] = saturated(difference * 2);
        self.partial = [partial, self.partial[0]];
        self.rebuilt = [saturated(rebuilt * 2), self.rebuilt[0]];

        let weighed = |(weight, doubled): (&i32, &i32)| (weight * doubled) >> 15;
        let from_poles: i32 = self.poles.iter().zip(&self.rebuilt).map(weighed).sum();
        self.from_zeros = saturated(self.zeros.iter().zip(&self.differences).map(weighed).sum());
        self.prediction = saturated(saturated(from_poles) + self.from_zeros);
    }
}
