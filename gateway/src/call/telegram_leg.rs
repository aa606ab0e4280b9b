//! The Telegram side of one call: key agreement over `phone.*`, then signaling and media.

mod network;
mod ports;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tgcall::key::{CalleeExchange, CallerExchange, SharedKey};
use tgcall::{PathInfo, Version};
use tgtrunk_bridge::Cause;
use tgtrunk_config::MediaSockets;
use tgtrunk_telegram::{Account, Resolved};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use self::ports::Ports;
use super::steps::{self, Announce, Requested, Step};
use super::streams::Streams;
use crate::certificates::Certificates;
use crate::key_agreement::KeyAgreement;
use crate::line::{Callee, Pause, Strangers};
use crate::net::{Addresses, Proxy};
use crate::plane::Plane;
use crate::telegram::{self, CallRef, Discard, Established, PhoneCall};
use crate::{cause, clock};

/// Signaling packets that may wait for the server; a call that overruns this is broken anyway.
const SIGNALING_BACKLOG: usize = 256;
/// How long the reason of a call's end may take after the server refused its signaling.
const WHY_LIMIT: Duration = Duration::from_secs(1);
/// Signaling kept while the key is not known yet.
const EARLY_SIGNALING: usize = 64;

/// What every Telegram leg of a line shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) account: Account,
    /// The threads that calls run on.
    pub(crate) plane: Plane,
    pub(crate) keys: Arc<KeyAgreement>,
    pub(crate) certificates: Certificates,
    /// What this machine's media may come from, now and whenever that changes.
    pub(crate) addresses: Addresses,
    /// With one, media goes through it alone.
    pub(crate) proxy: Option<Proxy>,
    /// Differentiated services code point of media.
    pub(crate) dscp: u8,
    /// Whether calls share sockets towards their peers.
    pub(crate) media_sockets: MediaSockets,
    /// How many strangers may still be approached.
    pub(crate) strangers: Arc<Strangers>,
    /// Whether Telegram wants no calls of the line for a while.
    pub(crate) pause: Arc<Pause>,
}

/// What the leg tells its call.
#[derive(Debug)]
pub(crate) enum LegEvent {
    /// The call has an id now; updates about it belong here.
    Known(CallRef),
    /// Who was dialled.
    Peer(Resolved),
    /// The other device rings.
    Ringing,
    /// The other side took the call; media is being set up.
    Accepted,
    /// Audio can flow both ways; also after a loss.
    Connected,
    /// No path carries audio any more; one may be found again.
    Lost,
    /// The peer says it is muted, or no longer.
    Muted(bool),
    /// The far end, or a failure, ended the leg.
    Over(Cause),
    /// The end that was asked for is on its way; the leg itself sees to it.
    Released,
    /// A call to this user may ring though its request failed.
    Doubtful(i64),
}

enum State {
    Idle,
    /// `requestCall` is under way.
    Requesting,
    /// Requested, not accepted yet.
    Waiting(CallRef, Box<CallerExchange>),
    /// `confirmCall` is under way.
    Confirming(CallRef),
    /// Somebody calls us and waits.
    Offered(CallRef, Vec<u8>),
    /// `acceptCall` is under way.
    Accepting(CallRef),
    /// Accepted by us; the caller has not revealed its half.
    Agreeing(CallRef, Box<CalleeExchange>),
    /// The key is being computed.
    Finishing(CallRef),
    /// Signaling and media run.
    Talking(CallRef),
    Over,
}

/// One call's Telegram side.
pub(crate) struct TelegramLeg {
    shared: Shared,
    state: State,
    /// Decided to hang up while `requestCall` was still under way.
    hang_up_when_known: Option<Discard>,
    given_up: Arc<AtomicBool>,
    /// Where work is done that carries no packets.
    control: Handle,
    steps: JoinSet<Step>,
    signaling: Option<mpsc::Sender<Vec<u8>>>,
    early_signaling: VecDeque<Vec<u8>>,
    /// Updates that overtook the answer of our own request.
    early_updates: Vec<PhoneCall>,
    events: VecDeque<LegEvent>,
    pub(crate) media: Option<tgcall::Call>,
    pub(crate) ports: Ports,
    pub(crate) streams: Streams,
    emoji: Option<String>,
    version: Option<Version>,
    connected: bool,
    /// The latest path of media.
    path: Option<PathInfo>,
    talking_since: Option<Instant>,
}

