//! What somebody throws at a call from the address that speaks in it: it neither is heard nor takes the sound away.

use std::time::{Duration, Instant};

use tgtrunk_media::codec::{Codec, OPUS, PCMA};
use tgtrunk_media::dtmf::Format;
use tgtrunk_media::rtp::Packet;
use tgtrunk_media::{Audio, Batch, Event, Outcome, Reason, Relay, Side};

use crate::world::Random;

/// The call's own source.
const OWN: u32 = 0xaaaa;
/// So many packets of junk come between two of sound; 2,500 a second.
const BETWEEN: u64 = 50;
const SOUND: u16 = 1000;
const KEYS: u8 = 101;

#[test]
fn junk_of_no_kind_takes_the_sound_away() {
    for codec in [&OPUS, &PCMA] {
        for (kind, may_be_heard) in KINDS {
            let mut call = Call::new(codec);
            let mut random = Random(7);
            let (mut heard, mut junk_heard) = (0, 0);
            for number in 0..SOUND {
                heard += u64::from(call.sound(number).is_ok());
                for at in 0..BETWEEN {
                    call.now = call.start + Duration::from_micros(u64::from(number) * 20_000 + at * 400);
                    let bytes = junk(kind, codec, &mut random);
                    junk_heard += u64::from(call.take(&bytes).is_ok());
                }
            }
            let keys = std::iter::from_fn(|| call.relay.poll_event()).count();
            assert!(keys < 50, "{kind:?}: {keys} keys; the next numbers make some by chance");
            let name = codec.name;
            assert!(heard > u64::from(SOUND) * 98 / 100, "{kind:?}, {name}: {heard} of {SOUND}");
            assert!(junk_heard <= may_be_heard, "{kind:?}, {name}: {junk_heard} of the junk");
            let lost = call.relay.quality(Side::Trunk).lost;
            assert!(lost < 50, "{kind:?}, {name}: {lost} told as lost");
        }
    }
}

#[test]
fn sound_that_jumps_ahead_is_believed_with_its_successor_or_not_at_all() {
    let mut call = Call::new(&OPUS);
    call.sound(1).unwrap();
    assert_eq!(call.sound(2_500), Err(Reason::Astray));
    assert!(call.sound(2).is_ok());
    assert_eq!(call.sound(2_501), Err(Reason::Astray), "sound that goes on belies it");

    let mut call = Call::new(&OPUS);
    call.sound(1).unwrap();
    assert_eq!(call.sound(2_500), Err(Reason::Astray));
    let other = packet(13, 9_000, 0, OWN, &sound(&OPUS));
    assert_eq!(call.take(&other), Err(Reason::OtherPayload), "which matters not");
    assert!(call.sound(2_501).is_ok());
    assert_eq!(call.relay.quality(Side::Trunk).lost, 0, "it began anew");

    // Two in order by chance have no time in common.
    let mut call = Call::new(&OPUS);
    call.sound(1).unwrap();
    for (number, timestamp) in [(40_000, 7_000_000), (40_001, 0)] {
        let bytes = packet(107, number, timestamp, OWN, &sound(&OPUS));
        assert_eq!(call.take(&bytes), Err(Reason::Astray));
    }
    call.now += Duration::from_millis(200);
    let bytes = packet(107, 40_002, 7_000_000, OWN, &sound(&OPUS));
    assert!(call.take(&bytes).is_ok(), "and need none once the call's own sound is gone");

    let mut call = Call::new(&OPUS);
    call.sound(2).unwrap();
    // The clock bears out what was really lost.
    call.now += Duration::from_secs(20);
    assert!(call.sound(1_002).is_ok());
    assert_eq!(call.relay.report().to_telegram.lost, 999);
}

#[test]
fn a_sender_that_steps_back_is_heard_again_once_its_other_numbers_stay_away() {
    let mut call = Call::new(&OPUS);
    call.sound(2_500).unwrap();
    assert_eq!(call.sound(2), Err(Reason::TooLate));
    assert_eq!(call.sound(3), Err(Reason::TooLate), "late ones do not turn a stream back that sounds");
    call.now += Duration::from_millis(300);
    assert_eq!(call.sound(4), Err(Reason::Astray));
    assert!(call.sound(5).is_ok());
    assert_eq!(call.relay.report().to_telegram.lost, 0);
}

#[test]
fn keys_under_another_source_are_told_and_the_sound_goes_on() {
    let mut call = Call::new(&OPUS);
    call.sound(1).unwrap();
    for (number, end) in [(40_000, 0x00), (40_001, 0x00), (40_002, 0x80)] {
        let ticks = if end == 0 { 160 } else { 1600 };
        let bytes = packet(KEYS, number, 500_000, 0xbbbb, &[5, end | 10, (ticks >> 8) as u8, ticks as u8]);
        assert_eq!(call.take(&bytes), Err(Reason::Event));
    }
    assert!(call.sound(2).is_ok(), "at once");
    let told = std::iter::from_fn(|| call.relay.poll_event());
    let digits = told.filter(|event| matches!(event, Event::Digit { from: Side::Trunk, .. })).count();
    assert_eq!(digits, 1);
}

