//! Digits each way and by each means: once, in order, as long as they were.

use std::time::Instant;

use tgtrunk_media::codec::{Codec, G722, OPUS, PCMA};
use tgtrunk_media::dtmf::{Detector, Digit, Format, Generator, Press, Receiver, Way};
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Event, Side};

use crate::signal::speech;
use crate::world::{Got, Talker, Voice, World, assert_unbroken, hear, ms};

const ALL: &str = "1234567890*#ABCD";

#[test]
fn events_to_the_pbx_take_the_place_of_sound_in_one_stream() {
    for codec in [&OPUS, &PCMA, &G722] {
        let mut world = world(codec, Way::Rfc4733, true);
        let mut talkers: Vec<Voice> =
            vec![(Side::Telegram, Talker::new(&OPUS, 60, 111), Box::new(speech(48_000)))];
        world.talk(ms(1000), &mut talkers, &mut |_| Some(ms(10)));
        world.relay.send_digits(world.now, Side::Trunk, &digits(ALL), ms(100), ms(100));
        world.talk(ms(5000), &mut talkers, &mut |_| Some(ms(10)));
        assert_unbroken(&world.trunk);
        assert_eq!(world.events, [Event::DigitsSent(Side::Trunk)]);
        let presses = received(&world.trunk, codec);
        let letters: String = presses.iter().map(|press| press.digit.to_char()).collect();
        assert_eq!(letters, ALL, "{codec:?}");
        assert!(presses.iter().all(|press| press.duration == ms(100)), "{presses:?}");
        // What sounds does not overlap an event, and goes on between and after them.
        let mut inside = None;
        let mut between = 0;
        for got in &world.trunk {
            if got.payload_type == 101 {
                let ticks = u32::from(u16::from_be_bytes([got.payload[2], got.payload[3]]));
                inside = Some(got.timestamp.wrapping_add(ticks));
            } else if let Some(end) = inside {
                assert!((got.timestamp.wrapping_sub(end) as i32) >= 0, "sound inside an event");
                between += 1;
            }
        }
        assert!(between > 30, "{codec:?}: {between} packets of sound between and after the digits");
        assert!(world.trunk.last().unwrap().payload_type != 101);
    }
}

#[test]
fn events_of_the_pbx_are_told_once_and_never_sound() {
    for codec in [&OPUS, &PCMA] {
        let mut sender = world(codec, Way::Rfc4733, true);
        sender.relay.send_digits(sender.now, Side::Trunk, &digits("42#"), ms(120), ms(80));
        sender.run(ms(1000));
        let mut world = world(codec, Way::Rfc4733, true);
        for got in &sender.trunk {
            let mut rtp = Vec::new();
            let (marker, sequence, timestamp) = (got.marker, got.sequence, got.timestamp);
            Packet { marker, payload_type: 101, sequence, timestamp, ssrc: 5, payload: &got.payload }
                .write(&mut rtp);
            world.send(Side::Trunk, got.at, rtp.clone());
            world.send(Side::Trunk, got.at + ms(3), rtp);
        }
        world.run(ms(2000));
        let told: Vec<_> = digits("42#")
            .into_iter()
            .map(|digit| Event::Digit {
                from: Side::Trunk,
                press: Press { digit, duration: ms(120) },
                way: Way::Rfc4733,
            })
            .collect();
        assert_eq!(world.events, told);
        assert!(world.telegram.is_empty());
    }
}

#[test]
fn tones_to_telegram_are_heard_there_though_everything_else_passes() {
    for codec in [&OPUS, &PCMA] {
        let mut world = world(codec, Way::Rfc4733, true);
        let payload_type = codec.static_payload_type.unwrap_or(107);
        let mut talkers: Vec<Voice> =
            vec![(Side::Trunk, Talker::new(codec, 20, payload_type), Box::new(speech(codec.sample_hz)))];
        world.talk(ms(600), &mut talkers, &mut |_| Some(ms(10)));
        world.relay.send_digits(world.now, Side::Telegram, &digits(ALL), ms(100), ms(100));
        world.talk(ms(4000), &mut talkers, &mut |_| Some(ms(10)));
        assert_unbroken(&world.telegram);
        assert_eq!(detected(&world.telegram, &OPUS), ALL, "{codec:?}");
        assert_eq!(world.events, [Event::DigitsSent(Side::Telegram)]);
        let replaced = world.relay.report().to_telegram.dropped.replaced;
        assert_eq!(replaced > 100, *codec == OPUS, "{replaced}");
    }
}

