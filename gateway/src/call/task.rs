//! The task of one call: the bridge decides, the legs act, audio passes between their sockets.

mod ears;
mod farewell;
mod levels;
mod run;
mod sound;
mod tape;
mod transfer;
mod trunk;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tgtrunk_bridge::{Action, Call as Bridge, Cause, Event, Leg, Record};
use tgtrunk_config::CallId;
use tgtrunk_config::control::{Quality, Recording, Refusal};
use tgtrunk_media::dtmf::info::Form;
use tgtrunk_media::dtmf::{Digit, Press, Way};
use tgtrunk_media::{Batch, Relay, Side, Tone};
use tgtrunk_sip::{Direction, Invite, RemoteAudio};
use tgtrunk_telegram::Resolved;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Span, field, info_span};

use super::quality::Spoken;
use super::steps::Announce;
use super::telegram_leg::{LegEvent, Shared, TelegramLeg};
use super::trunk_leg::{OtherLeg, SipWord, TrunkLeg};
use crate::clock;
use crate::line::Callee;
use crate::plane::{self, Listener};
use crate::telegram::{CallRef, Discard, PhoneCall};
use ears::{Ears, Happened, Stirred};
pub(crate) use levels::Levels;
use levels::Watch;
pub(crate) use tape::Recordings;
use tape::Tape;
use transfer::Transfer;

/// Words that may wait for a call's task. Its line gives up a call that does not listen.
const BACKLOG: usize = 128;
/// What the line tells a call.
#[derive(Debug)]
pub(crate) enum Input {
    /// Of the trunk leg.
    Ringing,
    EarlyMedia(RemoteAudio),
    Answered(RemoteAudio),
    MediaChanged(RemoteAudio),
    TrunkEnded(Cause),
    /// The PBX wants somebody else called for it.
    Refer,
    /// A call of the PBX, with this offer, is to take the leg's place.
    Replaces(Option<RemoteAudio>),
    /// Of the second leg that it has then.
    Other(OtherLeg),
    /// A key that the PBX sent in INFO.
    Pressed(Press),
    /// The PBX refused a key in INFO with this status.
    KeyRefused(u16),
    /// Of the Telegram leg.
    Update(PhoneCall),
    Signaling(Vec<u8>),
    /// Of the gateway.
    Stop(Cause),
    /// Record the call, or pause its recording.
    Record(bool),
    /// Somebody watches how loud both sides are.
    Watch,
    /// Keys for the PBX.
    Dial {
        digits: Vec<Digit>,
        /// How long each sounds, and how long it is silent then.
        tone: Duration,
        pause: Duration,
        /// Keys asked for again under the same one are not pressed again.
        key: Option<String>,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// What a call tells its line.
#[derive(Debug)]
pub(crate) enum Said {
    /// For the PBX.
    Sip(SipWord),
    /// This person is called now; whoever is told has the sender dropped when that is written down.
    Calls(Box<Resolved>, oneshot::Sender<()>),
    /// The call's id at Telegram.
    Known(CallRef),
    /// A call to this user may ring though nobody knows its id.
    Doubtful(i64),
    /// How far the call is.
    Progress(Progress),
    /// A key was pressed on this side.
    Digit(Side, Press, Way),
    /// It is recorded in these files.
    Recorded(Recording),
    /// How loud both sides are, while somebody watches.
    Levels(Levels),
    /// It is over; goodbyes may still be on their way.
    Ended(Record, Box<Quality>),
    /// Nothing is on its way any more, and the task is gone.
    Gone,
    /// The task broke: whatever it held is the line's to end.
    Broken,
}

/// How far a call is, as people want to know it.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) state: State,
    pub(crate) peer: Option<Resolved>,
    pub(crate) emoji: Option<String>,
    pub(crate) muted: Muted,
}

/// The state that a [`Progress`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// What it says besides is news.
    Unchanged,
    Ringing,
    Answered,
}

/// How a call begins.
pub(crate) enum Opening {
    /// The PBX, or the gateway itself, calls a person.
    ToTelegram { callee: Callee, trunk: TrunkLeg },
    /// Somebody has the gateway call both: what `invite` is addressed to first, then the person.
    ToBoth { callee: Callee, peer: Resolved, trunk: TrunkLeg, invite: Box<Invite> },
    /// A person calls; `invite` is what the PBX gets, its audio still to be filled in.
    FromTelegram { call: CallRef, g_a_hash: Vec<u8>, caller: Resolved, trunk: TrunkLeg, invite: Box<Invite> },
}

/// A running call as its line holds it.
#[derive(Debug)]
pub(crate) struct Handle {
    /// In boxes: there is always room for some dozens of them.
    pub(crate) inputs: mpsc::Sender<Box<Input>>,
    /// How its legs are, renewed with every report of theirs.
    pub(crate) quality: watch::Receiver<Option<Quality>>,
}

