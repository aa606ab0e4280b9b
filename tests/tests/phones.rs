//! The judges judge each other: foreign phones in every codec, keys in every way, with no gateway between them. What
//! they say of the gateway elsewhere can be trusted as far as this holds. Needs root, for the capture.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tgtrunk_tests::baresip::{self, Baresip, Plays};
use tgtrunk_tests::capture::Capture;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::linphone::{self, Linphone};
use tgtrunk_tests::listening::{Judgement, LEAST_SCORE, Yardstick, judge, material};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::sipp_phone::{self, Does, EVENT_TYPE, Info, SippPhone, spoken};
use tgtrunk_tests::{ffmpeg, keypad, telephone_event};
use tokio::sync::Mutex;
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(10);
/// How long the material is, and what phones take to begin and to end.
const TALK: Duration = Duration::from_millis(14_500);
const LEAD_MS: u32 = 1000;
const CALLER_HZ: u32 = 440;
const CALLEE_HZ: u32 = 880;
/// What baresip's Opus has, and SIPp's.
const OPUS_BITS: i32 = 32_000;
const RATE_HZ: u32 = ffmpeg::RATE_HZ;

/// Phones that play all at once would starve each other, so one test plays at a time.
static STAGE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn baresip_hears_baresip_in_every_codec() {
    let _alone = STAGE.lock().await;
    let calls = Codec::ALL.map(|codec| {
        tokio::spawn(async move {
            let callee = baresip(codec, Plays::Sound(material(CALLEE_HZ, LEAD_MS).unwrap())).await;
            let mut caller = baresip(codec, Plays::Sound(material(CALLER_HZ, LEAD_MS).unwrap())).await;
            caller.dial(&format!("sip:{}@{}", baresip::USER, callee.sip)).await.unwrap();
            caller.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
            sleep(TALK).await;
            caller.hang_up().await.unwrap();
            let (at_caller, at_callee) = (caller.finish().await.unwrap(), callee.finish().await.unwrap());
            assert_eq!((at_caller.lost, at_callee.lost), (0, 0));
            let [at_caller, at_callee] =
                [at_caller, at_callee].map(|heard| Pcm { samples: heard.samples, rate_hz: heard.rate_hz });
            [("baresip to baresip", at_caller, CALLEE_HZ), ("baresip from baresip", at_callee, CALLER_HZ)]
                .map(|(what, heard, hz)| judged(what, codec, &heard, hz))
        })
    });
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_and_baresip_hear_each_other_in_every_codec_of_both() {
    let _alone = STAGE.lock().await;
    let calls = linphone::CODECS.map(|codec| {
        tokio::spawn(async move {
            let plays = material(CALLEE_HZ, LEAD_MS).unwrap();
            let mut callee = Linphone::start(&linphone::Options::new(codec, plays)).await.unwrap();
            let mut caller = baresip(codec, Plays::Sound(material(CALLER_HZ, LEAD_MS).unwrap())).await;
            caller.dial(&format!("sip:linphone@{}", callee.sip)).await.unwrap();
            callee.established(LIMIT).await.unwrap();
            sleep(TALK).await;
            let at_callee = callee.finish().await.unwrap();
            caller.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
            let heard = caller.finish().await.unwrap();
            let at_caller = Pcm { samples: heard.samples, rate_hz: heard.rate_hz };
            judged_as("baresip from linphone", codec, &at_caller, CALLEE_HZ, linphone::LEAST_SCORE);
            judged("linphone from baresip", codec, &at_callee, CALLER_HZ);
        })
    });
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sipp_plays_and_gets_is_what_baresip_hears_and_plays() {
    let _alone = STAGE.lock().await;
    let calls = Codec::ALL.map(|codec| {
        tokio::spawn(async move {
            let mut callee = baresip(codec, Plays::Sound(material(CALLEE_HZ, LEAD_MS).unwrap())).await;
            let packets =
                spoken(codec, codec.payload_type(), &material(CALLER_HZ, LEAD_MS).unwrap()).unwrap();
            let sipp = calling(codec, &callee, false, Does::Plays(packets));
            let (caller, capture) = (SippPhone::start(&sipp).unwrap(), Capture::start(|_, _| true).unwrap());
            callee.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
            sleep(TALK + Duration::from_millis(1500)).await;
            callee.hang_up().await.unwrap();
            let media = caller.media;
            caller.finished().await.unwrap();
            let heard = callee.finish().await.unwrap();
            let heard = Pcm { samples: heard.samples, rate_hz: heard.rate_hz };
            let got = capture.stream(|packet| packet.destination == media);
            let got = ffmpeg::decoded(codec, &got.payloads(codec.payload_type())).unwrap();
            judged("baresip from SIPp", codec, &heard, CALLER_HZ);
            judged("SIPp from baresip", codec, &got, CALLEE_HZ);
        })
    });
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_rfc_4733_are_read_alike_by_sipp_and_baresip() {
    let _alone = STAGE.lock().await;
    // What baresip takes and gives at any codec is the clock of G.711.
    let codec = Codec::Pcma;
    let digits = "0123456789*#ABCD5500";
    let silence = ffmpeg::encoded(codec, &Pcm::silence(20, 8000)).unwrap();
    let script = telephone_event::Script {
        digits,
        tone_ms: 100,
        pause_ms: 100,
        payload_type: EVENT_TYPE,
        clock_hz: codec.clock_hz(),
        silence: (codec.payload_type(), &silence),
    };
    let mut callee = baresip(codec, Plays::Tone(CALLEE_HZ)).await;
    let does = Does::Plays(telephone_event::written(&script));
    let caller = SippPhone::start(&calling(codec, &callee, true, does)).unwrap();
    let media = caller.media;
    let capture = Capture::start(move |source, destination| [source, destination].contains(&media)).unwrap();
    let keys = callee.keys(digits.len(), LIMIT).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.digit).collect::<String>(), digits);
    callee.press(digits).await.unwrap();
    sleep(Duration::from_millis(240 * digits.len() as u64 + 500)).await;
    callee.hang_up().await.unwrap();
    caller.finished().await.unwrap();
    let read = |stream: tgtrunk_tests::capture::Stream| {
        telephone_event::read(stream.packets(), EVENT_TYPE, codec.clock_hz()).unwrap()
    };
    for (events, tone_ms, pause_ms) in [
        (read(capture.stream(|packet| packet.source == media)), 100.0, 100.0),
        (read(capture.stream(|packet| packet.destination == media)), 180.0, 60.0),
    ] {
        assert_eq!(events.iter().map(|event| event.digit).collect::<String>(), digits);
        for event in &events {
            assert!(event.ended && event.marked && event.packets.1 == 3, "{event:?}");
            assert_eq!(event.duration_ms, tone_ms, "{event:?}");
            assert!(event.pause_ms.is_none_or(|pause| pause == pause_ms), "{event:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_that_sipp_brings_along_are_read_from_the_wire() {
    let _alone = STAGE.lock().await;
    let codec = Codec::Pcma;
    let mut callee = baresip(codec, Plays::Tone(CALLEE_HZ)).await;
    // In the order in which they were recorded. Their numbers leap, at which baresip takes nothing more.
    let names = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "star", "pound", "0"];
    let files = names.map(|name| format!("/usr/share/sip-tester/dtmf_2833_{name}.pcap"));
    let does = Does::PlaysFiles(files.to_vec(), 300);
    let caller = SippPhone::start(&calling(codec, &callee, true, does)).unwrap();
    let media = caller.media;
    let capture = Capture::start(move |source, _| source == media).unwrap();
    callee.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
    sleep(Duration::from_millis(1500 + 300 * names.len() as u64 + 500)).await;
    callee.hang_up().await.unwrap();
    caller.finished().await.unwrap();
    let events = telephone_event::read(capture.stream(|_| true).packets(), EVENT_TYPE, 8000).unwrap();
    assert_eq!(events.iter().map(|event| event.digit).collect::<String>(), "123456789*#0");
    assert!(events.iter().all(|event| event.ended && event.packets == (10, 3)), "{events:?}");
    assert!(events.iter().all(|event| event.duration_ms == 280.0), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn info_is_read_alike_by_sipp_and_baresip() {
    let _alone = STAGE.lock().await;
    let relayed: Vec<Info> = "0123456789*#ABCD".chars().map(|digit| Info::relay(digit, 160, 200)).collect();
    let mut callee = baresip(Codec::Pcma, Plays::Tone(CALLEE_HZ)).await;
    let caller =
        SippPhone::start(&calling(Codec::Pcma, &callee, false, Does::Sends(relayed.clone()))).unwrap();
    let keys = callee.keys(relayed.len(), LIMIT).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.digit).collect::<String>(), "0123456789*#ABCD");
    sleep(Duration::from_millis(500)).await;
    callee.hang_up().await.unwrap();
    assert_eq!(caller.finished().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn tones_that_baresip_plays_are_heard_as_keys_behind_every_codec() {
    let _alone = STAGE.lock().await;
    let digits = "0123456789*#ABCD5500";
    let calls = Codec::ALL.map(|codec| {
        tokio::spawn(async move {
            let played = Pcm::silence(500, RATE_HZ).then(&keypad::played(digits, 100, 100, RATE_HZ));
            let length = Duration::from_millis(played.length_ms());
            let mut callee = baresip(codec, Plays::Sound(played)).await;
            let caller = SippPhone::start(&calling(codec, &callee, false, Does::Nothing)).unwrap();
            let capture = Capture::start(|_, _| true).unwrap();
            callee.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
            sleep(length).await;
            callee.hang_up().await.unwrap();
            let media = caller.media;
            caller.finished().await.unwrap();
            let got = capture.stream(|packet| packet.destination == media);
            let got = ffmpeg::decoded(codec, &got.payloads(codec.payload_type())).unwrap();
            assert_eq!(keypad::heard(&got).unwrap(), digits, "{codec}");
            let (tones_ms, pauses_ms) = keypad::lengths_ms(&got);
            assert_eq!((tones_ms.len(), pauses_ms.len()), (digits.len(), digits.len() - 1), "{codec}");
            for length_ms in tones_ms.iter().chain(&pauses_ms) {
                assert!(length_ms.abs_diff(100) <= 10, "{codec}: {tones_ms:?} {pauses_ms:?}");
            }
        })
    });
    for call in calls {
        call.await.unwrap();
    }
}

async fn baresip(codec: Codec, plays: Plays) -> Baresip {
    let options = baresip::Options { codec, plays, ..baresip::Options::default() };
    Baresip::start(&options).await.unwrap()
}

fn calling(codec: Codec, callee: &Baresip, events: bool, does: Does) -> sipp_phone::Options {
    let calls = Some((baresip::USER.to_owned(), callee.sip));
    sipp_phone::Options { events, calls, does, ..sipp_phone::Options::new(codec) }
}

fn judged(what: &str, codec: Codec, heard: &Pcm, hz: u32) -> Judgement {
    judged_as(what, codec, heard, hz, LEAST_SCORE)
}

fn judged_as(what: &str, codec: Codec, heard: &Pcm, hz: u32, least_score: f64) -> Judgement {
    let judgement = Yardstick::of(&[codec], hz, OPUS_BITS).and_then(|yardstick| judge(heard, yardstick));
    let judgement = judgement.unwrap_or_else(|error| panic!("{what}, {codec}: {error:#}"));
    println!("{what:24} {codec:5} {judgement}");
    judgement.check(codec, least_score).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    judgement
}
