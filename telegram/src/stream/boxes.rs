//! What Telegram tells, put in its order, and what was missed, asked for (core.telegram.org/api/updates).
//!
//! The library's message boxes keep the order and know what to ask for. Where they would go on behind a gap without a
//! word, what lies in it is fetched: a channel that has too much news is asked for all of it since what we know, and
//! messages that no difference brings any more are read from their chats.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use grammers_session::Session as _;
use grammers_session::types::{UpdateState, UpdatesState};
use grammers_session::updates::{MessageBoxes, PrematureEndReason, UpdateAndPeers, UpdatesLike};
use grammers_tl_types::{self as tl, RemoteCall};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use super::doubts::{self, Counter, Doubts};
use super::gaps::{Gaps, Missed, Step, peer_of};
use super::late::LateChannels;
use super::trouble::Trouble;
use crate::core::Core;
use crate::link::{Link, LinkError};
use crate::session::SessionError;

/// Events of a channel that are asked for at once; Telegram sends accounts no more.
const CHANNEL_EVENTS: i32 = 100;

/// Chats that are read hold up what is new for so long at most; then both are told as they come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one request about a chat may take: others wait for it.
const ANSWER: Duration = Duration::from_secs(10);
/// How long no channel is asked after one did not answer, and how often one is asked before it is read instead.
const REST: Duration = Duration::from_secs(1);
const TRIES: u32 = 8;
/// How long a state that was just begun with is held to be Telegram's.
const ANEW: Duration = Duration::from_secs(60);
/// For how long what is lost may go unnoticed, in seconds: the library asks then.
const SILENCE_S: i32 = 31 * 60;
/// Telegram's clocks may differ by so much, in seconds.
const SLACK_S: i32 = 5;

/// The ordered updates of one pool.
pub(super) struct Boxes {
    core: Arc<Core>,
    link: Link,
    wire: mpsc::Receiver<UpdatesLike>,
    boxes: MessageBoxes,
    ready: VecDeque<(tl::enums::Update, Arc<Company>)>,
    /// Where everything stood before what is being asked for now.
    before: Option<UpdatesState>,
    /// What came and is not in the boxes yet.
    taken: Option<UpdatesLike>,
    /// What waits in the boxes for something before it.
    doubts: Doubts,
    /// What no difference brings, and since when it is being read.
    gaps: Gaps,
    reading: Option<Instant>,
    /// Telegram answers no reading of chats and no channel's difference before then.
    gaps_rest_until: Option<Instant>,
    channels_rest_until: Option<Instant>,
    /// Channels that are read, or were since everything was known.
    read: BTreeSet<i64>,
    /// Channels that told nothing lately.
    late: LateChannels,
    /// When the state was given up last.
    anew: Option<Instant>,
}

/// Those who came along with updates.
#[derive(Debug, Default)]
pub(super) struct Company {
    pub(super) users: Arc<[tl::enums::User]>,
    pub(super) chats: Arc<[tl::enums::Chat]>,
}

impl Boxes {
    /// Goes on from the saved state.
    pub(super) async fn open(
        core: Arc<Core>,
        link: Link,
        wire: mpsc::Receiver<UpdatesLike>,
    ) -> Result<Self, SessionError> {
        let mut state = core.session.updates_state().await?;
        if core.messages.is_none() {
            // Nobody hears what happens in channels.
            state.channels.clear();
        }
        let before = (state.pts != 0).then(|| state.clone());
        Ok(Self {
            core,
            link,
            wire,
            boxes: MessageBoxes::load(state),
            ready: VecDeque::new(),
            before,
            taken: None,
            doubts: Doubts::default(),
            gaps: Gaps::default(),
            reading: None,
            gaps_rest_until: None,
            channels_rest_until: None,
            read: BTreeSet::new(),
            late: LateChannels::default(),
            anew: None,
        })
    }

