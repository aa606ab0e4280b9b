//! What Telegram tells, put in its order, and what was missed, asked for (core.telegram.org/api/updates).
//!
//! The library's message boxes keep the order and know what to ask for. Where they would go on behind a gap without a
//! word, what lies in it is fetched: a channel that has too much news is asked for all of it since what we know, and
//! messages that no difference brings any more are read from their chats.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use grammers_mtsender::{InvocationError, RpcError, SenderPoolFatHandle};
use grammers_session::Session as _;
use grammers_session::types::{UpdateState, UpdatesState};
use grammers_session::updates::{MessageBoxes, PrematureEndReason, UpdateAndPeers, UpdatesLike};
use grammers_tl_types::{self as tl, RemoteCall};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::gaps::{Dialogs, Gap, History, Step, peer_of};
use crate::core::Core;
use crate::invoke::spoils_connection;
use crate::session::SessionError;

/// Events of a channel that are asked for at once; Telegram sends accounts no more.
const CHANNEL_EVENTS: i32 = 100;

/// Chats that are read hold up what is new for so long at most; then both are told as they come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a chat that cannot be read is left alone, and how often it is tried.
const REST: Duration = Duration::from_secs(2);
const TRIES: u32 = 5;
/// Telegram's clocks may differ by so much, in seconds.
const SLACK_S: i32 = 5;

