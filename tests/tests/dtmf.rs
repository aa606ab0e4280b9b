//! A hundred keys on every way through the gateway, each once, in order and as long as it was pressed: events of RFC 4733
//! at the clock of each kind of codec, SIP INFO, and tones among the sound. SIPp and baresip press and judge, with a
//! capture and multimon-ng. Needs root, for the capture.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::baresip::{self, Baresip, Plays};
use tgtrunk_tests::capture::{Capture, Passed};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, LightUser};
use tgtrunk_tests::linphone::{self, Linphone};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::raw_control::RawControl;
use tgtrunk_tests::sipp_phone::{self, Does, EVENT_TYPE, Info, SippPhone, spoken};
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::{ffmpeg, keypad, ports, telephone_event};
use tokio::sync::Mutex;
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(15);
/// Each key of the pad often, some of them several times in a row.
const DIGITS: &str =
    "0123456789*#ABCD5500##**AADD1111999973160284DCBA#*98765432101357924680ABBA**##0000777742424242D*A#19";
const TONE_MS: u32 = 100;
const PAUSE_MS: u32 = 100;
/// What baresip makes of a key, whatever one asks for.
const BARESIP_TONE_MS: u32 = 180;
const BARESIP_PAUSE_MS: u32 = 60;
/// How far a duration may be off.
const OFF_MS: u32 = 10;
/// How far it may be off where a packet of a tone came too late to be played.
const LATE_OFF_MS: u32 = OFF_MS + 20;
/// How many tones and pauses may be off because this machine itself paused.
const LATE: usize = 5;
/// Presses whose way is timed.
const PRESSES: usize = 40;
/// How late a press may be on a machine that has other things to do.
const AT_ONCE_LIMIT: Duration = Duration::from_millis(500);
/// One test at a time: they load the machine, and one looks at times.
static ALONE: Mutex<()> = Mutex::const_new(());
/// As many keys as one request may hold, or less.
const AT_ONCE: usize = 50;

/// Ways that keys go to the PBX and come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Events, SIPp at the other end.
    Events(Codec),
    /// Events at the clock of G.711, baresip at the other end.
    Baresip(Codec),
    /// `application/dtmf-relay`.
    InfoRelay,
    /// `application/dtmf`, which has no duration; towards the PBX as the gateway likes.
    InfoPlain,
    InBand(Codec),
}

