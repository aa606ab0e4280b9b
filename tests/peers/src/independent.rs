//! A stage whose far ends have nothing of ours: Telethon and ntgcalls in a network namespace, baresip as the phone.
//!
//! Neither counts Opus packets at its API, so a capture counts them on the last interface before and the first
//! interface behind each far end. What the far ends decoded is theirs: ntgcalls' frames, baresip's dump.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tgtrunk_config::control::{CallState, Direction};
use tgtrunk_test_telegram::NewUser;
use tokio::time::sleep;

use crate::baresip::{self, Baresip};
use crate::capture::Capture;
use crate::clock::now;
use crate::control::Control;
use crate::gateway::Gateway;
use crate::independent_user::{self, IndependentUser};
use crate::measure::{Tones, Way, Ways};
use crate::netns::Namespace;
use crate::stage::{self, Line, Stage};
use crate::{ports, tone};

const LIMIT: Duration = Duration::from_secs(20);
/// How long the other side may go on believing in a call that is over.
const END_LIMIT: Duration = Duration::from_secs(1);
/// What foreign engines get to find their rhythm before the measuring begins.
const SETTLE: Duration = Duration::from_secs(1);
/// Packets under way at the end of the measuring.
const TAIL: Duration = Duration::from_millis(400);
const TONES: Tones = Tones::USUAL;
const PHONE_RATE_HZ: u32 = 48_000;
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";

/// The stage, with everything running.
pub struct IndependentStage {
    pub stage: Stage,
    pub line: Line,
    /// Where the phone listens while there is one.
    pub phone_port: u16,
    gateway: Gateway,
    control: Control,
    user: IndependentUser,
    capture: Capture,
    gateway_rtp: std::ops::RangeInclusive<u16>,
    namespace: Namespace,
}

/// Which far end hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Telegram,
    Pbx,
}

/// A call to be made.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub direction: Direction,
    /// What ntgcalls offers; all that it has when empty.
    pub versions: &'a [&'a str],
    /// How long both play while it is measured.
    pub talk: Duration,
    pub hangs_up: End,
}

/// What a call came to.
#[derive(Debug)]
pub struct Outcome {
    /// From the caller's first word until both far ends and the gateway call it connected.
    pub setup: Duration,
    pub ways: Ways,
    /// What Telegram chose.
    pub versions: Vec<String>,
    /// Until the other far end knew that one had hung up.
    pub end_seen: Duration,
    /// The emoji as ntgcalls and as the gateway show them.
    pub emoji: (String, String),
    /// What ntgcalls heard from the first sound to the last, and how much of that sounded, in milliseconds.
    pub telegram_span_ms: (u64, u64),
    /// What baresip lost, by its own count.
    pub phone_lost: u64,
}

impl IndependentStage {
    /// Starts everything; needs root.
    ///
    /// # Errors
    /// With what is missing.
    pub async fn open() -> anyhow::Result<Self> {
        let namespace = Namespace::new()?;
        let gateway_rtp = ports::for_gateway()?;
        let options = stage::Options {
            address: IpAddr::V4(namespace.host_address()),
            settings: format!("rtp_ports = \"{}-{}\"", gateway_rtp.start(), gateway_rtp.end()),
            ..stage::Options::default()
        };
        let stage = Stage::set_up(options).await?;
        let line = stage.line(COMPANY)?;
        let phone_port = ports::free_pair()?;
        // baresip takes only calls for its own name.
        let draft = stage::draft(&line)?.set("pbx_user", baresip::USER);
        stage.open(&line, SocketAddr::from(([127, 0, 0, 1], phone_port)), draft).await?;

        let user = anna(&stage, &namespace, None).await?;

        let idle = Baresip::start(&phone(phone_port)).await?;
        let gateway = stage.run(&[&line]).await?;
        idle.kill().await?;
        let mut control = gateway.control().await?;
        control.subscribe().await?;

        let (inside, ours) = (IpAddr::V4(namespace.inside_address()), gateway_rtp.clone());
        let capture = Capture::start(move |source, destination| {
            [source, destination].iter().any(|end| end.ip() == inside || ours.contains(&end.port()))
        })?;
        Ok(Self { stage, line, phone_port, gateway, control, user, capture, gateway_rtp, namespace })
    }

