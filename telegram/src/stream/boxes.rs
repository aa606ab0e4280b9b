//! What Telegram tells, put in its order, and what was missed, asked for (core.telegram.org/api/updates).
//!
//! The library's message boxes keep the order and know what to ask for. Where they would go on behind a gap without a
//! word, what lies in it is fetched: a channel that has too much news is asked for all of it since what we know, and
//! messages that no difference brings any more are read from their chats.

use std::collections::VecDeque;
use std::sync::Arc;

use grammers_mtsender::{InvocationError, SenderPoolFatHandle};
use grammers_session::Session as _;
use grammers_session::types::{UpdateState, UpdatesState};
use grammers_session::updates::{MessageBoxes, PrematureEndReason, UpdateAndPeers, UpdatesLike};
use grammers_tl_types::{self as tl, RemoteCall};
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::gaps::{Dialogs, Gap, History, Step, peer_of};
use crate::core::Core;
use crate::session::SessionError;

/// Events of a channel that are asked for at once; Telegram sends accounts no more.
const CHANNEL_EVENTS: i32 = 100;

/// The ordered updates of one pool.
pub(super) struct Boxes {
    core: Arc<Core>,
    handle: SenderPoolFatHandle,
    wire: mpsc::Receiver<UpdatesLike>,
    boxes: MessageBoxes,
    ready: VecDeque<(tl::enums::Update, Arc<Company>)>,
    /// Where everything stood before what is being asked for now.
    before: Option<UpdatesState>,
    /// What no difference brings.
    gaps: VecDeque<Gap>,
}

/// Those who came along with updates.
#[derive(Debug, Default)]
pub(super) struct Company {
    pub(super) users: Vec<tl::enums::User>,
    pub(super) chats: Vec<tl::enums::Chat>,
}

impl Boxes {
    /// Goes on from the saved state.
    pub(super) async fn open(
        core: Arc<Core>,
        handle: SenderPoolFatHandle,
        wire: mpsc::Receiver<UpdatesLike>,
    ) -> Result<Self, SessionError> {
        let state = core.session.updates_state().await?;
        let before = (state.pts != 0).then(|| state.clone());
        Ok(Self {
            core,
            handle,
            wire,
            boxes: MessageBoxes::load(state),
            ready: VecDeque::new(),
            before,
            gaps: VecDeque::new(),
        })
    }

