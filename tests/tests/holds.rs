//! Phones put their calls on hold and take them back, in every way that there is (RFC 3264 section 8.4, RFC 2543): SIPp by
//! re-INVITE, with and without a description, and by UPDATE; baresip and linphonec as they do it. The person hears what a
//! phone plays meanwhile or nothing, a phone that does not listen gets no packet, and the call goes on. Needs root, for the
//! capture.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::baresip::{self, Baresip, Plays};
use tgtrunk_tests::capture::{Capture, Passed};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::ffmpeg;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::light_user::{self, LightUser, Reason};
use tgtrunk_tests::linphone::{self, Linphone};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::ports;
use tgtrunk_tests::sip_capture::{Message, SipCapture};
use tgtrunk_tests::sipp_dialog::{Session, SippDialog};
use tgtrunk_tests::sipp_script::SippScript;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone::{self, Meter};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(20);
const PHONE_HZ: u32 = 440;
/// What a phone that says `sendonly` plays to whom it has put on hold.
const MUSIC_HZ: u32 = 660;
const USER_HZ: u32 = 880;
/// How long a phone plays, and how long it stays as it is.
const SOUND_MS: u32 = 2500;
const STAYS_MS: u32 = 2800;
/// What packets on their way, and those that wait to be played, get.
const TAIL: Duration = Duration::from_millis(400);
const LISTENS: Duration = Duration::from_millis(1500);
/// A packet that left before the answer may pass after it.
const UNDER_WAY: Duration = Duration::from_millis(60);
const LEAST_SHARE: f64 = 0.9;

/// One way to hold and to take back.
#[derive(Debug, Clone, Copy)]
struct Hold {
    what: &'static str,
    /// Whether SIPp places the call.
    calls: bool,
    /// `None` when the gateway is to offer.
    method: Option<&'static str>,
    held: Session,
    /// What the gateway says of it.
    answer: &'static str,
    music: bool,
    resumed: Session,
}

const TALK: Session = Session { codec: Codec::Pcmu, direction: Some("sendrecv"), nowhere: false };
const SEND_ONLY: Session = Session { direction: Some("sendonly"), ..TALK };
const INACTIVE: Session = Session { direction: Some("inactive"), ..TALK };
const NOWHERE: Session = Session { direction: None, nowhere: true, ..TALK };
const IN_PCMA: Session = Session { codec: Codec::Pcma, ..TALK };

const HOLDS: [Hold; 9] = [
    hold("sendonly, with music", true, SEND_ONLY, "a=recvonly", true),
    hold("inactive", true, INACTIVE, "a=inactive", false),
    hold("0.0.0.0, as RFC 2543 has it", true, NOWHERE, "a=recvonly", false),
    Hold { method: Some("UPDATE"), ..hold("sendonly by UPDATE", true, SEND_ONLY, "a=recvonly", true) },
    Hold {
        method: Some("UPDATE"),
        ..hold("inactive by UPDATE, called", false, INACTIVE, "a=inactive", false)
    },
    Hold { method: None, ..hold("sendonly in the ACK", true, SEND_ONLY, "a=sendrecv", true) },
    Hold { method: None, ..hold("inactive in the ACK, called", false, INACTIVE, "a=sendrecv", false) },
    Hold { resumed: IN_PCMA, ..hold("back in another codec", true, SEND_ONLY, "a=recvonly", false) },
    hold("sendonly, called", false, SEND_ONLY, "a=recvonly", true),
];

