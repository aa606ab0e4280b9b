//! One line: its SIP port, its Telegram account, and the calls between them.

mod admission;
mod callee;
mod calls;
mod checks;
mod day;
mod dialled;
mod ghosts;
mod invite;
mod join;
mod lamps;
mod login;
mod minutes;
mod opus;
mod order;
mod orphans;
mod pause;
mod placed;
mod refused;
mod remains;
mod route;
mod shown;
mod standing;
mod strangers;
mod transfer;
mod trunk;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tgtrunk_bridge::Cause;
use tgtrunk_config::control::{self, Event as ControlEvent};
use tgtrunk_config::{EarlyMedia, GatewayStatus, Line as LineSettings, Settings, StateDir};
use tgtrunk_media::dtmf;
use tgtrunk_shell::Health;
use tgtrunk_sip::Event as SipEvent;
use tgtrunk_telegram::{Account, LoginDesk, Notice, Red, Resolved};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Sleep, sleep_until, timeout};

use crate::call::{self, Input, Limits, Opening, Said, Shared, State, TrunkLeg};
use crate::certificates::Certificates;
use crate::compute::Compute;
use crate::key_agreement::KeyAgreement;
use crate::net::{Addresses, Proxy, RtpPorts};
use crate::plane::Plane;
use crate::recording::{self, Recorder};
use crate::records::{self, Records};
use crate::rush::Rush;
use crate::telegram::{CallRef, Discard, PhoneCall, user};
use crate::{clock, metrics, rules};
pub(crate) use admission::Admission;
pub(crate) use callee::Callee;
use calls::Calls;
pub(crate) use calls::Direction;
pub(crate) use order::{Keys, Order};
pub(crate) use pause::Pause;
pub(crate) use placed::Placed;
pub(crate) use route::find_pbx;
use standing::Standing;
pub(crate) use strangers::Strangers;
use trunk::{Trunk, receive};
pub(crate) use wire::{Probe, is_free};

/// Words from calls that may wait for their line.
const WORDS: usize = 1024;
/// How often the lamps are looked at though nothing changed.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long goodbyes of ended calls may take when the line ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a line that begins waits to be told of calls that a kill cut short; a slow disk tells later.
const LEFT_LIMIT: Duration = Duration::from_secs(2);
/// How long a step of the login may take to end with the line.
const LAST_STEP: Duration = Duration::from_secs(2);
/// Largest SIP datagram (RFC 3261 section 18.1.1 leaves it to IP).
const SIP_BYTES: usize = 65_535;

/// What the lines of one gateway share.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: StateDir,
    /// What an operator can mend.
    pub(crate) health: Health,
    pub(crate) events: broadcast::Sender<ControlEvent>,
    pub(crate) certificates: Certificates,
    pub(crate) rtp_ports: Arc<RtpPorts>,
    pub(crate) addresses: Addresses,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) placed: Placed,
    pub(crate) recorder: Recorder,
    /// The threads that calls run on.
    pub(crate) plane: Plane,
    pub(crate) compute: Compute,
    pub(crate) rush: Rush,
}

/// What answers a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The PBX.
    Trunk,
    /// The gateway itself, with what the caller says.
    Echo,
    /// Nobody: the line only calls.
    Nobody,
}

/// A line at work.
pub(crate) struct Line {
    house: House,
    settings: LineSettings,
    mode: Mode,
    trunk: Option<Trunk>,
    /// Where the PBX is, as it changes.
    lookups: Option<route::Lookups>,
    account: Account,
    notices: mpsc::Receiver<Notice>,
    orders: mpsc::Receiver<Order>,
    said: mpsc::Receiver<(u64, Said)>,
    say: mpsc::Sender<(u64, Said)>,
    shared: Shared,
    calls: Calls,
    lamps: lamps::Lamps,
    status: watch::Sender<GatewayStatus>,
    /// Who gets in.
    admission: Admission,
    /// Calls that came to nothing before anybody was called.
    refusals: refused::Refusals,
    /// Calls that may ring though their requests failed.
    ghosts: ghosts::Ghosts,
    /// Calls that a kill of a process before cut short.
    remains: remains::Remains,
    /// For how long the PBX's calls have lasted today.
    minutes: minutes::Minutes,
    desk: LoginDesk,
    /// Wishes that all calls end, and those who wait for that.
    partings: mpsc::Receiver<oneshot::Sender<()>>,
    parted: Vec<oneshot::Sender<()>>,
    /// Whether the PBX takes Opus.
    opus: opus::Opus,
    records: Records,
    stopping: Option<Stopping>,
}

