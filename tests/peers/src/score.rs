//! Speech scored by a public measure: PESQ (ITU-T P.862, in wide band P.862.2), in a program of its own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::ffmpeg;
use crate::pcm::Pcm;

/// How much of the speech is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// 8 kHz, for telephone codecs.
    Narrow,
    /// 16 kHz.
    Wide,
}

impl Band {
    fn rate_hz(self) -> u32 {
        match self {
            Self::Narrow => 8000,
            Self::Wide => 16_000,
        }
    }
}

/// How well speech was heard.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Score {
    /// Mean opinion score, 1 to 4.64.
    #[serde(rename = "score")]
    pub mos: f64,
    /// How much later than the original it begins in what was heard.
    pub delay_ms: i64,
}

/// Something heard, to be compared with its original.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub band: Band,
    pub original: &'a Pcm,
    /// May begin earlier or later than the original, and go on behind it.
    pub heard: &'a Pcm,
}

/// Scores in the order of the pairs.
///
/// # Errors
/// When Python, its packages or ffmpeg are missing, or nothing was heard.
pub fn scores(pairs: &[Pair<'_>]) -> anyhow::Result<Vec<Score>> {
    let python = tgtrunk_test_telegram::venv::python()?;
    let folder = tempfile::tempdir()?;
    let mut wishes = String::new();
    for (at, Pair { band, original, heard }) in pairs.iter().enumerate() {
        let file = |name: &str, sound: &Pcm| -> anyhow::Result<PathBuf> {
            let path = folder.path().join(format!("{at}.{name}"));
            std::fs::write(&path, ffmpeg::resampled(sound, band.rate_hz())?.bytes())?;
            Ok(path)
        };
        let (original, heard) = (file("original", original)?, file("heard", heard)?);
        writeln!(wishes, "{}", json!({ "original": original, "heard": heard, "rate": band.rate_hz() }))?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/score.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("its input is a pipe")?.write_all(wishes.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "score.py: {}", String::from_utf8_lossy(&output.stderr).trim());
    let scores: Vec<Score> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()?;
    ensure!(scores.len() == pairs.len(), "{} scores of {}", scores.len(), pairs.len());
    Ok(scores)
}

/// The clip that is spoken, 48 kHz: English, then Russian.
///
/// # Errors
/// When ffmpeg is missing.
pub fn speech() -> anyhow::Result<Pcm> {
    ffmpeg::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/speech.flac"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    #[test]
    fn worse_codecs_score_less_and_a_gap_is_heard() {
        let speech = speech().unwrap();
        let late = |sound: &Pcm| Pcm::silence(700, ffmpeg::RATE_HZ).then(sound);
        let alaw = late(&ffmpeg::through(Codec::Pcma, &speech, 0).unwrap());
        let opus = late(&ffmpeg::through(Codec::Opus, &speech, 32_000).unwrap());
        let poor = late(&ffmpeg::through(Codec::Opus, &speech, 6000).unwrap());
        let mut torn = opus.clone();
        for packet in torn.samples.chunks_mut(960).step_by(20) {
            packet.fill(0);
        }
        let pair = |band, heard| Pair { band, original: &speech, heard };
        let scored = scores(&[
            pair(Band::Narrow, &alaw),
            pair(Band::Wide, &opus),
            pair(Band::Wide, &poor),
            pair(Band::Wide, &torn),
            pair(Band::Wide, &speech),
        ]);
        let scored = scored.unwrap();
        assert!(scored[..4].iter().all(|score| score.delay_ms.abs_diff(700) <= 8), "{scored:?}");
        let mos: Vec<f64> = scored.iter().map(|score| score.mos).collect();
        assert!(mos[0] > 3.8 && mos[1] > 3.6 && mos[4] > 4.6, "{mos:?}");
        assert!(mos[2] < mos[1] * 0.9 && mos[3] < mos[1] * 0.9, "{mos:?}");
    }
}
