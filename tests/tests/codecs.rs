//! Each codec in each direction with each phone that has it, through the gateway: a tone and speech both ways at once,
//! judged beside the codecs alone. The matrix is printed. Needs root, for the capture.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::Direction;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::baresip::{self, Baresip, Plays};
use tgtrunk_tests::capture::Capture;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::light_user::{self, LightUser};
use tgtrunk_tests::linphone::{self, Linphone};
use tgtrunk_tests::listening::{Judgement, LEAST_SCORE, Yardstick, judge, material};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::sipp_phone::{self, Does, SippPhone, spoken};
use tgtrunk_tests::stage::{self, GREEN_LIMIT, Line, Stage};
use tgtrunk_tests::{ffmpeg, ports};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(15);
/// From the moment in which both ends are connected: what is silent at first, the material, what is under way.
const TALK: Duration = Duration::from_millis(17_200);
const TELEGRAM_HZ: u32 = 880;
const PHONE_HZ: u32 = 440;
/// Telegram's end begins to play when its media is connected, a phone when it has answered.
const TELEGRAM_LEAD_MS: u32 = 700;
const PHONE_LEAD_MS: u32 = 2000;
/// Of Telegram's end, of SIPp, and of the arm without a gateway.
const OPUS_BITS: i32 = 32_000;
/// The circle of Telegram's end is longer than a call.
const CIRCLE_MS: u32 = 30_000;

