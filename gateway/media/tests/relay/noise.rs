//! Whatever comes, in whatever order: no panic, no growth, no packet out of its stream.

use std::time::{Duration, Instant};

use tgtrunk_media::codec::{OPUS, TABLE};
use tgtrunk_media::dtmf::{Digit, Format, Way};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Relay, Side, Tone};

use crate::world::{Random, ms};

#[test]
fn words_and_noise_in_any_order_never_panic_and_never_repeat_a_number() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let mut relay = Relay::new(seed);
        let mut now = Instant::now();
        let mut out = Batch::default();
        let mut packet = Vec::new();
        let mut last: [Option<u16>; 2] = [None; 2];
        let mut made = 0_u32;
        for _ in 0..2500 {
            now += Duration::from_micros(random.below(30_000));
            let side = if random.below(2) == 0 { Side::Trunk } else { Side::Telegram };
            let on = random.below(2) == 0;
            out.clear();
            match random.below(120) {
                0 => relay.set_audio(side, audio(&mut random, side)),
                1 => relay.hold(now, side, random.below(4) == 0),
                2 => relay.mute(now, side, on),
                3 => relay.play(now, side, on.then_some(Tone::RINGBACK)),
                4 => {
                    let digits: Vec<_> =
                        (0..random.below(4)).filter_map(|code| Digit::from_event_code(code as u8)).collect();
                    relay.send_digits(now, side, &digits, ms(random.below(200)), ms(random.below(200)));
                }
                5 => now += Duration::from_secs(random.below(20)),
                6 => relay.watch(now, side, on.then_some(ms(5000))),
                _ => {
                    let rtp = noise(&mut random);
                    relay.handle_packet(now, side, &rtp, &mut out);
                }
            }
            for bytes in out.iter() {
                assert_next(&mut last, side.other(), bytes, seed);
            }
            if relay.poll_timeout().is_some_and(|(at, _)| at <= now) {
                relay.handle_timeout(now);
                let mut packets = 0;
                while let Some(to) = relay.poll_packet(&mut packet) {
                    assert_next(&mut last, to, &packet, seed);
                    packets += 1;
                    assert!(packets < 100, "seed {seed}: packets without an end");
                }
                made += packets;
            }
            while relay.poll_event().is_some() {}
        }
        assert!(made > 100, "seed {seed}: the clock made {made} packets");
    }
}

#[test]
fn a_timeout_that_is_served_leads_on_to_a_later_one() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let mut relay = Relay::new(seed);
        let mut now = Instant::now();
        let mut out = Batch::default();
        let mut packet = Vec::new();
        relay.set_audio(Side::Trunk, audio(&mut random, Side::Trunk));
        relay.set_audio(Side::Telegram, audio(&mut random, Side::Telegram));
        relay.play(now, Side::Telegram, Some(Tone::RINGBACK));
        relay.mute(now, Side::Telegram, true);
        relay.send_digits(now, Side::Trunk, &[Digit::from_char('5').unwrap()], ms(100), ms(100));
        for _ in 0..500 {
            let side = if random.below(2) == 0 { Side::Trunk } else { Side::Telegram };
            relay.handle_packet(now, side, &noise(&mut random), &mut out);
            let Some((at, why)) = relay.poll_timeout() else { continue };
            now = now.max(at);
            relay.handle_timeout(now);
            while relay.poll_packet(&mut packet).is_some() {}
            while relay.poll_event().is_some() {}
            let next = relay.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > now), "seed {seed}: {why} then {next:?} at {now:?}");
        }
    }
}

/// Within one run of packets numbers may leave holes and fill them, and are never used twice in a row.
fn assert_next(last: &mut [Option<u16>; 2], to: Side, bytes: &[u8], seed: u64) {
    let packet = Packet::read(bytes).unwrap();
    assert!(!packet.payload.is_empty());
    let slot = &mut last[usize::from(to == Side::Trunk)];
    assert_ne!(*slot, Some(packet.sequence), "seed {seed}: a number twice");
    *slot = Some(packet.sequence);
}

fn audio(random: &mut Random, side: Side) -> Audio {
    let codec = if side == Side::Telegram { &OPUS } else { TABLE[random.below(5) as usize] };
    let clock_hz = codec.clock_hz;
    let events = Format { payload_type: 101, receive_payload_type: 101, clock_hz };
    Audio {
        ptime_ms: [10, 20, 30, 40, 60, 1][random.below(6) as usize],
        maxptime_ms: [None, Some(20), Some(60), Some(0)][random.below(4) as usize],
        events: (random.below(2) == 0).then_some(events),
        digits: [Way::Rfc4733, Way::Info, Way::InBand][random.below(3) as usize],
        ..Audio::new(codec, 96 + random.below(10) as u8, 0x1111)
    }
}

/// Mostly packets that a relay would take, with contents that decoders must survive.
fn noise(random: &mut Random) -> Vec<u8> {
    let length = match random.below(4) {
        0 => random.below(40),
        1 => 160,
        2 => 960,
        _ => random.below(300),
    };
    let mut payload: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    if let Some(first) = payload.first_mut() {
        *first &= !0b11 | random.below(4) as u8;
    }
    let mut rtp = Vec::new();
    Packet {
        marker: random.below(9) == 0,
        payload_type: if random.below(8) == 0 { 101 } else { 0 },
        sequence: (random.below(40) * 7) as u16,
        timestamp: (random.below(40) * 1120) as u32,
        ssrc: random.below(2) as u32,
        payload: &payload,
    }
    .write(&mut rtp);
    if random.below(30) == 0 {
        rtp.truncate(random.below(20) as usize);
    }
    rtp
}
