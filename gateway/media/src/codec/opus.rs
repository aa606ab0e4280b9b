//! Opus (RFC 6716) by libopus, in RTP after RFC 7587: mono speech in a format that is called stereo.

use audiopus::coder::{Decoder as LibDecoder, Encoder as LibEncoder};
use audiopus::packet::Packet;
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate, Signal};

use super::{Codec, Decoder, Encoder, EncoderSettings, Malformed};
use crate::opus::Shape;

/// The row of Opus.
pub static OPUS: Codec = Codec {
    name: "opus",
    clock_hz: 48_000,
    channels: 2,
    static_payload_type: None,
    offered_payload_type: 107,
    fmtp: "useinbandfec=1;minptime=10",
    sample_hz: 48_000,
    default_ptime_ms: 20,
    open_decoder: |sample_hz| OpusDecoder::open(sample_hz).map(|one| Box::new(one) as _),
    open_encoder: |sample_hz, settings| OpusEncoder::open(sample_hz, settings).map(|one| Box::new(one) as _),
};

/// The largest packet we write: one frame of the largest size (RFC 6716 section 3.2.1), which fits a datagram.
const LARGEST_BYTES: usize = 1275;
/// So many reports without a loss, and a network is taken for one that loses nothing again: half a minute, as they come.
const CLEAN_REPORTS: u32 = 6;

#[derive(Debug)]
struct OpusDecoder {
    lib: LibDecoder,
    sample_hz: usize,
}

impl OpusDecoder {
    fn open(sample_hz: u32) -> Option<Self> {
        let Rate { rate, .. } = rate(sample_hz)?;
        let lib = LibDecoder::new(rate, Channels::Mono).ok()?;
        Some(Self { lib, sample_hz: sample_hz as usize })
    }

    fn fill(&mut self, packet: Option<Packet<'_>>, fec: bool, pcm: &mut [i16]) -> Option<usize> {
        let room = MutSignals::try_from(pcm).ok()?;
        self.lib.decode(packet, room, fec).ok()
    }
}

impl Decoder for OpusDecoder {
    fn decode(&mut self, payload: &[u8], pcm: &mut Vec<i16>) -> Result<(), Malformed> {
        let malformed = Malformed { codec: OPUS.name, bytes: payload.len() };
        let samples = self.samples(payload).ok_or(malformed)?;
        let packet = Packet::try_from(payload).map_err(|_| malformed)?;
        let before = pcm.len();
        pcm.resize(before + samples, 0);
        let decoded = self.fill(Some(packet), false, &mut pcm[before..]);
        pcm.truncate(before + decoded.unwrap_or(0));
        decoded.map(|_| ()).ok_or(malformed)
    }

    fn conceal(&mut self, samples: usize, next: Option<&[u8]>, pcm: &mut Vec<i16>) {
        if samples == 0 {
            return;
        }
        // libopus conceals in steps of 2.5 ms, the shortest frame.
        let step = self.sample_hz / 400;
        let before = pcm.len();
        pcm.resize(before + samples.next_multiple_of(step), 0);
        let next = next.filter(|next| self.samples(next).is_some());
        let packet = next.and_then(|next| Packet::try_from(next).ok());
        let fec = packet.is_some();
        if self.fill(packet, fec, &mut pcm[before..]).is_none() {
            pcm[before..].fill(0);
        }
        pcm.truncate(before + samples);
    }

    fn samples(&self, payload: &[u8]) -> Option<usize> {
        Shape::read(payload).map(|shape| shape.ticks() as usize * self.sample_hz / OPUS.clock_hz as usize)
    }
}

#[derive(Debug)]
struct OpusEncoder {
    lib: LibEncoder,
    sturdy: Way,
    swift: Option<Way>,
    /// How many reports without a loss are to come before it is `swift` again.
    clean_wanted: u32,
}

/// How libopus is told to work.
#[derive(Debug, Clone, Copy)]
struct Way {
    signal: Signal,
    bitrate_bps: u32,
    complexity: u8,
}

impl OpusEncoder {
    fn open(sample_hz: u32, settings: EncoderSettings) -> Option<Self> {
        let Rate { rate, sturdy_bps, swift_bps } = rate(sample_hz)?;
        let mut lib = LibEncoder::new(rate, Channels::Mono, Application::Voip).ok()?;
        lib.set_inband_fec(settings.fec).ok()?;
        let bits = |suitable| settings.bitrate_bps.unwrap_or(suitable).clamp(6_000, 510_000);
        let sturdy = Way {
            signal: Signal::Auto,
            bitrate_bps: bits(sturdy_bps),
            complexity: settings.complexity.min(10),
        };
        let swift = swift_bps.filter(|&least| bits(least) >= least);
        let swift = swift.map(|least| Way { signal: Signal::Music, bitrate_bps: bits(least), complexity: 0 });
        take(&mut lib, swift.unwrap_or(sturdy)).ok()?;
        Some(Self { lib, sturdy, swift, clean_wanted: 0 })
    }
}