#[test]
fn tones_to_a_pbx_that_knows_no_events_are_heard_in_the_sound() {
    for codec in [&OPUS, &PCMA, &G722] {
        let mut world = world(codec, Way::Rfc4733, false);
        world.relay.send_digits(world.now, Side::Trunk, &digits(ALL), ms(80), ms(80));
        world.run(ms(4000));
        assert_eq!(detected(&world.trunk, codec), ALL, "{codec:?}");
        assert_eq!(world.events, [Event::DigitsSent(Side::Trunk)]);
    }
}

#[test]
fn tones_of_a_pbx_that_knows_no_events_are_told() {
    let mut world = world(&PCMA, Way::InBand, false);
    let mut generator = Generator::new(8000);
    for digit in digits(ALL) {
        generator.push(digit, ms(90), ms(90)).unwrap();
    }
    let mut tones = vec![0; 8000 * 4];
    generator.fill(&mut tones);
    let sound = move |at: u64| tones.get(at as usize).copied().unwrap_or(0);
    let mut talkers: Vec<Voice> = vec![(Side::Trunk, Talker::new(&PCMA, 20, 8), Box::new(sound))];
    world.talk(ms(4000), &mut talkers, &mut |_| Some(ms(10)));
    let mut letters = String::new();
    for event in &world.events {
        let Event::Digit { from: Side::Trunk, press, way: Way::InBand } = event else { panic!("{event:?}") };
        assert!((80..=100).contains(&press.duration.as_millis()), "{press:?}");
        letters.push(press.digit.to_char());
    }
    assert_eq!(letters, ALL);
}

#[test]
fn words_for_info_come_one_after_the_other() {
    let mut world = world(&PCMA, Way::Info, false);
    world.relay.send_digits(world.now, Side::Trunk, &digits("7*"), ms(100), ms(60));
    world.run(ms(1000));
    let mut said: Vec<_> = digits("7*")
        .into_iter()
        .map(|digit| Event::SendInfo { to: Side::Trunk, press: Press { digit, duration: ms(100) } })
        .collect();
    said.push(Event::DigitsSent(Side::Trunk));
    assert_eq!(world.events, said);
    assert!(world.trunk.is_empty());
}

fn world(codec: &'static Codec, digits: Way, events: bool) -> World {
    let clock_hz = codec.clock_hz;
    let events = events.then_some(Format { payload_type: 101, receive_payload_type: 101, clock_hz });
    let payload_type = codec.static_payload_type.unwrap_or(codec.offered_payload_type);
    let trunk = Audio { events, digits, ..Audio::new(codec, payload_type, 0x1111) };
    World::new(11, trunk, Audio::new(&OPUS, 111, 0x2222))
}

fn digits(letters: &str) -> Vec<Digit> {
    letters.chars().filter_map(Digit::from_char).collect()
}

fn received(got: &[Got], codec: &Codec) -> Vec<Press> {
    let start = Instant::now();
    let format = Format { payload_type: 101, receive_payload_type: 101, clock_hz: codec.clock_hz };
    let mut receiver = Receiver::new(format);
    let mut presses = Vec::new();
    for got in got.iter().filter(|got| got.payload_type == 101) {
        let (marker, sequence, timestamp) = (got.marker, got.sequence, got.timestamp);
        let packet =
            Packet { marker, payload_type: 101, sequence, timestamp, ssrc: 1, payload: &got.payload };
        receiver.handle_packet(start + got.at, &packet);
        presses.extend(std::iter::from_fn(|| receiver.poll_press()));
    }
    presses
}

fn detected(got: &[Got], codec: &'static Codec) -> String {
    let mut detector = Detector::new(codec.sample_hz);
    detector.handle_pcm(&hear(got, codec, codec.sample_hz));
    detector.end();
    std::iter::from_fn(|| detector.poll_press()).map(|press| press.digit.to_char()).collect()
}
