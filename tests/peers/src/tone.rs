//! A tone as Opus packets, and how much of what was heard is that tone.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use anyhow::Context as _;
use audiopus::coder::{Decoder, Encoder};
use audiopus::packet::nb_samples;
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

const RATE_HZ: usize = 48_000;
/// What a packet may hold at most: 120 ms (RFC 6716 section 2.1.4).
const LONGEST_PACKET: usize = RATE_HZ * 120 / 1000;
const AMPLITUDE: f64 = 9000.0;
/// Energy this near to the tone counts as the tone.
const NEAR_HZ: f64 = 5.0;
/// Mean amplitude below which 10 ms are silence.
const SILENCE: f64 = 200.0;

/// An endless sine, encoded.
pub struct Generator {
    encoder: Encoder,
    step: f64,
    phase: f64,
    frame: Vec<i16>,
}

impl Generator {
    /// Packets of 20 ms.
    ///
    /// # Errors
    /// When libopus fails.
    pub fn new(hz: u32) -> anyhow::Result<Self> {
        Self::with_packets_of(hz, 20)
    }

    /// Packets of `packet_ms`: 10, 20, 40 or 60.
    ///
    /// # Errors
    /// When libopus fails.
    pub fn with_packets_of(hz: u32, packet_ms: usize) -> anyhow::Result<Self> {
        let mut encoder = Encoder::new(SampleRate::Hz48000, Channels::Mono, Application::Voip)?;
        encoder.set_bitrate(Bitrate::BitsPerSecond(32_000))?;
        let frame = vec![0; RATE_HZ / 1000 * packet_ms];
        Ok(Generator { encoder, step: TAU * f64::from(hz) / RATE_HZ as f64, phase: 0.0, frame })
    }

    /// The next packet.
    ///
    /// # Errors
    /// When libopus fails.
    pub fn packet(&mut self) -> anyhow::Result<Vec<u8>> {
        for sample in &mut self.frame {
            *sample = (AMPLITUDE * self.phase.sin()) as i16;
            self.phase = (self.phase + self.step) % TAU;
        }
        let mut packet = vec![0; 1275];
        let len = self.encoder.encode(&self.frame, &mut packet)?;
        packet.truncate(len);
        Ok(packet)
    }

    /// Samples of 48 kHz in each packet.
    pub fn packet_samples(&self) -> u32 {
        self.frame.len() as u32
    }
}

/// Decodes what it is fed and compares it with a tone.
pub struct Meter {
    decoder: Decoder,
    hz: u32,
    heard: VecDeque<i16>,
    received_samples: usize,
    /// Samples kept for the analysis, the latest.
    limit: usize,
}

impl Meter {
    /// A meter for the tone of `hz`.
    ///
    /// # Errors
    /// When libopus fails.
    pub fn new(hz: u32) -> anyhow::Result<Self> {
        let decoder = Decoder::new(SampleRate::Hz48000, Channels::Mono)?;
        Ok(Meter { decoder, hz, heard: VecDeque::new(), received_samples: 0, limit: 30 * RATE_HZ })
    }

    /// Takes the payload of one RTP packet.
    ///
    /// # Errors
    /// When it is no Opus packet.
    pub fn feed(&mut self, opus: &[u8]) -> anyhow::Result<()> {
        self.received_samples += nb_samples(opus.try_into()?, SampleRate::Hz48000)?;
        let mut samples = vec![0; LONGEST_PACKET];
        let signals = MutSignals::try_from(&mut samples)?;
        let decoded = self.decoder.decode(Some(opus.try_into()?), signals, false).context("not Opus")?;
        self.heard.extend(&samples[..decoded]);
        let excess = self.heard.len().saturating_sub(self.limit);
        self.heard.drain(..excess);
        Ok(())
    }

    /// Milliseconds of the packets fed, by what they say of themselves.
    pub fn received_ms(&self) -> u64 {
        (self.received_samples * 1000 / RATE_HZ) as u64
    }