/// Who says that it is not to be heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Muted {
    pub(crate) telegram: bool,
    pub(crate) trunk: bool,
}

/// Settings of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bridge: tgtrunk_bridge::Settings,
    /// Silence of the PBX that ends the call.
    pub(crate) media_timeout: Duration,
    /// What a caller hears while the callee rings, once it hears us.
    pub(crate) ringback: Option<Tone>,
    /// Whether the PBX gets that, too, while the Telegram user's device rings.
    pub(crate) early_media: bool,
    /// Whether the PBX gets silence while the Telegram user is muted.
    pub(crate) comfort: bool,
    /// Effort of the Opus encoder, 0 to 10.
    pub(crate) opus_complexity: u8,
}

struct Task {
    /// As its thread knows it.
    me: Listener,
    stirred: Arc<Stirred>,
    /// A packet had consequences that the task has not taken notice of.
    is_unrested: bool,
    /// When it is woken up at the latest, and when at the latest for more than sound that is encoded.
    wakes_at: Instant,
    rest_due: Option<Instant>,
    ended: Option<Record>,
    key: u64,
    said: mpsc::Sender<(u64, Said)>,
    inputs: mpsc::Receiver<Box<Input>>,
    bridge: Bridge,
    telegram: TelegramLeg,
    trunk: TrunkLeg,
    /// While the PBX sends the call on.
    transfer: Option<Transfer>,
    relay: Relay,
    trunk_ssrc: u32,
    telegram_speaks: Option<Spoken>,
    trunk_speaks: Option<Spoken>,
    shown: watch::Sender<Option<Quality>>,
    began: Instant,
    limits: Limits,
    to_dial: Option<Callee>,
    to_invite: Option<Box<Invite>>,
    peer: Option<Resolved>,
    joined: bool,
    /// The PBX took the call: what the Telegram user says may be heard there.
    trunk_listens: bool,
    /// The PBX says that it plays something before it answers.
    trunk_plays: bool,
    /// When a caller who hears us and nothing else is to hear that it rings.
    ringback_at: Option<Instant>,
    /// How keys are put in INFO, and the last one that was.
    info: (Form, Option<Press>),
    /// Under which names keys were pressed lately.
    dialled: VecDeque<String>,
    muted: Muted,
    watch: Option<Watch>,
    tape: Tape,
    /// The line has something to say, or may have.
    has_line: bool,
    /// Room of the thread's desk, while the call is at work.
    batch: Batch,
    outgoing: Vec<u8>,
    words: Vec<Said>,
    span: Span,
}

/// Starts a call's task, which says nothing before it is `written` down, or that takes too long: at most it finds out meanwhile
/// whom to call, whose row waits behind its own. What it says comes through `said` under its key, [`Said::Ended`] last.
pub(crate) fn start(
    key: u64,
    opening: Opening,
    shared: Shared,
    limits: Limits,
    said: mpsc::Sender<(u64, Said)>,
    written: oneshot::Receiver<()>,
    recordings: Recordings,
) -> Handle {
    let (sender, inputs) = mpsc::channel(BACKLOG);
    let (shown, quality) = watch::channel(None);
    let (now, threads) = (clock::now(), shared.plane.clone());
    let direction = match opening {
        Opening::ToTelegram { .. } => "pbx-to-telegram",
        Opening::ToBoth { .. } => "to-both",
        Opening::FromTelegram { .. } => "telegram-to-pbx",
    };
    let span = info_span!("call", id = %CallId(key), direction, version = field::Empty);
    let calls = |caller| Bridge::new(caller, limits.bridge, now);
    let (bridge, telegram, trunk, to_dial, to_invite, peer) = match opening {
        Opening::ToTelegram { callee, trunk } => {
            (calls(Leg::Trunk), TelegramLeg::outgoing(shared), trunk, Some(callee), None, None)
        }
        Opening::ToBoth { callee, peer, trunk, invite } => (
            Bridge::to_both(limits.bridge, now),
            TelegramLeg::outgoing(shared),
            trunk,
            Some(callee),
            Some(invite),
            Some(peer),
        ),
        Opening::FromTelegram { call, g_a_hash, caller, trunk, invite } => (
            calls(Leg::Telegram),
            TelegramLeg::incoming(shared, call, g_a_hash),
            trunk,
            None,
            Some(invite),
            Some(caller),
        ),
    };
    let mut relay = Relay::new(u64::from_le_bytes(clock::random()));
    relay.set_beat(plane::beat());
    let say = said.clone();
    let task = Arc::new_cyclic(|me: &Weak<Mutex<Task>>| {
        let me: Listener = me.clone();
        Mutex::new(Task {
            me,
            stirred: Stirred::new(),
            is_unrested: false,
            wakes_at: now,
            rest_due: Some(now),
            ended: None,
            key,
            said,
            inputs,
            bridge,
            telegram,
            trunk,
            transfer: None,
            relay,
            trunk_ssrc: u32::from_le_bytes(clock::random()),
            telegram_speaks: None,
            trunk_speaks: None,
            shown,
            began: now,
            limits,
            to_dial,
            to_invite,
            peer,
            joined: false,
            trunk_listens: false,
            trunk_plays: false,
            ringback_at: None,
            info: (Form::Relay, None),
            dialled: VecDeque::new(),
            muted: Muted::default(),
            watch: None,
            tape: Tape::new(recordings),
            has_line: true,
            batch: Batch::default(),
            outgoing: Vec::new(),
            words: Vec::new(),
            span,
        })
    });
    let work = threads.spawn(run::run(task, (key, say.clone()), written));
    tokio::spawn(async move {
        let last = if work.await.is_ok() { Said::Gone } else { Said::Broken };
        say.send((key, last)).await.ok();
    });
    Handle { inputs: sender, quality }
}