impl TelegramLeg {
    /// A leg that will call somebody.
    pub(crate) fn outgoing(shared: Shared) -> Self {
        Self::new(shared, State::Idle)
    }

    /// A leg on which somebody calls us.
    pub(crate) fn incoming(shared: Shared, call: CallRef, g_a_hash: Vec<u8>) -> Self {
        Self::new(shared, State::Offered(call, g_a_hash))
    }

    fn new(shared: Shared, state: State) -> Self {
        Self {
            streams: Streams::new(shared.proxy.clone(), shared.dscp),
            ports: Ports::none(shared.dscp),
            shared,
            state,
            hang_up_when_known: None,
            given_up: Arc::default(),
            control: Handle::current(),
            steps: JoinSet::new(),
            signaling: None,
            early_signaling: VecDeque::new(),
            early_updates: Vec::new(),
            events: VecDeque::new(),
            media: None,
            emoji: None,
            version: None,
            connected: false,
            path: None,
            talking_since: None,
        }
    }

    /// The four emoji that both people may compare, once the key is agreed.
    pub(crate) fn emoji(&self) -> Option<&str> {
        self.emoji.as_deref()
    }

    /// The library version that the server settled on.
    pub(crate) fn version(&self) -> Option<Version> {
        self.version
    }

    /// The path of media, or the latest one where there is none any more.
    pub(crate) fn path(&mut self) -> Option<PathInfo> {
        if let Some(path) = self.media.as_ref().and_then(tgcall::Call::path) {
            self.path = Some(path);
        }
        self.path
    }

    /// Datagrams that came to its ports without the call's keys or passwords, or from where nobody was let in.
    pub(crate) fn refused(&self) -> u64 {
        self.media.as_ref().map_or(0, |media| {
            let tgcall::Counters { forged, stray, malformed, other_source, .. } = media.counters();
            forged + stray + malformed + other_source
        })
    }