/// How far a line's end is.
#[derive(Clone, Copy)]
enum Stopping {
    /// Running calls may end by themselves until then.
    Grace(Instant),
    /// They were ended; goodbyes may take until then.
    Farewell(Instant),
}

/// What a line needs to begin.
pub(crate) struct Start {
    pub(crate) house: House,
    pub(crate) settings: LineSettings,
    pub(crate) mode: Mode,
    pub(crate) account: Account,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) status: watch::Sender<GatewayStatus>,
}

impl Line {
    /// Opens the line's SIP port.
    ///
    /// # Errors
    /// When the port is taken or the PBX's name cannot be resolved.
    pub(crate) async fn open(start: Start) -> anyhow::Result<Self> {
        let Start { house, settings, mode, account, notices, orders, status } = start;
        let (trunk, lookups) = match mode {
            Mode::Trunk => Some(Trunk::open(&house, &settings).await?).unzip(),
            Mode::Echo | Mode::Nobody => (None, None),
        };
        let pool = account.database().pool();
        let strangers = Strangers::open(pool.clone(), settings.strangers_per_day).await?;
        let opus = opus::Opus::open(pool.clone()).await?;
        let minutes = minutes::Minutes::open(pool.clone(), settings.to_telegram.minutes_per_day).await?;
        let pause = Arc::new(Pause::open(pool.clone()).await?);
        let shared = Shared {
            account: account.clone(),
            plane: house.plane.clone(),
            keys: Arc::new(KeyAgreement::new(account.clone(), Arc::clone(&pause), house.compute.clone())),
            certificates: house.certificates.clone(),
            addresses: house.addresses.clone(),
            proxy: house.proxy.clone(),
            dscp: house.settings.gateway.dscp_rtp,
            media_sockets: house.settings.gateway.media_sockets,
            strangers: Arc::new(strangers),
            pause,
        };
        let (say, said) = mpsc::channel(WORDS);
        let standing = Standing::new(trunk::user(&settings));
        let lamps = lamps::Lamps::new(&account, standing, mode != Mode::Trunk, house.proxy.is_some());
        let calls = Calls::new(settings.phone.clone());
        let (part, partings) = mpsc::channel(1);
        let keeper = login::House { events: house.events.clone(), partings: part };
        let desk = LoginDesk::open(account.clone(), settings.phone.clone(), keeper).await;
        let admission = Admission::new(&settings);
        let file = house.state.gateway_db(&settings.phone);
        let kept = (recording::place(&house.state, &settings), settings.recording.keep);
        let records = Records::open(file, house.settings.gateway.records_days, kept);
        Ok(Self {
            house,
            settings,
            mode,
            trunk,
            lookups,
            account,
            notices,
            orders,
            said,
            say,
            shared,
            calls,
            lamps,
            status,
            admission,
            refusals: refused::Refusals::new(),
            ghosts: ghosts::Ghosts::default(),
            remains: remains::Remains::default(),
            minutes,
            desk,
            partings,
            parted: Vec::new(),
            opus,
            records,
            stopping: None,
        })
    }