    /// Makes a call, measures it and ends it. `tell` gets what happens in plain sentences.
    ///
    /// # Errors
    /// When something does not happen in time; with what happened instead.
    pub async fn call(&mut self, plan: Plan<'_>, tell: impl Fn(&str)) -> anyhow::Result<Outcome> {
        self.capture.forget();
        self.user.forget();
        self.user.offer(plan.versions).await?;
        let mut phone = Baresip::start(&phone(self.phone_port)).await?;
        match self.talk(plan, &mut phone, &tell).await {
            Ok(Talked { setup, from, to, started, emoji, end_seen }) => {
                let heard = self.user.heard().await?;
                let at_phone = phone.finish().await?;
                ensure!(at_phone.rate_hz == PHONE_RATE_HZ, "baresip dumps {} Hz", at_phone.rate_hz);
                let pbx_share = tone::share(&at_phone.samples, TONES.telegram_hz);
                let ways = self.ways(from, to, pbx_share, heard.tone_share)?;
                Ok(Outcome {
                    setup,
                    ways,
                    versions: words(&started["versions"]),
                    end_seen,
                    emoji: (started["emoji"].as_str().unwrap_or_default().to_owned(), emoji),
                    telegram_span_ms: (heard.span_ms, heard.received_ms),
                    phone_lost: at_phone.lost,
                })
            }
            Err(error) => Err(error.context(format!("baresip's log:\n{}", phone.log()))),
        }
    }

    /// Ends everything in good order.
    ///
    /// # Errors
    /// When the gateway does not end well.
    pub async fn close(self) -> anyhow::Result<()> {
        self.user.kill().await?;
        self.gateway.stop().await?;
        self.stage.done();
        drop(self.namespace);
        Ok(())
    }

    async fn talk(
        &mut self,
        plan: Plan<'_>,
        phone: &mut Baresip,
        tell: &impl Fn(&str),
    ) -> anyhow::Result<Talked> {
        let began = now();
        match plan.direction {
            Direction::TelegramToPbx => {
                self.user.command(json!({ "do": "call", "phone": COMPANY })).await?;
                phone.wait_for("CALL_INCOMING", LIMIT).await?;
                tell("baresip rings and takes the call.");
                phone.accept().await?;
            }
            Direction::PbxToTelegram => {
                phone.dial(&format!("sip:{ANNA}@{}", self.line.sip)).await?;
                self.user.wait_for("incoming", LIMIT).await?;
                phone.wait_for("CALL_RINGING", LIMIT).await?;
                tell("Anna's Telegram rings, baresip hears it, and she takes the call.");
                self.user.command(json!({ "do": "answer" })).await?;
            }
        }
        let started = self.user.wait_for("started", LIMIT).await?;
        self.user.wait_for("connected", LIMIT).await?;
        phone.wait_for("CALL_ESTABLISHED", LIMIT).await?;
        let info = self.control.call_state(CallState::Answered, LIMIT).await?;
        let setup = now() - began;
        tell("They talk: 880 Hz from Telegram and 440 Hz from the phone, both at once.");
        sleep(SETTLE).await;
        let from = now();
        sleep(plan.talk).await;
        let to = now();
        sleep(TAIL).await;
        let ended = now();
        match plan.hangs_up {
            End::Telegram => {
                self.user.command(json!({ "do": "hang_up" })).await?;
                phone.wait_for("CALL_CLOSED", END_LIMIT).await?;
            }
            End::Pbx => {
                phone.hang_up().await?;
                self.user.wait_for("discarded", END_LIMIT).await?;
            }
        }
        let end_seen = now() - ended;
        self.control.call_state(CallState::Ended, LIMIT).await?;
        let emoji = info.emoji.context("a call that is answered has emoji")?;
        Ok(Talked { setup, from, to, started, emoji, end_seen })
    }