    /// Milliseconds of what was fed in which there is any sound.
    pub fn sounds_ms(&mut self) -> u64 {
        let chunks = self.heard.make_contiguous().chunks(RATE_HZ / 100);
        10 * chunks.filter(|chunk| sounds(chunk)).count() as u64
    }

    /// Share of the energy within 5 Hz of the tone, from the first to the last sound; 0 if less than 0.5 s sounded.
    pub fn share(&mut self) -> f64 {
        share(self.heard.make_contiguous(), self.hz)
    }
}

/// Share of the energy of 48 kHz samples within 5 Hz of a tone, from the first to the last sound; 0 if they sound for
/// less than 0.5 s.
pub fn share(samples: &[i16], hz: u32) -> f64 {
    share_of(samples, RATE_HZ as u32, &[hz])
}

/// The same for samples of any rate and for tones that sound at once.
pub fn share_of(samples: &[i16], rate_hz: u32, hertz: &[u32]) -> f64 {
    let chunk = rate_hz as usize / 100;
    let Some(first) = samples.chunks(chunk).position(sounds) else { return 0.0 };
    let last = samples.chunks(chunk).rposition(sounds).unwrap_or(first);
    let heard = &samples[first * chunk..((last + 1) * chunk).min(samples.len())];
    if heard.len() < rate_hz as usize / 2 {
        return 0.0;
    }
    let len = heard.len() as f64;
    let mut spectrum: Vec<Complex<f64>> = heard
        .iter()
        .enumerate()
        .map(|(at, sample)| {
            let window = 0.5 - 0.5 * (TAU * at as f64 / len).cos();
            Complex::new(f64::from(*sample) * window, 0.0)
        })
        .collect();
    FftPlanner::new().plan_fft_forward(spectrum.len()).process(&mut spectrum);
    let positive = spectrum.len() / 2;
    let bin_hz = f64::from(rate_hz) / len;
    let (mut near, mut all) = (0.0, 0.0);
    for (at, value) in spectrum[..positive].iter().enumerate() {
        let energy = value.norm_sqr();
        all += energy;
        if hertz.iter().any(|hz| (at as f64 * bin_hz - f64::from(*hz)).abs() <= NEAR_HZ) {
            near += energy;
        }
    }
    if all > 0.0 { near / all } else { 0.0 }
}

fn sounds(chunk: &[i16]) -> bool {
    chunk.iter().map(|sample| f64::from(*sample).abs()).sum::<f64>() / chunk.len() as f64 > SILENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_heard_as_itself_and_not_as_another() {
        for packet_ms in [10, 20, 40, 60] {
            let mut generator = Generator::with_packets_of(440, packet_ms).unwrap();
            let (mut same, mut other) = (Meter::new(440).unwrap(), Meter::new(880).unwrap());
            for _ in 0..2000 / packet_ms {
                let packet = generator.packet().unwrap();
                same.feed(&packet).unwrap();
                other.feed(&packet).unwrap();
            }
            assert!(same.share() > 0.99, "{packet_ms} ms: {}", same.share());
            assert!(other.share() < 0.01, "{packet_ms} ms: {}", other.share());
            assert!(same.sounds_ms() > 1900, "{} ms", same.sounds_ms());
            assert_eq!(same.received_ms(), (2000 / packet_ms * packet_ms) as u64);
        }
    }

    #[test]
    fn silence_noise_and_half_a_tone_are_no_tone() {
        let mut state = 1_u32;
        let noise: Vec<i16> = (0..96_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / 4
            })
            .collect();
        assert_eq!(share(&[0; 96_000], 440), 0.0);
        assert!(share(&noise, 440) < 0.02);
        let tone = (0..96_000).map(|at| (8000.0 * (TAU * 440.0 * f64::from(at) / 48_000.0).sin()) as i16);
        let disturbed: Vec<i16> = tone.zip(&noise).map(|(tone, noise)| tone + noise).collect();
        let mixed = share(&disturbed, 440);
        assert!(mixed > 0.3 && mixed < 0.9, "{mixed}");
    }
}