    /// Works until it is told to stop and its calls are over.
    pub(crate) async fn run(mut self) {
        let mut buffer = vec![0; SIP_BYTES];
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut timer: std::pin::Pin<Box<Sleep>> = Box::pin(sleep_until((clock::now() + HEARTBEAT).into()));
        // Known before Telegram offers any of them again.
        if let Ok(left) = timeout(LEFT_LIMIT, self.records.left()).await {
            self.end_left(clock::now(), left);
        }
        self.show();
        loop {
            self.settle().await;
            let now = clock::now();
            self.tell_parted();
            if self.may_end(now) {
                break;
            }
            let deadline = self.deadline(now).into();
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                Some((key, word)) = self.said.recv() => self.heard(key, word),
                Some(notice) = self.notices.recv() => self.noticed(notice),
                Some(order) = self.orders.recv() => self.ordered(order),
                received = receive(self.trunk.as_mut(), &mut buffer) => self.take_from_pbx(received, &mut buffer),
                Some(done) = self.partings.recv() => self.part(done),
                Some(places) = route::moved(self.lookups.as_mut()) => self.pbx_moved(&places),
                left = self.records.left() => self.end_left(clock::now(), left),
                () = self.lamps.changed() => self.show(),
                () = &mut timer => self.timed_out(),
                _ = heartbeat.tick() => {
                    self.calls.listen();
                    self.write_minutes();
                    self.show();
                }
            }
        }
        metrics::line_gone(self.settings.sip_port);
        timeout(LAST_STEP, self.desk.end()).await.ok();
        self.records.close().await;
        self.account.shutdown().await;
    }

    fn deadline(&mut self, now: Instant) -> Instant {
        let endpoint = self.trunk.as_mut().and_then(|trunk| trunk.endpoint.poll_timeout());
        let limits = [
            endpoint,
            self.trunk.as_ref().and_then(|trunk| trunk.wire.poll_timeout()),
            self.shared.pause.poll_timeout(),
            self.stopping.map(|stopping| match stopping {
                Stopping::Grace(until) | Stopping::Farewell(until) => until,
            }),
            self.calls.poll_timeout(),
            self.admission.poll_timeout(),
            self.remains.poll_timeout(),
        ];
        limits.into_iter().flatten().min().unwrap_or(now + HEARTBEAT)
    }

    fn timed_out(&mut self) {
        let now = clock::now();
        if let Some(trunk) = &mut self.trunk {
            trunk.endpoint.handle_timeout(now);
            trunk.wire.handle_timeout(now);
        }
        self.calls.handle_timeout(now);
        self.take_waiting(now);
        self.give_up_left();
        if self.shared.pause.handle_timeout(now) {
            self.show();
        }
        if let Some(Stopping::Grace(until)) = self.stopping
            && until <= now
        {
            self.stopping = Some(Stopping::Farewell(now + FAREWELL));
            self.calls.tell_all(|| Input::Stop(Cause::Stopping));
        }
    }

    /// Acts on what the endpoint reports and sends what it has to say, until it is silent. Steps of calls are written down
    /// before the PBX hears of them: after a kill nobody could end them otherwise.
    async fn settle(&mut self) {
        self.hear_trunk(clock::now());
        loop {
            self.records.first_rows().await;
            let now = clock::now();
            self.trunk.iter_mut().for_each(|trunk| trunk.send_all(now));
            // What could not be sent is reported.
            if !self.hear_trunk(now) {
                break;
            }
        }
    }

    /// Whether nothing is left to be said, or no time is left to say it.
    fn may_end(&mut self, now: Instant) -> bool {
        let calls_end = self.calls.is_settled()
            && self.trunk.as_ref().is_none_or(|trunk| trunk.endpoint.memory().calls == 0);
        match self.stopping {
            None => false,
            Some(Stopping::Farewell(until)) if until <= now => true,
            Some(Stopping::Grace(_) | Stopping::Farewell(_)) => calls_end && self.leave_pbx(now),
        }
    }

    fn sip(&mut self, now: Instant, event: SipEvent) {
        let Some(event) = self.of_transfer(now, event) else { return };
        match event {
            SipEvent::Refer { .. } | SipEvent::Replaces { .. } | SipEvent::Replaced { .. } => {}
            SipEvent::Incoming { call, source, dialled, identity, remote, sip_call_id, .. } => {
                self.note_codec(remote.as_ref());
                self.pbx_calls(now, (call, source), &sip_call_id, dialled, identity, remote);
            }
            SipEvent::TurnedAway { dialled, identity, sip_call_id, why } => {
                self.turned_away(now, dialled, identity, sip_call_id, why);
            }
            SipEvent::Ringing { call } => self.calls.tell_sip(call, Input::Ringing),
            SipEvent::EarlyMedia { call, remote } => self.calls.tell_sip(call, Input::EarlyMedia(remote)),
            SipEvent::Answered { call, remote } => {
                self.note_codec(Some(&remote));
                let shut = self.calls.fetched(call).then(|| self.shut(now)).flatten();
                self.calls.tell_sip(call, shut.map_or(Input::Answered(remote), Input::Stop));
                self.note_taken(call);
            }
            SipEvent::MediaChanged { call, remote } => {
                self.calls.tell_sip(call, Input::MediaChanged(remote));
                self.note_taken(call);
            }
            SipEvent::Refused { call, status, reason, .. } => {
                let cause = match rules::cause_of_refusal(status, reason.as_ref()) {
                    Cause::NoAnswer if status == 408 && self.lamps.peer_is_silent() => Cause::TrunkDead,
                    cause => cause,
                };
                self.calls.tell_sip(call, Input::TrunkEnded(cause));
            }
            SipEvent::Cancelled { call, reason } => {
                self.calls.tell_sip(call, Input::TrunkEnded(rules::cause_of_cancel(reason.as_ref())));
            }
            SipEvent::HungUp { call, reason } => {
                self.calls.tell_sip(call, Input::TrunkEnded(rules::cause_of_reason(reason.as_ref())));
            }
            SipEvent::Info { call, content_type, body } => {
                match dtmf::info::Form::from_content_type(&content_type)
                    .map(|_| dtmf::info::Form::read(&body))
                {
                    Some(Ok(press)) => self.calls.tell_sip(call, Input::Pressed(press)),
                    refused => tracing::debug!(content_type, ?refused, "an INFO without a key"),
                }
            }
            SipEvent::InfoRefused { call, status } => self.calls.tell_sip(call, Input::KeyRefused(status)),
            SipEvent::PeerReachable(_)
            | SipEvent::AddressReachable { .. }
            | SipEvent::Registration(_)
            | SipEvent::ProofRefused { .. }
            | SipEvent::ProofTaken
            | SipEvent::Guessed { .. }
            | SipEvent::Proven { .. } => self.pbx_tells(&event),
            SipEvent::Stranger { source, datagrams } => {
                tracing::warn!(
                    datagrams,
                    "datagrams or connections from an address that is not this line's PBX were dropped"
                );
                tracing::debug!(%source, "stranger");
            }
        }
    }

    /// Why nobody can be called at Telegram now.
    fn shut(&self, now: Instant) -> Option<Cause> {
        self.shared.pause.cause(now).or_else(|| self.lamps.is_red().then_some(Cause::LineDown))
    }

    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::PhoneCall { call, users } => {
                let update = PhoneCall::from(call);
                match update {
                    PhoneCall::Requested { call, .. } if self.was_over(call.id) => self.end_again(call),
                    PhoneCall::Requested { call, caller: id, g_a_hash, video } if self.is_news(call.id) => {
                        if video {
                            tracing::info!("a video call is taken as audio");
                        }
                        // The account knows everybody who came along with an update; some come without their names.
                        let caller = self.account.known(id).or_else(|| user(&users, id));
                        let caller = caller.unwrap_or_else(|| nobody(id));
                        self.telegram_calls(clock::now(), call, caller, g_a_hash);
                    }
                    PhoneCall::Requested { .. } => {}
                    PhoneCall::Discarded { id, reason } if self.admission.waits(id) => {
                        self.waits_no_more(clock::now(), id, Some(reason));
                    }
                    PhoneCall::Empty { id } if self.admission.waits(id) => {
                        self.waits_no_more(clock::now(), id, None);
                    }
                    update => {
                        self.calls.tell_telegram(clock::now(), update.id(), Input::Update(update));
                        self.lay_ghosts();
                    }
                }
            }
            Notice::Signaling { call_id, data } => {
                self.calls.tell_telegram(clock::now(), call_id, Input::Signaling(data))
            }
            Notice::Revoked { reason } => {
                if reason == Red::NotLoggedIn {
                    tracing::info!("the account's session begins anew");
                } else {
                    tracing::error!(?reason, "authorization is needed: log in again");
                }
                self.none_waits(clock::now(), Cause::LineDown);
                self.calls.tell_all(|| Input::Stop(Cause::LineDown));
                self.show();
            }
            Notice::Connected => {
                self.meet_contacts();
                self.show();
            }
            Notice::Disconnected => self.show(),
        }
    }

    fn begin(&mut self, key: u64, opening: Opening) {
        let limits = Limits {
            bridge: rules::bridge_settings(&self.settings),
            media_timeout: self.settings.media_timeout,
            ringback: rules::ringback(self.settings.audio.ringback),
            early_media: self.settings.early_media == EarlyMedia::Ringback,
            comfort: self.settings.audio.comfort,
            opus_complexity: self.house.settings.gateway.opus_complexity,
        };
        let (done, written) = oneshot::channel();
        let recordings = call::Recordings {
            recorder: self.house.recorder.clone(),
            place: recording::place(&self.house.state, &self.settings),
            always: self.settings.recording.enabled,
            tone: self.settings.recording.consent_tone,
        };
        let (shared, say) = (self.shared.clone(), self.say.clone());
        let handle = call::start(key, opening, shared, limits, say, written, recordings);
        if let Some(info) = self.calls.begun(key, handle) {
            self.note(key, Some(done));
            self.house.events.send(ControlEvent::Call(info)).ok();
        }
        self.show();
    }

    fn heard(&mut self, key: u64, word: Said) {
        let now = clock::now();
        match word {
            Said::Sip(word) => self.say_to_pbx(now, key, word),
            Said::Calls(peer, done) => {
                self.calls.meet(key, &peer);
                self.note(key, Some(done));
            }
            Said::Known(call) => {
                self.calls.bind_telegram(now, key, call);
                self.lay_ghosts();
                self.note(key, None);
            }
            Said::Doubtful(callee) => self.ghosts.expect(now, callee),
            Said::Gone => self.calls.gone(),
            Said::Broken => self.bury(now, key),
            Said::Digit(side, press, way) => {
                if let Some(digit) = self.calls.pressed(key, side, press, way) {
                    self.house.events.send(ControlEvent::Digit(digit)).ok();
                }
            }
            Said::Recorded(recording) => {
                if let Some(info) = self.calls.recorded(key, recording) {
                    self.note(key, None);
                    self.house.events.send(ControlEvent::Call(info)).ok();
                }
            }
            Said::Levels(levels) => {
                self.house.events.send(ControlEvent::Levels(self.calls.levels(key, levels))).ok();
            }
            Said::Progress(progress) => {
                let is_answer = progress.state == State::Answered;
                if let Some(info) = self.calls.progressed(key, progress) {
                    self.acquaint(&info);
                    if is_answer {
                        self.note(key, None);
                    }
                    self.house.events.send(ControlEvent::Call(info)).ok();
                }
            }
            Said::Ended(record, quality) => {
                metrics::call(self.settings.sip_port, &record, &quality);
                if record.is_trunk_trouble(self.lamps.peer_is_silent()) {
                    tracing::warn!(cause = ?record.cause, "the PBX did not take a call");
                }
                if let Some((info, mos)) = self.calls.ended(key, &record, quality) {
                    if let (control::Direction::PbxToTelegram, Some(at_ms)) =
                        (info.direction, info.answered_ms)
                    {
                        self.count_minutes(at_ms);
                    }
                    let result = records::result(&info, &record);
                    self.close_record(info, result, mos);
                }
                self.lay_ghosts();
                self.show();
            }
        }
    }

    /// Ends a call at Telegram that no task has.
    fn discard(&mut self, call: CallRef, reason: Discard, talked: Duration) {
        self.remains.ends(clock::now(), call.id);
        let account = self.account.clone();
        tokio::spawn(async move { call::discard(&account, call, reason, talked).await });
    }

    fn ordered(&mut self, order: Order) {
        if !order.is_wanted() {
            return tracing::warn!("an order came too late: whoever gave it waits no more");
        }
        match order {
            Order::Calls(answer) => drop(answer.send(self.calls.list())),
            Order::HangUp(call, answer) => {
                answer.send(self.calls.tell(call.0, Input::Stop(Cause::Normal))).ok();
            }
            Order::Write(answer) => self.records.written(answer),
            Order::Watch(call, answer) => drop(answer.send(self.calls.tell(call.0, Input::Watch))),
            Order::Record(call, on, answer) => {
                answer.send(self.calls.tell(call.0, Input::Record(on))).ok();
            }
            Order::Dial(call, keys, answer) => {
                self.calls.dial(call, keys, &self.settings.audio, answer);
            }
            Order::Call(person) => {
                let key = self.calls.reserve(Direction::ToTelegram, None, self.house.rush.place());
                self.begin(
                    key,
                    Opening::ToTelegram { callee: Callee::anybody(person), trunk: TrunkLeg::Echo },
                );
            }
            Order::Find(person, answer) => self.find(person, answer),
            Order::Join { extension, person, key, answer } => {
                answer.send(self.join_once(clock::now(), extension, person, key)).ok();
            }
            Order::AcceptLogin(token, answer) => self.accept_login(token, answer),
            Order::Login(word, answer) => self.lead_login(word, answer),
            Order::Check(fix, answer) => self.check(fix, answer),
            Order::Stop(grace) => {
                self.stopping = Some(Stopping::Grace(clock::now() + grace));
                self.none_waits(clock::now(), Cause::Stopping);
                // The grace is for people who talk, or are called.
                self.calls.tell_fetching(|| Input::Stop(Cause::Stopping));
                self.show();
            }
        }
    }
}

/// A caller of whom Telegram told no more than the id.
fn nobody(id: i64) -> Resolved {
    Resolved { id, access_hash: 0, phone: None, username: None, first_name: None, last_name: None }
}