    /// Whether nothing is left to be sent or awaited.
    pub(crate) fn is_settled(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the call was requested, and Telegram's id of it may yet come.
    pub(crate) fn awaits_id(&self) -> bool {
        matches!(self.state, State::Requesting)
    }

    /// Lets go of sockets and media; what is under way goes on.
    pub(crate) fn close_media(&mut self) {
        self.media = None;
        self.signaling = None;
        self.ports.clear();
        self.streams.clear();
    }

    pub(crate) fn poll_event(&mut self) -> Option<LegEvent> {
        self.events.pop_front()
    }

    /// Calls a person; who that is, is judged and announced first.
    pub(crate) fn dial(&mut self, callee: Callee, announce: Announce) {
        self.state = State::Requesting;
        let shared = self.shared.clone();
        let given_up = Arc::clone(&self.given_up);
        self.spawn(
            async move { Step::Requested(steps::request(&shared, &callee, &announce, &given_up).await) },
        );
    }

    /// Lets the caller know that it rings here.
    pub(crate) fn tell_ringing(&mut self) {
        let State::Offered(call, _) = &self.state else { return };
        let (account, call) = (self.shared.account.clone(), *call);
        self.spawn(async move {
            steps::tell_ringing(&account, call).await;
            Step::Told
        });
    }

    /// Takes the call that was offered to us.
    pub(crate) fn accept(&mut self) {
        let State::Offered(call, g_a_hash) = &self.state else { return };
        let (call, g_a_hash, shared) = (*call, g_a_hash.clone(), self.shared.clone());
        self.state = State::Accepting(call);
        self.spawn(async move { Step::Accepted(steps::accept(&shared, call, &g_a_hash).await) });
    }

    /// Ends the leg from our side. `talked` counts from connected media.
    pub(crate) fn hang_up(&mut self, now: Instant, reason: Discard, talked: Duration) {
        if let Some(media) = &mut self.media {
            media.close(now);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Requesting => {
                self.state = State::Requesting;
                self.hang_up_when_known = Some(reason);
                self.given_up.store(true, Ordering::Relaxed);
            }
            State::Idle | State::Over => {}
            State::Waiting(call, _)
            | State::Confirming(call)
            | State::Offered(call, _)
            | State::Accepting(call)
            | State::Agreeing(call, _)
            | State::Finishing(call)
            | State::Talking(call) => self.discard(call, reason, talked),
        }
        self.drain_media();
        self.events.push_back(LegEvent::Released);
    }

    /// An update about this call.
    pub(crate) fn handle_update(&mut self, update: PhoneCall) {
        if matches!(self.state, State::Requesting) {
            self.early_updates.push(update);
            return;
        }
        match (std::mem::replace(&mut self.state, State::Over), update) {
            (State::Over, _) => {}
            // Who ends a call says why; the server tells the devices that did not take it without a reason.
            (
                State::Offered(..) | State::Accepting(_),
                PhoneCall::Discarded { reason: Discard::Unknown, .. },
            ) => {
                self.end(Cause::AnsweredElsewhere);
            }
            (_, PhoneCall::Discarded { reason, .. }) => self.end(reason.into()),
            (_, PhoneCall::Empty { .. }) => self.end(Cause::Disconnected),
            (State::Waiting(call, exchange), PhoneCall::Waiting { ringing, .. }) => {
                self.state = State::Waiting(call, exchange);
                if ringing {
                    self.events.push_back(LegEvent::Ringing);
                }
            }
            (State::Waiting(call, exchange), PhoneCall::Accepted { g_b, .. }) => {
                self.state = State::Confirming(call);
                self.events.push_back(LegEvent::Accepted);
                let shared = self.shared.clone();
                self.spawn(
                    async move { Step::Confirmed(steps::confirm(&shared, call, *exchange, g_b).await) },
                );
            }
            (State::Agreeing(call, exchange), PhoneCall::Established(established)) => {
                self.state = State::Finishing(call);
                let keys = Arc::clone(&self.shared.keys);
                self.spawn(async move { Step::Agreed(steps::agree(&keys, *exchange, established).await) });
            }
            (State::Accepting(call), early @ PhoneCall::Established(_)) => {
                self.state = State::Accepting(call);
                self.early_updates.push(early);
            }
            (state, late) => {
                self.state = state;
                tracing::debug!(call = late.id(), "update ignored in this state");
            }
        }
        self.drain_media();
    }

    /// Signaling data of the other side.
    pub(crate) fn handle_signaling(&mut self, now: Instant, data: Vec<u8>) {
        match &mut self.media {
            Some(media) => {
                media.handle_signaling(now, &data);
                self.drain_media();
            }
            None if matches!(self.state, State::Over) => {}
            None if self.early_signaling.len() < EARLY_SIGNALING => self.early_signaling.push_back(data),
            None => tracing::debug!("early signaling dropped: too much of it"),
        }
    }

    /// The next outcome of work done elsewhere.
    pub(crate) fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        while let Poll::Ready(Some(step)) = self.steps.poll_join_next(context) {
            if let Some(step) = done(step) {
                return Poll::Ready(step);
            }
        }
        Poll::Pending
    }

    /// Waits for the next outcome of work done elsewhere; `None` when there is none or it was lost.
    pub(crate) async fn any_step(&mut self) -> Option<Step> {
        done(self.steps.join_next().await?)
    }

    /// The outcome of a step.
    pub(crate) fn handle_step(&mut self, now: Instant, step: Step) {
        match step {
            Step::Told => {}
            Step::SignalingRefused(cause) => {
                if let State::Talking(call) = self.state {
                    self.fail(now, call, cause);
                }
            }
            Step::Requested(Ok(requested)) => self.requested(requested),
            Step::Accepted(Ok((answer, exchange))) => self.accepted(answer, exchange),
            Step::Confirmed(Ok((answer, key, g_a))) => self.confirmed(now, answer, &key, &g_a),
            Step::Agreed(Ok((key, established))) => {
                if let State::Finishing(_) = self.state {
                    let g_a = established.g_a_or_b.clone();
                    self.start_media(now, &established, &key, false, &g_a);
                }
            }
            Step::Requested(Err(failed)) => {
                self.events.extend(failed.doubtful.map(LegEvent::Doubtful));
                self.end(failed.cause);
            }
            Step::Accepted(Err(cause)) | Step::Confirmed(Err(cause)) | Step::Agreed(Err(cause)) => {
                match self.state {
                    // Another device of the account has it, or the caller is gone: it is no longer ours to end.
                    State::Accepting(_) if matches!(cause, Cause::AnsweredElsewhere | Cause::GivenUp) => {
                        self.end(cause);
                    }
                    State::Accepting(call) | State::Confirming(call) | State::Finishing(call) => {
                        self.fail(now, call, cause);
                    }
                    _ => {}
                }
            }
        }
    }