/// The phones, and in which direction each is tried.
const ROUNDS: [(Kind, Direction); 5] = [
    (Kind::Baresip, Direction::TelegramToPbx),
    (Kind::Baresip, Direction::PbxToTelegram),
    (Kind::Linphone, Direction::TelegramToPbx),
    (Kind::Linphone, Direction::PbxToTelegram),
    (Kind::Sipp, Direction::PbxToTelegram),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_phone_and_telegram_hear_each_other_in_every_codec() {
    let stage = Stage::on_loopback().await.unwrap();
    let telegram_plays =
        Arc::<[Vec<u8>]>::from(ffmpeg::opus_encoded(&telegrams_material(), OPUS_BITS).unwrap());
    let mut rooms = Vec::new();
    for (number, codec) in Codec::ALL.into_iter().enumerate() {
        let line = stage.line(&format!("+7906000000{number}")).unwrap();
        let phone_port = ports::free_pair().unwrap();
        let draft = stage::draft(&line).unwrap().set("pbx_user", baresip::USER);
        stage.open(&line, SocketAddr::from(([127, 0, 0, 1], phone_port)), draft).await.unwrap();
        let user = NewUser::new(format!("+7916111111{number}"), "Anna").username(format!("anna{number}"));
        let user = stage.person(user, light_user::Options::playing(Arc::clone(&telegram_plays))).unwrap();
        rooms.push(Room { codec, line, phone_port, number, user });
    }
    let gateway = stage.run(&[]).await.unwrap();
    let capture = Arc::new(Capture::start(|_, _| true).unwrap());
    let phones_material = Arc::new(material(PHONE_HZ, PHONE_LEAD_MS).unwrap());

    let mut recordings = Vec::new();
    for (kind, direction) in ROUNDS {
        capture.forget();
        let mut with_codec = Vec::new();
        for room in rooms.iter().filter(|room| kind.codecs().contains(&room.codec)) {
            let calls = (direction == Direction::PbxToTelegram)
                .then(|| (format!("tg%23anna{}", room.number), room.line.sip));
            with_codec.push((room.number, Phone::start(kind, room, &phones_material, calls).await));
        }
        if direction == Direction::TelegramToPbx {
            for room in rooms.iter().filter(|room| kind.codecs().contains(&room.codec)) {
                stage::green(&gateway, &room.line, GREEN_LIMIT).await.unwrap();
            }
        }
        let mut playing = Vec::new();
        for (number, phone) in with_codec {
            let at = rooms.iter().position(|room| room.number == number).unwrap();
            let (room, capture) = (rooms.swap_remove(at), Arc::clone(&capture));
            playing.push(tokio::spawn(room.call(phone, direction, capture)));
        }
        for call in playing {
            let (room, [at_phone, at_telegram], said) = call.await.unwrap();
            for (to_telegram, heard, said) in [(false, at_phone, None), (true, at_telegram, said)] {
                let row = Row { kind, direction, codec: room.codec, to_telegram };
                recordings.push(Recording { row, heard, said });
            }
            rooms.push(room);
        }
    }
    drop(rooms);
    gateway.stop().await.unwrap();

    let mut wrong = Vec::new();
    let mut kept = Vec::new();
    for (Recording { row, .. }, judgement) in recordings.iter().zip(judged(&recordings)) {
        let checked = judgement.and_then(|judgement| {
            show(&format!("{row} {judgement}"));
            if row.kind != Kind::Sipp {
                let score = judgement.mos / judgement.alone_mos;
                kept.push(((row.codec, row.to_telegram), score, judgement.tone_share));
            }
            judgement.check_with(row.codec.least_tone_share() - PAUSE, row.least_score())
        });
        wrong.extend(checked.err().map(|error| format!("{row}: {error:#}")));
    }
    // One score varies by some percent from call to call with the instant at which a packet comes; their mean does not.
    for codec in Codec::ALL {
        for to_telegram in [false, true] {
            let calls = kept.iter().filter(|row| row.0 == (codec, to_telegram));
            let (sum, tones, count) =
                calls.fold((0.0, 0.0, 0), |sum, call| (sum.0 + call.1, sum.1 + call.2, sum.2 + 1));
            let (mean, mean_tone) = (sum / f64::from(count), tones / f64::from(count));
            let ear = if to_telegram { "Telegram" } else { "the phone" };
            show(&format!("{codec} at {ear}: {:.1} % of the codec alone, {count} calls", mean * 100.0));
            if mean < least_mean(codec) {
                wrong.push(format!("{codec} at {ear}: {mean:.3} of what the codec alone scores"));
            }
            if mean_tone < codec.least_tone_share() {
                wrong.push(format!("{codec} at {ear}: {mean_tone:.3} of what is heard is the tone"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    stage.done();
}

/// A phone that gets its time too late hides a packet or two, which is so much of its tone; that of all calls is judged whole.
const PAUSE: f64 = 0.03;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Baresip,
    Linphone,
    Sipp,
}

impl Kind {
    fn codecs(self) -> &'static [Codec] {
        match self {
            Self::Baresip | Self::Sipp => &Codec::ALL,
            Self::Linphone => &linphone::CODECS,
        }
    }
}

/// A line with a phone of one codec at its one end and a user at its other.
struct Room {
    codec: Codec,
    line: Line,
    phone_port: u16,
    number: usize,
    user: LightUser,
}

impl Room {
    /// A call; gives what the phone heard, what the user heard, and what the phone said if its encoder is not to be
    /// judged.
    async fn call(
        mut self,
        mut phone: Phone,
        direction: Direction,
        capture: Arc<Capture>,
    ) -> (Self, [Pcm; 2], Option<Pcm>) {
        let dialled = format!("sip:tg%23anna{}@{}", self.number, self.line.sip);
        match direction {
            Direction::TelegramToPbx => drop(self.user.call(self.line.account).await.unwrap()),
            Direction::PbxToTelegram => phone.dial(&dialled).await,
        }
        let call = self.user.connected(LIMIT).await.unwrap();
        phone.established().await;
        sleep(TALK).await;
        let payloads = self.user.heard(call).payloads;
        self.user.hang_up(call, light_user::Reason::Hangup).await;
        let said = phone.said(self.codec, &capture).await;
        let at_phone = phone.finish(self.codec, &capture).await;
        // Decoding takes its time; other calls are still up.
        let at_telegram = tokio::task::spawn_blocking(move || ffmpeg::decoded(Codec::Opus, &payloads)).await;
        (self, [at_phone, at_telegram.unwrap().unwrap()], said)
    }
}

enum Phone {
    Baresip(Baresip),
    Linphone(Linphone),
    Sipp(SippPhone),
}

impl Phone {
    async fn start(kind: Kind, room: &Room, plays: &Pcm, calls: Option<(String, SocketAddr)>) -> Self {
        let (codec, sip_port, answers) = (room.codec, Some(room.phone_port), true);
        match kind {
            Kind::Baresip => {
                let plays = Plays::Sound(plays.clone());
                let options =
                    baresip::Options { codec, plays, answers, sip_port, ..baresip::Options::default() };
                Self::Baresip(Baresip::start(&options).await.unwrap())
            }
            Kind::Linphone => {
                let options = linphone::Options { sip_port, ..linphone::Options::new(codec, plays.clone()) };
                Self::Linphone(Linphone::start(&options).await.unwrap())
            }
            Kind::Sipp => {
                let does = Does::Plays(spoken(codec, codec.payload_type(), plays).unwrap());
                let options = sipp_phone::Options {
                    events: true,
                    calls,
                    does,
                    sip_port,
                    ..sipp_phone::Options::new(codec)
                };
                Self::Sipp(SippPhone::start(&options).unwrap())
            }
        }
    }

    async fn dial(&mut self, uri: &str) {
        match self {
            Self::Baresip(phone) => phone.dial(uri).await.unwrap(),
            Self::Linphone(phone) => phone.dial(uri).await.unwrap(),
            // It has dialled when it started.
            Self::Sipp(_) => {}
        }
    }

    async fn established(&mut self) {
        match self {
            Self::Baresip(phone) => drop(phone.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap()),
            Self::Linphone(phone) => phone.established(LIMIT).await.unwrap(),
            Self::Sipp(_) => {}
        }
    }

    /// What linphonec sent, for its encoder has its own ways; the others are as good as the codec alone.
    async fn said(&self, codec: Codec, capture: &Capture) -> Option<Pcm> {
        let Self::Linphone(phone) = self else { return None };
        let port = phone.media_port;
        let sent = capture.stream(|packet| packet.source.port() == port);
        // It names one codec, so that all but its keys is that.
        let payloads = sent.payloads(sent.packets().first()?.payload_type);
        Some(tokio::task::spawn_blocking(move || ffmpeg::decoded(codec, &payloads)).await.unwrap().unwrap())
    }

    async fn finish(self, codec: Codec, capture: &Capture) -> Pcm {
        match self {
            Self::Baresip(mut phone) => {
                phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
                let heard = phone.finish().await.unwrap();
                Pcm { samples: heard.samples, rate_hz: heard.rate_hz }
            }
            Self::Linphone(phone) => phone.finish().await.unwrap(),
            Self::Sipp(phone) => {
                let media = phone.media;
                phone.finished().await.unwrap();
                let got = capture.stream(|packet| packet.destination == media);
                let payloads = got.payloads(codec.payload_type());
                tokio::task::spawn_blocking(move || ffmpeg::decoded(codec, &payloads)).await.unwrap().unwrap()
            }
        }
    }
}

struct Recording {
    row: Row,
    heard: Pcm,
    /// What the phone sent, decoded by the codec alone.
    said: Option<Pcm>,
}

/// What a recording is of.
struct Row {
    kind: Kind,
    direction: Direction,
    codec: Codec,
    to_telegram: bool,
}

impl Row {
    /// How much of the codec's own score must be left in this one call.
    fn least_score(&self) -> f64 {
        match self.kind {
            // It plays a capture half a percent slowly: sound is stretched to follow it, which PESQ takes for damage.
            Kind::Sipp => 0.8,
            Kind::Baresip | Kind::Linphone if self.codec == Codec::G722 => 0.85,
            Kind::Baresip | Kind::Linphone => 0.93,
        }
    }
}

/// How much of the codec's own score all calls must have left together. Sound in wide band that was coded twice scores 3.0,
/// and 5 % more or less from call to call, which four calls do not level.
fn least_mean(codec: Codec) -> f64 {
    if codec == Codec::G722 { 0.92 } else { LEAST_SCORE }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, direction, codec, to_telegram } = self;
        let caller = match direction {
            Direction::TelegramToPbx => "Telegram calls",
            Direction::PbxToTelegram => "phone calls",
        };
        let ear = if *to_telegram { "at Telegram" } else { "at the phone" };
        write!(f, "{codec:5} {:9} {caller:15} {ear:13}", format!("{kind:?}"))
    }
}

/// Judges recordings on both processors.
fn judged(recordings: &[Recording]) -> Vec<anyhow::Result<Judgement>> {
    let yardsticks: Vec<_> = Codec::ALL
        .into_iter()
        .flat_map(|codec| [(codec, false), (codec, true)])
        .map(|(codec, to_telegram)| {
            let chain = match (codec, to_telegram) {
                (Codec::Opus, _) => vec![Codec::Opus],
                (_, true) => vec![codec, Codec::Opus],
                (_, false) => vec![Codec::Opus, codec],
            };
            let hz = if to_telegram { PHONE_HZ } else { TELEGRAM_HZ };
            ((codec, to_telegram), Yardstick::of(&chain, hz, OPUS_BITS).unwrap())
        })
        .collect();
    let judge_one = |recording: &Recording| {
        let row = &recording.row;
        let of_row = yardsticks.iter().find(|(key, _)| *key == (row.codec, row.to_telegram));
        let of_said = recording.said.as_ref().map(|said| {
            let (left, chain) = if row.codec == Codec::Opus {
                (&[][..], &[Codec::Opus][..])
            } else {
                (&[Codec::Opus][..], &[row.codec][..])
            };
            Yardstick::behind(said.clone(), left, chain, PHONE_HZ, OPUS_BITS)
        });
        judge(&recording.heard, of_said.transpose()?.unwrap_or(of_row.unwrap().1))
    };
    let (some, others) = recordings.split_at(recordings.len() / 2);
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| others.iter().map(judge_one).collect::<Vec<_>>());
        let mut all: Vec<_> = some.iter().map(judge_one).collect();
        all.extend(beside.join().unwrap());
        all
    })
}

fn telegrams_material() -> Pcm {
    let sound = material(TELEGRAM_HZ, TELEGRAM_LEAD_MS).unwrap();
    let left_ms = CIRCLE_MS - u32::try_from(sound.length_ms()).unwrap();
    sound.then(&Pcm::silence(left_ms, ffmpeg::RATE_HZ))
}