    /// The window begins and ends with packets of each way's sender.
    fn ways(&self, from: Instant, to: Instant, pbx_share: f64, telegram_share: f64) -> anyhow::Result<Ways> {
        let inside = IpAddr::V4(self.namespace.inside_address());
        let is_ours = |end: SocketAddr| self.gateway_rtp.contains(&end.port());
        let is_phones = |end: SocketAddr| baresip::RTP_PORTS.contains(&end.port());
        let way = |sent: crate::capture::Stream, received: crate::capture::Stream, tone_hz, tone_share| {
            let (from, to) = (sent.next_after(from)?, sent.next_after(to)?);
            let (sent_ms, received_ms) = (sent.sound_ms(from, to)?, received.sound_ms(from, to)?);
            anyhow::Ok(Way { sent_ms, received_ms, tone_hz, tone_share })
        };
        let from_user = self.capture.stream(|packet| packet.source.ip() == inside);
        let to_phone = self.capture.stream(|packet| is_ours(packet.source) && is_phones(packet.destination));
        let from_phone =
            self.capture.stream(|packet| is_phones(packet.source) && is_ours(packet.destination));
        let to_user = self.capture.stream(|packet| packet.destination.ip() == inside);
        Ok(Ways {
            to_pbx: way(from_user, to_phone, TONES.telegram_hz, pbx_share).context("to the PBX")?,
            to_telegram: way(from_phone, to_user, TONES.pbx_hz, telegram_share).context("to Telegram")?,
        })
    }
}

/// What a call was before it was measured.
struct Talked {
    setup: Duration,
    from: Instant,
    to: Instant,
    started: Value,
    emoji: String,
    end_seen: Duration,
}

/// Anna, whose name is `anna`, at her program in a namespace. She plays a file, see [`independent_user::Options`], or else
/// a tone.
///
/// # Errors
/// When the program does not start or she cannot log in.
pub async fn anna(
    stage: &Stage,
    namespace: &Namespace,
    plays: Option<PathBuf>,
) -> anyhow::Result<IndependentUser> {
    stage.user(NewUser::new(ANNA, "Anna").username("anna"))?;
    log_in(stage, namespace, ANNA, plays).await
}

/// A user of the world, on Telethon and ntgcalls in a namespace, who plays a file or else the usual tone.
///
/// # Errors
/// When the program does not start, or its login fails.
pub async fn log_in(
    stage: &Stage,
    namespace: &Namespace,
    phone: &str,
    plays: Option<PathBuf>,
) -> anyhow::Result<IndependentUser> {
    let telegram = stage.telegram();
    let dc = telegram.home_dc();
    let address = telegram.address(dc).context("the home data centre listens")?;
    let pem = stage.installation.state.with_file_name("telegram.pem");
    std::fs::write(&pem, telegram.public_key_pem())?;
    let options = independent_user::Options {
        host: address.ip().to_string(),
        port: address.port(),
        dc,
        pem,
        phone: phone.to_owned(),
        password: None,
        tone_hz: TONES.telegram_hz,
        wanted_hz: TONES.pbx_hz,
        plays,
    };
    let mut user = IndependentUser::start(namespace, &options).await?;
    let code = stage.world().pending_login_code(phone).context("a login code was sent")?;
    user.log_in(&code).await?;
    Ok(user)
}

fn phone(sip_port: u16) -> baresip::Options {
    baresip::Options {
        plays: baresip::Plays::Tone(TONES.pbx_hz),
        answers: false,
        sip_port: Some(sip_port),
        ..baresip::Options::default()
    }
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
