//! The user's device: key agreement and the states of its calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use grammers_tl_types as tl;
use tgcall::key::{CalleeExchange, CallerExchange, DhParameters};
use tgcall::{Certificate, SharedKey, Version};
use tgtrunk_test_telegram::Device;
use tgtrunk_test_telegram::bad_path::{BadPath, Treatment};
use tgtrunk_test_telegram::world::DeviceHandle;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::elsewhere::Elsewhere;
use super::media::{Media, ToMedia};
use super::muxed::Outlet;
use super::openssl::Openssl;
use super::{Answering, Event, Junk, Options, Reason};
use crate::clock::now;
use crate::heard::Ledger;
use crate::player::Player;

/// What the user is told to do.
pub(super) enum Command {
    Call { callee: i64, video: bool, id: oneshot::Sender<anyhow::Result<i64>> },
    HangUp { call: i64, reason: Reason },
    Ring { call: i64 },
    Answer { call: i64 },
    Mute { muted: bool },
    Throw { call: i64, junk: Junk },
    Treat { call: i64, treatment: Treatment },
    Vanish,
}

/// The device.
pub(super) struct Actor {
    handle: DeviceHandle,
    options: Options,
    certificate: Arc<Certificate>,
    say: mpsc::Sender<Event>,
    heard: Ledger<i64>,
    calls: HashMap<i64, OneCall>,
    muted: bool,
}

struct OneCall {
    peer: tl::types::InputPhoneCall,
    agreement: Agreement,
    media: Option<mpsc::Sender<ToMedia>>,
    early: Vec<Vec<u8>>,
    since: Option<Instant>,
}

enum Agreement {
    Called(CallerExchange),
    Asked(Vec<u8>),
    Taken(CalleeExchange),
    Done,
}

/// What happens inside the device.
pub(super) enum Inside {
    Answer(i64),
    MediaUp(i64),
}

impl Actor {
    pub(super) fn new(
        handle: DeviceHandle,
        options: Options,
        certificate: Arc<Certificate>,
        say: mpsc::Sender<Event>,
        heard: Ledger<i64>,
    ) -> Self {
        let muted = options.muted;
        Self { handle, options, certificate, say, heard, calls: HashMap::new(), muted }
    }

    pub(super) async fn run(mut self, mut device: Device, mut commands: mpsc::Receiver<Command>) {
        let (inside, mut from_inside) = mpsc::channel(256);
        loop {
            let result = tokio::select! {
                update = device.updates.recv() => match update {
                    Some(update) => self.update(update, &inside).await,
                    None => return,
                },
                command = commands.recv() => match command {
                    Some(Command::Vanish) | None => return,
                    Some(command) => self.command(command).await,
                },
                Some(word) = from_inside.recv() => match word {
                    Inside::Answer(call) => self.take(call).await,
                    Inside::MediaUp(call) => {
                        if let Some(one) = self.calls.get_mut(&call) {
                            one.since = Some(now());
                        }
                        self.tell(Event::Connected { call });
                        Ok(())
                    }
                },
            };
            if let Err(error) = result {
                tracing::warn!(error = format!("{error:#}"), "a light user stumbled");
            }
        }
    }

    fn tell(&self, event: Event) {
        self.say.try_send(event).ok();
    }

    fn protocol(&self) -> tl::enums::PhoneCallProtocol {
        let protocol = tl::types::PhoneCallProtocol {
            udp_p2p: true,
            udp_reflector: true,
            min_layer: 92,
            max_layer: 92,
            library_versions: self.options.versions.iter().map(|version| version.text().to_owned()).collect(),
        };
        protocol.into()
    }

    async fn dh(&self) -> anyhow::Result<(DhParameters, [u8; 256])> {
        let request = tl::functions::messages::GetDhConfig { version: 0, random_length: 256 };
        match self.invoke(&request).await? {
            tl::enums::messages::DhConfig::Config(config) => {
                let mut secret = [0; 256];
                let server = config.random.as_slice().try_into().context("256 random bytes of the server")?;
                getrandom::fill(&mut secret).ok().context("the system has random bytes")?;
                Ok((DhParameters::new(config.g, &config.p)?, tgcall::key::mix(secret, server)))
            }
            tl::enums::messages::DhConfig::NotModified(_) => bail!("version 0 cannot be unmodified"),
        }
    }

