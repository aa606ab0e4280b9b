//! What transcoding costs beside libopus alone: the same sound decoded and encoded by the library with nothing around it;
//! and what it costs to watch the levels of a call that passes.
//!
//! Processor time of this one thread is counted, so a busy machine blurs it little. `cargo bench -p tgtrunk-media`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::f32::consts::TAU;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use audiopus::coder::{Decoder, Encoder};
use audiopus::{Application, Bitrate, Channels, SampleRate, Signal};

use tgtrunk_media::codec::{Codec, EncoderSettings, G722, L16, OPUS, PCMA, PCMU};
use tgtrunk_media::dtmf::{self, Way};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Relay, Side};

/// How much dearer a relayed call may be.
const LIMIT: f64 = 1.15;
/// How long the call is, and how often it is measured; the cheapest round counts.
const CALL_MS: u32 = 20_000;
const ROUNDS: usize = 9;
const PASSING_CALLS: u32 = 20;
const TELEGRAM_PTIME_MS: u32 = 60;

fn main() -> ExitCode {
    let mut is_cheap = true;
    println!("{:>6} {:>14} {:>14} {:>7}", "codec", "libopus us/s", "relay us/s", "ratio");
    for codec in [&PCMA, &PCMU, &G722, &L16] {
        let sound = Sound::of(codec);
        let (mut alone, mut relayed) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            alone = alone.min(processor_time(|| sound.by_library_alone()));
            relayed = relayed.min(processor_time(|| sound.by_relay(false)));
        }
        // Nanoseconds of a whole call to microseconds of one second of it.
        let per_second = f64::from(CALL_MS);
        let ratio = relayed / alone;
        println!(
            "{:>6} {:>14.0} {:>14.0} {ratio:>7.3}",
            codec.name,
            alone / per_second,
            relayed / per_second
        );
        is_cheap &= ratio <= LIMIT;
    }
    let passing = Sound::of(&OPUS);
    let mut costs = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (cost, is_watched) in costs.iter_mut().zip([false, true]) {
            // One call that passes is shorter than the clock's step.
            let calls = || (0..PASSING_CALLS).for_each(|_| passing.by_relay(is_watched));
            *cost = cost.min(processor_time(calls) / f64::from(PASSING_CALLS));
        }
    }
    let [passes, watched] = costs.map(|cost| cost / f64::from(CALL_MS));
    println!("opus that passes: {passes:.0} us/s, and {watched:.0} us/s while its levels are watched");
    if is_cheap { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What both sides of one call say.
struct Sound {
    codec: &'static Codec,
    /// Opus as Telegram's clients send it.
    telegram: Vec<Vec<u8>>,
    /// The PBX's payloads, and their sound as the library's encoder is to get it.
    trunk: Vec<Vec<u8>>,
    pcm: Vec<i16>,
}

impl Sound {
    fn of(codec: &'static Codec) -> Self {
        let mut encoder = OPUS.encoder(48_000, EncoderSettings::default()).unwrap();
        let telegram = payloads(&voice(48_000), 48 * TELEGRAM_PTIME_MS, |pcm, out| encoder.encode(pcm, out));
        let mut encoder = codec.encoder(codec.sample_hz, EncoderSettings::default()).unwrap();
        let samples = codec.sample_hz / 1000 * codec.default_ptime_ms;
        let trunk = payloads(&voice(codec.sample_hz), samples, |pcm, out| encoder.encode(pcm, out));
        let mut decoder = codec.decoder(codec.sample_hz).unwrap();
        let mut pcm = Vec::new();
        for payload in &trunk {
            decoder.decode(payload, &mut pcm).unwrap();
        }
        Self { codec, telegram, trunk, pcm }
    }

    fn by_library_alone(&self) {
        // As the relay has it do.
        let usual = EncoderSettings::default().complexity;
        let (rate, bps, complexity, signal) = match self.codec.sample_hz {
            8_000 => (SampleRate::Hz8000, 48_000, 0, Signal::Music),
            16_000 => (SampleRate::Hz16000, 40_000, usual, Signal::Auto),
            _ => (SampleRate::Hz48000, 48_000, usual, Signal::Auto),
        };
        let mut encoder = Encoder::new(rate, Channels::Mono, Application::Voip).unwrap();
        encoder.set_complexity(complexity).unwrap();
        encoder.set_bitrate(Bitrate::BitsPerSecond(bps)).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_signal(signal).unwrap();
        let mut decoder = Decoder::new(rate, Channels::Mono).unwrap();
        let mut pcm = vec![0_i16; (self.codec.sample_hz / 1000 * 120) as usize];
        for packet in &self.telegram {
            let room = pcm.as_mut_slice().try_into().unwrap();
            black_box(decoder.decode(Some(packet.as_slice().try_into().unwrap()), room, false).unwrap());
        }
        let mut packet = [0; 1275];
        for frame in self.pcm.chunks_exact((self.codec.sample_hz / 1000 * OPUS.default_ptime_ms) as usize) {
            black_box(encoder.encode(frame, &mut packet).unwrap());
        }
    }

    fn by_relay(&self, is_watched: bool) {
        let mut relay = Relay::new(1);
        relay.meter(is_watched);
        let events =
            dtmf::Format { payload_type: 101, receive_payload_type: 101, clock_hz: self.codec.clock_hz };
        let trunk = Audio { events: Some(events), digits: Way::Rfc4733, ..Audio::new(self.codec, 8, 1) };
        relay.set_audio(Side::Trunk, trunk);
        relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 2));
        let start = Instant::now();
        let mut batch = Batch::default();
        let (mut datagram, mut made, mut packets) = (Vec::new(), Vec::new(), 0);
        for ms in 0..CALL_MS {
            let now = start + Duration::from_millis(ms.into());
            if is_watched && ms % 100 == 0 {
                black_box([relay.level(Side::Telegram), relay.level(Side::Trunk)]);
            }
            let turns = [
                (Side::Telegram, &self.telegram, TELEGRAM_PTIME_MS, 48),
                (Side::Trunk, &self.trunk, self.codec.default_ptime_ms, self.codec.clock_hz / 1000),
            ];
            for (side, payloads, ptime_ms, ticks_per_ms) in turns {
                if ms % ptime_ms != 0 {
                    continue;
                }
                let number = ms / ptime_ms;
                let Some(payload) = payloads.get(number as usize) else { continue };
                datagram.clear();
                Packet {
                    marker: false,
                    payload_type: 8,
                    sequence: number as u16,
                    timestamp: ms * ticks_per_ms,
                    ssrc: 5,
                    payload,
                }
                .write(&mut datagram);
                batch.clear();
                relay.handle_packet(now, side, &datagram, &mut batch);
                packets += batch.len();
            }
            if relay.poll_timeout().is_some_and(|(due, _)| due <= now) {
                relay.handle_timeout(now);
                while relay.poll_packet(&mut made).is_some() {
                    packets += 1;
                }
            }
        }
        let other_ms = if *self.codec == OPUS { TELEGRAM_PTIME_MS } else { OPUS.default_ptime_ms };
        let expected = CALL_MS / self.codec.default_ptime_ms + CALL_MS / other_ms;
        assert!(packets as u32 > expected * 95 / 100, "{packets} packets of {expected}");
    }
}

fn payloads(pcm: &[i16], samples: u32, mut encode: impl FnMut(&[i16], &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let frames = pcm.chunks_exact(samples as usize);
    frames
        .map(|frame| {
            let mut payload = Vec::new();
            encode(frame, &mut payload);
            payload
        })
        .collect()
}

/// Something like speech: a buzz whose pitch and loudness wander, with pauses.
fn voice(sample_hz: u32) -> Vec<i16> {
    let mut phase = 0.0_f32;
    (0..sample_hz / 1000 * CALL_MS)
        .map(|at| {
            let time = at as f32 / sample_hz as f32;
            phase = (phase + (140.0 + 40.0 * (TAU * 1.3 * time).sin()) / sample_hz as f32).fract();
            let buzz: f32 = (1..16).map(|n| (TAU * phase * n as f32).sin() / n as f32).sum();
            (4000.0 * buzz * (0.6 + 0.5 * (TAU * 3.1 * time).sin()).max(0.0)) as i16
        })
        .collect()
}

/// Nanoseconds that this thread ran on a processor meanwhile.
fn processor_time(work: impl FnOnce()) -> f64 {
    let ran = || -> f64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let before = ran();
    work();
    ran() - before
}
