//! A stage for the network under calls: two lines with PBXs that read bare SIP, two Telegram users on ntgcalls behind a
//! cable that can be cut, and what either end hears from one moment to another.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::{CallInfo, Direction};
use tgtrunk_test_telegram::NewUser;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bad_network::BadNetwork;
use crate::checksum;
use crate::ffmpeg::RATE_HZ;
use crate::independent;
use crate::independent_user::IndependentUser;
use crate::pcm::{self, Pcm};
use crate::stage;
use crate::tone::{self, Meter};
use crate::wire_pbx::WireCall;
use crate::wire_stage::{PBX_HZ, Post, USER_HZ, WireStage, phone_of};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked whether packets came.
const LOOK: Duration = Duration::from_millis(20);
/// Share of the energy that must be the tone's.
const LEAST_SHARE: f64 = 0.98;
/// The same soon after an outage.
const ROUGH_SHARE: f64 = 0.9;
/// Mean amplitude below which 10 ms are silence.
const SILENCE: f64 = 200.0;

/// The stage, with everything running.
pub struct PathStage {
    pub wire: WireStage,
    /// One who is called and one who calls.
    pub pairs: [Pair; 2],
    pub network: BadNetwork,
}

/// A line, its PBX and the person who talks to it.
pub struct Pair {
    pub post: Post,
    pub user: IndependentUser,
    /// Who calls whom.
    pub direction: Direction,
    phone: String,
}

/// What both ends heard for a while.
#[derive(Clone)]
pub struct Hearing {
    /// Share of the person's tone in what the PBX heard.
    pub pbx_share: f64,
    /// Sound that came to the PBX.
    pub pbx_ms: u64,
    /// Rate of the Opus that came there.
    pub pbx_bits_per_s: usize,
    /// The longest time without a packet there.
    pub pbx_gap: Duration,
    /// Share of the PBX's tone in what the person heard, from the first sound to the last.
    pub user_share: f64,
    /// Sound that came to the person.
    pub user_ms: u64,
    /// The longest silence there.
    pub user_gap: Duration,
    /// What the person heard.
    pub user_heard: Pcm,
}

impl PathStage {
    /// Starts everything; `options` and `change` tell what is unusual about the gateway and its two lines. Needs root.
    ///
    /// # Errors
    /// With what is missing.
    pub async fn open(
        options: impl FnOnce(&BadNetwork) -> anyhow::Result<stage::Options>,
        mut change: impl FnMut(usize, LineDraft) -> LineDraft,
    ) -> anyhow::Result<Self> {
        let network = BadNetwork::new(5)?;
        network.concern(|flow| flow.protocol == checksum::UDP);
        let options = options(&network)?;
        let wire = WireStage::open("+79060005000", options).await?;
        let first = wire.post("+79060005001", |draft| change(0, draft)).await?;
        let second = wire.post("+79060005002", |draft| change(1, draft)).await?;
        wire.reload(&[&first, &second]).await?;
        let pairs = [
            Pair::open(&wire, &network, first, 1, Direction::PbxToTelegram).await?,
            Pair::open(&wire, &network, second, 2, Direction::TelegramToPbx).await?,
        ];
        Ok(Self { wire, pairs, network })
    }

    /// A stage with nothing unusual about it.
    ///
    /// # Errors
    /// With what is missing.
    pub async fn usual() -> anyhow::Result<Self> {
        Self::open(|network| Ok(on_cable(network)), |_, draft| draft).await
    }

    /// Calls of both pairs, up.
    ///
    /// # Errors
    /// When one does not come about.
    pub async fn connect(&mut self) -> anyhow::Result<[WireCall; 2]> {
        let [one, other] = &mut self.pairs;
        let (one, other) = tokio::try_join!(one.connect(), other.connect())?;
        Ok([one, other])
    }

    /// What both pairs hear from now on for a while.
    ///
    /// # Errors
    /// As [`Pair::listen`].
    pub async fn listen(&mut self, calls: &[WireCall; 2], length: Duration) -> anyhow::Result<[Hearing; 2]> {
        let [one, other] = &mut self.pairs;
        let (one, other) = tokio::try_join!(one.listen(&calls[0], length), other.listen(&calls[1], length))?;
        Ok([one, other])
    }

    /// Both PBXs hang up.
    ///
    /// # Errors
    /// When a user does not hear of it.
    pub async fn hang_up(&mut self, calls: [WireCall; 2]) -> anyhow::Result<()> {
        for (pair, call) in self.pairs.iter_mut().zip(calls) {
            call.bye(&[]);
            pair.user.wait_for("stopped", LIMIT).await?;
            self.wire.no_calls_of(&pair.post.line).await?;
        }
        Ok(())
    }

    /// Ends everything in good order.
    ///
    /// # Errors
    /// As [`WireStage::close`].
    pub async fn close(self) -> anyhow::Result<()> {
        let Self { wire, pairs, network } = self;
        for pair in pairs {
            pair.user.kill().await?;
        }
        wire.close().await?;
        drop(network);
        Ok(())
    }
}

/// The gateway and Telegram at the host's end of the cable.
pub fn on_cable(network: &BadNetwork) -> stage::Options {
    stage::Options { address: network.namespace().host_address().into(), ..stage::Options::default() }
}

impl Pair {
    async fn open(
        wire: &WireStage,
        network: &BadNetwork,
        post: Post,
        person: usize,
        direction: Direction,
    ) -> anyhow::Result<Self> {
        let phone = phone_of(person);
        wire.stage.user(NewUser::new(&phone, "Somebody"))?;
        let user = independent::log_in(&wire.stage, network.namespace(), &phone, None).await?;
        Ok(Self { post, user, direction, phone })
    }