#[test]
fn keys_of_a_sender_that_begins_anew_are_told_before_its_sound() {
    let mut call = Call::new(&OPUS);
    call.sound(1).unwrap();
    let mut press = |number, timestamp, digit| {
        let bytes = packet(KEYS, number, timestamp, OWN, &[digit, 0x8a, 6, 64]);
        assert_eq!(call.take(&bytes), Err(Reason::Event));
        matches!(call.relay.poll_event(), Some(Event::Digit { .. }))
    };
    assert!(!press(40_000, 500_000, 5), "it may be anybody's");
    assert!(press(40_001, 500_000, 5));
    assert!(!press(50_000, 600_000, 5) && !press(50_001, 600_000, 6) && !press(50_007, 600_000, 6));
}

/// What is thrown.
#[derive(Debug, Clone, Copy)]
enum Kind {
    OtherPayload,
    Events,
    Broken,
    PaddingOnly,
    Sound,
    SoundOfOthers,
    EventsOfAnother,
    OtherPayloadOfOthers,
}

/// Kinds of junk, and how much of it may pass as sound.
const KINDS: [(Kind, u64); 8] = [
    (Kind::OtherPayload, 0),
    (Kind::Events, 0),
    (Kind::Broken, 0),
    (Kind::PaddingOnly, 0),
    // The very next number, by chance.
    (Kind::Sound, 8),
    (Kind::SoundOfOthers, 0),
    (Kind::EventsOfAnother, 0),
    (Kind::OtherPayloadOfOthers, 0),
];

fn junk(kind: Kind, codec: &Codec, random: &mut Random) -> Vec<u8> {
    let sound = sound(codec);
    let (sequence, timestamp, other) = (random.next() as u16, random.next() as u32, random.next() as u32);
    let agreed = payload_type(codec);
    match kind {
        Kind::OtherPayload => packet(13, sequence, timestamp, OWN, &sound),
        Kind::Events => packet(KEYS, sequence, timestamp, OWN, &[5, 10, 0, 160]),
        Kind::Broken => packet(agreed, sequence, timestamp, OWN, &[]),
        Kind::PaddingOnly => {
            let mut bytes = packet(agreed, sequence, timestamp, OWN, &[0, 0, 3]);
            bytes[0] |= 0x20;
            bytes
        }
        Kind::Sound => packet(agreed, sequence, timestamp, OWN, &sound),
        Kind::SoundOfOthers => packet(agreed, sequence, timestamp, other, &sound),
        Kind::EventsOfAnother => packet(KEYS, sequence, timestamp, 0xbbbb, &[5, 10, 0, 160]),
        Kind::OtherPayloadOfOthers => packet(13, sequence, timestamp, other, &sound),
    }
}

/// A relay at whose side of the PBX all this happens.
struct Call {
    relay: Relay,
    codec: &'static Codec,
    start: Instant,
    now: Instant,
}

impl Call {
    fn new(codec: &'static Codec) -> Self {
        let (mut relay, start) = (Relay::new(3), Instant::now());
        relay.set_audio(Side::Telegram, Audio::new(&OPUS, 111, 0x1111));
        let events = Some(Format { payload_type: KEYS, receive_payload_type: KEYS, clock_hz: 8000 });
        let agreed = payload_type(codec);
        let trunk = Audio { receive_payload_type: Some(agreed), events, ..Audio::new(codec, agreed, 0x7777) };
        relay.set_audio(Side::Trunk, trunk);
        Self { relay, codec, start, now: start }
    }

    fn sound(&mut self, number: u16) -> Result<(), Reason> {
        let timestamp = u32::from(number) * step(self.codec);
        self.take(&packet(payload_type(self.codec), number, timestamp, OWN, &sound(self.codec)))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let outcome = self.relay.handle_packet(self.now, Side::Trunk, bytes, &mut Batch::default());
        self.relay.handle_timeout(self.now);
        while self.relay.poll_packet(&mut Vec::new()).is_some() {}
        match outcome {
            Outcome::Sent | Outcome::Waits => Ok(()),
            Outcome::Dropped(reason) => Err(reason),
        }
    }
}

fn payload_type(codec: &Codec) -> u8 {
    if *codec == OPUS { 107 } else { 8 }
}

/// Ticks in 20 ms.
fn step(codec: &Codec) -> u32 {
    codec.clock_hz / 50
}

/// 20 ms.
fn sound(codec: &Codec) -> Vec<u8> {
    if *codec == OPUS { vec![31 << 3, b'x'] } else { vec![0xd5; 160] }
}

fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Packet { marker: false, payload_type, sequence, timestamp, ssrc, payload }.write(&mut bytes);
    bytes
}