impl Task {
    fn handle(&mut self, now: Instant, happened: Happened, ears: &mut Ears) {
        match happened {
            Happened::Heard => {}
            Happened::Timer => {
                self.renew_rest();
                // It was set before packets put the deadline off.
                if self.deadline().is_some_and(|due| due <= now) {
                    self.handle_timeout(now);
                }
            }
            Happened::Input(Some(input)) => self.handle_input(now, *input),
            Happened::Input(None) => {
                self.has_line = false;
                self.bridge.handle(now, Event::Stop(Cause::Internal));
            }
            Happened::Step(step) => self.telegram.handle_step(now, *step),
            Happened::FromRelay(news) => self.take_from_relay(now, &news, &ears.from_relay),
            Happened::Addresses => {
                self.telegram.handle_addresses(now);
                ears.follow(self.telegram.addresses());
            }
        }
    }

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Ringing => {
                self.bridge.handle(now, Event::Rings(Leg::Trunk));
                // A caller who is fetched is not the one whose ringing is told.
                if self.bridge.caller() == Leg::Telegram {
                    self.progress(State::Ringing);
                }
            }
            Input::EarlyMedia(remote) => {
                self.trunk_plays = true;
                self.set_trunk_audio(now, remote);
                self.bridge.handle(now, Event::EarlyMedia(Leg::Trunk));
            }
            Input::Answered(remote) => {
                self.set_trunk_audio(now, remote);
                self.trunk_listens = true;
                self.bridge.handle(now, Event::Answers(Leg::Trunk));
            }
            Input::MediaChanged(remote) => self.first_changed(now, remote),
            Input::TrunkEnded(cause) => self.first_ended(now, cause),
            Input::Refer => self.refer(now),
            Input::Replaces(offer) => self.replace(offer),
            Input::Other(word) => self.handle_other(now, word),
            Input::Pressed(press) => self.pressed(now, Side::Trunk, press, Way::Info),
            Input::KeyRefused(status) => self.key_refused(status),
            Input::Dial { digits, tone, pause, key, answer } => {
                answer.send(self.dial_keys(now, &digits, (tone, pause), key)).ok();
            }
            Input::Update(update) => self.telegram.handle_update(update),
            Input::Signaling(data) => self.telegram.handle_signaling(now, data),
            Input::Stop(cause) => self.bridge.handle(now, Event::Stop(cause)),
            Input::Record(on) => self.record(now, on),
            Input::Watch => self.begin_watch(now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.bridge.handle_timeout(now);
        if let Some(media) = &mut self.telegram.media {
            media.handle_timeout(now);
            self.telegram.drain_media();
        }
        self.ring_back(now);
        self.play(now);
        self.tell_levels(now);
        self.attend_tape(now);
    }

    /// When the task is to be awake next.
    fn deadline(&self) -> Option<Instant> {
        [self.rest_due, self.relay.poll_playout()].into_iter().flatten().min()
    }

    /// Asks everybody but the playout anew when they are due. Sound alone only puts that off.
    fn renew_rest(&mut self) {
        let media = self.telegram.media.as_mut().and_then(tgcall::Call::poll_timeout);
        let bridge = self.bridge.poll_timeout().map(|(at, _)| at);
        let relay = self.relay.poll_rest().map(|(at, _)| at);
        let levels = self.watch.map(|watch| watch.next);
        let beep = self.tape.poll_timeout();
        self.rest_due = [media, bridge, relay, self.ringback_at, levels, beep].into_iter().flatten().min();
    }

