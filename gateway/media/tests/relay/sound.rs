//! Sound that is decoded and encoded: pure, in time, without clicks.

use std::time::Instant;

use tgtrunk_media::codec::{Codec, G722, L16, OPUS, PCMA, PCMU};
use tgtrunk_media::{Audio, Relay, Side, Tone};

use crate::signal::{largest_step, likeness, rms, share, sine, sine_step, speech};
use crate::world::{Random, Talker, Voice, World, assert_unbroken, hear, ms};

const NARROW: [&Codec; 4] = [&PCMA, &PCMU, &G722, &L16];

#[test]
fn tones_of_both_sides_are_heard_pure_on_the_other_through_every_codec() {
    for codec in NARROW {
        let mut world = World::with(1, codec);
        let mut talkers = two(codec, sine(440.0, 9000.0, 48_000), sine(880.0, 9000.0, codec.sample_hz));
        world.talk(ms(3000), &mut talkers, &mut |_| Some(ms(20)));
        for (got, codec, hz) in [(&world.trunk, codec, 440.0), (&world.telegram, &OPUS, 880.0)] {
            assert_unbroken(got);
            let pcm = hear(got, codec, codec.sample_hz);
            let steady = &pcm[pcm.len() / 2..pcm.len() - 4800];
            let pure = share(&steady[..codec.sample_hz as usize / 2], hz, codec.sample_hz);
            println!("{} {hz} Hz: {pure:.4}", codec.name);
            assert!(pure > 0.95, "{codec:?} {hz}: {pure}");
            assert!(rms(steady) > 3000.0, "{codec:?}: {}", rms(steady));
        }
        let report = world.relay.report();
        assert!(report.to_trunk.playback.concealed.as_millis() <= 20, "{report:?}");
        assert_eq!((report.to_trunk.lost, report.to_telegram.lost), (0, 0));
    }
}

#[test]
fn speech_survives_two_relays_with_opus_between_them() {
    let mut first = World::with(2, &PCMA);
    let voice = speech(8000);
    let mut talkers: Vec<Voice> = vec![(Side::Trunk, Talker::new(&PCMA, 20, 8), Box::new(voice.clone()))];
    first.talk(ms(6000), &mut talkers, &mut |_| Some(ms(5)));
    let mut second = World::with(3, &PCMA);
    for got in first.telegram.clone() {
        let mut rtp = Vec::new();
        tgtrunk_media::rtp::Packet {
            marker: got.marker,
            payload_type: 111,
            sequence: got.sequence,
            timestamp: got.timestamp,
            ssrc: 9,
            payload: &got.payload,
        }
        .write(&mut rtp);
        second.send(Side::Telegram, got.at, rtp);
    }
    second.run(ms(6500));
    assert_unbroken(&second.trunk);
    let heard = hear(&second.trunk, &PCMA, 8000);
    let sent: Vec<i16> = (0..8000 * 5).map(voice).collect();
    let (like, shift) = likeness(&sent[..16_000], &heard, 3000);
    println!("likeness {like:.3}, delay {} ms", shift / 8);
    assert!(like > 0.9, "{like} at {shift}");
    assert!(shift / 8 < 200, "{} ms", shift / 8);
}

#[test]
fn with_jitter_and_loss_the_tone_still_carries_most_of_the_sound() {
    for seed in 0..6 {
        let mut world = World::with(seed, &PCMA);
        let mut random = Random(seed);
        let mut talkers = two(&PCMA, sine(440.0, 9000.0, 48_000), sine(880.0, 9000.0, 8000));
        world.talk(ms(8000), &mut talkers, &mut |_| {
            (random.below(100) >= 5).then(|| ms(20 + random.below(50)))
        });
        for (got, codec, hz) in [(&world.trunk, &PCMA, 440.0), (&world.telegram, &OPUS, 880.0)] {
            assert_unbroken(got);
            let pcm = hear(got, codec, codec.sample_hz);
            let hz_samples = codec.sample_hz as usize;
            let pure = share(&pcm[4 * hz_samples..5 * hz_samples], hz, codec.sample_hz);
            assert!(pure > 0.85, "seed {seed} {codec:?}: {pure}");
        }
        let report = world.relay.report();
        for counters in [report.to_trunk, report.to_telegram] {
            let share = counters.playback.concealed_share();
            assert!((0.01..0.12).contains(&share), "seed {seed}: {share} {counters:?}");
            assert!(counters.playback.delay < ms(130), "seed {seed}: {counters:?}");
        }
    }
}

