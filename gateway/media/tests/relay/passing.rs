//! Opus that passes: split, never decoded, nothing lost but what was lost, silence where Telegram is mute.

use std::collections::BTreeSet;

use tgtrunk_media::codec::{OPUS, PCMA};
use tgtrunk_media::rtcp::{self, Entry};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Side, opus};

use crate::signal::rms;
use crate::world::{Random, World, assert_unbroken, hear, ms};

/// CELT, full band, 20 ms.
const MS20: u8 = 31 << 3;

#[test]
fn a_relay_that_only_passes_opus_stays_small() {
    let bytes = size_of::<tgtrunk_media::Relay>();
    println!("{bytes} bytes");
    assert!(bytes < 4096, "{bytes}");
}

#[test]
fn packets_of_three_frames_leave_as_three_and_lose_only_what_was_lost() {
    for seed in 0..20 {
        let mut world = World::with(seed, &OPUS);
        let mut random = Random(seed);
        let mut arrived = BTreeSet::new();
        for at in 0..1500_u64 {
            world.run(ms(60));
            if random.below(10) == 0 {
                continue;
            }
            arrived.insert(at);
            let rtp = sixty(at);
            let delay = if random.below(20) == 0 { ms(60 * random.below(6)) } else { ms(0) };
            if random.below(20) == 0 {
                world.send(Side::Telegram, delay + ms(random.below(100)), rtp.clone());
            }
            world.send(Side::Telegram, delay, rtp);
        }
        world.run(ms(1000));
        assert_eq!(world.trunk.len(), 3 * arrived.len(), "seed {seed}");
        let first = &world.trunk[0];
        let begin = u64::from_be_bytes(first.payload[1..9].try_into().unwrap());
        let mut numbers = BTreeSet::new();
        for got in &world.trunk {
            assert_eq!(opus::duration(&got.payload), Some(ms(20)));
            let at = u64::from_be_bytes(got.payload[1..9].try_into().unwrap());
            assert!(arrived.contains(&at));
            let steps =
                (at as i64 - begin as i64) * 3 + i64::from(got.payload[9]) - i64::from(first.payload[9]);
            let place = got.sequence.wrapping_sub(first.sequence) as i16;
            assert_eq!(i64::from(place), steps, "seed {seed}: packet {at}, part {}", got.payload[9]);
            let ticks = got.timestamp.wrapping_sub(first.timestamp) as i32;
            assert_eq!(i64::from(ticks), 960 * steps, "seed {seed}: packet {at}");
            assert!(numbers.insert(got.sequence), "seed {seed}: {} twice", got.sequence);
        }
        let to_trunk = world.relay.report().to_trunk;
        assert_eq!((to_trunk.made, to_trunk.packets as usize), (0, world.trunk.len()));
    }
}

#[test]
fn towards_telegram_packets_stay_as_they_are() {
    let mut world = World::with(1, &OPUS);
    for at in 0..20 {
        world.send(Side::Trunk, ms(60 * at), sixty(at));
    }
    world.run(ms(2000));
    assert_eq!(world.telegram.len(), 20);
    assert!(world.telegram.iter().all(|got| opus::duration(&got.payload) == Some(ms(60))));
}

#[test]
fn a_muted_user_is_silence_at_the_packet_time_without_a_hole_before_or_after() {
    let mut world = World::with(2, &OPUS);
    for at in 0..10 {
        world.send(Side::Telegram, ms(60 * at), sixty(at));
    }
    world.run(ms(560));
    world.relay.mute(world.now, Side::Telegram, true);
    world.run(ms(2000));
    world.relay.mute(world.now, Side::Telegram, false);
    let before = world.trunk.len();
    for at in 0..10 {
        // Telegram's numbers go on, its timestamp covers the gap.
        let mut rtp = sixty(10 + at);
        rtp[4..8].copy_from_slice(&(((10 + at) as u32) * 2880 + 34 * 2880).to_be_bytes());
        world.send(Side::Telegram, ms(60 * at), rtp);
    }
    world.run(ms(1000));
    assert_unbroken(&world.trunk);
    let silence = &world.trunk[30..before];
    assert!((92..=97).contains(&silence.len()), "{}", silence.len());
    assert!(silence.iter().all(|got| got.payload == [MS20, 0xff, 0xfe]));
    assert!(silence.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 960));
    assert!(world.trunk[before].marker && world.trunk.len() == before + 30);
    assert!(rms(&hear(silence, &OPUS, 48_000)) < 1.0);
    let real = world.trunk.last().unwrap().timestamp.wrapping_sub(world.trunk[0].timestamp) / 48;
    let clock = (world.trunk.last().unwrap().at - world.trunk[0].at).as_millis() as u32;
    assert!(real.abs_diff(clock) < 80, "{real} ms of timestamps in {clock} ms");
}

