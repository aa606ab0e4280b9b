//! A small PBX phone: one end of a trunk that answers, rings, declines, ignores and calls, plays a tone and keeps what
//! it hears. Its SIP is our own room from the other side; foreign phones judge that room elsewhere.

mod actor;
mod sound;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_sip::{CallId, Reason};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use self::actor::{Actor, Command};
use crate::codec::Codec;
use crate::heard::{Heard, Ledger};
use crate::load::Ends;

/// What the phone does when it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answering {
    /// Rings for a while, then takes the call.
    After(Duration),
    /// Refuses with this status and, if there is one, this cause of Q.850.
    Refuses(u16, Option<u16>),
    /// Rings and nobody is there.
    Rings,
    /// Says not even that it rings.
    Silent,
}

/// How the phone behaves and what it plays.
#[derive(Debug, Clone)]
pub struct Options {
    pub answering: Answering,
    /// Opus packets, played in a circle.
    pub plays: Arc<[Vec<u8>]>,
    /// Says nothing until [`Phone::mute`] is called with false.
    pub muted: bool,
    /// Where SIP and RTP are opened.
    pub address: IpAddr,
    /// Who calls, as the gateway sees it.
    pub user: String,
    /// Who talks for it, for load; nothing is heard or played here then.
    pub ends: Option<Ends>,
    /// What those speak. The phone itself plays and hears Opus.
    pub codec: Codec,
}

impl Options {
    /// Takes every call at once and plays these packets.
    pub fn playing(plays: Arc<[Vec<u8>]>) -> Self {
        let address = Ipv4Addr::LOCALHOST.into();
        Self {
            answering: Answering::After(Duration::ZERO),
            plays,
            muted: false,
            address,
            user: "100".to_owned(),
            ends: None,
            codec: Codec::Opus,
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
}

/// What happens to the phone's calls.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The gateway calls.
    Incoming(Incoming),
    /// Our call rings: 180.
    Ringing { call: CallId },
    /// Sound may flow: 200, theirs or ours.
    Answered { call: CallId },
    /// Our call failed.
    Refused { call: CallId, status: u16, reason: Option<Reason>, retry_after_s: Option<u32> },
    /// The gateway ended a call with BYE.
    HungUp { call: CallId, reason: Option<Reason> },
    /// The gateway withdrew its call.
    Cancelled { call: CallId, reason: Option<Reason> },
    /// Whether the gateway's line answers OPTIONS with anything but 503.
    LineUp(bool),
}

/// A call from the gateway, as the phone sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub call: CallId,
    pub dialled: String,
    pub from_user: String,
    pub from_display: String,
    /// The headers that begin with `X-`.
    pub headers: Vec<(String, String)>,
}

impl Incoming {
    /// The value of a header, if there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A phone that is switched on.
pub struct Phone {
    /// Where it takes calls.
    pub sip: SocketAddr,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    heard: Ledger<CallId>,
}

impl Phone {
    /// Switches a phone on whose trunk is the gateway's line at `line`.
    ///
    /// # Errors
    /// When it gets no port.
    pub async fn switch_on(line: SocketAddr, options: Options) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((options.address, 0)).await?;
        let sip = socket.local_addr()?;
        let (commands, received) = mpsc::channel(1024);
        let (say, events) = mpsc::channel(4096);
        let heard = Ledger::default();
        let actor = Actor::new(socket, sip, line, options, say, heard.clone())?;
        tokio::spawn(actor.run(received));
        Ok(Self { sip, commands, events, heard })
    }

    /// Calls over the trunk.
    ///
    /// # Errors
    /// When the phone is off or gets no port for the sound.
    pub async fn call(&self, user: &str) -> anyhow::Result<CallId> {
        let (id, known) = oneshot::channel();
        self.tell(Command::Call { user: user.to_owned(), id }).await?;
        known.await?
    }

