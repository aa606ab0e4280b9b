//! What decoding, keeping time and encoding cost in a relay, beside what libopus takes for the same sound alone.
//!
//! It measures time, so it is run by name on a quiet machine: `cargo test --release -p tgtrunk-media --test cost -- --ignored`.

#![allow(clippy::disallowed_methods, reason = "it measures time")]
#![allow(clippy::unwrap_used, reason = "what cannot be read is a failed test")]

use std::time::{Duration, Instant};

use tgtrunk_media::codec::{EncoderSettings, OPUS, PCMA};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Relay, Side};

/// What the relay may take beyond libopus.
const LIMIT: f64 = 1.15;
const ROUNDS: usize = 7;
const FRAMES: usize = 3000;

#[test]
#[ignore = "measures time"]
fn a_transcoded_call_costs_little_more_than_libopus_alone() {
    let sound = sound();
    let (opus, pcma) = (packets(&OPUS, &sound), packets(&PCMA, &sound));
    let (mut alone, mut relayed) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        alone = alone.min(time(|| libopus(&opus, &sound)));
        relayed = relayed.min(time(|| relay(&opus, &pcma)));
    }
    let ratio = relayed.as_secs_f64() / alone.as_secs_f64();
    let per_minute = |time: Duration| time.as_secs_f64() * 60.0 / (FRAMES as f64 / 50.0);
    println!(
        "libopus {:.3} s, relay {:.3} s of CPU for a call's minute: {ratio:.3}",
        per_minute(alone),
        per_minute(relayed)
    );
    assert!(ratio < LIMIT, "{ratio}");
}

/// Both directions by libopus and nothing else: decode Opus to 8 kHz, encode 8 kHz to Opus.
fn libopus(opus: &[Vec<u8>], sound: &[i16]) {
    let mut decoder = OPUS.decoder(8000).unwrap();
    let mut encoder = OPUS.encoder(8000, EncoderSettings::default()).unwrap();
    let (mut pcm, mut out) = (Vec::new(), Vec::new());
    for (packet, frame) in opus.iter().zip(sound.chunks(160)) {
        pcm.clear();
        decoder.decode(packet, &mut pcm).unwrap();
        out.clear();
        encoder.encode(frame, &mut out);
        std::hint::black_box((&pcm, &out));
    }
}

fn relay(opus: &[Vec<u8>], pcma: &[Vec<u8>]) {
    let mut relay = Relay::new(1);
    relay.set_audio(Side::Trunk, Audio::new(&PCMA, 8, 1));
    relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 2));
    let mut now = Instant::now();
    let (mut batch, mut datagram, mut out) = (Batch::default(), Vec::new(), Vec::new());
    for (at, (opus, pcma)) in opus.iter().zip(pcma).enumerate() {
        for (side, payload, ticks) in [(Side::Telegram, opus, 960), (Side::Trunk, pcma, 160)] {
            datagram.clear();
            let timestamp = at as u32 * ticks;
            Packet { marker: false, payload_type: 8, sequence: at as u16, timestamp, ssrc: 5, payload }
                .write(&mut datagram);
            relay.handle_packet(now, side, &datagram, &mut batch);
        }
        now += Duration::from_millis(20);
        relay.handle_timeout(now);
        while relay.poll_packet(&mut out).is_some() {
            std::hint::black_box(&out);
        }
    }
    let made = relay.report();
    assert!(made.to_trunk.made as usize > FRAMES - 10 && made.to_telegram.made as usize > FRAMES - 10);
}

fn packets(codec: &tgtrunk_media::Codec, sound: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = codec.encoder(8000, EncoderSettings::default()).unwrap();
    let encode = |frame| {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet);
        packet
    };
    sound.chunks(160).map(encode).collect()
}

/// Buzzing with a wandering pitch and syllables.
fn sound() -> Vec<i16> {
    let sample = |at: usize| {
        let t = at as f64 / 8000.0;
        let syllable = (19.0 * t).sin().max(0.0);
        let phase = std::f64::consts::TAU * (130.0 * t + 5.0 * (4.0 * t).sin());
        let voice: f64 =
            (1..20).map(|harmonic| (phase * f64::from(harmonic)).sin() / f64::from(harmonic)).sum();
        (6000.0 * syllable * voice) as i16
    };
    (0..FRAMES * 160).map(sample).collect()
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}