fn take(lib: &mut LibEncoder, way: Way) -> audiopus::Result<()> {
    lib.set_signal(way.signal)?;
    lib.set_bitrate(Bitrate::BitsPerSecond(way.bitrate_bps as i32))?;
    lib.set_complexity(way.complexity)
}

impl Encoder for OpusEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        let mut packet = [0_u8; LARGEST_BYTES];
        match self.lib.encode(pcm, &mut packet) {
            Ok(bytes) => out.extend_from_slice(&packet[..bytes]),
            Err(error) => tracing::debug!(samples = pcm.len(), %error, "not encoded"),
        }
    }

    fn set_loss(&mut self, share: f32) {
        let percent = (share.clamp(0.0, 1.0) * 100.0).round() as u8;
        let mut taken = self.lib.set_packet_loss_perc(percent);
        if let Some(swift) = self.swift {
            let before = self.clean_wanted;
            self.clean_wanted = if share > 0.0 { CLEAN_REPORTS } else { before.saturating_sub(1) };
            taken = taken.and(match (before, self.clean_wanted) {
                (0, 1..) => take(&mut self.lib, self.sturdy),
                (1.., 0) => take(&mut self.lib, swift),
                _ => Ok(()),
            });
        }
        if let Err(error) = taken {
            tracing::debug!(percent, %error, "libopus stays as it was");
        }
    }
}

/// A rate we use, and bits per second at which speech loses nothing that the other codec had kept.
struct Rate {
    rate: SampleRate,
    /// Whatever the network loses: by linear prediction (SILK), which alone carries copies of old sound (FEC). Those begin
    /// when the peer reports a loss: they cost quality.
    sturdy_bps: u32,
    /// While it loses nothing: by transform (CELT). PESQ gives 4.03 to speech of 8,000 samples a second that had been PCMA, for
    /// 11 us of work on 20 ms; SILK needs 55 us for that, at complexity 5. With complexities of 1 to 3 SILK does as well with
    /// speech, but makes a noise of a tone that had been PCMU. CELT gains nothing by more work: 4.03, 3.98, 3.99, 3.97, 4.03
    /// with complexities of 0, 1, 4, 5, 10.
    swift_bps: Option<u32>,
}