    /// Takes a call.
    ///
    /// # Errors
    /// When the phone is off.
    pub async fn answer(&self, call: CallId) -> anyhow::Result<()> {
        self.tell(Command::Answer { call }).await
    }

    /// Says that a call rings.
    ///
    /// # Errors
    /// When the phone is off.
    pub async fn ring(&self, call: CallId) -> anyhow::Result<()> {
        self.tell(Command::Ring { call }).await
    }

    /// Refuses a call that came, with a cause of Q.850 if there is one.
    ///
    /// # Errors
    /// When the phone is off.
    pub async fn refuse(&self, call: CallId, status: u16, q850: Option<u16>) -> anyhow::Result<()> {
        self.tell(Command::Refuse { call, status, q850 }).await
    }

    /// Ends a call, or withdraws one that is not answered.
    ///
    /// # Errors
    /// When the phone is off.
    pub async fn hang_up(&self, call: CallId) -> anyhow::Result<()> {
        self.tell(Command::HangUp { call }).await
    }

    /// Stops or resumes sending sound, in all calls and in later ones.
    ///
    /// # Errors
    /// When the phone is off.
    pub async fn mute(&self, muted: bool) -> anyhow::Result<()> {
        self.tell(Command::Mute { muted }).await
    }

    /// Behaves differently from the next call on.
    ///
    /// # Errors
    /// When the phone is off.
    pub async fn answering(&self, answering: Answering) -> anyhow::Result<()> {
        self.tell(Command::Answering(answering)).await
    }

    /// Loses power: nothing is answered or sent any more.
    ///
    /// # Errors
    /// When it is off already.
    pub async fn vanish(&self) -> anyhow::Result<()> {
        self.tell(Command::Vanish).await
    }

    /// Waits for an event of a kind; others are passed over.
    ///
    /// # Errors
    /// When it does not come in time; names what came instead.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut passed = Vec::new();
        let until = Instant::now() + limit;
        loop {
            match timeout_at(until, self.events.recv()).await {
                Ok(Some(event)) => match pick(&event) {
                    Some(found) => return Ok(found),
                    None => passed.push(event),
                },
                Ok(None) => bail!("the phone {} is off", self.sip),
                Err(_) => bail!("the phone {} saw no {what} within {limit:?}, only {passed:?}", self.sip),
            }
        }
    }

    /// The next call from the gateway.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn incoming(&mut self, limit: Duration) -> anyhow::Result<Incoming> {
        self.wait_for("incoming call", limit, |event| match event {
            Event::Incoming(incoming) => Some(incoming.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until our call rings.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn ringing(&mut self, limit: Duration) -> anyhow::Result<CallId> {
        self.wait_for("180", limit, |event| match event {
            Event::Ringing { call } => Some(*call),
            _ => None,
        })
        .await
    }

    /// Waits until a call is answered, on whichever side.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn answered(&mut self, limit: Duration) -> anyhow::Result<CallId> {
        self.wait_for("200", limit, |event| match event {
            Event::Answered { call } => Some(*call),
            _ => None,
        })
        .await
    }

    /// Waits until our call is refused: status and cause of Q.850.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn refused(&mut self, limit: Duration) -> anyhow::Result<(u16, Option<Reason>)> {
        self.wait_for("refusal", limit, |event| match event {
            Event::Refused { status, reason, .. } => Some((*status, reason.clone())),
            _ => None,
        })
        .await
    }

    /// Waits until the gateway ends or withdraws a call.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<Option<Reason>> {
        self.wait_for("end of a call", limit, |event| match event {
            Event::HungUp { reason, .. } | Event::Cancelled { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// Forgets events that came and were not asked for.
    pub fn forget(&mut self) {
        while self.events.try_recv().is_ok() {}
    }

    /// What a call played and heard so far.
    pub fn heard(&self, call: CallId) -> Heard {
        self.heard.of(&call)
    }

    async fn tell(&self, command: Command) -> anyhow::Result<()> {
        self.commands.send(command).await.ok().context("the phone is off")
    }
}