    async fn invoke<R: tl::RemoteCall + tl::Serializable>(&self, request: &R) -> anyhow::Result<R::Return> {
        self.handle.invoke(request).await.map_err(|error| anyhow::anyhow!("{error:?}"))
    }

    async fn command(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Call { callee, video, id } => {
                let placed = self.place(callee, video).await;
                id.send(placed).ok();
            }
            Command::HangUp { call, reason } => return self.hang_up(call, reason).await,
            Command::Ring { call } => {
                let peer = self.calls.get(&call).context("the call is known")?.peer.clone();
                self.invoke(&tl::functions::phone::ReceivedCall { peer: peer.into() }).await?;
            }
            Command::Answer { call } => return self.take(call).await,
            Command::Mute { muted } => {
                self.muted = muted;
                for media in self.calls.values().filter_map(|one| one.media.as_ref()) {
                    media.try_send(ToMedia::Mute(muted)).ok();
                }
            }
            Command::Throw { call, junk } => {
                if let Some(media) = self.calls.get(&call).and_then(|one| one.media.as_ref()) {
                    media.send(ToMedia::Throw(junk)).await.ok();
                }
            }
            Command::Treat { call, treatment } => {
                if let Some(media) = self.calls.get(&call).and_then(|one| one.media.as_ref()) {
                    media.send(ToMedia::Treat(treatment)).await.ok();
                }
            }
            Command::Vanish => {}
        }
        Ok(())
    }

    async fn place(&mut self, callee: i64, video: bool) -> anyhow::Result<i64> {
        let (parameters, random) = self.dh().await?;
        let exchange = CallerExchange::begin(&parameters, random)?;
        let mut random_id = [0; 4];
        getrandom::fill(&mut random_id).ok().context("the system has random bytes")?;
        let request = tl::functions::phone::RequestCall {
            video,
            user_id: self.handle.input_user(callee),
            random_id: i32::from_le_bytes(random_id),
            g_a_hash: exchange.g_a_hash().to_vec(),
            protocol: self.protocol(),
        };
        let tl::enums::phone::PhoneCall::Call(answer) = self.invoke(&request).await?;
        let (id, access_hash) = match answer.phone_call {
            tl::enums::PhoneCall::Waiting(waiting) => (waiting.id, waiting.access_hash),
            other => bail!("requestCall was answered with {other:?}"),
        };
        let peer = tl::types::InputPhoneCall { id, access_hash };
        self.calls.insert(
            id,
            OneCall {
                peer,
                agreement: Agreement::Called(exchange),
                media: None,
                early: Vec::new(),
                since: None,
            },
        );
        Ok(id)
    }

    async fn take(&mut self, call: i64) -> anyhow::Result<()> {
        let Some(Agreement::Asked(g_a_hash)) = self.calls.get(&call).map(|one| &one.agreement) else {
            return Ok(());
        };
        let g_a_hash = g_a_hash.clone();
        let (parameters, random) = self.dh().await?;
        let exchange = CalleeExchange::begin(&parameters, random, &g_a_hash)?;
        let one = self.calls.get_mut(&call).context("the call is still there")?;
        let peer = one.peer.clone();
        let g_b = exchange.g_b().to_vec();
        one.agreement = Agreement::Taken(exchange);
        self.invoke(&tl::functions::phone::AcceptCall { peer: peer.into(), g_b, protocol: self.protocol() })
            .await?;
        Ok(())
    }

    async fn hang_up(&mut self, call: i64, reason: Reason) -> anyhow::Result<()> {
        let Some(one) = self.calls.remove(&call) else { return Ok(()) };
        if let Some(media) = &one.media {
            media.send(ToMedia::Close).await.ok();
        }
        let duration = one.since.map_or(0, |since| now().saturating_duration_since(since).as_secs());
        let request = tl::functions::phone::DiscardCall {
            video: false,
            peer: one.peer.into(),
            duration: i32::try_from(duration)?,
            reason: match reason {
                Reason::Missed => tl::enums::PhoneCallDiscardReason::Missed,
                Reason::Disconnect => tl::enums::PhoneCallDiscardReason::Disconnect,
                Reason::Hangup => tl::enums::PhoneCallDiscardReason::Hangup,
                Reason::Busy => tl::enums::PhoneCallDiscardReason::Busy,
            },
            connection_id: 0,
        };
        self.invoke(&request).await.map(drop)
    }

    async fn update(
        &mut self,
        update: tl::enums::Update,
        inside: &mpsc::Sender<Inside>,
    ) -> anyhow::Result<()> {
        match update {
            tl::enums::Update::PhoneCallSignalingData(update) => {
                if let Some(one) = self.calls.get_mut(&update.phone_call_id) {
                    match &one.media {
                        Some(media) => {
                            media.send(ToMedia::Signaling(update.data)).await.ok().context("media runs")?
                        }
                        None => one.early.push(update.data),
                    }
                }
                Ok(())
            }
            tl::enums::Update::PhoneCall(update) => self.phone_call(update.phone_call, inside).await,
            _ => Ok(()),
        }
    }

    async fn phone_call(
        &mut self,
        call: tl::enums::PhoneCall,
        inside: &mpsc::Sender<Inside>,
    ) -> anyhow::Result<()> {
        match call {
            tl::enums::PhoneCall::Requested(requested) => self.requested(requested, inside).await,
            tl::enums::PhoneCall::Waiting(waiting) => {
                if waiting.receive_date.is_some() && self.calls.contains_key(&waiting.id) {
                    self.tell(Event::Ringing { call: waiting.id });
                }
                Ok(())
            }
            tl::enums::PhoneCall::Accepted(accepted) => {
                let Some(one) = self.calls.get_mut(&accepted.id) else { return Ok(()) };
                let Agreement::Called(exchange) = std::mem::replace(&mut one.agreement, Agreement::Done)
                else {
                    return Ok(());
                };
                let (key, g_a) = exchange.finish(&accepted.g_b)?;
                let request = tl::functions::phone::ConfirmCall {
                    peer: one.peer.clone().into(),
                    g_a: g_a.to_vec(),
                    key_fingerprint: key.fingerprint(),
                    protocol: self.protocol(),
                };
                let tl::enums::phone::PhoneCall::Call(answer) = self.invoke(&request).await?;
                match answer.phone_call {
                    tl::enums::PhoneCall::Call(call) => self.start(call, key, true, inside).await,
                    other => bail!("confirmCall was answered with {other:?}"),
                }
            }
            tl::enums::PhoneCall::Call(call) => {
                let Some(one) = self.calls.get_mut(&call.id) else { return Ok(()) };
                let Agreement::Taken(exchange) = std::mem::replace(&mut one.agreement, Agreement::Done)
                else {
                    return Ok(());
                };
                let key = exchange.finish(&call.g_a_or_b, call.key_fingerprint)?;
                self.start(call, key, false, inside).await
            }
            tl::enums::PhoneCall::Discarded(discarded) => {
                let Some(one) = self.calls.remove(&discarded.id) else { return Ok(()) };
                if let Some(media) = &one.media {
                    media.send(ToMedia::Close).await.ok();
                }
                let reason = discarded.reason.and_then(|reason| match reason {
                    tl::enums::PhoneCallDiscardReason::Missed => Some(Reason::Missed),
                    tl::enums::PhoneCallDiscardReason::Disconnect => Some(Reason::Disconnect),
                    tl::enums::PhoneCallDiscardReason::Hangup => Some(Reason::Hangup),
                    tl::enums::PhoneCallDiscardReason::Busy => Some(Reason::Busy),
                    tl::enums::PhoneCallDiscardReason::MigrateConferenceCall(_) => None,
                });
                self.tell(Event::Discarded {
                    call: discarded.id,
                    reason,
                    duration_s: discarded.duration.unwrap_or(0),
                });
                Ok(())
            }
            tl::enums::PhoneCall::Empty(_) => Ok(()),
        }
    }

    async fn requested(
        &mut self,
        requested: tl::types::PhoneCallRequested,
        inside: &mpsc::Sender<Inside>,
    ) -> anyhow::Result<()> {
        let call = requested.id;
        let peer = tl::types::InputPhoneCall { id: call, access_hash: requested.access_hash };
        let one = OneCall {
            peer: peer.clone(),
            agreement: Agreement::Asked(requested.g_a_hash),
            media: None,
            early: Vec::new(),
            since: None,
        };
        self.calls.insert(call, one);
        if self.options.answering != Answering::Silent {
            self.invoke(&tl::functions::phone::ReceivedCall { peer: peer.into() }).await?;
        }
        self.tell(Event::Incoming { call, video: requested.video });
        match self.options.answering {
            Answering::After(pause) => {
                let inside = inside.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    inside.send(Inside::Answer(call)).await.ok();
                });
            }
            Answering::Declines => self.hang_up(call, Reason::Busy).await?,
            Answering::Refuses(reason) => self.hang_up(call, reason).await?,
            Answering::Rings | Answering::Silent => {}
        }
        Ok(())
    }

    async fn start(
        &mut self,
        call: tl::types::PhoneCall,
        key: SharedKey,
        is_caller: bool,
        inside: &mpsc::Sender<Inside>,
    ) -> anyhow::Result<()> {
        let tl::enums::PhoneCallProtocol::Protocol(protocol) = call.protocol;
        let version = Version::choose(&protocol.library_versions).context("a common version")?;
        let (elsewhere, socket, local) = match &self.options.ends {
            Some(ends) => {
                let (number, local) = ends.telegram();
                (Some((ends.clone(), number)), None, local.into())
            }
            None => match &self.options.muxed {
                Some(muxed) => (None, None, muxed.local()),
                None => {
                    let socket = UdpSocket::bind((self.options.address, 0)).await?;
                    let local = socket.local_addr()?;
                    (None, Some(socket), local)
                }
            },
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok().context("the system has random bytes")?;
        if let (Some(identity), Some((ends, number))) = (self.options.openssl.clone(), &elsewhere) {
            ensure!(is_caller, "OpenSSL's ends call, and are not called");
            let media = self.channel(call.id).await?;
            let one = self.calls.get(&call.id).context("the call is known")?;
            let away = Openssl {
                call: call.id,
                peer: one.peer.clone(),
                handle: self.handle.clone(),
                identity,
                ends: ends.clone(),
                number: *number,
                local,
            };
            tokio::spawn(away.run(key, version, seed, media, inside.clone()));
            return Ok(());
        }
        let parameters = tgcall::Parameters {
            key,
            is_caller,
            version,
            p2p_allowed: call.p2p_allowed,
            servers: Vec::new(),
            only_streams: false,
            custom_parameters: None,
            local_addresses: vec![local.into()],
            certificate: Arc::clone(&self.certificate),
            seed,
        };
        let engine = tgcall::Call::new(now(), parameters)?;
        let words = self.channel(call.id).await?;
        let one = self.calls.get(&call.id).context("the call is known")?;
        if let Some((ends, number)) = elsewhere {
            let away = Elsewhere { call: call.id, peer: one.peer.clone(), handle: self.handle.clone() };
            tokio::spawn(away.run(ends, number, engine, words, inside.clone()));
            return Ok(());
        }
        let socket = match (socket, &self.options.muxed) {
            (Some(socket), _) => Outlet::Own(socket),
            (None, Some(muxed)) => muxed.join(engine.ufrag()),
            (None, None) => anyhow::bail!("no socket"),
        };
        let player = Player::new(Arc::clone(&self.options.plays), self.muted, seed);
        let media = Media {
            call: call.id,
            peer: one.peer.clone(),
            engine,
            socket,
            local,
            handle: self.handle.clone(),
            heard: self.heard.clone(),
            player,
            last: None,
            paths: [BadPath::new(u64::from_le_bytes([seed[0], seed[1], 0, 0, 0, 0, 0, 1])), BadPath::new(1)],
        };
        tokio::spawn(media.run(words, inside.clone()));
        Ok(())
    }

    /// The way to a call's media, with what came early.
    async fn channel(&mut self, call: i64) -> anyhow::Result<mpsc::Receiver<ToMedia>> {
        let one = self.calls.get_mut(&call).context("the call is known")?;
        let (media, words) = mpsc::channel(512);
        for data in one.early.drain(..) {
            media.send(ToMedia::Signaling(data)).await.ok().context("media starts")?;
        }
        one.media = Some(media);
        Ok(words)
    }
}
