//! What the packet path takes from the heap: nothing, once a call has run for a moment.
//!
//! One test in one process, because the counter counts for the whole of it.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use tgtrunk_media::codec::{EncoderSettings, OPUS, TABLE};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Relay, Side};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

#[test]
fn packets_take_nothing_from_the_heap() {
    let _profiler = dhat::Profiler::builder().testing().build();
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) > 0, "the counter counts");
    for codec in TABLE {
        decoded_and_encoded(codec);
        relayed(codec);
    }
}

/// A whole call between Opus packets of 60 ms and a codec, with a loss now and then.
fn relayed(codec: &'static tgtrunk_media::Codec) {
    let mut relay = Relay::new(1);
    relay.set_audio(Side::Trunk, Audio::new(codec, 8, 1));
    relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 2));
    let mut now = Instant::now();
    let mut batch = Batch::with_capacity(8, 8000);
    let mut made = Vec::with_capacity(2000);
    let (mut to_trunk, mut to_telegram) = (0_u32, 0_u32);
    let telegram = [0xfb, 0x03, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    let mut encoder = codec.encoder(codec.sample_hz, EncoderSettings::default()).unwrap();
    let (mut trunk, mut at) = (Vec::new(), 0_u16);
    encoder.encode(&vec![0; (codec.sample_hz / 1000 * codec.default_ptime_ms) as usize], &mut trunk);
    let mut datagram = Vec::with_capacity(2000);
    let mut packet = |_: u32| {
        for (side, every, payload, clock_hz) in [
            (Side::Telegram, 60 / codec.default_ptime_ms, &telegram[..], 48_000),
            (Side::Trunk, 1, &trunk, codec.clock_hz),
        ] {
            let number = at / every as u16;
            if !u32::from(at).is_multiple_of(every) || number % 11 == 5 {
                continue;
            }
            datagram.clear();
            let timestamp = u32::from(at) * codec.default_ptime_ms * (clock_hz / 1000);
            Packet { marker: false, payload_type: 8, sequence: number, timestamp, ssrc: 5, payload }
                .write(&mut datagram);
            batch.clear();
            relay.handle_packet(now, side, &datagram, &mut batch);
            match side {
                Side::Telegram => to_trunk += batch.len() as u32,
                Side::Trunk => to_telegram += batch.len() as u32,
            }
        }
        at += 1;
        now += Duration::from_millis(codec.default_ptime_ms.into());
        relay.handle_timeout(now);
        while let Some(side) = relay.poll_packet(&mut made) {
            match side {
                Side::Trunk => to_trunk += 1,
                Side::Telegram => to_telegram += 1,
            }
        }
        while relay.poll_event().is_some() {}
    };
    (0..1000).for_each(&mut packet);
    let taken = allocations(|| (0..2000).for_each(&mut packet));
    assert_eq!(taken, 0, "a call of {codec:?}");
    assert!(to_trunk > 1400 && to_telegram > 1400, "{codec:?}: {to_trunk} and {to_telegram} packets");
}

/// Every codec in both directions, with a loss now and then, as a transcoded call runs it.
fn decoded_and_encoded(codec: &tgtrunk_media::Codec) {
    for row in [codec, &OPUS] {
        let sample_hz = codec.sample_hz;
        let samples = (sample_hz / 1000 * codec.default_ptime_ms) as usize;
        let mut encoder = row.encoder(sample_hz, EncoderSettings::default()).unwrap();
        let mut decoder = row.decoder(sample_hz).unwrap();
        let sound: Vec<i16> = (0..samples).map(|at| (6000.0 * (at as f32 * 0.1).sin()) as i16).collect();
        let (mut payload, mut pcm) = (Vec::new(), Vec::new());
        let mut packet = |at: u32| {
            payload.clear();
            pcm.clear();
            encoder.encode(&sound, &mut payload);
            encoder.set_loss(0.1);
            if at.is_multiple_of(7) {
                decoder.conceal(samples, Some(&payload), &mut pcm);
            }
            decoder.decode(&payload, &mut pcm).unwrap();
            assert_eq!(decoder.samples(&payload), Some(samples));
        };
        (0..20).for_each(&mut packet);
        let taken = allocations(|| (0..500).for_each(&mut packet));
        assert_eq!(taken, 0, "{row:?} beside {codec:?}");
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    work();
    dhat::HeapStats::get().total_blocks - before
}