/// The ordered updates of one pool.
pub(super) struct Boxes {
    core: Arc<Core>,
    handle: SenderPoolFatHandle,
    wire: mpsc::Receiver<UpdatesLike>,
    boxes: MessageBoxes,
    ready: VecDeque<(tl::enums::Update, Arc<Company>)>,
    /// Where everything stood before what is being asked for now.
    before: Option<UpdatesState>,
    /// What came and is not in the boxes yet.
    taken: Option<UpdatesLike>,
    /// What no difference brings, and since when it is being read.
    gaps: VecDeque<Gap>,
    reading: Option<Instant>,
    /// Not before then.
    rests_until: Option<Instant>,
    /// Channels that are read, or were since everything was known.
    read: BTreeSet<i64>,
    /// Channels of which nothing was told lately, and since when, Unix time.
    late: BTreeMap<i64, i32>,
    /// The state was given up, and no difference came since.
    is_anew: bool,
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
        handle: SenderPoolFatHandle,
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
            handle,
            wire,
            boxes: MessageBoxes::load(state),
            ready: VecDeque::new(),
            before,
            taken: None,
            gaps: VecDeque::new(),
            reading: None,
            rests_until: None,
            read: BTreeSet::new(),
            late: BTreeMap::new(),
            is_anew: false,
        })
    }

    /// The next update. It may be given up at any point: what it was asking for, it asks for again.
    pub(super) async fn next(&mut self) -> Result<(tl::enums::Update, Arc<Company>), InvocationError> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Ok(update);
            }
            if self.taken.is_some() {
                self.take().await;
                continue;
            }
            let deadline = Instant::from(self.boxes.check_deadlines());
            if let Some(request) = self.boxes.get_difference() {
                self.difference(&request).await?;
                continue;
            }
            if let Some(request) = self.boxes.get_channel_difference() {
                self.channel_difference(request).await?;
                continue;
            }
            if self.gaps.is_empty() {
                self.before = None;
                self.reading = None;
                self.read.clear();
            } else {
                let is_long = self.reading.get_or_insert_with(Instant::now).elapsed() >= PATIENCE;
                self.taken = if is_long { self.wire.try_recv().ok() } else { None };
                if self.taken.is_some() {
                    continue;
                }
                if self.rests_until.is_none_or(|until| until <= Instant::now()) {
                    self.fill().await?;
                    continue;
                }
            }
            let until = self
                .rests_until
                .filter(|_| !self.gaps.is_empty())
                .map_or(deadline, |rest| rest.min(deadline));
            match timeout_at(until, self.wire.recv()).await {
                Ok(Some(updates)) => self.taken = Some(updates),
                Ok(None) => return Err(InvocationError::Dropped("the updates' channel was closed")),
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
        self.core.session.set_update_state(UpdateState::All(state)).await
    }

    /// Puts what came into the boxes.
    async fn take(&mut self) {
        let chats = match &self.taken {
            Some(UpdatesLike::ConnectionClosed | UpdatesLike::MalformedUpdates) => {
                if self.before.is_none() {
                    self.before = Some(self.boxes.session_state());
                }
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
        if let Ok(done) = self.boxes.process_updates(taken) {
            self.hand_out(done);
        }
    }

    async fn difference(
        &mut self,
        request: &tl::functions::updates::GetDifference,
    ) -> Result<(), InvocationError> {
        if self.before.is_none() {
            self.before = Some(self.boxes.session_state());
        }
        let mut difference = match self.ask(request).await {
            Ok(difference) => difference,
            Err(InvocationError::Rpc(error)) if is_state_refused(&error) && !self.is_anew => {
                warn!(%error, "the update state is not accepted: going on from the present one");
                return self.begin_anew().await;
            }
            Err(error) => return Err(error),
        };
        self.is_anew = false;
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

    /// Goes on from where Telegram is; what happened before is read.
    async fn begin_anew(&mut self) -> Result<(), InvocationError> {
        let tl::enums::updates::State::State(state) = self.ask(&tl::functions::updates::GetState {}).await?;
        self.is_anew = true;
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
    ) -> Result<(), InvocationError> {
        let tl::enums::InputChannel::Channel(tl::types::InputChannel { channel_id, .. }) = request.channel
        else {
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        let Some(channel) = self.core.session.channel(channel_id) else {
            warn!("what was missed in a channel is not known: the account has not met it");
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        request.channel = channel.into();
        request.limit = CHANNEL_EVENTS;
        let difference = match self.ask(&request).await {
            Ok(difference) => difference,
            // One channel does not hold up all others.
            Err(InvocationError::Rpc(error)) if is_state_refused(&error) => {
                warn!(%error, "what was missed in a channel is read: its state is not accepted");
                self.miss(channel_id);
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
            Err(InvocationError::Rpc(error)) if is_refused(&error) => {
                info!(%error, "a channel tells nothing more");
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
            Err(error) if is_of_request(&error) => {
                // It is asked again when something comes, or a while later.
                warn!(%error, "what was missed in a channel is not told now");
                if let Some(since_s) = self.known_since() {
                    self.late.entry(channel_id).or_insert(since_s);
                }
                self.boxes.end_channel_difference(PrematureEndReason::TemporaryServerIssues);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let tl::enums::updates::ChannelDifference::TooLong(told) = &difference {
            self.remember(&told.chats).await;
            self.miss(channel_id);
            if !matches!(&told.dialog, tl::enums::Dialog::Dialog(dialog) if dialog.pts.is_some()) {
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
        }
        self.late.remove(&channel_id);
        let done = self.boxes.apply_channel_difference(difference);
        self.hand_out(done);
        Ok(())
    }

    /// Has a channel that is known asked for what is new since what we know, where the boxes would take what Telegram
    /// knows; one that is not known is read.
    fn mend(&mut self, updates: &mut [tl::enums::Update]) {
        if self.core.messages.is_none() || !tell_too_long(updates) {
            return;
        }
        let present = self.boxes.session_state();
        let knows = |state: &UpdatesState, id: i64| state.channels.iter().any(|channel| channel.id == id);
        for update in updates {
            let tl::enums::Update::ChannelTooLong(told) = update else { continue };
            let was_known = self.before.as_ref().is_none_or(|before| knows(before, told.channel_id));
            if was_known && knows(&present, told.channel_id) {
                told.pts = None;
            } else {
                self.miss(told.channel_id);
            }
        }
    }

    /// All chats' messages since what we know are to be read.
    fn miss_all(&mut self) {
        if let Some(since_s) = self.known_since() {
            info!(since_s, "too much was missed for a difference: the chats are read");
            self.gaps.push_back(Gap::Everywhere(Dialogs::since(since_s)));
        }
    }

    /// A channel's messages since what we know are to be read.
    fn miss(&mut self, channel_id: i64) {
        let Some(since_s) = self.known_since() else { return };
        if !self.read.insert(channel_id) {
            return;
        }
        let since_s = self.late.get(&channel_id).map_or(since_s, |late_s| since_s.min(*late_s));
        match self.core.session.channel(channel_id) {
            Some(channel) => {
                info!(since_s, "what was missed in a channel is read");
                let peer = tl::types::InputPeerChannel { channel_id, access_hash: channel.access_hash };
                self.gaps.push_back(Gap::Chat(History::since(since_s, peer.into())));
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

    /// Asks for a part of the first gap.
    async fn fill(&mut self) -> Result<(), InvocationError> {
        let Some(gap) = self.gaps.front() else { return Ok(()) };
        let asked = match gap {
            Gap::Chat(history) => self.ask(&history.request()).await.map(Step::of_chat),
            Gap::Everywhere(dialogs) => self.ask(&dialogs.request()).await.map(Step::of_dialogs),
        };
        let step = match asked {
            Ok(step) => step,
            Err(error) if is_of_request(&error) => {
                self.put_off(&error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.remember(&step.company.chats).await;
        match self.gaps.pop_front() {
            Some(Gap::Chat(mut history)) => {
                if history.takes(step) {
                    self.gaps.push_front(Gap::Chat(history));
                } else {
                    self.ready.extend(history.updates());
                }
            }
            Some(Gap::Everywhere(mut dialogs)) => {
                let since_s = dialogs.since_s();
                let (changed, goes_on) = dialogs.takes(&step);
                if goes_on {
                    self.gaps.push_front(Gap::Everywhere(dialogs));
                }
                for dialog in changed {
                    self.changed(&dialog, &step.company, since_s);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// The first gap could not be asked for: others get their turn.
    fn put_off(&mut self, error: &InvocationError) {
        let Some(mut gap) = self.gaps.pop_front() else { return };
        let is_over = matches!(error, InvocationError::Rpc(error) if is_refused(error));
        if is_over || gap.tries() >= TRIES {
            warn!(%error, "what was missed in a chat is not told");
            return;
        }
        warn!(%error, again_s = REST.as_secs(), "what was missed in a chat is not told yet");
        gap.failed();
        self.gaps.push_back(gap);
        self.rests_until = Some(Instant::now() + REST);
    }

    /// A chat has messages that were missed, all of it perhaps.
    fn changed(&mut self, dialog: &tl::types::Dialog, company: &Company, since_s: i32) {
        if let tl::enums::Peer::Channel(tl::types::PeerChannel { channel_id }) = dialog.peer {
            if self.boxes.session_state().channels.iter().any(|channel| channel.id == channel_id) {
                let update = tl::types::UpdateChannelTooLong { channel_id, pts: None }.into();
                let update: tl::enums::Updates = tl::types::UpdateShort { update, date: 0 }.into();
                if let Ok(done) = self.boxes.process_updates(UpdatesLike::Updates(update)) {
                    self.hand_out(done);
                }
                return;
            }
            if let Some(pts) = dialog.pts {
                self.boxes.try_set_channel_state(channel_id, pts);
            }
            if !self.read.insert(channel_id) {
                return;
            }
        }
        match peer_of(&dialog.peer, company) {
            Some(peer) => self.gaps.push_back(Gap::Chat(History::since(since_s, peer))),
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

    async fn ask<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvocationError> {
        self.handle.invoke_in_dc(self.core.session.home_dc(), request).await
    }
}

/// Whether a channel has more news than comes along: then it is asked for, by what is known of it. All others are written
/// down when they are told.
fn tell_too_long(updates: &[tl::enums::Update]) -> bool {
    updates.iter().any(|update| matches!(update, tl::enums::Update::ChannelTooLong(_)))
}

/// Whether a state is not one that Telegram goes on from.
fn is_state_refused(error: &RpcError) -> bool {
    error.code == 400 && error.name.starts_with("PERSISTENT_TIMESTAMP")
}

/// Whether asking again is of no use (core.telegram.org/method/updates.getChannelDifference).
fn is_refused(error: &RpcError) -> bool {
    matches!(error.code, 400 | 403 | 406) && !spoils_connection(&error.name)
}

/// Whether it is this request that cannot be answered, and others may.
fn is_of_request(error: &InvocationError) -> bool {
    match error {
        InvocationError::Rpc(error) => {
            !matches!(error.code, 401 | 420)
                && error.name != "AUTH_KEY_DUPLICATED"
                && !spoils_connection(&error.name)
        }
        InvocationError::Deserialize(_) => true,
        _ => false,
    }
}