    /// The next update. It may be given up at any point: what it was asking for, it asks for again.
    pub(super) async fn next(&mut self) -> Result<(tl::enums::Update, Arc<Company>), InvocationError> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Ok(update);
            }
            if !self.gaps.is_empty() {
                self.fill().await?;
                continue;
            }
            let deadline = self.boxes.check_deadlines();
            if let Some(request) = self.boxes.get_difference() {
                self.difference(&request).await?;
            } else if let Some(request) = self.boxes.get_channel_difference() {
                self.channel_difference(request).await?;
            } else {
                self.before = None;
                match timeout_at(deadline.into(), self.wire.recv()).await {
                    Ok(Some(updates)) => self.take(updates).await?,
                    Ok(None) => return Err(InvocationError::Dropped("the updates' channel was closed")),
                    Err(_) => {}
                }
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
        self.core.session.set_update_state(UpdateState::All(self.boxes.session_state())).await
    }

    async fn take(&mut self, mut updates: UpdatesLike) -> Result<(), InvocationError> {
        if matches!(updates, UpdatesLike::ConnectionClosed | UpdatesLike::MalformedUpdates) {
            self.before = Some(self.boxes.session_state());
        }
        if let UpdatesLike::Updates(updates) = &mut updates {
            match updates {
                tl::enums::Updates::UpdateShort(short) => {
                    self.mend(std::slice::from_mut(&mut short.update), &[]).await?;
                }
                tl::enums::Updates::Updates(full) => self.mend(&mut full.updates, &full.chats).await?,
                tl::enums::Updates::Combined(full) => self.mend(&mut full.updates, &full.chats).await?,
                _ => {}
            }
        }
        if let Ok(done) = self.boxes.process_updates(updates) {
            self.hand_out(done);
        }
        Ok(())
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
            Err(InvocationError::Rpc(error)) if error.name.starts_with("PERSISTENT_TIMESTAMP") => {
                warn!(%error, "the update state is not accepted: going on from the present one");
                return self.begin_anew().await;
            }
            Err(error) => return Err(error),
        };
        match &mut difference {
            tl::enums::updates::Difference::Difference(told) => {
                self.mend(&mut told.other_updates, &told.chats).await?;
            }
            tl::enums::updates::Difference::Slice(told) => {
                self.mend(&mut told.other_updates, &told.chats).await?;
            }
            tl::enums::updates::Difference::TooLong(_) => {
                self.miss_all();
            }
            tl::enums::updates::Difference::Empty(_) => {}
        }
        let done = self.boxes.apply_difference(difference);
        self.hand_out(done);
        Ok(())
    }

    /// Goes on from where Telegram is; what happened before is read.
    async fn begin_anew(&mut self) -> Result<(), InvocationError> {
        let tl::enums::updates::State::State(state) = self.ask(&tl::functions::updates::GetState {}).await?;
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
            Err(InvocationError::Rpc(error))
                if error.code == 500 || error.name == "PERSISTENT_TIMESTAMP_OUTDATED" =>
            {
                // It is asked for again when something comes, or a while later.
                warn!(%error, "what was missed in a channel is not told now");
                self.boxes.end_channel_difference(PrematureEndReason::TemporaryServerIssues);
                return Ok(());
            }
            // One channel does not hold up all others.
            Err(InvocationError::Rpc(error)) if is_refused(error.code) => {
                warn!(%error, "what was missed in a channel is not told");
                if error.name.starts_with("PERSISTENT_TIMESTAMP") {
                    self.miss(channel_id);
                }
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let tl::enums::updates::ChannelDifference::TooLong(told) = &difference {
            self.remember(&told.chats).await?;
            self.miss(channel_id);
            if !matches!(&told.dialog, tl::enums::Dialog::Dialog(dialog) if dialog.pts.is_some()) {
                self.boxes.end_channel_difference(PrematureEndReason::Banned);
                return Ok(());
            }
        }
        let done = self.boxes.apply_channel_difference(difference);
        self.hand_out(done);
        Ok(())
    }

    /// Has a channel that is known asked for what is new since what we know, where the boxes would take what Telegram
    /// knows; one that is not known is read.
    async fn mend(
        &mut self,
        updates: &mut [tl::enums::Update],
        chats: &[tl::enums::Chat],
    ) -> Result<(), InvocationError> {
        let is_of_channel =
            |update: &tl::enums::Update| matches!(update, tl::enums::Update::ChannelTooLong(_));
        if !updates.iter().any(is_of_channel) {
            return Ok(());
        }
        self.remember(chats).await?;
        let present = self.boxes.session_state();
        for update in updates {
            let tl::enums::Update::ChannelTooLong(told) = update else { continue };
            let known = &self.before.as_ref().unwrap_or(&present).channels;
            if known.iter().any(|channel| channel.id == told.channel_id) {
                told.pts = None;
            } else {
                self.miss(told.channel_id);
            }
        }
        Ok(())
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
        (date > 0).then_some(date)
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
            Err(InvocationError::Rpc(error)) if is_refused(error.code) => {
                warn!(%error, "what was missed in a chat is not told");
                self.gaps.pop_front();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.remember(&step.company.chats).await?;
        match self.gaps.pop_front() {
            Some(Gap::Chat(mut history)) => {
                if history.takes(step) {
                    self.gaps.push_front(Gap::Chat(history));
                } else {
                    let (updates, company) = history.updates();
                    let company = Arc::new(company);
                    self.ready.extend(updates.into_iter().map(|update| (update, Arc::clone(&company))));
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
        }
        match peer_of(&dialog.peer, company) {
            Some(peer) => self.gaps.push_back(Gap::Chat(History::since(since_s, peer))),
            None => {
                warn!("what was missed in a chat is not known: Telegram does not say how it is asked for")
            }
        }
    }

    fn hand_out(&mut self, (updates, users, chats): UpdateAndPeers) {
        let company = Arc::new(Company { users, chats });
        self.ready.extend(updates.into_iter().map(|(update, _)| (update, Arc::clone(&company))));
    }

    async fn remember(&self, chats: &[tl::enums::Chat]) -> Result<(), InvocationError> {
        let remembered = self.core.session.remember_chats(chats).await;
        remembered.map_err(|error| InvocationError::Session(Box::new(error)))
    }

    async fn ask<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvocationError> {
        self.handle.invoke_in_dc(self.core.session.home_dc(), request).await
    }
}

/// Whether asking again is of no use.
fn is_refused(code: i32) -> bool {
    matches!(code, 400 | 403)
}