    /// A call of this pair, up.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn connect(&mut self) -> anyhow::Result<WireCall> {
        self.user.forget();
        let call = match self.direction {
            Direction::TelegramToPbx => {
                let mut call = self.call_in().await?;
                call.answer()?;
                call.request("ACK", LIMIT).await?;
                call
            }
            Direction::PbxToTelegram => {
                let mut call = self.post.pbx.call(&self.phone).await?;
                self.user.wait_for("incoming", LIMIT).await?;
                self.user.command(json!({ "do": "answer" })).await?;
                call.answered(LIMIT).await?;
                call
            }
        };
        self.user.wait_for("connected", LIMIT).await?;
        Ok(call)
    }

    /// The person calls; the PBX has the call and says nothing yet.
    ///
    /// # Errors
    /// When it gets none.
    pub async fn call_in(&mut self) -> anyhow::Result<WireCall> {
        self.user.command(json!({ "do": "call", "phone": self.post.line.phone })).await?;
        self.post.pbx.incoming(LIMIT).await
    }

    /// The pair's call as the gateway tells of it.
    ///
    /// # Errors
    /// When the gateway knows none.
    pub async fn told(&self, wire: &WireStage) -> anyhow::Result<CallInfo> {
        let calls = wire.gateway.control().await?.calls().await?;
        let mine = |call: &CallInfo| call.line.as_str() == self.post.line.phone;
        calls.into_iter().find(mine).context("the gateway has the call")
    }

    /// What both hear of each other from now on for a while.
    ///
    /// # Errors
    /// When the user's program is gone, or what came to the PBX is no Opus.
    pub async fn listen(&mut self, call: &WireCall, length: Duration) -> anyhow::Result<Hearing> {
        let before = call.heard();
        let (mut came, mut came_at) = (before.packets, Instant::now());
        let (until, mut pbx_gap) = (came_at + length, Duration::ZERO);
        while Instant::now() < until {
            sleep_until(until.min(Instant::now() + LOOK)).await;
            let (packets, now) = (call.heard().packets, Instant::now());
            pbx_gap = pbx_gap.max(now - came_at);
            if packets != came {
                (came, came_at) = (packets, now);
            }
        }
        let after = call.heard();
        let mut meter = Meter::new(USER_HZ)?;
        for payload in after.payloads.iter().skip(before.payloads.len()) {
            meter.feed(payload)?;
        }
        let bits = 8 * after.payloads.iter().skip(before.payloads.len()).map(Vec::len).sum::<usize>();
        let heard = self.user.recording().await?;
        let wanted = pcm::samples(u32::try_from(length.as_millis())?, RATE_HZ);
        let user_heard = heard.part(heard.samples.len().saturating_sub(wanted), heard.samples.len());
        let (user_ms, user_gap) = sounding(&user_heard);
        Ok(Hearing {
            pbx_share: meter.share(),
            pbx_ms: after.received_ms - before.received_ms,
            pbx_bits_per_s: bits * 1000 / usize::try_from(length.as_millis())?,
            pbx_gap,
            user_share: tone::share(&user_heard.samples, PBX_HZ),
            user_ms,
            user_gap,
            user_heard,
        })
    }

    /// Waits until the PBX hears the person; tells how long that took.
    ///
    /// # Errors
    /// When it stays silent.
    pub async fn heard_at_pbx(&self, call: &WireCall, limit: Duration) -> anyhow::Result<Duration> {
        let (began, before) = (Instant::now(), call.heard().packets);
        while call.heard().packets == before {
            ensure!(began.elapsed() < limit, "the PBX hears nothing for {limit:?}");
            sleep(LOOK).await;
        }
        Ok(began.elapsed())
    }
}

impl Hearing {
    /// Whether both heard each other all the time, and nothing else.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self, length: Duration) -> anyhow::Result<()> {
        ensure!(self.pbx_share >= LEAST_SHARE, "at the PBX: {self}");
        self.check_after_outage(length)
    }

    /// The same soon after an outage: ntgcalls is still changing the rate of its encoder, and the tone that it sends is
    /// less pure.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_after_outage(&self, length: Duration) -> anyhow::Result<()> {
        let least = u64::try_from(length.as_millis())? * 95 / 100;
        ensure!(self.pbx_share >= ROUGH_SHARE && self.pbx_ms >= least, "at the PBX: {self}");
        ensure!(self.user_share >= LEAST_SHARE && self.user_ms >= least, "at Telegram: {self}");
        Ok(())
    }
}

impl fmt::Display for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pbx_share, pbx_ms, pbx_bits_per_s, pbx_gap, user_share, user_ms, user_gap, .. } = self;
        write!(
            f,
            "PBX {:.2} % {pbx_ms} ms, {pbx_bits_per_s} bit/s, gap {} ms; user {:.2} % {user_ms} ms, gap {} ms",
            pbx_share * 100.0,
            pbx_gap.as_millis(),
            user_share * 100.0,
            user_gap.as_millis()
        )
    }
}

/// Milliseconds that sound, and the longest silence.
fn sounding(heard: &Pcm) -> (u64, Duration) {
    let (mut sounding, mut silence, mut longest) = (0, 0, 0);
    for frame in heard.samples.chunks(pcm::samples(10, heard.rate_hz)) {
        let mean = frame.iter().map(|sample| f64::from(*sample).abs()).sum::<f64>() / frame.len() as f64;
        if mean > SILENCE {
            (sounding, silence) = (sounding + 10, 0);
        } else {
            silence += 10;
            longest = longest.max(silence);
        }
    }
    (sounding, Duration::from_millis(longest))
}
