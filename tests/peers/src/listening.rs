//! What phones play to be judged, a tone and then speech, and the judgement on what the other end heard of it.

use std::fmt;

use anyhow::{Context as _, anyhow, ensure};
use serde::Serialize;

use crate::codec::Codec;
use crate::ffmpeg::{self, RATE_HZ};
use crate::pcm::{self, Pcm};
use crate::score::{self, Band, Pair, Score};
use crate::tone;

/// How long the tone sounds, and the silence behind it.
const TONE_MS: u32 = 3000;
const GAP_MS: u32 = 500;
/// What is cut from both ends of the tone, so that its beginning and its end are not judged.
const EDGE_MS: u32 = 200;
/// Score that must be left, of that of the codecs alone.
pub const LEAST_SCORE: f64 = 0.97;

/// Silence, then the tone, then the speech, then silence.
///
/// # Errors
/// When ffmpeg is missing.
pub fn material(tone_hz: u32, lead_ms: u32) -> anyhow::Result<Pcm> {
    let gap = Pcm::silence(GAP_MS, RATE_HZ);
    let tone = Pcm::tone(&[tone_hz], TONE_MS, RATE_HZ);
    Ok(Pcm::silence(lead_ms, RATE_HZ).then(&tone).then(&gap).then(&score::speech()?).then(&gap))
}

/// What codecs in a row and nothing else leave of [`material`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yardstick {
    pub tone_hz: u32,
    pub band: Band,
    /// Score of the speech.
    pub mos: f64,
}

impl Yardstick {
    /// The yardstick of codecs in the order in which sound passes them; Opus at so many bits per second. Telephone
    /// codecs are judged as telephones are.
    ///
    /// # Errors
    /// When ffmpeg, libopus or Python fail.
    pub fn of(codecs: &[Codec], tone_hz: u32, opus_bits_per_s: i32) -> anyhow::Result<Self> {
        // An encoder that heard a tone a moment ago encodes speech otherwise.
        Self::behind(material(tone_hz, GAP_MS)?, codecs, codecs, tone_hz, opus_bits_per_s)
    }

    /// The same for material that passed some of the codecs elsewhere, and that `left` are left to.
    ///
    /// # Errors
    /// As [`Yardstick::of`].
    pub fn behind(
        sound: Pcm,
        left: &[Codec],
        codecs: &[Codec],
        tone_hz: u32,
        opus_bits_per_s: i32,
    ) -> anyhow::Result<Self> {
        let alone =
            left.iter().try_fold(sound, |sound, codec| ffmpeg::through(*codec, &sound, opus_bits_per_s))?;
        let narrow = codecs.iter().any(|codec| codec.is_narrowband());
        let band = if narrow { Band::Narrow } else { Band::Wide };
        let mos = judge(&alone, Self { tone_hz, band, mos: 0.0 })?.mos;
        Ok(Self { tone_hz, band, mos })
    }
}

/// What one end heard of the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgement {
    /// Share of the energy within 5 Hz of the tone, while it sounds.
    pub tone_share: f64,
    /// Score of the speech.
    pub mos: f64,
    /// Score of the codecs alone.
    pub alone_mos: f64,
    /// How long after the beginning of what was heard the speech begins.
    pub delay_ms: i64,
}

/// Judges what was heard of [`material`].
///
/// # Errors
/// When nothing was heard of it, or a program is missing.
pub fn judge(heard: &Pcm, yardstick: Yardstick) -> anyhow::Result<Judgement> {
    let Yardstick { tone_hz, band, mos: alone_mos } = yardstick;
    let heard = ffmpeg::resampled(heard, RATE_HZ)?;
    let original = score::speech()?;
    let scores = score::scores(&[Pair { band, original: &original, heard: &heard }])?;
    let Score { mos, delay_ms } = *scores.first().context("a score")?;
    ensure!(
        delay_ms > i64::from(GAP_MS + TONE_MS / 2),
        "the speech comes after {delay_ms} ms, without a tone"
    );
    let at = |before_ms: u32| {
        pcm::samples(u32::try_from(delay_ms).unwrap_or(0).saturating_sub(before_ms), RATE_HZ)
    };
    let tone = heard.part(at(GAP_MS + TONE_MS - EDGE_MS), at(GAP_MS + EDGE_MS));
    let tone_share = tone::share_of(&tone.samples, RATE_HZ, &[tone_hz]);
    Ok(Judgement { tone_share, mos, alone_mos, delay_ms })
}

impl Judgement {
    /// Whether it was heard well through a codec.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self, codec: Codec, least_score: f64) -> anyhow::Result<()> {
        self.check_with(codec.least_tone_share(), least_score).map_err(|error| anyhow!("{codec}: {error}"))
    }

    /// The same of other bounds: the share that is the tone at least, and the share of the codec's own score.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_with(&self, least_tone: f64, least_score: f64) -> anyhow::Result<()> {
        let Self { tone_share, mos, alone_mos, .. } = *self;
        ensure!(
            tone_share >= least_tone,
            "{:.2} % is the tone, want {} %",
            tone_share * 100.0,
            least_tone * 100.0
        );
        ensure!(mos >= alone_mos * least_score, "speech scores {mos:.2}, the codec alone {alone_mos:.2}");
        Ok(())
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tone_share, mos, alone_mos, .. } = *self;
        write!(
            f,
            "tone {:6.2} %   speech {mos:.2} of {alone_mos:.2} ({:+.1} %)",
            tone_share * 100.0,
            (mos / alone_mos - 1.0) * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codec_alone_is_as_good_as_itself_and_a_hum_or_a_worse_codec_is_found() {
        let sound = material(440, 900).unwrap();
        let yardstick = Yardstick::of(&[Codec::Pcma], 440, 0).unwrap();
        let judged = |heard: &Pcm| judge(heard, yardstick).unwrap();
        let heard = ffmpeg::through(Codec::Pcma, &sound, 0).unwrap();
        judged(&heard).check(Codec::Pcma, LEAST_SCORE).unwrap();
        let mut humming = heard.clone();
        for (at, sample) in humming.samples.iter_mut().enumerate() {
            *sample = sample.saturating_add(if at / 120 % 2 == 0 { 1500 } else { -1500 });
        }
        assert!(
            judged(&humming).check(Codec::Pcma, LEAST_SCORE).unwrap_err().to_string().contains("is the tone")
        );
        let worse = ffmpeg::through(Codec::Opus, &sound, 6000).unwrap();
        assert!(
            judged(&worse).check(Codec::Pcma, LEAST_SCORE).unwrap_err().to_string().contains("speech scores")
        );
    }
}
