//! Sound as samples, and as WAV files that phones play and write.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

use anyhow::ensure;

/// Amplitude of a tone of [`Pcm::tone`].
const AMPLITUDE: f64 = 9000.0;
/// How long a tone swells and fades, so that it does not click.
const RAMP_MS: u32 = 5;

/// One channel of 16-bit samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pcm {
    pub samples: Vec<i16>,
    pub rate_hz: u32,
}

impl Pcm {
    /// Silence.
    pub fn silence(length_ms: u32, rate_hz: u32) -> Self {
        Self { samples: vec![0; samples(length_ms, rate_hz)], rate_hz }
    }

    /// Sines that sound at once.
    pub fn tone(hertz: &[u32], length_ms: u32, rate_hz: u32) -> Self {
        let (count, ramp) = (samples(length_ms, rate_hz), samples(RAMP_MS, rate_hz) as f64);
        let sample = |at: usize| {
            let edge = (at.min(count - 1 - at) as f64 / ramp).min(1.0);
            let time = at as f64 / f64::from(rate_hz);
            let sum: f64 = hertz.iter().map(|hz| (TAU * f64::from(*hz) * time).sin()).sum();
            (AMPLITUDE * edge * sum / hertz.len() as f64) as i16
        };
        Self { samples: (0..count).map(sample).collect(), rate_hz }
    }

    /// This, then that.
    #[must_use]
    pub fn then(mut self, next: &Self) -> Self {
        assert_eq!(self.rate_hz, next.rate_hz, "both have the same rate");
        self.samples.extend(&next.samples);
        self
    }

    /// A part of it, as much as there is.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.samples.len());
        Self { samples: self.samples[from.min(to)..to].to_vec(), rate_hz: self.rate_hz }
    }

    /// Milliseconds.
    pub fn length_ms(&self) -> u64 {
        self.samples.len() as u64 * 1000 / u64::from(self.rate_hz)
    }

    /// Reads 16-bit PCM of any channel count; the header's sizes are not trusted, a killed writer leaves them 0.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path)?;
        ensure!(bytes.len() >= 44 && &bytes[..4] == b"RIFF", "{} is no WAV file", path.display());
        let channels = usize::from(u16::from_le_bytes([bytes[22], bytes[23]])).max(1);
        let rate_hz = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
        let data = bytes.windows(4).position(|name| name == b"data").map_or(44, |at| at + 8);
        let values: Vec<i16> = bytes[data.min(bytes.len())..]
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let mean =
            |frame: &[i16]| frame.iter().map(|value| i32::from(*value)).sum::<i32>() / frame.len() as i32;
        let samples = values
            .chunks_exact(channels)
            .map(|frame| i16::try_from(mean(frame)).unwrap_or_default())
            .collect();
        Ok(Self { samples, rate_hz })
    }

    /// Writes a WAV file with the same sound in each channel.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, channels: u16) -> anyhow::Result<()> {
        let data_bytes = u32::try_from(self.samples.len())? * u32::from(channels) * 2;
        let mut bytes = Vec::with_capacity(44 + self.samples.len() * 2 * usize::from(channels));
        bytes.extend(b"RIFF");
        bytes.extend((36 + data_bytes).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(self.rate_hz.to_le_bytes());
        bytes.extend((self.rate_hz * u32::from(channels) * 2).to_le_bytes());
        bytes.extend((channels * 2).to_le_bytes());
        bytes.extend(16_u16.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(data_bytes.to_le_bytes());
        for sample in &self.samples {
            for _ in 0..channels {
                bytes.extend(sample.to_le_bytes());
            }
        }
        Ok(fs::write(path, bytes)?)
    }

    /// The samples as bytes, the low byte first.
    pub fn bytes(&self) -> Vec<u8> {
        self.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// Samples from bytes, the low byte first.
    pub fn from_bytes(bytes: &[u8], rate_hz: u32) -> Self {
        let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        Self { samples, rate_hz }
    }
}

/// How many samples a time takes.
pub fn samples(length_ms: u32, rate_hz: u32) -> usize {
    (u64::from(length_ms) * u64::from(rate_hz) / 1000) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_it_was_written_in_one_channel_and_in_two() {
        let folder = tempfile::tempdir().unwrap();
        let sound = Pcm::tone(&[440, 880], 100, 8000).then(&Pcm::silence(50, 8000));
        assert_eq!(sound.length_ms(), 150);
        for channels in [1, 2] {
            let file = folder.path().join("sound.wav");
            sound.write(&file, channels).unwrap();
            assert_eq!(Pcm::read(&file).unwrap(), sound);
        }
        assert_eq!(Pcm::from_bytes(&sound.bytes(), 8000), sound);
        assert_eq!(sound.part(790, 810).samples.len(), 20);
        assert_eq!(sound.part(1190, 9000).samples, [0; 10]);
    }
}