#[test]
fn a_clock_that_drifts_is_followed_without_a_click_or_a_hole() {
    for ppm in [-200_i64, 2000] {
        let mut world = World::with(9, &PCMA);
        let peak = 9000.0;
        let mut talkers: Vec<Voice> =
            vec![(Side::Telegram, Talker::new(&OPUS, 60, 111), Box::new(sine(440.0, peak, 48_000)))];
        let mut sent = 0_i64;
        world.talk(ms(45_000), &mut talkers, &mut |_| {
            sent += 60;
            // A fast sender's packets come ever earlier.
            let delay_us = 150_000 - sent * 1000 * ppm / 1_000_000;
            Some(std::time::Duration::from_micros(delay_us as u64))
        });
        assert_unbroken(&world.trunk);
        let playback = world.relay.report().to_trunk.playback;
        assert!(playback.concealed <= ms(20), "{ppm} ppm: {playback:?}");
        assert!(playback.delay <= ms(45), "{ppm} ppm: {playback:?}");
        let pcm = hear(&world.trunk, &PCMA, 8000);
        let whole = pcm.len() - 2000;
        let limit = sine_step(440.0, peak, 8000) * 5 / 4;
        assert!(largest_step(&pcm[800..whole]) < limit, "{ppm} ppm: {}", largest_step(&pcm[800..whole]));
        let pure = share(&pcm[whole - 16_000..whole], 440.0, 8000);
        assert!(pure > 0.95, "{ppm} ppm: {pure}");
    }
}

#[test]
fn long_packets_to_the_pbx_are_made_without_hiding_anything() {
    for ptime_ms in [10, 40, 60] {
        let trunk = Audio { ptime_ms, ..Audio::new(&PCMA, 8, 0x1111) };
        let mut world = World::new(10, trunk, Audio::new(&OPUS, 111, 0x2222));
        let mut random = Random(10);
        let mut talkers: Vec<Voice> =
            vec![(Side::Telegram, Talker::new(&OPUS, 60, 111), Box::new(sine(440.0, 9000.0, 48_000)))];
        world.talk(ms(25_000), &mut talkers, &mut |_| Some(ms(10 + random.below(12))));
        assert_unbroken(&world.trunk);
        let playback = world.relay.report().to_trunk.playback;
        assert!(playback.concealed <= ms(60), "{ptime_ms} ms: {playback:?}");
        assert!(world.trunk.iter().all(|got| got.payload.len() as u32 == 8 * ptime_ms));
    }
}

#[test]
fn nothing_clicks_when_a_muted_user_stops_and_begins_again() {
    for codec in NARROW {
        let mut world = World::with(4, codec);
        let peak = 9000.0;
        let mut talkers: Vec<Voice> =
            vec![(Side::Telegram, Talker::new(&OPUS, 60, 111), Box::new(sine(440.0, peak, 48_000)))];
        world.talk(ms(1020), &mut talkers, &mut |_| Some(ms(10)));
        talkers[0].1.silent = true;
        world.relay.mute(world.now, Side::Telegram, true);
        world.talk(ms(1500), &mut talkers, &mut |_| Some(ms(10)));
        world.relay.mute(world.now, Side::Telegram, false);
        talkers[0].1.silent = false;
        world.talk(ms(1020), &mut talkers, &mut |_| Some(ms(10)));
        assert_unbroken(&world.trunk);
        let pcm = hear(&world.trunk, codec, codec.sample_hz);
        let limit = sine_step(440.0, peak, codec.sample_hz) * 3 / 2 + 500;
        assert!(largest_step(&pcm) < limit, "{codec:?}: {} of {limit}", largest_step(&pcm));
        let per_ms = codec.sample_hz as usize / 1000;
        assert!(rms(&pcm[1300 * per_ms..2400 * per_ms]) < 10.0, "{codec:?} is not silent while muted");
        assert!(rms(&pcm[2800 * per_ms..3400 * per_ms]) > 4000.0, "{codec:?} does not come back");
        let longest_gap = world.trunk.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap();
        assert!(longest_gap <= ms(20), "{codec:?}: {longest_gap:?} without a packet");
    }
}