const fn hold(what: &'static str, calls: bool, held: Session, answer: &'static str, music: bool) -> Hold {
    Hold { what, calls, method: Some("INVITE"), held, answer, music, resumed: TALK }
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_holds_and_resumes_in_every_way() {
    let stage = Stage::on_loopback().await.unwrap();
    let mut rooms = Vec::new();
    for (number, hold) in HOLDS.into_iter().enumerate() {
        let port = ports::free_pair().unwrap();
        let room = Room::open(&stage, number, SocketAddr::from(([127, 0, 0, 1], port))).await;
        rooms.push((hold, port, room));
    }
    let gateway = stage.run(&[]).await.unwrap();
    for (_, _, room) in &rooms {
        stage::logged_in(&gateway, &room.line, LIMIT).await.unwrap();
    }
    let calls: Vec<_> = rooms
        .into_iter()
        .map(|(hold, port, room)| (hold.what, tokio::spawn(sipp(hold, port, room))))
        .collect();
    let mut wrong = Vec::new();
    for (what, call) in calls {
        match call.await.unwrap() {
            Ok(told) => show(&format!("{what}: {told}")),
            Err(error) => wrong.push(format!("{what}: {error:#}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_is_called_holds_and_resumes() {
    let stage = Stage::on_loopback().await.unwrap();
    let options =
        baresip::Options { codec: Codec::Pcma, plays: Plays::Tone(PHONE_HZ), ..baresip::Options::default() };
    let mut phone = Baresip::start(&options).await.unwrap();
    let mut room = Room::open(&stage, 0, phone.sip).await;
    let gateway = stage.run(&[&room.line]).await.unwrap();
    let listening = Listening::to(phone.sip).unwrap();
    let call = room.user.call(room.line.account).await.unwrap();
    room.user.connected(LIMIT).await.unwrap();
    phone.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
    room.hears(call, PHONE_HZ).await.unwrap();
    phone.hold().await.unwrap();
    let held = listening.change(1, room.line.sip).await.unwrap();
    assert!(held.request.contains("a=sendonly"), "{}", held.request);
    assert_eq!(room.listen(call).await.sounds_ms, 0, "it plays nothing meanwhile");
    phone.resume().await.unwrap();
    let resumed = listening.change(2, room.line.sip).await.unwrap();
    room.hears(call, PHONE_HZ).await.unwrap();
    phone.hang_up().await.unwrap();
    room.user.discarded(LIMIT).await.unwrap();
    listening.check(Codec::Pcma, Codec::Pcma, &held, &resumed).unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_calls_pauses_and_resumes() {
    let stage = Stage::on_loopback().await.unwrap();
    let plays = Pcm::tone(&[PHONE_HZ], 60_000, ffmpeg::RATE_HZ);
    let mut phone = Linphone::start(&linphone::Options::new(Codec::Pcma, plays)).await.unwrap();
    let mut room = Room::open(&stage, 0, phone.sip).await;
    let gateway = stage.run(&[&room.line]).await.unwrap();
    let listening = Listening::to(phone.sip).unwrap();
    phone.dial(&format!("sip:{}@{}", room.dialled, room.line.sip)).await.unwrap();
    let call = room.user.connected(LIMIT).await.unwrap();
    phone.established(LIMIT).await.unwrap();
    room.hears(call, PHONE_HZ).await.unwrap();
    phone.hold().await.unwrap();
    let held = listening.change(1, room.line.sip).await.unwrap();
    assert!(held.request.contains("a=sendonly"), "{}", held.request);
    room.hears(call, PHONE_HZ).await.unwrap_or_else(|error| panic!("it plays its file meanwhile: {error:#}"));
    phone.resume().await.unwrap();
    let resumed = listening.change(2, room.line.sip).await.unwrap();
    room.hears(call, PHONE_HZ).await.unwrap();
    room.user.hang_up(call, Reason::Hangup).await;
    listening.check(Codec::Pcma, Codec::Pcma, &held, &resumed).unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

async fn sipp(hold: Hold, port: u16, mut room: Room) -> anyhow::Result<String> {
    let mut dialog =
        if hold.calls { SippDialog::calls(&room.dialled, TALK) } else { SippDialog::is_called(TALK) };
    let change = |dialog: &mut SippDialog, session, said| match hold.method {
        Some(method) => dialog.offers(method, session, said),
        None => dialog.lets_offer(session, said),
    };
    dialog.plays(TALK.codec, PHONE_HZ, SOUND_MS)?;
    dialog.pauses(STAYS_MS);
    change(&mut dialog, hold.held, hold.answer);
    if hold.music {
        dialog.plays(hold.held.codec, MUSIC_HZ, SOUND_MS)?;
    }
    dialog.pauses(STAYS_MS);
    change(&mut dialog, hold.resumed, "a=sendrecv");
    dialog.plays(hold.resumed.codec, PHONE_HZ, SOUND_MS)?;
    dialog.pauses(STAYS_MS);
    let scenario = dialog.hangs_up();

    let line = room.line.sip;
    let listening = Listening::to(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let sipp = SippScript::start_with(&scenario, port, hold.calls.then_some(line), LIMIT * 2)?;
    let told = async {
        let call = if hold.calls {
            room.user.connected(LIMIT).await?
        } else {
            sleep(Duration::from_secs(1)).await;
            let call = room.user.call(room.line.account).await?;
            room.user.connected(LIMIT).await?;
            call
        };
        room.hears(call, PHONE_HZ).await.context("before the hold")?;
        let held = listening.change(1, line).await?;
        let meanwhile = room.listen(call).await;
        if hold.music {
            meanwhile.mostly(MUSIC_HZ).context("while held")?;
        } else {
            ensure!(meanwhile.sounds_ms == 0, "{meanwhile:?} while held");
        }
        let resumed = listening.change(2, line).await?;
        room.hears(call, PHONE_HZ).await.context("after the hold")?;
        room.user.discarded(LIMIT).await?;
        sleep(UNDER_WAY).await;
        listening.check(TALK.codec, hold.resumed.codec, &held, &resumed)
    };
    let told = told.await;
    sipp.end().await?;
    told
}

/// A line with one person.
struct Room {
    line: Line,
    user: LightUser,
    dialled: String,
}

impl Room {
    async fn open(stage: &Stage, number: usize, phone: SocketAddr) -> Self {
        let line = stage.line(&format!("+7906000010{number}")).unwrap();
        // SIPp may be silent for longer.
        let draft = stage::draft(&line).unwrap().set("pbx_user", baresip::USER);
        stage.open(&line, phone, draft).await.unwrap();
        let user = NewUser::new(format!("+7916000010{number}"), "Anna").username(format!("anna{number}"));
        let user = stage.person(user, light_user::Options::playing(circle(USER_HZ, 60).unwrap())).unwrap();
        Self { line, user, dialled: format!("tg%23anna{number}") }
    }

    async fn hears(&self, call: i64, hz: u32) -> anyhow::Result<()> {
        self.listen(call).await.mostly(hz)
    }

    /// What the person hears from now on, for a while.
    async fn listen(&self, call: i64) -> Sounding {
        sleep(TAIL).await;
        let before = self.user.heard(call).payloads.len();
        sleep(LISTENS).await;
        let payloads = &self.user.heard(call).payloads[before..];
        let share = |hz| {
            let mut meter = Meter::new(hz).unwrap();
            payloads.iter().for_each(|payload| meter.feed(payload).unwrap());
            (meter.share(), meter.sounds_ms())
        };
        let [(phone, sounds_ms), (music, _)] = [PHONE_HZ, MUSIC_HZ].map(share);
        Sounding { phone, music, sounds_ms }
    }
}

/// What was heard: shares of the two tones, and for how long there was any sound.
#[derive(Debug)]
struct Sounding {
    phone: f64,
    music: f64,
    sounds_ms: u64,
}

impl Sounding {
    fn mostly(&self, hz: u32) -> anyhow::Result<()> {
        let share = if hz == MUSIC_HZ { self.music } else { self.phone };
        ensure!(share >= LEAST_SHARE && self.sounds_ms >= 1200, "want {hz} Hz: {self:?}");
        Ok(())
    }
}

/// What passes between the gateway and one phone.
struct Listening {
    phone: SocketAddr,
    sip: SipCapture,
    sound: Capture,
}

/// A change of the session that a phone asked for.
struct Change {
    asked: Instant,
    /// When the answer to it passed.
    agreed: Instant,
    /// The phone's whole request.
    request: String,
}

impl Listening {
    fn to(phone: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { phone, sip: SipCapture::start(phone)?, sound: Capture::start(|_, _| true)? })
    }

    /// The phone's first or second change of the session, once it is agreed on.
    async fn change(&self, number: usize, line: SocketAddr) -> anyhow::Result<Change> {
        let until = now() + LIMIT;
        loop {
            let messages = self.sip.messages();
            if let Some(change) = changes(&messages, self.phone, line).into_iter().nth(number - 1) {
                return Ok(change);
            }
            let starts: Vec<_> = messages.iter().map(Message::start).collect();
            ensure!(now() < until, "no change {number}, only {starts:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Nothing was sent to the phone while it did not listen, and the person's tone before and afterwards, in one stream.
    fn check(&self, before: Codec, after: Codec, held: &Change, resumed: &Change) -> anyhow::Result<String> {
        let messages = self.sip.messages();
        let ports = |by_phone: bool| -> Vec<u16> {
            let said = messages.iter().filter(|message| (message.source == self.phone) == by_phone);
            said.filter_map(media_port).collect()
        };
        let (phone, gateway) = (ports(true), ports(false));
        let sound = self.sound.stream(|packet| {
            gateway.contains(&packet.source.port()) && phone.contains(&packet.destination.port())
        });
        let between = |from: Instant, to: Option<Instant>| {
            let inside = move |packet: &&Passed| packet.at > from && to.is_none_or(|to| packet.at < to);
            sound.packets().iter().filter(inside).collect::<Vec<_>>()
        };
        let first = sound.packets().first().context("nothing was sent to the phone")?.at;
        let talk = between(first, Some(held.asked));
        let meanwhile = between(held.agreed + UNDER_WAY, Some(resumed.asked));
        let again = between(resumed.agreed + UNDER_WAY, None);
        ensure!(meanwhile.is_empty(), "{} packets to a phone that does not listen", meanwhile.len());
        for (packets, codec) in [(&talk, before), (&again, after)] {
            let is_of = |packet: &&&Passed| packet.payload_type == codec.payload_type();
            let payloads: Vec<_> = packets.iter().filter(is_of).map(|packet| &packet.payload).collect();
            ensure!(payloads.len() > 60, "{} packets of {codec}, of {}", payloads.len(), packets.len());
            let heard = ffmpeg::decoded(codec, &payloads)?;
            let share = tone::share_of(&heard.samples, heard.rate_hz, &[USER_HZ]);
            ensure!(share >= LEAST_SHARE, "{share} of what the phone hears is the person");
        }
        let all = sound.packets();
        ensure!(all.windows(2).all(|pair| pair[0].ssrc == pair[1].ssrc), "several sources");
        let steps = all.windows(2).map(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence));
        ensure!(steps.into_iter().all(|step| step == 1), "numbers are missing");
        let silent_ms = (resumed.asked - held.agreed).as_millis();
        Ok(format!("{} packets, none for {silent_ms} ms, {} packets", talk.len(), again.len()))
    }
}

/// Requests of the phone in the dialog that were agreed to, in their order.
fn changes(messages: &[Message], phone: SocketAddr, line: SocketAddr) -> Vec<Change> {
    let changes = messages.iter().filter(|message| {
        let is_change = message.asks("INVITE") || message.asks("UPDATE");
        let in_dialog = message.header("To").is_some_and(|to| to.contains(";tag="));
        message.source == phone && message.destination == line && is_change && in_dialog
    });
    let agreed = changes.filter_map(|asked| {
        let answer = messages.iter().find(|message| {
            message.source == line
                && message.at >= asked.at
                && message.start().starts_with("SIP/2.0 200")
                && message.header("CSeq") == asked.header("CSeq")
        })?;
        Some(Change { asked: asked.at, agreed: answer.at, request: asked.text.clone() })
    });
    agreed.collect()
}

/// Where a message says that its sender takes sound.
fn media_port(message: &Message) -> Option<u16> {
    let line = message.text.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    line.split(' ').next()?.parse().ok()
}
