//! Digits as two tones at once (ITU-T Q.23), made and judged. multimon-ng says which digits were heard; how long each
//! sounded is measured here.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::ffmpeg;
use crate::pcm::{self, Pcm};

const ROWS_HZ: [u32; 4] = [697, 770, 852, 941];
const COLUMNS_HZ: [u32; 4] = [1209, 1336, 1477, 1633];
const KEYS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
/// What multimon-ng takes.
const MULTIMON_HZ: u32 = 22_050;
/// How finely lengths are measured.
const STEP_MS: u32 = 2;
/// How much of a moment is looked at.
const WINDOW_MS: u32 = 5;
/// Share of the loudest moment from which on it sounds.
const SOUNDS: f64 = 0.3;
/// Mean amplitude below which nothing sounds.
const SILENCE: f64 = 200.0;

/// Digits of a length with pauses between them, in a rate; half a second of silence before and after.
///
/// # Panics
/// With another key than those of the pad.
pub fn played(digits: &str, tone_ms: u32, pause_ms: u32, rate_hz: u32) -> Pcm {
    let edge = Pcm::silence(500, rate_hz);
    let sound = digits.chars().fold(edge.clone(), |sound, digit| {
        let pair = pair_hz(digit).expect("a key of the pad");
        sound.then(&Pcm::tone(&pair, tone_ms, rate_hz)).then(&Pcm::silence(pause_ms, rate_hz))
    });
    sound.then(&edge)
}

/// The two tones of a key.
pub fn pair_hz(digit: char) -> Option<[u32; 2]> {
    let (row, keys) = KEYS.iter().enumerate().find(|(_, keys)| keys.contains(digit))?;
    Some([ROWS_HZ[row], COLUMNS_HZ[keys.find(digit)?]])
}

/// The digits that multimon-ng hears.
///
/// # Errors
/// When multimon-ng or ffmpeg are missing.
pub fn heard(sound: &Pcm) -> anyhow::Result<String> {
    // It needs something behind the last digit to know that it is over.
    let sound = ffmpeg::resampled(sound, MULTIMON_HZ)?.then(&Pcm::silence(200, MULTIMON_HZ));
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), sound.bytes())?;
    let output = Command::new("multimon-ng")
        .args(["-q", "-c", "-a", "DTMF", "-t", "raw"])
        .arg(file.path())
        .stdin(Stdio::null())
        .output()
        .context("multimon-ng, from the Debian package of that name")?;
    ensure!(output.status.success(), "multimon-ng: {}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digits = text.lines().filter_map(|line| line.strip_prefix("DTMF: "));
    // It calls * and # E and F.
    Ok(digits.map(|digit| digit.trim().replace('E', "*").replace('F', "#")).collect())
}

/// How long each sound lasts and each pause between two, in milliseconds. Shorter ones than 20 ms are of no account.
pub fn lengths_ms(sound: &Pcm) -> (Vec<u32>, Vec<u32>) {
    const LEAST_MS: u32 = 20;
    let (step, window) = (pcm::samples(STEP_MS, sound.rate_hz), pcm::samples(WINDOW_MS, sound.rate_hz));
    let loudness = |window: &[i16]| {
        window.iter().map(|sample| f64::from(*sample).abs()).sum::<f64>() / window.len() as f64
    };
    let moments: Vec<f64> = sound.samples.windows(window).step_by(step).map(loudness).collect();
    let loudest = moments.iter().copied().fold(0.0, f64::max);
    let line = (loudest * SOUNDS).max(SILENCE);
    let mut runs: Vec<(bool, u32)> = Vec::new();
    for sounds in moments.iter().map(|moment| *moment > line) {
        match runs.last_mut() {
            Some((same, length_ms)) if *same == sounds => *length_ms += STEP_MS,
            _ => runs.push((sounds, STEP_MS)),
        }
    }
    let mut whole: Vec<(bool, u32)> = Vec::new();
    for (sounds, length_ms) in runs {
        match whole.last_mut() {
            Some((same, before_ms)) if *same == sounds || length_ms < LEAST_MS => *before_ms += length_ms,
            _ => whole.push((sounds, length_ms)),
        }
    }
    let first = whole.iter().position(|(sounds, _)| *sounds).unwrap_or(whole.len());
    let last = whole.iter().rposition(|(sounds, _)| *sounds).map_or(first, |at| at + 1);
    let of = |wanted: bool| {
        whole[first..last].iter().filter(|(sounds, _)| *sounds == wanted).map(|(_, length)| *length).collect()
    };
    (of(true), of(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::telephone_event;

    #[test]
    fn multimon_hears_every_key_in_every_codec_and_lengths_are_measured() {
        let digits = format!("{}1155##", telephone_event::KEYS);
        for codec in Codec::ALL {
            let sound = ffmpeg::through(codec, &played(&digits, 100, 80, ffmpeg::RATE_HZ), 32_000).unwrap();
            assert_eq!(heard(&sound).unwrap(), digits, "{codec}");
            let (tones_ms, pauses_ms) = lengths_ms(&sound);
            assert_eq!((tones_ms.len(), pauses_ms.len()), (digits.len(), digits.len() - 1), "{codec}");
            assert!(tones_ms.iter().all(|length| length.abs_diff(100) <= 8), "{codec}: {tones_ms:?}");
            assert!(pauses_ms.iter().all(|length| length.abs_diff(80) <= 8), "{codec}: {pauses_ms:?}");
        }
    }

    #[test]
    fn what_is_no_digit_is_not_heard_as_one() {
        let rate_hz = ffmpeg::RATE_HZ;
        let sound = Pcm::tone(&[440, 880], 300, rate_hz).then(&Pcm::tone(&[697], 300, rate_hz));
        assert_eq!(heard(&sound.then(&Pcm::silence(300, rate_hz))).unwrap(), "");
        assert_eq!(lengths_ms(&Pcm::silence(300, rate_hz)), (vec![], vec![]));
    }
}
