//! Updates that wait for one before them, which may be lost.
//!
//! The library asks for what is missing half a second later, but keeps one such moment for all chats, and none while a channel
//! is to be asked: whoever is forgotten there is not forgotten here.

use std::collections::BTreeMap;
use std::time::Duration;

use grammers_session::types::UpdatesState;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use tokio::time::Instant;

/// When it is asked for what is missing: a little after the library should have.
const WAIT: Duration = Duration::from_millis(700);

/// What counts updates (core.telegram.org/api/updates#update-handling).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counter {
    /// Private chats and basic groups.
    Common,
    Channel(i64),
}

/// What is waited for.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<Counter, Doubt>);

#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// The count is there when nothing is missing any more.
    pts: i32,
    due: Instant,
}

impl Doubts {
    /// Notes what was taken in and not handed out: `came` is behind what is known.
    pub(super) fn note(&mut self, came: &[(Counter, i32)], state: &UpdatesState, now: Instant) {
        for &(counter, pts) in came.iter().filter(|(counter, pts)| is_behind(state, *counter, *pts)) {
            let doubt = self.0.entry(counter).or_insert(Doubt { pts, due: now + WAIT });
            doubt.pts = doubt.pts.max(pts);
        }
    }

    /// Those that are to be asked for now.
    pub(super) fn due(&mut self, now: Instant, state: impl FnOnce() -> UpdatesState) -> Vec<Counter> {
        if self.next().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let state = state();
        let mut missing = Vec::new();
        self.0.retain(|counter, doubt| {
            let is_due = doubt.due <= now;
            if is_due && is_behind(&state, *counter, doubt.pts) {
                missing.push(*counter);
            }
            !is_due
        });
        missing
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|doubt| doubt.due).min()
    }
}

fn is_behind(state: &UpdatesState, counter: Counter, pts: i32) -> bool {
    let known = match counter {
        Counter::Common => Some(state.pts),
        Counter::Channel(id) => {
            state.channels.iter().find(|channel| channel.id == id).map(|channel| channel.pts)
        }
    };
    known.is_some_and(|known| known < pts)
}

/// The counts that come with updates.
pub(super) fn counts(updates: &UpdatesLike) -> Vec<(Counter, i32)> {
    let updates = match updates {
        UpdatesLike::Updates(updates) => updates,
        UpdatesLike::ShortSentMessage { update, .. } => return vec![(Counter::Common, update.pts)],
        UpdatesLike::AffectedMessages(affected) => return vec![(Counter::Common, affected.pts)],
        UpdatesLike::AffectedChannelMessages { affected, channel_id, .. } => {
            return vec![(Counter::Channel(*channel_id), affected.pts)];
        }
        _ => return Vec::new(),
    };
    match updates {
        tl::enums::Updates::UpdateShort(short) => count(&short.update).into_iter().collect(),
        tl::enums::Updates::Updates(full) => full.updates.iter().filter_map(count).collect(),
        tl::enums::Updates::Combined(full) => full.updates.iter().filter_map(count).collect(),
        tl::enums::Updates::UpdateShortMessage(short) => vec![(Counter::Common, short.pts)],
        tl::enums::Updates::UpdateShortChatMessage(short) => vec![(Counter::Common, short.pts)],
        tl::enums::Updates::UpdateShortSentMessage(short) => vec![(Counter::Common, short.pts)],
        tl::enums::Updates::TooLong => Vec::new(),
    }
}

fn count(update: &tl::enums::Update) -> Option<(Counter, i32)> {
    use tl::enums::Update;
    let channel_of = |message: &tl::enums::Message| match super::gaps::peer_in(message)? {
        tl::enums::Peer::Channel(peer) => Some(Counter::Channel(peer.channel_id)),
        _ => None,
    };
    Some(match update {
        Update::NewMessage(update) => (Counter::Common, update.pts),
        Update::EditMessage(update) => (Counter::Common, update.pts),
        Update::DeleteMessages(update) => (Counter::Common, update.pts),
        Update::ReadHistoryInbox(update) => (Counter::Common, update.pts),
        Update::ReadHistoryOutbox(update) => (Counter::Common, update.pts),
        Update::ReadMessagesContents(update) => (Counter::Common, update.pts),
        Update::WebPage(update) => (Counter::Common, update.pts),
        Update::FolderPeers(update) => (Counter::Common, update.pts),
        Update::PinnedMessages(update) => (Counter::Common, update.pts),
        Update::NewChannelMessage(update) => (channel_of(&update.message)?, update.pts),
        Update::EditChannelMessage(update) => (channel_of(&update.message)?, update.pts),
        Update::DeleteChannelMessages(update) => (Counter::Channel(update.channel_id), update.pts),
        Update::ReadChannelInbox(update) => (Counter::Channel(update.channel_id), update.pts),
        Update::ChannelWebPage(update) => (Counter::Channel(update.channel_id), update.pts),
        Update::PinnedChannelMessages(update) => (Counter::Channel(update.channel_id), update.pts),
        _ => return None,
    })
}