    fn requested(&mut self, requested: Requested) {
        let Requested { peer, exchange, answer } = requested;
        let call = match &answer {
            PhoneCall::Waiting { call, .. } | PhoneCall::Accepted { call, .. } => *call,
            PhoneCall::Discarded { id, reason } => {
                // Over already: nobody will have to name it to Telegram.
                let call = CallRef { id: *id, access_hash: 0 };
                self.events.extend([LegEvent::Known(call), LegEvent::Peer(peer)]);
                return self.end((*reason).into());
            }
            other => {
                tracing::warn!(id = other.id(), "requestCall was answered with a state that makes no sense");
                return self.end(Cause::Disconnected);
            }
        };
        // The id comes first, so that whatever is told of the call has it.
        self.events.extend([LegEvent::Known(call), LegEvent::Peer(peer)]);
        if let Some(reason) = self.hang_up_when_known.take() {
            self.state = State::Over;
            return self.discard(call, reason, Duration::ZERO);
        }
        self.state = State::Waiting(call, Box::new(exchange));
        self.handle_update(answer);
        for update in std::mem::take(&mut self.early_updates) {
            self.handle_update(update);
        }
    }

    fn accepted(&mut self, answer: PhoneCall, exchange: CalleeExchange) {
        let State::Accepting(call) = self.state else { return };
        self.state = State::Agreeing(call, Box::new(exchange));
        if matches!(answer, PhoneCall::Discarded { .. } | PhoneCall::Established(_)) {
            self.handle_update(answer);
        }
        for update in std::mem::take(&mut self.early_updates) {
            self.handle_update(update);
        }
    }

    fn confirmed(&mut self, now: Instant, answer: PhoneCall, key: &SharedKey, g_a: &[u8; 256]) {
        let State::Confirming(call) = self.state else { return };
        match answer {
            PhoneCall::Established(established) => self.start_media(now, &established, key, true, g_a),
            PhoneCall::Discarded { reason, .. } => self.end(reason.into()),
            other => {
                tracing::warn!(id = other.id(), "confirmCall was answered with a state that makes no sense");
                self.fail(now, call, Cause::Disconnected);
            }
        }
    }

    fn start_media(
        &mut self,
        now: Instant,
        established: &Established,
        key: &SharedKey,
        is_caller: bool,
        g_a: &[u8],
    ) {
        let call = established.call;
        let started = self.open_media(now, established, key, is_caller);
        let media = match started {
            Ok(media) => media,
            Err(error) => {
                tracing::warn!(%error, "media cannot start");
                return self.fail(now, call, Cause::NoMedia);
            }
        };
        self.emoji = Some(tgcall::fingerprint::emoji(key, g_a).concat());
        self.media = Some(media);
        self.state = State::Talking(call);
        self.signaling = Some(self.pump_signaling(call));
        for data in std::mem::take(&mut self.early_signaling) {
            self.handle_signaling(now, data);
        }
        self.drain_media();
    }