const WAYS: [Way; 9] = [
    Way::Events(Codec::Pcma),
    Way::Events(Codec::G722),
    Way::Events(Codec::Opus),
    Way::Baresip(Codec::Pcma),
    Way::Baresip(Codec::Opus),
    Way::InfoRelay,
    Way::InfoPlain,
    Way::InBand(Codec::Pcma),
    Way::InBand(Codec::G722),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_keys_come_over_on_every_way_and_in_both_directions() {
    let _alone = ALONE.lock().await;
    assert_eq!(DIGITS.len(), 100);
    let stage = Stage::on_loopback().await.unwrap();
    let silence = ffmpeg::opus_encoded(&Pcm::silence(10_000, ffmpeg::RATE_HZ), 32_000).unwrap();
    let silence = Arc::<[Vec<u8>]>::from(silence);
    let mut rooms = Vec::new();
    for (number, way) in WAYS.into_iter().enumerate() {
        let line = stage.line(&format!("+7906000000{number}")).unwrap();
        let phone_port = ports::free_pair().unwrap();
        let draft = stage::draft(&line).unwrap().set("pbx_user", baresip::USER).set("dtmf", way.setting());
        stage.open(&line, SocketAddr::from(([127, 0, 0, 1], phone_port)), draft).await.unwrap();
        let user = NewUser::new(format!("+7916111111{number}"), "Anna").username(format!("anna{number}"));
        let user = stage.person(user, light_user::Options::playing(Arc::clone(&silence))).unwrap();
        rooms.push(Room { way, line, phone_port, dials: format!("tg%23anna{number}"), user });
    }
    let gateway = Arc::new(stage.run(&[]).await.unwrap());
    let socket = stage.installation.state.join("gateway.sock");
    let mut calls = Vec::new();
    for room in rooms {
        let control = RawControl::connect(&socket).await.unwrap();
        let way = room.way;
        calls.push((way, tokio::spawn(room.call(Arc::clone(&gateway), control))));
    }
    let mut wrong = Vec::new();
    for (way, call) in calls {
        match call.await.unwrap() {
            Ok(()) => show(&format!("{way:?}: {} keys each way", DIGITS.len())),
            Err(error) => wrong.push(format!("{way:?}: {error:#}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Arc::into_inner(gateway).unwrap().stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_linphone_presses_are_told_and_how_they_came() {
    let _alone = ALONE.lock().await;
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060000098").unwrap();
    let port = ports::free().unwrap();
    let pbx = SocketAddr::from(([127, 0, 0, 1], port));
    stage.open(&line, pbx, stage::draft(&line).unwrap()).await.unwrap();
    let silence = ffmpeg::opus_encoded(&Pcm::silence(10_000, ffmpeg::RATE_HZ), 32_000).unwrap();
    let user = NewUser::new("+79161111198", "Anna").username("anna98");
    let mut user = stage.person(user, light_user::Options::playing(silence.into())).unwrap();
    let gateway = stage.run(&[]).await.unwrap();
    stage::logged_in(&gateway, &line, LIMIT).await.unwrap();
    let digits = "150*#9";
    for (keys_by_info, way) in [(false, "rfc4733"), (true, "info")] {
        let plays = Pcm::silence(20, ffmpeg::RATE_HZ);
        let options = linphone::Options {
            sip_port: Some(port),
            keys_by_info,
            ..linphone::Options::new(Codec::Pcma, plays)
        };
        let mut phone = Linphone::start(&options).await.unwrap();
        let mut control = RawControl::connect(&stage.installation.state.join("gateway.sock")).await.unwrap();
        phone.dial(&format!("sip:tg%23anna98@{}", line.sip)).await.unwrap();
        user.connected(LIMIT).await.unwrap();
        phone.established(LIMIT).await.unwrap();
        phone.press(digits).await.unwrap();
        let ours = |event: &Value| event["event"] == "digit" && event["from"] == "pbx";
        let told = control.gather(digits.len(), LIMIT, ours).await.unwrap();
        assert!(told.iter().all(|event| event["way"] == way), "{told:?}");
        let told: String = told.iter().filter_map(|event| event["digit"].as_str()).collect();
        assert_eq!(told, digits);
        phone.finish().await.unwrap();
        user.discarded(LIMIT).await.unwrap();
    }
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_asked_for_at_the_socket_is_an_event_on_the_wire_at_once() {
    let _alone = ALONE.lock().await;
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060000099").unwrap();
    let silence = ffmpeg::opus_encoded(&Pcm::silence(10_000, ffmpeg::RATE_HZ), 32_000).unwrap();
    let options = baresip::Options { codec: Codec::Pcma, ..baresip::Options::default() };
    let mut phone = Baresip::start(&options).await.unwrap();
    let draft = stage::draft(&line).unwrap().set("pbx_user", baresip::USER);
    stage.open(&line, phone.sip, draft).await.unwrap();
    let user = NewUser::new("+79161111199", "Anna").username("anna99");
    let mut user = stage.person(user, light_user::Options::playing(silence.into())).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    phone.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    let call = control.calls().await.unwrap()[0].call;
    let capture = Capture::start(|_, destination| baresip::RTP_PORTS.contains(&destination.port())).unwrap();
    let (mut pressed, mut done) = (Vec::new(), Vec::new());
    for number in 0..PRESSES {
        let digits = DIGITS[number..=number].parse().unwrap();
        let key = Some(number.to_string());
        let ask = Ask::SendDigits { call, digits, tone_ms: Some(60), pause_ms: Some(60), key };
        // Not in step with the sound.
        sleep(Duration::from_millis(203)).await;
        let asked = now();
        assert_eq!(control.ask(ask.clone()).await.unwrap(), Answer::Done);
        done.push(now() - asked);
        pressed.push(asked);
        // Whoever did not hear that asks again, and nothing more is pressed.
        assert_eq!(control.ask(ask).await.unwrap(), Answer::Done);
    }
    let until = now() + LIMIT;
    let begun = loop {
        if let Some(begun) = presses_seen(&capture, &DIGITS[..PRESSES]) {
            break begun;
        }
        assert!(now() < until, "not every press was seen");
        sleep(Duration::from_millis(10)).await;
    };
    let mut waited: Vec<Duration> = begun
        .iter()
        .zip(&pressed)
        .map(|(begun, pressed)| begun.saturating_duration_since(*pressed))
        .collect();
    waited.sort();
    done.sort();
    show(&format!(
        "press at the socket to first event: median {:?}, worst {:?}; to the answer: median {:?}, worst {:?}",
        waited[PRESSES / 2],
        waited[PRESSES - 1],
        done[PRESSES / 2],
        done[PRESSES - 1]
    ));
    // How quick it is, the figures tell; here it is only to be no waiting for something else.
    assert!(waited[PRESSES / 2] < AT_ONCE_LIMIT && waited[PRESSES - 2] < AT_ONCE_LIMIT, "{waited:?}");
    gateway.stop().await.unwrap();
    stage.done();
}

impl Way {
    fn setting(self) -> &'static str {
        match self {
            Self::Events(_) | Self::Baresip(_) => "rfc4733",
            Self::InfoRelay | Self::InfoPlain => "info",
            Self::InBand(_) => "in_band",
        }
    }

    fn codec(self) -> Codec {
        match self {
            Self::Events(codec) | Self::Baresip(codec) | Self::InBand(codec) => codec,
            Self::InfoRelay | Self::InfoPlain => Codec::Pcmu,
        }
    }

    /// What SIPp does to press all keys.
    fn presses(self) -> anyhow::Result<Does> {
        let codec = self.codec();
        let infos = |info: fn(char) -> Info| Does::Sends(DIGITS.chars().map(info).collect());
        Ok(match self {
            Self::Events(_) => {
                let silence = spoken(codec, 0, &Pcm::silence(20, ffmpeg::RATE_HZ))?;
                let silence = &silence.first().context("a packet of silence")?.1[12..];
                Does::Plays(telephone_event::written(&telephone_event::Script {
                    digits: DIGITS,
                    tone_ms: TONE_MS,
                    pause_ms: PAUSE_MS,
                    payload_type: EVENT_TYPE,
                    clock_hz: codec.clock_hz(),
                    silence: (codec.payload_type(), silence),
                }))
            }
            Self::Baresip(_) => Does::Nothing,
            Self::InfoRelay => infos(|digit| Info::relay(digit, TONE_MS, 50)),
            Self::InfoPlain => infos(|digit| Info::plain(digit, 50)),
            Self::InBand(_) => {
                let sound = keypad::played(DIGITS, TONE_MS, PAUSE_MS, ffmpeg::RATE_HZ);
                Does::Plays(spoken(codec, codec.payload_type(), &sound)?)
            }
        })
    }

    /// How the gateway is to tell of keys, and how long they last, if that is known.
    fn told(self) -> (&'static str, Option<u32>) {
        match self {
            Self::Events(_) => ("rfc4733", Some(TONE_MS)),
            Self::Baresip(_) => ("rfc4733", Some(BARESIP_TONE_MS)),
            Self::InfoRelay => ("info", Some(TONE_MS)),
            Self::InfoPlain => ("info", None),
            Self::InBand(_) => ("in_band", Some(TONE_MS)),
        }
    }
}

/// A line with a phone at its one end, which calls, and a user at its other.
struct Room {
    way: Way,
    line: Line,
    phone_port: u16,
    dials: String,
    user: LightUser,
}

impl Room {
    async fn call(self, gateway: Arc<Gateway>, control: RawControl) -> anyhow::Result<()> {
        match self.way {
            Way::Baresip(codec) => self.call_by_baresip(codec, &gateway, control).await,
            Way::Events(_) | Way::InfoRelay | Way::InfoPlain | Way::InBand(_) => {
                self.call_by_sipp(&gateway, control).await
            }
        }
    }

    async fn call_by_sipp(mut self, gateway: &Gateway, mut control: RawControl) -> anyhow::Result<()> {
        let (way, codec) = (self.way, self.way.codec());
        let options = sipp_phone::Options {
            codec,
            events: matches!(way, Way::Events(_)),
            calls: Some((self.dials.clone(), self.line.sip)),
            does: way.presses()?,
            sip_port: Some(self.phone_port),
            ..sipp_phone::Options::new(codec)
        };
        let capture = Capture::start(|_, _| true)?;
        let phone = SippPhone::start(&options)?;
        let media = phone.media;
        let telegram_call = self.user.connected(LIMIT).await?;
        self.check_told(&mut control).await.context("from the PBX")?;
        self.press(gateway, &mut control).await?;
        sleep(keys_last(TONE_MS + PAUSE_MS) + Duration::from_secs(1)).await;
        self.user.hang_up(telegram_call, light_user::Reason::Hangup).await;
        let infos = phone.finished().await?;
        let got = capture.stream(|packet| packet.destination == media);
        match way {
            Way::Events(_) => check_events(&got, codec.clock_hz()),
            Way::InfoRelay | Way::InfoPlain => check_infos(&infos),
            Way::InBand(_) | Way::Baresip(_) => {
                let sound = ffmpeg::decoded(codec, &got.payloads(codec.payload_type()))?;
                // The keys that it pressed itself are not heard here.
                check_tones(&sound)
            }
        }
        .context("to the PBX")
    }

    async fn call_by_baresip(
        mut self,
        codec: Codec,
        gateway: &Gateway,
        mut control: RawControl,
    ) -> anyhow::Result<()> {
        let plays = Plays::Sound(Pcm::silence(20, ffmpeg::RATE_HZ));
        let sip_port = Some(self.phone_port);
        let options = baresip::Options { codec, plays, sip_port, ..baresip::Options::default() };
        let mut phone = Baresip::start(&options).await?;
        phone.dial(&format!("sip:{}@{}", self.dials, self.line.sip)).await?;
        let telegram_call = self.user.connected(LIMIT).await?;
        phone.wait_for("CALL_ESTABLISHED", LIMIT).await?;
        phone.press(DIGITS).await?;
        self.check_told(&mut control).await.context("from the PBX")?;
        self.press(gateway, &mut control).await?;
        let keys = phone.keys(DIGITS.len(), keys_last(TONE_MS + PAUSE_MS) + LIMIT).await?;
        self.user.hang_up(telegram_call, light_user::Reason::Hangup).await;
        phone.wait_for("CALL_CLOSED", LIMIT).await?;
        let digits: String = keys.iter().map(|key| key.digit).collect();
        ensure!(digits == DIGITS, "to the PBX: baresip saw {digits}");
        Ok(())
    }

    /// Keys that the PBX pressed, as the control socket tells them.
    async fn check_told(&self, control: &mut RawControl) -> anyhow::Result<()> {
        let line = self.line.phone.as_str();
        let ours = |event: &Value| event["event"] == "digit" && event["line"] == line;
        let limit = keys_last(BARESIP_TONE_MS + BARESIP_PAUSE_MS) + LIMIT;
        let events = control.gather(DIGITS.len(), limit, ours).await?;
        let digits: String = events.iter().filter_map(|event| event["digit"].as_str()).collect();
        ensure!(digits == DIGITS, "told are {} keys: {digits}", digits.len());
        let (way, duration_ms) = self.way.told();
        let mut late = Vec::new();
        for event in events {
            ensure!(event["from"] == "pbx" && event["way"] == way, "{event}");
            let Some(wanted) = duration_ms else { continue };
            let told = event["duration_ms"].as_u64().with_context(|| event.to_string())?;
            let off = told.abs_diff(u64::from(wanted));
            ensure!(off <= u64::from(LATE_OFF_MS), "want {wanted} ms: {event}");
            if off > u64::from(OFF_MS) {
                late.push(told);
            }
        }
        let may_be_late = if matches!(self.way, Way::InBand(_)) { LATE } else { 0 };
        ensure!(late.len() <= may_be_late, "want {duration_ms:?} ms: {late:?}");
        Ok(())
    }

    /// Lets the gateway press all keys.
    async fn press(&self, gateway: &Gateway, control: &mut RawControl) -> anyhow::Result<()> {
        let calls = gateway.control().await?.calls().await?;
        let call = calls.iter().find(|call| call.line.to_string() == self.line.phone);
        let call = serde_json::to_value(call.context("the call is up")?.call)?;
        for digits in DIGITS.as_bytes().chunks(AT_ONCE) {
            let digits = std::str::from_utf8(digits)?;
            let request = json!({
                "do": "send_digits", "call": call, "digits": digits, "tone_ms": TONE_MS, "pause_ms": PAUSE_MS,
            });
            let answer = control.ask(request).await?;
            ensure!(answer == "done", "{answer}");
        }
        Ok(())
    }
}

/// When each of these keys began in the one stream that carries all of them and no other; other calls pass here, too.
fn presses_seen(capture: &Capture, digits: &str) -> Option<Vec<Instant>> {
    // An event's first packet has the marker, its first byte says which key (RFC 4733 section 2.3).
    let firsts = capture.stream(|packet| packet.marker && packet.payload.len() == 4);
    let mut streams: BTreeMap<u32, Vec<&Passed>> = BTreeMap::new();
    for packet in firsts.packets() {
        streams.entry(packet.ssrc).or_default().push(packet);
    }
    let key = |packet: &&Passed| "0123456789*#ABCD".chars().nth(packet.payload[0].into());
    let carries = |stream: &Vec<&Passed>| stream.iter().map(key).eq(digits.chars().map(Some));
    let ours = streams.into_values().find(carries)?;
    Some(ours.into_iter().map(|packet| packet.at).collect())
}

fn check_events(got: &tgtrunk_tests::capture::Stream, clock_hz: u32) -> anyhow::Result<()> {
    let events = telephone_event::read(got.packets(), EVENT_TYPE, clock_hz)?;
    let digits: String = events.iter().map(|event| event.digit).collect();
    ensure!(digits == DIGITS, "{} keys: {digits}", events.len());
    let off = |length_ms: f64, wanted_ms: u32| (length_ms - f64::from(wanted_ms)).abs();
    for event in &events {
        ensure!(event.ended && event.marked && event.packets.1 >= 3, "{event:?}");
        ensure!(off(event.duration_ms, TONE_MS) <= f64::from(OFF_MS), "{event:?}");
    }
    // Packets leave on the beat of the audio, so that a pause is not as exact as a tone.
    let pauses = events.iter().filter_map(|event| event.pause_ms);
    let late: Vec<_> = pauses.filter(|pause| off(*pause, PAUSE_MS) > 30.0).collect();
    ensure!(late.len() <= LATE, "pauses of {late:?} ms");
    Ok(())
}

fn check_infos(infos: &[Info]) -> anyhow::Result<()> {
    let keys: Vec<(char, Option<u32>)> =
        infos.iter().map(|info| info.key().with_context(|| format!("{info:?}"))).collect::<Result<_, _>>()?;
    let digits: String = keys.iter().map(|(digit, _)| digit).collect();
    ensure!(digits == DIGITS, "{} keys: {digits}", keys.len());
    let right = |duration: &Option<u32>| duration.is_none_or(|told| told.abs_diff(TONE_MS) <= OFF_MS);
    ensure!(keys.iter().all(|(_, duration)| right(duration)), "{keys:?}");
    Ok(())
}

fn check_tones(sound: &Pcm) -> anyhow::Result<()> {
    let digits = keypad::heard(sound)?;
    ensure!(digits == DIGITS, "{} keys: {digits}", digits.len());
    let (tones_ms, _) = keypad::lengths_ms(sound);
    ensure!(tones_ms.len() == DIGITS.len(), "{} tones: {tones_ms:?}", tones_ms.len());
    ensure!(tones_ms.iter().all(|length| length.abs_diff(TONE_MS) <= OFF_MS), "{tones_ms:?}");
    Ok(())
}

/// How long all keys take.
fn keys_last(each_ms: u32) -> Duration {
    Duration::from_millis(u64::from(each_ms) * DIGITS.len() as u64)
}
