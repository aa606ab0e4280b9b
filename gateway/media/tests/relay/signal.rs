//! Sounds to send, and what they are measured by.

use std::f64::consts::TAU;

/// Samples of a sine.
pub(crate) fn sine(hz: f64, peak: f64, sample_hz: u32) -> impl Fn(u64) -> i16 + Clone {
    move |at| (peak * (TAU * hz * at as f64 / f64::from(sample_hz)).sin()) as i16
}

/// Something like speech: a pitch that wanders, formants, syllables and pauses.
pub(crate) fn speech(sample_hz: u32) -> impl Fn(u64) -> i16 + Clone {
    move |at| {
        let t = at as f64 / f64::from(sample_hz);
        let syllable = (TAU * 3.1 * t).sin().max(0.0).sqrt() * f64::from(u8::from(t % 4.0 < 3.0));
        let pitch = 120.0 * t + 6.0 * (TAU * 0.7 * t).sin();
        let formant = |harmonic: f64, centre: f64| {
            let distance = (harmonic * 120.0 - centre) / 220.0;
            (-distance * distance).exp()
        };
        let drift = (TAU * 0.9 * t).sin();
        let voice: f64 = (1..26)
            .map(|harmonic| {
                let harmonic = f64::from(harmonic);
                let loud = formant(harmonic, 600.0 + 150.0 * drift)
                    + 0.5 * formant(harmonic, 1400.0 - 300.0 * drift)
                    + 0.2 * formant(harmonic, 2600.0);
                loud * (TAU * harmonic * pitch).sin()
            })
            .sum();
        (6000.0 * syllable * voice).clamp(-30_000.0, 30_000.0) as i16
    }
}

/// What share of the energy lies within 20 Hz of a frequency.
pub(crate) fn share(pcm: &[i16], hz: f64, sample_hz: u32) -> f64 {
    let window = |at: usize| 0.5 - 0.5 * (TAU * at as f64 / pcm.len() as f64).cos();
    let total: f64 = pcm.iter().enumerate().map(|(at, s)| (f64::from(*s) * window(at)).powi(2)).sum();
    let resolution = f64::from(sample_hz) / pcm.len() as f64;
    let bins = (20.0 / resolution).ceil() as i32;
    let found: f64 = (-bins..=bins)
        .map(|bin| {
            let hz = hz + f64::from(bin) * resolution;
            let (re, im) = pcm.iter().enumerate().fold((0.0, 0.0), |(re, im), (at, s)| {
                let phase = TAU * hz * at as f64 / f64::from(sample_hz);
                let s = f64::from(*s) * window(at);
                (re + s * phase.cos(), im + s * phase.sin())
            });
            2.0 * (re * re + im * im) / pcm.len() as f64
        })
        .sum();
    if total == 0.0 { 0.0 } else { found / total }
}

/// The largest step from one sample to the next.
pub(crate) fn largest_step(pcm: &[i16]) -> i32 {
    pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// How far a row of samples moves from one to the next when it holds a sine of this peak.
pub(crate) fn sine_step(hz: f64, peak: f64, sample_hz: u32) -> i32 {
    (peak * TAU * hz / f64::from(sample_hz)) as i32
}

/// The best correlation of two sounds when one is shifted by up to `most` samples, and that shift.
pub(crate) fn likeness(sent: &[i16], heard: &[i16], most: usize) -> (f64, usize) {
    let score = |shift: usize| {
        let (mut cross, mut a, mut b) = (0.0, 1.0, 1.0);
        for (x, y) in sent.iter().zip(&heard[shift.min(heard.len())..]) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            cross += x * y;
            a += x * x;
            b += y * y;
        }
        cross / f64::sqrt(a * b)
    };
    (0..most).map(|shift| (score(shift), shift)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

pub(crate) fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len().max(1) as f64).sqrt()
}