#[test]
fn a_muted_user_stays_silence_through_holds_and_changes_of_the_codec() {
    let mut world = World::with(5, &OPUS);
    world.relay.mute(world.now, Side::Telegram, true);
    world.run(ms(1000));
    for codec in [&PCMA, &OPUS, &PCMA] {
        let before = world.trunk.len();
        let payload_type = codec.static_payload_type.unwrap_or(107);
        world.relay.set_audio(Side::Trunk, Audio::new(codec, payload_type, 0x1111));
        world.run(ms(1000));
        let after = &world.trunk[before..];
        assert!((45..=55).contains(&after.len()), "{codec:?}: {}", after.len());
        assert!(rms(&hear(after, codec, 8000)) < 10.0);
        world.relay.hold(world.now, Side::Trunk, true);
        let before = world.trunk.len();
        world.run(ms(5000));
        assert_eq!(world.trunk.len(), before);
        world.relay.hold(world.now, Side::Trunk, false);
        world.run(ms(1000));
        let count = world.trunk.len() - before;
        assert!((48..=55).contains(&count), "{codec:?}: {count}");
    }
    assert_unbroken(&world.trunk);
}

#[test]
fn each_side_learns_by_rtcp_what_came_and_quality_says_how_it_was() {
    for codec in [&OPUS, &PCMA] {
        let mut world = World::with(4, codec);
        for (side, seed) in [(Side::Trunk, 1), (Side::Telegram, 2)] {
            world.relay.report_to(world.now, side, seed, "abc".to_owned());
        }
        for at in (0..300).filter(|at| at % 10 != 5) {
            world.send(Side::Telegram, ms(60 * at), sixty(at));
        }
        world.run(ms(18_000));
        let to_trunk: Vec<_> = world.reports.iter().filter(|(side, _)| *side == Side::Trunk).collect();
        let to_telegram: Vec<_> = world.reports.iter().filter(|(side, _)| *side == Side::Telegram).collect();
        assert!((3..=8).contains(&to_trunk.len()) && (3..=8).contains(&to_telegram.len()), "{codec:?}");
        let Some(Ok(Entry::SenderReport { ssrc: 0x1111, packets, .. })) =
            rtcp::packets(&to_trunk.last().unwrap().1).next()
        else {
            panic!("{to_trunk:?}")
        };
        assert!(packets > 500, "{codec:?}: {packets}");
        let Some(Ok(Entry::ReceiverReport { blocks, .. })) =
            rtcp::packets(&to_telegram.last().unwrap().1).next()
        else {
            panic!("{to_telegram:?}")
        };
        let block = blocks.iter().next().unwrap();
        assert!((20..=32).contains(&block.fraction_lost), "{block:?}");
        let quality = world.relay.quality(Side::Telegram);
        assert_eq!((quality.lost, quality.packets_in), (30, 270));
        assert!((2.5..4.2).contains(&quality.mos), "{quality:?}");
        assert_eq!(quality.concealed_share > 0.08, *codec == PCMA, "{quality:?}");
        let mut bye = Vec::new();
        assert!(world.relay.bye(world.now, Side::Trunk, &mut bye) && bye.len() > 40);
        assert!(!world.relay.bye(world.now, Side::Trunk, &mut bye), "once");
    }
}

#[test]
fn a_pbx_that_goes_from_opus_to_g711_and_back_hears_one_stream() {
    let mut world = World::with(3, &OPUS);
    let mut at = 0;
    for codec in [&OPUS, &PCMA, &OPUS] {
        let payload_type = codec.static_payload_type.unwrap_or(107);
        world.relay.set_audio(Side::Trunk, Audio::new(codec, payload_type, 0x1111));
        for _ in 0..20 {
            world.send(Side::Telegram, ms(0), sixty(at));
            at += 1;
            world.run(ms(60));
        }
    }
    assert_unbroken(&world.trunk);
    let types: Vec<_> = world.trunk.iter().map(|got| got.payload_type).collect();
    assert!(types.is_sorted_by_key(|pt| [107, 8].iter().position(|known| known == pt)) || types.contains(&8));
    assert_eq!(types.iter().filter(|pt| **pt == 107).count(), 120);
    assert!(types.iter().filter(|pt| **pt == 8).count() > 50);
}

/// Three frames whose bytes say which they are.
fn sixty(at: u64) -> Vec<u8> {
    let mut payload = vec![MS20 | 3, 3];
    for part in 0..3_u8 {
        payload.extend(at.to_be_bytes());
        payload.push(part);
        payload.push(0x55);
    }
    let mut rtp = Vec::new();
    Packet {
        marker: false,
        payload_type: 111,
        sequence: (at as u16).wrapping_add(65_000),
        timestamp: (at as u32).wrapping_mul(2880),
        ssrc: 7,
        payload: &payload,
    }
    .write(&mut rtp);
    rtp
}