    /// Sends what media has to say and collects what it reports. To be called after every handling of `media`.
    pub(crate) fn drain_media(&mut self) {
        self.know_peers();
        let Some(media) = &mut self.media else { return };
        while let Some(transmit) = media.poll_transmit() {
            network::send(&self.ports, &mut self.streams, transmit.route, &transmit.contents);
        }
        // After what is still to be sent: the last word goes before its stream does.
        while let Some(order) = media.poll_stream_order() {
            self.streams.handle(order);
        }
        while let Some(packet) = media.poll_signaling() {
            if let Some(Err(error)) = self.signaling.as_ref().map(|pump| pump.try_send(packet)) {
                tracing::debug!(%error, "signaling packet dropped");
            }
        }
        let mut failure = None;
        while let Some(event) = media.poll_event() {
            match event {
                tgcall::Event::Connected => tracing::debug!("media connected"),
                tgcall::Event::Reconnecting => {
                    tracing::info!("media lost, trying to get it back");
                    self.connected = false;
                    self.events.push_back(LegEvent::Lost);
                }
                tgcall::Event::OutgoingFormat(_) => {}
                tgcall::Event::RemoteMuted(muted) => self.events.push_back(LegEvent::Muted(muted)),
                tgcall::Event::Closed => {
                    // It hung up. Should Telegram's word of that be lost, no sound will come back: the limit for it runs.
                    tracing::debug!("the peer closed its media");
                    self.connected = false;
                    self.events.push_back(LegEvent::Lost);
                }
                tgcall::Event::Failed(reason) => failure = Some(reason),
            }
        }
        if !self.connected && media.is_connected() && media.outgoing().is_some() {
            self.connected = true;
            self.path = media.path();
            self.talking_since.get_or_insert_with(clock::now);
            self.events.push_back(LegEvent::Connected);
        }
        if let (Some(reason), State::Talking(call)) = (failure, &self.state) {
            let call = *call;
            tracing::info!(%reason, "media failed");
            self.fail(
                clock::now(),
                call,
                if self.talking_since.is_some() { Cause::MediaLost } else { Cause::NoMedia },
            );
        }
    }

    fn end(&mut self, cause: Cause) {
        self.state = State::Over;
        self.signaling = None;
        self.events.push_back(LegEvent::Over(cause));
    }

    /// Ends the leg on both sides because something broke.
    fn fail(&mut self, now: Instant, call: CallRef, cause: Cause) {
        let talked = self.talking_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.discard(call, Discard::Disconnect, talked);
        self.end(cause);
    }

    fn discard(&mut self, call: CallRef, reason: Discard, talked: Duration) {
        self.signaling = None;
        self.state = State::Over;
        let account = self.shared.account.clone();
        self.spawn(async move {
            steps::discard(&account, call, reason, talked).await;
            Step::Told
        });
    }

    /// Sends signaling packets in order, several of them under way at once.
    fn pump_signaling(&mut self, call: CallRef) -> mpsc::Sender<Vec<u8>> {
        let (sender, mut packets) = mpsc::channel::<Vec<u8>>(SIGNALING_BACKLOG);
        let account = self.shared.account.clone();
        self.spawn(async move {
            let mut under_way = JoinSet::new();
            let refused = loop {
                tokio::select! {
                    packet = packets.recv() => {
                        let Some(packet) = packet else { return Step::Told };
                        let account = account.clone();
                        under_way.spawn(async move { telegram::send_signaling(&account, call, packet).await });
                    }
                    Some(sent) = under_way.join_next() => match sent {
                        Ok(Ok(true)) | Err(_) => {}
                        Ok(Ok(false)) => break Cause::Disconnected,
                        Ok(Err(error)) if cause::ends_signaling(&error) => break cause::of_invoke(&error),
                        Ok(Err(error)) => tracing::debug!(%error, "signaling was not taken, it will be sent again"),
                    },
                }
            };
            // The call is over at the server; the update that says why is on its way, and ends the leg and this wait.
            let until = (clock::now() + WHY_LIMIT).into();
            while let Ok(Some(_)) = tokio::time::timeout_at(until, packets.recv()).await {}
            if packets.is_closed() { Step::Told } else { Step::SignalingRefused(refused) }
        });
        sender
    }

    fn spawn(&mut self, work: impl Future<Output = Step> + Send + 'static) {
        self.steps.spawn_on(work.in_current_span(), &self.control);
    }
}

fn done(step: Result<Step, JoinError>) -> Option<Step> {
    step.inspect_err(|error| tracing::error!(%error, "a step of the call was lost")).ok()
}