    /// Carries out what the bridge decided until nobody has anything to say; whether nobody had.
    fn drain(&mut self, now: Instant) -> bool {
        let mut is_quiet = !self.telegram.streams.take_stirred();
        loop {
            let event = self.telegram.poll_event();
            let action = if event.is_none() { self.bridge.poll_action() } else { None };
            if event.is_none() && action.is_none() {
                break;
            }
            is_quiet = false;
            let _entered = self.span.clone().entered();
            if let Some(event) = event {
                self.handle_leg_event(now, event);
            }
            match action {
                Some(Action::End(record)) => {
                    self.ended = Some(record);
                    return false;
                }
                Some(action) => self.act(now, action),
                None => {}
            }
        }
        if !is_quiet {
            self.stirred.stir();
        }
        is_quiet
    }

    fn handle_leg_event(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Doubtful(callee) => self.words.push(Said::Doubtful(callee)),
            LegEvent::Known(call) => {
                self.words.push(Said::Known(call));
                self.bridge.handle(now, Event::Proceeds(Leg::Telegram));
            }
            LegEvent::Peer(peer) => {
                self.peer = Some(peer);
                self.progress(State::Unchanged);
            }
            LegEvent::Ringing => {
                self.bridge.handle(now, Event::Rings(Leg::Telegram));
                self.progress(State::Ringing);
            }
            LegEvent::Accepted => self.bridge.handle(now, Event::Answers(Leg::Telegram)),
            LegEvent::Connected => {
                if let Some(version) = self.telegram.version() {
                    self.span.record("version", version.text());
                }
                self.set_telegram_audio(now);
                self.tell_trunk_mute(now);
                self.bridge.handle(now, Event::MediaUp(Leg::Telegram));
            }
            LegEvent::Lost => self.bridge.handle(now, Event::MediaDown(Leg::Telegram)),
            LegEvent::Muted(muted) => self.telegram_mutes(now, muted),
            LegEvent::Over(cause) => self.bridge.handle(now, Event::HangsUp(Leg::Telegram, cause)),
            LegEvent::Released => self.bridge.handle(now, Event::Released(Leg::Telegram)),
        }
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Dial(Leg::Telegram) => self.dial_telegram(now),
            Action::Dial(Leg::Trunk) => self.dial_trunk(now),
            Action::TellRinging(Leg::Trunk) => self.tell_trunk_ringing(now),
            Action::TellRinging(Leg::Telegram) => self.telegram.tell_ringing(),
            Action::RingBack(leg) => {
                let side = if leg == Leg::Trunk { Side::Trunk } else { Side::Telegram };
                self.relay.play(now, side, self.limits.ringback);
                self.play(now);
            }
            Action::Answer(Leg::Trunk) => self.answer_trunk(now),
            Action::Answer(Leg::Telegram) => self.telegram.accept(),
            Action::JoinEarly => self.join_early(now),
            Action::Join => self.join(now),
            Action::HangUp { leg: Leg::Telegram, cause, talked } => {
                self.say_bye(now);
                let reason: Discard = cause.row().discard.into();
                self.telegram.hang_up(now, reason, talked);
            }
            Action::HangUp { leg: Leg::Trunk, cause, .. } => self.hang_up_trunk(now, cause),
            Action::End(_) => {}
        }
    }

    /// Nobody's phone rings for a call that could not be answered.
    fn dial_telegram(&mut self, now: Instant) {
        if let Err(error) = self.trunk.open() {
            tracing::warn!(error = format!("{error:#}"), "no RTP port");
            return self.bridge.handle(now, Event::Fails(Leg::Trunk, Cause::LineFull));
        }
        if let Some(callee) = self.to_dial.take() {
            let announce = Announce { key: self.key, said: self.said.clone() };
            self.telegram.dial(callee, announce);
        }
    }

    fn join(&mut self, now: Instant) {
        if self.bridge.is_ending() {
            return;
        }
        self.joined = true;
        self.ringback_at = None;
        for side in [Side::Trunk, Side::Telegram] {
            self.relay.play(now, side, None);
        }
        if matches!(self.trunk, TrunkLeg::Pbx(_)) {
            let listens =
                self.trunk.remote().is_some_and(|remote| matches!(remote.direction, Direction::SendRecv));
            self.relay.watch(now, Side::Trunk, Some(self.limits.media_timeout));
            self.relay.excuse(now, Side::Trunk, !listens || self.awaits_leg());
        }
        tracing::info!(setup_ms = now.saturating_duration_since(self.began).as_millis(), "call joined");
        self.progress(State::Answered);
        self.begin_recording(now);
    }

    fn progress(&mut self, state: State) {
        let emoji = self.telegram.emoji().map(ToOwned::to_owned);
        let Self { muted, peer, .. } = self;
        self.words.push(Said::Progress(Progress { state, peer: peer.clone(), emoji, muted: *muted }));
    }
}