#[test]
fn nothing_clicks_when_the_pbx_changes_its_codec() {
    let mut world = World::with(5, &PCMA);
    let peak = 9000.0;
    let mut talkers: Vec<Voice> =
        vec![(Side::Telegram, Talker::new(&OPUS, 60, 111), Box::new(sine(440.0, peak, 48_000)))];
    world.talk(ms(1007), &mut talkers, &mut |_| Some(ms(10)));
    let before = world.trunk.len();
    world.relay.set_audio(Side::Trunk, Audio::new(&PCMU, 0, 0x1111));
    world.talk(ms(1000), &mut talkers, &mut |_| Some(ms(10)));
    assert_unbroken(&world.trunk);
    assert!(world.trunk[before..].iter().all(|got| got.payload_type == 0));
    let mut pcm = hear(&world.trunk[..before], &PCMA, 8000);
    pcm.extend(hear(&world.trunk[before..], &PCMU, 8000));
    let limit = sine_step(440.0, peak, 8000) * 5 / 4;
    assert!(largest_step(&pcm) < limit, "{} of {limit}", largest_step(&pcm));
    assert!(share(&pcm[4000..12_000], 440.0, 8000) > 0.99, "the same sound goes on");

    let before = world.trunk.len();
    world.relay.set_audio(Side::Trunk, Audio::new(&L16, 108, 0x1111));
    world.talk(ms(1000), &mut talkers, &mut |_| Some(ms(10)));
    let last = *pcm.last().unwrap();
    let pcm = hear(&world.trunk[before..], &L16, 48_000);
    assert_unbroken(&world.trunk);
    let limit = sine_step(440.0, peak, 8000) * 5 / 4 + 300;
    assert!((i32::from(pcm[0]) - i32::from(last)).abs() < limit, "{last} then {}", pcm[0]);
    assert!(largest_step(&pcm) < limit, "{} of {limit}", largest_step(&pcm));
}

#[test]
fn ringback_sounds_until_the_called_side_speaks_and_ends_without_a_click() {
    for codec in [&OPUS, &PCMA] {
        let mut world = World::with(6, codec);
        world.relay.play(world.now, Side::Telegram, Some(Tone::RINGBACK));
        world.run(ms(5500));
        assert_unbroken(&world.telegram);
        let pcm = hear(&world.telegram, &OPUS, 48_000);
        assert!(share(&pcm[4800..43_200], 425.0, 48_000) > 0.98);
        assert!(rms(&pcm[2 * 48_000..4 * 48_000]) < 10.0);
        assert!(rms(&pcm[5 * 48_000 + 9600..5 * 48_000 + 19_200]) > 2000.0, "it rings again");
        let peak = 4045.0;
        assert!(largest_step(&pcm) < sine_step(425.0, peak, 48_000) * 3 / 2 + 50, "{}", largest_step(&pcm));

        let mut talkers: Vec<Voice> = vec![(
            Side::Trunk,
            Talker::new(codec, 20, codec.static_payload_type.unwrap_or(107)),
            Box::new(sine(880.0, 6000.0, codec.sample_hz)),
        )];
        world.talk(ms(1500), &mut talkers, &mut |_| Some(ms(10)));
        assert_unbroken(&world.telegram);
        let pcm = hear(&world.telegram, &OPUS, 48_000);
        let tail = &pcm[pcm.len() - 24_000..];
        assert!(share(tail, 880.0, 48_000) > 0.98, "{codec:?}: {}", share(tail, 880.0, 48_000));
        assert!(
            largest_step(&pcm) < sine_step(880.0, 6000.0, 48_000) * 5 / 2,
            "{codec:?}: {}",
            largest_step(&pcm)
        );
    }
}

