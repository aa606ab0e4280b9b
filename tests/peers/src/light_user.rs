//! A Telegram user without Telegram's apps: a device of the test Telegram's world, with tgcall for its calls. It
//! plays prepared Opus packets and keeps what it hears, so that hundreds of them fit into one test.

mod actor;
mod elsewhere;
mod media;
mod muxed;
mod openssl;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgcall::{Certificate, Version};
use tgtrunk_test_telegram::World;
use tgtrunk_test_telegram::bad_path::Treatment;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::actor::{Actor, Command};
pub use self::muxed::Muxed;
pub use self::openssl::Identity;
use crate::heard::{Heard, Ledger};
use crate::load::Ends;

/// What a user does when somebody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// Rings for a while, then takes the call.
    After(Duration),
    /// Declines as apps do: busy.
    Declines,
    /// Ends it with another reason.
    Refuses(Reason),
    /// Rings and nobody is there.
    Rings,
    /// The device is off.
    Silent,
}

/// `PhoneCallDiscardReason`, without the conference that nobody here starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Missed,
    Disconnect,
    Hangup,
    Busy,
}

/// How the user behaves and what it plays.
#[derive(Clone)]
pub struct Options {
    pub answering: Answering,
    /// Opus packets, played in a circle.
    pub plays: Arc<[Vec<u8>]>,
    /// Library versions to offer, the wanted one first.
    pub versions: Vec<Version>,
    /// Address to be offered to the other side.
    pub address: IpAddr,
    /// Says nothing until [`LightUser::mute`] is called with false.
    pub muted: bool,
    /// Who talks for it, for load; nothing is heard or played here then.
    pub ends: Option<Ends>,
    /// Who agrees on the keys of [`Options::ends`], with AES-CM and HMAC-SHA1 alone; our own engine does without it.
    pub openssl: Option<Arc<Identity>>,
    /// A socket that other users have, too.
    pub muxed: Option<Muxed>,
}

impl Options {
    /// Takes every call at once and plays these packets.
    pub fn playing(plays: Arc<[Vec<u8>]>) -> Self {
        Self {
            answering: Answering::After(Duration::ZERO),
            plays,
            versions: Version::OURS.to_vec(),
            address: Ipv4Addr::LOCALHOST.into(),
            muted: false,
            ends: None,
            openssl: None,
            muxed: None,
        }
    }

    /// Another way to take calls.
    #[must_use]
    pub fn answering(self, answering: Answering) -> Self {
        Self { answering, ..self }
    }

    /// Says nothing at first.
    #[must_use]
    pub fn muted(self) -> Self {
        Self { muted: true, ..self }
    }

    /// One library version only.
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        Self { versions: vec![version], ..self }
    }
}

/// What a device may send that no device should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Junk {
    /// Any bytes.
    Bytes(Vec<u8>),
    /// The last packet of sound again.
    Again,
    /// The last packet of sound with one bit changed, counted from its end.
    Forged(usize),
}

/// What happens to a user's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Incoming {
        call: i64,
        video: bool,
    },
    Ringing {
        call: i64,
    },
    Connected {
        call: i64,
    },
    /// The other side, the server or a timer ended it.
    Discarded {
        call: i64,
        reason: Option<Reason>,
        duration_s: i32,
    },
}

/// A user whose device is on.
pub struct LightUser {
    pub id: i64,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    heard: Ledger<i64>,
}

impl LightUser {
    /// Switches a device of the user on.
    ///
    /// # Errors
    /// When the world has no such user.
    pub fn switch_on(world: &World, id: i64, options: Options) -> anyhow::Result<Self> {
        let device = world.device(id).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let (commands, received) = mpsc::channel(64);
        let (say, events) = mpsc::channel(1024);
        let heard = Ledger::default();
        let certificate = Arc::new(Certificate::generate()?);
        let actor = Actor::new(device.handle(), options, certificate, say, heard.clone());
        tokio::spawn(actor.run(device, received));
        Ok(Self { id, commands, events, heard })
    }

    /// Calls another user; answers with the call's id.
    ///
    /// # Errors
    /// What Telegram refuses with.
    pub async fn call(&self, callee: i64) -> anyhow::Result<i64> {
        self.call_with(callee, false).await
    }

    /// Calls with video.
    ///
    /// # Errors
    /// What Telegram refuses with.
    pub async fn video_call(&self, callee: i64) -> anyhow::Result<i64> {
        self.call_with(callee, true).await
    }

    async fn call_with(&self, callee: i64, video: bool) -> anyhow::Result<i64> {
        let (id, known) = tokio::sync::oneshot::channel();
        self.commands.send(Command::Call { callee, video, id }).await.ok().context("the device is off")?;
        known.await?
    }

    /// Lets a call ring that came to a silent device.
    pub async fn ring(&self, call: i64) {
        self.commands.send(Command::Ring { call }).await.ok();
    }

    /// Takes a call that rings.
    pub async fn answer(&self, call: i64) {
        self.commands.send(Command::Answer { call }).await.ok();
    }

    /// Ends a call.
    pub async fn hang_up(&self, call: i64, reason: Reason) {
        self.commands.send(Command::HangUp { call, reason }).await.ok();
    }

    /// Stops or resumes sending audio.
    pub async fn mute(&self, muted: bool) {
        self.commands.send(Command::Mute { muted }).await.ok();
    }

    /// What becomes of all that a call's media sends, on its way.
    pub async fn treat(&self, call: i64, treatment: Treatment) {
        self.commands.send(Command::Treat { call, treatment }).await.ok();
    }

    /// Sends junk from where a call's sound comes from to where it goes.
    pub async fn throw(&self, call: i64, junk: Junk) {
        self.commands.send(Command::Throw { call, junk }).await.ok();
    }

    /// The device loses power: media and signaling end without a word.
    pub async fn vanish(&self) {
        self.commands.send(Command::Vanish).await.ok();
    }

    /// The next event.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn event(&mut self, limit: Duration) -> anyhow::Result<Event> {
        match timeout(limit, self.events.recv()).await {
            Ok(event) => event.context("the device is off"),
            Err(_) => bail!("nothing happened to user {} within {limit:?}", self.id),
        }
    }

    /// Waits for an event of a kind; others are passed over.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut passed = Vec::new();
        let until = tokio::time::Instant::now() + limit;
        loop {
            match tokio::time::timeout_at(until, self.events.recv()).await {
                Ok(Some(event)) => match pick(&event) {
                    Some(found) => return Ok(found),
                    None => passed.push(event),
                },
                Ok(None) => bail!("the device of user {} is off", self.id),
                Err(_) => bail!("user {} saw no {what} within {limit:?}, only {passed:?}", self.id),
            }
        }
    }

    /// Waits until media of a call is connected; answers with the call.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn connected(&mut self, limit: Duration) -> anyhow::Result<i64> {
        self.wait_for("connected call", limit, |event| match event {
            Event::Connected { call } => Some(*call),
            _ => None,
        })
        .await
    }

    /// Waits until a call is discarded: reason and duration.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn discarded(&mut self, limit: Duration) -> anyhow::Result<(Option<Reason>, i32)> {
        self.wait_for("end of a call", limit, |event| match event {
            Event::Discarded { reason, duration_s, .. } => Some((*reason, *duration_s)),
            _ => None,
        })
        .await
    }

    /// What a call played and heard so far.
    pub fn heard(&self, call: i64) -> Heard {
        self.heard.of(&call)
    }
}