    /// The next update. It may be given up at any point: what it was asking for, it asks for again.
    pub(super) async fn next(&mut self) -> Result<(tl::enums::Update, Arc<Company>), LinkError> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Ok(update);
            }
            if self.taken.is_some() {
                self.take().await;
                continue;
            }
            let now = Instant::now();
            for channel_id in self.late.due(now) {
                self.call_on(channel_id);
            }
            self.ask_for_missing(now);
            let deadline = Instant::from(self.boxes.check_deadlines());
            if let Some(request) = self.boxes.get_difference() {
                self.difference(&request).await?;
                continue;
            }
            let channels_rest = self.channels_rest_until.filter(|until| *until > now);
            let channel = self.boxes.get_channel_difference();
            if let Some(request) = channel.clone().filter(|_| channels_rest.is_none()) {
                self.channel_difference(request).await?;
                continue;
            }
            let gaps_rest = self.gaps_rest_until.filter(|until| *until > now);
            if self.gaps.is_empty() {
                self.reading = None;
                if channel.is_none() {
                    self.before = None;
                    self.read.clear();
                }
            } else {
                let is_long = self.reading.get_or_insert(now).elapsed() >= PATIENCE;
                self.taken = if is_long { self.wire.try_recv().ok() } else { None };
                if self.taken.is_some() {
                    continue;
                }
                if gaps_rest.is_none() && self.gaps.due(now).is_some() {
                    self.fill(now).await?;
                    continue;
                }
            }
            // The boxes' own deadline has passed as long as a channel is to be asked.
            let wake = [
                if channel.is_some() { channels_rest } else { Some(deadline) },
                if self.gaps.is_empty() { None } else { gaps_rest.or(self.gaps.next_due()) },
                self.late.next(),
                self.doubts.next(),
            ];
            let until = wake.into_iter().flatten().min().unwrap_or(deadline);
            match timeout_at(until, self.wire.recv()).await {
                Ok(Some(updates)) => self.taken = Some(updates),
                Ok(None) => return Err(LinkError::Gone("the updates' channel was closed")),
                Err(_) => {}
            }
        }
    }

    /// Whether everything up to the present state was handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.gaps.is_empty()
    }

    /// Saves the present state.
    pub(super) async fn sync(&self) -> Result<(), SessionError> {
        if self.boxes.is_empty() {
            return Ok(());
        }
        let mut state = self.boxes.session_state();
        // What is still being asked for was not told since then.
        if let Some(before) = &self.before {
            state.date = state.date.min(before.date);
        }
        if let Some(since_s) = self.late.since() {
            state.date = state.date.min(since_s);
        }
        self.core.session.set_update_state(UpdateState::All(state)).await
    }

    /// Puts what came into the boxes.
    async fn take(&mut self) {
        let chats = match &self.taken {
            Some(UpdatesLike::ConnectionClosed | UpdatesLike::MalformedUpdates) => {
                self.before.get_or_insert_with(|| self.boxes.session_state());
                None
            }
            Some(UpdatesLike::Updates(tl::enums::Updates::Updates(full))) if tell_too_long(&full.updates) => {
                Some(&full.chats)
            }
            Some(UpdatesLike::Updates(tl::enums::Updates::Combined(full)))
                if tell_too_long(&full.updates) =>
            {
                Some(&full.chats)
            }
            _ => None,
        };
        if let Some(chats) = chats {
            self.remember(chats).await;
        }
        let Some(mut taken) = self.taken.take() else { return };
        if let UpdatesLike::Updates(updates) = &mut taken {
            match updates {
                tl::enums::Updates::UpdateShort(short) => self.mend(std::slice::from_mut(&mut short.update)),
                tl::enums::Updates::Updates(full) => self.mend(&mut full.updates),
                tl::enums::Updates::Combined(full) => self.mend(&mut full.updates),
                _ => {}
            }
        }
        let came = doubts::counts(&taken);
        if let Ok(done) = self.boxes.process_updates(taken) {
            self.hand_out(done);
            if !came.is_empty() {
                self.doubts.note(&came, &self.boxes.session_state(), Instant::now());
            }
        }
    }

    /// Asks for what was waited for long enough.
    fn ask_for_missing(&mut self, now: Instant) {
        for counter in self.doubts.due(now, || self.boxes.session_state()) {
            match counter {
                Counter::Channel(channel_id) => self.call_on(channel_id),
                // It is a gap, which has the boxes ask.
                Counter::Common => drop(self.boxes.process_updates(UpdatesLike::ConnectionClosed)),
            }
        }
    }

    async fn difference(&mut self, request: &tl::functions::updates::GetDifference) -> Result<(), LinkError> {
        self.before.get_or_insert_with(|| self.boxes.session_state());
        let mut difference = match self.ask(request).await {
            Ok(difference) => difference,
            Err(error) if self.may_begin_anew(&error) => {
                warn!(%error, "there is no difference to the update state: going on from the present one");
                return self.begin_anew().await;
            }
            Err(error) => return Err(error),
        };
        match &mut difference {
            tl::enums::updates::Difference::Difference(told) if tell_too_long(&told.other_updates) => {
                self.remember(&told.chats).await;
                self.mend(&mut told.other_updates);
            }
            tl::enums::updates::Difference::Slice(told) if tell_too_long(&told.other_updates) => {
                self.remember(&told.chats).await;
                self.mend(&mut told.other_updates);
            }
            tl::enums::updates::Difference::TooLong(_) => {
                self.miss_all();
            }
            tl::enums::updates::Difference::Difference(_)
            | tl::enums::updates::Difference::Slice(_)
            | tl::enums::updates::Difference::Empty(_) => {}
        }
        let done = self.boxes.apply_difference(difference);
        self.hand_out(done);
        Ok(())
    }

    fn may_begin_anew(&self, error: &LinkError) -> bool {
        matches!(Trouble::of(error), Trouble::State | Trouble::Unreadable | Trouble::Refused)
            && self.anew.is_none_or(|at| at.elapsed() >= ANEW)
    }

    /// Goes on from where Telegram is; what happened before is read.
    async fn begin_anew(&mut self) -> Result<(), LinkError> {
        let tl::enums::updates::State::State(state) = self.ask(&tl::functions::updates::GetState {}).await?;
        self.anew = Some(Instant::now());
        self.miss_all();
        self.boxes = MessageBoxes::load(UpdatesState {
            pts: state.pts,
            qts: state.qts,
            date: state.date,
            seq: state.seq,
            channels: self.boxes.session_state().channels,
        });
        Ok(())
    }

    async fn channel_difference(
        &mut self,
        mut request: tl::functions::updates::GetChannelDifference,
    ) -> Result<(), LinkError> {
        let tl::enums::InputChannel::Channel(tl::types::InputChannel { channel_id, .. }) = request.channel
        else {
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        let Some(channel) = self.core.session.channel(channel_id) else {
            warn!("what was missed in a channel is not known: the account has not met it");
            self.late.remove(channel_id);
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        if self.late.rests(channel_id, Instant::now()) {
            // It told nothing just now; others do not wait for it each time that something comes.
            self.boxes.end_channel_difference(PrematureEndReason::TemporaryServerIssues);
            return Ok(());
        }
        self.before.get_or_insert_with(|| self.boxes.session_state());
        request.channel = channel.into();
        request.limit = CHANNEL_EVENTS;
        let difference = match self.ask_about(&request).await {
            Ok(difference) => difference,
            Err((trouble, error)) => return self.no_channel_difference(channel_id, trouble, *error),
        };
        if let tl::enums::updates::ChannelDifference::TooLong(told) = &difference {
            self.remember(&told.chats).await;
            self.miss(channel_id);
            if !matches!(&told.dialog, tl::enums::Dialog::Dialog(dialog) if dialog.pts.is_some()) {
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
        }
        self.late.remove(channel_id);
        let done = self.boxes.apply_channel_difference(difference);
        self.hand_out(done);
        Ok(())
    }

    /// One channel does not hold up all others.
    fn no_channel_difference(
        &mut self,
        channel_id: i64,
        trouble: Trouble,
        error: LinkError,
    ) -> Result<(), LinkError> {
        let reason = match trouble {
            Trouble::All => return Err(error),
            Trouble::Flood(pause) => {
                warn!(%error, "what was missed in channels is asked for later");
                self.channels_rest_until = Some(Instant::now() + pause);
                return Ok(());
            }
            Trouble::State | Trouble::Unreadable => {
                warn!(%error, "what was missed in a channel is read: there is no difference to its state");
                self.miss(channel_id);
                PrematureEndReason::Banned
            }
            Trouble::Refused => {
                info!(%error, "a channel tells nothing more");
                self.late.remove(channel_id);
                PrematureEndReason::Banned
            }
            Trouble::NotNow => {
                warn!(%error, "what was missed in a channel is not told now");
                let now = Instant::now();
                if matches!(error, LinkError::Io(_)) {
                    // All others waited for the answer.
                    self.channels_rest_until = Some(now + REST);
                }
                let tries = self.known_since().map_or(0, |since_s| self.late.add(channel_id, since_s, now));
                if tries < TRIES {
                    PrematureEndReason::TemporaryServerIssues
                } else {
                    self.miss(channel_id);
                    PrematureEndReason::Banned
                }
            }
        };
        self.boxes.end_channel_difference(reason);
        Ok(())
    }

    /// Has a channel that is known asked for its difference.
    fn call_on(&mut self, channel_id: i64) {
        let update = tl::types::UpdateChannelTooLong { channel_id, pts: None }.into();
        let update: tl::enums::Updates = tl::types::UpdateShort { update, date: 0 }.into();
        if let Ok(done) = self.boxes.process_updates(UpdatesLike::Updates(update)) {
            self.hand_out(done);
        }
    }

    /// Has a channel that is known asked for what is new since what we know, where the boxes would take what Telegram
    /// knows; one that is not known is read.
    fn mend(&mut self, updates: &mut [tl::enums::Update]) {
        if self.core.messages.is_none() || !tell_too_long(updates) {
            return;
        }
        for update in updates {
            let tl::enums::Update::ChannelTooLong(told) = update else { continue };
            if self.is_known(told.channel_id) {
                told.pts = None;
            } else {
                self.miss(told.channel_id);
            }
        }
    }

    /// Whether a channel's difference brings all of it: its state is older than what is being asked for now, or what
    /// came before it is read.
    fn is_known(&self, channel_id: i64) -> bool {
        knows(&self.boxes.session_state(), channel_id)
            && (self.read.contains(&channel_id)
                || self.before.as_ref().is_none_or(|before| knows(before, channel_id)))
    }

    /// All chats' messages since what we know are to be read.
    fn miss_all(&mut self) {
        if let Some(since_s) = self.known_since() {
            let since_s = since_s - SILENCE_S;
            info!(since_s, "too much was missed for a difference: the chats are read");
            self.gaps.add_everywhere(since_s);
        }
    }

    /// A channel's messages since what we know are to be read.
    fn miss(&mut self, channel_id: i64) {
        let Some(mut since_s) = self.known_since() else { return };
        if knows(&self.boxes.session_state(), channel_id) {
            since_s -= SILENCE_S;
        }
        self.read.insert(channel_id);
        let since_s = self.late.remove(channel_id).map_or(since_s, |late_s| since_s.min(late_s - SILENCE_S));
        match self.core.session.channel(channel_id) {
            Some(channel) => {
                info!(since_s, "what was missed in a channel is read");
                let peer = tl::types::InputPeerChannel { channel_id, access_hash: channel.access_hash };
                self.gaps.add_chat(since_s, peer.into());
            }
            None => warn!("what was missed in a channel is not known: the account has not met it"),
        }
    }

    /// When everything that happened was known last, Unix time; none where nobody reads messages.
    fn known_since(&self) -> Option<i32> {
        self.core.messages.as_ref()?;
        let date = self.before.as_ref().map_or_else(|| self.boxes.session_state().date, |state| state.date);
        (date > SLACK_S).then_some(date - SLACK_S)
    }

    /// Asks for a part of the first gap whose turn it is.
    async fn fill(&mut self, now: Instant) -> Result<(), LinkError> {
        let Some(gap) = self.gaps.due(now) else { return Ok(()) };
        let asked = match &gap.what {
            Missed::Chat(history) => self.ask_about(&history.request()).await.map(Step::of_chat),
            Missed::Everywhere(dialogs) => self.ask_about(&dialogs.request()).await.map(Step::of_dialogs),
        };
        let step = match asked {
            Ok(step) => step,
            Err((Trouble::All, error)) => return Err(*error),
            Err((Trouble::Flood(pause), error)) => {
                warn!(%error, "what was missed in chats is read later");
                self.gaps_rest_until = Some(Instant::now() + pause);
                return Ok(());
            }
            Err((Trouble::Unreadable, error)) => {
                self.narrow(now, &error);
                return Ok(());
            }
            Err((trouble, error)) => {
                self.put_off(now, trouble, &error);
                return Ok(());
            }
        };
        self.remember(&step.company.chats).await;
        match self.gaps.take_due(now).map(|gap| gap.what) {
            Some(Missed::Chat(mut history)) => {
                if history.takes(step) {
                    self.gaps.go_on(Missed::Chat(history));
                } else {
                    self.ready.extend(history.updates());
                }
            }
            Some(Missed::Everywhere(mut dialogs)) => {
                let since_s = dialogs.since_s();
                let (changed, goes_on) = dialogs.takes(&step);
                if goes_on {
                    self.gaps.go_on(Missed::Everywhere(dialogs));
                }
                for dialog in changed {
                    self.changed(&dialog, &step.company, since_s);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// A page could not be read: a chat is read in parts, and all others may be readable later.
    fn narrow(&mut self, now: Instant, error: &LinkError) {
        if !matches!(self.gaps.due(now).map(|gap| &gap.what), Some(Missed::Chat(_))) {
            return self.put_off(now, Trouble::NotNow, error);
        }
        if let Some(Missed::Chat(mut history)) = self.gaps.take_due(now).map(|gap| gap.what) {
            let goes_on = history.narrows();
            self.gaps.go_on(Missed::Chat(history));
            if !goes_on {
                self.put_off(now, Trouble::Refused, error);
            }
        }
    }

    /// A gap could not be asked for: others get their turn.
    fn put_off(&mut self, now: Instant, trouble: Trouble, error: &LinkError) {
        let Some(gap) = self.gaps.take_due(now) else { return };
        let given_up = match trouble {
            Trouble::NotNow => match self.gaps.put_off(gap, Instant::now()) {
                ControlFlow::Continue(pause) => {
                    warn!(%error, again_s = pause.as_secs(), "what was missed in a chat is not told yet");
                    return;
                }
                ControlFlow::Break(what) => what,
            },
            _ => gap.what,
        };
        warn!(%error, "what was missed in a chat is not told");
        // Pages that were read before are.
        if let Missed::Chat(history) = given_up {
            self.ready.extend(history.updates());
        }
    }

    /// A chat has messages that were missed, all of it perhaps.
    fn changed(&mut self, dialog: &tl::types::Dialog, company: &Company, since_s: i32) {
        if let tl::enums::Peer::Channel(tl::types::PeerChannel { channel_id }) = dialog.peer {
            if self.is_known(channel_id) {
                self.call_on(channel_id);
                return;
            }
            if let Some(pts) = dialog.pts {
                self.boxes.try_set_channel_state(channel_id, pts);
            }
            self.read.insert(channel_id);
        }
        match peer_of(&dialog.peer, company) {
            Some(peer) => self.gaps.add_chat(since_s, peer),
            None => {
                warn!("what was missed in a chat is not known: Telegram does not say how it is asked for")
            }
        }
    }

    fn hand_out(&mut self, (updates, users, chats): UpdateAndPeers) {
        let company = Arc::new(Company { users: users.into(), chats: chats.into() });
        self.ready.extend(updates.into_iter().map(|(update, _)| (update, Arc::clone(&company))));
    }

    async fn remember(&self, chats: &[tl::enums::Chat]) {
        if let Err(error) = self.core.session.remember_chats(chats).await {
            warn!(%error, "could not save groups");
        }
    }

    /// Asks for something of one chat, which others do not wait for long.
    async fn ask_about<R: RemoteCall>(&self, request: &R) -> Result<R::Return, (Trouble, Box<LinkError>)> {
        match timeout(ANSWER, self.ask(request)).await {
            Ok(answer) => answer.map_err(|error| (Trouble::of(&error), Box::new(error))),
            Err(_) => Err((Trouble::NotNow, Box::new(io::Error::from(io::ErrorKind::TimedOut).into()))),
        }
    }

    async fn ask<R: RemoteCall>(&self, request: &R) -> Result<R::Return, LinkError> {
        self.link.ask(self.core.session.home_dc(), request).await
    }
}

/// Whether a channel has more news than comes along: then it is asked for, by what is known of it. All others are written
/// down when they are told.
fn tell_too_long(updates: &[tl::enums::Update]) -> bool {
    updates.iter().any(|update| matches!(update, tl::enums::Update::ChannelTooLong(_)))
}

fn knows(state: &UpdatesState, channel_id: i64) -> bool {
    state.channels.iter().any(|channel| channel.id == channel_id)
}