#[test]
fn a_tone_waits_for_the_side_to_agree_on_its_audio() {
    let mut relay = Relay::new(1);
    let mut now = Instant::now();
    relay.play(now, Side::Telegram, Some(Tone::RINGBACK));
    assert_eq!(relay.poll_timeout(), None);
    now += ms(3000);
    relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 0x2222));
    let mut packet = Vec::new();
    relay.handle_timeout(now);
    assert_eq!(relay.poll_packet(&mut packet), Some(Side::Telegram));
    assert_eq!(relay.poll_packet(&mut packet), None, "and what is past is not made up for");
    assert_eq!(relay.poll_timeout(), Some((now + ms(20), "playout")));
}

#[test]
fn a_held_pbx_gets_nothing_and_hears_the_present_afterwards() {
    let mut world = World::with(7, &PCMA);
    let mut talkers = two(&PCMA, sine(440.0, 9000.0, 48_000), sine(880.0, 9000.0, 8000));
    world.talk(ms(1000), &mut talkers, &mut |_| Some(ms(10)));
    world.relay.hold(world.now, Side::Trunk, true);
    let before = (world.trunk.len(), world.telegram.len());
    world.talk(ms(2000), &mut talkers, &mut |_| Some(ms(10)));
    assert_eq!(world.trunk.len(), before.0);
    assert!(world.telegram.len() > before.1 + 90, "music on hold still passes");
    world.relay.hold(world.now, Side::Trunk, false);
    world.talk(ms(1000), &mut talkers, &mut |_| Some(ms(10)));
    assert_unbroken(&world.trunk);
    let after = &world.trunk[before.0..];
    assert!(after[0].marker && after.len() >= 44, "{}", after.len());
    let gap = after[0].timestamp.wrapping_sub(world.trunk[before.0 - 1].timestamp);
    assert!((16_000..17_000).contains(&gap), "{gap}");
    let pcm = hear(after, &PCMA, 8000);
    assert!(largest_step(&pcm) < sine_step(440.0, 9000.0, 8000) * 5 / 4 + 300, "{}", largest_step(&pcm));
}

#[test]
fn opus_frames_longer_than_the_pbx_takes_are_decoded_and_encoded_anew() {
    let trunk = Audio { ptime_ms: 20, maxptime_ms: Some(20), ..Audio::new(&OPUS, 107, 0x1111) };
    let mut world = World::new(8, trunk, Audio::new(&OPUS, 111, 0x2222));
    let mut talkers: Vec<Voice> =
        vec![(Side::Telegram, Talker::new(&OPUS, 40, 111), Box::new(speech(48_000)))];
    world.talk(ms(3000), &mut talkers, &mut |_| Some(ms(10)));
    assert_unbroken(&world.trunk);
    for got in &world.trunk {
        assert_eq!(tgtrunk_media::opus::duration(&got.payload), Some(ms(20)));
    }
    assert!(world.trunk.len() > 140, "{}", world.trunk.len());
}

fn two(
    codec: &'static Codec,
    telegram: impl Fn(u64) -> i16 + 'static,
    trunk: impl Fn(u64) -> i16 + 'static,
) -> Vec<Voice> {
    let payload_type = codec.static_payload_type.unwrap_or(codec.offered_payload_type);
    vec![
        (Side::Telegram, Talker::new(&OPUS, 60, 111), Box::new(telegram)),
        (Side::Trunk, Talker::new(codec, codec.default_ptime_ms.into(), payload_type), Box::new(trunk)),
    ]
}