fn rate(sample_hz: u32) -> Option<Rate> {
    let (rate, sturdy_bps, swift_bps) = match sample_hz {
        8_000 => (SampleRate::Hz8000, 32_000, Some(48_000)),
        16_000 => (SampleRate::Hz16000, 40_000, None),
        48_000 => (SampleRate::Hz48000, 48_000, None),
        _ => return None,
    };
    Some(Rate { rate, sturdy_bps, swift_bps })
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];

    #[test]
    fn a_tone_survives_at_every_rate_and_frame_length() {
        for sample_hz in RATES_HZ {
            for frame_ms in [10, 20, 40, 60] {
                let sound = tone(sample_hz, 600);
                let heard = through(sample_hz, frame_ms, &sound);
                assert_eq!(heard.len(), sound.len());
                let [before, after] = [&sound, &heard].map(|pcm| level(&pcm[pcm.len() / 2..]));
                assert!((0.7..1.4).contains(&(after / before)), "{sample_hz} {frame_ms}: {before} {after}");
            }
        }
    }

    #[test]
    fn packets_hold_about_the_bits_that_suit_the_rate() {
        for (sample_hz, suitable_bps) in [(8_000, 48_000), (16_000, 40_000), (48_000, 48_000)] {
            let mut encoder = OPUS.encoder(sample_hz, EncoderSettings::default()).unwrap();
            let mut out = Vec::new();
            for frame in voice(sample_hz, 2000).chunks(sample_hz as usize / 50) {
                encoder.encode(frame, &mut out);
            }
            let bps = out.len() * 8 / 2;
            assert!((suitable_bps / 3..suitable_bps * 3 / 2).contains(&bps), "{sample_hz}: {bps}");
        }
    }

    #[test]
    fn packets_say_mono_and_their_length_is_known_without_decoding() {
        for sample_hz in RATES_HZ {
            let mut encoder = OPUS.encoder(sample_hz, EncoderSettings::default()).unwrap();
            let decoder = OPUS.decoder(sample_hz).unwrap();
            for frame_ms in [10, 20, 60] {
                let mut packet = Vec::new();
                let samples = (sample_hz * frame_ms / 1000) as usize;
                encoder.encode(&vec![0; samples], &mut packet);
                let shape = Shape::read(&packet).unwrap();
                assert!(!shape.stereo);
                assert_eq!(shape.duration().as_millis(), u128::from(frame_ms));
                assert_eq!(decoder.samples(&packet), Some(samples));
            }
        }
    }

    #[test]
    fn a_packet_from_another_rate_is_heard_at_ours() {
        let mut encoder = OPUS.encoder(48_000, EncoderSettings::default()).unwrap();
        let mut decoder = OPUS.decoder(8_000).unwrap();
        let (mut packet, mut pcm) = (Vec::new(), Vec::new());
        for frame in tone(48_000, 180).chunks(2880) {
            packet.clear();
            encoder.encode(frame, &mut packet);
            decoder.decode(&packet, &mut pcm).unwrap();
        }
        assert_eq!(pcm.len(), 3 * 480);
        assert!(level(&pcm[960..]) > 3000.0);
    }

    #[test]
    fn a_lost_packet_comes_back_from_the_next_one() {
        for sample_hz in RATES_HZ {
            let (with_fec, without) = (recovered(sample_hz, true), recovered(sample_hz, false));
            assert!(
                with_fec < without * 0.8,
                "{sample_hz}: error {with_fec} with the copy, {without} without"
            );
        }
    }

    #[test]
    fn concealment_has_any_length_asked_for_and_fades() {
        // Linear prediction at every rate: to CELT a tone that never pauses is background, which goes on. Playout fades by itself.
        let sturdy = EncoderSettings { bitrate_bps: Some(32_000), ..EncoderSettings::default() };
        for sample_hz in RATES_HZ {
            let mut decoder = OPUS.decoder(sample_hz).unwrap();
            let mut pcm = heard_by(&mut *decoder, sample_hz, sturdy, &tone(sample_hz, 200));
            for samples in [0, 1, 7, sample_hz as usize / 100, sample_hz as usize] {
                let before = pcm.len();
                decoder.conceal(samples, None, &mut pcm);
                assert_eq!(pcm.len() - before, samples);
            }
            assert!(level(&pcm[pcm.len() - sample_hz as usize / 10..]) < 100.0, "silence after a second");
            decoder.conceal(160, Some(&[]), &mut pcm);
            decoder.conceal(160, Some(&[3, 0]), &mut pcm);
        }
    }

    #[test]
    fn malformed_packets_append_nothing() {
        let mut decoder = OPUS.decoder(48_000).unwrap();
        let mut pcm = vec![1, 2, 3];
        for payload in [&[][..], &[3], &[3, 0], &[1, 2], &[0xff, 0xff, 0xff]] {
            let malformed = Malformed { codec: "opus", bytes: payload.len() };
            assert_eq!(decoder.decode(payload, &mut pcm), Err(malformed));
            assert_eq!(decoder.samples(payload), None);
        }
        assert_eq!(pcm, [1, 2, 3]);
    }

    #[test]
    fn other_rates_and_lengths_are_refused() {
        for sample_hz in [0, 11_025, 44_100, 96_000] {
            assert!(OPUS.decoder(sample_hz).is_err() && OPUS.encoder(sample_hz, settings(5)).is_err());
        }
        let mut out = Vec::new();
        OPUS.encoder(8_000, settings(5)).unwrap().encode(&[0; 161], &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn any_complexity_is_taken() {
        for complexity in [0, 5, 10, 255] {
            let mut out = Vec::new();
            OPUS.encoder(16_000, settings(complexity)).unwrap().encode(&voice(16_000, 20), &mut out);
            assert!(!out.is_empty());
        }
    }

    /// The mode is in the number of the configuration (RFC 6716 section 3.1): 0 to 11 SILK, 16 to 31 CELT.
    #[test]
    fn telephone_sound_goes_by_transform_until_packets_are_lost() {
        let mut encoder = OPUS.encoder(8_000, settings(5)).unwrap();
        let sound = voice(8_000, 1000);
        let modes = |encoder: &mut dyn Encoder| {
            let frames = sound.chunks(160).map(|frame| {
                let mut packet = Vec::new();
                encoder.encode(frame, &mut packet);
                packet[0] >> 3 >= 16
            });
            frames.collect::<Vec<bool>>()
        };
        assert!(modes(&mut *encoder).iter().all(|&is_celt| is_celt));
        encoder.set_loss(0.03);
        assert!(modes(&mut *encoder)[2..].iter().all(|&is_celt| !is_celt));
        (1..CLEAN_REPORTS).for_each(|_| encoder.set_loss(0.0));
        assert!(modes(&mut *encoder).iter().all(|&is_celt| !is_celt));
        encoder.set_loss(0.0);
        assert!(modes(&mut *encoder)[2..].iter().all(|&is_celt| is_celt));

        let few_bits = EncoderSettings { bitrate_bps: Some(16_000), ..settings(5) };
        assert!(modes(&mut *OPUS.encoder(8_000, few_bits).unwrap()).iter().all(|&is_celt| !is_celt));
    }

    fn settings(complexity: u8) -> EncoderSettings {
        EncoderSettings { complexity, ..EncoderSettings::default() }
    }

    /// How far off the sound is that stands for a lost packet, with the next packet at hand or not.
    fn recovered(sample_hz: u32, next_at_hand: bool) -> f32 {
        let mut encoder = OPUS.encoder(sample_hz, EncoderSettings::default()).unwrap();
        encoder.set_loss(0.1);
        let packets: Vec<Vec<u8>> = voice(sample_hz, 2000)
            .chunks(sample_hz as usize / 50)
            .map(|frame| {
                let mut packet = Vec::new();
                encoder.encode(frame, &mut packet);
                packet
            })
            .collect();
        let samples = sample_hz as usize / 50;
        let [mut whole, mut broken] = [(); 2].map(|()| OPUS.decoder(sample_hz).unwrap());
        let (mut original, mut heard, mut error) = (Vec::new(), Vec::new(), 0.0);
        for (at, packet) in packets.iter().enumerate() {
            let before = original.len();
            whole.decode(packet, &mut original).unwrap();
            if at % 5 == 4 && at + 1 < packets.len() {
                let next = next_at_hand.then(|| packets[at + 1].as_slice());
                broken.conceal(samples, next, &mut heard);
                let pairs = original[before..].iter().zip(&heard[before..]);
                error += pairs.map(|(a, b)| (f32::from(*a) - f32::from(*b)).powi(2)).sum::<f32>();
            } else {
                broken.decode(packet, &mut heard).unwrap();
            }
        }
        error.sqrt()
    }

    fn through(sample_hz: u32, frame_ms: u32, sound: &[i16]) -> Vec<i16> {
        let mut encoder = OPUS.encoder(sample_hz, EncoderSettings::default()).unwrap();
        let mut decoder = OPUS.decoder(sample_hz).unwrap();
        let mut heard = Vec::new();
        for frame in sound.chunks((sample_hz * frame_ms / 1000) as usize) {
            let mut packet = Vec::new();
            encoder.encode(frame, &mut packet);
            decoder.decode(&packet, &mut heard).unwrap();
        }
        heard
    }

    fn heard_by(
        decoder: &mut dyn Decoder,
        sample_hz: u32,
        settings: EncoderSettings,
        sound: &[i16],
    ) -> Vec<i16> {
        let mut encoder = OPUS.encoder(sample_hz, settings).unwrap();
        let mut heard = Vec::new();
        for frame in sound.chunks(sample_hz as usize / 50) {
            let mut packet = Vec::new();
            encoder.encode(frame, &mut packet);
            decoder.decode(&packet, &mut heard).unwrap();
        }
        heard
    }

    fn tone(sample_hz: u32, ms: u32) -> Vec<i16> {
        let wave = |at: u32| (8000.0 * (TAU * 440.0 * at as f32 / sample_hz as f32).sin()) as i16;
        (0..sample_hz * ms / 1000).map(wave).collect()
    }

    /// Something like speech: a buzz whose pitch and loudness wander, with harmonics under 3 kHz.
    fn voice(sample_hz: u32, ms: u32) -> Vec<i16> {
        let mut phase = 0.0_f32;
        (0..sample_hz * ms / 1000)
            .map(|at| {
                let time = at as f32 / sample_hz as f32;
                phase += TAU * (140.0 + 40.0 * (TAU * 1.3 * time).sin()) / sample_hz as f32;
                let buzz: f32 = (1..16).map(|n| (phase * n as f32).sin() / n as f32).sum();
                (4000.0 * buzz * (0.55 + 0.45 * (TAU * 3.1 * time).sin())) as i16
            })
            .collect()
    }

    fn level(pcm: &[i16]) -> f32 {
        (pcm.iter().map(|&sample| f32::from(sample).powi(2)).sum::<f32>() / pcm.len() as f32).sqrt()
    }
}
